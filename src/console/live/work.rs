//! Work on threads of their own: jobs that are in the journal, and looks that are in none.

use std::{sync::Arc, thread};

use tokio::sync::watch;

use super::{Live, elsewhere, lock, words};
use crate::{
    apply::{
        self,
        unplanned::{BackupJob, BackupWork},
    },
    backup,
    console::backend::{JobOutcome, JobRequest, RunningJob},
    journal::{JobState, JobView},
    plan::Intent,
    progress::{Cancelled, Task},
    report,
    store::{Store, StoreError, edit},
    survey::{
        self, Checked, Scope,
        scrub::{self, ScrubReport, ScrubScope},
    },
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

    /// Runs a job; `then` is planned when it was done.
    pub(super) fn run(&self, job: apply::Job, then: Option<Intent>) -> RunningJob {
        let (id, title) = (job.id().to_owned(), job.title());
        let current = Arc::clone(&self.store);
        Self::spawn(id, title, true, move |task| {
            let view = job.run(task);
            // It may have changed the layout, and the configuration with it.
            let store = lock(&current).clone();
            if let Some(config) = edit::changed(store.config())? {
                *lock(&current) = store.with_config(config);
            }
            let view = view?;
            Ok(JobOutcome {
                state: view.state,
                message: did(&view, task.snapshot().verified),
                errors: view.errors,
                then: then.filter(|_| view.state == JobState::Done),
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
                            "backup {}: {} artifacts, {} new",
                            report.id,
                            report::count(report.artifacts),
                            report::size(report.new_bytes)
                        ),
                        errors: job.errors,
                        then: None,
                    })
                }))
            }
            JobRequest::BackupVerify { id: backup, quick } => {
                let Some(config) = store.config().backup.clone() else {
                    return Err("no [backup] directory is configured".to_owned());
                };
                let title = format!("verify backup {backup}");
                let clock = store.clock().clone();
                let looked = store.clone();
                self.look(&store, "backup-verify", title, move |task| {
                    let report = backup::verify(&config.directory, backup, quick, &clock, task)?;
                    let errors =
                        elsewhere::told(&looked, &config.directory, backup, &report, task)?;
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
                        errors,
                        then: None,
                    })
                })
            }
            JobRequest::Scrub => {
                let scope = ScrubScope {
                    resume: true,
                    tranquility: store.config().scrub.tranquility,
                    ..ScrubScope::default()
                };
                let looked = store.clone();
                let seen = lock(&self.memory).survey.clone();
                self.look(&looked, "scrub", "scrub".to_owned(), move |task| {
                    let report = scrub::scrub(&store, &scope, seen, task)?;
                    Ok(scrubbed(report))
                })
            }
            JobRequest::VerifyAll { level } => self.verify_all(store, level),
        }
    }

    fn verify_all(&self, store: Store, level: Level) -> Result<RunningJob, String> {
        let title = format!("verify all copies ({})", level.word());
        let looked = store.clone();
        self.look(&looked, "verify", title, move |task| {
            let scope = Scope {
                level,
                ..Scope::default()
            };
            let survey = survey::survey(&store, &scope, task)?;
            if level == Level::Deep {
                let checked = Checked::of(store.id().unwrap_or_default());
                checked.remember_survey(&survey, &store)?;
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
                then: None,
            })
        })
    }
}

/// `1,204 copied, verified, 3.1 GiB written`; before it how many of the steps, unless all.
fn did(job: &JobView, verified: u64) -> String {
    let mut words = Vec::new();
    if job.state != JobState::Done || verified == 0 {
        let (done, all) = (
            report::count(job.steps_done),
            report::count(job.steps_total),
        );
        words.push(format!("{done} of {all} steps"));
    }
    if verified > 0 {
        words.push(format!("{} copied, verified", report::count(verified)));
    }
    if job.bytes > 0 {
        words.push(format!("{} written", report::size(job.bytes)));
    }
    words.join(", ")
}

fn ended(state: JobState, message: &str) -> JobOutcome {
    JobOutcome {
        state,
        message: message.to_owned(),
        errors: Vec::new(),
        then: None,
    }
}

/// A scrub mends nothing by itself: the repair of what it found is offered as a plan.
fn scrubbed(report: ScrubReport) -> JobOutcome {
    let state = match (report.finished, report.found.is_empty()) {
        (false, _) => JobState::Cancelled,
        (true, true) => JobState::Done,
        (true, false) => JobState::Partial,
    };
    let then = (!report.queued.is_empty()).then(|| Intent::Repair {
        names: report.queued.clone(),
        accept_older: false,
        prefer: None,
        volume: None,
    });
    JobOutcome {
        state,
        message: report.words(),
        errors: report.found,
        then,
    }
}
