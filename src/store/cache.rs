//! The cache of a host far from its store: whole verified artifacts in a local directory.
//!
//! An entry is served only when its size and footer are those of the copy that the store would
//! give now, and only after every byte of it verified again; times play no role. When the store
//! cannot be reached an entry is served and said to be stale, or refused. An entry that is damaged
//! is removed, never served. The cache is never a reason for `get` to fail.

use std::{
    fs::{self, File},
    io,
    ops::ControlFlow,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};

use super::{
    config::{Config, StaleCache},
    error::StoreError,
    fetch::{Fetched, scratch},
    grid::Store,
    judge::{Facts, Judgement, Seen},
    state::CopyState,
};
use crate::{
    maif::{PublicKey, Verdict, verify},
    volume::{
        ArtifactName, At, Fingerprint, LockMode, VolumeError, dir,
        lock::{self, Lock},
    },
};

/// What a cached answer says instead of a volume's label.
pub const CACHE: &str = "the cache";

/// Others hold the cache's lock for the time of copying one artifact.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where an answer came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Store,
    /// The entry is what the store holds now.
    Cache,
    /// The store cannot be reached: this was current when it was cached.
    Stale {
        why: String,
    },
}

/// How much is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub entries: u64,
    pub bytes: u64,
}

/// The cache of one store.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
    max_size: u64,
    stale: StaleCache,
}

impl Cache {
    /// The configured cache; `None` without `[cache]`. Two stores that share its directory do not
    /// see each other's entries.
    pub fn of(config: &Config) -> Option<Self> {
        use std::os::unix::ffi::OsStrExt;
        let cache = config.cache.as_ref()?;
        let mut key = Sha256::new();
        key.update(config.store.name.as_bytes());
        for path in config.partition.iter().flat_map(|p| &p.replicas) {
            key.update([0]);
            key.update(path.as_os_str().as_bytes());
        }
        let key: String = hex::encode(key.finalize()).chars().take(16).collect();
        Some(Self {
            directory: cache.directory.join(key),
            max_size: cache.max_size,
            stale: cache.stale,
        })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn max_size(&self) -> u64 {
        self.max_size
    }

    pub fn stale(&self) -> StaleCache {
        self.stale
    }

    /// Entries and bytes now.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let entries = self.entries()?;
        Ok(Usage {
            entries: entries.len() as u64,
            bytes: entries.iter().map(|entry| entry.size).sum(),
        })
    }

    /// Removes one entry; whether there was one.
    pub fn invalidate(&self, name: &ArtifactName) -> Result<bool, StoreError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Ok(Err(error).at("remove", &path)?),
        }
    }

    /// Removes every entry; how much that was.
    pub fn clear(&self) -> Result<Usage, StoreError> {
        let mut gone = Usage::default();
        if !self.directory.exists() {
            return Ok(gone);
        }
        let _held = self.lock()?;
        for entry in self.entries()? {
            fs::remove_file(&entry.path).at("remove", &entry.path)?;
            gone.entries += 1;
            gone.bytes += entry.size;
        }
        Ok(gone)
    }

    fn path(&self, name: &ArtifactName) -> PathBuf {
        self.directory.join(name.file_name())
    }

    /// The entry, verified, when it is there and `wanted` (if given) is what it is.
    fn read(
        &self,
        name: &ArtifactName,
        wanted: Option<Fingerprint>,
        trusted: &[PublicKey],
    ) -> Result<Option<Fetched>, StoreError> {
        let path = self.path(name);
        let mut entry = match dir::open(&path) {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("open", &path)?,
        };
        let print = Fingerprint::read(&entry).map(|read| read.0);
        if let (Some(wanted), Ok(print)) = (wanted, &print)
            && *print != wanted
        {
            return Ok(None);
        }
        // What is verified are the bytes that are handed on, whatever becomes of the entry.
        let mut file = scratch()?;
        io::copy(&mut entry, &mut file).at("copy", &path)?;
        let verification = verify(&file, trusted, &mut |_| ControlFlow::Continue(()))?;
        if verification.verdict() != Verdict::Intact {
            tracing::warn!(%name, problem = verification.problem(), "a damaged cache entry");
            self.invalidate(name)?;
            return Ok(None);
        }
        // Its last use, for those who need room. A file that cannot be touched is used all the same.
        let _ = File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        Ok(Some(Fetched {
            file,
            verification,
            volume: CACHE.to_owned(),
            path,
        }))
    }

    /// Keeps a verified artifact. What cannot be kept leaves no entry: an older one would be served
    /// as the last that was seen.
    fn keep(&self, name: &ArtifactName, fetched: &Fetched) -> Result<(), StoreError> {
        let size = fetched.verification.size;
        let kept = if size > self.max_size {
            Ok(false)
        } else {
            self.store(name, fetched, size).map(|()| true)
        };
        if !matches!(kept, Ok(true)) {
            self.invalidate(name)?;
        }
        kept.map(|_| ())
    }

    /// Stages an artifact, makes room for it and gives it its name.
    fn store(&self, name: &ArtifactName, fetched: &Fetched, size: u64) -> Result<(), StoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .at("create", &self.directory)?;
        let _held = self.lock()?;
        self.sweep()?;
        self.make_room(size, name)?;
        let mut staged = tempfile::Builder::new()
            .prefix(STAGED)
            .tempfile_in(&self.directory)
            .at("create a file in", &self.directory)?;
        let copied = fetched.copy_to(&mut staged).at("write", staged.path())?;
        if copied != size {
            return Err(StoreError::Failed(format!(
                "{copied} bytes reached the cache instead of {size}"
            )));
        }
        staged.as_file().sync_all().at("sync", staged.path())?;
        let path = self.path(name);
        staged
            .persist(&path)
            .map_err(|error| error.error)
            .at("rename to", &path)?;
        Ok(())
    }

    /// Removes what was used longest ago until `size` more bytes fit.
    fn make_room(&self, size: u64, name: &ArtifactName) -> Result<(), StoreError> {
        let replaced = self.path(name);
        let mut entries = self.entries()?;
        entries.retain(|entry| entry.path != replaced);
        entries.sort_by_key(|entry| entry.used);
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        for entry in entries {
            if total + size <= self.max_size {
                break;
            }
            fs::remove_file(&entry.path).at("remove", &entry.path)?;
            total -= entry.size;
        }
        Ok(())
    }

    /// Removes what a crash left staged. Who stages holds the lock, so all of it is left.
    fn sweep(&self) -> Result<(), StoreError> {
        for path in self.list()? {
            let left = path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(STAGED));
            if left {
                fs::remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<PathBuf>, VolumeError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).at("list", &self.directory),
        };
        entries
            .map(|entry| Ok(entry.at("list", &self.directory)?.path()))
            .collect()
    }

    fn entries(&self) -> Result<Vec<Entry>, VolumeError> {
        let mut entries = Vec::new();
        for path in self.list()? {
            if path.extension().is_none_or(|e| e != "maif") {
                continue;
            }
            // Another process may have removed it just now.
            if let Ok(metadata) = fs::metadata(&path) {
                entries.push(Entry {
                    path,
                    size: metadata.len(),
                    used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                });
            }
        }
        Ok(entries)
    }

    fn lock(&self) -> Result<Lock, StoreError> {
        let path = self.directory.join(".lock");
        lock::poll(PATIENCE, || lock::try_lock(&path, LockMode::Exclusive))?.map_err(|holder| {
            StoreError::Locked {
                what: format!("the cache ({})", path.display()),
                holder,
            }
        })
    }
}

