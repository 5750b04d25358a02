//! The files of one volume: reading copies, and the one way to write durably.
//!
//! Every method blocks and is run by the volume's worker. A commit passes through [`Dir::stage`],
//! [`Dir::archive`] and [`Dir::publish`] in this order; a crash between any two instructions
//! leaves the old copy or the new one, complete, and every version.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::{Digest as _, Sha256};

use super::{
    error::{At, VolumeError},
    fault, history,
    name::ArtifactName,
    record::{self, Fingerprint, HEAD, Record, TAIL},
    version::{self, VersionId, VersionKind},
    worker::Pulse,
};
use crate::maif::Digest;

/// The directory that is ours on every volume.
pub const OWN: &str = ".maifdeck";
/// Where histories are.
pub const VERSIONS: &str = "versions";

/// Bytes copied at a time.
const CHUNK: usize = 256 * 1024;

/// When written bytes become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// By an fsync of the file.
    Now,
    /// By a sync of the whole file system that the caller makes before anything is renamed.
    WithBatch,
}

/// One volume's directory.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
    /// Histories listed once, for bulk work.
    pub(super) histories: Mutex<Option<history::Index>>,
}

/// Bytes that are complete and durable under a name of ours, not yet visible.
#[derive(Debug)]
pub struct Staged {
    pub path: PathBuf,
    pub fingerprint: Fingerprint,
    pub sha256: Digest,
    /// The record, when it could not be attached to the file.
    sidecar: Option<Record>,
}

impl Staged {
    /// Whether its record is a file of its own.
    pub fn has_sidecar(&self) -> bool {
        self.sidecar.is_some()
    }
}

/// A copy as a quick look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub fingerprint: Fingerprint,
    pub record: Option<Record>,
    /// Modification time, seconds since 1970.
    pub modified: i64,
    pub inode: u64,
    pub mode: u32,
    pub head: Vec<u8>,
    pub tail: Vec<u8>,
}

impl Found {
    /// The generation, when the record describes the bytes.
    pub fn generation(&self) -> Option<u64> {
        self.record
            .filter(|record| record.describes(&self.fingerprint))
            .map(|record| record.generation)
    }
}

impl Dir {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            histories: Mutex::default(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path below `.maifdeck`.
    pub fn own(&self, below: &str) -> PathBuf {
        self.path.join(OWN).join(below)
    }

    pub fn versions(&self) -> PathBuf {
        self.path.join(VERSIONS)
    }

    pub fn copy_path(&self, name: &ArtifactName) -> PathBuf {
        self.path.join(name.file_name())
    }

    pub fn version_path(&self, name: &ArtifactName, id: VersionId, kind: VersionKind) -> PathBuf {
        self.versions().join(version::file_name(name, id, kind))
    }

    /// A quick look at the current copy: `None` when there is none.
    pub fn look(&self, name: &ArtifactName) -> Result<Option<Found>, VolumeError> {
        let path = self.copy_path(name);
        let (file, metadata) = match open_known(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("open", &path),
        };
        // A file that shrinks while it is read is being written in place; what was read of it
        // shows as torn, which it is.
        let read = Fingerprint::read_sized(&file, metadata.len());
        let (fingerprint, head, tail) = match read {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(VolumeError::Changed { path });
            }
            Err(error) => return Err(error).at("read", &path),
        };
        Ok(Some(Found {
            record: record::read(self, name, &file, &fingerprint),
            fingerprint,
            modified: metadata.mtime(),
            inode: metadata.ino(),
            mode: metadata.mode(),
            head,
            tail,
        }))
    }

    /// Writes bytes under a name of our own, with their record, fsynced or left to a later sync of the file system.
    pub fn stage(
        &self,
        source: &mut dyn Read,
        make_record: Option<&dyn Fn(Fingerprint) -> Record>,
        durable: Durable,
        pulse: &Pulse,
    ) -> Result<Staged, VolumeError> {
        let path = self.temporary();
        let staged = stage_at(&path, source, make_record, durable, pulse);
        if staged.is_err() {
            // The space goes back at once; the error that is reported is the first one.
            let _ = fs::remove_file(&path);
        }
        staged
    }

    /// Makes staged bytes the current copy; durable after [`Dir::sync_current`].
    pub fn publish(&self, staged: &Staged, name: &ArtifactName) -> Result<(), VolumeError> {
        let published = self.rename_staged(staged, name);
        if published.is_err() {
            // Nothing else looks for it; the error that is reported is the first one.
            let _ = fs::remove_file(&staged.path);
        }
        published
    }

