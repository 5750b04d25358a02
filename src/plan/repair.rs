//! Repair: every copy made equal to its reference, histories made equal to their union, misplaced
//! artifacts brought home. Pure: from a survey to steps.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use super::{
    Expected, Intent, Plan, Source, SpaceNeed, Step, Summary,
    homecoming::Homecoming,
    restore_backup::{expected, was},
};
use crate::{
    number::plural,
    survey::{
        ArtifactState, ArtifactView, CopyState, CopyView, NewestIntact, Reason, RottenVersion,
        Survey, VersionView, VolumeState,
    },
    volume::{ArtifactName, VersionKind},
};

/// What of a repair the operator decides.
#[derive(Debug, Clone, Default)]
pub struct Choice<'a> {
    /// Only these; all when empty.
    pub names: &'a [ArtifactName],
    /// Go back to an older intact copy where the newest generation has none.
    pub accept_older: bool,
    /// The volume whose copy is right where copies are divergent.
    pub prefer: Option<&'a str>,
    /// Only copies on this volume.
    pub volume: Option<&'a str>,
    /// Versions of the named ones that were read and are damaged.
    pub rotten: &'a [RottenVersion],
}

/// Plans a repair from a survey of level quick or deep.
pub fn repair(survey: &Survey, store: &str, choice: &Choice<'_>, now: DateTime<Utc>) -> Plan {
    let mut draft = Draft {
        survey,
        choice,
        moves: Vec::new(),
        steps: Vec::new(),
        summary: Summary::default(),
        needs: vec![0; survey.volumes.len()],
        out_of_reach: BTreeMap::new(),
    };
    let named: HashSet<&ArtifactName> = choice.names.iter().collect();
    for (row, artifact) in survey.artifacts.iter().enumerate() {
        if named.is_empty() || named.contains(&artifact.name) {
            draft.artifact(row, artifact);
        }
    }
    for (label, copies) in &draft.out_of_reach {
        let volume = survey
            .volumes
            .iter()
            .find(|volume| *volume.label == **label);
        draft.summary.skipped.push(format!(
            "{} on {label}: the volume cannot be used, it is {}",
            plural(*copies, "copy", "copies"),
            volume.map_or("away", |volume| volume.state.word())
        ));
    }
    draft.mend();
    draft.admit();
    draft.summary.space = SpaceNeed::of(survey, &draft.needs);
    let intent = Intent::Repair {
        names: choice.names.to_vec(),
        accept_older: choice.accept_older,
        prefer: choice.prefer.map(ToOwned::to_owned),
        volume: choice.volume.map(ToOwned::to_owned),
    };
    let mut steps = draft.moves;
    // Steps of one kind are done together, so they stand together; each kind in order of names.
    draft.steps.sort_by_key(rank);
    steps.append(&mut draft.steps);
    Plan::new(store.to_owned(), intent, now, steps, draft.summary)
}

/// A new current copy stands before what is made equal to it; a volume is admitted last.
const fn rank(step: &Step) -> u8 {
    match step {
        Step::Put { .. } => 0,
        Step::Copy { .. } => 1,
        Step::Version { .. } | Step::MendVersion { .. } => 2,
        Step::Admit { .. } => 4,
        _ => 3,
    }
}

struct Draft<'a> {
    survey: &'a Survey,
    choice: &'a Choice<'a>,
    moves: Vec<Step>,
    steps: Vec<Step>,
    summary: Summary,
    /// Bytes written to each volume.
    needs: Vec<u64>,
    /// Copies on volumes that cannot be used, by label.
    out_of_reach: BTreeMap<String, u64>,
}

