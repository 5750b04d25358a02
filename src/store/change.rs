//! One artifact under its locks: what every replica holds, what the next commit is called, and
//! whether there are enough replicas for it.

use std::cell::RefCell;

use super::{
    commit::{Condition, Guard},
    error::StoreError,
    grid::Store,
    hold, judge, lease,
    peek::{Peek, condition, look_all, peek_all},
    slot::Slot,
};
use crate::volume::{ArtifactName, Fingerprint, LockMode, Record, VersionId, VolumeError};

impl Store {
    /// Locks the artifact on every replica that can be written and looks at what is there.
    pub(super) fn begin<'a>(
        &'a self,
        name: &'a ArtifactName,
        guard: Guard<'_>,
    ) -> Result<Change<'a>, StoreError> {
        let change = self.lock_and_look(name, guard)?;
        if !change.is_elsewhere(self.home(name))? {
            return Ok(change);
        }
        drop(change);
        self.bring_home(name)?;
        self.lock_and_look(name, guard)
    }

    /// The artifact's replicas that can be written, when they are enough for a write: then no two
    /// hosts can hold its lock on disjoint sets of them.
    fn usable_replicas(&self, name: &ArtifactName) -> Result<(Vec<&Slot>, Quorum<'_>), StoreError> {
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
                return Err(only.not_usable());
            }
            let missing = replicas
                .iter()
                .filter(|slot| !slot.is_writable() || !slot.counts())
                .map(|slot| (slot.label(), slot.state.word().to_owned()));
            return Err(quorum.missed(counting, missing));
        }
        Ok((usable, quorum))
    }

    /// The replicas whose locks together keep everybody else from changing the artifact.
    pub fn lockable(&self, name: &ArtifactName) -> Result<Vec<&Slot>, StoreError> {
        Ok(self.usable_replicas(name)?.0)
    }

    fn lock_and_look<'a>(
        &'a self,
        name: &'a ArtifactName,
        guard: Guard<'_>,
    ) -> Result<Change<'a>, StoreError> {
        let replicas: Vec<&Slot> = self.replicas(self.home(name)).collect();
        let (usable, quorum) = self.usable_replicas(name)?;
        let lead = self.lead()?;
        self.note_watermark();
        let held = hold::hold_name(self, &usable, name, LockMode::Exclusive)?;
        if !self.is_in_bulk() {
            self.require_layout_of(&usable)?;
        }
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
        let announced = RefCell::new(lead.announce(self, &slots)?);
        Ok(Change {
            store: self,
            name,
            slots,
            peeks,
            failed,
            quorum,
            _held: held,
            lead,
            announced,
        })
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Quorum<'a> {
    partition: &'a str,
    pub(super) needed: usize,
    replicas: usize,
}

impl Quorum<'_> {
    pub(super) fn missed<'a>(
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
pub(super) struct Change<'a> {
    store: &'a Store,
    pub(super) name: &'a ArtifactName,
    /// The replicas that take part.
    pub(super) slots: Vec<&'a Slot>,
    /// What each of them knows, in the same order.
    pub(super) peeks: Vec<Peek>,
    /// The replicas that do not, and why.
    pub(super) failed: Vec<(&'a str, String)>,
    pub(super) quorum: Quorum<'a>,
    _held: hold::Held,
    /// Given back after the locks.
    pub(super) lead: lease::Lead,
    announced: RefCell<lease::Announced>,
}

