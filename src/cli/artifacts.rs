//! Commands on single artifacts, and the lists of them.

use std::{
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Context, Exit,
    args::{Confirm, Get, Lock, Put},
    child, plans, shown,
};
use crate::{
    apply,
    plan::Step,
    planner,
    progress::Task,
    report::{self, stamp},
    store::{
        Store, StoreError,
        cache::Origin,
        commit::{Committed, Condition, PutRequest},
        fetch, hold, lease,
        peek::Peek,
        prepare::{self, Input},
    },
    survey::{self, Scope, Survey, VersionView},
    volume::{ArtifactName, Level, LockMode, VersionKind},
};

/// `put`
pub fn put(context: &Context<'_>, put: &Put) -> Result<u8, StoreError> {
    let name = context.new_name(&put.name)?;
    let condition = match put.if_generation.as_deref() {
        None => Condition::Always,
        Some("absent") => Condition::Absent,
        Some(number) => Condition::Generation(number.parse().map_err(|_| {
            StoreError::Usage(format!(
                "--if-generation takes a number or \"absent\", not {number:?}"
            ))
        })?),
    };
    let mut stdin = std::io::stdin();
    let input = match (&put.texts[..], &put.file, &put.stdin) {
        ([_, ..], ..) => Input::Texts(&put.texts),
        (_, Some(path), _) => Input::File(path),
        (_, _, Some(_)) => Input::Stream(&mut stdin),
        _ => {
            return Err(StoreError::Usage(
                "give --text, --file or - for standard input".to_owned(),
            ));
        }
    };
    let store = context.open(true)?;
    store.require_write()?;
    let prepared = prepare::prepare(input, &store.config().sign, store.clock().as_ref())?;
    let committed = store.put(PutRequest {
        name: &name,
        source: prepared.file.path(),
        sha256: prepared.sha256,
        condition,
        guard: &|_| Ok(()),
    })?;
    Ok(report_change(context, &committed, "stored"))
}

/// Prints what a change did; its exit code.
fn report_change(context: &Context<'_>, committed: &Committed, verb: &str) -> u8 {
    if context.output.is_json() {
        let copies: Vec<Value> = committed
            .copies
            .iter()
            .map(|copy| match &copy.result {
                Ok(()) => json!({"volume": copy.volume, "state": "ok"}),
                Err(why) => json!({"volume": copy.volume, "state": "missing", "error": why}),
            })
            .collect();
        let mut document = json!({
            "name": committed.name.json(),
            "generation": committed.generation,
            "version": committed.version,
            "copies": copies,
        });
        if let (Value::Object(members), Some(hex)) = (&mut document, committed.name.json_hex()) {
            members.insert("name_hex".to_owned(), hex.into());
        }
        context.output.json(document);
    } else {
        let written: Vec<&str> = committed
            .copies
            .iter()
            .filter(|copy| copy.result.is_ok())
            .map(|copy| &*copy.volume)
            .collect();
        let archived = committed.version.map_or_else(String::new, |id| {
            format!(", the copy before is version {id}")
        });
        context.output.line(&format!(
            "{} {verb} on {} as generation {}{archived}",
            committed.name,
            written.join(", "),
            committed.generation
        ));
    }
    for copy in &committed.copies {
        if let Err(why) = &copy.result {
            context
                .output
                .say(&format!("not on {}: {why}", copy.volume));
        }
    }
    if committed.is_complete() {
        Exit::DONE
    } else {
        Exit::PARTIAL
    }
}

/// `get`
pub fn get(context: &Context<'_>, get: &Get) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let name = context.name(&get.name)?;
    match get.version.as_deref() {
        None => deliver_current(context, &store, &name, get.output.as_deref()),
        Some(version) => {
            let fetched = planner::fetch(&store, &name, version)?;
            deliver(
                context,
                &name,
                &fetched,
                &Origin::Store,
                get.output.as_deref(),
            )
        }
    }
}

/// Gives the current copy, from the cache where that is as good.
pub fn deliver_current(
    context: &Context<'_>,
    store: &Store,
    name: &ArtifactName,
    output: Option<&Path>,
) -> Result<u8, StoreError> {
    let (fetched, origin) = store.get(name)?;
    if let Origin::Stale { why } = &origin {
        context.output.say(&format!(
            "stale: {why}; this is the copy that was cached last"
        ));
    }
    deliver(context, name, &fetched, &origin, output)
}

