//! The state of the console. Only `update` changes it; `view` only reads it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ratatui::layout::Rect;

pub use super::running::{Pace, Running};
use super::{
    backend::{HistoryEntry, StoreInfo, Surroundings},
    keymap::{Action, Keymap, Pane},
    keys::Stroke,
    lease,
    marks::Marks,
    message::{Moment, Ticket},
    rows::Rows,
    table::{Seen, Table},
    theme::{Role, Theme},
    widgets::Dialog,
};
use crate::{
    backup::BackupView,
    journal::{JobState, JobView},
    report::{self, Zone, log::LogLine},
    store::lease::{LeaseState, LeaseView},
    survey::{ArtifactView, Finding, FindingKind, Severity, Survey},
    volume::ArtifactName,
};

/// What is decided before the console opens.
#[derive(Debug, Clone)]
pub struct Settings {
    pub theme: Theme,
    pub keymap: Keymap,
    pub zone: Zone,
    pub refresh: Duration,
    pub bell: bool,
    /// Inside tmux or screen a lost connection interrupts nothing.
    pub multiplexed: bool,
}

/// Which part of a pane the keys move in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    #[default]
    List,
    Detail,
}

/// A place in a list: what is selected and the first line that is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    pub selected: usize,
    pub offset: usize,
}

impl Cursor {
    /// Keeps the selection inside the list and in sight.
    pub fn settle(&mut self, length: usize, height: usize) {
        self.selected = self.selected.min(length.saturating_sub(1));
        if self.selected < self.offset {
            self.offset = self.selected;
        }
        if height > 0 && self.selected >= self.offset + height {
            self.offset = self.selected + 1 - height;
        }
        self.offset = self.offset.min(length.saturating_sub(height));
    }

    pub fn step(&mut self, by: isize, length: usize) {
        self.selected = self
            .selected
            .saturating_add_signed(by)
            .min(length.saturating_sub(1));
    }

    /// The rows in sight.
    pub fn window(&self, length: usize, height: usize) -> std::ops::Range<usize> {
        let from = self.offset.min(length);
        from..(from + height).min(length)
    }
}

/// A place in each part of a pane.
#[derive(Debug, Clone, Default)]
pub struct Place {
    pub list: Cursor,
    pub detail: Cursor,
    /// The operator has moved here: before that, the cursor stays on the first line.
    pub touched: bool,
    /// What the list's selection is on, so that it follows the thing and not the row.
    pub anchor: Option<String>,
}

/// The history that is shown in Versions.
#[derive(Debug, Clone)]
pub struct History {
    pub name: ArtifactName,
    pub entries: Result<Vec<HistoryEntry>, String>,
}

/// The log that is shown in Jobs.
#[derive(Debug, Clone)]
pub struct Log {
    pub id: String,
    pub lines: Result<Vec<LogLine>, String>,
    /// How far the job was then.
    pub upto: (JobState, u64),
}

/// A word to the operator that steals nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub text: String,
    pub role: Role,
    pub until: Duration,
}

/// What happened by itself, told when its turn comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub text: String,
    pub role: Role,
    /// Set when its turn has come.
    pub until: Option<Duration>,
    /// The finding that it is about: with that it goes.
    pub about: Option<(FindingKind, String)>,
}

/// What was read from the engine.
#[derive(Debug, Clone, Default)]
pub struct Data {
    pub survey: Option<Arc<Survey>>,
    /// Its columns.
    pub table: Arc<Table>,
    /// Why the last look failed; the survey before it is still shown.
    pub survey_error: Option<String>,
    /// When the last look succeeded.
    pub fresh: Option<Duration>,
    /// The survey's findings and those about jobs, worst first.
    pub findings: Vec<Finding>,
    /// Critical, warnings, infos.
    pub severities: [usize; 3],
    /// Newest first.
    pub backups: Option<Result<Vec<BackupView>, String>>,
    /// Newest first; with single changes where they are asked for.
    pub jobs: Vec<JobView>,
    pub log: Option<Log>,
    pub history: Option<History>,
    /// Who may write, as it was last seen.
    pub lease: Option<LeaseView>,
    pub surroundings: Option<Result<Surroundings, String>>,
    /// The survey before, until whoever owns the screen has it freed elsewhere: with a million
    /// artifacts that takes longer than a key may wait.
    pub retired: Option<Seen>,
}

/// Calls that are under way, and when the next ones are due.
#[allow(clippy::struct_excessive_bools)] // independent flags, one a call
#[derive(Debug, Clone, Default)]
pub struct Pending {
    pub refresh: bool,
    pub backups: bool,
    pub agents: bool,
    pub jobs: bool,
    pub log: bool,
    pub lease: bool,
    pub surroundings: bool,
    pub history: Option<ArtifactName>,
    /// The store changed since the history was read.
    pub history_stale: bool,
    pub next_refresh: Duration,
    pub next_backups: Duration,
    pub next_surroundings: Duration,
}

