//! Which copy is right, and why: Promise 4 as a pure function.
//!
//! Order: reachable → newest generation (a record counts only while it describes the bytes beside
//! it; a removal counts as a generation; a copy beats none at the same one) → intact. Bytes that
//! no record describes were *written outside*: over the newest generation they are its successor;
//! else bytes that a history holds are behind, and all others are divergent.

use super::state::{
    ArtifactState, Behind, CopyState, NewestIntact, Reason, Reference, VolumeIndex,
};
use crate::{
    maif::Digest,
    volume::{Fingerprint, Record, VersionId},
};

/// What looking at the bytes said, at the level that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Intact,
    /// Torn, malformed or failing verification.
    Damaged,
    /// Not MAIF 2.1.
    Foreign,
}

/// One copy's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    pub fingerprint: Fingerprint,
    pub record: Option<Record>,
    pub condition: Condition,
    /// Known at level deep only.
    pub sha256: Option<Digest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Unreachable,
    Absent,
    File(FileFacts),
}

/// What one volume knows of an artifact.
#[derive(Debug, Clone)]
pub struct Facts {
    pub volume: VolumeIndex,
    pub seen: Seen,
    /// False for a joining volume: no reference, no part of a quorum.
    pub counts: bool,
    /// The newest removal in its history.
    pub removal: Option<Record>,
    /// What its history holds, newest first; only needed when copies disagree.
    pub history: Vec<(VersionId, Fingerprint)>,
}

/// The verdict on one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub state: ArtifactState,
    pub removed: bool,
    pub vanished: bool,
    pub unsupported: bool,
    pub reference: Option<Reference>,
    /// An older intact copy, when the newest generation has none in reach.
    pub newest_intact: Option<NewestIntact>,
    /// One a fact, in the same order.
    pub copies: Vec<CopyState>,
}

/// How a copy stands to the commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// A record describes it.
    Recorded(u64),
    /// None does; it lies over what was generation n here (0: no record at all).
    Outside(u64),
}

impl Standing {
    const fn generation(self) -> u64 {
        match self {
            Self::Recorded(generation) | Self::Outside(generation) => generation,
        }
    }
}

/// A file that could be the right one.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    index: usize,
    facts: &'a Facts,
    file: FileFacts,
    standing: Standing,
    intact: bool,
}

impl Candidate<'_> {
    fn same_bytes(&self, other: &Candidate<'_>) -> bool {
        self.file.fingerprint == other.file.fingerprint
            && match (self.file.sha256, other.file.sha256) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
    }
}

/// What the newest generation turned out to be.
enum Winner<'a> {
    Copy(Candidate<'a>, Reason),
    Removal,
    /// Intact copies that contradict each other.
    Contested(Vec<usize>),
    NoIntact,
}

/// Judges one artifact from what its home replicas know. `quorum` is the write quorum.
pub fn judge(facts: &[Facts], quorum: usize) -> Judgement {
    let reachable = || facts.iter().any(|f| f.seen != Seen::Unreachable);
    let all_foreign = facts
        .iter()
        .filter_map(|f| match f.seen {
            Seen::File(file) => Some(file.condition),
            _ => None,
        })
        .all(|condition| condition == Condition::Foreign);
    let candidates: Vec<Candidate<'_>> = facts
        .iter()
        .enumerate()
        .filter_map(|(index, facts)| candidate(index, facts, all_foreign))
        .collect();
    if candidates.is_empty() {
        return without_files(facts, reachable());
    }
    // Joining volumes are heard only when nobody else is there.
    let anybody_counts = facts
        .iter()
        .any(|f| f.counts && f.seen != Seen::Unreachable);
    let heard = |f: &Facts| f.counts || !anybody_counts;
    let electors: Vec<Candidate<'_>> = candidates
        .iter()
        .copied()
        .filter(|c| heard(c.facts))
        .collect();
    let removal = facts
        .iter()
        .filter(|f| heard(f))
        .filter_map(|f| Some(f.removal?.generation))
        .max();
    let top = electors
        .iter()
        .map(|c| c.standing.generation())
        .chain(removal)
        .max()
        .unwrap_or(0);
    let winner = elect(&electors, removal, top, quorum, facts);
    conclude(facts, &candidates, winner, top, all_foreign)
}

fn candidate(index: usize, facts: &Facts, all_foreign: bool) -> Option<Candidate<'_>> {
    let Seen::File(file) = facts.seen else {
        return None;
    };
    let standing = match file.record {
        Some(record) if record.describes(&file.fingerprint) => {
            Standing::Recorded(record.generation)
        }
        record => {
            let removed = facts.removal.map(|r| r.generation);
            Standing::Outside(record.map(|r| r.generation).max(removed).unwrap_or(0))
        }
    };
    let intact = match file.condition {
        Condition::Intact => true,
        Condition::Damaged => false,
        // We committed it as it is, or every replica agrees that it is none of our format.
        Condition::Foreign => all_foreign || matches!(standing, Standing::Recorded(_)),
    };
    Some(Candidate {
        index,
        facts,
        file,
        standing,
        intact,
    })
}

