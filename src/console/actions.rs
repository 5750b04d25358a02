//! What each action does. One that cannot be done says why.

use chrono::{DateTime, Utc};

use super::{
    app::{App, Focus},
    backend::{EntryId, JobRequest},
    keymap::{self, Action, Pane},
    layout,
    message::Command,
    text,
    theme::Role,
    update,
    widgets::{
        Dialog,
        choice::{Choice, Follow},
        help::HelpDialog,
        inspect::InspectDialog,
        palette::PaletteDialog,
        prompt::{Asked, Prompt},
    },
};
use crate::{
    journal::JobState,
    plan::{Intent, RestoreMode},
    report,
    survey::{ArtifactState, FindingKind},
    volume::{ArtifactName, Level},
};

/// Why an action is not done, for the footer.
type Refusal = String;
type Done = Result<Vec<Command>, Refusal>;

pub fn perform(app: &mut App, action: Action) -> Vec<Command> {
    let entry = keymap::find(action);
    let refused = entry.and_then(|entry| {
        if !entry.panes.has(app.pane) {
            let places: Vec<_> = Pane::ALL
                .into_iter()
                .filter(|pane| entry.panes.has(*pane))
                .map(|pane| pane.names().0)
                .collect();
            return Some(format!("{} works in {}", entry.name, places.join(", ")));
        }
        entry
            .changes
            .then(|| app.store.read_only.clone())
            .flatten()
            .map(|why| format!("{} is not possible: {why}", entry.name))
    });
    let done = match refused {
        Some(why) => Err(why),
        None => dispatch(app, action),
    };
    match done {
        Ok(commands) => commands,
        Err(why) => {
            app.say(Role::Warning, why);
            Vec::new()
        }
    }
}

fn dispatch(app: &mut App, action: Action) -> Done {
    let lines = page(app);
    match action {
        Action::Up => step(app, -1),
        Action::Down => step(app, 1),
        Action::PageUp => step(app, -lines),
        Action::PageDown => step(app, lines),
        Action::Top => step(app, isize::MIN / 2),
        Action::Bottom => step(app, isize::MAX / 2),
        Action::Open => return open(app),
        Action::Back => back(app),
        Action::NextFocus | Action::PreviousFocus => {
            app.focus = match app.focus {
                Focus::List if has_detail(app) => Focus::Detail,
                Focus::List | Focus::Detail => Focus::List,
            };
        }
        Action::NextPane => go_by(app, 1),
        Action::PreviousPane => go_by(app, 6),
        Action::Go(pane) => go(app, pane),
        Action::Filter => {
            app.filtering = true;
            app.focus = Focus::List;
        }
        Action::ProblemsOnly => problems_only(app),
        Action::Inspect => return inspect(app),
        Action::Mark => mark(app)?,
        Action::UnmarkAll => app.marks.clear(),
        Action::Copy => return copy(app),
        Action::Refresh => {
            if app.pending.refresh {
                return Err("already looking".to_owned());
            }
            app.pending.next_refresh = app.moment.elapsed;
            app.pending.next_backups = app.moment.elapsed;
            return Ok(update::update(
                app,
                super::message::Message::Tick(app.moment),
            ));
        }
        Action::Help => app.dialog = Some(Dialog::Help(HelpDialog::default())),
        Action::Palette => app.dialog = Some(Dialog::Palette(PaletteDialog::default())),
        Action::Redraw => return Ok(vec![Command::Redraw]),
        Action::Suspend => return Ok(vec![Command::Suspend]),
        Action::Quit => return Ok(update::quit(app)),
        other => return change(app, other),
    }
    update::remember(app);
    Ok(Vec::new())
}

