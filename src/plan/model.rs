//! A plan: what should change, as plain data, each step with the state that it expects to find.
//!
//! A plan is bound to its id, the digest of its canonical steps. What was confirmed under an id is
//! what runs; nothing recomputes a plan silently.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    backup::BackupId,
    maif::Digest,
    store::{Policy, retention::Reason},
    survey::{StateId, Survey},
    volume::{ArtifactName, Layout, VersionId},
};

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

/// What a step expects of one copy before it changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "found")]
pub enum Expected {
    /// No file.
    Absent,
    /// A file of `size` bytes with this footer checksum (or what stands for it).
    File { size: u64, check: Digest },
    /// Anything: the volume could not be seen, or the step does not depend on it.
    Anything,
}

/// Expected copies, by the label of their volume.
pub type Expectations = Vec<(String, Expected)>;

/// Where the bytes of a step come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Source {
    /// The current copy on a volume.
    Copy { volume: String },
    /// A version in a volume's history.
    Version {
        volume: String,
        name: ArtifactName,
        id: VersionId,
    },
    /// A file of a backup, relative to the backup's directory.
    Backup { id: BackupId, path: PathBuf },
}

/// One change. Steps are idempotent: one whose result is already there is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// A new current copy on every replica of the artifact's home; what was there is archived.
    Put {
        name: ArtifactName,
        source: Source,
        size: u64,
        check: Digest,
        expect: Expectations,
    },
    /// One copy made equal to the reference, with the reference's record.
    Copy {
        name: ArtifactName,
        from: String,
        to: String,
        size: u64,
        check: Digest,
        expect: Expected,
    },
    /// One version added to a history.
    Version {
        name: ArtifactName,
        id: VersionId,
        removal: bool,
        source: Source,
        to: String,
        size: u64,
    },
    /// A version that is damaged on a volume, made whole from another; what was there is trashed.
    MendVersion {
        name: ArtifactName,
        id: VersionId,
        from: String,
        to: String,
        size: u64,
    },
    /// An artifact that lies elsewhere is brought to its home, history and all; what is redundant
    /// then goes to the trash of the volumes that held it.
    Move {
        name: ArtifactName,
        /// Partitions.
        from: String,
        to: String,
        /// Written to all replicas of its home together.
        bytes: u64,
    },
    /// Archived and marked removed on every replica.
    Remove {
        name: ArtifactName,
        expect: Expectations,
    },
    /// Versions renamed into their volumes' trash, on every replica. Bytes on all of them.
    TrashVersions {
        name: ArtifactName,
        ids: Vec<VersionId>,
        bytes: u64,
    },
    /// A sealed backup renamed into the backups' trash.
    RetireBackup { id: BackupId, bytes: u64 },
    /// Versions that a job put into the trash of their volumes go back into their histories.
    ReturnVersions {
        name: ArtifactName,
        ids: Vec<VersionId>,
        job: String,
    },
    /// A backup that a job retired goes back to the others.
    ReturnBackup { id: BackupId, job: String },
    /// The volume leaves joining, when every step on it before was done.
    Admit {
        volume: String,
        /// Although too few others answer to know every acknowledged write.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        accept_older: bool,
    },
    /// A directory becomes a volume, which joins.
    Mark {
        volume: String,
        replace: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory: Option<PathBuf>,
    },
    /// The layout is raised, and the configuration names it from then on.
    Layout {
        layout: Box<Layout>,
        /// The new text of the configuration, and its file.
        config: String,
        file: PathBuf,
    },
    /// The change of the layout has ended: artifacts lie nowhere but at home.
    Seal,
    /// What a job left in a volume's trash is gone for good.
    FreeTrash {
        volume: String,
        job: String,
        bytes: u64,
    },
}

/// Bytes that a plan needs on a volume, and the room there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceNeed {
    pub volume: String,
    pub needed: u64,
    pub free: u64,
}

impl SpaceNeed {
    /// The volumes that a plan writes to; `needs` are bytes by the survey's volumes.
    pub fn of(survey: &Survey, needs: &[u64]) -> Vec<Self> {
        survey
            .volumes
            .iter()
            .zip(needs)
            .filter(|(_, needed)| **needed > 0)
            .map(|(volume, needed)| Self {
                volume: volume.label.to_string(),
                needed: *needed,
                free: volume.space.map_or(0, |space| space.free),
            })
            .collect()
    }
}

