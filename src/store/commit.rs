//! Changing one artifact on all its replicas: a quorum or nothing.
//!
//! lock → look → stage everywhere → (quorum?) → archive → rename. Nothing is renamed before a
//! quorum has staged durably, so a failure up to there leaves no trace; a crash after it leaves on
//! each replica the old copy or the new one, complete, and the next survey orders them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    audit,
    batch::{self, Batches},
    change::{Change, NextRecord},
    error::StoreError,
    grid::Store,
    lease,
    peek::Peek,
    slot::Slot,
};
use crate::{
    maif::Digest,
    volume::{
        ArtifactName, At, Dir, Durable, Fingerprint, Lane, Pending, Pulse, Record, Staged,
        VersionId, VolumeError, dir,
    },
};

/// `put --if-generation`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Always,
    Absent,
    Generation(u64),
}

/// What happened on one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOutcome {
    pub volume: String,
    pub result: Result<(), String>,
}

/// A finished change of one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub name: ArtifactName,
    pub generation: u64,
    /// The id under which the predecessor was archived; `None` when there was nothing to archive.
    pub version: Option<VersionId>,
    pub copies: Vec<CopyOutcome>,
    /// The lease it was made under; `None` when leases are off.
    pub epoch: Option<lease::Epoch>,
}

impl Committed {
    /// Whether every replica has it.
    pub fn is_complete(&self) -> bool {
        self.copies.iter().all(|copy| copy.result.is_ok())
    }
}

/// A check made under the lock, on what each replica (by its label) holds, before anything is
/// written.
pub type Guard<'a> = &'a dyn Fn(&[(&str, &Peek)]) -> Result<(), StoreError>;

/// One new current copy.
pub struct PutRequest<'a> {
    pub name: &'a ArtifactName,
    /// Verified by the caller; its digest is checked again on every replica.
    pub source: &'a Path,
    pub sha256: Digest,
    pub condition: Condition,
    pub guard: Guard<'a>,
}

impl std::fmt::Debug for PutRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PutRequest")
            .field("name", self.name)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a new current copy, durable file by file.
    pub fn put(&self, write: PutRequest<'_>) -> Result<Committed, StoreError> {
        let name = write.name.clone();
        let (epoch, result) = self
            .put_each(vec![write], Durable::Now)
            .pop()
            .unwrap_or_else(|| {
                let error = StoreError::Failed(format!("{name} was not written"));
                (None, Err(error))
            });
        audit::note(self, "put", &name, epoch, &result);
        result
    }

    /// Makes many new current copies, durable together; an answer each, in the same order. Their
    /// locks are held together, so batches are small.
    pub fn put_all(&self, writes: Vec<PutRequest<'_>>) -> Vec<Result<Committed, StoreError>> {
        let done = self.put_each(writes, Durable::WithBatch).into_iter();
        done.map(|(_, result)| result).collect()
    }

    /// Each with the lease that it was tried under.
    fn put_each(
        &self,
        writes: Vec<PutRequest<'_>>,
        durable: Durable,
    ) -> Vec<(Option<lease::Epoch>, Result<Committed, StoreError>)> {
        let mut puts: Vec<Result<Put<'_>, StoreError>> = writes
            .into_iter()
            .map(|write| {
                let change = self.begin(write.name, write.guard)?;
                change.require(write.condition)?;
                Ok(Put {
                    record: change.next_record()?,
                    source: write.source.to_owned(),
                    sha256: write.sha256,
                    copies: Vec::new(),
                    commit: lease::Commit::default(),
                    change,
                })
            })
            .collect();
        let epoch = |put: &Result<Put<'_>, StoreError>| put.as_ref().ok()?.change.lead.epoch();
        let epochs: Vec<_> = puts.iter().map(epoch).collect();
        let batches = match durable {
            Durable::Now => Batches::default(),
            Durable::WithBatch => Batches::open(slots_of(&puts).into_iter()),
        };
        stage(&mut puts, &batches);
        stage_again(&mut puts, &batches.sync());
        refuse_without_quorum(&mut puts);
        pass_the_gate(&mut puts);
        archive(&mut puts, durable);
        refuse_without_quorum(&mut puts);
        publish(&mut puts);
        let done = puts.into_iter().map(|put| {
            let put = put?;
            let results = put
                .copies
                .into_iter()
                .map(|copy| copy.map(|copy| copy.archived))
                .collect();
            put.change.conclude(results, put.record.generation())
        });
        epochs.into_iter().zip(done).collect()
    }
}

