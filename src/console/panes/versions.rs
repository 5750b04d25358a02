//! Artifacts with a fuzzy filter, and beside them the selected one's history: what was current from
//! when until when, how large, how it changed, where it is.

use ratatui::layout::Rect;

use super::{cursor, empty, field, headings, replicas, right, visible};
use crate::{
    console::{
        app::{App, Focus},
        backend::{EntryId, HistoryEntry},
        canvas::{Canvas, columns},
        layout::{self, Parts},
        table, text,
        theme::Role,
        when::age,
    },
    report::{number::ratio, plural, signed_size, size},
    survey::{ArtifactState, ArtifactView, StateId},
};

pub fn draw(app: &App, canvas: &mut Canvas<'_>, parts: &Parts) {
    let Some(survey) = app.survey() else { return };
    let list = parts.list;
    if !replicas::filter_line(app, canvas, list) {
        let only = &replicas::heading(&app.versions);
        headings(canvas, list, &[(4, only)]);
        right(canvas, list.x, list.y, list.width, "versions ", Role::Dim);
    }
    if app.versions.index.is_empty() {
        empty(canvas, list, replicas::nothing(app), Role::Dim);
    }
    for (at, row) in visible(app, parts) {
        let artifact_row = app.versions.index.get(at).map(|row| *row as usize);
        if let Some((number, artifact)) =
            artifact_row.and_then(|row| survey.artifacts.get(row).map(|a| (row, a)))
        {
            if app.marks.contains(table::number(number)) {
                let glyph = canvas.theme.glyphs.marked;
                canvas.put(row.x + 2, row.y, 1, glyph, Role::Info);
            }
            line(canvas, artifact, survey.history(number).len(), row);
            cursor(app, canvas, at, row);
        }
    }
    if let Some(artifact) = app.selected_artifact() {
        history(app, canvas, artifact, parts);
    }
}

fn line(canvas: &mut Canvas<'_>, artifact: &ArtifactView, versions: usize, row: Rect) {
    let g = canvas.theme.glyphs;
    let words = if artifact.removed {
        format!("removed {versions}")
    } else {
        versions.to_string()
    };
    let words_width = u16::try_from(text::width(&words)).unwrap_or(0);
    let room = row.width.saturating_sub(words_width + 7);
    let name = text::middle(&artifact.name.to_string(), usize::from(room), g.ellipsis);
    let role = if artifact.removed {
        Role::Dim
    } else {
        Role::Text
    };
    canvas.put(row.x + 4, row.y, room, &name, role);
    if artifact.state != ArtifactState::Ok && !artifact.removed {
        let role = canvas.theme.artifact(artifact.state);
        let x = row.right().saturating_sub(words_width + 3);
        canvas.put(x, row.y, 1, g.warning, role);
    }
    right(
        canvas,
        row.x,
        row.y,
        row.width.saturating_sub(1),
        &words,
        Role::Dim,
    );
}

fn history(app: &App, canvas: &mut Canvas<'_>, artifact: &ArtifactView, parts: &Parts) {
    let area = parts.detail;
    if area.height < 2 || area.width < 10 {
        return;
    }
    let g = canvas.theme.glyphs;
    let shown = app.shown_history();
    let title = text::middle(
        &artifact.name.to_string(),
        usize::from(area.width / 2),
        g.ellipsis,
    );
    let role = if app.focus == Focus::Detail {
        Role::Title
    } else {
        Role::Text
    };
    let entries = match shown.map(|history| &history.entries) {
        None => {
            canvas.put(area.x, area.y, area.width, &title, role);
            canvas.put(
                area.x,
                area.y + 1,
                area.width,
                "reading the history",
                Role::Dim,
            );
            return;
        }
        Some(Err(error)) => {
            canvas.put(area.x, area.y, area.width, &title, role);
            empty(canvas, area, &text::clean(error), Role::Critical);
            return;
        }
        Some(Ok(entries)) => entries,
    };
    let used = canvas.put(area.x, area.y, area.width, &title, role);
    let mut x = area.x + used + 2;
    if entries.len() > 1 {
        x += canvas.put(
            x,
            area.y,
            area.right().saturating_sub(x),
            "sizes ",
            Role::Dim,
        );
        sparkline(canvas, x, area.y, area.right().saturating_sub(x), entries);
    }
    let rows = layout::history_height(parts);
    let place = app.place().detail;
    for (line, at) in (0u16..).zip(place.window(entries.len(), usize::from(rows))) {
        let Some(entry) = entries.get(at) else { break };
        let row = Rect::new(area.x, area.y + 1 + line, area.width, 1);
        entry_line(app, canvas, entry, row);
        if at == place.selected {
            canvas.put(row.x, row.y, 1, g.marker, Role::Key);
            let role = if app.focus == Focus::Detail {
                Role::Selected
            } else {
                Role::Resting
            };
            canvas.highlight(
                Rect {
                    x: row.x + 1,
                    width: row.width - 1,
                    ..row
                },
                role,
            );
        }
    }
    let entry_rows = layout::entry_height(parts);
    if let Some(entry) = app.selected_entry().filter(|_| entry_rows > 0) {
        let below = Rect {
            y: area.bottom() - entry_rows,
            height: entry_rows,
            ..area
        };
        entry_detail(app, canvas, entry, below);
    }
}

