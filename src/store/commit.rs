//! Changing one artifact on all its replicas: a quorum or nothing.
//!
//! lock → look → stage everywhere → (quorum?) → archive → rename. Nothing is renamed before a
//! quorum has staged durably, so a failure up to there leaves no trace; a crash after it leaves on
//! each replica the old copy or the new one, complete, and the next survey orders them.

use std::path::{Path, PathBuf};

use super::{
    audit,
    error::StoreError,
    grid::{Slot, Store, not_usable},
    hold, lease,
    peek::{Peek, peek_all},
};
use crate::{
    maif::Digest,
    volume::{
        ArtifactName, Fingerprint, Lane, LockMode, Record, Staged, VersionId, VolumeError, dir,
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

impl Store {
    /// Makes the file at `source` the current copy of `name`. The caller has verified it; its
    /// digest is checked again on every replica.
    pub fn put(
        &self,
        name: &ArtifactName,
        source: &Path,
        sha256: Digest,
        condition: Condition,
        guard: Guard<'_>,
    ) -> Result<Committed, StoreError> {
        let result = self.begin(name, guard).and_then(|change| {
            change.require(condition)?;
            let record = change.next_record()?;
            let staged = change.stage_all(source, sha256, record);
            change.finish(staged, record.generation)
        });
        audit::note(self, "put", name, &result);
        result
    }

    /// Archives the current copy and marks the artifact removed.
    pub fn remove(&self, name: &ArtifactName, guard: Guard<'_>) -> Result<Committed, StoreError> {
        let result = self
            .begin(name, guard)
            .and_then(|change| change.remove_all());
        audit::note(self, "remove", name, &result);
        result
    }

    /// Locks the artifact on every replica that can be written and looks at what is there.
    fn begin<'a>(
        &'a self,
        name: &'a ArtifactName,
        guard: Guard<'_>,
    ) -> Result<Change<'a>, StoreError> {
        self.require_write()?;
        self.require_same_layout()?;
        let home = self.home(name);
        let replicas: Vec<&Slot> = self.replicas(home).collect();
        let usable: Vec<&Slot> = replicas
            .iter()
            .copied()
            .filter(|s| s.is_writable())
            .collect();
        let needed = self.config().store.write_quorum.of(replicas.len());
        let counting = usable.iter().filter(|slot| slot.counts()).count();
        let quorum = Quorum {
            partition: self.partitions().get(home).map_or("?", |p| &p.name),
            needed,
            replicas: replicas.len(),
        };
        if counting < needed {
            if let [only] = replicas.as_slice() {
                return Err(not_usable(only));
            }
            let missing = replicas
                .iter()
                .filter(|slot| !slot.is_writable() || !slot.counts())
                .map(|slot| (slot.label(), slot.state.word().to_owned()));
            return Err(quorum.missed(counting, missing));
        }
        let lead = self.lead()?;
        let held = hold::hold_name(self, &usable, name, LockMode::Exclusive)?;
        let seen = peek_all(&usable, name);
        // A replica that fails to be read under the lock takes no part in this commit.
        let mut slots = Vec::new();
        let mut peeks = Vec::new();
        let mut failed = Vec::new();
        for slot in &replicas {
            match usable.iter().position(|s| s.label() == slot.label()) {
                None => failed.push((slot.label(), slot.state.word().to_owned())),
                Some(index) => match seen.get(index) {
                    Some(Ok(peek)) => {
                        slots.push(*slot);
                        peeks.push(peek.clone());
                    }
                    Some(Err(error)) => failed.push((slot.label(), error.to_string())),
                    None => {}
                },
            }
        }
        let labelled: Vec<(&str, &Peek)> =
            slots.iter().map(|slot| slot.label()).zip(&peeks).collect();
        guard(&labelled)?;
        let change = Change {
            store: self,
            name,
            slots,
            peeks,
            failed,
            quorum,
            _held: held,
            lead,
        };
        change.require_at_home(home)?;
        Ok(change)
    }
}

#[derive(Debug, Clone, Copy)]
struct Quorum<'a> {
    partition: &'a str,
    needed: usize,
    replicas: usize,
}

impl Quorum<'_> {
    fn missed<'a>(
        &self,
        got: usize,
        why: impl IntoIterator<Item = (&'a str, String)>,
    ) -> StoreError {
        let why: Vec<String> = why
            .into_iter()
            .map(|(label, reason)| format!("{label}: {reason}"))
            .collect();
        StoreError::NoQuorum {
            partition: self.partition.to_owned(),
            needed: self.needed,
            replicas: self.replicas,
            got,
            why: if why.is_empty() {
                String::new()
            } else {
                format!(" ({})", why.join("; "))
            },
        }
    }
}

