//! Survey × intent → plan. Planning is pure: it reads a survey and touches no file.

pub mod model;
mod repair;
mod restore;

pub use model::*;
pub use repair::{Choice, repair};
pub use restore::{VersionFacts, restore_version};
