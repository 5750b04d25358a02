//! One file of the memory: what was found in a stretch of time, in the order of names. A new one is
//! written beside the others, and all are read side by side, so that neither takes more memory with
//! more artifacts.

use std::{
    cmp::Reverse,
    fs::File,
    io::{self, BufReader, BufWriter, ErrorKind, Read, Write},
    iter::Peekable,
};

use serde::{Deserialize, Serialize};

use super::{Check, Entry};
use crate::{
    maif::Digest,
    volume::{ArtifactName, listing::Stamp},
};

/// Longer ones are not ours.
const LONGEST: u32 = 1 << 20;

/// An entry as it is stored; before each stands its length, 4 bytes, little-endian.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: Vec<u8>,
    copies: Vec<(String, StoredCheck)>,
}

#[derive(Serialize, Deserialize)]
struct StoredCheck {
    size: u64,
    stamp: Stamp,
    at: i64,
    sha256: Option<[u8; 32]>,
}

/// Writes entries, which come in the order of names.
pub(super) fn write(file: File, entries: impl Iterator<Item = Entry>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    for entry in entries {
        let copies = entry.copies.into_iter().map(|(volume, check)| {
            let Check {
                size,
                stamp,
                at,
                sha256,
            } = check;
            let sha256 = sha256.map(|digest| digest.0);
            let check = StoredCheck {
                size,
                stamp,
                at,
                sha256,
            };
            (volume, check)
        });
        let stored = Stored {
            name: entry.name.as_bytes().to_vec(),
            copies: copies.collect(),
        };
        let bytes = postcard::to_stdvec(&stored).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&bytes)?;
    }
    out.flush()
}

/// Reads a run from its beginning. It ends where it cannot be understood: the rest is forgotten.
#[derive(Debug)]
pub(super) struct Run {
    file: BufReader<File>,
    bytes: Vec<u8>,
}

impl Run {
    pub fn new(file: File) -> Self {
        Self {
            file: BufReader::with_capacity(1 << 16, file),
            bytes: Vec::new(),
        }
    }

    fn read(&mut self) -> io::Result<Option<Entry>> {
        let mut length = [0; 4];
        match self.file.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        }
        let length = u32::from_le_bytes(length);
        if length > LONGEST {
            return Err(ErrorKind::InvalidData.into());
        }
        self.bytes.clear();
        let wanted = u64::from(length);
        if self
            .file
            .by_ref()
            .take(wanted)
            .read_to_end(&mut self.bytes)? as u64
            != wanted
        {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let stored: Stored = postcard::from_bytes(&self.bytes).map_err(io::Error::other)?;
        let name = ArtifactName::existing(&stored.name).ok_or(ErrorKind::InvalidData)?;
        let copies = stored.copies.into_iter().map(|(volume, check)| {
            let check = Check {
                size: check.size,
                stamp: check.stamp,
                at: check.at,
                sha256: check.sha256.map(Digest),
            };
            (volume, check)
        });
        let copies = copies.collect();
        Ok(Some(Entry { name, copies }))
    }
}

impl Iterator for Run {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        self.read().unwrap_or_else(|error| {
            tracing::warn!(%error, "the rest of the earlier checks is forgotten");
            None
        })
    }
}

/// All runs as one, in the order of names; of each copy only what was found last.
#[derive(Debug)]
pub(super) struct Merge {
    /// Newest last.
    runs: Vec<Peekable<Run>>,
}

impl Merge {
    pub fn of(files: Vec<File>) -> Self {
        let runs = files.into_iter().map(|file| Run::new(file).peekable());
        Self {
            runs: runs.collect(),
        }
    }
}

impl Iterator for Merge {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let names = self.runs.iter_mut().filter_map(Peekable::peek);
        let name = names.map(|entry| &entry.name).min()?.clone();
        let mut copies: Vec<(String, Check)> = Vec::new();
        for run in &mut self.runs {
            let here = run.next_if(|entry| entry.name == name);
            copies.extend(here.into_iter().flat_map(|entry| entry.copies));
        }
        if copies.len() > 1 {
            // Stable: of two in one second the one in the newer run is first after the reversal.
            copies.reverse();
            copies
                .sort_by(|(a, one), (b, other)| (a, Reverse(one.at)).cmp(&(b, Reverse(other.at))));
            copies.dedup_by(|(a, _), (b, _)| a == b);
        }
        Some(Entry { name, copies })
    }
}
