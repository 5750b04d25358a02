//! Where good bytes are of what is damaged in a backup: the current copy, versions, other backups.

use std::path::Path;

use crate::{
    backup::{self, BackupId, BackupState, VerifyReport},
    maif::Digest,
    progress::Task,
    store::{Store, StoreError},
    volume::{ArtifactName, VersionId, dir::VERSIONS, version},
};

/// So many files are looked for; the others are named alone.
const LOOKED_FOR: usize = 20;

/// What is wrong with a backup, a sentence a file.
pub(super) fn told(
    store: &Store,
    directory: &Path,
    id: BackupId,
    report: &VerifyReport,
    task: &Task,
) -> Result<Vec<String>, StoreError> {
    let damaged = report.damaged.iter().map(|path| (path, "damaged"));
    let missing = report.missing.iter().map(|path| (path, "missing"));
    let mut sentences = Vec::new();
    for (number, (path, what)) in damaged.chain(missing).enumerate() {
        let mut sentence = format!("{path} is {what}");
        if number < LOOKED_FOR {
            let good = places(store, directory, id, path, task)?;
            sentence.push_str("; good: ");
            sentence.push_str(&if good.is_empty() {
                "nowhere else".to_owned()
            } else {
                good.join(", ")
            });
        }
        sentences.push(sentence);
    }
    Ok(sentences)
}

/// Where the bytes are that this file of the backup should have.
fn places(
    store: &Store,
    directory: &Path,
    id: BackupId,
    path: &str,
    task: &Task,
) -> Result<Vec<String>, StoreError> {
    let Some((name, version)) = what(path) else {
        return Ok(Vec::new());
    };
    let holdings = backup::holdings(directory, &name, None, task)?;
    let wanted = holdings
        .iter()
        .filter(|holding| holding.id == id)
        .flat_map(|holding| &holding.entries)
        .find(|entry| entry.path.json() == path)
        .map(|entry| entry.sha256);
    let Some(wanted) = wanted else {
        return Ok(Vec::new());
    };
    let mut places = Vec::from_iter(in_store(store, &name, version, wanted));
    let others = holdings
        .iter()
        .filter(|h| h.id != id && h.state == BackupState::Complete)
        .filter(|h| h.entries.iter().any(|entry| entry.sha256 == wanted));
    places.extend(others.map(|holding| format!("backup {}", holding.id)));
    Ok(places)
}

/// The copy or the version in the store, when it has these bytes.
fn in_store(
    store: &Store,
    name: &ArtifactName,
    version: Option<VersionId>,
    wanted: Digest,
) -> Option<String> {
    let Some(id) = version else {
        let fetched = store.fetch(name).ok()?;
        return (fetched.verification.sha256 == wanted)
            .then(|| format!("the current copy on {}", fetched.volume));
    };
    let mut slots = store.slots().iter().filter(|slot| slot.counts());
    slots
        .find(|slot| {
            let verified = store.verify_version(slot, name, id);
            verified.is_ok_and(|verified| verified.sha256 == wanted)
        })
        .map(|slot| format!("version {id} on {}", slot.label()))
}

/// What a file of a backup is a copy of.
fn what(path: &str) -> Option<(ArtifactName, Option<VersionId>)> {
    let path = Path::new(path);
    let file = path.file_name()?;
    if path.parent()?.ends_with(VERSIONS) {
        let (name, id, _) = version::parse_file_name(file)?;
        return Some((name, Some(id)));
    }
    Some((ArtifactName::of_file(file)?, None))
}
