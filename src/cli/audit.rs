//! `jobs --audit`: who changed what, single changes and jobs in one list.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::{Value, json};

use super::{Context, Exit};
use crate::{
    journal::{JobState, read},
    plan::Step,
    report::{self, stamp},
    store::{StoreError, audit, units::parse_duration},
    volume::name::escape,
};

/// One line of the list.
struct Row {
    at: DateTime<Utc>,
    user: String,
    host: String,
    pid: u32,
    epoch: Option<u64>,
    intent: String,
    /// Id of the plan, of a job.
    plan: Option<String>,
    job: Option<String>,
    names: Vec<String>,
    result: &'static str,
    problem: Option<String>,
}

/// Lists changes, newest first: those since a time, those of one artifact.
pub fn audit(
    context: &Context<'_>,
    since: Option<&str>,
    name: Option<&str>,
) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let since = since
        .map(|text| parse_since(text, store.clock().now()))
        .transpose()?;
    let name = name.map(|name| context.name(name)).transpose()?;
    let name = name.map(|name| name.json());
    let mut rows: Vec<Row> = audit::read(&store).into_iter().map(of_entry).collect();
    rows.extend(read::each(&store, of_job).into_iter().flatten());
    rows.retain(|row| {
        since.is_none_or(|since| row.at >= since)
            && name.as_ref().is_none_or(|name| row.names.contains(name))
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    if context.output.is_json() {
        let rows: Vec<Value> = rows.iter().map(row_json).collect();
        context.output.json(json!({ "audit": rows }));
        return Ok(Exit::DONE);
    }
    for row in &rows {
        let names = match row.names.as_slice() {
            [one] => one.clone(),
            // Of a backup, a verification, a new disk.
            [] => "–".to_owned(),
            names => report::plural(names.len() as u64, "artifact", "artifacts"),
        };
        let epoch = row
            .epoch
            .map_or_else(String::new, |epoch| format!(" epoch {epoch}"));
        context.output.line(&format!(
            "{}  {:<8} {:<16} {}  {}@{} pid {}{epoch}{}",
            stamp::rfc3339(row.at),
            row.result,
            row.intent,
            escape(names.as_bytes()),
            escape(row.user.as_bytes()),
            escape(row.host.as_bytes()),
            row.pid,
            row.job
                .as_ref()
                .map_or_else(String::new, |job| format!(" job {job}")),
        ));
        if let Some(problem) = &row.problem {
            let problem = escape(problem.as_bytes());
            context.output.line(&format!("    {problem}"));
        }
    }
    context
        .output
        .say(&report::plural(rows.len() as u64, "change", "changes"));
    Ok(Exit::DONE)
}

fn of_entry(entry: audit::Entry) -> Row {
    Row {
        at: entry.at,
        user: entry.user,
        host: entry.host,
        pid: entry.pid,
        epoch: entry.epoch,
        intent: entry.intent,
        plan: None,
        job: None,
        names: vec![entry.name],
        result: entry.result.word(),
        problem: entry.problem,
    }
}

/// A job's row, and one for everybody who went on with it.
fn of_job(record: &read::Record) -> Vec<Row> {
    let view = record.view();
    let plan = record.header.plan.iter();
    let mut names: Vec<String> = plan
        .flat_map(|plan| &plan.steps)
        .filter_map(touched)
        .collect();
    names.sort();
    names.dedup();
    let begun = [(view.actor, view.started, view.intent)].into_iter();
    let resumed = record.steps.resumed.iter();
    let mut rows: Vec<Row> = begun
        .chain(resumed.map(|(actor, at)| (actor.clone(), *at, "resume".to_owned())))
        .map(|(actor, at, intent)| Row {
            at,
            user: actor.user,
            host: actor.host,
            pid: actor.pid,
            epoch: actor.epoch,
            intent,
            plan: view.plan.clone(),
            job: Some(view.id.clone()),
            names: names.clone(),
            // Whoever came later went on with what was left.
            result: JobState::Interrupted.word(),
            problem: None,
        })
        .collect();
    if let Some(last) = rows.last_mut() {
        last.result = view.state.word();
        last.problem = view.errors.into_iter().next();
    }
    rows
}

/// The artifact that a step changes.
fn touched(step: &Step) -> Option<String> {
    match step {
        Step::Put { name, .. }
        | Step::Copy { name, .. }
        | Step::Version { name, .. }
        | Step::MendVersion { name, .. }
        | Step::Move { name, .. }
        | Step::Remove { name, .. } => Some(name.json()),
        _ => None,
    }
}

fn row_json(row: &Row) -> Value {
    json!({
        "at": stamp::rfc3339(row.at),
        "user": row.user,
        "host": row.host,
        "pid": row.pid,
        "epoch": row.epoch,
        "intent": row.intent,
        "plan": row.plan,
        "job": row.job,
        "names": row.names,
        "result": row.result,
        "problem": row.problem,
    })
}

/// A time (UTC unless it says otherwise), a day, or how long ago.
fn parse_since(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError> {
    let ago = parse_duration(text)
        .and_then(|ago| chrono::Duration::from_std(ago).ok())
        .and_then(|ago| now.checked_sub_signed(ago));
    let naive = |form| NaiveDateTime::parse_from_str(text, form).ok();
    ago.or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()))
        .or_else(|| Some(naive("%Y-%m-%dT%H:%M:%S")?.and_utc()))
        .or_else(|| Some(naive("%Y-%m-%dT%H:%M")?.and_utc()))
        .or_else(|| {
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(day.and_hms_opt(0, 0, 0)?.and_utc())
        })
        .ok_or_else(|| {
            StoreError::Usage(format!(
                "--since takes a time such as 2026-03-11T18:00, a day, or 24h ago as 24h; not \
                 {text:?}"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_times_days_and_durations() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let at = |text: &str| parse_since(text, now).map(stamp::rfc3339).ok();
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(at("2026-03-11"), is("2026-03-11T00:00:00Z"));
        assert_eq!(at("2026-03-11T18:00"), is("2026-03-11T18:00:00Z"));
        assert_eq!(at("2026-03-11T18:00:01+01:00"), is("2026-03-11T17:00:01Z"));
        assert_eq!(
            at("24h"),
            is(&stamp::rfc3339(now - chrono::Duration::days(1)))
        );
        assert_eq!(at("yesterday"), None);
    }
}
