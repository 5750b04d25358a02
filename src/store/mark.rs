//! Giving a directory to a store: what is there is shown first, the mark is written last, and the
//! volume only joins. It counts for nothing until a repair of it has finished.

use std::path::Path;

use super::{
    candidate::Candidate,
    edit::{self, Edit},
    error::StoreError,
    grid::Store,
    hold, lease,
    slot::Slot,
    state::VolumeState,
    watermark,
};
use crate::volume::{
    Identity, Lane, Membership, Pending, Probe, Volume, VolumeError, Watermark, identity, probe,
};

pub(super) fn slot<'a>(store: &'a Store, label: &str) -> Result<&'a Slot, StoreError> {
    store.slot(label).ok_or_else(|| StoreError::NotFound {
        kind: "volume",
        what: label.to_owned(),
    })
}

/// Marks an unmarked volume's directory. It joins.
pub fn mark(store: &Store, label: &str) -> Result<(), StoreError> {
    require_unmarked(store, label)?;
    join(store, label, None)
}

/// Refuses for a volume that has a mark already.
pub fn require_unmarked(store: &Store, label: &str) -> Result<(), StoreError> {
    let slot = slot(store, label)?;
    if slot.state != VolumeState::Unmarked {
        return Err(StoreError::Usage(format!(
            "volume {label} is {}, not unmarked; `maifdeck volume replace {label}` gives its place \
             to a new directory",
            slot.state.word()
        )));
    }
    Ok(())
}

/// Gives a volume's place to another directory (or to the same one, emptied or exchanged). It
/// joins; with a directory, the configuration names it from now on.
pub fn replace(store: &Store, label: &str, directory: Option<&Path>) -> Result<(), StoreError> {
    join(store, label, directory)?;
    let Some(directory) = directory else {
        return Ok(());
    };
    let slot = slot(store, label)?;
    let (partition, replica) = label.rsplit_once('.').unwrap_or((label, "1"));
    let mut edit = Edit::of(store.config())?;
    edit.set_replica(partition, replica.parse().unwrap_or(1), directory)?;
    let (text, config) = edit.finish()?;
    let file = config.file.clone().unwrap_or_default();
    tracing::info!(%label, from = %slot.volume.path().display(), "volume replaced");
    edit::write(&file, &text)
}

fn join(store: &Store, label: &str, directory: Option<&Path>) -> Result<(), StoreError> {
    store.require_write()?;
    let candidate = Candidate::look(store, label, directory)?;
    candidate.require()?;
    let (Some(id), Some(layout)) = (store.id(), store.layout()) else {
        return Err(StoreError::Failed(
            "no volume of this store can be read".to_owned(),
        ));
    };
    let replicas = store.replicas(slot(store, label)?.partition).count();
    let identity = Identity {
        schema: 1,
        store: id.to_owned(),
        store_name: store.config().store.name.clone(),
        label: label.to_owned(),
        instance: identity::new_id()?,
        // Where there is no other replica there is nothing to be made equal to: what it held comes
        // back from a backup.
        state: if replicas == 1 {
            Membership::Active
        } else {
            Membership::Joining
        },
        marked_at: identity::stamp(store.clock().now()),
        mount_point: false,
        watermark: Watermark::default(),
        layout: layout.clone(),
        probe: None,
    };
    let volume = Volume::new(label, &candidate.path, store.config().store.volume_timeout);
    // Its lease is there before it can be used.
    let lease = lease::acquire::is_lost_with(store, label).then(|| lease::acquire::anew(store));
    Ok(volume.run(Lane::Short, move |dir, _| {
        if let Some(epoch) = lease {
            lease::file::begin_at(dir, epoch)?;
        }
        identity.mark(dir)
    })?)
}

/// Ends the joining of a volume: its copies count from now on. Refused while too few others answer
/// to know every acknowledged write (together they must overlap with any quorum of writers), unless
/// the operator accepts that what only the missing ones knew is gone.
pub fn admit(store: &Store, label: &str, accept_older: bool) -> Result<(), StoreError> {
    let partition = slot(store, label)?.partition;
    let (counting, needed) = store.knowledge(partition);
    if counting < needed && !accept_older {
        return Err(StoreError::Changed(format!(
            "{counting} other replicas of its partition answer, {needed} are needed to know what \
             {label} should hold; it stays joining. If the others are gone for good, `maifdeck \
             replicas repair --accept-older` admits it without them"
        )));
    }
    let layout = store
        .layout()
        .cloned()
        .ok_or_else(|| StoreError::Failed("the store has no layout".to_owned()))?;
    let watermark = watermark::caught_up(store);
    rewrite(slot(store, label)?, move |identity| {
        identity.watermark = watermark;
        identity.state = Membership::Active;
        identity.layout = layout;
    })
}

/// Finds out what holds on a volume's file system, and records it.
pub fn probe(store: &Store, label: &str) -> Result<Probe, StoreError> {
    let slot = slot(store, label)?;
    if !slot.is_writable() {
        return Err(slot.not_usable());
    }
    // The mark is rewritten: nobody else may do so meanwhile.
    let _held = hold::hold_jobs(store, &[slot])?;
    let found = slot.volume.run(Lane::Short, |dir, _| probe::probe(dir))?;
    let kept = found.clone();
    rewrite(slot, move |identity| identity.probe = Some(kept))?;
    Ok(found)
}

/// Changes the identity of a volume in one step.
pub fn rewrite(
    slot: &Slot,
    change: impl FnOnce(&mut Identity) + Send + 'static,
) -> Result<(), StoreError> {
    Ok(rewriting(slot, change).wait()?)
}

/// Begins to; several volumes are changed side by side.
pub(super) fn rewriting(
    slot: &Slot,
    change: impl FnOnce(&mut Identity) + Send + 'static,
) -> Pending<()> {
    slot.volume.start(Lane::Short, move |dir, _| {
        let mut identity = Identity::read(dir)?.ok_or_else(|| VolumeError::Bad {
            path: dir.own(identity::FILE),
            problem: "it is gone".to_owned(),
        })?;
        change(&mut identity);
        identity.write(dir)
    })
}
