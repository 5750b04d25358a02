//! Plan → done: exactly the plan that was confirmed, step by step, journalled, cancellable between
//! two steps, resumable. A step whose expectation no longer holds is refused, and the others go on.

mod steps;
mod versions;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    journal::{
        Actor, JobState, JobView, Journal,
        model::{Event, Header, Outcome},
        read,
    },
    plan::{Intent, Plan},
    progress::Task,
    store::{Slot, Store, StoreError, hold},
    volume::{Lane, LockMode, fault, lock::host},
};

/// The journal is made durable after so many steps, and at the end.
const BATCH: usize = 256;

/// A job whose locks are held and whose journal is open: ready to run.
#[derive(Debug)]
pub struct Job {
    store: Store,
    plan: Plan,
    journal: Journal,
    done: BTreeSet<usize>,
    /// Given back with the job.
    _held: hold::Held,
}

impl Job {
    pub fn id(&self) -> &str {
        self.journal.id()
    }

    pub fn title(&self) -> String {
        self.plan.intent.title()
    }

    /// Runs it to its end, or to where it is cancelled.
    pub fn run(self, task: &Task) -> Result<JobView, StoreError> {
        let id = self.id().to_owned();
        if let Err(error) = run(&self.store, &self.plan, &self.journal, &self.done, task) {
            // Ended before or between its steps: the journal says so, whatever else fails.
            let state = match error {
                StoreError::Cancelled(_) => JobState::Cancelled,
                _ => JobState::Failed,
            };
            self.journal.end(&Event::End {
                state,
                at: self.store.clock().now(),
                bytes: task.snapshot().bytes_done,
            })?;
            return Err(error);
        }
        // The journal's lock is given back before it is read, or the job would look as if it ran.
        let store = self.store.clone();
        drop(self);
        Ok(read::find(&store, &id)?.view())
    }
}

/// Applies a plan as a job.
pub fn apply(store: &Store, plan: &Plan, task: &Task) -> Result<JobView, StoreError> {
    begin(store, plan)?.run(task)
}

/// Checks a plan, takes the locks and writes the journal's beginning: from here on it is a job.
pub fn begin(store: &Store, plan: &Plan) -> Result<Job, StoreError> {
    check(store, plan)?;
    let held = lock(store, plan)?;
    let header = Header {
        id: job_id(store)?,
        intent: plan.intent.word().to_owned(),
        title: plan.intent.title(),
        actor: actor(),
        started: store.clock().now(),
        plan_id: Some(plan.id.to_string()),
        steps: plan.steps.len() as u64,
        plan: Some(serde_json::to_value(plan).map_err(|error| {
            StoreError::Failed(format!("cannot write the plan to the journal: {error}"))
        })?),
    };
    let journal = Journal::begin(store, &header)?;
    fault::point("apply.journalled").map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(Job {
        store: store.clone(),
        plan: plan.clone(),
        journal,
        done: BTreeSet::new(),
        _held: held,
    })
}

/// Makes an interrupted or cancelled job ready to go on: what is left of its plan.
pub fn resume(store: &Store, id: &str) -> Result<Job, StoreError> {
    store.require_write()?;
    let record = read::find(store, id)?;
    let view = record.view();
    let Some(plan) = record.header.plan.as_ref().filter(|_| view.resumable) else {
        return Err(StoreError::Usage(format!(
            "job {} is {}; there is nothing to resume",
            view.id,
            view.state.word()
        )));
    };
    let plan: Plan = serde_json::from_value(plan.clone()).map_err(|error| {
        StoreError::Failed(format!(
            "the plan in the journal of {id} is damaged: {error}"
        ))
    })?;
    check(store, &plan)?;
    let held = lock(store, &plan)?;
    let journal = Journal::resume(store, &view.id)?;
    journal.end(&Event::Resumed {
        actor: actor(),
        at: store.clock().now(),
    })?;
    Ok(Job {
        store: store.clone(),
        plan,
        journal,
        done: record.done,
        _held: held,
    })
}

