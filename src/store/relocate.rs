//! Bringing artifacts home: record, history and current copy to all replicas of their home, read
//! back on a quorum; only then what lies at the old place is redundant and goes to its trash.
//!
//! Add before trim: a crash leaves the artifact whole at one of the two places or at both, and
//! doing it again goes on where it was cut off. Readers find it throughout.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    error::StoreError,
    grid::Store,
    hold, lease,
    peek::{Peek, peek_all},
    slot::Slot,
    state::{CopyState, Reason},
    transfer::{Becomes, Transfer, digest, read_back},
};
use crate::{
    maif::Digest,
    volume::{
        ArtifactName, Fingerprint, HistoryFile, Lane, LockMode, Record, VersionId, VersionKind,
        dir, trash::job_id,
    },
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

/// How new a copy is: its generation, and whether another program saved over that since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    generation: u64,
    outside: bool,
}

impl Standing {
    const fn of(generation: u64) -> Self {
        Self {
            generation,
            outside: false,
        }
    }
}

/// One file of the history, and where it is whole.
#[derive(Debug, Clone)]
struct Past {
    file: HistoryFile,
    from: PathBuf,
    /// `None`: nowhere is it intact, or it is a removal.
    sha256: Option<Digest>,
}

/// Copies that are right, the reference first.
struct Right<'a> {
    standing: Standing,
    at_home: bool,
    slots: Vec<&'a Slot>,
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
    /// A save by another program becomes a commit with this one, so that the next save is seen too.
    record: Option<Record>,
    /// What the history at home holds afterwards.
    history: Vec<Past>,
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
            return Err(slot.not_usable());
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
            record: None,
            history: Vec::new(),
            bytes: 0,
            _held: held,
        };
        self.decide(&mut one)?;
        Ok(Some(one))
    }

    /// Decides what is current, and what becomes of every other copy that lies elsewhere. What home
    /// knows rules: a copy elsewhere is older, or it contradicts home and is not ours to judge.
    fn decide<'m>(&'m self, one: &mut Move<'m>) -> Result<(), StoreError> {
        fn removed(places: &[(&Slot, Peek)]) -> Option<Standing> {
            let removals = places.iter().filter_map(|(_, peek)| peek.removal);
            removals.map(|record| Standing::of(record.generation)).max()
        }
        let right = self.newest(one)?;
        let (right, top) = match (right, removed(&one.home), removed(&one.away)) {
            (Some(right), removed, _) if right.at_home && Some(right.standing) >= removed => {
                let top = right.standing;
                (Some(right), Some(top))
            }
            (_, Some(at_home), _) => (None, Some(at_home)),
            // A copy beats a removal of the same generation.
            (Some(right), None, removed) if Some(right.standing) >= removed => {
                let top = right.standing;
                (Some(right), Some(top))
            }
            (_, None, removed) => (None, removed),
        };
        one.current = right
            .as_ref()
            .map(|right| self.whole(one, right))
            .transpose()?;
        if let (Some(right), Some((_, print, _))) = (right, one.current)
            && right.standing.outside
        {
            one.record = Some(Record {
                generation: right.standing.generation + 1,
                nonce: getrandom::u64()
                    .map_err(|error| StoreError::Failed(format!("no random numbers: {error}")))?,
                fingerprint: print,
            });
        }
        one.history = self.histories(one);
        let others = self.others(one, top)?;
        one.history.extend(others);
        Ok(())
    }

    /// The right copies at home; where it has none, those of the newest generation elsewhere.
    fn newest<'m>(&'m self, one: &Move<'m>) -> Result<Option<Right<'m>>, StoreError> {
        let holding = one.places().filter(|(_, peek)| peek.found.is_some());
        let partitions: BTreeSet<usize> = holding.map(|(slot, _)| slot.partition).collect();
        let home = self.home(one.name);
        let mut newest: Option<Right<'_>> = None;
        let mut unclear = false;
        for partition in partitions {
            let (facts, judgement) = self.judge_in(partition, one.name);
            let Some(reference) = judgement.reference else {
                unclear |= !judgement.removed && !judgement.vanished;
                continue;
            };
            let standing = Standing {
                generation: match reference.reason {
                    Reason::WrittenOutside { over } => over,
                    _ => reference.generation.unwrap_or(0),
                },
                outside: matches!(reference.reason, Reason::WrittenOutside { .. }),
            };
            let at_home = partition == home;
            let agree = facts.iter().zip(&judgement.copies);
            let mut slots: Vec<&Slot> = agree
                .filter(|(_, state)| **state == CopyState::Ok)
                .filter_map(|(fact, _)| self.slots().get(usize::from(fact.volume.0)))
                .collect();
            let label = self.slots().get(usize::from(reference.volume.0));
            slots.sort_by_key(|slot| Some(slot.label()) != label.map(Slot::label));
            let is_newer =
                |other: &Right<'_>| (at_home, standing) > (other.at_home, other.standing);
            if newest.as_ref().is_none_or(is_newer) {
                newest = Some(Right {
                    standing,
                    at_home,
                    slots,
                });
            }
        }
        // What is unclear at one place is settled by another, and by what home knows.
        let mut at_home = one.home.iter().filter(|(slot, _)| slot.counts());
        let removed = at_home.any(|(_, peek)| peek.removal.is_some());
        if newest.is_none() && unclear && !removed {
            return Err(StoreError::NoIntactCopy {
                name: one.name.clone(),
                why: "it has to be repaired where it lies before it can be moved".to_owned(),
            });
        }
        Ok(newest)
    }

    /// The first of the right copies that is whole to its last byte.
    fn whole<'m>(
        &'m self,
        one: &Move<'m>,
        right: &Right<'m>,
    ) -> Result<(&'m Slot, Fingerprint, Digest), StoreError> {
        let mut problem = None;
        for slot in &right.slots {
            let mut places = one.places();
            let place = places.find(|(other, _)| other.label() == slot.label());
            let Some(found) = place.and_then(|(_, peek)| peek.found.as_ref()) else {
                continue;
            };
            let path = slot.volume.path().join(one.name.file_name());
            match self.verified(&path, found.fingerprint) {
                Ok(sha256) => return Ok((slot, found.fingerprint, sha256)),
                Err(error) => problem = Some(error),
            }
        }
        Err(problem.unwrap_or_else(|| {
            StoreError::Changed(format!("{} changed while it was looked at", one.name))
        }))
    }

    /// Nothing that lies elsewhere is lost: what no history has and is known to be older becomes a
    /// version; damaged bytes only go to the trash; others are not ours to judge.
    fn others(&self, one: &Move<'_>, top: Option<Standing>) -> Result<Vec<Past>, StoreError> {
        let current = one.current.map(|(_, print, _)| print);
        let known = one.places().flat_map(|(_, peek)| &peek.history);
        let mut next = VersionId::after(self.clock().now(), known.map(|file| file.id));
        let mut kept: Vec<(Fingerprint, Past)> = Vec::new();
        for (slot, peek) in &one.away {
            let Some(found) = &peek.found else { continue };
            let print = found.fingerprint;
            if Some(print) == current || kept.iter().any(|(other, ..)| *other == print) {
                continue;
            }
            if is_archived(one, print)? {
                continue;
            }
            let path = slot.volume.path().join(one.name.file_name());
            let sha256 = match self.verified(&path, print) {
                Ok(sha256) => sha256,
                Err(StoreError::Damaged { .. }) => continue,
                Err(error) => return Err(error),
            };
            let recorded = found.record.filter(|record| record.describes(&print));
            let is_older = recorded.is_some_and(|own| Some(Standing::of(own.generation)) < top);
            if !is_older {
                return Err(StoreError::Changed(format!(
                    "the misplaced copy of {} on {} holds other bytes than its home and all its \
                     versions; `maifdeck replicas {}` shows both",
                    one.name,
                    slot.label(),
                    one.name
                )));
            }
            let kind = VersionKind::Copy;
            let past = Past {
                file: HistoryFile { id: next, kind },
                from: path,
                sha256: Some(sha256),
            };
            kept.push((print, past));
            next = next.next();
        }
        Ok(kept.into_iter().map(|(_, past)| past).collect())
    }

    /// The histories of all places as one, each version from where it is whole.
    fn histories(&self, one: &Move<'_>) -> Vec<Past> {
        let files: BTreeSet<HistoryFile> = one
            .places()
            .flat_map(|(_, peek)| peek.history.iter().copied())
            .collect();
        let mut pasts = Vec::with_capacity(files.len());
        for file in files {
            let holders = || {
                let places = one.places();
                places
                    .filter(|(_, peek)| peek.history.contains(&file))
                    .map(|(slot, _)| *slot)
            };
            let whole = match file.kind {
                VersionKind::Copy => self.whole_version(holders(), one.name, file.id),
                VersionKind::Removal => None,
            };
            let (slot, sha256) = match (whole, holders().next()) {
                (Some((slot, sha256)), _) => (slot, Some(sha256)),
                (None, Some(slot)) => (slot, None),
                (None, None) => continue,
            };
            let dir = slot.volume.dir();
            pasts.push(Past {
                file,
                from: dir.version_path(one.name, file.id, file.kind),
                sha256,
            });
        }
        pasts
    }

    /// Refuses unless a quorum at home holds the current copy and every version.
    fn is_home(&self, one: &Move<'_>) -> Result<(), StoreError> {
        let home = self.home(one.name);
        let replicas = self.replicas(home).count();
        let needed = self.config().store.write_quorum.of(replicas);
        let mut complete = 0;
        for (slot, _) in one.home.iter().filter(|(slot, _)| slot.counts()) {
            if let Some((_, _, sha256)) = one.current {
                read_back(slot, one.name, sha256)?;
            }
            let (name, history) = (one.name.clone(), one.history.clone());
            let all = slot.volume.run(Lane::Bulk, move |dir, pulse| {
                // What was whole elsewhere is whole here, to the last byte.
                let there = |past: &Past| {
                    let path = dir.version_path(&name, past.file.id, past.file.kind);
                    past.sha256.map_or_else(
                        || path.symlink_metadata().is_ok(),
                        |sha256| {
                            let file = dir::open(&path);
                            let found = file.and_then(|file| digest(&file, pulse));
                            found.is_ok_and(|found| found == sha256)
                        },
                    )
                };
                Ok(history.iter().all(there))
            })?;
            complete += usize::from(all);
        }
        if complete >= needed {
            return Ok(());
        }
        Err(StoreError::Changed(format!(
            "only {complete} of {needed} replicas at home hold all of {} whole; nothing was taken away",
            one.name
        )))
    }
}

