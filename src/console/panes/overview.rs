//! What needs the operator, worst first, each with the key that leads to its remedy; then the
//! other panes' essence in tiles.

use ratatui::layout::Rect;

use super::{cursor, empty, visible};
use crate::{
    backup::BackupState,
    console::{
        actions,
        app::App,
        canvas::{Canvas, Piece},
        keymap::{self, Action},
        layout::Parts,
        text,
        theme::Role,
        when::ago,
    },
    report::{count, number::ratio, percent, plural, size},
    survey::{ArtifactState, Finding, FindingKind},
    volume::Level,
};

/// Columns of a finding's line.
const WIDEST: u16 = 140;

pub fn draw(app: &App, canvas: &mut Canvas<'_>, parts: &Parts) {
    let [critical, warnings, infos] = app.data.severities;
    let mut heading = match critical + warnings + infos {
        0 => "findings".to_owned(),
        all => plural(all as u64, "finding", "findings"),
    };
    let hidden = (app.data.findings.len()).saturating_sub(visible(app, parts).count());
    if hidden > 0 {
        heading = format!("{heading}, {} not in sight", count(hidden as u64));
    }
    let used = canvas.put(
        parts.list.x + 1,
        parts.list.y,
        parts.list.width,
        &heading,
        Role::Title,
    );
    let depth = Rect {
        x: parts.list.x + used + 3,
        width: parts.list.width.min(WIDEST).saturating_sub(used + 4),
        height: 1,
        ..parts.list
    };
    read(app, canvas, depth);
    if app.data.findings.is_empty() {
        let g = canvas.theme.glyphs;
        match app.survey() {
            None => empty(canvas, parts.list, "looking at the store", Role::Dim),
            Some(_) if app.data.table.removed == app.data.table.len() => empty(
                canvas,
                parts.list,
                "The store is empty and nothing is wrong. maifdeck put NAME --file F makes the first artifact.",
                Role::Text,
            ),
            Some(survey) => {
                let words = format!("{} nothing needs you", g.ok_deep);
                empty(canvas, parts.list, &words, Role::Good);
                let below = Rect {
                    y: parts.list.y + 1,
                    height: parts.list.height.saturating_sub(1),
                    ..parts.list
                };
                empty(canvas, below, looked(survey.level), Role::Dim);
            }
        }
    }
    for (at, row) in visible(app, parts) {
        // On a wide screen the remedy stays where the eye finds it, near the words.
        let row = Rect {
            width: row.width.min(WIDEST),
            ..row
        };
        if let Some(finding) = app.data.findings.get(at) {
            line(app, canvas, finding, row);
            cursor(app, canvas, at, row);
        }
    }
    detail(app, canvas, parts.detail);
    tiles(app, canvas, parts.tiles);
}

/// How much of the store nobody has read to the last byte, and when a scrub last did: "ok" means at a
/// level.
fn read(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let table = &app.data.table;
    let Some(survey) = app.survey().filter(|_| table.copies_all > 0) else {
        return;
    };
    let (depth, role) = match table.copies_all.saturating_sub(table.copies_read) {
        0 => ("every copy was read".to_owned(), Role::Dim),
        unread => (
            format!("{} never read", plural(unread, "copy", "copies")),
            Role::Text,
        ),
    };
    let scrub = survey.scrub.finished_at.map_or_else(
        || "no scrub ended here".to_owned(),
        |at| format!("scrubbed {}", ago(app.moment.now, at)),
    );
    let words = format!("{depth}, {scrub}");
    // Half of it would say something else.
    if text::width(&words) <= usize::from(area.width) {
        canvas.put_right(area, &words, role);
    }
}

/// What "nothing wrong" rests on.
const fn looked(level: Level) -> &'static str {
    match level {
        Level::None => "nothing was looked at yet",
        Level::Presence => "as far as directory listings tell; v verifies every byte",
        Level::Quick => "as far as headers, footers and records tell; v verifies every byte",
        Level::Deep => "every byte was verified",
    }
}

/// The key of a finding's remedy, dim while it is refused, and its word.
fn key_words(app: &App, finding: &Finding) -> (String, Role, &'static str) {
    let action = actions::remedy(app, finding);
    let entry = keymap::find(action);
    let word = match action {
        Action::Open => actions::finding_pane(finding.kind).names().0,
        _ => entry.map_or("", |entry| entry.word),
    };
    let refused = entry.is_some_and(|entry| actions::refusal(app, entry).is_some());
    let role = if refused { Role::Dim } else { Role::Key };
    (app.settings.keymap.key(action), role, word)
}

