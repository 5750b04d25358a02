//! How well something was looked at.

use serde::{Deserialize, Serialize};

/// How well a copy was looked at. Orders from least to best.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not looked at.
    #[default]
    None,
    /// Seen in a directory listing.
    Presence,
    /// Record, header and footer read: torn, foreign and differing copies show.
    Quick,
    /// Every byte, hash and signature checked.
    Deep,
}

impl Level {
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Presence => "presence",
            Self::Quick => "quick",
            Self::Deep => "deep",
        }
    }
}
