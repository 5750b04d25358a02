//! What is where in the backups directory and inside a backup, and the list of all backups.
//!
//! Inside, a store of one partition lies flat (`<name>.maif`, `versions/…`), as the sketches' own
//! backups do; with more partitions each has its directory. What is ours is in `.maifdeck/`.

use std::{
    ffi::OsStr,
    fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

pub use super::path::RelPath;
use super::{
    manifest,
    model::{BackupId, BackupState, BackupView, Verified},
};
use crate::{
    store::StoreError,
    volume::{
        ArtifactName, At, Lane, Lock, LockMode, Pulse, Volume, VolumeError,
        dir::{OWN, VERSIONS},
        listing::nanos,
        version,
    },
};

/// Relative to a backup's root: the manifest, the digests, the last verification, the pin.
pub const MANIFEST: &str = ".maifdeck/backup.json";
pub const SUMS: &str = ".maifdeck/SHA256SUMS";
pub const VERIFIED: &str = ".maifdeck/verified.json";
pub const PINNED: &str = ".maifdeck/pinned";

/// Held by whoever adds to or takes from the backups directory.
const DIRECTORY_LOCK: &str = ".backups.lock";

/// How long the backups directory may show no sign of life. More than a volume's timeout: one
/// sync of a batch on a slow disk is a single call.
const PATIENCE: Duration = Duration::from_secs(180);
/// Likewise when it is only looked at.
const LOOKING: Duration = Duration::from_secs(10);

/// The backups directory, reached through threads of its own so that its mount may hang.
pub(super) fn open(directory: &Path) -> Volume {
    Volume::new("backups", directory, PATIENCE)
}

fn looking(directory: &Path) -> Volume {
    Volume::new("backups", directory, LOOKING)
}

/// Takes the lock of the backups directory: for making and for removing backups.
pub fn lock_directory(directory: &Path, timeout: Duration) -> Result<Lock, StoreError> {
    take_lock(&open(directory), DIRECTORY_LOCK, timeout)
}

pub(super) fn take_directory_lock(volume: &Volume, timeout: Duration) -> Result<Lock, StoreError> {
    take_lock(volume, DIRECTORY_LOCK, timeout)
}

pub(super) fn take_lock(
    volume: &Volume,
    file: &str,
    timeout: Duration,
) -> Result<Lock, StoreError> {
    volume
        .lock(Path::new(file), LockMode::Exclusive, timeout)?
        .map_err(|holder| StoreError::Locked {
            what: format!("the backups directory ({})", volume.path().display()),
            holder,
        })
}

/// Lock file of a staging directory; held while somebody works on it.
pub(super) fn staging_lock(id: BackupId) -> String {
    format!("{}.lock", id.staging())
}

/// All backups, oldest first. A directory that does not exist holds none.
pub fn list(directory: &Path) -> Result<Vec<BackupView>, StoreError> {
    Ok(looking(directory).run(Lane::Bulk, |dir, pulse| list_in(dir.path(), pulse))?)
}

/// The list of all backups, followed from one look to the next: while no directory that matters
/// has changed, nothing is read.
#[derive(Debug, Default)]
pub struct BackupList {
    seen: Option<Vec<(PathBuf, i64)>>,
    views: Vec<BackupView>,
}

impl BackupList {
    /// All backups, oldest first.
    pub fn refresh(&mut self, directory: &Path) -> Result<Vec<BackupView>, StoreError> {
        let now = looking(directory).run(Lane::Short, |dir, pulse| times(dir.path(), pulse))?;
        let running = |view: &BackupView| view.state == BackupState::Running;
        if self.seen.as_ref() != Some(&now) || self.views.iter().any(running) {
            self.views = list(directory)?;
            self.seen = Some(now);
        }
        Ok(self.views.clone())
    }
}

/// When the backups directory, each backup in it and what is ours in each were changed.
fn times(directory: &Path, pulse: &Pulse) -> Result<Vec<(PathBuf, i64)>, VolumeError> {
    use std::os::unix::fs::MetadataExt;
    let mut times = Vec::new();
    let mut note = |path: PathBuf| match fs::metadata(&path) {
        Ok(m) => times.push((path, nanos(m.mtime(), m.mtime_nsec()))),
        Err(_) => times.push((path, 0)),
    };
    note(directory.to_owned());
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(times),
        Err(error) => return Err(error).at("list", directory),
    };
    for entry in entries {
        let path = entry.at("list", directory)?.path();
        note(path.join(OWN));
        note(path);
        pulse.beat();
    }
    times.sort_unstable();
    Ok(times)
}

