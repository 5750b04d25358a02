//! A backup copied out of the backups directory, to an empty or new one: plain files that the
//! sketches can use and `init` can adopt. Each file is held against its digest while it is copied;
//! what does not fit is not left there, and named. Not a change of the store.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::{
    copy::{plain, verify_file},
    durable::Durability,
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
    volume::{ArtifactName, At, Lane, Pulse, VolumeError, dir},
};

const PIECE: usize = 1 << 20;

/// What was copied. Paths are relative to the backup's root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtractReport {
    pub files: u64,
    pub bytes: u64,
    /// Not what the seal says, or not intact: not copied.
    pub damaged: Vec<String>,
    pub missing: Vec<String>,
}

/// Copies the backup, or only `names` with their versions, to `target`, which is empty or not there.
/// After an error or a cancellation nothing is left there.
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
        let made = match prepare(&target)? {
            Ok(made) => made,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut copying = Copying {
            durability: Durability::of(&target)?,
            root,
            target,
            names,
            task: &task,
            pulse,
            report: ExtractReport::default(),
        };
        match copying.run() {
            Ok(None) => Ok(Ok(copying.report)),
            Ok(Some(name)) => {
                copying.clear(made)?;
                Ok(Err(StoreError::NotFound {
                    kind: "artifact in that backup",
                    what: name.to_string(),
                }))
            }
            Err(error) => {
                copying.clear(made)?;
                Err(error)
            }
        }
    });
    extracted.map_err(|error| plain(error.into()))?
}

/// Makes sure that the target is an empty directory; whether it was made.
fn prepare(target: &Path) -> Result<Result<bool, StoreError>, VolumeError> {
    match fs::create_dir(target) {
        Ok(()) => return Ok(Ok(true)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).at("create", target),
    }
    let mut entries = fs::read_dir(target).at("list", target)?;
    if entries.next().is_some() {
        return Ok(Err(StoreError::Usage(format!(
            "{} is not empty; name an empty directory or a new one",
            target.display()
        ))));
    }
    Ok(Ok(false))
}

struct Copying<'a> {
    root: PathBuf,
    target: PathBuf,
    names: BTreeSet<ArtifactName>,
    durability: Durability,
    task: &'a Task,
    pulse: &'a Pulse,
    report: ExtractReport,
}

impl Copying<'_> {
    /// `Some`: a name that the backup does not hold.
    fn run(&mut self) -> Result<Option<ArtifactName>, VolumeError> {
        let mut left = self.names.clone();
        if tree::is_sealed(&self.root) {
            let (root, pulse) = (self.root.clone(), self.pulse);
            let mut wanted = Vec::new();
            let mut bytes = 0;
            manifest::read_entries(&root, pulse, &mut |entry| {
                left.remove(&entry.name);
                if self.names.is_empty() || self.names.contains(&entry.name) {
                    bytes += entry.size;
                    wanted.push((entry.path, entry.sha256));
                }
                Ok(())
            })?;
            if left.is_empty() {
                self.start(wanted.len() as u64, bytes);
                for (path, sha256) in wanted {
                    self.file(&path, Some(sha256))?;
                }
            }
        } else {
            let wanted = self.unsealed(&mut left)?;
            if left.is_empty() {
                self.start(wanted.len() as u64, 0);
                for path in wanted {
                    self.file(&path, None)?;
                }
            }
        }
        self.durability.sync(&self.target, self.pulse)?;
        Ok(left.pop_first())
    }

    fn start(&self, items: u64, bytes: u64) {
        self.task.totals(items, bytes);
        self.task.phase("copying");
    }

    /// The wanted files of a tree without a seal.
    fn unsealed(&self, left: &mut BTreeSet<ArtifactName>) -> Result<Vec<RelPath>, VolumeError> {
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
                wanted.extend(relative.and_then(|p| RelPath::parse(p.as_os_str().as_bytes())));
            }
        }
        Ok(wanted)
    }

    fn file(&mut self, path: &RelPath, sha256: Option<Digest>) -> Result<(), VolumeError> {
        self.task.checkpoint()?;
        let (from, to) = (path.under(&self.root), path.under(&self.target));
        let source = match dir::open(&from) {
            Ok(source) => source,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.task.add_failed(1);
                self.report.missing.push(path.json());
                return Ok(());
            }
            Err(error) => return Err(error).at("open", &from),
        };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).at("create", parent)?;
        }
        let good = match self.copy(&source, &from, &to) {
            Ok((found, bytes)) => {
                let good = self.is_good(path, &to, sha256, found)?;
                self.report.bytes += if good { bytes } else { 0 };
                good
            }
            // What cannot be read of the backup is lost; the rest is not.
            Err(VolumeError::Io { path: failed, .. }) if failed == from => false,
            Err(error) => return Err(error),
        };
        if !good {
            remove_files(std::slice::from_ref(&to))?;
            self.task.add_failed(1);
            self.report.damaged.push(path.json());
            return Ok(());
        }
        self.report.files += 1;
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
    ) -> Result<(Digest, u64), VolumeError> {
        let metadata = source.metadata().at("read", from)?;
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .at("create", to)?;
        let (mut hash, mut written) = (Sha256::new(), 0);
        let mut buffer = vec![0; PIECE];
        loop {
            let read = source.read(&mut buffer).at("read", from)?;
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
        if self.durability.is_each_file() {
            out.sync_all().at("sync", to)?;
        }
        Ok((Digest(hash.finalize().into()), written))
    }

    /// Takes away what was copied, and the directory when it was made here.
    fn clear(&self, made: bool) -> Result<(), VolumeError> {
        if made {
            return remove_tree(&self.target, self.pulse);
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
