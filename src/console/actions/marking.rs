//! Marks: what repair, restore and removal are about when more than one artifact is meant.

use super::{Refusal, movement::step};
use crate::{
    console::{app::App, theme::Role},
    report::plural,
};

type Marked = Result<(), Refusal>;

fn row(app: &App) -> Result<u32, Refusal> {
    app.selected_row()
        .ok_or_else(|| "nothing is selected".to_owned())
}

/// Marks the selected one, or takes its mark; and goes on to the next.
pub(super) fn toggle(app: &mut App) -> Marked {
    let row = row(app)?;
    app.marks.toggle(row);
    app.marked_last = Some(row);
    step(app, 1);
    Ok(())
}

/// Marks the selected one and the one that it goes to.
pub(super) fn extend(app: &mut App, by: isize) -> Marked {
    let from = row(app)?;
    app.marks.insert(from);
    step(app, by);
    let to = row(app)?;
    app.marks.insert(to);
    app.marked_last = Some(to);
    Ok(())
}

/// Marks all from the one that was marked last to this one, as they are listed now.
pub(super) fn range(app: &mut App) -> Marked {
    let to = app.place().list.selected;
    let this = row(app)?;
    let from = app
        .marked_last
        .and_then(|row| app.rows()?.index.iter().position(|other| *other == row))
        .ok_or("mark one end first (space)")?;
    let rows: Vec<u32> = app
        .rows()
        .and_then(|rows| rows.index.get(from.min(to)..=from.max(to)))
        .unwrap_or_default()
        .to_vec();
    for row in rows {
        app.marks.insert(row);
    }
    app.marked_last = Some(this);
    Ok(())
}

/// Marks everything that is listed; when it is marked already, takes those marks away.
pub(super) fn all(app: &mut App) -> Marked {
    let index = app.rows().map(|rows| std::sync::Arc::clone(&rows.index));
    let index = index
        .filter(|index| !index.is_empty())
        .ok_or("nothing is listed")?;
    if index.iter().all(|row| app.marks.contains(*row)) {
        for row in index.iter() {
            app.marks.remove(*row);
        }
    } else {
        for row in index.iter() {
            app.marks.insert(*row);
        }
    }
    let words = plural(
        app.marks.len() as u64,
        "artifact is marked",
        "artifacts are marked",
    );
    app.say(Role::Info, words);
    Ok(())
}

pub(super) fn none(app: &mut App) {
    app.marks.clear();
    app.marked_last = None;
}
