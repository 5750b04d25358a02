//! `verify` and `inspect`: looking into MAIF files, alone or in the store.

use std::{
    fs::File,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Context, Exit, open_file, shown};
use crate::{
    maif::{BlockType, PublicKey, Reader, Verdict, Verification, verify as verify_file},
    report::{self, stamp},
    store::StoreError,
};

/// The keys that the configuration trusts; none when there is no configuration.
fn trusted(context: &Context<'_>) -> Result<Vec<PublicKey>, StoreError> {
    match context.environment().locate(false) {
        Ok(located) => located
            .config
            .sign
            .trusted
            .iter()
            .map(|key| {
                key.parse()
                    .map_err(|error| StoreError::Usage(format!("sign.trusted: {key}: {error}")))
            })
            .collect(),
        // Files can be verified anywhere; a configuration that was named must be right, though.
        Err(crate::store::ConfigError::None { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// `verify` without arguments: every copy and version on every volume that can be read.
pub fn verify_store(context: &Context<'_>, texts: bool) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let mut code = Exit::DONE;
    let mut paths = Vec::new();
    for slot in store.slots() {
        if slot.state.is_readable() {
            paths.push(slot.volume.path().to_owned());
        } else {
            let error = slot.not_usable();
            context.output.say(&format!("not verified: {error}"));
            code = Exit::FINDINGS;
        }
    }
    Ok(code.max(verify(context, &paths, texts)?))
}

/// `verify FILE|DIR…`
pub fn verify(context: &Context<'_>, paths: &[PathBuf], texts: bool) -> Result<u8, StoreError> {
    let trusted = trusted(context)?;
    let mut code = Exit::DONE;
    let mut counts = [0u64; 3];
    for path in paths {
        for file in files_below(path)? {
            let verification = match verify_path(&file, &trusted) {
                Ok((_, verification)) => verification,
                Err(error) => {
                    context.output.error(&error);
                    code = code.max(Exit::PARTIAL);
                    continue;
                }
            };
            let place = match verification.verdict() {
                Verdict::Intact => 0,
                Verdict::Damaged => 1,
                Verdict::Unsupported => 2,
            };
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
            if verification.verdict() != Verdict::Intact {
                code = code.max(Exit::FINDINGS);
            }
            if context.output.is_json() {
                let mut line = verification_json(&verification);
                insert(&mut line, "path", file.to_string_lossy().into());
                if texts {
                    insert(&mut line, "texts", texts_of(&file)?);
                }
                context.output.json(line);
            } else {
                print_verification(context, &file, &verification);
            }
        }
    }
    let [intact, damaged, unsupported] = counts;
    context.output.say(&format!(
        "{} intact, {damaged} damaged, {unsupported} not MAIF 2.1",
        report::plural(intact, "file", "files"),
    ));
    Ok(code)
}

/// The file itself, or every `*.maif` below a directory, in a stable order.
fn files_below(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    // What lies in our own directories is staging and trash, nobody's copy.
    let walk = walkdir::WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.file_name() != crate::volume::dir::OWN);
    for entry in walk {
        let entry = entry.map_err(|error| StoreError::Failed(error.to_string()))?;
        let name = std::os::unix::ffi::OsStrExt::as_bytes(entry.file_name());
        if entry.file_type().is_file() && name.ends_with(b".maif") {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

fn verify_path(path: &Path, trusted: &[PublicKey]) -> Result<(File, Verification), StoreError> {
    let file = open_file(path)?;
    let verification = verify_file(&file, trusted, &mut |_| ControlFlow::Continue(()))?;
    Ok((file, verification))
}

/// The fields of a line of `verify --json`, but `path`.
pub fn verification_json(verification: &Verification) -> Value {
    let errors: Vec<String> = verification
        .problems
        .iter()
        .map(|problem| format!("{}: {}", problem.class, problem.message))
        .collect();
    let types: Vec<String> = verification
        .block_types
        .iter()
        .map(ToString::to_string)
        .collect();
    json!({
        "verdict": verification.verdict(),
        "class": verification.class,
        "errors": errors,
        "sha256": verification.sha256,
        "size": verification.size,
        "agent_did": verification.agent_did(),
        "block_count": verification.header.as_ref().map(|h| h.block_count),
        "block_types": types,
        "format": verification.header.as_ref().map(|_| "2.1"),
    })
}

fn insert(value: &mut Value, key: &str, member: Value) {
    if let Value::Object(members) = value {
        members.insert(key.to_owned(), member);
    }
}

/// The texts of TEXT blocks: null for one that is not UTF-8.
fn texts_of(path: &Path) -> Result<Value, StoreError> {
    let file = open_file(path)?;
    let Ok(reader) = Reader::open(&file) else {
        return Ok(json!([]));
    };
    let mut texts = Vec::new();
    for block in reader.blocks()? {
        if block.header.kind == BlockType::TEXT {
            texts.push(reader.text(&block)?);
        }
    }
    Ok(json!(texts))
}

fn print_verification(context: &Context<'_>, path: &Path, verification: &Verification) {
    let what = match verification.verdict() {
        Verdict::Intact => format!(
            "{} · {} · {}",
            verification.agent_did().unwrap_or_default(),
            report::plural(verification.block_types.len() as u64, "block", "blocks"),
            report::size(verification.size)
        ),
        _ => format!("{}: {}", verification.class, verification.problem()),
    };
    context.output.line(&format!(
        "{:<11} {}  {what}",
        verification.verdict().as_str(),
        shown(path)
    ));
}

/// `inspect NAME|FILE`
pub fn inspect(
    context: &Context<'_>,
    what: &str,
    version: Option<&str>,
    texts: bool,
) -> Result<u8, StoreError> {
    // A name wins over a file of the same name only when there is no such file: a path says more.
    let path = PathBuf::from(what);
    if version.is_none() && path.is_file() {
        let (file, verification) = verify_path(&path, &trusted(context)?)?;
        let looked = Looked {
            path: &path,
            name: None,
            file: &file,
            verification: &verification,
        };
        return print_looked(context, looked, texts);
    }
    if version.is_none() && (what.contains('/') || path.extension().is_some_and(|e| e == "maif")) {
        open_file(&path)?;
    }
    let (name, found) = super::artifacts::fetch(context, what, version)?;
    let looked = Looked {
        path: &found.path,
        name: Some(&name.json()),
        file: &found.file,
        verification: &found.verification,
    };
    print_looked(context, looked, texts)
}

/// A verified file, and what is known of where it is.
#[derive(Clone, Copy)]
struct Looked<'a> {
    path: &'a Path,
    /// Of the artifact whose bytes they are, when the store was asked.
    name: Option<&'a str>,
    file: &'a File,
    verification: &'a Verification,
}

fn print_looked(context: &Context<'_>, looked: Looked<'_>, texts: bool) -> Result<u8, StoreError> {
    let Looked {
        path,
        name,
        file,
        verification,
    } = looked;
    let code = match verification.verdict() {
        Verdict::Intact => Exit::DONE,
        _ => Exit::FINDINGS,
    };
    let reader = Reader::open(file).ok();
    let blocks = match &reader {
        Some(reader) => reader.blocks()?,
        None => Vec::new(),
    };
    let provenance = match &reader {
        Some(reader) => reader.provenance()?,
        None => Vec::new(),
    };
    if context.output.is_json() {
        let mut shown_blocks = Vec::new();
        let mut shown_texts = Vec::new();
        if let Some(reader) = &reader {
            for block in &blocks {
                let metadata = reader.metadata(block)?;
                shown_blocks.push(json!({
                    "type": block.header.kind.to_string(),
                    "size": block.data_size(),
                    "content_hash": hex::encode(block.header.content_hash),
                    // What is not JSON to other readers (NaN) is given as the text it is.
                    "metadata": serde_json::from_str::<Value>(&metadata)
                        .unwrap_or(Value::String(metadata)),
                }));
                if texts && block.header.kind == BlockType::TEXT {
                    shown_texts.push(reader.text(block)?);
                }
            }
        }
        let header = verification.header.as_ref();
        let mut document = json!({
            "path": path.to_string_lossy(),
            "format": header.map(|_| "2.1"),
            "agent_did": verification.agent_did(),
            "created": header.map(|h| stamp::rfc3339_micros(h.created)),
            "modified": header.map(|h| stamp::rfc3339_micros(h.modified)),
            "signer": verification.signer,
            "blocks": shown_blocks,
            "provenance": provenance.iter().map(|entry| json!({
                "action": entry.action,
                "agent_id": entry.agent_id,
                "timestamp": stamp::rfc3339_micros(entry.timestamp),
            })).collect::<Vec<_>>(),
            "verdict": verification.verdict(),
            "class": verification.class,
            "sha256": verification.sha256,
            "errors": verification_json(verification)["errors"],
        });
        if texts {
            insert(&mut document, "texts", json!(shown_texts));
        }
        if let Some(name) = name {
            insert(&mut document, "name", json!(name));
        }
        context.output.json(document);
        return Ok(code);
    }
    print_inspection(context, looked);
    let Some(reader) = &reader else {
        return Ok(code);
    };
    context.output.line("");
    for (number, block) in blocks.iter().enumerate() {
        let metadata = reader.metadata(block)?;
        let metadata = if metadata == "{}" { "" } else { &metadata };
        context.output.line(&format!(
            "  block {number:<3} {}  {:>10}  {}",
            block.header.kind,
            report::size(block.data_size()),
            cut(metadata, 60)
        ));
        if texts && block.header.kind == BlockType::TEXT {
            let body = reader.text(block)?;
            let body = body.unwrap_or_else(|| "(not UTF-8)".to_owned());
            for line in body.lines() {
                context.output.line(&format!(
                    "    │ {}",
                    crate::volume::name::escape(line.as_bytes())
                ));
            }
        }
    }
    context.output.line("");
    for entry in &provenance {
        context.output.line(&format!(
            "  {}  {:<20} {}",
            stamp::rfc3339_micros(entry.timestamp),
            crate::volume::name::escape(entry.action.as_bytes()),
            crate::volume::name::escape(entry.agent_id.as_bytes())
        ));
    }
    Ok(code)
}

fn print_inspection(context: &Context<'_>, looked: Looked<'_>) {
    let verification = looked.verification;
    let line = |key: &str, value: &str| context.output.line(&format!("{key:<10} {value}"));
    if let Some(name) = looked.name {
        line("artifact", name);
    }
    line("file", &shown(looked.path));
    line("verdict", verification.verdict().as_str());
    if verification.verdict() != Verdict::Intact {
        line("class", verification.class.as_str());
        for problem in &verification.problems {
            line("", &format!("{}: {}", problem.class, problem.message));
        }
    }
    line("size", &report::size(verification.size));
    line("sha256", &verification.sha256.to_string());
    if let Some(header) = &verification.header {
        let agent = verification.agent_did().unwrap_or_default();
        line("agent", &crate::volume::name::escape(agent.as_bytes()));
        line("created", &stamp::rfc3339_micros(header.created));
        line("modified", &stamp::rfc3339_micros(header.modified));
    }
    if let Some(signer) = &verification.signer {
        line("key", &signer.public_key);
    }
}

/// The first characters of a text on one line, escaped.
fn cut(text: &str, width: usize) -> String {
    let shown = crate::volume::name::escape(text.as_bytes());
    if shown.chars().count() <= width {
        return shown;
    }
    shown.chars().take(width - 1).chain(['…']).collect()
}
