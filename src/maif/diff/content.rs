//! What changed inside a block: lines of a text, rows of embeddings; of others only that they did.

use std::{io::Read, time::Duration};

use similar::TextDiff;

use crate::maif::{
    error::MaifError,
    json,
    layout::BlockType,
    read::{BlockInfo, Reader},
};

/// Texts above this are not compared line by line.
const MAX_TEXT: u64 = 8 << 20;
/// A comparison that takes longer ends with a coarser result.
const PATIENCE: Duration = Duration::from_secs(2);
/// Unchanged lines shown around a change.
const AROUND: usize = 3;

/// What changed in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Same,
    /// Lines as in a unified diff, each with its newline.
    Text(String),
    Embeddings {
        a: Embeddings,
        b: Embeddings,
        /// Of the rows that both have, when their dimensions are the same.
        rows_changed: Option<u64>,
    },
    /// Only that it changed, or that there is nothing to compare it with.
    Unsaid,
}

/// Shape of an embeddings block, by its metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embeddings {
    pub count: u64,
    pub dimensions: u64,
}

/// A block, its file and its metadata.
type Of<'a> = (&'a Reader<'a>, &'a BlockInfo, &'a str);

/// Compares the contents of two blocks of one kind.
pub(super) fn compare(a: Of<'_>, b: Of<'_>) -> Result<Content, MaifError> {
    // A block's hash covers its metadata too: that it differs says nothing of the data yet.
    let size = a.1.data_size();
    if size == b.1.data_size() && rows_that_differ(a.0.data(a.1), b.0.data(b.1), size, 1)? == 0 {
        return Ok(Content::Same);
    }
    match a.1.header.kind {
        BlockType::TEXT => texts(a, b),
        BlockType::EMBEDDINGS => embeddings(a, b),
        _ => Ok(Content::Unsaid),
    }
}

fn texts(a: Of<'_>, b: Of<'_>) -> Result<Content, MaifError> {
    if a.1.data_size() > MAX_TEXT || b.1.data_size() > MAX_TEXT {
        return Ok(Content::Unsaid);
    }
    let (Some(old), Some(new)) = (a.0.text(a.1)?, b.0.text(b.1)?) else {
        return Ok(Content::Unsaid);
    };
    let diff = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(&old, &new);
    let unified = diff.unified_diff().context_radius(AROUND).to_string();
    Ok(Content::Text(unified))
}

fn embeddings(a: Of<'_>, b: Of<'_>) -> Result<Content, MaifError> {
    let shape = |metadata: &str| {
        let metadata = json::parse(metadata.as_bytes()).ok()?;
        let number = |name| metadata.get(name).and_then(json::Value::as_u64);
        Some(Embeddings {
            count: number("count")?,
            dimensions: number("dimensions")?,
        })
    };
    let (Some(old), Some(new)) = (shape(a.2), shape(b.2)) else {
        return Ok(Content::Unsaid);
    };
    // Four bytes a value; what the metadata says is believed only when the data has that size.
    let fits = |of: Embeddings, block: &BlockInfo| {
        let values = of.count.checked_mul(of.dimensions);
        values.and_then(|values| values.checked_mul(4)) == Some(block.data_size())
    };
    let comparable =
        old.dimensions == new.dimensions && fits(old, a.1) && fits(new, b.1) && old.dimensions > 0;
    let rows_changed = if comparable {
        let row = old.dimensions * 4;
        let rows = old.count.min(new.count);
        Some(rows_that_differ(a.0.data(a.1), b.0.data(b.1), row, rows)?)
    } else {
        None
    };
    Ok(Content::Embeddings {
        a: old,
        b: new,
        rows_changed,
    })
}

fn rows_that_differ(a: impl Read, b: impl Read, row: u64, rows: u64) -> Result<u64, MaifError> {
    let mut sides = (
        std::io::BufReader::with_capacity(1 << 18, a),
        std::io::BufReader::with_capacity(1 << 18, b),
    );
    // A row is bounded by its block, which is below 4 GiB; it is compared in pieces.
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut differ = 0;
    for _ in 0..rows {
        let (mut to_go, mut same) = (row, true);
        while to_go > 0 {
            let piece = to_go.min(1 << 16);
            left.clear();
            right.clear();
            let read = (&mut sides.0).take(piece).read_to_end(&mut left);
            read.map_err(MaifError::Read)?;
            let read = (&mut sides.1).take(piece).read_to_end(&mut right);
            read.map_err(MaifError::Read)?;
            same &= left == right;
            to_go -= piece;
        }
        differ += u64::from(!same);
    }
    Ok(differ)
}
