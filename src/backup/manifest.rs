//! `.maifdeck/backup.json`: what a backup holds.
//!
//! One JSON document, schema 1, laid out so that it can be written and read as a stream: the first
//! line is the header and opens `entries`, then comes one entry a line, the last line is `]}`. A
//! file that ends in another way was cut off.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Seek, Write},
    path::Path,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    model::{BackupId, BackupState},
    sums,
    tree::{MANIFEST, RelPath},
};
use crate::{
    maif::Digest,
    volume::{ArtifactName, At, Fingerprint, Pulse, VersionId, VersionKind, VolumeError},
};

const SCHEMA: u32 = 1;
const OPEN: &str = ",\"entries\":[\n";
const CLOSE: &str = "]}\n";

/// What is said of the backup as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub schema: u32,
    pub id: BackupId,
    /// When it was begun.
    pub at: DateTime<Utc>,
    /// Id of the store.
    pub store: String,
    /// `complete` or `partial`.
    pub state: BackupState,
    pub artifacts: u64,
    pub versions: u64,
    /// Of all files, and of those not linked to the backup before.
    pub bytes: u64,
    pub new_bytes: u64,
    pub skipped: Vec<Skipped>,
}

impl Header {
    pub fn new(id: BackupId, at: DateTime<Utc>, store: &str) -> Self {
        Self {
            schema: SCHEMA,
            id,
            at,
            store: store.to_owned(),
            state: BackupState::Complete,
            artifacts: 0,
            versions: 0,
            bytes: 0,
            new_bytes: 0,
            skipped: Vec::new(),
        }
    }
}

/// What could not be taken in, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub partition: String,
    /// `None`: the whole partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ArtifactName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.version) {
            (Some(name), Some(id)) => write!(f, "version {id} of {name}: {}", self.reason),
            (Some(name), None) => write!(f, "{name}: {}", self.reason),
            (None, _) => write!(f, "partition {}: {}", self.partition, self.reason),
        }
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub path: RelPath,
    pub name: ArtifactName,
    /// `None`: the current copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// The version is a removal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    pub size: u64,
    pub sha256: Digest,
    /// [`Fingerprint::check`]
    pub check: Digest,
    /// The source's modification time, seconds since 1970.
    pub mtime: i64,
    /// Of a copy, when a record described it; of a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The label of the volume that it was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
}

/// What one file of a backup is known by from one backup to the next.
pub type Key = (ArtifactName, Option<(VersionId, VersionKind)>);

impl Entry {
    pub const fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            size: self.size,
            check: self.check,
        }
    }

    pub fn key(&self) -> Key {
        let kind = if self.removed {
            VersionKind::Removal
        } else {
            VersionKind::Copy
        };
        (self.name.clone(), self.version.map(|id| (id, kind)))
    }

    /// Its line in the manifest, without the comma.
    pub fn line(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

/// Reads the header and makes sure that the end is there.
pub fn read_header(root: &Path) -> Result<Header, VolumeError> {
    let path = root.join(MANIFEST);
    let file = crate::volume::dir::open(&path).at("open", &path)?;
    let size = file.metadata().at("read", &path)?.len();
    let mut tail = [0; CLOSE.len()];
    let whole = size > CLOSE.len() as u64 && {
        let at = size - CLOSE.len() as u64;
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut tail, at).at("read", &path)?;
        tail == CLOSE.as_bytes()
    };
    if !whole {
        return Err(bad(&path, "it was cut off"));
    }
    header_line(&mut BufReader::new(file), &path)
}

/// Reads every entry in order.
pub fn read_entries(
    root: &Path,
    pulse: &Pulse,
    each: &mut dyn FnMut(Entry) -> Result<(), VolumeError>,
) -> Result<Header, VolumeError> {
    read_lines(root, pulse, &|_| true, &mut |_, entry| each(entry))
}

/// Reads the entries of one artifact; the lines of others are not parsed.
pub fn read_entries_of(
    root: &Path,
    name: &ArtifactName,
    pulse: &Pulse,
    each: &mut dyn FnMut(Entry) -> Result<(), VolumeError>,
) -> Result<Header, VolumeError> {
    let text = serde_json::to_vec(name).map_err(|e| bad(&root.join(MANIFEST), &e.to_string()))?;
    let names = memchr::memmem::Finder::new(&text);
    let wanted = |line: &[u8]| names.find(line).is_some();
    read_lines(root, pulse, &wanted, &mut |_, e| {
        if e.name == *name { each(e) } else { Ok(()) }
    })
}

