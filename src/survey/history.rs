//! The history of one artifact, merged over the replicas and with what the backups hold. Shared by
//! the command line and the console. Reading only; a backups directory that cannot be read hides
//! nothing of the volumes' histories, it is named.

use chrono::{DateTime, Local, Utc};

use super::{
    model::{Survey, VersionView},
    scan::{Scope, survey},
    timeline::{self, Current, Earlier, Held, Looked, StateId},
};
use crate::{
    backup::{self, BackupId, Catalogue, Entry, RelPath},
    maif::{Verdict, Verification},
    progress::Task,
    store::{Policy, Store, StoreError, fetch::Fetched, retention},
    volume::{ArtifactName, Fingerprint, Lane, Level, VersionId, VersionKind},
};

/// One artifact through time.
#[derive(Debug, Clone)]
pub struct History {
    pub name: ArtifactName,
    /// `None`: removed, vanished or lost.
    pub current: Option<Current>,
    /// Newest first.
    pub states: Vec<Earlier>,
    /// What could not be looked at, in words.
    pub problems: Vec<String>,
}

/// One state of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    Current,
    Earlier(StateId),
}

/// Reads the history. `level` deep verifies every version that a volume holds and knows its agent,
/// blocks and digest; quick compares sizes and footers.
pub fn history(
    store: &Store,
    name: &ArtifactName,
    level: Level,
    task: &Task,
) -> Result<History, StoreError> {
    let scope = Scope {
        level: Level::Quick,
        names: vec![name.clone()],
        ..Scope::default()
    };
    let survey = survey(store, &scope, task)?;
    history_in(store, &survey, None, name, level, task)
}

/// The history by a survey that is known; who asks for many gives a catalogue of the backups.
pub fn history_in(
    store: &Store,
    survey: &Survey,
    catalogue: Option<&Catalogue>,
    name: &ArtifactName,
    level: Level,
    task: &Task,
) -> Result<History, StoreError> {
    let mut problems = Vec::new();
    let holdings = match &store.config().backup {
        None => Vec::new(),
        Some(config) => match backup::holdings(&config.directory, name, catalogue, task) {
            Err(StoreError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) => {
                problems.push(format!("the backups are not looked at: {error}"));
                Vec::new()
            }
            Ok(holdings) => holdings,
        },
    };
    let row = survey.find(name);
    if row.is_none() && holdings.iter().all(|holding| holding.entries.is_empty()) {
        return Err(StoreError::NotFound {
            kind: "artifact",
            what: name.to_string(),
        });
    }
    let reading = Reading {
        store,
        survey,
        name,
        deep: level == Level::Deep,
    };
    let mut current = row.and_then(|row| reading.current(row));
    let mut states = Vec::new();
    for version in row.map(|row| survey.history(row)).unwrap_or_default() {
        task.checkpoint()?;
        states.push(reading.version(version));
    }
    let mut held = Vec::new();
    for holding in holdings {
        if let Some(problem) = holding.problem {
            problems.push(format!("backup {}: {problem}", holding.id));
        }
        for entry in holding.entries {
            match entry.version {
                Some(id) => add_version(&mut states, holding.id, id, entry),
                None => held.push(held_in(holding.id, entry)),
            }
        }
    }
    timeline::add_backups(&mut current, &mut states, &held);
    if level == Level::Deep {
        for state in states.iter_mut().filter(|s| s.looked.is_none()) {
            task.checkpoint()?;
            match state.place().map(|place| read(store, name, &place, task)) {
                Some(Ok(found)) => state.looked = Some(looked(&found.verification)),
                Some(Err(error)) => problems.push(error.to_string()),
                None => {}
            }
        }
    }
    keep(store, &mut states);
    timeline::settle(&mut current, &mut states);
    Ok(History {
        name: name.clone(),
        current,
        states,
        problems,
    })
}

