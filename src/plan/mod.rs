//! Survey × intent → plan. Planning is pure: it reads a survey and touches no file.

pub mod model;

pub use model::*;