/// The backup called `id`.
pub fn find(directory: &Path, id: BackupId) -> Result<BackupView, StoreError> {
    let root = directory.join(id.directory());
    let view = looking(directory).run(Lane::Bulk, move |_, pulse| {
        if root.is_dir() {
            Ok(Some(view(id, root, pulse)))
        } else {
            Ok(None)
        }
    })?;
    view.ok_or_else(|| StoreError::NotFound {
        kind: "backup",
        what: id.to_string(),
    })
}

pub(super) fn list_in(directory: &Path, pulse: &Pulse) -> Result<Vec<BackupView>, VolumeError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at("list", directory),
    };
    let mut views = Vec::new();
    for entry in entries {
        let entry = entry.at("list", directory)?;
        pulse.beat();
        if !entry.file_type().at("read", &entry.path())?.is_dir() {
            continue;
        }
        let file_name = entry.file_name();
        if let Some(id) = sealed_id(&file_name) {
            views.push(view(id, entry.path(), pulse));
        } else if let Some(id) = staging_id(&file_name) {
            views.push(staging_view(directory, id, entry.path()));
        }
    }
    views.sort_by_key(|view| (view.id, view.state == BackupState::Running));
    Ok(views)
}

/// The id in the name of a sealed (or a sketch's) backup.
pub fn sealed_id(file_name: &OsStr) -> Option<BackupId> {
    file_name.to_str()?.strip_prefix("backup_")?.parse().ok()
}

/// The id in the name of a staging directory.
pub fn staging_id(file_name: &OsStr) -> Option<BackupId> {
    let inner = file_name.to_str()?.strip_prefix(".backup_")?;
    inner.strip_suffix(".partial")?.parse().ok()
}

fn empty_view(id: BackupId, path: PathBuf, state: BackupState) -> BackupView {
    BackupView {
        id,
        at: id.time(),
        state,
        artifacts: 0,
        versions: 0,
        bytes: 0,
        new_bytes: 0,
        verified: None,
        pinned: path.join(PINNED).exists(),
        kept_by: Vec::new(),
        path,
        reason: None,
    }
}

fn staging_view(directory: &Path, id: BackupId, path: PathBuf) -> BackupView {
    // Opened without creating: looking must leave nothing behind.
    let held = File::open(directory.join(staging_lock(id))).is_ok_and(|file| {
        fs2::FileExt::try_lock_shared(&file)
            .is_err_and(|error| error.raw_os_error() == fs2::lock_contended_error().raw_os_error())
    });
    if held {
        return empty_view(id, path, BackupState::Running);
    }
    BackupView {
        reason: Some("the process that made it is gone; the next backup removes it".to_owned()),
        ..empty_view(id, path, BackupState::Interrupted)
    }
}

/// Whether a backup has a seal, whole or not. One that was being written when its process died
/// is none.
pub(super) fn is_sealed(root: &Path) -> bool {
    let [unfinished, _] = unfinished_seal(root);
    root.join(MANIFEST).exists() || (root.join(SUMS).exists() && !unfinished.exists())
}

/// Manifest and digests while a tree of the sketches is being sealed.
pub(super) fn unfinished_seal(root: &Path) -> [PathBuf; 2] {
    [MANIFEST, SUMS].map(|half| root.join(format!("{half}.sealing")))
}

