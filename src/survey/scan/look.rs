//! Looking at copies as closely as asked, volume by volume, in batches with a safe point between two.

use std::sync::Arc;

use super::{
    BATCH, Scope, is_meant,
    rows::{Draft, Row, Rows, index},
};
use crate::{
    maif::{PublicKey, verify},
    progress::Task,
    store::{
        Slot, Store, StoreError,
        judge::{Condition, FileFacts},
        peek,
    },
    survey::{
        checked::Recall,
        model::{Survey, VolumeIndex, VolumeState},
    },
    volume::{
        ArtifactName, Dir, Lane, Level, Pulse, Record, VersionId, VersionKind, VolumeError, dir,
    },
};

/// What one volume is asked about one name.
#[derive(Debug, Clone)]
struct Question {
    name: ArtifactName,
    removal: Option<VersionId>,
}

/// What it answered.
#[derive(Debug, Clone, Copy)]
struct Answer {
    file: Option<Result<FileFacts, Unreadable>>,
    removal: Option<Record>,
}

/// The file is there, but its bytes cannot be had.
#[derive(Debug, Clone, Copy)]
struct Unreadable;

pub(super) fn look_closer(
    store: &Store,
    scope: &Scope,
    survey: &mut Survey,
    rows: &mut Rows,
    task: &Task,
) -> Result<(), StoreError> {
    let trusted: Arc<[PublicKey]> = store
        .config()
        .sign
        .trusted
        .iter()
        .filter_map(|key| key.parse().ok())
        .collect();
    let wanted = |name: &ArtifactName, row: &Row| {
        let level = if is_meant(scope, name) {
            scope.level
        } else {
            Level::Presence
        };
        if level == Level::Presence && !is_plain(row) {
            Level::Quick
        } else {
            level
        }
    };
    let mut names = Vec::new();
    for (name, row) in rows.iter_mut() {
        row.level = wanted(name, row);
        if row.level > Level::Presence && row.known.is_none() {
            names.push(name.clone());
        }
    }
    for batch in names.chunks(BATCH) {
        task.checkpoint()?;
        let asked: Vec<_> = store
            .slots()
            .iter()
            .enumerate()
            .map(|(position, slot)| ask(position, slot, survey, batch, rows, &trusted, task))
            .collect();
        for (position, asked) in asked.into_iter().enumerate() {
            let Some((questions, pending)) = asked else {
                continue;
            };
            match pending.wait() {
                Ok(answers) => {
                    for (question, answer) in questions.iter().zip(answers) {
                        if let Some(row) = rows.get_mut(&question.name) {
                            note(row, index(position), answer);
                        }
                    }
                }
                Err(VolumeError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => {
                    if let Some(view) = survey.volumes.get_mut(position) {
                        view.state = VolumeState::Unreachable;
                        view.reason = Some(error.to_string());
                    }
                }
            }
        }
    }
    Ok(())
}

/// Whether a listing is enough to judge it: all copies there and of one size, nothing removed.
fn is_plain(row: &Row) -> bool {
    let mut sizes = row.copies.iter().map(|copy| copy.size);
    let first = sizes.next();
    row.removals.is_empty() && sizes.all(|size| Some(size) == first)
}

type Asked = (Vec<Question>, crate::volume::Pending<Vec<Answer>>);

/// Sends a volume the names of a batch that it has something about.
fn ask(
    position: usize,
    slot: &Slot,
    survey: &Survey,
    batch: &[ArtifactName],
    rows: &Rows,
    trusted: &Arc<[PublicKey]>,
    task: &Task,
) -> Option<Asked> {
    let volume = index(position);
    if !survey.volume(volume)?.state.is_readable() {
        return None;
    }
    let questions: Vec<(Question, bool)> = batch
        .iter()
        .filter_map(|name| {
            let row = rows.get(name)?;
            let here = |drafts: &[Draft]| drafts.iter().any(|d| d.volume == volume);
            let removal = row.removals.iter().find(|r| r.volume == volume);
            let removal = removal.map(|removal| removal.id);
            (removal.is_some() || here(&row.copies) || here(&row.misplaced)).then(|| {
                let question = Question {
                    name: name.clone(),
                    removal,
                };
                (question, row.level == Level::Deep)
            })
        })
        .collect();
    if questions.is_empty() {
        return None;
    }
    let sent = questions.clone();
    let trusted = Arc::clone(trusted);
    let task = task.clone();
    let pending = slot.volume.start(Lane::Bulk, move |dir, pulse| {
        sent.iter()
            .map(|(question, deep)| {
                let answer = Answer {
                    file: look(dir, &question.name, *deep, &trusted, pulse, &task)?,
                    removal: question
                        .removal
                        .and_then(|id| dir.removal(&question.name, id)),
                };
                task.add_done(1);
                pulse.beat();
                Ok(answer)
            })
            .collect()
    });
    Some((questions.into_iter().map(|q| q.0).collect(), pending))
}

/// Looks at one copy, quickly or deeply. `Err` only for what concerns the whole volume.
fn look(
    dir: &Dir,
    name: &ArtifactName,
    deep: bool,
    trusted: &[PublicKey],
    pulse: &Pulse,
    task: &Task,
) -> Result<Option<Result<FileFacts, Unreadable>>, VolumeError> {
    let found = match dir.look(name) {
        Ok(None) => return Ok(None),
        Ok(Some(found)) => found,
        Err(error) => {
            tracing::warn!(%error, "a copy cannot be read");
            return Ok(Some(Err(Unreadable)));
        }
    };
    let mut facts = peek::file_facts(dir, name, &found, trusted, pulse);
    if deep {
        let path = dir.copy_path(name);
        let verified = dir::open(&path).map_err(|_| Unreadable).and_then(|file| {
            verify(&file, trusted, &mut |bytes| {
                pulse.beat();
                task.tick(bytes)
            })
            .map_err(|_| Unreadable)
        });
        match verified {
            Ok(verification) => {
                facts.sha256 = Some(verification.sha256);
                facts.condition = peek::condition_by(verification.verdict());
                if facts.condition == Condition::Intact {
                    task.add_verified(1);
                }
            }
            Err(Unreadable) if task.snapshot().cancelled => {
                return Err(VolumeError::Cancelled(crate::progress::Cancelled));
            }
            Err(Unreadable) => return Ok(Some(Err(Unreadable))),
        }
    }
    Ok(Some(Ok(facts)))
}

/// Reads what the histories hold of artifacts whose copies differ: they tell who is behind.
pub(super) fn compare_histories(
    store: &Store,
    survey: &Survey,
    rows: &mut Rows,
    task: &Task,
) -> Result<(), StoreError> {
    let contested: Vec<ArtifactName> = rows
        .iter()
        .filter(|(_, row)| row.level > Level::Presence && row.known.is_none() && disagree(row))
        .map(|(name, _)| name.clone())
        .collect();
    for batch in contested.chunks(BATCH) {
        task.checkpoint()?;
        let asked: Vec<(ArtifactName, Vec<VersionId>)> = batch
            .iter()
            .filter_map(|name| {
                let versions = &rows.get(name)?.versions;
                let copies = versions.iter().filter(|v| v.kind == VersionKind::Copy);
                Some((name.clone(), copies.map(|v| v.id).collect()))
            })
            .collect();
        let asked: Arc<[_]> = asked.into();
        let pending: Vec<_> = store
            .slots()
            .iter()
            .zip(&survey.volumes)
            .map(|(slot, view)| {
                let asked = Arc::clone(&asked);
                view.state.is_readable().then(|| {
                    slot.volume.start(Lane::Bulk, move |dir, pulse| {
                        let prints = |(name, ids): &(ArtifactName, Vec<VersionId>)| {
                            pulse.beat();
                            // One that is not here, or cannot be read, proves nothing.
                            let looks = ids
                                .iter()
                                .filter_map(|id| Some((*id, dir.look_at_version(name, *id).ok()?)));
                            looks.collect::<Vec<_>>()
                        };
                        Ok(asked.iter().map(prints).collect::<Vec<_>>())
                    })
                })
            })
            .collect();
        for (position, pending) in pending.into_iter().enumerate() {
            // A history that cannot be read leaves the copies contested.
            let answers = pending.and_then(|p| p.wait().ok()).unwrap_or_default();
            for ((name, _), prints) in asked.iter().zip(answers) {
                if let Some(row) = rows.get_mut(name).filter(|_| !prints.is_empty()) {
                    row.prints.push((index(position), prints));
                }
            }
        }
    }
    Ok(())
}

/// Whether copies at home are known to hold different bytes.
fn disagree(row: &Row) -> bool {
    let mut prints = row.copies.iter().filter_map(|d| Some(d.facts?.fingerprint));
    let first = prints.next();
    prints.any(|print| Some(print) != first)
}

fn note(row: &mut Row, volume: VolumeIndex, answer: Answer) {
    match answer.file {
        Some(Ok(facts)) => {
            for draft in row.copies.iter_mut().chain(&mut row.misplaced) {
                if draft.volume == volume {
                    draft.size = facts.fingerprint.size;
                    draft.facts = Some(facts);
                }
            }
        }
        Some(Err(Unreadable)) => row.unreadable.push(volume),
        // Gone since it was listed.
        None => {
            row.copies.retain(|draft| draft.volume != volume);
            row.misplaced.retain(|draft| draft.volume != volume);
        }
    }
    for removal in &mut row.removals {
        if removal.volume == volume {
            removal.record = answer.removal;
        }
    }
}

/// Recalls what earlier readings of every byte found of files that are the same since.
pub(super) fn recall(store: &Store, remembered: &mut Recall, rows: &mut Rows) {
    let instances: Vec<Option<&str>> = store
        .slots()
        .iter()
        .map(|slot| Some(slot.identity.as_ref()?.instance.as_str()))
        .collect();
    for (name, row) in rows {
        let Some(entry) = remembered.of(name) else {
            continue;
        };
        for draft in row.copies.iter_mut().chain(&mut row.misplaced) {
            let volume = usize::from(draft.volume.0);
            let instance = instances.get(volume).copied().flatten();
            let found = entry.copies.iter().find(|(of, check)| {
                Some(of.as_str()) == instance
                    && (check.size, check.stamp) == (draft.size, draft.stamp)
            });
            draft.earlier = found.map(|(_, check)| *check);
        }
    }
}

/// What was damaged when it was read, and is the same since, is damaged.
pub(super) fn apply_recalled(rows: &mut Rows) {
    for row in rows.values_mut() {
        for draft in row.copies.iter_mut().chain(&mut row.misplaced) {
            let read_now = draft.facts.is_some_and(|facts| facts.sha256.is_some());
            let damaged = draft.earlier.is_some_and(|check| check.sha256.is_none());
            if damaged && !read_now {
                match &mut draft.facts {
                    Some(facts) => facts.condition = Condition::Damaged,
                    None => row.unreadable.push(draft.volume),
                }
            }
        }
    }
}
