//! `status`, `survey`, `replicas`, and verifying the whole store.

use serde_json::{Value, json};

use super::{Context, Exit, args::Scrub, progress};
use crate::{
    backup::{self, BackupState, KnownNames},
    journal::read,
    report,
    store::{Access, Store, StoreError, config::Role, lease::watch::Observer},
    survey::{
        self, ArtifactState, ArtifactView, Checked, CopyState, Finding, Scope, Severity, Survey,
        VolumeState,
        scrub::{self, ScrubScope},
    },
    volume::{ArtifactName, Level},
};

/// Surveys the store as a command does.
fn take(
    context: &Context<'_>,
    store: &Store,
    level: Level,
    names: Vec<ArtifactName>,
) -> Result<Survey, StoreError> {
    let mut names = names;
    names.sort();
    let id = store.id().unwrap_or_default();
    let mut known = KnownNames::default();
    if let Some(config) = &store.config().backup {
        known.refresh(&backup::list(&config.directory)?, store.clock().now());
    }
    let scope = Scope {
        level,
        names,
        known: known.list(),
        checked: Checked::of(id),
    };
    let mut survey = progress::shown(context, |task| survey::survey(store, &scope, task))?;
    if level == Level::Deep {
        // A memory of this host's: where it cannot be kept, the survey is as good.
        if let Err(error) = scope.checked.remember_survey(&survey, store) {
            tracing::warn!(%error, "what was checked is not remembered");
        }
    }
    survey.findings = report::findings::of(&survey, &store.config().store);
    Ok(survey)
}

/// The exit code that findings give.
fn code(findings: &[Finding]) -> u8 {
    if findings.iter().any(|f| f.severity <= Severity::Warning) {
        Exit::FINDINGS
    } else {
        Exit::DONE
    }
}

/// Prints findings, worst first, each with its remedy.
fn print_findings(context: &Context<'_>, findings: &[Finding]) {
    for finding in findings {
        context.output.line(&format!(
            "{:<8}  {}",
            finding.severity.word(),
            finding.message
        ));
        context
            .output
            .line(&format!("          → {}", finding.remedy));
    }
}

/// `status`
pub fn status(context: &Context<'_>) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let mut survey = take(context, &store, Level::Quick, Vec::new())?;
    let backups = match &store.config().backup {
        Some(config) => backup::list(&config.directory)?,
        None => Vec::new(),
    };
    let jobs = read::list(&store);
    let lease = Observer::default().sample(&store);
    survey.findings = report::findings::all(&survey, &store, &backups, &jobs);
    survey
        .findings
        .extend(report::findings::about_lease(&lease));
    report::findings::sort(&mut survey.findings);
    let last = backups
        .iter()
        .rfind(|view| view.state == BackupState::Complete && view.at <= store.clock().now());
    let role = match (store.config().node.role, store.access()) {
        (Role::Follower, _) => "follower",
        (Role::Writer, Access::ReadOnly) => "writer (read-only)",
        (Role::Writer, Access::Write) => "writer",
    };
    if context.output.is_json() {
        let volumes: Vec<Value> = survey
            .volumes
            .iter()
            .map(|volume| {
                json!({
                    "label": &*volume.label,
                    "path": volume.path.to_string_lossy(),
                    "state": volume.state,
                    "reason": volume.reason,
                })
            })
            .collect();
        context.output.json(json!({
            "store": store.config().store.name,
            "config": context.environment().locate(false)?.file
                .map(|file| file.to_string_lossy().into_owned()),
            "role": role,
            "lease": super::lease::json(&lease),
            "volumes": volumes,
            "summary": report::json::summary(&survey),
            "findings": survey.findings,
            "last_backup": last,
            "jobs": jobs.iter().take(10).map(super::plans::job_json).collect::<Vec<_>>(),
        }));
        return Ok(code(&survey.findings));
    }
    let volumes = survey.volumes.len();
    let well = survey
        .volumes
        .iter()
        .filter(|volume| volume.state == VolumeState::Ok)
        .count();
    context.output.line(&format!(
        "{}  {} partitions, {volumes} volumes ({well} ok)  {role}",
        store.config().store.name,
        survey.partitions.len(),
    ));
    if lease.enabled {
        context.output.line(&format!("lease: {}", lease.words()));
    }
    let summary: Vec<String> = survey
        .summary()
        .into_iter()
        .filter(|(state, count)| *count > 0 || *state == ArtifactState::Ok)
        .map(|(state, count)| format!("{} {}", report::count(count), state.word()))
        .collect();
    context.output.line(&format!(
        "artifacts: {} (looked at quickly in {:.1} s)",
        summary.join(", "),
        survey.took.as_secs_f64()
    ));
    if let Some(last) = last {
        context.output.line(&format!(
            "last backup: {}, {}, {}",
            last.id,
            report::ago(store.clock().now(), last.at),
            last.verified.map_or("never verified", |v| if v.ok {
                "verified"
            } else {
                "found damaged"
            })
        ));
    }
    print_findings(context, &survey.findings);
    if survey.findings.is_empty() {
        context.output.line("nothing needs you");
    }
    Ok(code(&survey.findings))
}

