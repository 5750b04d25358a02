//! Where the bytes of a step are, and the proof that they are what was planned.
//!
//! What a backup's seal names was verified when it was sealed: its digest proves it now, whatever kind
//! of file it is. Everything else is verified as MAIF.

use std::path::{Path, PathBuf};

use super::steps::{Context, backups, print, slot};
use crate::{
    maif::Digest,
    plan::{Source, Step},
    store::{Store, StoreError},
    volume::{ArtifactName, At, Fingerprint, Pulse, VersionKind, dir, version},
};

/// The path of a source.
pub fn path(store: &Store, name: &ArtifactName, source: &Source) -> Result<PathBuf, StoreError> {
    Ok(match source {
        Source::Copy { volume } => slot(store, volume)?.volume.path().join(name.file_name()),
        Source::Version { volume, name, id } => slot(store, volume)?
            .volume
            .path()
            .join(dir::VERSIONS)
            .join(version::file_name(name, *id, VersionKind::Copy)),
        Source::Backup { id, path, .. } => path.under(&backups(store)?.join(id.directory())),
    })
}

/// The step's source in a backup: versions that go to several replicas have the same one.
pub fn in_backup(step: &Step) -> Option<&Source> {
    match step {
        Step::Put { source, .. } | Step::Version { source, .. } => {
            matches!(source, Source::Backup { .. }).then_some(source)
        }
        _ => None,
    }
}

/// Verifies what a step will read, before any step of its plan changes anything: the digest of a new
/// current copy.
pub fn verify(store: &Store, step: &Step) -> Result<Option<Digest>, StoreError> {
    match step {
        Step::Put {
            name,
            source,
            size,
            check,
            ..
        } => {
            let path = path(store, name, source)?;
            verified(store, &path, print(*size, *check), source).map(Some)
        }
        Step::Version { name, source, .. } => {
            if let Some(sha256) = sealed(source) {
                as_sealed(&path(store, name, source)?, sha256)?;
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// What the seal of a backup says of a source in it.
pub const fn sealed(source: &Source) -> Option<Digest> {
    match source {
        Source::Backup { sha256, .. } => *sha256,
        _ => None,
    }
}

fn verified(
    store: &Store,
    path: &Path,
    wanted: Fingerprint,
    source: &Source,
) -> Result<Digest, StoreError> {
    let sealed = sealed(source);
    if let Some(sha256) = sealed {
        as_sealed(path, sha256)?;
    }
    match sealed {
        // Whose signatures count may have changed since.
        Some(sha256) if store.config().sign.trusted.is_empty() => Ok(sha256),
        _ => store.verified(path, wanted),
    }
}

/// Makes sure that a file holds what its backup's seal says.
fn as_sealed(path: &Path, sha256: Digest) -> Result<(), StoreError> {
    let file = dir::open(path).at("open", path)?;
    let found = crate::store::transfer::digest(&file, &Pulse::default()).at("read", path)?;
    if found == sha256 {
        return Ok(());
    }
    Err(StoreError::Damaged {
        what: path.display().to_string(),
        class: "not as sealed".to_owned(),
        problem:
            "`maifdeck backup verify` names all that is damaged; artifacts that are not can be \
                  restored by name, or with --to"
                .to_owned(),
    })
}

impl Context<'_> {
    /// The digest of a verified source; one that was verified in this job is not read again: its
    /// digest is checked where it is staged.
    pub fn verified_once(
        &self,
        number: usize,
        path: &Path,
        wanted: Fingerprint,
        source: &Source,
    ) -> Result<Digest, StoreError> {
        let known = self.sources.borrow().get(&number).copied();
        if let Some(sha256) = known {
            return Ok(sha256);
        }
        let sha256 = verified(self.store, path, wanted, source)?;
        self.sources.borrow_mut().insert(number, sha256);
        Ok(sha256)
    }
}
