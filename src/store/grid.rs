//! Opening a store: its volumes, who they are, and whether each may be used.
//!
//! A volume is used only when its mark carries this store's id, the expected label and our layout.
//! Everything else is shown with its reason, never written and never counted as empty.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    config::{Config, PartitionConfig, Role},
    error::StoreError,
    layout,
    lease::Seat,
    placement::Homes,
    state::VolumeState,
    watermark::{self, RaisedAt},
};
use crate::{
    clock::SharedClock,
    volume::{
        ArtifactName, Identity, Lane, Layout, Membership, Volume, VolumeError, Watermark, identity,
    },
};

/// Whether this process may change anything. Held here, in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    Write,
}

/// One place of the grid.
#[derive(Debug, Clone)]
pub struct Slot {
    pub volume: Arc<Volume>,
    /// Index of its partition.
    pub partition: usize,
    pub state: VolumeState,
    /// Why it is not `Ok`.
    pub reason: Option<String>,
    pub identity: Option<Identity>,
    ours: bool,
}

impl Slot {
    pub fn label(&self) -> &str {
        self.volume.label()
    }

    /// Whether its copies may be a reference and count for a quorum.
    pub fn counts(&self) -> bool {
        self.state.counts()
    }

    /// Whether it is this store's, whatever layout it carries: then its journals are ours.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// Whether commits may go there.
    pub fn is_writable(&self) -> bool {
        matches!(
            self.state,
            VolumeState::Ok | VolumeState::Joining | VolumeState::Full
        )
    }
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
        let volumes = volumes(&config);
        Self::open_on(volumes, config, clock, access)
    }

    fn open_on(
        volumes: Vec<(usize, Arc<Volume>)>,
        config: Arc<Config>,
        clock: SharedClock,
        access: Access,
    ) -> Self {
        let pending: Vec<_> = volumes
            .iter()
            .map(|(_, volume)| volume.start(Lane::Short, |dir, _| read_identity(dir)))
            .collect();
        let found: Vec<_> = pending
            .into_iter()
            .map(crate::volume::Pending::wait)
            .collect();
        let id = store_id(&found);
        let mut rolled_back = watermark::rolled_back(marks_of(&found, id.as_deref()));
        // Another process may have raised the number between two of these looks. What was noted of a
        // volume it carried by then, so a second look at it alone tells.
        for (_, volume) in &volumes {
            if let Some((own, seen)) = rolled_back.get_mut(&**volume.label())
                && let Ok(Some(mark)) = volume.run(Lane::Short, |dir, _| Identity::read(dir))
            {
                *own = mark.watermark.number.min(*seen);
            }
        }
        rolled_back.retain(|_, (own, seen)| own < seen);
        let marks = marks_of(&found, id.as_deref());
        let layout = layout::in_force(marks.map(|identity| &identity.layout)).cloned();
        let newest_layout = found
            .iter()
            .filter_map(|result| Some(result.as_ref().ok()?.identity.as_ref()?.layout.number))
            .max()
            .unwrap_or(0);
        let layout_problem = layout
            .as_ref()
            .and_then(|layout| layout::difference(layout, &config));
        let homes = layout::homes(&config, layout.as_ref());
        let marks = marks_of(&found, id.as_deref());
        let raised_at = RaisedAt::of(marks);
        let mut seen = BTreeMap::new();
        let slots = volumes
            .into_iter()
            .zip(found)
            .map(|((partition, volume), found)| {
                let (state, reason, identity) = match found {
                    Err(error) => (VolumeState::Unreachable, Some(unreachable(&error)), None),
                    Ok(marks) => {
                        let other = seen.insert(marks.place, volume.label().clone());
                        let (state, reason) = match other {
                            Some(other) => (
                                VolumeState::Foreign,
                                Some(format!("it is the same directory as volume {other}")),
                            ),
                            None => judge(
                                &volume,
                                &marks,
                                id.as_deref(),
                                layout.as_ref(),
                                layout_problem.as_deref(),
                                // Alone it has nothing to be made equal to.
                                rolled_back.get(&**volume.label()).filter(|_| {
                                    let partition = config.partition.get(partition);
                                    partition.is_some_and(|p| p.replicas.len() > 1)
                                }),
                            ),
                        };
                        (state, reason, marks.identity)
                    }
                };
                let mark = identity.as_ref();
                let ours = mark.is_some_and(|mark| {
                    Some(&*mark.store) == id.as_deref() && *mark.label == **volume.label()
                });
                Slot {
                    volume,
                    partition,
                    state,
                    reason,
                    identity,
                    ours,
                }
            })
            .collect();
        Self {
            config,
            clock,
            access,
            slots,
            id: id.map(Into::into),
            homes: Arc::new(homes),
            layout: layout.map(Arc::new),
            newest_layout,
            layout_problem: layout_problem.map(Into::into),
            in_bulk: false,
            seat: Arc::default(),
            raised_at,
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
    pub(super) fn require_layout_of(&self, slot: &Slot) -> Result<(), StoreError> {
        let found = slot.volume.run(Lane::Short, |dir, _| Identity::read(dir))?;
        let number = found.map_or(u64::MAX, |found| found.layout.number);
        if number <= self.newest_layout {
            return Ok(());
        }
        Err(StoreError::LayoutDiffers(format!(
            "{} has number {number} by now, this process began with {}",
            slot.label(),
            self.newest_layout
        )))
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

/// The error that says why a slot cannot be used.
pub fn not_usable(slot: &Slot) -> StoreError {
    StoreError::NotUsable {
        label: slot.label().to_owned(),
        path: slot.volume.path().display().to_string(),
        state: slot.state.word(),
        reason: slot.reason.clone().unwrap_or_default(),
    }
}

fn volumes(config: &Config) -> Vec<(usize, Arc<Volume>)> {
    let mut volumes = Vec::new();
    for (index, partition) in config.partition.iter().enumerate() {
        for (number, path) in partition.replicas.iter().enumerate() {
            let label = format!("{}.{}", partition.name, number + 1);
            let volume = Volume::new(&label, path, config.store.volume_timeout);
            volumes.push((index, Arc::new(volume)));
        }
    }
    volumes
}

/// Device and inode: two paths with the same are one directory.
type Place = (u64, u64);

/// What opening learns of one volume.
#[derive(Debug)]
struct Marks {
    identity: Option<Identity>,
    place: Place,
    read_only: bool,
}

fn read_identity(dir: &crate::volume::Dir) -> Result<Marks, VolumeError> {
    use std::os::unix::fs::MetadataExt;

    use crate::volume::At;
    let identity = Identity::read(dir)?;
    crate::volume::fault::point("volume.looked-at").at("read", dir.path())?;
    let metadata = std::fs::metadata(dir.path()).at("read", dir.path())?;
    let read_only = rustix::fs::statvfs(dir.path())
        .at("ask", dir.path())?
        .f_flag
        .contains(rustix::fs::StatVfsMountFlags::RDONLY);
    Ok(Marks {
        identity,
        place: (metadata.dev(), metadata.ino()),
        read_only,
    })
}

/// The marks of this store's volumes.
fn marks_of<'a>(
    found: &'a [Result<Marks, VolumeError>],
    store: Option<&'a str>,
) -> impl Iterator<Item = &'a Identity> + Clone {
    found
        .iter()
        .filter_map(|result| result.as_ref().ok()?.identity.as_ref())
        .filter(move |identity| Some(&*identity.store) == store)
}

/// The id that most volumes carry; among equals the one seen first in label order.
fn store_id(found: &[Result<Marks, VolumeError>]) -> Option<String> {
    let ids = || {
        found
            .iter()
            .filter_map(|result| Some(&result.as_ref().ok()?.identity.as_ref()?.store))
    };
    let mut best: Option<(&String, usize)> = None;
    for id in ids() {
        let count = ids().filter(|other| *other == id).count();
        if best.is_none_or(|(_, most)| count > most) {
            best = Some((id, count));
        }
    }
    best.map(|(id, _)| id.clone())
}

fn judge(
    volume: &Volume,
    marks: &Marks,
    store: Option<&str>,
    layout: Option<&Layout>,
    layout_problem: Option<&str>,
    rolled_back: Option<&(u64, u64)>,
) -> (VolumeState, Option<String>) {
    let (label, path) = (&**volume.label(), volume.path());
    let Some(identity) = &marks.identity else {
        return (
            VolumeState::Unmarked,
            Some(format!(
                "{} has no mark of this store; is it mounted?",
                path.display()
            )),
        );
    };
    let foreign = |reason: String| (VolumeState::Foreign, Some(reason));
    if Some(&*identity.store) != store {
        return foreign(format!(
            "{} belongs to another store ({})",
            path.display(),
            identity.store_name
        ));
    }
    if identity.label != label {
        return foreign(format!(
            "{} is marked as volume {}, the configuration calls it {label}",
            path.display(),
            identity.label
        ));
    }
    if let Some(difference) = layout_problem {
        return foreign(format!("the store's layout differs: {difference}"));
    }
    if marks.read_only {
        return (
            VolumeState::ReadOnly,
            Some(format!("{} is mounted read-only", path.display())),
        );
    }
    let number = layout.map_or(identity.layout.number, |layout| layout.number);
    // One that is ahead waits for a change of the layout to go on; it missed nothing.
    if identity.layout.number < number {
        return (
            VolumeState::Joining,
            Some(format!(
                "its layout is number {}, the store's is {number}; a repair brings it up to date",
                identity.layout.number
            )),
        );
    }
    if let Some((own, seen)) = rolled_back {
        return (
            VolumeState::Joining,
            Some(format!(
                "it was rolled back: its watermark is {own}, the other volumes saw {seen}; a repair \
                 brings it up to date"
            )),
        );
    }
    match identity.state {
        Membership::Active => (VolumeState::Ok, None),
        Membership::Joining => (
            VolumeState::Joining,
            Some("it counts for nothing until a repair of it has finished".to_owned()),
        ),
    }
}

fn unreachable(error: &VolumeError) -> String {
    match error {
        VolumeError::NoAnswer { waited, .. } => format!("no answer for {} s", waited.as_secs()),
        error => error.to_string(),
    }
}

/// Marks every volume of a new store. Existing files stay as they are: adopting moves nothing.
///
/// Refuses a directory that carries a mark already; `init` of the same configuration after a
/// crash goes on where it was, because marks of this run are recognised by the store's id.
pub fn mark_all(config: &Config, clock: &SharedClock) -> Result<String, StoreError> {
    let volumes = volumes(config);
    let mut places = BTreeMap::new();
    for (_, volume) in &volumes {
        std::fs::create_dir_all(volume.path()).map_err(|source| VolumeError::Io {
            action: "create",
            path: volume.path().to_owned(),
            source,
        })?;
        let marks = volume.run(Lane::Short, |dir, _| read_identity(dir))?;
        if let Some(identity) = marks.identity {
            return Err(StoreError::Usage(format!(
                "{} is already volume {} of the store {}; use its configuration",
                volume.path().display(),
                identity.label,
                identity.store_name
            )));
        }
        if let Some(other) = places.insert(marks.place, volume.label().clone()) {
            return Err(StoreError::Usage(format!(
                "{} and {other} are one directory: {}",
                volume.label(),
                volume.path().display()
            )));
        }
    }
    let store = identity::new_id()?;
    let ids: Vec<String> = config
        .partition
        .iter()
        .map(|_| identity::new_id())
        .collect::<Result<_, _>>()?;
    let layout = layout::of(config, 1, &ids);
    let labels = volumes.iter().map(|(_, v)| (v.label().to_string(), 1));
    let watermark = Watermark {
        number: 1,
        at: clock.now().timestamp(),
        others: labels.collect(),
    };
    for (_, volume) in &volumes {
        let identity = Identity {
            schema: 1,
            store: store.clone(),
            store_name: config.store.name.clone(),
            label: volume.label().to_string(),
            instance: identity::new_id()?,
            state: Membership::Active,
            marked_at: identity::stamp(clock.now()),
            mount_point: false,
            watermark: watermark.clone(),
            layout: layout.clone(),
            probe: None,
        };
        volume.run(Lane::Short, move |dir, _| identity.mark(dir))?;
    }
    Ok(store)
}
