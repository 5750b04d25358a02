//! Version ids, and the file names under `versions/`.
//!
//! An id says when a copy was *replaced*. Ours are UTC with milliseconds; those of the sketches
//! are their local time in seconds and are taken as they stand. A file name is parsed from the
//! right, because a name may itself end in a timestamp.

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt, str::FromStr};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::name::ArtifactName;

/// `YYYYmmdd_HHMMSS.mmm` (ours) or `YYYYmmdd_HHMMSS` (the sketches'). Orders by time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId {
    /// The digits read as a UTC time, in milliseconds since 1970.
    millis: i64,
    /// Whether the milliseconds are written.
    precise: bool,
}

/// The text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a version id (YYYYmmdd_HHMMSS or YYYYmmdd_HHMMSS.mmm): {0}")]
pub struct BadVersionId(pub String);

impl VersionId {
    /// The id of a commit at `time` that must come after every id in `known`: the time itself, or
    /// the first millisecond after the greatest of them.
    pub fn after(time: DateTime<Utc>, known: impl IntoIterator<Item = Self>) -> Self {
        let newest = known.into_iter().map(|id| id.millis).max();
        let millis = time.timestamp_millis();
        Self {
            millis: newest.map_or(millis, |newest| millis.max(newest + 1)),
            precise: true,
        }
    }

    /// The next id in our form: for bytes whose own id another version has taken.
    #[must_use]
    pub fn next(self) -> Self {
        Self {
            millis: self.millis + 1,
            precise: true,
        }
    }

    /// The time that the digits spell, read as UTC.
    pub fn time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.millis).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Whether a sketch wrote it: then the digits are its local time, in whole seconds.
    pub fn is_sketch(self) -> bool {
        !self.precise
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = if self.precise {
            "%Y%m%d_%H%M%S%.3f"
        } else {
            "%Y%m%d_%H%M%S"
        };
        write!(f, "{}", self.time().format(format))
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for VersionId {
    type Err = BadVersionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.as_bytes()).ok_or_else(|| BadVersionId(text.to_owned()))
    }
}

impl Serialize for VersionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VersionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// What a file under `versions/` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VersionKind {
    /// An archived copy: `<name>_<id>.maif`.
    Copy,
    /// A removal: `<name>_<id>.removed`; it holds the record and is invisible to the sketches.
    Removal,
}

impl VersionKind {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Copy => ".maif",
            Self::Removal => ".removed",
        }
    }
}

/// The file name of a version.
pub fn file_name(name: &ArtifactName, id: VersionId, kind: VersionKind) -> std::ffi::OsString {
    name.with_suffix(&format!("_{id}{}", kind.suffix()))
}

/// Takes a file name under `versions/` apart; `None` when it is not one of a version.
pub fn parse_file_name(file_name: &OsStr) -> Option<(ArtifactName, VersionId, VersionKind)> {
    let bytes = file_name.as_bytes();
    [VersionKind::Copy, VersionKind::Removal]
        .into_iter()
        .find_map(|kind| {
            let stem = bytes.strip_suffix(kind.suffix().as_bytes())?;
            // Ours first: its last 15 characters are never a sketch's id, since they hold a dot.
            [19, 15].into_iter().find_map(|length| {
                let at = stem.len().checked_sub(length)?;
                let (name, id) = (stem.get(..at)?, parse(stem.get(at..)?)?);
                let name = ArtifactName::existing(name.strip_suffix(b"_")?)?;
                (kind == VersionKind::Copy || id.precise).then_some((name, id, kind))
            })
        })
}

/// Reads an id; only what `Display` would write back is one.
fn parse(text: &[u8]) -> Option<VersionId> {
    let number = |from: usize, to: usize| -> Option<u32> {
        text.get(from..to)?.iter().try_fold(0u32, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + u32::from(digit - b'0'))
        })
    };
    let precise = match text.len() {
        15 => false,
        19 if text.get(15) == Some(&b'.') => true,
        _ => return None,
    };
    if text.get(8) != Some(&b'_') {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(number(0, 4)?).ok()?,
        number(4, 6)?,
        number(6, 8)?,
    )?;
    let millis = if precise { number(16, 19)? } else { 0 };
    let time = date.and_hms_milli_opt(number(9, 11)?, number(11, 13)?, number(13, 15)?, millis)?;
    Some(VersionId {
        millis: NaiveDateTime::and_utc(&time).timestamp_millis(),
        precise,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(file: &str) -> Option<(String, String, VersionKind)> {
        parse_file_name(OsStr::new(file)).map(|(n, id, k)| (n.to_string(), id.to_string(), k))
    }

    #[test]
    fn file_names_are_parsed_from_the_right() {
        let copy = |n: &str, id: &str| Some((n.to_owned(), id.to_owned(), VersionKind::Copy));
        assert_eq!(
            parsed("doc_20260311_091500.123.maif"),
            copy("doc", "20260311_091500.123")
        );
        assert_eq!(
            parsed("doc_20260101_120000_20260311_091500.maif"),
            copy("doc_20260101_120000", "20260311_091500")
        );
        assert_eq!(
            parsed("doc_2_20260311_091500.maif"),
            copy("doc_2", "20260311_091500")
        );
        assert_eq!(
            parsed("doc_20260311_091500.123.removed").map(|p| p.2),
            Some(VersionKind::Removal)
        );
        for none in [
            "doc.maif",
            "doc_20261311_091500.maif",
            "doc_20260311_251500.maif",
            "doc20260311_091500.maif",
            "doc_20260311_091500.removed",
            "doc_20260311_091500.12.maif",
        ] {
            assert_eq!(parsed(none), None, "{none}");
        }
    }

    #[test]
    fn an_id_moves_past_every_known_one() {
        let now = "2026-03-11T23:59:59.999Z".parse().unwrap();
        let first = VersionId::after(now, []);
        assert_eq!(first.to_string(), "20260311_235959.999");
        let second = VersionId::after(now, [first]);
        assert_eq!(second.to_string(), "20260312_000000.000");
        let sketch: VersionId = "20270101_000000".parse().unwrap();
        assert!(VersionId::after(now, [first, sketch]) > sketch);
        assert_eq!(first.next(), second);
    }
}
