//! Times as an operator types them: the same reader as the command line's.

pub use crate::report::when::parse;