/// Everything.
#[allow(clippy::struct_excessive_bools)] // independent switches of the screen
#[derive(Debug)]
pub struct App {
    pub settings: Settings,
    pub store: StoreInfo,
    pub size: (u16, u16),
    pub moment: Moment,
    pub pane: Pane,
    pub focus: Focus,
    pub places: [Place; 7],
    pub replicas: Rows,
    pub versions: Rows,
    /// The filter line has the keys.
    pub filtering: bool,
    /// Its line is another one than its rows were found for.
    pub refilter: bool,
    pub marks: Marks,
    /// The divergent artifact whose copies were compared last: now one of them may be chosen.
    pub compared: Option<ArtifactName>,
    /// The row that was marked last: a range goes from there.
    pub marked_last: Option<u32>,
    pub data: Data,
    pub pending: Pending,
    pub running: Vec<Running>,
    /// Jobs shows single changes too.
    pub audit: bool,
    pub dialog: Option<Dialog>,
    /// The answer to the last key.
    pub notice: Option<Notice>,
    /// What happened by itself; the first is shown.
    pub events: VecDeque<News>,
    pub begun: Option<Stroke>,
    /// When the last key came.
    pub last_key: Duration,
    pub last_ticket: Ticket,
}

impl App {
    pub fn new(settings: Settings, store: StoreInfo, size: (u16, u16), moment: Moment) -> Self {
        Self {
            settings,
            store,
            size,
            moment,
            pane: Pane::default(),
            focus: Focus::default(),
            places: Default::default(),
            replicas: Rows::problems_first(),
            versions: Rows::by_name(),
            filtering: false,
            refilter: false,
            marks: Marks::default(),
            compared: None,
            marked_last: None,
            data: Data::default(),
            pending: Pending::default(),
            running: Vec::new(),
            audit: false,
            dialog: None,
            notice: None,
            events: VecDeque::new(),
            begun: None,
            last_key: Duration::ZERO,
            last_ticket: 0,
        }
    }

    pub fn screen(&self) -> Rect {
        Rect::new(0, 0, self.size.0, self.size.1)
    }

    pub fn place(&self) -> &Place {
        let [first, ..] = &self.places;
        self.places.get(self.pane.index()).unwrap_or(first)
    }

    pub fn place_mut(&mut self) -> &mut Place {
        self.place_of(self.pane)
    }

    pub fn place_of(&mut self, pane: Pane) -> &mut Place {
        let [
            overview,
            partitions,
            replicas,
            versions,
            backups,
            cluster,
            jobs,
        ] = &mut self.places;
        match pane {
            Pane::Overview => overview,
            Pane::Partitions => partitions,
            Pane::Replicas => replicas,
            Pane::Versions => versions,
            Pane::Backups => backups,
            Pane::Cluster => cluster,
            Pane::Jobs => jobs,
        }
    }

    /// The artifact rows of a pane that lists artifacts.
    pub const fn rows(&self) -> Option<&Rows> {
        match self.pane {
            Pane::Replicas => Some(&self.replicas),
            Pane::Versions => Some(&self.versions),
            _ => None,
        }
    }

    pub const fn rows_mut(&mut self) -> Option<&mut Rows> {
        match self.pane {
            Pane::Replicas => Some(&mut self.replicas),
            Pane::Versions => Some(&mut self.versions),
            _ => None,
        }
    }

    /// How many lines the list of the pane has.
    pub fn list_length(&self) -> usize {
        match self.pane {
            Pane::Overview => self.data.findings.len(),
            Pane::Partitions => self.survey().map_or(0, |s| s.partitions.len()),
            Pane::Replicas => self.replicas.index.len(),
            Pane::Versions => self.versions.index.len(),
            Pane::Backups => self.backups().len(),
            Pane::Cluster => self.survey().map_or(0, |s| s.volumes.len()),
            Pane::Jobs => self.data.jobs.len(),
        }
    }

    /// What the selection is on, as text that stays when rows move.
    pub fn anchor(&self) -> Option<String> {
        let at = self.place().list.selected;
        match self.pane {
            Pane::Overview => self
                .data
                .findings
                .get(at)
                .map(|f| format!("{:?} {}", f.kind, f.subject)),
            Pane::Partitions => self
                .survey()
                .and_then(|s| s.partitions.get(at))
                .map(|p| p.name.to_string()),
            Pane::Replicas | Pane::Versions => None,
            Pane::Backups => self.backups().get(at).map(|b| b.id.to_string()),
            Pane::Cluster => self
                .survey()
                .and_then(|s| s.volumes.get(at))
                .map(|v| v.label.to_string()),
            Pane::Jobs => self.data.jobs.get(at).map(|j| j.id.clone()),
        }
    }

    pub fn survey(&self) -> Option<&Survey> {
        self.data.survey.as_deref()
    }

    pub fn backups(&self) -> &[BackupView] {
        match &self.data.backups {
            Some(Ok(backups)) => backups,
            _ => &[],
        }
    }

