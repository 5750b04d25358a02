//! Messages change the state here, and nowhere else. What cannot be done in memory comes out as
//! commands; so the whole console runs headless in tests.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, MouseEvent, MouseEventKind};

use super::{
    actions,
    app::{App, Focus, History, Running},
    backend::{ApplyError, RunningJob},
    keymap::{Lookup, Pane},
    keys::Stroke,
    layout,
    message::{Command, Message, Moment, Ticket},
    text,
    theme::Role,
    widgets::{
        self, Dialog, Reply,
        choice::{Choice, Follow},
        plan::{PlanDialog, State},
    },
};
use crate::{journal::JobState, progress::Snapshot, report};

/// What the console does before anything else happens.
pub fn begin(app: &mut App) -> Vec<Command> {
    app.pending.refresh = true;
    app.pending.backups = true;
    app.pending.jobs = true;
    app.pending.next_backups = app.settings.refresh * 5;
    vec![
        Command::Refresh(Vec::new()),
        Command::Backups,
        Command::Jobs,
    ]
}

/// One message.
pub fn update(app: &mut App, message: Message) -> Vec<Command> {
    let mut commands = match message {
        Message::Key(event) if event.kind == KeyEventKind::Release => Vec::new(),
        Message::Key(event) => key(app, event),
        Message::Paste(text) => {
            paste(app, &text);
            Vec::new()
        }
        Message::Mouse(event) => mouse(app, event),
        Message::Resize(columns, rows) => {
            app.size = (columns, rows);
            // Even to the same size: in between it may have been another, and the screen with it.
            vec![Command::Redraw]
        }
        Message::Tick(moment) => tick(app, moment),
        Message::HangUp => vec![Command::Quit {
            code: 129,
            rest: true,
            silent: true,
        }],
        Message::Leave(code) => vec![Command::Quit {
            code,
            rest: true,
            silent: false,
        }],
        Message::Continued => vec![Command::Reenter],
        Message::Panicked(what) => {
            app.pending = super::app::Pending {
                next_refresh: app.moment.elapsed + app.settings.refresh * 5,
                next_backups: app.moment.elapsed + app.settings.refresh * 10,
                ..Default::default()
            };
            app.say(
                Role::Critical,
                format!("a part of the engine failed: {what}; see the log"),
            );
            Vec::new()
        }
        answer => answered(app, answer),
    };
    settle(app, &mut commands);
    commands
}

/// Answers of the engine.
fn answered(app: &mut App, message: Message) -> Vec<Command> {
    match message {
        Message::Survey(result) => surveyed(app, result),
        Message::Backups(result) => {
            app.pending.backups = false;
            // Newest first on the screen: the last one is what matters.
            app.data.backups = Some(result.map(|mut backups| {
                backups.sort_by_key(|b| std::cmp::Reverse(b.at));
                backups
            }));
        }
        Message::Jobs(jobs) => {
            app.pending.jobs = false;
            app.data.jobs = jobs;
            app.gather_findings();
        }
        Message::Rested(name) => {
            let wanted = app.selected_artifact().is_some_and(|a| a.name == name);
            if wanted && app.pane == Pane::Versions && app.pending.history.is_none() {
                app.pending.history = Some(name.clone());
                return vec![Command::History(name)];
            }
        }
        Message::History(name, entries) => {
            app.pending.history = None;
            app.pending.history_stale = false;
            if app.data.history.as_ref().is_none_or(|old| old.name != name) {
                app.place_of(Pane::Versions).detail = super::app::Cursor::default();
            }
            app.data.history = Some(History { name, entries });
        }
        Message::Inspected(ticket, found) => {
            if let Some(Dialog::Inspect(dialog)) = &mut app.dialog
                && dialog.ticket == ticket
            {
                dialog.found = Some(found);
            }
        }
        Message::Planned(asked, result) => {
            if matches!(&app.dialog, Some(Dialog::Planning { ticket, .. }) if *ticket == asked) {
                app.dialog = None;
                match result {
                    Ok(plan) => app.dialog = Some(Dialog::Plan(PlanDialog::new(plan))),
                    Err(error) => app.say(Role::Warning, text::clean(&error.to_string())),
                }
            }
        }
        Message::Applied(ticket, result) => return applied(app, ticket, result),
        Message::Started(Ok(job)) => return started(app, job),
        Message::Started(Err(error)) => app.say(Role::Critical, text::clean(&error)),
        _ => {}
    }
    Vec::new()
}