fn deliver(
    context: &Context<'_>,
    name: &ArtifactName,
    fetched: &fetch::Fetched,
    origin: &Origin,
    output: Option<&Path>,
) -> Result<u8, StoreError> {
    if let Some(path) = output {
        fetch::deliver(fetched, path)?;
        if context.output.is_json() {
            context.output.json(json!({
                "name": name.json(),
                "file": path.to_string_lossy(),
                "size": fetched.verification.size,
                "sha256": fetched.verification.sha256,
                "from": fetched.volume,
                "cached": *origin != Origin::Store,
                "stale": matches!(origin, Origin::Stale { .. }),
            }));
        }
        context.output.say(&format!(
            "{} from {}, verified, in {}",
            report::size(fetched.verification.size),
            fetched.volume,
            shown(path)
        ));
    } else {
        let mut out = std::io::stdout().lock();
        fetched
            .copy_to(&mut out)
            .and_then(|_| out.flush())
            .map_err(|error| {
                StoreError::Failed(format!("cannot write to standard output: {error}"))
            })?;
    }
    Ok(Exit::DONE)
}

/// The bytes of an artifact of the store: its current copy, or an earlier state.
pub fn fetch(
    context: &Context<'_>,
    name: &str,
    version: Option<&str>,
) -> Result<(ArtifactName, fetch::Fetched), StoreError> {
    let store = context.open(false)?;
    let name = context.name(name)?;
    let fetched = match version {
        None => store.fetch(&name)?,
        Some(version) => planner::fetch(&store, &name, version)?,
    };
    Ok((name, fetched))
}

/// `rm`
pub fn remove(context: &Context<'_>, names: &[String], confirm: Confirm) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    store.require_same_layout()?;
    let wanted = names
        .iter()
        .map(|name| context.name(name))
        .collect::<Result<Vec<_>, _>>()?;
    let plan = planner::removal(&store, wanted)?;
    match plan.steps.as_slice() {
        [] => Err(StoreError::NotFound {
            kind: "artifact",
            what: plan.summary.skipped.join("; "),
        }),
        // One artifact is a change like any other; several are a job.
        [Step::Remove { name, expect, .. }] if !confirm.dry_run => {
            plans::confirmed(context, &store, &plan, confirm)?;
            let guard = |peeks: &[(&str, &Peek)]| apply::holds(expect, None, peeks);
            let committed = store.remove(name, &guard)?;
            let code = report_change(context, &committed, "removed");
            Ok(code.max(plans::left(&plan)))
        }
        _ => plans::carry_out(context, &store, plan, confirm),
    }
}

pub fn presence(store: &Store) -> Result<Survey, StoreError> {
    let scope = Scope {
        level: Level::Presence,
        ..Scope::default()
    };
    survey::survey(store, &scope, &Task::new())
}

/// `ls`
pub fn list(context: &Context<'_>, pattern: Option<&str>) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let survey = presence(&store)?;
    let rows = survey.artifacts.iter().enumerate().filter(|(_, artifact)| {
        !artifact.removed && pattern.is_none_or(|pattern| matches(pattern, &artifact.name.json()))
    });
    if context.output.is_json() {
        let artifacts: Vec<Value> = rows
            .map(|(row, artifact)| {
                let copy = artifact.shown_copy();
                let mut entry = json!({
                    "name": artifact.name.json(),
                    "size": copy.and_then(|c| c.size),
                    "modified": copy.map(|c| stamp::rfc3339_seconds(c.modified())),
                    "partition": survey.partitions.get(usize::from(artifact.home))
                        .map(|p| p.name.to_string()),
                    "versions": archived(survey.history(row)),
                    "state": artifact.state,
                });
                if let (Value::Object(members), Some(hex)) = (&mut entry, artifact.name.json_hex())
                {
                    members.insert("name_hex".to_owned(), hex.into());
                }
                entry
            })
            .collect();
        context.output.json(json!({ "artifacts": artifacts }));
        return Ok(Exit::DONE);
    }
    let mut listed = 0u64;
    for (row, artifact) in rows {
        listed += 1;
        let copy = artifact.shown_copy();
        let size = copy
            .and_then(|c| c.size)
            .map_or_else(|| "–".to_owned(), report::size);
        let modified = copy
            .and_then(|c| chrono::DateTime::from_timestamp(c.modified(), 0))
            .map_or_else(String::new, |time| report::Zone::Local.full(time));
        let state = match artifact.state {
            survey::ArtifactState::Ok => "",
            state => state.word(),
        };
        context.output.line(&format!(
            "{size:>10}  {modified:<25}  {:<6} {:>3}  {} {state}",
            survey
                .partitions
                .get(usize::from(artifact.home))
                .map_or("?", |p| &p.name),
            archived(survey.history(row)),
            artifact.name,
        ));
    }
    context
        .output
        .say(&report::plural(listed, "artifact", "artifacts"));
    Ok(Exit::DONE)
}

