//! The log of a job, from its journal: who began it, what became of each step, how it ended. And
//! single changes beside the jobs.

use chrono::{DateTime, Utc};

use super::{count, plural, size, step};
use crate::{
    journal::{
        Actor, JobState, JobView,
        model::{End, Event, Header, Outcome},
        read,
    },
    plan::Plan,
    store::{Store, StoreError, audit},
};

/// So many lines are told, the newest.
const TOLD: usize = 500;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Steps have no time of their own.
    pub at: Option<DateTime<Utc>>,
    pub words: String,
    pub failed: bool,
}

/// What a job did, newest first.
pub fn log(store: &Store, id: &str) -> Result<Vec<LogLine>, StoreError> {
    let (header, events) = read::events(store, id)?;
    let mut lines = Vec::new();
    for event in events.into_iter().rev() {
        let room = TOLD.saturating_sub(lines.len());
        let told = of_event(event, header.plan.as_deref());
        lines.extend(told.into_iter().rev().take(room));
    }
    if lines.len() < TOLD {
        lines.push(begun(&header));
    }
    Ok(lines)
}

fn of_event<P>(event: Event<P>, plan: Option<&Plan>) -> Vec<LogLine> {
    match event {
        Event::Begin(_) => Vec::new(),
        Event::Resumed { actor, at } => vec![line(at, format!("resumed by {}", who(&actor)))],
        Event::Step { number, outcome } => {
            let what = plan.and_then(|plan| plan.steps.get(number));
            let what = what.map_or_else(|| format!("step {}", number + 1), step);
            let (words, failed) = match outcome {
                Outcome::Done => (format!("{what}  done"), false),
                Outcome::Already => (format!("{what}  was so already"), false),
                Outcome::Failed(why) => (format!("{what}  failed: {why}"), true),
            };
            vec![LogLine {
                at: None,
                words,
                failed,
            }]
        }
        Event::End(end) => ended(end),
    }
}

fn begun(header: &Header) -> LogLine {
    let steps = match header.steps {
        0 => String::new(),
        steps => format!(", {}", plural(steps, "step", "steps")),
    };
    let plan = header.plan_id.as_ref().map_or_else(String::new, |id| {
        format!(", plan {}", id.chars().take(6).collect::<String>())
    });
    let words = format!("begun by {}{steps}{plan}", who(&header.actor));
    line(header.started, words)
}

fn ended(end: End) -> Vec<LogLine> {
    let counted = end.counted.map_or_else(String::new, |counted| {
        format!(
            ", {} done, {} failed",
            count(counted.done),
            count(counted.failed)
        )
    });
    let words = format!("{}, {} written{counted}", end.state.word(), size(end.bytes));
    let errors = end.errors.into_iter().map(|words| LogLine {
        at: None,
        words,
        failed: true,
    });
    errors.chain([line(end.at, words)]).collect()
}

fn line(at: DateTime<Utc>, words: String) -> LogLine {
    LogLine {
        at: Some(at),
        words,
        failed: false,
    }
}

/// A single change, as the list of jobs shows it. It has no journal.
pub fn single(change: audit::Entry) -> JobView {
    let generation = change.generation;
    let generation = generation.map_or_else(String::new, |g| format!(", generation {g}"));
    JobView {
        id: format!("{}-{}", change.at.format("%Y%m%d_%H%M%S%.6f"), change.pid),
        plan: None,
        title: format!("{} {}{generation}", change.intent, change.name),
        intent: change.intent,
        state: match change.result {
            audit::Outcome::Done => JobState::Done,
            audit::Outcome::Partial => JobState::Partial,
            audit::Outcome::Failed => JobState::Failed,
        },
        actor: Actor {
            user: change.user,
            host: change.host,
            pid: change.pid,
            epoch: change.epoch,
        },
        started: change.at,
        ended: None,
        steps_total: 0,
        steps_done: 0,
        steps_failed: 0,
        bytes: 0,
        errors: change.problem.into_iter().collect(),
        resumable: false,
        undoable: false,
    }
}

/// Whether it is a single change, made by no job.
pub fn is_single(job: &JobView) -> bool {
    job.plan.is_none() && matches!(&*job.intent, "put" | "remove")
}

/// `ada@ops-1, pid 123, epoch 7`
pub fn who(actor: &Actor) -> String {
    let epoch = actor.epoch;
    let epoch = epoch.map_or_else(String::new, |epoch| format!(", epoch {epoch}"));
    format!("{}@{}, pid {}{epoch}", actor.user, actor.host, actor.pid)
}