    fn rename_staged(&self, staged: &Staged, name: &ArtifactName) -> Result<(), VolumeError> {
        let target = self.copy_path(name);
        if let Some(record) = &staged.sidecar {
            let mut lines = vec![*record];
            lines.extend(record::read_sidecar(self, name));
            lines.truncate(2);
            self.write_sidecar(name, &lines)?;
        }
        fault::point("publish.before-rename").at("rename to", &target)?;
        fs::rename(&staged.path, &target).at("rename to", &target)?;
        fault::point("publish.renamed").at("rename to", &target)
    }

    /// After [`Dir::sync_current`]: only the new record counts from here on.
    pub fn settle_record(&self, staged: &Staged, name: &ArtifactName) -> Result<(), VolumeError> {
        match &staged.sidecar {
            Some(record) => self.write_sidecar(name, &[*record]),
            None => Ok(()),
        }
    }

    /// Makes the renames of current copies durable.
    pub fn sync_current(&self) -> Result<(), VolumeError> {
        sync_directory(&self.path)?;
        fault::point("publish.synced").at("sync", &self.path)
    }

    /// Takes the current copy away. The caller has archived it and marked the removal.
    pub fn unlink(&self, name: &ArtifactName) -> Result<(), VolumeError> {
        let path = self.copy_path(name);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).at("remove", &path),
        }
        fault::point("remove.unlinked").at("remove", &path)?;
        sync_directory(&self.path)
    }

    /// Removes what a crash left in the staging directory. Only under the store's lock: another
    /// process may be staging.
    pub fn sweep_staging(&self) -> Result<u64, VolumeError> {
        let directory = self.own("tmp");
        let mut swept = 0;
        for entry in fs::read_dir(&directory).at("list", &directory)? {
            let path = entry.at("list", &directory)?.path();
            fs::remove_file(&path).at("remove", &path)?;
            swept += 1;
        }
        Ok(swept)
    }

    /// Writes a small file of our own durably, replacing what was there.
    pub fn write_own(&self, below: &str, contents: &[u8]) -> Result<(), VolumeError> {
        write_durably(&self.own(below), contents, || self.temporary())
    }

    fn write_sidecar(&self, name: &ArtifactName, records: &[Record]) -> Result<(), VolumeError> {
        let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
        let text = lines.join("\n") + "\n";
        write_durably(&record::sidecar(self, name), text.as_bytes(), || {
            self.temporary()
        })
    }

    pub(crate) fn ensure_versions(&self) -> Result<(), VolumeError> {
        let directory = self.versions();
        match fs::create_dir(&directory) {
            Ok(()) => sync_directory(&self.path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error).at("create", &directory),
        }
    }

    /// Copies a file to a new name by way of the staging directory.
    pub(crate) fn copy_new(
        &self,
        from: &Path,
        to: &Path,
        pulse: &Pulse,
    ) -> Result<(), VolumeError> {
        let staged = self.stage_equal(from, (None, None), Durable::Now, pulse)?;
        rename_new(&staged.path, to).at("archive to", to)
    }

    /// Stages a file with the record that it carries, or with this one. `sha256`: what its bytes must
    /// be.
    pub fn stage_equal(
        &self,
        from: &Path,
        (sha256, record): (Option<Digest>, Option<Record>),
        durable: Durable,
        pulse: &Pulse,
    ) -> Result<Staged, VolumeError> {
        let mut source = open(from).at("open", from)?;
        let record = record.or_else(|| record_of(from, &source));
        let keep = record.map(|record| move |_| record);
        let keep = keep
            .as_ref()
            .map(|keep| keep as &dyn Fn(Fingerprint) -> Record);
        let staged = self.stage(&mut source, keep, durable, pulse)?;
        if sha256.is_none_or(|sha256| staged.sha256 == sha256) {
            return Ok(staged);
        }
        fs::remove_file(&staged.path).at("remove", &staged.path)?;
        Err(VolumeError::Changed {
            path: from.to_owned(),
        })
    }

    /// A path in the staging directory that no other process uses.
    fn temporary(&self) -> PathBuf {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        // Two hosts may share a pid on one mounted volume; the random part tells them apart.
        let random = getrandom::u32().unwrap_or_default();
        self.own("tmp")
            .join(format!("{}-{count}-{random:08x}", std::process::id()))
    }
}

