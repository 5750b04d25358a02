//! Looking closer: the inside of an artifact, how two states differ, what a backup holds.

use super::{Done, Refusal};
use crate::{
    console::{
        app::{App, Focus},
        backend::{Compared, EntryId},
        keymap::{Action, Pane},
        message::Command,
        widgets::{Dialog, browse::BrowseDialog, inspect::InspectDialog, reading::ReadingDialog},
    },
    survey::StateId,
    volume::ArtifactName,
};

pub(super) fn inspect(app: &mut App) -> Done {
    let artifact = app.selected_artifact().ok_or("nothing is selected")?;
    let name = artifact.name.clone();
    let entry = (app.pane == Pane::Versions && app.focus == Focus::Detail)
        .then(|| app.selected_entry().map(|e| e.id))
        .flatten();
    let state = match entry {
        Some(EntryId::Removed(_)) => return Err("a removal has no content".to_owned()),
        Some(EntryId::Earlier(id)) => Some(id),
        Some(EntryId::Current) | None => None,
    };
    let ticket = app.ticket();
    let title = state.map_or_else(|| name.to_string(), |id| format!("{name} of {id}"));
    app.dialog = Some(Dialog::Inspect(InspectDialog {
        ticket,
        title,
        found: None,
        scroll: 0,
    }));
    Ok(vec![Command::Inspect(ticket, name, state)])
}

/// The other comparison is one key away.
const TURNS: &[(char, Action, &str)] = &[
    ('d', Action::Diff, "with current"),
    ('c', Action::Changes, "with before"),
];

/// `d`: the selected version against the current copy; of the current copy, what it changed. In
/// Backups the backup against the store.
pub(super) fn diff(app: &mut App) -> Done {
    if app.pane == Pane::Backups {
        let id = app.selected_backup().ok_or("no backup is selected")?.id;
        let title = format!("backup {id} {} the store now", dash(app));
        let nothing = "the store is as the backup holds it";
        return Ok(compare(app, Compared::Backup(id), title, nothing, &[]));
    }
    match app.selected_entry().map(|entry| entry.id) {
        Some(EntryId::Current) | None => changes(app),
        Some(EntryId::Earlier(id)) => {
            let (name, current) = (selected_name(app)?, first(app));
            if current != Some(EntryId::Current) {
                return Err("there is no current copy to compare with".to_owned());
            }
            Ok(states(app, name, Some(id), None))
        }
        Some(EntryId::Removed(_)) => Err("a removal has no content".to_owned()),
    }
}

/// `c`: what the selected entry changed in the one before it.
pub(super) fn changes(app: &mut App) -> Done {
    let name = selected_name(app)?;
    let history = app.shown_history().ok_or("no history is shown")?;
    let entries = history.entries.as_ref().map_err(Clone::clone)?;
    let at = app.place().detail.selected;
    let b = match entries.get(at).map(|entry| entry.id) {
        Some(EntryId::Current) => None,
        Some(EntryId::Earlier(id)) => Some(id),
        _ => return Err("a removal has no content".to_owned()),
    };
    let a = entries
        .iter()
        .skip(at + 1)
        .find_map(|entry| match entry.id {
            EntryId::Earlier(id) => Some(id),
            _ => None,
        });
    let a = a.ok_or("it is the oldest that is known")?;
    Ok(states(app, name, Some(a), b))
}

fn selected_name(app: &App) -> Result<ArtifactName, Refusal> {
    let artifact = app.selected_artifact().ok_or("nothing is selected")?;
    Ok(artifact.name.clone())
}

fn first(app: &App) -> Option<EntryId> {
    let entries = app.shown_history()?.entries.as_ref().ok()?;
    entries.first().map(|entry| entry.id)
}

fn dash(app: &App) -> &'static str {
    app.settings.theme.glyphs.dash
}

fn states(
    app: &mut App,
    name: ArtifactName,
    a: Option<StateId>,
    b: Option<StateId>,
) -> Vec<Command> {
    let word = |id: Option<StateId>| id.map_or_else(|| "current".to_owned(), |id| id.to_string());
    let title = format!("{name}  {} {} {}", word(a), dash(app), word(b));
    let what = Compared::States { name, a, b };
    compare(app, what, title, "the same bytes", TURNS)
}

/// Copies that contradict each other; then one of them is chosen.
pub(super) fn copies(app: &mut App, name: ArtifactName, volumes: Vec<String>) -> Vec<Command> {
    let title = format!("{name}  how its copies differ");
    let what = Compared::Copies { name, volumes };
    let turns = &[('p', Action::Prefer, "choose the right one")];
    compare(app, what, title, "the same bytes", turns)
}

fn compare(
    app: &mut App,
    what: Compared,
    title: String,
    nothing: &'static str,
    turns: &'static [(char, Action, &'static str)],
) -> Vec<Command> {
    let ticket = app.ticket();
    app.dialog = Some(Dialog::Reading(ReadingDialog {
        ticket,
        title,
        found: None,
        nothing,
        turns,
        scroll: 0,
    }));
    vec![Command::Compare(ticket, what)]
}

/// Enter on a backup: what it holds.
pub(super) fn browse(app: &mut App) -> Done {
    let backup = app.selected_backup().ok_or("no backup is selected")?;
    if backup.state == crate::backup::BackupState::Unsealed {
        return Err(format!(
            "it has no manifest: `maifdeck backup seal {}` writes one",
            backup.id
        ));
    }
    let (id, ticket) = (backup.id, app.last_ticket + 1);
    app.last_ticket = ticket;
    let read_only = app.store.read_only.clone();
    app.dialog = Some(Dialog::Browse(BrowseDialog::new(ticket, id, read_only)));
    Ok(vec![Command::Contents(ticket, id)])
}