impl<'a> Draft<'a> {
    fn artifact(&mut self, row: usize, artifact: &'a ArtifactView) {
        let before = self.steps.len();
        let mut comes_home = false;
        if self.choice.volume.is_none()
            && let Some(coming) = Homecoming::of(self.survey, artifact)
        {
            // First of all, so that everything else finds it at home.
            self.summary.bytes += coming.add_to(&mut self.needs);
            self.summary.copies += coming.copies;
            self.moves.push(coming.step);
            comes_home = true;
        } else if self.choice.volume.is_none()
            && let Some(step) = history_comes_home(self.survey, artifact, self.survey.history(row))
        {
            self.moves.push(step);
            comes_home = true;
        }
        if self.choice.volume.is_some() && artifact.reference.is_none() {
            // Nothing that one volume could be made equal to.
        } else if artifact.removed {
            self.removed(artifact);
        } else if let Some(source) = self.chosen(artifact) {
            self.put(artifact, source);
        } else if let Some(reference) = &artifact.reference {
            let source = artifact
                .copies
                .iter()
                .find(|c| c.volume == reference.volume);
            if let Some(source) = source {
                self.copies(artifact, source);
            }
        } else if artifact.state != ArtifactState::Misplaced {
            self.summary
                .skipped
                .push(cannot_repair(self.survey, artifact));
        }
        let misplaced = |copy: &CopyView| copy.state == CopyState::Misplaced;
        // A homecoming brings the history along.
        if !comes_home && !artifact.copies.iter().any(misplaced) {
            self.histories(row, artifact);
        }
        if self.steps.len() == before && artifact.state == ArtifactState::Ok {
            self.summary.same += 1;
        }
    }

