//! Names and meanings of all arguments.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use super::{
    backup_args::{BackupCommand, Mode},
    versions_args::VersionsCommand,
};
use crate::store::StoreError;

/// Storage engine and admin console for stores of MAIF artifacts.
#[derive(Debug, Parser)]
#[command(name = "maifdeck", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a command line"
)]
pub struct Global {
    /// Configuration file; without it $`MAIFDECK_CONFIG`, ./maifdeck.toml and the usual places
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Refuse every change
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Print one JSON document instead of words
    #[arg(long, global = true)]
    pub json: bool,
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Take names in hexadecimal, for those that are not UTF-8
    #[arg(long, global = true)]
    pub name_hex: bool,
    /// Write a log here
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// No words on stderr but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a configuration and mark the volumes; adopts what is there without moving it
    Init(Init),
    /// List artifacts
    Ls {
        /// With `*` and `?`
        pattern: Option<String>,
    },
    /// Make a new current copy
    Put(Put),
    /// Give the bytes of a copy that verified
    Get(Get),
    /// Archive artifacts and mark them removed
    Rm {
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Show header, blocks, provenance, signer and verdict of an artifact or file
    Inspect {
        /// The name of an artifact, or a file
        #[arg(value_name = "NAME|FILE")]
        what: String,
        /// A version instead of the current copy
        #[arg(long, value_name = "ID")]
        version: Option<String>,
        /// The texts of TEXT blocks too
        #[arg(long)]
        text: bool,
    },
    /// Verify MAIF files
    Verify {
        /// Files, or directories that are searched for *.maif
        #[arg(value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
        /// Give the texts of TEXT blocks too (with --json)
        #[arg(long)]
        text: bool,
    },
    /// The history of an artifact
    #[command(args_conflicts_with_subcommands = true)]
    Versions {
        #[arg(required = true)]
        name: Option<String>,
        #[command(subcommand)]
        command: Option<VersionsCommand>,
    },
    /// How artifacts are spread over partitions
    Partitions,
    /// Health in one screen
    Status,
    /// Look at every copy of every artifact
    Survey {
        #[arg(long, default_value = "presence")]
        level: LevelArg,
    },
    /// Whether the replicas agree; problems only, unless artifacts are named
    #[command(args_conflicts_with_subcommands = true)]
    Replicas {
        names: Vec<String>,
        #[arg(long, default_value = "quick")]
        level: LevelArg,
        #[command(subcommand)]
        command: Option<ReplicasCommand>,
    },
    /// Run exactly a plan that `--dry-run --json` gave
    Apply {
        /// A file, or - for standard input
        #[arg(value_name = "FILE|-")]
        plan: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// What was done, newest first
    #[command(args_conflicts_with_subcommands = true)]
    Jobs {
        #[command(subcommand)]
        command: Option<JobsCommand>,
    },
    /// Build a playground with planted faults
    Demo(Demo),
    /// Make, list, verify, restore and prune backups
    Backup {
        #[command(subcommand)]
        command: BackupCommand,
    },
    /// Run a command holding an artifact's lock
    Lock(Lock),
    /// Show or check the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LevelArg {
    /// Listings only
    Presence,
    /// Record, header and footer of each copy
    Quick,
    /// Every byte and signature
    Deep,
}

impl From<LevelArg> for crate::volume::Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Presence => Self::Presence,
            LevelArg::Quick => Self::Quick,
            LevelArg::Deep => Self::Deep,
        }
    }
}

/// How a plan is confirmed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Confirm {
    /// Confirm the plan that is printed
    #[arg(long)]
    pub yes: bool,
    /// Print the plan, change nothing; with --json all that `apply` needs
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum ReplicasCommand {
    /// Make every copy equal to its reference
    Repair {
        names: Vec<String>,
        #[arg(long, default_value = "deep")]
        level: LevelArg,
        /// The volume that is right where copies are divergent
        #[arg(long, value_name = "VOLUME")]
        prefer: Option<String>,
        /// Go back to an older intact copy where the newest has none
        #[arg(long)]
        accept_older: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// One job and its errors
    Show { id: String },
    /// Go on with an interrupted or cancelled job
    Resume { id: String },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Where; without it a temporary directory that is removed at the end
    pub dir: Option<PathBuf>,
    /// How many artifacts
    #[arg(long, default_value_t = 120)]
    pub artifacts: u32,
    /// Another seed makes another playground
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Build it, print where it is, and end
    #[arg(long)]
    pub no_console: bool,
    /// Keep the temporary directory
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Show the configuration in effect
    Show,
    /// Read it and say whether it is right
    Check,
}

#[derive(Debug, Args)]
pub struct Init {
    /// A partition and the directories of its replicas; once a partition
    #[arg(long = "partition", value_name = "NAME=DIR[,DIR…]", required = true)]
    pub partitions: Vec<String>,
    /// Where backups go
    #[arg(long, value_name = "DIR")]
    pub backups: Option<PathBuf>,
    #[arg(
        long,
        value_name = "md5-modulo|rendezvous",
        default_value = "md5-modulo"
    )]
    pub placement: String,
    /// "majority", "all" or a number
    #[arg(long, value_name = "Q", default_value = "majority")]
    pub write_quorum: String,
}

#[derive(Debug, Args)]
pub struct Put {
    pub name: String,
    /// A text; several make several blocks
    #[arg(long = "text", value_name = "T", conflicts_with_all = ["file", "stdin"])]
    pub texts: Vec<String>,
    /// A file: MAIF is verified and stored as it is, else it becomes one block
    #[arg(long, value_name = "F", conflicts_with = "stdin")]
    pub file: Option<PathBuf>,
    /// `-`: the same from standard input
    #[arg(value_name = "-", value_parser = ["-"])]
    pub stdin: Option<String>,
    /// Only when the artifact is at this generation, or `absent`
    #[arg(long, value_name = "G|absent")]
    pub if_generation: Option<String>,
    /// Accepted for scripts; put does not ask
    #[arg(long, hide = true)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Get {
    pub name: String,
    #[arg(long, value_name = "ID")]
    pub version: Option<String>,
    /// A file instead of standard output
    #[arg(short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Lock {
    pub name: String,
    /// Shared instead of exclusive
    #[arg(long)]
    pub shared: bool,
    /// How long to wait for it, in seconds
    #[arg(long, value_name = "S")]
    pub timeout: Option<u64>,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Prints the completion script of a shell.
pub fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(
        shell,
        &mut Cli::command(),
        "maifdeck",
        &mut std::io::stdout(),
    );
}

/// Prints the manual page.
pub fn man() -> Result<(), StoreError> {
    clap_mangen::Man::new(Cli::command())
        .render(&mut std::io::stdout())
        .map_err(|error| StoreError::Failed(format!("cannot write to standard output: {error}")))
}
