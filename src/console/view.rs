//! The screen as a pure function of the state.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    actions,
    app::{App, Running},
    canvas::{Canvas, Piece},
    keymap::{Action, Pane},
    layout::{self, Areas},
    lease, panes, text,
    theme::Role,
    when, widgets,
};
use crate::report::{count, duration, percent, size};

/// Draws everything into a buffer of the screen's size.
pub fn draw(app: &App, buffer: &mut Buffer) {
    let mut canvas = Canvas::new(buffer, app.settings.theme);
    let screen = app.screen();
    let areas = layout::areas(screen);
    header(app, &mut canvas, areas.header);
    tabs(app, &mut canvas, areas.tabs);
    rules(&mut canvas, &areas);
    panes::draw(app, &mut canvas, areas.body);
    job_line(app, &mut canvas, areas.job);
    footer(app, &mut canvas, areas.footer);
    widgets::draw(app, &mut canvas, screen);
}

fn rules(canvas: &mut Canvas<'_>, areas: &Areas) {
    for area in [areas.top_rule, areas.bottom_rule] {
        if area.height > 0 {
            canvas.rule(area);
        }
    }
}

fn header(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let g = canvas.theme.glyphs;
    let grid = format!(
        "{}{}{}",
        app.store.partitions,
        if g.dash == "-" { "x" } else { "×" },
        app.store.replicas
    );
    let mut left: Vec<Piece> = vec![
        (" maifdeck ".to_owned(), Role::Title),
        (text::clean(&app.store.name), Role::Text),
        (format!(" {grid}"), Role::Dim),
    ];
    let [critical, warnings, _] = app.data.severities;
    let mut findings = Vec::new();
    if app.survey().is_none() && app.data.survey_error.is_none() {
        findings.push(("looking …".replace('…', g.ellipsis), Role::Dim));
    } else if critical + warnings == 0 {
        findings.push((format!("{} nothing critical", g.ok_deep), Role::Good));
    }
    if critical > 0 {
        findings.push((
            format!("{} {critical} critical", g.critical),
            Role::Critical,
        ));
    }
    if critical > 0 && warnings > 0 {
        findings.push(("  ".to_owned(), Role::Text));
    }
    if warnings > 0 {
        let word = if warnings == 1 { "warning" } else { "warnings" };
        findings.push((format!("{} {warnings} {word}", g.warning), Role::Warning));
    }
    let unknown = (String::new(), Role::Dim);
    let mut lease = app.lease().map_or(unknown.clone(), lease::header);
    // Who leads, where it is not this console, says the same.
    let read_only = match (&app.store.read_only, app.refusal()) {
        (Some(_), _) => Some(("read-only".to_owned(), Role::Warning)),
        (None, Some(_)) => Some(std::mem::replace(&mut lease, unknown)),
        (None, None) => None,
    };
    let fresh = freshness(app);
    // From the right: freshness, lease; then the grid; findings and read-only go last.
    let room = usize::from(area.width);
    let length = |pieces: &[Piece]| pieces.iter().map(|(t, _)| text::width(t)).sum::<usize>();
    let kept = length(&findings) + read_only.as_ref().map_or(0, |(t, _)| text::width(t) + 3);
    while left.len() > 1 && length(&left) + 3 + kept > room {
        left.pop();
    }
    if length(&left) + 3 + kept > room {
        left.clear();
    }
    let mut used = usize::from(canvas.pieces(area.x, area.y, area.width, &left));
    let mut add = |pieces: &[Piece], gap: usize| {
        let gap = if used == 0 { 1 } else { gap };
        if used + gap + length(pieces) > room && used > 0 {
            return;
        }
        let x = area.x + u16::try_from(used + gap).unwrap_or(u16::MAX);
        let columns = area.right().saturating_sub(x);
        used += gap + usize::from(canvas.pieces(x, area.y, columns, pieces));
    };
    add(&findings, 3);
    if let Some(piece) = read_only {
        add(&[piece], 3);
    }
    let reserved = text::width(&fresh.0) + 4;
    if !lease.0.is_empty() && used + 3 + text::width(&lease.0) + reserved <= room {
        let at = used;
        canvas.put(
            area.x + u16::try_from(at + 3).unwrap_or(0),
            area.y,
            area.width,
            &lease.0,
            lease.1,
        );
        used = at + 3 + text::width(&lease.0);
    }
    if used + reserved <= room {
        let right = Rect {
            width: area.width.saturating_sub(1),
            ..area
        };
        canvas.put_right(right, &fresh.0, fresh.1);
    }
}

