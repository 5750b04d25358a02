//! Files made equal to another volume's (or a backup's): current copies and versions, many at a
//! time, durable together, each read back. The caller holds the locks of all names.

use std::{fs::File, io::Read, path::PathBuf, sync::Arc};

use sha2::{Digest as _, Sha256};

use super::{
    batch::{self, Batches},
    commit::discard,
    error::StoreError,
    grid::Store,
    lease,
    slot::Slot,
};
use crate::{
    maif::Digest,
    volume::{
        ArtifactName, At, Dir, Durable, HistoryFile, Lane, Pending, Pulse, Record, Staged,
        VolumeError, dir,
    },
};

/// What the file becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// The current copy; its bytes were verified to have this digest.
    Current(Digest),
    /// A version or a removal that was not there; its bytes have this digest, when that is known.
    History(HistoryFile, Option<Digest>),
    /// A version in the place of a damaged one, which goes to the trash.
    Mended(HistoryFile, Digest),
}

/// One file to be made.
#[derive(Debug, Clone)]
pub struct Transfer<'a> {
    pub target: &'a Slot,
    pub name: &'a ArtifactName,
    pub from: PathBuf,
    pub becomes: Becomes,
    /// In the place of the record that the file carries.
    pub record: Option<Record>,
    /// In whose trash what a current copy replaces is kept, unless a history holds it.
    pub job: &'a str,
}

struct Making<'a> {
    transfer: Transfer<'a>,
    staged: Option<Arc<Staged>>,
}

type Place<'a> = Result<Making<'a>, StoreError>;

impl Store {
    /// Makes the files; an answer each, in the same order. `commit`: the gate was passed, and what
    /// renames is inside of it even when nobody waits for it any more.
    pub fn transfer_all(
        &self,
        transfers: Vec<Transfer<'_>>,
        commit: &lease::Commit,
    ) -> Vec<Result<(), StoreError>> {
        let slots: Vec<&Slot> = transfers.iter().map(|transfer| transfer.target).collect();
        let mut places: Vec<Place<'_>> = transfers
            .into_iter()
            .map(|transfer| {
                Ok(Making {
                    transfer,
                    staged: None,
                })
            })
            .collect();
        let batches = match places.as_slice() {
            // One file is durable by itself; syncing a whole file system would cost more.
            [] | [_] => Batches::default(),
            _ => Batches::open(slots.iter().copied()),
        };
        stage(&mut places, |slot| batches.durable(slot));
        let failed = batches.sync();
        if !failed.is_empty() {
            stage_again(&mut places, |slot| {
                failed.iter().any(|failed| failed.label() == slot.label())
            });
        }
        let staged: Vec<Option<PathBuf>> = places
            .iter()
            .map(|place| Some(place.as_ref().ok()?.staged.as_ref()?.path.clone()))
            .collect();
        publish(&mut places, commit);
        for work in [Dir::sync_versions, Dir::sync_current] {
            for (label, error) in batch::on_each(slots.iter().copied(), work) {
                for place in &mut places {
                    if matches!(place, Ok(making) if making.transfer.target.label() == label) {
                        *place = Err(error.again().into());
                    }
                }
            }
        }
        for ((place, slot), staged) in places.iter().zip(&slots).zip(staged) {
            if let (Err(_), Some(path)) = (place, staged) {
                discard(slot, path);
            }
        }
        places.into_iter().map(|place| conclude(&place?)).collect()
    }
}

