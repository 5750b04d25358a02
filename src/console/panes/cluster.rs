//! Who may write, and the state of every volume with its reason.

use ratatui::layout::Rect;

use super::{cursor, field, headings, right, visible};
use crate::{
    console::{app::App, canvas::Canvas, layout::Parts, text, theme::Role},
    report::{count, size},
    survey::VolumeView,
};

pub fn draw(app: &App, canvas: &mut Canvas<'_>, parts: &Parts) {
    let Some(survey) = app.survey() else { return };
    let list = parts.list;
    headings(
        canvas,
        list,
        &[
            (2, "volume"),
            (12, "state"),
            (28, "artifacts"),
            (43, "free"),
            (50, "reason, or path"),
        ],
    );
    for (at, row) in visible(app, parts) {
        if let Some(volume) = survey.volumes.get(at) {
            line(canvas, volume, row);
            cursor(app, canvas, at, row);
        }
    }
    detail(
        app,
        canvas,
        parts.detail,
        survey.volumes.get(app.place().list.selected),
    );
}

fn line(canvas: &mut Canvas<'_>, volume: &VolumeView, row: Rect) {
    let role = canvas.theme.volume(volume.state);
    canvas.put(row.x + 2, row.y, 9, &volume.label, Role::Title);
    canvas.put(row.x + 12, row.y, 12, volume.state.word(), role);
    if volume.state.is_readable() {
        right(
            canvas,
            row.x + 24,
            row.y,
            13,
            &count(volume.artifacts),
            Role::Text,
        );
    }
    if let Some(space) = volume.space {
        right(canvas, row.x + 37, row.y, 10, &size(space.free), Role::Text);
    }
    let room = row.width.saturating_sub(51);
    if let Some(reason) = &volume.reason {
        canvas.put(row.x + 50, row.y, room, &text::clean(reason), role);
    } else {
        let path = text::clean(&volume.path.to_string_lossy());
        let path = text::middle(&path, usize::from(room), canvas.theme.glyphs.ellipsis);
        canvas.put(row.x + 50, row.y, room, &path, Role::Dim);
    }
}

fn detail(app: &App, canvas: &mut Canvas<'_>, area: Rect, volume: Option<&VolumeView>) {
    if area.height < 3 {
        return;
    }
    canvas.heading(Rect { height: 1, ..area }, "this node", Role::Title);
    let inner = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(3),
        height: area.height - 1,
    };
    let role_words = match &app.store.read_only {
        Some(why) => format!("{}, changes nothing: {}", app.store.role, text::clean(why)),
        None => app.store.role.clone(),
    };
    let mut y = field(canvas, inner, inner.y, "role", &role_words, Role::Text);
    y = field(
        canvas,
        inner,
        y,
        "lease",
        &text::clean(&app.store.lease),
        Role::Text,
    );
    y = field(
        canvas,
        inner,
        y,
        "config",
        &text::clean(&app.store.config),
        Role::Dim,
    );
    if let Some(volume) = volume {
        let words = format!(
            "{} {}: {}",
            volume.label,
            volume.state.word(),
            text::clean(
                volume
                    .reason
                    .as_deref()
                    .unwrap_or("nothing is wrong with it")
            )
        );
        y = field(
            canvas,
            inner,
            y,
            "volume",
            &words,
            canvas.theme.volume(volume.state),
        );
        let path = text::clean(&volume.path.to_string_lossy());
        field(canvas, inner, y, "path", &path, Role::Dim);
    }
}
