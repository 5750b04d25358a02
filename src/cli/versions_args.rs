//! Arguments of `versions …`.

use clap::Subcommand;

use super::{args::Confirm, backup_args::PolicyArgs};

#[derive(Debug, Subcommand)]
pub enum VersionsCommand {
    /// Make an earlier state the current copy; what is current is archived first
    Restore {
        name: String,
        /// A version's id, `backup_<id>` for what only a backup holds, or a time
        #[arg(required_unless_present = "as_of")]
        id: Option<String>,
        /// What was current then: 2026-03-11T18:00, "yesterday 18:00"
        #[arg(long, value_name = "TIME", conflicts_with = "id")]
        as_of: Option<String>,
        /// Under another name instead
        #[arg(long = "as", value_name = "NAME")]
        aside: Option<String>,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// What changed from one state to another, block by block
    Diff {
        name: String,
        /// A version's id, `backup_<id>`, a time, or `current`
        a: String,
        /// The same; without it the current copy
        b: Option<String>,
    },
    /// Trash the versions that no rule keeps; the newest one of each artifact stays
    Prune {
        /// Only these artifacts; without names all
        names: Vec<String>,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        confirm: Confirm,
    },
}