/// Stages everything, the volumes side by side.
fn stage(places: &mut [Place<'_>], durable: impl Fn(&Slot) -> Durable) {
    let pending: Vec<Option<Pending<Staged>>> = places
        .iter()
        .map(|place| {
            let making = place.as_ref().ok()?;
            Some(start(&making.transfer, durable(making.transfer.target)))
        })
        .collect();
    for (place, pending) in places.iter_mut().zip(pending) {
        let (Ok(making), Some(pending)) = (&mut *place, pending) else {
            continue;
        };
        match pending.wait() {
            Ok(staged) => making.staged = Some(Arc::new(staged)),
            Err(error) => *place = Err(error.into()),
        }
    }
}

/// Stages afresh, file by file, what was on volumes whose sync failed.
fn stage_again(places: &mut [Place<'_>], failed: impl Fn(&Slot) -> bool) {
    for place in places {
        let Ok(making) = place else { continue };
        if !failed(making.transfer.target) {
            continue;
        }
        if let Some(staged) = making.staged.take() {
            discard(making.transfer.target, staged.path.clone());
        }
        match start(&making.transfer, Durable::Now).wait() {
            Ok(staged) => making.staged = Some(Arc::new(staged)),
            Err(error) => *place = Err(error.into()),
        }
    }
}

fn start(transfer: &Transfer<'_>, durable: Durable) -> Pending<Staged> {
    let from = transfer.from.clone();
    let sha256 = match transfer.becomes {
        Becomes::Current(sha256) | Becomes::Mended(_, sha256) => Some(sha256),
        Becomes::History(_, sha256) => sha256,
    };
    let record = transfer.record;
    let work =
        move |dir: &Dir, pulse: &Pulse| dir.stage_equal(&from, (sha256, record), durable, pulse);
    transfer.target.volume.start(Lane::Bulk, work)
}

/// Keeps what is replaced, then renames.
fn publish(places: &mut [Place<'_>], commit: &lease::Commit) {
    let pending: Vec<Option<Pending<()>>> = places
        .iter()
        .map(|place| {
            let making = place.as_ref().ok()?;
            let transfer = &making.transfer;
            let staged = Arc::clone(making.staged.as_ref()?);
            let (name, becomes) = (transfer.name.clone(), transfer.becomes);
            let (job, commit) = (transfer.job.to_owned(), commit.clone());
            let work = move |dir: &Dir, pulse: &Pulse| {
                let _inside = commit;
                match becomes {
                    Becomes::Current(_) => replace(dir, &name, &staged, &job, pulse),
                    Becomes::History(file, _) => dir.publish_version(&staged.path, &name, file),
                    Becomes::Mended(file, _) => {
                        dir.version_to_trash(&name, file, &job)?;
                        dir.publish_version(&staged.path, &name, file)
                    }
                }
            };
            Some(transfer.target.volume.start(Lane::Bulk, work))
        })
        .collect();
    for (place, pending) in places.iter_mut().zip(pending) {
        if let Some(Err(error)) = pending.map(Pending::wait) {
            *place = Err(error.into());
        }
    }
}

/// Keeps what is replaced in the trash unless a history holds it, and publishes.
fn replace(
    dir: &Dir,
    name: &ArtifactName,
    staged: &Staged,
    job: &str,
    pulse: &Pulse,
) -> Result<(), VolumeError> {
    if dir.copy_path(name).symlink_metadata().is_ok() && !dir.is_in_history(name, pulse)? {
        dir.keep_in_trash(name, job, pulse)?;
    }
    dir.publish(staged, name)
}

/// Reads back what was made.
fn conclude(making: &Making<'_>) -> Result<(), StoreError> {
    let transfer = &making.transfer;
    let sha256 = match transfer.becomes {
        Becomes::Current(sha256) => sha256,
        Becomes::Mended(file, sha256) | Becomes::History(file, Some(sha256)) => {
            return read_back_version(transfer.target, transfer.name, file, sha256);
        }
        Becomes::History(_, None) => return Ok(()),
    };
    if let Some(staged) = making.staged.clone().filter(|s| s.has_sidecar()) {
        let name = transfer.name.clone();
        let settle = move |dir: &Dir, _: &Pulse| dir.settle_record(&staged, &name);
        transfer.target.volume.run(Lane::Bulk, settle)?;
    }
    read_back(transfer.target, transfer.name, sha256)
}

/// Reads a copy back from its volume, every byte.
pub fn read_back(slot: &Slot, name: &ArtifactName, sha256: Digest) -> Result<(), StoreError> {
    let name = name.clone();
    read_back_from(slot, move |dir| dir.copy_path(&name), sha256)
}

fn read_back_version(
    slot: &Slot,
    name: &ArtifactName,
    file: HistoryFile,
    sha256: Digest,
) -> Result<(), StoreError> {
    let name = name.clone();
    let path = move |dir: &Dir| dir.version_path(&name, file.id, file.kind);
    read_back_from(slot, path, sha256)
}

fn read_back_from(
    slot: &Slot,
    path: impl FnOnce(&Dir) -> PathBuf + Send + 'static,
    sha256: Digest,
) -> Result<(), StoreError> {
    let (found, path) = slot.volume.run(Lane::Bulk, move |dir, pulse| {
        let path = path(dir);
        let file = dir::open(&path).at("open", &path)?;
        Ok((digest(&file, pulse).at("read back", &path)?, path))
    })?;
    if found == sha256 {
        return Ok(());
    }
    Err(StoreError::Damaged {
        what: path.display().to_string(),
        class: "read-back".to_owned(),
        problem: "it does not hold what was written to it".to_owned(),
    })
}

/// Of a file's bytes.
pub fn digest(mut file: &File, pulse: &Pulse) -> std::io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
            return Ok(Digest(hash.finalize().into()));
        };
        hash.update(chunk);
        pulse.beat();
    }
}
