//! What is mounted where: the type and the options of the file system that holds a path.
//!
//! `statfs` calls every FUSE file system just "fuse"; `/proc/self/mountinfo` says which one it is,
//! and whether an NFS mount keeps its locks to itself. Both decide whether locks taken there bind
//! other hosts.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `ext4`, `nfs4`, `fuse.s3fs` …
    pub kind: String,
    /// Options of the mount and of the file system, comma-separated.
    pub options: String,
    /// The device, or a server's export.
    pub source: String,
}

/// The mount that holds `path`; `None` when the system does not tell.
pub fn of(path: &Path) -> Option<Mount> {
    let path = path.canonicalize().ok()?;
    find(&fs::read_to_string(table()).ok()?, &path)
}

/// The kernel's table. A development build takes another one from `$MAIFDECK_MOUNTS`, so that tests
/// can stand on file systems that are not at hand.
fn table() -> PathBuf {
    let given = std::env::var_os("MAIFDECK_MOUNTS").filter(|_| cfg!(debug_assertions));
    given.map_or_else(|| "/proc/self/mountinfo".into(), PathBuf::from)
}

/// The longest mount point above the path wins; of equal ones the last, which covers the others.
fn find(table: &str, path: &Path) -> Option<Mount> {
    let mut best: Option<(usize, Mount)> = None;
    for line in table.lines() {
        let Some((point, mount)) = parse(line) else {
            continue;
        };
        let depth = Path::new(&point).components().count();
        if path.starts_with(&point) && best.as_ref().is_none_or(|(most, _)| depth >= *most) {
            best = Some((depth, mount));
        }
    }
    best.map(|(_, mount)| mount)
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`, see proc(5).
fn parse(line: &str) -> Option<(OsString, Mount)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(4);
    let point = unescape(left.next()?);
    let own = left.next()?;
    let mut right = right.split(' ');
    let kind = right.next()?.to_owned();
    let source = right.next().unwrap_or_default().to_owned();
    let options = format!("{own},{}", right.next().unwrap_or_default());
    Some((
        point,
        Mount {
            kind,
            options,
            source,
        },
    ))
}

/// Spaces and the like are written as three octal digits.
fn unescape(text: &str) -> OsString {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            bytes.push(byte);
            rest = tail.get(3..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    OsString::from_vec(bytes)
}

impl Mount {
    /// Why locks and links made there may not bind other hosts; `None` when they do.
    pub fn distrust(&self) -> Option<String> {
        if let Some(fuse) = self.kind.strip_prefix("fuse.") {
            // These pass flock and link on to servers that keep them for all clients.
            let coherent = [
                "ceph",
                "ceph-fuse",
                "glusterfs",
                "juicefs",
                "mfs",
                "mfsmount",
            ];
            return (!coherent.contains(&fuse)).then(|| {
                format!(
                    "{} keeps locks to one mount: two hosts can both get the same one",
                    self.kind
                )
            });
        }
        let local: &[&str] = match &*self.kind {
            "fuse" => {
                return Some(
                    "a FUSE file system of unknown kind may keep locks to one mount".into(),
                );
            }
            // Their servers are not asked, or answer without looking.
            "9p" | "virtiofs" | "vboxsf" => {
                return Some(format!("{} keeps locks to one machine", self.kind));
            }
            kind if kind.starts_with("nfs") => &["nolock", "local_lock=all", "local_lock=flock"],
            "cifs" | "smb3" => &["nobrl", "nolock"],
            "lustre" => &["localflock"],
            "gfs2" | "ocfs2" => &["localflocks"],
            _ => &[],
        };
        let found = self.options.split(',').find(|o| local.contains(o))?;
        Some(format!(
            "this {} mount has the option {found}, so its locks bind this host only",
            self.kind
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /mnt/s3 rw,nosuid - fuse.s3fs s3fs rw,user_id=0
31 22 0:41 / /mnt/with\\040space rw - nfs4 server:/x rw,vers=4.2,local_lock=none
32 22 0:42 / /mnt/old rw - nfs server:/y rw,vers=3,nolock,local_lock=all
33 22 0:43 / /mnt/gluster rw - fuse.glusterfs server:/z rw
34 22 0:44 / /mnt/smb rw - cifs //server/a rw,vers=3.1.1
35 22 0:45 / /mnt/smb-local rw - cifs //server/b rw,vers=3.1.1,nobrl
36 22 0:46 / /mnt/guest rw - virtiofs share rw
37 22 0:47 / /mnt/cluster rw - ocfs2 /dev/vdb rw,localflocks
";

    fn distrust(path: &str) -> Option<String> {
        find(TABLE, Path::new(path)).unwrap().distrust()
    }

    #[test]
    fn the_deepest_mount_holds_a_path() {
        assert_eq!(
            find(TABLE, Path::new("/mnt/s3/a")).unwrap().kind,
            "fuse.s3fs"
        );
        assert_eq!(find(TABLE, Path::new("/mnt/s3x")).unwrap().kind, "ext4");
        assert_eq!(
            find(TABLE, Path::new("/mnt/with space/a")).unwrap().kind,
            "nfs4"
        );
    }

    #[test]
    fn mounts_that_keep_their_locks_to_themselves_are_not_trusted() {
        assert_eq!(distrust("/data"), None);
        assert_eq!(distrust("/mnt/with space"), None);
        assert_eq!(distrust("/mnt/gluster"), None);
        assert!(distrust("/mnt/s3").unwrap().contains("fuse.s3fs"));
        assert!(distrust("/mnt/old").unwrap().contains("nolock"));
        assert_eq!(distrust("/mnt/smb"), None);
        assert!(distrust("/mnt/smb-local").unwrap().contains("nobrl"));
        assert!(distrust("/mnt/guest").unwrap().contains("virtiofs"));
        assert!(distrust("/mnt/cluster").unwrap().contains("localflocks"));
    }
}
