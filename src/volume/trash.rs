//! The trash of a volume: what jobs replaced or removed, one directory a job, until it is freed.

use std::{fs, io, path::PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    dir::{Dir, sync_directory},
    error::{At, VolumeError},
    fault,
    history::HistoryFile,
    name::ArtifactName,
    version::{self, VersionId, VersionKind},
    worker::Pulse,
};

/// What one job left in the trash of one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashEntry {
    pub job: String,
    pub files: u64,
    pub bytes: u64,
}

/// The id of a job, and the name of its trash: `<YYYYmmdd_HHMMSS.mmm>-<six hex digits>`.
pub fn job_id(now: DateTime<Utc>) -> Result<String, VolumeError> {
    let random = getrandom::u32().map_err(|error| VolumeError::Bad {
        path: "/dev/urandom".into(),
        problem: error.to_string(),
    })?;
    Ok(format!(
        "{}-{:06x}",
        now.format("%Y%m%d_%H%M%S%.3f"),
        random & 0x00ff_ffff
    ))
}

impl TrashEntry {
    /// When the job began: its id says so.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        let (time, _) = self.job.split_once('-')?;
        let time = NaiveDateTime::parse_from_str(time, "%Y%m%d_%H%M%S%.3f").ok()?;
        Some(time.and_utc())
    }
}

impl Dir {
    /// What waits, oldest job first.
    pub fn trash(&self, pulse: &Pulse) -> Result<Vec<TrashEntry>, VolumeError> {
        let directory = self.own("trash");
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).at("list", &directory),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.at("list", &directory)?;
            let Ok(job) = entry.file_name().into_string() else {
                continue;
            };
            let mut waiting = TrashEntry {
                job,
                files: 0,
                bytes: 0,
            };
            for file in walkdir::WalkDir::new(entry.path()) {
                let file = file.map_err(io::Error::from).at("list", &entry.path())?;
                let metadata = file.metadata().map_err(io::Error::from);
                let metadata = metadata.at("read", file.path())?;
                if metadata.is_file() {
                    waiting.files += 1;
                    waiting.bytes += metadata.len();
                }
                pulse.beat();
            }
            found.push(waiting);
        }
        found.sort_by(|a, b| a.job.cmp(&b.job));
        Ok(found)
    }

    /// Frees what a job left; `false`: it was freed before.
    pub fn free_trash(&self, job: &str, pulse: &Pulse) -> Result<bool, VolumeError> {
        let trash = self.own("trash");
        let directory = trash.join(job);
        // A job's id is one plain name; anything else could lead out of the trash.
        if directory.parent() != Some(&trash) || job == ".." {
            return Err(VolumeError::Bad {
                path: directory,
                problem: "not the trash of a job".to_owned(),
            });
        }
        if fs::symlink_metadata(&directory).is_err() {
            return Ok(false);
        }
        for file in walkdir::WalkDir::new(&directory).contents_first(true) {
            let file = file.map_err(io::Error::from).at("list", &directory)?;
            if file.file_type().is_dir() {
                fs::remove_dir(file.path()).at("remove", file.path())?;
            } else {
                fs::remove_file(file.path()).at("remove", file.path())?;
            }
            pulse.beat();
        }
        sync_directory(&trash)?;
        Ok(true)
    }

    /// Keeps the current copy in the trash of `job`; it stays where it is until it is replaced or
    /// unlinked. `false` when there was none.
    pub fn keep_in_trash(
        &self,
        name: &ArtifactName,
        job: &str,
        pulse: &Pulse,
    ) -> Result<bool, VolumeError> {
        let from = self.copy_path(name);
        if fs::symlink_metadata(&from).is_err() {
            return Ok(false);
        }
        let to = self.place_in_trash(job, &name.file_name())?;
        if fs::hard_link(&from, &to).is_err() {
            self.copy_new(&from, &to, pulse)?;
        }
        sync_directory(to.parent().unwrap_or(&to))?;
        Ok(true)
    }

    /// Takes a version out of its history and keeps it in the trash of `job`; durable after
    /// [`Dir::sync_versions`].
    pub fn version_to_trash(
        &self,
        name: &ArtifactName,
        file: HistoryFile,
        job: &str,
    ) -> Result<(), VolumeError> {
        let from = self.version_path(name, file.id, file.kind);
        let Some(file_name) = from.file_name() else {
            return Ok(());
        };
        let to = self.place_in_trash(job, file_name)?;
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.at("keep in the trash", &from)?,
        }
        self.forget(name, file);
        sync_directory(to.parent().unwrap_or(&to))
    }

    /// The copies of versions that a job put into the trash.
    pub fn versions_in_trash(
        &self,
        job: &str,
        pulse: &Pulse,
    ) -> Result<Vec<(ArtifactName, VersionId)>, VolumeError> {
        let directory = self.own("trash").join(job);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).at("list", &directory),
        };
        let mut found = Vec::new();
        for entry in entries {
            let file_name = entry.at("list", &directory)?.file_name();
            if let Some((name, id, VersionKind::Copy)) = version::parse_file_name(&file_name) {
                found.push((name, id));
            }
            pulse.beat();
        }
        Ok(found)
    }

    /// Puts a version back into its history from the trash of `job`; durable after
    /// [`Dir::sync_versions`]. `false`: it is not in the trash.
    pub fn version_from_trash(
        &self,
        name: &ArtifactName,
        id: VersionId,
        job: &str,
    ) -> Result<bool, VolumeError> {
        let file_name = version::file_name(name, id, VersionKind::Copy);
        let from = self.own("trash").join(job).join(file_name);
        if fs::symlink_metadata(&from).is_err() {
            return Ok(false);
        }
        fault::point("versions.return").at("bring back", &from)?;
        let kind = VersionKind::Copy;
        self.publish_version(&from, name, HistoryFile { id, kind })?;
        fault::point("versions.returned").at("bring back", &from)?;
        Ok(true)
    }

    /// A free path in the trash of a job: what it holds already under this name stays.
    pub(super) fn place_in_trash(
        &self,
        job: &str,
        file_name: &std::ffi::OsStr,
    ) -> Result<PathBuf, VolumeError> {
        let directory = self.own("trash").join(job);
        fs::create_dir_all(&directory).at("create", &directory)?;
        let mut path = directory.join(file_name);
        let mut number = 0u32;
        while fs::symlink_metadata(&path).is_ok() {
            number += 1;
            let mut other = file_name.to_owned();
            other.push(format!(".{number}"));
            path = directory.join(other);
        }
        Ok(path)
    }
}