impl History {
    /// What was current at `time`.
    pub fn at(&self, time: DateTime<Utc>) -> Result<Pick, StoreError> {
        let at = time.format("%Y-%m-%d %H:%M:%S UTC");
        let covers = |state: &&Earlier| {
            state.from.is_some_and(|from| from <= time)
                && state.until.is_some_and(|until| time < until)
        };
        if let Some(state) = self.states.iter().find(covers) {
            return Ok(Pick::Earlier(state.id));
        }
        if self.current.as_ref().is_some_and(|c| c.from <= time) {
            return Ok(Pick::Current);
        }
        // Between a removal and the next put, or before the first.
        let removed = self
            .states
            .iter()
            .find(|state| state.id.time() <= time)
            .is_some_and(|state| state.removed);
        Err(StoreError::NotFound {
            kind: "version",
            what: if removed {
                format!("{} was removed at {at}", self.name)
            } else {
                format!("nothing is known of {} at {at}", self.name)
            },
        })
    }

    /// The state that an id names, also one that is shown as one with a neighbour.
    pub fn find(&self, id: StateId) -> Option<&Earlier> {
        self.states
            .iter()
            .find(|state| state.id == id || state.also.contains(&id))
            .or_else(|| {
                let StateId::Backup(backup) = id else {
                    return None;
                };
                self.states.iter().find(|s| s.backups.contains(&backup))
            })
    }
}

struct Reading<'a> {
    store: &'a Store,
    survey: &'a Survey,
    name: &'a ArtifactName,
    deep: bool,
}

impl Reading<'_> {
    fn current(&self, row: usize) -> Option<Current> {
        let artifact = self.survey.artifacts.get(row)?;
        if artifact.removed {
            return None;
        }
        let copy = artifact.shown_copy()?;
        // What cannot be verified now is shown as the survey saw it.
        let verified = self
            .deep
            .then(|| self.store.fetch(self.name).ok())
            .flatten()
            .map(|fetched| fetched.verification);
        let written = seconds(copy.modified());
        Some(Current {
            volume: self.survey.label(copy.volume).to_owned(),
            size: copy.size,
            written,
            from: written,
            generation: copy.generation,
            print: copy
                .size
                .zip(copy.prints.check)
                .map(|(size, check)| Fingerprint { size, check }),
            sha256: verified.as_ref().map(|v| v.sha256),
            looked: verified.as_ref().map(looked),
            backups: std::collections::BTreeSet::new(),
        })
    }

    fn version(&self, version: &VersionView) -> Earlier {
        let label = self.survey.label(version.volume);
        let removed = version.kind == VersionKind::Removal;
        let slot = self.store.slot(label).filter(|_| !removed);
        let print = slot.and_then(|slot| {
            let (name, id) = (self.name.clone(), version.id);
            let look = move |dir: &crate::volume::Dir, _: &_| dir.look_at_version(&name, id);
            slot.volume.run(Lane::Short, look).ok()
        });
        let verified = slot
            .filter(|_| self.deep)
            .and_then(|slot| self.store.verify_version(slot, self.name, version.id).ok());
        Earlier {
            size: if removed { 0 } else { version.size },
            removed,
            print,
            sha256: verified.as_ref().map(|v| v.sha256),
            looked: verified.as_ref().map(looked),
            volume: Some(label.to_owned()),
            volumes: version.volumes,
            ..Earlier::new(StateId::Version(version.id), seconds(version.written))
        }
    }
}

fn looked(verification: &Verification) -> Looked {
    Looked {
        intact: verification.verdict() == Verdict::Intact,
        agent_did: verification.agent_did(),
        blocks: verification.block_types.len(),
    }
}