fn surveyed(app: &mut App, result: Result<Option<std::sync::Arc<crate::survey::Survey>>, String>) {
    app.pending.refresh = false;
    app.pending.next_refresh = app.moment.elapsed + app.settings.refresh;
    match result {
        Ok(changed) => {
            app.data.survey_error = None;
            app.data.fresh = Some(app.moment.elapsed);
            if let Some(survey) = changed {
                app.data.summary = survey.summary().to_vec();
                for (pane, rows) in [
                    (Pane::Replicas, &mut app.replicas),
                    (Pane::Versions, &mut app.versions),
                ] {
                    let at = rows.rebuild(&survey);
                    if let (Some(at), Some(place)) = (at, app.places.get_mut(pane.index())) {
                        place.list.selected = at;
                    }
                }
                app.marks.retain(|name| survey.find(name).is_some());
                app.data.survey = Some(survey);
                // The old history is shown until the new one arrives.
                app.pending.history_stale = true;
            }
        }
        Err(error) => app.data.survey_error = Some(text::clean(&error)),
    }
    app.gather_findings();
}

fn applied(app: &mut App, ticket: Ticket, result: Result<RunningJob, ApplyError>) -> Vec<Command> {
    let open = match &mut app.dialog {
        Some(Dialog::Plan(dialog)) if dialog.state == State::Starting(ticket) => Some(dialog),
        _ => None,
    };
    match (result, open) {
        (Ok(job), dialog) => {
            if dialog.is_some() {
                app.dialog = None;
            }
            started(app, job)
        }
        (Err(ApplyError::Changed(why)), Some(dialog)) => {
            dialog.state = State::Changed(why);
            Vec::new()
        }
        (Err(ApplyError::Failed(why)), Some(dialog)) => {
            dialog.state = State::Failed(why);
            Vec::new()
        }
        (Err(error), None) => {
            app.say(Role::Critical, text::clean(&error.to_string()));
            Vec::new()
        }
    }
}

fn started(app: &mut App, job: RunningJob) -> Vec<Command> {
    app.say(Role::Info, format!("started: {}", text::clean(&job.title)));
    if job.changes {
        // The marks were for the plan that now runs.
        app.marks.clear();
    }
    app.running.push(Running::new(job));
    app.pending.jobs = true;
    vec![Command::Jobs]
}

/// Time passes: what is due is asked for, running jobs are sampled.
fn tick(app: &mut App, moment: Moment) -> Vec<Command> {
    app.moment = moment;
    let now = moment.elapsed;
    if app
        .notice
        .as_ref()
        .is_some_and(|notice| notice.until <= now)
    {
        app.notice = None;
    }
    let mut commands = Vec::new();
    let mut ended = Vec::new();
    app.running.retain_mut(|running| {
        running.sample(now);
        let outcome = running.job.done.borrow().clone();
        let gone = running.job.done.has_changed().is_err();
        if let Some(outcome) = outcome {
            ended.push((running.job.title.clone(), Some(outcome)));
            false
        } else if gone {
            // The engine dropped its end without a word: its worker died.
            ended.push((running.job.title.clone(), None));
            false
        } else {
            true
        }
    });
    if !ended.is_empty() {
        app.pending.next_refresh = now;
        app.pending.next_backups = now;
        app.data.history = None;
    }
    for (title, outcome) in ended {
        if app.settings.bell {
            commands.push(Command::Bell);
        }
        let title = text::clean(&title);
        match outcome {
            Some(outcome) => {
                let role = match outcome.state {
                    JobState::Done => Role::Good,
                    JobState::Failed => Role::Critical,
                    JobState::Running
                    | JobState::Partial
                    | JobState::Interrupted
                    | JobState::Cancelled => Role::Warning,
                };
                let message = text::clean(&outcome.message);
                app.say(
                    role,
                    format!("{title}: {}, {message}", outcome.state.word()),
                );
            }
            None => app.say(
                Role::Critical,
                format!("{title}: its worker failed; see the log"),
            ),
        }
    }
    // A slow answer is waited for: refreshes never overlap. They rest while a plan runs.
    if !app.pending.refresh && now >= app.pending.next_refresh && !app.is_changing() {
        app.pending.refresh = true;
        commands.push(Command::Refresh(visible(app)));
        if !app.pending.jobs {
            app.pending.jobs = true;
            commands.push(Command::Jobs);
        }
    }
    if !app.pending.backups && now >= app.pending.next_backups {
        app.pending.backups = true;
        app.pending.next_backups = now + app.settings.refresh * 5;
        commands.push(Command::Backups);
    }
    commands
}

/// The names on the screen: they are looked at every time.
fn visible(app: &App) -> Vec<crate::volume::ArtifactName> {
    let (Some(rows), Some(survey)) = (app.rows(), app.survey()) else {
        return Vec::new();
    };
    let parts = layout::parts(app.pane, layout::areas(app.screen()).body);
    let window = app
        .place()
        .list
        .window(rows.index.len(), usize::from(layout::list_height(&parts)));
    rows.index
        .get(window)
        .unwrap_or_default()
        .iter()
        .filter_map(|row| survey.artifacts.get(*row as usize))
        .map(|artifact| artifact.name.clone())
        .collect()
}

