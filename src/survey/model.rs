//! What a survey found, as plain data: volumes, artifacts with their copies and histories,
//! distribution, findings. Nothing here touches a file system.
//!
//! Sized for a million artifacts: names are stored once, rows are small, histories are one sorted
//! array beside the rows.

use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::scrub::Cursor;
use crate::{
    maif::Digest,
    volume::{ArtifactName, Level, VersionId, VersionKind},
};
pub use crate::{store::state::*, volume::listing::Stamp};

/// One volume as the survey found it. Sizes in bytes.
#[derive(Debug, Clone)]
pub struct VolumeView {
    /// `<partition>.<replica, from 1>`
    pub label: Arc<str>,
    pub partition: u16,
    pub path: PathBuf,
    pub state: VolumeState,
    /// Why it is not `Ok`, in words that name the path and the remedy.
    pub reason: Option<String>,
    /// Current copies found, misplaced ones included.
    pub artifacts: u64,
    pub current_bytes: u64,
    pub versions: u64,
    pub versions_bytes: u64,
    pub trash_bytes: u64,
    /// `None` when the file system could not be asked.
    pub space: Option<Space>,
    /// Files and directories that are neither copies nor ours.
    pub other_files: u64,
}

/// Room on a volume's file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Space {
    pub free: u64,
    pub total: u64,
    /// Tells file systems apart: volumes on one device share its room.
    #[serde(skip)]
    pub device: u64,
}

impl Space {
    /// Between 0 and 1.
    pub fn used_share(&self) -> f64 {
        crate::number::ratio(self.total.saturating_sub(self.free), self.total)
    }
}

impl VolumeView {
    /// Bytes on its file system that are neither free nor ours; `None` when it could not be asked.
    pub fn other_bytes(&self) -> Option<u64> {
        let used = self.space?.total.saturating_sub(self.space?.free);
        Some(used.saturating_sub(self.current_bytes + self.versions_bytes + self.trash_bytes))
    }
}

/// One partition as the survey found it.
#[derive(Debug, Clone)]
pub struct PartitionView {
    pub name: Arc<str>,
    pub weight: f64,
    pub draining: bool,
    /// Artifacts whose home this is, and their bytes (each artifact once).
    pub artifacts: u64,
    pub bytes: u64,
    /// Artifacts found here whose home is elsewhere.
    pub misplaced: u64,
    /// By count, between 0 and 1.
    pub share: f64,
    pub expected_share: f64,
}

/// What is known of a copy's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prints {
    /// Footer checksum (or what stands for it), from level quick on.
    pub check: Option<Digest>,
    /// Digest of the whole file, once it was read.
    pub sha256: Option<Digest>,
}

/// One copy: an artifact on one volume.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyView {
    pub volume: VolumeIndex,
    pub state: CopyState,
    pub checked: Level,
    /// When it was looked at so well; seconds since 1970, 0 when never.
    pub checked_at: i64,
    /// Bytes; `None` when there is no file or it could not be seen.
    pub size: Option<u64>,
    /// From a record that describes the bytes beside it.
    pub generation: Option<u64>,
    /// Shared by the copies that agree: a million artifacts have three.
    pub prints: Arc<Prints>,
    /// By this it is known again, unchanged.
    pub stamp: Stamp,
}

impl CopyView {
    /// Modification time, seconds since 1970.
    pub const fn modified(&self) -> i64 {
        self.stamp.modified_seconds()
    }
}

/// The copies of an artifact, shared with the surveys after it as long as nothing changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Copies(Arc<[CopyView]>);

impl From<Vec<CopyView>> for Copies {
    fn from(copies: Vec<CopyView>) -> Self {
        Self(copies.into())
    }
}

impl Deref for Copies {
    type Target = [CopyView];

    fn deref(&self) -> &[CopyView] {
        &self.0
    }
}

/// Changing them changes no other survey's.
impl DerefMut for Copies {
    fn deref_mut(&mut self) -> &mut [CopyView] {
        Arc::make_mut(&mut self.0)
    }
}

