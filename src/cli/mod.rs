//! The command line: arguments to engine calls, results to stdout, words about them to stderr.

mod args;
mod artifacts;
mod audit;
mod backup_args;
mod backup_look;
mod backups;
mod cache;
mod child;
mod confirm;
mod console;
mod demo;
mod files;
mod health;
mod lease;
mod log;
mod output;
mod plans;
mod progress;
mod setup;
mod version_diff;
mod versions;
mod versions_args;
mod volumes;

use std::sync::Arc;

use clap::Parser;

pub use args::Cli;
use args::{Command, Global};
use output::{Exit, Output};

use crate::{
    clock::SystemClock,
    store::{Access, Environment, Store, StoreError},
    volume::ArtifactName,
};

/// Runs one command; the exit code is that of the contract.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are printed by clap to stdout, with exit code 0.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(Exit::USAGE);
        }
    };
    let output = Output::new(&cli.global);
    let code = match run(&cli, &output) {
        Ok(code) => code,
        Err(error) => output.error(&error),
    };
    progress::signalled().unwrap_or(code)
}

fn run(cli: &Cli, output: &Output) -> Result<u8, StoreError> {
    // The console starts its own, since it logs even where no file is named.
    let _log = match cli.command {
        None | Some(Command::Demo(_)) => None,
        Some(_) => log::start(&cli.global, false)?,
    };
    crate::volume::lock::set_operation(&operation(cli.command.as_ref()));
    let context = Context {
        global: &cli.global,
        output,
    };
    match &cli.command {
        None => console::open(&context),
        Some(Command::Verify { paths, text }) if !paths.is_empty() => {
            files::verify(&context, paths, *text)
        }
        Some(Command::Verify { text, .. }) => files::verify_store(&context, *text),
        Some(Command::Inspect {
            what,
            version,
            text,
        }) => files::inspect(&context, what, version.as_deref(), *text),
        Some(Command::Init(init)) => setup::init(&context, init),
        Some(Command::Put(put)) => artifacts::put(&context, put),
        Some(Command::Get(get)) => artifacts::get(&context, get),
        Some(Command::Rm { names, confirm }) => artifacts::remove(&context, names, *confirm),
        Some(Command::Ls { pattern }) => artifacts::list(&context, pattern.as_deref()),
        Some(Command::Versions {
            command: Some(command),
            ..
        }) => versions::command(&context, command),
        Some(Command::Versions { name, .. }) => {
            versions::show(&context, name.as_deref().unwrap_or_default())
        }
        Some(Command::Partitions { command: None }) => artifacts::partitions(&context),
        Some(Command::Partitions {
            command: Some(command),
        }) => plans::partitions(&context, command),
        Some(Command::Status) => health::status(&context),
        Some(Command::Survey { level }) => health::replicas(&context, &[], (*level).into(), true),
        Some(Command::Replicas {
            command: Some(command),
            ..
        }) => plans::replicas(&context, command),
        Some(Command::Replicas { names, level, .. }) => {
            health::replicas(&context, names, (*level).into(), false)
        }
        Some(Command::Scrub(scrub)) => health::scrub(&context, scrub),
        Some(Command::Apply { plan, confirm }) => plans::apply(&context, plan, *confirm),
        Some(Command::Jobs {
            audit: true,
            since,
            name,
            ..
        }) => audit::audit(&context, since.as_deref(), name.as_deref()),
        Some(Command::Jobs { command, .. }) => plans::jobs(&context, command.as_ref()),
        Some(Command::Demo(demo)) => demo::demo(&context, demo),
        Some(Command::Backup { command }) => backups::backup(&context, command),
        Some(Command::Volume { command }) => volumes::volume(&context, command),
        Some(Command::Trash { command }) => volumes::trash(&context, command),
        Some(Command::Cache { command }) => cache::cache(&context, command),
        Some(Command::Lease { command }) => lease::lease(&context, command),
        Some(Command::Lock(lock)) => artifacts::lock(&context, lock),
        Some(Command::Config { command }) => setup::config(&context, *command),
        Some(Command::Completions { shell }) => {
            args::completions(*shell);
            Ok(Exit::DONE)
        }
        Some(Command::Man) => args::man().map(|()| Exit::DONE),
    }
}

/// What this process does, for those whom its locks and its lease keep waiting. Names, never
/// contents.
fn operation(command: Option<&Command>) -> String {
    match command {
        None => "console".to_owned(),
        Some(Command::Put(put)) => format!("put {}", put.name),
        Some(Command::Rm { names, .. }) => format!("rm {}", names.join(" ")),
        Some(Command::Lock(lock)) => format!("lock {}", lock.name),
        Some(Command::Lease { command }) => match command {
            args::LeaseCommand::Status { .. } => "lease status".to_owned(),
            args::LeaseCommand::Hold { .. } => "lease hold".to_owned(),
            args::LeaseCommand::Move { .. } => "lease move".to_owned(),
            args::LeaseCommand::Steal { .. } => "lease steal".to_owned(),
        },
        Some(Command::Backup { .. }) => "backup".to_owned(),
        Some(Command::Replicas { .. }) => "replicas repair".to_owned(),
        Some(Command::Versions { .. }) => "versions restore".to_owned(),
        Some(Command::Apply { .. }) => "apply".to_owned(),
        Some(Command::Jobs { .. }) => "jobs resume".to_owned(),
        Some(_) => "maifdeck".to_owned(),
    }
}

/// What every command has at hand.
struct Context<'a> {
    global: &'a Global,
    output: &'a Output,
}

impl Context<'_> {
    fn environment(&self) -> Environment {
        Environment::from_process(self.global.config.clone())
    }

    /// Opens the configured store. `create`: the embedded default may be made.
    fn open(&self, create: bool) -> Result<Store, StoreError> {
        let environment = self.environment();
        let create = create && !self.global.read_only;
        let located = environment.locate(create)?;
        if located.file.is_none()
            && create
            && let Some(data) = environment.embedded_data()
            && !data.join("store").is_dir()
        {
            crate::store::setup::mark_all(&located.config, &SystemClock::shared())?;
        }
        let access = if self.global.read_only {
            Access::ReadOnly
        } else {
            Access::Write
        };
        Ok(Store::open(
            Arc::new(located.config),
            SystemClock::shared(),
            access,
        ))
    }

    /// A name that may be about to be created.
    fn new_name(&self, text: &str) -> Result<ArtifactName, StoreError> {
        if self.global.name_hex {
            return Ok(ArtifactName::from_hex(text)?);
        }
        Ok(ArtifactName::new(text)?)
    }

    /// The name of something that is there.
    fn name(&self, text: &str) -> Result<ArtifactName, StoreError> {
        if self.global.name_hex {
            return Ok(ArtifactName::from_hex(text)?);
        }
        ArtifactName::existing(text.as_bytes())
            .ok_or_else(|| StoreError::Usage(format!("not an artifact's name: {text}")))
    }
}

/// `path` as it is shown: escaped, so that no file name can drive the terminal.
fn shown(path: &std::path::Path) -> String {
    crate::volume::name::escape(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

/// A file named on the command line.
fn open_file(path: &std::path::Path) -> Result<std::fs::File, StoreError> {
    crate::volume::dir::open(path).map_err(|source| {
        StoreError::Volume(crate::volume::VolumeError::Io {
            action: "open",
            path: path.to_owned(),
            source,
        })
    })
}
