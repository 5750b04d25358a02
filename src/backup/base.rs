//! The backup before: what an incremental one links to instead of copying.
//!
//! A file is linked when size, footer and mode are what its volume has now *and* what the old
//! backup's file still has. Backups in which damage is known are not built upon.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    manifest::{self, Entry, Key},
    model::Verified,
    tree::{self, RelPath, VERIFIED},
};
use crate::volume::{Fingerprint, Pulse, VolumeError, dir};

/// A sealed backup and its entries.
#[derive(Debug, Default)]
pub(super) struct Base {
    pub root: PathBuf,
    pub entries: HashMap<Key, Entry>,
}

impl Base {
    /// The newest sealed backup of this store in which no damage is known.
    pub fn newest(
        directory: &Path,
        store: &str,
        pulse: &Pulse,
    ) -> Result<Option<Self>, VolumeError> {
        let ids = tree::sealed_ids(directory, pulse)?;
        for id in ids.into_iter().rev() {
            let root = directory.join(id.directory());
            let usable = manifest::read_header(&root).is_ok_and(|h| h.store == store)
                && !known_damaged(&root);
            // One that cannot be read is no base; the one before it may be.
            if usable && let Ok(entries) = manifest::read_index(&root, pulse) {
                return Ok(Some(Self { root, entries }));
            }
        }
        Ok(None)
    }
}

/// A file of the backup before that may stand for one of this.
#[derive(Debug)]
pub(super) struct Link {
    pub from: PathBuf,
    pub to: RelPath,
    pub fingerprint: Fingerprint,
    pub mode: u32,
}

impl Link {
    /// Makes the link; `false` when the file has to be copied.
    pub fn make(&self, target: &Path) -> bool {
        // Also EMLINK and EXDEV: a copy is always right.
        self.unchanged() && fs::hard_link(&self.from, target).is_ok()
    }

    fn unchanged(&self) -> bool {
        dir::open_known(&self.from).is_ok_and(|(file, metadata)| {
            metadata.mode() & 0o777 == self.mode & 0o777
                && Fingerprint::read_sized(&file, metadata.len())
                    .is_ok_and(|(print, ..)| print == self.fingerprint)
        })
    }
}

fn known_damaged(root: &Path) -> bool {
    fs::read(root.join(VERIFIED))
        .ok()
        .and_then(|text| serde_json::from_slice::<Verified>(&text).ok())
        .is_some_and(|verified| !verified.ok)
}
