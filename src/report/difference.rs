//! Differences in words, line by line: between two states of an artifact, and between a backup and
//! another one or the store. Every line is safe on a terminal.

use super::{count, plural, size, stamp};
use crate::{
    backup::diff::Difference,
    maif::diff::{BlockDiff, Change, Content, Fate, FileDiff},
    volume::name::escape,
};

/// What a line is for its colour; the words say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Dim,
    Head,
    Added,
    Removed,
    Changed,
}

/// One line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub tone: Tone,
    pub text: String,
}

/// Makes one.
pub fn line(tone: Tone, text: impl Into<String>) -> Line {
    Line {
        tone,
        text: text.into(),
    }
}

/// How two states of an artifact differ.
pub fn files(found: &FileDiff) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.extend(found.header.iter().map(|c| change("header", &in_words(c))));
    lines.extend(found.signer.iter().map(|c| change("signer", c)));
    for of in &found.blocks {
        block(of, &mut lines);
    }
    let chains = [
        ("-", Tone::Removed, &found.provenance_a),
        ("+", Tone::Added, &found.provenance_b),
    ];
    for (mark, tone, entries) in chains {
        for entry in entries {
            let at = stamp::rfc3339_micros(entry.timestamp);
            let (action, agent) = (&entry.action, &entry.agent_id);
            let text = format!(
                "provenance {mark} {at}  {}  {}",
                escape(action.as_bytes()),
                escape(agent.as_bytes())
            );
            lines.push(line(tone, text));
        }
    }
    lines
}

fn block(of: &BlockDiff, lines: &mut Vec<Line>) {
    let place = |place: Option<usize>| place.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let tone = match of.fate {
        Fate::Same => Tone::Dim,
        Fate::Moved | Fate::Changed => Tone::Changed,
        Fate::Added => Tone::Added,
        Fate::Removed => Tone::Removed,
    };
    let text = format!(
        "{:<8} block {} → {}  {}  {} → {}",
        of.fate.word(),
        place(of.a),
        place(of.b),
        of.kind,
        known(of.size_a, "–"),
        known(of.size_b, "–")
    );
    lines.push(line(tone, text));
    lines.extend(of.metadata.iter().map(|c| change("    metadata", c)));
    match &of.content {
        Content::Text(text) => lines.extend(text.lines().map(|text| {
            let tone = match text.as_bytes().first() {
                Some(b'+') => Tone::Added,
                Some(b'-') => Tone::Removed,
                Some(b'@') => Tone::Dim,
                _ => Tone::Plain,
            };
            // A text is no name: its backslashes stay what they are.
            let shown = escape(text.as_bytes()).replace("\\\\", "\\");
            line(tone, format!("    {shown}"))
        })),
        Content::Embeddings { a, b, rows_changed } => {
            let rows = rows_changed
                .map(|rows| format!(", {} changed", plural(rows, "row", "rows")))
                .unwrap_or_default();
            let text = format!(
                "    {} × {} → {} × {}{rows}",
                a.count, a.dimensions, b.count, b.dimensions
            );
            lines.push(line(Tone::Changed, text));
        }
        Content::Same | Content::Unsaid => {}
    }
}

fn change(what: &str, change: &Change) -> Line {
    let safe = |text: &Option<String>| {
        text.as_ref()
            .map_or_else(|| "–".to_owned(), |text| escape(text.as_bytes()))
    };
    let field = escape(change.field.as_bytes());
    let (a, b) = (safe(&change.a), safe(&change.b));
    line(Tone::Changed, format!("{what} {field}: {a} → {b}"))
}

/// Header times are microseconds since 1970; people read dates.
pub fn in_words(change: &Change) -> Change {
    let date = |text: &Option<String>| {
        let text = text.as_deref()?;
        Some(
            text.parse()
                .map_or_else(|_| text.to_owned(), stamp::rfc3339_micros),
        )
    };
    if matches!(&*change.field, "created" | "modified") {
        return Change {
            field: change.field.clone(),
            a: date(&change.a),
            b: date(&change.b),
        };
    }
    change.clone()
}

/// How a backup differs from another one, or from the store now; the last line sums up.
pub fn backups(found: &Difference, from: &str, to: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, bytes) in &found.added {
        let text = format!("added    {name}  {}", known(*bytes, "?"));
        lines.push(line(Tone::Added, text));
    }
    for (name, bytes) in &found.removed {
        let text = format!("removed  {name}  {}", known(*bytes, "?"));
        lines.push(line(Tone::Removed, text));
    }
    for (name, old, new) in &found.changed {
        let text = format!("changed  {name}  {} → {}", size(*old), size(*new));
        lines.push(line(Tone::Changed, text));
    }
    for name in &found.unknown {
        let text = format!("unknown  {name}  which bytes are right cannot be said now");
        lines.push(line(Tone::Changed, text));
    }
    let text = format!(
        "from {from} to {to}: {} added, {} removed, {} changed, {} the same; versions: {} added, \
         {} gone",
        count(found.added.len() as u64),
        count(found.removed.len() as u64),
        count(found.changed.len() as u64),
        count(found.same),
        count(found.versions_added),
        count(found.versions_removed),
    );
    lines.push(line(Tone::Head, text));
    lines
}

fn known(bytes: Option<u64>, otherwise: &str) -> String {
    bytes.map_or_else(|| otherwise.to_owned(), size)
}
