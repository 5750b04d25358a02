//! Who a volume is: `.maifdeck/volume.toml`, and the layout that it carries.
//!
//! A directory without it is *unmarked*; an unmounted mount point looks just like that, so such a
//! directory is shown, never written and never counted as empty.

use std::{collections::BTreeMap, fs, io, os::unix::fs::MetadataExt, path::Path};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{
    dir::{Dir, OWN},
    error::{At, VolumeError},
    probe::Probe,
};

/// File name below `.maifdeck`.
pub const FILE: &str = "volume.toml";

/// What every host of a store has to agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Grows with every change.
    pub number: u64,
    /// False while a change of it still moves artifacts.
    #[serde(default = "yes")]
    pub sealed: bool,
    pub placement: String,
    pub write_quorum: String,
    pub control: String,
    pub leases: bool,
    pub partition: Vec<LayoutPartition>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutPartition {
    pub name: String,
    /// Stable: placement by rendezvous keys by it, so a partition may be renamed.
    pub id: String,
    pub weight: f64,
    pub replicas: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Membership {
    Active,
    /// Written to, but no reference and no part of a quorum until a repair has finished.
    Joining,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub schema: u32,
    /// Id of the store, 32 hexadecimal digits.
    pub store: String,
    pub store_name: String,
    pub label: String,
    /// Of this directory: a volume that is replaced gets a new one.
    pub instance: String,
    pub state: Membership,
    pub marked_at: String,
    /// Whether something was mounted here when it was marked.
    #[serde(default)]
    pub mount_point: bool,
    /// What tells a volume that was rolled back.
    #[serde(default)]
    pub watermark: Watermark,
    pub layout: Layout,
    pub probe: Option<Probe>,
}

/// A number that only grows, and what the volume noted of the others'.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    pub number: u64,
    /// When it was raised, in seconds since 1970, by the clock of the host that did.
    pub at: i64,
    /// By label, this volume's own among them.
    #[serde(default)]
    pub others: BTreeMap<String, u64>,
}

impl Identity {
    /// `None`: unmarked.
    pub fn read(dir: &Dir) -> Result<Option<Self>, VolumeError> {
        let path = dir.own(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Tell an unmarked directory from one that is not there at all.
                fs::read_dir(dir.path()).at("list", dir.path())?;
                return Ok(None);
            }
            Err(error) => return Err(error).at("read", &path),
        };
        toml::from_str(&text)
            .map(Some)
            .map_err(|error| VolumeError::Bad {
                path,
                problem: error.message().to_owned(),
            })
    }

    /// Marks a directory: makes what is ours there, tries what its file system can do, and writes
    /// the identity last.
    pub fn mark(mut self, dir: &Dir) -> Result<(), VolumeError> {
        prepare(dir)?;
        self.probe = Some(super::probe::probe(dir)?);
        self.mount_point = is_mount_point(dir.path())?;
        self.write(dir)
    }

    /// Writes it durably; what was there before is replaced in one step.
    pub fn write(&self, dir: &Dir) -> Result<(), VolumeError> {
        let text = toml::to_string_pretty(self).map_err(|error| VolumeError::Bad {
            path: dir.own(FILE),
            problem: error.to_string(),
        })?;
        dir.write_own(FILE, text.as_bytes())
    }
}

const fn yes() -> bool {
    true
}

/// A time as marks write it.
pub fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Whether a file system of its own is mounted at `path`.
pub fn is_mount_point(path: &Path) -> Result<bool, VolumeError> {
    let path = path.canonicalize().at("find", path)?;
    let Some(parent) = path.parent() else {
        return Ok(true);
    };
    let device = |path: &Path| fs::metadata(path).map(|m| m.dev()).at("read", path);
    Ok(device(&path)? != device(parent)?)
}

/// Makes the directories of our own that every volume has. Nothing else of the volume is touched.
pub fn prepare(dir: &Dir) -> Result<(), VolumeError> {
    for below in ["tmp", "trash", "journal"] {
        let path = dir.own(below);
        fs::create_dir_all(&path).at("create", &path)?;
    }
    super::dir::sync_directory(&dir.path().join(OWN))?;
    super::dir::sync_directory(dir.path())
}

/// 16 random bytes in hexadecimal.
pub fn new_id() -> Result<String, VolumeError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| VolumeError::Bad {
        path: "/dev/urandom".into(),
        problem: error.to_string(),
    })?;
    Ok(hex::encode(bytes))
}
