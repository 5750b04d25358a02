//! Looking closer: the inspect view.

use super::Done;
use crate::console::{
    app::{App, Focus},
    backend::EntryId,
    keymap::Pane,
    message::Command,
    widgets::{Dialog, inspect::InspectDialog},
};

pub(super) fn inspect(app: &mut App) -> Done {
    let artifact = app.selected_artifact().ok_or("nothing is selected")?;
    let name = artifact.name.clone();
    let entry = (app.pane == Pane::Versions && app.focus == Focus::Detail)
        .then(|| app.selected_entry().map(|e| e.id))
        .flatten();
    let version = match entry {
        Some(EntryId::Removed(_)) => return Err("a removal has no content".to_owned()),
        Some(EntryId::Version(id)) => Some(id),
        Some(EntryId::Current) | None => None,
    };
    let ticket = app.ticket();
    let title = version.map_or_else(|| name.to_string(), |id| format!("{name} of {id}"));
    app.dialog = Some(Dialog::Inspect(InspectDialog {
        ticket,
        title,
        found: None,
        scroll: 0,
    }));
    Ok(vec![Command::Inspect(ticket, name, version)])
}
