//! A plan: what should change, as plain data, each step with the state that it expects to find.
//!
//! A plan is bound to its id, the digest of its canonical steps. What was confirmed under an id is
//! what runs; nothing recomputes a plan silently.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    intent::{Intent, LayoutChange},
    step::Step,
};
use crate::{maif::Digest, store::retention::Reason, survey::Survey, volume::ArtifactName};

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
    /// Artifacts that come, and artifacts whose current copy becomes another one.
    #[serde(default)]
    pub added: u64,
    #[serde(default)]
    pub replaced: u64,
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
        // Labels and partitions are short ASCII words by their definition.
        match &self.intent {
            Intent::MarkVolume { volume, .. } => return volume.clone(),
            Intent::Layout {
                change: LayoutChange::Drain { name } | LayoutChange::Remove { name },
            } if name.len() <= 24 => return name.clone(),
            _ => {}
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
        // serde_json writes struct members in declaration order, so equal steps give equal bytes. A
        // step that cannot be written (a directory whose name is not UTF-8) cannot be begun either:
        // the journal refuses it.
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
