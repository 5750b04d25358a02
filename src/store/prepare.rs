//! From what a user gives to a verified MAIF file that `put` can store.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    ops::ControlFlow,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tempfile::NamedTempFile;

use super::{config::SignConfig, error::StoreError, fetch::spool};
use crate::{
    clock::Clock,
    maif::{
        Agent, BlockType, Digest, NewBlock, SigningKey, Sources, Verdict, json, uuid4, verify,
        write,
    },
    volume::At,
};

/// What is to be stored.
#[derive(Debug)]
pub enum Input<'a> {
    /// One TEXT block each.
    Texts(&'a [String]),
    File(&'a Path),
    /// Standard input.
    Stream(&'a mut dyn ReadDebug),
}

/// A stream that can be named in a debug print.
pub trait ReadDebug: Read + std::fmt::Debug {}
impl<T: Read + std::fmt::Debug> ReadDebug for T {}

/// A verified MAIF file, ready to be staged.
#[derive(Debug)]
pub struct Prepared {
    pub file: NamedTempFile,
    pub sha256: Digest,
}

/// Spools the input; MAIF is verified and kept as it is, anything else becomes a block: TEXT when
/// it is UTF-8, else BINA.
pub fn prepare(
    input: Input<'_>,
    sign: &SignConfig,
    clock: &dyn Clock,
) -> Result<Prepared, StoreError> {
    let file = match input {
        Input::Texts(texts) => {
            let mut data: Vec<&[u8]> = texts.iter().map(std::string::String::as_bytes).collect();
            let mut blocks: Vec<NewBlock<'_>> = data
                .iter_mut()
                .map(|data| NewBlock {
                    kind: BlockType::TEXT,
                    size: Some(data.len() as u64),
                    data,
                    metadata: json::Value::Object(Vec::new()),
                })
                .collect();
            compose(&mut blocks, sign, clock)?
        }
        Input::File(path) => {
            let mut source = crate::volume::dir::open(path).at("open", path)?;
            let named_maif = path.extension().is_some_and(|e| e == "maif");
            from_stream(
                &mut source,
                named_maif,
                &path.display().to_string(),
                sign,
                clock,
            )?
        }
        Input::Stream(stream) => from_stream(stream, false, "standard input", sign, clock)?,
    };
    let verification = verify(file.as_file(), &[], &mut |_| ControlFlow::Continue(()))?;
    if verification.verdict() != Verdict::Intact {
        return Err(StoreError::Damaged {
            what: "what was to be stored".to_owned(),
            class: verification.class.to_string(),
            problem: verification.problem().to_owned(),
        });
    }
    Ok(Prepared {
        file,
        sha256: verification.sha256,
    })
}

fn from_stream(
    source: &mut dyn Read,
    named_maif: bool,
    what: &str,
    sign: &SignConfig,
    clock: &dyn Clock,
) -> Result<NamedTempFile, StoreError> {
    let mut file = spool()?;
    io::copy(source, &mut file)
        .map_err(|error| StoreError::Failed(format!("cannot read {what}: {error}")))?;
    file.flush().at("write", file.path())?;
    let mut spooled = File::open(file.path()).at("open", file.path())?;
    let mut magic = Vec::new();
    (&mut spooled)
        .take(4)
        .read_to_end(&mut magic)
        .at("read", file.path())?;
    if magic == b"MAIF" || named_maif {
        return Ok(file);
    }
    spooled.rewind().at("read", file.path())?;
    let kind = if is_utf8(&mut spooled).at("read", file.path())? {
        BlockType::TEXT
    } else {
        BlockType::BINARY
    };
    spooled.rewind().at("read", file.path())?;
    let size = spooled.metadata().at("read", file.path())?.len();
    compose(
        &mut [NewBlock {
            kind,
            size: Some(size),
            data: &mut spooled,
            metadata: json::Value::Object(Vec::new()),
        }],
        sign,
        clock,
    )
}

/// Whether a stream is UTF-8, in bounded memory.
fn is_utf8(source: &mut dyn Read) -> io::Result<bool> {
    let mut buffer = vec![0; 64 * 1024];
    let mut kept = 0;
    loop {
        let free = buffer.get_mut(kept..).unwrap_or_default();
        let read = source.read(free)?;
        let filled = kept + read;
        let bytes = buffer.get(..filled).unwrap_or_default();
        let valid = match std::str::from_utf8(bytes) {
            Ok(_) => filled,
            // A sequence that the buffer's end cut is completed by the next read.
            Err(error) if error.error_len().is_none() && read > 0 => error.valid_up_to(),
            Err(_) => return Ok(false),
        };
        if read == 0 {
            return Ok(true);
        }
        buffer.copy_within(valid..filled, 0);
        kept = filled - valid;
    }
}

/// Writes a new MAIF file with these blocks.
fn compose(
    blocks: &mut [NewBlock<'_>],
    sign: &SignConfig,
    clock: &dyn Clock,
) -> Result<NamedTempFile, StoreError> {
    let key = signing_key(sign)?;
    let file = spool()?;
    let mut random_failed = false;
    let mut micros = 0;
    write(
        file.as_file(),
        &Agent::new(&sign.agent),
        &key,
        blocks,
        &mut Sources {
            clock: &mut || {
                // Never backwards and never twice the same: each entry has its own moment.
                let now = u64::try_from(clock.now().timestamp_micros()).unwrap_or(0);
                micros = now.max(micros + 1);
                micros
            },
            ids: &mut || {
                let mut bytes = [0; 16];
                random_failed |= getrandom::fill(&mut bytes).is_err();
                uuid4(bytes)
            },
        },
    )?;
    if random_failed {
        return Err(StoreError::Failed("no random numbers for ids".to_owned()));
    }
    Ok(file)
}

/// The configured key, or a fresh one.
fn signing_key(sign: &SignConfig) -> Result<SigningKey, StoreError> {
    let mut seed = [0; 32];
    if sign.key.is_empty() {
        getrandom::fill(&mut seed)
            .map_err(|error| StoreError::Failed(format!("no random numbers: {error}")))?;
        return Ok(SigningKey::from_seed(&seed));
    }
    let path = Path::new(&sign.key);
    let text = std::fs::read_to_string(path).at("read the signing key", path)?;
    let mode = std::fs::metadata(path)
        .at("read", path)?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(StoreError::Usage(format!(
            "the signing key {} can be read by others; `chmod 600` it",
            path.display()
        )));
    }
    hex::decode_to_slice(text.trim(), &mut seed).map_err(|_| {
        StoreError::Usage(format!(
            "the signing key {} is not a 32-byte seed in hexadecimal",
            path.display()
        ))
    })?;
    Ok(SigningKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_is_recognised_across_buffer_ends() {
        let long = "é".repeat(70_000);
        for (bytes, expected) in [
            (long.as_bytes(), true),
            (&long.as_bytes()[1..], false),
            (&long.as_bytes()[..139_999], false),
            (b"".as_slice(), true),
        ] {
            assert_eq!(is_utf8(&mut &*bytes).unwrap(), expected);
        }
    }
}
