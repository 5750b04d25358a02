//! From a finding to the pane that shows its subject and to the key that leads to its remedy.

use super::{Refusal, listing::select, movement::go};
use crate::{
    console::{
        app::App,
        keymap::{Action, Pane},
    },
    survey::{ArtifactView, Finding, FindingKind},
    volume::ArtifactName,
};

/// From a finding to the pane that shows its subject.
pub(super) fn follow(app: &mut App) {
    let Some(finding) = app.selected_finding().cloned() else {
        return;
    };
    let pane = finding_pane(finding.kind);
    go(app, pane);
    if pane == Pane::Replicas {
        let name = ArtifactName::existing(finding.subject.as_bytes());
        if let Some(name) = name {
            select(app, &name);
        }
    } else {
        let anchor = Some(finding.subject.clone());
        app.place_mut().anchor = anchor;
    }
}

/// The pane that shows what a finding is about.
pub const fn finding_pane(kind: FindingKind) -> Pane {
    match kind {
        FindingKind::Lost
        | FindingKind::Vanished
        | FindingKind::Divergent
        | FindingKind::Corrupt
        | FindingKind::Stale
        | FindingKind::Missing
        | FindingKind::Unsupported
        | FindingKind::ScrubOverdue => Pane::Replicas,
        FindingKind::Misplaced | FindingKind::VolumeFull | FindingKind::OtherFiles => {
            Pane::Partitions
        }
        FindingKind::VolumeUnmarked
        | FindingKind::VolumeForeign
        | FindingKind::VolumeUnreachable
        | FindingKind::VolumeJoining
        | FindingKind::VolumeReadonly
        | FindingKind::NoQuorum
        | FindingKind::LeaseBlocked
        | FindingKind::LeaseExpired
        | FindingKind::LeaseUnknown => Pane::Cluster,
        FindingKind::BackupNone
        | FindingKind::BackupOld
        | FindingKind::BackupUnverified
        | FindingKind::BackupDamaged
        | FindingKind::BackupShrunk
        | FindingKind::BackupInterrupted => Pane::Backups,
        FindingKind::JobInterrupted => Pane::Jobs,
    }
}

/// The artifact that a finding is about, when it is about one.
fn artifact<'a>(app: &'a App, finding: &Finding) -> Option<&'a ArtifactView> {
    let survey = app.survey()?;
    let at = survey.find(&ArtifactName::existing(finding.subject.as_bytes())?)?;
    survey.artifacts.get(at)
}

/// From a finding in Overview to its artifact in Replicas, so that what follows is about that one.
pub(super) fn to_artifact(app: &mut App) -> Result<(), Refusal> {
    if app.pane == Pane::Overview {
        let finding = app.selected_finding().ok_or("there is no finding")?;
        if finding_pane(finding.kind) != Pane::Replicas || artifact(app, finding).is_none() {
            return Err("the finding is not about an artifact".to_owned());
        }
        follow(app);
    }
    Ok(())
}

/// The action whose key leads to a finding's remedy.
pub fn remedy(app: &App, finding: &Finding) -> Action {
    let named = || artifact(app, finding);
    match finding.kind {
        FindingKind::Divergent if named().is_some() => Action::Prefer,
        FindingKind::Lost | FindingKind::Vanished
            if named().is_some_and(|a| a.newest_intact.is_some()) =>
        {
            Action::AcceptOlder
        }
        kind => usual(kind),
    }
}

const fn usual(kind: FindingKind) -> Action {
    match kind {
        FindingKind::Corrupt
        | FindingKind::Stale
        | FindingKind::Missing
        | FindingKind::Misplaced
        | FindingKind::VolumeJoining => Action::Fix,
        FindingKind::BackupNone | FindingKind::BackupOld | FindingKind::BackupInterrupted => {
            Action::Backup
        }
        FindingKind::JobInterrupted => Action::Resume,
        FindingKind::VolumeUnmarked | FindingKind::VolumeForeign => Action::MarkVolume,
        FindingKind::Lost
        | FindingKind::Vanished
        | FindingKind::Divergent
        | FindingKind::Unsupported
        | FindingKind::VolumeUnreachable
        | FindingKind::VolumeReadonly
        | FindingKind::NoQuorum
        | FindingKind::BackupUnverified
        | FindingKind::BackupDamaged
        | FindingKind::BackupShrunk
        | FindingKind::LeaseBlocked
        | FindingKind::LeaseExpired
        | FindingKind::LeaseUnknown
        | FindingKind::OtherFiles => Action::Open,
        FindingKind::ScrubOverdue => Action::Scrub,
        FindingKind::VolumeFull => Action::EmptyTrash,
    }
}

/// Findings that are repaired volume by volume: their subject is its label.
pub(super) const fn is_about_a_volume(kind: FindingKind) -> bool {
    matches!(
        kind,
        FindingKind::Missing | FindingKind::Stale | FindingKind::VolumeJoining
    )
}