/// Actions that lead to a plan or a job.
fn change(app: &mut App, action: Action) -> Done {
    match action {
        Action::Fix => fix(app),
        Action::FixAll => Ok(plan(app, repair(Vec::new()))),
        Action::AcceptOlder => accept_older(app),
        Action::Prefer => prefer(app),
        Action::Verify => verify(app, false),
        Action::VerifyQuick => verify(app, true),
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
            let zone = app.settings.zone.name(app.moment.now);
            ask(
                app,
                Asked::Time,
                "select the version that was current at".to_owned(),
                &format!("18:00, yesterday 18:00, 2026-03-11 18:00 (zone {zone})"),
                "yesterday 18:00",
            );
            Ok(Vec::new())
        }
        Action::Remove => {
            let names = marked_or_selected(app)?;
            Ok(plan(app, Intent::Remove { names }))
        }
        Action::Prune => {
            if app.backups().is_empty() {
                return Err("there are no backups".to_owned());
            }
            ask(
                app,
                Asked::KeepLast,
                "prune backups: how many of the newest to keep".to_owned(),
                "the plan is shown before anything is retired",
                "7",
            );
            Ok(Vec::new())
        }
        Action::Pause => pause(app),
        Action::Cancel => cancel(app),
        Action::Resume => resume(app),
        Action::Undo => Err(
            "undo is not built in yet; what was replaced is in Versions (R restores it)".to_owned(),
        ),
        Action::MarkVolume => {
            Err("marking volumes is not built in yet: maifdeck volume mark".to_owned())
        }
        Action::TakeOver => Err(format!(
            "there is no lease to take over: {}",
            app.store.lease
        )),
        _ => Ok(Vec::new()),
    }
}

/// Goes to a pane.
pub fn go(app: &mut App, pane: Pane) {
    if app.pane != pane {
        app.pane = pane;
        app.focus = Focus::List;
        app.filtering = false;
    }
}

fn go_by(app: &mut App, by: usize) {
    let at = (app.pane.index() + by) % Pane::ALL.len();
    if let Some(pane) = Pane::ALL.get(at) {
        go(app, *pane);
    }
}

/// Whether the pane's detail takes keys of its own.
pub const fn has_detail(app: &App) -> bool {
    matches!(app.pane, Pane::Versions | Pane::Jobs)
}

fn page(app: &App) -> isize {
    let parts = layout::parts(app.pane, layout::areas(app.screen()).body);
    let rows = match app.focus {
        Focus::List => layout::list_height(&parts),
        Focus::Detail => layout::history_height(&parts),
    };
    isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
}

fn step(app: &mut App, by: isize) {
    if app.focus == Focus::Detail {
        let length = match app.pane {
            Pane::Versions => app
                .shown_history()
                .and_then(|h| h.entries.as_ref().ok())
                .map_or(0, Vec::len),
            _ => app.selected_job().map_or(0, |job| job.errors.len()),
        };
        app.place_mut().detail.step(by, length);
    } else {
        let length = app.list_length();
        app.place_mut().list.step(by, length);
    }
    app.place_mut().anchor = None;
}