fn line(app: &App, canvas: &mut Canvas<'_>, finding: &Finding, row: Rect) {
    let (glyph, role) = canvas.theme.severity(finding.severity);
    let (key, key_role, word) = key_words(app, finding);
    let remedy = format!("{key} {word} ");
    let remedy_width = u16::try_from(text::width(&remedy)).unwrap_or(0);
    let used = canvas.put(row.x + 2, row.y, 1, glyph, role) + 1;
    let mut x = row.x + 2 + used;
    let room = row.width.saturating_sub(remedy_width + 6 + used);
    let subject = text::clean(&finding.subject);
    let message = text::clean(&finding.message);
    let mut left = room;
    // A job's id says nothing at a glance; the detail has it.
    if finding.kind != FindingKind::JobInterrupted && !message.contains(&subject) {
        let cut = text::middle(
            &subject,
            usize::from(room / 3),
            canvas.theme.glyphs.ellipsis,
        );
        let used = canvas.put(x, row.y, left, &format!("{cut}  "), Role::Title);
        x += used;
        left -= used;
    }
    canvas.put(x, row.y, left, &message, Role::Text);
    let x = row.right().saturating_sub(remedy_width);
    let used = canvas.put(x, row.y, remedy_width, &key, key_role);
    canvas.put(
        x + used,
        row.y,
        remedy_width.saturating_sub(used),
        &format!(" {word}"),
        Role::Dim,
    );
}

/// The selected finding in full.
fn detail(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(finding) = app.selected_finding() else {
        return;
    };
    if area.height < 2 {
        return;
    }
    let (_, role) = canvas.theme.severity(finding.severity);
    let subject = text::middle(
        &text::clean(&finding.subject),
        40,
        canvas.theme.glyphs.ellipsis,
    );
    let heading = format!(
        "{} {} {subject}",
        finding.severity.word(),
        canvas.theme.glyphs.dash
    );
    canvas.heading(Rect { height: 1, ..area }, &heading, role);
    let width = usize::from(area.width.saturating_sub(4));
    let message = text::wrap(&text::clean(&finding.message), width);
    let remedy = text::wrap(
        &format!(
            "{} {}",
            canvas.theme.glyphs.to,
            text::clean(&finding.remedy)
        ),
        width,
    );
    // The remedy keeps at least one line.
    let room = usize::from(area.height - 1);
    let message_rows = message
        .len()
        .min(room.saturating_sub(remedy.len().min(room / 2).max(1)));
    let lines = message
        .into_iter()
        .take(message_rows)
        .map(|line| (line, Role::Text))
        .chain(remedy.into_iter().map(|line| (line, Role::Info)));
    for (y, (line, role)) in (area.y + 1..area.bottom()).zip(lines) {
        canvas.put(area.x + 2, y, area.width.saturating_sub(4), &line, role);
    }
}

fn tiles(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    if area.height < 4 {
        return;
    }
    let across: u16 = if area.width >= 120 { 4 } else { 2 };
    let height = if across == 4 {
        area.height
    } else {
        area.height / 2
    };
    let rows = usize::from(height.saturating_sub(1));
    let tiles = [
        ("2 Partitions", partitions(app, canvas)),
        ("3 Replicas", replicas(app, canvas, rows)),
        ("4 Versions", versions(app)),
        ("5 Backups", backups(app, canvas)),
    ];
    let width = area.width / across;
    for (at, (name, lines)) in (0u16..).zip(&tiles) {
        let tile = Rect::new(
            area.x + (at % across) * width,
            area.y + (at / across) * height,
            width.saturating_sub(1),
            height,
        );
        canvas.heading(Rect { height: 1, ..tile }, name, Role::Title);
        for (y, line) in (tile.y + 1..tile.bottom()).zip(lines) {
            canvas.pieces(tile.x + 2, y, tile.width.saturating_sub(3), line);
        }
    }
}

type Lines = Vec<Vec<Piece>>;

fn one(words: String, role: Role) -> Vec<Piece> {
    vec![(words, role)]
}

