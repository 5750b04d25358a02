//! A backup copied out of the backups directory, to an empty or new one: plain files that the
//! sketches can use and `init` can adopt. Each file is held against its digest while it is copied;
//! what does not fit is not left there, and named. Not a change of the store.
//!
//! Until all of it is durable a marker says that the directory is unfinished. One that a dead process
//! left so is finished by extracting to it again: what is there already is written anew.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rayon::iter::{ParallelBridge, ParallelIterator};
use sha2::{Digest as _, Sha256};

use super::{
    copy::{plain, verify_file},
    durable::{Durability, Keeper},
    find::identify,
    manifest,
    model::BackupId,
    sweep::{remove_files, remove_tree},
    tree::{self, RelPath},
};
use crate::{
    maif::{Digest, Verdict},
    progress::{Cancelled, Task},
    store::StoreError,
    volume::{ArtifactName, At, Lane, Pulse, VolumeError, dir, fault},
};

const PIECE: usize = 1 << 20;
/// In a directory that is not finished.
const UNFINISHED: &str = ".maifdeck-unfinished";

/// What was copied. Paths are relative to the backup's root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtractReport {
    pub files: u64,
    pub bytes: u64,
    /// Not what the seal says, or not intact: not copied.
    pub damaged: Vec<String>,
    pub missing: Vec<String>,
}

/// Copies the backup, or only `names` with their versions, to `target`, which is empty, not there or
/// unfinished. After an error or a cancellation nothing is left there, unless something was before.
pub fn extract(
    directory: &Path,
    id: BackupId,
    names: &[ArtifactName],
    target: &Path,
    task: &Task,
) -> Result<ExtractReport, StoreError> {
    let root = directory.join(id.directory());
    let names: BTreeSet<ArtifactName> = names.iter().cloned().collect();
    let (target, task) = (target.to_owned(), task.clone());
    let extracted = tree::open(directory).run(Lane::Bulk, move |_, pulse| {
        let before = match prepare(&target)? {
            Ok(before) => before,
            Err(refused) => return Ok(Err(refused)),
        };
        let durability = Durability::of(&target)?;
        let copying = Copying {
            keeper: Keeper::new(&durability, &target),
            durability,
            anew: before == Before::Unfinished,
            root,
            target,
            names,
            task: &task,
            pulse,
            report: Mutex::default(),
        };
        match copying.run() {
            Ok(None) => Ok(Ok(copying.report())),
            Ok(Some(name)) => {
                copying.clear(before)?;
                Ok(Err(StoreError::NotFound {
                    kind: "artifact in that backup",
                    what: name.to_string(),
                }))
            }
            Err(error) => {
                let _ = copying.keeper.wait();
                copying.clear(before)?;
                Err(error)
            }
        }
    });
    extracted.map_err(|error| plain(error.into()))?
}

/// What the target was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Absent,
    Empty,
    Unfinished,
}

/// Makes sure that the target is a directory that may be filled, and marks it.
fn prepare(target: &Path) -> Result<Result<Before, StoreError>, VolumeError> {
    let marker = target.join(UNFINISHED);
    let before = match fs::create_dir(target) {
        Ok(()) => Before::Absent,
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).at("create", target);
        }
        Err(_) if fs::symlink_metadata(&marker).is_ok() => Before::Unfinished,
        Err(_) => {
            let mut entries = fs::read_dir(target).at("list", target)?;
            if entries.next().is_some() {
                return Ok(Err(StoreError::Usage(format!(
                    "{} is not empty; name an empty directory or a new one",
                    target.display()
                ))));
            }
            Before::Empty
        }
    };
    fs::write(
        &marker,
        "maifdeck backup restore --to did not finish; run it again\n",
    )
    .at("create", &marker)?;
    dir::sync_directory(target)?;
    Ok(Ok(before))
}

struct Copying<'a> {
    root: PathBuf,
    target: PathBuf,
    names: BTreeSet<ArtifactName>,
    durability: Durability,
    keeper: Keeper,
    /// Another process died at it: what it left is written anew.
    anew: bool,
    task: &'a Task,
    pulse: &'a Pulse,
    report: Mutex<ExtractReport>,
}