    /// The survey with its columns.
    pub fn seen(&self) -> Option<Seen> {
        Some(Seen {
            survey: Arc::clone(self.data.survey.as_ref()?),
            table: Arc::clone(&self.data.table),
        })
    }

    pub fn selected_row(&self) -> Option<u32> {
        let row = self.rows()?.index.get(self.place().list.selected)?;
        Some(*row)
    }

    pub fn selected_artifact(&self) -> Option<&ArtifactView> {
        let row = self.selected_row()?;
        self.survey()?.artifacts.get(row as usize)
    }

    pub fn selected_finding(&self) -> Option<&Finding> {
        self.data.findings.get(self.place().list.selected)
    }

    /// Whether the volume is fuller than the configuration allows without a word.
    pub fn is_full(&self, label: &str) -> bool {
        let mut findings = self.data.findings.iter();
        findings.any(|f| f.kind == FindingKind::VolumeFull && f.subject == label)
    }

    pub fn selected_backup(&self) -> Option<&BackupView> {
        self.backups().get(self.place().list.selected)
    }

    pub fn selected_job(&self) -> Option<&JobView> {
        self.data.jobs.get(self.place().list.selected)
    }

    /// The log of the selected job, newest line first.
    pub fn shown_log(&self) -> &[LogLine] {
        let id = self.selected_job().map(|job| &job.id);
        match &self.data.log {
            Some(log) if Some(&log.id) == id => log.lines.as_deref().unwrap_or_default(),
            _ => &[],
        }
    }

    /// Whether the selected job went on since its log was read.
    pub fn log_is_stale(&self) -> bool {
        self.selected_job().is_some_and(|job| {
            let now = (&job.id, (job.state, job.steps_done));
            let log = self.data.log.as_ref();
            !report::log::is_single(job) && log.map(|log| (&log.id, log.upto)) != Some(now)
        })
    }

    /// The history beside the list, when it is that of the selected artifact.
    pub fn shown_history(&self) -> Option<&History> {
        let name = &self.selected_artifact()?.name;
        self.data.history.as_ref().filter(|h| h.name == *name)
    }

    pub fn selected_entry(&self) -> Option<&HistoryEntry> {
        let entries = self.shown_history()?.entries.as_ref().ok()?;
        entries.get(self.place().detail.selected)
    }

    pub fn running(&self, id: &str) -> Option<&Running> {
        self.running.iter().find(|r| r.job.id == id)
    }

    /// Whether a job of ours changes volumes: then the survey rests.
    pub fn is_changing(&self) -> bool {
        self.running.iter().any(|r| r.job.changes)
    }

    /// Whether what changes volumes can go on without the console.
    pub fn goes_on(&self) -> bool {
        self.store.detaches && self.is_changing()
    }

    /// Data is called live up to three intervals.
    pub fn is_live(&self) -> bool {
        self.data.survey_error.is_none()
            && self.data.fresh.is_some_and(|at| {
                self.moment.elapsed.saturating_sub(at) < self.settings.refresh * 3
            })
    }

    pub fn lease(&self) -> Option<&LeaseView> {
        self.data.lease.as_ref()
    }

    /// Why nothing may be changed now: for ever, or as long as another host leads.
    pub fn refusal(&self) -> Option<String> {
        let read_only = self.store.read_only.clone();
        read_only.or_else(|| lease::refusal(self.lease()?))
    }

    /// Why this change may not be made now.
    pub fn refusal_of(&self, action: Action) -> Option<String> {
        let unknown = |lease: &LeaseView| lease.state == LeaseState::Unknown;
        // The lease may be lost with its volume, and a new disk is what brings it back.
        let is_remedy = action == Action::MarkVolume && self.lease().is_some_and(unknown);
        if action.needs_the_lease() && !is_remedy {
            self.refusal()
        } else {
            self.store.read_only.clone()
        }
    }

    pub fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }

    pub fn say(&mut self, role: Role, text: impl Into<String>) {
        self.notice = Some(Notice {
            text: text.into(),
            role,
            until: self.moment.elapsed + Duration::from_secs(10),
        });
    }

    /// What the survey found, what jobs left, and what keeps the console from looking.
    pub fn gather_findings(&mut self) {
        let mut findings = report::findings::about_jobs(&self.data.jobs);
        if let Some(survey) = self.survey() {
            findings.extend(survey.findings.iter().cloned());
        }
        if let Some(error) = &self.data.survey_error {
            findings.push(Finding {
                severity: Severity::Critical,
                kind: FindingKind::VolumeUnreachable,
                subject: self.store.name.clone(),
                message: format!("the store could not be looked at: {error}"),
                remedy: "what is shown is what was seen last".to_owned(),
            });
        }
        findings.extend(self.lease().and_then(report::findings::about_lease));
        // An interrupted job comes first: everything else may be its consequence.
        findings.sort_by_key(|f| (f.kind != FindingKind::JobInterrupted, f.severity));
        self.data.severities = [Severity::Critical, Severity::Warning, Severity::Info]
            .map(|severity| findings.iter().filter(|f| f.severity == severity).count());
        self.data.findings = findings;
    }
}
