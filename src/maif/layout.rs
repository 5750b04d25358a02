//! Sizes, offsets and codes of secure MAIF 2.1, and reading fixed fields without ever panicking.
//!
//! All integers are unsigned and big-endian; offsets count from the start of the file.

use std::fmt;

/// Bytes of the file header.
pub const FILE_HEADER: usize = 444;
/// Bytes of a block header.
pub const BLOCK_HEADER: usize = 372;
/// Bytes of one index entry.
pub const INDEX_ENTRY: usize = 24;
/// Bytes of the footer.
pub const FOOTER: usize = 48;
/// How many bytes of the file header the file signature covers.
pub const SIGNED_HEADER: usize = 184;
/// In front of both kinds of signature.
pub const SIGNATURE_MARKER: &[u8; 8] = b"ED25519:";
/// File flags of a finished file: signed, finalized, has provenance.
pub const FILE_FLAGS: u32 = 7;
/// Block flags of the writer: signed, immutable.
pub const BLOCK_FLAGS: u32 = 3;
/// Status bits of a block: signed, immutable, verified, tampered. Not covered by its signature.
pub const BLOCK_STATUS: u32 = 0x33;
/// A signature field: marker, 64 bytes, zeros.
pub const SIGNATURE_FIELD: usize = 256;
/// The DID in the header is cut after so many bytes.
pub const AGENT_DID: usize = 64;

/// What kind of data a block holds: four ASCII letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockType(pub [u8; 4]);

impl BlockType {
    pub const TEXT: Self = Self(*b"TEXT");
    pub const EMBEDDINGS: Self = Self(*b"EMBD");
    pub const IMAGE: Self = Self(*b"IMAG");
    pub const AUDIO: Self = Self(*b"AUDI");
    pub const VIDEO: Self = Self(*b"VIDE");
    pub const KNOWLEDGE: Self = Self(*b"KNOW");
    pub const BINARY: Self = Self(*b"BINA");
    pub const METADATA: Self = Self(*b"META");

    /// The provenance action that records adding such a block.
    pub const fn action(self) -> &'static str {
        match &self.0 {
            b"TEXT" => "add_text_block",
            b"EMBD" => "add_embeddings_block",
            b"IMAG" => "add_image_block",
            b"AUDI" => "add_audio_block",
            b"VIDE" => "add_video_block",
            b"KNOW" => "add_knowledge_block",
            b"BINA" => "add_binary_block",
            b"META" => "add_metadata_block",
            _ => "add_unknown_block",
        }
    }
}

impl fmt::Display for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.iter().all(u8::is_ascii_graphic) {
            self.0
                .iter()
                .try_for_each(|b| write!(f, "{}", char::from(*b)))
        } else {
            write!(f, "0x{}", hex::encode(self.0))
        }
    }
}

impl fmt::Debug for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes `at..at + N` of a buffer; zeros where the buffer ends before, which callers rule out by
/// checking lengths first.
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(field) = at.checked_add(N).and_then(|end| bytes.get(at..end)) {
        out.copy_from_slice(field);
    }
    out
}

pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(array(bytes, at))
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array(bytes, at))
}

/// The file header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHeader {
    pub version: (u16, u16),
    pub flags: u32,
    /// Microseconds since 1970.
    pub created: u64,
    pub modified: u64,
    pub file_id: [u8; 16],
    pub creator_id: [u8; 16],
    /// UTF-8, cut after 64 bytes, NUL-padded.
    pub agent_did: [u8; AGENT_DID],
    pub block_count: u32,
    pub provenance_offset: u64,
    pub security_offset: u64,
    pub index_offset: u64,
    pub merkle_root: [u8; 32],
    pub signature: [u8; SIGNATURE_FIELD],
    pub reserved: u32,
}

impl FileHeader {
    pub fn parse(bytes: &[u8; FILE_HEADER]) -> Self {
        Self {
            version: (u16_at(bytes, 4), u16_at(bytes, 6)),
            flags: u32_at(bytes, 8),
            created: u64_at(bytes, 12),
            modified: u64_at(bytes, 20),
            file_id: array(bytes, 28),
            creator_id: array(bytes, 44),
            agent_did: array(bytes, 60),
            block_count: u32_at(bytes, 124),
            provenance_offset: u64_at(bytes, 128),
            security_offset: u64_at(bytes, 136),
            index_offset: u64_at(bytes, 144),
            merkle_root: array(bytes, 152),
            signature: array(bytes, 184),
            reserved: u32_at(bytes, 440),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FILE_HEADER);
        out.extend_from_slice(b"MAIF");
        out.extend_from_slice(&self.version.0.to_be_bytes());
        out.extend_from_slice(&self.version.1.to_be_bytes());
        out.extend_from_slice(&self.flags.to_be_bytes());
        out.extend_from_slice(&self.created.to_be_bytes());
        out.extend_from_slice(&self.modified.to_be_bytes());
        out.extend_from_slice(&self.file_id);
        out.extend_from_slice(&self.creator_id);
        out.extend_from_slice(&self.agent_did);
        out.extend_from_slice(&self.block_count.to_be_bytes());
        out.extend_from_slice(&self.provenance_offset.to_be_bytes());
        out.extend_from_slice(&self.security_offset.to_be_bytes());
        out.extend_from_slice(&self.index_offset.to_be_bytes());
        out.extend_from_slice(&self.merkle_root);
        out.extend_from_slice(&self.signature);
        out.extend_from_slice(&self.reserved.to_be_bytes());
        out
    }

