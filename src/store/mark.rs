//! Giving a directory to a store: what is there is shown first, the mark is written last, and the
//! volume only joins. It counts for nothing until a repair of it has finished.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    edit::{self, Edit},
    error::StoreError,
    grid::Store,
    hold, lease,
    slot::Slot,
    state::VolumeState,
    watermark,
};
use crate::volume::{
    At, Identity, Lane, Membership, Pending, Probe, Volume, VolumeError, Watermark, identity,
    listing, mount, probe,
};

/// What an operator sees of a directory before it is marked. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    pub label: String,
    pub path: PathBuf,
    pub file_system: String,
    /// Where the file system comes from: a device or a server's export.
    pub device: String,
    pub mount_point: bool,
    pub total_bytes: u64,
    pub free_bytes: u64,
    pub artifacts: u64,
    pub versions: u64,
    pub other_files: u64,
    /// What the mark there says now.
    pub marked_as: Option<String>,
    /// Why it may not be marked.
    pub refused: Option<String>,
}

impl Candidate {
    /// Looks at the directory of a volume, or at `directory` in its place. Changes nothing.
    pub fn look(store: &Store, label: &str, directory: Option<&Path>) -> Result<Self, StoreError> {
        let slot = slot(store, label)?;
        let path = directory.map_or_else(
            || Ok(slot.volume.path().to_owned()),
            |directory| std::path::absolute(directory).at("find", directory),
        )?;
        let volume = Volume::new(label, &path, store.config().store.volume_timeout);
        let (label, path) = (label.to_owned(), path);
        let mut candidate = volume.run(Lane::Bulk, move |dir, pulse| {
            let identity = Identity::read(dir)?;
            let listing = listing::list(dir, pulse)?;
            let stats = fs2::statvfs(dir.path()).at("ask", dir.path())?;
            Ok(Self {
                label,
                file_system: probe::file_system(dir.path()).unwrap_or_else(|| "unknown".to_owned()),
                device: mount::of(dir.path())
                    .map_or_else(|| "unknown".to_owned(), |mount| mount.source),
                mount_point: identity::is_mount_point(dir.path())?,
                total_bytes: stats.total_space(),
                free_bytes: stats.available_space(),
                artifacts: listing.copies.len() as u64,
                versions: listing.versions.len() as u64,
                other_files: listing.other_count,
                marked_as: identity
                    .map(|i| format!("{} of {} ({})", i.label, i.store_name, i.store)),
                refused: None,
                path,
            })
        })?;
        candidate.refused = candidate.why_not(store);
        Ok(candidate)
    }

    fn why_not(&self, store: &Store) -> Option<String> {
        let Some(id) = store.id() else {
            return Some(
                "no volume of this store can be read; `maifdeck init` makes one".to_owned(),
            );
        };
        if let Some(marked) = &self.marked_as
            && !marked.ends_with(&format!("({id})"))
        {
            return Some(format!(
                "it is marked as volume {marked}; if that store is gone, remove {}",
                self.path.join(crate::volume::dir::OWN).display()
            ));
        }
        let twin = store.slots().iter().find(|slot| {
            slot.label() != self.label
                && slot.state.is_readable()
                && same_directory(slot.volume.path(), &self.path)
        });
        if let Some(twin) = twin {
            return Some(format!("it is the directory of volume {}", twin.label()));
        }
        let mut others = store
            .slots()
            .iter()
            .filter(|slot| slot.label() != self.label)
            .filter_map(|slot| slot.identity.as_ref());
        let expects_mount = others.clone().next().is_some() && others.all(|i| i.mount_point);
        if !self.mount_point && (expects_mount || is_in_fstab(&self.path)) {
            return Some(format!(
                "nothing is mounted at {}, where a mount is expected; mount it first",
                self.path.display()
            ));
        }
        None
    }
}

fn same_directory(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    place(a).is_some() && place(a) == place(b)
}

fn is_in_fstab(path: &Path) -> bool {
    let table = std::fs::read_to_string("/etc/fstab").unwrap_or_default();
    table.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        !line.trim_start().starts_with('#') && words.nth(1).map(Path::new) == Some(path)
    })
}

fn slot<'a>(store: &'a Store, label: &str) -> Result<&'a Slot, StoreError> {
    store.slot(label).ok_or_else(|| StoreError::NotFound {
        kind: "volume",
        what: label.to_owned(),
    })
}

/// Marks an unmarked volume's directory. It joins.
pub fn mark(store: &Store, label: &str) -> Result<(), StoreError> {
    require_unmarked(store, label)?;
    join(store, label, None)
}

/// Refuses for a volume that has a mark already.
pub fn require_unmarked(store: &Store, label: &str) -> Result<(), StoreError> {
    let slot = slot(store, label)?;
    if slot.state != VolumeState::Unmarked {
        return Err(StoreError::Usage(format!(
            "volume {label} is {}, not unmarked; `maifdeck volume replace {label}` gives its place \
             to a new directory",
            slot.state.word()
        )));
    }
    Ok(())
}

