//! Versions of named artifacts read to the last byte: which are damaged, and where each is whole.
//! A survey reads current copies only; histories are read for what a scrub found, and mended.

use super::Survey;
use crate::{
    maif::Verdict,
    progress::{Cancelled, Task},
    store::{Slot, Store},
    volume::{ArtifactName, VersionId, VersionKind},
};

/// A version that is damaged on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RottenVersion {
    pub name: ArtifactName,
    pub id: VersionId,
    /// Labels: where it is damaged, and where it is whole; `None`: nowhere.
    pub volume: String,
    pub whole: Option<String>,
    /// Bytes.
    pub size: u64,
}

/// Reads every version of these artifacts on every replica of their homes.
pub fn rotten(
    store: &Store,
    survey: &Survey,
    names: &[ArtifactName],
    task: &Task,
) -> Result<Vec<RottenVersion>, Cancelled> {
    let mut found = Vec::new();
    for name in names {
        let Some(row) = survey.find(name) else {
            continue;
        };
        let replicas = || store.replicas(store.home(name));
        let readable: Vec<&Slot> = replicas().filter(|slot| slot.state.is_readable()).collect();
        let versions = survey.history(row).iter();
        for version in versions.filter(|version| version.kind == VersionKind::Copy) {
            task.checkpoint()?;
            let mut whole = None;
            let mut damaged = Vec::new();
            for slot in &readable {
                // One that is not there, or cannot be read now, says nothing.
                match store.verify_version(slot, name, version.id) {
                    Ok(read) if read.verdict() == Verdict::Damaged => damaged.push(slot.label()),
                    Ok(_) => whole = whole.or(Some(slot.label())),
                    Err(_) => {}
                }
            }
            found.extend(damaged.into_iter().map(|volume| RottenVersion {
                name: name.clone(),
                id: version.id,
                volume: volume.to_owned(),
                whole: whole.map(ToOwned::to_owned),
                size: version.size,
            }));
        }
    }
    Ok(found)
}
