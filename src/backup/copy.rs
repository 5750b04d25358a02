//! Taking one file in: read from its volume and written to the backup at the same time, hashed in
//! the same pass; or cloned, where source and backup lie on one file system that can, and hashed from
//! the clone. What no record of ours proves is read back and verified.
//!
//! Source and backup each have threads of their own, so that either may hang without taking this
//! one along. A file that changes while it is read is noticed, never taken in.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};

use super::{
    hand::{Dress, Hand, Whole},
    proof::Passing,
    tree::RelPath,
};
use crate::{
    maif::{self, Digest, Verdict, Verification},
    progress::{Cancelled, Task},
    store::StoreError,
    volume::{
        At, Fingerprint, Lane, Pulse, Volume, VolumeError, dir,
        record::{HEAD, TAIL},
    },
};

/// Bytes read at a time.
const PIECE: u64 = 1 << 20;
/// Up to this size files are copied many in one call.
pub(super) const SMALL: u64 = 128 << 10;

/// What was taken in.
#[derive(Debug)]
pub(super) struct Taken {
    pub sha256: Digest,
    pub fingerprint: Fingerprint,
    /// Seconds since 1970.
    pub modified: i64,
}

/// Why nothing was taken in. The backup itself is as before.
#[derive(Debug)]
pub(super) enum Refused {
    /// Replaced or written to meanwhile.
    Changed,
    /// Not there any more: removed, or moved to another partition.
    Gone,
    /// Complete, but damaged.
    Damaged(String),
    Failed(VolumeError),
}

/// An open source and how it was when it was opened.
#[derive(Debug, Clone)]
struct Source {
    file: Arc<File>,
    path: Arc<Path>,
    size: u64,
    modified: SystemTime,
    metadata: Metadata,
    fingerprint: Fingerprint,
}

impl Source {
    fn open(path: PathBuf) -> Result<Self, VolumeError> {
        let (file, metadata) = dir::open_known(&path).at("open", &path)?;
        let read = Fingerprint::read_sized(&file, metadata.len());
        let print = read.map_err(|e| changed(e, &path))?.0;
        Self::of(file, metadata, print, path)
    }

    fn of(
        file: File,
        metadata: Metadata,
        fingerprint: Fingerprint,
        path: PathBuf,
    ) -> Result<Self, VolumeError> {
        Ok(Self {
            fingerprint,
            file: Arc::new(file),
            size: metadata.len(),
            modified: metadata.modified().at("read", &path)?,
            metadata,
            path: path.into(),
        })
    }

    /// Opens and reads a small file; `None` when it is not small any more.
    fn small(path: PathBuf, proven: bool) -> Result<Option<(Self, Vec<u8>)>, VolumeError> {
        let (file, metadata) = dir::open_known(&path).at("open", &path)?;
        let size = metadata.len();
        if size > SMALL {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut bytes, 0)
            .map_err(|error| changed(error, &path))?;
        let head = bytes.get(..bytes.len().min(HEAD)).unwrap_or_default();
        let tail = bytes
            .get(bytes.len().saturating_sub(TAIL)..)
            .unwrap_or_default();
        let print = Fingerprint::of(size, head, tail);
        let source = Self::of(file, metadata, print, path)?;
        source.unchanged(proven)?;
        Ok(Some((source, bytes)))
    }

    fn dress(&self) -> Dress {
        Dress {
            mode: self.metadata.mode(),
            modified: self.modified,
        }
    }

    fn taken(&self, sha256: Digest) -> Taken {
        Taken {
            sha256,
            fingerprint: self.fingerprint,
            modified: self.metadata.mtime(),
        }
    }

    /// Reads the piece at `offset`; with the last one makes sure that nobody wrote meanwhile.
    fn piece(&self, offset: u64) -> Result<Vec<u8>, VolumeError> {
        let length = PIECE.min(self.size.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|error| changed(error, &self.path))?;
        if offset + length >= self.size {
            self.unchanged(false)?;
        }
        Ok(bytes)
    }

