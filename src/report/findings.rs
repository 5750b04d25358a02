//! What needs the operator, worst first, each with its remedy.

use chrono::{DateTime, Utc};

use crate::{
    backup::{BackupState, BackupView},
    journal::{JobState, JobView},
    report,
    store::{
        Store,
        config::{BackupConfig, StoreConfig},
        lease::{LeaseState, LeaseView},
    },
    survey::{
        ArtifactState, ArtifactView, CopyState, Finding, FindingKind, NewestIntact, Severity,
        Survey, VolumeState, scrub::Cursor,
    },
};

/// At most so many findings of one kind are told one by one; the rest is counted.
const EACH: usize = 20;

/// Everything that needs the operator: volumes, artifacts, backups, jobs; worst first.
pub fn all(
    survey: &Survey,
    store: &Store,
    backups: &[BackupView],
    jobs: &[JobView],
) -> Vec<Finding> {
    let mut findings = of(survey, &store.config().store);
    if let Some(config) = &store.config().backup {
        findings.extend(about_backups(backups, config, store.clock().now()));
    }
    findings.extend(about_jobs(jobs));
    findings.extend(about_scrub(
        store,
        &Cursor::load(store.id().unwrap_or_default()),
    ));
    sort(&mut findings);
    findings
}

/// Findings about volumes and artifacts.
pub fn of(survey: &Survey, config: &StoreConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    volumes(survey, &mut findings);
    quorums(survey, config, &mut findings);
    artifacts(survey, &mut findings);
    behind(survey, &mut findings);
    fill(survey, config.warn_fill, &mut findings);
    sort(&mut findings);
    findings
}

/// Findings about backups: none, old, unverified, damaged, interrupted.
pub fn about_backups(
    backups: &[BackupView],
    config: &BackupConfig,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |severity, kind, subject: String, message: String, remedy: String| {
        findings.push(Finding {
            severity,
            kind,
            subject,
            message,
            remedy,
        });
    };
    // A future date is never the newest: a wrong clock must not silence this.
    let last = backups
        .iter()
        .rfind(|backup| backup.state == BackupState::Complete && backup.at <= now);
    match last {
        None => add(
            Severity::Warning,
            FindingKind::BackupNone,
            "backups".to_owned(),
            format!(
                "there is no complete backup in {}",
                config.directory.display()
            ),
            "maifdeck backup create".to_owned(),
        ),
        Some(last) => {
            let age = (now - last.at).to_std().unwrap_or_default();
            if age > config.max_age {
                add(
                    Severity::Warning,
                    FindingKind::BackupOld,
                    last.id.to_string(),
                    format!("the last complete backup is {} old", report::duration(age)),
                    "maifdeck backup create".to_owned(),
                );
            }
            // What was checked in parts is as old as its oldest part.
            let verified = last.verified.is_some_and(|v| {
                let since = v.whole().map(|at| (now - at).to_std().unwrap_or_default());
                v.ok && since.is_some_and(|since| since <= config.verify_every)
            });
            if !verified && age > config.verify_every {
                add(
                    Severity::Warning,
                    FindingKind::BackupUnverified,
                    last.id.to_string(),
                    format!(
                        "the last backup was not verified within {}",
                        report::duration(config.verify_every)
                    ),
                    format!("maifdeck backup verify {}", last.id),
                );
            }
        }
    }
    if let Some((before, last)) = shrunk(backups, now) {
        add(
            Severity::Warning,
            FindingKind::BackupShrunk,
            last.id.to_string(),
            format!(
                "backup {} holds {}, {}; {} before it held {}, {}",
                last.id,
                report::plural(last.artifacts, "artifact", "artifacts"),
                report::size(last.bytes),
                before.id,
                report::count(before.artifacts),
                report::size(before.bytes)
            ),
            format!("maifdeck backup diff {} {}", before.id, last.id),
        );
    }
    for backup in backups {
        let reason = backup.reason.as_deref().unwrap_or("no reason known");
        match backup.state {
            BackupState::Damaged => add(
                Severity::Critical,
                FindingKind::BackupDamaged,
                backup.id.to_string(),
                format!("backup {} is damaged: {reason}", backup.id),
                format!("maifdeck backup verify {} names the files", backup.id),
            ),
            BackupState::Interrupted => add(
                Severity::Warning,
                FindingKind::BackupInterrupted,
                backup.id.to_string(),
                format!("backup {} was interrupted; nothing of it counts", backup.id),
                "maifdeck backup create sweeps it".to_owned(),
            ),
            _ => {}
        }
    }
    findings
}

/// The last complete backup and the one before, when it holds less than half of that one.
fn shrunk(backups: &[BackupView], now: DateTime<Utc>) -> Option<(&BackupView, &BackupView)> {
    let mut newest_first = backups
        .iter()
        .rev()
        .filter(|backup| backup.state == BackupState::Complete && backup.at <= now);
    let (last, before) = (newest_first.next()?, newest_first.next()?);
    let half = |now: u64, before: u64| now < before.div_ceil(2);
    (half(last.artifacts, before.artifacts) || half(last.bytes, before.bytes))
        .then_some((before, last))
}

