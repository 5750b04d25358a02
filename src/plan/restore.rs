//! Restore of one version, in place or under another name. Pure.

use chrono::{DateTime, Utc};

use super::{
    Expected, Intent, Plan, Source, SpaceNeed, Step, Summary,
    homecoming::Homecoming,
    restore_backup::{expected, was},
};
use crate::{
    maif::Digest,
    survey::{CopyState, CopyView, StateId, Survey},
    volume::ArtifactName,
};

/// A version that was looked at: where it is and what its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionFacts {
    pub name: ArtifactName,
    pub id: StateId,
    /// Where it is intact.
    pub source: Source,
    pub size: u64,
    pub check: Digest,
}

/// Plans to make a version the current copy of its artifact, or of `aside`. What is current there
/// is archived first, so nothing becomes unrecoverable.
pub fn restore_version(
    survey: &Survey,
    store: &str,
    version: &VersionFacts,
    aside: Option<ArtifactName>,
    home_of: impl Fn(&ArtifactName) -> usize,
    now: DateTime<Utc>,
) -> Plan {
    let target = aside.as_ref().unwrap_or(&version.name);
    let home = home_of(target);
    let there = survey
        .find(target)
        .and_then(|row| survey.artifacts.get(row));
    let copies: Vec<CopyView> = there
        .map(|artifact| {
            let misplaced = |copy: &&CopyView| copy.state != CopyState::Misplaced;
            artifact.copies.iter().filter(misplaced).cloned().collect()
        })
        .unwrap_or_default();
    let mut summary = Summary::default();
    let coming = there.and_then(|artifact| Homecoming::of(survey, artifact));
    let then = coming.as_ref().map(|coming| coming.then.clone());
    let mut expect = Vec::new();
    for (position, volume) in survey.volumes.iter().enumerate() {
        if usize::from(volume.partition) != home {
            continue;
        }
        let copy = copies.iter().find(|c| usize::from(c.volume.0) == position);
        let expected = match copy {
            _ if then.is_some() => then.clone().unwrap_or(Expected::Anything),
            Some(copy) => expected(copy),
            None if volume.state.is_readable() => Expected::Absent,
            None => Expected::Anything,
        };
        if volume.state.is_readable() {
            summary.copies += 1;
            summary.bytes += version.size;
            if matches!(expected, Expected::File { .. }) {
                summary.replaces += 1;
                summary.archives += 1;
            }
            summary.space.push(SpaceNeed {
                volume: volume.label.to_string(),
                needed: version.size,
                free: volume.space.map_or(0, |space| space.free),
            });
        }
        expect.push((volume.label.to_string(), expected));
    }
    if there.is_some_and(|there| !there.removed && !there.vanished) {
        summary.replaced = 1;
    } else {
        summary.added = 1;
    }
    let mut steps = Vec::new();
    if let Some(coming) = coming {
        summary.copies += coming.copies;
        summary.bytes += coming.needs.iter().map(|(_, bytes)| bytes).sum::<u64>();
        steps.push(coming.step);
    }
    steps.push(Step::Put {
        name: target.clone(),
        source: version.source.clone(),
        size: version.size,
        check: version.check,
        expect,
        was: there.map_or(Expected::Anything, was),
    });
    let intent = Intent::VersionRestore {
        name: version.name.clone(),
        version: version.id,
        aside,
    };
    Plan::new(store.to_owned(), intent, now, steps, summary)
}