impl Copying<'_> {
    fn report(&self) -> ExtractReport {
        let mut report = self.noted().clone();
        report.damaged.sort_unstable();
        report.missing.sort_unstable();
        report
    }

    fn noted(&self) -> MutexGuard<'_, ExtractReport> {
        // Numbers and lists: a panic leaves nothing half-made.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Some`: a name that the backup does not hold.
    fn run(&self) -> Result<Option<ArtifactName>, VolumeError> {
        let mut left = self.names.clone();
        if tree::is_sealed(&self.root) {
            let (root, pulse) = (self.root.clone(), self.pulse);
            let mut wanted = Vec::new();
            let mut bytes = 0;
            manifest::read_entries(&root, pulse, &mut |entry| {
                left.remove(&entry.name);
                if self.names.is_empty() || self.names.contains(&entry.name) {
                    bytes += entry.size;
                    wanted.push((entry.path, Some(entry.sha256)));
                }
                Ok(())
            })?;
            if left.is_empty() {
                self.start(wanted.len() as u64, bytes);
                self.all(&wanted)?;
            }
        } else {
            let wanted = self.unsealed(&mut left)?;
            if left.is_empty() {
                self.start(wanted.len() as u64, 0);
                self.all(&wanted)?;
            }
        }
        fault::point("extract.sync").at("sync", &self.target)?;
        self.keeper.wait()?;
        self.durability.sync(&self.target, self.pulse)?;
        if left.is_empty() {
            let marker = self.target.join(UNFINISHED);
            fault::point("extract.finish").at("remove", &marker)?;
            fs::remove_file(&marker).at("remove", &marker)?;
            dir::sync_directory(&self.target)?;
        }
        Ok(left.pop_first())
    }

    /// Copies all of these, several side by side.
    fn all(&self, wanted: &[(RelPath, Option<Digest>)]) -> Result<(), VolumeError> {
        let mut parents: Vec<PathBuf> = Vec::new();
        for (path, _) in wanted {
            let to = path.under(&self.target);
            let parent = to.parent().unwrap_or(&self.target);
            // A backup has few directories, and their files follow each other.
            if parents.last().is_none_or(|last| last != parent) {
                fs::create_dir_all(parent).at("create", parent)?;
                parents.push(parent.to_owned());
            }
        }
        // In their order: what lies side by side is read so.
        let files = wanted.iter().par_bridge();
        self.task.side_by_side(|| {
            files.try_for_each_init(
                || vec![0; PIECE],
                |buffer, (path, sha256)| self.file(path, *sha256, buffer),
            )
        })
    }

    fn start(&self, items: u64, bytes: u64) {
        self.task.totals(items, bytes);
        self.task.phase("copying");
    }

    /// The wanted files of a tree without a seal.
    fn unsealed(
        &self,
        left: &mut BTreeSet<ArtifactName>,
    ) -> Result<Vec<(RelPath, Option<Digest>)>, VolumeError> {
        use std::os::unix::ffi::OsStrExt;
        let mut wanted = Vec::new();
        for found in tree::files(&self.root, self.pulse) {
            let (path, _) = found?;
            let Some((name, _)) = identify(&path) else {
                continue;
            };
            left.remove(&name);
            if self.names.is_empty() || self.names.contains(&name) {
                let relative = path.strip_prefix(&self.root).ok();
                let relative = relative.and_then(|p| RelPath::parse(p.as_os_str().as_bytes()));
                wanted.extend(relative.map(|path| (path, None)));
            }
        }
        Ok(wanted)
    }

    fn file(
        &self,
        path: &RelPath,
        sha256: Option<Digest>,
        buffer: &mut [u8],
    ) -> Result<(), VolumeError> {
        self.task.checkpoint()?;
        let (from, to) = (path.under(&self.root), path.under(&self.target));
        let source = match dir::open(&from) {
            Ok(source) => source,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.task.add_failed(1);
                self.noted().missing.push(path.json());
                return Ok(());
            }
            Err(error) => return Err(error).at("open", &from),
        };
        let good = match self.copy(&source, &from, &to, buffer) {
            Ok((found, bytes)) => self.is_good(path, &to, sha256, found)?.then_some(bytes),
            // What cannot be read of the backup is lost; the rest is not.
            Err(VolumeError::Io { path: failed, .. }) if failed == from => None,
            Err(error) => return Err(error),
        };
        let Some(bytes) = good else {
            remove_files(std::slice::from_ref(&to))?;
            self.task.add_failed(1);
            self.noted().damaged.push(path.json());
            return Ok(());
        };
        self.keeper.note(bytes)?;
        let mut report = self.noted();
        report.bytes += bytes;
        report.files += 1;
        drop(report);
        self.task.add_verified(1);
        self.task.add_done(1);
        Ok(())
    }

    /// Whether what was copied is what the seal says; without a seal, whether it is intact.
    fn is_good(
        &self,
        path: &RelPath,
        copy: &Path,
        sealed: Option<Digest>,
        found: Digest,
    ) -> Result<bool, VolumeError> {
        if let Some(sealed) = sealed {
            return Ok(sealed == found);
        }
        let file = dir::open(copy).at("open", copy)?;
        let verified = verify_file(&file, copy, self.task, self.pulse)?;
        Ok(
            verified.sha256 == found
                && (verified.verdict() != Verdict::Damaged || is_removal(path)),
        )
    }

    /// Copies bytes, mode and time; the digest and number of the bytes.
    fn copy(
        &self,
        mut source: &File,
        from: &Path,
        to: &Path,
        buffer: &mut [u8],
    ) -> Result<(Digest, u64), VolumeError> {
        let metadata = source.metadata().at("read", from)?;
        if self.anew {
            remove_files(&[to.to_owned()])?;
        }
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .at("create", to)?;
        let (mut hash, mut written) = (Sha256::new(), 0);
        fault::point("extract.created").at("write", to)?;
        // What grows meanwhile is not what was sealed.
        while written < metadata.len() {
            let read = source.read(buffer).at("read", from)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            hash.update(piece);
            out.write_all(piece).at("write", to)?;
            written += read as u64;
            self.pulse.beat();
            if self.task.tick(read as u64).is_break() {
                return Err(Cancelled.into());
            }
        }
        let modified = metadata.modified().at("read", from)?;
        out.set_modified(modified).at("set the time of", to)?;
        let mode = Permissions::from_mode(metadata.permissions().mode() & 0o777);
        out.set_permissions(mode).at("set the mode of", to)?;
        fault::point("extract.copied").at("sync", to)?;
        if self.durability.is_each_file() {
            out.sync_all().at("sync", to)?;
        }
        Ok((Digest(hash.finalize().into()), written))
    }

    /// Takes away what was copied, and the directory when it was made here. What was there before
    /// stays, and with it the marker.
    fn clear(&self, before: Before) -> Result<(), VolumeError> {
        match before {
            Before::Absent => return remove_tree(&self.target, self.pulse),
            Before::Unfinished => return Ok(()),
            Before::Empty => {}
        }
        for entry in fs::read_dir(&self.target).at("list", &self.target)? {
            let path = entry.at("list", &self.target)?.path();
            remove_tree(&path, self.pulse)?;
        }
        Ok(())
    }
}

/// The file of a removal holds a record, not MAIF.
fn is_removal(path: &RelPath) -> bool {
    path.as_bytes().ends_with(b".removed")
}
