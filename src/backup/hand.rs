//! One of the hands that fill a backup: it links, clones, writes and reads back, on threads of its
//! own, so that several work side by side.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use super::{base::Link, copy::verify_file, proof::Passing, tree::RelPath};
use crate::{
    maif::{Digest, Verdict, Verification},
    progress::{Cancelled, Task},
    store::StoreError,
    volume::{At, Fingerprint, Lane, Volume, VolumeError, fault},
};

#[derive(Debug)]
pub(super) struct Hand {
    volume: Volume,
    root: PathBuf,
    /// Whether each file is made durable by itself.
    each_file: bool,
    /// Set when a clone was refused: most file systems cannot, and none can from another.
    copies: Arc<AtomicBool>,
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
    /// Whose checksum is proof enough.
    pub proof: Option<Fingerprint>,
}

impl Hand {
    pub fn new(volume: Volume, root: &Path, each_file: bool) -> Self {
        Self {
            volume,
            root: root.to_owned(),
            each_file,
            copies: Arc::default(),
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

    /// Writes small files, and reads back those that nothing proves; `None` for those that are
    /// damaged as MAIF, of which nothing is left.
    pub fn write_all(
        &self,
        files: Vec<Whole>,
        task: &Task,
    ) -> Result<Vec<Option<Digest>>, StoreError> {
        let (root, each_file, task) = (self.root.clone(), self.each_file, task.clone());
        Ok(self.volume.run(Lane::Bulk, move |_, pulse| {
            let write = |whole: &Whole| {
                pulse.beat();
                let path = whole.target.under(&root);
                let mut file = begin(&path)?;
                file.write_all(&whole.bytes).at("write", &path)?;
                end(&path, &file, whole.dress, each_file)?;
                let mut passing = Passing::of(whole.bytes.len() as u64);
                passing.pass(&whole.bytes);
                if let Some(print) = whole.proof
                    && let (sha256, true) = passing.end(print)
                {
                    return Ok(Some(sha256));
                }
                let found = verify_file(&file, &path, &task, pulse)?;
                if found.verdict() == Verdict::Damaged {
                    fs::remove_file(&path).at("remove", &path)?;
                    return Ok(None);
                }
                Ok(Some(found.sha256))
            };
            files.iter().map(write).collect()
        })?)
    }

    /// Creates a file; whether it is a clone of the source already, sharing its blocks.
    pub fn create(
        &self,
        path: &RelPath,
        source: &Arc<File>,
    ) -> Result<(Arc<File>, bool), StoreError> {
        let path = path.under(&self.root);
        let (source, copies) = (Arc::clone(source), Arc::clone(&self.copies));
        let (file, cloned) = self.volume.run(Lane::Bulk, move |_, _| {
            let file = begin(&path)?;
            if copies.load(Ordering::Relaxed) {
                return Ok((file, false));
            }
            let cloned = rustix::fs::ioctl_ficlone(&file, &*source).is_ok();
            copies.store(!cloned, Ordering::Relaxed);
            Ok((file, cloned))
        })?;
        Ok((Arc::new(file), cloned))
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

    /// Reads a clone: what it is known by, its digest, and whether its footer's checksum fits.
    pub fn read(
        &self,
        path: &RelPath,
        file: &Arc<File>,
        task: &Task,
    ) -> Result<(Fingerprint, Digest, bool), StoreError> {
        let path = path.under(&self.root);
        let (file, task) = (Arc::clone(file), task.clone());
        Ok(self.volume.run(Lane::Bulk, move |_, pulse| {
            let (print, ..) = Fingerprint::read(&file).at("read", &path)?;
            let mut passing = Passing::of(print.size);
            let goes_on = passing.read(&file, &mut |bytes| {
                pulse.beat();
                task.tick(bytes)
            });
            if goes_on.at("read", &path)?.is_break() {
                return Err(Cancelled.into());
            }
            let (sha256, fits) = passing.end(print);
            Ok((print, sha256, fits))
        })?)
    }

    /// Gives the file its mode and time.
    pub fn finish(&self, path: &RelPath, file: &Arc<File>, dress: Dress) -> Result<(), StoreError> {
        let path = path.under(&self.root);
        let (file, each_file) = (Arc::clone(file), self.each_file);
        Ok(self
            .volume
            .run(Lane::Bulk, move |_, _| end(&path, &file, dress, each_file))?)
    }

    /// Reads the file back: what it holds, and whether as MAIF it is intact.
    pub fn verify(
        &self,
        path: &RelPath,
        file: &Arc<File>,
        task: &Task,
    ) -> Result<Verification, StoreError> {
        let path = path.under(&self.root);
        let (file, task) = (Arc::clone(file), task.clone());
        Ok(self.volume.run(Lane::Bulk, move |_, pulse| {
            verify_file(&file, &path, &task, pulse)
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

fn begin(path: &Path) -> Result<File, VolumeError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .at("create", path)?;
    fault::point("backup.created").at("write", path)?;
    Ok(file)
}

fn end(path: &Path, file: &File, dress: Dress, each_file: bool) -> Result<(), VolumeError> {
    file.set_modified(dress.modified)
        .at("set the time of", path)?;
    file.set_permissions(fs::Permissions::from_mode(dress.mode & 0o777))
        .at("set the mode of", path)?;
    if each_file {
        file.sync_all().at("sync", path)?;
    }
    fault::point("backup.copied").at("sync", path)
}
