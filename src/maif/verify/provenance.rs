//! The provenance section: each entry's form, hash, link, signature and reference.

use sha2::{Digest as _, Sha256};

use super::{Block, Class, Problems, PublicKey, Signer};
use crate::maif::{
    class::Problem,
    json::{self, Text, Value},
    layout::{AGENT_DID, FileHeader},
};

/// The members of an entry that its hash covers, and the two that it does not.
const HASHED: [&str; 8] = [
    "action",
    "agent_did",
    "agent_id",
    "block_hash",
    "chain_position",
    "metadata",
    "previous_entry_hash",
    "timestamp",
];
const MEMBERS: usize = HASHED.len() + 2;

/// Verifies the section against the header, the blocks and the signer.
pub fn verify(
    bytes: &[u8],
    header: &FileHeader,
    blocks: &[Block],
    signer: Option<&Signer>,
    key: Option<&PublicKey>,
    problems: &mut Problems,
) {
    let entries = match json::parse(bytes) {
        Ok(Value::Array(entries)) => entries,
        Ok(_) => {
            problems.report(Class::BadProvenance, "the provenance section is not a list");
            return;
        }
        Err(error) => {
            problems.report(
                Class::BadProvenance,
                format!("the provenance section is not JSON: {error}"),
            );
            return;
        }
    };
    let expected = blocks.len() + 2;
    if entries.len() != expected {
        problems.report(
            Class::BadProvenance,
            format!("{} provenance entries, {expected} expected", entries.len()),
        );
    }
    let first = entries.first();
    let agent = |name| first.and_then(|entry| entry.get(name)?.as_text().cloned());
    let chain = Chain {
        header,
        blocks,
        key,
        agent_id: agent("agent_id").unwrap_or_default(),
        agent_did: agent("agent_did").unwrap_or_default(),
    };
    let mut previous = String::new();
    for (position, entry) in entries.iter().enumerate() {
        if let Err(problem) = chain.check(position, entry, &previous) {
            problems.report(
                Class::BadProvenance,
                format!("provenance entry {position}: {problem}"),
            );
        }
        previous = text(entry, "entry_hash").unwrap_or_default();
    }
    check_names(&chain, header, signer, problems);
}

/// The header's DID and the security section's names must be those of the signed entries.
fn check_names(
    chain: &Chain<'_>,
    header: &FileHeader,
    signer: Option<&Signer>,
    problems: &mut Problems,
) {
    let did = chain.agent_did.to_lossy();
    let mut field = [0; AGENT_DID];
    field
        .iter_mut()
        .zip(did.bytes())
        .for_each(|(to, from)| *to = from);
    let mut late = |message: &str| {
        problems.add(Problem {
            class: Class::BadSecurity,
            message: message.to_owned(),
            late: true,
        });
    };
    if let Some(signer) = signer
        && (signer.did != did || signer.id != chain.agent_id.to_lossy())
    {
        late("the security section names another signer than the provenance");
    }
    if header.agent_did != field {
        late("the header names another agent than the provenance");
    }
}

struct Chain<'a> {
    header: &'a FileHeader,
    blocks: &'a [Block],
    key: Option<&'a PublicKey>,
    agent_id: Text,
    agent_did: Text,
}

impl Chain<'_> {
    fn check(&self, position: usize, entry: &Value, previous: &str) -> Result<(), &'static str> {
        let Value::Object(members) = entry else {
            return Err("it is not an object");
        };
        if members.len() != MEMBERS {
            return Err("it has more or fewer than ten members");
        }
        let mut hashed = Vec::with_capacity(HASHED.len());
        for name in HASHED {
            let value = entry.get(name).ok_or("a member is missing")?;
            hashed.push((name.into(), value.clone()));
        }
        let entry_hash = text(entry, "entry_hash").ok_or("it has no entry_hash")?;
        let signature = text(entry, "signature").ok_or("it has no signature")?;
        let rendered = Value::Object(hashed).render(true);
        if hex::encode(Sha256::digest(rendered.as_bytes())) != entry_hash {
            return Err("its hash does not fit its content");
        }
        if text(entry, "previous_entry_hash").as_deref() != Some(previous) {
            return Err("it is not linked to the entry before it");
        }
        let mut bytes = [0; 64];
        if signature.bytes().any(|b| b.is_ascii_uppercase())
            || hex::decode_to_slice(&signature, &mut bytes).is_err()
        {
            return Err("its signature is not 128 lower-case hexadecimal digits");
        }
        if let Some(key) = self.key
            && !key.verifies(&[entry_hash.as_bytes()], &bytes)
        {
            return Err("its signature does not fit");
        }
        if entry.get("chain_position").and_then(Value::as_u64) != Some(position as u64) {
            return Err("its position is another");
        }
        let timestamp = entry
            .get("timestamp")
            .and_then(Value::as_u64)
            .ok_or("its timestamp is not a time")?;
        if entry.get("agent_id").and_then(Value::as_text) != Some(&self.agent_id)
            || entry.get("agent_did").and_then(Value::as_text) != Some(&self.agent_did)
        {
            return Err("it names another agent than the first entry");
        }
        self.check_reference(position, entry, timestamp)
    }

    /// What ties the entry to this very file.
    fn check_reference(
        &self,
        position: usize,
        entry: &Value,
        timestamp: u64,
    ) -> Result<(), &'static str> {
        let action = text(entry, "action").ok_or("its action is not a text")?;
        let block_hash = text(entry, "block_hash").ok_or("its block_hash is not a text")?;
        let metadata = entry.get("metadata").ok_or("it has no metadata")?;
        let says = |name: &str, value: &str| text(metadata, name).as_deref() == Some(value);
        let fits = if position == 0 {
            let created = self.header.created;
            let genesis = format!("genesis:{}:{created}", self.agent_id.to_lossy());
            action == "genesis"
                && timestamp == created
                && block_hash == hex::encode(Sha256::digest(genesis.as_bytes()))
                && says("file_id", &hex::encode(self.header.file_id))
                && says("creator_id", &hex::encode(self.header.creator_id))
                && says("format_version", "2.1")
                && says("key_algorithm", "Ed25519")
        } else if let Some(block) = self.blocks.get(position - 1) {
            let size = block.header.data_size().unwrap_or_default();
            action == block.header.kind.action()
                && block_hash == hex::encode(block.header.content_hash)
                && says("block_id", &hex::encode(block.header.id))
                && metadata.get("size").and_then(Value::as_u64) == Some(u64::from(size))
        } else {
            let count = u64::from(self.header.block_count);
            position == self.blocks.len() + 1
                && action == "finalize"
                && block_hash == hex::encode(self.header.merkle_root)
                && metadata.get("block_count").and_then(Value::as_u64) == Some(count)
        };
        fits.then_some(())
            .ok_or("what it refers to is not in this file")
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_text().map(Text::to_lossy)
}
