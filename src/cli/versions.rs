//! `versions …`: the history of an artifact, and going back in it.

use serde_json::{Map, Value, json};

use super::{Context, Exit, args::Confirm, args::VersionsCommand, plans, progress, version_diff};
use crate::{
    backup::BackupId,
    planner,
    report::{self, stamp},
    store::{Store, StoreError},
    survey::{
        self, History,
        timeline::{Current, Earlier, Looked},
    },
    volume::Level,
};

/// `versions restore`
pub fn command(context: &Context<'_>, command: &VersionsCommand) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    match command {
        VersionsCommand::Restore {
            name,
            id,
            as_of,
            aside,
            confirm,
        } => {
            let aside = aside
                .as_deref()
                .map(|aside| context.new_name(aside))
                .transpose()?;
            let history = read(context, &store, name, Level::Quick)?;
            let pick = match as_of {
                Some(time) => history.at(planner::moment(&store, time)?)?,
                None => planner::pick(&store, &history, id.as_deref().unwrap_or_default())?,
            };
            restore(context, &store, &history, pick, aside, *confirm)
        }
        VersionsCommand::Prune {
            names,
            policy,
            confirm,
        } => {
            store.require_same_layout()?;
            let names = names
                .iter()
                .map(|name| context.name(name))
                .collect::<Result<_, _>>()?;
            let plan = planner::prune_versions(&store, names, policy.policy())?;
            plans::carry_out(context, &store, plan, *confirm)
        }
        VersionsCommand::Diff { name, a, b } => {
            let history = read(context, &store, name, Level::Quick)?;
            let a = planner::pick(&store, &history, a)?;
            let b = match b {
                Some(b) => planner::pick(&store, &history, b)?,
                None => survey::Pick::Current,
            };
            version_diff::diff(context, &store, &history, a, b)
        }
    }
}

fn restore(
    context: &Context<'_>,
    store: &Store,
    history: &History,
    pick: survey::Pick,
    aside: Option<crate::volume::ArtifactName>,
    confirm: Confirm,
) -> Result<u8, StoreError> {
    store.require_same_layout()?;
    if let Some(plan) = planner::restore_state(store, history, pick, aside)? {
        return plans::carry_out(context, store, plan, confirm);
    }
    if context.output.is_json() {
        let same = json!({ "name": history.name.json(), "changed": false });
        context.output.json(same);
    }
    let name = &history.name;
    context
        .output
        .say(&format!("{name} is as it was then; nothing to do"));
    Ok(Exit::DONE)
}

fn read(
    context: &Context<'_>,
    store: &Store,
    name: &str,
    level: Level,
) -> Result<History, StoreError> {
    let name = context.name(name)?;
    progress::shown(context, |task| survey::history(store, &name, level, task))
}

/// `versions NAME`
pub fn show(context: &Context<'_>, name: &str) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    // Agents, blocks and digests take reading every byte; a table shows none of them.
    let level = if context.output.is_json() {
        Level::Deep
    } else {
        Level::Quick
    };
    let history = read(context, &store, name, level)?;
    if context.output.is_json() {
        let versions: Vec<Value> = history.states.iter().map(state_json).collect();
        context.output.json(super::backup_look::named(
            &history.name,
            json!({
                "current": history.current.as_ref().map(current_json),
                "versions": versions,
                "problems": history.problems,
            }),
        ));
        return Ok(Exit::DONE);
    }
    if let Some(copy) = &history.current {
        context.output.line(&format!(
            "{:<23}  {:>10}  since {}{}",
            "current",
            report::size(copy.size.unwrap_or(0)),
            stamp::rfc3339(copy.from),
            remarks(&copy.backups.iter().copied().collect::<Vec<_>>(), None, &[])
        ));
    }
    for state in &history.states {
        let what = if state.removed {
            "removed".to_owned()
        } else {
            report::size(state.size)
        };
        let span = match (state.from, state.until) {
            (Some(from), Some(until)) => {
                format!("{} – {}", stamp::rfc3339(from), stamp::rfc3339(until))
            }
            _ => String::new(),
        };
        let backups: Vec<BackupId> = state.backups.iter().copied().collect();
        let kept = report::kept_by(&state.kept_by);
        let id = state.id.to_string();
        let remarks = remarks(&backups, state.same_as.as_deref(), &kept);
        context
            .output
            .line(&format!("{id:<23}  {what:>10}  {span}{remarks}"));
    }
    for problem in &history.problems {
        context.output.say(problem);
    }
    Ok(Exit::DONE)
}

fn remarks(backups: &[BackupId], same_as: Option<&str>, kept: &[String]) -> String {
    let mut remarks = Vec::new();
    remarks.extend(same_as.map(|other| format!("same as {other}")));
    match backups {
        [] => {}
        [one] => remarks.push(format!("in backup {one}")),
        [.., last] => remarks.push(format!("in {} backups up to {last}", backups.len())),
    }
    if !kept.is_empty() {
        remarks.push(format!("kept: {}", kept.join(", ")));
    }
    if remarks.is_empty() {
        return String::new();
    }
    format!("  {}", remarks.join("; "))
}

/// The members that a current copy and an earlier state have in common.
fn common(looked: Option<&Looked>) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("agent_did".to_owned(), json!(looked.map(|l| &l.agent_did)));
    members.insert("blocks".to_owned(), json!(looked.map(|l| l.blocks)));
    members.insert("intact".to_owned(), json!(looked.map(|l| l.intact)));
    members
}

fn current_json(copy: &Current) -> Value {
    let mut members = common(copy.looked.as_ref());
    let Value::Object(rest) = json!({
        "volume": copy.volume,
        "size": copy.size,
        "written": stamp::rfc3339(copy.written),
        "current_from": stamp::rfc3339(copy.from),
        "generation": copy.generation,
        "sha256": copy.sha256,
        "backups": copy.backups,
    }) else {
        return Value::Object(members);
    };
    members.extend(rest);
    Value::Object(members)
}

fn state_json(state: &Earlier) -> Value {
    let mut members = common(state.looked.as_ref());
    let Value::Object(rest) = json!({
        "id": state.id.to_string(),
        "written": stamp::rfc3339(state.written),
        "current_from": state.from.map(stamp::rfc3339),
        "current_until": state.until.map(stamp::rfc3339),
        "size": (!state.removed).then_some(state.size),
        "sha256": state.sha256,
        "kept_by": report::kept_by(&state.kept_by),
        "backups": state.backups,
        "volumes": state.volumes,
    }) else {
        return Value::Object(members);
    };
    members.extend(rest);
    if state.removed {
        members.insert("removed".to_owned(), true.into());
    }
    if let Some(other) = &state.same_as {
        members.insert("same_as".to_owned(), other.clone().into());
    }
    if !state.also.is_empty() {
        let also: Vec<String> = state.also.iter().map(ToString::to_string).collect();
        members.insert("also".to_owned(), also.into());
    }
    Value::Object(members)
}
