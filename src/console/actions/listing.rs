//! Which artifacts are listed and in which order: problems only, sorting, and making room for one that
//! is looked for.

use crate::{
    console::{
        app::App,
        rows::{Order, Rows},
        theme::Role,
    },
    volume::ArtifactName,
};

/// Makes the pane's rows afresh after `change`; the selection stays on its artifact.
fn relist(app: &mut App, change: impl FnOnce(&mut Rows)) {
    let Some(seen) = app.seen() else {
        return;
    };
    let now = app.moment.now;
    let at = app.rows_mut().and_then(|rows| {
        change(rows);
        rows.rebuild(&seen, now)
    });
    app.place_mut().list.selected = at.unwrap_or(0);
}

pub(super) fn problems_only(app: &mut App) {
    relist(app, |rows| rows.problems_only = !rows.problems_only);
}

/// Sorts by the next of name, state, size, age.
pub(super) fn sort(app: &mut App) {
    relist(app, |rows| {
        rows.order = rows.order.next();
        rows.reversed = false;
    });
    told(app);
}

pub(super) fn reverse(app: &mut App) {
    relist(app, |rows| rows.reversed = !rows.reversed);
    told(app);
}

fn told(app: &mut App) {
    let Some(rows) = app.rows() else { return };
    let first = match (rows.order, rows.reversed) {
        (Order::Name, false) => "a first",
        (Order::Name, true) => "z first",
        (Order::State, false) => "worst first",
        (Order::State, true) => "best first",
        (Order::Size, false) => "largest first",
        (Order::Size, true) => "smallest first",
        (Order::Age, false) => "last changed first",
        (Order::Age, true) => "oldest first",
    };
    let words = format!("sorted by {}, {first}", rows.order.word());
    app.say(Role::Info, words);
}

/// Selects an artifact by name, giving up a filter that hides it.
pub fn select(app: &mut App, name: &ArtifactName) {
    let Some(seen) = app.seen() else {
        return;
    };
    let now = app.moment.now;
    let Some(rows) = app.rows_mut() else { return };
    rows.anchor = Some(name.clone());
    let at = rows.rebuild(&seen, now).or_else(|| {
        rows.filter.clear();
        rows.problems_only = false;
        rows.rebuild(&seen, now)
    });
    if let Some(at) = at {
        app.place_mut().list.selected = at;
    }
}