/// The ids of all backups, sealed or a sketch's, oldest first.
pub(super) fn sealed_ids(directory: &Path, pulse: &Pulse) -> Result<Vec<BackupId>, VolumeError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("list", directory)?,
    };
    let mut ids = Vec::new();
    for entry in entries {
        pulse.beat();
        ids.extend(sealed_id(&entry.at("list", directory)?.file_name()));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Looks at one backup.
pub(super) fn view(id: BackupId, path: PathBuf, pulse: &Pulse) -> BackupView {
    if !is_sealed(&path) {
        return unsealed(id, path, pulse);
    }
    let damaged = |view: BackupView, reason: String| BackupView {
        state: BackupState::Damaged,
        reason: Some(reason),
        ..view
    };
    let header = match manifest::read_header(&path) {
        Ok(header) => header,
        // One that cannot be read must not hide the others.
        Err(error) => {
            let reason = if error.is_not_found() {
                "its manifest is gone".to_owned()
            } else {
                error.to_string()
            };
            let view = empty_view(id, path, BackupState::Damaged);
            return damaged(view, reason);
        }
    };
    let verified = fs::read(path.join(VERIFIED))
        .ok()
        .and_then(|text| serde_json::from_slice::<Verified>(&text).ok());
    let has_sums = path.join(SUMS).exists();
    let view = BackupView {
        at: header.at,
        artifacts: header.artifacts,
        versions: header.versions,
        bytes: header.bytes,
        new_bytes: header.new_bytes,
        verified,
        reason: header.skipped.first().map(|first| {
            let more = header.skipped.len() - 1;
            let others = if more == 0 {
                String::new()
            } else {
                format!(", and {more} more")
            };
            format!("left out: {first}{others}")
        }),
        ..empty_view(id, path, header.state)
    };
    match verified {
        Some(verified) if !verified.ok => {
            let when = verified.at.format("%Y-%m-%d %H:%M UTC");
            damaged(view, format!("verification found damage on {when}"))
        }
        _ if !has_sums => damaged(view, "its digests are gone".to_owned()),
        _ if header.id != id => damaged(view, format!("its manifest is that of {}", header.id)),
        _ => view,
    }
}

/// A tree without a seal: counted by looking.
fn unsealed(id: BackupId, path: PathBuf, pulse: &Pulse) -> BackupView {
    let mut view = empty_view(id, path, BackupState::Unsealed);
    for file in files(&view.path, pulse) {
        let (path, metadata) = match file {
            Ok(file) => file,
            Err(error) => {
                view.reason = Some(error.to_string());
                continue;
            }
        };
        let in_versions = path
            .parent()
            .is_some_and(|parent| parent.ends_with(VERSIONS));
        let Some(file_name) = path.file_name() else {
            continue;
        };
        if in_versions && version::parse_file_name(file_name).is_some() {
            view.versions += 1;
        } else if ArtifactName::of_file(file_name).is_some() {
            view.artifacts += 1;
        }
        view.bytes += metadata.len();
    }
    view.new_bytes = view.bytes;
    view
}

/// Every file of a backup but those of `.maifdeck`, links not followed.
pub(super) fn files<'a>(
    root: &'a Path,
    pulse: &'a Pulse,
) -> impl Iterator<Item = Result<(PathBuf, fs::Metadata), VolumeError>> + 'a {
    walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.file_name() != OWN)
        .filter_map(move |entry| {
            pulse.beat();
            let found = entry.and_then(|entry| Ok((entry.metadata()?, entry.into_path())));
            match found {
                Ok((metadata, _)) if metadata.is_dir() => None,
                Ok((metadata, path)) => Some(Ok((path, metadata))),
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_owned();
                    Some(Err(io::Error::from(error)).at("read", &path))
                }
            }
        })
}
