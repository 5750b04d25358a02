//! What runs and what was done: progress, who, how it ended, the log; with `a` single changes too.

use ratatui::layout::Rect;

use super::{cursor, empty, field, headings, right, visible};
use crate::{
    console::{
        app::{App, Focus},
        canvas::Canvas,
        layout::Parts,
        text,
        theme::Role,
        view,
        when::age,
    },
    journal::{JobState, JobView},
    report::{
        count, duration,
        log::{is_single, who},
        number::ratio,
        percent, size,
    },
};

pub fn draw(app: &App, canvas: &mut Canvas<'_>, parts: &Parts) {
    let list = parts.list;
    let columns: &[_] = if app.audit {
        &[(2, "result"), (15, "when"), (33, "who"), (52, "what")]
    } else {
        &[
            (2, "state"),
            (15, "progress"),
            (25, "started"),
            (35, "took"),
            (43, "job"),
        ]
    };
    headings(canvas, list, columns);
    if app.data.jobs.is_empty() {
        empty(canvas, list, "nothing was done yet", Role::Dim);
    }
    for (at, row) in visible(app, parts) {
        if let Some(job) = app.data.jobs.get(at) {
            line(app, canvas, job, row);
            cursor(app, canvas, at, row);
        }
    }
    if let Some(job) = app.selected_job() {
        detail(app, canvas, job, parts.detail);
    }
}

fn line(app: &App, canvas: &mut Canvas<'_>, job: &JobView, row: Rect) {
    let running = app.running(&job.id);
    let paused = running.is_some_and(|r| r.now.paused);
    let word = if paused { "paused" } else { job.state.word() };
    canvas.put(row.x + 2, row.y, 12, word, canvas.theme.job(job.state));
    let title = text::clean(&job.title);
    if app.audit {
        let who = format!("{}@{}", job.actor.user, job.actor.host);
        let who = text::end(&text::clean(&who), 18, canvas.theme.glyphs.ellipsis);
        let when = app.settings.zone.minute(job.started);
        canvas.put(row.x + 15, row.y, 17, &when, Role::Dim);
        canvas.put(row.x + 33, row.y, 18, &who, Role::Text);
        let room = row.width.saturating_sub(52);
        canvas.put(row.x + 52, row.y, room, &title, Role::Text);
        return;
    }
    let share = match running {
        Some(running) => running.share(),
        None if job.state == JobState::Done => Some(1.0),
        None if job.steps_total > 0 => Some(ratio(job.steps_done, job.steps_total)),
        None => None,
    };
    if let Some(share) = share {
        right(canvas, row.x + 15, row.y, 7, &percent(share), Role::Text);
    }
    canvas.put(
        row.x + 25,
        row.y,
        9,
        &age(app.moment.now, job.started),
        Role::Dim,
    );
    if let Some(took) = job
        .ended
        .and_then(|ended| (ended - job.started).to_std().ok())
    {
        canvas.put(row.x + 35, row.y, 7, &duration(took), Role::Dim);
    }
    canvas.put(
        row.x + 43,
        row.y,
        row.width.saturating_sub(43),
        &title,
        Role::Text,
    );
}

fn detail(app: &App, canvas: &mut Canvas<'_>, job: &JobView, area: Rect) {
    if area.height < 2 {
        return;
    }
    let role = if app.focus == Focus::Detail {
        Role::Key
    } else {
        Role::Title
    };
    let single = is_single(job);
    let heading = if single {
        "a single change".to_owned()
    } else {
        format!("job {}", job.id)
    };
    canvas.heading(Rect { height: 1, ..area }, &heading, role);
    let inner = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(3),
        height: area.height - 1,
    };
    let zone = app.settings.zone;
    let mut y = field(
        canvas,
        inner,
        inner.y,
        job.state.word(),
        &text::clean(&job.title),
        Role::Text,
    );
    canvas.put(
        inner.x,
        inner.y,
        12,
        job.state.word(),
        canvas.theme.job(job.state),
    );
    if !single {
        y = progress(app, canvas, job, inner, y);
    }
    let when = match job.ended {
        Some(ended) => format!(
            "{} {} {}",
            zone.full(job.started),
            canvas.theme.glyphs.dash,
            zone.full(ended)
        ),
        None => zone.full(job.started),
    };
    y = field(canvas, inner, y, "when", &when, Role::Dim);
    let plan = job.plan.as_ref().map_or_else(String::new, |plan| {
        format!(", plan {}", plan.chars().take(6).collect::<String>())
    });
    let who = format!("{}{plan}", text::clean(&who(&job.actor)));
    y = field(canvas, inner, y, "who", &who, Role::Dim);
    log(app, canvas, job, inner, y);
}

/// What it did, newest first; of work without a journal, what went wrong.
fn log(app: &App, canvas: &mut Canvas<'_>, job: &JobView, inner: Rect, mut y: u16) {
    let from = app.place().detail.selected;
    let lines = app.shown_log();
    if lines.is_empty() {
        for error in job.errors.iter().skip(from) {
            let error = text::clean(error);
            y = field(canvas, inner, y, "error", &error, Role::Critical);
        }
        return;
    }
    let room = usize::from(inner.bottom().saturating_sub(y));
    for (at, line) in lines.iter().enumerate().skip(from).take(room) {
        let when = line.at.map(|at| app.settings.zone.format(at, "%H:%M:%S"));
        let label = match when {
            Some(when) => when,
            None if at == from => "log".to_owned(),
            None => String::new(),
        };
        let role = if line.failed {
            Role::Critical
        } else {
            Role::Text
        };
        y = field(canvas, inner, y, &label, &text::clean(&line.words), role);
    }
}

/// How far it is, or what it did; returns the next free line.
fn progress(app: &App, canvas: &mut Canvas<'_>, job: &JobView, inner: Rect, mut y: u16) -> u16 {
    if let Some(running) = app.running(&job.id) {
        let now = &running.now;
        if let Some(share) = running.share() {
            canvas.bar(
                inner.x + 13,
                y,
                inner.width.saturating_sub(14).min(40),
                share,
                None,
                Role::Info,
            );
            y += 1;
        }
        let words = view::progress_words(running).join(", ");
        y = field(canvas, inner, y, "progress", &words, Role::Text);
        let counts = format!(
            "{} of {} done, {} verified, {} failed, {} of {}",
            count(now.items_done),
            count(now.items_total),
            count(now.verified),
            count(now.failed),
            size(now.bytes_done),
            size(now.bytes_total)
        );
        field(canvas, inner, y, "counted", &counts, Role::Text)
    } else {
        let steps = format!(
            "{} of {} steps, {} failed, {}",
            count(job.steps_done),
            count(job.steps_total),
            count(job.steps_failed),
            size(job.bytes)
        );
        let role = if job.steps_failed > 0 {
            Role::Warning
        } else {
            Role::Text
        };
        field(canvas, inner, y, "did", &steps, role)
    }
}
