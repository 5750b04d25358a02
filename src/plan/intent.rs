//! What an operator wants of a store.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{backup::BackupId, store::Policy, survey::StateId, volume::ArtifactName};

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Intent {
    /// Bring the store (or the named artifacts) back to what a backup holds.
    BackupRestore {
        backup: BackupId,
        mode: RestoreMode,
        names: Vec<ArtifactName>,
    },
    /// Make an earlier state the current copy, in place or under another name.
    VersionRestore {
        name: ArtifactName,
        version: StateId,
        aside: Option<ArtifactName>,
    },
    /// Make every copy equal to its reference.
    Repair {
        names: Vec<ArtifactName>,
        accept_older: bool,
        prefer: Option<String>,
        /// Only copies on this volume.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        volume: Option<String>,
    },
    /// Archive and mark removed.
    Remove { names: Vec<ArtifactName> },
    /// Trash versions that no rule keeps; of all artifacts when none is named.
    VersionsPrune {
        names: Vec<ArtifactName>,
        #[serde(flatten)]
        policy: Policy,
    },
    /// Retire backups that no rule keeps.
    BackupPrune {
        #[serde(flatten)]
        policy: Policy,
    },
    /// Bring back what a job replaced or removed.
    Undo { job: String },
    /// Give a directory to a volume; it joins.
    MarkVolume {
        volume: String,
        /// Whatever the volume's state is: its disk was exchanged.
        replace: bool,
        /// Another directory than the configured one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory: Option<PathBuf>,
    },
    /// Change the layout, and move what has another home under it.
    Layout { change: LayoutChange },
    /// Free what waits in the trash: everything, or what has waited for the undo window.
    EmptyTrash { all: bool },
}

impl Intent {
    /// The word used in plans, jobs and JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::BackupRestore { .. } => "backup-restore",
            Self::VersionRestore { .. } => "version-restore",
            Self::Repair { .. } => "repair",
            Self::Remove { .. } => "remove",
            Self::VersionsPrune { .. } => "versions-prune",
            Self::BackupPrune { .. } => "backup-prune",
            Self::Undo { .. } => "undo",
            Self::EmptyTrash { .. } => "trash-empty",
            Self::Layout { change } => change.word(),
            Self::MarkVolume { .. } => "volume-mark",
        }
    }

    /// In words, for titles: `restore report to version 20260311_091500.123`.
    pub fn title(&self) -> String {
        match self {
            Self::BackupRestore {
                backup,
                mode,
                names,
            } => {
                let what = match names.as_slice() {
                    [] => "the store".to_owned(),
                    [name] => name.to_string(),
                    names => format!("{} artifacts", names.len()),
                };
                let how = match mode {
                    RestoreMode::Exact => "exactly as in",
                    RestoreMode::Merge => "merging",
                };
                format!("restore {what} {how} backup {backup}")
            }
            Self::VersionRestore {
                name,
                version,
                aside: None,
            } => format!("restore {name} to version {version}"),
            Self::VersionRestore {
                name,
                version,
                aside: Some(aside),
            } => format!("restore version {version} of {name} as {aside}"),
            Self::Repair {
                names,
                accept_older,
                prefer,
                volume,
            } => {
                let what = match names.as_slice() {
                    [] => volume.as_ref().map_or_else(
                        || "everything that differs".to_owned(),
                        |volume| format!("volume {volume}"),
                    ),
                    [name] => name.to_string(),
                    names => format!("{} artifacts", names.len()),
                };
                let prefer = prefer
                    .as_ref()
                    .map(|volume| format!(", taking the copy on {volume}"))
                    .unwrap_or_default();
                let older = if *accept_older {
                    ", accepting older copies"
                } else {
                    ""
                };
                format!("repair {what}{prefer}{older}")
            }
            Self::Remove { names } => match names.as_slice() {
                [name] => format!("remove {name}"),
                names => format!("remove {} artifacts", names.len()),
            },
            Self::VersionsPrune { names, policy } => {
                let what = match names.as_slice() {
                    [] => "all artifacts".to_owned(),
                    [name] => name.to_string(),
                    names => format!("{} artifacts", names.len()),
                };
                format!("prune the versions of {what} with {policy}")
            }
            Self::BackupPrune { policy } => format!("prune backups with {policy}"),
            Self::Undo { job } => format!("undo job {job}"),
            Self::Layout { change } => change.title(),
            Self::MarkVolume {
                volume,
                replace: false,
                ..
            } => format!("mark volume {volume}"),
            Self::MarkVolume { volume, .. } => format!("replace volume {volume}"),
            Self::EmptyTrash { all: true } => "empty the trash".to_owned(),
            Self::EmptyTrash { all: false } => "free what has waited in the trash".to_owned(),
        }
    }
}

/// What is done to the layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum LayoutChange {
    /// A new partition.
    Add {
        name: String,
        directories: Vec<PathBuf>,
    },
    /// A partition takes no artifacts any more, and gives away those that it has.
    Drain { name: String },
    /// A drained partition leaves.
    Remove { name: String },
    /// Artifacts go to their homes; perhaps under another placement.
    Rebalance { placement: Option<String> },
    /// The lease lives on another volume.
    MoveLease { volume: String },
    /// The edited configuration becomes the layout.
    Apply,
}

impl LayoutChange {
    /// `NAME=DIRECTORY[,DIRECTORY…]`, as an operator writes it.
    pub fn add(text: &str) -> Result<Self, String> {
        let (name, places) = text
            .split_once('=')
            .ok_or_else(|| format!("not NAME=DIRECTORY[,DIRECTORY…]: {text:?}"))?;
        let directories: Vec<PathBuf> = places
            .split(',')
            .map(|place| PathBuf::from(place.trim()))
            .collect();
        if directories.iter().any(|place| place.as_os_str().is_empty()) {
            return Err(format!("a directory is missing in {text:?}"));
        }
        Ok(Self::Add {
            name: name.trim().to_owned(),
            directories,
        })
    }

    pub const fn word(&self) -> &'static str {
        match self {
            Self::Add { .. } => "partition-add",
            Self::Drain { .. } => "partition-drain",
            Self::Remove { .. } => "partition-remove",
            Self::Rebalance { .. } => "rebalance",
            Self::MoveLease { .. } => "lease-move",
            Self::Apply => "config-apply",
        }
    }

    pub fn title(&self) -> String {
        match self {
            Self::Add { name, .. } => format!("add partition {name}"),
            Self::Drain { name } => format!("drain partition {name}"),
            Self::Remove { name } => format!("remove partition {name}"),
            Self::Rebalance { placement: None } => "bring artifacts to their homes".to_owned(),
            Self::Rebalance {
                placement: Some(placement),
            } => format!("place artifacts by {placement}"),
            Self::MoveLease { volume } => format!("move the lease to {volume}"),
            Self::Apply => "make the configuration the store's layout".to_owned(),
        }
    }
}

/// What happens to artifacts that the backup does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestoreMode {
    /// They are archived and marked removed, as the sketches' restore loses them.
    #[default]
    Exact,
    /// They stay.
    Merge,
}
