//! What an artifact is called: the bytes of its file name without `.maif`.
//!
//! Names are parsed once, here. A *new* name is held to rules that keep it safe on every file
//! system; an *existing* file with an odd name is a full artifact all the same, so the type holds
//! any bytes and knows how to show them without ambiguity.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::{OsStrExt, OsStringExt},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The ending of a current copy's file name.
pub const EXTENSION: &str = ".maif";

/// Longest new name in bytes: with `_YYYYmmdd_HHMMSS.mmm.removed` (28 bytes) behind it, the name
/// of a version must still fit into the 255 bytes that file systems allow.
pub const MAX_NEW_NAME: usize = 255 - 28;

/// Why a name for a new artifact was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("an artifact's name cannot be empty")]
    Empty,
    #[error("an artifact's name cannot start with a dot: {0}")]
    LeadingDot(String),
    #[error("an artifact's name cannot hold {what}: {name}")]
    Forbidden { name: String, what: &'static str },
    #[error(
        "the name is {length} bytes long; at most {MAX_NEW_NAME} leave room for a version's file name"
    )]
    TooLong { length: usize },
    #[error("not the hexadecimal form of a name: {0}")]
    NotHex(String),
}

/// The name of an artifact. Orders and compares by bytes. Clones share them: a million names are in
/// listings, rows and tables at once.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactName(Arc<[u8]>);

impl ArtifactName {
    /// Parses the name of an artifact that may be about to be created.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let forbidden = |what| NameError::Forbidden {
            name: escape(name.as_bytes()),
            what,
        };
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.contains('/') {
            return Err(forbidden("a slash"));
        }
        if name.starts_with('.') {
            return Err(NameError::LeadingDot(escape(name.as_bytes())));
        }
        if name.chars().any(char::is_control) {
            return Err(forbidden("control characters"));
        }
        if name.len() > MAX_NEW_NAME {
            return Err(NameError::TooLong { length: name.len() });
        }
        Ok(Self(name.as_bytes().into()))
    }

    /// The name of something that exists already (or is looked up): any bytes without `/` or NUL.
    pub fn existing(bytes: &[u8]) -> Option<Self> {
        (!bytes.contains(&b'/') && !bytes.contains(&0)).then(|| Self(bytes.into()))
    }

    /// Reads the form that `--name-hex` and `name_hex` use.
    pub fn from_hex(text: &str) -> Result<Self, NameError> {
        hex::decode(text)
            .ok()
            .and_then(|bytes| Self::existing(&bytes))
            .ok_or_else(|| NameError::NotHex(text.to_owned()))
    }

    /// The name of the artifact whose current copy is called `file_name`.
    pub fn of_file(file_name: &OsStr) -> Option<Self> {
        let stem = file_name.as_bytes().strip_suffix(EXTENSION.as_bytes())?;
        Self::existing(stem)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text, when it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// `<name>.maif`
    pub fn file_name(&self) -> OsString {
        self.with_suffix(EXTENSION)
    }

    /// `<name>.maif.lock`
    pub fn lock_file_name(&self) -> OsString {
        self.with_suffix(".maif.lock")
    }

    /// The name followed by `suffix`, as a file name.
    pub fn with_suffix(&self, suffix: &str) -> OsString {
        let mut bytes = self.0.to_vec();
        bytes.extend_from_slice(suffix.as_bytes());
        OsString::from_vec(bytes)
    }

    /// What JSON documents give in `name`: the text itself, or escapes when it is not UTF-8.
    pub fn json(&self) -> String {
        self.as_str()
            .map_or_else(|| escape(&self.0), ToOwned::to_owned)
    }

    /// `name_hex`: given only when `json` cannot give the name back.
    pub fn json_hex(&self) -> Option<String> {
        self.as_str().is_none().then(|| hex::encode(&self.0))
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl fmt::Debug for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Serialises as the text, or as `{"hex": …}` when it is not UTF-8: exact in both directions.
impl Serialize for ArtifactName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Hex {
            hex: String,
        }
        match self.as_str() {
            Some(text) => serializer.serialize_str(text),
            None => Hex {
                hex: hex::encode(&self.0),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ArtifactName {
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
        Self::existing(&bytes).ok_or_else(|| de::Error::custom("a name with a slash or NUL"))
    }
}

/// Shows bytes as text in which two different names never look alike: control, format and
/// zero-width characters become `\u{…}`, bytes that are not UTF-8 `\xNN`, a backslash `\\`.
pub fn escape(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                shown.push_str("\\\\");
            } else if c != ' ' && invisible(c) {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            } else {
                shown.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// Characters that a terminal does not draw, or that change how their neighbours are drawn.
pub(super) fn invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
            | '\u{1d173}'..='\u{1d17a}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_store_or_hide_are_refused() {
        for bad in [
            "", ".", "..", ".hidden", "../../x", "a/b", "/x", "a\nb", "a\0b",
        ] {
            assert!(ArtifactName::new(bad).is_err(), "{bad:?}");
        }
        assert!(ArtifactName::new(&"x".repeat(MAX_NEW_NAME)).is_ok());
        assert!(ArtifactName::new(&"x".repeat(MAX_NEW_NAME + 1)).is_err());
        for good in ["doc", "doc_20260101_120000", "héllo", "with space", "a\\b"] {
            assert!(ArtifactName::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn different_names_never_look_alike() {
        let names: [&[u8]; 8] = [
            b"a",
            b"a\xff",
            b"a\\xff",
            "a\u{200b}".as_bytes(),
            b"a\\u{200b}",
            b"a\n",
            "a\u{202e}".as_bytes(),
            b"a\\n",
        ];
        let shown: std::collections::BTreeSet<_> = names.iter().map(|n| escape(n)).collect();
        assert_eq!(shown.len(), names.len());
    }

    #[test]
    fn a_name_that_is_not_utf8_survives_json() {
        let name = ArtifactName::existing(b"odd-\xff\xfe").unwrap();
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, r#"{"hex":"6f64642dfffe"}"#);
        assert_eq!(serde_json::from_str::<ArtifactName>(&json).unwrap(), name);
        assert_eq!(name.json(), "odd-\\xff\\xfe");
        assert_eq!(ArtifactName::from_hex("6f64642dfffe").unwrap(), name);
    }
}