/// Names of files that are being written; no artifact's name begins with a dot.
const STAGED: &str = ".staged-";

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

impl Store {
    /// The current copy, from the cache where one is configured and it is as good.
    pub fn get(&self, name: &ArtifactName) -> Result<(Fetched, Origin), StoreError> {
        let Some(cache) = Cache::of(self.config()) else {
            return Ok((self.fetch(name)?, Origin::Store));
        };
        self.require_same_layout()?;
        let (facts, judgement) = self.judge(name);
        if let Some(print) = current(&facts, &judgement) {
            let cached = cache.read(name, Some(print), &self.trusted()?);
            if let Some(cached) = harmless(cached).flatten() {
                return Ok((cached, Origin::Cache));
            }
        }
        match self.fetch(name) {
            Ok(fetched) => {
                harmless(cache.keep(name, &fetched));
                Ok((fetched, Origin::Store))
            }
            Err(error) if cannot_tell(&facts, &judgement) => {
                if cache.stale == StaleCache::Refuse {
                    return Err(error);
                }
                match harmless(cache.read(name, None, &self.trusted()?)).flatten() {
                    Some(cached) => Ok((
                        cached,
                        Origin::Stale {
                            why: error.to_string(),
                        },
                    )),
                    None => Err(error),
                }
            }
            Err(error) => {
                if matches!(error, StoreError::NotFound { .. }) {
                    harmless(cache.invalidate(name));
                }
                Err(error)
            }
        }
    }

    /// Fetches the current copy into the cache, whatever it holds.
    pub fn refresh(&self, cache: &Cache, name: &ArtifactName) -> Result<Fetched, StoreError> {
        let fetched = self.fetch(name).inspect_err(|error| {
            if matches!(error, StoreError::NotFound { .. }) {
                harmless(cache.invalidate(name));
            }
        })?;
        cache.keep(name, &fetched)?;
        Ok(fetched)
    }
}

/// What the store's reference copy looks like.
fn current(facts: &[Facts], judgement: &Judgement) -> Option<Fingerprint> {
    let reference = judgement.reference.as_ref()?;
    facts.iter().find_map(|fact| match fact.seen {
        Seen::File(file) if fact.volume == reference.volume => Some(file.fingerprint),
        _ => None,
    })
}

/// Whether what was found leaves open that a replica which does not answer holds the artifact.
fn cannot_tell(facts: &[Facts], judgement: &Judgement) -> bool {
    let silent = facts.iter().any(|fact| fact.seen == Seen::Unreachable);
    let found = judgement.copies.contains(&CopyState::Ok);
    silent && !found && !judgement.removed
}

/// A cache that fails is a slow cache: the failure is logged and the store asked.
fn harmless<T>(result: Result<T, StoreError>) -> Option<T> {
    result
        .inspect_err(|error| tracing::warn!(%error, "the cache cannot be used"))
        .ok()
}
