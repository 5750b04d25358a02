//! The backup tree: a plain copy of the store that `cp` can restore and `sha256sum -c` can check.

pub mod model;

pub use model::{BackupId, BackupState, BackupView, Verified};
