//! Words for people and documents for programs.

pub mod json;
pub mod reason;
pub mod text;
