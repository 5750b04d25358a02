//! How a backup's files become durable on the file system that holds the backups.

use std::{fs::File, path::Path, sync::Arc};

use crate::volume::{At, Pulse, VolumeError, dir::sync_directory, probe};

#[derive(Debug, Clone)]
pub(super) enum Durability {
    /// `fsync` of each: where `syncfs` tells nothing (network file systems).
    EachFile,
    /// One `syncfs` for many, through a descriptor opened before the first write: kernels report
    /// through it what was lost since.
    Batches(Arc<File>),
}

impl Durability {
    pub fn of(directory: &Path) -> Result<Self, VolumeError> {
        let file = File::open(directory).at("open", directory)?;
        let network = probe::file_system(directory)
            .is_none_or(|kind| ["nfs", "fuse", "smb"].contains(&&*kind));
        Ok(if network {
            Self::EachFile
        } else {
            Self::Batches(Arc::new(file))
        })
    }

    /// Makes everything below `root` durable that was written so far.
    pub fn sync(&self, root: &Path, pulse: &Pulse) -> Result<(), VolumeError> {
        match self {
            Self::Batches(file) => rustix::fs::syncfs(&**file).at("sync", root),
            // The files are; what is left are the directories.
            Self::EachFile => walkdir::WalkDir::new(root)
                .into_iter()
                .filter_map(Result::ok)
                .filter(|entry| entry.file_type().is_dir())
                .try_for_each(|entry| {
                    pulse.beat();
                    sync_directory(entry.path())
                }),
        }
    }
}
