//! Actions that ask the engine for a plan. Nothing changes here: the plan's dialog does that.

use chrono::{DateTime, Utc};

use super::{
    Done, Refusal, findings::to_artifact, jobs, later, lease, marked_or_selected, show, space,
};
use crate::{
    console::{
        app::{App, Focus},
        backend::{EntryId, JobRequest},
        keymap::{Action, Pane},
        message::Command,
        text,
        theme::Role,
        widgets::{
            Dialog,
            choice::{Choice, Follow},
            prompt::{AsOf, Asked, Prompt},
        },
    },
    plan::{Intent, RestoreMode},
    report,
    survey::{ArtifactState, NewestIntact, StateId},
    volume::ArtifactName,
};

/// Actions that lead to a plan or a job.
pub(super) fn change(app: &mut App, action: Action) -> Done {
    match action {
        Action::Fix => fix(app),
        Action::FixAll => Ok(plan(app, repair(Vec::new()))),
        Action::AcceptOlder => accept_older(app),
        Action::Prefer => prefer(app),
        Action::Verify => jobs::verify(app, false),
        Action::VerifyQuick => jobs::verify(app, true),
        Action::Backup => {
            if app.store.backups.is_none() {
                return Err(
                    "no directory for backups is configured ([backup] directory)".to_owned(),
                );
            }
            Ok(vec![Command::Start(JobRequest::BackupCreate)])
        }
        Action::Restore => restore(app, RestoreMode::Exact),
        Action::RestoreMerge => restore(app, RestoreMode::Merge),
        Action::RestoreAside => {
            let (name, version) = selected_version(app)?;
            ask(
                app,
                Asked::Aside(name.clone(), version),
                format!("restore {name} of {version} as"),
                "a new name; nothing is replaced unless it exists",
                "",
            );
            Ok(Vec::new())
        }
        Action::AsOf => {
            if app.shown_history().is_none() {
                return Err("no history is shown".to_owned());
            }
            ask_time(app, AsOf::Select, "select the version that was current at");
            Ok(Vec::new())
        }
        Action::Remove => {
            let names = marked_or_selected(app)?;
            Ok(plan(app, Intent::Remove { names }))
        }
        Action::Prune => prune(app),
        Action::Pin => {
            let backup = app.selected_backup().ok_or("no backup is selected")?;
            Ok(vec![Command::Pin(backup.id, !backup.pinned)])
        }
        Action::AddPartition | Action::Drain | Action::Rebalance | Action::EmptyTrash => {
            space::change(app, action)
        }
        Action::Scrub => Ok(vec![Command::Start(JobRequest::Scrub)]),
        Action::Pause => jobs::pause(app),
        Action::Cancel => jobs::cancel(app),
        Action::Resume => jobs::resume(app),
        Action::Undo => later::undo(app),
        Action::MarkVolume => later::mark_volume(app),
        Action::TakeOver => lease::take_over(app),
        Action::StepDown => lease::step_down(app),
        _ => Ok(Vec::new()),
    }
}

/// Asks the engine for a plan; its dialog opens when it comes.
pub fn plan(app: &mut App, intent: Intent) -> Vec<Command> {
    let ticket = app.ticket();
    app.dialog = Some(Dialog::Planning {
        ticket,
        title: intent.title(),
    });
    vec![Command::Plan(ticket, intent)]
}

pub(super) const fn repair(names: Vec<ArtifactName>) -> Intent {
    Intent::Repair {
        names,
        accept_older: false,
        prefer: None,
        volume: None,
    }
}

