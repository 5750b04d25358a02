//! What a file holds, read and verified for the inspect view.

use chrono::DateTime;

use crate::{
    console::backend::{InspectedBlock, InspectedEntry, Inspection},
    maif::{self, BlockType, Reader},
    report::stamp,
    store::fetch::Fetched,
    volume::ArtifactName,
};

/// Bytes of a text shown in an inspection.
const PREVIEW: u64 = 400;

/// What a file holds, for the inspect view.
pub(super) fn inspection(
    name: &ArtifactName,
    what: &str,
    Fetched {
        file,
        verification,
        path,
        ..
    }: &Fetched,
) -> Result<Inspection, maif::MaifError> {
    let mut header = Vec::new();
    if let Some(found) = &verification.header {
        header.push((
            "agent".to_owned(),
            verification.agent_did().unwrap_or_default(),
        ));
        header.push(("created".to_owned(), stamp::rfc3339_micros(found.created)));
        header.push(("modified".to_owned(), stamp::rfc3339_micros(found.modified)));
        header.push(("file id".to_owned(), hex::encode(found.file_id)));
        header.push(("sha256".to_owned(), verification.sha256.to_string()));
    }
    let mut blocks = Vec::new();
    let mut provenance = Vec::new();
    if let Ok(reader) = Reader::open(file) {
        for block in reader.blocks()? {
            let metadata = reader.metadata(&block)?;
            let preview = (block.header.kind == BlockType::TEXT)
                .then(|| reader.preview(&block, PREVIEW))
                .transpose()?
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            blocks.push(InspectedBlock {
                kind: block.header.kind.to_string(),
                size: block.data_size(),
                hash: hex::encode(block.header.content_hash),
                metadata: if metadata == "{}" {
                    String::new()
                } else {
                    metadata
                },
                preview,
                fault: None,
            });
        }
        for entry in reader.provenance()? {
            provenance.push(InspectedEntry {
                action: entry.action,
                agent: entry.agent_id,
                at: i64::try_from(entry.timestamp)
                    .ok()
                    .and_then(DateTime::from_timestamp_micros),
                fault: None,
            });
        }
    }
    Ok(Inspection {
        name: name.to_string(),
        what: what.to_owned(),
        path: path.to_string_lossy().into_owned(),
        size: verification.size,
        header,
        blocks,
        provenance,
        signer: verification.signer.as_ref().map(|s| s.public_key.clone()),
        verdict: verification.verdict().as_str().to_owned(),
        class: verification.class.to_string(),
        errors: verification
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.class, problem.message))
            .collect(),
        checked: vec![
            "every byte, hash and signature".to_owned(),
            "chain, merkle root, provenance, index, footer".to_owned(),
        ],
    })
}
