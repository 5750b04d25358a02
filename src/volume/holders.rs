//! Which processes of this machine hold a lock file, as the kernel tells it in `/proc/locks`.
//!
//! What a holder wrote into the file is only its word, and it may be dead; the kernel knows. Locks
//! that other machines hold over a network file system do not show here.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path};

use super::lock::LockMode;

/// The processes that hold a flock on this file, shared or exclusive; none when it cannot be told.
pub fn of(path: &Path) -> Vec<u32> {
    let (Ok(metadata), Ok(table)) = (fs::metadata(path), fs::read_to_string("/proc/locks")) else {
        return Vec::new();
    };
    let device = (
        rustix::fs::major(metadata.dev()),
        rustix::fs::minor(metadata.dev()),
    );
    let mut pids: Vec<u32> = table
        .lines()
        .filter_map(entry)
        .filter(|entry| entry.inode == metadata.ino())
        // On overlay and btrfs the table's device is not the one that stat(2) tells.
        .filter(|entry| entry.device == device || has_open(entry.pid, path))
        .map(|entry| entry.pid)
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// The flocks that processes of this machine hold on the file system of `directory`: inode to
/// processes. Empty when it cannot be told.
pub fn beside(directory: &Path) -> BTreeMap<u64, Vec<u32>> {
    let mut held: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    let (Ok(metadata), Ok(table)) = (fs::metadata(directory), fs::read_to_string("/proc/locks"))
    else {
        return held;
    };
    let device = (
        rustix::fs::major(metadata.dev()),
        rustix::fs::minor(metadata.dev()),
    );
    for entry in table.lines().filter_map(entry) {
        if entry.device == device {
            held.entry(entry.inode).or_default().push(entry.pid);
        }
    }
    held
}

/// How a file is locked through this descriptor of a process (`self`: ours); `None` when it is not.
/// Descriptors that were inherited from one another share their lock.
pub fn through(process: &str, descriptor: u32) -> Option<LockMode> {
    let path = format!("/proc/{process}/fdinfo/{descriptor}");
    let text = fs::read_to_string(path).ok()?;
    let locks = text.lines().filter_map(|line| line.strip_prefix("lock:"));
    locks.filter_map(entry).map(|entry| entry.mode).next()
}

/// The name of a program that runs here.
pub fn program(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(super::name::escape(name.trim_end().as_bytes()))
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    mode: LockMode,
    pid: u32,
    device: (u32, u32),
    inode: u64,
}

/// `1: FLOCK  ADVISORY  WRITE 13678 fe:00:10010702 0 EOF`; lines of those who wait have `->`.
fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace().skip(1);
    (words.next()? == "FLOCK").then_some(())?;
    let mode = match words.nth(1)? {
        "READ" => LockMode::Shared,
        _ => LockMode::Exclusive,
    };
    let pid = words.next()?.parse().ok()?;
    let mut place = words.next()?.split(':');
    let mut part = || u32::from_str_radix(place.next()?, 16).ok();
    Some(Entry {
        mode,
        pid,
        device: (part()?, part()?),
        inode: place.next()?.parse().ok()?,
    })
}

fn has_open(pid: u32, path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_understood() {
        assert_eq!(
            entry("1: FLOCK  ADVISORY  WRITE 13678 fe:00:10010702 0 EOF"),
            Some(Entry {
                mode: LockMode::Exclusive,
                pid: 13678,
                device: (0xfe, 0),
                inode: 10_010_702
            })
        );
        assert_eq!(
            entry("2: -> FLOCK  ADVISORY  READ 1 fe:00:1 0 EOF"),
            None,
            "who waits does not hold"
        );
        assert_eq!(
            entry("3: POSIX  ADVISORY  WRITE 1 fe:00:1 0 EOF"),
            None,
            "POSIX locks are another kind"
        );
    }

    #[test]
    fn a_lock_of_ours_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(of(file.path()), Vec::<u32>::new());
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(file.as_file());
        let descriptor = u32::try_from(descriptor).unwrap();
        assert_eq!(through("self", descriptor), None);
        fs2::FileExt::lock_shared(file.as_file()).unwrap();
        assert_eq!(of(file.path()), [std::process::id()]);
        assert_eq!(through("self", descriptor), Some(LockMode::Shared));
        // Another descriptor on the same file holds nothing.
        let other = fs::File::open(file.path()).unwrap();
        let other = std::os::fd::AsRawFd::as_raw_fd(&other);
        assert_eq!(through("self", u32::try_from(other).unwrap()), None);
    }
}
