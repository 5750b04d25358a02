//! What listings tell of each artifact, row by row, while a survey is made; and which rows stay as
//! they were in the survey before.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    progress::Task,
    store::{Store, judge::FileFacts},
    survey::{
        checked::Check,
        model::{ArtifactView, CopyView, Reference, Stamp, Survey, VersionView, VolumeIndex},
        parts::Part,
    },
    volume::{ArtifactName, Fingerprint, Level, Record, VersionId, VersionKind},
};

/// One copy while the survey is being made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft {
    pub(super) volume: VolumeIndex,
    pub(super) size: u64,
    pub(super) stamp: Stamp,
    pub(super) facts: Option<FileFacts>,
    /// What an earlier reading of every byte found, the file being the same since.
    pub(super) earlier: Option<Check>,
}

/// A removal in a volume's history, and its record once it has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removal {
    pub(super) volume: VolumeIndex,
    pub(super) id: VersionId,
    pub(super) record: Option<Record>,
}

/// One artifact while the survey is being made.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) home: usize,
    pub(super) copies: Vec<Draft>,
    pub(super) misplaced: Vec<Draft>,
    /// The newest removal of each volume's history.
    pub(super) removals: Vec<Removal>,
    pub(super) versions: Vec<VersionView>,
    /// What the versions on each volume hold; read where copies disagree.
    pub(super) prints: Vec<(VolumeIndex, Vec<(VersionId, Fingerprint)>)>,
    /// Volumes where the file is there but cannot be read.
    pub(super) unreadable: Vec<VolumeIndex>,
    pub(super) backup: Option<Arc<str>>,
    pub(super) level: Level,
    /// Where the survey before has it, unchanged.
    pub(super) known: Option<usize>,
}

pub(super) type Rows = BTreeMap<ArtifactName, Row>;

pub(super) fn index(position: usize) -> VolumeIndex {
    VolumeIndex(u16::try_from(position).unwrap_or(u16::MAX))
}

/// The row of a name, made when it is new.
pub(super) fn row<'a>(store: &Store, rows: &'a mut Rows, name: &ArtifactName) -> &'a mut Row {
    // Looked up first, so that a name is cloned once and not once a replica.
    if !rows.contains_key(name) {
        let row = Row {
            home: store.home(name),
            level: Level::Presence,
            ..Row::default()
        };
        rows.insert(name.clone(), row);
    }
    rows.entry(name.clone()).or_default()
}

pub(super) fn merge(store: &Store, part: &Part<'_>) -> Rows {
    let mut rows = Rows::new();
    for (position, ((copies, versions), slot)) in part.listed.iter().zip(store.slots()).enumerate()
    {
        let volume = index(position);
        for copy in *copies {
            let row = row(store, &mut rows, &copy.name);
            let draft = Draft {
                volume,
                size: copy.size,
                stamp: copy.stamp,
                facts: None,
                earlier: None,
            };
            if row.home == slot.partition {
                row.copies.push(draft);
            } else {
                row.misplaced.push(draft);
            }
        }
        for version in *versions {
            let row = row(store, &mut rows, &version.name);
            // Newest first within a name, so the first one of a volume is its newest.
            if version.kind == VersionKind::Removal
                && row.removals.last().is_none_or(|last| last.volume != volume)
            {
                row.removals.push(Removal {
                    volume,
                    id: version.id,
                    record: None,
                });
            }
            let known = row
                .versions
                .iter_mut()
                .find(|v| v.id == version.id && v.kind == version.kind);
            let at_home = u16::from(row.home == slot.partition);
            let stray = (at_home == 0).then_some(volume);
            match known {
                Some(known) => {
                    known.volumes += 1;
                    known.at_home += at_home;
                    known.stray = known.stray.or(stray);
                }
                None => row.versions.push(VersionView {
                    at_home,
                    stray,
                    artifact: 0,
                    id: version.id,
                    kind: version.kind,
                    size: version.size,
                    written: version.modified,
                    volume,
                    volumes: 1,
                }),
            }
        }
    }
    for (name, backup) in part.known {
        row(store, &mut rows, name).backup = Some(Arc::clone(backup));
    }
    for row in rows.values_mut() {
        row.versions
            .sort_unstable_by_key(|v| std::cmp::Reverse((v.id, v.kind)));
    }
    rows
}

