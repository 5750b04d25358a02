//! What one volume knows of one artifact, and from that the facts to judge it by.

use std::{ops::ControlFlow, sync::Arc};

use super::{
    judge::{Condition, Facts, FileFacts, Seen},
    slot::Slot,
    state::VolumeIndex,
};
use crate::{
    maif::{PublicKey, QuickLook, Verdict, quick, verify},
    volume::{
        ArtifactName, Dir, Found, HistoryFile, Lane, Pulse, Record, VersionKind, VolumeError, dir,
    },
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

fn peek(dir: &Dir, name: &ArtifactName) -> Result<Peek, VolumeError> {
    let history = dir.history(name)?;
    Ok(Peek {
        found: dir.look(name)?,
        removal: dir.newest_removal(name, &history),
        history,
    })
}

/// Asks every slot in parallel; answers in the slots' order.
pub fn peek_all(slots: &[&Slot], name: &ArtifactName) -> Vec<Result<Peek, VolumeError>> {
    let pending: Vec<_> = slots
        .iter()
        .map(|slot| {
            let name = name.clone();
            slot.volume
                .start(Lane::Short, move |dir, _| peek(dir, &name))
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

/// A copy's facts at level quick. A record that is not of these bytes means a save by another program,
/// or damage in the footer that makes it look like one: only reading it all can tell.
pub fn file_facts(
    dir: &Dir,
    name: &ArtifactName,
    found: &Found,
    trusted: &[PublicKey],
    pulse: &Pulse,
) -> FileFacts {
    let other = |record: Record| !record.describes(&found.fingerprint);
    let condition = match condition(found) {
        Condition::Intact if found.record.is_some_and(other) => {
            read_whole(dir, name, trusted, pulse)
        }
        condition => condition,
    };
    FileFacts {
        fingerprint: found.fingerprint,
        record: found.record,
        condition,
        sha256: None,
    }
}

/// What a verdict on every byte means for judging.
pub const fn condition_by(verdict: Verdict) -> Condition {
    match verdict {
        Verdict::Intact => Condition::Intact,
        Verdict::Damaged => Condition::Damaged,
        Verdict::Unsupported => Condition::Foreign,
    }
}

/// Reads a copy to the end and judges its bytes. One that cannot be read is as good as damaged.
fn read_whole(dir: &Dir, name: &ArtifactName, trusted: &[PublicKey], pulse: &Pulse) -> Condition {
    let Ok(file) = dir::open(&dir.copy_path(name)) else {
        return Condition::Damaged;
    };
    let verified = verify(&file, trusted, &mut |_| {
        pulse.beat();
        ControlFlow::Continue(())
    });
    verified.map_or(Condition::Damaged, |found| condition_by(found.verdict()))
}

/// The facts of an artifact on its home replicas, histories included where copies disagree.
pub fn facts(
    slots: &[(VolumeIndex, &Slot)],
    name: &ArtifactName,
    trusted: &Arc<[PublicKey]>,
) -> Vec<Facts> {
    let plain: Vec<&Slot> = slots.iter().map(|(_, slot)| *slot).collect();
    let pending: Vec<_> = plain
        .iter()
        .map(|slot| {
            let (name, trusted) = (name.clone(), Arc::clone(trusted));
            slot.volume.start(Lane::Short, move |dir, pulse| {
                let peek = peek(dir, &name)?;
                let found = peek.found.as_ref();
                let file = found.map(|found| file_facts(dir, &name, found, &trusted, pulse));
                Ok((file, peek.removal))
            })
        })
        .collect();
    let mut facts: Vec<Facts> = pending
        .into_iter()
        .zip(slots)
        .map(|(pending, (volume, slot))| {
            let (seen, removal) = match pending.wait() {
                Ok((file, removal)) if slot.state.is_readable() => {
                    (file.map_or(Seen::Absent, Seen::File), removal)
                }
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
                        prints.push((file.id, print));
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
