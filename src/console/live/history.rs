//! The history of an artifact as the Versions pane shows it, and its states: read and compared.

use super::{Live, inspect, lock, words};
use crate::{
    backup::{BackupId, manifest},
    console::backend::{Compared, EntryId, HeldArtifact, HistoryEntry, Inspection},
    maif::{
        Reader,
        diff::{Side, diff},
    },
    planner,
    progress::Task,
    report::{self, Line, Tone},
    store::{Store, StoreError, fetch::Fetched},
    survey::{
        self, History, StateId, Survey,
        history::read_by_id,
        timeline::{Current, Earlier, Looked},
    },
    volume::{ArtifactName, Level, Pulse, fault},
};

/// Histories up to this size are read to the last byte when they are shown: then agent, blocks,
/// digest and verdict of every version are known. Of larger ones sizes and footers are compared,
/// and digests are those in the backups' manifests.
const READ_WHOLE: u64 = 64 << 20;

impl Live {
    pub(super) fn history_of(&self, name: &ArtifactName) -> Result<Vec<HistoryEntry>, String> {
        let store = self.current();
        let Some(survey) = lock(&self.memory).survey.clone() else {
            return Ok(Vec::new());
        };
        let level = if bytes_of(&survey, name) > READ_WHOLE {
            Level::Quick
        } else {
            Level::Deep
        };
        let catalogue = Some(&self.catalogue);
        let found = survey::history_in(&store, &survey, catalogue, name, level, &Task::new());
        let found = found.map_err(|error| words(&error))?;
        for problem in &found.problems {
            tracing::warn!(%name, %problem, "a history is not whole");
        }
        Ok(entries(&found, replicas_of(&survey, &store, name)))
    }

    pub(super) fn look_at(
        &self,
        name: &ArtifactName,
        state: Option<StateId>,
    ) -> Result<Inspection, StoreError> {
        fault::point("console.inspect").map_err(|error| StoreError::Failed(error.to_string()))?;
        let what = state.map_or_else(|| "current copy".to_owned(), |id| format!("version {id}"));
        let found = self.read(&self.current(), name, state)?;
        let what = format!("{what} on {}", found.volume);
        Ok(inspect::inspection(name, &what, &found)?)
    }

    fn read(
        &self,
        store: &Store,
        name: &ArtifactName,
        state: Option<StateId>,
    ) -> Result<Fetched, StoreError> {
        let Some(id) = state else {
            return store.fetch(name);
        };
        read_by_id(store, name, id, Some(&self.catalogue), &Task::new())
    }

    pub(super) fn differences(&self, what: &Compared) -> Result<Vec<Line>, StoreError> {
        let store = self.current();
        match what {
            Compared::States { name, a, b } => {
                let a = self.read(&store, name, *a)?;
                of_files(&a, &self.read(&store, name, *b)?)
            }
            Compared::Copies { name, volumes } => {
                let mut copies = volumes
                    .iter()
                    .map(|label| (label, store.fetch_from(name, label)));
                let Some((first, reference)) = copies.next() else {
                    return Ok(Vec::new());
                };
                let reference = reference?;
                let mut lines = Vec::new();
                for (label, copy) in copies {
                    lines.push(report::difference::line(
                        Tone::Head,
                        format!("{first} against {label}"),
                    ));
                    match copy {
                        Ok(copy) => lines.extend(of_files(&reference, &copy)?),
                        Err(error) => {
                            lines.push(report::difference::line(Tone::Removed, error.to_string()));
                        }
                    }
                }
                Ok(lines)
            }
            Compared::Backup(id) => {
                let id = id.to_string();
                let backup = planner::find(&store, &id)?;
                let found = planner::backup_diff(&store, &backup, None, &Task::new())?;
                Ok(report::difference::backups(&found, &id, "the store now"))
            }
        }
    }

    pub(super) fn held_in(&self, backup: BackupId) -> Result<Vec<HeldArtifact>, StoreError> {
        let view = planner::find(&self.current(), &backup.to_string())?;
        let mut held: Vec<HeldArtifact> = Vec::new();
        manifest::read_entries(&view.path, &Pulse::default(), &mut |entry| {
            let (size, versions) = match entry.version {
                None => (Some(entry.size), 0),
                Some(_) => (None, 1),
            };
            held.push(HeldArtifact {
                name: entry.name,
                size,
                versions,
            });
            Ok(())
        })?;
        held.sort_by(|a, b| a.name.cmp(&b.name));
        held.dedup_by(|other, first| {
            let same = other.name == first.name;
            if same {
                first.size = first.size.or(other.size);
                first.versions += other.versions;
            }
            same
        });
        Ok(held)
    }
}