/// Whether rows of one survey can stand for rows of the other: the same volumes in the same states,
/// looked at as closely.
pub(super) fn is_comparable(previous: &Survey, survey: &Survey) -> bool {
    let volumes = |survey: &Survey| -> Vec<_> {
        let views = survey.volumes.iter();
        views.map(|v| (Arc::clone(&v.label), v.state)).collect()
    };
    previous.level >= survey.level && volumes(previous) == volumes(survey)
}

/// The survey before, for rows in which nothing can have changed since.
pub(super) struct Known<'a> {
    pub(super) previous: Option<&'a Survey>,
    /// Names come in order here and there: everything before this row has been passed.
    pub(super) next: usize,
    /// The reference that was judged last: most artifacts have the same, and share it.
    pub(super) judged: Option<Arc<Reference>>,
}

impl<'a> Known<'a> {
    /// The row of the survey before.
    pub(super) fn view(&self, row: usize) -> Option<&'a ArtifactView> {
        self.previous?.artifacts.get(row)
    }

    /// The reference, shared with the artifact before when that has the same.
    pub(super) fn shared(&mut self, found: Reference) -> Arc<Reference> {
        let same = self.judged.take().filter(|last| **last == found);
        let shared = same.unwrap_or_else(|| Arc::new(found));
        self.judged = Some(Arc::clone(&shared));
        shared
    }

    /// Finds the rows that are as they were.
    pub(super) fn mark(&mut self, rows: &mut Rows, task: &Task) {
        let Some(previous) = self.previous else {
            return;
        };
        let mut same = 0;
        for (name, row) in rows {
            let passed = |artifact: &ArtifactView| artifact.name < *name;
            while previous.artifacts.get(self.next).is_some_and(passed) {
                self.next += 1;
            }
            let found = previous.artifacts.get(self.next);
            if found.is_some_and(|artifact| {
                artifact.name == *name && is_as_before(previous, self.next, artifact, row)
            }) {
                row.known = Some(self.next);
                same += copies_of(row);
            }
        }
        task.add_done(same);
    }
}

/// Whether nothing can have changed since `previous`, whose row `number` it was.
pub(super) fn is_as_before(
    previous: &Survey,
    number: usize,
    artifact: &ArtifactView,
    row: &Row,
) -> bool {
    let at = previous.at.timestamp();
    let copy_is_same = |draft: &Draft| {
        draft.stamp.is_settled(at)
            && artifact.copies.iter().any(|copy| {
                copy.volume == draft.volume
                    && copy.size == Some(draft.size)
                    && copy.stamp == draft.stamp
                    // One that could not be read may be readable now.
                    && copy.prints.check.is_some()
                    && knows(copy, draft.earlier)
            })
    };
    let version_is_same = |a: &VersionView, b: &VersionView| {
        let seen = |v: &VersionView| (v.id, v.kind, v.size, v.volumes, v.at_home);
        seen(a) == seen(b)
    };
    let there = artifact.copies.iter().filter(|copy| copy.size.is_some());
    let history = previous.history(number);
    usize::from(artifact.home) == row.home
        && there.count() as u64 == copies_of(row)
        && row.copies.iter().chain(&row.misplaced).all(copy_is_same)
        && history.len() == row.versions.len()
        && history
            .iter()
            .zip(&row.versions)
            .all(|(a, b)| version_is_same(a, b))
}

/// Whether what was read of a copy since is in its view.
fn knows(copy: &CopyView, read: Option<Check>) -> bool {
    read.is_none_or(|read| copy.checked == Level::Deep && copy.checked_at >= read.at)
}

pub(super) fn copies_of(row: &Row) -> u64 {
    (row.copies.len() + row.misplaced.len()) as u64
}
