//! Writing secure MAIF 2.1 files that Python's reader accepts and that are byte for byte what its
//! writer would have written with the same clock, ids and key.
//!
//! Memory does not grow with a block: data is streamed to its place, and hashes and signatures are
//! computed from what was written, so that a source that changes meanwhile cannot make a file that
//! contradicts itself.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use ed25519_dalek::{
    Signature, SignatureError, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign_byupdate},
};
use sha2::{Digest as _, Sha256, Sha512};

use super::{
    error::MaifError,
    json::Value,
    layout::{
        AGENT_DID, BLOCK_FLAGS, BLOCK_HEADER, BlockHeader, BlockType, FILE_FLAGS, FILE_HEADER,
        FOOTER, FileHeader, Footer, SIGNATURE_FIELD, SIGNED_HEADER, merkle_root, signature_field,
    },
};

/// Bytes moved at a time.
const CHUNK: usize = 256 * 1024;

/// The writer's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    pub id: String,
    pub did: String,
}

impl Agent {
    /// With the default DID, `did:maif:<id>`.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            did: format!("did:maif:{id}"),
        }
    }
}

/// A 32-byte Ed25519 seed. Does not print itself.
pub struct SigningKey(ExpandedSecretKey, VerifyingKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public_hex())
    }
}

impl SigningKey {
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let expanded = ExpandedSecretKey::from(seed);
        let public = VerifyingKey::from(&expanded);
        Self(expanded, public)
    }

    /// The public key as 64 lower-case hexadecimal digits.
    pub fn public_hex(&self) -> String {
        hex::encode(self.1.as_bytes())
    }

    /// Signs a message that `feed` gives in pieces; it is asked twice.
    fn sign(&self, feed: &dyn Fn(Each<'_>) -> io::Result<()>) -> Result<[u8; 64], MaifError> {
        let failure = Cell::new(None);
        let signed: Result<Signature, SignatureError> = raw_sign_byupdate::<Sha512, _>(
            &self.0,
            |hash: &mut Sha512| {
                feed(&mut |chunk| hash.update(chunk)).map_err(|error| {
                    failure.set(Some(error));
                    SignatureError::new()
                })
            },
            &self.1,
        );
        match (signed, failure.into_inner()) {
            (_, Some(error)) => Err(MaifError::Read(error)),
            (Ok(signature), None) => Ok(signature.to_bytes()),
            (Err(_), None) => Err(MaifError::BadKey),
        }
    }

    fn sign_bytes(&self, message: &[u8]) -> Result<[u8; 64], MaifError> {
        self.sign(&|each| {
            each(message);
            Ok(())
        })
    }
}

/// Takes a message piece by piece.
type Each<'a> = &'a mut dyn FnMut(&[u8]);

/// A block to be written.
pub struct NewBlock<'a> {
    pub kind: BlockType,
    pub data: &'a mut dyn Read,
    /// Bytes that `data` will give, when known: too many are refused before anything is written.
    pub size: Option<u64>,
    /// An object; an empty one stands for none.
    pub metadata: Value,
}

impl std::fmt::Debug for NewBlock<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewBlock")
            .field("kind", &self.kind)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Time and identity from outside. Asked in the order in which Python's writer asks.
pub struct Sources<'a> {
    /// Microseconds since 1970.
    pub clock: &'a mut dyn FnMut() -> u64,
    /// Random UUIDs (version 4), raw.
    pub ids: &'a mut dyn FnMut() -> [u8; 16],
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

/// Makes a version-4 UUID of random bytes.
pub const fn uuid4(mut random: [u8; 16]) -> [u8; 16] {
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    random
}

