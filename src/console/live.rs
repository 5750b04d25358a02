//! The console's engine: the same functions as the command line's, behind the [`Backend`] trait.
//!
//! A refresh is cheap while nothing changes: every volume is asked whether it is still ours and
//! when its directories changed, the rows on the screen are looked at, and a bounded number of all
//! others in turn. Only a difference leads to a new survey.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{
    backend::{
        ApplyError, Backend, EntryId, HistoryEntry, InspectedBlock, InspectedEntry, Inspection,
        JobOutcome, JobRequest, PlanError, RunningJob, StoreInfo,
    },
    table::Agents,
};
use crate::{
    apply::{
        self,
        unplanned::{BackupJob, BackupWork},
    },
    backup::{self, BackupList, BackupView, KnownNames},
    journal::{JobList, JobState, JobView},
    maif::{self, BlockType, Reader, Verification},
    plan::{Intent, LayoutChange, Plan},
    planner,
    progress::{Cancelled, Task},
    report::{self, stamp},
    store::{Access, Store, StoreError, config::Role},
    survey::{self, Checked, CopyView, Scope, Stamp, Survey, VersionView, VolumeState},
    volume::{ArtifactName, Lane, Level, VersionId, VersionKind, listing},
};

/// Rows looked at in one refresh beside the visible ones.
const SWEEP: usize = 1000;
/// Verifications of this process that the list of jobs remembers.
const REMEMBERED: usize = 50;
/// Bytes of a text shown in an inspection.
const PREVIEW: u64 = 400;

/// What a refresh remembers of the one before.
#[derive(Debug, Default)]
struct Memory {
    /// Directory times by slot; `None` for a volume that did not answer.
    times: Vec<Option<[i64; 2]>>,
    states: Vec<VolumeState>,
    /// Where the sweep goes on.
    next: usize,
    /// The backups and jobs that the findings are about.
    shown: (Vec<BackupView>, Vec<JobView>),
    survey: Option<Arc<Survey>>,
    /// What the newest backup holds.
    known: KnownNames,
    /// When what was read to the last byte was last remembered.
    checked_at: Option<SystemTime>,
}

/// The engine of one open store.
#[derive(Debug)]
pub struct Live {
    store: Mutex<Store>,
    config: String,
    memory: Mutex<Memory>,
    running: Mutex<Vec<Task>>,
    journals: Mutex<JobList>,
    backups: Mutex<BackupList>,
    /// Verifications of this process.
    unjournalled: Arc<Mutex<Vec<JobView>>>,
}

impl Live {
    /// `config` is the file that the store was opened by, as it is shown.
    pub fn new(store: Store, config: String) -> Self {
        Self {
            store: Mutex::new(store),
            config,
            memory: Mutex::default(),
            running: Mutex::default(),
            journals: Mutex::default(),
            backups: Mutex::default(),
            unjournalled: Arc::default(),
        }
    }

    fn current(&self) -> Store {
        lock(&self.store).clone()
    }