/// How two verified files differ; no lines: they do not.
fn of_files(a: &Fetched, b: &Fetched) -> Result<Vec<Line>, StoreError> {
    if a.verification.sha256 == b.verification.sha256 {
        return Ok(Vec::new());
    }
    let readers = (Reader::open(&a.file)?, Reader::open(&b.file)?);
    let found = diff(
        Side {
            reader: &readers.0,
            signer: a.verification.signer.as_ref(),
        },
        Side {
            reader: &readers.1,
            signer: b.verification.signer.as_ref(),
        },
    )?;
    Ok(report::difference::files(&found))
}

/// What an artifact takes on one replica, as the survey knows it.
fn bytes_of(survey: &Survey, name: &ArtifactName) -> u64 {
    let Some(row) = survey.find(name) else {
        return 0;
    };
    let copy = survey.artifacts.get(row).and_then(|a| a.shown_copy()?.size);
    let versions = survey.history(row).iter().map(|version| version.size);
    copy.unwrap_or(0) + versions.sum::<u64>()
}

/// How many volumes of its home hold the current copy, and how many should.
fn replicas_of(survey: &Survey, store: &Store, name: &ArtifactName) -> (u16, u16) {
    let narrow = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let should = narrow(store.replicas(store.home(name)).count());
    let artifact = survey.find(name).and_then(|row| survey.artifacts.get(row));
    let Some((artifact, copy)) = artifact.and_then(|a| Some((a, a.shown_copy()?))) else {
        return (0, should);
    };
    let same = artifact
        .copies
        .iter()
        .filter(|other| other.prints.check.is_some() && other.prints.check == copy.prints.check);
    (narrow(same.count()), should)
}

/// Newest first: the current copy, then what was before.
fn entries(history: &History, (held, should): (u16, u16)) -> Vec<HistoryEntry> {
    let current = history.current.as_ref().map(|c| now(c, (held, should)));
    let earlier = history.states.iter().map(|state| before(state, should));
    let mut entries: Vec<HistoryEntry> = current.into_iter().chain(earlier).collect();
    let sizes: Vec<u64> = entries.iter().map(|entry| entry.size).collect();
    for (entry, older) in entries.iter_mut().zip(sizes.iter().skip(1)) {
        entry.change = i64::try_from(entry.size)
            .ok()
            .zip(i64::try_from(*older).ok())
            .map(|(new, old)| new - old);
    }
    entries
}

fn now(copy: &Current, copies: (u16, u16)) -> HistoryEntry {
    HistoryEntry {
        current_from: Some(copy.from),
        size: copy.size.unwrap_or(0),
        sha256: copy.sha256,
        volume: Some(copy.volume.clone()),
        backups: copy.backups.iter().rev().copied().collect(),
        ..entry(EntryId::Current, copy.written, copy.looked.as_ref(), copies)
    }
}

fn before(state: &Earlier, should: u16) -> HistoryEntry {
    let id = if state.removed {
        EntryId::Removed(state.id)
    } else {
        EntryId::Earlier(state.id)
    };
    let copies = (state.volumes, should);
    HistoryEntry {
        current_from: state.from.or(state.removed.then(|| state.id.time())),
        current_until: state.until,
        size: state.size,
        sha256: state.sha256,
        volume: state.volume.clone(),
        backups: state.backups.iter().rev().copied().collect(),
        kept_by: report::kept_by(&state.kept_by),
        same_as: state.same_as.clone(),
        also: state.also.len(),
        ..entry(id, state.written, state.looked.as_ref(), copies)
    }
}

fn entry(
    id: EntryId,
    written: chrono::DateTime<chrono::Utc>,
    looked: Option<&Looked>,
    copies: (u16, u16),
) -> HistoryEntry {
    HistoryEntry {
        id,
        current_from: None,
        current_until: None,
        written,
        size: 0,
        change: None,
        sha256: None,
        agent: looked.and_then(|looked| looked.agent_did.clone()),
        blocks: looked.map(|looked| u32::try_from(looked.blocks).unwrap_or(u32::MAX)),
        intact: looked.map(|looked| looked.intact),
        volume: None,
        copies,
        backups: Vec::new(),
        kept_by: Vec::new(),
        same_as: None,
        also: 0,
    }
}