fn elect<'a>(
    electors: &[Candidate<'a>],
    removal: Option<u64>,
    top: u64,
    quorum: usize,
    facts: &[Facts],
) -> Winner<'a> {
    let intact_at_top = |outside: bool| -> Vec<Candidate<'a>> {
        electors
            .iter()
            .copied()
            .filter(|c| {
                c.intact
                    && c.standing.generation() == top
                    && matches!(c.standing, Standing::Outside(_)) == outside
            })
            .collect()
    };
    let outside = intact_at_top(true);
    let recorded = intact_at_top(false);
    if top == 0 {
        return elect_unrecorded(&outside, facts);
    }
    // A successor written outside that equals the recorded bytes is no successor.
    let successors: Vec<Candidate<'a>> = outside
        .iter()
        .copied()
        .filter(|c| !recorded.iter().any(|r| r.same_bytes(c)))
        .collect();
    if let Some(first) = successors.first() {
        if successors.iter().all(|c| c.same_bytes(first)) {
            return Winner::Copy(*first, Reason::WrittenOutside { over: top });
        }
        return on_quorum(&successors, quorum)
            .unwrap_or_else(|| Winner::Contested(indices(&successors)));
    }
    if let Some(first) = recorded.first() {
        if !recorded.iter().all(|c| c.same_bytes(first)) {
            return on_quorum(&recorded, quorum)
                .unwrap_or_else(|| Winner::Contested(indices(&recorded)));
        }
        return Winner::Copy(*first, reason_for(first, electors, facts));
    }
    if removal == Some(top) {
        Winner::Removal
    } else {
        Winner::NoIntact
    }
}

/// Nobody left a record: only the histories can tell who is behind.
fn elect_unrecorded<'a>(intact: &[Candidate<'a>], facts: &[Facts]) -> Winner<'a> {
    let Some(first) = intact.first() else {
        return Winner::NoIntact;
    };
    if intact.iter().all(|c| c.same_bytes(first)) {
        return Winner::Copy(*first, reason_for(first, intact, facts));
    }
    let ahead: Vec<Candidate<'a>> = intact
        .iter()
        .copied()
        .filter(|c| !in_a_history(facts, &c.file))
        .collect();
    match ahead.first() {
        Some(winner) if ahead.iter().all(|c| c.same_bytes(winner)) => {
            let behind = intact
                .iter()
                .filter(|c| !c.same_bytes(winner))
                .map(|c| c.facts.volume)
                .collect();
            Winner::Copy(*winner, Reason::HistoryBehind { behind })
        }
        _ => Winner::Contested(indices(intact)),
    }
}

/// The value that a quorum of copies holds.
fn on_quorum<'a>(candidates: &[Candidate<'a>], quorum: usize) -> Option<Winner<'a>> {
    candidates.iter().find_map(|candidate| {
        let copies = candidates
            .iter()
            .filter(|c| c.same_bytes(candidate))
            .count();
        (copies >= quorum).then(|| {
            let copies = u16::try_from(copies).unwrap_or(u16::MAX);
            Winner::Copy(*candidate, Reason::Quorum { copies })
        })
    })
}

fn indices(candidates: &[Candidate<'_>]) -> Vec<usize> {
    candidates.iter().map(|c| c.index).collect()
}

fn in_a_history(facts: &[Facts], file: &FileFacts) -> bool {
    facts.iter().any(|f| archived(f, file).is_some())
}

/// Under which id a volume's history keeps these bytes.
fn archived(facts: &Facts, file: &FileFacts) -> Option<VersionId> {
    let mut history = facts.history.iter();
    history
        .find(|(_, print)| *print == file.fingerprint)
        .map(|(id, _)| *id)
}

fn reason_for(winner: &Candidate<'_>, electors: &[Candidate<'_>], facts: &[Facts]) -> Reason {
    let damaged: Vec<VolumeIndex> = electors
        .iter()
        .filter(|c| !c.intact && c.standing.generation() == winner.standing.generation())
        .map(|c| c.facts.volume)
        .collect();
    let keeps = |file: &FileFacts| {
        let own = std::iter::once(winner.facts);
        own.chain(facts)
            .find_map(|facts| Some((facts.volume, archived(facts, file)?)))
    };
    let behind: Vec<Behind> = electors
        .iter()
        .filter(|c| c.standing.generation() < winner.standing.generation())
        .filter(|c| !c.same_bytes(winner))
        .map(|c| Behind {
            volume: c.facts.volume,
            generation: c.standing.generation(),
            archived: keeps(&c.file),
        })
        .collect();
    if !behind.is_empty() {
        Reason::Newest {
            generation: winner.standing.generation(),
            behind,
        }
    } else if !damaged.is_empty() {
        Reason::Intact { damaged }
    } else if electors.len() == 1 {
        Reason::Only
    } else {
        Reason::AllAgree
    }
}

