//! Locks over the replicas of one artifact, in the store's lock order.
//!
//! Lock order: lease → `job.lock` → `store.lock` → labels in order → name. Single changes hold
//! `store.lock` shared on their home's volumes; what changes the whole store holds it exclusive.
//! However many locks are taken, all of them are waited for within one timeout.

use std::{
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::Instant,
};

use super::{error::StoreError, grid::Store, slot::Slot};
use crate::volume::{ArtifactName, At, Lock, LockMode, dir::OWN, holders};

/// `$MAIFDECK_LOCK_FDS`, set by `maifdeck lock` for what it runs: for each lock
/// `<name in hex>:<pid>:<fd>,<fd>…`, a `;` between two. The pid is that of the `lock` process:
/// programs in between may close the descriptors (Python does). It is a hint where to look, no
/// proof: that the lock is held, and how, only the kernel says.
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
        let until = Instant::now() + store.config().store.lock_timeout;
        for slot in slots {
            self.locks.push(take(slot, &file, mode, until, what)?);
        }
        Ok(())
    }

    /// `store.lock` shared on each slot.
    fn share_store_of(&mut self, slots: &[&Slot], until: Instant) -> Result<(), StoreError> {
        let file = Path::new(OWN).join("store.lock");
        for slot in slots {
            let lock = take(slot, &file, LockMode::Shared, until, "the store")?;
            self.locks.push(lock);
        }
        Ok(())
    }

    /// The artifact's lock on each slot, where no process around us holds it for us.
    fn take_name(
        &mut self,
        slots: &[&Slot],
        name: &ArtifactName,
        mode: LockMode,
        until: Instant,
    ) -> Result<(), StoreError> {
        let what = format!("artifact {name}");
        for slot in slots {
            let file = PathBuf::from(name.lock_file_name());
            if !is_held_around_us(slot, name, &file, mode)? {
                self.locks.push(take(slot, &file, mode, until, &what)?);
            }
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
    pub fn inheritable(&self, name: &ArtifactName) -> std::io::Result<String> {
        let mut descriptors = Vec::new();
        for lock in self.locks.iter().filter(|lock| is_name_lock(lock.path())) {
            rustix::io::fcntl_setfd(lock.file(), rustix::io::FdFlags::empty())?;
            descriptors.push(lock.file().as_raw_fd().to_string());
        }
        let ours = format!(
            "{}:{}:{}",
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
    let until = Instant::now() + store.config().store.lock_timeout;
    if !store.is_in_bulk() {
        held.share_store_of(slots, until)?;
    }
    held.take_name(slots, name, mode, until)?;
    Ok(held)
}

/// Takes the artifact's lock for a process that does its own writing under it. It holds
/// `store.lock` too, first as the order has it, so that no restore runs meanwhile.
pub fn hold_for_child(
    slots: &[&Slot],
    name: &ArtifactName,
    mode: LockMode,
    until: Instant,
) -> Result<Held, StoreError> {
    let mut held = Held::default();
    held.share_store_of(slots, until)?;
    held.take_name(slots, name, mode, until)?;
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
    until: Instant,
    what: &str,
) -> Result<Lock, StoreError> {
    let left = until.saturating_duration_since(Instant::now());
    slot.volume
        .lock(file, mode, left)?
        .map_err(|holder| StoreError::Locked {
            what: format!("{what} ({})", slot.volume.path().join(file).display()),
            holder,
        })
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

/// How a process around us holds this lock file for us: the variable names the artifact, and
/// through one of its descriptors, here or in that process, the kernel says that it is locked.
fn inherited(name: &ArtifactName, path: &Path) -> Option<LockMode> {
    let value = std::env::var(INHERITED).ok()?;
    let expected = std::fs::metadata(path).ok()?;
    let through = |process: &str, descriptor: u32| {
        let open = std::fs::metadata(format!("/proc/{process}/fd/{descriptor}")).ok()?;
        ((open.dev(), open.ino()) == (expected.dev(), expected.ino()))
            .then(|| holders::through(process, descriptor))
            .flatten()
    };
    value.split(';').find_map(|entry| {
        let mut parts = entry.split(':');
        if parts.next()? != hex::encode(name.as_bytes()) {
            return None;
        }
        let holder = parts.next()?.parse::<u32>().ok()?.to_string();
        let mut descriptors = parts
            .next()?
            .split(',')
            .filter_map(|text| text.parse().ok());
        descriptors.find_map(|descriptor| {
            through("self", descriptor).or_else(|| through(&holder, descriptor))
        })
    })
}
