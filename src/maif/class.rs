//! Failure classes, in the order in which the first one names a file's verdict.

use std::fmt;

use serde::{Serialize, Serializer};

/// What is wrong with a file, or `Valid`. Orders as section 12 of the format page does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    NotMaif,
    UnsupportedVersion,
    Torn,
    Malformed,
    BadSecurity,
    TamperedMetadata,
    TamperedBlock,
    BrokenChain,
    MerkleMismatch,
    BadFileSignature,
    BadProvenance,
    BadIndex,
    TrailingData,
    BadFooter,
    UntrustedSigner,
    Valid,
}

impl Class {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotMaif => "not-maif",
            Self::UnsupportedVersion => "unsupported-version",
            Self::Torn => "torn",
            Self::Malformed => "malformed",
            Self::BadSecurity => "bad-security",
            Self::TamperedMetadata => "tampered-metadata",
            Self::TamperedBlock => "tampered-block",
            Self::BrokenChain => "broken-chain",
            Self::MerkleMismatch => "merkle-mismatch",
            Self::BadFileSignature => "bad-file-signature",
            Self::BadProvenance => "bad-provenance",
            Self::BadIndex => "bad-index",
            Self::TrailingData => "trailing-data",
            Self::BadFooter => "bad-footer",
            Self::UntrustedSigner => "untrusted-signer",
            Self::Valid => "valid",
        }
    }

    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Valid => Verdict::Intact,
            Self::NotMaif | Self::UnsupportedVersion => Verdict::Unsupported,
            _ => Verdict::Damaged,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Intact,
    Damaged,
    /// Not MAIF 2.1 at all; nothing can be said about it.
    Unsupported,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Damaged => "damaged",
            Self::Unsupported => "unsupported",
        }
    }
}

/// One thing that is wrong, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub class: Class,
    pub message: String,
    /// A signer's name that does not fit counts only after what the provenance says.
    pub(super) late: bool,
}

impl Problem {
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            late: false,
        }
    }

    /// The class that names the file's verdict.
    pub fn primary(problems: &[Self]) -> Class {
        problems
            .iter()
            .min_by_key(|problem| {
                if problem.late {
                    (Class::BadProvenance, true)
                } else {
                    (problem.class, false)
                }
            })
            .map_or(Class::Valid, |problem| problem.class)
    }
}
