//! Locks over the replicas of one artifact, in the store's lock order.
//!
//! Lock order: lease → `job.lock` → `store.lock` → labels in order → name. Single changes hold
//! `store.lock` shared on their home's volumes; what changes the whole store holds it exclusive.

use std::{
    fs::File,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    error::StoreError,
    grid::{Slot, Store},
};
use crate::volume::{ArtifactName, At, Lock, LockMode, dir::OWN};

/// `$MAIFDECK_LOCK_FDS`: `<name in hex>:<fd>,<fd>…`, set by `maifdeck lock` for what it runs.
pub const INHERITED: &str = "MAIFDECK_LOCK_FDS";

/// Held locks; dropping gives them back.
#[derive(Debug, Default)]
pub struct Held {
    locks: Vec<Lock>,
}

impl Held {
    /// Lets single changes go on beside bulk work that began exclusively.
    pub fn share_store(&self) -> Result<(), StoreError> {
        for lock in &self.locks {
            if lock.path().ends_with("store.lock") {
                // `job.lock` is still held, so nobody waits for it exclusively in between.
                fs2::FileExt::lock_shared(lock.file()).at("share", lock.path())?;
            }
        }
        Ok(())
    }

    /// Lets a child process inherit the locks and names their descriptors for it.
    pub fn inheritable(&self, name: &ArtifactName) -> std::io::Result<String> {
        let mut descriptors = Vec::new();
        for lock in self.locks.iter().filter(|lock| is_name_lock(lock.path())) {
            rustix::io::fcntl_setfd(lock.file(), rustix::io::FdFlags::empty())?;
            descriptors.push(lock.file().as_raw_fd().to_string());
        }
        Ok(format!(
            "{}:{}",
            hex::encode(name.as_bytes()),
            descriptors.join(",")
        ))
    }
}

fn is_name_lock(path: &Path) -> bool {
    path.parent().is_none_or(|parent| !parent.ends_with(OWN))
}

/// Takes `store.lock` shared and the artifact's lock on each slot, in label order.
pub fn hold_name(
    store: &Store,
    slots: &[&Slot],
    name: &ArtifactName,
    mode: LockMode,
) -> Result<Held, StoreError> {
    let mut held = Held::default();
    let timeout = store.config().store.lock_timeout;
    for slot in slots.iter().filter(|_| !store.is_in_bulk()) {
        let file = Path::new(OWN).join("store.lock");
        held.locks
            .extend(take(slot, &file, LockMode::Shared, timeout, "the store")?);
    }
    for slot in slots {
        let file = PathBuf::from(name.lock_file_name());
        if is_inherited(name, &slot.volume.path().join(&file)) {
            continue;
        }
        held.locks.extend(take(
            slot,
            &file,
            mode,
            timeout,
            &format!("artifact {name}"),
        )?);
    }
    Ok(held)
}

/// Takes the artifact's lock alone, for a process that does its own writing under it.
pub fn hold_only_name(
    slots: &[&Slot],
    name: &ArtifactName,
    mode: LockMode,
    timeout: Duration,
) -> Result<Held, StoreError> {
    let mut held = Held::default();
    for slot in slots {
        let file = PathBuf::from(name.lock_file_name());
        let what = format!("artifact {name}");
        held.locks.extend(take(slot, &file, mode, timeout, &what)?);
    }
    Ok(held)
}

/// Takes `job.lock`, then `store.lock` in `mode`, on every slot: for bulk work.
pub fn hold_store(store: &Store, slots: &[&Slot], mode: LockMode) -> Result<Held, StoreError> {
    let mut held = Held::default();
    for (file, mode, what) in [
        ("job.lock", LockMode::Exclusive, "bulk work on the store"),
        ("store.lock", mode, "the store"),
    ] {
        for slot in slots {
            let file = Path::new(OWN).join(file);
            let timeout = store.config().store.lock_timeout;
            held.locks.extend(take(slot, &file, mode, timeout, what)?);
        }
    }
    Ok(held)
}

fn take(
    slot: &Slot,
    file: &Path,
    mode: LockMode,
    timeout: Duration,
    what: &str,
) -> Result<Option<Lock>, StoreError> {
    match slot.volume.lock(file, mode, timeout)? {
        Ok(lock) => Ok(Some(lock)),
        Err(holder) => Err(StoreError::Locked {
            what: format!("{what} ({})", slot.volume.path().join(file).display()),
            holder,
        }),
    }
}

/// Whether a parent holds this lock file for us: the variable names the artifact, and one of its
/// descriptors is really open on that file.
fn is_inherited(name: &ArtifactName, path: &Path) -> bool {
    let Ok(value) = std::env::var(INHERITED) else {
        return false;
    };
    let Some((owner, descriptors)) = value.split_once(':') else {
        return false;
    };
    let Ok(expected) = std::fs::metadata(path) else {
        return false;
    };
    owner == hex::encode(name.as_bytes())
        && descriptors.split(',').any(|descriptor| {
            descriptor.parse::<u32>().is_ok_and(|descriptor| {
                File::open(format!("/proc/self/fd/{descriptor}"))
                    .and_then(|file| file.metadata())
                    .is_ok_and(|m| (m.dev(), m.ino()) == (expected.dev(), expected.ino()))
            })
        })
}