    /// Runs work on a thread of its own and publishes its end.
    fn spawn(
        &self,
        id: String,
        title: String,
        changes: bool,
        work: impl FnOnce(&Task) -> Result<JobOutcome, StoreError> + Send + 'static,
    ) -> RunningJob {
        let task = Task::new();
        let (sender, done) = watch::channel(None);
        lock(&self.running).push(task.clone());
        let worker = task.clone();
        thread::spawn(move || {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&worker)));
            let outcome = match caught {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(StoreError::Cancelled(Cancelled))) => {
                    ended(JobState::Cancelled, "cancelled")
                }
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
        Ok(self.spawn(id, title, false, move |task| {
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

    fn run(&self, job: apply::Job) -> RunningJob {
        let (id, title) = (job.id().to_owned(), job.title());
        self.spawn(id, title, true, move |task| {
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

    /// Whether anything that a cheap look can see is other than before.
    fn looks_changed(
        &self,
        store: &Store,
        visible: &[ArtifactName],
        previous: Option<&Arc<Survey>>,
    ) -> bool {
        let mut memory = lock(&self.memory);
        let states: Vec<VolumeState> = store.slots().iter().map(|slot| slot.state).collect();
        let times: Vec<Option<[i64; 2]>> = store
            .slots()
            .iter()
            .map(|slot| {
                slot.state.is_readable().then(|| {
                    slot.volume
                        .start(Lane::Short, |dir, _| listing::directory_times(dir))
                })
            })
            .collect::<Vec<_>>()
            .into_iter()
            .map(|pending| pending.and_then(|pending| pending.wait().ok()))
            .collect();
        let mut changed = previous.is_none() || memory.states != states || memory.times != times;
        memory.states = states;
        memory.times = times;
        let Some(survey) = previous else { return true };
        // Rows on the screen every time, the others in turn.
        let total = survey.artifacts.len();
        let from = memory.next.min(total);
        let to = (from + SWEEP).min(total);
        memory.next = if to == total { 0 } else { to };
        let swept = survey.artifacts.get(from..to).unwrap_or_default();
        let names: Vec<ArtifactName> = visible
            .iter()
            .cloned()
            .chain(swept.iter().map(|artifact| artifact.name.clone()))
            .collect();
        for (position, slot) in store.slots().iter().enumerate() {
            if !slot.state.is_readable() {
                continue;
            }
            let here: Vec<ArtifactName> = names
                .iter()
                .filter(|name| store.home(name) == slot.partition)
                .cloned()
                .collect();
            let asked = here.clone();
            let Ok(found) = slot.volume.run(Lane::Short, move |dir, pulse| {
                Ok(listing::stat_copies(dir, &asked, pulse))
            }) else {
                changed = true;
                continue;
            };
            let volume = u16::try_from(position).unwrap_or(u16::MAX);
            for (name, found) in here.into_iter().zip(found) {
                let as_surveyed = survey.find(&name).and_then(|row| {
                    let copies = &survey.artifacts.get(row)?.copies;
                    copies.iter().find(|copy| copy.volume.0 == volume)
                });
                changed |= found
                    .is_some_and(|found| as_surveyed.is_none_or(|c| differs(c, found, survey.at)));
            }
        }
        changed
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
            role: role.to_owned(),
            lease: "leases are off".to_owned(),
            backups: config
                .backup
                .as_ref()
                .map(|backup| backup.directory.display().to_string()),
            config: self.config.clone(),
        }
    }

    fn refresh(
        &self,
        visible: &[ArtifactName],
        previous: Option<Arc<Survey>>,
    ) -> Result<Option<Arc<Survey>>, String> {
        let store = self.current().reopened();
        *lock(&self.store) = store.clone();
        // What was read to the last byte meanwhile changes the verdict on files that did not change.
        let checked_at = Checked::saved_at(store.id().unwrap_or_default());
        let rechecked = {
            let mut memory = lock(&self.memory);
            std::mem::replace(&mut memory.checked_at, checked_at) != checked_at
        };
        let changed = self.looks_changed(&store, visible, previous.as_ref()) || rechecked;
        let backups = self.backups()?;
        let jobs = self.jobs();
        let same_beside = {
            let memory = lock(&self.memory);
            memory.shown == (backups.clone(), jobs.clone())
        };
        if !changed && same_beside {
            return Ok(None);
        }
        let mut survey = match previous {
            Some(previous) if !changed => (*previous).clone(),
            previous => {
                let previous = previous.filter(|_| !rechecked);
                let known = {
                    let mut memory = lock(&self.memory);
                    memory.known.refresh(&backups, store.clock().now());
                    memory.known.list()
                };
                let scope = Scope {
                    level: Level::Quick,
                    known,
                    checked: Checked::load(store.id().unwrap_or_default()),
                    ..Scope::default()
                };
                survey::survey_again(&store, &scope, previous.as_deref(), &Task::new())
                    .map_err(|error| words(&error))?
            }
        };
        survey.findings = report::findings::all(&survey, &store, &backups, &jobs);
        let survey = Arc::new(survey);
        let mut memory = lock(&self.memory);
        memory.shown = (backups, jobs);
        memory.survey = Some(Arc::clone(&survey));
        Ok(Some(survey))
    }

    fn backups(&self) -> Result<Vec<BackupView>, String> {
        let store = self.current();
        let Some(config) = &store.config().backup else {
            return Ok(Vec::new());
        };
        let mut list = lock(&self.backups);
        list.refresh(&config.directory)
            .map_err(|error| words(&error))
    }

    fn jobs(&self) -> Vec<JobView> {
        let mut jobs = lock(&self.journals).refresh(&self.current());
        // Work that only reads is in no journal: it is told as long as the console is open.
        jobs.extend(lock(&self.unjournalled).iter().cloned());
        jobs.sort_by(|a, b| b.id.cmp(&a.id));
        jobs
    }

    fn history(&self, name: &ArtifactName) -> Result<Vec<HistoryEntry>, String> {
        let store = self.current();
        let survey = lock(&self.memory).survey.clone();
        let Some(survey) = survey else {
            return Ok(Vec::new());
        };
        let Some(row) = survey.find(name) else {
            return Err(format!("{name} is not in the store any more"));
        };
        Ok(history_of(&store, &survey, row, name))
    }

    fn inspect(
        &self,
        name: &ArtifactName,
        version: Option<VersionId>,
    ) -> Result<Inspection, String> {
        let store = self.current();
        let what = version.map_or_else(|| "current copy".to_owned(), |id| format!("version {id}"));
        let fetched = match version {
            Some(id) => store.fetch_version(name, id),
            None => store.fetch(name),
        };
        match fetched {
            Ok(fetched) => inspection(
                name,
                &format!("{what} on {}", fetched.volume),
                fetched.file.as_file(),
                &fetched.verification,
            )
            .map_err(|error| error.to_string()),
            Err(error) => Err(words(&error)),
        }
    }

    fn plan(&self, intent: Intent) -> Result<Arc<Plan>, PlanError> {
        // As it is now: a volume may have been marked since the last refresh.
        let store = self.current().reopened();
        *lock(&self.store) = store.clone();
        store
            .require_write()
            .and_then(|()| store.require_same_layout())
            .map_err(|error| PlanError::Refused(words(&error)))?;
        make_plan(&store, intent)
            .map(Arc::new)
            .map_err(|error| PlanError::Failed(words(&error)))
    }

    fn apply(&self, plan: Arc<Plan>) -> Result<RunningJob, ApplyError> {
        let store = self.current();
        let job = apply::begin(&store, &plan).map_err(|error| match error {
            StoreError::Changed(_) => ApplyError::Changed(words(&error)),
            error => ApplyError::Failed(words(&error)),
        })?;
        let mut running = self.run(job);
        if let Intent::MarkVolume { volume, .. } = &plan.intent {
            running.then = Some(Intent::Repair {
                names: Vec::new(),
                accept_older: false,
                prefer: None,
                volume: Some(volume.clone()),
            });
        }
        Ok(running)
    }

    fn start(&self, request: JobRequest) -> Result<RunningJob, String> {
        let store = self.current();
        match request {
            JobRequest::BackupCreate => {
                let job =
                    BackupJob::begin(&store, BackupWork::Create).map_err(|error| words(&error))?;
                let (id, title) = (job.id().to_owned(), job.title().to_owned());
                Ok(self.spawn(id, title, false, move |task| {
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

    fn resume_job(&self, id: &str) -> Result<RunningJob, String> {
        let job = apply::resume(&self.current(), id).map_err(|error| words(&error))?;
        Ok(self.run(job))
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

    fn rest(&self, within: Duration) {
        let tasks = lock(&self.running).clone();
        for task in &tasks {
            task.pause();
        }
        tracing::info!(
            jobs = tasks.len(),
            ?within,
            "jobs pause at their next safe point"
        );
    }

    fn wake(&self) {
        for task in lock(&self.running).iter() {
            task.resume();
        }
    }
}

/// Whether a file may be other than the survey saw it: it differs, or it was written so shortly
/// before the survey that another save could hide in the grain of its time stamps.
fn differs(copy: &CopyView, (size, stamp): (u64, Stamp), at: DateTime<Utc>) -> bool {
    copy.size != Some(size) || copy.stamp != stamp || !stamp.is_settled(at.timestamp())
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

fn ended(state: JobState, message: &str) -> JobOutcome {
    JobOutcome {
        state,
        message: message.to_owned(),
        errors: Vec::new(),
    }
}

/// Plans an intent against a survey of now.
fn make_plan(store: &Store, intent: Intent) -> Result<Plan, StoreError> {
    match intent {
        Intent::Repair {
            names,
            accept_older,
            prefer,
            volume,
        } => planner::repair(
            store,
            Level::Deep,
            planner::Repair {
                names,
                accept_older,
                prefer,
                volume,
            },
        ),
        Intent::VersionRestore {
            name,
            version,
            aside,
        } => planner::version(store, &name, version, aside),
        Intent::BackupRestore {
            backup,
            mode,
            names,
        } => planner::backup(store, &backup.to_string(), names, mode, 50),
        Intent::VersionsPrune { names, policy } => {
            planner::prune_versions(store, names, Some(policy))
        }
        Intent::BackupPrune { policy } => planner::prune(store, Some(policy)),
        Intent::Remove { names } => planner::removal(store, names),
        Intent::Undo { job } => planner::undo(store, &job),
        Intent::MarkVolume {
            volume,
            replace,
            directory,
        } => planner::mark(store, &volume, replace, directory),
        Intent::Layout {
            change: LayoutChange::Apply,
        } => Err(StoreError::Usage("run `maifdeck config apply`".to_owned())),
        Intent::Layout { change } => planner::layout::change(store, change),
        Intent::EmptyTrash { all } => Ok(planner::empty_trash(store, all)),
    }
}

/// The current copy and what the histories hold, newest first.
fn history_of(
    store: &Store,
    survey: &Survey,
    row: usize,
    name: &ArtifactName,
) -> Vec<HistoryEntry> {
    let Some(artifact) = survey.artifacts.get(row) else {
        return Vec::new();
    };
    let replicas = u16::try_from(artifact.copies.len()).unwrap_or(u16::MAX);
    let versions = survey.history(row);
    let mut entries = Vec::new();
    if !artifact.removed
        && let Some(copy) = artifact.shown_copy()
    {
        let same = artifact
            .copies
            .iter()
            .filter(|other| other.check.is_some() && other.check == copy.check)
            .count();
        let looked = store.fetch(name).ok().map(|fetched| fetched.verification);
        entries.push(HistoryEntry {
            id: EntryId::Current,
            current_from: versions
                .first()
                .map(|version| version.id.time())
                .or_else(|| DateTime::from_timestamp(copy.modified, 0)),
            current_until: None,
            size: copy.size.unwrap_or(0),
            change: None,
            sha256: looked.as_ref().map(|v| v.sha256),
            agent: looked.as_ref().and_then(Verification::agent_did),
            blocks: looked.as_ref().map(blocks),
            origin: vec![survey.label(copy.volume).to_owned()],
            copies: (u16::try_from(same).unwrap_or(u16::MAX), replicas),
        });
    }
    for (n, version) in versions.iter().enumerate() {
        entries.push(entry(
            store,
            survey,
            name,
            version,
            versions.get(n + 1),
            replicas,
        ));
    }
    let sizes: Vec<u64> = entries.iter().map(|entry| entry.size).collect();
    for (entry, older) in entries.iter_mut().zip(sizes.iter().skip(1)) {
        entry.change = i64::try_from(entry.size)
            .ok()
            .zip(i64::try_from(*older).ok())
            .map(|(new, old)| new - old);
    }
    entries
}

fn entry(
    store: &Store,
    survey: &Survey,
    name: &ArtifactName,
    version: &VersionView,
    older: Option<&VersionView>,
    replicas: u16,
) -> HistoryEntry {
    let label = survey.label(version.volume);
    let removal = version.kind == VersionKind::Removal;
    let looked = (!removal)
        .then(|| store.slot(label))
        .flatten()
        .and_then(|slot| store.verify_version(slot, name, version.id).ok());
    HistoryEntry {
        id: if removal {
            EntryId::Removed(version.id)
        } else {
            EntryId::Version(version.id)
        },
        current_from: older
            .map(|older| older.id.time())
            .or_else(|| DateTime::from_timestamp(version.written, 0)),
        current_until: Some(version.id.time()),
        size: if removal { 0 } else { version.size },
        change: None,
        sha256: looked.as_ref().map(|v| v.sha256),
        agent: looked.as_ref().and_then(Verification::agent_did),
        blocks: looked.as_ref().map(blocks),
        origin: vec![label.to_owned()],
        copies: (version.volumes, replicas),
    }
}

fn blocks(verification: &Verification) -> u32 {
    u32::try_from(verification.block_types.len()).unwrap_or(u32::MAX)
}

/// What a file holds, for the inspect view.
fn inspection(
    name: &ArtifactName,
    what: &str,
    file: &std::fs::File,
    verification: &Verification,
) -> Result<Inspection, maif::MaifError> {
    let mut header = Vec::new();
    if let Some(found) = &verification.header {
        header.push((
            "agent".to_owned(),
            verification.agent_did().unwrap_or_default(),
        ));
        header.push(("created".to_owned(), stamp::rfc3339_micros(found.created)));
        header.push(("modified".to_owned(), stamp::rfc3339_micros(found.modified)));
        header.push(("file id".to_owned(), hex::encode(found.file_id)));
        header.push(("sha256".to_owned(), verification.sha256.to_string()));
    }
    let mut blocks = Vec::new();
    let mut provenance = Vec::new();
    if let Ok(reader) = Reader::open(file) {
        for block in reader.blocks()? {
            let metadata = reader.metadata(&block)?;
            let preview = (block.header.kind == BlockType::TEXT)
                .then(|| reader.preview(&block, PREVIEW))
                .transpose()?
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            blocks.push(InspectedBlock {
                kind: block.header.kind.to_string(),
                size: block.data_size(),
                hash: hex::encode(block.header.content_hash),
                metadata: if metadata == "{}" {
                    String::new()
                } else {
                    metadata
                },
                preview,
                fault: None,
            });
        }
        for entry in reader.provenance()? {
            provenance.push(InspectedEntry {
                action: entry.action,
                agent: entry.agent_id,
                at: i64::try_from(entry.timestamp)
                    .ok()
                    .and_then(DateTime::from_timestamp_micros),
                fault: None,
            });
        }
    }
    Ok(Inspection {
        name: name.to_string(),
        what: what.to_owned(),
        path: String::new(),
        size: verification.size,
        header,
        blocks,
        provenance,
        signer: verification.signer.as_ref().map(|s| s.public_key.clone()),
        verdict: verification.verdict().as_str().to_owned(),
        class: verification.class.to_string(),
        errors: verification
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.class, problem.message))
            .collect(),
        checked: vec![
            "every byte, hash and signature".to_owned(),
            "chain, merkle root, provenance, index, footer".to_owned(),
        ],
    })
}
