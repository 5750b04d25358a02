//! How the store is spread: a bar a partition against the even share, and the room of each volume.

use ratatui::layout::Rect;

use super::{cursor, empty, headings, right, visible};
use crate::{
    console::{app::App, canvas::Canvas, layout::Parts, text, theme::Role},
    report::{count, percent, size},
    survey::{PartitionView, Survey, VolumeView},
};

pub fn draw(app: &App, canvas: &mut Canvas<'_>, parts: &Parts) {
    let Some(survey) = app.survey() else { return };
    let list = parts.list;
    let bar = list.width.saturating_sub(58).clamp(8, 60);
    headings(
        canvas,
        list,
        &[
            (2, "partition"),
            (14, "share"),
            (21, if bar < 12 { "even" } else { "against even" }),
            (bar + 25, "artifacts"),
            (bar + 40, "bytes"),
            (bar + 46, "misplaced"),
        ],
    );
    if survey.partitions.is_empty() {
        empty(canvas, list, "the layout has no partitions", Role::Warning);
    }
    // The longest bar takes the whole width: skew is seen, not the smallness of shares.
    let most = survey
        .partitions
        .iter()
        .map(|p| p.share.max(p.expected_share))
        .fold(f64::MIN_POSITIVE, f64::max);
    for (at, row) in visible(app, parts) {
        if let Some(partition) = survey.partitions.get(at) {
            line(canvas, partition, row, bar, most);
            // The bar keeps its colours.
            cursor(app, canvas, at, Rect { width: 20, ..row });
            let after = Rect {
                x: row.x + bar + 21,
                width: row.width.saturating_sub(bar + 21),
                ..row
            };
            if at == app.place().list.selected {
                canvas.highlight(after, Role::Selected);
            }
        }
    }
    below(survey, canvas, parts);
    detail(app, survey, canvas, parts.detail);
}

fn line(canvas: &mut Canvas<'_>, partition: &PartitionView, row: Rect, bar: u16, most: f64) {
    let g = canvas.theme.glyphs;
    let name = text::middle(&partition.name, 11, g.ellipsis);
    canvas.put(row.x + 2, row.y, 11, &name, Role::Title);
    right(
        canvas,
        row.x + 13,
        row.y,
        6,
        &percent(partition.share),
        Role::Text,
    );
    let off = partition.share - partition.expected_share;
    let role = if off > partition.expected_share * 0.25 {
        Role::Warning
    } else {
        Role::Good
    };
    canvas.bar(
        row.x + 21,
        row.y,
        bar,
        partition.share / most,
        Some(partition.expected_share / most),
        role,
    );
    let x = row.x + bar + 22;
    right(
        canvas,
        x,
        row.y,
        12,
        &count(partition.artifacts),
        Role::Text,
    );
    right(
        canvas,
        x + 13,
        row.y,
        10,
        &size(partition.bytes),
        Role::Text,
    );
    if partition.misplaced > 0 {
        let words = format!("{} {}", g.misplaced, count(partition.misplaced));
        canvas.put(x + 24, row.y, 10, &words, Role::Info);
    }
    if partition.draining {
        canvas.put(x + 24, row.y, 10, "draining", Role::Warning);
    }
}

/// Skew and placement, under the last partition where there is room.
fn below(survey: &Survey, canvas: &mut Canvas<'_>, parts: &Parts) {
    let y = parts.list.y + 2 + u16::try_from(survey.partitions.len()).unwrap_or(u16::MAX - 9);
    if y >= parts.list.bottom() {
        return;
    }
    let words = format!(
        "skew {:.2} (largest share / even share){}placement {}",
        survey.skew,
        format_args!("  {}  ", canvas.theme.glyphs.separator),
        survey.placement,
    );
    canvas.put(
        parts.list.x + 2,
        y,
        parts.list.width.saturating_sub(2),
        &words,
        Role::Dim,
    );
}

/// Every volume of the selected partition.
fn detail(app: &App, survey: &Survey, canvas: &mut Canvas<'_>, area: Rect) {
    let at = app.place().list.selected;
    let Some(partition) = survey.partitions.get(at).filter(|_| area.height > 1) else {
        return;
    };
    canvas.heading(
        Rect { height: 1, ..area },
        &format!("volumes of {}", partition.name),
        Role::Title,
    );
    let wide = area.width >= 110;
    let header = Rect {
        y: area.y + 1,
        height: 1,
        ..area
    };
    let x = columns(wide);
    headings(
        canvas,
        header,
        &[
            (2, "volume"),
            (12, "state"),
            (24, "full"),
            (x + 4, "free"),
            (x + 10, "current"),
            (x + 18, "versions"),
            (x + 30, "trash"),
            (x + 39, "other"),
        ],
    );
    if wide {
        headings(canvas, header, &[(x + 47, "path")]);
    }
    let volumes = survey
        .volumes
        .iter()
        .filter(|v| usize::from(v.partition) == at);
    let mut y = area.y + 2;
    for volume in volumes {
        if y >= area.bottom() {
            break;
        }
        volume_line(
            canvas,
            volume,
            app.is_full(&volume.label),
            Rect {
                y,
                height: 1,
                ..area
            },
            wide,
        );
        y += 1;
        if let Some(reason) = &volume.reason
            && y < area.bottom()
        {
            // Its beginning says what failed and its end why: the path between them is known.
            let room = area.width.saturating_sub(14);
            let ellipsis = canvas.theme.glyphs.ellipsis;
            let words = text::middle(&text::clean(reason), usize::from(room), ellipsis);
            let role = canvas.theme.volume(volume.state);
            canvas.put(area.x + 12, y, room, &words, role);
            y += 1;
        }
    }
}

/// Where the column of free bytes begins: the bar before it uses the room.
const fn columns(wide: bool) -> u16 {
    if wide { 41 } else { 33 }
}

fn volume_line(canvas: &mut Canvas<'_>, volume: &VolumeView, warned: bool, row: Rect, wide: bool) {
    canvas.put(row.x + 2, row.y, 9, &volume.label, Role::Title);
    let role = canvas.theme.volume(volume.state);
    canvas.put(row.x + 12, row.y, 11, volume.state.word(), role);
    let x = row.x + columns(wide);
    if let Some(space) = volume.space {
        let fill = space.used_share();
        let role = if warned { Role::Warning } else { Role::Good };
        let bar = columns(wide) - 30;
        canvas.bar(row.x + 24, row.y, bar, fill, None, role);
        right(canvas, x - 5, row.y, 4, &percent(fill), role);
        right(canvas, x, row.y, 8, &size(space.free), Role::Text);
    } else {
        canvas.put(row.x + 24, row.y, 14, "not known", Role::Dim);
    }
    if volume.state.is_readable() {
        let sizes = [
            (Some(volume.current_bytes), Role::Text),
            (Some(volume.versions_bytes), Role::Text),
            (Some(volume.trash_bytes), Role::Dim),
            (volume.other_bytes(), Role::Dim),
        ];
        for (at, (bytes, role)) in (1..).zip(sizes) {
            let words = bytes.map(size).unwrap_or_default();
            right(canvas, x + 9 * at, row.y, 8, &words, role);
        }
    }
    if wide {
        let path = text::clean(&volume.path.to_string_lossy());
        let room = row.width.saturating_sub(columns(wide) + 49);
        let path = text::middle(&path, usize::from(room), canvas.theme.glyphs.ellipsis);
        canvas.put(x + 47, row.y, room, &path, Role::Dim);
    }
}
