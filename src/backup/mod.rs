//! The backup tree: a plain copy of the store that `cp` can restore and `sha256sum -c` can check.
//!
//! [`create`] makes one, [`verify`] checks one, [`list`] shows all, [`seal`] adopts one that the
//! sketches made. A backup is staged under a
//! hidden name, made durable, sealed with a manifest and digests, and only then renamed.

mod base;
mod catalogue;
mod copy;
mod copying;
mod create;
pub mod diff;
mod durable;
mod extract;
mod find;
mod hand;
mod history;
mod known;
pub mod manifest;
pub mod model;
mod part;
mod path;
mod proof;
mod seal;
mod select;
mod staging;
pub mod sums;
mod sweep;
pub mod trash;
pub mod tree;
mod verify;

pub use catalogue::Catalogue;
pub use create::{BackupReport, create};
pub use extract::{ExtractReport, extract};
pub use find::{Holding, holdings, read_file};
pub use known::KnownNames;
pub use manifest::{Entry, Header, Skipped};
pub use model::{BackupId, BackupState, BackupView, Round, Verified};
pub use seal::seal;
pub use tree::{BackupList, RelPath, list, lock_directory};
pub use verify::{VerifyReport, verify, verify_part};
