//! The record that a commit leaves on a copy: which generation it is, and which bytes it means.
//!
//! It lives in the xattr `user.maifdeck` of the file, so it travels with the inode into the
//! history; where xattrs are not to be had, in `.maifdeck/record/<hh>/<name>`. A sidecar cannot be
//! changed in one step with the file, so it may hold two records, the coming one first: the one
//! that describes the bytes beside it counts, and none counts when none does.

use std::{
    fmt, fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    dir::Dir,
    error::{At, VolumeError},
    name::ArtifactName,
};
use crate::maif::Digest;

/// Name of the extended attribute.
pub const XATTR: &str = "user.maifdeck";

/// Bytes read from the start of a copy by a quick look: the file header.
pub const HEAD: usize = 444;
/// Bytes read from its end: the footer.
pub const TAIL: usize = 48;

/// What a quick look can tell one content from another by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Bytes.
    pub size: u64,
    /// The footer's checksum; for files without a footer, SHA-256 of their first 444 and last 48
    /// bytes.
    pub check: Digest,
}

impl Fingerprint {
    /// From the first (up to) 444 and the last (up to) 48 bytes of a file of `size` bytes.
    pub fn of(size: u64, head: &[u8], tail: &[u8]) -> Self {
        let footer = tail
            .starts_with(b"FIAM")
            .then(|| tail.get(12..44))
            .flatten()
            .and_then(|checksum| <[u8; 32]>::try_from(checksum).ok());
        let check = footer.unwrap_or_else(|| {
            Sha256::new()
                .chain_update(head)
                .chain_update(tail)
                .finalize()
                .into()
        });
        Self {
            size,
            check: Digest(check),
        }
    }

    /// Reads what it needs from an open file.
    pub fn read(file: &fs::File) -> std::io::Result<(Self, Vec<u8>, Vec<u8>)> {
        Self::read_sized(file, file.metadata()?.len())
    }

    /// Likewise, when the size was asked for just now.
    pub fn read_sized(file: &fs::File, size: u64) -> std::io::Result<(Self, Vec<u8>, Vec<u8>)> {
        let mut head = vec![0; usize::try_from(size.min(HEAD as u64)).unwrap_or(HEAD)];
        let mut tail = vec![0; usize::try_from(size.min(TAIL as u64)).unwrap_or(TAIL)];
        file.read_exact_at(&mut head, 0)?;
        let tail_at = size - tail.len() as u64;
        file.read_exact_at(&mut tail, tail_at)?;
        Ok((Self::of(size, &head, &tail), head, tail))
    }
}

/// What a commit leaves on a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which copy is ahead; the first commit of an artifact is 1.
    pub generation: u64,
    /// Tells two commits apart that reached the same generation without knowing of each other.
    pub nonce: u64,
    pub fingerprint: Fingerprint,
}

impl Record {
    /// The one that an open file carries with it.
    pub fn of(file: &fs::File) -> Option<Self> {
        attribute(file)
    }

    /// Whether it is about these bytes.
    pub fn describes(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint == *fingerprint
    }
}

/// One line: `1 <generation> <nonce> <size> <check>`; the first number is the form's own version.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "1 {} {:016x} {} {}",
            self.generation, self.nonce, self.fingerprint.size, self.fingerprint.check
        )
    }
}

/// The text is not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a record: {0:?}")]
pub struct BadRecord(String);

impl FromStr for Record {
    type Err = BadRecord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || -> Option<Self> {
            let mut words = text.split_ascii_whitespace();
            (words.next()? == "1").then_some(())?;
            Some(Self {
                generation: words.next()?.parse().ok()?,
                nonce: u64::from_str_radix(words.next()?, 16).ok()?,
                fingerprint: Fingerprint {
                    size: words.next()?.parse().ok()?,
                    check: words.next()?.parse().ok()?,
                },
            })
        };
        parse().ok_or_else(|| BadRecord(text.chars().take(80).collect()))
    }
}

/// The record of an open file: that which describes it, else the first there is.
pub(super) fn read(
    dir: &Dir,
    name: &ArtifactName,
    file: &fs::File,
    fingerprint: &Fingerprint,
) -> Option<Record> {
    let attribute = attribute(file);
    attribute
        .filter(|record| record.describes(fingerprint))
        .or_else(|| {
            let lines = read_sidecar(dir, name);
            lines
                .iter()
                .find(|record| record.describes(fingerprint))
                .or(lines.first())
                .copied()
        })
        .or(attribute)
}

/// The record in the extended attribute.
pub(super) fn attribute(file: &fs::File) -> Option<Record> {
    let mut buffer = [0u8; 512];
    let length = rustix::fs::fgetxattr(file, XATTR, &mut buffer[..]).ok()?;
    std::str::from_utf8(buffer.get(..length)?)
        .ok()?
        .parse()
        .ok()
}

/// Puts the record on a staged file. `false`: the file system has no xattrs.
pub(super) fn attach(file: &fs::File, path: &Path, record: &Record) -> Result<bool, VolumeError> {
    let text = record.to_string();
    match rustix::fs::fsetxattr(
        file,
        XATTR,
        text.as_bytes(),
        rustix::fs::XattrFlags::empty(),
    ) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::PERM | rustix::io::Errno::NOSYS) => {
            Ok(false)
        }
        Err(error) => Err(error).at("write the record of", path),
    }
}

/// Where the sidecar of an artifact is.
pub(super) fn sidecar(dir: &Dir, name: &ArtifactName) -> PathBuf {
    let bucket = Sha256::digest(name.as_bytes());
    dir.own("record")
        .join(hex::encode(bucket.get(..1).unwrap_or_default()))
        .join(name.with_suffix(""))
}

/// The records in an artifact's sidecar; none when there is no sidecar.
pub(super) fn read_sidecar(dir: &Dir, name: &ArtifactName) -> Vec<Record> {
    fs::read_to_string(sidecar(dir, name))
        .map(|text| text.lines().filter_map(|line| line.parse().ok()).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_written() {
        let record = Record {
            generation: 7,
            nonce: 0x00ab,
            fingerprint: Fingerprint::of(5000, b"head", b"tail"),
        };
        assert_eq!(record.to_string().parse(), Ok(record));
        assert!("".parse::<Record>().is_err());
        assert!("2 7 ab 1 00".parse::<Record>().is_err());
    }

    #[test]
    fn the_footer_checksum_is_the_fingerprint_of_a_maif_file() {
        let mut footer = b"FIAM".to_vec();
        footer.resize(48, 9);
        let print = Fingerprint::of(99, b"MAIF", &footer);
        assert_eq!(print.check, Digest([9; 32]));
        assert_ne!(Fingerprint::of(99, b"MAIF", b"x").check, print.check);
    }
}
