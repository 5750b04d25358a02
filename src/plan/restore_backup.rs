//! Restore of a backup: the store (or the named artifacts) as the backup holds them. Pure.
//!
//! What is current is archived before it is replaced, histories are merged and never shortened, so
//! nothing becomes unrecoverable. `exact` also removes what the backup does not hold, archived and
//! marked, as far as the operator's limit allows.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{
    Expected, Intent, Plan, RestoreMode, Source, SpaceNeed, Step, Summary, homecoming::Homecoming,
};
use crate::{
    backup::{BackupId, Entry},
    survey::{ArtifactView, CopyState, CopyView, Survey, VolumeState},
    volume::{ArtifactName, VersionKind},
};

/// What of a restore the operator decides.
#[derive(Debug, Clone)]
pub struct RestoreChoice<'a> {
    pub backup: BackupId,
    pub mode: RestoreMode,
    /// Only these; all when empty.
    pub names: &'a [ArtifactName],
    /// At most this share of the artifacts may be removed, in percent.
    pub max_remove: u8,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRefused {
    #[error("backup {backup} does not hold {name}")]
    NotInBackup {
        backup: BackupId,
        name: ArtifactName,
    },
    #[error(
        "exact would remove {removes} of {artifacts} artifacts, more than {limit} %; restore with \
         --mode merge, or raise --max-remove"
    )]
    TooManyRemovals {
        removes: usize,
        artifacts: usize,
        limit: u8,
    },
}

/// Plans a restore from a survey of level quick or deep and the backup's entries.
pub fn restore_backup(
    survey: &Survey,
    store: &str,
    choice: &RestoreChoice<'_>,
    entries: &[Entry],
    home_of: impl Fn(&ArtifactName) -> usize,
    now: DateTime<Utc>,
) -> Result<Plan, RestoreRefused> {
    let wanted = |name: &ArtifactName| choice.names.is_empty() || choice.names.contains(name);
    let held: BTreeSet<&ArtifactName> = entries
        .iter()
        .filter(|entry| entry.version.is_none())
        .map(|entry| &entry.name)
        .collect();
    if let Some(name) = choice.names.iter().find(|name| !held.contains(name)) {
        return Err(RestoreRefused::NotInBackup {
            backup: choice.backup,
            name: name.clone(),
        });
    }
    let mut draft = Draft {
        survey,
        backup: choice.backup,
        steps: Vec::new(),
        summary: Summary::default(),
        needs: vec![0; survey.volumes.len()],
    };
    // Versions first: whatever happens later, no history is the poorer for it.
    for entry in entries
        .iter()
        .filter(|e| e.version.is_some() && wanted(&e.name))
    {
        draft.version(entry, home_of(&entry.name));
    }
    for entry in entries
        .iter()
        .filter(|e| e.version.is_none() && wanted(&e.name))
    {
        draft.current(entry, home_of(&entry.name));
    }
    if choice.mode == RestoreMode::Exact && choice.names.is_empty() {
        let there = survey
            .artifacts
            .iter()
            .filter(|a| !a.removed && !a.vanished);
        let surplus: Vec<&ArtifactView> = there
            .clone()
            .filter(|artifact| !held.contains(&artifact.name))
            .collect();
        let artifacts = there.count();
        if surplus.len() * 100 > artifacts * usize::from(choice.max_remove) {
            return Err(RestoreRefused::TooManyRemovals {
                removes: surplus.len(),
                artifacts,
                limit: choice.max_remove,
            });
        }
        for artifact in surplus {
            draft.remove(artifact);
        }
    }
    draft.summary.space = SpaceNeed::of(survey, &draft.needs);
    let intent = Intent::BackupRestore {
        backup: choice.backup,
        mode: choice.mode,
        names: choice.names.to_vec(),
    };
    Ok(Plan::new(
        store.to_owned(),
        intent,
        now,
        draft.steps,
        draft.summary,
    ))
}

struct Draft<'a> {
    survey: &'a Survey,
    backup: BackupId,
    steps: Vec<Step>,
    summary: Summary,
    needs: Vec<u64>,
}

/// What a step expects of a copy.
pub fn expected(copy: &CopyView) -> Expected {
    match (copy.state, copy.size, copy.prints.check) {
        // Not seen, or seen while its bytes could not be had.
        (CopyState::Unreachable, ..) | (_, Some(_), None) => Expected::Anything,
        (_, Some(size), Some(check)) => Expected::File { size, check },
        (_, None, _) => Expected::Absent,
    }
}

/// Whether a removal counts more than the copy that is there: in a store that was made anew,
/// generations began anew too.
fn would_hide(removal: &Entry, artifact: &ArtifactView) -> bool {
    let reference = artifact.reference.as_ref().filter(|_| !artifact.removed);
    let current = reference.and_then(|reference| reference.generation);
    current.is_some_and(|current| removal.generation.is_none_or(|removed| removed > current))
}

/// What is current of an artifact whose copies differ, as far as that can be said: the replica that
/// is behind is not what an undo goes back to.
pub fn was(artifact: &ArtifactView) -> Expected {
    let at_home = || {
        let copies = artifact.copies.iter();
        copies.filter(|copy| copy.state != CopyState::Misplaced)
    };
    let mut states = at_home().map(expected).filter(|e| *e != Expected::Anything);
    let first = states.next();
    if states.all(|other| Some(&other) == first.as_ref()) {
        return Expected::Anything;
    }
    if artifact.removed {
        return Expected::Absent;
    }
    let reference = artifact.reference.as_ref();
    reference
        .and_then(|reference| at_home().find(|copy| copy.volume == reference.volume))
        .map_or(Expected::Anything, expected)
}

