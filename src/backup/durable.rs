//! How a tree of files becomes durable: all at once where its file system can, else file by file.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use crate::volume::{At, BatchSync, Pulse, VolumeError, dir::sync_directory};

/// After so many bytes what was written is made durable while more is written: no single sync takes
/// for ever, and the last one is short.
pub(super) const STRETCH: u64 = 64 << 20;
/// What a file costs beside its bytes, for that count.
pub(super) const FILE: u64 = 4 << 10;

#[derive(Debug, Clone, Default)]
pub(super) struct Durability(Option<BatchSync>);

impl Durability {
    /// Before the first write below `directory`.
    pub fn of(directory: &Path) -> Result<Self, VolumeError> {
        Ok(Self(BatchSync::open(directory)?))
    }

    /// Whether each file has to be synced by itself, when it is written.
    pub const fn is_each_file(&self) -> bool {
        self.0.is_none()
    }

    /// Makes everything below `root` durable that was written so far.
    pub fn sync(&self, root: &Path, pulse: &Pulse) -> Result<(), VolumeError> {
        if let Some(batch) = &self.0 {
            return batch.sync(root);
        }
        // The files are; what is left are the directories.
        for entry in walkdir::WalkDir::new(root) {
            let entry = entry.map_err(std::io::Error::from).at("list", root)?;
            if entry.file_type().is_dir() {
                pulse.beat();
                sync_directory(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Syncs in the background of those who write.
#[derive(Debug)]
pub(super) struct Keeper {
    batch: Option<BatchSync>,
    root: PathBuf,
    state: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    unsynced: u64,
    running: Option<JoinHandle<Result<(), VolumeError>>>,
}

impl Keeper {
    pub fn new(durability: &Durability, root: &Path) -> Self {
        Self {
            batch: durability.0.clone(),
            root: root.to_owned(),
            state: Mutex::default(),
        }
    }

    /// A file of so many bytes was written.
    pub fn note(&self, bytes: u64) -> Result<(), VolumeError> {
        let Some(batch) = &self.batch else {
            return Ok(());
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.unsynced += bytes + FILE;
        let busy = state.running.as_ref().is_some_and(|r| !r.is_finished());
        if state.unsynced < STRETCH || busy {
            return Ok(());
        }
        let done = state.running.take().map_or(Ok(()), ended);
        let (batch, root) = (batch.clone(), self.root.clone());
        state.running = Some(thread::spawn(move || batch.sync(&root)));
        state.unsynced = 0;
        done
    }

    /// Waits for the sync that is under way.
    pub fn wait(&self) -> Result<(), VolumeError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.take().map_or(Ok(()), ended)
    }
}

fn ended(sync: JoinHandle<Result<(), VolumeError>>) -> Result<(), VolumeError> {
    sync.join().unwrap_or(Err(VolumeError::Bad {
        path: PathBuf::new(),
        problem: "a sync in the background panicked".to_owned(),
    }))
}
