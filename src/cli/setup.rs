//! `init` and `config`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{Context, Exit, args::ConfigCommand, args::Init, shown};
use crate::{
    clock::SystemClock,
    store::{Config, StoreError, config, grid},
    volume::At,
};

/// `init`
pub fn init(context: &Context<'_>, init: &Init) -> Result<u8, StoreError> {
    if context.global.read_only {
        return Err(StoreError::ReadOnly { who: "process" });
    }
    let file = context
        .global
        .config
        .clone()
        .unwrap_or_else(|| PathBuf::from(config::FILE));
    if file.exists() {
        return Err(StoreError::Usage(format!(
            "{} exists already; init never writes over a configuration",
            file.display()
        )));
    }
    let text = configuration(init)?;
    let base = std::env::current_dir().at("find the current directory", Path::new("."))?;
    let parsed = Config::parse(&text, &file, &base)?;
    let store = grid::mark_all(&parsed, &SystemClock::shared())?;
    let temporary = || {
        let mut name = file.clone().into_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        PathBuf::from(name)
    };
    let target = std::path::absolute(&file).at("find", &file)?;
    crate::volume::dir::write_durably(&target, text.as_bytes(), temporary)?;
    if context.output.is_json() {
        context
            .output
            .json(json!({ "config": target.to_string_lossy(), "store": store }));
    } else {
        context.output.line(&format!("wrote {}", shown(&target)));
        for partition in &parsed.partition {
            for (number, path) in partition.replicas.iter().enumerate() {
                context.output.line(&format!(
                    "marked {}.{}  {}",
                    partition.name,
                    number + 1,
                    shown(path)
                ));
            }
        }
    }
    if parsed.partition.iter().any(|p| p.replicas.len() == 2) {
        context
            .output
            .say("with two replicas a majority is both: while one is away nothing can be written");
    }
    Ok(Exit::DONE)
}

/// The text of the new configuration, with absolute directories.
fn configuration(init: &Init) -> Result<String, StoreError> {
    let quote = |path: &Path| -> Result<String, StoreError> {
        let absolute = std::path::absolute(path).at("find", path)?;
        let text = absolute.to_str().ok_or_else(|| {
            StoreError::Usage(format!(
                "{} is not UTF-8; a configuration cannot name it",
                shown(path)
            ))
        })?;
        Ok(toml::Value::String(text.to_owned()).to_string())
    };
    let quorum = match init.write_quorum.parse::<u16>() {
        Ok(number) => number.to_string(),
        Err(_) => toml::Value::String(init.write_quorum.clone()).to_string(),
    };
    let mut text = format!(
        "# Every key with its default: `maifdeck config show`.\n\n[store]\nplacement = {}\nwrite_quorum = {quorum}\n",
        toml::Value::String(init.placement.clone())
    );
    if init.leases {
        text.push_str("\n[leader]\nenabled = true\n");
    }
    for partition in &init.partitions {
        let (name, directories) = partition.split_once('=').ok_or_else(|| {
            StoreError::Usage(format!(
                "--partition takes NAME=DIR[,DIR…], not {partition:?}"
            ))
        })?;
        let directories: Vec<String> = directories
            .split(',')
            .map(|directory| quote(Path::new(directory)))
            .collect::<Result<_, _>>()?;
        let _ = write!(
            text,
            "\n[[partition]]\nname = {}\nreplicas = [{}]\n",
            toml::Value::String(name.to_owned()),
            directories.join(", ")
        );
    }
    if let Some(backups) = &init.backups {
        let _ = write!(text, "\n[backup]\ndirectory = {}\n", quote(backups)?);
    }
    Ok(text)
}

/// `config show|check`
pub fn config(context: &Context<'_>, command: ConfigCommand) -> Result<u8, StoreError> {
    let located = context.environment().locate(false)?;
    let place = located
        .file
        .as_deref()
        .map_or_else(|| "the embedded default".to_owned(), shown);
    match command {
        ConfigCommand::Check => {
            let replicas: usize = located
                .config
                .partition
                .iter()
                .map(|p| p.replicas.len())
                .sum();
            if context.output.is_json() {
                context.output.json(json!({ "config": place, "ok": true }));
            } else {
                context.output.line(&format!(
                    "{place} is right: {} partitions, {replicas} volumes",
                    located.config.partition.len()
                ));
            }
        }
        ConfigCommand::Show => {
            context.output.say(&format!("# {place}"));
            context
                .output
                .line(include_str!("../../assets/maifdeck.toml").trim_end());
        }
    }
    Ok(Exit::DONE)
}