/// `survey`, `replicas [NAME…]`
pub fn replicas(
    context: &Context<'_>,
    names: &[String],
    level: Level,
    everything: bool,
) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let names: Vec<ArtifactName> = names
        .iter()
        .map(|name| context.name(name))
        .collect::<Result<_, _>>()?;
    let survey = take(context, &store, level, names.clone())?;
    for name in &names {
        if survey.find(name).is_none() {
            return Err(StoreError::NotFound {
                kind: "artifact",
                what: name.to_string(),
            });
        }
    }
    let wanted = |artifact: &ArtifactView| names.is_empty() || names.contains(&artifact.name);
    let findings: Vec<Finding> = survey
        .findings
        .iter()
        .filter(|f| names.is_empty() || names.iter().any(|name| name.to_string() == f.subject))
        .cloned()
        .collect();
    let worst = names
        .iter()
        .filter_map(|name| survey.artifacts.get(survey.find(name)?))
        .any(|artifact| artifact.state != ArtifactState::Ok);
    let code = if worst {
        Exit::FINDINGS
    } else {
        code(&findings)
    };
    if context.output.is_json() {
        context.output.json(report::json::survey(&survey, wanted));
        return Ok(code);
    }
    for artifact in survey.artifacts.iter().filter(|a| !a.removed && wanted(a)) {
        if names.is_empty() && !everything && artifact.state == ArtifactState::Ok {
            continue;
        }
        print_artifact(context, &survey, artifact, !names.is_empty());
    }
    if names.is_empty() {
        print_findings(context, &survey.findings);
    }
    let summary: Vec<String> = survey
        .summary()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{} {}", report::count(count), state.word()))
        .collect();
    context.output.say(&format!(
        "{} · looked {} in {:.1} s",
        summary.join(", "),
        match level {
            Level::None | Level::Presence => "at listings",
            Level::Quick => "quickly",
            Level::Deep => "at every byte",
        },
        survey.took.as_secs_f64()
    ));
    Ok(code)
}

fn print_artifact(context: &Context<'_>, survey: &Survey, artifact: &ArtifactView, details: bool) {
    let copies: Vec<String> = artifact
        .copies
        .iter()
        .map(|copy| {
            let state = match copy.state {
                CopyState::Ok => copy.checked.word(),
                state => state.word(),
            };
            format!("{} {state}", survey.label(copy.volume))
        })
        .collect();
    context.output.line(&format!(
        "{:<11} {}  [{}]",
        artifact.state.word(),
        artifact.name,
        copies.join(", ")
    ));
    if !details {
        return;
    }
    if artifact.reference.is_some() {
        context
            .output
            .line(&format!("            {}", report::reason(survey, artifact)));
    }
    for copy in &artifact.copies {
        context.output.line(&format!(
            "            {:<8} {:<11} {:>10}  generation {}",
            survey.label(copy.volume),
            copy.state.word(),
            copy.size.map_or_else(|| "–".to_owned(), report::size),
            copy.generation
                .map_or_else(|| "unknown".to_owned(), |g| g.to_string()),
        ));
    }
}

/// `scrub`
pub fn scrub(context: &Context<'_>, arguments: &Scrub) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    store.require_same_layout()?;
    let since = arguments
        .since
        .as_deref()
        .map(|text| {
            report::when::parse(text, store.clock().now(), report::Zone::Local).ok_or_else(|| {
                StoreError::Usage(format!(
                    "not a time: {text:?} (2026-03-11, 2026-03-11T18:00, yesterday 18:00)"
                ))
            })
        })
        .transpose()?;
    let scope = ScrubScope {
        resume: arguments.resume,
        only_errors: arguments.only_errors,
        since,
        tranquility: arguments
            .tranquility
            .unwrap_or(store.config().scrub.tranquility),
        trust_unchanged: arguments.trust_unchanged,
    };
    let report = progress::shown(context, |task| scrub::scrub(&store, &scope, None, task))?;
    if context.output.is_json() {
        context.output.json(json!({ "scrub": report }));
    } else {
        context.output.line(&report.words());
        for found in &report.found {
            context.output.line(&format!("  {found}"));
        }
        if !report.found.is_empty() {
            context
                .output
                .say("maifdeck replicas repair mends what can be mended, and is journalled");
        }
        if !report.finished {
            context
                .output
                .say("stopped before its end; maifdeck scrub --resume goes on");
        }
    }
    Ok(match (report.finished, report.found.is_empty()) {
        (false, _) => Exit::PARTIAL,
        (true, false) => Exit::FINDINGS,
        (true, true) => Exit::DONE,
    })
}
