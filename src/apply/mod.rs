//! Plan → done: exactly the plan that was confirmed, step by step, journalled, cancellable between
//! two steps, resumable. A step whose expectation no longer holds is refused, and the others go on.

mod copies;
mod put;
mod relayout;
mod room;
mod run;
mod sources;
mod steps;
pub mod unplanned;
mod versions;

pub use room::require_room;
pub use steps::holds;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    journal::{
        Actor, JobState, JobView, Journal,
        model::{End, Event, Header},
        read,
        write::ask_to_cancel,
    },
    plan::{Intent, Plan, Step},
    progress::Task,
    store::{Slot, Store, StoreError, edit, hold, lease, state::VolumeState},
    volume::{Lane, LockMode, fault, lock},
};

/// A job whose locks are held and whose journal is open: ready to run.
#[derive(Debug)]
pub struct Job {
    store: Store,
    plan: Arc<Plan>,
    journal: Journal,
    done: BTreeSet<usize>,
    /// Given back with the job, the locks first.
    held: hold::Held,
    lead: lease::Lead,
}

impl Job {
    pub fn id(&self) -> &str {
        self.journal.id()
    }

    pub fn title(&self) -> String {
        self.plan.intent.title()
    }

    /// Runs it to its end, or to where it is cancelled.
    pub fn run(mut self, task: &Task) -> Result<JobView, StoreError> {
        let id = self.id().to_owned();
        self.journal.heed_cancel(task);
        let ran = run::run(
            &self.store,
            &self.plan,
            &self.journal,
            &self.done,
            task,
            &mut self.held,
            &self.lead,
        );
        if let Err(error) = ran {
            // Ended before or between its steps: the journal says so, whatever else fails.
            let state = match error {
                StoreError::Cancelled(_) => JobState::Cancelled,
                // Another leads now, or took the locks while this one rested; what is left can be
                // resumed when it no longer does.
                StoreError::Lease(_) | StoreError::Locked { .. } | StoreError::LayoutDiffers(_) => {
                    JobState::Interrupted
                }
                // The layout may be raised and the configuration not name it: only going on helps.
                StoreError::Failed(_) | StoreError::Volume(_)
                    if matches!(self.plan.intent, Intent::Layout { .. }) =>
                {
                    JobState::Interrupted
                }
                _ => JobState::Failed,
            };
            let bytes = task.snapshot().bytes_done;
            self.journal
                .end(End::new(state, self.store.clock().now(), bytes))?;
            return Err(error);
        }
        // The journal's lock is given back before it is read, or the job would look as if it ran.
        let store = self.store.clone();
        drop(self);
        read::view(&store, &id)
    }
}

/// Applies a plan as a job.
pub fn apply(store: &Store, plan: &Arc<Plan>, task: &Task) -> Result<JobView, StoreError> {
    begin(store, plan)?.run(task)
}