impl Draft<'_> {
    fn source(&self, entry: &Entry) -> Source {
        Source::Backup {
            id: self.backup,
            path: entry.path.clone(),
            sha256: Some(entry.sha256),
        }
    }

    /// Volumes of a partition that can be written, by position.
    fn volumes(&self, home: usize) -> Vec<usize> {
        self.survey
            .volumes
            .iter()
            .enumerate()
            .filter(|(_, volume)| {
                usize::from(volume.partition) == home
                    && matches!(volume.state, VolumeState::Ok | VolumeState::Joining)
            })
            .map(|(position, _)| position)
            .collect()
    }

    fn need(&mut self, position: usize, bytes: u64) {
        if let Some(needed) = self.needs.get_mut(position) {
            *needed += bytes;
        }
        self.summary.bytes += bytes;
    }

    /// What lies elsewhere comes home first; what its home holds then.
    fn bring_home(&mut self, artifact: &ArtifactView) -> Option<Expected> {
        let coming = Homecoming::of(self.survey, artifact)?;
        self.summary.bytes += coming.add_to(&mut self.needs);
        self.summary.copies += coming.copies;
        self.steps.push(coming.step);
        Some(coming.then)
    }

    fn version(&mut self, entry: &Entry, home: usize) {
        let Some(id) = entry.version else { return };
        let kind = if entry.removed {
            VersionKind::Removal
        } else {
            VersionKind::Copy
        };
        let volumes = self.volumes(home);
        let row = self.survey.find(&entry.name);
        let known = row
            .map(|row| self.survey.history(row))
            .unwrap_or_default()
            .iter()
            .find(|version| version.id == id && version.kind == kind)
            .map_or(0, |version| usize::from(version.volumes));
        if known >= volumes.len() {
            return;
        }
        let artifact = row.and_then(|row| self.survey.artifacts.get(row));
        if entry.removed && artifact.is_some_and(|artifact| would_hide(entry, artifact)) {
            self.summary.notes.push(format!(
                "the removal {id} is not added to the history of {}: it would hide the copy that \
                 is there",
                entry.name
            ));
            return;
        }
        for position in volumes {
            self.need(position, entry.size);
            let to = self
                .survey
                .volumes
                .get(position)
                .map_or_else(String::new, |volume| volume.label.to_string());
            self.steps.push(Step::Version {
                name: entry.name.clone(),
                id,
                removal: entry.removed,
                source: self.source(entry),
                to,
                size: entry.size,
            });
        }
    }

    fn current(&mut self, entry: &Entry, home: usize) {
        let artifact = self
            .survey
            .find(&entry.name)
            .and_then(|row| self.survey.artifacts.get(row));
        let copies: Vec<CopyView> = artifact
            .map(|artifact| {
                let at_home = |copy: &&CopyView| copy.state != CopyState::Misplaced;
                artifact.copies.iter().filter(at_home).cloned().collect()
            })
            .unwrap_or_default();
        // A volume that cannot be seen cannot be restored either: what counts is the others.
        let mut seen = copies.iter().filter(|c| c.state != CopyState::Unreachable);
        let same = |copy: &CopyView| {
            copy.state == CopyState::Ok
                && copy.size == Some(entry.size)
                && copy.prints.check == Some(entry.check)
        };
        if artifact.is_some_and(|a| !a.removed && a.reference.is_some()) && seen.all(same) {
            self.summary.same += 1;
            return;
        }
        if artifact.is_some_and(|a| !a.removed && !a.vanished) {
            self.summary.replaced += 1;
        } else {
            self.summary.added += 1;
        }
        let then = artifact.and_then(|artifact| self.bring_home(artifact));
        let mut expect = Vec::new();
        for (position, volume) in self.survey.volumes.iter().enumerate() {
            if usize::from(volume.partition) != home {
                continue;
            }
            let copy = copies.iter().find(|c| usize::from(c.volume.0) == position);
            let expectation = match copy {
                _ if then.is_some() => then.clone().unwrap_or(Expected::Anything),
                Some(copy) => expected(copy),
                None if volume.state.is_readable() => Expected::Absent,
                None => Expected::Anything,
            };
            expect.push((volume.label.to_string(), expectation));
        }
        for position in self.volumes(home) {
            self.need(position, entry.size);
            self.summary.copies += 1;
            let there = copies
                .iter()
                .any(|c| usize::from(c.volume.0) == position && c.size.is_some());
            if there {
                self.summary.replaces += 1;
                self.summary.archives += 1;
            }
        }
        self.steps.push(Step::Put {
            name: entry.name.clone(),
            source: self.source(entry),
            size: entry.size,
            check: entry.check,
            expect,
            was: artifact.map_or(Expected::Anything, was),
        });
    }

    fn remove(&mut self, artifact: &ArtifactView) {
        let then = self.bring_home(artifact);
        self.summary.removes += 1;
        self.summary.archives += 1;
        self.steps.push(Step::Remove {
            name: artifact.name.clone(),
            expect: artifact
                .copies
                .iter()
                .filter(|copy| copy.state != CopyState::Misplaced)
                .map(|copy| {
                    let expected = then.clone().unwrap_or_else(|| expected(copy));
                    (self.survey.label(copy.volume).to_owned(), expected)
                })
                .collect(),
            was: was(artifact),
        });
    }
}