/// The record that a file carries; a current copy of another volume may have it in a sidecar.
fn record_of(path: &Path, file: &File) -> Option<Record> {
    let attribute = record::attribute(file);
    attribute.or_else(|| {
        let name = ArtifactName::of_file(path.file_name()?)?;
        let volume = Dir::new(path.parent()?.to_owned());
        let (print, ..) = Fingerprint::read(file).ok()?;
        record::read(&volume, &name, file, &print)
    })
}

fn stage_at(
    path: &Path,
    source: &mut dyn Read,
    make_record: Option<&dyn Fn(Fingerprint) -> Record>,
    durable: Durable,
    pulse: &Pulse,
) -> Result<Staged, VolumeError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)
        .at("create", path)?;
    fault::point("stage.created").at("write", path)?;
    let mut hash = Sha256::new();
    let mut written = 0u64;
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = source.read(&mut buffer).at("read the source of", path)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        hash.update(chunk);
        file.write_all(chunk).at("write", path)?;
        written += read as u64;
        pulse.beat();
    }
    fault::point("stage.written").at("write", path)?;
    let (fingerprint, ..) = Fingerprint::read(&file).at("read back", path)?;
    if fingerprint.size != written {
        return Err(VolumeError::Bad {
            path: path.to_owned(),
            problem: format!("{written} bytes written, {} there", fingerprint.size),
        });
    }
    let mut sidecar = None;
    if let Some(make_record) = make_record {
        let record = make_record(fingerprint);
        if !record::attach(&file, path, &record)? {
            sidecar = Some(record);
        }
    }
    if durable == Durable::Now {
        file.sync_all().at("sync", path)?;
    }
    fault::point("stage.synced").at("sync", path)?;
    Ok(Staged {
        path: path.to_owned(),
        fingerprint,
        sha256: Digest(hash.finalize().into()),
        sidecar,
    })
}

/// Opens a regular file for reading, without following a symbolic link to somewhere else and
/// without waiting on a pipe.
pub fn open(path: &Path) -> io::Result<File> {
    open_known(path).map(|(file, _)| file)
}

/// Likewise, with what was asked of it.
pub fn open_known(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok((file, metadata))
}

/// Whether a crash cut the last line of a file of lines: what is appended then begins a new one, or
/// both would be lost.
pub fn is_cut(file: &File) -> io::Result<bool> {
    let size = file.metadata()?.len();
    let mut last = [b'\n'];
    if size > 0 {
        file.read_exact_at(&mut last, size - 1)?;
    }
    Ok(last != [b'\n'])
}

/// Makes the entries of a directory durable.
pub fn sync_directory(path: &Path) -> Result<(), VolumeError> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        // Some network file systems cannot sync a directory; they have nothing to sync then.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result.at("sync", path),
    }
}

/// Renames without ever replacing what is there.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            // NFS and others refuse the flag. Every caller holds a lock that makes the check good.
            if fs::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        result => Ok(result?),
    }
}

/// temp → write → fsync → rename → fsync directory, for small files of our own.
pub fn write_durably(
    path: &Path,
    contents: &[u8],
    temporary: impl FnOnce() -> PathBuf,
) -> Result<(), VolumeError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).at("create", parent)?;
    let temporary = temporary();
    let result = (|| {
        let mut file = File::create(&temporary).at("create", &temporary)?;
        file.write_all(contents).at("write", &temporary)?;
        file.sync_all().at("sync", &temporary)?;
        fs::rename(&temporary, path).at("rename to", path)?;
        sync_directory(parent)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Whether two files hold the same bytes; reads both to the end only when they do.
pub fn same_bytes(a: &Path, b: &Path, pulse: &Pulse) -> Result<bool, VolumeError> {
    let (mut first, mut second) = (open(a).at("open", a)?, open(b).at("open", b)?);
    if Fingerprint::read(&first).at("read", a)?.0 != Fingerprint::read(&second).at("read", b)?.0 {
        return Ok(false);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        (&mut first)
            .take(CHUNK as u64)
            .read_to_end(&mut left)
            .at("read", a)?;
        (&mut second)
            .take(CHUNK as u64)
            .read_to_end(&mut right)
            .at("read", b)?;
        pulse.beat();
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}

// A quick look reads exactly a file header and a footer.
const _: () = assert!(HEAD + TAIL == 492);
