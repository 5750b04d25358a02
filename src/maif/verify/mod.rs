//! The strict verifier: everything that section 12 of the format page lists.
//!
//! One pass over the bytes in order feeds the file's digest, the footer's checksum, each block's
//! content hash and each block's signature; memory does not grow with a block. No count or size is
//! believed, and nothing allocated by it, before it was compared with the file's length.

mod blocks;
mod provenance;
mod scan;
mod security;

use std::{fs::File, ops::ControlFlow};

use serde::Serialize;

use super::{
    Digest,
    class::{Class, Problem, Verdict},
    error::MaifError,
    layout::{
        BLOCK_HEADER, BlockHeader, BlockType, FILE_FLAGS, FILE_HEADER, FOOTER, FileHeader, Footer,
        INDEX_ENTRY, SIGNED_HEADER, array, merkle_root, signature_of, u32_at,
    },
    shape::{Shape, shape},
};
use scan::Scan;
pub use security::PublicKey;

/// Problems beyond these are not kept: one tells the verdict, a screen shows a few.
const MAX_PROBLEMS: usize = 32;
/// Sections are held in memory, so a length that no writer reaches is refused: the security section
/// has six members, and an entry of the provenance about 610 bytes beside the agent's name.
const MAX_SECURITY: u64 = 1 << 20;
const MAX_ENTRY: u64 = 64 << 10;
const MAX_PROVENANCE: u64 = 256 << 20;

/// What verifying a file found.
#[derive(Debug, Clone)]
pub struct Verification {
    pub class: Class,
    /// The first problems, in the order found.
    pub problems: Vec<Problem>,
    /// Digest of the whole file.
    pub sha256: Digest,
    pub size: u64,
    pub header: Option<FileHeader>,
    /// From the security section.
    pub signer: Option<Signer>,
    /// Types of the blocks that could be walked.
    pub block_types: Vec<BlockType>,
}

/// Who signed, by the file's own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signer {
    pub id: String,
    pub did: String,
    /// 64 hexadecimal digits.
    pub public_key: String,
    /// Microseconds since 1970; covered by no signature.
    pub signed_at: Option<u64>,
}

impl Verification {
    pub fn verdict(&self) -> Verdict {
        self.class.verdict()
    }

    /// The full DID of the signer, else what the header holds of it.
    pub fn agent_did(&self) -> Option<String> {
        match (&self.signer, &self.header) {
            (Some(signer), _) => Some(signer.did.clone()),
            (None, Some(header)) => Some(header.agent()),
            (None, None) => None,
        }
    }

    /// The first problem in words, for a line that has room for one.
    pub fn problem(&self) -> &str {
        self.problems
            .iter()
            .find(|problem| problem.class == self.class)
            .map_or("", |problem| &problem.message)
    }
}

/// Called with the number of bytes read since the last call; may stop the work.
pub type Progress<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

/// Verifies an open file from its start to its end. `trusted`: when not empty, other keys make an
/// otherwise intact file `untrusted-signer`.
pub fn verify(
    file: &File,
    trusted: &[PublicKey],
    progress: Progress<'_>,
) -> Result<Verification, MaifError> {
    let mut scan = Scan::open(file, progress)?;
    let mut problems = Problems::default();
    let size = scan.size();
    let head = scan.take(FILE_HEADER)?;
    let found =
        shape(&head, size, &mut |at, length| scan.read_at(at, length)).map_err(MaifError::Read)?;
    let mut verification = Verification {
        class: Class::Valid,
        problems: Vec::new(),
        sha256: Digest::default(),
        size,
        header: None,
        signer: None,
        block_types: Vec::new(),
    };
    match found {
        Shape::End(problem) => problems.add(problem),
        Shape::Whole {
            header,
            footer_at,
            problem,
        } => {
            problems.0.extend(problem);
            let mut body = Body {
                scan: &mut scan,
                problems: &mut problems,
                header: &header,
                head: &head,
                footer_at,
                signer: &mut verification.signer,
                types: &mut verification.block_types,
            };
            body.verify(trusted)?;
            verification.header = Some(*header);
        }
    }
    verification.sha256 = scan.finish()?;
    verification.class = Problem::primary(&problems.0);
    problems.0.truncate(MAX_PROBLEMS);
    verification.problems = problems.0;
    Ok(verification)
}

#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, problem: Problem) {
        // The class that names the verdict must not be lost in a flood of later ones.
        if self.0.len() < MAX_PROBLEMS || problem.class < Problem::primary(&self.0) {
            self.0.push(problem);
        }
    }

    fn report(&mut self, class: Class, message: impl Into<String>) {
        self.add(Problem::new(class, message));
    }
}

/// A file whose shape is whole.
struct Body<'a, 'b> {
    scan: &'a mut Scan<'b>,
    problems: &'a mut Problems,
    header: &'a FileHeader,
    head: &'a [u8],
    footer_at: u64,
    signer: &'a mut Option<Signer>,
    types: &'a mut Vec<BlockType>,
}

/// Where the sections are, compared with the file and with each other.
struct Sections {
    provenance: u32,
    security: u32,
}

