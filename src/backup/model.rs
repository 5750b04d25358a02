//! What a backup is, as plain data.

use std::{fmt, path::PathBuf, str::FromStr};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

/// `backup_<YYYYmmdd_HHMMSS>`, UTC when made by us, local time when made by the sketches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(DateTime<Utc>);

/// The text is not a backup's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a backup id (YYYYmmdd_HHMMSS): {0}")]
pub struct BadBackupId(pub String);

impl BackupId {
    /// The id of a backup begun at `time`: whole seconds.
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(DateTime::from_timestamp(time.timestamp(), 0).unwrap_or_default())
    }

    /// The next free second, when a name is taken.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + chrono::Duration::seconds(1))
    }

    pub fn time(self) -> DateTime<Utc> {
        self.0
    }

    /// Name of the sealed directory.
    pub fn directory(self) -> String {
        format!("backup_{self}")
    }

    /// Name of the staging directory, invisible until it is renamed.
    pub fn staging(self) -> String {
        format!(".backup_{self}.partial")
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y%m%d_%H%M%S"))
    }
}

impl FromStr for BackupId {
    type Err = BadBackupId;

    /// Takes the id with or without `backup_` in front.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("backup_").unwrap_or(text);
        NaiveDateTime::parse_from_str(digits, "%Y%m%d_%H%M%S")
            .ok()
            .map(|time| Self(time.and_utc()))
            .filter(|id| id.to_string() == digits)
            .ok_or_else(|| BadBackupId(text.to_owned()))
    }
}

impl Serialize for BackupId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BackupId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupState {
    Complete,
    /// The last verification found damage, or the seal itself is damaged.
    Damaged,
    /// Sealed, but some artifacts could not be read.
    Partial,
    /// No manifest: made by the sketches.
    Unsealed,
    Running,
    /// Staging of a process that is gone.
    Interrupted,
}

impl BackupState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Damaged => "damaged",
            Self::Partial => "partial",
            Self::Unsealed => "unsealed",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The last verification of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verified {
    pub at: DateTime<Utc>,
    pub level: crate::volume::Level,
    /// How much of it was checked, 1 to 100.
    pub percent: u8,
    pub ok: bool,
    /// When a whole verification, or a round of parts that is finished, began: no part was checked
    /// longer ago than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_at: Option<DateTime<Utc>>,
    /// The round of parts under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Round>,
}

impl Verified {
    /// No part of the backup was checked longer ago than this.
    pub fn whole(&self) -> Option<DateTime<Utc>> {
        self.whole_at
            .or_else(|| (self.percent >= 100).then_some(self.at))
    }
}

/// Verification in parts: successive runs check different ones until all had their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    pub begun: DateTime<Utc>,
    pub level: crate::volume::Level,
    /// Percent checked so far: where the next part begins.
    pub next: u8,
}

/// One backup in the list. Bytes are those of all files, `new_bytes` those not linked to the
/// backup before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupView {
    pub id: BackupId,
    pub at: DateTime<Utc>,
    pub state: BackupState,
    pub artifacts: u64,
    pub versions: u64,
    pub bytes: u64,
    pub new_bytes: u64,
    pub verified: Option<Verified>,
    pub pinned: bool,
    pub kept_by: Vec<String>,
    #[serde(skip)]
    pub path: PathBuf,
    /// Why it is damaged, partial or interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
