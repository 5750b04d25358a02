//! flock(2) on lock files, interoperating with Python's `fcntl.flock` and with `flock(1)`.
//!
//! Only sidecars are ever locked (SMB makes flock mandatory). A lock file is never deleted and its
//! content never trusted: it tells who took the lock last, for the words of a timeout. flock has
//! no queue, so a waiter may be overtaken; it polls until its timeout.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use super::{
    error::{At, VolumeError},
    holders,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    Shared,
    Exclusive,
}

/// A held lock; dropping it gives it back.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Whether our line is in the file.
    signed: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While we still hold it: a line that outlives its lock would name the wrong holder.
        if self.signed {
            let _ = self.file.set_len(0);
        }
    }
}

impl Lock {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Takes the lock if it is free. `Err` inside: who seems to hold it.
pub fn try_lock(path: &Path, mode: LockMode) -> Result<Result<Lock, String>, VolumeError> {
    // Open for writing: NFS grants exclusive locks only to such descriptors. Never truncating:
    // what a holder wrote there is its own.
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .at("open the lock", path)?;
    let taken = match mode {
        LockMode::Shared => fs2::FileExt::try_lock_shared(&file),
        LockMode::Exclusive => fs2::FileExt::try_lock_exclusive(&file),
    };
    match taken {
        Ok(()) => {
            if mode == LockMode::Exclusive {
                // Informative only, so a failure to write it changes nothing.
                let _ = file
                    .set_len(0)
                    .and_then(|()| file.rewind())
                    .and_then(|()| writeln!(file, "{}", holder()));
            }
            Ok(Ok(Lock {
                file,
                path: path.to_owned(),
                signed: mode == LockMode::Exclusive,
            }))
        }
        Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => {
            Ok(Err(name_holder(&line_in(&mut file), path)))
        }
        Err(error) => Err(error).at("lock", path),
    }
}

/// What a lock file says, whatever somebody made of it: no more than a line of ours can be long.
pub fn line_in(file: &mut File) -> String {
    let mut line = Vec::new();
    // What cannot be read says nothing.
    let _ = file.take(LONGEST).read_to_end(&mut line);
    String::from_utf8(line).map_or_else(|_| String::new(), |line| line.trim().to_owned())
}

/// A line of ours is shorter.
const LONGEST: u64 = 1024;

/// Polls until `deadline`; between two tries it sleeps 2 ms, then ever longer up to 50 ms.
pub fn poll<T, E>(
    timeout: Duration,
    mut attempt: impl FnMut() -> Result<Result<T, String>, E>,
) -> Result<Result<T, String>, E> {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(2);
    loop {
        match attempt()? {
            Ok(lock) => return Ok(Ok(lock)),
            Err(holder) if Instant::now() >= deadline => return Ok(Err(holder)),
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Who holds a lock, as well as it can be told. The kernel's word goes before the line in the
/// file: that one may be left from a process that was killed.
fn name_holder(line: &str, path: &Path) -> String {
    name_from(line, &holders::of(path)).unwrap_or_else(|| "a process that left no name".to_owned())
}

/// Who holds a lock, from the line in its file and the processes of this machine that hold it;
/// `None` when neither names anybody.
pub fn name_from(line: &str, here: &[u32]) -> Option<String> {
    // Our own lines are escaped already; of others only what hides nothing is shown.
    let hides = |c: char| c != ' ' && super::name::invisible(c);
    let signed = !line.is_empty() && !line.chars().any(hides);
    if let Some(pid) = here.first() {
        let own = format!("{} pid {pid} ", host());
        if signed && line.starts_with(&own) {
            return Some(line.to_owned());
        }
        let program = holders::program(*pid).unwrap_or_else(|| "a process".to_owned());
        let others = match here.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        return Some(format!("{own}({program}){others}"));
    }
    signed.then(|| line.to_owned())
}

static OPERATION: OnceLock<String> = OnceLock::new();

/// Says once what this process does, for those whom its locks keep waiting: `put doc`.
pub fn set_operation(words: &str) {
    let _ = OPERATION.set(words.to_owned());
}

/// What this process does.
pub fn operation() -> &'static str {
    OPERATION.get().map_or("maifdeck", |words| words)
}

/// This process, in words: `ops-1 pid 123 since 2026-03-11T09:15:00Z (put doc)`.
fn holder() -> String {
    let words: String = crate::volume::name::escape(operation().as_bytes())
        .chars()
        .take(120)
        .collect();
    format!(
        "{} pid {} since {} ({words})",
        host(),
        std::process::id(),
        chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    )
}

/// Lets this process open as many files as the system allows; how many that is.
pub fn raise_open_files() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        limit.current = limit.maximum;
        // Where it is refused, what was allowed before stays.
        let _ = setrlimit(Resource::Nofile, limit);
        limit = getrlimit(Resource::Nofile);
    }
    let current = limit.current.unwrap_or(u64::MAX);
    usize::try_from(current).unwrap_or(usize::MAX)
}

/// Name of this process's user.
pub fn user() -> String {
    std::env::var("USER")
        .ok()
        .filter(|user| !user.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// Name of this machine. A development build takes another one from `$MAIFDECK_HOST`, so that
/// tests can run two hosts on one.
pub fn host() -> String {
    if cfg!(debug_assertions)
        && let Ok(name) = std::env::var("MAIFDECK_HOST")
        && !name.is_empty()
    {
        return name;
    }
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
