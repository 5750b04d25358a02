//! `volume` and `trash`.

use serde_json::{Value, json};

use super::{
    Context, Exit,
    args::{Confirm, TrashCommand, VolumeCommand},
    artifacts, plans, shown,
};
use crate::{
    plan::Plan,
    planner, report,
    store::{Store, StoreError, lease, mark},
    survey::VolumeState,
    volume::{At, Pending, Probe},
};

/// `volume list/mark/replace/probe`
pub fn volume(context: &Context<'_>, command: &VolumeCommand) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    match command {
        VolumeCommand::List => list(context, &store),
        VolumeCommand::Probe { volume } => {
            store.require_write()?;
            let probe = mark::probe(&store, volume)?;
            let asked = store.slot(volume).map(|slot| &slot.volume);
            let asked = asked.map(|volume| lease::acquire::distrust(volume, Some(&probe)));
            let distrust = asked.map(Pending::wait).transpose()?.flatten();
            print_probe(context, volume, &probe, distrust);
            Ok(Exit::DONE)
        }
        VolumeCommand::Mark { volume, confirm } => {
            let plan = planner::mark(&store, volume, false, None)?;
            join(context, &store, volume, plan, *confirm)
        }
        VolumeCommand::Replace {
            volume,
            directory,
            confirm,
        } => {
            let directory = directory
                .as_ref()
                .map(|directory| std::path::absolute(directory).at("find", directory))
                .transpose()?;
            let plan = planner::mark(&store, volume, true, directory)?;
            join(context, &store, volume, plan, *confirm)
        }
    }
}

/// Carries the plan out and says what comes next.
fn join(
    context: &Context<'_>,
    store: &Store,
    label: &str,
    plan: Plan,
    confirm: Confirm,
) -> Result<u8, StoreError> {
    let code = plans::carry_out(context, store, plan, confirm)?;
    if code == Exit::DONE && !confirm.dry_run {
        context.output.say(&format!(
            "{label} joins; it counts when its repair has finished: maifdeck replicas repair \
             --volume {label}"
        ));
    }
    Ok(code)
}

fn list(context: &Context<'_>, store: &Store) -> Result<u8, StoreError> {
    let survey = artifacts::presence(store)?;
    let mut code = Exit::DONE;
    let mut documents = Vec::new();
    for (view, slot) in survey.volumes.iter().zip(store.slots()) {
        if view.state != VolumeState::Ok {
            code = Exit::FINDINGS;
        }
        let identity = slot.identity.as_ref();
        if context.output.is_json() {
            documents.push(json!({
                "label": &*view.label,
                "path": view.path.to_string_lossy(),
                "state": view.state,
                "reason": view.reason,
                "artifacts": view.artifacts,
                "current_bytes": view.current_bytes,
                "versions_bytes": view.versions_bytes,
                "trash_bytes": view.trash_bytes,
            "other_bytes": view.other_bytes(),
                "other_files": view.other_files,
                "free_bytes": view.space.map(|s| s.free),
                "total_bytes": view.space.map(|s| s.total),
                "instance": identity.map(|i| &i.instance),
                "marked_at": identity.map(|i| &i.marked_at),
                "layout": identity.map(|i| i.layout.number),
                "probe": identity.and_then(|i| i.probe.as_ref()),
            }));
            continue;
        }
        let size = |bytes: Option<u64>| bytes.map_or_else(|| "–".to_owned(), report::size);
        context.output.line(&format!(
            "{:<8} {:<11} {:>8} artifacts  {:>10} free of {:>10}  {}",
            view.label,
            view.state.word(),
            report::count(view.artifacts),
            size(view.space.map(|s| s.free)),
            size(view.space.map(|s| s.total)),
            shown(&view.path)
        ));
        if let Some(reason) = &view.reason {
            context.output.line(&format!("         {reason}"));
        }
    }
    if context.output.is_json() {
        context.output.json(json!({ "volumes": documents }));
    }
    Ok(code)
}

/// `distrust`: why no lease can live there.
fn print_probe(context: &Context<'_>, label: &str, probe: &Probe, distrust: Option<String>) {
    if context.output.is_json() {
        context.output.json(json!({
            "volume": label,
            "probe": probe,
            "leases": { "trusted": distrust.is_none(), "reason": distrust },
        }));
        return;
    }
    context
        .output
        .line(&format!("{label}: {}", probe.file_system));
    for (what, holds) in [
        ("flock between processes", probe.flock),
        ("exclusive creation", probe.exclusive_create),
        ("hard links", probe.hard_link),
        ("rename without replacing", probe.rename_noreplace),
        ("extended attributes", probe.xattr),
        ("fsync", probe.fsync),
        ("names that differ in case only", !probe.folds_case),
    ] {
        let word = if holds { "yes" } else { "no" };
        context.output.line(&format!("  {what:<32} {word}"));
    }
    let leases = distrust.map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
    let what = "leases can live here";
    context.output.line(&format!("  {what:<32} {leases}"));
    context.output.say(
        "whether locks hold between two hosts only two hosts can tell: run `maifdeck lock NAME -- \
         sleep 60` on one and `maifdeck lock NAME --shared --timeout 5 -- true` on the other; the \
         second must exit 3 and name the first",
    );
}

/// `trash list/empty`
pub fn trash(context: &Context<'_>, command: &TrashCommand) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    match command {
        TrashCommand::List => {
            let found = planner::waiting(&store);
            if context.output.is_json() {
                let entries: Vec<Value> = found
                    .iter()
                    .map(|(volume, entry)| {
                        json!({
                            "volume": volume, "job": entry.job, "files": entry.files,
                            "bytes": entry.bytes, "since": entry.since().map(report::stamp::rfc3339),
                        })
                    })
                    .collect();
                context.output.json(json!({ "trash": entries }));
                return Ok(Exit::DONE);
            }
            let now = store.clock().now();
            for (volume, entry) in &found {
                context.output.line(&format!(
                    "{volume:<8} {:<30} {:>6} files {:>10}  {}",
                    entry.job,
                    report::count(entry.files),
                    report::size(entry.bytes),
                    entry
                        .since()
                        .map_or_else(String::new, |since| report::ago(now, since))
                ));
            }
            let bytes = found.iter().map(|(_, entry)| entry.bytes).sum();
            context
                .output
                .say(&format!("{} can be freed", report::size(bytes)));
            Ok(Exit::DONE)
        }
        TrashCommand::Empty { all, confirm } => {
            let plan = planner::empty_trash(&store, *all);
            plans::carry_out(context, &store, plan, *confirm)
        }
    }
}
