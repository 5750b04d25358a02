//! Taking along: the name of what is selected, or one of the other things that it goes by. It is sent
//! by OSC 52; many terminals drop that, so the text is shown too and nothing is promised.

use std::os::unix::ffi::OsStrExt as _;

use super::Done;
use crate::{
    console::{
        app::{App, Focus},
        backend::EntryId,
        keymap::Pane,
        message::Command,
        text,
        theme::Role,
        widgets::{
            Dialog,
            choice::{Choice, Follow},
        },
    },
    plan::{Intent, RestoreMode},
    report,
};

/// `y`: the name.
pub(super) fn copy(app: &mut App) -> Done {
    let things = things(app);
    let (_, name) = things
        .into_iter()
        .next()
        .ok_or("there is nothing to copy")?;
    Ok(sent(app, name))
}

/// `Y`: a choice of all that it goes by.
pub(super) fn menu(app: &mut App) -> Done {
    let things = things(app);
    if things.is_empty() {
        return Err("there is nothing to copy".to_owned());
    }
    let options = things
        .into_iter()
        .map(|(what, text)| (what.to_owned(), text::clean(&text), Follow::Copy(text)))
        .collect();
    app.dialog = Some(Dialog::Choice(Choice {
        title: "copy".to_owned(),
        words: Vec::new(),
        options,
        selected: 0,
    }));
    Ok(Vec::new())
}

/// Hands it to the terminal and says so.
pub fn sent(app: &mut App, copied: String) -> Vec<Command> {
    let words = format!("sent to the terminal: {}", text::clean(&copied));
    app.say(Role::Info, words);
    vec![Command::Copy(copied)]
}

/// What the selection goes by: its name first.
fn things(app: &App) -> Vec<(&'static str, String)> {
    match app.pane {
        Pane::Overview => app.selected_finding().map_or_else(Vec::new, |finding| {
            vec![
                ("subject", finding.subject.clone()),
                ("message", finding.message.clone()),
                ("remedy", finding.remedy.clone()),
            ]
        }),
        Pane::Versions if app.focus == Focus::Detail => version(app),
        Pane::Replicas | Pane::Versions => artifact(app),
        Pane::Backups => app.selected_backup().map_or_else(Vec::new, |backup| {
            let intent = Intent::BackupRestore {
                backup: backup.id,
                mode: RestoreMode::Exact,
                names: Vec::new(),
            };
            vec![
                ("id", backup.id.to_string()),
                ("path", path(&backup.path)),
                (
                    "command: verify",
                    format!("maifdeck backup verify {}", backup.id),
                ),
                ("command: restore", report::command(&intent)),
            ]
        }),
        Pane::Jobs => app.selected_job().map_or_else(Vec::new, |job| {
            let mut things = vec![
                ("id", job.id.clone()),
                ("command: show", format!("maifdeck jobs show {}", job.id)),
            ];
            if job.resumable {
                let resume = format!("maifdeck jobs resume {}", job.id);
                things.push(("command: resume", resume));
            }
            things.extend(job.plan.iter().map(|plan| ("plan", plan.clone())));
            things
        }),
        Pane::Partitions | Pane::Cluster => {
            let at = app.place().list.selected;
            let Some(survey) = app.survey() else {
                return Vec::new();
            };
            if app.pane == Pane::Partitions {
                let partition = survey.partitions.get(at);
                return partition.map_or_else(Vec::new, |p| vec![("name", p.name.to_string())]);
            }
            survey.volumes.get(at).map_or_else(Vec::new, |volume| {
                vec![
                    ("label", volume.label.to_string()),
                    ("path", path(&volume.path)),
                ]
            })
        }
    }
}

fn artifact(app: &App) -> Vec<(&'static str, String)> {
    let (Some(artifact), Some(survey)) = (app.selected_artifact(), app.survey()) else {
        return Vec::new();
    };
    let names = vec![artifact.name.clone()];
    let mut things = vec![("name", artifact.name.to_string())];
    if let Some(copy) = artifact.shown_copy() {
        things.extend(
            copy.prints
                .sha256
                .map(|digest| ("digest", digest.to_string())),
        );
        let file = survey
            .volume(copy.volume)
            .map(|volume| volume.path.join(artifact.name.file_name()));
        things.extend(file.map(|file| ("path", path(&file))));
    }
    let repair = Intent::Repair {
        names,
        accept_older: false,
        prefer: None,
        volume: None,
    };
    things.push(("command: repair", report::command(&repair)));
    things
}

fn version(app: &App) -> Vec<(&'static str, String)> {
    let (Some(artifact), Some(entry)) = (app.selected_artifact(), app.selected_entry()) else {
        return artifact(app);
    };
    let mut things = Vec::new();
    match entry.id {
        EntryId::Earlier(id) => {
            things.push(("id", id.to_string()));
            let restore = Intent::VersionRestore {
                name: artifact.name.clone(),
                version: id,
                aside: None,
            };
            things.extend(entry.sha256.map(|digest| ("digest", digest.to_string())));
            things.push(("command: restore", report::command(&restore)));
        }
        EntryId::Removed(id) => things.push(("id", id.to_string())),
        EntryId::Current => {
            things.extend(entry.sha256.map(|digest| ("digest", digest.to_string())));
        }
    }
    things.push(("name", artifact.name.to_string()));
    things
}

/// A path that is not UTF-8 has no text that a shell would take back: it is escaped.
fn path(path: &std::path::Path) -> String {
    path.to_str().map_or_else(
        || text::escape(path.as_os_str().as_bytes()),
        ToOwned::to_owned,
    )
}
