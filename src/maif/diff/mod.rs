//! How two MAIF files differ: header, signer, blocks with their contents and metadata, provenance.
//!
//! Blocks are paired by content first, then by their own id, then by kind in order, so that a text
//! that was written anew is shown as changed and not as one that went and another that came. Both
//! files are read as they are; whether they are intact is the verifier's to say.

mod content;
mod pair;

pub use content::{Content, Embeddings};
pub use pair::{Facts, Pair, pair};

use super::{
    error::MaifError,
    json::{self, Value},
    layout::{BlockType, FileHeader},
    read::{BlockInfo, ProvenanceEntry, Reader},
    verify::Signer,
};

/// One member that differs; `None` where it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub field: String,
    pub a: Option<String>,
    pub b: Option<String>,
}

/// What became of a block from `a` to `b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Same,
    /// Its content is the same, its place among the others is not.
    Moved,
    /// Its content or its metadata.
    Changed,
    Added,
    Removed,
}

impl Fate {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Moved => "moved",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

/// One block, or a pair of them. Places count from 0, sizes are bytes of data.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockDiff {
    pub fate: Fate,
    pub kind: BlockType,
    pub a: Option<usize>,
    pub b: Option<usize>,
    pub size_a: Option<u64>,
    pub size_b: Option<u64>,
    /// What changed in it, when it can be said.
    pub content: Content,
    pub metadata: Vec<Change>,
}

/// How `b` differs from `a`.
#[derive(Debug, Clone, PartialEq)]
pub struct FileDiff {
    pub header: Vec<Change>,
    pub signer: Vec<Change>,
    /// In the order of `b`; those that only `a` has last.
    pub blocks: Vec<BlockDiff>,
    /// Entries that both begin with, and what follows on either side.
    pub provenance_same: usize,
    pub provenance_a: Vec<ProvenanceEntry>,
    pub provenance_b: Vec<ProvenanceEntry>,
}

/// A file with what its verification said of its signer.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub reader: &'a Reader<'a>,
    pub signer: Option<&'a Signer>,
}

/// Compares two files.
pub fn diff(a: Side<'_>, b: Side<'_>) -> Result<FileDiff, MaifError> {
    let (blocks_a, blocks_b) = (a.reader.blocks()?, b.reader.blocks()?);
    let facts = |blocks: &[BlockInfo]| blocks.iter().map(facts_of).collect::<Vec<_>>();
    let mut blocks = Vec::new();
    for pair in pair(&facts(&blocks_a), &facts(&blocks_b)) {
        let old = pair.a.and_then(|at| blocks_a.get(at));
        let new = pair.b.and_then(|at| blocks_b.get(at));
        blocks.extend(block(a.reader, b.reader, pair, old, new)?);
    }
    let (chain_a, chain_b) = (a.reader.provenance()?, b.reader.provenance()?);
    let same = chain_a
        .iter()
        .zip(&chain_b)
        .take_while(|(a, b)| a == b)
        .count();
    Ok(FileDiff {
        header: header(a.reader.header(), b.reader.header()),
        signer: signer(a.signer, b.signer),
        blocks,
        provenance_same: same,
        provenance_a: chain_a.into_iter().skip(same).collect(),
        provenance_b: chain_b.into_iter().skip(same).collect(),
    })
}

fn facts_of(block: &BlockInfo) -> Facts {
    Facts {
        kind: block.header.kind,
        content: block.header.content_hash,
        id: block.header.id,
    }
}

