//! What a volume holds, from its directory listings: current copies, histories, the rest.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    dir::{Dir, OWN, VERSIONS},
    error::{At, VolumeError},
    name::ArtifactName,
    version::{self, VersionId, VersionKind},
    worker::Pulse,
};

/// What `stat` shows of a file beside its size. As long as it stays, so did the bytes, unless they
/// were written within the grain of time stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stamp {
    pub inode: u64,
    /// Modification and change time in nanoseconds since 1970.
    pub modified: i64,
    pub changed: i64,
}

/// Time stamps may be as coarse as this.
const GRAIN: u64 = 2_000_000_000;

impl Stamp {
    pub fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a change after `time` (seconds since 1970) would show in it. A stamp from a clock that
    /// is ahead tells nothing about this; it is taken as it is.
    pub const fn is_settled(&self, time: i64) -> bool {
        let time = time.saturating_mul(1_000_000_000);
        self.modified.abs_diff(time) > GRAIN && self.changed.abs_diff(time) > GRAIN
    }

    /// Modification time, seconds since 1970.
    pub const fn modified_seconds(&self) -> i64 {
        self.modified.div_euclid(1_000_000_000)
    }
}

/// A current copy as `stat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyEntry {
    pub name: ArtifactName,
    pub size: u64,
    pub stamp: Stamp,
}

/// A version as `stat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    pub name: ArtifactName,
    pub id: VersionId,
    pub kind: VersionKind,
    pub size: u64,
    pub modified: i64,
}

/// One volume's listing, sorted by name (versions: by name, then newest first).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    pub copies: Vec<CopyEntry>,
    pub versions: Vec<VersionEntry>,
    pub trash_bytes: u64,
    /// Names of what is neither a copy nor a lock nor ours; the first few.
    pub other: Vec<String>,
    pub other_count: u64,
}

/// At most this many names of other files are kept.
const OTHER_KEPT: usize = 8;

/// Lists the volume. Takes no lock and writes nothing.
pub fn list(dir: &Dir, pulse: &Pulse) -> Result<Listing, VolumeError> {
    let mut listing = Listing::default();
    let mut inodes = std::collections::HashSet::new();
    for_each_entry(dir.path(), pulse, &mut |entry| {
        let file_name = entry.file_name();
        let bytes = std::os::unix::ffi::OsStrExt::as_bytes(file_name.as_os_str());
        if bytes == OWN.as_bytes() || bytes == VERSIONS.as_bytes() {
            return Ok(());
        }
        let kind = entry.file_type().at("read", &entry.path())?;
        match ArtifactName::of_file(&file_name) {
            Some(name) if kind.is_file() => {
                if let Some(metadata) = stat(entry)? {
                    if metadata.nlink() > 1 {
                        inodes.insert(metadata.ino());
                    }
                    listing.copies.push(CopyEntry {
                        name,
                        size: metadata.len(),
                        stamp: Stamp::of(&metadata),
                    });
                }
            }
            _ if kind.is_file() && bytes.ends_with(b".maif.lock") => {}
            _ => {
                listing.other_count += 1;
                if listing.other.len() < OTHER_KEPT {
                    listing.other.push(super::name::escape(bytes));
                }
            }
        }
        Ok(())
    })?;
    let unfinished = |_: &ArtifactName, inode| inodes.contains(&inode);
    listing.versions = versions(dir, pulse, &unfinished, &mut listing.other_count)?;
    let trash = dir.own("trash");
    listing.trash_bytes = walkdir::WalkDir::new(&trash)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    listing.copies.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

/// Lists the histories alone, in the order of a whole listing.
pub fn histories(dir: &Dir, pulse: &Pulse) -> Result<Vec<VersionEntry>, VolumeError> {
    let unfinished = |name: &ArtifactName, inode| {
        fs::symlink_metadata(dir.copy_path(name)).is_ok_and(|copy| copy.ino() == inode)
    };
    versions(dir, pulse, &unfinished, &mut 0)
}

/// What is in `versions/`. An archive that still is the current copy, which `unfinished` tells of
/// one with several names by its inode, belongs to an unfinished put.
fn versions(
    dir: &Dir,
    pulse: &Pulse,
    unfinished: &dyn Fn(&ArtifactName, u64) -> bool,
    other: &mut u64,
) -> Result<Vec<VersionEntry>, VolumeError> {
    let mut found = Vec::new();
    let listed = for_each_entry(&dir.versions(), pulse, &mut |entry| {
        let Some((name, id, kind)) = version::parse_file_name(&entry.file_name()) else {
            *other += 1;
            return Ok(());
        };
        if let Some(metadata) = stat(entry)?
            && !(metadata.nlink() > 1 && unfinished(&name, metadata.ino()))
        {
            found.push(VersionEntry {
                name,
                id,
                kind,
                size: metadata.len(),
                modified: metadata.mtime(),
            });
        }
        Ok(())
    });
    match listed {
        Err(error) if !error.is_not_found() => return Err(error),
        _ => {}
    }
    found.sort_unstable_by(|a, b| (&a.name, b.id, b.kind).cmp(&(&b.name, a.id, a.kind)));
    Ok(found)
}

/// Modification times of the directories whose change means that names came or went: current copies,
/// versions, what waits in the trash.
pub fn directory_times(dir: &Dir) -> Result<[i64; 3], VolumeError> {
    let time = |path: &Path| match fs::metadata(path) {
        Ok(metadata) => Ok(nanos(metadata.mtime(), metadata.mtime_nsec())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).at("read", path),
    };
    Ok([
        time(dir.path())?,
        time(&dir.versions())?,
        time(&dir.own("trash"))?,
    ])
}

fn for_each_entry(
    directory: &Path,
    pulse: &Pulse,
    each: &mut dyn FnMut(&fs::DirEntry) -> Result<(), VolumeError>,
) -> Result<(), VolumeError> {
    for entry in fs::read_dir(directory).at("list", directory)? {
        each(&entry.at("list", directory)?)?;
        pulse.beat();
    }
    Ok(())
}

/// `None`: gone since it was listed.
fn stat(entry: &fs::DirEntry) -> Result<Option<fs::Metadata>, VolumeError> {
    match entry.metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", &entry.path()),
    }
}

pub const fn nanos(seconds: i64, nanoseconds: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// Size and stamp of these copies; `None` for one that is not there.
pub fn stat_copies(dir: &Dir, names: &[ArtifactName], pulse: &Pulse) -> Vec<Option<(u64, Stamp)>> {
    names
        .iter()
        .map(|name| {
            pulse.beat();
            let metadata = fs::symlink_metadata(dir.copy_path(name)).ok()?;
            Some((metadata.len(), Stamp::of(&metadata)))
        })
        .collect()
}
