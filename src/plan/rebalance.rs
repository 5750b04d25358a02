//! A change of the layout: which artifacts change their home, what that costs, how the shares are
//! before and after. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Forecast, Intent, Plan, SpaceNeed, Step, Summary};
use crate::{
    store::placement::Homes,
    survey::{ArtifactView, CopyState, Survey, VersionView},
    volume::ArtifactName,
};

/// A volume of the layout to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub label: String,
    /// `None`: it could not be asked.
    pub room: Option<Room>,
}

/// The room on a file system, in bytes. Volumes on one device share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub device: u64,
    pub free: u64,
    pub total: u64,
}

/// The layout to come.
#[derive(Debug, Clone)]
pub struct Next {
    /// Name and volumes of each partition.
    pub partitions: Vec<(String, Vec<Target>)>,
    pub homes: Homes,
    /// Percent of a file system that no plan may fill beyond.
    pub max_fill: u8,
    /// What changes the layout itself; none when it is the one in force.
    pub change: Option<Step>,
    /// Whether the layout in force waits for its moves to end.
    pub unsealed: bool,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebalanceRefused {
    #[error(
        "a copy of {name} was left on {partition}, where it would be at home again; `maifdeck replicas repair {name}` first"
    )]
    LeftBehind {
        name: ArtifactName,
        partition: String,
    },
    #[error(
        "the file system of {volumes} would be filled to {percent} %, beyond max_fill ({max_fill} %): {needed} bytes are needed there, {free} are free; free room there or raise store.max_fill"
    )]
    Full {
        volumes: String,
        percent: u64,
        max_fill: u8,
        needed: u64,
        free: u64,
    },
}

/// Plans the moves from where artifacts lie, as `survey` saw them, to their homes under `next`.
pub fn rebalance(
    survey: &Survey,
    store: &str,
    intent: Intent,
    next: &Next,
    now: DateTime<Utc>,
) -> Result<Plan, RebalanceRefused> {
    let mut draft = Draft {
        survey,
        next,
        steps: next.change.iter().cloned().collect(),
        summary: Summary::default(),
        needs: next
            .partitions
            .iter()
            .map(|(_, v)| vec![0; v.len()])
            .collect(),
        before: Vec::new(),
        after: vec![0; next.partitions.len()],
    };
    draft.before = vec![0; survey.partitions.len()];
    for (row, artifact) in survey.artifacts.iter().enumerate() {
        draft.has_one_place(artifact)?;
        draft.artifact(artifact, survey.history(row));
    }
    draft.space()?;
    let moves_all = draft.summary.skipped.is_empty();
    if moves_all && (next.change.is_some() || next.unsealed) {
        draft.steps.push(Step::Seal);
    }
    draft.summary.shares = draft.shares();
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
    next: &'a Next,
    steps: Vec<Step>,
    summary: Summary,
    /// Bytes by partition and volume of the layout to come.
    needs: Vec<Vec<u64>>,
    /// Artifacts by partition, of the survey and of the layout to come.
    before: Vec<u64>,
    after: Vec<u64>,
}

