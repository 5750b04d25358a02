//! Bringing artifacts home: record, history and current copy to all replicas of their home, read
//! back on a quorum; only then what lies at the old place is redundant and goes to its trash.
//!
//! Add before trim: a crash leaves the artifact whole at one of the two places or at both, and
//! doing it again goes on where it was cut off. Readers find it throughout.

use std::collections::BTreeSet;

use super::{
    error::StoreError,
    grid::{Slot, Store},
    hold, lease,
    peek::{Peek, peek_all},
    state::CopyState,
    transfer::{Becomes, Transfer, read_back},
};
use crate::{
    maif::Digest,
    volume::{ArtifactName, Fingerprint, HistoryFile, Lane, LockMode, VersionKind, trash::job_id},
};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    Home {
        bytes: u64,
    },
    /// It lies nowhere but at home.
    Already,
}

/// One artifact under the locks of both places.
struct Move<'a> {
    name: &'a ArtifactName,
    /// Replicas of its home that can be written, and what they know.
    home: Vec<(&'a Slot, Peek)>,
    /// Volumes elsewhere that hold something of it.
    away: Vec<(&'a Slot, Peek)>,
    /// The right copy, when there is one: its volume, what it is, its digest.
    current: Option<(&'a Slot, Fingerprint, Digest)>,
    bytes: u64,
    _held: hold::Held,
}

impl Store {
    /// Brings one artifact home for a write of it.
    pub(super) fn bring_home(&self, name: &ArtifactName) -> Result<Brought, StoreError> {
        let job = job_id(self.clock().now())?;
        let writable: Vec<&Slot> = self.slots().iter().filter(|s| s.is_writable()).collect();
        let lead = self.lead()?;
        let commit = lead.commit(self, &writable)?;
        let mut brought = self.bring_all_home(&[name], &job, &commit);
        brought.pop().unwrap_or(Ok(Brought::Already))
    }

    /// Brings artifacts home; an answer each, in the same order. `job`: in whose trash what is
    /// redundant is kept.
    pub fn bring_all_home<'m>(
        &'m self,
        names: &[&'m ArtifactName],
        job: &'m str,
        commit: &lease::Commit,
    ) -> Vec<Result<Brought, StoreError>> {
        let mut moves: Vec<Result<Option<Move<'m>>, StoreError>> =
            names.iter().map(|name| self.prepare_move(name)).collect();
        // The current copy first: a home that knew a history alone would hide the artifact.
        self.transfer(&mut moves, job, commit, current_transfers);
        self.transfer(&mut moves, job, commit, history_transfers);
        moves
            .into_iter()
            .map(|one| match one? {
                None => Ok(Brought::Already),
                Some(one) => {
                    self.is_home(&one)?;
                    trim(&one, job, commit)?;
                    Ok(Brought::Home { bytes: one.bytes })
                }
            })
            .collect()
    }

    /// Makes the files of all moves together; a move fails with its first file that does.
    fn transfer<'m>(
        &'m self,
        moves: &mut [Result<Option<Move<'m>>, StoreError>],
        job: &'m str,
        commit: &lease::Commit,
        files: fn(&Move<'m>, &'m str) -> Vec<(Transfer<'m>, u64)>,
    ) {
        let wanted: Vec<Vec<(Transfer<'m>, u64)>> = moves
            .iter()
            .map(|one| match one {
                Ok(Some(one)) => files(one, job),
                _ => Vec::new(),
            })
            .collect();
        let transfers = wanted.iter().flatten().map(|(t, _)| t.clone()).collect();
        let mut made = self.transfer_all(transfers, commit).into_iter();
        for (place, wanted) in moves.iter_mut().zip(wanted) {
            for (_, size) in wanted {
                match (made.next(), &mut *place) {
                    (Some(Ok(())), Ok(Some(one))) => one.bytes += size,
                    (Some(Err(error)), Ok(Some(_))) => *place = Err(error),
                    _ => {}
                }
            }
        }
    }

    /// Locks both places and finds out what has to be moved.
    fn prepare_move<'m>(&'m self, name: &'m ArtifactName) -> Result<Option<Move<'m>>, StoreError> {
        self.require_write()?;
        self.require_same_layout()?;
        let home = self.home(name);
        let elsewhere: Vec<&Slot> = self
            .slots()
            .iter()
            .filter(|slot| slot.partition != home && slot.state.is_readable())
            .collect();
        let holds = |peek: &Peek| peek.found.is_some() || !peek.history.is_empty();
        let away: BTreeSet<&str> = peek_all(&elsewhere, name)
            .into_iter()
            .zip(&elsewhere)
            .filter(|(peek, _)| peek.as_ref().is_ok_and(holds))
            .map(|(_, slot)| slot.label())
            .collect();
        if away.is_empty() {
            return Ok(None);
        }
        let is_home = |slot: &&Slot| slot.partition == home && slot.is_writable();
        let is_away = |slot: &&Slot| away.contains(slot.label());
        // In label order of the grid, both places together.
        let slots: Vec<&Slot> = self
            .slots()
            .iter()
            .filter(|slot| is_home(slot) || is_away(slot))
            .collect();
        if let Some(slot) = slots
            .iter()
            .find(|slot| is_away(slot) && !slot.is_writable())
        {
            return Err(super::grid::not_usable(slot));
        }
        let held = hold::hold_name(self, &slots, name, LockMode::Exclusive)?;
        let peeks = peek_all(&slots, name)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let (at_home, at_away): (Vec<_>, Vec<_>) = slots
            .into_iter()
            .zip(peeks)
            .partition(|(slot, _)| is_home(slot));
        let mut one = Move {
            name,
            home: at_home,
            away: at_away,
            current: None,
            bytes: 0,
            _held: held,
        };
        one.current = self.right_copy(&one)?;
        Ok(Some(one))
    }

    /// The copy that becomes (or is) the current one at home, verified.
    fn right_copy<'m>(
        &'m self,
        one: &Move<'m>,
    ) -> Result<Option<(&'m Slot, Fingerprint, Digest)>, StoreError> {
        let at_home = one.home.iter().any(|(_, peek)| peek.found.is_some());
        let removed_at_home = one.home.iter().any(|(_, peek)| peek.removal.is_some());
        let places = if at_home { &one.home } else { &one.away };
        if !at_home && (removed_at_home || places.iter().all(|(_, peek)| peek.found.is_none())) {
            // What is current nowhere, or removed at home, has only a history to bring.
            return match one.away.iter().find(|(_, peek)| peek.found.is_some()) {
                Some((slot, _)) => Err(StoreError::Changed(format!(
                    "{} was removed at home, but a copy of it lies on {}; `maifdeck replicas {}` \
                     shows both",
                    one.name,
                    slot.label(),
                    one.name
                ))),
                None => Ok(None),
            };
        }
        let partitions: BTreeSet<usize> = places.iter().map(|(slot, _)| slot.partition).collect();
        let mut found = None;
        for partition in partitions {
            let (facts, judgement) = self.judge_in(partition, one.name);
            if judgement.reference.is_none() && !judgement.removed && !judgement.vanished {
                return Err(StoreError::NoIntactCopy {
                    name: one.name.clone(),
                    why: "it has to be repaired where it lies before it can be moved".to_owned(),
                });
            }
            let volume = judgement.reference.map(|reference| reference.volume);
            let right = facts
                .iter()
                .zip(&judgement.copies)
                .find(|(fact, state)| Some(fact.volume) == volume && **state == CopyState::Ok)
                .and_then(|(fact, _)| self.slots().get(usize::from(fact.volume.0)));
            if let Some(slot) = right {
                found = Some(slot);
            }
        }
        let Some(slot) = found else { return Ok(None) };
        let place = places
            .iter()
            .find(|(other, _)| other.label() == slot.label());
        let Some(print) = place.and_then(|(_, peek)| Some(peek.found.as_ref()?.fingerprint)) else {
            return Ok(None);
        };
        let path = slot.volume.path().join(one.name.file_name());
        let sha256 = self.verified(&path, print)?;
        for (other, peek) in one.away.iter().filter(|_| at_home) {
            let there = peek.found.as_ref().map(|found| found.fingerprint);
            let Some(there) = there.filter(|there| *there != print) else {
                continue;
            };
            // What home has archived since is redundant; other bytes are not ours to judge.
            if !Self::is_archived_at_home(one, there)? {
                return Err(StoreError::Changed(format!(
                    "the misplaced copy of {} on {} holds other bytes than its home and all its \
                     versions",
                    one.name,
                    other.label()
                )));
            }
        }
        Ok(Some((slot, print, sha256)))
    }

    /// Whether a history at home has these bytes. The histories there are made equal before anything
    /// is taken away, and then a quorum has them.
    fn is_archived_at_home(one: &Move<'_>, print: Fingerprint) -> Result<bool, StoreError> {
        for (slot, peek) in one.home.iter().filter(|(slot, _)| slot.counts()) {
            let (name, history) = (one.name.clone(), peek.history.clone());
            let holds = slot.volume.run(Lane::Bulk, move |dir, _| {
                let mut copies = history.iter().filter(|f| f.kind == VersionKind::Copy);
                Ok(copies.any(|f| dir.look_at_version(&name, f.id).ok() == Some(print)))
            })?;
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Refuses unless a quorum at home holds the current copy and every version.
    fn is_home(&self, one: &Move<'_>) -> Result<(), StoreError> {
        let home = self.home(one.name);
        let replicas = self.replicas(home).count();
        let needed = self.config().store.write_quorum.of(replicas);
        let wanted = union(one);
        let mut complete = 0;
        for (slot, _) in one.home.iter().filter(|(slot, _)| slot.counts()) {
            if let Some((_, _, sha256)) = one.current {
                read_back(slot, one.name, sha256)?;
            }
            let (name, files) = (one.name.clone(), wanted.clone());
            let all = slot.volume.run(Lane::Bulk, move |dir, _| {
                let there = |file: &HistoryFile| {
                    let path = dir.version_path(&name, file.id, file.kind);
                    path.symlink_metadata().is_ok()
                };
                Ok(files.iter().all(there))
            })?;
            complete += usize::from(all);
        }
        if complete >= needed {
            return Ok(());
        }
        Err(StoreError::Changed(format!(
            "only {complete} of {needed} replicas at home hold all of {}; nothing was taken away",
            one.name
        )))
    }
}

/// Every file of the histories at both places.
fn union(one: &Move<'_>) -> BTreeSet<HistoryFile> {
    one.places()
        .flat_map(|(_, peek)| peek.history.iter().copied())
        .collect()
}

impl<'a> Move<'a> {
    fn places(&self) -> impl Iterator<Item = &(&'a Slot, Peek)> {
        self.home.iter().chain(&self.away)
    }
}

fn current_transfers<'m>(one: &Move<'m>, job: &'m str) -> Vec<(Transfer<'m>, u64)> {
    let Some((source, print, sha256)) = one.current else {
        return Vec::new();
    };
    let lacks = |peek: &Peek| peek.found.as_ref().map(|f| f.fingerprint) != Some(print);
    one.home
        .iter()
        .filter(|(_, peek)| lacks(peek))
        .map(|(target, _)| {
            let transfer = Transfer {
                target,
                name: one.name,
                from: source.volume.path().join(one.name.file_name()),
                becomes: Becomes::Current(sha256),
                job,
            };
            (transfer, print.size)
        })
        .collect()
}

fn history_transfers<'m>(one: &Move<'m>, job: &'m str) -> Vec<(Transfer<'m>, u64)> {
    let mut transfers = Vec::new();
    for file in union(one) {
        let holder = one.places().find(|(_, peek)| peek.history.contains(&file));
        let Some((source, _)) = holder else { continue };
        let from = source
            .volume
            .dir()
            .version_path(one.name, file.id, file.kind);
        for (target, peek) in &one.home {
            if peek.history.contains(&file) {
                continue;
            }
            let transfer = Transfer {
                target,
                name: one.name,
                from: from.clone(),
                becomes: Becomes::History(file),
                job,
            };
            transfers.push((transfer, 0));
        }
    }
    transfers
}

/// Takes away what is redundant now: into the trash of the volumes that held it.
fn trim(one: &Move<'_>, job: &str, commit: &lease::Commit) -> Result<(), StoreError> {
    for (slot, peek) in &one.away {
        let (name, job, commit) = (one.name.clone(), job.to_owned(), commit.clone());
        let (history, has_copy) = (peek.history.clone(), peek.found.is_some());
        slot.volume.run(Lane::Bulk, move |dir, pulse| {
            let _inside = commit;
            if has_copy {
                dir.keep_in_trash(&name, &job, pulse)?;
                dir.unlink(&name)?;
            }
            for file in history {
                dir.version_to_trash(&name, file, &job)?;
                pulse.beat();
            }
            dir.sync_versions()
        })?;
    }
    Ok(())
}