    /// Makes sure that nobody wrote while it was read. Of proven bytes the checksum tells what the
    /// grain of time stamps may hide.
    fn unchanged(&self, proven: bool) -> Result<(), VolumeError> {
        let now = self.file.metadata().at("read", &self.path)?;
        // Not ctime: a put that archives this very file changes it.
        let same = now.len() == self.size
            && (now.mtime(), now.mtime_nsec())
                == (self.metadata.mtime(), self.metadata.mtime_nsec());
        let print = if proven || !same {
            self.fingerprint
        } else {
            let read = Fingerprint::read_sized(&self.file, now.len());
            read.map_err(|e| changed(e, &self.path))?.0
        };
        if same && print == self.fingerprint {
            return Ok(());
        }
        Err(VolumeError::Changed {
            path: self.path.to_path_buf(),
        })
    }
}

/// A file that ends sooner than its size said is being written to.
fn changed(error: io::Error, path: &Path) -> VolumeError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return VolumeError::Changed {
            path: path.to_owned(),
        };
    }
    VolumeError::Io {
        action: "read",
        path: path.to_owned(),
        source: error,
    }
}

fn refuse(error: VolumeError) -> Refused {
    match error {
        VolumeError::Changed { .. } => Refused::Changed,
        error if error.is_not_found() => Refused::Gone,
        error => Refused::Failed(error),
    }
}

/// Opens a source on its volume.
fn open(volume: &Volume, file: &RelPath) -> Result<Source, VolumeError> {
    let path = file.under(volume.path());
    volume.run(Lane::Bulk, move |_, _| Source::open(path))
}

/// Reads a source piece by piece, the next one while `each` deals with the last. Outer `Err`:
/// what `each` failed with.
fn read(
    volume: &Volume,
    source: &Source,
    each: &mut dyn FnMut(Vec<u8>) -> Result<(), StoreError>,
) -> Result<Result<(), VolumeError>, StoreError> {
    let start = |offset: u64| {
        let source = source.clone();
        volume.start(Lane::Bulk, move |_, _| source.piece(offset))
    };
    let mut next = Some(start(0));
    let mut offset = 0;
    while let Some(pending) = next.take() {
        let piece = match pending.wait() {
            Ok(piece) => piece,
            Err(error) => return Ok(Err(error)),
        };
        offset += piece.len() as u64;
        next = (offset < source.size).then(|| start(offset));
        each(piece)?;
    }
    Ok(Ok(()))
}

fn go_on(task: &Task, bytes: u64) -> Result<(), StoreError> {
    if task.tick(bytes).is_break() {
        return Err(Cancelled.into());
    }
    Ok(())
}

/// The digest of a file on a volume; `None` when it could not be read as a whole.
pub(super) fn digest(
    volume: &Volume,
    file: &RelPath,
    task: &Task,
) -> Result<Option<Digest>, StoreError> {
    let Ok(source) = open(volume, file) else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    let read = read(volume, &source, &mut |piece| {
        hash.update(&piece);
        go_on(task, 0)
    })?;
    Ok(read.ok().map(|()| Digest(hash.finalize().into())))
}

/// One file to copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub from: &'a RelPath,
    pub to: &'a RelPath,
    /// Its checksum is proof enough: see [`super::proof`].
    pub proven: bool,
}

