//! Keys are data: one table gives every action its keys, its contexts and its words. The footer,
//! the help and the palette are made from it, so they cannot lie.

use std::collections::BTreeMap;

use super::keys::{Chord, Stroke};

/// The seven panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Pane {
    #[default]
    Overview,
    Partitions,
    Replicas,
    Versions,
    Backups,
    Cluster,
    Jobs,
}

impl Pane {
    pub const ALL: [Self; 7] = [
        Self::Overview,
        Self::Partitions,
        Self::Replicas,
        Self::Versions,
        Self::Backups,
        Self::Cluster,
        Self::Jobs,
    ];

    /// The tab's name, and the shorter one for narrow screens.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Overview => ("Overview", "Over"),
            Self::Partitions => ("Partitions", "Parts"),
            Self::Replicas => ("Replicas", "Repl"),
            Self::Versions => ("Versions", "Vers"),
            Self::Backups => ("Backups", "Back"),
            Self::Cluster => ("Cluster", "Clus"),
            Self::Jobs => ("Jobs", "Jobs"),
        }
    }

    pub fn index(self) -> usize {
        Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The panes in which an action has its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panes(u8);

impl Panes {
    pub const EVERY: Self = Self(0x7f);

    pub const fn of(panes: &[Pane]) -> Self {
        let mut bits = 0;
        let mut rest = panes;
        while let [first, others @ ..] = rest {
            bits |= first.bit();
            rest = others;
        }
        Self(bits)
    }

    pub const fn has(self, pane: Pane) -> bool {
        self.0 & pane.bit() != 0
    }

    const fn overlap(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

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
    Pause,
    Cancel,
    Resume,
    Undo,
    MarkVolume,
    TakeOver,
    Refresh,
    Help,
    Palette,
    Redraw,
    Suspend,
    Quit,
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
    entry(A::Open, "open", &["enter", "l", "right"], "open", "go in: the finding's pane, the detail, inspect").rank(2),
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
    entry(A::AcceptOlder, "accept-older", &["O"], "accept older", "repair a lost artifact from the newest older copy that is intact").within(&[P::Replicas]).changes(),
    entry(A::Prefer, "prefer", &["p"], "prefer", "divergent: say which volume's copy is right").rank(11).within(&[P::Replicas]).changes(),
    entry(A::Backup, "backup", &["b"], "backup", "create a backup now").rank(6).within(&[P::Overview, P::Replicas, P::Versions, P::Backups]).changes(),
    entry(A::Restore, "restore", &["R"], "restore", "restore this version; in Backups all, or the marked artifacts").rank(5).within(&[P::Versions, P::Backups]).changes(),
    entry(A::RestoreMerge, "restore-merge", &["M"], "merge", "restore the backup, keeping artifacts that it does not hold").rank(8).within(&[P::Backups]).changes(),
    entry(A::RestoreAside, "restore-aside", &["A"], "aside", "restore this version under another name").rank(8).within(&[P::Versions]).changes(),
    entry(A::AsOf, "as-of", &["@"], "as of", "select the version that was current at a time").rank(7).within(&[P::Versions]),
    entry(A::Remove, "remove", &["D"], "remove", "archive the artifact and mark it removed").within(ARTIFACTS).changes(),
    entry(A::Prune, "prune", &["P"], "prune", "retire backups, keeping the last few").rank(9).within(&[P::Backups]).changes(),
    entry(A::Pause, "pause", &["p"], "pause", "pause the running job at a safe point, or go on").rank(4).within(&[P::Jobs]),
    entry(A::Cancel, "cancel", &["x"], "cancel", "cancel the running job at a safe point").rank(5).within(&[P::Jobs]),
    entry(A::Resume, "resume", &["r"], "resume", "go on with an interrupted job").rank(6).within(&[P::Overview, P::Jobs]).changes(),
    entry(A::Undo, "undo", &["u"], "undo", "undo a finished job").rank(7).within(&[P::Overview, P::Jobs]).changes(),
    entry(A::MarkVolume, "mark-volume", &["m"], "mark volume", "mark or replace a volume").rank(6).within(&[P::Overview, P::Partitions, P::Cluster]).changes(),
    entry(A::TakeOver, "take-over", &["t"], "take over", "take over the lease").rank(5).within(&[P::Cluster]).changes(),
    entry(A::Copy, "copy", &["y"], "copy", "copy the name or id to the clipboard (OSC 52)"),
    entry(A::CopyMenu, "copy-menu", &["Y"], "copy …", "copy the digest, the path or the command that does the same"),
    entry(A::Refresh, "refresh", &["C-r", "f5"], "refresh", "look at the store again now"),
    entry(A::Palette, "palette", &[":"], "commands", "find any action by its words").rank(13),
    entry(A::Help, "help", &["?", "f1"], "help", "every key of this pane").rank(99),
    entry(A::Redraw, "redraw", &["C-l"], "redraw", "draw the screen afresh"),
    entry(A::Suspend, "suspend", &["C-z"], "suspend", "to the shell; jobs pause, fg comes back"),
    entry(A::Quit, "quit", &["q", "C-c"], "quit", "leave the console").rank(14),
];

/// What is wrong with `[console.keys]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    #[error("console.keys: unknown action \"{name}\"; the nearest is \"{nearest}\"")]
    UnknownAction { name: String, nearest: &'static str },
    #[error(
        "console.keys.{action}: not a key: \"{key}\" (write a, G, C-x, M-x, enter, f5, or \"g g\")"
    )]
    UnknownKey { action: String, key: String },
    #[error("console.keys: \"{key}\" means both \"{first}\" and \"{second}\" in the same pane")]
    Duplicate {
        key: String,
        first: &'static str,
        second: &'static str,
    },
    #[error(
        "console.keys.{action}: \"{key}\" is taken by tmux, screen or the terminal; give another key beside it"
    )]
    Unreachable { action: &'static str, key: String },
}

