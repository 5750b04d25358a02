//! Where a file lies inside a backup: any bytes, relative, and never out of it.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::volume::{ArtifactName, VersionId, VersionKind, dir::VERSIONS, name, version};

/// A path inside a backup: relative, any bytes, no way out of it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// `None` when it is absolute, empty or has a part that is empty, `.` or `..`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let safe = |part: &[u8]| !part.is_empty() && part != b"." && part != b"..";
        (!bytes.contains(&0) && bytes.split(|b| *b == b'/').all(safe)).then(|| Self(bytes.into()))
    }

    /// Where an artifact or (`version`) a file of its history lies. `partition`: its name, when
    /// the store has more than one.
    pub fn of(
        partition: Option<&str>,
        name: &ArtifactName,
        version: Option<(VersionId, VersionKind)>,
    ) -> Self {
        let mut bytes = Vec::new();
        for part in partition.into_iter().chain(version.map(|_| VERSIONS)) {
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(b'/');
        }
        let file: OsString = match version {
            Some((id, kind)) => version::file_name(name, id, kind),
            None => name.file_name(),
        };
        bytes.extend_from_slice(file.as_bytes());
        Self(bytes.into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn under(&self, root: &Path) -> PathBuf {
        root.join(OsStr::from_bytes(&self.0))
    }

    /// The text itself, or escapes when it is not UTF-8.
    pub fn json(&self) -> String {
        std::str::from_utf8(&self.0).map_or_else(|_| name::escape(&self.0), ToOwned::to_owned)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name::escape(&self.0))
    }
}

/// Serialises as the text, or as `{"hex": …}` when it is not UTF-8: exact in both directions.
impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Hex {
            hex: String,
        }
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Hex {
                hex: hex::encode(&self.0),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Hex { hex: String },
        }
        let bytes = match Form::deserialize(deserializer)? {
            Form::Text(text) => text.into_bytes(),
            Form::Hex { hex } => hex::decode(hex).map_err(de::Error::custom)?,
        };
        Self::parse(&bytes).ok_or_else(|| de::Error::custom("a path that leaves the backup"))
    }
}
