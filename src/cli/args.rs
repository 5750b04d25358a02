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
        /// An earlier state instead of the current copy: its id in `versions`, or a time
        #[arg(long, value_name = "ID|TIME")]
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
    #[command(args_conflicts_with_subcommands = true)]
    Partitions {
        #[command(subcommand)]
        command: Option<PartitionsCommand>,
    },
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
    /// Read every copy and version to the last byte, slowly
    Scrub(Scrub),
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
        /// Who changed what: single changes too
        #[arg(long)]
        audit: bool,
        /// Only since this time (2026-03-11T18:00), day, or so long ago (24h)
        #[arg(long, value_name = "T", requires = "audit")]
        since: Option<String>,
        /// Only changes of this artifact
        #[arg(requires = "audit")]
        name: Option<String>,
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
    /// The directories that hold the replicas
    Volume {
        #[command(subcommand)]
        command: VolumeCommand,
    },
    /// What was replaced or removed and waits to be freed
    Trash {
        #[command(subcommand)]
        command: TrashCommand,
    },
    /// The artifacts that this host keeps at hand
    Cache {
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Run a command holding an artifact's lock
    Lock(Lock),
    /// Who may write, where hosts share the store
    #[command(after_long_help = LEASE_HELP)]
    Lease {
        #[command(subcommand)]
        command: LeaseCommand,
    },
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
        /// Only copies on this volume
        #[arg(long, value_name = "VOLUME")]
        volume: Option<String>,
        /// Go back to an older intact copy where the newest has none
        #[arg(long)]
        accept_older: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(Debug, Subcommand)]
pub enum PartitionsCommand {
    /// A new partition; artifacts whose home it becomes are moved there
    Add {
        /// `NAME=DIR[,DIR…]`
        partition: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Move everything away from a partition
    Drain {
        name: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Take a drained partition out of the layout
    Remove {
        name: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Bring artifacts to their homes
    Rebalance {
        /// md5-modulo or rendezvous: change the placement first
        #[arg(long, value_name = "PLACEMENT")]
        placement: Option<String>,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// All volumes with their state, device and contents
    List,
    /// Give a directory without a mark to the store; it joins
    Mark {
        /// `<partition>.<replica, from 1>`
        volume: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Give a volume's place to another directory, or to a new disk at the same one; it joins
    Replace {
        volume: String,
        /// The new directory; without it the configured one
        directory: Option<PathBuf>,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Find out what holds on its file system, and record it
    Probe { volume: String },
}

#[derive(Debug, Subcommand)]
pub enum TrashCommand {
    /// What waits, by job and volume
    List,
    /// Free what has waited longer than the undo window
    Empty {
        /// Free everything; what the jobs replaced cannot be brought back then
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// One job and its errors
    Show { id: String },
    /// Go on with an interrupted or cancelled job
    Resume {
        id: String,
        /// Accepted for scripts; its plan was confirmed when the job began
        #[arg(long, hide = true)]
        yes: bool,
        /// As soon as the process that runs it has ended
        #[arg(long, hide = true)]
        after_another: bool,
    },
    /// Bring back what a job replaced or removed
    Undo {
        id: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Stop a running job at its next safe point, or close an interrupted one
    Cancel { id: String },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Where; without it a temporary directory that is removed at the end
    pub dir: Option<PathBuf>,
    /// How many artifacts
    #[arg(long, default_value_t = crate::demo::Demo::ARTIFACTS)]
    pub artifacts: u32,
    /// Another seed makes another playground
    #[arg(long, default_value_t = crate::demo::Demo::SEED)]
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
    Show {
        /// Every key with its default and what it means instead
        #[arg(long)]
        defaults: bool,
    },
    /// Read it and say whether it is right
    Check,
    /// Make an edited configuration the store's layout
    Apply {
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(Debug, Args)]
pub struct Scrub {
    /// Go on where the last one stopped
    #[arg(long)]
    pub resume: bool,
    /// Only artifacts in which something is wrong already
    #[arg(long)]
    pub only_errors: bool,
    /// Only what was written since
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Rest so many times as long as it works
    #[arg(long, value_name = "N")]
    pub tranquility: Option<u32>,
    /// Do not read again what is as it was when it was last read
    #[arg(long)]
    pub trust_unchanged: bool,
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
    /// One writer at a time among several hosts: turn leases on
    #[arg(long)]
    pub leases: bool,
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
    /// An earlier state instead of the current copy: its id in `versions`, or a time
    #[arg(long, value_name = "ID|TIME")]
    pub version: Option<String>,
    /// A file instead of standard output
    #[arg(short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// No longer than that is waited for anything, in seconds.
const YEAR: u64 = 365 * 86_400;

#[derive(Debug, Args)]
pub struct Lock {
    pub name: String,
    /// Shared instead of exclusive
    #[arg(long)]
    pub shared: bool,
    /// How long to wait for it, in seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=YEAR))]
    pub timeout: Option<u64>,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// The same as `get`: from the cache when the store holds just that
    Get {
        name: String,
        /// A file instead of standard output
        #[arg(short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Fetch it from the store again
    Refresh { name: String },
    /// Forget it
    Invalidate { name: String },
    /// How much is cached
    Status,
    /// Forget everything
    Clear {
        /// Accepted for scripts; nothing is lost, so it does not ask
        #[arg(long, hide = true)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum LeaseCommand {
    /// Who holds the lease
    Status {
        /// Watch until it is certain: its counter moved, or stood still for a TTL
        #[arg(long)]
        wait: bool,
    },
    /// Run a command while this host holds the lease; maifdeck calls in it write under it
    Hold {
        /// How long to wait for it, in seconds; three TTLs without it
        #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=YEAR))]
        timeout: Option<u64>,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Let the lease live on another volume: the next layout's control
    Move {
        /// Label of the volume
        volume: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Take the lease from whoever holds it; it is free afterwards
    Steal {
        /// Kill what stands inside a commit on this machine
        #[arg(long)]
        kill: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
}

const LEASE_HELP: &str = include_str!("../../assets/lease.txt");

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
