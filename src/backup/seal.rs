//! Sealing a tree that the sketches made: manifest and digests written beside what is there, so
//! that it counts, is verified and restored like our own. No file of the tree is touched.
//!
//! Both halves of the seal are written and made durable under other names, then renamed, the
//! manifest last; until then the tree is unsealed, whatever happened, and can be sealed again.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    copy::plain,
    create::BackupReport,
    durable::Durability,
    find::{describe, identify},
    manifest::{self, Header, Skipped},
    model::{BackupId, BackupState},
    sweep::remove_files,
    tree::{self, MANIFEST, SUMS},
};
use crate::{
    maif::Verdict,
    progress::Task,
    store::StoreError,
    volume::{
        At, Lane, Pulse, VolumeError,
        dir::{OWN, sync_directory},
        fault,
    },
};

/// Seals the tree `id` as a backup of the store. What is damaged is left out and named; then the
/// backup is `partial`.
pub fn seal(
    directory: &Path,
    id: BackupId,
    store: &str,
    timeout: Duration,
    task: &Task,
) -> Result<BackupReport, StoreError> {
    let volume = tree::open(directory);
    let _held = tree::take_directory_lock(&volume, timeout)?;
    let (store, task) = (store.to_owned(), task.clone());
    let header = volume
        .run(Lane::Bulk, move |dir, pulse| {
            let root = dir.path().join(id.directory());
            if !root.is_dir() {
                return Ok(Err(StoreError::NotFound {
                    kind: "backup",
                    what: id.to_string(),
                }));
            }
            if tree::is_sealed(&root) {
                return Ok(Err(StoreError::Usage(format!(
                    "backup {id} is sealed already; `maifdeck backup verify {id}` checks it"
                ))));
            }
            let header = Header::new(id, id.time(), &store);
            let sealing = Sealing {
                durability: Durability::of(dir.path())?,
                own: root.join(OWN),
                root,
                task: &task,
                pulse,
            };
            sealing.run(header).map(Ok)
        })
        .map_err(|error| plain(error.into()))??;
    Ok(BackupReport {
        id,
        state: header.state,
        artifacts: header.artifacts,
        versions: header.versions,
        bytes: header.bytes,
        new_bytes: header.new_bytes,
        skipped: header.skipped,
    })
}

struct Sealing<'a> {
    root: PathBuf,
    own: PathBuf,
    durability: Durability,
    task: &'a Task,
    pulse: &'a Pulse,
}

impl Sealing<'_> {
    fn run(&self, mut header: Header) -> Result<Header, VolumeError> {
        fs::create_dir_all(&self.own).at("create", &self.own)?;
        let spool = self.own.join("entries.sealing");
        let [manifest, sums] = tree::unfinished_seal(&self.root);
        let written = self.spool(&spool, &mut header).and_then(|()| {
            fault::point("seal.spooled").at("write", &manifest)?;
            manifest::seal(&manifest, &sums, &header, &spool, self.pulse)
        });
        if let Err(error) = written {
            // What could not be finished is no part of the backup.
            remove_files(&[spool, manifest, sums])?;
            return Err(error);
        }
        remove_files(&[spool])?;
        // The sketches leave it to the kernel when their bytes reach the disk.
        self.durability.sync(&self.root, self.pulse)?;
        for (from, to) in [(&sums, SUMS), (&manifest, MANIFEST)] {
            fault::point("seal.rename").at("seal", from)?;
            fs::rename(from, self.root.join(to)).at("seal", from)?;
        }
        sync_directory(&self.own)?;
        sync_directory(&self.root)?;
        Ok(header)
    }

    /// Reads every file of the tree and spools its entry.
    fn spool(&self, path: &Path, header: &mut Header) -> Result<(), VolumeError> {
        self.task.phase("reading");
        let mut out = BufWriter::new(File::create(path).at("create", path)?);
        for found in tree::files(&self.root, self.pulse) {
            self.task.checkpoint()?;
            let (file, _) = found?;
            let Some((name, version)) = identify(&file) else {
                continue;
            };
            let mut leave_out = |reason: String| {
                self.task.add_failed(1);
                header.state = BackupState::Partial;
                header.skipped.push(Skipped {
                    partition: String::new(),
                    name: Some(name.clone()),
                    version: version.map(|(id, _)| id),
                    reason,
                });
            };
            match self.entry(&file) {
                Ok(Ok(entry)) => {
                    match (entry.version, entry.removed) {
                        (None, _) => header.artifacts += 1,
                        (Some(_), false) => header.versions += 1,
                        (Some(_), true) => {}
                    }
                    header.bytes += entry.size;
                    let mut line = entry.line().map_err(|error| VolumeError::Bad {
                        path: file.clone(),
                        problem: error.to_string(),
                    })?;
                    line.push(b'\n');
                    out.write_all(&line).at("write", path)?;
                }
                Ok(Err(reason)) => leave_out(reason.to_owned()),
                Err(VolumeError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => leave_out(error.to_string()),
            }
            self.task.add_done(1);
        }
        header.new_bytes = header.bytes;
        out.flush().at("write", path)
    }

    /// The entry of a file that is intact, or no MAIF; else why it is left out.
    fn entry(&self, file: &Path) -> Result<Result<manifest::Entry, &'static str>, VolumeError> {
        let found = describe(&self.root, file, self.task, self.pulse)?;
        if self.durability.is_each_file() {
            let open = File::open(file).and_then(|file| file.sync_all());
            open.at("sync", file)?;
        }
        Ok(match found {
            None => Err("it is gone"),
            // It would be restored damaged.
            Some((entry, Verdict::Damaged)) if !entry.removed => Err("it is damaged"),
            Some((entry, _)) => Ok(entry),
        })
    }
}
