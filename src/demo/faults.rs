//! One fault of each kind, planted the way it happens: behind the engine's back.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};

use super::content::ArtifactPlan;
use crate::{
    store::{Slot, Store, StoreError},
    volume::{ArtifactName, At, Durable, Lane, Record, Staged, VersionKind, VolumeError},
};

/// A fault that was planted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted {
    /// An artifact or a volume.
    pub subject: String,
    pub what: String,
}

/// Plants all of them on different artifacts; with few artifacts, as many as there is room for.
pub fn plant(
    store: &Store,
    plans: &[ArtifactPlan],
    now: DateTime<Utc>,
) -> Result<Vec<Planted>, StoreError> {
    // The last partition loses a volume, so other faults keep to the others.
    let last = store.partitions().len().saturating_sub(1);
    let mut pool: Vec<&ArtifactPlan> = plans
        .iter()
        .filter(|plan| store.home(&plan.name) != last)
        .collect();
    let mut take = |with_history: bool| {
        let at = pool
            .iter()
            .position(|plan| (plan.saved_at.len() > 1) == with_history)?;
        Some(pool.remove(at))
    };
    let mut planted = Vec::new();
    let mut note = |name: &ArtifactName, what: String| {
        planted.push(Planted {
            subject: name.to_string(),
            what,
        });
    };
    if let Some(plan) = take(true) {
        let (slot, path) = copy(store, &plan.name, 1)?;
        flip(&path)?;
        note(&plan.name, format!("a flipped bit on {}", slot.label()));
    }
    if let Some(plan) = take(true) {
        let (slot, path) = copy(store, &plan.name, 2)?;
        fs::remove_file(&path).at("remove", &path)?;
        note(&plan.name, format!("no copy on {}", slot.label()));
    }
    if let Some(plan) = take(true) {
        let (slot, path) = copy(store, &plan.name, 0)?;
        make_stale(slot, &plan.name, &path)?;
        note(&plan.name, format!("an older copy on {}", slot.label()));
    }
    if let Some(plan) = take(false) {
        for replica in 0..2 {
            let (slot, _) = copy(store, &plan.name, replica)?;
            diverge(slot, plan, replica, now)?;
        }
        let (slot, path) = copy(store, &plan.name, 2)?;
        fs::remove_file(&path).at("remove", &path)?;
        note(
            &plan.name,
            format!("two contents of one generation, none on {}", slot.label()),
        );
    }
    if let Some(plan) = take(true) {
        let (slot, path) = copy(store, &plan.name, 1)?;
        tear(&path)?;
        note(&plan.name, format!("a torn copy on {}", slot.label()));
    }
    if let Some(plan) = take(false) {
        let to = misplace(store, &plan.name)?;
        note(&plan.name, format!("misplaced: it lies on {to}"));
    }
    if let Some(plan) = take(true) {
        for replica in 0..store.replicas(store.home(&plan.name)).count() {
            let (_, path) = copy(store, &plan.name, replica)?;
            tear(&path)?;
        }
        note(&plan.name, "no intact copy, but intact versions".to_owned());
    }
    let foreign = spare(store, last, b"meeting-notes");
    for slot in store.replicas(store.home(&foreign)) {
        let path = slot.volume.path().join(foreign.file_name());
        fs::write(&path, "not MAIF at all: somebody's notes\n").at("write", &path)?;
    }
    note(&foreign, "a file that is not MAIF".to_owned());
    if let Some(plan) = take(false) {
        let odd = spare(store, last, b"caf\xe9-menu");
        let (_, path) = copy(store, &plan.name, 0)?;
        for slot in store.replicas(store.home(&odd)) {
            let target = slot.volume.path().join(odd.file_name());
            fs::copy(&path, &target).at("copy to", &target)?;
        }
        note(&odd, "a name that is not UTF-8".to_owned());
    }
    if let Some(slot) = store.replicas(last).last() {
        let path = slot.volume.path();
        let aside = path.with_extension("unmounted");
        fs::rename(path, &aside).at("rename", path)?;
        fs::create_dir(path).at("create", path)?;
        planted.push(Planted {
            subject: slot.label().to_owned(),
            what: "an unmarked volume, as an unmounted disk looks".to_owned(),
        });
    }
    Ok(planted)
}

