//! Locks over the replicas of one artifact, in the store's lock order.
//!
//! Lock order: lease → `job.lock` → `store.lock` → labels in order → name. Single changes hold
//! `store.lock` shared on their home's volumes; what changes the whole store holds it exclusive.

use std::{
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{error::StoreError, grid::Store, slot::Slot};
use crate::volume::{ArtifactName, At, Lock, LockMode, dir::OWN};

/// `$MAIFDECK_LOCK_FDS`, set by `maifdeck lock` for what it runs: for each lock
/// `<name in hex>:<x or s>:<pid>:<fd>,<fd>…` (exclusive or shared), a `;` between two. The pid is
/// that of the `lock` process: programs in between may close the descriptors (Python does).
pub const INHERITED: &str = "MAIFDECK_LOCK_FDS";

/// Held locks; dropping gives them back.
#[derive(Debug, Default)]
pub struct Held {
    locks: Vec<Lock>,
}

impl Held {
    fn take_all(
        &mut self,
        store: &Store,
        slots: &[&Slot],
        file: &str,
        mode: LockMode,
        what: &str,
    ) -> Result<(), StoreError> {
        let file = Path::new(OWN).join(file);
        for slot in slots {
            let timeout = store.config().store.lock_timeout;
            self.locks.extend(take(slot, &file, mode, timeout, what)?);
        }
        Ok(())
    }

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

    /// Lets a child process inherit the artifact's locks and names their descriptors for it,
    /// after those that this process inherited itself.
    pub fn inheritable(&self, name: &ArtifactName, mode: LockMode) -> std::io::Result<String> {
        let mut descriptors = Vec::new();
        for lock in self.locks.iter().filter(|lock| is_name_lock(lock.path())) {
            rustix::io::fcntl_setfd(lock.file(), rustix::io::FdFlags::empty())?;
            descriptors.push(lock.file().as_raw_fd().to_string());
        }
        let mode = match mode {
            LockMode::Exclusive => "x",
            LockMode::Shared => "s",
        };
        let ours = format!(
            "{}:{mode}:{}:{}",
            hex::encode(name.as_bytes()),
            std::process::id(),
            descriptors.join(",")
        );
        Ok(match std::env::var(INHERITED) {
            Ok(outer) if !outer.is_empty() => format!("{outer};{ours}"),
            _ => ours,
        })
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
        if is_held_around_us(slot, name, &file, mode)? {
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

/// Takes the artifact's lock for a process that does its own writing under it. It holds
/// `store.lock` too, first as the order has it, so that no restore runs meanwhile.
pub fn hold_for_child(
    slots: &[&Slot],
    name: &ArtifactName,
    mode: LockMode,
    timeout: Duration,
) -> Result<Held, StoreError> {
    let mut held = Held::default();
    for slot in slots {
        let file = Path::new(OWN).join("store.lock");
        held.locks
            .extend(take(slot, &file, LockMode::Shared, timeout, "the store")?);
    }
    let what = format!("artifact {name}");
    for slot in slots {
        let file = PathBuf::from(name.lock_file_name());
        if !is_held_around_us(slot, name, &file, mode)? {
            held.locks.extend(take(slot, &file, mode, timeout, &what)?);
        }
    }
    Ok(held)
}

/// Takes `job.lock`, then `store.lock` in `mode`, on every slot: for bulk work.
pub fn hold_store(store: &Store, slots: &[&Slot], mode: LockMode) -> Result<Held, StoreError> {
    let mut held = hold_jobs(store, slots)?;
    held.take_all(store, slots, "store.lock", mode, "the store")?;
    Ok(held)
}

/// Takes `job.lock` on every slot: no bulk work begins meanwhile.
pub fn hold_jobs(store: &Store, slots: &[&Slot]) -> Result<Held, StoreError> {
    let (mode, what) = (LockMode::Exclusive, "bulk work on the store");
    let mut held = Held::default();
    held.take_all(store, slots, "job.lock", mode, what)?;
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

/// Whether the lock need not be taken, since a process around us holds it for us.
fn is_held_around_us(
    slot: &Slot,
    name: &ArtifactName,
    file: &Path,
    mode: LockMode,
) -> Result<bool, StoreError> {
    match (inherited(name, &slot.volume.path().join(file)), mode) {
        (None, _) => Ok(false),
        (Some(LockMode::Exclusive), _) | (Some(LockMode::Shared), LockMode::Shared) => Ok(true),
        // Waiting for it would be waiting for ourselves.
        (Some(LockMode::Shared), LockMode::Exclusive) => Err(StoreError::Locked {
            what: format!("artifact {name}"),
            holder: "the `maifdeck lock --shared` that runs this command; a change needs the lock \
                     exclusive, without --shared"
                .to_owned(),
        }),
    }
}

/// How a process around us holds this lock file for us: the variable names the artifact, and one
/// of its descriptors is really open on that file, here or in that process.
fn inherited(name: &ArtifactName, path: &Path) -> Option<LockMode> {
    let value = std::env::var(INHERITED).ok()?;
    let expected = std::fs::metadata(path).ok()?;
    let is_this = |process: &str, descriptor: u32| {
        std::fs::metadata(format!("/proc/{process}/fd/{descriptor}"))
            .is_ok_and(|m| (m.dev(), m.ino()) == (expected.dev(), expected.ino()))
    };
    value.split(';').find_map(|entry| {
        let mut parts = entry.split(':');
        let owner = parts.next()?;
        let mode = match parts.next()? {
            "x" => LockMode::Exclusive,
            "s" => LockMode::Shared,
            _ => return None,
        };
        let holder: u32 = parts.next()?.parse().ok()?;
        let held = owner == hex::encode(name.as_bytes())
            && parts
                .next()?
                .split(',')
                .filter_map(|descriptor| descriptor.parse().ok())
                .any(|descriptor| {
                    is_this("self", descriptor) || is_this(&holder.to_string(), descriptor)
                });
        held.then_some(mode)
    })
}
