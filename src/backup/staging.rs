//! Where a backup grows: a hidden directory that becomes the backup by one rename.
//!
//! Its writer holds two locks: that of the backups directory, so that only one backup is made at a
//! time, and the staging directory's own, by which a list tells a running backup from what a dead
//! process left. Everything in it is durable before the rename.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::{
    base::Base,
    durable::{Durability, FILE, STRETCH},
    hand::Hand,
    manifest::{self, Entry, Header},
    model::BackupId,
    sweep::{remove_files, remove_tree, sweep},
    tree::{self, MANIFEST, RelPath, SUMS},
};
use crate::{
    store::StoreError,
    volume::{
        At, Lane, Lock, Pending, Volume,
        dir::{OWN, rename_new, sync_directory},
        fault,
    },
};

/// Entry lines are handed to the backups directory in pieces of this size.
const SPOOL_PIECE: usize = 128 * 1024;

/// A backup that is being made.
#[derive(Debug)]
pub(super) struct Staging {
    volume: Volume,
    id: BackupId,
    root: PathBuf,
    durability: Durability,
    spool: Vec<u8>,
    unsynced: u64,
    /// A sync that goes on while more is written.
    syncing: Option<Pending<()>>,
    /// Directories that exist already.
    made: Vec<PathBuf>,
    _own_lock: Lock,
    _directory_lock: Lock,
}

