//! `init` and `config`.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Exit, args::ConfigCommand, args::Init, shown};
use crate::{
    clock::SystemClock,
    store::{StoreError, config, setup},
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
    let draft = setup::Draft {
        partitions: init
            .partitions
            .iter()
            .map(|partition| partition_of(partition))
            .collect::<Result<_, _>>()?,
        placement: init.placement.clone(),
        write_quorum: init.write_quorum.clone(),
        backups: init.backups.clone(),
        leases: init.leases,
    };
    let made = setup::make(&file, &draft.text()?, &SystemClock::shared())?;
    if context.output.is_json() {
        context
            .output
            .json(json!({ "config": made.file.to_string_lossy(), "store": made.store }));
    } else {
        context.output.line(&format!("wrote {}", shown(&made.file)));
        for partition in &made.config.partition {
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
    if made.config.partition.iter().any(|p| p.replicas.len() == 2) {
        context
            .output
            .say("with two replicas a majority is both: while one is away nothing can be written");
    }
    Ok(Exit::DONE)
}

/// `NAME=DIR[,DIR…]`
fn partition_of(text: &str) -> Result<(String, Vec<PathBuf>), StoreError> {
    let (name, directories) = text.split_once('=').ok_or_else(|| {
        StoreError::Usage(format!("--partition takes NAME=DIR[,DIR…], not {text:?}"))
    })?;
    let directories = directories.split(',').map(PathBuf::from).collect();
    Ok((name.to_owned(), directories))
}

/// `config show|check`
pub fn config(context: &Context<'_>, command: ConfigCommand) -> Result<u8, StoreError> {
    if let ConfigCommand::Apply { confirm } = command {
        return super::plans::apply_config(context, confirm);
    }
    if let ConfigCommand::Show { defaults: true } = command {
        let defaults = include_str!("../../assets/maifdeck.toml");
        context.output.line(defaults.trim_end());
        return Ok(Exit::DONE);
    }
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
        ConfigCommand::Show { .. } | ConfigCommand::Apply { .. } => {
            let text = located.config.to_toml().map_err(|error| {
                StoreError::Failed(format!("cannot show the configuration: {error}"))
            })?;
            if context.output.is_json() {
                context
                    .output
                    .json(json!({ "config": place, "effective": located.config }));
            } else {
                context.output.line(&format!("# in effect, from {place}"));
                context.output.line(text.trim_end());
            }
        }
    }
    Ok(Exit::DONE)
}
