//! What is wrong with copies, and where good bytes are.

use crate::{
    report,
    survey::{
        ArtifactState, ArtifactView, CopyState, Finding, FindingKind, NewestIntact, Severity,
        Survey,
    },
};

/// At most so many findings of one kind are told one by one; the rest is counted.
const EACH: usize = 20;

pub(super) fn artifacts(survey: &Survey, findings: &mut Vec<Finding>) {
    let mut counts = std::collections::BTreeMap::<FindingKind, usize>::new();
    for artifact in survey.artifacts.iter().filter(|a| !a.removed) {
        for finding in about(survey, artifact) {
            let count = counts.entry(finding.kind).or_default();
            *count += 1;
            if *count <= EACH {
                findings.push(finding);
            }
        }
    }
    for (kind, count) in counts {
        let Some(more) = count.checked_sub(EACH).filter(|more| *more > 0) else {
            continue;
        };
        let Some(example) = findings.iter().find(|f| f.kind == kind).cloned() else {
            continue;
        };
        findings.push(Finding {
            subject: "…".to_owned(),
            message: format!("and {more} more like it"),
            remedy: "maifdeck replicas".to_owned(),
            ..example
        });
    }
}

fn labels(survey: &Survey, artifact: &ArtifactView, state: CopyState) -> String {
    let labels: Vec<&str> = artifact
        .copies
        .iter()
        .filter(|copy| copy.state == state)
        .map(|copy| survey.label(copy.volume))
        .collect();
    labels.join(", ")
}

fn about(survey: &Survey, artifact: &ArtifactView) -> Vec<Finding> {
    let name = artifact.name.to_string();
    let mut found = Vec::new();
    let mut add = |severity, kind, message: String, remedy: String| {
        found.push(Finding {
            severity,
            kind,
            subject: name.clone(),
            message,
            remedy,
        });
    };
    match artifact.state {
        ArtifactState::Lost => {
            let (place, remedy) = newest_intact(survey, artifact);
            let kind = if artifact.vanished {
                FindingKind::Vanished
            } else {
                FindingKind::Lost
            };
            let what = if artifact.vanished {
                "is on no volume, and no removal is recorded"
            } else {
                "has no intact copy of its newest generation"
            };
            add(
                Severity::Critical,
                kind,
                format!("{name} {what}; {place}"),
                remedy,
            );
        }
        ArtifactState::Divergent => add(
            Severity::Critical,
            FindingKind::Divergent,
            format!(
                "{name}: {} hold different bytes, and nothing says which is right",
                labels(survey, artifact, CopyState::Divergent)
            ),
            format!("maifdeck replicas repair {name} --prefer VOLUME"),
        ),
        ArtifactState::Misplaced => add(
            Severity::Warning,
            FindingKind::Misplaced,
            format!(
                "{name} lies on {}, its home is {}",
                labels(survey, artifact, CopyState::Misplaced),
                survey
                    .partitions
                    .get(usize::from(artifact.home))
                    .map_or("another partition", |p| &p.name),
            ),
            format!("maifdeck replicas repair {name}"),
        ),
        _ => {}
    }
    if artifact.state != ArtifactState::Lost
        && artifact
            .copies
            .iter()
            .any(|c| c.state == CopyState::Corrupt)
    {
        add(
            Severity::Critical,
            FindingKind::Corrupt,
            format!(
                "{name} is damaged on {}",
                labels(survey, artifact, CopyState::Corrupt)
            ),
            format!("maifdeck replicas repair {name}"),
        );
    }
    if artifact.unsupported {
        add(
            Severity::Info,
            FindingKind::Unsupported,
            format!("{name} is not MAIF 2.1; it is kept as it is"),
            "none needed; `maifdeck inspect` says what it is".to_owned(),
        );
    }
    found
}

/// Words for the newest intact bytes of a lost artifact, and the command that brings them back.
fn newest_intact(survey: &Survey, artifact: &ArtifactView) -> (String, String) {
    let name = &artifact.name;
    match artifact.newest_intact.as_deref() {
        Some(NewestIntact::Copy { volume }) => (
            format!("an older intact copy is on {}", survey.label(*volume)),
            format!("maifdeck replicas repair {name} --accept-older"),
        ),
        Some(NewestIntact::Version { id, .. }) => (
            format!("its newest version is {id}"),
            format!("maifdeck versions restore {name} {id}"),
        ),
        Some(NewestIntact::Backup { id }) => (
            format!("backup {id} holds it"),
            format!("maifdeck backup restore {id} {name}"),
        ),
        None => (
            "no history or backup holds it".to_owned(),
            "find it elsewhere and `maifdeck put` it".to_owned(),
        ),
    }
}

/// Missing and stale copies, counted by volume: a lost disk is one finding, not a thousand.
pub(super) fn behind(survey: &Survey, findings: &mut Vec<Finding>) {
    for (position, volume) in survey.volumes.iter().enumerate() {
        if !volume.state.is_readable() {
            continue;
        }
        let on = |state| {
            survey
                .artifacts
                .iter()
                .filter(|artifact| {
                    artifact
                        .copies
                        .iter()
                        .any(|c| usize::from(c.volume.0) == position && c.state == state)
                })
                .collect::<Vec<_>>()
        };
        for (state, kind) in [
            (CopyState::Missing, FindingKind::Missing),
            (CopyState::Stale, FindingKind::Stale),
        ] {
            let artifacts = on(state);
            // These have a finding of their own, and another remedy.
            let artifacts: Vec<_> = artifacts
                .into_iter()
                .filter(|artifact| {
                    !matches!(
                        artifact.state,
                        ArtifactState::Lost | ArtifactState::Divergent | ArtifactState::Misplaced
                    )
                })
                .collect();
            let (message, remedy) = match artifacts.as_slice() {
                [] => continue,
                [one] => (
                    format!("{} is {} on {}", one.name, state.word(), volume.label),
                    format!("maifdeck replicas repair {}", one.name),
                ),
                many => (
                    format!(
                        "{} artifacts are {} on {}",
                        report::count(many.len() as u64),
                        state.word(),
                        volume.label
                    ),
                    "maifdeck replicas repair".to_owned(),
                ),
            };
            findings.push(Finding {
                severity: Severity::Warning,
                kind,
                subject: volume.label.to_string(),
                message,
                remedy,
            });
        }
    }
}
