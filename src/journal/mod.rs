//! What jobs did: written as they go, read as the union over all volumes.

pub mod model;

pub use model::{Actor, JobState, JobView};
