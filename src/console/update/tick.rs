//! Time passes: what is due is asked for, running jobs are sampled.

use super::events;
use crate::{
    console::{
        actions,
        app::{App, News},
        keymap::{Action, Pane},
        layout,
        message::{Command, Moment},
        text,
        theme::Role,
        widgets::Dialog,
    },
    journal::JobState,
};

pub(super) fn tick(app: &mut App, moment: Moment) -> Vec<Command> {
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
    let mut next = None;
    app.running.retain_mut(|running| {
        running.sample(now);
        let outcome = running.job.done.borrow().clone();
        let gone = running.job.done.has_changed().is_err();
        if let Some(outcome) = outcome {
            // What follows opens by itself only for who waits for it: keys that were meant for
            // something else must not land in its dialog.
            let waited_for = app.last_key <= running.begun && app.dialog.is_none();
            if waited_for && outcome.state != JobState::Cancelled {
                next = outcome.then.clone().or(next.take());
            }
            let offered = outcome.then.is_some() && next.is_none();
            ended.push((running.job.title.clone(), Some(outcome), offered));
            false
        } else if gone {
            // The engine dropped its end without a word: its worker died.
            ended.push((running.job.title.clone(), None, false));
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
    if app.running.is_empty() && matches!(app.dialog, Some(Dialog::Leave(_))) {
        // Its question has no object any more; the notice says how the last job ended.
        app.dialog = None;
    }
    events::pass(app);
    for (title, outcome, offered) in ended {
        let title = text::clean(&title);
        let (role, mut words) = match outcome {
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
                (
                    role,
                    format!("{title}: {}, {message}", outcome.state.word()),
                )
            }
            None => (
                Role::Critical,
                format!("{title}: its worker failed; see the log"),
            ),
        };
        if offered {
            let key = app.settings.keymap.key(Action::FixAll);
            words = format!("{words}; {key} in Overview repairs what it left to repair");
        }
        commands.extend(events::tell_first(app, News::new(role, words)));
    }
    if let Some(intent) = next {
        commands.extend(actions::plan(app, intent));
    }
    // A slow answer is waited for: refreshes never overlap. They rest while a plan runs.
    if !app.pending.refresh && now >= app.pending.next_refresh && !app.is_changing() {
        app.pending.refresh = true;
        commands.push(Command::Refresh(visible(app)));
        if !app.pending.jobs {
            app.pending.jobs = true;
            commands.push(actions::jobs_asked(app));
        }
    }
    // The engine watches the lease by itself; this only asks what it saw.
    if !app.pending.lease && app.lease().is_none_or(|lease| lease.enabled) {
        app.pending.lease = true;
        commands.push(Command::Lease);
    }
    if app.pane == Pane::Cluster && now >= app.pending.next_surroundings {
        commands.extend(look_round(app));
    }
    if !app.pending.backups && now >= app.pending.next_backups {
        app.pending.backups = true;
        app.pending.next_backups = now + app.settings.refresh * 5;
        commands.push(Command::Backups);
    }
    commands
}

/// Asks for what only the Cluster pane shows.
pub(super) fn look_round(app: &mut App) -> Option<Command> {
    if app.pending.surroundings {
        return None;
    }
    app.pending.surroundings = true;
    app.pending.next_surroundings = app.moment.elapsed + app.settings.refresh;
    Some(Command::Surroundings)
}

/// The names on the screen: they are looked at every time.
pub(super) fn visible(app: &App) -> Vec<crate::volume::ArtifactName> {
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
