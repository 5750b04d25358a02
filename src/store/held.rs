//! Which locks of the store are held now, and by whom: for the console. Takes none of them.
//!
//! The kernel tells of this machine's processes. Of other hosts only the line in the file tells,
//! and a line may be left from a process that was killed: such a holder is only said to be one.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::DirEntryExt},
    path::Path,
    sync::Arc,
};

use super::{error::StoreError, grid::Store};
use crate::volume::{ArtifactName, At, Dir, Lane, VolumeError, dir, dir::OWN, holders, lock};

/// What a lock is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockOf {
    /// Commits under way, or a new leader at the barrier.
    Lease,
    /// Bulk work.
    Job,
    /// The store as a whole: shared by changes, exclusive by a restore.
    Store,
    Artifact(ArtifactName),
}

/// One lock that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// Label of the volume.
    pub volume: Arc<str>,
    pub of: LockOf,
    /// In words: host, pid, since, operation, as far as known.
    pub holder: String,
    /// Whether the kernel says so; else only a line in the file does.
    pub certain: bool,
}

/// Every lock that somebody holds, as far as it can be told; volumes in label order.
pub fn held_now(store: &Store) -> Result<Vec<HeldLock>, StoreError> {
    let pending: Vec<_> = store
        .slots()
        .iter()
        .filter(|slot| slot.state.is_readable())
        .map(|slot| {
            let label = Arc::clone(slot.volume.label());
            slot.volume
                .start(Lane::Short, move |dir, _| look(dir, &label))
        })
        .collect();
    let mut held = Vec::new();
    for pending in pending {
        held.extend(pending.wait()?);
    }
    Ok(held)
}

fn look(dir: &Dir, label: &Arc<str>) -> Result<Vec<HeldLock>, VolumeError> {
    let mut here = holders::beside(dir.path());
    let mut held = Vec::new();
    let own = dir.path().join(OWN);
    list(&own, &mut here, true, &mut |name, holder, certain| {
        let of = match name {
            b"lease.lock" => LockOf::Lease,
            b"job.lock" => LockOf::Job,
            b"store.lock" => LockOf::Store,
            _ => return,
        };
        held.push((of, holder, certain));
    })?;
    // Thousands of artifacts have lock files: they are listed only when the kernel tells of a lock
    // beside ours, and only those that it names are opened.
    list(
        dir.path(),
        &mut here,
        false,
        &mut |name, holder, certain| {
            let artifact = name.strip_suffix(b".maif.lock");
            if let Some(name) = artifact.and_then(ArtifactName::existing) {
                held.push((LockOf::Artifact(name), holder, certain));
            }
        },
    )?;
    Ok(held
        .into_iter()
        .map(|(of, holder, certain)| HeldLock {
            volume: Arc::clone(label),
            of,
            holder,
            certain,
        })
        .collect())
}

/// Tells of the held `*.lock` files of a directory; `lines`: also of those that only a line names.
fn list(
    directory: &Path,
    here: &mut BTreeMap<u64, Vec<u32>>,
    lines: bool,
    tell: &mut dyn FnMut(&[u8], String, bool),
) -> Result<(), VolumeError> {
    if here.is_empty() && !lines {
        return Ok(());
    }
    for entry in fs::read_dir(directory).at("list", directory)? {
        let entry = entry.at("list", directory)?;
        let name = entry.file_name();
        if !name.as_bytes().ends_with(b".lock") {
            continue;
        }
        let pids = here.remove(&entry.ino()).unwrap_or_default();
        if pids.is_empty() && !lines {
            continue;
        }
        let path = entry.path();
        // The lease's lock holds an epoch's number, never a name.
        let line = match name.as_bytes() {
            b"lease.lock" => String::new(),
            _ => match dir::open(&path) {
                Ok(mut file) => lock::line_in(&mut file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                // No file at all says nothing.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => String::new(),
                Err(error) => return Err(error).at("read", &path),
            },
        };
        if let Some(holder) = lock::name_from(&line, &pids) {
            tell(name.as_bytes(), holder, !pids.is_empty());
        }
    }
    Ok(())
}
