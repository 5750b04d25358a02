//! The console's engine: the same functions as the command line's, behind the [`Backend`] trait.

mod elsewhere;
mod history;
mod inspect;
mod refresh;
mod successor;
mod work;

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    backend::{
        ApplyError, Backend, CacheFigures, Compared, HeldArtifact, HistoryEntry, Inspection,
        JobRequest, PlanError, RunningJob, StoreInfo, Surroundings,
    },
    table::Agents,
};
use crate::{
    apply,
    backup::{BackupId, BackupList, BackupView, Catalogue},
    journal::{JobList, JobView},
    plan::{Intent, Plan},
    planner,
    report::{self, Line, log::LogLine},
    store::{
        Access, Policy, Store, StoreError, audit,
        cache::Cache,
        config::Role,
        held,
        lease::{Epoch, Keeper, LeaseView},
    },
    survey::{StateId, Survey},
    volume::{ArtifactName, Lane, lock},
};
use refresh::Memory;
pub use successor::Successor;

/// The engine of one open store.
#[derive(Debug)]
pub struct Live {
    store: Arc<Mutex<Store>>,
    config: String,
    memory: Mutex<Memory>,
    keeper: Keeper,
    journals: Mutex<JobList>,
    backups: Mutex<BackupList>,
    /// Where each backup's manifest speaks of what.
    catalogue: Catalogue,
    /// Verifications of this process.
    unjournalled: Arc<Mutex<Vec<JobView>>>,
    successor: Option<Successor>,
}

impl Live {
    /// `config` is the file that the store was opened by, as it is shown.
    pub fn new(store: Store, config: String) -> Self {
        Self {
            keeper: Keeper::open(&store, true),
            store: Arc::new(Mutex::new(store)),
            config,
            memory: Mutex::default(),
            journals: Mutex::default(),
            backups: Mutex::default(),
            catalogue: Catalogue::default(),
            unjournalled: Arc::default(),
            successor: None,
        }
    }

    /// Jobs can go on without the console, by this.
    #[must_use]
    pub fn succeeded_by(self, successor: Successor) -> Self {
        Self {
            successor: Some(successor),
            ..self
        }
    }

    fn current(&self) -> Store {
        lock(&self.store).clone()
    }

    /// Looks at the volumes again: one may have been marked, or have come back.
    fn reopened(&self) -> Store {
        let store = self.current().reopened();
        self.keeper.follow(&store);
        *lock(&self.store) = store.clone();
        store
    }
}

impl Backend for Live {
    fn store(&self) -> StoreInfo {
        let store = self.current();
        let config = store.config();
        let role = match config.node.role {
            Role::Writer => "writer",
            Role::Follower => "follower",
        };
        StoreInfo {
            name: config.store.name.clone(),
            partitions: config.partition.len(),
            replicas: config
                .partition
                .iter()
                .map(|p| p.replicas.len())
                .max()
                .unwrap_or(0),
            read_only: match (config.node.role, store.access()) {
                (Role::Follower, _) => Some("this node is a follower".to_owned()),
                (_, Access::ReadOnly) => Some("opened with --read-only".to_owned()),
                _ => None,
            },
            host: lock::host(),
            role: role.to_owned(),
            backups: config
                .backup
                .as_ref()
                .map(|backup| backup.directory.display().to_string()),
            keep_backups: config.backup.as_ref().map(Policy::from).unwrap_or_default(),
            keep_versions: Policy::from(&config.versions),
            config: self.config.clone(),
            detaches: self.successor.is_some(),
        }
    }

    fn refresh(
        &self,
        visible: &[ArtifactName],
        previous: Option<Arc<Survey>>,
    ) -> Result<Option<Arc<Survey>>, String> {
        self.look_again(visible, previous)
    }

    fn backups(&self) -> Result<Vec<BackupView>, String> {
        let store = self.current();
        let Some(config) = &store.config().backup else {
            return Ok(Vec::new());
        };
        let listed = lock(&self.backups).refresh(&config.directory);
        listed
            .and_then(|mut views| {
                planner::say_what_keeps(&store, &mut views)?;
                Ok(views)
            })
            .map_err(|error| words(&error))
    }

    fn jobs(&self) -> Vec<JobView> {
        let mut jobs = lock(&self.journals).refresh(&self.current());
        // Work that only reads is in no journal: it is told as long as the console is open.
        jobs.extend(lock(&self.unjournalled).iter().cloned());
        jobs.sort_by(|a, b| b.id.cmp(&a.id));
        jobs
    }

