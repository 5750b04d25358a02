//! Making a backup: every artifact once, every version once, what did not change by hard link to
//! the backup before.
//!
//! Nothing is linked from a volume: a sketch's next save would write into the backup. What cannot
//! be taken in is skipped with a reason, and the backup is `partial`.

use std::{
    collections::BTreeSet,
    num::NonZero,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::{
    base::{Base, Link},
    copy::{self, Taken, plain},
    copying::{Copied, Copying, PAUSE, stretches},
    hand::Hand,
    manifest::{Entry, Header, Skipped},
    model::{BackupId, BackupState},
    select::{Choice, Item, Partition},
    staging::Staging,
    trash, tree,
};
use crate::{
    clock::SharedClock,
    maif::Digest,
    progress::Task,
    store::{Slot, Store, StoreError},
    volume::{ArtifactName, Fingerprint, VersionKind},
};

/// Artifacts looked at together.
const BATCH: usize = 512;
/// Hands that copy side by side: more do not make a disk faster.
const MOST: usize = 8;

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    pub id: BackupId,
    /// `complete` or `partial`.
    pub state: BackupState,
    pub artifacts: u64,
    pub versions: u64,
    pub bytes: u64,
    /// Those not linked to the backup before.
    pub new_bytes: u64,
    pub skipped: Vec<Skipped>,
}

/// Backs the store up. After an error or a cancellation nothing of it is left.
pub fn create(store: &Store, clock: &SharedClock, task: &Task) -> Result<BackupReport, StoreError> {
    store.require_write()?;
    let config = store.config();
    let Some(backup) = &config.backup else {
        return Err(StoreError::Usage(
            "no [backup] directory is configured".to_owned(),
        ));
    };
    let usable = store.slots().iter().any(|slot| slot.state.is_readable());
    let (true, Some(id)) = (usable, store.id()) else {
        return Err(store.slots().first().map_or_else(
            || StoreError::Usage("the store has no volume".to_owned()),
            Slot::not_usable,
        ));
    };
    task.checkpoint()?;
    let at = clock.now();
    let mut staging = Staging::begin(&backup.directory, at, config.store.lock_timeout)?;
    let mut header = Header::new(staging.id(), at, id);
    // Meanwhile, and before it asks for room: what was retired long ago.
    let trash = tree::open(&backup.directory);
    let freeing = trash::start_freeing(&trash, at, config.store.undo_window);
    let filled = fill(store, task, &mut staging, &mut header);
    if let Err(error) = freeing.wait() {
        tracing::warn!(%error, "old backups stay in the trash until the next time");
    }
    match filled {
        Ok(()) => Ok(BackupReport {
            id: header.id,
            state: header.state,
            artifacts: header.artifacts,
            versions: header.versions,
            bytes: header.bytes,
            new_bytes: header.new_bytes,
            skipped: header.skipped,
        }),
        Err(error) => {
            staging.discard();
            Err(plain(error))
        }
    }
}

fn fill(
    store: &Store,
    task: &Task,
    staging: &mut Staging,
    header: &mut Header,
) -> Result<(), StoreError> {
    task.phase("listing");
    let base = staging.start_base(&header.store);
    let mut partitions = Vec::new();
    let (mut items, mut bytes) = (0, 0);
    for index in 0..store.partitions().len() {
        task.checkpoint()?;
        let partition = Partition::list(store, index);
        items += partition.names.len() as u64 + partition.versions;
        bytes += partition.bytes;
        task.totals(items, bytes);
        partitions.push(partition);
    }
    let base = Arc::new(base.wait()?.unwrap_or_default());
    for partition in &mut partitions {
        partition.base = Arc::clone(&base);
    }
    task.phase("copying");
    let mut filling = Filling {
        task,
        base,
        timeout: store.config().store.lock_timeout,
        hands: staging.hands(
            thread::available_parallelism()
                .map_or(2, NonZero::get)
                .min(MOST),
        ),
        staging,
        header,
    };
    for partition in &partitions {
        filling.partition(partition)?;
    }
    task.checkpoint()?;
    task.phase("sealing");
    if !header.skipped.is_empty() {
        header.state = BackupState::Partial;
    }
    staging.seal(header)?;
    task.flush();
    Ok(())
}

struct Filling<'a> {
    task: &'a Task,
    base: Arc<Base>,
    timeout: Duration,
    hands: Vec<Hand>,
    staging: &'a mut Staging,
    header: &'a mut Header,
}

