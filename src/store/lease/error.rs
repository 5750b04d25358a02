//! Why the right to write is not to be had, each with who has it.

use super::model::Epoch;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody who lives has it.
    #[error("the lease is held by {holder} (epoch {epoch})")]
    Held { holder: String, epoch: Epoch },
    /// Somebody stopped in the middle of a commit; no one may write before it is over.
    #[error(
        "the lease is blocked: {holder} (epoch {epoch}) is inside a commit and has not left it \
         for {waited} s"
    )]
    Blocked {
        holder: String,
        epoch: Epoch,
        waited: u64,
    },
    /// We had it, and another took over.
    #[error("this process lost the lease (epoch {ours}) to {holder} (epoch {epoch})")]
    Lost {
        ours: Epoch,
        holder: String,
        epoch: Epoch,
    },
    /// We had it, and its files tell nothing of it: whoever leads next makes them whole.
    #[error(
        "this process lost the lease (epoch {ours}): its files in {path} were damaged or removed"
    )]
    Torn { path: String, ours: Epoch },
    /// The layout was changed since this process read it.
    #[error("the lease lives on {to} by now")]
    Moved { to: String },
    /// It cannot work here.
    #[error("leases cannot be trusted on {path}: {reason}")]
    Untrusted { path: String, reason: String },
    /// A file that was damaged or made by hand.
    #[error("{path} bears epoch {epoch}, and no number is greater")]
    UsedUp { path: String, epoch: Epoch },
    #[error("leases are off: set [leader] enabled = true and make it the store's layout")]
    Off,
}

impl LeaseError {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Held { .. } => "lease_held",
            Self::Blocked { .. } => "lease_blocked",
            Self::Lost { .. } | Self::Torn { .. } => "lease_lost",
            Self::Moved { .. } => "lease_moved",
            Self::Untrusted { .. } => "lease_untrusted",
            Self::UsedUp { .. } => "lease_used_up",
            Self::Off => "lease_off",
        }
    }

    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Held { .. } => {
                "wait until it is given back, or take it over with `maifdeck lease steal`"
            }
            Self::Blocked { .. } => {
                "end that process on its host (here: `maifdeck lease steal --kill`), then try again"
            }
            Self::Lost { .. } | Self::Torn { .. } => {
                "nothing of this change is visible; try again when it is your turn"
            }
            Self::Moved { .. } => "set store.control to it in this host's configuration",
            Self::Untrusted { .. } => {
                "set store.control to a volume on a file system whose locks bind all hosts"
            }
            Self::UsedUp { .. } => {
                "nobody ever led it: remove that file, and `maifdeck lease steal` begins anew"
            }
            Self::Off => "without leases every host may write; locks still keep writes apart",
        }
    }
}
