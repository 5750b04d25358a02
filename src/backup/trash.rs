//! Taking backups away so that they can be brought back: the backups' trash, and pins.
//!
//! Every deletion of a backup goes through [`retire`], under the lock of the backups directory: it
//! looks again at what the plan looked at, so that no path of deletion forgets a pin. A retired
//! backup waits in `.maifdeck-trash/<job>/` for `undo_window`; freeing renames it away first, so
//! that what can be brought back is always whole.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, NaiveDateTime, Utc};

use super::{
    model::{BackupId, BackupState},
    sweep::remove_tree,
    tree::{self, PINNED},
};
use crate::{
    store::StoreError,
    volume::{
        At, Lane, Pending, Pulse, Volume, VolumeError,
        dir::{rename_new, sync_directory, write_durably},
        fault,
    },
};

const TRASH: &str = ".maifdeck-trash";
/// In front of what is being freed; never brought back.
const FREEING: &str = ".freeing-";

/// Renames a complete, unpinned backup into the trash of `job`; `false` when it is not there.
/// Refused when it was pinned or damaged since it was planned, or when it is the last good one.
pub fn retire(
    directory: &Path,
    id: BackupId,
    job: &str,
    now: DateTime<Utc>,
    timeout: Duration,
) -> Result<bool, StoreError> {
    let volume = tree::open(directory);
    let _held = tree::take_directory_lock(&volume, timeout)?;
    let job = PathBuf::from(TRASH).join(job);
    volume.run(Lane::Bulk, move |dir, pulse| {
        let from = dir.path().join(id.directory());
        if fs::symlink_metadata(&from).is_err() {
            return Ok(Ok(false));
        }
        if let Some(why) = refusal(dir.path(), id, now, pulse)? {
            return Ok(Err(StoreError::Changed(why)));
        }
        let trash = dir.path().join(job);
        fs::create_dir_all(&trash).at("create", &trash)?;
        fault::point("backup.retire").at("retire", &from)?;
        rename_new(&from, &trash.join(id.directory())).at("retire", &from)?;
        fault::point("backup.retired").at("retire", &from)?;
        sync_directory(&trash)?;
        sync_directory(&dir.path().join(TRASH))?;
        sync_directory(dir.path())?;
        Ok(Ok(true))
    })?
}

/// Why a backup may not be retired now.
fn refusal(
    directory: &Path,
    id: BackupId,
    now: DateTime<Utc>,
    pulse: &Pulse,
) -> Result<Option<String>, VolumeError> {
    let view = |id: BackupId| tree::view(id, directory.join(id.directory()), pulse);
    let this = view(id);
    if this.pinned {
        let unpin = format!("`maifdeck backup unpin {id}` lets it go");
        return Ok(Some(format!("backup {id} is pinned; {unpin}")));
    }
    if this.state != BackupState::Complete {
        return Ok(Some(format!("backup {id} is {} now", this.state.word())));
    }
    let mut others = tree::sealed_ids(directory, pulse)?;
    others.retain(|other| *other != id);
    // From the newest on, so that mostly the first answers. A tree without a seal is not counted.
    let good = others.into_iter().rev().any(|other| {
        tree::is_sealed(&directory.join(other.directory())) && {
            let other = view(other);
            other.state == BackupState::Complete && other.at <= now
        }
    });
    Ok((!good).then(|| format!("backup {id} is the last complete one")))
}

/// Brings a retired backup back: the one that `by` retired, else the newest of that name.
pub fn undelete(
    directory: &Path,
    id: BackupId,
    by: Option<&str>,
    timeout: Duration,
) -> Result<(), StoreError> {
    let volume = tree::open(directory);
    let _held = tree::take_directory_lock(&volume, timeout)?;
    let by = by.map(ToOwned::to_owned);
    volume.run(Lane::Bulk, move |dir, _| {
        let trash = dir.path().join(TRASH);
        let mut waiting = Vec::new();
        let mut found = None;
        for job in jobs(&trash)? {
            let is_of = |by: &String| job.file_name() == Some(by.as_ref());
            if !by.as_ref().is_none_or(is_of) {
                continue;
            }
            for entry in fs::read_dir(&job).at("list", &job)? {
                let entry = entry.at("list", &job)?;
                let Some(other) = tree::sealed_id(&entry.file_name()) else {
                    continue;
                };
                waiting.push(other.to_string());
                if other == id {
                    found = Some((entry.path(), job.clone()));
                }
            }
        }
        let Some((from, job)) = found else {
            waiting.sort();
            let held = if waiting.is_empty() {
                "nothing".to_owned()
            } else {
                waiting.join(", ")
            };
            return Ok(Err(StoreError::NotFound {
                kind: "retired backup",
                what: format!("{id}; the backups' trash holds {held}"),
            }));
        };
        let to = dir.path().join(id.directory());
        fault::point("backup.return").at("bring back", &to)?;
        match rename_new(&from, &to) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Ok(Err(StoreError::Changed(format!(
                    "there is another backup {id} by now"
                ))));
            }
            renamed => renamed.at("bring back", &to)?,
        }
        fault::point("backup.returned").at("bring back", &to)?;
        sync_directory(dir.path())?;
        sync_directory(&job)?;
        Ok(Ok(()))
    })?
}

