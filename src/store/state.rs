//! The words for states, and why a copy is the right one.

use serde::{Deserialize, Serialize};

use crate::volume::VersionId;

/// The state of one copy. `Ok` means: nothing wrong at the level it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyState {
    Ok,
    Missing,
    Stale,
    Corrupt,
    Divergent,
    Misplaced,
    Unreachable,
}

impl CopyState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::Corrupt => "corrupt",
            Self::Divergent => "divergent",
            Self::Misplaced => "misplaced",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The state of an artifact: the first of these that holds. Orders worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactState {
    Lost,
    Unreachable,
    Divergent,
    Corrupt,
    Misplaced,
    Degraded,
    Ok,
}

impl ArtifactState {
    pub const ALL: [Self; 7] = [
        Self::Lost,
        Self::Unreachable,
        Self::Divergent,
        Self::Corrupt,
        Self::Misplaced,
        Self::Degraded,
        Self::Ok,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Unreachable => "unreachable",
            Self::Divergent => "divergent",
            Self::Corrupt => "corrupt",
            Self::Misplaced => "misplaced",
            Self::Degraded => "degraded",
            Self::Ok => "ok",
        }
    }
}

/// The state of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeState {
    Ok,
    /// Written to, but no reference and no part of a quorum until a repair of it has finished.
    Joining,
    /// A directory without this store's mark: an unmounted mount point looks just like that.
    Unmarked,
    /// Marked for another store, label or layout.
    Foreign,
    Unreachable,
    ReadOnly,
    Full,
}

impl VolumeState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Joining => "joining",
            Self::Unmarked => "unmarked",
            Self::Foreign => "foreign",
            Self::Unreachable => "unreachable",
            Self::ReadOnly => "readonly",
            Self::Full => "full",
        }
    }

    /// Whether its copies may be a reference and count for a quorum.
    pub const fn counts(self) -> bool {
        self.is_readable() && !matches!(self, Self::Joining)
    }

    /// Whether its contents may be looked at.
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::Ok | Self::Joining | Self::ReadOnly | Self::Full)
    }
}

/// The place of a volume in the grid: an index into `Survey::volumes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VolumeIndex(pub u16);

/// A copy of an older generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    pub volume: VolumeIndex,
    pub generation: u64,
    /// Whose history keeps the same bytes, and under which id: the reference's own, if it does.
    pub archived: Option<(VolumeIndex, VersionId)>,
}

/// Why a copy is the reference. The words are made in `report`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The only copy there is.
    Only,
    /// All copies hold the same bytes.
    AllAgree,
    /// Its generation is the newest; `behind` holds the copies with older ones.
    Newest {
        generation: u64,
        behind: Vec<Behind>,
    },
    /// Same generation, but these bytes are on a quorum.
    Quorum { copies: u16 },
    /// Intact where others of the same generation are not.
    Intact { damaged: Vec<VolumeIndex> },
    /// A writer other than maifdeck replaced it in place, over the newest generation.
    WrittenOutside { over: u64 },
    /// Its bytes are unknown to the histories, those of the others are in one.
    HistoryBehind { behind: Vec<VolumeIndex> },
}

/// The copy that is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub volume: VolumeIndex,
    /// `None` when no record describes it (written by the sketches).
    pub generation: Option<u64>,
    pub reason: Reason,
}

/// Where the newest intact bytes are of an artifact whose newest generation has none in reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewestIntact {
    /// An older copy on a volume.
    Copy { volume: VolumeIndex },
    /// A version in a volume's history.
    Version { volume: VolumeIndex, id: VersionId },
    /// A backup.
    Backup { id: String },
}