impl Filling<'_> {
    fn partition(&mut self, partition: &Partition<'_>) -> Result<(), StoreError> {
        if let Some(reason) = &partition.unreadable {
            self.skip(partition.skipped(None, None, reason.clone()));
            return Ok(());
        }
        let chunks = partition.names.chunks(BATCH);
        self.flow(partition, chunks.map(|names| choose(partition, names)))?;
        // Listed when every copy is taken: what was replaced meanwhile is among them.
        let histories = partition.histories();
        let mut allotted = BTreeSet::new();
        let chunks = histories.chunks(BATCH);
        self.flow(
            partition,
            chunks.map(|listed| partition.choose_versions(listed, &histories, &mut allotted)),
        )
    }

    /// Takes in what is chosen, and meanwhile the next is chosen.
    fn flow(
        &mut self,
        partition: &Partition<'_>,
        choices: impl Iterator<Item = Vec<Choice>> + Send,
    ) -> Result<(), StoreError> {
        thread::scope(|scope| {
            let (sender, chosen) = mpsc::sync_channel(1);
            scope.spawn(move || {
                for choices in choices {
                    // Nobody takes more after an error.
                    if sender.send(choices).is_err() {
                        return;
                    }
                }
            });
            for choices in chosen {
                self.task.checkpoint()?;
                self.take_all(partition, choices)?;
            }
            Ok(())
        })
    }

    fn take_all(
        &mut self,
        partition: &Partition<'_>,
        choices: Vec<Choice>,
    ) -> Result<(), StoreError> {
        let mut items = Vec::new();
        for choice in choices {
            match choice {
                Choice::Take(item) => items.push(item),
                Choice::Skip(skipped) => self.skip(skipped),
                Choice::Nothing => self.task.add_done(1),
            }
        }
        let mut links = Vec::new();
        let mut kept: Vec<Option<Digest>> = Vec::new();
        for item in &items {
            self.staging.prepare(&item.path)?;
            let same = self.unchanged(item)?;
            kept.push(same.as_ref().map(|(digest, _)| *digest));
            links.extend(same.map(|(_, link)| link));
        }
        let mut linked = self.link_all(links)?.into_iter();
        let mut changed = Vec::new();
        for (item, kept) in items.into_iter().zip(kept) {
            match kept.filter(|_| linked.next() == Some(true)) {
                Some(sha256) => {
                    let taken = Taken {
                        sha256,
                        fingerprint: item.fingerprint,
                        modified: item.modified,
                    };
                    self.task.add_bytes(item.fingerprint.size);
                    self.add(&item, &taken, 0)?;
                }
                None => changed.push(item),
            }
        }
        for stretch in stretches(changed) {
            self.task.checkpoint()?;
            let copying = Copying {
                partition,
                task: self.task,
                timeout: self.timeout,
            };
            for copied in copying.all(stretch, &self.hands)? {
                match copied {
                    Copied::Taken(item, taken) => {
                        self.task.add_verified(1);
                        self.add(&item, &taken, taken.fingerprint.size)?;
                    }
                    Copied::Skipped(skipped) => self.skip(skipped),
                    Copied::Nothing => self.task.add_done(1),
                }
            }
        }
        Ok(())
    }

    /// Makes links; an answer each, in the same order. One hand does it: two would wait for each
    /// other at the directory.
    fn link_all(&self, links: Vec<Link>) -> Result<Vec<bool>, StoreError> {
        match self.hands.first() {
            Some(hand) if !links.is_empty() => hand.link_all(links),
            _ => Ok(vec![false; links.len()]),
        }
    }

    /// The file of the backup before that holds the same bytes, with their digest.
    fn unchanged(&self, item: &Item) -> Result<Option<(Digest, Link)>, StoreError> {
        let Some((sha256, link)) = self.base.same_as(item) else {
            return Ok(None);
        };
        if item.foreign {
            let Some(volume) = item.volumes.first() else {
                return Ok(None);
            };
            if copy::digest(volume, &item.source, self.task)? != Some(sha256) {
                return Ok(None);
            }
        }
        Ok(Some((sha256, link)))
    }

    fn skip(&mut self, skipped: Skipped) {
        tracing::warn!(%skipped, "left out of the backup");
        self.task.add_failed(1);
        self.header.skipped.push(skipped);
    }

    fn add(&mut self, item: &Item, taken: &Taken, new_bytes: u64) -> Result<(), StoreError> {
        let (name, version) = &item.key;
        let Fingerprint { size, check } = taken.fingerprint;
        let removed = matches!(version, Some((_, VersionKind::Removal)));
        let entry = Entry {
            path: item.path.clone(),
            name: name.clone(),
            version: version.map(|(id, _)| id),
            removed,
            size,
            sha256: taken.sha256,
            check,
            mtime: taken.modified,
            generation: item.generation,
            volume: item
                .volumes
                .first()
                .map(|volume| volume.label().to_string()),
        };
        self.staging.add(&entry, new_bytes)?;
        match version {
            None => self.header.artifacts += 1,
            Some((_, VersionKind::Copy)) => self.header.versions += 1,
            Some((_, VersionKind::Removal)) => {}
        }
        self.header.bytes += size;
        self.header.new_bytes += new_bytes;
        self.task.add_done(1);
        Ok(())
    }
}

/// A copy that a sketch is writing in place looks torn: what nobody holds right is looked at
/// once more.
fn choose(partition: &Partition<'_>, names: &[ArtifactName]) -> Vec<Choice> {
    let mut choices = partition.choose(names);
    let doubtful: Vec<ArtifactName> = choices
        .iter()
        .zip(names)
        .filter(|(choice, _)| matches!(choice, Choice::Skip(_)))
        .map(|(_, name)| name.clone())
        .collect();
    if doubtful.is_empty() {
        return choices;
    }
    thread::sleep(PAUSE);
    choices.retain(|choice| !matches!(choice, Choice::Skip(_)));
    choices.extend(partition.choose(&doubtful));
    choices
}