/// What a key press means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    Action(Action),
    /// The first stroke of a chord.
    Pending,
    Nothing,
}

/// The keys in force.
#[derive(Debug, Clone)]
pub struct Keymap {
    /// By row of the table.
    chords: Vec<Vec<Chord>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self {
            chords: TABLE
                .iter()
                .map(|entry| {
                    entry
                        .keys
                        .iter()
                        .filter_map(|key| Chord::parse(key))
                        .collect()
                })
                .collect(),
        }
    }
}

impl Keymap {
    /// The defaults with the configuration's keys in their place.
    pub fn remapped(keys: &BTreeMap<String, Vec<String>>) -> Result<Self, KeymapError> {
        let mut map = Self::default();
        for (name, wanted) in keys {
            let Some(row) = TABLE.iter().position(|entry| entry.name == name) else {
                return Err(KeymapError::UnknownAction {
                    name: name.clone(),
                    nearest: nearest(name),
                });
            };
            let chords = wanted
                .iter()
                .map(|key| {
                    Chord::parse(key).ok_or_else(|| KeymapError::UnknownKey {
                        action: name.clone(),
                        key: key.clone(),
                    })
                })
                .collect::<Result<Vec<_>, _>>()?;
            if let Some(slot) = map.chords.get_mut(row) {
                *slot = chords;
            }
        }
        map.check()?;
        Ok(map)
    }

    fn rows(&self) -> impl Iterator<Item = (&'static Entry, &[Chord])> {
        TABLE.iter().zip(self.chords.iter().map(Vec::as_slice))
    }

    fn check(&self) -> Result<(), KeymapError> {
        for (at, (entry, chords)) in self.rows().enumerate() {
            if let Some(chord) = chords.first()
                && chords.iter().all(Chord::is_unreachable)
            {
                return Err(KeymapError::Unreachable {
                    action: entry.name,
                    key: chord.to_string(),
                });
            }
            for (other, others) in self.rows().skip(at + 1) {
                let clash = chords
                    .iter()
                    .find(|chord| others.iter().any(|o| o.clashes(chord)));
                if let Some(chord) = clash
                    && entry.panes.overlap(other.panes)
                {
                    return Err(KeymapError::Duplicate {
                        key: chord.to_string(),
                        first: entry.name,
                        second: other.name,
                    });
                }
            }
        }
        Ok(())
    }