/// `live`, or the age of what is shown, in steps.
fn freshness(app: &App) -> Piece {
    let Some(at) = app.data.fresh else {
        return match app.data.survey_error {
            Some(_) => ("no answer".to_owned(), Role::Critical),
            None => (String::new(), Role::Dim),
        };
    };
    if app.is_live() {
        return ("live".to_owned(), Role::Good);
    }
    let age = app.moment.elapsed.saturating_sub(at).as_secs();
    let words = match age {
        0..10 => "seconds".to_owned(),
        10..3_600 => when::step(age).to_owned(),
        _ => format!("{} h", age / 3_600),
    };
    if app.is_changing() {
        (
            format!("seen {words} ago, rests while a job runs"),
            Role::Dim,
        )
    } else if app.data.survey_error.is_some() {
        (format!("no answer, seen {words} ago"), Role::Critical)
    } else {
        (format!("seen {words} ago"), Role::Warning)
    }
}

/// The tabs with the columns that they take; names shorten where they must.
fn tab_names(app: &App, width: u16) -> Vec<(Pane, String)> {
    let made = |short: bool, bare: bool| -> Vec<(Pane, String)> {
        Pane::ALL
            .into_iter()
            .enumerate()
            .map(|(at, pane)| {
                let (long, brief) = pane.names();
                let key = app.settings.keymap.key(Action::Go(pane));
                let key = if key.is_empty() {
                    (at + 1).to_string()
                } else {
                    key
                };
                let name = match (short, bare && pane != app.pane) {
                    (_, true) => format!(" {key} "),
                    (true, _) => format!(" {key} {brief} "),
                    (false, _) => format!(" {key} {long} "),
                };
                (pane, name)
            })
            .collect()
    };
    let fits = |tabs: &[(Pane, String)]| {
        tabs.iter()
            .map(|(_, name)| text::width(name))
            .sum::<usize>()
            <= usize::from(width)
    };
    [made(false, false), made(true, false)]
        .into_iter()
        .find(|tabs| fits(tabs))
        .unwrap_or_else(|| made(true, true))
}

fn tabs(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let mut x = area.x;
    for (pane, name) in tab_names(app, area.width) {
        let room = area.right().saturating_sub(x);
        let used = if pane == app.pane {
            let used = canvas.put(x, area.y, room, &name, Role::Title);
            canvas.highlight(Rect::new(x, area.y, used, 1), Role::Selected);
            used
        } else {
            let used = canvas.put(x, area.y, room, &name, Role::Text);
            let key: String = name.trim().chars().take(1).collect();
            canvas.put(
                x + 1,
                area.y,
                used.saturating_sub(1).min(1),
                &key,
                Role::Key,
            );
            used
        };
        x += used;
    }
}

/// The tab under a column.
pub fn tab_at(app: &App, area: Rect, column: u16) -> Option<Pane> {
    let mut x = area.x;
    for (pane, name) in tab_names(app, area.width) {
        x += u16::try_from(text::width(&name)).unwrap_or(0);
        if column < x {
            return Some(pane);
        }
    }
    None
}

/// `▶ repair p2.2  ███████░░░░ 62 %  410 MB/s  1m10s left        2 jobs`
fn job_line(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(running) = app.running.first() else {
        return;
    };
    if area.height == 0 {
        return;
    }
    let g = canvas.theme.glyphs;
    let jobs = match app.running.len() {
        1 => String::new(),
        many => format!("{many} jobs "),
    };
    canvas.put_right(area, &jobs, Role::Dim);
    let room = area
        .width
        .saturating_sub(u16::try_from(text::width(&jobs)).unwrap_or(0) + 1);
    let title = text::middle(
        &text::clean(&running.job.title),
        usize::from(room / 3),
        g.ellipsis,
    );
    let mut x = area.x;
    x += canvas.put(
        x,
        area.y,
        room,
        &format!(" {} {title}  ", g.running),
        Role::Info,
    );
    if let Some(share) = running.share() {
        let width = (room / 5).clamp(4, 30);
        if x + width + 8 < area.x + room {
            canvas.bar(x, area.y, width, share, None, Role::Info);
            x += width + 1;
        }
    }
    let words = progress_words(running).join("  ");
    canvas.put(
        x,
        area.y,
        (area.x + room).saturating_sub(x),
        &words,
        Role::Text,
    );
}

