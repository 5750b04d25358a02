//! Reading the journals of all volumes: which jobs there were and what became of them.

use std::{collections::BTreeSet, fs, path::Path};

use super::model::{Event, Header, JobState, JobView, Outcome};
use crate::{
    store::{Store, StoreError},
    volume::{At, Lane, VolumeError},
};

/// A whole journal.
#[derive(Debug, Clone)]
pub struct Record {
    pub header: Header,
    /// Numbers of the steps that are done.
    pub done: BTreeSet<usize>,
    pub failed: Vec<(usize, String)>,
    /// How it ended; `None` while it runs or when it was cut off.
    pub ended: Option<(JobState, chrono::DateTime<chrono::Utc>, u64)>,
    /// Whether a process holds it.
    pub held: bool,
}

impl Record {
    pub fn state(&self) -> JobState {
        match &self.ended {
            Some((state, ..)) => *state,
            None if self.held => JobState::Running,
            None => JobState::Interrupted,
        }
    }

    /// As the list shows it.
    pub fn view(&self) -> JobView {
        let state = self.state();
        JobView {
            id: self.header.id.clone(),
            plan: self.header.plan_id.clone(),
            intent: self.header.intent.clone(),
            title: self.header.title.clone(),
            state,
            actor: self.header.actor.clone(),
            started: self.header.started,
            ended: self.ended.as_ref().map(|(_, at, _)| *at),
            steps_total: self.header.steps,
            steps_done: self.done.len() as u64,
            steps_failed: self.failed.len() as u64,
            bytes: self.ended.as_ref().map_or(0, |(_, _, bytes)| *bytes),
            errors: self.failed.iter().map(|(_, e)| e.clone()).take(8).collect(),
            resumable: self.header.plan.is_some()
                && matches!(state, JobState::Interrupted | JobState::Cancelled),
        }
    }
}

/// All jobs, newest first: the union over the volumes that can be read.
pub fn read_all(store: &Store) -> Vec<Record> {
    let pending: Vec<_> = store
        .slots()
        .iter()
        .filter(|slot| slot.state.is_readable())
        .map(|slot| {
            slot.volume.start(Lane::Short, |dir, pulse| {
                let directory = dir.own("journal");
                let mut records = Vec::new();
                for entry in fs::read_dir(&directory).at("list", &directory)? {
                    let path = entry.at("list", &directory)?.path();
                    if path.extension().is_some_and(|e| e == "jsonl") {
                        records.extend(read(&path)?);
                    }
                    pulse.beat();
                }
                Ok(records)
            })
        })
        .collect();
    let mut records: Vec<Record> = pending
        .into_iter()
        .filter_map(|pending| {
            pending
                .wait()
                .inspect_err(|error| tracing::warn!(%error, "a journal cannot be read"))
                .ok()
        })
        .flatten()
        .collect();
    records.sort_by(|a, b| b.header.id.cmp(&a.header.id));
    records
}

/// One job; the id may be shortened as long as it is unique.
pub fn find(store: &Store, id: &str) -> Result<Record, StoreError> {
    let mut found: Vec<Record> = read_all(store)
        .into_iter()
        .filter(|record| record.header.id.starts_with(id) || record.header.id.ends_with(id))
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(record), true) => Ok(record),
        (Some(_), false) => Err(StoreError::Usage(format!("{id} is the id of several jobs"))),
        (None, _) => Err(StoreError::NotFound {
            kind: "job",
            what: id.to_owned(),
        }),
    }
}

/// `None`: not even its first line is whole, so no step of it was begun.
fn read(path: &Path) -> Result<Option<Record>, VolumeError> {
    let file = fs::File::open(path).at("open", path)?;
    let held = fs2::FileExt::try_lock_shared(&file).is_err();
    let text = fs::read_to_string(path).at("read", path)?;
    // A line that a crash cut is the last one and says nothing yet.
    let mut events = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Event>(line).ok());
    let Some(Event::Begin(header)) = events.next() else {
        return Ok(None);
    };
    let mut record = Record {
        header: *header,
        done: BTreeSet::new(),
        failed: Vec::new(),
        ended: None,
        held,
    };
    for event in events {
        match event {
            Event::Begin(_) => {}
            Event::Step { number, outcome } => match outcome {
                Outcome::Done | Outcome::Already => {
                    record.failed.retain(|(failed, _)| *failed != number);
                    record.done.insert(number);
                }
                Outcome::Failed(why) => record.failed.push((number, why)),
            },
            Event::Resumed { .. } => record.ended = None,
            Event::End { state, at, bytes } => record.ended = Some((state, at, bytes)),
        }
    }
    Ok(Some(record))
}
