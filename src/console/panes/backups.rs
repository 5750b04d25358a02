//! Backups, newest first: how old, how whole, verified when and how far, what keeps them.

use ratatui::layout::Rect;

use super::{cursor, empty, field, headings, right, visible};
use crate::{
    backup::{BackupState, BackupView},
    console::{
        app::App,
        canvas::Canvas,
        layout::Parts,
        text,
        theme::Role,
        when::{age, ago},
    },
    report::{count, size},
    survey::FindingKind,
    volume::Level,
};

pub fn draw(app: &App, canvas: &mut Canvas<'_>, parts: &Parts) {
    let list = parts.list;
    let wide = list.width >= 100;
    headings(
        canvas,
        list,
        &[
            (2, "backup"),
            (19, "age"),
            (28, "state"),
            (44, "bytes"),
            (56, "new"),
            (61, "verified"),
        ],
    );
    if wide {
        right(canvas, list.x + 78, list.y, 10, "artifacts", Role::Dim);
        headings(canvas, list, &[(90, "kept by")]);
    }
    match &app.data.backups {
        _ if app.store.backups.is_none() => empty(
            canvas,
            list,
            "No directory for backups is configured: set [backup] directory.",
            Role::Warning,
        ),
        None => empty(canvas, list, "looking at the backups", Role::Dim),
        Some(Err(error)) => empty(canvas, list, &text::clean(error), Role::Critical),
        Some(Ok(backups)) if backups.is_empty() => {
            empty(
                canvas,
                list,
                "There is no backup yet: b creates one.",
                Role::Warning,
            );
        }
        Some(Ok(_)) => {}
    }
    for (at, row) in visible(app, parts) {
        if let Some(backup) = app.backups().get(at) {
            line(app, canvas, backup, row, wide);
            cursor(app, canvas, at, row);
        }
    }
    if let Some(backup) = app.selected_backup() {
        detail(app, canvas, backup, parts.detail);
    }
    strip(app, canvas, parts.tiles);
}

/// The worst that was found about backups: that the last good one is too old, above all.
fn warn(app: &App, canvas: &mut Canvas<'_>, line: Rect) {
    use FindingKind as K;
    let order = [
        K::BackupNone,
        K::BackupOld,
        K::BackupDamaged,
        K::BackupShrunk,
        K::BackupUnverified,
    ];
    let findings = &app.data.findings;
    let worst = order
        .into_iter()
        .find_map(|kind| findings.iter().find(|finding| finding.kind == kind));
    if let Some(finding) = worst {
        let (glyph, role) = canvas.theme.severity(finding.severity);
        let words = format!("{glyph} {}", text::clean(&finding.message));
        let room = line.width.saturating_sub(3);
        let words = text::end(&words, usize::from(room), canvas.theme.glyphs.ellipsis);
        canvas.put(line.x + 2, line.y, room, &words, role);
    }
}

/// A cell for each of the last thirty days, today last: the best backup of that day, so that a night
/// without one is a gap that is seen.
fn strip(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    const DAYS: i64 = 30;
    if area.height < 2 || app.backups().is_empty() {
        return;
    }
    let zone = app.settings.zone;
    let g = canvas.theme.glyphs;
    let now = app.moment.now;
    let made: Vec<_> = app
        .backups()
        .iter()
        .map(|backup| (zone.format(backup.at, "%F"), backup))
        .collect();
    warn(app, canvas, Rect { height: 1, ..area });
    let y = area.y + 1;
    let mut x = area.x + 2;
    x += canvas.put(x, y, area.width, "last 30 days ", Role::Dim);
    for ago in (0..DAYS).rev() {
        let day = zone.format(now - chrono::Duration::days(ago), "%F");
        let best = made
            .iter()
            .filter(|(on, _)| *on == day)
            .map(|(_, backup)| worth(backup))
            .max();
        let (glyph, role) = match best {
            Some(Worth::Verified) => (g.ok_deep, Role::Good),
            Some(Worth::Complete) => (g.ok_listed, Role::Good),
            Some(Worth::Part) => (g.warning, Role::Warning),
            Some(Worth::Damaged) => (g.corrupt, Role::Critical),
            None => (g.separator, Role::Dim),
        };
        x += canvas.put(x, y, area.right().saturating_sub(x), glyph, role);
    }
    for (glyph, role, word) in [
        (g.ok_deep, Role::Good, "verified"),
        (g.ok_listed, Role::Good, "complete"),
        (g.warning, Role::Warning, "part"),
        (g.corrupt, Role::Critical, "damaged"),
    ] {
        let room = area.right().saturating_sub(x + 2);
        if usize::from(room) < word.len() + 2 {
            break;
        }
        x += 2 + canvas.put(x + 2, y, room, glyph, role);
        x += canvas.put(x, y, room, &format!(" {word}"), Role::Dim);
    }
}

/// What a backup is good for, least first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Damaged,
    Part,
    Complete,
    Verified,
}

fn worth(backup: &BackupView) -> Worth {
    match backup.state {
        BackupState::Complete => match backup.verified {
            Some(verified) if !verified.ok => Worth::Damaged,
            // A part is never called the whole.
            Some(v) if v.level == Level::Deep && v.percent >= 100 => Worth::Verified,
            Some(_) | None => Worth::Complete,
        },
        BackupState::Damaged => Worth::Damaged,
        BackupState::Unsealed
        | BackupState::Partial
        | BackupState::Running
        | BackupState::Interrupted => Worth::Part,
    }
}

