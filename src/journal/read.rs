//! Reading the journals of all volumes: which jobs there were and what became of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::de::IgnoredAny;

use super::model::{Actor, End, Event, Header, JobState, JobView, Outcome};
use crate::{
    store::{Slot, Store, StoreError},
    volume::{At, Lane, VolumeError},
};

/// So many of the newest jobs are listed a volume.
const LISTED: usize = 500;
/// So many errors of a job are told.
const TOLD: usize = 50;

/// A whole journal.
#[derive(Debug, Clone)]
pub struct Record {
    pub header: Header,
    pub steps: Steps,
    /// Whether a process holds it.
    pub held: bool,
}

/// What became of the steps so far.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// Numbers of the steps that are done.
    pub done: BTreeSet<usize>,
    pub failed: BTreeMap<usize, String>,
    /// How it ended; `None` while it runs or when it was cut off.
    pub ended: Option<End>,
}

impl Steps {
    fn note(&mut self, event: Event) {
        match event {
            Event::Begin(_) => {}
            Event::Step { number, outcome } => match outcome {
                Outcome::Done | Outcome::Already => {
                    self.failed.remove(&number);
                    self.done.insert(number);
                }
                Outcome::Failed(why) => {
                    self.failed.insert(number, why);
                }
            },
            Event::Resumed { .. } => self.ended = None,
            Event::End(end) => self.ended = Some(end),
        }
    }

    fn state(&self, held: bool) -> JobState {
        match &self.ended {
            Some(end) => end.state,
            None if held => JobState::Running,
            None => JobState::Interrupted,
        }
    }
}

impl Record {
    pub fn state(&self) -> JobState {
        self.steps.state(self.held)
    }

    /// As the list shows it.
    pub fn view(&self) -> JobView {
        let header = &self.header;
        Summary {
            id: header.id.clone(),
            intent: header.intent.clone(),
            title: header.title.clone(),
            actor: header.actor.clone(),
            started: header.started,
            plan_id: header.plan_id.clone(),
            steps: header.steps,
            plan: header.plan.as_ref().map(|_| IgnoredAny),
        }
        .view(&self.steps, self.held)
    }
}

/// The first line without the plan, which may be long.
#[derive(Debug, Clone, serde::Deserialize)]
struct Summary {
    id: String,
    intent: String,
    title: String,
    actor: Actor,
    started: chrono::DateTime<chrono::Utc>,
    plan_id: Option<String>,
    steps: u64,
    plan: Option<IgnoredAny>,
}

