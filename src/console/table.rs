//! What lists need to know of a survey, column by column. It is made on the worker that made the
//! survey, so that at a million artifacts neither a key nor a frame pays for it: filtering reads
//! small neighbouring values, sorting has been done, and what the tiles count is counted.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    survey::{ArtifactState, ArtifactView, CopyState, CopyView, Survey},
    volume::{ArtifactName, Level, VersionId},
};

/// A survey with its columns.
#[derive(Debug, Clone)]
pub struct Seen {
    pub survey: Arc<Survey>,
    pub table: Arc<Table>,
}

impl Seen {
    pub fn new(survey: Arc<Survey>, previous: Option<&Self>) -> Self {
        let table = Arc::new(Table::new(&survey, previous));
        Self { survey, table }
    }
}

impl From<Survey> for Seen {
    /// Its names count as new ones.
    fn from(survey: Survey) -> Self {
        Self::new(Arc::new(survey), None)
    }
}

/// An artifact's peculiarities, as bits of `Table::flags`.
pub const REMOVED: u8 = 1;
pub const VANISHED: u8 = 2;
pub const UNSUPPORTED: u8 = 4;

/// Who signed what, by row.
#[derive(Debug, Default)]
pub struct Agents {
    /// Each agent once.
    pub names: Vec<String>,
    /// Index into `names`; out of range where nobody knows.
    pub of_row: Vec<u32>,
}

/// Rows of one table in another, so that what is about rows follows the artifacts. Made where the
/// table is made: with a million names the screen could not wait for it.
#[derive(Debug)]
pub struct Moved {
    from: u64,
    /// Out of range where the artifact is no longer there.
    rows: Vec<u32>,
}

impl Moved {
    pub fn of(before: &Seen, survey: &Survey) -> Self {
        // Both are sorted by name: one walk.
        let mut after = (0..).zip(&survey.artifacts).peekable();
        let rows = before.survey.artifacts.iter().map(|artifact| {
            let passed = |(_, other): &(u32, &ArtifactView)| other.name < artifact.name;
            while after.next_if(passed).is_some() {}
            let found = after.next_if(|(_, other)| other.name == artifact.name);
            found.map_or(u32::MAX, |(row, _)| row)
        });
        Self {
            from: before.table.generation,
            rows: rows.collect(),
        }
    }

    /// Whether it is about the rows of that table.
    pub fn is_from(&self, before: &Table) -> bool {
        self.from == before.generation
    }

    pub fn row(&self, before: u32) -> Option<u32> {
        let row = self.rows.get(before as usize)?;
        (*row != u32::MAX).then_some(*row)
    }
}

#[derive(Debug, Default)]
pub struct Table {
    /// Stays the same while the names of all rows are the same: then rows mean the same artifacts.
    pub generation: u64,
    /// Where the rows of the table before went, when the names changed.
    pub moved: Option<Moved>,
    /// Names as they are shown, in lower case, one after the other.
    names: String,
    starts: Vec<u32>,
    pub states: Vec<ArtifactState>,
    /// Bits by `CopyState`: which states any copy is in.
    pub copies: Vec<u8>,
    pub flags: Vec<u8>,
    pub homes: Vec<u16>,
    pub sizes: Vec<u64>,
    /// Seconds since 1970.
    pub modified: Vec<i64>,
    /// Rows in each order: by name, worst state, largest, newest.
    pub by_name: Arc<Vec<u32>>,
    pub by_state: Arc<Vec<u32>>,
    pub by_size: Arc<Vec<u32>>,
    pub by_age: Arc<Vec<u32>>,
    pub removed: usize,
    /// Artifacts in each state.
    pub summary: Vec<(ArtifactState, u64)>,
    /// Copies that there are, and those of them whose every byte was read.
    pub copies_all: u64,
    pub copies_read: u64,
    pub versions_bytes: u64,
    pub newest_version: Option<VersionId>,
    /// Read only when a filter asks for it.
    pub agents: OnceLock<Arc<Agents>>,
}