/// Share, state, rate, time left; found, verified and failed are told apart.
pub fn progress_words(running: &Running) -> Vec<String> {
    let now = &running.now;
    let mut words = Vec::new();
    if let Some(share) = running.share() {
        words.push(percent(share));
    } else if now.items_done > 0 {
        words.push(count(now.items_done));
    }
    if now.cancelled {
        words.push("cancelling".to_owned());
    } else if now.paused {
        words.push("paused".to_owned());
    } else {
        if !now.phase.is_empty() {
            words.push(now.phase.to_owned());
        }
        let pace = running.pace();
        if pace.bytes_per_second >= 1.0 {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            words.push(format!("{}/s", size(pace.bytes_per_second as u64)));
        } else if pace.items_per_second > 0.0 {
            words.push(format!("{:.0}/s", pace.items_per_second));
        }
        if let Some(left) = pace.left {
            words.push(format!("{} left", duration(left)));
        }
    }
    if now.failed > 0 {
        words.push(format!("{} failed", count(now.failed)));
    }
    words
}

fn footer(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let g = canvas.theme.glyphs;
    let help = format!("{} help ", app.settings.keymap.key(Action::Help));
    let help_width = u16::try_from(text::width(&help)).unwrap_or(0);
    let answer = app.notice.as_ref().map(|n| (&n.text, n.role));
    let news = || app.events.front().map(|n| (&n.text, n.role));
    if let Some((words, role)) = answer.or_else(news) {
        let room = area.width.saturating_sub(help_width + 2);
        canvas.put(area.x + 1, area.y, room, words, role);
        canvas.put_right(area, &help, Role::Dim);
        return;
    }
    if let Some(problem) = app.rows().and_then(|rows| rows.problem.as_ref()) {
        let room = area.width.saturating_sub(2);
        canvas.put(
            area.x + 1,
            area.y,
            room,
            &text::clean(problem),
            Role::Warning,
        );
        return;
    }
    if app.filtering {
        let hint = " words, state:corrupt partition:p2 size:>1M age:<2d agent:x   enter keeps";
        canvas.put(area.x, area.y, area.width, hint, Role::Dim);
        return;
    }
    let mut x = area.x + 1;
    let limit = area.right().saturating_sub(help_width + 1);
    let marks = app.marks.len();
    if marks > 0 && app.rows().is_some() {
        let words = format!("{} {} marked  ", g.marked, count(marks as u64));
        x += canvas.put(x, area.y, limit.saturating_sub(x), &words, Role::Info);
    }
    for (entry, key) in app.settings.keymap.footer(app.pane) {
        if entry.action == Action::Help || !actions::has_object(app, entry.action) {
            continue;
        }
        let key = if entry.action == Action::Up && key == "up" {
            g.arrows.to_owned()
        } else {
            key
        };
        let width = text::width(&key) + text::width(entry.word) + 3;
        if usize::from(x) + width > usize::from(limit) {
            break;
        }
        let refused = entry.changes && app.refusal_of(entry.action).is_some();
        let key_role = if refused { Role::Dim } else { Role::Key };
        x += canvas.put(x, area.y, limit - x, &key, key_role);
        x += canvas.put(
            x,
            area.y,
            limit - x,
            &format!(" {}  ", entry.word),
            Role::Dim,
        );
    }
    if area.width > help_width {
        canvas.put_right(area, &help, Role::Dim);
        let x = area.right() - help_width;
        let key: String = help.chars().take(1).collect();
        canvas.put(x, area.y, 1, &key, Role::Key);
    }
}
