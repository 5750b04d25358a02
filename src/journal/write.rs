//! Writing a journal: one line an event, on the first volume that can be written.
//!
//! The plan is durable in it before the first step, so a job that is cut off can go on from its
//! journal alone. The writer holds a lock on the file: a journal without an end whose lock is free
//! is that of an interrupted job, and nobody resumes a running one.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::model::{End, Event, Header, Outcome};
use crate::{
    progress::Task,
    store::{Slot, Store, StoreError},
    volume::{At, Lane, Volume, VolumeError, dir::is_cut},
};

/// How often a running job looks whether it was asked to stop.
const HEED_EVERY: Duration = Duration::from_millis(500);

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
    pub fn begin(store: &Store, header: Header) -> Result<Self, StoreError> {
        let slot = first_writable(store)?;
        let path = slot.volume.path().join(journal_path(&header.id));
        let journal = Self::open(slot, path, header.id.clone(), true)?;
        // Written as it is made: a plan of many steps is long.
        journal.append(move |file| {
            let mut file = BufWriter::new(file);
            serde_json::to_writer(&mut file, &Event::Begin(Box::new(header)))?;
            file.write_all(b"\n")?;
            file.flush()
        })?;
        Ok(journal)
    }

    /// Goes on with the journal of an interrupted job.
    pub fn resume(store: &Store, id: &str) -> Result<Self, StoreError> {
        let slot = slot_of(store, id)?;
        let path = slot.volume.path().join(journal_path(id));
        Self::open(slot, path, id.to_owned(), false)
    }

    fn open(slot: &Slot, path: PathBuf, id: String, new: bool) -> Result<Self, StoreError> {
        let opened = path.clone();
        let file = slot.volume.run(Lane::Short, move |_, _| {
            let mut file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(new)
                .open(&opened)
                .at("open the journal", &opened)?;
            // Who only looks whether it is held takes the lock for an instant.
            for _ in 0..20 {
                if fs2::FileExt::try_lock_exclusive(&file).is_ok() {
                    if is_cut(&file).at("read", &opened)? {
                        file.write_all(b"\n").at("write the journal", &opened)?;
                    }
                    return Ok(Some(file));
                }
                thread::sleep(Duration::from_millis(5));
            }
            Ok(None)
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

    /// Ends the task when somebody asks for it with `jobs cancel`, as long as the journal lives.
    pub fn heed_cancel(&self, task: &Task) {
        let (alive, volume) = (Arc::downgrade(&self.file), Arc::clone(&self.volume));
        let (path, task) = (cancel_path(&self.path), task.clone());
        thread::spawn(move || {
            while alive.strong_count() > 0 {
                let asked = path.clone();
                let asked = volume.run(Lane::Short, move |_, _| Ok(asked.exists()));
                if asked.is_ok_and(|asked| asked) {
                    task.cancel();
                    return;
                }
                thread::sleep(HEED_EVERY);
            }
        });
    }

    /// Notes what became of the steps of a batch, durably.
    pub fn steps(&self, outcomes: &[(usize, Outcome)]) -> Result<(), StoreError> {
        let mut lines = Vec::new();
        for (number, outcome) in outcomes {
            let (number, outcome) = (*number, outcome.clone());
            lines.extend(line(&Event::Step { number, outcome })?);
        }
        self.append(move |mut file| file.write_all(&lines))
    }

    /// Notes the end.
    pub fn end(&self, end: End) -> Result<(), StoreError> {
        self.note(&Event::End(end))
    }

    /// Notes that another process goes on with it.
    pub fn note(&self, event: &Event) -> Result<(), StoreError> {
        let line = line(event)?;
        self.append(move |mut file| file.write_all(&line))
    }

    fn append(
        &self,
        write: impl FnOnce(&File) -> io::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        self.volume.run(Lane::Short, move |_, _| {
            let file = file.lock().unwrap_or_else(PoisonError::into_inner);
            write(&file).at("write the journal", &path)?;
            file.sync_data().at("sync the journal", &path)?;
            Ok::<(), VolumeError>(())
        })?;
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // A request that came too late must not stop the job when it is resumed.
        let path = cancel_path(&self.path);
        let removed = self
            .volume
            .run(Lane::Short, move |_, _| match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).at("remove", &path)
                }
                _ => Ok(()),
            });
        if let Err(error) = removed {
            tracing::warn!(%error, "a request to cancel stays beside the journal");
        }
    }
}

fn cancel_path(journal: &std::path::Path) -> PathBuf {
    journal.with_extension("cancel")
}

/// Asks the process that runs a job to stop at its next safe point.
pub fn ask_to_cancel(store: &Store, id: &str) -> Result<(), StoreError> {
    let slot = slot_of(store, id)?;
    let path = cancel_path(&slot.volume.path().join(journal_path(id)));
    Ok(slot.volume.run(Lane::Short, move |_, _| {
        std::fs::write(&path, b"").at("write", &path)
    })?)
}

fn journal_path(id: &str) -> String {
    format!(".maifdeck/journal/{id}.jsonl")
}

/// The volume that can be written and holds the journal.
fn slot_of<'a>(store: &'a Store, id: &str) -> Result<&'a Slot, StoreError> {
    let name = journal_path(id);
    store
        .slots()
        .iter()
        .find(|slot| slot.is_ours() && slot.volume.path().join(&name).exists())
        .ok_or_else(|| StoreError::NotFound {
            kind: "job",
            what: id.to_owned(),
        })
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
