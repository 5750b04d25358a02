//! The writer makes what Python's writer makes, byte for byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs::File, io::Read, ops::ControlFlow, path::PathBuf};

use maifdeck::maif::{
    Agent, BlockType, MaifError, NewBlock, Reader, SigningKey, Sources, json, verify, write,
};
use serde_json::Value;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Metadata comes from the golden file as stored, so the renderer has to give it back.
#[test]
fn golden_files_are_reproduced_byte_for_byte() {
    let verdicts: Value =
        serde_json::from_str(&std::fs::read_to_string(golden().join("verdicts.json")).unwrap())
            .unwrap();
    let mut reproduced = 0;
    for file in verdicts["files"].as_array().unwrap() {
        if file["kind"] != "valid" || file["key"].is_null() {
            continue;
        }
        let slug = file["slug"].as_str().unwrap();
        // Integer keys are sorted as integers by Python, and a metadata size of zero is made by
        // hand: neither can be told from what is stored.
        if ["v-meta-intkeys", "v-meta-size-zero"].contains(&slug) {
            continue;
        }
        let Some(seed) = verdicts["keys"][file["key"].as_str().unwrap()]["seed_hex"].as_str()
        else {
            continue;
        };
        let path = golden().join(format!("{slug}.maif"));
        let original = File::open(&path).unwrap();
        let reader = Reader::open(&original).unwrap();
        let header = reader.header().clone();
        let blocks = reader.blocks().unwrap();
        if blocks.iter().any(|b| b.header.flags != 3) {
            continue; // encrypted or compressed: flags that our writer never sets
        }
        let provenance = reader.provenance().unwrap();
        let found = verify(&original, &[], &mut |_| ControlFlow::Continue(())).unwrap();
        let signer = found.signer.unwrap();

        let mut times = vec![header.created];
        for (block, entry) in blocks.iter().zip(&provenance[1..]) {
            times.extend([block.header.timestamp, entry.timestamp]);
        }
        times.extend([
            provenance.last().unwrap().timestamp,
            signer.signed_at.unwrap(),
            header.modified,
        ]);
        let mut ids = vec![header.file_id, header.creator_id];
        ids.extend(blocks.iter().map(|b| b.header.id));
        let mut times = times.into_iter();
        let mut ids = ids.into_iter();

        let mut data: Vec<_> = blocks.iter().map(|b| reader.data(b)).collect();
        let mut new: Vec<NewBlock<'_>> = blocks
            .iter()
            .zip(&mut data)
            .map(|(block, data)| NewBlock {
                kind: block.header.kind,
                size: Some(block.data_size()),
                data,
                metadata: json::parse(reader.metadata(block).unwrap().as_bytes()).unwrap(),
            })
            .collect();
        let mut seed_bytes = [0; 32];
        hex::decode_to_slice(seed, &mut seed_bytes).unwrap();
        let key = SigningKey::from_seed(&seed_bytes);
        if key.public_hex() != signer.public_key {
            continue; // saved through the API, which makes a fresh key each time
        }
        let out = tempfile::tempfile().unwrap();
        write(
            &out,
            &Agent {
                id: signer.id.clone(),
                did: signer.did.clone(),
            },
            &key,
            &mut new,
            &mut Sources {
                clock: &mut || times.next().unwrap(),
                ids: &mut || ids.next().unwrap(),
            },
        )
        .unwrap();
        let mut expected = Vec::new();
        File::open(&path)
            .unwrap()
            .read_to_end(&mut expected)
            .unwrap();
        let mut bytes = Vec::new();
        {
            use std::io::Seek;
            let mut out = &out;
            out.rewind().unwrap();
            out.read_to_end(&mut bytes).unwrap();
        }
        assert!(bytes == expected, "{slug} differs");
        reproduced += 1;
    }
    assert!(reproduced >= 30, "only {reproduced} files were reproduced");
}

/// Gives `left` bytes without storing them.
struct Zeros {
    left: u64,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let give = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        buffer[..give].fill(0);
        self.left -= give as u64;
        Ok(give)
    }
}

fn write_zeros(out: &File, length: u64, size: Option<u64>) -> Result<(), MaifError> {
    let mut now = 1;
    write(
        out,
        &Agent::new("tester"),
        &SigningKey::from_seed(&[7; 32]),
        &mut [NewBlock {
            kind: BlockType::BINARY,
            data: &mut Zeros { left: length },
            size,
            metadata: json::Value::Object(Vec::new()),
        }],
        &mut Sources {
            clock: &mut || {
                now += 1;
                now
            },
            ids: &mut || maifdeck::maif::uuid4([3; 16]),
        },
    )
}

#[test]
fn data_too_large_for_a_block_is_refused_before_anything_is_written() {
    let out = tempfile::tempfile().unwrap();
    let refused = write_zeros(&out, 0, Some((1 << 32) - 374));
    assert!(matches!(refused, Err(MaifError::TooLarge { .. })));
    assert_eq!(out.metadata().unwrap().len(), 0);
}

/// What Python's `json` makes of many texts; `tests/data/make_python_json.py` says how.
#[test]
fn json_is_read_and_rendered_as_python_does() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/python_json.tsv");
    let vectors = std::fs::read_to_string(data).unwrap();
    let mut seen = 0;
    for line in vectors.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let input = hex::decode(fields[0]).unwrap();
        let shown = String::from_utf8_lossy(&input).into_owned();
        let parsed = json::parse(&input);
        seen += 1;
        if fields[1] == "error" {
            assert!(parsed.is_err(), "{shown} is not JSON to Python");
            continue;
        }
        let value = last_wins(&parsed.unwrap_or_else(|error| panic!("{shown}: {error}")));
        assert_eq!(value.render(true), fields[1], "{shown}");
        assert_eq!(value.render(false), fields[2], "{shown}");
    }
    assert!(seen > 5000, "{seen}");
}

/// What Python keeps of two members with one name: the place of the first, the value of the last.
fn last_wins(value: &json::Value) -> json::Value {
    use json::Value::{Array, Object};
    match value {
        Array(items) => Array(items.iter().map(last_wins).collect()),
        Object(members) => {
            let mut kept: Vec<(json::Text, json::Value)> = Vec::new();
            for (name, value) in members {
                let value = last_wins(value);
                match kept.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => *known = value,
                    None => kept.push((name.clone(), value)),
                }
            }
            Object(kept)
        }
        other => other.clone(),
    }
}