/// Gives a volume's place to another directory (or to the same one, emptied or exchanged). It
/// joins; with a directory, the configuration names it from now on.
pub fn replace(store: &Store, label: &str, directory: Option<&Path>) -> Result<(), StoreError> {
    join(store, label, directory)?;
    let Some(directory) = directory else {
        return Ok(());
    };
    let slot = slot(store, label)?;
    let (partition, replica) = label.rsplit_once('.').unwrap_or((label, "1"));
    let mut edit = Edit::of(store.config())?;
    edit.set_replica(partition, replica.parse().unwrap_or(1), directory)?;
    let (text, config) = edit.finish()?;
    let file = config.file.clone().unwrap_or_default();
    tracing::info!(%label, from = %slot.volume.path().display(), "volume replaced");
    edit::write(&file, &text)
}

fn join(store: &Store, label: &str, directory: Option<&Path>) -> Result<(), StoreError> {
    store.require_write()?;
    let candidate = Candidate::look(store, label, directory)?;
    if let Some(why) = candidate.refused {
        return Err(StoreError::NotUsable {
            label: label.to_owned(),
            path: candidate.path.display().to_string(),
            state: "not marked",
            reason: why,
        });
    }
    let (Some(id), Some(layout)) = (store.id(), store.layout()) else {
        return Err(StoreError::Failed(
            "no volume of this store can be read".to_owned(),
        ));
    };
    let replicas = store.replicas(slot(store, label)?.partition).count();
    let identity = Identity {
        schema: 1,
        store: id.to_owned(),
        store_name: store.config().store.name.clone(),
        label: label.to_owned(),
        instance: identity::new_id()?,
        // Where there is no other replica there is nothing to be made equal to: what it held comes
        // back from a backup.
        state: if replicas == 1 {
            Membership::Active
        } else {
            Membership::Joining
        },
        marked_at: identity::stamp(store.clock().now()),
        mount_point: false,
        watermark: Watermark::default(),
        layout: layout.clone(),
        probe: None,
    };
    let volume = Volume::new(label, &candidate.path, store.config().store.volume_timeout);
    // Its lease is there before it can be used.
    let lease = lease::acquire::is_lost_with(store, label).then(|| lease::acquire::anew(store));
    Ok(volume.run(Lane::Short, move |dir, _| {
        if let Some(epoch) = lease {
            lease::file::begin_at(dir, epoch)?;
        }
        identity.mark(dir)
    })?)
}

/// Ends the joining of a volume: its copies count from now on. Refused while too few others answer
/// to know every acknowledged write (together they must overlap with any quorum of writers), unless
/// the operator accepts that what only the missing ones knew is gone.
pub fn admit(store: &Store, label: &str, accept_older: bool) -> Result<(), StoreError> {
    let partition = slot(store, label)?.partition;
    let replicas = store.replicas(partition).count();
    let counting = store
        .replicas(partition)
        .filter(|slot| slot.counts())
        .count();
    let needed = replicas + 1 - store.config().store.write_quorum.of(replicas);
    if counting < needed && !accept_older {
        return Err(StoreError::Changed(format!(
            "{counting} other replicas of its partition answer, {needed} are needed to know what \
             {label} should hold; it stays joining. If the others are gone for good, `maifdeck \
             replicas repair --accept-older` admits it without them"
        )));
    }
    let layout = store
        .layout()
        .cloned()
        .ok_or_else(|| StoreError::Failed("the store has no layout".to_owned()))?;
    let watermark = watermark::caught_up(store);
    rewrite(slot(store, label)?, move |identity| {
        identity.watermark = watermark;
        identity.state = Membership::Active;
        identity.layout = layout;
    })
}

/// Finds out what holds on a volume's file system, and records it.
pub fn probe(store: &Store, label: &str) -> Result<Probe, StoreError> {
    let slot = slot(store, label)?;
    if !slot.is_writable() {
        return Err(slot.not_usable());
    }
    // The mark is rewritten: nobody else may do so meanwhile.
    let _held = hold::hold_jobs(store, &[slot])?;
    let found = slot.volume.run(Lane::Short, |dir, _| probe::probe(dir))?;
    let kept = found.clone();
    rewrite(slot, move |identity| identity.probe = Some(kept))?;
    Ok(found)
}

/// Changes the identity of a volume in one step.
pub fn rewrite(
    slot: &Slot,
    change: impl FnOnce(&mut Identity) + Send + 'static,
) -> Result<(), StoreError> {
    Ok(rewriting(slot, change).wait()?)
}

/// Begins to; several volumes are changed side by side.
pub(super) fn rewriting(
    slot: &Slot,
    change: impl FnOnce(&mut Identity) + Send + 'static,
) -> Pending<()> {
    slot.volume.start(Lane::Short, move |dir, _| {
        let mut identity = Identity::read(dir)?.ok_or_else(|| VolumeError::Bad {
            path: dir.own(identity::FILE),
            problem: "it is gone".to_owned(),
        })?;
        change(&mut identity);
        identity.write(dir)
    })
}
