//! Removing one artifact from all its replicas: a quorum or nothing, as with a put.
//!
//! lock → look → stage the removal everywhere → (quorum?) → archive → (quorum?) → mark → unlink. The
//! mark is the commit: a crash before it leaves the copy, one after it a copy that is behind.

use std::{path::PathBuf, sync::Arc};

use super::{
    audit,
    change::Change,
    commit::{Committed, Guard, discard},
    error::StoreError,
    grid::Store,
    slot::Slot,
};
use crate::volume::{
    ArtifactName, Durable, Fingerprint, HistoryFile, Lane, Pending, VersionId, VersionKind,
    VolumeError,
};

/// One a slot of the change, in its order.
type Each<T> = Vec<Result<T, VolumeError>>;

impl Store {
    /// Archives the current copy and marks the artifact removed.
    pub fn remove(&self, name: &ArtifactName, guard: Guard<'_>) -> Result<Committed, StoreError> {
        let begun = self.begin(name, guard);
        let epoch = begun.as_ref().ok().and_then(|change| change.lead.epoch());
        let result = begun.and_then(|change| remove(&change));
        audit::note(self, "remove", name, epoch, &result);
        result
    }
}

fn remove(change: &Change<'_>) -> Result<Committed, StoreError> {
    if !change.exists() {
        return Err(StoreError::NotFound {
            kind: "artifact",
            what: change.name.to_string(),
        });
    }
    let next = change.next_record()?;
    let record: Arc<str> = next.of(Fingerprint::of(0, &[], &[])).to_string().into();
    let staged = stage(change, &record);
    let paths: Vec<Option<PathBuf>> = staged.iter().map(|s| s.as_ref().ok().cloned()).collect();
    let result = mark(change, staged, next.generation());
    let done = |slot: &Slot| {
        let copies = result.iter().flat_map(|committed| &committed.copies);
        let mut here = copies.filter(|copy| copy.volume == slot.label());
        here.any(|copy| copy.result.is_ok())
    };
    for (slot, path) in change.slots.iter().zip(paths) {
        if let Some(path) = path.filter(|_| !done(slot)) {
            discard(slot, path);
        }
    }
    result
}

/// Writes the removal durably on every replica, not visible yet.
fn stage(change: &Change<'_>, record: &Arc<str>) -> Each<PathBuf> {
    side_by_side(
        change,
        change.slots.iter().map(|_| Ok(())).collect(),
        |_, slot, ()| {
            let record = Arc::clone(record);
            slot.volume.start(Lane::Bulk, move |dir, pulse| {
                let staged = dir.stage(&mut record.as_bytes(), None, Durable::Now, pulse)?;
                Ok(staged.path)
            })
        },
    )
}

/// Keeps the copies, makes the staged removals visible, and takes the copies away.
fn mark(
    change: &Change<'_>,
    staged: Each<PathBuf>,
    generation: u64,
) -> Result<Committed, StoreError> {
    change.require_quorum(&staged)?;
    let commit = change.pass_the_gate()?;
    let ids = change.archive_ids();
    // The copy's version and its removal are two events of one moment, in this order.
    let id = ids
        .iter()
        .copied()
        .max()
        .map_or_else(|| change.next_id(), VersionId::next);
    let archived = side_by_side(change, staged, |position, slot, path| {
        let name = change.name.clone();
        let id = ids.get(position).copied().unwrap_or(id);
        slot.volume.start(Lane::Bulk, move |dir, pulse| {
            let archived = dir.archive(&name, id, Durable::Now, pulse)?;
            dir.sync_versions()?;
            Ok((path, archived))
        })
    });
    change.require_quorum(&archived)?;
    let file = HistoryFile {
        id,
        kind: VersionKind::Removal,
    };
    let marked = side_by_side(change, archived, |_, slot, (path, archived)| {
        let (name, commit) = (change.name.clone(), commit.clone());
        slot.volume.start(Lane::Bulk, move |dir, _| {
            let _inside = commit;
            dir.publish_removal(&path, &name, file)?;
            dir.unlink(&name)?;
            Ok(archived)
        })
    });
    change.conclude(marked, generation)
}

/// Goes on with every replica on which nothing failed so far, the volumes side by side.
fn side_by_side<A, B: Send + 'static>(
    change: &Change<'_>,
    before: Each<A>,
    start: impl Fn(usize, &Slot, A) -> Pending<B>,
) -> Each<B> {
    let slots = change.slots.iter().enumerate();
    let pending: Vec<Result<Pending<B>, VolumeError>> = slots
        .zip(before)
        .map(|((position, slot), before)| before.map(|before| start(position, slot, before)))
        .collect();
    pending
        .into_iter()
        .map(|pending| pending.and_then(Pending::wait))
        .collect()
}
