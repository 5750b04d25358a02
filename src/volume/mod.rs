//! One directory: what a volume holds and every way of touching it.
//!
//! [`Dir`] does the work and blocks; [`Volume`] runs it on the volume's own threads, with a
//! deadline. Nothing outside this module touches a volume's files in another way.

pub mod batch;
pub mod dir;
pub mod error;
pub mod fault;
pub mod history;
pub mod holders;
pub mod identity;
pub mod level;
pub mod listing;
pub mod lock;
pub mod mount;
pub mod name;
pub mod probe;
pub mod record;
pub mod trash;
pub mod version;
pub mod worker;

use std::{path::Path, sync::Arc, time::Duration};

pub use batch::BatchSync;
pub use dir::{Dir, Durable, Found, Staged};
pub use error::{At, VolumeError};
pub use history::HistoryFile;
pub use identity::{Identity, Layout, LayoutPartition, Membership, Watermark};
pub use level::Level;
pub use listing::Listing;
pub use lock::{Lock, LockMode};
pub use name::{ArtifactName, NameError};
pub use probe::Probe;
pub use record::{Fingerprint, Record};
pub use version::{VersionId, VersionKind};
pub use worker::{Lane, Pending, Pulse};

/// One volume of a store, reached only through its own threads.
#[derive(Debug)]
pub struct Volume {
    label: Arc<str>,
    dir: Arc<Dir>,
    worker: worker::Worker,
}

impl Volume {
    pub fn new(label: &str, path: &Path, timeout: Duration) -> Self {
        Self {
            label: label.into(),
            dir: Arc::new(Dir::new(path.to_owned())),
            worker: worker::Worker::new(path, timeout),
        }
    }

    /// `<partition>.<replica, from 1>`
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What needs no file of it.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Begins work on the volume's files.
    pub fn start<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce(&Dir, &Pulse) -> Result<T, VolumeError> + Send + 'static,
    ) -> Pending<T> {
        let dir = Arc::clone(&self.dir);
        self.worker.start(lane, move |pulse| work(&dir, pulse))
    }

    /// Does work on the volume's files and waits for it.
    pub fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce(&Dir, &Pulse) -> Result<T, VolumeError> + Send + 'static,
    ) -> Result<T, VolumeError> {
        self.start(lane, work).wait()
    }

    /// Takes a lock file of this volume, polling up to `timeout`. Inner `Err`: who holds it.
    pub fn lock(
        &self,
        file: &Path,
        mode: LockMode,
        timeout: Duration,
    ) -> Result<Result<Lock, String>, VolumeError> {
        lock::poll(timeout, || {
            let file = file.to_owned();
            self.run(Lane::Short, move |dir, _| {
                lock::try_lock(&dir.path().join(file), mode)
            })
        })
    }

    /// Room on the file system.
    pub fn space(&self) -> Result<(u64, u64), VolumeError> {
        self.run(Lane::Short, |dir, _| {
            let stats = fs2::statvfs(dir.path()).at("ask for the free space of", dir.path())?;
            Ok((stats.available_space(), stats.total_space()))
        })
    }
}