/// What is wrong with the lease: nobody can write, or nobody does.
pub fn about_lease(lease: &LeaseView) -> Option<Finding> {
    let host = lease.host();
    let (severity, kind, remedy) = match lease.state {
        LeaseState::Blocked => (
            Severity::Critical,
            FindingKind::LeaseBlocked,
            format!("end that process; on {host}: maifdeck lease steal --kill"),
        ),
        LeaseState::Expired => (
            Severity::Warning,
            FindingKind::LeaseExpired,
            "maifdeck lease steal, or any change from another host".to_owned(),
        ),
        LeaseState::Held | LeaseState::Free | LeaseState::Unknown => return None,
    };
    Some(Finding {
        severity,
        kind,
        message: format!("the lease is {}", lease.words()),
        subject: host,
        remedy,
    })
}

/// Findings about jobs whose process is gone. `jobs` are newest first.
pub fn about_jobs(jobs: &[JobView]) -> Vec<Finding> {
    let interrupted = jobs
        .iter()
        .enumerate()
        .filter(|(_, job)| job.state == JobState::Interrupted);
    interrupted
        .filter_map(|(at, job)| {
            let finding = |severity, message: String, remedy: String| Finding {
                severity,
                kind: FindingKind::JobInterrupted,
                subject: job.id.clone(),
                message,
                remedy,
            };
            if job.resumable {
                return Some(finding(
                    Severity::Critical,
                    format!(
                        "the job \"{}\" was interrupted after {} of {} steps",
                        job.title, job.steps_done, job.steps_total
                    ),
                    format!("maifdeck jobs resume {}", job.id),
                ));
            }
            // Work without a plan is done by doing it again; then it is no news any more.
            let mut newer = jobs.iter().take(at);
            let again = newer.any(|n| n.intent == job.intent && n.state != JobState::Interrupted);
            (!again).then(|| {
                finding(
                    Severity::Warning,
                    format!(
                        "the job \"{}\" was interrupted; nothing of it counts",
                        job.title
                    ),
                    format!("maifdeck {}", job.intent.replace('-', " ")),
                )
            })
        })
        .collect()
}

/// A finding when the store was not scrubbed for too long, as far as this host knows.
fn about_scrub(store: &Store, cursor: &Cursor) -> Option<Finding> {
    let every = store.config().scrub.every;
    let marked = store
        .slots()
        .iter()
        .filter_map(|slot| DateTime::parse_from_rfc3339(&slot.identity.as_ref()?.marked_at).ok())
        .map(|time| time.to_utc())
        .min()?;
    let since = cursor.finished_at.unwrap_or(marked);
    let age = (store.clock().now() - since).to_std().unwrap_or_default();
    (age > every).then(|| Finding {
        severity: Severity::Warning,
        kind: FindingKind::ScrubOverdue,
        subject: "scrub".to_owned(),
        message: format!(
            "not every copy was read to the last byte within {}; the last scrub {}",
            report::duration(every),
            cursor.finished_at.map_or_else(
                || "never came to its end here".to_owned(),
                |at| format!("ended {}", report::ago(store.clock().now(), at))
            )
        ),
        remedy: if cursor.after.is_some() {
            "maifdeck scrub --resume".to_owned()
        } else {
            "maifdeck scrub".to_owned()
        },
    })
}

/// Worst first.
/// Worst first.
pub fn sort(findings: &mut [Finding]) {
    findings
        .sort_by(|a, b| (a.severity, a.kind, &a.subject).cmp(&(b.severity, b.kind, &b.subject)));
}

/// Partitions that take no writes.
fn quorums(survey: &Survey, config: &StoreConfig, findings: &mut Vec<Finding>) {
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

fn volumes(survey: &Survey, findings: &mut Vec<Finding>) {
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
                format!("mount what belongs at {}", volume.path.display()),
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

fn artifacts(survey: &Survey, findings: &mut Vec<Finding>) {
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
fn behind(survey: &Survey, findings: &mut Vec<Finding>) {
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
            // What is lost or misplaced has a finding of its own.
            let artifacts: Vec<_> = artifacts
                .into_iter()
                .filter(|a| a.state != ArtifactState::Lost && a.state != ArtifactState::Misplaced)
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

fn fill(survey: &Survey, warn: u8, findings: &mut Vec<Finding>) {
    for volume in &survey.volumes {
        let Some(space) = volume.space.filter(|s| s.total > 0 && s.free > 0) else {
            continue;
        };
        let used = 100 - u128::from(space.free) * 100 / u128::from(space.total);
        if used < u128::from(warn) {
            continue;
        }
        // What can be freed, largest first.
        let mut kinds = [
            (volume.trash_bytes, "trash", "maifdeck trash empty"),
            (
                volume.versions_bytes,
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
        findings.push(Finding {
            severity: Severity::Warning,
            kind: FindingKind::VolumeFull,
            subject: volume.label.to_string(),
            message: format!(
                "the file system of {} is {used} % full, {} free; {could}",
                volume.label,
                report::size(space.free)
            ),
            remedy: remedies.join(", or "),
        });
    }
}
