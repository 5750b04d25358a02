//! The table: every action with its name, its keys, the panes where they mean it, and its words.

use super::{Pane, Panes};

/// Everything that the console can be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Open,
    Back,
    NextFocus,
    PreviousFocus,
    NextPane,
    PreviousPane,
    Go(Pane),
    Filter,
    ProblemsOnly,
    Inspect,
    Mark,
    MarkDown,
    MarkUp,
    MarkRange,
    MarkFiltered,
    UnmarkAll,
    Sort,
    SortReverse,
    Copy,
    CopyMenu,
    Fix,
    FixAll,
    AcceptOlder,
    Prefer,
    Verify,
    VerifyQuick,
    Backup,
    Restore,
    RestoreMerge,
    RestoreAside,
    AsOf,
    Remove,
    Prune,
    Diff,
    Changes,
    Pin,
    Pause,
    Cancel,
    Resume,
    Undo,
    MarkVolume,
    AddPartition,
    Drain,
    Rebalance,
    EmptyTrash,
    Scrub,
    TakeOver,
    StepDown,
    Audit,
    Refresh,
    Help,
    Palette,
    Redraw,
    Suspend,
    Quit,
}

impl Action {
    /// Whether only who leads may do it: not what is about the lease itself, nor what only reads the
    /// store and writes beside it.
    pub const fn needs_the_lease(self) -> bool {
        !matches!(
            self,
            Self::TakeOver | Self::StepDown | Self::Verify | Self::VerifyQuick
        )
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub action: Action,
    /// Its name in `[console.keys]`.
    pub name: &'static str,
    pub keys: &'static [&'static str],
    pub panes: Panes,
    /// The word in the footer.
    pub word: &'static str,
    /// The line in help and palette.
    pub help: &'static str,
    /// Place in the footer, from 1; 0: not there.
    pub rank: u8,
    /// Whether it leads to a change of the store: refused when that is read-only.
    pub changes: bool,
}

const fn entry(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    word: &'static str,
    help: &'static str,
) -> Entry {
    Entry {
        action,
        name,
        keys,
        panes: Panes::EVERY,
        word,
        help,
        rank: 0,
        changes: false,
    }
}

impl Entry {
    const fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    const fn within(mut self, panes: &[Pane]) -> Self {
        self.panes = Panes::of(panes);
        self
    }

    const fn changes(mut self) -> Self {
        self.changes = true;
        self
    }
}

use Action as A;
use Pane as P;

/// Panes that list artifacts.
const ARTIFACTS: &[Pane] = &[P::Replicas, P::Versions];

