//! The lease's files, and nothing of its rules. Every function blocks; volumes' workers run them.
//!
//! ```text
//! <control>/.maifdeck/lease/<20-digit N>.json   who won epoch N; written once, by link(2)
//! <control>/.maifdeck/lease/<20-digit N>.beat   its counter, or its last word; in place
//! <control>/.maifdeck/lease.lock                the number of the leader, under flock(2)
//! <volume>/.maifdeck/epoch                      the greatest epoch that committed there
//! ```
//!
//! Only the last two fence, so only they are synced, both before the first commit that stands on
//! them: nobody led an epoch whose other files a crash took away, or everybody sees its counter stand
//! still.
//!
//! Numbers are written in place, in as many bytes as before and in one call, and read through a
//! descriptor opened for the purpose: on NFS that is what makes another client's word be seen.
//!
//! A file that is empty, damaged or no file at all says nothing, and hinders nobody: the rules of
//! [`model`] hold without its word.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{
    holder::Holder,
    model::{self, Beat, Epoch, Sighting},
};
use crate::volume::{
    At, Dir, LockMode, VolumeError,
    dir::{self, OWN, sync_directory},
};

/// Lease files that stay, to name who held the lease lately.
const KEEP: u64 = 16;
/// So much of a file is read, whatever somebody made of it.
const MOST: u64 = 64 << 10;

fn directory(dir: &Dir) -> PathBuf {
    dir.own("lease")
}

/// Path of a volume's epoch.
pub fn epoch_path(dir: &Dir) -> PathBuf {
    dir.own("epoch")
}

/// Path of the file that wins an epoch.
pub fn holder_path(dir: &Dir, epoch: Epoch) -> PathBuf {
    directory(dir).join(format!("{}.json", epoch.digits()))
}

fn beat_path(dir: &Dir, epoch: Epoch) -> PathBuf {
    directory(dir).join(format!("{}.beat", epoch.digits()))
}

/// Path of the lock that commits and new leaders meet at.
pub fn lock_path(dir: &Dir) -> PathBuf {
    dir.own("lease.lock")
}

/// All that one look shows.
#[derive(Debug, Clone, Default)]
pub struct Look {
    pub sighting: Sighting,
    /// Who won the newest epoch.
    pub holder: Option<Holder>,
    /// The number in `lease.lock`, read without the lock.
    pub in_lock: Epoch,
}

/// Looks at the lease. The number in the lock is read first: whoever leads by it has won its epoch
/// before, so what is listed then shows that leader too.
pub fn look(dir: &Dir) -> Result<Look, VolumeError> {
    let path = lock_path(dir);
    let in_lock = match File::open(&path) {
        Ok(file) => read_number(&file).at("read", &path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Epoch(0),
        Err(error) => return Err(error).at("open", &path),
    };
    let epoch = newest(dir)?;
    let (beat, holder) = match epoch {
        Some(epoch) => (read_beat(dir, epoch)?, read_holder(dir, epoch)?),
        None => (Beat::Silent, None),
    };
    Ok(Look {
        sighting: Sighting { epoch, beat },
        holder,
        in_lock,
    })
}

/// The greatest epoch that was ever won here.
pub fn newest(dir: &Dir) -> Result<Option<Epoch>, VolumeError> {
    Ok(entries(dir)?
        .into_iter()
        .filter_map(|(epoch, path)| {
            path.extension()
                .is_some_and(|e| e == "json")
                .then_some(epoch)
        })
        .max())
}

/// Every file whose name begins with an epoch's number.
fn entries(dir: &Dir) -> Result<Vec<(Epoch, PathBuf)>, VolumeError> {
    let directory = directory(dir);
    let list = match fs::read_dir(&directory) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at("list", &directory),
    };
    let mut found = Vec::new();
    for entry in list {
        let path = entry.at("list", &directory)?.path();
        let epoch = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.get(..20))
            .and_then(Epoch::parse);
        found.extend(epoch.map(|epoch| (epoch, path)));
    }
    Ok(found)
}

/// Who won an epoch; `None` when nobody did, or its file is damaged.
pub fn read_holder(dir: &Dir, epoch: Epoch) -> Result<Option<Holder>, VolumeError> {
    let text = read_small(&holder_path(dir, epoch))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// A small file; `None` when there is none.
fn read_small(path: &Path) -> Result<Option<Vec<u8>>, VolumeError> {
    let file = match dir::open(path) {
        Ok(file) => file,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error).at("open", path),
    };
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text).at("read", path)?;
    Ok(Some(text))
}

/// Tries to win an epoch: put if absent. The file is complete before it has its name.
pub fn claim(dir: &Dir, holder: &Holder) -> Result<bool, VolumeError> {
    let directory = directory(dir);
    fs::create_dir_all(&directory).at("create", &directory)?;
    let target = holder_path(dir, holder.epoch);
    let temporary = directory.join(format!("{}-{}.tmp", holder.epoch.digits(), holder.nonce));
    let won = (|| {
        let text = serde_json::to_vec(holder)
            .map_err(io::Error::from)
            .at("write", &temporary)?;
        let mut file = File::create(&temporary).at("create", &temporary)?;
        file.write_all(&text).at("write", &temporary)?;
        drop(file);
        match fs::hard_link(&temporary, &target) {
            Ok(()) => Ok(true),
            // A retransmitted NFS request may find its own link: the nonce tells.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(read_holder(dir, holder.epoch)?
                    .is_some_and(|winner| winner.nonce == holder.nonce))
            }
            // A leader of a greater epoch swept it: ours is taken by then.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).at("link", &target),
        }
    })();
    // The leader's next sweep takes what stays behind.
    let _ = fs::remove_file(&temporary);
    won
}

