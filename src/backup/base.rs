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
    manifest::{self, Key},
    model::Verified,
    select::Item,
    tree::{self, RelPath, VERIFIED},
};
use crate::{
    maif::Digest,
    volume::{Fingerprint, Pulse, VolumeError, dir},
};

/// A sealed backup and what is known of its files.
#[derive(Debug, Default)]
pub(super) struct Base {
    root: PathBuf,
    files: HashMap<Key, Known>,
    /// Labels of volumes; a known file has its number among them.
    volumes: Vec<String>,
}

/// One file of it. There may be a million: no more than it takes to link to it.
#[derive(Debug)]
struct Known {
    path: RelPath,
    fingerprint: Fingerprint,
    sha256: Digest,
    /// Seconds since 1970.
    modified: i64,
    volume: Option<u16>,
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
            if usable && let Ok(base) = Self::read(root, pulse) {
                return Ok(Some(base));
            }
        }
        Ok(None)
    }

    fn read(root: PathBuf, pulse: &Pulse) -> Result<Self, VolumeError> {
        let (mut files, mut volumes) = (HashMap::new(), Vec::<String>::new());
        manifest::read_entries(&root, pulse, &mut |entry| {
            let volume = entry.volume.as_deref().and_then(|label| {
                let known = volumes.iter().position(|known| known == label);
                let number = known.unwrap_or_else(|| {
                    volumes.push(label.to_owned());
                    volumes.len() - 1
                });
                u16::try_from(number).ok()
            });
            let known = Known {
                fingerprint: entry.fingerprint(),
                sha256: entry.sha256,
                modified: entry.mtime,
                volume,
                path: entry.path.clone(),
            };
            files.insert(entry.key(), known);
            Ok(())
        })?;
        Ok(Self {
            root,
            files,
            volumes,
        })
    }

    /// The volume that a file was read from.
    pub fn volume_of(&self, key: &Key) -> Option<&str> {
        let number = self.files.get(key)?.volume?;
        Some(self.volumes.get(usize::from(number))?)
    }

    /// The file that may stand for an item, with its digest.
    pub fn same_as(&self, item: &Item) -> Option<(Digest, Link)> {
        let known = self.files.get(&item.key)?;
        // Without a mode it was looked at in haste and is copied.
        let same = known.fingerprint == item.fingerprint && item.mode != 0;
        same.then(|| {
            let link = Link {
                from: known.path.under(&self.root),
                to: item.path.clone(),
                fingerprint: item.fingerprint,
                modified: known.modified,
                mode: item.mode,
            };
            (known.sha256, link)
        })
    }
}

/// A file of the backup before that may stand for one of this.
#[derive(Debug)]
pub(super) struct Link {
    pub from: PathBuf,
    pub to: RelPath,
    pub fingerprint: Fingerprint,
    /// Of the file that is linked, by its manifest; seconds since 1970.
    pub modified: i64,
    pub mode: u32,
}

impl Link {
    /// Makes the link; `false` when the file has to be copied.
    pub fn make(&self, target: &Path) -> bool {
        // Also EMLINK and EXDEV: a copy is always right.
        self.unchanged() && fs::hard_link(&self.from, target).is_ok()
    }

    /// Whether the file is what its manifest says: nobody touched it since, or its footer tells.
    fn unchanged(&self) -> bool {
        let found = fs::symlink_metadata(&self.from);
        let untouched = found.is_ok_and(|found| {
            found.is_file()
                && found.len() == self.fingerprint.size
                && found.mtime() == self.modified
                && found.mode() & 0o777 == self.mode & 0o777
        });
        untouched || self.looks_right()
    }

    fn looks_right(&self) -> bool {
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