/// How many artifacts a partition holds before and after a plan, and the share that it should have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    pub partition: String,
    pub before: u64,
    pub after: u64,
    pub expected_share: f64,
}

/// A plan in numbers. Bytes are those written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub copies: u64,
    pub replaces: u64,
    pub archives: u64,
    pub removes: u64,
    /// Artifacts that are already as wanted.
    pub same: u64,
    pub bytes: u64,
    pub space: Vec<SpaceNeed>,
    /// What cannot be brought back afterwards, in words.
    pub unrecoverable: Vec<String>,
    /// What the plan leaves undone and why, in words.
    pub skipped: Vec<String>,
    /// What the operator should know before, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Of a plan that moves artifacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Forecast>,
    /// What a retention policy keeps, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

/// One thing that a retention policy keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// A backup's id; a version's, with its artifact's name.
    pub what: String,
    pub reasons: Vec<Reason>,
}

/// The digest of a plan's canonical steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(pub Digest);

impl PlanId {
    /// The six characters that are shown, and typed to confirm.
    pub fn short(&self) -> String {
        self.0.to_string().chars().take(6).collect()
    }
}

impl std::fmt::Display for PlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A plan. Made by `plan::…` from a survey and an intent, or read back from a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub id: PlanId,
    /// The store that it is for.
    pub store: String,
    pub intent: Intent,
    pub made_at: DateTime<Utc>,
    pub summary: Summary,
    pub steps: Vec<Step>,
}

impl Plan {
    pub fn new(
        store: String,
        intent: Intent,
        made_at: DateTime<Utc>,
        steps: Vec<Step>,
        summary: Summary,
    ) -> Self {
        Self {
            id: PlanId(Self::digest(&store, &intent, &steps)),
            store,
            intent,
            made_at,
            summary,
            steps,
        }
    }

    /// Whether the id is that of the steps: false for a file that was edited.
    pub fn is_genuine(&self) -> bool {
        self.id.0 == Self::digest(&self.store, &self.intent, &self.steps)
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether confirming it takes a typed word.
    pub fn is_destructive(&self) -> bool {
        match &self.intent {
            Intent::BackupRestore { .. }
            | Intent::VersionRestore { .. }
            | Intent::Remove { .. }
            | Intent::VersionsPrune { .. }
            | Intent::BackupPrune { .. }
            | Intent::Undo { .. }
            | Intent::MarkVolume { .. }
            | Intent::EmptyTrash { .. } => true,
            Intent::Layout { change } => matches!(
                change,
                LayoutChange::Drain { .. } | LayoutChange::Remove { .. }
            ),
            Intent::Repair {
                accept_older,
                prefer,
                ..
            } => *accept_older || prefer.is_some() || !self.summary.unrecoverable.is_empty(),
        }
    }

    /// The word to type: the name when it is short printable ASCII, else the plan's short id.
    pub fn confirmation_word(&self) -> String {
        if let Intent::MarkVolume { volume, .. } = &self.intent {
            return volume.clone();
        }
        let name = match &self.intent {
            Intent::VersionRestore { name, aside, .. } => Some(aside.as_ref().unwrap_or(name)),
            Intent::Remove { names }
            | Intent::Repair { names, .. }
            | Intent::VersionsPrune { names, .. } => match names.as_slice() {
                [name] => Some(name),
                _ => None,
            },
            Intent::BackupRestore { .. }
            | Intent::BackupPrune { .. }
            | Intent::Undo { .. }
            | Intent::Layout { .. }
            | Intent::MarkVolume { .. }
            | Intent::EmptyTrash { .. } => None,
        };
        name.and_then(ArtifactName::as_str)
            .filter(|name| {
                (1..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
            })
            .map_or_else(|| self.id.short(), ToOwned::to_owned)
    }

    fn digest(store: &str, intent: &Intent, steps: &[Step]) -> Digest {
        // serde_json writes struct members in declaration order, so equal steps give equal bytes.
        let mut hash = Sha256::new();
        hash.update(store.as_bytes());
        hash.update([0]);
        for part in std::iter::once(serde_json::to_vec(intent))
            .chain(steps.iter().map(serde_json::to_vec))
            .flatten()
        {
            hash.update(&part);
            hash.update(b"\n");
        }
        Digest(hash.finalize().into())
    }
}