fn archived(history: &[VersionView]) -> usize {
    history
        .iter()
        .filter(|version| version.kind == VersionKind::Copy)
        .count()
}

/// `*` any characters, `?` one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // The last `*` passed, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    let (mut p, mut t) = (0, 0);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_none_or(|rest| rest.iter().all(|c| *c == '*'))
}

/// `partitions`
pub fn partitions(context: &Context<'_>) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let survey = presence(&store)?;
    let warned = survey
        .volumes
        .iter()
        .any(|volume| volume.state != survey::VolumeState::Ok)
        || survey.partitions.iter().any(|p| p.misplaced > 0);
    if context.output.is_json() {
        context.output.json(report::json::partitions(&survey));
    } else {
        for (number, partition) in survey.partitions.iter().enumerate() {
            context.output.line(&format!(
                "{:<8} {:>8} {:>12}  {:>7} of an even {:>7}{}",
                partition.name,
                report::count(partition.artifacts),
                report::size(partition.bytes),
                report::percent(partition.share),
                report::percent(partition.expected_share),
                if partition.misplaced > 0 {
                    format!("  {} misplaced here", partition.misplaced)
                } else {
                    String::new()
                }
            ));
            for volume in &survey.volumes {
                if usize::from(volume.partition) != number {
                    continue;
                }
                let free = volume.space.map_or_else(
                    || "–".to_owned(),
                    |s| format!("{} free", report::size(s.free)),
                );
                context.output.line(&format!(
                    "  {:<8} {:<11} {:>8}  {free:<16} {}",
                    volume.label,
                    volume.state.word(),
                    report::count(volume.artifacts),
                    shown(&volume.path)
                ));
            }
        }
        context.output.say(&format!(
            "placement {}, skew {:.2}",
            survey.placement, survey.skew
        ));
    }
    Ok(if warned { Exit::FINDINGS } else { Exit::DONE })
}

/// `lock NAME -- CMD…`
pub fn lock(context: &Context<'_>, lock: &Lock) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let name = context.name(&lock.name)?;
    let slots = store.lockable(&name)?;
    let mode = if lock.shared {
        LockMode::Shared
    } else {
        LockMode::Exclusive
    };
    let given = lock
        .timeout
        .map(|s| Instant::now() + Duration::from_secs(s));
    // Who locks to change takes the lease first, as the lock order has it, and lends it on.
    let lead = match (mode, given) {
        (LockMode::Exclusive, None) => store.lead()?,
        (LockMode::Exclusive, Some(until)) => store.lead_until(until)?,
        (LockMode::Shared, _) => lease::Lead::default(),
    };
    let until = given.unwrap_or_else(|| Instant::now() + store.config().store.lock_timeout);
    let held = hold::hold_for_child(&slots, &name, mode, until)?;
    let descriptors = held
        .inheritable(&name)
        .map_err(|error| StoreError::Failed(format!("cannot hand the lock on: {error}")))?;
    let mut environment = vec![(hold::INHERITED, descriptors)];
    environment.extend(lead.lend(&store)?.map(|lent| (lease::gate::LENT, lent)));
    let code = child::run(&lock.command, &environment)?;
    drop(held);
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_a_shell_does() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("doc-*", "doc-7", true),
            ("doc-?", "doc-77", false),
            ("*-7*", "doc-7-7x", true),
            ("a*b*c", "aXbYcZ", false),
            ("é?", "éx", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
