//! What can go wrong with the store as a whole, for people: what failed, on what, what to do.

use super::{config::ConfigError, lease::LeaseError};
use crate::{
    maif::MaifError,
    progress::Cancelled,
    volume::{ArtifactName, NameError, VolumeError},
};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error(transparent)]
    Maif(#[from] MaifError),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error("{0}")]
    Usage(String),
    #[error("this {who} may not change the store: it is read-only")]
    ReadOnly { who: &'static str },
    #[error("volume {label} ({path}) is {state}: {reason}")]
    NotUsable {
        label: String,
        path: String,
        state: &'static str,
        reason: String,
    },
    #[error("the store's layout is not that of the configuration: {0}")]
    LayoutDiffers(String),
    #[error("{what} is locked by {holder}")]
    Locked { what: String, holder: String },
    #[error("{0}")]
    Changed(String),
    #[error("not confirmed")]
    NotConfirmed,
    #[error("--if-generation not met: {name} is at {found}")]
    Generation { name: ArtifactName, found: String },
    #[error(
        "no quorum: {needed} of {replicas} replicas of partition {partition} are needed, {got} could be written{why}"
    )]
    NoQuorum {
        partition: String,
        needed: usize,
        replicas: usize,
        got: usize,
        why: String,
    },
    #[error("no quorum: {0}")]
    OutOfReach(String),
    #[error(
        "the outcome of writing {name} is unknown: renamed on {done}, not on {undone}; the next survey rolls forward"
    )]
    OutcomeUnknown {
        name: ArtifactName,
        done: String,
        undone: String,
    },
    #[error(
        "{volumes}: the plan needs {needed} there, {free} are free, and store.max_fill lets a file system be filled to {limit} %"
    )]
    NoRoom {
        volumes: String,
        needed: String,
        free: String,
        limit: u8,
    },
    #[error("no such {kind}: {what}")]
    NotFound { kind: &'static str, what: String },
    #[error("no intact copy of {name}: {why}")]
    NoIntactCopy { name: ArtifactName, why: String },
    #[error("{what} is damaged ({class}): {problem}")]
    Damaged {
        what: String,
        class: String,
        problem: String,
    },
    #[error("{0}")]
    Failed(String),
}

impl StoreError {
    /// A stable word for scripts.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Config(ConfigError::None { .. }) => "no_store",
            Self::Config(_) => "bad_config",
            Self::Name(_) => "bad_name",
            Self::Usage(_) => "usage",
            Self::Lease(error) => error.kind(),
            Self::Volume(_) | Self::Failed(_) => "io",
            Self::Maif(_) => "maif",
            Self::Cancelled(_) => "cancelled",
            Self::ReadOnly { .. } => "read_only",
            Self::NotUsable { .. } => "volume_not_usable",
            Self::LayoutDiffers(_) => "layout_differs",
            Self::Locked { .. } => "locked",
            Self::Changed(_) => "changed_since_planned",
            Self::NotConfirmed => "not_confirmed",
            Self::Generation { .. } => "generation",
            Self::NoQuorum { .. } | Self::OutOfReach(_) => "no_quorum",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::NoRoom { .. } => "no_room",
            Self::NotFound { .. } => "not_found",
            Self::NoIntactCopy { .. } => "no_intact_copy",
            Self::Damaged { .. } => "damaged",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Config(ConfigError::None { .. }) => {
                "`maifdeck init` makes a store, `maifdeck demo` a playground; or name one with \
                 --config"
                    .to_owned()
            }
            Self::Config(ConfigError::Bad { .. }) => {
                "correct the file; `maifdeck config check` tells when it is right".to_owned()
            }
            Self::ReadOnly { .. } => {
                "run it without --read-only on a node whose role is writer".to_owned()
            }
            Self::NotUsable { state, .. } if *state == "unmarked" => {
                "mount what belongs there; a new disk joins with `maifdeck volume mark`".to_owned()
            }
            Self::LayoutDiffers(_) => {
                "while the layout is being changed, run the command again; else correct the \
                 configuration, or make it the store's layout with `maifdeck config apply`"
                    .to_owned()
            }
            Self::NotUsable { .. } => "`maifdeck status` shows all volumes".to_owned(),
            Self::Locked { .. } => {
                "try again when it has finished, or raise store.lock_timeout".to_owned()
            }
            Self::Lease(error) => error.hint().to_owned(),
            Self::Changed(_) => "make a new plan and look at it again".to_owned(),
            Self::NotConfirmed => {
                "give --yes to confirm the plan that was printed, or run it on a terminal"
                    .to_owned()
            }
            Self::NoQuorum { .. } | Self::OutOfReach(_) | Self::OutcomeUnknown { .. } => {
                "`maifdeck status` shows which volumes are missing; bring them back and try again"
                    .to_owned()
            }
            Self::NoRoom { .. } => {
                "nothing was changed; free room there (`maifdeck trash empty`, `maifdeck versions \
                 prune`), or raise store.max_fill"
                    .to_owned()
            }
            Self::NoIntactCopy { .. } => {
                "`maifdeck versions NAME` and `maifdeck backup list` show what could be restored"
                    .to_owned()
            }
            Self::Volume(error) if error.is_no_space() => {
                "free room on that file system; nothing was changed".to_owned()
            }
            Self::Volume(VolumeError::NoAnswer { .. }) => {
                "the mount does not answer; check the server and the network".to_owned()
            }
            _ => return None,
        })
    }
}
