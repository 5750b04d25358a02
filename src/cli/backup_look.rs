//! `backup diff`, `backup find`, `backup restore --to`: what backups hold, without changing the
//! store.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Context, Exit, progress};
use crate::{
    backup::{self, Entry, diff::OneSided},
    planner,
    report::{self, stamp},
    store::{Store, StoreError},
    volume::ArtifactName,
};

/// The members that name an artifact.
pub fn named(name: &ArtifactName, rest: Value) -> Value {
    let mut members = Map::new();
    members.insert("name".to_owned(), name.json().into());
    if let Some(hex) = name.json_hex() {
        members.insert("name_hex".to_owned(), hex.into());
    }
    if let Value::Object(rest) = rest {
        members.extend(rest);
    }
    Value::Object(members)
}

/// `backup diff A [B]`
pub fn diff(
    context: &Context<'_>,
    store: &Store,
    a: &str,
    b: Option<&str>,
) -> Result<u8, StoreError> {
    let a = planner::find(store, a)?;
    let b = b.map(|b| planner::find(store, b)).transpose()?;
    let found = progress::shown(context, |task| {
        planner::backup_diff(store, &a, b.as_ref(), task)
    })?;
    if context.output.is_json() {
        let one_sided = |list: &[OneSided]| -> Vec<Value> {
            let entry = |(name, size): &OneSided| named(name, json!({ "size": size }));
            list.iter().map(entry).collect()
        };
        let changed: Vec<Value> = found
            .changed
            .iter()
            .map(|(name, old, new)| named(name, json!({ "size_a": old, "size_b": new })))
            .collect();
        let unknown: Vec<Value> = found.unknown.iter().map(|n| named(n, json!({}))).collect();
        context.output.json(json!({
            "a": a.id,
            "b": b.as_ref().map(|b| b.id),
            "added": one_sided(&found.added),
            "removed": one_sided(&found.removed),
            "changed": changed,
            "unknown": unknown,
            "same": found.same,
            "versions": {
                "added": found.versions_added,
                "removed": found.versions_removed,
                "same": found.versions_same,
            },
        }));
        return Ok(Exit::DONE);
    }
    let to = b.map_or_else(|| "the store now".to_owned(), |b| b.id.to_string());
    let lines = report::difference::backups(&found, &a.id.to_string(), &to);
    if let Some((sum, lines)) = lines.split_last() {
        for line in lines {
            context.output.line(&line.text);
        }
        context.output.say(&sum.text);
    }
    Ok(Exit::DONE)
}

/// `backup find NAME`
pub fn find(context: &Context<'_>, store: &Store, name: &str) -> Result<u8, StoreError> {
    let name = context.name(name)?;
    let directory = &planner::configured(store)?.directory;
    let found = progress::shown(context, |task| {
        backup::holdings(directory, &name, None, task)
    })?;
    if found.is_empty() {
        return Err(StoreError::NotFound {
            kind: "artifact in any backup",
            what: name.to_string(),
        });
    }
    let unreadable = found.iter().any(|holding| holding.problem.is_some());
    if context.output.is_json() {
        let backups: Vec<Value> = found
            .iter()
            .map(|holding| {
                let current = holding.entries.iter().find(|e| e.version.is_none());
                let versions: Vec<Value> = holding
                    .entries
                    .iter()
                    .filter(|entry| entry.version.is_some())
                    .map(entry_json)
                    .collect();
                json!({
                    "id": holding.id,
                    "at": stamp::rfc3339(holding.at),
                    "state": holding.state,
                    "current": current.map(entry_json),
                    "versions": versions,
                    "problem": holding.problem,
                })
            })
            .collect();
        context
            .output
            .json(named(&name, json!({ "backups": backups })));
    } else {
        for holding in &found {
            context
                .output
                .line(&format!("{}  {}", holding.id, holding.state.word()));
            for entry in &holding.entries {
                let what = match (entry.version, entry.removed) {
                    (None, _) => "current".to_owned(),
                    (Some(id), false) => format!("version {id}"),
                    (Some(id), true) => format!("removal {id}"),
                };
                context.output.line(&format!(
                    "  {what:<28} {:>10}  written {}  {}",
                    report::size(entry.size),
                    stamp::rfc3339_seconds(entry.mtime),
                    entry.sha256
                ));
            }
        }
    }
    for holding in &found {
        if let Some(problem) = &holding.problem {
            context
                .output
                .say(&format!("backup {}: {problem}", holding.id));
        }
    }
    Ok(if unreadable {
        Exit::PARTIAL
    } else {
        Exit::DONE
    })
}

fn entry_json(entry: &Entry) -> Value {
    json!({
        "id": entry.version,
        "removed": entry.removed,
        "size": entry.size,
        "sha256": entry.sha256,
        "written": stamp::rfc3339_seconds(entry.mtime),
        "path": entry.path.json(),
    })
}

/// `backup restore ID [NAME…] --to DIR`
pub fn extract(
    context: &Context<'_>,
    store: &Store,
    id: &str,
    names: &[ArtifactName],
    to: &Path,
) -> Result<u8, StoreError> {
    let id = planner::find(store, id)?.id;
    planner::outside(store, to)?;
    let directory = &planner::configured(store)?.directory;
    let report = progress::shown(context, |task| {
        backup::extract(directory, id, names, to, task)
    })?;
    if context.output.is_json() {
        context.output.json(json!({
            "id": id,
            "to": to.to_string_lossy(),
            "files": report.files,
            "bytes": report.bytes,
            "damaged": report.damaged,
            "missing": report.missing,
        }));
    } else {
        context.output.line(&format!(
            "{} of backup {id} copied and verified, {}",
            report::plural(report.files, "file", "files"),
            report::size(report.bytes)
        ));
        for (what, paths) in [("damaged", &report.damaged), ("missing", &report.missing)] {
            for path in paths {
                context.output.line(&format!("  {what:<8} {path}"));
            }
        }
    }
    Ok(if report.damaged.is_empty() && report.missing.is_empty() {
        Exit::DONE
    } else {
        Exit::PARTIAL
    })
}