/// A name of this kind whose home is not the last partition.
fn spare(store: &Store, last: usize, kind: &[u8]) -> ArtifactName {
    (0..u32::MAX)
        .filter_map(|n| {
            let number = format!("-{n}");
            let suffix: &[u8] = if n == 0 { b"" } else { number.as_bytes() };
            ArtifactName::existing(&[kind, suffix].concat())
        })
        .find(|name| store.home(name) != last)
        .unwrap_or_else(|| unreachable!("numbers without end"))
}

/// One replica of an artifact's home and the path of the copy there.
fn copy<'a>(
    store: &'a Store,
    name: &ArtifactName,
    replica: usize,
) -> Result<(&'a Slot, PathBuf), StoreError> {
    let slot = store
        .replicas(store.home(name))
        .nth(replica)
        .ok_or_else(|| StoreError::Failed("the playground has too few replicas".to_owned()))?;
    Ok((slot, slot.volume.path().join(name.file_name())))
}

/// Flips one bit in the first block's data, leaving header and footer as they were.
fn flip(path: &Path) -> Result<(), VolumeError> {
    let mut bytes = fs::read(path).at("read", path)?;
    let Some(byte) = bytes.get_mut(444 + 372 + 5) else {
        return Ok(());
    };
    *byte ^= 0x04;
    let flipped = *byte;
    let mut file = fs::File::options()
        .write(true)
        .open(path)
        .at("open", path)?;
    file.seek(SeekFrom::Start(444 + 372 + 5))
        .and_then(|_| file.write_all(&[flipped]))
        .at("write", path)
}

fn tear(path: &Path) -> Result<(), VolumeError> {
    let file = fs::File::options()
        .write(true)
        .open(path)
        .at("open", path)?;
    let size = file.metadata().at("read", path)?.len();
    file.set_len(size * 3 / 5).at("cut", path)
}

/// Puts the newest version back as the current copy, with the record it had.
fn make_stale(slot: &Slot, name: &ArtifactName, path: &Path) -> Result<(), VolumeError> {
    let (name, path) = (name.clone(), path.to_owned());
    slot.volume.run(Lane::Bulk, move |dir, pulse| {
        let newest = dir
            .history(&name)?
            .into_iter()
            .find(|file| file.kind == VersionKind::Copy);
        let Some(newest) = newest else { return Ok(()) };
        let from = dir.version_path(&name, newest.id, VersionKind::Copy);
        fs::remove_file(&path).at("remove", &path)?;
        dir.copy_new(&from, &path, pulse)
    })
}

/// Commits other bytes on one replica only, as the next generation: two hosts that could not see
/// each other.
fn diverge(
    slot: &Slot,
    plan: &ArtifactPlan,
    replica: usize,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (file, _) = plan.write(100 + replica, now)?;
    let path = file.path().to_owned();
    let name = plan.name.clone();
    slot.volume.run(Lane::Bulk, move |dir, pulse| {
        let generation = dir
            .look(&name)?
            .and_then(|found| found.record)
            .map_or(1, |record| record.generation + 1);
        let record = |fingerprint| Record {
            generation,
            nonce: 100 + replica as u64,
            fingerprint,
        };
        let mut source = fs::File::open(&path).at("open", &path)?;
        let staged: Staged = dir.stage(&mut source, Some(&record), Durable::Now, pulse)?;
        dir.publish(&staged, &name)?;
        dir.settle_record(&staged, &name)
    })?;
    Ok(())
}

/// Moves all copies to the next partition; its label.
fn misplace(store: &Store, name: &ArtifactName) -> Result<String, StoreError> {
    let home = store.home(name);
    let other = (home + 1) % store.partitions().len().saturating_sub(1).max(1);
    for (from, to) in store.replicas(home).zip(store.replicas(other)) {
        let from = from.volume.path().join(name.file_name());
        let to = to.volume.path().join(name.file_name());
        fs::rename(&from, &to).at("rename", &from)?;
    }
    Ok(store
        .partitions()
        .get(other)
        .map_or_else(String::new, |p| p.name.clone()))
}
