//! Which copies were read to the last byte, when, and what was found: remembered on this host from
//! one survey to the next, by volume, name and stamp.
//!
//! A memory, not a proof: bytes can rot under an unchanged stamp. So it is shown as "checked deep,
//! then and then", and a scrub trusts it only when it is told to.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{CopyState, Survey};
use crate::{
    local,
    maif::Digest,
    store::Store,
    volume::{ArtifactName, At, VolumeError, listing::Stamp},
};

/// What was found when a copy was read to the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub size: u64,
    pub stamp: Stamp,
    /// Seconds since 1970.
    pub at: i64,
    /// `None`: it was damaged.
    pub sha256: Option<Digest>,
}

/// Everything remembered of one store.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// By instance of the volume, which is new when a volume is replaced.
    volumes: HashMap<String, HashMap<ArtifactName, Check>>,
}

/// One line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    volume: String,
    name: ArtifactName,
    check: Check,
}

impl Checked {
    /// What is remembered of a copy, as long as it is the same file.
    pub fn get(
        &self,
        instance: &str,
        name: &ArtifactName,
        size: u64,
        stamp: Stamp,
    ) -> Option<Check> {
        let check = self.volumes.get(instance)?.get(name)?;
        (check.size == size && check.stamp == stamp).then_some(*check)
    }

    /// Remembers a check; what was remembered of the copy before is returned.
    pub fn note(&mut self, instance: &str, name: &ArtifactName, check: Check) -> Option<Check> {
        let volume = self.volumes.entry(instance.to_owned()).or_default();
        volume.insert(name.clone(), check)
    }

    /// Remembers what a survey of level deep found.
    pub fn note_survey(&mut self, survey: &Survey, store: &Store) {
        for artifact in &survey.artifacts {
            for copy in &artifact.copies {
                let slot = store.slots().get(usize::from(copy.volume.0));
                let instance = slot.and_then(|slot| slot.identity.as_ref());
                let read = copy.sha256.is_some() && copy.checked_at == survey.at.timestamp();
                let (Some(identity), Some(size), true) = (instance, copy.size, read) else {
                    continue;
                };
                let check = Check {
                    size,
                    stamp: copy.stamp,
                    at: copy.checked_at,
                    sha256: copy.sha256.filter(|_| copy.state != CopyState::Corrupt),
                };
                self.note(&identity.instance, &artifact.name, check);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.volumes.is_empty()
    }

    /// When what is remembered of a store was last saved.
    pub fn saved_at(store: &str) -> Option<SystemTime> {
        fs::metadata(file(store)?).ok()?.modified().ok()
    }

    /// Reads what this host remembers of a store. What cannot be read is not remembered.
    pub fn load(store: &str) -> Self {
        let Some(path) = file(store) else {
            return Self::default();
        };
        let mut checked = Self::default();
        let lines = match fs::File::open(&path) {
            Ok(file) => BufReader::new(file).lines(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, path = %path.display(), "earlier checks are forgotten");
                }
                return checked;
            }
        };
        for line in lines.map_while(Result::ok) {
            if let Ok(line) = serde_json::from_str::<Line>(&line) {
                checked.note(&line.volume, &line.name, line.check);
            }
        }
        checked
    }

    /// Remembers it for the next survey.
    pub fn save(&self, store: &str) -> Result<(), VolumeError> {
        let Some(path) = file(store) else {
            return Ok(());
        };
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).at("create", parent)?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut out = BufWriter::new(fs::File::create(&temporary).at("create", &temporary)?);
        for (volume, checks) in &self.volumes {
            for (name, check) in checks {
                let line = Line {
                    volume: volume.clone(),
                    name: name.clone(),
                    check: *check,
                };
                serde_json::to_writer(&mut out, &line)
                    .map_err(io::Error::from)
                    .and_then(|()| out.write_all(b"\n"))
                    .at("write", &temporary)?;
            }
        }
        out.flush().at("write", &temporary)?;
        fs::rename(&temporary, &path).at("rename to", &path)
    }
}

fn file(store: &str) -> Option<PathBuf> {
    Some(local::directory()?.join(format!("checked-{store}.jsonl")))
}