impl Draft<'_> {
    /// What an artifact left behind where it would be at home again would be taken for the right copy:
    /// what home knows rules.
    fn has_one_place(&self, artifact: &ArtifactView) -> Result<(), RebalanceRefused> {
        let goes = self.next.homes.of(&artifact.name);
        let to = self.next.partitions.get(goes).map(|(name, _)| name);
        let name_of = |index: u16| {
            let partition = self.survey.partitions.get(usize::from(index));
            partition.map(|partition| &*partition.name)
        };
        let home = name_of(artifact.home);
        let place = |copy: &crate::survey::CopyView| {
            copy.size?;
            name_of(self.survey.volume(copy.volume)?.partition)
        };
        let to = to.map(String::as_str);
        let lies = |there: bool| {
            let mut copies = artifact.copies.iter().filter_map(place);
            copies.any(|place| (Some(place) == to) == there)
        };
        if self.next.change.is_some() && home != to && lies(true) && lies(false) {
            return Err(RebalanceRefused::LeftBehind {
                name: artifact.name.clone(),
                partition: to.unwrap_or_default().to_owned(),
            });
        }
        Ok(())
    }

    fn artifact(&mut self, artifact: &ArtifactView, history: &[VersionView]) {
        if artifact.vanished {
            return;
        }
        let misplaced = |copy: &&crate::survey::CopyView| copy.state == CopyState::Misplaced;
        // A move that was cut off may have left a history behind that no copy tells of.
        let stray = history.iter().find_map(|version| version.stray);
        let copies = artifact.copies.iter();
        let place = copies
            .filter(misplaced)
            .map(|copy| copy.volume)
            .chain(stray)
            .next()
            .and_then(|volume| self.survey.volume(volume))
            .map_or(artifact.home, |volume| volume.partition);
        let lies = usize::from(place);
        let goes = self.next.homes.of(&artifact.name);
        let name_of = |index: usize| {
            self.survey
                .partitions
                .get(index)
                .map(|p| p.name.to_string())
        };
        let from = name_of(lies).unwrap_or_default();
        let Some((to, volumes)) = self.next.partitions.get(goes) else {
            return;
        };
        let (to, replicas) = (to.clone(), volumes.len());
        if !artifact.removed
            && let Some(count) = self.before.get_mut(lies)
        {
            *count += 1;
        }
        let stays = |draft: &mut Self| {
            let place = draft
                .next
                .partitions
                .iter()
                .position(|(name, _)| *name == from);
            if let Some(count) = place.and_then(|at| draft.after.get_mut(at)) {
                *count += u64::from(!artifact.removed);
            }
        };
        let is_whole = stray.is_none() && !artifact.copies.iter().any(|copy| misplaced(&copy));
        if from == to && is_whole {
            self.summary.same += 1;
            stays(self);
            return;
        }
        let movable = artifact.removed
            || artifact.reference.is_some()
            || artifact.state == crate::survey::ArtifactState::Misplaced;
        if !movable {
            self.summary.skipped.push(format!(
                "{} is {}; it stays on {from} until it is repaired",
                artifact.name,
                artifact.state.word()
            ));
            stays(self);
            return;
        }
        let current = artifact
            .shown_copy()
            .and_then(|copy| copy.size)
            .unwrap_or(0);
        let versions: u64 = history.iter().map(|version| version.size).sum();
        let bytes = current + versions;
        for needed in self.needs.get_mut(goes).into_iter().flatten() {
            *needed += bytes;
        }
        if let Some(count) = self.after.get_mut(goes) {
            *count += u64::from(!artifact.removed);
        }
        let written = bytes * replicas as u64;
        self.summary.copies += replicas as u64;
        self.summary.bytes += written;
        self.steps.push(Step::Move {
            name: artifact.name.clone(),
            from,
            to,
            bytes: written,
        });
    }

    /// What is needed on each target, as long as no file system is filled beyond the limit.
    fn space(&mut self) -> Result<(), RebalanceRefused> {
        let mut shared: BTreeMap<u64, (Room, u64, Vec<&str>)> = BTreeMap::new();
        for ((_, targets), needs) in self.next.partitions.iter().zip(&self.needs) {
            for (target, needed) in targets.iter().zip(needs) {
                // One that does not answer takes nothing.
                let Some(room) = target.room.filter(|_| *needed > 0) else {
                    continue;
                };
                self.summary.space.push(SpaceNeed {
                    volume: target.label.clone(),
                    needed: *needed,
                    free: room.free,
                });
                // Some file systems do not tell how large they are.
                if room.total > 0 {
                    let (_, sum, labels) =
                        shared.entry(room.device).or_insert((room, 0, Vec::new()));
                    *sum += needed;
                    labels.push(&target.label);
                }
            }
        }
        for (room, needed, labels) in shared.values() {
            let used = u128::from(room.total.saturating_sub(room.free)) + u128::from(*needed);
            if used * 100 > u128::from(self.next.max_fill) * u128::from(room.total) {
                return Err(RebalanceRefused::Full {
                    volumes: labels.join(", "),
                    percent: u64::try_from((used * 100).div_ceil(u128::from(room.total)))
                        .unwrap_or(u64::MAX),
                    max_fill: self.next.max_fill,
                    needed: *needed,
                    free: room.free,
                });
            }
        }
        Ok(())
    }

    fn shares(&self) -> Vec<Forecast> {
        let count = |name: &str| {
            let at = self.survey.partitions.iter().position(|p| &*p.name == name);
            at.and_then(|at| self.before.get(at)).copied().unwrap_or(0)
        };
        let expected = self.next.homes.shares(self.next.partitions.len());
        let mut shares: Vec<Forecast> = self
            .next
            .partitions
            .iter()
            .zip(&self.after)
            .zip(expected)
            .map(|(((name, _), after), expected_share)| Forecast {
                partition: name.clone(),
                before: count(name),
                after: *after,
                expected_share,
            })
            .collect();
        // One that leaves the layout ends with nothing.
        for partition in &self.survey.partitions {
            if shares
                .iter()
                .all(|share| share.partition != *partition.name)
            {
                shares.push(Forecast {
                    partition: partition.name.to_string(),
                    before: count(&partition.name),
                    after: 0,
                    expected_share: 0.0,
                });
            }
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        store::config::Placement,
        survey::{ArtifactState, CopyView, PartitionView, Prints, Stamp, VolumeIndex},
        volume::Level,
    };

    /// One artifact of 60 bytes that is misplaced, and two volumes at its home.
    fn plan(devices: [u64; 2]) -> Result<Plan, RebalanceRefused> {
        let partition = |name: &str| PartitionView {
            name: name.into(),
            weight: 1.0,
            draining: false,
            artifacts: 0,
            bytes: 0,
            misplaced: 0,
            share: 0.0,
            expected_share: 0.5,
        };
        let copy = CopyView {
            volume: VolumeIndex(0),
            state: CopyState::Ok,
            checked: Level::Quick,
            checked_at: 0,
            size: Some(60),
            generation: Some(1),
            prints: Arc::new(Prints::default()),
            stamp: Stamp::default(),
        };
        let artifact = ArtifactView {
            name: ArtifactName::new("doc").unwrap(),
            home: 0,
            state: ArtifactState::Ok,
            removed: false,
            vanished: false,
            unsupported: false,
            reference: Some(Arc::new(crate::survey::Reference {
                volume: VolumeIndex(0),
                generation: Some(1),
                reason: crate::survey::Reason::Only,
            })),
            newest_intact: None,
            copies: vec![copy].into(),
        };
        let survey = Survey {
            partitions: vec![partition("p1")],
            artifacts: vec![artifact],
            ..Survey::default()
        };
        let target = |label: &str, device| Target {
            label: label.to_owned(),
            room: Some(Room {
                device,
                free: 100,
                total: 200,
            }),
        };
        let [first, second] = devices;
        let next = Next {
            partitions: vec![
                ("p1".to_owned(), Vec::new()),
                (
                    "p2".to_owned(),
                    vec![target("p2.1", first), target("p2.2", second)],
                ),
            ],
            // p1 is drained.
            homes: Homes::new(Placement::Md5Modulo, [("p1", 0.0), ("p2", 1.0)]),
            max_fill: 90,
            change: None,
            unsealed: false,
        };
        let change = crate::plan::LayoutChange::Rebalance { placement: None };
        let intent = Intent::Layout { change };
        rebalance(&survey, "store", intent, &next, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn volumes_that_share_a_file_system_share_its_room() {
        let plan_apart = plan([1, 2]).unwrap();
        assert_eq!(plan_apart.steps.len(), 1);
        assert_eq!(plan_apart.summary.space.len(), 2);
        // 100 of 200 bytes are used, and 120 more do not fit below 90 %.
        assert!(matches!(
            plan([1, 1]),
            Err(RebalanceRefused::Full {
                needed: 120,
                percent: 110,
                ..
            })
        ));
    }
}