impl Change<'_> {
    /// What came of a change, replica by replica.
    pub(super) fn conclude(
        &self,
        results: Vec<Result<Option<VersionId>, VolumeError>>,
        generation: u64,
    ) -> Result<Committed, StoreError> {
        let done = results
            .iter()
            .zip(&self.slots)
            .filter(|(result, slot)| result.is_ok() && slot.counts())
            .count();
        let version = results
            .iter()
            .filter_map(|result| *result.as_ref().ok()?)
            .max();
        let copies: Vec<CopyOutcome> = results
            .into_iter()
            .zip(&self.slots)
            .map(|(result, slot)| CopyOutcome {
                volume: slot.label().to_owned(),
                result: result.map(|_| ()).map_err(|error| error.to_string()),
            })
            .chain(self.failed.iter().map(|(label, why)| CopyOutcome {
                volume: (*label).to_owned(),
                result: Err(why.clone()),
            }))
            .collect();
        if done < self.quorum.needed {
            let labels = |ok: bool| {
                let labels: Vec<&str> = copies
                    .iter()
                    .filter(|copy| copy.result.is_ok() == ok)
                    .map(|copy| &*copy.volume)
                    .collect();
                if labels.is_empty() {
                    "none".to_owned()
                } else {
                    labels.join(", ")
                }
            };
            return Err(StoreError::OutcomeUnknown {
                name: self.name.clone(),
                done: labels(true),
                undone: labels(false),
            });
        }
        Ok(Committed {
            name: self.name.clone(),
            generation,
            version,
            copies,
            epoch: self.lead.epoch(),
        })
    }
}

/// A put under way.
struct Put<'a> {
    change: Change<'a>,
    record: NextRecord,
    source: PathBuf,
    sha256: Digest,
    /// One a slot of the change, in its order.
    copies: Vec<Result<NewCopy, VolumeError>>,
    /// Held until the last rename; what renames holds a clone.
    commit: lease::Commit,
}

/// A copy that is staged; then its predecessor is archived, then it is renamed.
struct NewCopy {
    staged: Arc<Staged>,
    archived: Option<VersionId>,
}

type Puts<'a> = Vec<Result<Put<'a>, StoreError>>;

impl NewCopy {
    fn new(staged: Staged) -> Self {
        Self {
            staged: Arc::new(staged),
            archived: None,
        }
    }
}

impl Put<'_> {
    fn position(&self, slot: &Slot) -> Option<usize> {
        self.change
            .slots
            .iter()
            .position(|other| other.label() == slot.label())
    }

    fn set(&mut self, position: usize, copy: Result<NewCopy, VolumeError>) {
        if let Some(place) = self.copies.get_mut(position) {
            *place = copy;
        }
    }

    fn stage_on(&self, slot: &Slot, durable: Durable) -> Pending<Staged> {
        let (source, sha256, record) = (self.source.clone(), self.sha256, self.record);
        slot.volume.start(Lane::Bulk, move |dir, pulse| {
            let make_record = |print| record.of(print);
            stage_verified(dir, &source, sha256, Some(&make_record), durable, pulse)
        })
    }

    /// The staged copies, with their slots.
    fn staged(&self) -> impl Iterator<Item = (usize, &Slot, Arc<Staged>)> {
        let copies = self.copies.iter().zip(&self.change.slots).enumerate();
        copies.filter_map(|(position, (copy, slot))| {
            Some((position, *slot, Arc::clone(&copy.as_ref().ok()?.staged)))
        })
    }

    /// Gives the room of a staged copy back.
    fn discard(&self, position: usize) {
        let (Some(Ok(copy)), Some(slot)) =
            (self.copies.get(position), self.change.slots.get(position))
        else {
            return;
        };
        let path = copy.staged.path.clone();
        discard(slot, path);
    }
}

/// Gives the room of a staged file back; one that was renamed is there no more.
pub(super) fn discard(slot: &Slot, path: PathBuf) {
    let removed = slot
        .volume
        .run(Lane::Bulk, move |_, _| match std::fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            result => result.at("remove", &path),
        });
    if let Err(error) = removed {
        tracing::warn!(%error, "a staged file stays until the next sweep");
    }
}

/// Stages every source on every replica, the volumes side by side.
fn stage(puts: &mut Puts<'_>, batches: &Batches<'_>) {
    let pending: Vec<Vec<_>> = puts
        .iter()
        .flatten()
        .map(|put| {
            let slots = put.change.slots.iter();
            slots
                .map(|slot| put.stage_on(slot, batches.durable(slot)))
                .collect()
        })
        .collect();
    for (put, pending) in puts.iter_mut().flatten().zip(pending) {
        put.copies = pending
            .into_iter()
            .map(|pending| pending.wait().map(NewCopy::new))
            .collect();
    }
}

/// Stages afresh, file by file, what was on volumes whose sync failed.
fn stage_again(puts: &mut Puts<'_>, failed: &[&Slot]) {
    for put in puts.iter_mut().flatten() {
        for slot in failed {
            let Some(position) = put.position(slot) else {
                continue;
            };
            put.discard(position);
            let again = put.stage_on(slot, Durable::Now).wait();
            put.set(position, again.map(NewCopy::new));
        }
    }
}