impl Summary {
    fn view(&self, steps: &Steps, held: bool) -> JobView {
        let state = steps.state(held);
        let end = steps.ended.as_ref();
        let counted = end.and_then(|end| end.counted);
        JobView {
            id: self.id.clone(),
            plan: self.plan_id.clone(),
            intent: self.intent.clone(),
            title: self.title.clone(),
            state,
            actor: self.actor.clone(),
            started: self.started,
            ended: end.map(|end| end.at),
            steps_total: counted.map_or(self.steps, |c| c.done + c.failed),
            steps_done: counted.map_or(steps.done.len() as u64, |c| c.done),
            steps_failed: counted.map_or(steps.failed.len() as u64, |c| c.failed),
            bytes: end.map_or(0, |end| end.bytes),
            errors: steps
                .failed
                .values()
                .chain(end.into_iter().flat_map(|end| &end.errors))
                .take(TOLD)
                .cloned()
                .collect(),
            resumable: self.plan.is_some()
                && matches!(state, JobState::Interrupted | JobState::Cancelled),
            undoable: self.plan.is_some()
                && self.intent != "undo"
                && state != JobState::Running
                && !steps.done.is_empty(),
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum FirstLine {
    Begin(Summary),
}

/// A journal that is followed: only what was added is read.
#[derive(Debug, Clone)]
struct Followed {
    summary: Summary,
    steps: Steps,
    /// Bytes read so far.
    read: u64,
    held: bool,
}

/// The jobs of a store, followed from one look to the next. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct JobList {
    volumes: BTreeMap<String, BTreeMap<PathBuf, Followed>>,
}

impl JobList {
    /// Looks again; all jobs, newest first: the union over the volumes that can be read.
    pub fn refresh(&mut self, store: &Store) -> Vec<JobView> {
        let pending: Vec<_> = store
            .slots()
            .iter()
            .filter(|slot| slot.is_ours())
            .map(|slot| {
                let label = slot.label().to_owned();
                let mut known = self.volumes.remove(&label).unwrap_or_default();
                let pending = slot.volume.start(Lane::Short, move |dir, pulse| {
                    let listed = newest(&dir.own("journal"))?;
                    known.retain(|path, _| listed.contains(path));
                    for path in listed {
                        follow(&mut known, path)?;
                        pulse.beat();
                    }
                    Ok(known)
                });
                (label, pending)
            })
            .collect();
        for (label, pending) in pending {
            match pending.wait() {
                Ok(known) => {
                    self.volumes.insert(label, known);
                }
                Err(error) => tracing::warn!(%error, "a journal cannot be read"),
            }
        }
        let mut jobs: Vec<JobView> = self
            .volumes
            .values()
            .flat_map(BTreeMap::values)
            .map(|job| job.summary.view(&job.steps, job.held))
            .collect();
        jobs.sort_by(|a, b| b.id.cmp(&a.id));
        jobs
    }
}

/// The newest journals of a directory: their names begin with the time.
fn newest(directory: &Path) -> Result<Vec<PathBuf>, VolumeError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).at("list", directory)? {
        let path = entry.at("list", directory)?.path();
        if path.extension().is_some_and(|e| e == "jsonl") {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    let surplus = paths.len().saturating_sub(LISTED);
    Ok(paths.split_off(surplus))
}

/// Reads what a journal says beyond what is known of it.
fn follow(known: &mut BTreeMap<PathBuf, Followed>, path: PathBuf) -> Result<(), VolumeError> {
    let size = fs::metadata(&path).at("read", &path)?.len();
    if let Some(job) = known.get(&path)
        && job.read == size
        && (job.steps.ended.is_some() || job.held == is_held(&path)?)
    {
        return Ok(());
    }
    let file = fs::File::open(&path).at("open", &path)?;
    let held = is_held(&path)?;
    let mut reader = BufReader::new(file);
    let mut line = String::new();
    let mut job = match known.remove(&path) {
        Some(job) if job.read <= size => job,
        _ => {
            let read = reader.read_line(&mut line).at("read", &path)? as u64;
            // Not even its first line is whole: no step of it was begun.
            let Ok(FirstLine::Begin(summary)) = serde_json::from_str(&line) else {
                return Ok(());
            };
            Followed {
                summary,
                steps: Steps::default(),
                read,
                held,
            }
        }
    };
    reader.seek(SeekFrom::Start(job.read)).at("read", &path)?;
    loop {
        line.clear();
        let read = reader.read_line(&mut line).at("read", &path)? as u64;
        // A line that is cut says nothing yet.
        if !line.ends_with('\n') {
            break;
        }
        job.read += read;
        if let Ok(event) = serde_json::from_str(&line) {
            job.steps.note(event);
        }
    }
    job.held = held;
    known.insert(path, job);
    Ok(())
}

/// Whether a process holds the journal.
fn is_held(path: &Path) -> Result<bool, VolumeError> {
    let file = fs::File::open(path).at("open", path)?;
    Ok(fs2::FileExt::try_lock_shared(&file).is_err())
}

/// All jobs, newest first.
pub fn list(store: &Store) -> Vec<JobView> {
    JobList::default().refresh(store)
}

/// The whole journals, plans included, in no order: for what the list does not tell.
pub fn records(store: &Store) -> Vec<Record> {
    let ours = store.slots().iter().filter(|slot| slot.is_ours());
    let pending: Vec<_> = ours
        .map(|slot| {
            slot.volume.start(Lane::Bulk, |dir, pulse| {
                let mut records = Vec::new();
                for path in newest(&dir.own("journal"))? {
                    records.extend(read(&path)?);
                    pulse.beat();
                }
                Ok(records)
            })
        })
        .collect();
    pending
        .into_iter()
        .filter_map(|pending| {
            pending
                .wait()
                .inspect_err(|error| tracing::warn!(%error, "a journal cannot be read"))
                .ok()
        })
        .flatten()
        .collect()
}

/// One job; the id may be shortened as long as it is unique.
pub fn find(store: &Store, id: &str) -> Result<Record, StoreError> {
    let (slot, path) = locate(store, id)?;
    let record = slot.volume.run(Lane::Short, move |_, _| read(&path))?;
    record.ok_or_else(|| not_found(id))
}

/// Every line of a job's journal, oldest first.
pub fn events(store: &Store, id: &str) -> Result<Vec<Event>, StoreError> {
    let (slot, path) = locate(store, id)?;
    Ok(slot.volume.run(Lane::Bulk, move |_, _| {
        let text = fs::read_to_string(&path).at("read", &path)?;
        // A line that a crash cut says nothing yet.
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.filter_map(Result::ok).collect())
    })?)
}

fn not_found(id: &str) -> StoreError {
    StoreError::NotFound {
        kind: "job",
        what: id.to_owned(),
    }
}

fn locate<'a>(store: &'a Store, id: &str) -> Result<(&'a Slot, PathBuf), StoreError> {
    let mut found = Vec::new();
    for slot in store.slots().iter().filter(|slot| slot.is_ours()) {
        let listed = slot
            .volume
            .run(Lane::Short, |dir, _| newest(&dir.own("journal")))?;
        let fits = |path: &PathBuf| {
            path.file_stem()
                .and_then(std::ffi::OsStr::to_str)
                .is_some_and(|stem| stem.starts_with(id) || stem.ends_with(id))
        };
        found.extend(listed.into_iter().filter(fits).map(|path| (slot, path)));
    }
    match found.as_slice() {
        [] => Err(not_found(id)),
        [(slot, path)] => Ok((*slot, path.clone())),
        _ => Err(StoreError::Usage(format!("{id} is the id of several jobs"))),
    }
}

/// `None`: not even its first line is whole, so no step of it was begun.
fn read(path: &Path) -> Result<Option<Record>, VolumeError> {
    let held = is_held(path)?;
    let text = fs::read_to_string(path).at("read", path)?;
    // A line that a crash cut is the last one and says nothing yet.
    let mut events = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Event>(line).ok());
    let Some(Event::Begin(header)) = events.next() else {
        return Ok(None);
    };
    let mut steps = Steps::default();
    for event in events {
        steps.note(event);
    }
    Ok(Some(Record {
        header: *header,
        steps,
        held,
    }))
}