/// Sizes from the oldest to the newest entry.
fn sparkline(canvas: &mut Canvas<'_>, x: u16, y: u16, room: u16, entries: &[HistoryEntry]) {
    let most = entries.iter().map(|e| e.size).max().unwrap_or(0);
    let spark = canvas.theme.glyphs.spark;
    let line: String = entries
        .iter()
        .take(usize::from(room.min(24)))
        .rev()
        .map(|entry| {
            let step = usize::from(columns(ratio(entry.size, most), 8).max(1)) - 1;
            spark.get(step).copied().unwrap_or(" ")
        })
        .collect();
    canvas.put(x, y, room, &line, Role::Info);
}

/// `current`, or when it was replaced: the id in people's time.
fn entry_line(app: &App, canvas: &mut Canvas<'_>, entry: &HistoryEntry, row: Rect) {
    let zone = app.settings.zone;
    let now = app.moment.now;
    let dash = canvas.theme.glyphs.dash;
    let short = |time| zone.short(now, time);
    let from = entry.current_from.map_or_else(|| "?".to_owned(), short);
    let (until, role) = match (entry.id, entry.current_until) {
        (EntryId::Current, _) => ("current".to_owned(), Role::Good),
        (EntryId::Removed(_), _) => ("removed".to_owned(), Role::Warning),
        (_, Some(until)) => (short(until), Role::Text),
        (_, None) => ("?".to_owned(), Role::Dim),
    };
    let mut x = row.x + 2;
    if row.width >= 40 {
        right(canvas, x, row.y, 12, &from, Role::Dim);
        canvas.put(x + 13, row.y, 1, dash, Role::Dim);
        x += 15;
    }
    canvas.put(x, row.y, 12, &until, role);
    x += 13;
    if matches!(entry.id, EntryId::Removed(_)) {
        return;
    }
    right(canvas, x, row.y, 9, &size(entry.size), Role::Text);
    x += 10;
    let change = entry.change.map(signed_size).unwrap_or_default();
    let change_role = match entry.change {
        Some(0) | None => Role::Dim,
        Some(_) => Role::Text,
    };
    right(
        canvas,
        x,
        row.y,
        row.right().saturating_sub(x).min(10),
        &change,
        change_role,
    );
    x += 12;
    // From here on what there is room for.
    if row.right() < x + 7 {
        return;
    }
    if let Some(from) = entry.current_from {
        right(canvas, x, row.y, 7, &age(now, from), Role::Dim);
    }
    x += 9;
    if row.right() < x + 8 {
        return;
    }
    let digest = entry
        .sha256
        .map(|d| d.to_string().chars().take(8).collect::<String>());
    canvas.put(x, row.y, 9, digest.as_deref().unwrap_or(""), Role::Dim);
    x += 10;
    let origin = origin(entry);
    let room = |x: u16| usize::from(row.right().saturating_sub(x));
    if room(x) >= text::width(&origin) + 11 {
        let blocks = entry
            .blocks
            .map(|n| plural(u64::from(n), "block", "blocks"));
        canvas.put(x, row.y, 10, &blocks.unwrap_or_default(), Role::Dim);
        x += 11;
    }
    if room(x) >= text::width(&origin) {
        canvas.put(x, row.y, row.right() - x, &origin, Role::Dim);
    }
}

