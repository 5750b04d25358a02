//! One of the hands that fill a backup: it links, writes and reads back, on threads of its own, so
//! that several work side by side.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};

use super::{base::Link, copy::verify_file, tree::RelPath};
use crate::{
    maif::{Digest, Verdict, Verification},
    progress::Task,
    store::StoreError,
    volume::{At, Lane, Pulse, Volume, VolumeError, fault},
};

#[derive(Debug)]
pub(super) struct Hand {
    volume: Volume,
    root: PathBuf,
    /// Whether each file is made durable by itself.
    each_file: bool,
}

/// How a file is to be, beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dress {
    pub mode: u32,
    pub modified: SystemTime,
}

/// A small file as it was read.
#[derive(Debug)]
pub(super) struct Whole {
    pub target: RelPath,
    pub bytes: Vec<u8>,
    pub dress: Dress,
}

impl Hand {
    pub fn new(volume: Volume, root: &Path, each_file: bool) -> Self {
        Self {
            volume,
            root: root.to_owned(),
            each_file,
        }
    }

    /// Links each file of the backup before that still is what its manifest says; `false` for
    /// those that have to be copied. Their directories are there.
    pub fn link_all(&self, links: Vec<Link>) -> Result<Vec<bool>, StoreError> {
        let root = self.root.clone();
        let linked = self.volume.run(Lane::Bulk, move |_, pulse| {
            let mut linked = Vec::with_capacity(links.len());
            for link in links {
                pulse.beat();
                let target = link.to.under(&root);
                linked.push(link.make(&target));
                fault::point("backup.linked").at("link", &target)?;
            }
            Ok(linked)
        });
        Ok(linked?)
    }

    /// Writes small files and reads them back; `None` for those that are damaged as MAIF, of which
    /// nothing is left.
    pub fn write_all(
        &self,
        files: Vec<Whole>,
        task: &Task,
    ) -> Result<Vec<Option<Digest>>, StoreError> {
        let (root, each_file, task) = (self.root.clone(), self.each_file, task.clone());
        Ok(self.volume.run(Lane::Bulk, move |_, pulse| {
            let write = |whole: &Whole| {
                let path = whole.target.under(&root);
                let file = begin(&path, &whole.bytes)?;
                let found = end(&path, &file, whole.dress, each_file, &task, pulse)?;
                let sha256 = Digest(Sha256::digest(&whole.bytes).into());
                if found.sha256 != sha256 {
                    let problem = "it does not read back as it was written".to_owned();
                    return Err(VolumeError::Bad { path, problem });
                }
                if found.verdict() == Verdict::Damaged {
                    fs::remove_file(&path).at("remove", &path)?;
                    return Ok(None);
                }
                Ok(Some(sha256))
            };
            files.iter().map(write).collect()
        })?)
    }

    /// Creates a file and writes its first bytes.
    pub fn create(&self, path: &RelPath, first: Vec<u8>) -> Result<Arc<File>, StoreError> {
        let path = path.under(&self.root);
        let file = self
            .volume
            .run(Lane::Bulk, move |_, _| begin(&path, &first))?;
        Ok(Arc::new(file))
    }

    /// Writes more bytes at the end.
    pub fn append(
        &self,
        path: &RelPath,
        file: &Arc<File>,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let path = path.under(&self.root);
        let file = Arc::clone(file);
        Ok(self.volume.run(Lane::Bulk, move |_, _| {
            (&*file).write_all(&bytes).at("write", &path)
        })?)
    }

    /// Gives the file its mode and time and reads it back: what it holds, and whether as MAIF it
    /// is intact.
    pub fn finish(
        &self,
        path: &RelPath,
        file: Arc<File>,
        dress: Dress,
        task: &Task,
    ) -> Result<Verification, StoreError> {
        let path = path.under(&self.root);
        let (each_file, task) = (self.each_file, task.clone());
        Ok(self.volume.run(Lane::Bulk, move |_, pulse| {
            end(&path, &file, dress, each_file, &task, pulse)
        })?)
    }

    /// Takes a file away again that turned out wrong.
    pub fn remove(&self, path: &RelPath) -> Result<(), StoreError> {
        let path = path.under(&self.root);
        Ok(self.volume.run(Lane::Bulk, move |_, _| {
            fs::remove_file(&path).at("remove", &path)
        })?)
    }
}

fn begin(path: &Path, first: &[u8]) -> Result<File, VolumeError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .at("create", path)?;
    fault::point("backup.created").at("write", path)?;
    file.write_all(first).at("write", path)?;
    Ok(file)
}

fn end(
    path: &Path,
    file: &File,
    dress: Dress,
    each_file: bool,
    task: &Task,
    pulse: &Pulse,
) -> Result<Verification, VolumeError> {
    file.set_modified(dress.modified)
        .at("set the time of", path)?;
    file.set_permissions(fs::Permissions::from_mode(dress.mode & 0o777))
        .at("set the mode of", path)?;
    if each_file {
        file.sync_all().at("sync", path)?;
    }
    fault::point("backup.copied").at("sync", path)?;
    verify_file(file, path, task, pulse)
}