fn key(app: &mut App, event: KeyEvent) -> Vec<Command> {
    if app.dialog.is_some() {
        let stroke = Stroke::of(event);
        // Dialogs hide all global keys but those of the terminal itself.
        for (name, command) in [("C-l", Command::Redraw), ("C-z", Command::Suspend)] {
            if Stroke::parse(name) == Some(stroke) {
                return vec![command];
            }
        }
        let reply = widgets::key(app, event);
        return replied(app, reply);
    }
    app.notice = None;
    app.place_mut().touched = true;
    if app.filtering {
        return filter_key(app, event);
    }
    let stroke = Stroke::of(event);
    let begun = app.begun.take();
    let looked_up = app.settings.keymap.lookup(app.pane, begun, stroke);
    let looked_up = match (looked_up, begun) {
        // A second stroke that completes nothing means what it means alone.
        (Lookup::Nothing, Some(_)) => app.settings.keymap.lookup(app.pane, None, stroke),
        (other, _) => other,
    };
    match looked_up {
        Lookup::Action(action) => actions::perform(app, action),
        Lookup::Pending => {
            app.begun = Some(stroke);
            Vec::new()
        }
        Lookup::Nothing => Vec::new(),
    }
}

/// What a dialog's answer leads to.
fn replied(app: &mut App, reply: Reply) -> Vec<Command> {
    match reply {
        Reply::Stay => Vec::new(),
        Reply::Close => {
            app.dialog = None;
            Vec::new()
        }
        Reply::Act(action) => {
            app.dialog = None;
            actions::perform(app, action)
        }
        Reply::Plan(intent) => actions::plan(app, intent),
        Reply::Do(command) => {
            app.dialog = None;
            vec![command]
        }
        Reply::Wait(command) => vec![command],
        Reply::AsOf(when) => {
            match report::when::parse(&when, app.moment.now, app.settings.zone) {
                Some(time) => {
                    app.dialog = None;
                    actions::select_as_of(app, time);
                }
                None => {
                    if let Some(Dialog::Prompt(prompt)) = &mut app.dialog {
                        prompt.error =
                            Some("not a time: 18:00, yesterday 18:00, 2026-03-11 18:00".to_owned());
                    }
                }
            }
            Vec::new()
        }
    }
}

/// Keys while the filter line is open; moving still works.
fn filter_key(app: &mut App, event: KeyEvent) -> Vec<Command> {
    let length = app.list_length();
    match event.code {
        KeyCode::Enter | KeyCode::Tab => app.filtering = false,
        KeyCode::Esc => {
            app.filtering = false;
            set_filter(app, String::new());
        }
        KeyCode::Up => app.place_mut().list.step(-1, length),
        KeyCode::Down => app.place_mut().list.step(1, length),
        _ if Some(Stroke::of(event)) == Stroke::parse("C-c") => {
            app.filtering = false;
            set_filter(app, String::new());
        }
        _ => {
            let mut filter = app.rows().map(|r| r.filter.clone()).unwrap_or_default();
            if widgets::edit(&mut filter, event) {
                set_filter(app, filter);
            }
        }
    }
    Vec::new()
}

/// Filters the pane's artifacts; the best fit is selected.
pub fn set_filter(app: &mut App, filter: String) {
    let Some(survey) = app.data.survey.clone() else {
        return;
    };
    let at = app.rows_mut().and_then(|rows| {
        let cleared = filter.is_empty();
        rows.filter = filter;
        // Taking the filter away leaves the selection on its artifact.
        rows.rebuild(&survey).filter(|_| cleared)
    });
    app.place_mut().list.selected = at.unwrap_or(0);
}

fn paste(app: &mut App, pasted: &str) {
    match &mut app.dialog {
        Some(Dialog::Plan(plan)) => plan.paste(),
        Some(Dialog::Prompt(prompt)) => prompt.paste(pasted),
        None if app.filtering => {
            let mut filter = app.rows().map(|r| r.filter.clone()).unwrap_or_default();
            filter.extend(pasted.chars().filter(|c| !c.is_control()));
            set_filter(app, filter);
        }
        Some(_) | None => {}
    }
}

