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
    report::{Line, log::LogLine},
    store::{
        Policy,
        cache::Usage,
        held::HeldLock,
        lease::{Epoch, LeaseView},
    },
    survey::{StateId, Survey},
    volume::{ArtifactName, Level},
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
    /// The configured policies for backups and for histories.
    pub keep_backups: Policy,
    pub keep_versions: Policy,
    /// The configuration file.
    pub config: String,
    /// Whether plans can go on without the console.
    pub detaches: bool,
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
    /// In a history, or held by backups alone.
    Earlier(StateId),
    /// The artifact was removed then.
    Removed(StateId),
}

/// One entry of an artifact's history, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    pub id: EntryId,
    /// When it became current, or was removed; `None` when nobody knows.
    pub current_from: Option<DateTime<Utc>>,
    /// When it was replaced; `None` for the current one.
    pub current_until: Option<DateTime<Utc>>,
    /// When its bytes were written.
    pub written: DateTime<Utc>,
    pub size: u64,
    /// Bytes more (or fewer) than the next older entry.
    pub change: Option<i64>,
    pub sha256: Option<Digest>,
    pub agent: Option<String>,
    pub blocks: Option<u32>,
    /// Whether every byte was read and found good; `None`: they were not read.
    pub intact: Option<bool>,
    /// A volume that holds it; `None`: backups alone do.
    pub volume: Option<String>,
    /// Volumes that hold it, of those that should.
    pub copies: (u16, u16),
    /// Backups that hold the same bytes, newest first.
    pub backups: Vec<BackupId>,
    /// The rules that keep it, in words.
    pub kept_by: Vec<String>,
    /// `current`, or an older state with the same bytes.
    pub same_as: Option<String>,
    /// Older neighbours with the same bytes, shown as one with it.
    pub also: usize,
}

/// Two things that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// Two states of an artifact; `None` is the current copy.
    States {
        name: ArtifactName,
        a: Option<StateId>,
        b: Option<StateId>,
    },
    /// Copies of an artifact, each with the first; by the labels of their volumes.
    Copies {
        name: ArtifactName,
        volumes: Vec<String>,
    },
    /// A backup and the store now.
    Backup(BackupId),
}

/// An artifact in a backup: its copy there, and how many earlier versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldArtifact {
    pub name: ArtifactName,
    /// `None`: only versions of it are there.
    pub size: Option<u64>,
    pub versions: u64,
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
    /// Everything, slowly, from where the last scrub stopped.
    Scrub,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOutcome {
    pub state: JobState,
    /// One sentence: `1,204 copied, verified`.
    pub message: String,
    pub errors: Vec<String>,
    /// What is planned next: the repair of a volume that joined, or of what a scrub found.
    pub then: Option<Intent>,
}

/// A job of this process.
#[derive(Debug, Clone)]
pub struct RunningJob {
    /// The id that `jobs()` shows.
    pub id: String,
    pub title: String,
    /// Whether it changes volumes: the survey rests meanwhile.
    pub changes: bool,
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
    fn log(&self, _id: &str) -> Result<Vec<LogLine>, String> {
        Ok(Vec::new())
    }

    /// Newest first: the current copy, then what replaced what, merged with what backups hold.
    fn history(&self, name: &ArtifactName) -> Result<Vec<HistoryEntry>, String>;

    /// Reads and verifies the current copy or an earlier state.
    fn inspect(&self, name: &ArtifactName, state: Option<StateId>) -> Result<Inspection, String>;

    /// How the second differs from the first, line by line.
    fn compare(&self, what: &Compared) -> Result<Vec<Line>, String>;

    /// What a backup holds, by name.
    fn contents(&self, backup: BackupId) -> Result<Vec<HeldArtifact>, String>;

    /// Pins a backup, so that nothing deletes it, or takes the pin away.
    fn pin(&self, backup: BackupId, pinned: bool) -> Result<(), String>;

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

    /// Lets another process go on with a job as soon as this one has ended; its pid.
    fn detach(&self, _id: &str) -> Result<u32, String> {
        Err("it cannot go on without the console".to_owned())
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
