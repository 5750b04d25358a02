//! What the console needs from the engine, and nothing more. Every call may block and is made on
//! a worker thread of its own; the screen goes on without it. Errors arrive as words for people:
//! what failed and what to do.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::table::Agents;
use crate::{
    backup::{BackupId, BackupView},
    journal::{JobState, JobView},
    maif::Digest,
    plan::{Intent, Plan},
    progress::Task,
    report::log::Line,
    store::{
        cache::Usage,
        held::HeldLock,
        lease::{Epoch, LeaseView},
    },
    survey::Survey,
    volume::{ArtifactName, Level, VersionId},
};

/// What does not change while the console is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInfo {
    pub name: String,
    pub partitions: usize,
    pub replicas: usize,
    /// Why nothing may be changed ("opened with --read-only", "this node is a follower").
    pub read_only: Option<String>,
    /// This machine.
    pub host: String,
    /// `writer` or `follower`.
    pub role: String,
    /// Where the backups are; `None` when no directory is configured.
    pub backups: Option<String>,
    /// The configuration file.
    pub config: String,
}

/// What this node keeps of the store, as `[cache]` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFigures {
    pub directory: String,
    pub usage: Usage,
    pub max_size: u64,
}

/// What the Cluster pane shows beside the lease and the volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    pub locks: Vec<HeldLock>,
    /// `None`: no cache is configured.
    pub cache: Option<CacheFigures>,
}

/// Which entry of a history it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryId {
    /// The copy that is current now.
    Current,
    Version(VersionId),
    /// The artifact was removed then.
    Removed(VersionId),
}

/// One entry of an artifact's history, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    pub id: EntryId,
    /// When it became current; `None` when nobody knows.
    pub current_from: Option<DateTime<Utc>>,
    /// When it was replaced; `None` for the current one.
    pub current_until: Option<DateTime<Utc>>,
    pub size: u64,
    /// Bytes more (or fewer) than the next older entry.
    pub change: Option<i64>,
    pub sha256: Option<Digest>,
    pub agent: Option<String>,
    pub blocks: Option<u32>,
    /// Where it is: volumes' labels and backups' ids, in words.
    pub origin: Vec<String>,
    /// Volumes that hold it, of those that should.
    pub copies: (u16, u16),
}

/// One block of an inspected artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedBlock {
    pub kind: String,
    pub size: u64,
    pub hash: String,
    /// Metadata as text; empty when there is none.
    pub metadata: String,
    /// The beginning of a text, escaped line by line by whoever shows it; `None` for other bytes.
    pub preview: Option<String>,
    /// What is wrong with it.
    pub fault: Option<String>,
}

/// One entry of a provenance chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedEntry {
    pub action: String,
    pub agent: String,
    pub at: Option<DateTime<Utc>>,
    pub fault: Option<String>,
}

/// Everything about one copy or version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    pub name: String,
    /// Which copy or version was read, in words: `current copy on p2.1`.
    pub what: String,
    pub path: String,
    pub size: u64,
    /// Header fields in order, as label and value.
    pub header: Vec<(String, String)>,
    pub blocks: Vec<InspectedBlock>,
    pub provenance: Vec<InspectedEntry>,
    pub signer: Option<String>,
    /// `intact`, `damaged` or `unsupported`.
    pub verdict: String,
    /// `valid`, or the failure class.
    pub class: String,
    pub errors: Vec<String>,
    /// What was checked, in words.
    pub checked: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Read-only, not the leader, no policy …
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Failed(String),
}

/// Why a plan does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The store is no longer as the plan expects; a new plan is offered.
    #[error("{0}")]
    Changed(String),
    #[error("{0}")]
    Failed(String),
}

/// Work without a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRequest {
    BackupCreate,
    BackupVerify {
        id: BackupId,
        quick: bool,
    },
    /// Every copy and version in the store.
    VerifyAll {
        level: Level,
    },
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOutcome {
    pub state: JobState,
    /// One sentence: `1,204 copied, verified`.
    pub message: String,
    pub errors: Vec<String>,
}

/// A job of this process.
#[derive(Debug, Clone)]
pub struct RunningJob {
    /// The id that `jobs()` shows.
    pub id: String,
    pub title: String,
    /// Whether it changes volumes: the survey rests meanwhile.
    pub changes: bool,
    /// What is planned next, when it is done: the repair of a volume that joined.
    pub then: Option<Intent>,
    pub task: Task,
    pub done: watch::Receiver<Option<JobOutcome>>,
}

/// The engine, as the console sees it.
pub trait Backend: Send + Sync + 'static {
    fn store(&self) -> StoreInfo;

    /// Looks at the store again. `visible` are the names on the screen, to be looked at every time;
    /// the others may be swept over several calls. `None`: nothing changed since `previous`.
    fn refresh(
        &self,
        visible: &[ArtifactName],
        previous: Option<Arc<Survey>>,
    ) -> Result<Option<Arc<Survey>>, String>;

    /// Oldest first, as the command line lists them.
    fn backups(&self) -> Result<Vec<BackupView>, String>;

    /// Running, finished and interrupted; newest first.
    fn jobs(&self) -> Vec<JobView>;

    /// Single changes, made by no job; newest first, the last few hundred.
    fn changes(&self) -> Vec<JobView> {
        Vec::new()
    }

    /// What a job did, newest first; nothing for work that keeps no journal.
    fn log(&self, _id: &str) -> Result<Vec<Line>, String> {
        Ok(Vec::new())
    }

    /// Newest first: the current copy, then what replaced what, merged with what backups hold.
    fn history(&self, name: &ArtifactName) -> Result<Vec<HistoryEntry>, String>;

    /// Reads and verifies the current copy or a version.
    fn inspect(
        &self,
        name: &ArtifactName,
        version: Option<VersionId>,
    ) -> Result<Inspection, String>;

    /// Plans against a survey of now. Names left empty mean all.
    fn plan(&self, intent: Intent) -> Result<Arc<Plan>, PlanError>;

    /// Runs exactly this plan. Returns once its journal is written.
    fn apply(&self, plan: Arc<Plan>) -> Result<RunningJob, ApplyError>;

    fn start(&self, request: JobRequest) -> Result<RunningJob, String>;

    fn resume_job(&self, id: &str) -> Result<RunningJob, String>;

    /// Who signed the current copy of each artifact, by row of the survey: for the filter.
    fn agents(&self, _survey: &Survey) -> Agents {
        Agents::default()
    }

    /// Where the journal of a job is, for people who go on with it elsewhere. `None`: it keeps none.
    fn journal(&self, _id: &str) -> Option<String> {
        None
    }

    /// Who may write now, as it was last seen; never waits. Leases are off unless it says otherwise.
    fn lease(&self) -> LeaseView {
        LeaseView::default()
    }

    /// Takes the lease: of this epoch from its holder, or a free one. May wait for a commit that is
    /// under way.
    fn take_over(&self, _from: Option<Epoch>) -> Result<(), String> {
        Err("leases are off".to_owned())
    }

    /// Gives the lease back and does not take it again by itself.
    fn step_down(&self) {}

    /// Locks that are held, and this node's cache.
    fn surroundings(&self) -> Result<Surroundings, String> {
        Ok(Surroundings::default())
    }

    /// The console is about to be stopped (Ctrl-Z) or to exit, its jobs stand still: give back the
    /// lease.
    fn rest(&self) {}

    /// The console is back after a stop.
    fn wake(&self) {}
}