    /// What `stroke` means in `pane`, after the stroke of a chord that was begun.
    pub fn lookup(&self, pane: Pane, begun: Option<Stroke>, stroke: Stroke) -> Lookup {
        let mut pending = false;
        for (entry, chords) in self.rows().filter(|(entry, _)| entry.panes.has(pane)) {
            for chord in chords {
                match (begun, chord) {
                    (None, Chord::One(only)) if *only == stroke => {
                        return Lookup::Action(entry.action);
                    }
                    (None, Chord::Two(first, _)) if *first == stroke => pending = true,
                    (Some(begun), Chord::Two(first, second))
                        if *first == begun && *second == stroke =>
                    {
                        return Lookup::Action(entry.action);
                    }
                    _ => {}
                }
            }
        }
        if pending {
            Lookup::Pending
        } else {
            Lookup::Nothing
        }
    }

    /// The first key of an action, for people; empty when it has none.
    pub fn key(&self, action: Action) -> String {
        self.rows()
            .find(|(entry, _)| entry.action == action)
            .and_then(|(_, chords)| chords.first())
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// All keys of an action, for the help.
    pub fn keys(&self, action: Action) -> String {
        self.rows()
            .find(|(entry, _)| entry.action == action)
            .map(|(_, chords)| {
                chords
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .unwrap_or_default()
    }

    /// The footer of a pane in order: keys and word.
    pub fn footer(&self, pane: Pane) -> Vec<(&'static Entry, String)> {
        let mut shown: Vec<_> = self
            .rows()
            .filter(|(entry, chords)| entry.rank > 0 && entry.panes.has(pane) && !chords.is_empty())
            .map(|(entry, _)| (entry, self.key(entry.action)))
            .collect();
        shown.sort_by_key(|(entry, _)| entry.rank);
        shown
    }
}

/// The row of an action.
pub fn find(action: Action) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.action == action)
}

fn nearest(name: &str) -> &'static str {
    TABLE
        .iter()
        .map(|entry| entry.name)
        .min_by_key(|known| strsim::damerau_levenshtein(known, name))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
        pairs
            .iter()
            .map(|(action, key)| ((*action).to_owned(), vec![(*key).to_owned()]))
            .collect()
    }

    #[test]
    fn the_defaults_are_whole_and_have_no_duplicates() {
        let map = Keymap::default();
        map.check().unwrap();
        for (entry, chords) in map.rows() {
            assert_eq!(chords.len(), entry.keys.len(), "{}", entry.name);
        }
        let names: std::collections::BTreeSet<_> = TABLE.iter().map(|e| e.name).collect();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn a_key_with_two_meanings_in_a_pane_is_refused() {
        let error = Keymap::remapped(&keys(&[("fix", "v")])).unwrap_err();
        assert!(error.to_string().contains("\"v\" means both"), "{error}");
        let error = Keymap::remapped(&keys(&[("fix", "g")])).unwrap_err();
        assert!(matches!(error, KeymapError::Duplicate { .. }), "{error}");
        // `p` is pause in Jobs and prefer in Replicas: never both.
        Keymap::remapped(&keys(&[("cancel", "f")])).unwrap();
    }

    #[test]
    fn unknown_names_are_told_with_the_nearest() {
        let error = Keymap::remapped(&keys(&[("bakup", "b")])).unwrap_err();
        assert!(error.to_string().contains("\"backup\""), "{error}");
        let error = Keymap::remapped(&keys(&[("backup", "hyper-b")])).unwrap_err();
        assert!(error.to_string().contains("hyper-b"), "{error}");
        let error = Keymap::remapped(&keys(&[("backup", "C-a")])).unwrap_err();
        assert!(matches!(error, KeymapError::Unreachable { .. }), "{error}");
    }

    #[test]
    fn chords_wait_for_their_second_stroke() {
        let map = Keymap::default();
        let g = Stroke::parse("g").unwrap();
        assert_eq!(map.lookup(Pane::Overview, None, g), Lookup::Pending);
        assert_eq!(
            map.lookup(Pane::Overview, Some(g), g),
            Lookup::Action(Action::Top)
        );
    }
}
