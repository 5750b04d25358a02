//! How two MAIF files differ, on files that the writer made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;

use maifdeck::maif::{
    Agent, BlockType, NewBlock, Reader, SigningKey, Sources, Verification,
    diff::{Content, Embeddings, Fate, FileDiff, Side, diff},
    json::Value,
    uuid4, verify, write,
};

/// A block to write: kind, data, metadata as name and number.
type Block = (BlockType, Vec<u8>, Vec<(&'static str, u64)>);

fn text(text: &str) -> Block {
    (BlockType::TEXT, text.as_bytes().to_vec(), Vec::new())
}

fn embeddings(rows: &[[f32; 2]]) -> Block {
    let data = rows.iter().flatten().flat_map(|v| v.to_le_bytes());
    let count = rows.len() as u64;
    (
        BlockType::EMBEDDINGS,
        data.collect(),
        vec![("count", count), ("dimensions", 2)],
    )
}

/// Ids are random in practice: no two writes share one.
fn file(agent: &str, seed: u8, blocks: &[Block]) -> (File, Verification) {
    let out = tempfile::tempfile().unwrap();
    let mut sources: Vec<&[u8]> = blocks.iter().map(|(_, data, _)| &**data).collect();
    let mut new: Vec<NewBlock> = blocks
        .iter()
        .zip(&mut sources)
        .map(|((kind, _, metadata), data)| NewBlock {
            kind: *kind,
            data,
            size: None,
            metadata: Value::Object(
                metadata
                    .iter()
                    .map(|(name, number)| ((*name).into(), (*number).into()))
                    .collect(),
            ),
        })
        .collect();
    let (mut now, mut id) = (1_700_000_000_000_000, seed);
    write(
        &out,
        &Agent::new(agent),
        &SigningKey::from_seed(&[seed; 32]),
        &mut new,
        &mut Sources {
            clock: &mut || {
                now += 1;
                now
            },
            ids: &mut || {
                id = id.wrapping_add(7);
                uuid4([id; 16])
            },
        },
    )
    .unwrap();
    let verified = verify(&out, &[], &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!(verified.class.as_str(), "valid");
    (out, verified)
}

fn compare(a: &(File, Verification), b: &(File, Verification)) -> FileDiff {
    let (old, new) = (Reader::open(&a.0).unwrap(), Reader::open(&b.0).unwrap());
    diff(
        Side {
            reader: &old,
            signer: a.1.signer.as_ref(),
        },
        Side {
            reader: &new,
            signer: b.1.signer.as_ref(),
        },
    )
    .unwrap()
}

fn fates(found: &FileDiff) -> Vec<Fate> {
    found.blocks.iter().map(|block| block.fate).collect()
}

#[test]
fn a_file_does_not_differ_from_itself() {
    let a = file("one", 1, &[text("x"), embeddings(&[[1.0, 2.0]])]);
    let found = compare(&a, &a);
    assert_eq!(fates(&found), [Fate::Same, Fate::Same]);
    assert!(found.header.is_empty() && found.signer.is_empty());
    assert!(found.provenance_a.is_empty() && found.provenance_b.is_empty());
}

#[test]
fn blocks_are_added_removed_changed_moved_or_the_same() {
    let image = |bytes: &[u8]| (BlockType::IMAGE, bytes.to_vec(), Vec::new());
    let a = file(
        "one",
        1,
        &[text("keep"), text("first"), text("last"), image(b"gone")],
    );
    let b = file(
        "one",
        1,
        &[
            text("last"),
            text("keep"),
            text("first, but longer"),
            embeddings(&[]),
        ],
    );
    let found = compare(&a, &b);
    assert_eq!(
        fates(&found),
        [
            Fate::Moved,
            Fate::Same,
            Fate::Changed,
            Fate::Added,
            Fate::Removed
        ]
    );
    let places: Vec<_> = found.blocks.iter().map(|b| (b.a, b.b)).collect();
    assert_eq!(
        places,
        [
            (Some(2), Some(0)),
            (Some(0), Some(1)),
            (Some(1), Some(2)),
            (None, Some(3)),
            (Some(3), None)
        ]
    );
}

#[test]
fn a_text_is_compared_by_lines() {
    let a = file("one", 1, &[text("a\nb\nc\n")]);
    let b = file("one", 1, &[text("a\nB\nc\nd\n")]);
    let found = compare(&a, &b);
    let Content::Text(lines) = &found.blocks[0].content else {
        panic!("{found:?}");
    };
    for line in [" a\n", "-b\n", "+B\n", " c\n", "+d\n"] {
        assert!(lines.contains(line), "{lines}");
    }
    // What is no text is only said to differ.
    let odd = (BlockType::TEXT, vec![0xff, 0xfe], Vec::new());
    let found = compare(&a, &file("one", 1, &[odd]));
    assert_eq!(found.blocks[0].content, Content::Unsaid);
}

#[test]
fn embeddings_are_compared_by_rows_and_metadata_by_members() {
    let a = file("one", 1, &[embeddings(&[[1.0, 2.0], [3.0, 4.0]])]);
    let b = file(
        "one",
        1,
        &[embeddings(&[[1.0, 2.0], [3.0, 5.0], [6.0, 7.0]])],
    );
    let found = compare(&a, &b);
    let shape = |count| Embeddings {
        count,
        dimensions: 2,
    };
    assert_eq!(
        found.blocks[0].content,
        Content::Embeddings {
            a: shape(2),
            b: shape(3),
            rows_changed: Some(1)
        }
    );
    let changed: Vec<_> = found.blocks[0].metadata.iter().map(|c| &*c.field).collect();
    assert_eq!(changed, ["count"]);
    // The data stays, what is said of it changes.
    let (kind, data, _) = text("x");
    let labelled = (kind, data, vec![("label", 7)]);
    let found = compare(&file("one", 1, &[text("x")]), &file("one", 1, &[labelled]));
    assert_eq!(fates(&found), [Fate::Changed]);
    assert_eq!(found.blocks[0].content, Content::Same);
}

#[test]
fn metadata_that_lies_about_the_rows_is_not_believed() {
    let (kind, data, _) = embeddings(&[[1.0, 2.0]]);
    let lying = (kind, data, vec![("count", u64::MAX), ("dimensions", 2)]);
    let found = compare(
        &file("one", 1, &[embeddings(&[[9.0, 9.0]])]),
        &file("one", 1, &[lying]),
    );
    let Content::Embeddings { rows_changed, .. } = found.blocks[0].content else {
        panic!("{found:?}");
    };
    assert_eq!(rows_changed, None);
}

#[test]
fn another_writer_shows_in_header_signer_and_provenance() {
    let (a, b) = (
        file("one", 1, &[text("x")]),
        file("two", 2, &[text("x"), text("y")]),
    );
    let found = compare(&a, &b);
    let fields = |changes: &[maifdeck::maif::diff::Change]| -> Vec<String> {
        changes.iter().map(|change| change.field.clone()).collect()
    };
    let header = fields(&found.header);
    assert!(header.contains(&"agent".to_owned()), "{header:?}");
    assert!(header.contains(&"blocks".to_owned()), "{header:?}");
    assert_eq!(fields(&found.signer), ["id", "did", "public_key"]);
    assert!(found.provenance_a.len() < found.provenance_b.len());
}
