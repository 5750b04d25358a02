//! Undo: the current copies that a job replaced or removed come back, and what it pruned comes back
//! from the trash. Versions that it added stay, and so does everything that was changed since. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{
    Expectations, Expected, Intent, Plan, Source, SpaceNeed, Step, Summary,
    restore_backup::{expected, was},
};
use crate::{
    backup::BackupId,
    survey::{ArtifactView, CopyState, Survey, VolumeState},
    volume::{ArtifactName, Fingerprint, VersionId},
};

/// A version that was looked at: a volume that holds it, and what its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownVersion {
    pub id: VersionId,
    pub volume: String,
    pub fingerprint: Fingerprint,
}

/// Histories of the artifacts that a job touched, newest first.
pub type KnownVersions = BTreeMap<ArtifactName, Vec<KnownVersion>>;

/// What a job left in the trash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InTrash {
    /// On any volume of the artifact's home.
    pub versions: BTreeSet<(ArtifactName, VersionId)>,
    pub backups: BTreeSet<BackupId>,
}

/// What an undo is planned with, beside the survey.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub histories: KnownVersions,
    pub trash: InTrash,
}

/// The artifacts whose current copies or histories the steps of a job changed.
pub fn touched<'a>(steps: impl Iterator<Item = &'a Step>) -> BTreeSet<ArtifactName> {
    steps
        .filter_map(|step| match step {
            Step::Put { name, .. }
            | Step::Remove { name, .. }
            | Step::TrashVersions { name, .. } => Some(name.clone()),
            _ => None,
        })
        .collect()
}

/// Plans the undoing of a job. `done` are the steps of its plan that were done.
pub fn undo<'a>(
    survey: &Survey,
    store: &str,
    job: &str,
    done: impl Iterator<Item = &'a Step>,
    known: &Known,
    home_of: impl Fn(&ArtifactName) -> usize,
    now: DateTime<Utc>,
) -> Plan {
    let mut draft = Draft {
        survey,
        known,
        job,
        steps: Vec::new(),
        summary: Summary::default(),
        needs: vec![0; survey.volumes.len()],
        returned: (0, 0),
    };
    let mut copies = 0u64;
    for step in done {
        match step {
            Step::Put {
                name,
                size,
                check,
                expect,
                was,
                ..
            } => {
                let made = Fingerprint {
                    size: *size,
                    check: *check,
                };
                draft.back(name, Some(made), (expect, was), home_of(name));
            }
            Step::Remove { name, expect, was } => {
                draft.back(name, None, (expect, was), home_of(name));
            }
            Step::Copy { .. } => copies += 1,
            Step::RetireBackup { id, .. } => draft.backup_back(*id),
            Step::TrashVersions { name, ids, .. } => {
                draft.versions_back(name, ids, home_of(name));
            }
            Step::Version { .. }
            | Step::MendVersion { .. }
            | Step::Move { .. }
            | Step::Admit { .. }
            | Step::Layout { .. }
            | Step::Mark { .. }
            | Step::Seal
            | Step::ReturnVersions { .. }
            | Step::ReturnBackup { .. }
            | Step::FreeTrash { .. } => {}
        }
    }
    if copies > 0 {
        draft.summary.skipped.push(format!(
            "{copies} copies were made equal to the right one; what they replaced is in the trash"
        ));
    }
    for (count, what) in [
        (draft.returned.0, "versions"),
        (draft.returned.1, "backups"),
    ] {
        if count > 0 {
            let note = format!("from the trash come back: {count} {what}");
            draft.summary.notes.push(note);
        }
    }
    draft.summary.space = SpaceNeed::of(survey, &draft.needs);
    let intent = Intent::Undo {
        job: job.to_owned(),
    };
    Plan::new(store.to_owned(), intent, now, draft.steps, draft.summary)
}

struct Draft<'a> {
    survey: &'a Survey,
    known: &'a Known,
    job: &'a str,
    steps: Vec<Step>,
    summary: Summary,
    needs: Vec<u64>,
    /// Versions and backups that come back from the trash.
    returned: (u64, u64),
}

