//! Reading what is there: every artifact on every volume, and every name that a history knows.

pub mod checked;
pub mod history;
pub mod model;
mod parts;
mod rot;
mod scan;
pub mod scrub;
pub mod timeline;
#[cfg(test)]
mod timeline_tests;

pub use checked::Checked;
pub use history::{History, Pick, history, history_in};
pub use model::*;
pub use rot::{RottenVersion, rotten};
pub use scan::{Scope, survey, survey_again};
pub use timeline::StateId;
