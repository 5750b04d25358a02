//! A directory that is to become a volume, as an operator sees it before it is marked: where it lies,
//! what it holds, and why it may not be marked. Nothing is changed.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{error::StoreError, grid::Store, mark};
use crate::volume::{At, Identity, Lane, Volume, identity, listing, mount, probe};

/// What is there. Sizes in bytes.
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
    /// Device and inode of the directory, or of the one that it will be made in.
    #[serde(skip)]
    pub place: (u64, u64),
    /// Whether it lies on the file system of `/`.
    #[serde(skip)]
    on_root: bool,
}

impl Candidate {
    /// Looks at the directory of a volume, or at `directory` in its place.
    pub fn look(store: &Store, label: &str, directory: Option<&Path>) -> Result<Self, StoreError> {
        let slot = mark::slot(store, label)?;
        let path = directory.map_or_else(
            || Ok(slot.volume.path().to_owned()),
            |directory| std::path::absolute(directory).at("find", directory),
        )?;
        let mut candidate = Self::at(store, label, &path, &path)?;
        candidate.refused = candidate.why_not(store);
        Ok(candidate)
    }

    /// Looks at the directory of a volume that comes with a layout. It may be yet to be made; for a
    /// new partition it has to be empty, since its volumes count at once.
    pub fn newcomer(
        store: &Store,
        label: &str,
        path: &Path,
        is_new_partition: bool,
    ) -> Result<Self, StoreError> {
        let there = path.ancestors().find(|path| path.is_dir()).unwrap_or(path);
        let mut candidate = Self::at(store, label, path, there)?;
        candidate.refused = candidate.why_not(store).or_else(|| {
            let held = candidate.artifacts + candidate.versions;
            (is_new_partition && held > 0).then(|| {
                format!(
                    "it holds {} artifacts and {} versions already, and a new partition begins \
                     empty; move them aside, and `maifdeck put` what is wanted of them",
                    candidate.artifacts, candidate.versions
                )
            })
        });
        Ok(candidate)
    }

    /// `there`: the directory itself, or what it will be made in.
    fn at(store: &Store, label: &str, path: &Path, there: &Path) -> Result<Self, StoreError> {
        let volume = Volume::new(label, there, store.config().store.volume_timeout);
        let (label, path, is_made) = (label.to_owned(), path.to_owned(), there == path);
        let candidate = volume.run(Lane::Bulk, move |dir, pulse| {
            let (identity, listing) = if is_made {
                (Identity::read(dir)?, listing::list(dir, pulse)?)
            } else {
                (None, listing::Listing::default())
            };
            let stats = fs2::statvfs(dir.path()).at("ask", dir.path())?;
            let metadata = fs::metadata(dir.path()).at("read", dir.path())?;
            Ok(Self {
                label,
                file_system: probe::file_system(dir.path()).unwrap_or_else(|| "unknown".to_owned()),
                device: mount::of(dir.path())
                    .map_or_else(|| "unknown".to_owned(), |mount| mount.source),
                mount_point: is_made && identity::is_mount_point(dir.path())?,
                total_bytes: stats.total_space(),
                free_bytes: stats.available_space(),
                artifacts: listing.copies.len() as u64,
                versions: listing.versions.len() as u64,
                other_files: listing.other_count,
                marked_as: identity
                    .map(|i| format!("{} of {} ({})", i.label, i.store_name, i.store)),
                refused: None,
                path,
                place: (metadata.dev(), metadata.ino()),
                on_root: Some(metadata.dev()) == root_device(),
            })
        })?;
        Ok(candidate)
    }

    /// Refuses when it may not be marked.
    pub fn require(&self) -> Result<(), StoreError> {
        match &self.refused {
            None => Ok(()),
            Some(why) => Err(StoreError::NotUsable {
                label: self.label.clone(),
                path: self.path.display().to_string(),
                state: "not marked",
                reason: why.clone(),
            }),
        }
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
        let others = || {
            let slots = store.slots().iter();
            slots.filter(|slot| slot.label() != self.label)
        };
        let is_made = |twin: &&super::Slot| twin.place == Some(self.place) && self.path.is_dir();
        if let Some(twin) = others().find(is_made) {
            return Some(format!("it is the directory of volume {}", twin.label()));
        }
        let root = root_device();
        let mounts: Vec<Mounted> = others()
            .filter_map(|slot| {
                Some(Mounted {
                    point: slot.identity.as_ref()?.mount_point,
                    on_root: Some(slot.place?.0) == root,
                })
            })
            .collect();
        let own = Mounted {
            point: self.mount_point,
            on_root: self.on_root,
        };
        if expects_mount(&mounts, own) || waits_for_fstab(&self.path) {
            return Some(format!(
                "nothing is mounted at {}, where a mount is expected; mount it first",
                self.path.display()
            ));
        }
        None
    }
}

/// What is known of a volume's mount.
#[derive(Debug, Clone, Copy)]
struct Mounted {
    /// It is the top of a file system of its own.
    point: bool,
    /// It lies on the file system of `/`.
    on_root: bool,
}

/// Whether a volume should have something mounted, since all others do: at its directory, or above
/// it.
fn expects_mount(others: &[Mounted], own: Mounted) -> bool {
    let all = |is: fn(&Mounted) -> bool| !others.is_empty() && others.iter().all(is);
    (all(|other| other.point) && !own.point) || (all(|other| !other.on_root) && own.on_root)
}

fn root_device() -> Option<u64> {
    fs::metadata("/").ok().map(|metadata| metadata.dev())
}

/// Whether `/etc/fstab` mounts something at this directory or above it that is not mounted now.
fn waits_for_fstab(path: &Path) -> bool {
    let table = fs::read_to_string("/etc/fstab").unwrap_or_default();
    table.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let point = words.nth(1).filter(|_| !line.trim_start().starts_with('#'));
        point.map(Path::new).is_some_and(|point| {
            point != Path::new("/")
                && path.starts_with(point)
                && !identity::is_mount_point(point).unwrap_or(false)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_expected_where_all_others_have_one() {
        let mounted = |point, on_root| Mounted { point, on_root };
        let (disk, below, root) = (
            mounted(true, false),
            mounted(false, false),
            mounted(false, true),
        );
        // Volumes that are mounts of their own, or directories on one.
        assert!(expects_mount(&[disk, disk], root));
        assert!(expects_mount(&[disk, disk], below));
        assert!(expects_mount(&[below, disk], root));
        assert!(!expects_mount(&[below, disk], below));
        // All on the system's disk: nothing says that this one should not be.
        assert!(!expects_mount(&[root, disk], root));
        assert!(!expects_mount(&[], root));
    }
}
