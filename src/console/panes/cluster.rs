//! Who may write and whether the leader lives, what is locked, what this node caches; below that
//! every volume with its state and the reason for it.

use std::collections::BTreeMap;

use chrono::DateTime;
use ratatui::layout::Rect;

use super::{cursor, field, headings, right, visible};
use crate::{
    console::{app::App, canvas::Canvas, layout::Parts, lease, text, theme::Role},
    report::{count, plural, size},
    store::{
        held::{HeldLock, LockOf},
        lease::{LeaseState, LeaseView},
    },
    survey::VolumeView,
};

pub fn draw(app: &App, canvas: &mut Canvas<'_>, parts: &Parts) {
    let Some(survey) = app.survey() else { return };
    node(app, canvas, parts.tiles);
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
    if let Some(volume) = survey.volumes.get(app.place().list.selected) {
        detail(canvas, parts.detail, volume);
    }
}

/// The lease and what is around this node.
fn node(app: &App, canvas: &mut Canvas<'_>, area: Rect) {
    if area.height < 2 {
        return;
    }
    canvas.heading(Rect { height: 1, ..area }, "who writes", Role::Title);
    let inner = inside(area);
    let mut y = inner.y;
    if let Some(lease) = app.lease() {
        y = leader(app, canvas, inner, lease);
    }
    let node = format!("{}, {}", text::clean(&app.store.host), app.store.role);
    let (node, role) = match (&app.store.read_only, app.refusal()) {
        (Some(why), _) => (
            format!("{node}, changes nothing: {}", text::clean(why)),
            Role::Text,
        ),
        (None, Some(_)) => (
            format!("{node}, changes nothing: it does not lead"),
            Role::Text,
        ),
        (None, None) => (node, Role::Text),
    };
    y = one_line(canvas, inner, y, "this node", &node, role);
    y = surroundings(app, canvas, inner, y);
    one_line(
        canvas,
        inner,
        y,
        "config",
        &text::clean(&app.store.config),
        Role::Dim,
    );
}

/// The leader and its counter; returns the next free line.
fn leader(app: &App, canvas: &mut Canvas<'_>, inner: Rect, lease: &LeaseView) -> u16 {
    if !lease.enabled {
        let words = "leases are off: every host may write, locks keep writes apart";
        return one_line(canvas, inner, inner.y, "leader", words, Role::Text);
    }
    let (words, role) = match lease.state {
        LeaseState::Free => ("nobody: the lease is free".to_owned(), Role::Text),
        LeaseState::Unknown => (lease.words(), Role::Warning),
        _ => {
            let here = if lease.mine { ", here" } else { "" };
            let who = lease.holder.as_ref();
            let who = who.map_or_else(String::new, |h| {
                format!(
                    ", pid {} ({}), since {}",
                    h.pid,
                    h.purpose.word(),
                    since(app, &h.since)
                )
            });
            let epoch = lease.epoch.unwrap_or_default();
            let role = if lease.mine { Role::Good } else { Role::Title };
            (format!("{}{here}, epoch {epoch}{who}", lease.host()), role)
        }
    };
    let y = one_line(canvas, inner, inner.y, "leader", &words, role);
    if lease.state == LeaseState::Blocked {
        let pid = lease.holder.as_ref().map_or(0, |holder| holder.pid);
        let words = format!(
            "end pid {pid} on {}: maifdeck lease steal --kill",
            lease.host()
        );
        return one_line(canvas, inner, y, "blocked", &words, Role::Critical);
    }
    let (words, role) = lease::counter(lease, app.settings.zone);
    let (label, words, role) = match &lease.problem {
        _ if !words.is_empty() => ("counter", words, role),
        Some(problem) if lease.state == LeaseState::Free => {
            ("last", text::clean(problem), Role::Warning)
        }
        _ => return y,
    };
    one_line(canvas, inner, y, label, &words, role)
}

/// A holder's time stamp, in the operator's zone.
fn since(app: &App, stamp: &str) -> String {
    DateTime::parse_from_rfc3339(stamp).map_or_else(
        |_| text::clean(stamp),
        |time| app.settings.zone.minute(time.to_utc()),
    )
}

