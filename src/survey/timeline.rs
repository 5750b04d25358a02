//! One artifact through time: what was current from when until when, merged from histories and
//! backups. Pure: [`super::history`] reads, this puts in order.

use std::{collections::BTreeSet, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    backup::{BackupId, RelPath},
    maif::Digest,
    store::retention::Reason,
    volume::{Fingerprint, VersionId},
};

/// What an earlier state is called: a version by its id, one that no history holds by the newest
/// backup that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateId {
    Version(VersionId),
    Backup(BackupId),
}

impl StateId {
    /// Until when it is known to have been current; of a removal when it was removed.
    pub fn time(self) -> DateTime<Utc> {
        match self {
            Self::Version(id) => id.time(),
            Self::Backup(id) => id.time(),
        }
    }
}

/// `20260311_091500.123`, `backup_20260311_010000`
impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(id) => id.fmt(f),
            Self::Backup(id) => f.write_str(&id.directory()),
        }
    }
}

/// Not an id of a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither a version's id nor backup_<its id>: {0}")]
pub struct BadStateId(String);

impl FromStr for StateId {
    type Err = BadStateId;

    fn from_str(text: &str) -> Result<Self, BadStateId> {
        let bad = || BadStateId(text.to_owned());
        match text.strip_prefix("backup_") {
            Some(id) => id.parse().map(Self::Backup).map_err(|_| bad()),
            None => text.parse().map(Self::Version).map_err(|_| bad()),
        }
    }
}

impl Serialize for StateId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StateId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What reading every byte found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    pub intact: bool,
    pub agent_did: Option<String>,
    pub blocks: usize,
}

/// A state that is not current any more, or a removal. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    pub id: StateId,
    pub removed: bool,
    pub size: u64,
    /// When its bytes were written.
    pub written: DateTime<Utc>,
    /// Of a removal neither is known.
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub print: Option<Fingerprint>,
    pub sha256: Option<Digest>,
    /// At level deep.
    pub looked: Option<Looked>,
    /// A volume whose history holds it, and how many do.
    pub volume: Option<String>,
    pub volumes: u16,
    /// The backups that hold the same bytes, oldest first.
    pub backups: BTreeSet<BackupId>,
    /// The newest of them, and where it has them.
    pub in_backup: Option<(BackupId, RelPath)>,
    /// `current`, or the next older state with the same bytes.
    pub same_as: Option<String>,
    /// Older neighbours with the same bytes, shown as one with this.
    pub also: Vec<StateId>,
    /// By the configured policy.
    pub kept_by: Vec<Reason>,
}

impl Earlier {
    /// A state that no history holds.
    fn only_in(held: &Held) -> Self {
        Self {
            size: held.size,
            print: Some(held.print),
            sha256: Some(held.sha256),
            ..Self::new(StateId::Backup(held.backup), held.written)
        }
    }

    /// A state of which nothing more is known yet.
    pub(super) fn new(id: StateId, written: DateTime<Utc>) -> Self {
        Self {
            id,
            removed: false,
            size: 0,
            written,
            from: None,
            until: None,
            print: None,
            sha256: None,
            looked: None,
            volume: None,
            volumes: 0,
            backups: BTreeSet::new(),
            in_backup: None,
            same_as: None,
            also: Vec::new(),
            kept_by: Vec::new(),
        }
    }

    /// Notes that a backup holds these bytes.
    pub(super) fn seen_in(&mut self, backup: BackupId, path: RelPath) {
        self.backups.insert(backup);
        if self
            .in_backup
            .as_ref()
            .is_none_or(|(known, _)| *known < backup)
        {
            self.in_backup = Some((backup, path));
        }
    }

    /// Whether both are known to hold the same bytes.
    fn holds(&self, print: Option<Fingerprint>, sha256: Option<Digest>) -> bool {
        !self.removed
            && self.print.is_some()
            && self.print == print
            && self.sha256.zip(sha256).is_none_or(|(a, b)| a == b)
    }
}

impl Current {
    fn holds(&self, held: &Held) -> bool {
        self.print == Some(held.print) && self.sha256.is_none_or(|sha256| sha256 == held.sha256)
    }
}

/// The current copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    pub volume: String,
    pub size: Option<u64>,
    pub written: DateTime<Utc>,
    /// Since when it is current.
    pub from: DateTime<Utc>,
    pub generation: Option<u64>,
    pub print: Option<Fingerprint>,
    pub sha256: Option<Digest>,
    pub looked: Option<Looked>,
    pub backups: BTreeSet<BackupId>,
}

/// What a backup holds as the current copy of its time.
#[derive(Debug, Clone)]
pub struct Held {
    pub backup: BackupId,
    pub path: RelPath,
    pub size: u64,
    pub written: DateTime<Utc>,
    pub print: Fingerprint,
    pub sha256: Digest,
}

