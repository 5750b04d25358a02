//! One directory: what a volume holds and every way of touching it.

pub mod level;
pub mod name;
pub mod version;

pub use level::Level;
pub use name::{ArtifactName, NameError};
pub use version::{VersionId, VersionKind};
