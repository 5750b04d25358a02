//! Taking one file in: read from its volume and written to the backup at the same time, hashed in
//! the same pass, read back and verified.
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
    tree::RelPath,
};
use crate::{
    maif::{self, Digest, Verdict, Verification},
    progress::{Cancelled, Task},
    store::StoreError,
    volume::{At, Fingerprint, Lane, Pulse, Volume, VolumeError, dir},
};

/// Bytes read at a time.
pub(super) const PIECE: u64 = 1 << 20;

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
    /// Replaced, removed or written to meanwhile.
    Changed,
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
        Ok(Self {
            fingerprint: read.map_err(|e| changed(e, &path))?.0,
            file: Arc::new(file),
            size: metadata.len(),
            modified: metadata.modified().at("read", &path)?,
            metadata,
            path: path.into(),
        })
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
            let now = self.file.metadata().at("read", &self.path)?;
            let print = Fingerprint::read_sized(&self.file, now.len())
                .map_err(|e| changed(e, &self.path))?
                .0;
            // Not ctime: a put that archives this very file changes it.
            let same = now.len() == self.size
                && (now.mtime(), now.mtime_nsec())
                    == (self.metadata.mtime(), self.metadata.mtime_nsec())
                && print == self.fingerprint;
            if !same {
                return Err(VolumeError::Changed {
                    path: self.path.to_path_buf(),
                });
            }
        }
        Ok(bytes)
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
        error if error.is_not_found() => Refused::Changed,
        error => Refused::Failed(error),
    }
}

/// Reads a source piece by piece, the next one while `each` deals with the last. Outer `Err`:
/// what `each` failed with.
fn read(
    volume: &Volume,
    file: &RelPath,
    each: &mut dyn FnMut(Vec<u8>) -> Result<(), StoreError>,
) -> Result<Result<Source, VolumeError>, StoreError> {
    let path = file.under(volume.path());
    let opened = volume.run(Lane::Bulk, move |_, _| {
        let source = Source::open(path)?;
        let first = source.piece(0)?;
        Ok((source, first))
    });
    let (source, mut piece) = match opened {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error)),
    };
    let mut offset = 0;
    loop {
        offset += piece.len() as u64;
        let next = (offset < source.size).then(|| {
            let source = source.clone();
            volume.start(Lane::Bulk, move |_, _| source.piece(offset))
        });
        each(piece)?;
        piece = match next.map(crate::volume::Pending::wait) {
            None => return Ok(Ok(source)),
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Ok(Err(error)),
        };
    }
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
    let mut hash = Sha256::new();
    let read = read(volume, file, &mut |piece| {
        hash.update(&piece);
        go_on(task, 0)
    })?;
    Ok(read.ok().map(|_| Digest(hash.finalize().into())))
}

/// Copies small files of one volume, all in one call of either side. `None`: this one has to be
/// copied by itself, which says why. Outer `Err`: the backup cannot go on.
pub(super) fn copy_small(
    volume: &Volume,
    files: &[(&RelPath, &RelPath)],
    hand: &Hand,
    task: &Task,
) -> Result<Vec<Option<Taken>>, StoreError> {
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|(from, _)| from.under(volume.path()))
        .collect();
    let read = volume.run(Lane::Bulk, move |_, pulse| {
        let read = |path: PathBuf| {
            pulse.beat();
            let source = Source::open(path).ok()?;
            let bytes = source.piece(0).ok().filter(|_| source.size <= PIECE)?;
            Some((source, bytes))
        };
        Ok(paths.into_iter().map(read).collect::<Vec<_>>())
    });
    let Ok(read) = read else {
        return Ok(files.iter().map(|_| None).collect());
    };
    let (mut sources, mut wholes) = (Vec::new(), Vec::new());
    for (read, (_, target)) in read.into_iter().zip(files) {
        sources.push(read.map(|(source, bytes)| {
            let (target, dress) = ((*target).clone(), source.dress());
            let length = bytes.len() as u64;
            wholes.push(Whole {
                target,
                bytes,
                dress,
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

/// Copies a file of a volume to `target`. Outer `Err`: the backup cannot go on.
pub(super) fn copy(
    volume: &Volume,
    file: &RelPath,
    hand: &Hand,
    target: &RelPath,
    task: &Task,
) -> Result<Result<Taken, Refused>, StoreError> {
    let mut hash = Sha256::new();
    let mut out: Option<Arc<File>> = None;
    let read = read(volume, file, &mut |piece| {
        hash.update(&piece);
        go_on(task, piece.len() as u64)?;
        match &out {
            Some(out) => hand.append(target, out, piece)?,
            None => out = Some(hand.create(target, piece)?),
        }
        Ok(())
    })?;
    let source = match (read, &out) {
        (Ok(source), _) => source,
        (Err(error), created) => {
            if created.is_some() {
                hand.remove(target)?;
            }
            return Ok(Err(refuse(error)));
        }
    };
    let Some(out) = out else {
        return Err(StoreError::Failed(format!("{target:?} was never created")));
    };
    let sha256 = Digest(hash.finalize().into());
    let found = hand.finish(target, out, source.dress(), task)?;
    if found.sha256 != sha256 {
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
    Ok(Ok(source.taken(sha256)))
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
