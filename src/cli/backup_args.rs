//! Arguments of `backup …`, and the retention policy's.

use clap::{Args, Subcommand, ValueEnum};

use super::args::Confirm;
use crate::store::{Policy, units::parse_duration};

/// What is kept. Rules add up; with none of them the configuration's apply.
#[derive(Debug, Clone, Copy, Args)]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those of the flags"
)]
pub struct PolicyArgs {
    /// The newest N
    #[arg(long, value_name = "N")]
    keep_last: Option<u32>,
    /// The newest of each of the last N hours that hold one
    #[arg(long, value_name = "N")]
    keep_hourly: Option<u32>,
    /// The same for days
    #[arg(long, value_name = "N")]
    keep_daily: Option<u32>,
    /// The same for ISO weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<u32>,
    /// The same for months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<u32>,
    /// The same for years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<u32>,
    /// Everything younger: 12h, 30d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    keep_within: Option<std::time::Duration>,
}

fn span(text: &str) -> Result<std::time::Duration, String> {
    parse_duration(text).ok_or_else(|| "a span is a number and a unit: 90m, 12h, 30d".to_owned())
}

impl PolicyArgs {
    /// `None`: no rule was given.
    pub fn policy(self) -> Option<Policy> {
        let counts = [
            self.keep_last,
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
        ];
        if counts.iter().all(Option::is_none) && self.keep_within.is_none() {
            return None;
        }
        let [last, hourly, daily, weekly, monthly, yearly] = counts.map(Option::unwrap_or_default);
        Some(Policy {
            keep_last: last,
            keep_hourly: hourly,
            keep_daily: daily,
            keep_weekly: weekly,
            keep_monthly: monthly,
            keep_yearly: yearly,
            keep_within: self.keep_within.unwrap_or_default(),
        })
    }
}

/// What happens to artifacts that a backup does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// They are archived and marked removed
    Exact,
    /// They stay
    Merge,
}

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Back the store up; unchanged files are linked to the backup before
    Create {
        /// Accepted for scripts; create does not ask
        #[arg(long, hide = true)]
        yes: bool,
    },
    /// All backups, oldest first
    List,
    /// Check a backup against its digests and as MAIF
    Verify {
        /// An id, or `latest`
        id: String,
        /// Manifest, sizes and footers only
        #[arg(long)]
        quick: bool,
        /// Only so much of it, another part each time
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: u8,
        /// Accepted for scripts; verify does not ask
        #[arg(long, hide = true)]
        yes: bool,
    },
    /// Bring the store, or the named artifacts, back to what a backup holds
    Restore {
        /// An id, or `latest`
        id: String,
        names: Vec<String>,
        #[arg(long, default_value = "exact")]
        mode: Mode,
        /// Exact removes at most this share of the artifacts
        #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
        max_remove: u8,
        /// Copy it to an empty or new directory instead; the store is not touched
        #[arg(long, value_name = "DIR", conflicts_with_all = ["mode", "max_remove", "dry_run"])]
        to: Option<std::path::PathBuf>,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Retire the complete backups that no rule keeps
    Prune {
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Keep a backup whatever a policy says
    Pin {
        /// An id, or `latest`
        id: String,
        /// Accepted for scripts; pin does not ask
        #[arg(long, hide = true)]
        yes: bool,
    },
    /// Let a policy decide about a pinned backup again
    Unpin {
        /// An id
        id: String,
        /// Accepted for scripts; unpin does not ask
        #[arg(long, hide = true)]
        yes: bool,
    },
    /// Bring a retired backup back; possible until the undo window is over
    Undelete {
        /// An id
        id: String,
        /// Accepted for scripts; undelete does not ask
        #[arg(long, hide = true)]
        yes: bool,
    },
    /// Write manifest and digests for a tree that the Python sketches made
    Seal {
        /// An id
        id: String,
        /// Accepted for scripts; seal does not ask
        #[arg(long, hide = true)]
        yes: bool,
    },
    /// How a backup, or the store now, differs from a backup
    Diff {
        /// An id, or `latest`
        a: String,
        /// An id, or `latest`; without it the store as it is now
        b: Option<String>,
    },
    /// Which backups hold an artifact
    Find { name: String },
}