/// One artifact under its locks.
struct Change<'a> {
    store: &'a Store,
    name: &'a ArtifactName,
    /// The replicas that take part.
    slots: Vec<&'a Slot>,
    /// What each of them knows, in the same order.
    peeks: Vec<Peek>,
    /// The replicas that do not, and why.
    failed: Vec<(&'a str, String)>,
    quorum: Quorum<'a>,
    _held: hold::Held,
    /// Given back after the locks.
    lead: lease::Lead,
}

impl Change<'_> {
    /// The greatest generation that any replica has seen, recorded or removed.
    fn greatest(&self) -> u64 {
        self.peeks
            .iter()
            .filter_map(Peek::greatest_generation)
            .max()
            .unwrap_or(0)
    }

    fn exists(&self) -> bool {
        self.peeks.iter().any(|peek| peek.found.is_some())
    }

    fn require(&self, condition: Condition) -> Result<(), StoreError> {
        let found = match condition {
            Condition::Always => return Ok(()),
            Condition::Absent if !self.exists() => return Ok(()),
            Condition::Generation(wanted) if self.exists() && self.greatest() == wanted => {
                return Ok(());
            }
            _ if self.exists() => format!("generation {}", self.greatest()),
            _ => "absent".to_owned(),
        };
        Err(StoreError::Generation {
            name: self.name.clone(),
            found,
        })
    }

    /// Refuses when home knows nothing of the artifact but another partition holds it: writing
    /// here would make two.
    fn require_at_home(&self, home: usize) -> Result<(), StoreError> {
        if self.exists() || self.greatest() > 0 {
            return Ok(());
        }
        let elsewhere: Vec<&Slot> = self
            .store
            .slots()
            .iter()
            .filter(|slot| slot.partition != home && slot.state.is_readable())
            .collect();
        let found = peek_all(&elsewhere, self.name)
            .into_iter()
            .zip(&elsewhere)
            .find(|(peek, _)| peek.as_ref().is_ok_and(|peek| peek.found.is_some()));
        match found {
            Some((_, slot)) => Err(StoreError::Changed(format!(
                "{} is misplaced: it lies on {}, its home is {}; `maifdeck replicas repair` \
                 brings it home",
                self.name,
                slot.label(),
                self.quorum.partition,
            ))),
            None => Ok(()),
        }
    }

    fn next_record(&self) -> Result<NextRecord, StoreError> {
        let nonce = getrandom::u64()
            .map_err(|error| StoreError::Failed(format!("no random numbers: {error}")))?;
        Ok(NextRecord {
            generation: self.greatest() + 1,
            nonce,
        })
    }

    /// Greater than every id known for the name here.
    fn next_id(&self) -> VersionId {
        let known = self
            .peeks
            .iter()
            .flat_map(|p| p.history.iter().map(|h| h.id));
        VersionId::after(self.store.clock().now(), known)
    }

    /// Under which id each slot archives its predecessor: one id for one content, the next free
    /// ones for contents that differ from it, so that no id means two things.
    fn archive_ids(&self) -> Vec<VersionId> {
        let mut next = self.next_id();
        let mut known: Vec<(Fingerprint, VersionId)> = Vec::new();
        self.peeks
            .iter()
            .map(|peek| {
                let Some(found) = &peek.found else {
                    return next;
                };
                if let Some((_, id)) = known.iter().find(|(p, _)| *p == found.fingerprint) {
                    return *id;
                }
                let id = next;
                known.push((found.fingerprint, id));
                next = next.next();
                id
            })
            .collect()
    }

    /// Stages the source on every replica in parallel.
    fn stage_all(
        &self,
        source: &Path,
        sha256: Digest,
        record: NextRecord,
    ) -> Vec<Result<Staged, VolumeError>> {
        let pending: Vec<_> = self
            .slots
            .iter()
            .map(|slot| {
                let source: PathBuf = source.to_owned();
                slot.volume.start(Lane::Bulk, move |dir, pulse| {
                    stage_verified(dir, &source, sha256, &|print| record.of(print), pulse)
                })
            })
            .collect();
        pending
            .into_iter()
            .map(crate::volume::Pending::wait)
            .collect()
    }

    /// Archives and renames, when a quorum has staged.
    fn finish(
        &self,
        staged: Vec<Result<Staged, VolumeError>>,
        generation: u64,
    ) -> Result<Committed, StoreError> {
        let counting = staged
            .iter()
            .zip(&self.slots)
            .filter(|(staged, slot)| staged.is_ok() && slot.counts())
            .count();
        if counting < self.quorum.needed {
            let why: Vec<_> = staged
                .iter()
                .zip(&self.slots)
                .filter_map(|(staged, slot)| {
                    Some((slot.label(), staged.as_ref().err()?.to_string()))
                })
                .chain(self.failed.iter().cloned())
                .collect();
            self.discard(staged);
            return Err(self.quorum.missed(counting, why));
        }
        let commit = match self.lead.commit(self.store, &self.slots) {
            Ok(commit) => commit,
            Err(error) => {
                self.discard(staged);
                return Err(error);
            }
        };
        let pending: Vec<_> = staged
            .into_iter()
            .zip(self.slots.iter().zip(self.archive_ids()))
            .map(|(staged, (slot, id))| {
                let (name, commit) = (self.name.clone(), commit.clone());
                slot.volume.start(Lane::Bulk, move |dir, pulse| {
                    let _inside = commit;
                    let staged = staged?;
                    let archived = dir.archive(&name, id, pulse)?;
                    dir.publish(&staged, &name)?;
                    Ok(archived)
                })
            })
            .collect();
        let results = pending
            .into_iter()
            .map(crate::volume::Pending::wait)
            .collect();
        self.conclude(results, generation)
    }

    fn remove_all(&self) -> Result<Committed, StoreError> {
        if !self.exists() {
            return Err(StoreError::NotFound {
                kind: "artifact",
                what: self.name.to_string(),
            });
        }
        let next = self.next_record()?;
        let commit = self.lead.commit(self.store, &self.slots)?;
        let ids = self.archive_ids();
        // The copy's version and its removal are two events of one moment, in this order.
        let removed_id = ids
            .iter()
            .copied()
            .max()
            .map_or_else(|| self.next_id(), VersionId::next);
        let pending: Vec<_> = self
            .slots
            .iter()
            .zip(ids)
            .map(|(slot, id)| {
                let (name, commit) = (self.name.clone(), commit.clone());
                let record = next.of(Fingerprint::of(0, &[], &[]));
                slot.volume.start(Lane::Bulk, move |dir, pulse| {
                    let _inside = commit;
                    let archived = dir.archive(&name, id, pulse)?;
                    dir.write_removal(&name, removed_id, &record, pulse)?;
                    dir.unlink(&name)?;
                    Ok(archived)
                })
            })
            .collect();
        let results = pending
            .into_iter()
            .map(crate::volume::Pending::wait)
            .collect();
        self.conclude(results, next.generation)
    }

    fn conclude(
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

    /// Gives the room of staged files back.
    fn discard(&self, staged: Vec<Result<Staged, VolumeError>>) {
        for (staged, slot) in staged.into_iter().zip(&self.slots) {
            let Ok(staged) = staged else { continue };
            let removed = slot.volume.run(Lane::Bulk, move |_, _| {
                use crate::volume::At;
                std::fs::remove_file(&staged.path).at("remove", &staged.path)
            });
            if let Err(error) = removed {
                tracing::warn!(%error, "a staged file stays until the next sweep");
            }
        }
    }
}

/// Generation and nonce of a commit; the fingerprint comes with the staged bytes.
#[derive(Debug, Clone, Copy)]
struct NextRecord {
    generation: u64,
    nonce: u64,
}

impl NextRecord {
    const fn of(self, fingerprint: Fingerprint) -> Record {
        Record {
            generation: self.generation,
            nonce: self.nonce,
            fingerprint,
        }
    }
}

/// Stages a file and makes sure that what arrived is what was verified.
pub(crate) fn stage_verified(
    dir: &crate::volume::Dir,
    source: &Path,
    sha256: Digest,
    record: &dyn Fn(Fingerprint) -> Record,
    pulse: &crate::volume::Pulse,
) -> Result<Staged, VolumeError> {
    use crate::volume::At;
    let mut file = dir::open(source).at("open", source)?;
    let staged = dir.stage(&mut file, Some(record), true, pulse)?;
    if staged.sha256 == sha256 {
        return Ok(staged);
    }
    std::fs::remove_file(&staged.path).at("remove", &staged.path)?;
    Err(VolumeError::Changed {
        path: source.to_owned(),
    })
}
