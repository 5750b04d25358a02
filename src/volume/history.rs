//! The history of one artifact on one volume: what `versions/` holds of it, and adding to it.
//!
//! A history is found by listing `versions/`, which is shared by all artifacts. Work on many
//! artifacts that keeps other writers out lists it once ([`Dir::index_histories`]).

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    sync::PoisonError,
};

use super::{
    dir::{Dir, Durable, open, rename_new, same_bytes, sync_directory},
    error::{At, VolumeError},
    fault,
    name::ArtifactName,
    record::{Fingerprint, Record},
    version::{self, VersionId, VersionKind},
    worker::Pulse,
};

/// One file of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryFile {
    pub id: VersionId,
    pub kind: VersionKind,
}

/// Every history of a volume, by artifact, in no order.
pub(super) type Index = HashMap<ArtifactName, Vec<HistoryFile>>;

impl Dir {
    /// The history of one artifact, newest first. An archive that is still the same inode as the
    /// current copy belongs to a put that did not finish and is no version.
    pub fn history(&self, name: &ArtifactName) -> Result<Vec<HistoryFile>, VolumeError> {
        let indexed = self.with_index(|index| index.get(name).cloned().unwrap_or_default());
        let mut files = match indexed {
            Some(files) => files,
            None => self.list_history(name)?,
        };
        files.sort_unstable_by(|a, b| b.cmp(a));
        // Only a copy with a second name can be in its own history.
        if let Ok(current) = fs::symlink_metadata(self.copy_path(name))
            && current.nlink() > 1
        {
            files.retain(|file| {
                fs::symlink_metadata(self.version_path(name, file.id, file.kind))
                    .is_ok_and(|metadata| metadata.ino() != current.ino())
            });
        }
        Ok(files)
    }

    fn list_history(&self, name: &ArtifactName) -> Result<Vec<HistoryFile>, VolumeError> {
        let mut files = Vec::new();
        self.each_version_file(|file_name| {
            // Most files are of other artifacts: they cost a comparison.
            if file_name.as_bytes().starts_with(name.as_bytes())
                && let Some((owner, id, kind)) = version::parse_file_name(file_name)
                && owner == *name
            {
                files.push(HistoryFile { id, kind });
            }
        })?;
        Ok(files)
    }