    /// The copy that becomes a new generation everywhere: preferred by the operator, accepted
    /// although it is older, or written outside over the newest generation.
    fn chosen(&self, artifact: &'a ArtifactView) -> Option<&'a CopyView> {
        let on = |label: &str| {
            artifact
                .copies
                .iter()
                .find(|copy| self.survey.label(copy.volume) == label && copy.size.is_some())
        };
        let at = |volume| artifact.copies.iter().find(|copy| copy.volume == volume);
        match (artifact.state, artifact.newest_intact.as_deref()) {
            (ArtifactState::Divergent, _) => self
                .choice
                .prefer
                .and_then(on)
                .filter(|copy| copy.state != CopyState::Corrupt),
            // Also while a volume that may hold it is away: the operator says so.
            (
                ArtifactState::Lost | ArtifactState::Unreachable,
                Some(NewestIntact::Copy { volume }),
            ) if self.choice.accept_older => at(*volume),
            _ => {
                let reference = artifact.reference.as_ref()?;
                let outside = matches!(reference.reason, Reason::WrittenOutside { .. });
                let all_same = artifact.state == ArtifactState::Ok;
                (outside && !all_same)
                    .then(|| at(reference.volume))
                    .flatten()
            }
        }
    }

    /// Damaged versions are made whole from where they are.
    fn mend(&mut self) {
        for rotten in self.choice.rotten {
            let (name, id, volume) = (&rotten.name, rotten.id, &rotten.volume);
            let wanted = self.choice.volume.is_none_or(|only| only == volume);
            let mut volumes = self.survey.volumes.iter();
            let position = volumes.position(|view| {
                *view.label == **volume
                    && matches!(view.state, VolumeState::Ok | VolumeState::Joining)
            });
            match (&rotten.whole, position.filter(|_| wanted)) {
                (Some(from), Some(position)) => {
                    if let Some(needed) = self.needs.get_mut(position) {
                        *needed += rotten.size;
                    }
                    self.summary.bytes += rotten.size;
                    self.steps.push(Step::MendVersion {
                        name: name.clone(),
                        id,
                        from: from.clone(),
                        to: volume.clone(),
                        size: rotten.size,
                    });
                }
                (None, _) => self.summary.skipped.push(format!(
                    "version {id} of {name} is damaged on {volume}, and whole on no replica"
                )),
                (Some(_), None) => {}
            }
        }
    }

    /// A repair of everything ends the joining of the volumes that it made equal.
    fn admit(&mut self) {
        if !self.choice.names.is_empty() {
            return;
        }
        for volume in &self.survey.volumes {
            let wanted = self.choice.volume.is_none_or(|only| only == &*volume.label);
            if volume.state == VolumeState::Joining && wanted {
                let accept_older = self.choice.accept_older;
                self.steps.push(Step::Admit {
                    volume: volume.label.to_string(),
                    accept_older,
                });
                let others = || {
                    let volumes = self.survey.volumes.iter();
                    volumes.filter(|other| {
                        other.partition == volume.partition && other.label != volume.label
                    })
                };
                let counting = others().filter(|other| other.state.counts()).count();
                if accept_older && counting < others().count() {
                    self.summary.unrecoverable.push(format!(
                        "writes that only volumes now joining or away acknowledged, if any; {} \
                         takes what the {counting} others have",
                        volume.label
                    ));
                }
            }
        }
    }

    /// Whether a copy may be written: its volume can be, and is one that is to be repaired.
    fn is_writable(&self, copy: &CopyView) -> bool {
        let wanted = |label: &str| self.choice.volume.is_none_or(|only| only == label);
        self.survey.volume(copy.volume).is_some_and(|volume| {
            matches!(volume.state, VolumeState::Ok | VolumeState::Joining) && wanted(&volume.label)
        })
    }

    fn need(&mut self, copy: &CopyView, bytes: u64) {
        if let Some(needed) = self.needs.get_mut(usize::from(copy.volume.0)) {
            *needed += bytes;
        }
        self.summary.bytes += bytes;
    }

    fn put(&mut self, artifact: &'a ArtifactView, source: &CopyView) {
        let (Some(size), Some(check)) = (source.size, source.prints.check) else {
            return;
        };
        let home = || {
            artifact
                .copies
                .iter()
                .filter(|copy| copy.state != CopyState::Misplaced)
        };
        for copy in home() {
            if !self.is_writable(copy) {
                self.leave(copy);
                continue;
            }
            self.need(copy, size);
            self.summary.copies += 1;
            if copy.size.is_some() {
                self.summary.replaces += 1;
                self.summary.archives += 1;
            }
        }
        let expect = home().map(|copy| self.decided(copy)).collect();
        self.steps.push(Step::Put {
            name: artifact.name.clone(),
            source: Source::Copy {
                volume: self.survey.label(source.volume).to_owned(),
            },
            size,
            check,
            expect,
            was: was(artifact),
        });
    }

    fn copies(&mut self, artifact: &'a ArtifactView, source: &CopyView) {
        let (Some(size), Some(check)) = (source.size, source.prints.check) else {
            return;
        };
        for copy in &artifact.copies {
            match copy.state {
                CopyState::Missing | CopyState::Stale | CopyState::Corrupt
                    if self.is_writable(copy) =>
                {
                    self.need(copy, size);
                    self.summary.copies += 1;
                    if copy.size.is_some() {
                        self.summary.replaces += 1;
                    }
                    self.steps.push(Step::Copy {
                        name: artifact.name.clone(),
                        from: self.survey.label(source.volume).to_owned(),
                        to: self.survey.label(copy.volume).to_owned(),
                        size,
                        check,
                        expect: expected(copy),
                    });
                }
                _ => self.leave(copy),
            }
        }
    }

    /// Counts a copy that is left as it is because its volume cannot be written.
    fn leave(&mut self, copy: &CopyView) {
        let Some(volume) = self.survey.volume(copy.volume) else {
            return;
        };
        let wanted = self.choice.volume.is_none_or(|only| only == &*volume.label);
        let writable = matches!(volume.state, VolumeState::Ok | VolumeState::Joining);
        if wanted && !writable && copy.state != CopyState::Ok {
            *self
                .out_of_reach
                .entry(volume.label.to_string())
                .or_default() += 1;
        }
    }

    /// Copies of a removed artifact that are still there.
    fn removed(&mut self, artifact: &'a ArtifactView) {
        let behind = artifact
            .copies
            .iter()
            .any(|copy| copy.size.is_some() && self.is_writable(copy));
        for copy in artifact.copies.iter().filter(|copy| copy.size.is_some()) {
            self.leave(copy);
        }
        if behind {
            self.summary.removes += 1;
            self.steps.push(Step::Remove {
                name: artifact.name.clone(),
                expect: artifact
                    .copies
                    .iter()
                    .map(|copy| self.decided(copy))
                    .collect(),
                was: Expected::Absent,
            });
        }
    }

    /// What a step expects of a copy that took part in deciding which one is right. A volume that
    /// could not be seen may come back with a newer one: then the plan was made without it.
    fn decided(&self, copy: &CopyView) -> (String, Expected) {
        let expect = match copy.state {
            CopyState::Unreachable => Expected::Unseen,
            _ => expected(copy),
        };
        (self.survey.label(copy.volume).to_owned(), expect)
    }

    /// How many of an artifact's replicas can be read.
    fn reachable(&self, artifact: &ArtifactView) -> usize {
        let at_home = artifact
            .copies
            .iter()
            .filter(|copy| copy.state != CopyState::Misplaced);
        at_home
            .filter(|copy| {
                let volume = self.survey.volume(copy.volume);
                volume.is_some_and(|volume| volume.state.is_readable())
            })
            .count()
    }

    /// Versions that some replica lacks.
    fn histories(&mut self, row: usize, artifact: &'a ArtifactView) {
        let replicas: Vec<&CopyView> = artifact
            .copies
            .iter()
            .filter(|copy| copy.state != CopyState::Misplaced && self.is_writable(copy))
            .collect();
        for version in self.survey.history(row) {
            let all = artifact.copies.iter();
            let all = all
                .filter(|copy| copy.state != CopyState::Misplaced)
                .count();
            if usize::from(version.at_home) >= all.min(self.reachable(artifact)) {
                continue;
            }
            for copy in replicas.iter().filter(|copy| copy.volume != version.volume) {
                self.need(copy, version.size);
                self.steps.push(Step::Version {
                    name: artifact.name.clone(),
                    id: version.id,
                    removal: version.kind == VersionKind::Removal,
                    source: Source::Version {
                        volume: self.survey.label(version.volume).to_owned(),
                        name: artifact.name.clone(),
                        id: version.id,
                    },
                    to: self.survey.label(copy.volume).to_owned(),
                    size: version.size,
                });
            }
        }
    }
}

/// Versions that a move which was cut off left where the artifact was before.
fn history_comes_home(
    survey: &Survey,
    artifact: &ArtifactView,
    history: &[VersionView],
) -> Option<Step> {
    let stray = history.iter().find_map(|version| version.stray)?;
    let from = survey
        .partitions
        .get(usize::from(survey.volume(stray)?.partition))?;
    let home = survey.partitions.get(usize::from(artifact.home))?;
    let lacking = history.iter().filter(|version| version.at_home == 0);
    Some(Step::Move {
        name: artifact.name.clone(),
        from: from.name.to_string(),
        to: home.name.to_string(),
        bytes: lacking.map(|version| version.size).sum(),
    })
}

/// The volumes of its home that cannot be read.
fn unreachable(survey: &Survey, artifact: &ArtifactView) -> String {
    let copies = artifact.copies.iter();
    let away = copies.filter(|copy| copy.state == CopyState::Unreachable);
    let labels: Vec<&str> = away.map(|copy| survey.label(copy.volume)).collect();
    labels.join(", ")
}

/// Why a repair leaves an artifact as it is, and what would bring it back.
fn cannot_repair(survey: &Survey, artifact: &ArtifactView) -> String {
    let name = &artifact.name;
    match (artifact.state, artifact.newest_intact.as_deref()) {
        (ArtifactState::Divergent, _) => format!(
            "{name} is divergent: choose the right copy with --prefer VOLUME (the others are archived)"
        ),
        (ArtifactState::Lost, Some(NewestIntact::Copy { volume })) => format!(
            "{name} is lost: the older copy on {} comes back with --accept-older",
            survey.label(*volume)
        ),
        (ArtifactState::Lost, Some(NewestIntact::Version { id, .. })) => {
            format!("{name} is lost: maifdeck versions restore {name} {id}")
        }
        (ArtifactState::Lost, Some(NewestIntact::Backup { id })) => {
            format!("{name} is lost: maifdeck backup restore {id} {name}")
        }
        (ArtifactState::Unreachable, Some(NewestIntact::Copy { volume })) => format!(
            "{name} is unreachable: {} may hold its newest generation; bring the volume back, or the \
             older copy on {} comes back with --accept-older",
            unreachable(survey, artifact),
            survey.label(*volume)
        ),
        (ArtifactState::Unreachable, _) => format!(
            "{name} is unreachable: {} may hold it; bring the volume back",
            unreachable(survey, artifact)
        ),
        (state, _) => format!("{name} is {}: nothing to repair it from", state.word()),
    }
}