fn seconds(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

/// A version that a backup holds too, or that it alone still holds.
fn add_version(states: &mut Vec<Earlier>, backup: BackupId, id: VersionId, entry: Entry) {
    let print = entry.fingerprint();
    let known = states
        .iter_mut()
        .find(|state| state.id == StateId::Version(id) && state.removed == entry.removed);
    match known {
        Some(state) if state.removed || state.print.is_none_or(|known| known == print) => {
            if !state.removed {
                state.print = Some(print);
                state.sha256 = state.sha256.or(Some(entry.sha256));
            }
            state.seen_in(backup, entry.path);
        }
        // The same id with other bytes: both are shown.
        _ => states.push(Earlier {
            removed: entry.removed,
            size: if entry.removed { 0 } else { entry.size },
            print: (!entry.removed).then_some(print),
            sha256: (!entry.removed).then_some(entry.sha256),
            backups: std::collections::BTreeSet::from([backup]),
            in_backup: Some((backup, entry.path)),
            ..Earlier::new(StateId::Version(id), seconds(entry.mtime))
        }),
    }
}

fn held_in(backup: BackupId, entry: Entry) -> Held {
    Held {
        backup,
        size: entry.size,
        written: seconds(entry.mtime),
        print: entry.fingerprint(),
        sha256: entry.sha256,
        path: entry.path,
    }
}

/// Which rule of the configured policy keeps each version that the volumes hold.
fn keep(store: &Store, states: &mut [Earlier]) {
    let mut versions: Vec<&mut Earlier> = states
        .iter_mut()
        .filter(|state| state.volume.is_some() && !state.removed)
        .collect();
    let config = store.config();
    let kept = retention::apply_to_history(
        &Policy::from(&config.versions),
        &versions,
        |state| state.id.time(),
        config.store.undo_window,
        store.clock().now(),
        &Local,
    );
    // Without a policy all are kept, and by no rule.
    for (state, reasons) in versions.iter_mut().zip(kept.unwrap_or_default()) {
        state.kept_by = reasons;
    }
}

/// Where the bytes of a state are: a version of a volume, or a file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Volume(VersionId),
    Backup(BackupId, RelPath),
}

impl Earlier {
    /// The volumes first. `None` for a removal.
    pub fn place(&self) -> Option<Place> {
        if self.removed {
            return None;
        }
        if self.volume.is_some()
            && let Some(id) = std::iter::once(self.id)
                .chain(self.also.iter().copied())
                .find_map(|id| match id {
                    StateId::Version(id) => Some(id),
                    StateId::Backup(_) => None,
                })
        {
            return Some(Place::Volume(id));
        }
        let (backup, path) = self.in_backup.clone()?;
        Some(Place::Backup(backup, path))
    }
}

/// Reads and verifies the bytes of a state.
pub fn read(
    store: &Store,
    name: &ArtifactName,
    place: &Place,
    task: &Task,
) -> Result<Fetched, StoreError> {
    match place {
        Place::Volume(id) => store.fetch_version(name, *id),
        Place::Backup(id, path) => {
            let Some(config) = &store.config().backup else {
                return Err(StoreError::Usage(
                    "no [backup] directory is configured".to_owned(),
                ));
            };
            backup::read_file(&config.directory, *id, path, task)
        }
    }
}

/// Reads and verifies a state by its id, wherever it is.
pub fn read_by_id(
    store: &Store,
    name: &ArtifactName,
    id: StateId,
    catalogue: Option<&Catalogue>,
    task: &Task,
) -> Result<Fetched, StoreError> {
    if let StateId::Version(version) = id {
        match store.fetch_version(name, version) {
            // Perhaps a backup has it.
            Err(StoreError::NotFound { .. }) => {}
            fetched => return fetched,
        }
    }
    let holdings = match &store.config().backup {
        Some(config) => backup::holdings(&config.directory, name, catalogue, task)?,
        None => Vec::new(),
    };
    let is_it = |holding: BackupId, entry: &Entry| match id {
        StateId::Version(id) => entry.version == Some(id) && !entry.removed,
        StateId::Backup(id) => holding == id && entry.version.is_none(),
    };
    let place = holdings.into_iter().rev().find_map(|holding| {
        let entry = holding.entries.into_iter().find(|e| is_it(holding.id, e))?;
        Some((holding.id, entry.path))
    });
    let Some((backup, path)) = place else {
        return Err(StoreError::NotFound {
            kind: "version",
            what: format!("{id} of {name}"),
        });
    };
    read(store, name, &Place::Backup(backup, path), task)
}