/// Ends what a quorum has not got so far; nothing of it is visible.
fn refuse_without_quorum(puts: &mut Puts<'_>) {
    for place in puts {
        let Ok(put) = place else { continue };
        let Err(error) = put.change.require_quorum(&put.copies) else {
            continue;
        };
        for position in 0..put.copies.len() {
            put.discard(position);
        }
        *place = Err(error);
    }
}

/// What is staged is durable: from here on no other leader begins, or this one has been overtaken.
fn pass_the_gate(puts: &mut Puts<'_>) {
    for place in puts {
        let Ok(put) = place else { continue };
        match put.change.pass_the_gate() {
            Ok(commit) => put.commit = commit,
            Err(error) => {
                for position in 0..put.copies.len() {
                    put.discard(position);
                }
                *place = Err(error);
            }
        }
    }
}

/// Keeps the predecessors, durably, before anything is renamed.
fn archive(puts: &mut Puts<'_>, durable: Durable) {
    let pending: Vec<Vec<_>> = puts
        .iter()
        .flatten()
        .map(|put| {
            let ids = put.change.archive_ids();
            put.staged()
                .map(|(position, slot, _)| {
                    let name = put.change.name.clone();
                    let id = ids
                        .get(position)
                        .copied()
                        .unwrap_or_else(|| put.change.next_id());
                    let work =
                        move |dir: &Dir, pulse: &Pulse| dir.archive(&name, id, durable, pulse);
                    (position, slot.volume.start(Lane::Bulk, work))
                })
                .collect()
        })
        .collect();
    for (put, pending) in puts.iter_mut().flatten().zip(pending) {
        for (position, pending) in pending {
            match (pending.wait(), put.copies.get_mut(position)) {
                (Ok(id), Some(Ok(copy))) => copy.archived = id,
                (Err(error), Some(_)) => {
                    put.discard(position);
                    put.set(position, Err(error));
                }
                _ => {}
            }
        }
    }
    on_each_volume(puts, Dir::sync_versions);
}

/// Renames, and makes the renames durable.
fn publish(puts: &mut Puts<'_>) {
    let pending: Vec<Vec<_>> = puts
        .iter()
        .flatten()
        .map(|put| {
            put.staged()
                .map(|(position, slot, staged)| {
                    let (name, commit) = (put.change.name.clone(), put.commit.clone());
                    let work = move |dir: &Dir, _: &Pulse| {
                        let _inside = commit;
                        dir.publish(&staged, &name)
                    };
                    (position, slot.volume.start(Lane::Bulk, work))
                })
                .collect()
        })
        .collect();
    for (put, pending) in puts.iter_mut().flatten().zip(pending) {
        for (position, pending) in pending {
            if let Err(error) = pending.wait() {
                put.discard(position);
                put.set(position, Err(error));
            }
        }
    }
    on_each_volume(puts, Dir::sync_current);
    for put in puts.iter().flatten() {
        for (_, slot, staged) in put.staged().filter(|(_, _, staged)| staged.has_sidecar()) {
            let name = put.change.name.clone();
            let settled = slot
                .volume
                .run(Lane::Bulk, move |dir, _| dir.settle_record(&staged, &name));
            if let Err(error) = settled {
                tracing::warn!(%error, "the record before stays beside the new one");
            }
        }
    }
}

/// The volumes that take part in a batch.
fn slots_of<'a>(puts: &Puts<'a>) -> Vec<&'a Slot> {
    let changes = puts.iter().flatten().map(|put| &put.change);
    changes
        .flat_map(|change| change.slots.iter().copied())
        .collect()
}

/// Does something once on every volume of the batch; where it fails, so do its copies.
fn on_each_volume(puts: &mut Puts<'_>, work: fn(&Dir) -> Result<(), VolumeError>) {
    let failed: Vec<(String, VolumeError)> = batch::on_each(slots_of(puts).into_iter(), work)
        .into_iter()
        .map(|(label, error)| (label.to_owned(), error))
        .collect();
    for (label, error) in failed {
        for put in puts.iter_mut().flatten() {
            let position = put.change.slots.iter().position(|s| s.label() == label);
            if let Some(position) = position
                && matches!(put.copies.get(position), Some(Ok(_)))
            {
                put.discard(position);
                put.set(position, Err(error.again()));
            }
        }
    }
}

/// Stages a file and makes sure that what arrived is what was verified.
pub(crate) fn stage_verified(
    dir: &Dir,
    source: &Path,
    sha256: Digest,
    make_record: Option<&dyn Fn(Fingerprint) -> Record>,
    durable: Durable,
    pulse: &Pulse,
) -> Result<Staged, VolumeError> {
    let mut file = dir::open(source).at("open", source)?;
    let staged = dir.stage(&mut file, make_record, durable, pulse)?;
    if staged.sha256 == sha256 {
        return Ok(staged);
    }
    std::fs::remove_file(&staged.path).at("remove", &staged.path)?;
    Err(VolumeError::Changed {
        path: source.to_owned(),
    })
}
