//! Keys are data: one table gives every action its keys, its contexts and its words. The footer,
//! the help and the palette are made from it, so they cannot lie.

mod table;

use std::collections::BTreeMap;

use super::keys::{Chord, Stroke};
pub use table::{Action, Entry, TABLE};

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
