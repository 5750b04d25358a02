//! Writing a journal: one line an event, on the first volume that can be written.
//!
//! The plan is durable in it before the first step, so a job that is cut off can go on from its
//! journal alone. The writer holds a lock on the file: a journal without an end whose lock is free
//! is that of an interrupted job, and nobody resumes a running one.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::model::{Event, Header, Outcome};
use crate::{
    store::{Slot, Store, StoreError},
    volume::{At, Lane, Volume, VolumeError},
};

/// The open journal of a running job.
#[derive(Debug)]
pub struct Journal {
    id: String,
    volume: Arc<Volume>,
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl Journal {
    /// Begins a new journal.
    pub fn begin(store: &Store, header: &Header) -> Result<Self, StoreError> {
        let slot = first_writable(store)?;
        let path = slot
            .volume
            .path()
            .join(format!(".maifdeck/journal/{}.jsonl", header.id));
        let journal = Self::open(slot, path, header.id.clone(), true)?;
        journal.append(line(&Event::Begin(Box::new(header.clone())))?)?;
        Ok(journal)
    }

    /// Goes on with the journal of an interrupted job.
    pub fn resume(store: &Store, id: &str) -> Result<Self, StoreError> {
        let name = format!(".maifdeck/journal/{id}.jsonl");
        let slot = store
            .slots()
            .iter()
            .find(|slot| slot.is_writable() && slot.volume.path().join(&name).exists())
            .ok_or_else(|| StoreError::NotFound {
                kind: "job",
                what: id.to_owned(),
            })?;
        Self::open(slot, slot.volume.path().join(&name), id.to_owned(), false)
    }

    fn open(slot: &Slot, path: PathBuf, id: String, new: bool) -> Result<Self, StoreError> {
        let opened = path.clone();
        let file = slot.volume.run(Lane::Short, move |_, _| {
            let file = OpenOptions::new()
                .append(true)
                .create(new)
                .open(&opened)
                .at("open the journal", &opened)?;
            let locked = fs2::FileExt::try_lock_exclusive(&file).is_ok();
            Ok(locked.then_some(file))
        })?;
        let Some(file) = file else {
            return Err(StoreError::Locked {
                what: format!("job {id}"),
                holder: "the process that runs it".to_owned(),
            });
        };
        Ok(Self {
            id,
            volume: Arc::clone(&slot.volume),
            path,
            file: Arc::new(Mutex::new(file)),
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Notes what became of the steps of a batch, durably.
    pub fn steps(&self, outcomes: &[(usize, Outcome)]) -> Result<(), StoreError> {
        let mut lines = Vec::new();
        for (number, outcome) in outcomes {
            let (number, outcome) = (*number, outcome.clone());
            lines.extend(line(&Event::Step { number, outcome })?);
        }
        self.append(lines)
    }

    /// Notes the end.
    pub fn end(&self, event: &Event) -> Result<(), StoreError> {
        self.append(line(event)?)
    }

    fn append(&self, lines: Vec<u8>) -> Result<(), StoreError> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        self.volume.run(Lane::Short, move |_, _| {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&lines).at("write the journal", &path)?;
            file.sync_data().at("sync the journal", &path)?;
            Ok::<(), VolumeError>(())
        })?;
        Ok(())
    }
}

fn line(event: &Event) -> Result<Vec<u8>, StoreError> {
    let mut line = serde_json::to_vec(event)
        .map_err(|error| StoreError::Failed(format!("cannot write the journal: {error}")))?;
    line.push(b'\n');
    Ok(line)
}

fn first_writable(store: &Store) -> Result<&Slot, StoreError> {
    store
        .slots()
        .iter()
        .find(|slot| slot.is_writable())
        .ok_or_else(|| StoreError::Failed("no volume can be written".to_owned()))
}