/// Writes a whole file to `out`, which must be empty and open for reading and writing. The caller
/// makes it durable and gives it its name.
pub fn write(
    out: &File,
    agent: &Agent,
    key: &SigningKey,
    blocks: &mut [NewBlock<'_>],
    sources: &mut Sources<'_>,
) -> Result<(), MaifError> {
    let rendered: Vec<String> = blocks.iter().map(|b| b.metadata.render(true)).collect();
    for (block, metadata) in blocks.iter().zip(&rendered) {
        if let Some(size) = block.size {
            block_size(size, metadata)?;
        }
    }
    let created = (sources.clock)();
    let file_id = (sources.ids)();
    let creator_id = (sources.ids)();
    let mut provenance = Provenance {
        agent,
        key,
        entries: Vec::new(),
        previous: String::new(),
    };
    provenance.genesis(created, &file_id, &creator_id)?;
    let mut written: Vec<(u64, BlockHeader)> = Vec::new();
    let mut offset = FILE_HEADER as u64;
    for (block, metadata) in blocks.iter_mut().zip(&rendered) {
        let header = BlockHeader {
            size: 0,
            kind: block.kind,
            flags: BLOCK_FLAGS,
            version: 1,
            timestamp: (sources.clock)(),
            id: (sources.ids)(),
            previous: written.last().map_or([0; 32], |(_, h)| h.content_hash),
            content_hash: [0; 32],
            signature: [0; SIGNATURE_FIELD],
            metadata_size: 0,
            reserved: 0,
        };
        let (header, data_size) = write_block(out, offset, header, block.data, metadata, key)?;
        provenance.add(
            (sources.clock)(),
            block.kind.action(),
            &header.content_hash,
            Value::object([
                ("block_id", Value::from(&*hex::encode(header.id))),
                ("size", Value::from(data_size)),
            ]),
        )?;
        let size = u64::from(header.size);
        written.push((offset, header));
        offset += size;
    }
    let leaves: Vec<[u8; 32]> = written.iter().map(|(_, h)| h.content_hash).collect();
    let merkle_root = merkle_root(&leaves);
    let count = u32::try_from(written.len()).map_err(|_| MaifError::TooLarge {
        size: written.len() as u64,
    })?;
    provenance.add(
        (sources.clock)(),
        "finalize",
        &merkle_root,
        Value::object([("block_count", Value::from(u64::from(count)))]),
    )?;
    let security = Value::object([
        ("signer_id", Value::from(&*agent.id)),
        ("signer_did", Value::from(&*agent.did)),
        ("public_key", Value::from(&*key.public_hex())),
        ("key_algorithm", Value::from("Ed25519")),
        ("signature_algorithm", Value::from("Ed25519")),
        ("signed_at", Value::from((sources.clock)())),
    ])
    .render(false);
    let modified = (sources.clock)();
    let mut tail = Vec::new();
    section(&mut tail, &Value::Array(provenance.entries).render(false))?;
    let security_offset = offset + tail.len() as u64;
    section(&mut tail, &security)?;
    let index_offset = offset + tail.len() as u64;
    for (offset, header) in &written {
        tail.extend_from_slice(&header.index_entry(*offset));
    }
    let header = FileHeader {
        version: (2, 1),
        flags: FILE_FLAGS,
        created,
        modified,
        file_id,
        creator_id,
        agent_did: did_field(&agent.did),
        block_count: count,
        provenance_offset: offset,
        security_offset,
        index_offset,
        merkle_root,
        signature: [0; SIGNATURE_FIELD],
        reserved: 0,
    };
    finish(out, header, &tail, key)
}

/// Signs the header and writes everything that is not a block.
fn finish(
    out: &File,
    mut header: FileHeader,
    tail: &[u8],
    key: &SigningKey,
) -> Result<(), MaifError> {
    let offset = header.provenance_offset;
    let unsigned = header.encode();
    let signature = key.sign_bytes(unsigned.get(..SIGNED_HEADER).unwrap_or_default())?;
    header.signature = signature_field(&signature);
    out.write_all_at(&header.encode(), 0)
        .map_err(MaifError::Write)?;
    out.write_all_at(tail, offset).map_err(MaifError::Write)?;
    let footer_at = offset + tail.len() as u64;
    let mut checksum = Sha256::new();
    read_back(out, 0, footer_at, &mut |chunk| checksum.update(chunk)).map_err(MaifError::Read)?;
    let footer = Footer {
        total_size: footer_at + FOOTER as u64,
        checksum: checksum.finalize().into(),
        reserved: 0,
    };
    out.write_all_at(&footer.encode(), footer_at)
        .map_err(MaifError::Write)
}

/// Bytes of a whole block, refused when its size field cannot hold them.
fn block_size(data: u64, metadata: &str) -> Result<u32, MaifError> {
    data.checked_add(metadata.len() as u64 + BLOCK_HEADER as u64)
        .and_then(|size| u32::try_from(size).ok())
        .ok_or(MaifError::TooLarge { size: data })
}

/// Streams the data to its place, then hashes and signs what is there.
fn write_block(
    out: &File,
    offset: u64,
    mut header: BlockHeader,
    data: &mut dyn Read,
    metadata: &str,
    key: &SigningKey,
) -> Result<(BlockHeader, u64), MaifError> {
    let data_at = offset + BLOCK_HEADER as u64;
    let mut hash = Sha256::new();
    let mut size = 0u64;
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match data.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(MaifError::Read(error)),
        };
        let chunk = buffer.get(..read).unwrap_or_default();
        block_size(size + read as u64, metadata)?;
        hash.update(chunk);
        out.write_all_at(chunk, data_at + size)
            .map_err(MaifError::Write)?;
        size += read as u64;
    }
    out.write_all_at(metadata.as_bytes(), data_at + size)
        .map_err(MaifError::Write)?;
    header.size = block_size(size, metadata)?;
    header.metadata_size =
        u32::try_from(metadata.len()).map_err(|_| MaifError::TooLarge { size })?;
    let data_hash: [u8; 32] = hash.finalize().into();
    header.content_hash = if metadata == "{}" {
        data_hash
    } else {
        Sha256::new()
            .chain_update(data_hash)
            .chain_update(metadata)
            .finalize()
            .into()
    };
    let signed = header.signed_bytes();
    let body = size + metadata.len() as u64;
    let signature = key.sign(&|each| {
        each(&signed);
        read_back(out, data_at, body, each)
    })?;
    header.signature = signature_field(&signature);
    out.write_all_at(&header.encode(), offset)
        .map_err(MaifError::Write)?;
    Ok((header, size))
}

