//! Looking closer and taking along: the inspect view, and names for the clipboard.

use super::Done;
use crate::console::{
    app::{App, Focus},
    backend::EntryId,
    keymap::Pane,
    message::Command,
    text,
    theme::Role,
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

pub(super) fn copy(app: &mut App) -> Done {
    let copied = match app.pane {
        Pane::Replicas => app.selected_artifact().map(|a| a.name.to_string()),
        Pane::Versions => match (app.focus, app.selected_entry()) {
            (Focus::Detail, Some(entry)) => Some(match (entry.id, entry.sha256) {
                (EntryId::Version(id) | EntryId::Removed(id), _) => id.to_string(),
                (EntryId::Current, Some(digest)) => digest.to_string(),
                (EntryId::Current, None) => "current".to_owned(),
            }),
            _ => app.selected_artifact().map(|a| a.name.to_string()),
        },
        Pane::Overview => app.selected_finding().map(|f| text::clean(&f.subject)),
        Pane::Backups => app.selected_backup().map(|b| b.id.to_string()),
        Pane::Jobs => app.selected_job().map(|j| j.id.clone()),
        Pane::Partitions | Pane::Cluster => app.anchor(),
    };
    let copied = copied.ok_or("there is nothing to copy")?;
    // Many terminals drop it, so the text is shown and nothing is promised.
    app.say(Role::Info, format!("sent to the terminal: {copied}"));
    Ok(vec![Command::Copy(copied)])
}
