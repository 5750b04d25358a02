//! Work without a plan as a job: a backup. It is in the journal like any other, can be cancelled
//! from outside, and is seen when its process is gone.

use super::{actor, job_id};
use crate::{
    backup::{self, BackupId, BackupReport},
    journal::{
        JobState, JobView, Journal,
        model::{Counted, End, Header},
    },
    progress::Task,
    store::{Store, StoreError},
};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupWork {
    Create,
    /// A tree that the sketches made gets its manifest.
    Seal(BackupId),
}

/// A backup that is about to be made.
#[derive(Debug)]
pub struct BackupJob {
    store: Store,
    work: BackupWork,
    header: Header,
    /// `None` where no volume can be written: such a store is worth a backup all the same.
    journal: Option<Journal>,
}

impl BackupJob {
    /// Writes the journal's beginning: from here on it is a job.
    pub fn begin(store: &Store, work: BackupWork) -> Result<Self, StoreError> {
        store.require_write()?;
        let header = Header {
            id: job_id(store)?,
            intent: match work {
                BackupWork::Create => "backup-create".to_owned(),
                BackupWork::Seal(_) => "backup-seal".to_owned(),
            },
            title: match work {
                BackupWork::Create => "back up".to_owned(),
                BackupWork::Seal(id) => format!("seal backup {id}"),
            },
            actor: actor(),
            started: store.clock().now(),
            plan_id: None,
            steps: 0,
            plan: None,
        };
        let journal = Journal::begin(store, header.clone())
            .inspect_err(|error| tracing::warn!(%error, "this backup has no journal"))
            .ok();
        Ok(Self {
            store: store.clone(),
            work,
            header,
            journal,
        })
    }

    pub fn id(&self) -> &str {
        &self.header.id
    }

    pub fn title(&self) -> &str {
        &self.header.title
    }

    /// Makes the backup.
    pub fn run(self, task: &Task) -> Result<(JobView, BackupReport), StoreError> {
        if let Some(journal) = &self.journal {
            journal.heed_cancel(task);
        }
        let result = match self.work {
            BackupWork::Create => backup::create(&self.store, self.store.clock(), task),
            BackupWork::Seal(id) => self.seal(id, task),
        };
        let now = self.store.clock().now();
        let end = match &result {
            Ok(report) => End {
                counted: Some(Counted {
                    done: report.artifacts + report.versions,
                    failed: report.skipped.len() as u64,
                }),
                errors: report.skipped.iter().map(ToString::to_string).collect(),
                ..End::new(
                    if report.skipped.is_empty() {
                        JobState::Done
                    } else {
                        JobState::Partial
                    },
                    now,
                    report.new_bytes,
                )
            },
            Err(StoreError::Cancelled(_)) => End::new(JobState::Cancelled, now, 0),
            Err(error) => End {
                errors: vec![error.to_string()],
                ..End::new(JobState::Failed, now, 0)
            },
        };
        let view = self.view(&end);
        if let Some(journal) = &self.journal {
            journal.end(end)?;
        }
        Ok((view, result?))
    }

    fn seal(&self, id: BackupId, task: &Task) -> Result<BackupReport, StoreError> {
        let config = self.store.config();
        let Some(backups) = &config.backup else {
            return Err(StoreError::Usage(
                "no [backup] directory is configured".to_owned(),
            ));
        };
        let of = self.store.id().unwrap_or_default();
        backup::seal(&backups.directory, id, of, config.store.lock_timeout, task)
    }

    fn view(&self, end: &End) -> JobView {
        let counted = end.counted.unwrap_or(Counted { done: 0, failed: 0 });
        JobView {
            id: self.header.id.clone(),
            plan: None,
            intent: self.header.intent.clone(),
            title: self.header.title.clone(),
            state: end.state,
            actor: self.header.actor.clone(),
            started: self.header.started,
            ended: Some(end.at),
            steps_total: counted.done + counted.failed,
            steps_done: counted.done,
            steps_failed: counted.failed,
            bytes: end.bytes,
            errors: end.errors.clone(),
            resumable: false,
            undoable: false,
        }
    }
}
