//! Every copy of every artifact: a matrix with a glyph and a colour for each state, problems first,
//! and the detail that says which copy is right and why.

use ratatui::layout::Rect;

use super::{cursor, empty, field, headings, right, visible};
use crate::{
    console::{
        app::App, canvas::Canvas, keymap::Action, layout::Parts, rows::Rows, text, theme::Role,
        when::age, widgets::prompt,
    },
    report::{self, count, size},
    survey::{ArtifactState, ArtifactView, CopyState, CopyView, Survey, VolumeIndex},
};

/// Columns of one copy's cell.
const CELL: u16 = 4;

pub fn draw(app: &App, canvas: &mut Canvas<'_>, parts: &Parts) {
    let Some(survey) = app.survey() else { return };
    let list = parts.list;
    let columns = Columns::of(app, list);
    filter_or_headings(app, canvas, list, &columns);
    if app.replicas.index.is_empty() {
        empty(canvas, list, nothing(app), Role::Dim);
    }
    for (at, row) in visible(app, parts) {
        let number = app.replicas.index.get(at).copied();
        let found = number.and_then(|n| Some((n, survey.artifacts.get(n as usize)?)));
        if let Some((number, artifact)) = found {
            if app.marks.contains(number) {
                let glyph = canvas.theme.glyphs.marked;
                canvas.put(row.x + 2, row.y, 1, glyph, Role::Info);
            }
            line(survey, canvas, artifact, row, &columns);
            cursor(app, canvas, at, row);
        }
    }
    if let Some(artifact) = app.selected_artifact() {
        detail(app, survey, canvas, artifact, parts.detail);
    }
}

pub fn nothing(app: &App) -> &'static str {
    match app.rows() {
        Some(rows) if !rows.filter.is_empty() => "no name fits the filter; esc clears it",
        Some(rows) if rows.problems_only => "no artifact has a problem; o shows all",
        _ => "there are no artifacts",
    }
}

/// What the list shows, over its names.
pub fn heading(rows: &Rows) -> String {
    let mut words = "artifact".to_owned();
    if rows.problems_only {
        words.push_str(", problems only");
    }
    if rows.is_sorted() {
        words.push_str(", by ");
        words.push_str(rows.order.word());
        if rows.reversed {
            words.push_str(" reversed");
        }
    }
    words
}

/// The filter line while it is in use, else the columns' headings.
pub fn filter_line(app: &App, canvas: &mut Canvas<'_>, list: Rect) -> bool {
    let Some(rows) = app.rows() else { return false };
    if !app.filtering && rows.filter.is_empty() {
        return false;
    }
    let words = if rows.needs_agents {
        "reading who signed what".to_owned()
    } else {
        format!("filter, {} fit", count(rows.index.len() as u64))
    };
    let room = u16::try_from(text::width(&words)).unwrap_or(0) + 2;
    let line = Rect {
        x: list.x + 1,
        width: list.width.saturating_sub(room + 1),
        height: 1,
        ..list
    };
    if list.width > room + 10 {
        canvas.put_right(Rect { height: 1, ..list }, &words, Role::Dim);
        prompt::draw_line(canvas, line, &rows.filter, app.filtering);
    } else {
        let whole = Rect { height: 1, ..list };
        prompt::draw_line(canvas, whole, &rows.filter, app.filtering);
    }
    true
}

struct Columns {
    name: u16,
    home: u16,
    cells: u16,
    state: u16,
    size: Option<u16>,
    replicas: u16,
}

impl Columns {
    fn of(app: &App, list: Rect) -> Self {
        let replicas = u16::try_from(app.store.replicas).unwrap_or(1).clamp(1, 9);
        let home = 8;
        let state = 12;
        let cells = replicas * CELL;
        let fixed = 4 + home + cells + state + 1;
        let with_size = list.width >= fixed + 12 + 24;
        let name = list
            .width
            .saturating_sub(fixed + if with_size { 12 } else { 0 })
            // On a wide screen the cells stay where the eye finds them, beside the name.
            .clamp(8, 60);
        let home_at = 4 + name + 1;
        Self {
            name,
            home: home_at,
            cells: home_at + home,
            state: home_at + home + cells,
            size: with_size.then_some(home_at + home + cells + state),
            replicas,
        }
    }
}

