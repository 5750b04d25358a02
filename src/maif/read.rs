//! What a file holds, for people and programs that look into it: header, blocks, metadata, texts,
//! provenance. Reads only what it is asked for and never believes a size before comparing it with
//! the file's length. It does not judge: that is the verifier's.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use super::{
    error::MaifError,
    json::{self, Text, Value},
    layout::{BLOCK_HEADER, BlockHeader, FILE_HEADER, FileHeader, array, u32_at},
    shape::{Shape, shape},
};

/// Sections and metadata above this are not read into memory.
const MAX_READ: u64 = 256 << 20;

/// One block and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInfo {
    /// Of its header.
    pub offset: u64,
    pub header: BlockHeader,
}

impl BlockInfo {
    /// Bytes of data.
    pub fn data_size(&self) -> u64 {
        u64::from(self.header.data_size().unwrap_or(0))
    }

    fn data_at(&self) -> u64 {
        self.offset + BLOCK_HEADER as u64
    }
}

/// One entry of the provenance chain, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenanceEntry {
    pub action: String,
    pub agent_id: String,
    pub agent_did: String,
    /// Microseconds since 1970.
    pub timestamp: u64,
    pub block_hash: String,
}

/// An open file whose shape is whole.
#[derive(Debug)]
pub struct Reader<'a> {
    file: &'a File,
    size: u64,
    header: FileHeader,
}

impl<'a> Reader<'a> {
    pub fn open(file: &'a File) -> Result<Self, MaifError> {
        let size = file.metadata().map_err(MaifError::Read)?.len();
        let mut head = vec![0; usize::try_from(size.min(FILE_HEADER as u64)).unwrap_or(0)];
        file.read_exact_at(&mut head, 0).map_err(MaifError::Read)?;
        let mut read_at = |at: u64, length: usize| {
            let mut bytes = vec![0; length];
            match file.read_exact_at(&mut bytes, at) {
                Ok(()) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                Err(error) => Err(error),
            }
        };
        match shape(&head, size, &mut read_at).map_err(MaifError::Read)? {
            Shape::Whole { header, .. } => Ok(Self {
                file,
                size,
                header: *header,
            }),
            Shape::End(problem) => Err(MaifError::NotReadable(problem.message)),
        }
    }

    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// The blocks in file order; ends early where a size contradicts the file.
    pub fn blocks(&self) -> Result<Vec<BlockInfo>, MaifError> {
        let mut blocks = Vec::new();
        let mut offset = FILE_HEADER as u64;
        for _ in 0..self.header.block_count {
            let Some(bytes) = self.bytes(offset, BLOCK_HEADER as u64)? else {
                break;
            };
            let header = BlockHeader::parse(&array(&bytes, 0));
            let end = offset.saturating_add(u64::from(header.size));
            if header.data_size().is_none() || end > self.size {
                break;
            }
            blocks.push(BlockInfo { offset, header });
            offset = end;
        }
        Ok(blocks)
    }

    /// A block's data as a stream.
    pub fn data(&self, block: &BlockInfo) -> impl Read + use<'a> {
        Section {
            file: self.file,
            at: block.data_at(),
            left: block.data_size(),
        }
    }

    /// The first bytes of a block's data, at most `limit`.
    pub fn preview(&self, block: &BlockInfo, limit: u64) -> Result<Vec<u8>, MaifError> {
        let mut bytes = Vec::new();
        self.data(block)
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(MaifError::Read)?;
        Ok(bytes)
    }

    /// A block's text; `None` when it is not UTF-8.
    pub fn text(&self, block: &BlockInfo) -> Result<Option<String>, MaifError> {
        let bytes = self.preview(block, MAX_READ)?;
        Ok(String::from_utf8(bytes).ok())
    }

    /// A block's metadata as stored, as text.
    pub fn metadata(&self, block: &BlockInfo) -> Result<String, MaifError> {
        let at = block.data_at() + block.data_size();
        let bytes = self.bytes(at, u64::from(block.header.metadata_size))?;
        Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    }

    /// The entries of the provenance section; none when it cannot be read.
    pub fn provenance(&self) -> Result<Vec<ProvenanceEntry>, MaifError> {
        let at = self.header.provenance_offset;
        let Some(length) = self.bytes(at, 4)? else {
            return Ok(Vec::new());
        };
        let length = u64::from(u32_at(&length, 0));
        let Some(Ok(Value::Array(entries))) = self
            .bytes(at.saturating_add(4), length)?
            .map(|bytes| json::parse(&bytes))
        else {
            return Ok(Vec::new());
        };
        let text = |entry: &Value, name| {
            entry
                .get(name)
                .and_then(Value::as_text)
                .map(Text::to_lossy)
                .unwrap_or_default()
        };
        Ok(entries
            .iter()
            .map(|entry| ProvenanceEntry {
                action: text(entry, "action"),
                agent_id: text(entry, "agent_id"),
                agent_did: text(entry, "agent_did"),
                timestamp: entry
                    .get("timestamp")
                    .and_then(Value::as_u64)
                    .unwrap_or_default(),
                block_hash: text(entry, "block_hash"),
            })
            .collect())
    }

    /// Bytes that lie within the file, not too many for memory; else `None`.
    fn bytes(&self, at: u64, length: u64) -> Result<Option<Vec<u8>>, MaifError> {
        let within = at.checked_add(length).is_some_and(|end| end <= self.size);
        let Some(size) = usize::try_from(length)
            .ok()
            .filter(|_| within && length <= MAX_READ)
        else {
            return Ok(None);
        };
        let mut bytes = vec![0; size];
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(MaifError::Read)?;
        Ok(Some(bytes))
    }
}

/// A part of a file as a stream, independent of the file's own position.
struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let part = buffer.get_mut(..want).unwrap_or_default();
        let read = self.file.read_at(part, self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