    fn changes(&self) -> Vec<JobView> {
        let changes = audit::recent(&self.current());
        changes.into_iter().map(report::log::single).collect()
    }

    fn log(&self, id: &str) -> Result<Vec<LogLine>, String> {
        if lock(&self.unjournalled).iter().any(|job| job.id == id) {
            return Ok(Vec::new());
        }
        report::log::log(&self.current(), id).map_err(|error| words(&error))
    }

    fn history(&self, name: &ArtifactName) -> Result<Vec<HistoryEntry>, String> {
        self.history_of(name)
    }

    fn inspect(&self, name: &ArtifactName, state: Option<StateId>) -> Result<Inspection, String> {
        self.look_at(name, state).map_err(|error| words(&error))
    }

    fn compare(&self, what: &Compared) -> Result<Vec<Line>, String> {
        self.differences(what).map_err(|error| words(&error))
    }

    fn contents(&self, backup: BackupId) -> Result<Vec<HeldArtifact>, String> {
        self.held_in(backup).map_err(|error| words(&error))
    }

    fn pin(&self, backup: BackupId, pinned: bool) -> Result<(), String> {
        let done = planner::pin(&self.current(), backup, pinned);
        done.map_err(|error| words(&error))
    }

    fn plan(&self, intent: Intent) -> Result<Arc<Plan>, PlanError> {
        let store = self.reopened();
        store
            .require_write()
            .and_then(|()| store.require_same_layout())
            .map_err(|error| PlanError::Refused(words(&error)))?;
        planner::of(&store, intent)
            .and_then(|plan| apply::require_room(&store, &plan).map(|()| Arc::new(plan)))
            .map_err(|error| PlanError::Failed(words(&error)))
    }

    fn apply(&self, plan: Arc<Plan>) -> Result<RunningJob, ApplyError> {
        let store = self.current();
        let job = apply::begin(&store, &plan).map_err(|error| match error {
            StoreError::Changed(_) => ApplyError::Changed(words(&error)),
            error => ApplyError::Failed(words(&error)),
        })?;
        let then = match &plan.intent {
            Intent::MarkVolume { volume, .. } => Some(Intent::Repair {
                names: Vec::new(),
                accept_older: false,
                prefer: None,
                volume: Some(volume.clone()),
            }),
            _ => None,
        };
        Ok(self.run(job, then))
    }

    fn start(&self, request: JobRequest) -> Result<RunningJob, String> {
        self.begin(&request)
    }

    fn resume_job(&self, id: &str) -> Result<RunningJob, String> {
        let job = apply::resume(&self.current(), id).map_err(|error| words(&error))?;
        Ok(self.run(job, None))
    }

    fn agents(&self, survey: &Survey) -> Agents {
        super::agents::read(&self.current(), survey)
    }

    fn journal(&self, id: &str) -> Option<String> {
        let below = format!(".maifdeck/journal/{id}.jsonl");
        self.current().slots().iter().find_map(|slot| {
            let path = slot.volume.path().join(&below);
            let asked = path.clone();
            let there = slot.volume.run(Lane::Short, move |_, _| Ok(asked.exists()));
            there
                .is_ok_and(|there| there)
                .then(|| path.display().to_string())
        })
    }

    fn detach(&self, id: &str) -> Result<u32, String> {
        let successor = self.successor.as_ref();
        successor
            .ok_or_else(|| "this store goes with the console".to_owned())?
            .take_up(id)
    }

    fn lease(&self) -> LeaseView {
        let view = self.keeper.status();
        let problem = view.problem.clone().or_else(|| self.keeper.note());
        LeaseView { problem, ..view }
    }

    fn take_over(&self, from: Option<Epoch>) -> Result<(), String> {
        self.keeper.take_over(from).map_err(|error| words(&error))
    }

    fn step_down(&self) {
        self.keeper.step_down();
    }

    fn surroundings(&self) -> Result<Surroundings, String> {
        let store = self.current();
        let cache = Cache::of(store.config()).map(|cache| {
            Ok(CacheFigures {
                directory: cache.directory().display().to_string(),
                usage: cache.usage()?,
                max_size: cache.max_size(),
            })
        });
        Ok(Surroundings {
            locks: held::held_now(&store).map_err(|error| words(&error))?,
            cache: cache
                .transpose()
                .map_err(|error: StoreError| words(&error))?,
        })
    }

    fn rest(&self) {
        self.keeper.rest();
    }

    fn wake(&self) {
        self.keeper.wake();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is behind these mutexes is replaced whole, so a panic leaves nothing half-made.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn words(error: &StoreError) -> String {
    error
        .hint()
        .map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}
