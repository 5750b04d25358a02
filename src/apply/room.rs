//! Whether a plan's bytes find room: none may fill a file system beyond `max_fill`.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt, path::Path};

use crate::{
    number,
    plan::{Plan, Step},
    store::{Store, StoreError, edit},
    volume::{At, Lane, Volume, VolumeError},
};

/// One file system with the volumes that the plan writes to on it. Sizes in bytes.
#[derive(Debug, Default)]
struct Room {
    volumes: Vec<String>,
    needed: u64,
    free: u64,
    total: u64,
}

/// Refuses a plan that would fill a file system too far. Volumes that share one are taken together;
/// one that cannot be asked is left to the steps.
pub fn require_room(store: &Store, plan: &Plan) -> Result<(), StoreError> {
    let mut rooms: BTreeMap<u64, Room> = BTreeMap::new();
    let new = newcomers(store, plan)?;
    for need in plan.summary.space.iter().filter(|need| need.needed > 0) {
        let asked = match (store.slot(&need.volume), new.get(&need.volume)) {
            (Some(slot), _) => slot.volume.run(Lane::Short, |dir, _| ask(dir.path())),
            (None, Some(volume)) => volume.run(Lane::Short, |dir, _| {
                // One that is yet to be made lies on the file system of what is above it.
                let there = dir.path().ancestors().find(|path| path.is_dir());
                ask(there.unwrap_or(dir.path()))
            }),
            (None, None) => continue,
        };
        let Ok((device, free, total)) = asked else {
            continue;
        };
        let room = rooms.entry(device).or_default();
        room.volumes.push(need.volume.clone());
        room.needed += need.needed;
        (room.free, room.total) = (free, total);
    }
    let limit = store.config().store.max_fill;
    for room in rooms.values() {
        let used = room
            .total
            .saturating_sub(room.free)
            .saturating_add(room.needed);
        if room.needed > room.free
            || u128::from(used) * 100 > u128::from(limit) * u128::from(room.total)
        {
            return Err(StoreError::NoRoom {
                volumes: room.volumes.join(", "),
                needed: number::size(room.needed),
                free: number::size(room.free),
                limit,
            });
        }
    }
    Ok(())
}

/// Device, and free and all bytes.
fn ask(directory: &Path) -> Result<(u64, u64, u64), VolumeError> {
    let metadata = std::fs::metadata(directory).at("read", directory)?;
    let stats = fs2::statvfs(directory).at("ask for the free space of", directory)?;
    Ok((metadata.dev(), stats.available_space(), stats.total_space()))
}

/// The volumes that come with the plan's layout.
fn newcomers(store: &Store, plan: &Plan) -> Result<BTreeMap<String, Volume>, StoreError> {
    let Some(Step::Layout { config, file, .. }) = plan.steps.first() else {
        return Ok(BTreeMap::new());
    };
    let config = edit::parse(config, file)?;
    let mut new = BTreeMap::new();
    for partition in &config.partition {
        for (number, path) in partition.replicas.iter().enumerate() {
            let label = format!("{}.{}", partition.name, number + 1);
            if store.slot(&label).is_none() {
                let volume = Volume::new(&label, path, config.store.volume_timeout);
                new.insert(label, volume);
            }
        }
    }
    Ok(new)
}