impl Table {
    pub fn new(survey: &Survey, previous: Option<&Seen>) -> Self {
        let artifacts = &survey.artifacts;
        let rows = artifacts.len();
        let generation = generation(survey, previous);
        let renamed = previous.filter(|before| before.table.generation != generation);
        let mut table = Self {
            generation,
            moved: renamed.map(|before| Moved::of(before, survey)),
            names: String::with_capacity(rows * 24),
            starts: Vec::with_capacity(rows + 1),
            states: Vec::with_capacity(rows),
            copies: Vec::with_capacity(rows),
            flags: Vec::with_capacity(rows),
            homes: Vec::with_capacity(rows),
            sizes: Vec::with_capacity(rows),
            modified: Vec::with_capacity(rows),
            summary: survey.summary().to_vec(),
            versions_bytes: survey.versions.iter().map(|v| v.size).sum(),
            newest_version: survey.versions.iter().map(|v| v.id).max(),
            ..Self::default()
        };
        table.starts.push(0);
        for artifact in artifacts {
            push_name(&mut table.names, &artifact.name);
            let end = u32::try_from(table.names.len()).unwrap_or(u32::MAX);
            table.starts.push(end);
            table.states.push(artifact.state);
            let copies = artifact.copies.iter();
            table
                .copies
                .push(copies.fold(0, |bits, copy| bits | bit(copy.state)));
            table.flags.push(
                u8::from(artifact.removed) * REMOVED
                    + u8::from(artifact.vanished) * VANISHED
                    + u8::from(artifact.unsupported) * UNSUPPORTED,
            );
            if !artifact.removed {
                let read = |copy: &&CopyView| copy.checked == Level::Deep;
                let there = |copy: &&CopyView| copy.state != CopyState::Missing;
                table.copies_all += artifact.copies.iter().filter(there).count() as u64;
                table.copies_read += artifact.copies.iter().filter(read).count() as u64;
            }
            table.removed += usize::from(artifact.removed);
            table.homes.push(artifact.home);
            let copy = artifact.shown_copy();
            table.sizes.push(copy.and_then(|c| c.size).unwrap_or(0));
            table.modified.push(copy.map_or(0, CopyView::modified));
        }
        if let Some(previous) = previous.map(|seen| &seen.table)
            && table.generation == previous.generation
            && (&table.sizes, &table.modified) == (&previous.sizes, &previous.modified)
            && let Some(agents) = previous.agents.get()
        {
            // No file was written since they were read.
            let _ = table.agents.set(Arc::clone(agents));
        }
        table.by_name = Arc::new((0..number(rows)).collect());
        table.by_state = Arc::new(sorted(&table.states, |state| *state));
        table.by_size = Arc::new(sorted(&table.sizes, |size| std::cmp::Reverse(*size)));
        table.by_age = Arc::new(sorted(&table.modified, |time| std::cmp::Reverse(*time)));
        table
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }

    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The name of a row as it is shown, in lower case.
    pub fn name(&self, row: u32) -> &str {
        let at = row as usize;
        let (Some(from), Some(to)) = (self.starts.get(at), self.starts.get(at + 1)) else {
            return "";
        };
        let range = *from as usize..*to as usize;
        self.names.get(range).unwrap_or("")
    }

    /// The agent of a row, where it was read and is known.
    pub fn agent(&self, row: u32) -> Option<u32> {
        self.agents.get()?.of_row.get(row as usize).copied()
    }
}

pub const fn bit(state: CopyState) -> u8 {
    1 << state as u8
}

pub fn number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}

/// Rows in the order of a column; equal ones stay in the order of names.
fn sorted<T, K: Ord + Copy>(column: &[T], key: impl Fn(&T) -> K) -> Vec<u32> {
    let mut rows: Vec<(K, u32)> = (0..)
        .zip(column)
        .map(|(row, value)| (key(value), row))
        .collect();
    rows.sort_unstable();
    rows.into_iter().map(|(_, row)| row).collect()
}

fn generation(survey: &Survey, previous: Option<&Seen>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let same = |before: &[ArtifactView]| {
        before.len() == survey.artifacts.len()
            && before
                .iter()
                .zip(&survey.artifacts)
                .all(|(a, b)| a.name == b.name)
    };
    match previous {
        Some(previous) if same(&previous.survey.artifacts) => previous.table.generation,
        _ => NEXT.fetch_add(1, Ordering::Relaxed),
    }
}

/// Most names are plain: no allocation for those.
fn push_name(names: &mut String, name: &ArtifactName) {
    let plain = |b: &u8| b.is_ascii_graphic() && *b != b'\\';
    match name.as_str() {
        Some(text) if name.as_bytes().iter().all(plain) => {
            names.extend(text.chars().map(|c| c.to_ascii_lowercase()));
        }
        _ => names.push_str(&name.to_string().to_lowercase()),
    }
}