/// Adds what backups hold as current copies, oldest backup first. Each belongs to the state that was
/// current when the backup was made, or is a state of its own; and every state says which backups
/// hold the same bytes.
pub fn add_backups(current: &mut Option<Current>, states: &mut Vec<Earlier>, held: &[Held]) {
    for held in held {
        if !is_known(current.as_ref(), states, held) {
            states.push(Earlier::only_in(held));
        }
        for state in states.iter_mut() {
            if state.holds(Some(held.print), Some(held.sha256)) {
                state.sha256 = Some(held.sha256);
                state.seen_in(held.backup, held.path.clone());
            }
        }
        if let Some(current) = current.as_mut()
            && current.holds(held)
        {
            current.sha256 = Some(held.sha256);
            current.backups.insert(held.backup);
        }
    }
}

/// Whether what the backup saw is the current copy or one of these states: the same bytes, written
/// at the same time, or else current at the time of the backup. Bytes that came back later are
/// another state.
fn is_known(current: Option<&Current>, states: &mut [Earlier], held: &Held) -> bool {
    let at = held.backup.time();
    // Replicas are written one after the other.
    let at_once = |written: DateTime<Utc>| (written - held.written).num_seconds().abs() <= 1;
    if current.is_some_and(|current| current.holds(held) && at_once(current.written)) {
        return true;
    }
    let mut same = states
        .iter_mut()
        .filter(|state| state.holds(Some(held.print), Some(held.sha256)));
    if let Some(state) = same.find(|state| at_once(state.written)) {
        if matches!(state.id, StateId::Backup(_)) {
            // Called by the newest backup that saw it.
            state.id = StateId::Backup(held.backup);
        }
        return true;
    }
    let later = states
        .iter()
        .filter(|state| state.id.time() >= at)
        .min_by_key(|state| state.id.time());
    match later {
        Some(state) => state.holds(Some(held.print), Some(held.sha256)),
        None => current.is_some_and(|current| current.holds(held)),
    }
}

/// Puts the states in order, newest first, says from when until when each was current, and shows
/// neighbours with the same bytes as one.
pub fn settle(current: &mut Option<Current>, states: &mut Vec<Earlier>) {
    states.sort_by_key(|state| (state.id.time(), state.removed));
    periods(current, states);
    collapse(states);
    states.reverse();
    same_as(current.as_ref(), states);
}

/// Fills in from and until; oldest first.
fn periods(current: &mut Option<Current>, states: &mut [Earlier]) {
    // When the state before ended, and whether this one took over at that moment.
    let mut reached: Option<(DateTime<Utc>, bool)> = None;
    let next_written: Vec<Option<DateTime<Utc>>> = states
        .iter()
        .skip(1)
        .map(|next| {
            Some(if next.removed {
                next.id.time()
            } else {
                next.written
            })
        })
        .chain([current.as_ref().map(|current| current.written)])
        .collect();
    let begin = |reached: Option<(DateTime<Utc>, bool)>, written: DateTime<Utc>| match reached {
        Some((until, true)) => until,
        Some((until, false)) => until.max(written),
        None => written,
    };
    for (state, next) in states.iter_mut().zip(next_written) {
        let known = state.id.time();
        if state.removed {
            reached = Some((known, false));
            continue;
        }
        let until = match state.id {
            StateId::Version(_) => known,
            // The backup saw it; it was replaced when the next one was written.
            StateId::Backup(_) => next.filter(|next| *next > known).unwrap_or(known),
        };
        // What was overwritten without being archived begins when it was written: the version
        // before was replaced by something else, maybe.
        let known_between = matches!(state.id, StateId::Backup(_));
        let reached_here = reached.map(|(at, took_over)| (at, took_over && !known_between));
        state.from = Some(begin(reached_here, state.written).min(until));
        state.until = Some(until);
        reached = Some((until, matches!(state.id, StateId::Version(_))));
    }
    if let Some(current) = current {
        current.from = begin(reached, current.written);
    }
}

/// Neighbours with the same bytes become one, called by the newest; oldest first.
fn collapse(states: &mut Vec<Earlier>) {
    let mut kept: Vec<Earlier> = Vec::with_capacity(states.len());
    for mut state in states.drain(..) {
        let print = state.print;
        if let Some(older) = kept.pop_if(|older| older.holds(print, state.sha256)) {
            state.from = older.from;
            state.written = older.written;
            state.also.push(older.id);
            state.also.extend(older.also);
            state.backups.extend(older.backups);
            state.sha256 = state.sha256.or(older.sha256);
            if let Some((backup, path)) = older.in_backup {
                state.seen_in(backup, path);
            }
            for reason in older.kept_by {
                if !state.kept_by.contains(&reason) {
                    state.kept_by.push(reason);
                }
            }
            state.volume = state.volume.or(older.volume);
            state.volumes = state.volumes.max(older.volumes);
        }
        kept.push(state);
    }
    *states = kept;
}

/// Names, for each state, another one with the same bytes; newest first.
fn same_as(current: Option<&Current>, states: &mut [Earlier]) {
    for at in 0..states.len() {
        let (_, rest) = states.split_at_mut(at);
        let Some((state, older)) = rest.split_first_mut() else {
            continue;
        };
        let is_current = current.is_some_and(|c| state.holds(c.print, c.sha256));
        let (print, sha256) = (state.print, state.sha256);
        state.same_as = if is_current {
            Some("current".to_owned())
        } else if state.removed {
            None
        } else {
            older
                .iter()
                .find(|older| older.holds(print, sha256))
                .map(|older| older.id.to_string())
        };
    }
}