/// No volume holds a file.
fn without_files(facts: &[Facts], reachable: bool) -> Judgement {
    let removed = facts.iter().any(|f| f.removal.is_some());
    let copies = facts
        .iter()
        .map(|f| match f.seen {
            Seen::Unreachable => CopyState::Unreachable,
            _ if removed => CopyState::Ok,
            _ => CopyState::Missing,
        })
        .collect();
    let partly = facts.iter().any(|f| f.seen == Seen::Unreachable);
    // While a replica cannot be seen, nothing is called lost: the artifact may be there.
    let (state, vanished) = match (reachable, removed, partly) {
        (false, ..) | (true, false, true) => (ArtifactState::Unreachable, false),
        (true, true, true) => (ArtifactState::Degraded, false),
        (true, true, false) => (ArtifactState::Ok, false),
        (true, false, false) => (ArtifactState::Lost, true),
    };
    Judgement {
        state,
        removed,
        vanished,
        unsupported: false,
        reference: None,
        newest_intact: None,
        copies,
    }
}

fn conclude(
    facts: &[Facts],
    candidates: &[Candidate<'_>],
    winner: Winner<'_>,
    top: u64,
    all_foreign: bool,
) -> Judgement {
    let mut contested = match &winner {
        Winner::Contested(indices) => indices.clone(),
        _ => Vec::new(),
    };
    let mut copies = vec![CopyState::Missing; facts.len()];
    for (index, (state, fact)) in copies.iter_mut().zip(facts).enumerate() {
        let candidate = candidates.iter().find(|c| c.index == index);
        *state = match (fact.seen, candidate) {
            (Seen::Unreachable, _) => CopyState::Unreachable,
            (_, None) if matches!(winner, Winner::Removal) => CopyState::Ok,
            (_, None) => CopyState::Missing,
            (_, Some(c)) if !c.intact => CopyState::Corrupt,
            (_, Some(c)) => {
                let agrees = matches!(&winner, Winner::Copy(w, _) if w.same_bytes(c));
                let behind = match c.standing {
                    Standing::Recorded(generation) => generation < top,
                    // Under a new successor the recorded copies are behind it; so is every file
                    // that a joining volume brought along, and every one that a history holds.
                    Standing::Outside(_) => in_a_history(facts, &c.file),
                };
                let passed = matches!(
                    &winner,
                    Winner::Copy(_, Reason::WrittenOutside { .. } | Reason::Quorum { .. })
                ) && c.standing.generation() == top;
                if agrees {
                    CopyState::Ok
                } else if behind || passed || !fact.counts {
                    CopyState::Stale
                } else {
                    if !contested.contains(&index) {
                        contested.push(index);
                    }
                    CopyState::Divergent
                }
            }
        };
    }
    if matches!(winner, Winner::NoIntact) {
        contested.clear();
        for state in &mut copies {
            if *state == CopyState::Divergent {
                *state = CopyState::Stale;
            }
        }
    }
    let has = |state| copies.contains(&state);
    let state = if matches!(winner, Winner::NoIntact) && has(CopyState::Unreachable) {
        // A replica that cannot be seen may hold it: nothing is lost yet.
        ArtifactState::Unreachable
    } else if matches!(winner, Winner::NoIntact) {
        ArtifactState::Lost
    } else if !contested.is_empty() {
        ArtifactState::Divergent
    } else if has(CopyState::Corrupt) {
        ArtifactState::Corrupt
    } else if has(CopyState::Missing) || has(CopyState::Stale) || has(CopyState::Unreachable) {
        ArtifactState::Degraded
    } else {
        ArtifactState::Ok
    };
    let newest_intact = matches!(winner, Winner::NoIntact)
        .then(|| {
            candidates
                .iter()
                .filter(|c| c.intact)
                // What a joining volume brought along comes last, whatever its record says.
                .max_by_key(|c| (c.facts.counts, c.standing.generation()))
                .map(|c| NewestIntact::Copy {
                    volume: c.facts.volume,
                })
        })
        .flatten();
    let removed = matches!(winner, Winner::Removal) && contested.is_empty();
    let reference = match winner {
        Winner::Copy(winner, reason) if contested.is_empty() => Some(Reference {
            volume: winner.facts.volume,
            generation: match winner.standing {
                Standing::Recorded(generation) => Some(generation),
                Standing::Outside(_) => None,
            },
            reason,
        }),
        _ => None,
    };
    Judgement {
        state,
        removed,
        vanished: false,
        unsupported: all_foreign,
        reference,
        newest_intact,
        copies,
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