fn open(app: &mut App) -> Done {
    match (app.pane, app.focus) {
        (Pane::Overview, _) => {
            follow_finding(app);
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
        (Pane::Replicas, _) | (Pane::Versions, Focus::Detail) => inspect(app),
        _ => Ok(Vec::new()),
    }
}

fn back(app: &mut App) {
    if app.focus == Focus::Detail {
        app.focus = Focus::List;
    } else if app.rows().is_some_and(|rows| !rows.filter.is_empty()) {
        update::set_filter(app, String::new());
    } else if app.rows().is_some_and(|rows| rows.problems_only) {
        problems_only(app);
    } else {
        go(app, Pane::Overview);
    }
}

/// From a finding to the pane that shows its subject.
fn follow_finding(app: &mut App) {
    let Some(finding) = app.selected_finding().cloned() else {
        return;
    };
    let pane = finding_pane(finding.kind);
    go(app, pane);
    if pane == Pane::Replicas {
        let name = ArtifactName::existing(finding.subject.as_bytes());
        if let Some(name) = name {
            select(app, &name);
        }
    } else {
        let anchor = Some(finding.subject.clone());
        app.place_mut().anchor = anchor;
    }
}

/// The pane that shows what a finding is about.
pub const fn finding_pane(kind: FindingKind) -> Pane {
    match kind {
        FindingKind::Lost
        | FindingKind::Vanished
        | FindingKind::Divergent
        | FindingKind::Corrupt
        | FindingKind::Stale
        | FindingKind::Missing
        | FindingKind::Unsupported
        | FindingKind::ScrubOverdue => Pane::Replicas,
        FindingKind::Misplaced | FindingKind::VolumeFull | FindingKind::OtherFiles => {
            Pane::Partitions
        }
        FindingKind::VolumeUnmarked
        | FindingKind::VolumeForeign
        | FindingKind::VolumeUnreachable
        | FindingKind::VolumeJoining
        | FindingKind::VolumeReadonly => Pane::Cluster,
        FindingKind::BackupNone
        | FindingKind::BackupOld
        | FindingKind::BackupUnverified
        | FindingKind::BackupDamaged
        | FindingKind::BackupShrunk
        | FindingKind::BackupInterrupted => Pane::Backups,
        FindingKind::JobInterrupted => Pane::Jobs,
    }
}

/// The action whose key leads to a finding's remedy.
pub const fn finding_action(kind: FindingKind) -> Action {
    match kind {
        FindingKind::Corrupt
        | FindingKind::Stale
        | FindingKind::Missing
        | FindingKind::Misplaced
        | FindingKind::VolumeJoining => Action::Fix,
        FindingKind::BackupNone | FindingKind::BackupOld | FindingKind::BackupInterrupted => {
            Action::Backup
        }
        FindingKind::JobInterrupted => Action::Resume,
        FindingKind::VolumeUnmarked | FindingKind::VolumeForeign => Action::MarkVolume,
        FindingKind::Lost
        | FindingKind::Vanished
        | FindingKind::Divergent
        | FindingKind::Unsupported
        | FindingKind::VolumeUnreachable
        | FindingKind::VolumeFull
        | FindingKind::VolumeReadonly
        | FindingKind::BackupUnverified
        | FindingKind::BackupDamaged
        | FindingKind::BackupShrunk
        | FindingKind::OtherFiles => Action::Open,
        FindingKind::ScrubOverdue => Action::Verify,
    }
}

/// Selects an artifact by name, giving up a filter that hides it.
pub fn select(app: &mut App, name: &ArtifactName) {
    let Some(survey) = app.data.survey.clone() else {
        return;
    };
    let Some(rows) = app.rows_mut() else { return };
    rows.anchor = Some(name.clone());
    let at = rows.rebuild(&survey).or_else(|| {
        rows.filter.clear();
        rows.problems_only = false;
        rows.rebuild(&survey)
    });
    if let Some(at) = at {
        app.place_mut().list.selected = at;
    }
}

fn problems_only(app: &mut App) {
    let Some(survey) = app.data.survey.clone() else {
        return;
    };
    let at = app.rows_mut().and_then(|rows| {
        rows.problems_only = !rows.problems_only;
        rows.rebuild(&survey)
    });
    app.place_mut().list.selected = at.unwrap_or(0);
}

fn mark(app: &mut App) -> Result<(), Refusal> {
    let name = app
        .selected_artifact()
        .map(|a| a.name.clone())
        .ok_or("nothing is selected")?;
    if !app.marks.remove(&name) {
        app.marks.insert(name);
    }
    step(app, 1);
    Ok(())
}

fn marked_or_selected(app: &App) -> Result<Vec<ArtifactName>, Refusal> {
    if !app.marks.is_empty() {
        return Ok(app.marks.iter().cloned().collect());
    }
    app.selected_artifact()
        .map(|a| vec![a.name.clone()])
        .ok_or_else(|| "nothing is selected".to_owned())
}

fn inspect(app: &mut App) -> Done {
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

fn copy(app: &mut App) -> Done {
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

/// Asks the engine for a plan; its dialog opens when it comes.
pub fn plan(app: &mut App, intent: Intent) -> Vec<Command> {
    let ticket = app.ticket();
    app.dialog = Some(Dialog::Planning {
        ticket,
        title: intent.title(),
    });
    vec![Command::Plan(ticket, intent)]
}

const fn repair(names: Vec<ArtifactName>) -> Intent {
    Intent::Repair {
        names,
        accept_older: false,
        prefer: None,
        volume: None,
    }
}

fn fix(app: &mut App) -> Done {
    if app.pane == Pane::Overview {
        let finding = app
            .selected_finding()
            .ok_or("there is nothing to fix")?
            .clone();
        let action = finding_action(finding.kind);
        return match action {
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
                    "lost: an older intact copy is there; accept it with {}",
                    key(Action::AcceptOlder)
                ));
            }
            _ => {}
        }
    }
    Ok(plan(app, repair(names)))
}

fn accept_older(app: &mut App) -> Done {
    let artifact = app.selected_artifact().ok_or("nothing is selected")?;
    if artifact.newest_intact.is_none() {
        return Err("there is no older intact copy to accept".to_owned());
    }
    let intent = Intent::Repair {
        names: vec![artifact.name.clone()],
        accept_older: true,
        prefer: None,
        volume: None,
    };
    Ok(plan(app, intent))
}

