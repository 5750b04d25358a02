//! What is wrong with volumes, partitions and the room there.

use std::collections::BTreeMap;

use crate::{
    report,
    store::config::StoreConfig,
    survey::{Finding, FindingKind, Severity, Space, Survey, VolumeState, VolumeView},
};

/// Partitions that take no writes.
pub(super) fn quorums(survey: &Survey, config: &StoreConfig, findings: &mut Vec<Finding>) {
    for (index, partition) in survey.partitions.iter().enumerate() {
        let volumes = || {
            let volumes = survey.volumes.iter();
            volumes.filter(|volume| usize::from(volume.partition) == index)
        };
        let replicas = volumes().count();
        let needed = config.write_quorum.of(replicas);
        let writable = |state| matches!(state, VolumeState::Ok | VolumeState::Full);
        let counting = volumes().filter(|v| writable(v.state)).count();
        // Alone, the volume's own finding says it all.
        if counting >= needed || replicas < 2 {
            continue;
        }
        let joining = volumes().any(|volume| volume.state == VolumeState::Joining);
        findings.push(Finding {
            severity: Severity::Critical,
            kind: FindingKind::NoQuorum,
            subject: partition.name.to_string(),
            message: format!(
                "{} takes no writes: {counting} of its {replicas} replicas count, {needed} are needed",
                partition.name
            ),
            // Too few to know every acknowledged write: a repair alone admits nobody.
            remedy: if joining && counting < replicas + 1 - needed {
                "bring a volume back; if they are gone for good: maifdeck replicas repair --accept-older"
            } else if joining {
                "maifdeck replicas repair"
            } else {
                "bring a volume back"
            }
            .to_owned(),
        });
    }
}

pub(super) fn volumes(survey: &Survey, findings: &mut Vec<Finding>) {
    for volume in &survey.volumes {
        let (severity, kind, remedy) = match volume.state {
            VolumeState::Ok => continue,
            VolumeState::Full => (
                Severity::Critical,
                FindingKind::VolumeFull,
                "free room there, or prune versions".to_owned(),
            ),
            VolumeState::Joining => (
                Severity::Warning,
                FindingKind::VolumeJoining,
                "maifdeck replicas repair".to_owned(),
            ),
            VolumeState::Unmarked => (
                Severity::Critical,
                FindingKind::VolumeUnmarked,
                format!(
                    "mount what belongs at {}; a new disk joins with: maifdeck volume mark {}",
                    volume.path.display(),
                    volume.label
                ),
            ),
            VolumeState::Foreign => (
                Severity::Critical,
                FindingKind::VolumeForeign,
                "correct the configuration or the mount".to_owned(),
            ),
            VolumeState::Unreachable => (
                Severity::Critical,
                FindingKind::VolumeUnreachable,
                format!("check the disk or mount at {}", volume.path.display()),
            ),
            VolumeState::ReadOnly => (
                Severity::Warning,
                FindingKind::VolumeReadonly,
                format!("remount {} for writing", volume.path.display()),
            ),
        };
        findings.push(Finding {
            severity,
            kind,
            subject: volume.label.to_string(),
            message: format!(
                "{} is {}: {}",
                volume.label,
                volume.state.word(),
                volume.reason.as_deref().unwrap_or("no reason known")
            ),
            remedy,
        });
    }
}

/// One finding a file system, however many volumes lie on it.
pub(super) fn fill(survey: &Survey, warn: u8, findings: &mut Vec<Finding>) {
    let mut shared: BTreeMap<u64, (Space, Vec<&VolumeView>)> = BTreeMap::new();
    for volume in &survey.volumes {
        let Some(space) = volume.space.filter(|s| s.total > 0 && s.free > 0) else {
            continue;
        };
        // Compared in hundredths of bytes: a limit of 100 % is never passed.
        let used = u128::from(space.total.saturating_sub(space.free)) * 100;
        if used > u128::from(warn) * u128::from(space.total) {
            let (_, volumes) = shared.entry(space.device).or_insert((space, Vec::new()));
            volumes.push(volume);
        }
    }
    findings.extend(
        shared
            .into_values()
            .filter_map(|(space, volumes)| filled(space, &volumes)),
    );
}

fn filled(space: Space, volumes: &[&VolumeView]) -> Option<Finding> {
    // Enter leads to the one where most can be freed.
    let ours = |volume: &&&VolumeView| volume.trash_bytes + volume.versions_bytes;
    let subject = volumes.iter().rev().max_by_key(ours)?;
    let sum = |bytes: fn(&VolumeView) -> u64| volumes.iter().map(|volume| bytes(volume)).sum();
    // What can be freed, largest first.
    let mut kinds: [(u64, &str, &str); 2] = [
        (sum(|v| v.trash_bytes), "trash", "maifdeck trash empty"),
        (
            sum(|v| v.versions_bytes),
            "old versions",
            "maifdeck versions prune --keep-last N",
        ),
    ];
    kinds.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
    let kinds = || kinds.iter().filter(|(bytes, ..)| *bytes > 0);
    let could: Vec<String> = kinds()
        .map(|(bytes, what, _)| format!("{} of {what}", report::size(*bytes)))
        .collect();
    let could = match could.as_slice() {
        [] => "nothing of ours can be freed".to_owned(),
        could => format!("could be freed: {}", could.join(", ")),
    };
    let remedies = kinds().map(|(.., command)| *command);
    let remedies: Vec<&str> = remedies
        .chain(["maifdeck partitions add NAME=DIR,…"])
        .collect();
    let what = match volumes {
        [one] => one.label.to_string(),
        [first, others @ ..] => format!(
            "the file system of {} and {}",
            first.label,
            report::plural(others.len() as u64, "other volume", "other volumes")
        ),
        [] => return None,
    };
    Some(Finding {
        severity: Severity::Warning,
        kind: FindingKind::VolumeFull,
        subject: subject.label.to_string(),
        message: format!(
            "{what} is {} full, {} free; {could}",
            report::percent(space.used_share()),
            report::size(space.free)
        ),
        remedy: remedies.join(", or "),
    })
}
