//! What is wrong with backups: none, old, unverified, damaged, shrunk, interrupted.

use chrono::{DateTime, Utc};

use crate::{
    backup::{BackupState, BackupView},
    report,
    store::config::BackupConfig,
    survey::{Finding, FindingKind, Severity},
};

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
