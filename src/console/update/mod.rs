//! Messages change the state here, and nowhere else. What cannot be done in memory comes out as
//! commands; so the whole console runs headless in tests.

mod answers;
mod events;
mod keys;
mod leave;
mod tick;

use crossterm::event::KeyEventKind;

use super::{
    actions,
    app::{App, Focus},
    keymap::Pane,
    layout,
    message::{Command, Message},
    theme::Role,
    widgets::Dialog,
};

pub use keys::set_filter;
pub use leave::{REST, quit};

/// What the console does before anything else happens.
pub fn begin(app: &mut App) -> Vec<Command> {
    app.pending.refresh = true;
    app.pending.backups = true;
    app.pending.jobs = true;
    app.pending.next_backups = app.settings.refresh * 5;
    app.pending.lease = true;
    vec![
        Command::Lease,
        Command::Refresh(Vec::new()),
        Command::Backups,
        Command::Jobs,
    ]
}

/// One message, and what follows from it.
pub fn update(app: &mut App, message: Message) -> Vec<Command> {
    let mut commands = take(app, message);
    finish(app, &mut commands);
    commands
}

/// One of several messages that came together. Letters of a filter only change its line: what fits is
/// looked for when another message needs to know, or in [`finish`], and so once for all of them.
pub fn take(app: &mut App, message: Message) -> Vec<Command> {
    let mut commands = Vec::new();
    if !keys::is_typed(app, &message) {
        finish(app, &mut commands);
    }
    commands.extend(changed(app, message));
    if !app.refilter {
        settle(app, &mut commands);
    }
    commands
}

/// Before the screen is drawn: what the messages left to do.
pub fn finish(app: &mut App, commands: &mut Vec<Command>) {
    if std::mem::take(&mut app.refilter) {
        keys::refilter(app);
        settle(app, commands);
    }
}

fn changed(app: &mut App, message: Message) -> Vec<Command> {
    match message {
        Message::Key(event) if event.kind == KeyEventKind::Release => Vec::new(),
        Message::Key(event) => keys::key(app, event),
        Message::Paste(text) => {
            keys::paste(app, &text);
            Vec::new()
        }
        Message::Mouse(event) => keys::mouse(app, event),
        Message::Resize(columns, rows) => {
            app.size = (columns, rows);
            // Even to the same size: in between it may have been another, and the screen with it.
            vec![Command::Redraw]
        }
        Message::Tick(moment) => tick::tick(app, moment),
        Message::HangUp => vec![Command::Quit {
            code: 129,
            silent: true,
        }],
        Message::Leave(code) => vec![Command::Quit {
            code,
            silent: false,
        }],
        Message::Continued => vec![Command::Reenter],
        Message::Written => Vec::new(),
        Message::Panicked(asked, what) => {
            let commands = asked.map(|asked| answers::unanswered(app, *asked, &what));
            // What waits for an answer waits in vain.
            if app.dialog.as_ref().is_some_and(Dialog::waits) {
                app.dialog = None;
            }
            app.say(
                Role::Critical,
                format!("a part of the engine failed: {what}; see the log"),
            );
            commands.unwrap_or_default()
        }
        answer => answers::answered(app, answer),
    }
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
    if app.pane == Pane::Cluster && app.data.surroundings.is_none() && !app.pending.surroundings {
        commands.extend(tick::look_round(app));
    }
    if app.pane == Pane::Jobs
        && app.log_is_stale()
        && !app.pending.log
        && let Some(job) = app.selected_job()
    {
        commands.push(Command::Log(job.id.clone()));
        app.pending.log = true;
    }
    if app.rows().is_some_and(|rows| rows.needs_agents) && !app.pending.agents {
        app.pending.agents = true;
        commands.push(Command::Agents);
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
