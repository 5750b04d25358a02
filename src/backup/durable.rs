//! How a tree of files becomes durable: all at once where its file system can, else file by file.

use std::path::Path;

use crate::volume::{At, BatchSync, Pulse, VolumeError, dir::sync_directory};

#[derive(Debug, Clone, Default)]
pub(super) struct Durability(Option<BatchSync>);

impl Durability {
    /// Before the first write below `directory`.
    pub fn of(directory: &Path) -> Result<Self, VolumeError> {
        Ok(Self(BatchSync::open(directory)?))
    }

    /// Whether each file has to be synced by itself, when it is written.
    pub const fn is_each_file(&self) -> bool {
        self.0.is_none()
    }

    /// Makes everything below `root` durable that was written so far.
    pub fn sync(&self, root: &Path, pulse: &Pulse) -> Result<(), VolumeError> {
        if let Some(batch) = &self.0 {
            return batch.sync(root);
        }
        // The files are; what is left are the directories.
        for entry in walkdir::WalkDir::new(root) {
            let entry = entry.map_err(std::io::Error::from).at("list", root)?;
            if entry.file_type().is_dir() {
                pulse.beat();
                sync_directory(entry.path())?;
            }
        }
        Ok(())
    }
}
