//! What of the histories goes into a backup: every version once, from whichever volume has it
//! intact; nothing that only one volume knows is left out.

use std::{collections::BTreeSet, os::unix::fs::MetadataExt, path::PathBuf, sync::Arc};

use super::{
    select::{Choice, Item, Partition},
    tree::RelPath,
};
use crate::{
    maif::{QuickLook, quick},
    store::judge::Condition,
    volume::{
        ArtifactName, At, Fingerprint, Lane, Record, VersionId, VersionKind, VolumeError, dir,
        listing,
    },
};

/// A version and the slots that list it.
pub(super) type Listed = (ArtifactName, VersionId, VersionKind, Vec<usize>);

impl Partition<'_> {
    /// Every file of the histories with the slots that list it, in order of names and ids.
    pub fn histories(&self) -> Vec<Listed> {
        if !self.with_history() {
            return Vec::new();
        }
        let mut all: Vec<(ArtifactName, VersionId, VersionKind, usize)> = Vec::new();
        for (slot, listed) in self.ask(listing::histories).into_iter().enumerate() {
            let versions = listed.unwrap_or_default();
            all.extend(versions.into_iter().map(|v| (v.name, v.id, v.kind, slot)));
        }
        all.sort_unstable();
        let mut merged: Vec<Listed> = Vec::new();
        for (name, id, kind, slot) in all {
            match merged.last_mut() {
                Some((n, i, k, slots)) if (&*n, *i, *k) == (&name, id, kind) => slots.push(slot),
                _ => merged.push((name, id, kind, vec![slot])),
            }
        }
        merged
    }

    /// What to take of these versions. Other bytes under the same id are kept as well, under the
    /// next id that is free: neither in `all` histories nor `allotted` before.
    pub fn choose_versions(
        &self,
        listed: &[Listed],
        all: &[Listed],
        allotted: &mut BTreeSet<(ArtifactName, VersionId)>,
    ) -> Vec<Choice> {
        let pending: Vec<_> = self
            .slots
            .iter()
            .enumerate()
            .map(|(index, (_, slot))| {
                let wanted: Vec<Option<PathBuf>> = listed
                    .iter()
                    .map(|(name, id, kind, slots)| {
                        let path = RelPath::of(None, name, Some((*id, *kind)));
                        slots
                            .contains(&index)
                            .then(|| path.under(slot.volume.path()))
                    })
                    .collect();
                slot.state.is_readable().then(|| {
                    slot.volume.start(Lane::Bulk, move |_, pulse| {
                        Ok(wanted
                            .into_iter()
                            .map(|path| {
                                pulse.beat();
                                path.map(|path| look_at_file(&path))
                            })
                            .collect::<Vec<_>>())
                    })
                })
            })
            .collect();
        let mut looks: Vec<_> = pending
            .into_iter()
            .map(|pending| pending.map(|p| p.wait().map(Vec::into_iter)))
            .collect();
        let mut choices = Vec::with_capacity(listed.len());
        for (name, id, kind, _) in listed {
            let mut variants: Vec<Item> = Vec::new();
            let mut problem = None;
            for (looks, (_, slot)) in looks.iter_mut().zip(&self.slots) {
                let file = match looks {
                    Some(Ok(looks)) => match looks.next().flatten() {
                        Some(Ok(file)) => file,
                        Some(Err(error)) if error.is_not_found() => continue,
                        Some(Err(error)) => {
                            problem = Some(error.to_string());
                            continue;
                        }
                        None => continue,
                    },
                    Some(Err(error)) => {
                        problem = Some(error.to_string());
                        continue;
                    }
                    None => continue,
                };
                if file.condition == Condition::Damaged {
                    problem = Some(format!("damaged on {}", slot.label()));
                    continue;
                }
                let volume = Arc::clone(&slot.volume);
                match variants
                    .iter_mut()
                    .find(|v| v.fingerprint == file.fingerprint)
                {
                    Some(variant) => variant.volumes.push(volume),
                    None => variants.push(Item {
                        key: (name.clone(), Some((*id, *kind))),
                        path: RelPath::of(self.directory(), name, Some((*id, *kind))),
                        source: RelPath::of(None, name, Some((*id, *kind))),
                        fingerprint: file.fingerprint,
                        foreign: file.condition == Condition::Foreign,
                        mode: file.mode,
                        modified: file.modified,
                        generation: file.generation,
                        proven: file.proven,
                        volumes: vec![volume],
                    }),
                }
            }
            if variants.is_empty() {
                choices.push(match problem {
                    Some(reason) => Choice::Skip(self.skipped(Some(name), Some(*id), reason)),
                    None => Choice::Nothing,
                });
            }
            for (number, mut variant) in variants.into_iter().enumerate() {
                if number > 0 {
                    let mut free = id.next();
                    while has(all, name, free) || !allotted.insert((name.clone(), free)) {
                        free = free.next();
                    }
                    variant.key = (name.clone(), Some((free, *kind)));
                    variant.path = RelPath::of(self.directory(), name, Some((free, *kind)));
                }
                choices.push(Choice::Take(variant));
            }
        }
        choices
    }
}

/// Whether the histories, which are in order, know the id.
fn has(all: &[Listed], name: &ArtifactName, id: VersionId) -> bool {
    all.binary_search_by(|(n, i, ..)| (n, *i).cmp(&(name, id)))
        .is_ok()
}

struct VersionLook {
    fingerprint: Fingerprint,
    condition: Condition,
    mode: u32,
    modified: i64,
    /// Of a removal.
    generation: Option<u64>,
    /// Its record describes it.
    proven: bool,
}

fn look_at_file(path: &std::path::Path) -> Result<VersionLook, VolumeError> {
    let (file, metadata) = dir::open_known(path).at("open", path)?;
    let (fingerprint, head, tail) =
        Fingerprint::read_sized(&file, metadata.len()).at("read", path)?;
    let removal = std::str::from_utf8(&head)
        .ok()
        .and_then(|t| t.parse::<Record>().ok());
    Ok(VersionLook {
        generation: removal.map(|record| record.generation),
        proven: Record::of(&file).is_some_and(|record| record.describes(&fingerprint)),
        condition: match quick(&head, &tail, fingerprint.size) {
            QuickLook::Complete(_) => Condition::Intact,
            QuickLook::Foreign => Condition::Foreign,
            QuickLook::Torn | QuickLook::Malformed => Condition::Damaged,
        },
        fingerprint,
        mode: metadata.mode(),
        modified: metadata.mtime(),
    })
}
