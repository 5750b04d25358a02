//! Names, texts and bytes of the playground's artifacts, from a seed.

use chrono::{DateTime, Duration, Utc};
use tempfile::NamedTempFile;

use crate::{
    maif::{
        Agent, BlockType, Digest, NewBlock, SigningKey, Sources, json::Value, uuid4, verify, write,
    },
    store::{StoreError, fetch::spool},
    volume::ArtifactName,
};

const SUBJECTS: [&str; 12] = [
    "orders",
    "incident",
    "crawl",
    "contract",
    "sensor",
    "meeting",
    "ledger",
    "image-index",
    "support",
    "forecast",
    "release",
    "audit",
];
const AGENTS: [&str; 5] = ["planner", "indexer", "summarizer", "watcher", "archivist"];
const WORDS: [&str; 24] = [
    "the", "agent", "found", "three", "records", "which", "differ", "from", "last", "week", "and",
    "noted", "a", "delay", "in", "delivery", "of", "parts", "to", "plant", "seven", "before", "it",
    "closed",
];
const KINDS: [BlockType; 8] = [
    BlockType::TEXT,
    BlockType::EMBEDDINGS,
    BlockType::IMAGE,
    BlockType::AUDIO,
    BlockType::VIDEO,
    BlockType::KNOWLEDGE,
    BlockType::BINARY,
    BlockType::METADATA,
];

/// A small generator whose sequence is fixed: the same seed makes the same playground.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// xorshift64*, by Marsaglia and Vigna.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = usize::try_from(self.below(from.len() as u64)).ok()?;
        from.get(at).copied()
    }

    fn id(&mut self) -> [u8; 16] {
        uuid4((u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes())
    }

    fn text(&mut self, words: u64) -> String {
        let words: Vec<&str> = (0..words).filter_map(|_| self.pick(&WORDS)).collect();
        words.join(" ")
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length.div_ceil(8))
            .flat_map(|_| self.next().to_le_bytes())
            .collect()
    }
}

/// One artifact: what it is called, and when it is saved.
#[derive(Debug, Clone)]
pub struct ArtifactPlan {
    pub name: ArtifactName,
    pub saved_at: Vec<DateTime<Utc>>,
    number: u32,
    seed: u64,
}

/// Plans `count` artifacts whose saves lie within the six weeks before `now`.
pub fn plan(count: u32, seed: u64, now: DateTime<Utc>) -> Vec<ArtifactPlan> {
    let mut random = Random::new(seed);
    (0..count)
        .filter_map(|number| {
            let subject = random.pick(&SUBJECTS)?;
            let name = ArtifactName::existing(format!("{subject}-{number:03}").as_bytes())?;
            let saves = 1 + random.below(5);
            let mut at =
                now - Duration::minutes(i64::try_from(random.below(40_000)).ok()? + 20_000);
            let mut saved_at = Vec::new();
            for _ in 0..saves {
                saved_at.push(at);
                at += Duration::seconds(i64::try_from(random.below(300_000)).ok()? + 3600);
            }
            saved_at.retain(|at| *at < now);
            Some(ArtifactPlan {
                name,
                saved_at,
                number,
                seed: random.next(),
            })
        })
        .collect()
}

impl ArtifactPlan {
    /// Writes one revision as a MAIF file.
    pub fn write(
        &self,
        revision: usize,
        at: DateTime<Utc>,
    ) -> Result<(NamedTempFile, Digest), StoreError> {
        let mut random = Random::new(self.seed);
        // What comes first stays over all revisions, so that a diff has something to show.
        let first = random.text(40);
        let agent = random.pick(&AGENTS).unwrap_or("planner");
        let seed: [u8; 32] = std::array::from_fn(|_| u8::try_from(random.below(256)).unwrap_or(0));
        let mut random = Random::new(self.seed ^ (revision as u64 + 1));
        let later = random.text(20 + random.clone().below(200));
        let kind = KINDS
            .get(self.number as usize % KINDS.len())
            .copied()
            .unwrap_or(BlockType::TEXT);
        let (metadata, extra) = extra_block(kind, &mut random, self.number);
        let mut first = first.as_bytes();
        let mut later = later.as_bytes();
        let mut extra = extra.as_slice();
        let text = |data| NewBlock {
            kind: BlockType::TEXT,
            size: None,
            data,
            metadata: Value::Object(Vec::new()),
        };
        let mut blocks = vec![text(&mut first), text(&mut later)];
        blocks.push(NewBlock {
            kind,
            size: Some(extra.len() as u64),
            data: &mut extra,
            metadata,
        });
        let file = spool()?;
        let mut micros = u64::try_from(at.timestamp_micros()).unwrap_or(0);
        write(
            file.as_file(),
            &Agent::new(agent),
            &SigningKey::from_seed(&seed),
            &mut blocks,
            &mut Sources {
                clock: &mut || {
                    micros += 137;
                    micros
                },
                ids: &mut || random.id(),
            },
        )?;
        let verification = verify(file.as_file(), &[], &mut |_| {
            std::ops::ControlFlow::Continue(())
        })?;
        Ok((file, verification.sha256))
    }
}

/// A block of the given kind: from some hundred bytes to some MB.
fn extra_block(kind: BlockType, random: &mut Random, number: u32) -> (Value, Vec<u8>) {
    let media = |mime: &str| {
        Value::object([
            ("content_type", Value::from(mime)),
            ("source", Value::from("demo")),
        ])
    };
    match kind {
        BlockType::EMBEDDINGS => {
            let count = 4 + random.below(30);
            let data = (0..count * 64)
                .flat_map(|_| {
                    let value = u16::try_from(random.below(60_000)).unwrap_or(0);
                    (f32::from(value) / 30_000.0 - 1.0).to_le_bytes()
                })
                .collect();
            let metadata = Value::object([
                ("count", Value::from(count)),
                ("dimensions", Value::from(64)),
                ("dtype", Value::from("float32")),
            ]);
            (metadata, data)
        }
        BlockType::IMAGE => (media("image/png"), random.bytes(40_000)),
        BlockType::AUDIO => (media("audio/ogg"), random.bytes(120_000)),
        // A few large ones; every one of them is copied to three replicas.
        BlockType::VIDEO if number % 64 == 4 => (media("video/webm"), random.bytes(3_000_000)),
        BlockType::VIDEO => (media("video/webm"), random.bytes(200_000)),
        BlockType::KNOWLEDGE => (
            Value::Object(Vec::new()),
            format!("{{\"triples\": {}}}", random.below(500)).into_bytes(),
        ),
        BlockType::BINARY => {
            let length = 500 + random.below(9000);
            (Value::Object(Vec::new()), random.bytes(length))
        }
        BlockType::METADATA => (
            Value::object([("reviewed", Value::Bool(true))]),
            b"{\"topic\": \"demo\"}".to_vec(),
        ),
        _ => (
            Value::object([("language", Value::from("en"))]),
            random.text(60).into_bytes(),
        ),
    }
}