fn block(
    a: &Reader<'_>,
    b: &Reader<'_>,
    pair: Pair,
    old: Option<&BlockInfo>,
    new: Option<&BlockInfo>,
) -> Result<Option<BlockDiff>, MaifError> {
    let Some(kind) = new.or(old).map(|block| block.header.kind) else {
        return Ok(None);
    };
    let mut found = BlockDiff {
        fate: Fate::Same,
        kind,
        a: pair.a,
        b: pair.b,
        size_a: old.map(BlockInfo::data_size),
        size_b: new.map(BlockInfo::data_size),
        content: Content::Unsaid,
        metadata: Vec::new(),
    };
    match (old, new) {
        (Some(old), Some(new)) => {
            let (was, is) = (a.metadata(old)?, b.metadata(new)?);
            found.metadata = metadata(&was, &is);
            let same = old.header.content_hash == new.header.content_hash;
            found.fate = match (same, pair.moved) {
                (false, _) => Fate::Changed,
                (true, true) => Fate::Moved,
                (true, false) => Fate::Same,
            };
            found.content = if same {
                Content::Same
            } else {
                content::compare((a, old, &was), (b, new, &is))?
            };
        }
        (None, _) => found.fate = Fate::Added,
        (_, None) => found.fate = Fate::Removed,
    }
    Ok(Some(found))
}

fn header(a: &FileHeader, b: &FileHeader) -> Vec<Change> {
    let fields = |h: &FileHeader| {
        [
            ("agent", h.agent()),
            ("created", h.created.to_string()),
            ("modified", h.modified.to_string()),
            ("file_id", hex::encode(h.file_id)),
            ("creator_id", hex::encode(h.creator_id)),
            ("flags", h.flags.to_string()),
            ("blocks", h.block_count.to_string()),
        ]
    };
    fields(a)
        .into_iter()
        .zip(fields(b))
        .filter_map(|((field, a), (_, b))| changed(field, Some(a), Some(b)))
        .collect()
}

fn signer(a: Option<&Signer>, b: Option<&Signer>) -> Vec<Change> {
    let fields = |s: Option<&Signer>| {
        [
            ("id", s.map(|s| s.id.clone())),
            ("did", s.map(|s| s.did.clone())),
            ("public_key", s.map(|s| s.public_key.clone())),
        ]
    };
    fields(a)
        .into_iter()
        .zip(fields(b))
        .filter_map(|((field, a), (_, b))| changed(field, a, b))
        .collect()
}

fn changed(field: &str, a: Option<String>, b: Option<String>) -> Option<Change> {
    (a != b).then(|| Change {
        field: field.to_owned(),
        a,
        b,
    })
}

/// The members that differ; the whole texts when one of them is no object.
fn metadata(a: &str, b: &str) -> Vec<Change> {
    if a == b {
        return Vec::new();
    }
    let object = |text: &str| match json::parse(text.as_bytes()) {
        Ok(value @ Value::Object(_)) => Some(value),
        _ => None,
    };
    let (Some(old), Some(new)) = (object(a), object(b)) else {
        let whole = changed("", Some(a.to_owned()), Some(b.to_owned()));
        return whole.into_iter().collect();
    };
    let mut names: Vec<String> = Vec::new();
    for value in [&old, &new] {
        if let Value::Object(members) = value {
            names.extend(members.iter().map(|(name, _)| name.to_lossy()));
        }
    }
    names.sort();
    names.dedup();
    names
        .iter()
        .filter_map(|name| {
            let of = |value: &Value| value.get(name).map(|value| value.render(true));
            changed(name, of(&old), of(&new))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_compared_member_by_member() {
        let found = metadata(
            r#"{"a": 1, "b": [1, 2], "gone": null}"#,
            r#"{"b": [1,2], "a": 2, "new": "x"}"#,
        );
        let changes: Vec<_> = found
            .iter()
            .map(|c| (&*c.field, c.a.as_deref(), c.b.as_deref()))
            .collect();
        assert_eq!(
            changes,
            [
                ("a", Some("1"), Some("2")),
                ("gone", Some("null"), None),
                ("new", None, Some("\"x\"")),
            ]
        );
        assert_eq!(metadata("{\"a\":1}", "{\"a\": 1}"), []);
        assert_eq!(metadata("nonsense", "{}").len(), 1);
    }
}