fn filter_or_headings(app: &App, canvas: &mut Canvas<'_>, list: Rect, columns: &Columns) {
    if filter_line(app, canvas, list) {
        return;
    }
    let only = &heading(&app.replicas);
    headings(
        canvas,
        list,
        &[(4, only), (columns.home, "home"), (columns.state, "state")],
    );
    for replica in 0..columns.replicas {
        let x = columns.cells + replica * CELL;
        headings(canvas, list, &[(x, &format!("r{}", replica + 1))]);
    }
    if let Some(x) = columns.size {
        right(canvas, list.x + x, list.y, 10, "size", Role::Dim);
    }
}

fn line(
    survey: &Survey,
    canvas: &mut Canvas<'_>,
    artifact: &ArtifactView,
    row: Rect,
    columns: &Columns,
) {
    let g = canvas.theme.glyphs;
    let name = text::middle(
        &artifact.name.to_string(),
        usize::from(columns.name),
        g.ellipsis,
    );
    canvas.put(row.x + 4, row.y, columns.name, &name, Role::Text);
    let home = survey.partitions.get(usize::from(artifact.home));
    let home = text::middle(home.map_or("?", |p| &p.name), 7, g.ellipsis);
    canvas.put(row.x + columns.home, row.y, 7, &home, Role::Dim);
    let reference = artifact.reference.as_ref().map(|r| r.volume);
    let mut misplaced = 0;
    for (at, copy) in (0u16..).zip(&artifact.copies) {
        if at >= columns.replicas {
            misplaced += 1;
            continue;
        }
        let (glyph, role) = canvas.theme.copy(copy.state, copy.checked);
        let x = row.x + columns.cells + at * CELL;
        canvas.put(x, row.y, 1, glyph, role);
        // Where copies differ, the right one is pointed at.
        let differs = artifact.copies.iter().any(|c| c.state != CopyState::Ok);
        if differs && reference == Some(copy.volume) {
            canvas.put(x + 1, row.y, 1, g.reference, Role::Key);
        }
    }
    let role = canvas.theme.artifact(artifact.state);
    let mut state = state_word(artifact).to_owned();
    if misplaced > 0 {
        state = format!("{state} {}{misplaced}", g.misplaced);
    }
    canvas.put(row.x + columns.state, row.y, 12, &state, role);
    if let Some(x) = columns.size {
        let size = artifact.shown_copy().and_then(|c| c.size).map(size);
        right(
            canvas,
            row.x + x,
            row.y,
            10,
            size.as_deref().unwrap_or(""),
            Role::Dim,
        );
    }
}

const fn state_word(artifact: &ArtifactView) -> &'static str {
    if artifact.vanished {
        "vanished"
    } else if artifact.unsupported {
        "unsupported"
    } else {
        artifact.state.word()
    }
}

fn detail(
    app: &App,
    survey: &Survey,
    canvas: &mut Canvas<'_>,
    artifact: &ArtifactView,
    area: Rect,
) {
    if area.height < 2 {
        return;
    }
    let name = text::middle(
        &artifact.name.to_string(),
        usize::from(area.width.saturating_sub(10)),
        canvas.theme.glyphs.ellipsis,
    );
    let role = canvas.theme.artifact(artifact.state);
    canvas.heading(Rect { height: 1, ..area }, &name, Role::Title);
    let inner = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(3),
        height: area.height - 1,
    };
    let reason = report::reason(survey, artifact);
    let mut y = field(
        canvas,
        inner,
        inner.y,
        state_word(artifact),
        &reason,
        Role::Text,
    );
    canvas.put(inner.x, inner.y, 12, state_word(artifact), role);
    if let Some(newest) = artifact
        .newest_intact
        .as_deref()
        .filter(|_| artifact.reference.is_some())
    {
        let words = report::reason::newest_intact(survey, newest);
        y = field(canvas, inner, y, "newest", &words, Role::Text);
    }
    if let Some(words) = remedy(app, survey, artifact) {
        y = field(canvas, inner, y, "remedy", &words, Role::Info);
    }
    let reference = artifact.reference.as_ref().map(|r| r.volume);
    for copy in &artifact.copies {
        if y >= inner.bottom() {
            return;
        }
        copy_line(
            app,
            survey,
            canvas,
            copy,
            reference,
            Rect {
                y,
                height: 1,
                ..inner
            },
        );
        y += 1;
    }
    y += 1;
    if y < inner.bottom() {
        legend(
            canvas,
            Rect {
                y,
                height: inner.bottom() - y,
                ..inner
            },
        );
    }
}