pub(super) fn fix(app: &mut App) -> Done {
    if app.pane == Pane::Overview {
        let finding = app
            .selected_finding()
            .ok_or("there is nothing to fix")?
            .clone();
        let action = super::remedy(app, &finding);
        return match action {
            Action::Fix if super::findings::is_about_a_volume(finding.kind) => {
                let intent = Intent::Repair {
                    names: Vec::new(),
                    accept_older: false,
                    prefer: None,
                    volume: Some(finding.subject),
                };
                Ok(plan(app, intent))
            }
            Action::Fix => {
                let name = ArtifactName::existing(finding.subject.as_bytes())
                    .filter(|name| app.survey().is_some_and(|s| s.find(name).is_some()));
                Ok(plan(app, repair(name.into_iter().collect())))
            }
            Action::Open => Err(format!(
                "no repair by itself: {}",
                text::clean(&finding.remedy)
            )),
            other => {
                let key = app.settings.keymap.key(other);
                Err(format!("press {key}: {}", text::clean(&finding.remedy)))
            }
        };
    }
    let names = marked_or_selected(app)?;
    if app.marks.is_empty()
        && let Some(artifact) = app.selected_artifact()
    {
        let key = |action| app.settings.keymap.key(action);
        match artifact.state {
            ArtifactState::Ok => return Err("nothing is wrong with it at this level".to_owned()),
            ArtifactState::Divergent => {
                return Err(format!(
                    "divergent: only you can say which copy is right ({})",
                    key(Action::Prefer)
                ));
            }
            ArtifactState::Lost if artifact.newest_intact.is_some() => {
                return Err(format!(
                    "lost: something older is intact; {} brings it back",
                    key(Action::AcceptOlder)
                ));
            }
            _ => {}
        }
    }
    Ok(plan(app, repair(names)))
}

pub(super) fn accept_older(app: &mut App) -> Done {
    to_artifact(app)?;
    let artifact = app.selected_artifact().ok_or("nothing is selected")?;
    let name = artifact.name.clone();
    let newest = artifact.newest_intact.as_deref();
    let intent = match newest.ok_or("there is no older intact copy to accept")? {
        NewestIntact::Copy { .. } => Intent::Repair {
            names: vec![name],
            accept_older: true,
            prefer: None,
            volume: None,
        },
        NewestIntact::Version { id, .. } => Intent::VersionRestore {
            name,
            version: StateId::Version(*id),
            aside: None,
        },
        NewestIntact::Backup { id } => Intent::BackupRestore {
            backup: id.parse().map_err(|error| format!("{error}"))?,
            mode: RestoreMode::Exact,
            names: vec![name],
        },
    };
    Ok(plan(app, intent))
}

pub(super) fn prefer(app: &mut App) -> Done {
    to_artifact(app)?;
    let (artifact, survey) = app
        .selected_artifact()
        .zip(app.survey())
        .ok_or("nothing is selected")?;
    if artifact.state != ArtifactState::Divergent {
        return Err("only a divergent artifact needs your choice".to_owned());
    }
    let differing = artifact.copies.iter().filter(|copy| copy.size.is_some());
    let volumes: Vec<String> = differing
        .map(|copy| survey.label(copy.volume).to_owned())
        .collect();
    if app.compared.as_ref() != Some(&artifact.name) {
        // Who chooses has seen what differs.
        let name = artifact.name.clone();
        app.compared = Some(name.clone());
        return Ok(show::copies(app, name, volumes));
    }
    let zone = app.settings.zone;
    let mut options = vec![(
        "Cancel".to_owned(),
        "nothing is changed".to_owned(),
        Follow::Stay,
    )];
    for copy in artifact.copies.iter().filter(|c| c.size.is_some()) {
        let label = survey.label(copy.volume);
        let modified = DateTime::<Utc>::from_timestamp(copy.modified(), 0)
            .map(|time| zone.full(time))
            .unwrap_or_default();
        let size = copy.size.map(report::size).unwrap_or_default();
        let intent = Intent::Repair {
            names: vec![artifact.name.clone()],
            accept_older: false,
            prefer: Some(label.to_owned()),
            volume: None,
        };
        options.push((
            format!("the copy on {label}"),
            format!("{size}, modified {modified}"),
            Follow::Plan(intent),
        ));
    }
    app.dialog = Some(Dialog::Choice(Choice {
        title: format!("which copy of {} is right?", artifact.name),
        words: vec![
            "The others are archived; the plan is shown before anything is done.".to_owned(),
        ],
        options,
        selected: 0,
    }));
    Ok(Vec::new())
}

