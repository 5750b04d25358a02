//! Which bytes go into a backup: of each artifact the copy that is right, of each history every
//! version once, from whichever volume has it intact.
//!
//! Current copies are listed before histories. A put that comes between shows its predecessor in
//! the history then, and so nothing that was current when the backup began is missed.

use std::{collections::HashMap, sync::Arc};

use super::{
    base::Base,
    manifest::{Key, Skipped},
    tree::RelPath,
};
use crate::{
    maif::PublicKey,
    store::{
        Slot, Store,
        judge::{Condition, Facts, Seen, judge},
        peek,
        state::{ArtifactState, VolumeIndex},
    },
    volume::{
        ArtifactName, Fingerprint, Lane, Pulse, Record, VersionId, VersionKind, Volume,
        VolumeError, dir, listing,
    },
};

/// Something to take in.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub key: Key,
    /// Where it goes in the backup.
    pub path: RelPath,
    /// What it is called on its volume.
    pub source: RelPath,
    pub fingerprint: Fingerprint,
    /// Not MAIF: only its digest tells whether it changed.
    pub foreign: bool,
    pub mode: u32,
    pub modified: i64,
    pub generation: Option<u64>,
    /// A commit of ours verified these bytes: their checksum tells whether they are the same still.
    pub proven: bool,
    /// Volumes that hold these bytes, the best first.
    pub volumes: Vec<Arc<Volume>>,
}

/// What became of one name.
#[derive(Debug)]
pub(super) enum Choice {
    Take(Item),
    Skip(Skipped),
    /// Removed, or gone since it was listed.
    Nothing,
}

/// One partition's replicas, as far as they can be read.
pub(super) struct Partition<'a> {
    store: &'a Store,
    name: &'a str,
    pub slots: Vec<(VolumeIndex, &'a Slot)>,
    /// The backup before: of volumes that are as good, the one is read that was read then.
    pub base: Arc<Base>,
    trusted: Arc<[PublicKey]>,
    /// The newest removal of each artifact, a map a slot; `None`: the slot gave no listing.
    removals: Vec<Option<HashMap<ArtifactName, VersionId>>>,
    /// Artifacts that some slot lists, in order.
    pub names: Vec<ArtifactName>,
    /// Versions and bytes of all that was listed, the larger size where they differ.
    pub versions: u64,
    pub bytes: u64,
    /// Why no slot could be listed.
    pub unreadable: Option<String>,
}

impl<'a> Partition<'a> {
    /// Lists every replica that can be read.
    pub fn list(store: &'a Store, index: usize) -> Self {
        let slots: Vec<(VolumeIndex, &Slot)> = (0..)
            .zip(store.slots())
            .filter(|(_, slot)| slot.partition == index)
            .map(|(number, slot)| (VolumeIndex(number), slot))
            .collect();
        let mut partition = Self {
            store,
            name: store.partitions().get(index).map_or("", |p| &p.name),
            slots,
            base: Arc::default(),
            // Keys that do not parse were refused with the configuration.
            trusted: store.trusted().unwrap_or_default().into(),
            removals: Vec::new(),
            names: Vec::new(),
            versions: 0,
            bytes: 0,
            unreadable: None,
        };
        let mut copies: HashMap<ArtifactName, u64> = HashMap::new();
        let mut versions: HashMap<Key, u64> = HashMap::new();
        let mut reasons = Vec::new();
        let listings = partition.ask(listing::list);
        for (listing, (_, slot)) in listings.into_iter().zip(&partition.slots) {
            let listing = match listing {
                Ok(listing) => listing,
                Err(reason) => {
                    reasons.push(format!("{}: {reason}", slot.label()));
                    partition.removals.push(None);
                    continue;
                }
            };
            let mut removals = HashMap::new();
            for copy in listing.copies {
                let size = copies.entry(copy.name).or_default();
                *size = copy.size.max(*size);
            }
            for version in listing.versions {
                if version.kind == VersionKind::Removal {
                    // Newest first: the first one stays.
                    removals.entry(version.name.clone()).or_insert(version.id);
                }
                let key = (version.name, Some((version.id, version.kind)));
                let size = versions.entry(key).or_default();
                *size = version.size.max(*size);
            }
            partition.removals.push(Some(removals));
        }
        if partition.removals.iter().all(Option::is_none) {
            partition.unreadable = Some(reasons.join("; "));
        }
        partition.bytes = copies.values().sum();
        if partition.with_history() {
            partition.versions = versions.len() as u64;
            partition.bytes += versions.values().sum::<u64>();
        }
        partition.names = copies.into_keys().collect();
        partition.names.sort_unstable();
        partition
    }

    pub fn with_history(&self) -> bool {
        let backup = self.store.config().backup.as_ref();
        backup.is_some_and(|backup| backup.history)
    }

    /// Its directory in the backup; none when it is the only one.
    pub fn directory(&self) -> Option<&str> {
        (self.store.partitions().len() > 1).then_some(self.name)
    }

    pub fn skipped(
        &self,
        name: Option<&ArtifactName>,
        version: Option<VersionId>,
        reason: String,
    ) -> Skipped {
        Skipped {
            partition: self.name.to_owned(),
            name: name.cloned(),
            version,
            reason,
        }
    }

