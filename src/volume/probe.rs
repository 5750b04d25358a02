//! What holds on a volume's file system, found out by trying it in the staging directory.
//!
//! What is missing turns features off with a reason; nothing is assumed from a name, except that
//! some network file systems answer "yes" to locks that do not hold between two mounts.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::MetadataExt,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    dir::{Dir, rename_new},
    error::{At, VolumeError},
    record,
};

/// One answer a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent answer"
)]
pub struct Probe {
    /// `ext2/ext3/ext4`, `nfs`, `fuse` … or the magic number.
    pub file_system: String,
    pub flock: bool,
    pub exclusive_create: bool,
    pub hard_link: bool,
    pub rename_noreplace: bool,
    pub xattr: bool,
    pub fsync: bool,
    pub folds_case: bool,
}

/// Tries everything in `directory`, which must exist, and leaves nothing behind.
pub fn probe(dir: &Dir) -> Result<Probe, VolumeError> {
    let directory = dir.own(&format!("tmp/probe-{}", std::process::id()));
    fs::create_dir(&directory).at("create", &directory)?;
    let result = probe_in(&directory);
    fs::remove_dir_all(&directory).at("remove", &directory)?;
    result
}

fn probe_in(directory: &Path) -> Result<Probe, VolumeError> {
    let first = directory.join("probe");
    let second = directory.join("probe.link");
    let file = File::create(&first).at("create", &first)?;
    let create_new = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
    let exclusive_create = create_new(&first).is_err();
    let fsync = file.sync_all().is_ok();
    let xattr = rustix::fs::fsetxattr(
        &file,
        record::XATTR,
        b"probe",
        rustix::fs::XattrFlags::empty(),
    )
    .is_ok();
    // Two descriptors of one process exclude each other as two processes do.
    let other = File::options().read(true).write(true).open(&first);
    let flock = fs2::FileExt::try_lock_exclusive(&file).is_ok()
        && other.is_ok_and(|other| fs2::FileExt::try_lock_exclusive(&other).is_err());
    let hard_link = fs::hard_link(&first, &second).is_ok()
        && fs::metadata(&first).is_ok_and(|m| m.nlink() == 2);
    let third = directory.join("third");
    let rename_noreplace =
        create_new(&third).is_ok() && rename_new(&third, &first).is_err() && third.exists();
    let folds_case = directory.join("PROBE").exists();
    Ok(Probe {
        file_system: file_system(directory).unwrap_or_else(|| "unknown".to_owned()),
        flock,
        exclusive_create,
        hard_link,
        rename_noreplace,
        xattr,
        fsync,
        folds_case,
    })
}

/// The type of the file system that holds `path`.
pub fn file_system(path: &Path) -> Option<String> {
    let magic = rustix::fs::statfs(path).ok()?.f_type;
    // Numbers from statfs(2).
    Some(match magic {
        0xef53 => "ext4".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        0x6969 => "nfs".to_owned(),
        0x6573_5546 => "fuse".to_owned(),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "smb".to_owned(),
        0x2fc1_2fc1 => "zfs".to_owned(),
        0x794c_7630 => "overlayfs".to_owned(),
        other => format!("0x{other:x}"),
    })
}