fn check(store: &Store, plan: &Plan) -> Result<(), StoreError> {
    store.require_write()?;
    store.require_same_layout()?;
    if !plan.is_genuine() {
        return Err(StoreError::Usage(
            "the plan was edited: its steps are not those of its id".to_owned(),
        ));
    }
    if Some(&*plan.store) != store.id() {
        return Err(StoreError::Changed(
            "the plan was made for another store".to_owned(),
        ));
    }
    for need in &plan.summary.space {
        let free = store
            .slot(&need.volume)
            .and_then(|slot| slot.volume.space().ok())
            .map_or(u64::MAX, |(free, _)| free);
        if free < need.needed {
            return Err(StoreError::Failed(format!(
                "{} has {free} bytes free, the plan needs {}; nothing was changed",
                need.volume, need.needed
            )));
        }
    }
    Ok(())
}

/// Restores keep all other writers out; repairs only other bulk work.
fn lock(store: &Store, plan: &Plan) -> Result<hold::Held, StoreError> {
    let slots: Vec<&Slot> = store.slots().iter().filter(|s| s.is_writable()).collect();
    let mode = match plan.intent {
        Intent::BackupRestore { .. } => LockMode::Exclusive,
        _ => LockMode::Shared,
    };
    let held = hold::hold_store(store, &slots, mode)?;
    if mode == LockMode::Exclusive {
        // Nobody else stages now, so what lies there was left by a crash.
        for slot in slots {
            slot.volume.run(Lane::Short, |dir, _| dir.sweep_staging())?;
        }
    }
    Ok(held)
}

/// Runs the steps that are not done yet.
fn run(
    store: &Store,
    plan: &Plan,
    journal: &Journal,
    done: &BTreeSet<usize>,
    task: &Task,
) -> Result<(), StoreError> {
    let store = store.in_bulk();
    let began = Instant::now();
    task.totals(plan.steps.len() as u64, plan.summary.bytes);
    task.add_done(done.len() as u64);
    task.phase("applying");
    let context = steps::Context {
        store: &store,
        job: journal.id(),
        task,
    };
    if matches!(plan.intent, Intent::BackupRestore { .. }) {
        // A backup that turns out damaged half-way would leave a store that never was.
        task.phase("verifying the backup");
        for (number, step) in plan.steps.iter().enumerate() {
            if !done.contains(&number) {
                task.checkpoint()?;
                context.check_source(step)?;
            }
        }
        task.phase("applying");
    }
    let mut failed = 0u64;
    let mut cancelled = false;
    for (number, step) in plan.steps.iter().enumerate() {
        if done.contains(&number) {
            continue;
        }
        if task.checkpoint().is_err() {
            cancelled = true;
            break;
        }
        let outcome = match context.run(step) {
            Ok(outcome) => outcome,
            Err(error) => {
                failed += 1;
                task.add_failed(1);
                Outcome::Failed(format!("{}: {error}", steps::words(step)))
            }
        };
        task.add_done(1);
        fault::point("apply.step-done").map_err(|error| StoreError::Failed(error.to_string()))?;
        journal.step(number, &outcome, (number + 1) % BATCH == 0)?;
    }
    task.flush();
    let state = match (cancelled, failed) {
        (true, _) => JobState::Cancelled,
        (false, 0) => JobState::Done,
        (false, n) if n == plan.steps.len() as u64 => JobState::Failed,
        (false, _) => JobState::Partial,
    };
    tracing::info!(job = journal.id(), took = ?began.elapsed(), ?state, "job ended");
    journal.end(&Event::End {
        state,
        at: store.clock().now(),
        bytes: task.snapshot().bytes_done,
    })
}

/// `<YYYYmmdd_HHMMSS.mmm>-<six hex digits>`
pub fn job_id(store: &Store) -> Result<String, StoreError> {
    let random = getrandom::u32()
        .map_err(|error| StoreError::Failed(format!("no random numbers: {error}")))?;
    Ok(format!(
        "{}-{:06x}",
        store.clock().now().format("%Y%m%d_%H%M%S%.3f"),
        random & 0x00ff_ffff
    ))
}

/// This process and its user.
pub fn actor() -> Actor {
    let user = std::env::var("USER")
        .ok()
        .filter(|user| !user.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    Actor {
        user,
        host: host(),
        pid: std::process::id(),
    }
}

/// How long a finished job took, for its report.
pub fn took(job: &JobView) -> Duration {
    job.ended
        .and_then(|ended| (ended - job.started).to_std().ok())
        .unwrap_or_default()
}