/// Where it is, in a few words: `p2.1 +3 backups`, `backup 20260311_020000`.
fn origin(entry: &HistoryEntry) -> String {
    match (&entry.volume, entry.backups.as_slice()) {
        (Some(volume), []) => text::clean(volume),
        (Some(volume), backups) => format!(
            "{} +{}",
            text::clean(volume),
            plural(backups.len() as u64, "backup", "backups")
        ),
        (None, [newest, ..]) => format!("backup {newest}"),
        (None, []) => String::new(),
    }
}

fn entry_detail(app: &App, canvas: &mut Canvas<'_>, entry: &HistoryEntry, area: Rect) {
    let words = match entry.id {
        EntryId::Current => "the current copy".to_owned(),
        EntryId::Earlier(StateId::Version(id)) => format!("version {id}"),
        EntryId::Earlier(StateId::Backup(id)) => format!("in no history, but in backup {id}"),
        EntryId::Removed(id) => format!("removed {id}"),
    };
    canvas.heading(Rect { height: 1, ..area }, &words, Role::Title);
    let inner = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    let mut y = inner.y;
    for (label, value, role) in facts(app, entry) {
        let room = usize::from(inner.width.saturating_sub(14));
        let value = match label {
            "agent" | "sha256" => {
                text::middle(&text::clean(&value), room, canvas.theme.glyphs.ellipsis)
            }
            _ => text::clean(&value),
        };
        y = field(canvas, inner, y, label, &value, role);
    }
}

/// What is known of an entry, the most important first: a small window cuts the end off.
fn facts(app: &App, entry: &HistoryEntry) -> Vec<(&'static str, String, Role)> {
    let zone = app.settings.zone;
    let known = |time: Option<chrono::DateTime<chrono::Utc>>| {
        time.map_or_else(|| "not known".to_owned(), |time| zone.full(time))
    };
    let until = match entry.id {
        EntryId::Removed(_) => return vec![("removed", known(entry.current_from), Role::Text)],
        EntryId::Current => "now".to_owned(),
        EntryId::Earlier(_) => known(entry.current_until),
    };
    let mut facts = vec![
        ("current from", known(entry.current_from), Role::Text),
        ("until", until, Role::Text),
    ];
    let mut content = vec![match entry.change {
        Some(change) => format!("{} ({})", size(entry.size), signed_size(change)),
        None => size(entry.size),
    }];
    if let Some(blocks) = entry.blocks {
        content.push(plural(u64::from(blocks), "block", "blocks"));
    }
    if let Some(other) = &entry.same_as {
        content.push(format!("same bytes as {other}"));
    }
    if entry.also > 0 {
        let more = plural(entry.also as u64, "neighbour", "neighbours");
        content.push(format!("one with {more} of the same bytes"));
    }
    let role = if entry.intact == Some(false) {
        content.push("damaged".to_owned());
        Role::Critical
    } else {
        Role::Text
    };
    facts.push(("content", content.join(", "), role));
    let (held, should) = entry.copies;
    let (held, role) = match &entry.volume {
        Some(volume) if should > 0 => (
            format!("on {held} of {should} volumes ({volume})"),
            if held < should {
                Role::Warning
            } else {
                Role::Text
            },
        ),
        _ => ("on no volume".to_owned(), Role::Warning),
    };
    facts.push(("held", held, role));
    let backups = match entry.backups.as_slice() {
        [] => "in none".to_owned(),
        [one] => one.to_string(),
        [newest, more @ ..] => format!("{newest} and {} more", more.len()),
    };
    facts.push(("backups", backups, Role::Text));
    if !entry.kept_by.is_empty() {
        facts.push(("kept by", entry.kept_by.join(", "), Role::Text));
    }
    if let Some(agent) = &entry.agent {
        facts.push(("agent", agent.clone(), Role::Text));
    }
    if let Some(digest) = entry.sha256 {
        facts.push(("sha256", digest.to_string(), Role::Dim));
    }
    facts.push(("written", zone.full(entry.written), Role::Dim));
    facts
}
