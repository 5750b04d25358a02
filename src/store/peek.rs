//! What one volume knows of one artifact, and from that the facts to judge it by.

use super::{
    grid::Slot,
    judge::{Condition, Facts, FileFacts, Seen},
    state::VolumeIndex,
};
use crate::{
    maif::{QuickLook, quick},
    volume::{ArtifactName, Found, HistoryFile, Lane, Record, VersionKind, VolumeError},
};

/// The current copy, the history and the newest removal.
#[derive(Debug, Clone)]
pub struct Peek {
    pub found: Option<Found>,
    /// Newest first.
    pub history: Vec<HistoryFile>,
    pub removal: Option<Record>,
}

impl Peek {
    /// The greatest generation that this volume has seen of the artifact.
    pub fn greatest_generation(&self) -> Option<u64> {
        let recorded = self.found.as_ref().and_then(|found| found.record);
        recorded
            .into_iter()
            .chain(self.removal)
            .map(|record| record.generation)
            .max()
    }
}

/// Asks every slot in parallel; answers in the slots' order.
pub fn peek_all(slots: &[&Slot], name: &ArtifactName) -> Vec<Result<Peek, VolumeError>> {
    let pending: Vec<_> = slots
        .iter()
        .map(|slot| {
            let name = name.clone();
            slot.volume.start(Lane::Short, move |dir, _| {
                let history = dir.history(&name)?;
                Ok(Peek {
                    found: dir.look(&name)?,
                    removal: dir.newest_removal(&name, &history),
                    history,
                })
            })
        })
        .collect();
    pending
        .into_iter()
        .map(crate::volume::Pending::wait)
        .collect()
}

/// Whether any of these volumes holds a current copy.
pub fn look_all(slots: &[&Slot], name: &ArtifactName) -> bool {
    let pending: Vec<_> = slots
        .iter()
        .map(|slot| {
            let name = name.clone();
            slot.volume.start(Lane::Short, move |dir, _| {
                Ok(dir.copy_path(&name).symlink_metadata().is_ok())
            })
        })
        .collect();
    let found = pending.into_iter().map(crate::volume::Pending::wait);
    found.fold(false, |any, found| any | found.unwrap_or(false))
}

/// What a quick look says of the bytes.
pub fn condition(found: &Found) -> Condition {
    match quick(&found.head, &found.tail, found.fingerprint.size) {
        QuickLook::Complete(_) => Condition::Intact,
        QuickLook::Foreign => Condition::Foreign,
        QuickLook::Torn | QuickLook::Malformed => Condition::Damaged,
    }
}

/// A copy's facts at level quick.
pub fn file_facts(found: &Found) -> FileFacts {
    FileFacts {
        fingerprint: found.fingerprint,
        record: found.record,
        condition: condition(found),
        sha256: None,
    }
}

/// The facts of an artifact on its home replicas, histories included where copies disagree.
pub fn facts(slots: &[(VolumeIndex, &Slot)], name: &ArtifactName) -> Vec<Facts> {
    let plain: Vec<&Slot> = slots.iter().map(|(_, slot)| *slot).collect();
    let mut facts: Vec<Facts> = peek_all(&plain, name)
        .into_iter()
        .zip(slots)
        .map(|(peek, (volume, slot))| {
            let (seen, removal) = match peek {
                Ok(peek) if slot.state.is_readable() => (
                    peek.found
                        .as_ref()
                        .map_or(Seen::Absent, |found| Seen::File(file_facts(found))),
                    peek.removal,
                ),
                _ => (Seen::Unreachable, None),
            };
            Facts {
                volume: *volume,
                seen,
                counts: slot.counts(),
                removal,
                history: Vec::new(),
            }
        })
        .collect();
    if disagree(&facts) {
        add_histories(&mut facts, &plain, name);
    }
    facts
}

/// Whether files differ, so that histories may have to tell who is behind.
pub fn disagree(facts: &[Facts]) -> bool {
    let mut prints = facts.iter().filter_map(|fact| match fact.seen {
        Seen::File(file) => Some(file.fingerprint),
        _ => None,
    });
    let first = prints.next();
    prints.any(|print| Some(print) != first)
}

/// Reads the fingerprints of the artifact's versions on every slot that can be read.
pub fn add_histories(facts: &mut [Facts], slots: &[&Slot], name: &ArtifactName) {
    let pending: Vec<_> = slots
        .iter()
        .map(|slot| {
            let name = name.clone();
            slot.volume.start(Lane::Short, move |dir, pulse| {
                let mut prints = Vec::new();
                for file in dir.history(&name)? {
                    if file.kind == VersionKind::Copy
                        && let Ok(print) = dir.look_at_version(&name, file.id)
                    {
                        prints.push(print);
                    }
                    pulse.beat();
                }
                Ok(prints)
            })
        })
        .collect();
    for (fact, pending) in facts.iter_mut().zip(pending) {
        // A history that cannot be read proves nothing; the copies stay contested.
        fact.history = pending.wait().unwrap_or_default();
    }
}
