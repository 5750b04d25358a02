//! A job at work: its steps in batches, each batch in the journal before the next begins.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    time::Instant,
};

use rayon::iter::{ParallelBridge, ParallelIterator};

use super::{copies, keep_out, lock_mode, relayout, sources, steps};
use crate::{
    journal::{
        JobState, Journal,
        model::{End, Outcome},
    },
    maif::Digest,
    plan::{Intent, Plan, Step},
    progress::Task,
    store::{Slot, Store, StoreError, hold, lease},
    volume::{Dir, Lane, LockMode, fault},
};

/// A job while it runs.
struct Run<'a> {
    plan: &'a Plan,
    journal: &'a Journal,
    done: &'a BTreeSet<usize>,
    task: &'a Task,
    lead: lease::Lead,
    failed: u64,
    cancelled: bool,
    next: usize,
    /// Digests of the sources that were verified before the first step, by their steps' numbers.
    verified: HashMap<usize, Digest>,
}

/// What ends a stretch of steps.
enum Stretch {
    End,
    /// The layout is another one: go on with this store.
    Relaid(Box<Store>),
}

/// Runs the steps that are not done yet.
pub fn run(
    store: &Store,
    plan: &Plan,
    journal: &Journal,
    done: &BTreeSet<usize>,
    task: &Task,
    held: &mut hold::Held,
    lead: &lease::Lead,
) -> Result<(), StoreError> {
    let mut store = store.in_bulk();
    let began = Instant::now();
    task.totals(plan.steps.len() as u64, plan.summary.bytes);
    task.add_done(done.len() as u64);
    let mut run = Run {
        plan,
        journal,
        done,
        task,
        lead: lead.clone(),
        failed: 0,
        cancelled: false,
        next: 0,
        verified: HashMap::new(),
    };
    run.verify_sources(&store)?;
    task.phase("applying");
    // Listing `versions/` for each artifact would grow with the square of the store.
    let indexed = (lock_mode(&plan.intent) == LockMode::Exclusive)
        .then(|| Indexed::begin(&store))
        .transpose()?;
    if matches!(plan.intent, Intent::Layout { .. }) {
        // Nobody else may write while the layout is raised; everybody may while artifacts move.
        drop(indexed);
        while let Stretch::Relaid(next) = run.stretch(&store, held)? {
            store = next.in_bulk();
            run.lead = run.lead.follow(&store)?;
            held.share_store()?;
        }
    } else {
        run.stretch(&store, held)?;
    }
    let mut needed = vec![journal.id().to_owned()];
    if let Intent::Undo { job } = &plan.intent {
        // What could not be brought back now can be the next time.
        needed.push(job.clone());
    }
    free_expired(&store, &needed);
    task.flush();
    let state = match (run.cancelled, run.failed) {
        (true, _) => JobState::Cancelled,
        (false, 0) => JobState::Done,
        (false, n) if n == plan.steps.len() as u64 => JobState::Failed,
        (false, _) => JobState::Partial,
    };
    tracing::info!(job = journal.id(), took = ?began.elapsed(), ?state, "job ended");
    let bytes = task.snapshot().bytes_done;
    journal.end(End::new(state, store.clock().now(), bytes))
}

