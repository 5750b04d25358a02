//! An artifact that lies outside its home comes home before anything else is done with it. Pure.

use super::{Expected, SpaceNeed, Step};
use crate::survey::{ArtifactView, CopyState, CopyView, Survey};

/// What bringing it home takes.
pub struct Homecoming {
    pub step: Step,
    /// Copies made, and bytes by the survey's volumes.
    pub copies: u64,
    pub needs: Vec<(usize, u64)>,
    /// What every replica of its home holds afterwards.
    pub then: Expected,
}

impl Homecoming {
    /// `None`: it lies nowhere but at home.
    pub fn of(survey: &Survey, artifact: &ArtifactView) -> Option<Self> {
        let misplaced = |copy: &&CopyView| copy.state == CopyState::Misplaced;
        let first = artifact.copies.iter().find(misplaced)?;
        let partition = usize::from(survey.volume(first.volume)?.partition);
        let from = survey.partitions.get(partition)?;
        let home = survey.partitions.get(usize::from(artifact.home))?;
        let size = artifact.shown_copy().and_then(|c| c.size).unwrap_or(0);
        let holds = |position: usize| {
            let mut copies = artifact.copies.iter();
            copies.any(|c| usize::from(c.volume.0) == position && c.size.is_some())
        };
        let needs: Vec<(usize, u64)> = survey
            .volumes
            .iter()
            .enumerate()
            .filter(|(position, volume)| {
                volume.partition == artifact.home && volume.state.is_readable() && !holds(*position)
            })
            .map(|(position, _)| (position, size))
            .collect();
        let mut prints = artifact
            .copies
            .iter()
            .filter_map(|copy| Some((copy.size?, copy.prints.check?)));
        let then = match prints.next() {
            Some((size, check)) if prints.all(|other| other == (size, check)) => {
                Expected::File { size, check }
            }
            _ => Expected::Anything,
        };
        Some(Self {
            step: Step::Move {
                name: artifact.name.clone(),
                from: from.name.to_string(),
                to: home.name.to_string(),
                bytes: needs.iter().map(|(_, bytes)| bytes).sum(),
            },
            copies: needs.len() as u64,
            needs,
            then,
        })
    }

    /// Adds what it takes to the needs of a plan; the bytes.
    pub fn add_to(&self, needs: &mut [u64]) -> u64 {
        for (position, bytes) in &self.needs {
            if let Some(needed) = needs.get_mut(*position) {
                *needed += bytes;
            }
        }
        self.needs.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Likewise, for a plan that lists them already.
    pub fn space(&self, survey: &Survey) -> Vec<SpaceNeed> {
        let mut needs = vec![0; survey.volumes.len()];
        self.add_to(&mut needs);
        SpaceNeed::of(survey, &needs)
    }
}