fn partitions(app: &App, canvas: &Canvas<'_>) -> Lines {
    let Some(survey) = app.survey() else {
        return vec![one("not seen yet".to_owned(), Role::Dim)];
    };
    // What cannot be seen is not empty.
    if !survey.volumes.iter().any(|v| v.state.is_readable()) {
        return vec![one("no volume can be read".to_owned(), Role::Critical)];
    }
    let artifacts: u64 = survey.partitions.iter().map(|p| p.artifacts).sum();
    let bytes: u64 = survey.partitions.iter().map(|p| p.bytes).sum();
    let misplaced: u64 = survey.partitions.iter().map(|p| p.misplaced).sum();
    let fullest = survey
        .volumes
        .iter()
        .filter_map(|v| {
            v.space
                .map(|s| (v, ratio(s.total.saturating_sub(s.free), s.total)))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let mut lines = vec![one(
        format!(
            "{}, {}",
            plural(artifacts, "artifact", "artifacts"),
            size(bytes)
        ),
        Role::Text,
    )];
    let mut second = Vec::new();
    if artifacts > 0 {
        second.push((format!("skew {:.2}", survey.skew), Role::Text));
    }
    if misplaced > 0 {
        let glyph = canvas.theme.glyphs.misplaced;
        second.push((
            format!("   {glyph} {} misplaced", count(misplaced)),
            Role::Info,
        ));
    }
    if !second.is_empty() {
        lines.push(second);
    }
    if let Some((volume, fill)) = fullest {
        let role = if fill >= 0.85 {
            Role::Warning
        } else {
            Role::Dim
        };
        lines.push(one(
            format!("fullest {} {}", volume.label, percent(fill)),
            role,
        ));
    }
    lines
}

fn replicas(app: &App, canvas: &Canvas<'_>, rows: usize) -> Lines {
    let Some(survey) = app.survey() else {
        return vec![one("not seen yet".to_owned(), Role::Dim)];
    };
    let mut pieces = Vec::new();
    for (state, number) in &app.data.table.summary {
        if *number > 0 {
            let glyph = if *state == ArtifactState::Ok {
                canvas.theme.glyphs.ok_deep
            } else {
                canvas.theme.glyphs.warning
            };
            let words = format!("{glyph} {} {}", count(*number), state.word());
            pieces.push((words, canvas.theme.artifact(*state)));
        }
    }
    if pieces.is_empty() {
        pieces.push(("no artifacts".to_owned(), Role::Dim));
    }
    let away: Vec<_> = survey
        .volumes
        .iter()
        .filter(|v| !v.state.is_readable())
        .map(|v| &*v.label)
        .collect();
    // A state a line where there is room, else two.
    let room = rows.saturating_sub(usize::from(!away.is_empty()));
    let per_line = if pieces.len() <= room { 1 } else { 2 };
    let apart = |line: &[Piece]| -> Vec<Piece> {
        let air = || ("   ".to_owned(), Role::Text);
        let pieces = line.iter().cloned();
        pieces.flat_map(|piece| [piece, air()]).collect()
    };
    let mut lines: Lines = pieces.chunks(per_line).map(apart).collect();
    if !away.is_empty() {
        let words = if away.len() > 3 {
            format!(
                "{} of {} volumes unreadable",
                away.len(),
                survey.volumes.len()
            )
        } else {
            format!("not readable: {}", away.join(" "))
        };
        lines.insert(0, one(words, Role::Critical));
    }
    lines
}

fn versions(app: &App) -> Lines {
    let Some(survey) = app.survey() else {
        return vec![one("not seen yet".to_owned(), Role::Dim)];
    };
    let table = &app.data.table;
    let mut lines = vec![one(
        format!(
            "{}, {}",
            plural(survey.versions.len() as u64, "version", "versions"),
            size(table.versions_bytes)
        ),
        Role::Text,
    )];
    if let Some(newest) = table.newest_version {
        lines.push(one(
            format!("last change {}", ago(app.moment.now, newest.time())),
            Role::Dim,
        ));
    }
    lines
}

fn backups(app: &App, canvas: &Canvas<'_>) -> Lines {
    if app.store.backups.is_none() {
        return vec![one("no directory configured".to_owned(), Role::Warning)];
    }
    match &app.data.backups {
        None => vec![one("not seen yet".to_owned(), Role::Dim)],
        Some(Err(error)) => vec![one(text::clean(error), Role::Critical)],
        Some(Ok(backups)) => {
            let good = backups.iter().find(|b| b.state == BackupState::Complete);
            let Some(good) = good else {
                let all = format!("{} in all", count(backups.len() as u64));
                return match backups.len() {
                    0 => vec![one("no backup yet".to_owned(), Role::Warning)],
                    _ => vec![
                        one("no complete backup".to_owned(), Role::Critical),
                        one(all, Role::Dim),
                    ],
                };
            };
            let (verified, role) = match good.verified {
                Some(v) => {
                    let word = if v.level == Level::Deep {
                        "verified"
                    } else {
                        v.level.word()
                    };
                    let words = format!("{word} {} %, {}", v.percent, ago(app.moment.now, v.at));
                    (words, if v.ok { Role::Text } else { Role::Critical })
                }
                None => ("not verified yet".to_owned(), Role::Warning),
            };
            let complete = format!(
                "{} complete {}",
                canvas.theme.glyphs.ok_deep,
                ago(app.moment.now, good.at)
            );
            vec![
                one(complete, Role::Good),
                one(verified, role),
                one(format!("{} in all", count(backups.len() as u64)), Role::Dim),
            ]
        }
    }
}