/// The table. Order is that of the help.
#[rustfmt::skip] // a table is read by rows
pub const TABLE: &[Entry] = &[
    entry(A::Up, "up", &["up", "k"], "move", "one line up").rank(1),
    entry(A::Down, "down", &["down", "j"], "move", "one line down"),
    entry(A::PageUp, "page-up", &["pageup", "C-u"], "page", "one page up"),
    entry(A::PageDown, "page-down", &["pagedown", "C-d"], "page", "one page down"),
    entry(A::Top, "top", &["home", "g g"], "top", "to the first line"),
    entry(A::Bottom, "bottom", &["end", "G"], "end", "to the last line"),
    entry(A::Open, "open", &["enter", "l", "right"], "open", "go in: the finding's pane, the detail, inspect, what a backup holds").rank(2),
    entry(A::Back, "back", &["esc", "h", "left"], "back", "go out: leave the detail, clear the filter"),
    entry(A::NextFocus, "next-focus", &["tab"], "focus", "to the next part of the screen").rank(12),
    entry(A::PreviousFocus, "previous-focus", &["backtab"], "focus", "to the previous part of the screen"),
    entry(A::NextPane, "next-pane", &["]"], "next", "to the next pane"),
    entry(A::PreviousPane, "previous-pane", &["["], "previous", "to the previous pane"),
    entry(A::Go(P::Overview), "overview", &["1"], "overview", "pane 1: what needs you, worst first"),
    entry(A::Go(P::Partitions), "partitions", &["2"], "partitions", "pane 2: how the store is spread"),
    entry(A::Go(P::Replicas), "replicas", &["3"], "replicas", "pane 3: every copy of every artifact"),
    entry(A::Go(P::Versions), "versions", &["4"], "versions", "pane 4: the history of every artifact"),
    entry(A::Go(P::Backups), "backups", &["5"], "backups", "pane 5: backups, how old and how good"),
    entry(A::Go(P::Cluster), "cluster", &["6"], "cluster", "pane 6: leader, lease, volumes"),
    entry(A::Go(P::Jobs), "jobs", &["7"], "jobs", "pane 7: what runs and what was done"),
    entry(A::Filter, "filter", &["/"], "filter", "names that fit (fuzzy), state:corrupt partition:p2 size:>1M age:<2d agent:…").rank(3).within(ARTIFACTS),
    entry(A::ProblemsOnly, "problems-only", &["o"], "problems only", "show only artifacts with a problem, or all").rank(9).within(ARTIFACTS),
    entry(A::Inspect, "inspect", &["i"], "inspect", "header, blocks, provenance, signer, verdict").rank(4).within(ARTIFACTS),
    entry(A::Mark, "mark", &["space"], "mark", "mark the artifact, for repair, restore or removal").rank(10).within(ARTIFACTS),
    entry(A::MarkDown, "mark-down", &["J"], "mark", "mark this one and the next").within(ARTIFACTS),
    entry(A::MarkUp, "mark-up", &["K"], "mark", "mark this one and the one above").within(ARTIFACTS),
    entry(A::MarkRange, "mark-range", &["M-space"], "range", "mark all from the last marked one to this one").within(ARTIFACTS),
    entry(A::MarkFiltered, "mark-filtered", &["*"], "mark all", "mark all that are listed, or take those marks away").within(ARTIFACTS),
    entry(A::UnmarkAll, "unmark-all", &["U"], "unmark", "take all marks away").within(ARTIFACTS),
    entry(A::Sort, "sort", &["s"], "sort", "sort by the next of name, state, size, age").rank(11).within(ARTIFACTS),
    entry(A::SortReverse, "sort-reverse", &["S"], "reverse", "turn the order round").within(ARTIFACTS),
    entry(A::Verify, "verify", &["v"], "verify", "verify every byte: the store, in Backups the backup").rank(5).within(&[P::Overview, P::Partitions, P::Replicas, P::Backups]).changes(),
    entry(A::VerifyQuick, "verify-quick", &["V"], "quick", "verify quickly: headers and footers, in Backups sizes").within(&[P::Overview, P::Partitions, P::Replicas, P::Backups]).changes(),
    entry(A::Fix, "fix", &["f"], "fix", "repair the finding, the marked artifacts or this one").rank(4).within(&[P::Overview, P::Replicas]).changes(),
    entry(A::FixAll, "fix-all", &["F"], "fix all", "repair everything that differs").rank(8).within(&[P::Overview, P::Replicas]).changes(),
    entry(A::AcceptOlder, "accept-older", &["O"], "bring back", "bring a lost artifact back from the newest that is intact").within(&[P::Overview, P::Replicas]).changes(),
    entry(A::Prefer, "prefer", &["p"], "choose copy", "divergent: compare the copies, then say which is right").within(&[P::Overview, P::Replicas]).changes(),
    entry(A::Backup, "backup", &["b"], "backup", "create a backup now").rank(6).within(&[P::Overview, P::Replicas, P::Versions, P::Backups]).changes(),
    entry(A::Restore, "restore", &["R"], "restore", "restore this version; in Backups all, or the marked artifacts").rank(5).within(&[P::Versions, P::Backups]).changes(),
    entry(A::RestoreMerge, "restore-merge", &["M"], "merge", "restore the backup, keeping artifacts that it does not hold").rank(8).within(&[P::Backups]).changes(),
    entry(A::RestoreAside, "restore-aside", &["A"], "aside", "restore this version under another name").rank(8).within(&[P::Versions]).changes(),
    entry(A::AsOf, "as-of", &["@"], "as of", "select the version that was current at a time").rank(7).within(&[P::Versions]),
    entry(A::Remove, "remove", &["D"], "remove", "archive the artifact and mark it removed").within(ARTIFACTS).changes(),
    entry(A::Prune, "prune", &["P"], "prune", "prune by a policy: in Backups backups, in Versions of the marked or this one, else all versions").rank(9).within(&[P::Overview, P::Partitions, P::Versions, P::Backups]).changes(),
    entry(A::Diff, "diff", &["d"], "diff", "compare this version with the current copy, in Backups the backup with the store").rank(6).within(&[P::Versions, P::Backups]),
    entry(A::Changes, "changes", &["c"], "changes", "what this version changed in the one before it").rank(7).within(&[P::Versions]),
    entry(A::Pin, "pin", &["p"], "pin", "keep the backup whatever a policy says, or no longer").rank(8).within(&[P::Backups]).changes(),
    entry(A::Pause, "pause", &["p"], "pause", "pause the running job at a safe point, or go on").rank(4).within(&[P::Jobs]),
    entry(A::Cancel, "cancel", &["x"], "cancel", "cancel the running job at a safe point").rank(5).within(&[P::Jobs]),
    entry(A::Resume, "resume", &["r"], "resume", "go on with an interrupted job").rank(6).within(&[P::Overview, P::Jobs]).changes(),
    entry(A::Undo, "undo", &["u"], "undo", "undo a finished job").rank(7).within(&[P::Overview, P::Jobs]).changes(),
    entry(A::Audit, "audit", &["a"], "all changes", "show single changes between the jobs, with who made them, or jobs alone").rank(8).within(&[P::Jobs]),
    entry(A::MarkVolume, "mark-volume", &["m"], "mark volume", "mark or replace a volume").rank(6).within(&[P::Overview, P::Partitions, P::Cluster]).changes(),
    entry(A::Rebalance, "rebalance", &["r"], "rebalance", "bring artifacts to their homes, or place them otherwise").rank(4).within(&[P::Partitions]).changes(),
    entry(A::AddPartition, "add-partition", &["a"], "add", "add a partition: its moves and shares are shown first").rank(7).within(&[P::Partitions]).changes(),
    entry(A::Drain, "drain", &["D"], "drain", "give a partition's artifacts to the others; drained, it is removed").rank(8).within(&[P::Partitions]).changes(),
    entry(A::EmptyTrash, "empty-trash", &["T"], "trash", "free what waits in the volumes' trash").rank(10).within(&[P::Overview, P::Partitions]).changes(),
    entry(A::Scrub, "scrub", &["c"], "scrub", "read everything to the last byte, slowly; goes on where it stopped").rank(11).within(&[P::Overview, P::Partitions, P::Replicas]).changes(),
    entry(A::TakeOver, "take-over", &["t"], "take over", "take over the lease: of a leader that hangs, or when nobody has it").rank(5).within(&[P::Cluster]).changes(),
    entry(A::StepDown, "step-down", &["d"], "step down", "give the lease back; t takes it again").rank(7).within(&[P::Cluster]).changes(),
    entry(A::Copy, "copy", &["y"], "copy", "copy the name or id to the clipboard (OSC 52)"),
    entry(A::CopyMenu, "copy-menu", &["Y"], "copy …", "copy the digest, the path or the command that does the same"),
    entry(A::Refresh, "refresh", &["C-r", "f5"], "refresh", "look at the store again now"),
    entry(A::Palette, "palette", &[":"], "commands", "find any action by its words").rank(13),
    entry(A::Help, "help", &["?", "f1"], "help", "every key of this pane").rank(99),
    entry(A::Redraw, "redraw", &["C-l"], "redraw", "draw the screen afresh"),
    entry(A::Suspend, "suspend", &["C-z"], "suspend", "to the shell; jobs pause, fg comes back"),
    entry(A::Quit, "quit", &["q", "C-c"], "quit", "leave the console").rank(14),
];
