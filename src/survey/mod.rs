//! Reading what is there: every artifact on every volume, and every name that a history knows.

pub mod checked;
pub mod model;
mod scan;
pub mod scrub;

pub use checked::Checked;
pub use model::*;
pub use scan::{Scope, survey, survey_again};