impl Draft<'_> {
    /// `made`: what the step left behind; `None` for a removal.
    fn back(
        &mut self,
        name: &ArtifactName,
        made: Option<Fingerprint>,
        (expect, was_then): (&Expectations, &Expected),
        home: usize,
    ) {
        let artifact = self
            .survey
            .find(name)
            .and_then(|row| self.survey.artifacts.get(row));
        let now = current(artifact);
        let before = match before_of(expect, was_then) {
            Ok(before) => before,
            Err(why) => {
                self.summary.skipped.push(format!("{name}: {why}"));
                return;
            }
        };
        if now == Current::Is(before) {
            self.summary.same += 1;
            return;
        }
        if now != Current::Is(made) {
            self.summary
                .skipped
                .push(format!("{name} was changed since; it stays as it is"));
            return;
        }
        let expect = self.expect(artifact, home);
        let Some(before) = before else {
            self.summary.removes += 1;
            self.summary.archives += 1;
            self.steps.push(Step::Remove {
                name: name.clone(),
                expect,
                was: artifact.map_or(Expected::Anything, was),
            });
            return;
        };
        let known = self
            .known
            .histories
            .get(name)
            .and_then(|versions| versions.iter().find(|v| v.fingerprint == before));
        let Some(version) = known else {
            self.summary
                .skipped
                .push(format!("{name}: its copy from before is in no history"));
            return;
        };
        if made.is_some() {
            self.summary.replaced += 1;
        } else {
            self.summary.added += 1;
        }
        for (position, volume) in self.survey.volumes.iter().enumerate() {
            let writable = matches!(volume.state, VolumeState::Ok | VolumeState::Joining);
            if usize::from(volume.partition) != home || !writable {
                continue;
            }
            if let Some(needed) = self.needs.get_mut(position) {
                *needed += before.size;
            }
            self.summary.bytes += before.size;
            self.summary.copies += 1;
            if made.is_some() {
                self.summary.replaces += 1;
                self.summary.archives += 1;
            }
        }
        self.steps.push(Step::Put {
            name: name.clone(),
            source: Source::Version {
                volume: version.volume.clone(),
                name: name.clone(),
                id: version.id,
            },
            size: before.size,
            check: before.check,
            expect,
            was: artifact.map_or(Expected::Anything, was),
        });
    }

    /// Versions that were pruned: those that are still in the trash.
    fn versions_back(&mut self, name: &ArtifactName, ids: &[VersionId], home: usize) {
        let mut volumes = self.survey.volumes.iter();
        let away = volumes.find(|volume| {
            usize::from(volume.partition) == home
                && !matches!(volume.state, VolumeState::Ok | VolumeState::Joining)
        });
        if let Some(volume) = away {
            let (label, state) = (&volume.label, volume.state.word());
            let why = format!("{name}: {label} is {state}; its trash is out of reach");
            self.summary.skipped.push(why);
            return;
        }
        let row = self.survey.find(name);
        let there = row.map(|row| self.survey.history(row)).unwrap_or_default();
        let waits = |id: &&VersionId| self.known.trash.versions.contains(&(name.clone(), **id));
        let (back, others): (Vec<VersionId>, Vec<VersionId>) = ids.iter().partition(|id| waits(id));
        for id in others {
            if there.iter().any(|version| version.id == id) {
                self.summary.same += 1;
            } else {
                let why = format!("version {id} of {name} was freed from the trash");
                self.summary.skipped.push(why);
            }
        }
        if !back.is_empty() {
            self.returned.0 += back.len() as u64;
            self.steps.push(Step::ReturnVersions {
                name: name.clone(),
                ids: back,
                job: self.job.to_owned(),
            });
        }
    }

    /// A backup that was retired, when it is still in the trash.
    fn backup_back(&mut self, id: BackupId) {
        if self.known.trash.backups.contains(&id) {
            self.returned.1 += 1;
            self.steps.push(Step::ReturnBackup {
                id,
                job: self.job.to_owned(),
            });
        } else {
            let why = format!("backup {id} is not in the trash any more");
            self.summary.skipped.push(why);
        }
    }

    fn expect(&self, artifact: Option<&ArtifactView>, home: usize) -> Expectations {
        let copies = artifact
            .map(|artifact| &*artifact.copies)
            .unwrap_or_default();
        self.survey
            .volumes
            .iter()
            .enumerate()
            .filter(|(_, volume)| usize::from(volume.partition) == home)
            .map(|(position, volume)| {
                let copy = copies.iter().find(|copy| {
                    usize::from(copy.volume.0) == position && copy.state != CopyState::Misplaced
                });
                let expected = match copy {
                    Some(copy) => expected(copy),
                    None if volume.state.is_readable() => Expected::Absent,
                    None => Expected::Anything,
                };
                (volume.label.to_string(), expected)
            })
            .collect()
    }
}

/// What is current now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Current {
    /// These bytes, or nothing.
    Is(Option<Fingerprint>),
    Unclear,
}

fn current(artifact: Option<&ArtifactView>) -> Current {
    let Some(artifact) = artifact.filter(|artifact| !artifact.removed) else {
        return Current::Is(None);
    };
    let right = artifact
        .reference
        .as_ref()
        .and_then(|reference| {
            let volume = reference.volume;
            artifact.copies.iter().find(|copy| copy.volume == volume)
        })
        .and_then(|copy| copy.size.zip(copy.prints.check));
    match right {
        Some((size, check)) => Current::Is(Some(Fingerprint { size, check })),
        None => Current::Unclear,
    }
}

/// What was current before: what the step says, else the one content that it found.
fn before_of(expect: &Expectations, was: &Expected) -> Result<Option<Fingerprint>, &'static str> {
    match was {
        Expected::Anything | Expected::Unseen => {}
        Expected::Absent => return Ok(None),
        Expected::File { size, check } => {
            return Ok(Some(Fingerprint {
                size: *size,
                check: *check,
            }));
        }
    }
    let mut found: Vec<Fingerprint> = expect
        .iter()
        .filter_map(|(_, expected)| match expected {
            Expected::File { size, check } => Some(Fingerprint {
                size: *size,
                check: *check,
            }),
            Expected::Absent | Expected::Anything | Expected::Unseen => None,
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => Err("its copies differed before; choose one of its versions"),
    }
}
