//! Reading the journals of all volumes: which jobs there were and what became of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, IgnoredAny};

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
    /// Who went on with it, and when, in order.
    pub resumed: Vec<(Actor, DateTime<Utc>)>,
}

impl Steps {
    fn note<P>(&mut self, event: Event<P>) {
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
            Event::Resumed { actor, at } => {
                self.ended = None;
                self.resumed.push((actor, at));
            }
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
        view_of(&self.header, &self.steps, self.held)
    }
}

fn view_of<P>(header: &Header<P>, steps: &Steps, held: bool) -> JobView {
    let state = steps.state(held);
    let end = steps.ended.as_ref();
    let counted = end.and_then(|end| end.counted);
    JobView {
        id: header.id.clone(),
        plan: header.plan_id.clone(),
        intent: header.intent.clone(),
        title: header.title.clone(),
        state,
        actor: header.actor.clone(),
        started: header.started,
        ended: end.map(|end| end.at),
        steps_total: counted.map_or(header.steps, |c| c.done + c.failed),
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
        resumable: header.plan.is_some()
            && matches!(state, JobState::Interrupted | JobState::Cancelled),
        undoable: header.plan.is_some()
            && header.intent != "undo"
            && state != JobState::Running
            && !steps.done.is_empty(),
    }
}

/// A journal that is followed: only what was added is read.
#[derive(Debug, Clone)]
struct Followed {
    header: Header<IgnoredAny>,
    steps: Steps,
    /// Bytes read so far.
    read: u64,
    held: bool,
}

impl Followed {
    fn view(&self) -> JobView {
        view_of(&self.header, &self.steps, self.held)
    }
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
            .map(Followed::view)
            .collect();
        jobs.sort_by(|a, b| b.id.cmp(&a.id));
        jobs
    }
}

/// The newest journals of a directory: their names begin with the time.
fn newest(directory: &Path) -> Result<Vec<PathBuf>, VolumeError> {
    let mut paths = journals(directory)?;
    let surplus = paths.len().saturating_sub(LISTED);
    Ok(paths.split_off(surplus))
}

/// All journals of a directory, oldest first.
fn journals(directory: &Path) -> Result<Vec<PathBuf>, VolumeError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).at("list", directory)? {
        let path = entry.at("list", directory)?.path();
        if path.extension().is_some_and(|e| e == "jsonl") {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
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
    let held = is_held(&path)?;
    let mut reader = open(&path)?;
    let mut job = match known.remove(&path) {
        Some(job) if job.read <= size => job,
        _ => match begin(&mut reader, &path) {
            Ok(Some((header, read))) => Followed {
                header,
                steps: Steps::default(),
                read,
                held,
            },
            Ok(None) => return Ok(()),
            Err(error @ VolumeError::Bad { .. }) => {
                tracing::warn!(%error, "passed over");
                return Ok(());
            }
            Err(error) => return Err(error),
        },
    };
    job.read = tell(&mut reader, job.read, &path, |event| job.steps.note(event))?;
    job.held = held;
    known.insert(path, job);
    Ok(())
}

fn open(path: &Path) -> Result<BufReader<fs::File>, VolumeError> {
    Ok(BufReader::new(fs::File::open(path).at("open", path)?))
}

/// The first line, and where the second begins. `None`: it is not whole, so no step of the job was
/// begun.
fn begin<P: DeserializeOwned>(
    reader: &mut BufReader<fs::File>,
    path: &Path,
) -> Result<Option<(Header<P>, u64)>, VolumeError> {
    // Read as it comes: with a plan of many steps it is long.
    let mut events = serde_json::Deserializer::from_reader(reader).into_iter::<Event<P>>();
    match events.next() {
        Some(Ok(Event::Begin(header))) => {
            let newline = events.byte_offset() as u64;
            Ok(Some((*header, newline + 1)))
        }
        Some(Err(error)) if error.is_io() => Err(std::io::Error::from(error)).at("read", path),
        Some(Err(error)) if error.is_data() => Err(VolumeError::Bad {
            path: path.to_owned(),
            problem: format!("the job in it is damaged: {error}"),
        }),
        _ => Ok(None),
    }
}

/// Tells each whole line from `at` on; where the next will begin.
fn tell(
    reader: &mut BufReader<fs::File>,
    mut at: u64,
    path: &Path,
    mut note: impl FnMut(Event<IgnoredAny>),
) -> Result<u64, VolumeError> {
    reader.seek(SeekFrom::Start(at)).at("read", path)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).at("read", path)?;
        // A line that is cut says nothing yet.
        if !line.ends_with(b"\n") {
            return Ok(at);
        }
        at += read as u64;
        if let Ok(event) = serde_json::from_slice(&line) {
            note(event);
        }
    }
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

/// Makes something of every journal, plan included, in no order: for what the list does not tell.
/// Each is read and let go before the next, as plans may be long.
pub fn each<T: Send + 'static>(store: &Store, make: fn(&Record) -> T) -> Vec<T> {
    let ours = store.slots().iter().filter(|slot| slot.is_ours());
    let pending: Vec<_> = ours
        .map(|slot| {
            slot.volume.start(Lane::Bulk, move |dir, pulse| {
                let mut all = Vec::new();
                for path in journals(&dir.own("journal"))? {
                    match read(&path) {
                        Ok(record) => all.extend(record.as_ref().map(make)),
                        Err(error) => tracing::warn!(%error, "a journal is passed over"),
                    }
                    pulse.beat();
                }
                Ok(all)
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

/// One job as the list shows it, without its plan.
pub fn view(store: &Store, id: &str) -> Result<JobView, StoreError> {
    let (slot, path) = locate(store, id)?;
    let mut known = slot.volume.run(Lane::Short, move |_, _| {
        let mut known = BTreeMap::new();
        follow(&mut known, path)?;
        Ok(known)
    })?;
    let (_, job) = known.pop_first().ok_or_else(|| not_found(id))?;
    Ok(job.view())
}

/// How a job began, and what its journal says since, oldest first.
pub fn events(store: &Store, id: &str) -> Result<(Header, Vec<Event<IgnoredAny>>), StoreError> {
    let (slot, path) = locate(store, id)?;
    let events = slot.volume.run(Lane::Bulk, move |_, _| {
        let mut reader = open(&path)?;
        let Some((header, read)) = begin(&mut reader, &path)? else {
            return Ok(None);
        };
        let mut events = Vec::new();
        tell(&mut reader, read, &path, |event| events.push(event))?;
        Ok(Some((header, events)))
    })?;
    events.ok_or_else(|| not_found(id))
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

fn read(path: &Path) -> Result<Option<Record>, VolumeError> {
    let held = is_held(path)?;
    let mut reader = open(path)?;
    let Some((header, read)) = begin(&mut reader, path)? else {
        return Ok(None);
    };
    let mut steps = Steps::default();
    tell(&mut reader, read, path, |event| steps.note(event))?;
    Ok(Some(Record {
        header,
        steps,
        held,
    }))
}