impl Staging {
    /// Takes the locks, removes what dead processes left, and creates the directory under the
    /// first second from `at` on that is free.
    pub fn begin(
        directory: &Path,
        at: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        let volume = tree::open(directory);
        volume.run(Lane::Short, |dir, _| {
            // Only the last part: a missing parent is a mount that is not there.
            match fs::create_dir(dir.path()) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                created => {
                    created.at("create", dir.path())?;
                    let parent = dir.path().parent();
                    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
                    parent.map_or(Ok(()), sync_directory)
                }
            }
        })?;
        let directory_lock = tree::take_directory_lock(&volume, timeout)?;
        let id = volume.run(Lane::Bulk, move |dir, pulse| {
            sweep(dir.path(), pulse)?;
            let taken = |id: BackupId| {
                [id.directory(), id.staging()]
                    .iter()
                    .any(|name| fs::symlink_metadata(dir.path().join(name)).is_ok())
            };
            let mut id = BackupId::at(at);
            while taken(id) {
                id = id.next();
            }
            Ok(id)
        })?;
        let own_lock = tree::take_lock(&volume, &tree::staging_lock(id), timeout)?;
        let root = volume.path().join(id.staging());
        let mut staging = Self {
            volume,
            id,
            root,
            durability: Durability::default(),
            spool: Vec::new(),
            unsynced: 0,
            syncing: None,
            made: Vec::new(),
            _own_lock: own_lock,
            _directory_lock: directory_lock,
        };
        match staging.found() {
            Ok(durability) => {
                staging.durability = durability;
                Ok(staging)
            }
            Err(error) => {
                staging.discard();
                Err(error)
            }
        }
    }

    /// Creates the directory and finds out how files become durable there.
    fn found(&self) -> Result<Durability, StoreError> {
        let own = self.root.join(OWN);
        Ok(self.volume.run(Lane::Short, move |dir, _| {
            fs::create_dir_all(&own).at("create", &own)?;
            fault::point("backup.staging").at("create", &own)?;
            Durability::of(dir.path())
        })?)
    }

    pub const fn id(&self) -> BackupId {
        self.id
    }

    /// Looks for what this backup may link to; the answer is waited for when it is needed.
    pub fn start_base(&self, store: &str) -> Pending<Option<Base>> {
        let store = store.to_owned();
        self.volume.start(Lane::Bulk, move |dir, pulse| {
            Base::newest(dir.path(), &store, pulse)
        })
    }

    /// Creates the directories of a path, each once.
    pub fn prepare(&mut self, path: &RelPath) -> Result<(), StoreError> {
        let target = path.under(&self.root);
        let Some(parent) = target.parent() else {
            return Ok(());
        };
        if parent == self.root || self.made.iter().any(|made| made == parent) {
            return Ok(());
        }
        let parent = parent.to_owned();
        self.made.push(parent.clone());
        self.volume.run(Lane::Bulk, move |_, _| {
            fs::create_dir_all(&parent).at("create", &parent)
        })?;
        Ok(())
    }

    /// Hands that write into it, each with threads of its own.
    pub fn hands(&self, count: usize) -> Vec<Hand> {
        let each_file = self.durability.is_each_file();
        let directory = self.volume.path();
        (0..count)
            .map(|_| Hand::new(tree::open(directory), &self.root, each_file))
            .collect()
    }

    /// Notes a finished file for the manifest, and how much of it is new.
    pub fn add(&mut self, entry: &Entry, new_bytes: u64) -> Result<(), StoreError> {
        if new_bytes > 0 {
            self.unsynced += new_bytes + FILE;
        }
        let line = entry
            .line()
            .map_err(|e| StoreError::Failed(e.to_string()))?;
        self.spool.extend_from_slice(&line);
        self.spool.push(b'\n');
        if self.spool.len() >= SPOOL_PIECE {
            self.flush()?;
        }
        if self.unsynced >= STRETCH {
            // The one before is done first: no more than two stretches wait for the disk.
            self.synced()?;
            self.syncing = Some(self.start_sync());
        }
        Ok(())
    }

    fn spool_path(&self) -> PathBuf {
        let name = format!("{}.entries", self.id.staging());
        self.volume.path().join(name)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let path = self.spool_path();
        let bytes = std::mem::take(&mut self.spool);
        Ok(self.volume.run(Lane::Bulk, move |_, _| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(&path)
                .and_then(|mut file| file.write_all(&bytes))
                .at("write", &path)
        })?)
    }

    /// Begins to make durable what was written so far, while copying goes on.
    fn start_sync(&mut self) -> Pending<()> {
        self.unsynced = 0;
        let (root, durability) = (self.root.clone(), self.durability.clone());
        self.volume.start(Lane::Bulk, move |_, pulse| {
            fault::point("backup.sync").at("sync", &root)?;
            durability.sync(&root, pulse)
        })
    }

    /// Waits for the sync that is under way.
    fn synced(&mut self) -> Result<(), StoreError> {
        match self.syncing.take() {
            Some(syncing) => Ok(syncing.wait()?),
            None => Ok(()),
        }
    }

    /// Writes manifest and digests, makes everything durable and gives the backup its name. A
    /// name that was taken meanwhile (by a sketch) moves it to the next second.
    pub fn seal(&mut self, header: &mut Header) -> Result<(), StoreError> {
        self.flush()?;
        loop {
            let (root, spool, text) = (self.root.clone(), self.spool_path(), header.clone());
            self.volume.run(Lane::Bulk, move |_, pulse| {
                let (manifest, sums) = (root.join(MANIFEST), root.join(SUMS));
                manifest::seal(&manifest, &sums, &text, &spool, pulse)
            })?;
            self.synced()?;
            self.start_sync().wait()?;
            let (from, to) = (self.root.clone(), header.id.directory());
            let renamed = self.volume.run(Lane::Bulk, move |dir, _| {
                let to = dir.path().join(to);
                fault::point("backup.before-seal").at("rename to", &to)?;
                match rename_new(&from, &to) {
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
                        ) =>
                    {
                        Ok(false)
                    }
                    result => result.map(|()| true).at("rename to", &to),
                }
            })?;
            if renamed {
                break;
            }
            header.id = header.id.next();
        }
        let sidecars = self.sidecars();
        Ok(self.volume.run(Lane::Bulk, move |dir, _| {
            fault::point("backup.sealed").at("sync", dir.path())?;
            sync_directory(dir.path())?;
            remove_files(&sidecars)
        })?)
    }

    fn sidecars(&self) -> [PathBuf; 2] {
        let lock = self.volume.path().join(tree::staging_lock(self.id));
        [self.spool_path(), lock]
    }

    /// Gives the room back after a failure or a cancellation.
    pub fn discard(self) {
        let (root, sidecars) = (self.root.clone(), self.sidecars());
        let removed = self.volume.run(Lane::Bulk, move |_, pulse| {
            remove_tree(&root, pulse)?;
            remove_files(&sidecars)
        });
        if let Err(error) = removed {
            tracing::warn!(%error, "an unfinished backup stays until the next one");
        }
    }
}
