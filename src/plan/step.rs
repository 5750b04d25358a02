//! One change of a plan, with the state that it expects to find.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    backup::{BackupId, RelPath},
    maif::Digest,
    volume::{ArtifactName, Layout, VersionId},
};

/// What a step expects of one copy before it changes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "found")]
pub enum Expected {
    /// No file.
    Absent,
    /// A file of `size` bytes with this footer checksum (or what stands for it).
    File { size: u64, check: Digest },
    /// Anything: the volume could not be seen, or the step does not depend on it.
    #[default]
    Anything,
    /// The volume could not be seen, and what it holds would have decided: it still must not answer.
    Unseen,
}

impl Expected {
    fn is_anything(&self) -> bool {
        *self == Self::Anything
    }
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
    Backup {
        id: BackupId,
        path: RelPath,
        /// What its bytes are by the backup's seal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
    },
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
        /// What is current before, where the copies differ: an undo goes back to that.
        #[serde(default, skip_serializing_if = "Expected::is_anything")]
        was: Expected,
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
        /// As for a put.
        #[serde(default, skip_serializing_if = "Expected::is_anything")]
        was: Expected,
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
