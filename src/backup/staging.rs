//! Where a backup grows: a hidden directory that becomes the backup by one rename.
//!
//! Its writer holds two locks: that of the backups directory, so that only one backup is made at a
//! time, and the staging directory's own, by which a list tells a running backup from what a dead
//! process left. Everything in it is durable before the rename.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};

use super::{
    base::{Base, Link},
    copy::verify_file,
    durable::Durability,
    manifest::{self, Entry, Header},
    model::BackupId,
    sweep::{remove_files, remove_tree, sweep},
    tree::{self, MANIFEST, RelPath, SUMS},
};
use crate::{
    maif::Verification,
    progress::Task,
    store::StoreError,
    volume::{
        At, Lane, Lock, Volume,
        dir::{OWN, rename_new, sync_directory},
        fault,
    },
};

/// After so many bytes what was written is made durable, so that no single sync takes for ever.
const SYNC_EVERY: u64 = 256 << 20;
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
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    Err(error).at("create", dir.path())
                }
                _ => Ok(()),
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

    /// What this backup may link to.
    pub fn base(&self, store: &str) -> Result<Option<Base>, StoreError> {
        let store = store.to_owned();
        Ok(self.volume.run(Lane::Bulk, move |dir, pulse| {
            Base::newest(dir.path(), &store, pulse)
        })?)
    }

    /// Creates the directories of a path, each once.
    fn prepare(&mut self, path: &RelPath) -> Result<(), StoreError> {
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

    /// Links each file of the backup before that still is what its manifest says; `false` for
    /// those that have to be copied.
    pub fn link_all(&mut self, links: Vec<Link>) -> Result<Vec<bool>, StoreError> {
        for link in &links {
            self.prepare(&link.to)?;
        }
        let root = self.root.clone();
        Ok(self.volume.run(Lane::Bulk, move |_, pulse| {
            let mut linked = Vec::with_capacity(links.len());
            for link in links {
                pulse.beat();
                let target = link.to.under(&root);
                linked.push(link.make(&target));
                fault::point("backup.linked").at("link", &target)?;
            }
            Ok(linked)
        })?)
    }

    /// Creates a file and writes its first bytes.
    pub fn create(&mut self, path: &RelPath, first: Vec<u8>) -> Result<Arc<File>, StoreError> {
        self.prepare(path)?;
        let path = path.under(&self.root);
        self.unsynced += first.len() as u64;
        Ok(self.volume.run(Lane::Bulk, move |_, _| {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .at("create", &path)?;
            fault::point("backup.created").at("write", &path)?;
            file.write_all(&first).at("write", &path)?;
            Ok(Arc::new(file))
        })?)
    }

    /// Writes more bytes at the end.
    pub fn append(
        &mut self,
        path: &RelPath,
        file: &Arc<File>,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let path = path.under(&self.root);
        let file = Arc::clone(file);
        self.unsynced += bytes.len() as u64;
        Ok(self.volume.run(Lane::Bulk, move |_, _| {
            (&*file).write_all(&bytes).at("write", &path)
        })?)
    }

    /// Gives the file its mode and time and reads it back: what it holds, and whether as MAIF it
    /// is intact.
    pub fn finish(
        &mut self,
        path: &RelPath,
        file: Arc<File>,
        mode: u32,
        modified: SystemTime,
        task: &Task,
    ) -> Result<Verification, StoreError> {
        let path = path.under(&self.root);
        let each = self.durability.is_each_file();
        let task = task.clone();
        Ok(self.volume.run(Lane::Bulk, move |_, pulse| {
            file.set_modified(modified).at("set the time of", &path)?;
            file.set_permissions(fs::Permissions::from_mode(mode & 0o777))
                .at("set the mode of", &path)?;
            if each {
                file.sync_all().at("sync", &path)?;
            }
            fault::point("backup.copied").at("sync", &path)?;
            verify_file(&file, &path, &task, pulse)
        })?)
    }

    /// Takes a file away again that turned out wrong.
    pub fn remove(&self, path: &RelPath) -> Result<(), StoreError> {
        let path = path.under(&self.root);
        Ok(self.volume.run(Lane::Bulk, move |_, _| {
            fs::remove_file(&path).at("remove", &path)
        })?)
    }

    /// Notes a finished file for the manifest.
    pub fn add(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let line = entry
            .line()
            .map_err(|e| StoreError::Failed(e.to_string()))?;
        self.spool.extend_from_slice(&line);
        self.spool.push(b'\n');
        if self.spool.len() >= SPOOL_PIECE {
            self.flush()?;
        }
        if self.unsynced >= SYNC_EVERY {
            self.sync()?;
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

    /// Makes what was written so far durable.
    fn sync(&mut self) -> Result<(), StoreError> {
        self.unsynced = 0;
        let (root, durability) = (self.root.clone(), self.durability.clone());
        Ok(self.volume.run(Lane::Bulk, move |_, pulse| {
            fault::point("backup.sync").at("sync", &root)?;
            durability.sync(&root, pulse)
        })?)
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
            self.sync()?;
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