impl Change<'_> {
    /// The gate: see [`lease::Lead::commit`].
    pub(super) fn pass_the_gate(&self) -> Result<lease::Commit, StoreError> {
        self.announced.take().wait();
        self.lead.commit(self.store, &self.slots)
    }

    /// The greatest generation that any replica has seen, recorded or removed.
    pub(super) fn greatest(&self) -> u64 {
        self.peeks
            .iter()
            .filter_map(Peek::greatest_generation)
            .max()
            .unwrap_or(0)
    }

    pub(super) fn exists(&self) -> bool {
        self.peeks.iter().any(|peek| peek.found.is_some())
    }

    pub(super) fn require(&self, condition: Condition) -> Result<(), StoreError> {
        let found = match condition {
            Condition::Always => return Ok(()),
            Condition::Absent if !self.exists() => return Ok(()),
            Condition::Generation(wanted) if self.exists() && self.greatest() == wanted => {
                if !self.is_written_outside(wanted) {
                    return Ok(());
                }
                format!("generation {wanted}, and another program has written it since")
            }
            _ if self.exists() => format!("generation {}", self.greatest()),
            _ => "absent".to_owned(),
        };
        Err(StoreError::Generation {
            name: self.name.clone(),
            found,
        })
    }

    /// Whether a program that leaves no record has put other bytes over this generation.
    fn is_written_outside(&self, generation: u64) -> bool {
        let found = self.peeks.iter().filter_map(|peek| peek.found.as_ref());
        found
            .filter(|found| found.record.is_some_and(|r| r.generation == generation))
            .any(|found| {
                // What is damaged was written by nobody.
                found.generation().is_none() && condition(found) != judge::Condition::Damaged
            })
    }

    /// Whether home knows nothing of the artifact but another partition holds it: writing here
    /// would make two. Refused where nobody can know: while artifacts move, and no replica answers
    /// of a partition that it may not have left yet.
    fn is_elsewhere(&self, home: usize) -> Result<bool, StoreError> {
        if self.exists() || self.greatest() > 0 {
            return Ok(false);
        }
        // While a change of the layout moves artifacts, a history may lie there without a copy.
        let histories = self.store.is_in_transition();
        for partition in (0..self.store.partitions().len()).filter(|_| histories) {
            let mut replicas = self.store.replicas(partition);
            if let Some(first) = self.store.replicas(partition).next()
                && !replicas.any(Slot::counts)
            {
                return Err(first.not_usable());
            }
        }
        let elsewhere: Vec<&Slot> = self
            .store
            .slots()
            .iter()
            .filter(|slot| slot.partition != home && slot.state.is_readable())
            .collect();
        let holds = |peek: &Peek| peek.found.is_some() || (histories && !peek.history.is_empty());
        if histories {
            let peeks = peek_all(&elsewhere, self.name);
            return Ok(peeks.iter().flatten().any(holds));
        }
        Ok(look_all(&elsewhere, self.name))
    }

    /// Refuses when what was done on the replicas, one result each, has no quorum.
    pub(super) fn require_quorum<T>(
        &self,
        results: &[Result<T, VolumeError>],
    ) -> Result<(), StoreError> {
        let all = || results.iter().zip(&self.slots);
        let counting = all().filter(|(result, slot)| result.is_ok() && slot.counts());
        let counting = counting.count();
        if counting >= self.quorum.needed {
            return Ok(());
        }
        let why = all()
            .filter_map(|(result, slot)| Some((slot.label(), result.as_ref().err()?.to_string())))
            .chain(self.failed.iter().cloned());
        Err(self.quorum.missed(counting, why))
    }

    pub(super) fn next_record(&self) -> Result<NextRecord, StoreError> {
        let nonce = getrandom::u64()
            .map_err(|error| StoreError::Failed(format!("no random numbers: {error}")))?;
        Ok(NextRecord {
            generation: self.greatest() + 1,
            nonce,
        })
    }

    /// Greater than every id known for the name here.
    pub(super) fn next_id(&self) -> VersionId {
        let known = self
            .peeks
            .iter()
            .flat_map(|p| p.history.iter().map(|h| h.id));
        VersionId::after(self.store.clock().now(), known)
    }

    /// Under which id each slot archives its predecessor: one id for one content, the next free
    /// ones for contents that differ from it, so that no id means two things.
    pub(super) fn archive_ids(&self) -> Vec<VersionId> {
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
}

/// Generation and nonce of a commit; the fingerprint comes with the staged bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct NextRecord {
    generation: u64,
    nonce: u64,
}

impl NextRecord {
    pub(super) const fn generation(self) -> u64 {
        self.generation
    }

    pub(super) const fn of(self, fingerprint: Fingerprint) -> Record {
        Record {
            generation: self.generation,
            nonce: self.nonce,
            fingerprint,
        }
    }
}