fn line(app: &App, canvas: &mut Canvas<'_>, backup: &BackupView, row: Rect, wide: bool) {
    let now = app.moment.now;
    canvas.put(row.x + 2, row.y, 16, &backup.id.to_string(), Role::Title);
    canvas.put(row.x + 19, row.y, 8, &age(now, backup.at), Role::Text);
    canvas.put(
        row.x + 28,
        row.y,
        12,
        backup.state.word(),
        canvas.theme.backup(backup.state),
    );
    right(
        canvas,
        row.x + 39,
        row.y,
        10,
        &size(backup.bytes),
        Role::Text,
    );
    right(
        canvas,
        row.x + 49,
        row.y,
        10,
        &size(backup.new_bytes),
        Role::Dim,
    );
    let (words, role) = verified(app, backup);
    let room = if wide {
        16
    } else {
        row.width.saturating_sub(61)
    };
    // `deep 1…` would tell another share.
    if text::width(&words) <= usize::from(room) {
        canvas.put(row.x + 61, row.y, room, &words, role);
    }
    if wide {
        right(
            canvas,
            row.x + 78,
            row.y,
            10,
            &count(backup.artifacts),
            Role::Text,
        );
        let kept = kept_by(backup);
        canvas.put(
            row.x + 90,
            row.y,
            row.width.saturating_sub(90),
            &kept,
            Role::Dim,
        );
    }
}

/// `deep 100 % 2 d`: a part is never called the whole.
fn verified(app: &App, backup: &BackupView) -> (String, Role) {
    match backup.verified {
        None => ("never".to_owned(), Role::Warning),
        Some(v) if !v.ok => (
            format!("failed {}", age(app.moment.now, v.at)),
            Role::Critical,
        ),
        Some(v) => (
            format!(
                "{} {} % {}",
                v.level.word(),
                v.percent,
                age(app.moment.now, v.at)
            ),
            Role::Good,
        ),
    }
}

fn kept_by(backup: &BackupView) -> String {
    let mut reasons: Vec<_> = backup
        .kept_by
        .iter()
        .map(|rule| text::clean(rule))
        .collect();
    if backup.pinned {
        reasons.insert(0, "pinned".to_owned());
    }
    reasons.join(", ")
}

fn detail(app: &App, canvas: &mut Canvas<'_>, backup: &BackupView, area: Rect) {
    if area.height < 2 {
        return;
    }
    let zone = app.settings.zone;
    canvas.heading(
        Rect { height: 1, ..area },
        &format!("backup {}", backup.id),
        Role::Title,
    );
    let inner = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(3),
        height: area.height - 1,
    };
    let mut state = match &backup.reason {
        Some(reason) => format!("{}: {}", backup.state.word(), text::clean(reason)),
        None => backup.state.word().to_owned(),
    };
    if let Some(v) = backup.verified.filter(|v| v.ok && v.level == Level::Deep) {
        let (dot, ago) = (canvas.theme.glyphs.separator, ago(app.moment.now, v.at));
        state = format!("{state} {dot} verified {} % {ago}", v.percent);
    }
    let role = canvas.theme.backup(backup.state);
    let mut y = field(canvas, inner, inner.y, "state", &state, role);
    y = field(canvas, inner, y, "made", &zone.full(backup.at), Role::Text);
    let holds = format!(
        "{} artifacts, {} versions, {} ({} of it new)",
        count(backup.artifacts),
        count(backup.versions),
        size(backup.bytes),
        size(backup.new_bytes)
    );
    y = field(canvas, inner, y, "holds", &holds, Role::Text);
    let verified = match backup.verified {
        None => "never; v verifies every byte, V quickly".to_owned(),
        Some(v) => format!(
            "{}, {} % at level {}, {} ({})",
            if v.ok { "all good" } else { "damage found" },
            v.percent,
            v.level.word(),
            ago(app.moment.now, v.at),
            zone.minute(v.at)
        ),
    };
    let role = match backup.verified {
        Some(v) if !v.ok => Role::Critical,
        Some(_) => Role::Good,
        None => Role::Warning,
    };
    y = field(canvas, inner, y, "verified", &verified, role);
    for file in damage(app, backup) {
        y = field(
            canvas,
            inner,
            y,
            "damaged",
            &text::clean(file),
            Role::Critical,
        );
    }
    let kept = kept_by(backup);
    if !kept.is_empty() {
        y = field(canvas, inner, y, "kept by", &kept, Role::Text);
    }
    let path = text::clean(&backup.path.to_string_lossy());
    let path = text::middle(
        &path,
        usize::from(inner.width.saturating_sub(14)),
        canvas.theme.glyphs.ellipsis,
    );
    field(canvas, inner, y, "path", &path, Role::Dim);
}

/// What the last verification of a damaged backup named, as long as that is remembered.
fn damage<'a>(app: &'a App, backup: &BackupView) -> &'a [String] {
    if backup.state != BackupState::Damaged {
        return &[];
    }
    let id = backup.id.to_string();
    let mut jobs = app.data.jobs.iter();
    jobs.find(|job| job.intent == "backup-verify" && job.title.ends_with(&id))
        .map_or(&[], |job| &job.errors)
}