/// Writes a holder's counter, or its last word.
pub fn write_beat(dir: &Dir, epoch: Epoch, beat: Beat) -> Result<(), VolumeError> {
    let text = match beat {
        Beat::Silent => return Ok(()),
        Beat::Count(count) => format!("{count:020}\n"),
        Beat::Released => format!("{:<20}\n", "released"),
        Beat::Blocked => format!("{:<20}\n", "blocked"),
    };
    let path = beat_path(dir, epoch);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .at("open", &path)?;
    file.write_all_at(text.as_bytes(), 0).at("write", &path)
}

fn read_beat(dir: &Dir, epoch: Epoch) -> Result<Beat, VolumeError> {
    let Some(text) = read_small(&beat_path(dir, epoch))? else {
        return Ok(Beat::Silent);
    };
    let text = String::from_utf8_lossy(&text);
    Ok(match text.trim_end() {
        "released" => Beat::Released,
        "blocked" => Beat::Blocked,
        number => number.parse().map_or(Beat::Silent, Beat::Count),
    })
}

/// Takes `lease.lock` if it is free in this mode, and reads the number through the descriptor
/// that holds it.
pub fn try_lock(dir: &Dir, mode: LockMode) -> Result<Option<(File, Epoch)>, VolumeError> {
    let path = lock_path(dir);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .at("open the lock", &path)?;
    let taken = match mode {
        LockMode::Shared => fs2::FileExt::try_lock_shared(&file),
        LockMode::Exclusive => fs2::FileExt::try_lock_exclusive(&file),
    };
    match taken {
        Ok(()) => {
            let number = read_number(&file).at("read", &path)?;
            Ok(Some((file, number)))
        }
        Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => {
            Ok(None)
        }
        Err(error) => Err(error).at("lock", &path),
    }
}

/// Whether nobody holds `lease.lock`; changes nothing, and counts as held what it cannot try.
pub fn is_lock_free(dir: &Dir) -> bool {
    match File::open(lock_path(dir)) {
        Ok(file) => fs2::FileExt::try_lock_exclusive(&file).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Makes `epoch` the leader's. The caller holds the lock exclusive through `file`. Durable after
/// [`sync_lock`].
pub fn write_lock(dir: &Dir, file: &File, epoch: Epoch) -> Result<(), VolumeError> {
    let text = format!("{}\n", epoch.digits());
    file.write_all_at(text.as_bytes(), 0)
        .at("write", &lock_path(dir))
}

/// Makes the leader's number durable.
pub fn sync_lock(dir: &Dir) -> Result<(), VolumeError> {
    let path = lock_path(dir);
    // A descriptor of its own: one that the lock was taken by would hold it meanwhile.
    File::open(&path)
        .and_then(|file| file.sync_data())
        .at("sync", &path)
}

/// Writes the number from which the lease of a new control volume begins, unless it has one.
pub fn begin_at(dir: &Dir, epoch: Epoch) -> Result<(), VolumeError> {
    let own = dir.path().join(OWN);
    fs::create_dir_all(&own).at("create", &own)?;
    match try_lock(dir, LockMode::Exclusive)? {
        Some((file, Epoch(0))) => {
            write_lock(dir, &file, epoch)?;
            sync_lock(dir)
        }
        _ => Ok(()),
    }
}

fn read_number(file: &File) -> io::Result<Epoch> {
    let mut digits = [0; 20];
    match file.read_exact_at(&mut digits, 0) {
        Ok(()) => {}
        // Not yet written: nobody led.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Epoch(0)),
        Err(error) => return Err(error),
    }
    let number = std::str::from_utf8(&digits).ok().and_then(Epoch::parse);
    if number.is_none() {
        tracing::warn!("a file that should bear an epoch's number bears none");
    }
    Ok(number.unwrap_or_default())
}

/// The greatest epoch that committed on this volume.
pub fn volume_epoch(dir: &Dir) -> Result<Epoch, VolumeError> {
    let path = epoch_path(dir);
    match File::open(&path) {
        Ok(file) => read_number(&file).at("read", &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Epoch(0)),
        Err(error) => Err(error).at("open", &path),
    }
}

/// Raises the volume's epoch to `ours`, durably, unless it is there or beyond; what it was.
pub fn raise(dir: &Dir, ours: Epoch) -> Result<Epoch, VolumeError> {
    let found = volume_epoch(dir)?;
    if found < ours {
        let path = epoch_path(dir);
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .at("open", &path)?;
        let text = format!("{}\n", ours.digits());
        file.write_all_at(text.as_bytes(), 0).at("write", &path)?;
        file.sync_data().at("sync", &path)?;
        if is_new {
            sync_directory(&dir.path().join(OWN))?;
        }
    }
    Ok(found)
}

/// Removes the files of old epochs. Only an established leader may.
pub fn sweep(dir: &Dir, established: Epoch) -> Result<(), VolumeError> {
    let mut failed = Ok(());
    for (epoch, path) in entries(dir)? {
        let left = path.extension().is_some_and(|e| e == "tmp") && epoch < established;
        if left || model::may_sweep(epoch, established, KEEP) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    failed = Err(error).at("remove", &path);
                }
                _ => {}
            }
        }
    }
    failed
}
