//! The seven panes. Each draws its part of the state; a list draws the rows in sight and no others.

mod backups;
mod cluster;
mod jobs;
mod overview;
mod partitions;
mod replicas;
mod versions;

use ratatui::layout::Rect;

use super::{
    app::{App, Focus},
    canvas::Canvas,
    keymap::Pane,
    layout::{self, Parts},
    text,
    theme::Role,
};

pub fn draw(app: &App, canvas: &mut Canvas<'_>, body: Rect) {
    if body.height == 0 || body.width == 0 {
        return;
    }
    let parts = layout::parts(app.pane, body);
    if parts.beside {
        canvas.divider(parts.detail.x.saturating_sub(2), body.y, body.height);
    }
    let survey_needed = !matches!(app.pane, Pane::Backups | Pane::Jobs | Pane::Overview);
    if survey_needed && app.survey().is_none() {
        nothing_yet(app, canvas, body);
        return;
    }
    match app.pane {
        Pane::Overview => overview::draw(app, canvas, &parts),
        Pane::Partitions => partitions::draw(app, canvas, &parts),
        Pane::Replicas => replicas::draw(app, canvas, &parts),
        Pane::Versions => versions::draw(app, canvas, &parts),
        Pane::Backups => backups::draw(app, canvas, &parts),
        Pane::Cluster => cluster::draw(app, canvas, &parts),
        Pane::Jobs => jobs::draw(app, canvas, &parts),
    }
}

/// Before the first survey: what is being waited for, or why it failed.
fn nothing_yet(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    match &app.data.survey_error {
        None => empty(canvas, area, "looking at the store", Role::Dim),
        Some(error) => empty(
            canvas,
            area,
            &format!("the store could not be looked at: {error}"),
            Role::Critical,
        ),
    }
}

/// A sentence where a list would be.
fn empty(canvas: &mut Canvas<'_>, area: Rect, words: &str, role: Role) {
    let width = usize::from(area.width.saturating_sub(4));
    for (y, line) in (area.y.saturating_add(1)..area.bottom()).zip(text::wrap(words, width)) {
        canvas.put(area.x + 2, y, area.width.saturating_sub(4), &line, role);
    }
}

/// The rows in sight of the pane's list, below its heading, each with its screen line.
fn visible(app: &App, parts: &Parts) -> impl Iterator<Item = (usize, Rect)> + use<> {
    let height = usize::from(layout::list_height(parts));
    let window = app.place().list.window(app.list_length(), height);
    let list = parts.list;
    window.enumerate().map(move |(line, at)| {
        let y = list.y + 1 + u16::try_from(line).unwrap_or(0);
        (
            at,
            Rect {
                y,
                height: 1,
                ..list
            },
        )
    })
}

/// The cursor's row: reversed where the keys go, else bold; a marker in the first column.
fn cursor(app: &App, canvas: &mut Canvas<'_>, at: usize, row: Rect) {
    if at != app.place().list.selected {
        return;
    }
    canvas.put(row.x, row.y, 1, canvas.theme.glyphs.marker, Role::Key);
    let role = if app.focus == Focus::List {
        Role::Selected
    } else {
        Role::Resting
    };
    canvas.highlight(
        Rect {
            x: row.x + 1,
            width: row.width.saturating_sub(1),
            ..row
        },
        role,
    );
}

/// Column headings, dim; `columns` are offsets from the left edge.
fn headings(canvas: &mut Canvas<'_>, area: Rect, columns: &[(u16, &str)]) {
    for (at, (x, words)) in columns.iter().enumerate() {
        // Only the first may be cut: half a heading of a figure is none.
        let end = usize::from(*x) + text::width(words);
        if *x < area.width && (at == 0 || end <= usize::from(area.width)) {
            canvas.put(area.x + x, area.y, area.width - x, words, Role::Dim);
        }
    }
}

/// Right-aligned within `width` columns from `x`. Where the screen ends before, nothing: half a figure
/// is another figure.
fn right(canvas: &mut Canvas<'_>, x: u16, y: u16, width: u16, words: &str, role: Role) {
    if x.saturating_add(width) > canvas.right() {
        return;
    }
    canvas.put_right(Rect::new(x, y, width, 1), words, role);
}

/// A label and its value on one line of a detail; long values wrap under themselves. Returns the
/// next free line.
fn field(canvas: &mut Canvas<'_>, area: Rect, y: u16, label: &str, value: &str, role: Role) -> u16 {
    const LABEL: u16 = 13;
    let width = area.width.saturating_sub(LABEL);
    let mut y = y;
    if y < area.bottom() {
        canvas.put(area.x, y, LABEL - 1, label, Role::Dim);
    }
    for line in text::wrap(value, usize::from(width)) {
        if y >= area.bottom() {
            break;
        }
        canvas.put(area.x + LABEL, y, width, &line, role);
        y += 1;
    }
    y
}
