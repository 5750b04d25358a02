//! What two states of the store, backups or the store now, have in common and where they differ.
//! Pure; [`State::of_backup`] alone reads.

use std::collections::{BTreeMap, HashSet};

use super::{manifest, model::BackupView, tree};
use crate::{
    maif::Digest,
    store::StoreError,
    volume::{ArtifactName, Fingerprint, Lane, VersionId, VersionKind},
};

/// One artifact's current copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    Known {
        print: Fingerprint,
        /// When every byte was read.
        sha256: Option<Digest>,
    },
    /// There is one, but which bytes are right cannot be said.
    Unknown,
}

/// The current copies and the histories of a store at a time.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub copies: BTreeMap<ArtifactName, Copy>,
    pub versions: HashSet<(ArtifactName, VersionId, VersionKind)>,
}

impl State {
    /// What a sealed backup holds.
    pub fn of_backup(view: &BackupView) -> Result<Self, StoreError> {
        let root = view.path.clone();
        if !tree::is_sealed(&root) {
            return Err(StoreError::Failed(format!(
                "backup {id} has no manifest; `maifdeck backup seal {id}` writes one",
                id = view.id
            )));
        }
        Ok(tree::open(&root).run(Lane::Bulk, move |_, pulse| {
            let mut state = Self::default();
            manifest::read_entries(&root, pulse, &mut |entry| {
                match entry.key() {
                    (name, None) => {
                        let copy = Copy::Known {
                            print: entry.fingerprint(),
                            sha256: Some(entry.sha256),
                        };
                        state.copies.insert(name, copy);
                    }
                    (name, Some((id, kind))) => {
                        state.versions.insert((name, id, kind));
                    }
                }
                Ok(())
            })?;
            Ok(state)
        })?)
    }
}

/// An artifact that only one side has; `None`: its bytes are not known there.
pub type OneSided = (ArtifactName, Option<u64>);

/// How `b` differs from `a`. Sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    pub added: Vec<OneSided>,
    pub removed: Vec<OneSided>,
    /// Name, size in `a`, size in `b`.
    pub changed: Vec<(ArtifactName, u64, u64)>,
    pub same: u64,
    /// On both sides, but on one of them nobody can say with which bytes.
    pub unknown: Vec<ArtifactName>,
    pub versions_added: u64,
    pub versions_removed: u64,
    pub versions_same: u64,
}

impl Copy {
    fn size(self) -> Option<u64> {
        match self {
            Self::Known { print, .. } => Some(print.size),
            Self::Unknown => None,
        }
    }

    /// Whether both are known and hold the same bytes, as far as either was read.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Known { print, sha256 },
                Self::Known {
                    print: other,
                    sha256: theirs,
                },
            ) => print == other && sha256.zip(*theirs).is_none_or(|(a, b)| a == b),
            _ => false,
        }
    }
}

/// Compares two states; every list is sorted by name.
pub fn compare(a: &State, b: &State) -> Difference {
    let mut found = Difference::default();
    for (name, old) in &a.copies {
        let Some(new) = b.copies.get(name) else {
            found.removed.push((name.clone(), old.size()));
            continue;
        };
        match (old.size().zip(new.size()), old.is(new)) {
            (Some(_), true) => found.same += 1,
            (Some((before, after)), false) => found.changed.push((name.clone(), before, after)),
            (None, _) => found.unknown.push(name.clone()),
        }
    }
    for (name, copy) in &b.copies {
        if !a.copies.contains_key(name) {
            found.added.push((name.clone(), copy.size()));
        }
    }
    found.versions_same = a.versions.intersection(&b.versions).count() as u64;
    found.versions_added = b.versions.len() as u64 - found.versions_same;
    found.versions_removed = a.versions.len() as u64 - found.versions_same;
    found
}
