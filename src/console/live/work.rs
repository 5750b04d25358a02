//! Work on threads of their own: jobs that are in the journal, and looks that are in none.

use std::{sync::Arc, thread};

use tokio::sync::watch;

use super::{Live, lock, words};
use crate::{
    apply::{
        self,
        unplanned::{BackupJob, BackupWork},
    },
    backup,
    console::backend::{JobOutcome, JobRequest, RunningJob},
    journal::{JobState, JobView},
    progress::{Cancelled, Task},
    report,
    store::{Store, StoreError},
    survey::{self, Checked, Scope},
    volume::Level,
};

/// Verifications of this process that the list of jobs remembers.
const REMEMBERED: usize = 50;

impl Live {
    /// Runs work on a thread of its own and publishes its end.
    fn spawn(
        id: String,
        title: String,
        changes: bool,
        work: impl FnOnce(&Task) -> Result<JobOutcome, StoreError> + Send + 'static,
    ) -> RunningJob {
        let task = Task::new();
        let (sender, done) = watch::channel(None);
        let worker = task.clone();
        thread::spawn(move || {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&worker)));
            let outcome = match caught {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(StoreError::Cancelled(Cancelled))) => {
                    ended(JobState::Cancelled, "cancelled")
                }
                // As its journal says: it can be resumed.
                Ok(Err(
                    error @ (StoreError::Lease(_)
                    | StoreError::Locked { .. }
                    | StoreError::LayoutDiffers(_)),
                )) => ended(JobState::Interrupted, &words(&error)),
                Ok(Err(error)) => ended(JobState::Failed, &words(&error)),
                Err(_) => {
                    tracing::error!("a job panicked");
                    ended(JobState::Failed, "the job failed inside; the log says more")
                }
            };
            worker.flush();
            sender.send_replace(Some(outcome));
        });
        RunningJob {
            id,
            title,
            changes,
            then: None,
            task,
            done,
        }
    }

    /// Runs work that only reads: in the list of jobs, but in no journal.
    fn look(
        &self,
        store: &Store,
        intent: &str,
        title: String,
        work: impl FnOnce(&Task) -> Result<JobOutcome, StoreError> + Send + 'static,
    ) -> Result<RunningJob, String> {
        let id = apply::job_id(store).map_err(|error| words(&error))?;
        let mut jobs = lock(&self.unjournalled);
        let surplus = jobs.len().saturating_sub(REMEMBERED);
        jobs.drain(..surplus);
        jobs.push(JobView {
            id: id.clone(),
            plan: None,
            intent: intent.to_owned(),
            title: title.clone(),
            state: JobState::Running,
            actor: apply::actor(),
            started: store.clock().now(),
            ended: None,
            steps_total: 0,
            steps_done: 0,
            steps_failed: 0,
            bytes: 0,
            errors: Vec::new(),
            resumable: false,
            undoable: false,
        });
        drop(jobs);
        let (jobs, clock) = (Arc::clone(&self.unjournalled), store.clock().clone());
        let own = id.clone();
        Ok(Self::spawn(id, title, false, move |task| {
            let outcome = work(task);
            let moment = task.snapshot();
            if let Some(job) = lock(&jobs).iter_mut().find(|job| job.id == own) {
                job.ended = Some(clock.now());
                job.steps_total = moment.items_total.max(moment.items_done);
                job.steps_done = moment.items_done;
                job.steps_failed = moment.failed;
                job.bytes = moment.bytes_done;
                (job.state, job.errors) = match &outcome {
                    Ok(outcome) => (outcome.state, outcome.errors.clone()),
                    Err(StoreError::Cancelled(_)) => (JobState::Cancelled, Vec::new()),
                    Err(error) => (JobState::Failed, vec![error.to_string()]),
                };
            }
            outcome
        }))
    }

    pub(super) fn run(job: apply::Job) -> RunningJob {
        let (id, title) = (job.id().to_owned(), job.title());
        Self::spawn(id, title, true, move |task| {
            let view = job.run(task)?;
            let moment = task.snapshot();
            Ok(JobOutcome {
                state: view.state,
                message: format!(
                    "{} of {} steps, {} written, {} verified",
                    report::count(view.steps_done),
                    report::count(view.steps_total),
                    report::size(view.bytes),
                    report::count(moment.verified)
                ),
                errors: view.errors,
            })
        })
    }

    pub(super) fn begin(&self, request: &JobRequest) -> Result<RunningJob, String> {
        let store = self.current();
        match *request {
            JobRequest::BackupCreate => {
                let job =
                    BackupJob::begin(&store, BackupWork::Create).map_err(|error| words(&error))?;
                let (id, title) = (job.id().to_owned(), job.title().to_owned());
                Ok(Self::spawn(id, title, false, move |task| {
                    let (job, report) = job.run(task)?;
                    Ok(JobOutcome {
                        state: job.state,
                        message: format!(
                            "backup {} {}: {} artifacts, {} new",
                            report.id,
                            report.state.word(),
                            report::count(report.artifacts),
                            report::size(report.new_bytes)
                        ),
                        errors: job.errors,
                    })
                }))
            }
            JobRequest::BackupVerify { id: backup, quick } => {
                let Some(config) = store.config().backup.clone() else {
                    return Err("no [backup] directory is configured".to_owned());
                };
                let title = format!("verify backup {backup}");
                let clock = store.clock().clone();
                self.look(&store, "backup-verify", title, move |task| {
                    let report = backup::verify(&config.directory, backup, quick, &clock, task)?;
                    let state = if report.ok {
                        JobState::Done
                    } else {
                        JobState::Partial
                    };
                    Ok(JobOutcome {
                        state,
                        message: format!(
                            "{}: {} files looked at, {} damaged, {} missing",
                            if report.ok { "good" } else { "damaged" },
                            report::count(report.checked),
                            report.damaged.len(),
                            report.missing.len()
                        ),
                        errors: report.damaged.into_iter().chain(report.missing).collect(),
                    })
                })
            }
            JobRequest::VerifyAll { level } => {
                let title = format!("verify all copies ({})", level.word());
                let looked = store.clone();
                self.look(&looked, "verify", title, move |task| {
                    let scope = Scope {
                        level,
                        ..Scope::default()
                    };
                    let survey = survey::survey(&store, &scope, task)?;
                    if level == Level::Deep {
                        let id = store.id().unwrap_or_default();
                        let mut checked = Checked::load(id);
                        checked.note_survey(&survey, &store);
                        checked.save(id)?;
                    }
                    let worse: Vec<String> = report::findings::of(&survey, &store.config().store)
                        .iter()
                        .filter(|finding| finding.severity <= survey::Severity::Warning)
                        .map(|finding| finding.message.clone())
                        .collect();
                    Ok(JobOutcome {
                        state: if worse.is_empty() {
                            JobState::Done
                        } else {
                            JobState::Partial
                        },
                        message: format!(
                            "{} copies verified, {} findings",
                            report::count(task.snapshot().verified),
                            worse.len()
                        ),
                        errors: worse,
                    })
                })
            }
        }
    }
}

fn ended(state: JobState, message: &str) -> JobOutcome {
    JobOutcome {
        state,
        message: message.to_owned(),
        errors: Vec::new(),
    }
}