fn read_back(file: &File, mut at: u64, mut length: u64, each: Each<'_>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while length > 0 {
        let want = usize::try_from(length.min(CHUNK as u64)).unwrap_or(CHUNK);
        let chunk = buffer.get_mut(..want).unwrap_or_default();
        file.read_exact_at(chunk, at)?;
        each(chunk);
        at += want as u64;
        length -= want as u64;
    }
    Ok(())
}

/// The DID in its field: cut after 64 bytes, as Python's writer cuts it.
fn did_field(did: &str) -> [u8; AGENT_DID] {
    let mut field = [0; AGENT_DID];
    field
        .iter_mut()
        .zip(did.bytes())
        .for_each(|(to, from)| *to = from);
    field
}

fn section(out: &mut Vec<u8>, json: &str) -> Result<(), MaifError> {
    let length = u32::try_from(json.len()).map_err(|_| MaifError::TooLarge {
        size: json.len() as u64,
    })?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(json.as_bytes());
    Ok(())
}

/// The chain of signed entries.
struct Provenance<'a> {
    agent: &'a Agent,
    key: &'a SigningKey,
    entries: Vec<Value>,
    previous: String,
}

impl Provenance<'_> {
    /// The entry that ties the chain to the file's ids.
    fn genesis(
        &mut self,
        created: u64,
        file_id: &[u8; 16],
        creator_id: &[u8; 16],
    ) -> Result<(), MaifError> {
        let genesis = format!("genesis:{}:{created}", self.agent.id);
        self.add(
            created,
            "genesis",
            &Sha256::digest(genesis.as_bytes()).into(),
            Value::object([
                ("file_id", Value::from(&*hex::encode(file_id))),
                ("creator_id", Value::from(&*hex::encode(creator_id))),
                ("format_version", Value::from("2.1")),
                ("key_algorithm", Value::from("Ed25519")),
            ]),
        )
    }

    fn add(
        &mut self,
        timestamp: u64,
        action: &str,
        block_hash: &[u8; 32],
        metadata: Value,
    ) -> Result<(), MaifError> {
        let position = Value::from(self.entries.len() as u64);
        let block_hash = hex::encode(block_hash);
        let hashed = Value::object([
            ("action", Value::from(action)),
            ("agent_did", Value::from(&*self.agent.did)),
            ("agent_id", Value::from(&*self.agent.id)),
            ("block_hash", Value::from(&*block_hash)),
            ("chain_position", position.clone()),
            ("metadata", metadata.clone()),
            ("previous_entry_hash", Value::from(&*self.previous)),
            ("timestamp", Value::from(timestamp)),
        ]);
        let entry_hash = hex::encode(Sha256::digest(hashed.render(true).as_bytes()));
        let signature = hex::encode(self.key.sign_bytes(entry_hash.as_bytes())?);
        self.entries.push(Value::object([
            ("timestamp", Value::from(timestamp)),
            ("agent_id", Value::from(&*self.agent.id)),
            ("agent_did", Value::from(&*self.agent.did)),
            ("action", Value::from(action)),
            ("block_hash", Value::from(&*block_hash)),
            ("entry_hash", Value::from(&*entry_hash)),
            ("previous_entry_hash", Value::from(&*self.previous)),
            ("signature", Value::from(&*signature)),
            ("chain_position", position),
            ("metadata", metadata),
        ]));
        self.previous = entry_hash;
        Ok(())
    }
}
