//! Walking the blocks: sizes, chain, content hashes, signatures, in the one pass.

use ed25519_dalek::StreamVerifier;
use sha2::{Digest as _, Sha256};

use super::{Block, Body, Class, MaifError, PublicKey, block_header};
use crate::maif::{
    json::{self, Value},
    layout::{BLOCK_FLAGS, BLOCK_HEADER, BLOCK_STATUS, signature_of},
};

/// Metadata above this is not looked into to tell what of a failed block was changed.
const MAX_BLAMED: u32 = 16 << 20;

/// Verifies all blocks. `None`: the walk cannot go on, which has been reported.
pub fn verify(
    body: &mut Body<'_, '_>,
    key: Option<&PublicKey>,
) -> Result<Option<Vec<Block>>, MaifError> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut offset = super::FILE_HEADER as u64;
    let end = body.header.provenance_offset;
    for number in 0..body.header.block_count {
        let fits = |size: u64| offset.checked_add(size).is_some_and(|next| next <= end);
        if !fits(BLOCK_HEADER as u64) {
            body.problems.report(
                Class::Malformed,
                format!("block {number} lies outside the blocks' part of the file"),
            );
            return Ok(None);
        }
        let header = block_header(&body.scan.take(BLOCK_HEADER)?);
        let Some(data) = header.data_size().filter(|_| fits(u64::from(header.size))) else {
            body.problems.report(
                Class::Malformed,
                format!("the sizes of block {number} contradict the file"),
            );
            return Ok(None);
        };
        if header.reserved != 0 {
            body.problems.report(
                Class::Malformed,
                format!("the reserved field of block {number} is not zero"),
            );
        }
        let previous = blocks.last().map_or([0; 32], |b| b.header.content_hash);
        if header.previous != previous {
            body.problems.report(
                Class::BrokenChain,
                format!("block {number} does not follow the block before it"),
            );
        }
        body.types.push(header.kind);
        let block = Block { offset, header };
        verify_one(body, number, &block, data, key)?;
        offset += u64::from(block.header.size);
        blocks.push(block);
    }
    if offset != end {
        body.problems.report(
            Class::Malformed,
            "the provenance section does not follow the blocks",
        );
        return Ok(None);
    }
    Ok(Some(blocks))
}

/// Passes over one block's data and metadata.
fn verify_one(
    body: &mut Body<'_, '_>,
    number: u32,
    block: &Block,
    data: u32,
    key: Option<&PublicKey>,
) -> Result<(), MaifError> {
    let header = &block.header;
    let mut stream: Option<StreamVerifier> = None;
    let mut wrong: Option<&str> = None;
    match signature_of(&header.signature) {
        None => wrong = Some("its signature's marker or padding is not the writer's"),
        Some(signature) => {
            if let Some(key) = key {
                stream = key.stream(&signature);
                if stream.is_none() {
                    wrong = Some("its signature is not one that can be right");
                }
            }
        }
    }
    if header.flags & BLOCK_STATUS != BLOCK_FLAGS {
        wrong = Some("it is not marked as signed and immutable, or is marked otherwise");
    }
    if let Some(stream) = &mut stream {
        stream.update(header.signed_bytes());
    }
    let mut data_hash = Sha256::new();
    body.scan.pass(u64::from(data), &mut |chunk| {
        data_hash.update(chunk);
        if let Some(stream) = &mut stream {
            stream.update(chunk);
        }
    })?;
    let data_hash: [u8; 32] = data_hash.finalize().into();
    let mut content_hash = Sha256::new().chain_update(data_hash);
    let mut kept = Vec::new();
    body.scan
        .pass(u64::from(header.metadata_size), &mut |chunk| {
            content_hash.update(chunk);
            if let Some(stream) = &mut stream {
                stream.update(chunk);
            }
            if header.metadata_size <= MAX_BLAMED {
                kept.extend_from_slice(chunk);
            }
        })?;
    if header.metadata_size == 0
        && let Some(stream) = &mut stream
    {
        // No writer makes it, but readers take missing metadata for an empty object.
        stream.update(b"{}");
    }
    let empty = kept == b"{}" || header.metadata_size == 0;
    let content_hash = if empty {
        data_hash
    } else {
        content_hash.finalize().into()
    };
    if content_hash != header.content_hash {
        wrong = Some("its content hash does not fit");
    }
    if stream.is_some_and(|stream| stream.finalize_and_verify().is_err()) {
        wrong = wrong.or(Some("its signature does not fit"));
    }
    let Some(wrong) = wrong else {
        return Ok(());
    };
    let (class, blame) = if header.metadata_size <= MAX_BLAMED
        && header.metadata_size > 0
        && let Some(blame) = blame_metadata(&kept, data_hash == header.content_hash && !empty)
    {
        (Class::TamperedMetadata, blame)
    } else {
        (Class::TamperedBlock, "")
    };
    let kind = header.kind;
    body.problems
        .report(class, format!("block {number} ({kind}): {wrong}{blame}"));
    Ok(())
}

/// Whether the metadata is visibly what was changed.
fn blame_metadata(metadata: &[u8], data_is_right: bool) -> Option<&'static str> {
    match json::parse(metadata) {
        Err(_) => Some("; its metadata is not JSON"),
        Ok(value @ Value::Object(_)) => {
            if value.render(true).as_bytes() != metadata {
                Some("; its metadata is not as the writer renders it")
            } else if data_is_right {
                Some("; its data alone is right")
            } else {
                None
            }
        }
        Ok(_) => Some("; its metadata is not an object"),
    }
}
