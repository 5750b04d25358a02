//! What a job is, as the journal tells it, and the journal's lines.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Running,
    Done,
    /// Some steps failed.
    Partial,
    Failed,
    Cancelled,
    /// Its process is gone before it ended.
    Interrupted,
}

impl JobState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Who ran it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub user: String,
    pub host: String,
    pub pid: u32,
    /// The lease it ran under; `None` when leases are off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

/// One job in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobView {
    /// `<YYYYmmdd_HHMMSS.mmm>-<six hex digits>`
    pub id: String,
    /// Id of the plan it applies; `None` for work without one (backup, verify).
    pub plan: Option<String>,
    /// `repair`, `backup-restore`, `backup-create`, `backup-verify`, `verify` …
    pub intent: String,
    /// What it is about, in words for people.
    pub title: String,
    pub state: JobState,
    pub actor: Actor,
    pub started: DateTime<Utc>,
    pub ended: Option<DateTime<Utc>>,
    pub steps_total: u64,
    pub steps_done: u64,
    pub steps_failed: u64,
    pub bytes: u64,
    /// The first errors, in words.
    pub errors: Vec<String>,
    /// Whether `resume` can go on with it.
    pub resumable: bool,
    /// Whether `undo` can bring back what it replaced.
    pub undoable: bool,
}

/// The first line: what is to be done, and by whom. Who does not need the plan, which may be long,
/// passes over it with another `P`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header<P = Arc<Plan>> {
    pub id: String,
    pub intent: String,
    pub title: String,
    pub actor: Actor,
    pub started: DateTime<Utc>,
    pub plan_id: Option<String>,
    pub steps: u64,
    /// Resuming is applying the rest of it.
    pub plan: Option<P>,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    /// Its result was there before.
    Already,
    /// Why not.
    Failed(String),
}

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event<P = Arc<Plan>> {
    Begin(Box<Header<P>>),
    Resumed { actor: Actor, at: DateTime<Utc> },
    Step { number: usize, outcome: Outcome },
    End(End),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub state: JobState,
    pub at: DateTime<Utc>,
    pub bytes: u64,
    /// Of work without a plan, whose steps are not written one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

impl End {
    pub const fn new(state: JobState, at: DateTime<Utc>, bytes: u64) -> Self {
        Self {
            state,
            at,
            bytes,
            counted: None,
            errors: Vec::new(),
        }
    }
}

/// What work without a plan did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    pub done: u64,
    pub failed: u64,
}
