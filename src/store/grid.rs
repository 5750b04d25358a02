//! An opened store: the grid of partitions × replicas, its layout, and who may change it.

use std::{path::Path, sync::Arc};

use super::{
    config::{Config, PartitionConfig, Role},
    error::StoreError,
    layout,
    lease::Seat,
    placement::Homes,
    slot::{self, Look, Slot},
    state::VolumeState,
    watermark::RaisedAt,
};
use crate::{
    clock::SharedClock,
    volume::{ArtifactName, Identity, Lane, Layout, Volume},
};

/// Whether this process may change anything. Held here, in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    Write,
}

/// An opened store.
#[derive(Debug, Clone)]
pub struct Store {
    config: Arc<Config>,
    clock: SharedClock,
    access: Access,
    /// In label order of the grid: partition by partition, replica by replica.
    slots: Arc<[Slot]>,
    id: Option<Arc<str>>,
    homes: Arc<Homes>,
    layout: Option<Arc<Layout>>,
    /// The greatest number of a layout seen when it was opened.
    newest_layout: u64,
    /// In words, in what the layout in force differs from the configuration.
    layout_problem: Option<Arc<str>>,
    /// Whether this process holds `store.lock` for bulk work already.
    in_bulk: bool,
    /// The lease of this process; all clones have the same.
    seat: Arc<Seat>,
    raised_at: RaisedAt,
}

impl Store {
    /// Opens the store. Reads only, waits for no volume longer than its timeout.
    pub fn open(config: Arc<Config>, clock: SharedClock, access: Access) -> Self {
        let volumes = slot::volumes(&config);
        Self::open_on(volumes, config, clock, access)
    }

    fn open_on(
        volumes: Vec<(usize, Arc<Volume>)>,
        config: Arc<Config>,
        clock: SharedClock,
        access: Access,
    ) -> Self {
        let look = Look::at(volumes, &config);
        Self {
            homes: Arc::new(layout::homes(&config, look.layout.as_ref())),
            slots: look.slots.into(),
            id: look.id.map(Into::into),
            layout: look.layout.map(Arc::new),
            newest_layout: look.newest_layout,
            layout_problem: look.layout_problem.map(Into::into),
            raised_at: look.raised_at,
            in_bulk: false,
            seat: Arc::default(),
            config,
            clock,
            access,
        }
    }

    /// The same store for the steps of bulk work whose caller holds `store.lock`.
    #[must_use]
    pub fn in_bulk(&self) -> Self {
        Self {
            in_bulk: true,
            ..self.clone()
        }
    }

    pub fn is_in_bulk(&self) -> bool {
        self.in_bulk
    }

    /// The same volumes, looked at again (a mount came back, another host marked one). Their
    /// workers stay: one that is stuck gets no second chance to block another thread.
    #[must_use]
    pub fn reopened(&self) -> Self {
        let volumes = self
            .slots
            .iter()
            .map(|slot| (slot.partition, Arc::clone(&slot.volume)))
            .collect();
        let config = Arc::clone(&self.config);
        Self {
            seat: Arc::clone(&self.seat),
            ..Self::open_on(volumes, config, self.clock.clone(), self.access)
        }
    }

    /// The same store by another configuration of it; the lease of this process stays.
    #[must_use]
    pub fn with_config(&self, config: Config) -> Self {
        Self {
            seat: Arc::clone(&self.seat),
            ..Self::open(Arc::new(config), self.clock.clone(), self.access)
        }
    }

    pub(super) fn raised_at(&self) -> &RaisedAt {
        &self.raised_at
    }