    /// The DID without its padding; a cut UTF-8 sequence at its end shows as U+FFFD.
    pub fn agent(&self) -> String {
        let end = self
            .agent_did
            .iter()
            .rposition(|b| *b != 0)
            .map_or(0, |at| at + 1);
        String::from_utf8_lossy(self.agent_did.get(..end).unwrap_or_default()).into_owned()
    }

    /// Where the file ends by its own account; `None` when that cannot be computed.
    pub fn expected_size(&self) -> Option<u64> {
        u64::from(self.block_count)
            .checked_mul(INDEX_ENTRY as u64)?
            .checked_add(self.index_offset)?
            .checked_add(FOOTER as u64)
    }
}

/// A block header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHeader {
    /// Bytes of header, data and metadata.
    pub size: u32,
    pub kind: BlockType,
    pub flags: u32,
    pub version: u32,
    /// Microseconds since 1970.
    pub timestamp: u64,
    pub id: [u8; 16],
    pub previous: [u8; 32],
    pub content_hash: [u8; 32],
    pub signature: [u8; SIGNATURE_FIELD],
    pub metadata_size: u32,
    pub reserved: u64,
}

impl BlockHeader {
    pub fn parse(bytes: &[u8; BLOCK_HEADER]) -> Self {
        Self {
            size: u32_at(bytes, 0),
            kind: BlockType(array(bytes, 4)),
            flags: u32_at(bytes, 8),
            version: u32_at(bytes, 12),
            timestamp: u64_at(bytes, 16),
            id: array(bytes, 24),
            previous: array(bytes, 40),
            content_hash: array(bytes, 72),
            signature: array(bytes, 104),
            metadata_size: u32_at(bytes, 360),
            reserved: u64_at(bytes, 364),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_HEADER);
        out.extend_from_slice(&self.signed_start(self.flags));
        out.extend_from_slice(&self.signature);
        out.extend_from_slice(&self.metadata_size.to_be_bytes());
        out.extend_from_slice(&self.reserved.to_be_bytes());
        out
    }

    /// The first 104 bytes, with these flags.
    fn signed_start(&self, flags: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_HEADER);
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.kind.0);
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(&self.content_hash);
        out
    }

    /// What of the header the block's signature covers; data and metadata follow.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = self.signed_start(self.flags & !BLOCK_STATUS);
        out.extend_from_slice(&self.metadata_size.to_be_bytes());
        out
    }

    /// Bytes of data; `None` when the sizes contradict each other.
    pub fn data_size(&self) -> Option<u32> {
        self.size
            .checked_sub(u32::try_from(BLOCK_HEADER).ok()?)?
            .checked_sub(self.metadata_size)
    }

    /// The index entry that describes the block at `offset`.
    pub fn index_entry(&self, offset: u64) -> [u8; INDEX_ENTRY] {
        let mut out = Vec::with_capacity(INDEX_ENTRY);
        out.extend_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(&u64::from(self.size).to_be_bytes());
        out.extend_from_slice(&self.kind.0);
        out.extend_from_slice(&self.flags.to_be_bytes());
        array(&out, 0)
    }
}

/// The footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    pub total_size: u64,
    /// SHA-256 of all bytes before the footer.
    pub checksum: [u8; 32],
    pub reserved: u32,
}

impl Footer {
    /// `None` when the magic is not there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == FOOTER && bytes.starts_with(b"FIAM")).then(|| Self {
            total_size: u64_at(bytes, 4),
            checksum: array(bytes, 12),
            reserved: u32_at(bytes, 44),
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER);
        out.extend_from_slice(b"FIAM");
        out.extend_from_slice(&self.total_size.to_be_bytes());
        out.extend_from_slice(&self.checksum);
        out.extend_from_slice(&self.reserved.to_be_bytes());
        out
    }
}

/// Puts a signature into its field: marker, 64 bytes, zeros.
pub fn signature_field(signature: &[u8; 64]) -> [u8; SIGNATURE_FIELD] {
    let mut field = [0; SIGNATURE_FIELD];
    let filled = SIGNATURE_MARKER.iter().chain(signature);
    field
        .iter_mut()
        .zip(filled)
        .for_each(|(to, from)| *to = *from);
    field
}

/// Takes a signature out of its field; `None` when marker or padding are not the writer's.
pub fn signature_of(field: &[u8; SIGNATURE_FIELD]) -> Option<[u8; 64]> {
    let padding = field.get(72..)?;
    (field.starts_with(SIGNATURE_MARKER) && padding.iter().all(|b| *b == 0))
        .then(|| array(field, 8))
}

/// The merkle root of content hashes in file order: an odd last node is paired with itself; no
/// leaves give zeros.
pub fn merkle_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .filter_map(|pair| {
                let (left, right) = (pair.first()?, pair.last()?);
                Some(
                    Sha256::new()
                        .chain_update(left)
                        .chain_update(right)
                        .finalize()
                        .into(),
                )
            })
            .collect();
    }
    level.first().copied().unwrap_or_default()
}