/// The key that mends it, and what that does.
fn remedy(app: &App, survey: &Survey, artifact: &ArtifactView) -> Option<String> {
    let key = |action| app.settings.keymap.key(action);
    let older = artifact.newest_intact.as_deref();
    Some(match artifact.state {
        ArtifactState::Ok | ArtifactState::Unreachable => return None,
        ArtifactState::Divergent => {
            format!(
                "{} compares them; you say which is right",
                key(Action::Prefer)
            )
        }
        ArtifactState::Lost => {
            let newest = report::reason::newest_intact(survey, older?);
            format!("{} brings back {newest}", key(Action::AcceptOlder))
        }
        ArtifactState::Corrupt | ArtifactState::Misplaced => {
            format!("{} repairs it", key(Action::Fix))
        }
        ArtifactState::Degraded => {
            let behind = |c: &CopyView| matches!(c.state, CopyState::Missing | CopyState::Stale);
            let mends = artifact.copies.iter().any(behind);
            return mends.then(|| format!("{} repairs it", key(Action::Fix)));
        }
    })
}

fn copy_line(
    app: &App,
    survey: &Survey,
    canvas: &mut Canvas<'_>,
    copy: &CopyView,
    reference: Option<VolumeIndex>,
    row: Rect,
) {
    let (glyph, role) = canvas.theme.copy(copy.state, copy.checked);
    let pointer = if reference == Some(copy.volume) {
        canvas.theme.glyphs.reference
    } else {
        " "
    };
    canvas.put(row.x, row.y, 8, survey.label(copy.volume), Role::Title);
    canvas.put(row.x + 8, row.y, 1, pointer, Role::Key);
    canvas.put(
        row.x + 11,
        row.y,
        14,
        &format!("{glyph} {}", copy.state.word()),
        role,
    );
    let mut words = Vec::new();
    if let Some(generation) = copy.generation {
        words.push(format!("gen {generation}"));
    }
    if copy.checked_at > 0 {
        let at = chrono::DateTime::from_timestamp(copy.checked_at, 0).unwrap_or_default();
        words.push(format!(
            "{} {}",
            copy.checked.word(),
            age(app.moment.now, at)
        ));
    } else {
        words.push("not looked at".to_owned());
    }
    if let Some(bytes) = copy.size {
        words.push(size(bytes));
    }
    if let Some(check) = &copy.prints.check {
        words.push(check.to_string().chars().take(8).collect());
    }
    let room = row.width.saturating_sub(26);
    // What has no room is left out whole: half a digest says nothing.
    let mut line = String::new();
    for word in words {
        if text::width(&line) + text::width(&word) + 2 <= usize::from(room) + 2 {
            line.push_str(&word);
            line.push_str("  ");
        }
    }
    canvas.put(row.x + 26, row.y, room, line.trim_end(), Role::Dim);
}

fn legend(canvas: &mut Canvas<'_>, area: Rect) {
    use crate::volume::Level;
    let theme = canvas.theme;
    let entries = [
        (theme.copy(CopyState::Ok, Level::Deep), "deep"),
        (theme.copy(CopyState::Ok, Level::Quick), "quick"),
        (theme.copy(CopyState::Ok, Level::Presence), "listed"),
        (theme.copy(CopyState::Missing, Level::None), "missing"),
        (theme.copy(CopyState::Stale, Level::None), "stale"),
        (theme.copy(CopyState::Corrupt, Level::None), "corrupt"),
        (theme.copy(CopyState::Divergent, Level::None), "divergent"),
        (theme.copy(CopyState::Misplaced, Level::None), "misplaced"),
        (
            theme.copy(CopyState::Unreachable, Level::None),
            "unreachable",
        ),
    ];
    let (mut x, mut y) = (area.x, area.y);
    for ((glyph, role), word) in entries {
        let width = u16::try_from(word.len()).unwrap_or(0) + 4;
        if x + width > area.right() {
            (x, y) = (area.x, y + 1);
        }
        if y >= area.bottom() {
            return;
        }
        canvas.put(x, y, 1, glyph, role);
        canvas.put(x + 2, y, width, word, Role::Dim);
        x += width;
    }
}
