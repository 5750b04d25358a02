//! Whether a plan's bytes find room: none may fill a file system beyond `max_fill`.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt};

use crate::{
    plan::Plan,
    report,
    store::{Store, StoreError},
    volume::{At, Lane},
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
    for need in plan.summary.space.iter().filter(|need| need.needed > 0) {
        let Some(slot) = store.slot(&need.volume) else {
            continue;
        };
        let asked = slot.volume.run(Lane::Short, |dir, _| {
            let metadata = std::fs::metadata(dir.path()).at("read", dir.path())?;
            let stats = fs2::statvfs(dir.path()).at("ask for the free space of", dir.path())?;
            Ok((metadata.dev(), stats.available_space(), stats.total_space()))
        });
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
                needed: report::size(room.needed),
                free: report::size(room.free),
                limit,
            });
        }
    }
    Ok(())
}