impl FromIterator<CopyView> for Copies {
    fn from_iter<I: IntoIterator<Item = CopyView>>(copies: I) -> Self {
        Self(copies.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a mut Copies {
    type Item = &'a mut CopyView;
    type IntoIter = std::slice::IterMut<'a, CopyView>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<'a> IntoIterator for &'a Copies {
    type Item = &'a CopyView;
    type IntoIter = std::slice::Iter<'a, CopyView>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One artifact: a row.
#[derive(Debug, Clone)]
pub struct ArtifactView {
    pub name: ArtifactName,
    /// Index of its home partition.
    pub home: u16,
    pub state: ArtifactState,
    /// Removed on purpose: a `.removed` is its newest generation. Not counted as an artifact.
    pub removed: bool,
    /// No volume has it and none says that it was removed.
    pub vanished: bool,
    /// Not MAIF 2.1, and the same on all replicas.
    pub unsupported: bool,
    pub reference: Option<Arc<Reference>>,
    pub newest_intact: Option<Box<NewestIntact>>,
    /// One a replica of its home, in replica order; then misplaced ones.
    pub copies: Copies,
}

impl ArtifactView {
    /// The reference copy, else the first that there is.
    pub fn shown_copy(&self) -> Option<&CopyView> {
        let reference = self.reference.as_ref().map(|r| r.volume);
        self.copies
            .iter()
            .find(|c| Some(c.volume) == reference)
            .or_else(|| self.copies.iter().find(|c| c.size.is_some()))
    }
}

/// One version, merged over the replicas that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionView {
    /// Row in `Survey::artifacts`.
    pub artifact: u32,
    pub id: VersionId,
    pub kind: VersionKind,
    pub size: u64,
    /// Modification time of the file: when these bytes were written; seconds since 1970.
    pub written: i64,
    /// A volume that holds it.
    pub volume: VolumeIndex,
    /// How many volumes hold it.
    pub volumes: u16,
    /// How many of them are replicas of its home.
    pub at_home: u16,
    /// One that holds it and is none.
    pub stray: Option<VolumeIndex>,
}

/// How bad a finding is. Orders worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What a finding is about; decides which key leads to its remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    Lost,
    Vanished,
    Divergent,
    Corrupt,
    Stale,
    Missing,
    Misplaced,
    Unsupported,
    VolumeUnmarked,
    VolumeForeign,
    VolumeUnreachable,
    VolumeJoining,
    VolumeFull,
    VolumeReadonly,
    NoQuorum,
    BackupNone,
    BackupOld,
    BackupUnverified,
    BackupDamaged,
    BackupShrunk,
    BackupInterrupted,
    JobInterrupted,
    ScrubOverdue,
    OtherFiles,
    LeaseBlocked,
    LeaseExpired,
    LeaseUnknown,
}

/// Something that needs the operator, with its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub kind: FindingKind,
    /// An artifact's name, a volume's label, a backup's or job's id.
    pub subject: String,
    pub message: String,
    /// What to do about it: a command or a sentence.
    pub remedy: String,
}

/// Everything that one survey found.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    pub level: Level,
    /// When it began.
    pub at: DateTime<Utc>,
    pub took: Duration,
    /// All volumes, in label order of the grid.
    pub volumes: Vec<VolumeView>,
    pub partitions: Vec<PartitionView>,
    pub placement: &'static str,
    /// Largest share ÷ expected share.
    pub skew: f64,
    /// Sorted by name; removed ones included.
    pub artifacts: Vec<ArtifactView>,
    /// Sorted by artifact, then newest first.
    pub versions: Vec<VersionView>,
    /// How far this host's scrub is, and when one last came to its end.
    pub scrub: Cursor,
    /// Made from all of this, backups and jobs by `report::findings`.
    pub findings: Vec<Finding>,
}

impl Survey {
    pub fn find(&self, name: &ArtifactName) -> Option<usize> {
        self.artifacts.binary_search_by(|a| a.name.cmp(name)).ok()
    }

    /// The history of one row, newest first.
    pub fn history(&self, row: usize) -> &[VersionView] {
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        let from = self.versions.partition_point(|v| v.artifact < row);
        let to = self.versions.partition_point(|v| v.artifact <= row);
        self.versions.get(from..to).unwrap_or(&[])
    }

    pub fn volume(&self, index: VolumeIndex) -> Option<&VolumeView> {
        self.volumes.get(usize::from(index.0))
    }

    /// The label of a volume, or `?` for one that is not of this survey.
    pub fn label(&self, index: VolumeIndex) -> &str {
        self.volume(index).map_or("?", |v| &v.label)
    }

    /// Number of artifacts in each state, in `ArtifactState::ALL`'s order; removed ones are none.
    pub fn summary(&self) -> [(ArtifactState, u64); 7] {
        ArtifactState::ALL.map(|state| {
            let count = self
                .artifacts
                .iter()
                .filter(|a| !a.removed && a.state == state)
                .count();
            (state, count as u64)
        })
    }
}
