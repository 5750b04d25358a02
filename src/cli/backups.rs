//! `backup create/list/verify/restore/prune/pin/unpin/undelete/seal`.

use serde_json::json;

use super::{
    Context, Exit,
    args::{BackupCommand, Mode},
    backup_look, plans, progress,
};
use crate::{
    apply::unplanned::{BackupJob, BackupWork},
    backup::{self, BackupId},
    plan::RestoreMode,
    planner, report,
    store::{Store, StoreError},
    volume::ArtifactName,
};

pub fn backup(context: &Context<'_>, command: &BackupCommand) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    match command {
        BackupCommand::Create { .. } => create(context, &store),
        BackupCommand::List => list(context, &store),
        BackupCommand::Verify {
            id, quick, percent, ..
        } => verify(context, &store, id, *quick, *percent),
        BackupCommand::Restore {
            id,
            names,
            mode,
            max_remove,
            to,
            confirm,
        } => {
            let names: Vec<ArtifactName> = names
                .iter()
                .map(|name| context.name(name))
                .collect::<Result<_, _>>()?;
            if let Some(to) = to {
                return backup_look::extract(context, &store, id, &names, to);
            }
            let mode = match mode {
                Mode::Exact => RestoreMode::Exact,
                Mode::Merge => RestoreMode::Merge,
            };
            let plan = planner::backup(&store, id, names, mode, *max_remove)?;
            plans::carry_out(context, &store, plan, *confirm)
        }
        BackupCommand::Prune { policy, confirm } => {
            let plan = planner::prune(&store, policy.policy())?;
            plans::carry_out(context, &store, plan, *confirm)
        }
        BackupCommand::Pin { id, .. } => {
            let id = planner::find(&store, id)?.id;
            planner::pin(&store, id, true)?;
            changed(context, &store, id, "pinned")
        }
        BackupCommand::Unpin { id, .. } => {
            let id = planner::find(&store, id)?.id;
            planner::pin(&store, id, false)?;
            changed(context, &store, id, "unpinned")
        }
        BackupCommand::Seal { id, .. } => seal(context, &store, id),
        BackupCommand::Diff { a, b } => backup_look::diff(context, &store, a, b.as_deref()),
        BackupCommand::Find { name } => backup_look::find(context, &store, name),
        BackupCommand::Undelete { id, .. } => {
            let id = planner::backup_id(id)?;
            store.require_write()?;
            let directory = &planner::configured(&store)?.directory;
            backup::trash::undelete(directory, id, None, store.config().store.lock_timeout)?;
            changed(context, &store, id, "brought back")
        }
    }
}

/// Shows how a backup is after it was changed.
fn changed(
    context: &Context<'_>,
    store: &Store,
    id: BackupId,
    done: &str,
) -> Result<u8, StoreError> {
    if context.output.is_json() {
        let view = backup::tree::find(&planner::configured(store)?.directory, id)?;
        context.output.json(json!({ "backup": view }));
    } else {
        context.output.line(&format!("backup {id} {done}"));
    }
    Ok(Exit::DONE)
}

fn create(context: &Context<'_>, store: &Store) -> Result<u8, StoreError> {
    make(context, store, BackupWork::Create)
}

fn seal(context: &Context<'_>, store: &Store, id: &str) -> Result<u8, StoreError> {
    make(context, store, BackupWork::Seal(planner::backup_id(id)?))
}

/// Makes or seals a backup as a job.
fn make(context: &Context<'_>, store: &Store, work: BackupWork) -> Result<u8, StoreError> {
    let job = BackupJob::begin(store, work)?;
    let (job, report) = progress::shown(context, |task| job.run(task))?;
    if context.output.is_json() {
        context.output.json(json!({
            "job": plans::job_json(&job),
            "backup": {
                "id": report.id, "state": report.state, "artifacts": report.artifacts,
                "versions": report.versions, "bytes": report.bytes,
                "new_bytes": report.new_bytes,
            },
        }));
    } else {
        context.output.line(&format!(
            "backup {} {}: {}, {}, {} ({} new)",
            report.id,
            report.state.word(),
            report::plural(report.artifacts, "artifact", "artifacts"),
            report::plural(report.versions, "version", "versions"),
            report::size(report.bytes),
            report::size(report.new_bytes)
        ));
    }
    for skipped in &report.skipped {
        context.output.say(&format!("not in it: {skipped}"));
    }
    Ok(if report.skipped.is_empty() {
        Exit::DONE
    } else {
        Exit::PARTIAL
    })
}

fn list(context: &Context<'_>, store: &Store) -> Result<u8, StoreError> {
    let backups = planner::backups(store)?;
    if context.output.is_json() {
        context.output.json(json!({ "backups": backups }));
        return Ok(Exit::DONE);
    }
    let now = store.clock().now();
    for view in &backups {
        let verified = view.verified.map_or_else(
            || "never verified".to_owned(),
            |v| {
                format!(
                    "{} {} {} % {}",
                    if v.ok { "verified" } else { "found damaged" },
                    v.level.word(),
                    v.percent,
                    report::ago(now, v.at)
                )
            },
        );
        let mut kept = view.kept_by.clone();
        if view.pinned {
            kept.insert(0, "pinned".to_owned());
        }
        let kept = if kept.is_empty() {
            String::new()
        } else {
            format!("; kept: {}", kept.join(", "))
        };
        context.output.line(&format!(
            "{}  {:<11} {:>10}  {:>6} artifacts {:>10} ({:>10} new)  {verified}{kept}",
            view.id,
            view.state.word(),
            report::ago(now, view.at),
            report::count(view.artifacts),
            report::size(view.bytes),
            report::size(view.new_bytes),
        ));
    }
    context
        .output
        .say(&report::plural(backups.len() as u64, "backup", "backups"));
    Ok(Exit::DONE)
}

fn verify(
    context: &Context<'_>,
    store: &Store,
    id: &str,
    quick: bool,
    percent: u8,
) -> Result<u8, StoreError> {
    let view = planner::find(store, id)?;
    let directory = &planner::configured(store)?.directory;
    let report = progress::shown(context, |task| {
        backup::verify_part(directory, view.id, quick, percent, store.clock(), task)
    })?;
    if context.output.is_json() {
        context.output.json(json!({
            "id": view.id, "ok": report.ok, "checked": report.checked,
            "damaged": report.damaged, "missing": report.missing, "extra": report.extra,
        }));
    } else {
        context.output.line(&format!(
            "backup {} is {}: {} looked at",
            view.id,
            if report.ok { "good" } else { "damaged" },
            report::plural(report.checked, "file", "files"),
        ));
        for (what, paths) in [
            ("damaged", &report.damaged),
            ("missing", &report.missing),
            ("extra", &report.extra),
        ] {
            for path in paths {
                context.output.line(&format!("  {what:<8} {path}"));
            }
        }
    }
    Ok(if report.ok {
        Exit::DONE
    } else {
        Exit::FINDINGS
    })
}
