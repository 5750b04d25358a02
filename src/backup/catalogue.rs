//! Where in each backup's manifest an artifact is: read once a backup, so that looking from one
//! artifact to the next costs a few lines of each and not the whole of all.
//!
//! Eight bytes an entry are remembered. A manifest that is another file than the one that was read
//! is read again, and one that is gone is forgotten.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    manifest::{self, Entry},
    model::BackupId,
    tree::MANIFEST,
};
use crate::volume::{ArtifactName, At, Pulse, VolumeError, dir, listing::nanos};

/// The manifests that were read. Clones share what they know.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(Arc<Mutex<HashMap<BackupId, Arc<Index>>>>);

/// Where the lines of one manifest are, by a hash of the name that they are about.
#[derive(Debug)]
struct Index {
    of: Stamp,
    /// Sorted; several names may have one hash.
    lines: Vec<(u32, u32)>,
}

/// Inode, size and modification time of the manifest.
type Stamp = (u64, u64, i64);

impl Catalogue {
    /// Reads the entries of one artifact in a sealed backup.
    pub(super) fn entries_of(
        &self,
        id: BackupId,
        root: &Path,
        name: &ArtifactName,
        pulse: &Pulse,
        each: &mut dyn FnMut(Entry) -> Result<(), VolumeError>,
    ) -> Result<(), VolumeError> {
        let path = root.join(MANIFEST);
        let file = dir::open(&path).at("open", &path)?;
        let metadata = file.metadata().at("read", &path)?;
        if u32::try_from(metadata.len()).is_err() {
            return manifest::read_entries_of(root, name, pulse, each).map(drop);
        }
        let mtime = nanos(metadata.mtime(), metadata.mtime_nsec());
        let index = self.index(id, (metadata.ino(), metadata.len(), mtime), root, pulse)?;
        let hash = hash(name);
        let from = index.lines.partition_point(|(other, _)| *other < hash);
        let of_name = index.lines.iter().skip(from);
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        for (_, at) in of_name.take_while(|(other, _)| *other == hash) {
            line.clear();
            let read = reader
                .seek(SeekFrom::Start(u64::from(*at)))
                .and_then(|_| reader.read_until(b'\n', &mut line));
            read.at("read", &path)?;
            let entry = manifest::entry(&line, &path)?;
            if entry.name == *name {
                each(entry)?;
            }
        }
        Ok(())
    }

    /// Forgets the backups that are not among these.
    pub(super) fn keep_only(&self, ids: &[BackupId]) {
        self.known().retain(|id, _| ids.contains(id));
    }

    fn index(
        &self,
        id: BackupId,
        of: Stamp,
        root: &Path,
        pulse: &Pulse,
    ) -> Result<Arc<Index>, VolumeError> {
        let known = self.known().get(&id).cloned();
        if let Some(index) = known.filter(|index| index.of == of) {
            return Ok(index);
        }
        let mut lines = Vec::new();
        manifest::read_places(root, pulse, &mut |at, entry| {
            let at = u32::try_from(at).map_err(|_| too_large(root))?;
            lines.push((hash(&entry.name), at));
            Ok(())
        })?;
        lines.sort_unstable();
        lines.shrink_to_fit();
        let index = Arc::new(Index { of, lines });
        self.known().insert(id, Arc::clone(&index));
        Ok(index)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<BackupId, Arc<Index>>> {
        // Only whole indexes go in: a panic leaves nothing half-made.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(name: &ArtifactName) -> u32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    let half = hasher.finish() as u32;
    half
}

fn too_large(root: &Path) -> VolumeError {
    VolumeError::Bad {
        path: root.join(MANIFEST),
        problem: "it grew while it was read".to_owned(),
    }
}
