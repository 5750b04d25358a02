//! `versions diff`: two states of an artifact, block by block.

use serde_json::{Value, json};

use super::{Context, Exit};
use crate::{
    maif::{
        Reader, Verification,
        diff::{BlockDiff, Change, Content, Side, diff as compare},
        read::ProvenanceEntry,
    },
    planner,
    report::{difference, stamp},
    store::{Store, StoreError},
    survey::{History, Pick},
};

/// Compares two states and prints how they differ.
pub fn diff(
    context: &Context<'_>,
    store: &Store,
    history: &History,
    a: Pick,
    b: Pick,
) -> Result<u8, StoreError> {
    let found_a = planner::read_state(store, history, a)?;
    let found_b = planner::read_state(store, history, b)?;
    let (of_a, of_b) = (&found_a.verification, &found_b.verification);
    let (reader_a, reader_b) = (Reader::open(&found_a.file)?, Reader::open(&found_b.file)?);
    let side = |reader, of: &Verification| (reader, of.signer.clone());
    let (old, new) = (side(&reader_a, of_a), side(&reader_b, of_b));
    let found = compare(
        Side {
            reader: old.0,
            signer: old.1.as_ref(),
        },
        Side {
            reader: new.0,
            signer: new.1.as_ref(),
        },
    )?;
    let same = of_a.sha256 == of_b.sha256;
    let header: Vec<Change> = found.header.iter().map(difference::in_words).collect();
    if context.output.is_json() {
        let chain = |entries: &[ProvenanceEntry]| -> Vec<Value> {
            let entry = |entry: &ProvenanceEntry| {
                json!({
                    "action": entry.action,
                    "agent_id": entry.agent_id,
                    "timestamp": stamp::rfc3339_micros(entry.timestamp),
                })
            };
            entries.iter().map(entry).collect()
        };
        context.output.json(super::backup_look::named(
            &history.name,
            json!({
                "a": { "id": shown(a), "sha256": of_a.sha256, "size": of_a.size, "verdict": of_a.verdict() },
                "b": { "id": shown(b), "sha256": of_b.sha256, "size": of_b.size, "verdict": of_b.verdict() },
                "same": same,
                "header": changes_json(&header),
                "signer": changes_json(&found.signer),
                "blocks": found.blocks.iter().map(block_json).collect::<Vec<_>>(),
                "provenance": {
                    "same": found.provenance_same,
                    "only_a": chain(&found.provenance_a),
                    "only_b": chain(&found.provenance_b),
                },
            }),
        ));
        return Ok(Exit::DONE);
    }
    context.output.line(&format!(
        "{}  {} → {}{}",
        history.name,
        shown(a),
        shown(b),
        if same { "  the same bytes" } else { "" }
    ));
    for line in difference::files(&found) {
        context.output.line(&line.text);
    }
    Ok(Exit::DONE)
}

fn shown(pick: Pick) -> String {
    match pick {
        Pick::Current => "current".to_owned(),
        Pick::Earlier(id) => id.to_string(),
    }
}

fn changes_json(changes: &[Change]) -> Vec<Value> {
    changes
        .iter()
        .map(|change| json!({ "field": change.field, "a": change.a, "b": change.b }))
        .collect()
}

fn block_json(block: &BlockDiff) -> Value {
    let mut document = json!({
        "change": block.fate.word(),
        "type": block.kind.to_string(),
        "a": block.a,
        "b": block.b,
        "size_a": block.size_a,
        "size_b": block.size_b,
        "metadata": changes_json(&block.metadata),
    });
    let (key, value) = match &block.content {
        Content::Text(lines) => ("text", json!(lines)),
        Content::Embeddings { a, b, rows_changed } => (
            "embeddings",
            json!({
                "count_a": a.count, "dimensions_a": a.dimensions,
                "count_b": b.count, "dimensions_b": b.dimensions,
                "rows_changed": rows_changed,
            }),
        ),
        Content::Same | Content::Unsaid => return document,
    };
    if let Value::Object(members) = &mut document {
        members.insert(key.to_owned(), value);
    }
    document
}