/// `P`: a policy is asked for, the configured one offered.
fn prune(app: &mut App) -> Done {
    let (asked, configured) = match app.pane {
        Pane::Backups if app.backups().is_empty() => return Err("there are no backups".to_owned()),
        Pane::Backups => (Asked::KeepBackups, app.store.keep_backups),
        Pane::Versions => {
            let names = marked_or_selected(app)?;
            (Asked::KeepVersions(names), app.store.keep_versions)
        }
        // Where no artifacts are listed it is about room: all of them.
        _ => (Asked::KeepVersions(Vec::new()), app.store.keep_versions),
    };
    let title = match &asked {
        Asked::KeepVersions(names) => match names.as_slice() {
            [] => "prune the versions of all artifacts: which to keep".to_owned(),
            [name] => format!("prune the versions of {name}: which to keep"),
            names => format!("prune the versions of {} artifacts", names.len()),
        },
        _ => "prune backups: which to keep".to_owned(),
    };
    let (text, hint) = if configured.is_empty() {
        (
            "7".to_owned(),
            "how many of the newest, or rules: last 7 daily 14",
        )
    } else {
        let rules = configured.to_string().replace("--keep-", "");
        (
            rules,
            "as configured; the plan is shown before anything goes",
        )
    };
    ask(app, asked, title, hint, &text);
    Ok(Vec::new())
}

pub(super) fn selected_version(app: &App) -> Result<(ArtifactName, StateId), Refusal> {
    let artifact = app.selected_artifact().ok_or("nothing is selected")?;
    match app.selected_entry().map(|entry| entry.id) {
        Some(EntryId::Earlier(id)) => Ok((artifact.name.clone(), id)),
        Some(EntryId::Current) => {
            Err("that is the current copy; select a version (tab)".to_owned())
        }
        Some(EntryId::Removed(_)) => Err("that is a removal; select a version (tab)".to_owned()),
        None => Err("no version is selected".to_owned()),
    }
}

pub(super) fn restore(app: &mut App, mode: RestoreMode) -> Done {
    let intent = if app.pane == Pane::Versions {
        let entry = app.selected_entry().map(|entry| entry.id);
        if matches!(entry, Some(EntryId::Current | EntryId::Removed(_))) {
            // No version is pointed at: a time says which one is meant.
            let artifact = app.selected_artifact().ok_or("nothing is selected")?;
            let title = format!("restore {} as it was at", artifact.name);
            ask_time(app, AsOf::Restore, &title);
            return Ok(Vec::new());
        }
        let (name, version) = selected_version(app)?;
        Intent::VersionRestore {
            name,
            version,
            aside: None,
        }
    } else {
        let backup = app
            .selected_backup()
            .ok_or("there is no backup to restore")?;
        Intent::BackupRestore {
            backup: backup.id,
            mode,
            names: app.survey().map(|s| app.marks.names(s)).unwrap_or_default(),
        }
    };
    Ok(plan(app, intent))
}

pub(super) fn ask(app: &mut App, asked: Asked, title: String, hint: &str, text: &str) {
    app.dialog = Some(Dialog::Prompt(Prompt {
        asked,
        title,
        hint: hint.to_owned(),
        text: text.to_owned(),
        error: None,
    }));
}

fn ask_time(app: &mut App, then: AsOf, title: &str) {
    let zone = app.settings.zone.name(app.moment.now);
    let hint = format!("18:00, yesterday 18:00, 2026-03-11 18:00 (zone {zone})");
    ask(
        app,
        Asked::Time(then),
        title.to_owned(),
        &hint,
        "yesterday 18:00",
    );
}

/// Selects the entry of the shown history that was current at `time`, or plans to restore it.
pub fn as_of(app: &mut App, time: DateTime<Utc>, then: AsOf) -> Done {
    let when = app.settings.zone.full(time);
    let (at, id) = app
        .shown_history()
        .and_then(|history| history.entries.as_ref().ok())
        .and_then(|entries| {
            let at = entries.iter().position(|entry| {
                !matches!(entry.id, EntryId::Removed(_))
                    && entry.current_from.is_some_and(|from| from <= time)
                    && entry.current_until.is_none_or(|until| time < until)
            })?;
            Some((at, entries.get(at)?.id))
        })
        .ok_or_else(|| format!("nothing was current at {when}"))?;
    if then == AsOf::Restore {
        let (Some(artifact), EntryId::Earlier(version)) = (app.selected_artifact(), id) else {
            return Err(format!("at {when} it was as it is now"));
        };
        let intent = Intent::VersionRestore {
            name: artifact.name.clone(),
            version,
            aside: None,
        };
        app.place_mut().detail.selected = at;
        return Ok(plan(app, intent));
    }
    app.place_mut().detail.selected = at;
    app.dialog = None;
    app.focus = Focus::Detail;
    let key = app.settings.keymap.key(Action::Restore);
    app.say(
        Role::Info,
        format!("this was current at {when}; {key} restores it"),
    );
    Ok(Vec::new())
}