    /// Asks every slot that can be read.
    pub fn ask<T: Send + 'static>(
        &self,
        question: fn(&dir::Dir, &Pulse) -> Result<T, VolumeError>,
    ) -> Vec<Result<T, String>> {
        let pending: Vec<_> = self
            .slots
            .iter()
            .map(|(_, slot)| {
                if slot.state.is_readable() {
                    Ok(slot.volume.start(Lane::Bulk, question))
                } else {
                    let reason = slot.reason.clone();
                    Err(reason.unwrap_or_else(|| slot.state.word().to_owned()))
                }
            })
            .collect();
        pending
            .into_iter()
            .map(|pending| pending?.wait().map_err(|error| error.to_string()))
            .collect()
    }

    /// Which copy of each of these artifacts is right.
    pub fn choose(&self, names: &[ArtifactName]) -> Vec<Choice> {
        let pending: Vec<_> = self
            .slots
            .iter()
            .zip(&self.removals)
            .map(|((_, slot), removals)| {
                let removals = removals.as_ref()?;
                let wanted: Vec<(ArtifactName, Option<VersionId>)> = names
                    .iter()
                    .map(|name| (name.clone(), removals.get(name).copied()))
                    .collect();
                let trusted = Arc::clone(&self.trusted);
                Some(slot.volume.start(Lane::Bulk, move |dir, pulse| {
                    Ok(wanted
                        .into_iter()
                        .map(|(name, removal)| {
                            pulse.beat();
                            look(dir, &name, removal, &trusted, pulse)
                        })
                        .collect::<Vec<_>>())
                }))
            })
            .collect();
        let mut looks: Vec<_> = pending
            .into_iter()
            .map(|pending| pending?.wait().ok().map(Vec::into_iter))
            .collect();
        let mut choices = Vec::with_capacity(names.len());
        for name in names {
            let mut facts = Vec::new();
            let mut modes = Vec::new();
            for (looks, (volume, slot)) in looks.iter_mut().zip(&self.slots) {
                let look = looks.as_mut().and_then(Iterator::next);
                let (seen, removal, mode) = match look {
                    Some(Ok(look)) => look,
                    // One that cannot be read, or that is being written to just now.
                    Some(Err(_)) | None => (Seen::Unreachable, None, (0, 0)),
                };
                modes.push(mode);
                facts.push(Facts {
                    volume: *volume,
                    seen,
                    counts: slot.counts(),
                    removal,
                    history: Vec::new(),
                });
            }
            if peek::disagree(&facts) {
                let slots: Vec<&Slot> = self.slots.iter().map(|(_, slot)| *slot).collect();
                peek::add_histories(&mut facts, &slots, name);
            }
            let settled = facts.iter().any(|f| matches!(f.seen, Seen::File(_)));
            choices.push(if settled {
                self.decide(name, &facts, &modes)
            } else {
                // Gone since it was listed: only its history of now can tell a removal.
                self.choose_again(name)
            });
        }
        choices
    }

    /// Looks at one artifact afresh.
    pub fn choose_again(&self, name: &ArtifactName) -> Choice {
        let facts = peek::facts(&self.slots, name, &self.trusted);
        self.decide(name, &facts, &[])
    }

    fn decide(&self, name: &ArtifactName, facts: &[Facts], modes: &[(u32, i64)]) -> Choice {
        let quorum = self.store.config().store.write_quorum;
        let judgement = judge(facts, quorum.of(self.slots.len()));
        let skip = |reason: &str| Choice::Skip(self.skipped(Some(name), None, reason.to_owned()));
        let Some(reference) = judgement.reference else {
            if judgement.removed || facts.iter().all(|f| f.seen == Seen::Absent) {
                return Choice::Nothing;
            }
            return skip(match judgement.state {
                ArtifactState::Lost => "lost: no intact copy of its newest generation",
                ArtifactState::Divergent => "divergent: its copies contradict each other",
                _ => "unreachable: no intact copy of it could be read",
            });
        };
        let of = |index: usize| match facts.get(index)?.seen {
            Seen::File(file) => Some(file),
            _ => None,
        };
        let position = facts.iter().position(|f| f.volume == reference.volume);
        let Some((position, file)) = position.and_then(|p| Some((p, of(p)?))) else {
            return skip("its reference copy cannot be read");
        };
        let key = (name.clone(), None);
        let position = self
            .base
            .volume_of(&key)
            .and_then(|label| {
                self.slots
                    .iter()
                    .position(|(_, slot)| slot.label() == label)
            })
            .filter(|p| facts.get(*p).is_some_and(|f| f.counts) && of(*p) == Some(file))
            .unwrap_or(position);
        let others = (0..facts.len()).filter(|index| {
            *index != position && of(*index).is_some_and(|f| f.fingerprint == file.fingerprint)
        });
        let volumes = std::iter::once(position)
            .chain(others)
            .filter_map(|index| Some(Arc::clone(&self.slots.get(index)?.1.volume)))
            .collect();
        let (mode, modified) = modes.get(position).copied().unwrap_or_default();
        Choice::Take(Item {
            key,
            path: RelPath::of(self.directory(), name, None),
            source: RelPath::of(None, name, None),
            fingerprint: file.fingerprint,
            foreign: file.condition == Condition::Foreign,
            mode,
            modified,
            generation: reference.generation,
            proven: reference.generation.is_some(),
            volumes,
        })
    }
}

type Look = (Seen, Option<Record>, (u32, i64));

fn look(
    dir: &dir::Dir,
    name: &ArtifactName,
    removal: Option<VersionId>,
    trusted: &[PublicKey],
    pulse: &Pulse,
) -> Result<Look, VolumeError> {
    let removal = removal.and_then(|id| dir.removal(name, id));
    let Some(found) = dir.look(name)? else {
        return Ok((Seen::Absent, removal, (0, 0)));
    };
    let dress = (found.mode, found.modified);
    let facts = peek::file_facts(dir, name, &found, trusted, pulse);
    Ok((Seen::File(facts), removal, dress))
}
