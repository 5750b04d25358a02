//! The volumes of a batch: which of them can be synced as a whole, and doing something once on
//! each.

use std::collections::BTreeMap;

use super::slot::Slot;
use crate::volume::{BatchSync, Dir, Durable, Lane, Pending, Pulse, VolumeError};

/// The file systems of a batch that can be synced as a whole, by volume.
#[derive(Debug, Default)]
pub struct Batches<'a>(BTreeMap<&'a str, (&'a Slot, BatchSync)>);

impl<'a> Batches<'a> {
    /// Before the first write of the batch.
    pub fn open(slots: impl Iterator<Item = &'a Slot>) -> Self {
        let mut batches = BTreeMap::new();
        for slot in slots {
            if batches.contains_key(slot.label()) {
                continue;
            }
            let opened = slot
                .volume
                .run(Lane::Short, |dir, _| BatchSync::open(dir.path()));
            // A volume that does not answer fails its staging, with the words for it.
            if let Ok(Some(batch)) = opened {
                batches.insert(slot.label(), (slot, batch));
            }
        }
        Self(batches)
    }

    /// How files on this volume become durable.
    pub fn durable(&self, slot: &Slot) -> Durable {
        if self.0.contains_key(slot.label()) {
            Durable::WithBatch
        } else {
            Durable::Now
        }
    }

    /// Makes what was staged durable; the volumes on which that failed, where everything has to be
    /// staged afresh, file by file.
    pub fn sync(&self) -> Vec<&'a Slot> {
        let pending: Vec<_> = self
            .0
            .values()
            .map(|(slot, batch)| {
                let batch = batch.clone();
                let work = move |dir: &Dir, _: &Pulse| batch.sync(dir.path());
                (*slot, slot.volume.start(Lane::Bulk, work))
            })
            .collect();
        pending
            .into_iter()
            .filter_map(|(slot, pending)| {
                let error = pending.wait().err()?;
                tracing::warn!(%error, volume = slot.label(), "the batch is staged again");
                Some(slot)
            })
            .collect()
    }
}

/// Does something once on each of these volumes; those on which it failed.
pub fn on_each<'a>(
    slots: impl Iterator<Item = &'a Slot>,
    work: fn(&Dir) -> Result<(), VolumeError>,
) -> Vec<(&'a str, VolumeError)> {
    let mut volumes: BTreeMap<&str, Pending<()>> = BTreeMap::new();
    for slot in slots {
        volumes
            .entry(slot.label())
            .or_insert_with(|| slot.volume.start(Lane::Bulk, move |dir, _| work(dir)));
    }
    volumes
        .into_iter()
        .filter_map(|(label, pending)| Some((label, pending.wait().err()?)))
        .collect()
}