/// Copies small files of one volume, all in one call of either side. `None`: this one has to be
/// copied by itself, which says why. Outer `Err`: the backup cannot go on.
pub(super) fn copy_small(
    volume: &Volume,
    files: &[Wanted<'_>],
    hand: &Hand,
    task: &Task,
) -> Result<Vec<Option<Taken>>, StoreError> {
    let paths: Vec<(PathBuf, bool)> = files
        .iter()
        .map(|wanted| (wanted.from.under(volume.path()), wanted.proven))
        .collect();
    let read = volume.run(Lane::Bulk, move |_, pulse| {
        let read = |(path, proven)| {
            pulse.beat();
            Source::small(path, proven).ok().flatten()
        };
        Ok(paths.into_iter().map(read).collect::<Vec<_>>())
    });
    let Ok(read) = read else {
        return Ok(files.iter().map(|_| None).collect());
    };
    let (mut sources, mut wholes) = (Vec::new(), Vec::new());
    for (read, wanted) in read.into_iter().zip(files) {
        sources.push(read.map(|(source, bytes)| {
            let length = bytes.len() as u64;
            wholes.push(Whole {
                target: wanted.to.clone(),
                bytes,
                dress: source.dress(),
                proof: wanted.proven.then_some(source.fingerprint),
            });
            (source, length)
        }));
    }
    let mut written = hand.write_all(wholes, task)?.into_iter();
    let mut taken = Vec::with_capacity(sources.len());
    for source in sources {
        let Some((source, length)) = source else {
            taken.push(None);
            continue;
        };
        go_on(task, length)?;
        taken.push(written.next().flatten().map(|sha256| source.taken(sha256)));
    }
    Ok(taken)
}

/// Copies a file of a volume. Outer `Err`: the backup cannot go on.
pub(super) fn copy(
    volume: &Volume,
    wanted: Wanted<'_>,
    hand: &Hand,
    task: &Task,
) -> Result<Result<Taken, Refused>, StoreError> {
    let target = wanted.to;
    let source = match open(volume, wanted.from) {
        Ok(source) => source,
        Err(error) => return Ok(Err(refuse(error))),
    };
    let (out, cloned) = hand.create(target, &source.file)?;
    let (taken, fits) = if cloned {
        // The clone is of one moment, which may be later than the look.
        let (fingerprint, sha256, fits) = hand.read(target, &out, task)?;
        let taken = Taken {
            fingerprint,
            ..source.taken(sha256)
        };
        (taken, fits)
    } else {
        let mut passing = Passing::of(source.size);
        let read = read(volume, &source, &mut |piece| {
            passing.pass(&piece);
            go_on(task, piece.len() as u64)?;
            hand.append(target, &out, piece)
        })?;
        if let Err(error) = read {
            hand.remove(target)?;
            return Ok(Err(refuse(error)));
        }
        let (sha256, fits) = passing.end(source.fingerprint);
        (source.taken(sha256), fits)
    };
    hand.finish(target, &out, source.dress())?;
    if wanted.proven && fits {
        return Ok(Ok(taken));
    }
    let found = hand.verify(target, &out, task)?;
    if found.sha256 != taken.sha256 {
        return Err(StoreError::Failed(format!(
            "{} does not read back from the backups directory as it was written",
            source.path.display()
        )));
    }
    if found.verdict() == Verdict::Damaged {
        hand.remove(target)?;
        let reason = format!("{}: {}", found.class, found.problem());
        return Ok(Err(Refused::Damaged(reason)));
    }
    Ok(Ok(taken))
}

/// Verifies an open file, cancellable, with signs of life.
pub(super) fn verify_file(
    file: &File,
    path: &Path,
    task: &Task,
    pulse: &Pulse,
) -> Result<Verification, VolumeError> {
    let verified = maif::verify(file, &[], &mut |_| {
        pulse.beat();
        task.tick(0)
    });
    match verified {
        Ok(verification) => Ok(verification),
        Err(maif::MaifError::Cancelled) => Err(Cancelled.into()),
        Err(maif::MaifError::Read(source)) => Err(source).at("read", path),
        Err(error) => Err(VolumeError::Bad {
            path: path.to_owned(),
            problem: error.to_string(),
        }),
    }
}

/// A cancellation is one wherever it was noticed.
pub(super) fn plain(error: StoreError) -> StoreError {
    match error {
        StoreError::Volume(VolumeError::Cancelled(cancelled)) => cancelled.into(),
        error => error,
    }
}
