//! Who changed which single artifact, when, and how it ended: one line of JSON a change.
//!
//! Jobs have journals of their own; this is for what no job did. The line is appended to
//! `.maifdeck/journal/audit.ndjson` on the first volume that can be written, after the change: it
//! tells, and nothing depends on it, so it is not synced by itself and a failure to write it fails
//! no change. Readers take the union over the volumes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{commit::Committed, error::StoreError, grid::Store, lease::Epoch};
use crate::volume::{ArtifactName, At, Dir, Lane, VolumeError, dir::is_cut, lock};

const FILE: &str = "journal/audit.ndjson";
/// From this size on a new file is begun.
const LARGE: u64 = 32 << 20;
/// So much of the newest file the console reads, and so many changes it shows.
const TAIL: u64 = 128 << 10;
const SHOWN: usize = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    /// Not on every replica.
    Partial,
    /// The error says what is known.
    Failed,
}

impl Outcome {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub at: DateTime<Utc>,
    pub user: String,
    pub host: String,
    pub pid: u32,
    /// The lease it was made under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// `put` or `remove`.
    pub intent: String,
    /// As JSON shows it: escaped where it is not UTF-8.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    pub result: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Notes a single change. What was refused before anything was tried is no change.
/// `epoch`: the lease it was made or tried under.
pub fn note(
    store: &Store,
    intent: &str,
    name: &ArtifactName,
    epoch: Option<Epoch>,
    result: &Result<Committed, StoreError>,
) {
    // The steps of a job are in its journal.
    if store.is_in_bulk() || result.as_ref().is_err_and(is_refusal) {
        return;
    }
    let entry = Entry {
        at: store.clock().now(),
        user: lock::user(),
        host: lock::host(),
        pid: std::process::id(),
        epoch: epoch.map(|epoch| epoch.0),
        intent: intent.to_owned(),
        name: name.json(),
        generation: result.as_ref().ok().map(|done| done.generation),
        result: match result {
            Ok(done) if done.is_complete() => Outcome::Done,
            Ok(_) => Outcome::Partial,
            Err(_) => Outcome::Failed,
        },
        problem: result.as_ref().err().map(ToString::to_string),
    };
    let Some(slot) = store.slots().iter().find(|slot| slot.is_writable()) else {
        return;
    };
    let written = slot
        .volume
        .run(Lane::Short, move |dir, _| append(dir, &entry));
    if let Err(error) = written {
        tracing::warn!(%error, %name, "a change is missing in the audit");
    }
}

fn is_refusal(error: &StoreError) -> bool {
    match error {
        // It was tried, and kept from being seen.
        StoreError::Lease(error) => error.kind() != "lease_lost",
        error => is_refused_at_once(error),
    }
}

fn is_refused_at_once(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::ReadOnly { .. }
            | StoreError::Generation { .. }
            | StoreError::Locked { .. }
            | StoreError::Changed(_)
            | StoreError::NotFound { .. }
            | StoreError::NotUsable { .. }
            | StoreError::LayoutDiffers(_)
    )
}

fn append(dir: &Dir, entry: &Entry) -> Result<(), VolumeError> {
    let path = dir.own(FILE);
    let text = serde_json::to_vec(entry)
        .map_err(std::io::Error::from)
        .at("write", &path)?;
    let mut file = open_locked(&path)?;
    if file.metadata().at("read", &path)?.len() > LARGE {
        let aside = dir.own(&format!(
            "journal/audit-{}.ndjson",
            entry.at.format("%Y%m%d_%H%M%S%.3f")
        ));
        fs::rename(&path, &aside).at("rename", &path)?;
        file = open_locked(&path)?;
    }
    let mut line = if is_cut(&file).at("read", &path)? {
        vec![b'\n']
    } else {
        Vec::new()
    };
    line.extend(text);
    line.push(b'\n');
    file.write_all(&line).at("write", &path)
}

/// Appending is one step on a local disk; over NFS two hosts need the lock to keep apart. Who does
/// not get it soon writes all the same: a torn line is less than a missing one.
fn open_locked(path: &Path) -> Result<File, VolumeError> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .at("open", path)?;
    for _ in 0..20 {
        if fs2::FileExt::try_lock_exclusive(&file).is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(file)
}

/// Every noted change, in no order: the union over the volumes that can be read.
pub fn read(store: &Store) -> Vec<Entry> {
    let pending: Vec<_> = store
        .slots()
        .iter()
        .filter(|slot| slot.state.is_readable())
        .map(|slot| slot.volume.start(Lane::Short, |dir, _| read_volume(dir)))
        .collect();
    pending
        .into_iter()
        .filter_map(|pending| {
            pending
                .wait()
                .inspect_err(|error| tracing::warn!(%error, "an audit cannot be read"))
                .ok()
        })
        .flatten()
        .collect()
}

/// The newest changes, newest first. What was noted long ago is not read for it.
pub fn recent(store: &Store) -> Vec<Entry> {
    let pending: Vec<_> = store
        .slots()
        .iter()
        .filter(|slot| slot.state.is_readable())
        .map(|slot| {
            slot.volume
                .start(Lane::Short, |dir, _| tail(&dir.own(FILE)))
        })
        .collect();
    let mut changes: Vec<Entry> = pending
        .into_iter()
        .filter_map(|pending| pending.wait().ok())
        .flatten()
        .collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.at));
    changes.truncate(SHOWN);
    changes
}

/// The entries at the end of a file.
fn tail(path: &Path) -> Result<Vec<Entry>, VolumeError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at("open", path),
    };
    let size = file.metadata().at("read", path)?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))
        .at("read", path)?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text).at("read", path)?;
    Ok(entries(&text))
}

/// A line that a crash, or the beginning of a tail, cut says nothing.
fn entries(text: &[u8]) -> Vec<Entry> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

fn read_volume(dir: &Dir) -> Result<Vec<Entry>, VolumeError> {
    let directory = dir.own("journal");
    let mut found = Vec::new();
    for file in fs::read_dir(&directory).at("list", &directory)? {
        let path = file.at("list", &directory)?.path();
        if path.extension().is_none_or(|e| e != "ndjson") {
            continue;
        }
        let text = fs::read(&path).at("read", &path)?;
        found.extend(entries(&text));
    }
    Ok(found)
}
