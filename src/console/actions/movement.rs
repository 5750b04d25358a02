//! Moving: between panes, in lists, into details and out again.

use super::{Done, findings, listing, show};
use crate::console::{
    app::{App, Focus},
    keymap::Pane,
    layout, update,
};

/// Goes to a pane.
pub fn go(app: &mut App, pane: Pane) {
    if app.pane != pane {
        app.pane = pane;
        app.focus = Focus::List;
        app.filtering = false;
    }
}

pub(super) fn go_by(app: &mut App, by: usize) {
    let at = (app.pane.index() + by) % Pane::ALL.len();
    if let Some(pane) = Pane::ALL.get(at) {
        go(app, *pane);
    }
}

/// Whether the pane's detail takes keys of its own.
pub const fn has_detail(app: &App) -> bool {
    matches!(app.pane, Pane::Versions | Pane::Jobs)
}

pub(super) fn page(app: &App) -> isize {
    let parts = layout::parts(app.pane, layout::areas(app.screen()).body);
    let rows = match app.focus {
        Focus::List => layout::list_height(&parts),
        Focus::Detail => layout::history_height(&parts),
    };
    isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
}

pub(super) fn step(app: &mut App, by: isize) {
    if app.focus == Focus::Detail {
        let length = match app.pane {
            Pane::Versions => app
                .shown_history()
                .and_then(|h| h.entries.as_ref().ok())
                .map_or(0, Vec::len),
            _ => app.shown_log().len(),
        };
        app.place_mut().detail.step(by, length);
    } else {
        let length = app.list_length();
        app.place_mut().list.step(by, length);
    }
    app.place_mut().anchor = None;
}

pub(super) fn open(app: &mut App) -> Done {
    match (app.pane, app.focus) {
        (Pane::Overview, _) => {
            findings::follow(app);
            Ok(Vec::new())
        }
        (Pane::Partitions, _) => {
            go(app, Pane::Replicas);
            Ok(Vec::new())
        }
        (Pane::Versions | Pane::Jobs, Focus::List) => {
            app.focus = Focus::Detail;
            Ok(Vec::new())
        }
        (Pane::Replicas, _) | (Pane::Versions, Focus::Detail) => show::inspect(app),
        (Pane::Backups, _) => show::browse(app),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn back(app: &mut App) {
    if app.focus == Focus::Detail {
        app.focus = Focus::List;
    } else if app.rows().is_some_and(|rows| !rows.filter.is_empty()) {
        update::set_filter(app, String::new());
    } else if app.rows().is_some_and(|rows| rows.problems_only) {
        listing::problems_only(app);
    } else {
        go(app, Pane::Overview);
    }
}