/// Locks and cache; returns the next free line.
fn surroundings(app: &App, canvas: &mut Canvas<'_>, inner: Rect, mut y: u16) -> u16 {
    let found = match &app.data.surroundings {
        None => return one_line(canvas, inner, y, "locks", "being looked at", Role::Dim),
        Some(Err(why)) => {
            return one_line(canvas, inner, y, "locks", &text::clean(why), Role::Warning);
        }
        Some(Ok(found)) => found,
    };
    let locks = grouped(&found.locks);
    // Cache and configuration keep a line each.
    let room = usize::from(inner.bottom().saturating_sub(y + 2)).max(1);
    if locks.is_empty() {
        y = one_line(canvas, inner, y, "locks", "none is held", Role::Dim);
    }
    let shown = if locks.len() > room { room - 1 } else { room };
    for (at, words) in locks.iter().take(shown).enumerate() {
        let label = if at == 0 { "locks" } else { "" };
        y = one_line(canvas, inner, y, label, words, Role::Text);
    }
    if locks.len() > shown {
        let label = if shown == 0 { "locks" } else { "" };
        let more = plural((locks.len() - shown) as u64, "lock", "locks");
        let words = if shown == 0 {
            format!("{more} held; a higher window names them")
        } else {
            format!("and {more} more")
        };
        y = one_line(canvas, inner, y, label, &words, Role::Dim);
    }
    let cache = found.cache.as_ref().map_or_else(
        || "none is configured on this host".to_owned(),
        |cache| {
            format!(
                "{}, {} of {} in {}",
                plural(cache.usage.entries, "artifact", "artifacts"),
                size(cache.usage.bytes),
                size(cache.max_size),
                text::clean(&cache.directory)
            )
        },
    );
    one_line(canvas, inner, y, "cache", &cache, Role::Dim)
}

/// One line a lock, however many volumes it is held on.
fn grouped(locks: &[HeldLock]) -> Vec<String> {
    let mut groups: BTreeMap<(&LockOf, &str, bool), Vec<&str>> = BTreeMap::new();
    for lock in locks {
        let key = (&lock.of, &*lock.holder, lock.certain);
        groups.entry(key).or_default().push(&lock.volume);
    }
    groups
        .into_iter()
        .map(|((of, holder, certain), volumes)| {
            let what = match of {
                LockOf::Lease => "a commit".to_owned(),
                LockOf::Job => "bulk work".to_owned(),
                LockOf::Store => "the store".to_owned(),
                LockOf::Artifact(name) => name.to_string(),
            };
            let doubt = if certain {
                ""
            } else {
                " (as it says; maybe gone)"
            };
            let holder = text::clean(holder);
            format!("{what} on {}: {holder}{doubt}", volumes.join(" "))
        })
        .collect()
}

/// A field that takes one line and no more: the block has so many.
fn one_line(
    canvas: &mut Canvas<'_>,
    area: Rect,
    y: u16,
    label: &str,
    words: &str,
    role: Role,
) -> u16 {
    if y >= area.bottom() {
        return y;
    }
    let room = usize::from(area.width.saturating_sub(13));
    let words = text::end(words, room, canvas.theme.glyphs.ellipsis);
    field(canvas, area, y, label, &words, role)
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

/// The selected volume: the whole reason and the whole path.
fn detail(canvas: &mut Canvas<'_>, area: Rect, volume: &VolumeView) {
    if area.height < 2 {
        return;
    }
    let heading = format!("volume {}", volume.label);
    canvas.heading(Rect { height: 1, ..area }, &heading, Role::Title);
    let inner = inside(area);
    let reason = volume.reason.as_deref();
    let words = format!(
        "{}: {}",
        volume.state.word(),
        text::clean(reason.unwrap_or("nothing is wrong with it"))
    );
    let role = canvas.theme.volume(volume.state);
    let y = field(canvas, inner, inner.y, "state", &words, role);
    let path = text::clean(&volume.path.to_string_lossy());
    field(canvas, inner, y, "path", &path, Role::Dim);
}

/// What is below a block's heading.
fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(3),
        height: area.height - 1,
    }
}