fn prefer(app: &mut App) -> Done {
    let (artifact, survey) = app
        .selected_artifact()
        .zip(app.survey())
        .ok_or("nothing is selected")?;
    if artifact.state != ArtifactState::Divergent {
        return Err("only a divergent artifact needs your choice".to_owned());
    }
    let zone = app.settings.zone;
    let mut options = vec![(
        "Cancel".to_owned(),
        "nothing is changed".to_owned(),
        Follow::Stay,
    )];
    for copy in artifact.copies.iter().filter(|c| c.size.is_some()) {
        let label = survey.label(copy.volume);
        let modified = DateTime::<Utc>::from_timestamp(copy.modified, 0)
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

fn verify(app: &App, quick: bool) -> Done {
    let request = if app.pane == Pane::Backups {
        let backup = app
            .selected_backup()
            .ok_or("there is no backup to verify")?;
        JobRequest::BackupVerify {
            id: backup.id,
            quick,
        }
    } else {
        JobRequest::VerifyAll {
            level: if quick { Level::Quick } else { Level::Deep },
        }
    };
    Ok(vec![Command::Start(request)])
}

fn selected_version(app: &App) -> Result<(ArtifactName, crate::volume::VersionId), Refusal> {
    let artifact = app.selected_artifact().ok_or("nothing is selected")?;
    match app.selected_entry().map(|entry| entry.id) {
        Some(EntryId::Version(id)) => Ok((artifact.name.clone(), id)),
        Some(EntryId::Current) => {
            Err("that is the current copy; select a version (tab)".to_owned())
        }
        Some(EntryId::Removed(_)) => Err("that is a removal; select a version (tab)".to_owned()),
        None => Err("no version is selected".to_owned()),
    }
}

fn restore(app: &mut App, mode: RestoreMode) -> Done {
    let intent = if app.pane == Pane::Versions {
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
            names: app.marks.iter().cloned().collect(),
        }
    };
    Ok(plan(app, intent))
}

fn ask(app: &mut App, asked: Asked, title: String, hint: &str, text: &str) {
    app.dialog = Some(Dialog::Prompt(Prompt {
        asked,
        title,
        hint: hint.to_owned(),
        text: text.to_owned(),
        error: None,
    }));
}

/// Selects the entry of the shown history that was current at `time`.
pub fn select_as_of(app: &mut App, time: DateTime<Utc>) {
    let found = app
        .shown_history()
        .and_then(|history| history.entries.as_ref().ok())
        .and_then(|entries| {
            entries.iter().position(|entry| {
                entry.current_from.is_none_or(|from| from <= time)
                    && entry.current_until.is_none_or(|until| time < until)
            })
        });
    let when = app.settings.zone.full(time);
    match found {
        Some(at) => {
            app.focus = Focus::Detail;
            app.place_mut().detail.selected = at;
            let key = app.settings.keymap.key(Action::Restore);
            app.say(
                Role::Info,
                format!("this was current at {when}; {key} restores it"),
            );
        }
        None => app.say(Role::Warning, format!("nothing was current at {when}")),
    }
}

fn our_running(app: &App) -> Result<crate::progress::Task, Refusal> {
    let job = app.selected_job().ok_or("no job is selected")?;
    match app.running(&job.id) {
        Some(running) => Ok(running.job.task.clone()),
        None if job.state == JobState::Running => Err(format!(
            "it runs in another process ({}, pid {})",
            text::clean(&job.actor.host),
            job.actor.pid
        )),
        None => Err(format!("it is {}", job.state.word())),
    }
}

fn pause(app: &mut App) -> Done {
    let task = our_running(app)?;
    if task.snapshot().paused {
        task.resume();
        app.say(Role::Info, "goes on");
    } else {
        task.pause();
        app.say(Role::Info, "pauses at the next safe point");
    }
    Ok(Vec::new())
}

fn cancel(app: &mut App) -> Done {
    our_running(app)?.cancel();
    app.say(
        Role::Info,
        "cancelled at the next safe point; what is done stays done",
    );
    Ok(Vec::new())
}

fn resume(app: &App) -> Done {
    let id = if app.pane == Pane::Overview {
        app.selected_finding()
            .filter(|f| f.kind == FindingKind::JobInterrupted)
            .map(|f| f.subject.clone())
            .ok_or("the finding is not an interrupted job")?
    } else {
        let job = app.selected_job().ok_or("no job is selected")?;
        if !job.resumable {
            return Err(format!("it cannot be resumed: it is {}", job.state.word()));
        }
        job.id.clone()
    };
    Ok(vec![Command::Resume(id)])
}