/// Whether some history has these bytes. Histories are made equal before anything is taken away, and
/// then a quorum has them.
fn is_archived(one: &Move<'_>, print: Fingerprint) -> Result<bool, StoreError> {
    for (slot, peek) in one.places() {
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

impl<'a> Move<'a> {
    fn places(&self) -> impl Iterator<Item = &(&'a Slot, Peek)> {
        self.home.iter().chain(&self.away)
    }
}

fn current_transfers<'m>(one: &Move<'m>, job: &'m str) -> Vec<(Transfer<'m>, u64)> {
    let Some((source, print, sha256)) = one.current else {
        return Vec::new();
    };
    let lacks = |peek: &Peek| {
        let found = peek.found.as_ref();
        let recorded = found.and_then(|found| found.record);
        found.map(|found| found.fingerprint) != Some(print)
            || one.record.is_some() && recorded.is_none_or(|record| !record.describes(&print))
    };
    one.home
        .iter()
        .filter(|(_, peek)| lacks(peek))
        .map(|(target, _)| {
            let transfer = Transfer {
                target,
                name: one.name,
                from: source.volume.path().join(one.name.file_name()),
                becomes: Becomes::Current(sha256),
                record: one.record,
                job,
            };
            (transfer, print.size)
        })
        .collect()
}

fn history_transfers<'m>(one: &Move<'m>, job: &'m str) -> Vec<(Transfer<'m>, u64)> {
    let mut transfers = Vec::new();
    for past in &one.history {
        let lacks = |(_, peek): &&(&Slot, Peek)| !peek.history.contains(&past.file);
        for (target, _) in one.home.iter().filter(lacks) {
            let transfer = Transfer {
                target,
                name: one.name,
                from: past.from.clone(),
                becomes: Becomes::History(past.file, past.sha256),
                record: None,
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