/// Reads every entry in order, with the place of its line in the file.
pub(super) fn read_places(
    root: &Path,
    pulse: &Pulse,
    each: &mut dyn FnMut(u64, Entry) -> Result<(), VolumeError>,
) -> Result<Header, VolumeError> {
    read_lines(root, pulse, &|_| true, each)
}

fn read_lines(
    root: &Path,
    pulse: &Pulse,
    wanted: &dyn Fn(&[u8]) -> bool,
    each: &mut dyn FnMut(u64, Entry) -> Result<(), VolumeError>,
) -> Result<Header, VolumeError> {
    let path = root.join(MANIFEST);
    let file = crate::volume::dir::open(&path).at("open", &path)?;
    let mut reader = BufReader::new(file);
    let header = header_line(&mut reader, &path)?;
    let mut next = reader.stream_position().at("read", &path)?;
    let mut line = Vec::new();
    loop {
        let at = next;
        line.clear();
        next += reader.read_until(b'\n', &mut line).at("read", &path)? as u64;
        if line == CLOSE.as_bytes() {
            return Ok(header);
        }
        pulse.beat();
        if line.is_empty() {
            return Err(bad(&path, "it was cut off"));
        }
        if wanted(&line) {
            each(at, entry(&line, &path)?)?;
        }
    }
}

/// One entry from its line.
pub(super) fn entry(line: &[u8], path: &Path) -> Result<Entry, VolumeError> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b",").unwrap_or(text);
    serde_json::from_slice(text).map_err(|error| bad(path, &format!("an entry: {error}")))
}

fn header_line(reader: &mut impl BufRead, path: &Path) -> Result<Header, VolumeError> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).at("read", path)?;
    let start = line
        .strip_suffix(OPEN.as_bytes())
        .ok_or_else(|| bad(path, "its first line is not a header"))?;
    let mut text = start.to_vec();
    text.push(b'}');
    let header: Header = serde_json::from_slice(&text)
        .map_err(|error| bad(path, &format!("its header: {error}")))?;
    if header.schema != SCHEMA {
        return Err(bad(path, &format!("schema {} is unknown", header.schema)));
    }
    Ok(header)
}

fn bad(path: &Path, problem: &str) -> VolumeError {
    VolumeError::Bad {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

/// Writes the manifest and the digests from spooled entry lines; fsyncs both.
pub(super) fn seal(
    manifest: &Path,
    sums: &Path,
    header: &Header,
    spool: &Path,
    pulse: &Pulse,
) -> Result<(), VolumeError> {
    let mut json = Hashed::create(manifest).at("create", manifest)?;
    let mut digests = Hashed::create(sums).at("create", sums)?;
    let text = serde_json::to_string(header).map_err(|e| bad(manifest, &e.to_string()))?;
    let start = text.strip_suffix('}').unwrap_or(&text);
    json.add(start.as_bytes()).at("write", manifest)?;
    json.add(OPEN.as_bytes()).at("write", manifest)?;
    let mut lines = BufReader::new(File::open(spool).at("open", spool)?);
    let mut line = Vec::new();
    let mut first = true;
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).at("read", spool)? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let entry: Entry =
            serde_json::from_slice(text).map_err(|e| bad(spool, &format!("an entry: {e}")))?;
        if !first {
            json.add(b",\n").at("write", manifest)?;
        }
        first = false;
        json.add(text).at("write", manifest)?;
        let sum = sums::line(entry.sha256, &entry.path);
        digests.add(&sum).at("write", sums)?;
        pulse.beat();
    }
    json.add(if first { b"" } else { b"\n" })
        .and_then(|()| json.add(CLOSE.as_bytes()))
        .at("write", manifest)?;
    let sha256 = json.finish().at("sync", manifest)?;
    // The manifest is under the digests too, so that one file vouches for everything.
    if let Some(path) = RelPath::parse(MANIFEST.as_bytes()) {
        digests.add(&sums::line(sha256, &path)).at("write", sums)?;
    }
    digests.finish().at("sync", sums)?;
    Ok(())
}

/// A file written with its digest running along.
struct Hashed {
    out: BufWriter<File>,
    hash: Sha256,
}

impl Hashed {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            out: BufWriter::with_capacity(128 * 1024, File::create(path)?),
            hash: Sha256::new(),
        })
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }

    fn finish(self) -> io::Result<Digest> {
        let file = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(Digest(self.hash.finalize().into()))
    }
}
