//! Which backups hold an artifact, and what exactly: its copy, its versions, with digests.
//!
//! A manifest is read line by line, and a line that does not name the artifact is passed over
//! unparsed: memory does not grow with the backup. A tree without a manifest is looked into.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};

use super::{
    catalogue::Catalogue,
    copy::verify_file,
    manifest::{self, Entry},
    model::{BackupId, BackupState},
    tree::{self, RelPath},
};
use crate::{
    maif::Verdict,
    progress::Task,
    store::{StoreError, fetch::Fetched},
    volume::{
        ArtifactName, At, Fingerprint, Lane, Pulse, VersionKind, VolumeError,
        dir::{self, OWN, VERSIONS},
        version,
    },
};

/// What one backup holds of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub id: BackupId,
    pub at: DateTime<Utc>,
    pub state: BackupState,
    /// Its copy and its versions, in the backup's order.
    pub entries: Vec<Entry>,
    /// Why it could not be read to its end.
    pub problem: Option<String>,
}

/// Every backup that holds the artifact or could not be asked, oldest first. Who asks again and
/// again gives a catalogue, so that manifests are read once.
pub fn holdings(
    directory: &Path,
    name: &ArtifactName,
    catalogue: Option<&Catalogue>,
    task: &Task,
) -> Result<Vec<Holding>, StoreError> {
    let (name, catalogue, task) = (name.clone(), catalogue.cloned(), task.clone());
    let found = tree::open(directory).run(Lane::Bulk, move |dir, pulse| {
        let mut holdings = Vec::new();
        let ids = tree::sealed_ids(dir.path(), pulse)?;
        if let Some(catalogue) = &catalogue {
            catalogue.keep_only(&ids);
        }
        for id in ids {
            task.checkpoint()?;
            let root = dir.path().join(id.directory());
            let mut entries = Vec::new();
            let sealed = tree::is_sealed(&root);
            let mut take = |entry| {
                entries.push(entry);
                Ok(())
            };
            let read = match &catalogue {
                _ if !sealed => unsealed(&root, &name, &task, pulse, &mut entries),
                Some(catalogue) => catalogue.entries_of(id, &root, &name, pulse, &mut take),
                None => manifest::read_entries_of(&root, &name, pulse, &mut take).map(drop),
            };
            let problem = read.err();
            if entries.is_empty() && problem.is_none() {
                continue;
            }
            let view = sealed.then(|| tree::view(id, root, pulse));
            holdings.push(Holding {
                id,
                at: view.as_ref().map_or_else(|| id.time(), |view| view.at),
                state: view.map_or(BackupState::Unsealed, |view| view.state),
                entries,
                problem: problem.map(|error| error.to_string()),
            });
        }
        Ok(holdings)
    });
    found.map_err(|error| super::copy::plain(error.into()))
}

/// Looks where the artifact would lie: at the top, and in each partition's directory.
fn unsealed(
    root: &Path,
    name: &ArtifactName,
    task: &Task,
    pulse: &Pulse,
    entries: &mut Vec<Entry>,
) -> Result<(), VolumeError> {
    let mut places = vec![root.to_owned()];
    for entry in fs::read_dir(root).at("list", root)? {
        let entry = entry.at("list", root)?;
        let ours = entry.file_name() == OWN || entry.file_name() == VERSIONS;
        if !ours && entry.file_type().at("read", &entry.path())?.is_dir() {
            places.push(entry.path());
        }
    }
    for place in places {
        let current = place.join(name.file_name());
        entries.extend(describe(root, &current, task, pulse)?.map(|(entry, _)| entry));
        let versions = place.join(VERSIONS);
        let listed = match fs::read_dir(&versions) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            listed => listed.at("list", &versions)?,
        };
        for entry in listed {
            let entry = entry.at("list", &versions)?;
            let of_name = version::parse_file_name(&entry.file_name())
                .is_some_and(|(owner, ..)| owner == *name);
            if of_name {
                let found = describe(root, &entry.path(), task, pulse)?;
                entries.extend(found.map(|(entry, _)| entry));
            }
        }
    }
    Ok(())
}

/// What a file of a backup is, from its place and its bytes, and what it is as MAIF; `None` when there is none, or when it
/// is neither a copy nor a version.
pub(super) fn describe(
    root: &Path,
    path: &Path,
    task: &Task,
    pulse: &Pulse,
) -> Result<Option<(Entry, Verdict)>, VolumeError> {
    use std::os::unix::{ffi::OsStrExt, fs::MetadataExt};
    let Some((name, version)) = identify(path) else {
        return Ok(None);
    };
    let file = match dir::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.at("open", path)?,
    };
    let before = file.metadata().at("read", path)?;
    let (print, ..) = Fingerprint::read(&file).at("read", path)?;
    let found = verify_file(&file, path, task, pulse)?;
    let after = fs::metadata(path).at("read", path)?;
    let unchanged = |m: &fs::Metadata| (m.ino(), m.len(), m.mtime(), m.mtime_nsec());
    if unchanged(&before) != unchanged(&after) || found.size != print.size {
        return Err(VolumeError::Changed {
            path: path.to_owned(),
        });
    }
    let relative = path
        .strip_prefix(root)
        .ok()
        .and_then(|path| RelPath::parse(path.as_os_str().as_bytes()));
    Ok(relative.map(|path| {
        let entry = Entry {
            path,
            name,
            version: version.map(|(id, _)| id),
            removed: matches!(version, Some((_, VersionKind::Removal))),
            size: print.size,
            sha256: found.sha256,
            check: print.check,
            mtime: before.mtime(),
            generation: None,
            volume: None,
        };
        (entry, found.verdict())
    }))
}

type Identity = (
    ArtifactName,
    Option<(crate::volume::VersionId, VersionKind)>,
);

/// Artifact and version that a path in a store's tree stands for.
pub(super) fn identify(path: &Path) -> Option<Identity> {
    let file_name = path.file_name()?;
    if path.parent().and_then(Path::file_name) == Some(VERSIONS.as_ref()) {
        let (name, id, kind) = version::parse_file_name(file_name)?;
        return Some((name, Some((id, kind))));
    }
    Some((ArtifactName::of_file(file_name)?, None))
}

/// Opens a file of a backup and verifies it as MAIF.
pub fn read_file(
    directory: &Path,
    id: BackupId,
    path: &RelPath,
    task: &Task,
) -> Result<Fetched, StoreError> {
    let path = path.under(&directory.join(id.directory()));
    let task = task.clone();
    let read = tree::open(directory).run(Lane::Bulk, move |_, pulse| {
        let file = dir::open(&path).at("open", &path)?;
        let verification = verify_file(&file, &path, &task, pulse)?;
        Ok(Fetched {
            file,
            verification,
            volume: format!("backup {id}"),
            path,
        })
    });
    read.map_err(|error| super::copy::plain(error.into()))
}
