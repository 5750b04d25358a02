//! The volumes of the grid: who each of them is, and whether it may be used.
//!
//! A volume is used only when its mark carries this store's id, the expected label and our layout.
//! Everything else is shown with its reason, never written and never counted as empty.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    config::Config,
    error::StoreError,
    layout,
    state::VolumeState,
    watermark::{self, RaisedAt},
};
use crate::volume::{
    At, Dir, Identity, Lane, Layout, Membership, Pending, Volume, VolumeError, fault,
};

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
    /// Device and inode of its directory, when it answered.
    pub place: Option<Place>,
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

    /// The error that says why it cannot be used.
    pub fn not_usable(&self) -> StoreError {
        StoreError::NotUsable {
            label: self.label().to_owned(),
            path: self.volume.path().display().to_string(),
            state: self.state.word(),
            reason: self.reason.clone().unwrap_or_default(),
        }
    }
}

/// What one look at all marks tells.
#[derive(Debug)]
pub(super) struct Look {
    /// In label order of the grid: partition by partition, replica by replica.
    pub slots: Vec<Slot>,
    /// The store's id; `None` while no volume is marked.
    pub id: Option<String>,
    /// The layout in force.
    pub layout: Option<Layout>,
    /// The greatest number of a layout.
    pub newest_layout: u64,
    /// In words, in what the layout in force differs from the configuration.
    pub layout_problem: Option<String>,
    pub raised_at: RaisedAt,
}

impl Look {
    /// Waits for no volume longer than its timeout. Each volume comes with the index of its
    /// partition.
    pub fn at(volumes: Vec<(usize, Arc<Volume>)>, config: &Config) -> Self {
        let pending: Vec<_> = volumes
            .iter()
            .map(|(_, volume)| volume.start(Lane::Short, |dir, _| read_identity(dir)))
            .collect();
        let found: Vec<_> = pending.into_iter().map(Pending::wait).collect();
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
            .and_then(|layout| layout::difference(layout, config));
        let marks = marks_of(&found, id.as_deref());
        let raised_at = RaisedAt::of(marks);
        let mut seen = BTreeMap::new();
        let slots = volumes
            .into_iter()
            .zip(found)
            .map(|((partition, volume), found)| {
                let place = found.as_ref().ok().map(|marks| marks.place);
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
                    place,
                    ours,
                }
            })
            .collect();
        Self {
            slots,
            id,
            layout,
            newest_layout,
            layout_problem,
            raised_at,
        }
    }
}

/// The volumes of a configuration, each with the index of its partition.
pub(super) fn volumes(config: &Config) -> Vec<(usize, Arc<Volume>)> {
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
pub type Place = (u64, u64);

/// What opening learns of one volume.
#[derive(Debug)]
pub(super) struct Marks {
    pub identity: Option<Identity>,
    pub place: Place,
    read_only: bool,
}

pub(super) fn read_identity(dir: &Dir) -> Result<Marks, VolumeError> {
    use std::os::unix::fs::MetadataExt;

    let identity = Identity::read(dir)?;
    fault::point("volume.looked-at").at("read", dir.path())?;
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