/// Checks a plan, takes the locks and writes the journal's beginning: from here on it is a job.
pub fn begin(store: &Store, plan: &Arc<Plan>) -> Result<Job, StoreError> {
    check(store, plan)?;
    let lead = lead(store, plan)?;
    let held = keep_out(store, plan)?;
    store.raise_watermark();
    let header = Header {
        id: job_id(store)?,
        intent: plan.intent.word().to_owned(),
        title: plan.intent.title(),
        actor: actor_under(&lead),
        started: store.clock().now(),
        plan_id: Some(plan.id.to_string()),
        steps: plan.steps.len() as u64,
        plan: Some(Arc::clone(plan)),
    };
    let journal = Journal::begin(store, header)?;
    fault::point("apply.journalled").map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(Job {
        store: store.clone(),
        plan: Arc::clone(plan),
        journal,
        done: BTreeSet::new(),
        held,
        lead,
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
    let plan = Arc::clone(plan);
    check(store, &plan)?;
    let lead = lead(store, &plan)?;
    let held = keep_out(store, &plan)?;
    store.raise_watermark();
    let journal = Journal::resume(store, &view.id)?;
    journal.note(&Event::Resumed {
        actor: actor_under(&lead),
        at: store.clock().now(),
    })?;
    Ok(Job {
        store: store.clone(),
        plan,
        journal,
        done: record.steps.done,
        held,
        lead,
    })
}

/// Stops a job: a running one at its next safe point, an interrupted one for good.
pub fn cancel(store: &Store, id: &str) -> Result<JobView, StoreError> {
    store.require_write()?;
    let view = read::view(store, id)?;
    match view.state {
        JobState::Running => ask_to_cancel(store, &view.id)?,
        JobState::Interrupted => {
            let journal = Journal::resume(store, &view.id)?;
            journal.end(End::new(
                JobState::Cancelled,
                store.clock().now(),
                view.bytes,
            ))?;
        }
        state => {
            return Err(StoreError::Usage(format!(
                "job {} is {}; there is nothing to cancel",
                view.id,
                state.word()
            )));
        }
    }
    read::view(store, &view.id)
}

/// The right to write. A change of the layout that was cut off goes on under the new one as soon as
/// that is in force: by then all who began under the old one are refused.
fn lead(store: &Store, plan: &Plan) -> Result<lease::Lead, StoreError> {
    if let Some(Step::Mark { volume, .. }) = plan.steps.first()
        && lease::acquire::is_lost_with(store, volume)
    {
        // Nobody can have the lease before it has a place again; no artifact is touched.
        return Ok(lease::Lead::default());
    }
    let Some(Step::Layout {
        layout,
        config,
        file,
    }) = plan.steps.first()
    else {
        return store.lead();
    };
    if store
        .layout()
        .is_some_and(|now| now.number >= layout.number)
    {
        return store
            .with_config(edit::parse(config, file)?)
            .lead_in_change();
    }
    store.lead_in_change()
}

fn check(store: &Store, plan: &Plan) -> Result<(), StoreError> {
    store.require_write()?;
    // A change of the layout that was cut off leaves it different until it goes on.
    if !matches!(plan.steps.first(), Some(Step::Layout { .. })) {
        store.require_same_layout()?;
    }
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
    room::require_room(store, plan)
}

/// Restores keep all other writers out; repairs only other bulk work.
const fn lock_mode(intent: &Intent) -> LockMode {
    match intent {
        Intent::BackupRestore { .. } | Intent::Undo { .. } | Intent::Layout { .. } => {
            LockMode::Exclusive
        }
        _ => LockMode::Shared,
    }
}

fn keep_out(store: &Store, plan: &Plan) -> Result<hold::Held, StoreError> {
    // Also those whose layout waits to be raised.
    let cannot =
        |slot: &&Slot| matches!(slot.state, VolumeState::ReadOnly | VolumeState::Unreachable);
    let slots: Vec<&Slot> = store
        .slots()
        .iter()
        .filter(|slot| slot.is_ours() && !cannot(slot))
        .collect();
    let mode = lock_mode(&plan.intent);
    let held = hold::hold_store(store, &slots, mode)?;
    if mode == LockMode::Exclusive {
        // Nobody else stages now, so what lies there was left by a crash.
        for slot in slots {
            slot.volume.run(Lane::Short, |dir, _| dir.sweep_staging())?;
        }
    }
    Ok(held)
}

/// The id of a job that begins now.
pub fn job_id(store: &Store) -> Result<String, StoreError> {
    Ok(crate::volume::trash::job_id(store.clock().now())?)
}

/// This process and its user.
pub fn actor() -> Actor {
    Actor {
        user: lock::user(),
        host: lock::host(),
        pid: std::process::id(),
        epoch: None,
    }
}

fn actor_under(lead: &lease::Lead) -> Actor {
    Actor {
        epoch: lead.epoch().map(|epoch| epoch.0),
        ..actor()
    }
}

/// How long a finished job took, for its report.
pub fn took(job: &JobView) -> Duration {
    job.ended
        .and_then(|ended| (ended - job.started).to_std().ok())
        .unwrap_or_default()
}
