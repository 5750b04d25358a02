//! What needs the operator, worst first, each with its remedy.

mod artifacts;
mod backups;
mod volumes;

use chrono::DateTime;

use crate::{
    backup::BackupView,
    journal::{JobState, JobView},
    report,
    store::{
        Store,
        config::StoreConfig,
        lease::{LeaseState, LeaseView},
    },
    survey::{Finding, FindingKind, Severity, Survey, scrub::Cursor},
};

use artifacts::{artifacts, behind};
pub use backups::about_backups;
use volumes::{fill, quorums, volumes};

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
    findings.extend(about_scrub(store, &survey.scrub));
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
        LeaseState::Unknown if lease.problem.is_some() => (
            Severity::Critical,
            FindingKind::LeaseUnknown,
            "bring its volume back; a new disk takes its place with: maifdeck volume mark"
                .to_owned(),
        ),
        LeaseState::Held | LeaseState::Free | LeaseState::Unknown => return None,
    };
    let (subject, consequence) = match lease.state {
        LeaseState::Unknown => ("lease".to_owned(), "no host can write: "),
        _ => (host, ""),
    };
    Some(Finding {
        severity,
        kind,
        message: format!("{consequence}the lease is {}", lease.words()),
        subject,
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
pub fn sort(findings: &mut [Finding]) {
    findings
        .sort_by(|a, b| (a.severity, a.kind, &a.subject).cmp(&(b.severity, b.kind, &b.subject)));
}