impl Body<'_, '_> {
    fn verify(&mut self, trusted: &[PublicKey]) -> Result<(), MaifError> {
        if self.header.reserved != 0 {
            self.problems
                .report(Class::Malformed, "the header's reserved field is not zero");
        }
        let Some(sections) = self.sections()? else {
            return Ok(());
        };
        let security = self.header.security_offset;
        let bytes = self
            .scan
            .read_at(security + 4, sections.security as usize)
            .map_err(MaifError::Read)?
            .unwrap_or_default();
        let key = security::read(&bytes, self.signer, self.problems);
        let Some(blocks) = blocks::verify(self, key.as_ref())? else {
            return Ok(());
        };
        self.verify_header(key.as_ref(), &blocks);
        self.scan.take(4)?;
        let provenance = self.scan.take(sections.provenance as usize)?;
        provenance::verify(
            &provenance,
            self.header,
            &blocks,
            self.signer.as_ref(),
            key.as_ref(),
            self.problems,
        );
        self.scan.take(4 + sections.security as usize)?;
        self.verify_index(&blocks)?;
        self.verify_footer()?;
        if let Some(key) = key
            && !trusted.is_empty()
            && !trusted.contains(&key)
        {
            let message = format!("the key {key} is not in the list of trusted ones");
            self.problems.report(Class::UntrustedSigner, message);
        }
        Ok(())
    }

    /// Checks that the sections follow each other without gaps, up to the footer.
    fn sections(&mut self) -> Result<Option<Sections>, MaifError> {
        let header = self.header;
        let count = u64::from(header.block_count);
        let length_at = |at: u64, limit: u64| -> Result<Option<u32>, MaifError> {
            if at.checked_add(4).is_none_or(|end| end > limit) {
                return Ok(None);
            }
            let bytes = self.scan.read_at(at, 4).map_err(MaifError::Read)?;
            Ok(bytes.map(|bytes| u32_at(&bytes, 0)))
        };
        let provenance = length_at(header.provenance_offset, self.footer_at)?;
        let security = length_at(header.security_offset, self.footer_at)?;
        let problem = match (provenance, security) {
            (Some(p), Some(s)) => {
                let follows = |offset: u64, length: u32| offset + 4 + u64::from(length);
                if header.provenance_offset < FILE_HEADER as u64 {
                    "the provenance section overlaps the header"
                } else if follows(header.provenance_offset, p) != header.security_offset {
                    "the security section does not follow the provenance section"
                } else if follows(header.security_offset, s) != header.index_offset {
                    "the index does not follow the security section"
                } else if header.index_offset.checked_add(count * INDEX_ENTRY as u64)
                    != Some(self.footer_at)
                {
                    "the footer does not follow the index"
                } else if count * BLOCK_HEADER as u64
                    > header.provenance_offset - FILE_HEADER as u64
                {
                    "there is no room for so many blocks"
                } else if u64::from(p) > MAX_PROVENANCE.min((count + 2) * MAX_ENTRY)
                    || u64::from(s) > MAX_SECURITY
                {
                    "a section is longer than any writer makes it"
                } else {
                    return Ok(Some(Sections {
                        provenance: p,
                        security: s,
                    }));
                }
            }
            _ => "a section lies outside the file",
        };
        self.problems.report(Class::Malformed, problem);
        Ok(None)
    }

    fn verify_header(&mut self, key: Option<&PublicKey>, blocks: &[Block]) {
        let leaves: Vec<[u8; 32]> = blocks.iter().map(|b| b.header.content_hash).collect();
        if merkle_root(&leaves) != self.header.merkle_root {
            self.problems.report(
                Class::MerkleMismatch,
                "the merkle root in the header is not that of the blocks",
            );
        }
        let mut fail = |message: &str| self.problems.report(Class::BadFileSignature, message);
        if self.header.flags != FILE_FLAGS {
            fail("the file's flags are not those of a finished file");
        }
        match (signature_of(&self.header.signature), key) {
            (None, _) => fail("the file signature's marker or padding is not the writer's"),
            (Some(signature), Some(key)) => {
                let signed = self.head.get(..SIGNED_HEADER).unwrap_or_default();
                if !key.verifies(&[signed], &signature) {
                    fail("the file signature does not fit the header");
                }
            }
            (Some(_), None) => {}
        }
    }

    fn verify_index(&mut self, blocks: &[Block]) -> Result<(), MaifError> {
        for (number, block) in blocks.iter().enumerate() {
            let entry = self.scan.take(INDEX_ENTRY)?;
            if entry != block.header.index_entry(block.offset) {
                self.problems.report(
                    Class::BadIndex,
                    format!("index entry {number} does not describe its block"),
                );
            }
        }
        Ok(())
    }

    fn verify_footer(&mut self) -> Result<(), MaifError> {
        let checksum = self.scan.digest_so_far();
        let bytes = self.scan.take(FOOTER)?;
        let mut fail = |message: &str| self.problems.report(Class::BadFooter, message);
        match Footer::parse(&bytes) {
            None => fail("the footer's magic is not FIAM"),
            Some(footer) => {
                if footer.total_size != self.footer_at + FOOTER as u64 {
                    fail("the footer gives another size");
                }
                if footer.checksum != checksum.0 {
                    fail("the footer's checksum does not fit the file");
                }
                if footer.reserved != 0 {
                    fail("the footer's reserved field is not zero");
                }
            }
        }
        Ok(())
    }
}

/// A block that was walked.
struct Block {
    offset: u64,
    header: BlockHeader,
}

/// A block's header from its bytes.
fn block_header(bytes: &[u8]) -> BlockHeader {
    BlockHeader::parse(&array(bytes, 0))
}