    /// The lease of this process.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    pub fn access(&self) -> Access {
        self.access
    }

    /// The store's id; `None` while no volume is marked.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn partitions(&self) -> &[PartitionConfig] {
        &self.config.partition
    }

    /// The replicas of a partition.
    pub fn replicas(&self, partition: usize) -> impl Iterator<Item = &Slot> {
        self.slots
            .iter()
            .filter(move |slot| slot.partition == partition)
    }

    pub fn slot(&self, label: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.label() == label)
    }

    /// Index of the artifact's home partition.
    pub fn home(&self, name: &ArtifactName) -> usize {
        self.homes.of(name)
    }

    /// Which partitions are homes, and of which share.
    pub fn homes(&self) -> &Homes {
        &self.homes
    }

    /// The layout in force; `None` while no volume is marked.
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.as_deref()
    }

    /// Whether a change of the layout still moves artifacts: then one may lie, whole, where its home
    /// was before.
    pub fn is_in_transition(&self) -> bool {
        self.layout().is_some_and(|layout| !layout.sealed)
    }

    /// The volumes that a configuration adds to these: label, directory, and whether their partition is
    /// new as well.
    pub fn volumes_new_in<'a>(
        &'a self,
        config: &'a Config,
    ) -> impl Iterator<Item = (String, &'a Path, bool)> {
        config.partition.iter().flat_map(move |partition| {
            let is_new = self.partitions().iter().all(|p| p.name != partition.name);
            let replicas = partition.replicas.iter().enumerate();
            replicas
                .map(move |(number, path)| {
                    let label = format!("{}.{}", partition.name, number + 1);
                    (label, path.as_path(), is_new)
                })
                .filter(|(label, ..)| self.slot(label).is_none())
        })
    }

    /// Refuses unless this process may change the store.
    pub fn require_write(&self) -> Result<(), StoreError> {
        if self.config.node.role == Role::Follower {
            return Err(StoreError::ReadOnly { who: "follower" });
        }
        if self.access == Access::ReadOnly {
            return Err(StoreError::ReadOnly { who: "process" });
        }
        Ok(())
    }

    /// Refuses when the layout was changed since the store was opened. Under `store.lock`, which a
    /// change of the layout holds exclusively, what it says stays true until the lock is given back.
    /// A volume that the change did not reach has the old one: one that has the new one tells.
    pub(super) fn require_layout_of(&self, slots: &[&Slot]) -> Result<(), StoreError> {
        let pending: Vec<_> = slots
            .iter()
            .map(|slot| slot.volume.start(Lane::Short, |dir, _| Identity::read(dir)))
            .collect();
        for (slot, pending) in slots.iter().zip(pending) {
            // One that has gone since fails to be written, with the words for it.
            let Ok(Some(found)) = pending.wait() else {
                continue;
            };
            let number = found.layout.number;
            if number > self.newest_layout {
                return Err(StoreError::LayoutDiffers(format!(
                    "{} has number {number} by now, this process began with {}",
                    slot.label(),
                    self.newest_layout
                )));
            }
        }
        Ok(())
    }

    /// How many replicas of a partition can be counted on now, and how many it takes to know every
    /// acknowledged write: together they overlap with any quorum of writers.
    pub fn knowledge(&self, partition: usize) -> (usize, usize) {
        let replicas = self.replicas(partition).count();
        let counting = self
            .replicas(partition)
            .filter(|slot| slot.counts())
            .count();
        let needed = replicas + 1 - self.config.store.write_quorum.of(replicas);
        (counting, needed)
    }

    /// Refuses unless most of the volumes answer: a change of the layout has to reach them, so that
    /// nobody who sees only the others finds the old layout in force.
    pub fn require_reach(&self) -> Result<(), StoreError> {
        let reached = self.slots.iter().filter(|slot| slot.is_ours());
        let reached = reached
            .filter(|slot| slot.state != VolumeState::ReadOnly)
            .count();
        let all = self.slots.len();
        if reached * 2 > all {
            return Ok(());
        }
        Err(StoreError::OutOfReach(format!(
            "{reached} of {all} volumes can be written, and a change of the layout has to reach most \
             of them"
        )))
    }

    /// Refuses unless of every partition enough replicas answer to know every acknowledged write.
    pub fn require_knowledge(&self) -> Result<(), StoreError> {
        for (index, partition) in self.partitions().iter().enumerate() {
            let (counting, needed) = self.knowledge(index);
            if counting < needed {
                let away = self.replicas(index).filter(|slot| !slot.counts());
                let away: Vec<String> = away
                    .map(|slot| format!("{}: {}", slot.label(), slot.state.word()))
                    .collect();
                return Err(StoreError::OutOfReach(format!(
                    "{counting} replicas of partition {} count, and {needed} are needed to know all \
                     that it holds ({})",
                    partition.name,
                    away.join("; ")
                )));
            }
        }
        Ok(())
    }

    /// Refuses when the layout in force is not that of the configuration: then placement itself is
    /// in doubt.
    pub fn require_same_layout(&self) -> Result<(), StoreError> {
        match &self.layout_problem {
            None => Ok(()),
            Some(difference) => Err(StoreError::LayoutDiffers(difference.to_string())),
        }
    }
}