fn mouse(app: &mut App, event: MouseEvent) -> Vec<Command> {
    if app.dialog.is_some() {
        return Vec::new();
    }
    let areas = layout::areas(app.screen());
    let parts = layout::parts(app.pane, areas.body);
    let at = ratatui::layout::Position::new(event.column, event.row);
    let length = app.list_length();
    match event.kind {
        MouseEventKind::ScrollUp => app.place_mut().list.step(-3, length),
        MouseEventKind::ScrollDown => app.place_mut().list.step(3, length),
        MouseEventKind::Down(_) if areas.tabs.contains(at) => {
            if let Some(pane) = super::view::tab_at(app, areas.tabs, event.column) {
                actions::go(app, pane);
            }
        }
        MouseEventKind::Down(_) if parts.list.contains(at) && event.row > parts.list.y => {
            let row = usize::from(event.row - parts.list.y - 1);
            let place = app.place_mut();
            place.list.selected = (place.list.offset + row).min(length.saturating_sub(1));
            app.focus = Focus::List;
            remember(app);
        }
        _ => {}
    }
    Vec::new()
}

/// Notes what the selection is on, so that it follows the thing when rows move.
pub fn remember(app: &mut App) {
    if app.rows().is_some() {
        let name = app.selected_artifact().map(|a| a.name.clone());
        if let Some(rows) = app.rows_mut() {
            rows.anchor = name;
        }
    } else {
        let anchor = app.anchor().filter(|_| app.place().touched);
        app.place_mut().anchor = anchor;
    }
}

/// After every message: selections inside their lists and in sight, the history on its way.
fn settle(app: &mut App, commands: &mut Vec<Command>) {
    let parts = layout::parts(app.pane, layout::areas(app.screen()).body);
    if let Some(anchor) = app.place().anchor.clone()
        && app.anchor().as_ref() != Some(&anchor)
        && let Some(at) = find_anchor(app, &anchor)
    {
        app.place_mut().list.selected = at;
    }
    let length = app.list_length();
    let height = usize::from(layout::list_height(&parts));
    app.place_mut().list.settle(length, height);
    remember(app);
    if app.pane == Pane::Versions {
        let entries = app
            .shown_history()
            .and_then(|h| h.entries.as_ref().ok())
            .map_or(0, Vec::len);
        let height = usize::from(layout::history_height(&parts));
        app.place_mut().detail.settle(entries, height);
        let wanted = app.selected_artifact().map(|a| a.name.clone());
        if let Some(name) = wanted
            && (app.shown_history().is_none() || app.pending.history_stale)
            && app.pending.history.is_none()
        {
            commands.push(Command::Rest(name));
        }
    }
    if app.focus == Focus::Detail && !actions::has_detail(app) {
        app.focus = Focus::List;
    }
}

/// Where the anchored line is now. Lists other than artifacts are short.
fn find_anchor(app: &App, anchor: &str) -> Option<usize> {
    let survey = app.survey();
    match app.pane {
        Pane::Overview => app
            .data
            .findings
            .iter()
            .position(|f| format!("{:?} {}", f.kind, f.subject) == anchor),
        Pane::Partitions => survey?.partitions.iter().position(|p| &*p.name == anchor),
        Pane::Replicas | Pane::Versions => None,
        Pane::Backups => app
            .backups()
            .iter()
            .position(|b| b.id.to_string() == anchor),
        Pane::Cluster => survey?.volumes.iter().position(|v| &*v.label == anchor),
        Pane::Jobs => app.data.jobs.iter().position(|j| j.id == anchor),
    }
}

/// Leaving asks when jobs are running.
pub fn quit(app: &mut App) -> Vec<Command> {
    let leave = |rest| Command::Quit {
        code: 0,
        rest,
        silent: false,
    };
    if app.running.is_empty() {
        return vec![leave(false)];
    }
    let words = app
        .running
        .iter()
        .map(|running| {
            let Snapshot {
                items_done,
                items_total,
                ..
            } = running.now;
            format!(
                "{}: {} of {}",
                text::clean(&running.job.title),
                report::count(items_done),
                report::count(items_total)
            )
        })
        .collect();
    app.dialog = Some(Dialog::Choice(Choice {
        title: report::plural(
            app.running.len() as u64,
            "job is running",
            "jobs are running",
        ),
        words,
        options: vec![
            (
                "Stay".to_owned(),
                "the console stays open".to_owned(),
                Follow::Stay,
            ),
            (
                "Pause and quit".to_owned(),
                "stop at a safe point within 2 s; resume with r at the next start".to_owned(),
                Follow::Do(leave(true)),
            ),
            (
                "Quit now".to_owned(),
                "the step in hand is left as after a crash; resume takes it up again".to_owned(),
                Follow::Do(leave(false)),
            ),
        ],
        selected: 0,
    }));
    Vec::new()
}

/// How long jobs have to come to a safe point when the console leaves.
pub const REST: Duration = Duration::from_millis(1_700);