    fn each_version_file(&self, mut each: impl FnMut(&std::ffi::OsStr)) -> Result<(), VolumeError> {
        let directory = self.versions();
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).at("list", &directory),
        };
        for entry in entries {
            each(&entry.at("list", &directory)?.file_name());
        }
        Ok(())
    }

    /// Lists `versions/` once for all artifacts, until [`Dir::forget_histories`]. Only while
    /// `store.lock` is held exclusively: what other hosts of ours add would not be seen. What a
    /// sketch adds meanwhile cannot take an id of ours.
    pub fn index_histories(&self, pulse: &Pulse) -> Result<(), VolumeError> {
        let mut index = Index::new();
        self.each_version_file(|file_name| {
            pulse.beat();
            if let Some((name, id, kind)) = version::parse_file_name(file_name) {
                index
                    .entry(name)
                    .or_default()
                    .push(HistoryFile { id, kind });
            }
        })?;
        *self
            .histories
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(index);
        Ok(())
    }

    pub fn forget_histories(&self) {
        *self
            .histories
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn with_index<T>(&self, use_it: impl FnOnce(&mut Index) -> T) -> Option<T> {
        let mut index = self
            .histories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        index.as_mut().map(use_it)
    }

    /// Keeps the index in step with what is written.
    fn note(&self, name: &ArtifactName, file: HistoryFile) {
        self.with_index(|index| index.entry(name.clone()).or_default().push(file));
    }

    /// Keeps the index in step with what is taken away.
    pub(super) fn forget(&self, name: &ArtifactName, file: HistoryFile) {
        self.with_index(|index| {
            if let Some(files) = index.get_mut(name) {
                files.retain(|other| *other != file);
            }
        });
    }

    /// The record in a `.removed` file.
    pub fn removal(&self, name: &ArtifactName, id: VersionId) -> Option<Record> {
        fs::read_to_string(self.version_path(name, id, VersionKind::Removal))
            .ok()?
            .parse()
            .ok()
    }

    /// The newest removal in a history.
    pub fn newest_removal(&self, name: &ArtifactName, history: &[HistoryFile]) -> Option<Record> {
        history
            .iter()
            .filter(|file| file.kind == VersionKind::Removal)
            .find_map(|file| self.removal(name, file.id))
    }

    /// The quick fingerprint of a version.
    pub fn look_at_version(
        &self,
        name: &ArtifactName,
        id: VersionId,
    ) -> Result<Fingerprint, VolumeError> {
        let path = self.version_path(name, id, VersionKind::Copy);
        let file = open(&path).at("open", &path)?;
        Fingerprint::read(&file).map(|r| r.0).at("read", &path)
    }

    /// Whether the current copy's bytes are in its history: then replacing it loses nothing.
    pub fn is_in_history(&self, name: &ArtifactName, pulse: &Pulse) -> Result<bool, VolumeError> {
        let current = self.copy_path(name);
        for file in self.history(name)? {
            let kept = self.version_path(name, file.id, VersionKind::Copy);
            if file.kind == VersionKind::Copy && same_bytes(&current, &kept, pulse)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps the current copy as version `id`; durable after [`Dir::sync_versions`].
    /// `Ok(None)`: there is nothing to keep, or the newest version holds the same bytes already.
    pub fn archive(
        &self,
        name: &ArtifactName,
        id: VersionId,
        durable: Durable,
        pulse: &Pulse,
    ) -> Result<Option<VersionId>, VolumeError> {
        let current = self.copy_path(name);
        let file = match open(&current) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("open", &current),
        };
        if durable == Durable::Now {
            // A sketch may have written it without any sync: it must be durable before its
            // successor. In bulk the file system is synced as a whole before anything is renamed.
            file.sync_all().at("sync", &current)?;
        }
        fault::point("archive.predecessor-synced").at("sync", &current)?;
        self.ensure_versions()?;
        self.sweep_unfinished(name, &file)?;
        let newest = self
            .history(name)?
            .into_iter()
            .find(|file| file.kind == VersionKind::Copy);
        if let Some(newest) = newest
            && same_bytes(
                &current,
                &self.version_path(name, newest.id, VersionKind::Copy),
                pulse,
            )?
        {
            return Ok(None);
        }
        let target = self.version_path(name, id, VersionKind::Copy);
        match fs::hard_link(&current, &target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(error).at("archive to", &target);
            }
            Err(_) => self.copy_new(&current, &target, pulse)?,
        }
        let kind = VersionKind::Copy;
        self.note(name, HistoryFile { id, kind });
        fault::point("archive.linked").at("archive to", &target)?;
        Ok(Some(id))
    }

    /// Makes what was added to histories durable.
    pub fn sync_versions(&self) -> Result<(), VolumeError> {
        let directory = self.versions();
        match sync_directory(&directory) {
            // Nothing was added to a history that is not there.
            Err(error) if error.is_not_found() => Ok(()),
            result => result,
        }?;
        fault::point("archive.synced").at("sync", &directory)
    }

    /// Adds staged bytes to a history under `id`, never over an existing version; durable after
    /// [`Dir::sync_versions`].
    pub fn publish_version(
        &self,
        staged: &std::path::Path,
        name: &ArtifactName,
        file: HistoryFile,
    ) -> Result<(), VolumeError> {
        self.ensure_versions()?;
        let target = self.version_path(name, file.id, file.kind);
        rename_new(staged, &target).at("archive to", &target)?;
        self.note(name, file);
        Ok(())
    }

    /// Makes a staged `.removed` file visible, durably; it is the removal's commit.
    pub fn publish_removal(
        &self,
        staged: &std::path::Path,
        name: &ArtifactName,
        file: HistoryFile,
    ) -> Result<(), VolumeError> {
        let before = fault::point("remove.before-mark").at("write", staged);
        let published = before.and_then(|()| self.publish_version(staged, name, file));
        if published.is_err() {
            // Nothing else looks for it; the error that is reported is the first one.
            let _ = fs::remove_file(staged);
        }
        published?;
        fault::point("remove.marked").at("write", staged)?;
        self.sync_versions()
    }

    /// Removes an archive that is the current copy itself: the trace of a put that was cut off
    /// between link and rename. Left there, the next in-place save of a sketch would write into it.
    fn sweep_unfinished(&self, name: &ArtifactName, current: &File) -> Result<(), VolumeError> {
        let metadata = current.metadata().at("read", &self.copy_path(name))?;
        if metadata.nlink() < 2 {
            return Ok(());
        }
        for file in self.list_history(name)? {
            let path = self.version_path(name, file.id, file.kind);
            let same = fs::symlink_metadata(&path).is_ok_and(|m| m.ino() == metadata.ino());
            if same && !file.id.is_sketch() {
                fs::remove_file(&path).at("remove", &path)?;
                self.forget(name, file);
            }
        }
        Ok(())
    }
}
