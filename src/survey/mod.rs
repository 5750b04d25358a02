//! Reading what is there: every artifact on every volume, and every name that a history knows.

pub mod model;

pub use model::*;
