//! What reaches the state, and what the state asks for.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use crossterm::event::{KeyEvent, MouseEvent};

use super::{
    backend::{
        ApplyError, Compared, HeldArtifact, HistoryEntry, Inspection, JobRequest, PlanError,
        RunningJob, Surroundings,
    },
    setup,
    table::{Agents, Seen, Table},
};
use crate::{
    backup::{BackupId, BackupView},
    journal::JobView,
    plan::{Intent, Plan},
    report::{Line, log::LogLine},
    store::lease::{Epoch, LeaseView},
    survey::StateId,
    volume::ArtifactName,
};

/// The moment of a tick: the clock for ages, and monotonic time since the console opened for
/// everything that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub now: DateTime<Utc>,
    pub elapsed: Duration,
}

/// Ties an answer to the dialog that asked: a late answer to a closed dialog is dropped.
pub type Ticket = u64;

/// Everything that can happen.
#[derive(Debug)]
pub enum Message {
    Key(KeyEvent),
    Paste(String),
    Mouse(MouseEvent),
    Resize(u16, u16),
    Tick(Moment),
    Survey(Result<Option<Seen>, String>),
    /// Who signed what, for the table of this generation.
    Agents(Arc<Table>, Agents),
    Backups(Result<Vec<BackupView>, String>),
    Jobs(Vec<JobView>),
    Log(String, Result<Vec<LogLine>, String>),
    Lease(LeaseView),
    Surroundings(Result<Surroundings, String>),
    /// The lease was taken over, or why not.
    TookOver(Ticket, Result<(), String>),
    /// The selection has rested on this name for a moment.
    Rested(ArtifactName),
    History(ArtifactName, Result<Vec<HistoryEntry>, String>),
    Inspected(Ticket, Result<Inspection, String>),
    Compared(Ticket, Result<Vec<Line>, String>),
    Contents(Ticket, Result<Vec<HeldArtifact>, String>),
    /// A backup was pinned, or its pin taken away.
    Pinned(BackupId, bool, Result<(), String>),
    Planned(Ticket, Result<Arc<Plan>, PlanError>),
    Applied(Ticket, Result<RunningJob, ApplyError>),
    Started(Result<RunningJob, String>),
    /// An answer to the first run.
    Setup(setup::Answer),
    /// The terminal has taken everything: a frame that had to wait can be drawn.
    Written,
    /// A worker panicked that was to do this; in words.
    Panicked(Option<Box<Command>>, String),
    /// The terminal is gone: nothing may be written to it.
    HangUp,
    /// A signal asks to leave with this exit code; the terminal is still there.
    Leave(u8),
    /// SIGCONT: the process was stopped from outside.
    Continued,
}

/// What the state wants done. Backend calls go to worker threads, the rest is the terminal's.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Refresh(Vec<ArtifactName>),
    /// Read who signed what, for a filter.
    Agents,
    Backups,
    Jobs,
    /// Jobs, and single changes between them.
    Audit,
    Log(String),
    Lease,
    Surroundings,
    TakeOver(Ticket, Option<Epoch>),
    StepDown,
    /// Send `Rested` after a short while.
    Rest(ArtifactName),
    History(ArtifactName),
    Inspect(Ticket, ArtifactName, Option<StateId>),
    Compare(Ticket, Compared),
    Contents(Ticket, BackupId),
    Pin(BackupId, bool),
    Plan(Ticket, Intent),
    Apply(Ticket, Arc<Plan>),
    Start(JobRequest),
    Resume(String),
    Copy(String),
    Bell,
    Redraw,
    /// Set the modes again and draw everything.
    Reenter,
    Suspend,
    /// Leave with this exit code, jobs at a safe point and the lease given back.
    Quit {
        code: u8,
        silent: bool,
    },
    /// Leave, and let the plans that run go on without the console.
    Detach,
}
