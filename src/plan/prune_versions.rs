//! Which versions go: a retention policy over each history, with reasons. Pure.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeZone, Utc};

use super::{Intent, Kept, Plan, Step, Summary};
use crate::{
    store::{
        Policy,
        retention::{self, Refused},
    },
    survey::{ArtifactState, ArtifactView, Survey, VersionView, VolumeState},
    volume::{ArtifactName, VersionKind},
};

/// What is asked for. No name means all.
#[derive(Debug, Clone, Copy)]
pub struct VersionsChoice<'a> {
    pub store: &'a str,
    pub names: &'a [ArtifactName],
    pub policy: Policy,
    /// What is younger stays, and what goes waits so long in the trash.
    pub undo_window: Duration,
}

/// Plans to trash the versions that the policy lets go. The newest version of each artifact stays,
/// and so does every one of an artifact with which anything is wrong: what is damaged or missing may
/// have to be mended from them.
pub fn prune_versions<Z: TimeZone>(
    survey: &Survey,
    choice: VersionsChoice<'_>,
    now: DateTime<Utc>,
    zone: &Z,
) -> Result<Plan, Refused> {
    let wanted: BTreeSet<&ArtifactName> = choice.names.iter().collect();
    let until = chrono::Duration::from_std(choice.undo_window)
        .ok()
        .and_then(|window| now.checked_add_signed(window))
        .map_or_else(String::new, |until| {
            format!(" after {}", until.format("%Y-%m-%d %H:%M UTC"))
        });
    let mut summary = Summary::default();
    let mut steps = Vec::new();
    for (row, artifact) in survey.artifacts.iter().enumerate() {
        if !wanted.is_empty() && !wanted.contains(&artifact.name) {
            continue;
        }
        let versions: Vec<&VersionView> = survey
            .history(row)
            .iter()
            .filter(|version| version.kind == VersionKind::Copy)
            .collect();
        let kept = retention::apply_to_history(
            &choice.policy,
            &versions,
            |version| version.id.time(),
            choice.undo_window,
            now,
            zone,
        )?;
        let goes = kept.iter().any(Vec::is_empty);
        if !goes {
            continue;
        }
        let name = &artifact.name;
        if let Some(why) = not_now(survey, artifact) {
            summary.skipped.push(format!("{name}: {why}"));
            continue;
        }
        let (mut ids, mut bytes) = (Vec::new(), 0);
        for (version, reasons) in versions.iter().zip(kept) {
            let what = format!("{name} {}", version.id);
            if reasons.is_empty() {
                ids.push(version.id);
                bytes += version.size * u64::from(version.volumes);
                summary.unrecoverable.push(format!("version {what}{until}"));
            } else {
                summary.kept.push(Kept { what, reasons });
            }
        }
        summary.removes += ids.len() as u64;
        ids.sort_unstable();
        steps.push(Step::TrashVersions {
            name: name.clone(),
            ids,
            bytes,
        });
    }
    let intent = Intent::VersionsPrune {
        names: choice.names.to_vec(),
        policy: choice.policy,
    };
    Ok(Plan::new(
        choice.store.to_owned(),
        intent,
        now,
        steps,
        summary,
    ))
}

/// Why the history of an artifact is left alone.
fn not_now(survey: &Survey, artifact: &ArtifactView) -> Option<String> {
    if artifact.vanished || artifact.state != ArtifactState::Ok && !artifact.removed {
        let state = if artifact.vanished {
            "vanished"
        } else {
            artifact.state.word()
        };
        return Some(format!("it is {state}; its versions may be needed"));
    }
    // A replica that is away would bring its versions back.
    survey
        .volumes
        .iter()
        .find(|volume| volume.partition == artifact.home && volume.state != VolumeState::Ok)
        .map(|volume| format!("{} is {}", volume.label, volume.state.word()))
}
