//! What jobs did: written as they go, read as the union over all volumes.

pub mod model;
pub mod read;
pub mod write;

pub use model::{Actor, JobState, JobView};
pub use read::JobList;
pub use write::Journal;