/// The backups that a job retired and that wait in the trash.
pub fn retired_by(directory: &Path, job: &str) -> Result<Vec<BackupId>, StoreError> {
    let job = PathBuf::from(TRASH).join(job);
    let listed = tree::open(directory).run(Lane::Short, move |dir, pulse| {
        tree::sealed_ids(&dir.path().join(job), pulse)
    });
    Ok(listed?)
}

/// The jobs' directories in the trash, oldest first.
fn jobs(trash: &Path) -> Result<Vec<PathBuf>, VolumeError> {
    let entries = match fs::read_dir(trash) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("list", trash)?,
    };
    let mut jobs = Vec::new();
    for entry in entries {
        let entry = entry.at("list", trash)?;
        let freeing = entry.file_name().to_string_lossy().starts_with(FREEING);
        if entry.file_type().at("read", &entry.path())?.is_dir() && !freeing {
            jobs.push(entry.path());
        }
    }
    jobs.sort();
    Ok(jobs)
}

/// Frees in the background what was retired longer than `window` ago; wait for the answer or not.
pub(super) fn start_freeing(volume: &Volume, now: DateTime<Utc>, window: Duration) -> Pending<()> {
    volume.start(Lane::Bulk, move |dir, pulse| {
        free(&dir.path().join(TRASH), now, window, pulse)
    })
}

/// Frees what was retired longer than `window` ago; what cannot be freed now is freed later.
pub fn free_expired(directory: &Path, now: DateTime<Utc>, window: Duration) {
    let freed = start_freeing(&tree::open(directory), now, window).wait();
    if let Err(error) = freed {
        tracing::warn!(%error, "old backups stay in the trash until the next time");
    }
}

fn free(
    trash: &Path,
    now: DateTime<Utc>,
    window: Duration,
    pulse: &Pulse,
) -> Result<(), VolumeError> {
    for job in jobs(trash)? {
        let retired = retired_at(&job)?;
        let age = (now - retired).to_std().unwrap_or_default();
        let Some(name) = job.file_name().filter(|_| age > window) else {
            continue;
        };
        let mut away = std::ffi::OsString::from(FREEING);
        away.push(name);
        rename_new(&job, &trash.join(away)).at("free", &job)?;
        fault::point("backup.freeing").at("free", &job)?;
    }
    let entries = match fs::read_dir(trash) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.at("list", trash)?,
    };
    for entry in entries {
        let entry = entry.at("list", trash)?;
        if entry.file_name().to_string_lossy().starts_with(FREEING) {
            remove_tree(&entry.path(), pulse)?;
        }
    }
    Ok(())
}

/// When a job last retired something: the later of the job's own time and its directory's, so that
/// a job that was resumed days later does not lose its window.
fn retired_at(job: &Path) -> Result<DateTime<Utc>, VolumeError> {
    let modified = fs::metadata(job)
        .and_then(|metadata| metadata.modified())
        .at("read", job)?;
    let begun = job
        .file_name()
        .and_then(|name| name.to_str()?.get(..19))
        .and_then(|digits| NaiveDateTime::parse_from_str(digits, "%Y%m%d_%H%M%S%.3f").ok())
        .map_or(DateTime::UNIX_EPOCH, |time| time.and_utc());
    Ok(begun.max(modified.into()))
}

/// Pins a backup, with a word on who did it: nothing deletes it until it is unpinned.
pub fn pin(directory: &Path, id: BackupId, who: &str, timeout: Duration) -> Result<(), StoreError> {
    let text = format!("{who}\n");
    change(directory, id, timeout, move |root| {
        let path = root.join(PINNED);
        let temporary = root.join(format!("{PINNED}.{}", std::process::id()));
        write_durably(&path, text.as_bytes(), || temporary)
    })
}

/// Takes the pin away; one that is not pinned stays as it is.
pub fn unpin(directory: &Path, id: BackupId, timeout: Duration) -> Result<(), StoreError> {
    change(directory, id, timeout, |root| {
        let path = root.join(PINNED);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => {
                removed.at("unpin", &path)?;
                sync_directory(path.parent().unwrap_or(root))
            }
        }
    })
}

/// Changes something in a backup that is there, under the directory's lock.
fn change(
    directory: &Path,
    id: BackupId,
    timeout: Duration,
    what: impl FnOnce(&Path) -> Result<(), VolumeError> + Send + 'static,
) -> Result<(), StoreError> {
    let volume = tree::open(directory);
    let _held = tree::take_directory_lock(&volume, timeout)?;
    let there = volume.run(Lane::Short, move |dir, _| {
        let root = dir.path().join(id.directory());
        if !root.is_dir() {
            return Ok(false);
        }
        what(&root).map(|()| true)
    })?;
    if there {
        return Ok(());
    }
    Err(StoreError::NotFound {
        kind: "backup",
        what: id.to_string(),
    })
}