impl Run<'_> {
    /// A backup that turns out damaged half-way would leave a store that never was.
    fn verify_sources(&mut self, store: &Store) -> Result<(), StoreError> {
        if !matches!(self.plan.intent, Intent::BackupRestore { .. }) {
            return Ok(());
        }
        self.task.phase("verifying the backup");
        let (task, done) = (self.task, self.done);
        // Signatures cost more than reading: each processor takes its share, in the steps' order.
        let steps = self.plan.steps.iter().enumerate();
        let mut last = None;
        let left = steps.filter(|(number, step)| {
            // A version that goes to several replicas is read once.
            let source = sources::in_backup(step);
            let left = !done.contains(number) && (source.is_none() || source != last);
            if left {
                last = source;
            }
            left
        });
        let verified = left.par_bridge().filter_map(|(number, step)| {
            let verified = task.checkpoint().map_err(StoreError::from);
            let verified = verified.and_then(|()| sources::verify(store, step));
            verified.map(|sha256| Some((number, sha256?))).transpose()
        });
        self.verified = task.side_by_side(|| verified.collect::<Result<_, StoreError>>())?;
        Ok(())
    }

    /// Runs steps until they end or the layout is another one.
    fn stretch(&mut self, store: &Store, held: &mut hold::Held) -> Result<Stretch, StoreError> {
        let size = copies::batch_size(store);
        let (plan, done, journal, task) = (self.plan, self.done, self.journal, self.task);
        let context = steps::Context {
            store,
            job: journal.id(),
            task,
            commit: RefCell::default(),
            sources: RefCell::new(std::mem::take(&mut self.verified)),
            failed: RefCell::default(),
        };
        let writable: Vec<&Slot> = store.slots().iter().filter(|s| s.is_writable()).collect();
        loop {
            let batch = copies::run_of(&plan.steps, self.next, size, |number| {
                done.contains(&number)
            });
            let Some((last, _)) = batch.last() else {
                return Ok(Stretch::End);
            };
            self.next = last + 1;
            self.rest(store, held)?;
            if task.checkpoint().is_err() {
                self.cancelled = true;
                return Ok(Stretch::End);
            }
            let began = Instant::now();
            // A lease that was lost ends the job: none of its other steps may change anything.
            *context.commit.borrow_mut() = self.lead.commit(store, &writable)?;
            if let [
                (
                    number,
                    Step::Layout {
                        layout,
                        config,
                        file,
                    },
                ),
            ] = batch.as_slice()
            {
                // Without it every later step would do the wrong thing.
                let raised = relayout::raise(store, layout, config, file)?;
                task.add_done(1);
                journal.steps(&[(*number, Outcome::Done)])?;
                return Ok(Stretch::Relaid(Box::new(raised)));
            }
            let mut outcomes = Vec::with_capacity(batch.len());
            for ((number, step), result) in batch.iter().zip(self.results(&context, &batch)) {
                let outcome = result.unwrap_or_else(|error| {
                    self.failed += 1;
                    task.add_failed(1);
                    context.note_failure(step);
                    Outcome::Failed(format!("{}: {error}", steps::words(step)))
                });
                task.add_done(1);
                outcomes.push((*number, outcome));
            }
            drop(context.commit.take());
            fault::point("apply.batch-done")
                .map_err(|error| StoreError::Failed(error.to_string()))?;
            journal.steps(&outcomes)?;
            if matches!(plan.intent, Intent::Layout { .. }) {
                // Artifacts that move shall be in nobody's way: as long a rest as it was work.
                task.sleep(began.elapsed());
            }
        }
    }

    /// While it rests, others may work on the store. Not where they would see half of it: what began
    /// alone ends alone.
    fn rest(&self, store: &Store, held: &mut hold::Held) -> Result<(), StoreError> {
        if !self.task.is_resting() || lock_mode(&self.plan.intent) == LockMode::Exclusive {
            return Ok(());
        }
        *held = hold::Held::default();
        // Cancelled or not: the end is made under the locks.
        let _ = self.task.checkpoint();
        *held = keep_out(store, self.plan)?;
        let number = |store: &Store| store.layout().map(|layout| layout.number);
        if number(&store.reopened()) != number(store) {
            return Err(StoreError::LayoutDiffers(
                "it was changed while this job rested".to_owned(),
            ));
        }
        Ok(())
    }

    fn results(
        &self,
        context: &steps::Context<'_>,
        batch: &[(usize, &Step)],
    ) -> Vec<Result<Outcome, StoreError>> {
        if let [(_, Step::Seal)] = batch {
            if self.failed > 0 {
                return vec![Err(StoreError::Failed(format!(
                    "{} artifacts were not moved; `maifdeck partitions rebalance` ends the change",
                    self.failed
                )))];
            }
            let sealed = relayout::seal(context.store);
            return vec![sealed.map(|now| if now { Outcome::Done } else { Outcome::Already })];
        }
        context.run_all(batch)
    }
}

/// Frees what has waited in the trash for the undo window. What cannot be freed now waits on.
/// What this job itself left there waits for the next one, however short the window is.
fn free_expired(store: &Store, needed: &[String]) {
    let until = store.clock().now() - store.config().store.undo_window;
    let writable = store.slots().iter().filter(|slot| slot.is_writable());
    for slot in writable {
        let needed = needed.to_vec();
        let freed = slot.volume.run(Lane::Bulk, move |dir, pulse| {
            for entry in dir.trash(pulse)? {
                if !needed.contains(&entry.job) && entry.since().is_some_and(|since| since < until)
                {
                    dir.free_trash(&entry.job, pulse)?;
                }
            }
            Ok(())
        });
        if let Err(error) = freed {
            tracing::warn!(%error, volume = slot.label(), "its trash was not freed");
        }
    }
}

/// Histories listed once, as long as this lives.
struct Indexed<'a>(&'a Store);

impl<'a> Indexed<'a> {
    fn begin(store: &'a Store) -> Result<Self, StoreError> {
        let indexed = Self(store);
        let pending: Vec<_> = store
            .slots()
            .iter()
            .filter(|slot| slot.is_writable())
            .map(|slot| slot.volume.start(Lane::Bulk, Dir::index_histories))
            .collect();
        for pending in pending {
            pending.wait()?;
        }
        Ok(indexed)
    }
}

impl Drop for Indexed<'_> {
    fn drop(&mut self) {
        for slot in self.0.slots() {
            slot.volume.dir().forget_histories();
        }
    }
}
