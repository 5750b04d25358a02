//! Removing what an unfinished backup left behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::tree;
use crate::volume::{At, LockMode, Pulse, VolumeError, lock};

/// Removes staging directories and their sidecars that nobody holds. Under the directory's lock.
pub(super) fn sweep(directory: &Path, pulse: &Pulse) -> Result<(), VolumeError> {
    for entry in fs::read_dir(directory).at("list", directory)? {
        let entry = entry.at("list", directory)?;
        let name = entry.file_name();
        let Some(text) = name.to_str() else { continue };
        let base = text
            .strip_suffix(".lock")
            .or_else(|| text.strip_suffix(".entries"))
            .unwrap_or(text);
        let Some(id) = tree::staging_id(base.as_ref()) else {
            continue;
        };
        let held = directory.join(tree::staging_lock(id));
        let Ok(_lock) = lock::try_lock(&held, LockMode::Exclusive)? else {
            continue;
        };
        remove_tree(&directory.join(id.staging()), pulse)?;
        remove_files(&[directory.join(format!("{}.entries", id.staging())), held])?;
    }
    Ok(())
}

pub(super) fn remove_tree(root: &Path, pulse: &Pulse) -> Result<(), VolumeError> {
    for entry in walkdir::WalkDir::new(root).contents_first(true) {
        pulse.beat();
        let removed = match entry {
            Ok(entry) if entry.file_type().is_dir() => fs::remove_dir(entry.path()),
            Ok(entry) => fs::remove_file(entry.path()),
            Err(error) => Err(error.into()),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).at("remove", root);
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn remove_files(paths: &[PathBuf]) -> Result<(), VolumeError> {
    for path in paths {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).at("remove", path);
            }
            _ => {}
        }
    }
    Ok(())
}
