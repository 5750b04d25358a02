//! Answers of the engine.

use std::sync::Arc;

use super::events;
use crate::console::{
    actions,
    app::{App, Cursor, History, Log, News, Running},
    backend::{ApplyError, RunningJob},
    keymap::Pane,
    message::{Command, Message, Ticket},
    table::Seen,
    text,
    theme::Role,
    widgets::{
        Dialog,
        plan::{PlanDialog, State},
        takeover,
    },
};
use crate::store::lease::LeaseView;

pub(super) fn answered(app: &mut App, message: Message) -> Vec<Command> {
    match message {
        Message::Survey(result) => return surveyed(app, result),
        Message::Agents(table, agents) => {
            app.pending.agents = false;
            // For the table that they were read for: another one asks again.
            let _ = table.agents.set(Arc::new(agents));
            if let Some(seen) = app.seen() {
                let now = app.moment.now;
                for rows in [&mut app.replicas, &mut app.versions] {
                    if rows.needs_agents {
                        rows.rebuild(&seen, now);
                    }
                }
            }
        }
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
        Message::Log(id, lines) => {
            app.pending.log = false;
            let job = app.data.jobs.iter().find(|job| job.id == id);
            app.data.log = job.map(|job| Log {
                upto: (job.state, job.steps_done),
                id,
                lines,
            });
        }
        Message::Lease(lease) => return leased(app, lease),
        Message::Surroundings(found) => {
            app.pending.surroundings = false;
            app.data.surroundings = Some(found);
        }
        Message::TookOver(ticket, result) => return took_over(app, ticket, result),
        Message::History(name, entries) => {
            app.pending.history = None;
            app.pending.history_stale = false;
            if app.data.history.as_ref().is_none_or(|old| old.name != name) {
                app.place_of(Pane::Versions).detail = Cursor::default();
            }
            app.data.history = Some(History { name, entries });
        }
        Message::Pinned(id, pinned, result) => {
            let done = if pinned { "pinned" } else { "unpinned" };
            match result {
                Ok(()) => app.say(Role::Good, format!("backup {id} is {done}")),
                Err(error) => app.say(Role::Critical, text::clean(&error)),
            }
            app.pending.next_backups = app.moment.elapsed;
        }
        Message::Planned(asked, result) => {
            if matches!(&app.dialog, Some(Dialog::Planning { ticket, .. }) if *ticket == asked) {
                app.dialog = None;
                match result {
                    Ok(plan) => {
                        let dialog = PlanDialog::new(plan, &app.settings);
                        app.dialog = Some(Dialog::Plan(dialog));
                    }
                    Err(error) => app.say(Role::Warning, text::clean(&error.to_string())),
                }
            }
        }
        Message::Applied(ticket, result) => return applied(app, ticket, result),
        Message::Started(Ok(job)) => return started(app, job),
        Message::Started(Err(error)) => app.say(Role::Critical, text::clean(&error)),
        other => read(app, other),
    }
    Vec::new()
}

/// A call will never be answered by itself: that it failed is its answer, and it may be made again
/// after a while. Others are still under way.
pub(super) fn unanswered(app: &mut App, asked: Command, why: &str) -> Vec<Command> {
    let failed = format!("a part of the engine failed: {why}");
    let (now, interval) = (app.moment.elapsed, app.settings.refresh);
    let answer = match asked {
        Command::Refresh(_) => Message::Survey(Err(failed)),
        Command::Backups => Message::Backups(Err(failed)),
        Command::Log(id) => Message::Log(id, Err(failed)),
        Command::Surroundings => Message::Surroundings(Err(failed)),
        Command::History(name) => Message::History(name, Err(failed)),
        other => {
            match other {
                Command::Jobs | Command::Audit => app.pending.jobs = false,
                Command::Lease | Command::TakeOver(..) | Command::StepDown => {
                    app.pending.lease = false;
                }
                _ => {}
            }
            return Vec::new();
        }
    };
    let commands = answered(app, answer);
    app.pending.next_refresh = app.pending.next_refresh.max(now + interval * 5);
    app.pending.next_backups = app.pending.next_backups.max(now + interval * 10);
    commands
}

/// What was asked for by a dialog, when that is still open.
fn read(app: &mut App, message: Message) {
    match message {
        Message::Inspected(ticket, found) => {
            if let Some(Dialog::Inspect(dialog)) = &mut app.dialog
                && dialog.ticket == ticket
            {
                dialog.found = Some(found);
            }
        }
        Message::Compared(ticket, found) => {
            if let Some(Dialog::Reading(dialog)) = &mut app.dialog
                && dialog.ticket == ticket
            {
                dialog.found = Some(found);
            }
        }
        Message::Contents(ticket, found) => {
            if let Some(Dialog::Browse(dialog)) = &mut app.dialog
                && dialog.ticket == ticket
            {
                dialog.take(found);
            }
        }
        _ => {}
    }
}

pub(super) fn surveyed(app: &mut App, result: Result<Option<Seen>, String>) -> Vec<Command> {
    app.pending.refresh = false;
    app.pending.next_refresh = app.moment.elapsed + app.settings.refresh;
    let mut news = Vec::new();
    // What is there when the console opens is no news.
    let had_survey = app.survey().is_some();
    match result {
        Ok(changed) => {
            app.data.survey_error = None;
            app.data.fresh = Some(app.moment.elapsed);
            if let Some(seen) = changed {
                for (pane, rows) in [
                    (Pane::Replicas, &mut app.replicas),
                    (Pane::Versions, &mut app.versions),
                ] {
                    let at = rows.rebuild(&seen, app.moment.now);
                    if let (Some(at), Some(place)) = (at, app.places.get_mut(pane.index())) {
                        place.list.selected = at;
                    }
                }
                if let Some(before) = app.seen() {
                    app.marks.follow(&before, &seen);
                    news = events::volumes(&before.survey, &seen.survey);
                    app.data.retired = Some(before);
                }
                app.data.survey = Some(seen.survey);
                app.data.table = seen.table;
                // The old history is shown until the new one arrives.
                app.pending.history_stale = true;
            }
        }
        Err(error) => {
            let error = text::clean(&error);
            if app.data.survey_error.is_none() {
                let words = format!("the store could not be looked at: {error}");
                news.push(News::new(Role::Critical, words));
            }
            app.data.survey_error = Some(error);
        }
    }
    let before = std::mem::take(&mut app.data.findings);
    app.gather_findings();
    events::outdate(app);
    if had_survey {
        news.extend(events::findings(&before, &app.data.findings));
    }
    let mut bells: Vec<_> = news
        .into_iter()
        .filter_map(|news| events::tell(app, news))
        .collect();
    bells.truncate(1);
    bells
}

/// The lease as it is now; what became of it is told.
fn leased(app: &mut App, lease: LeaseView) -> Vec<Command> {
    app.pending.lease = false;
    let key = |lease: &LeaseView| (lease.state, lease.epoch, lease.mine);
    let seen = key(&lease);
    let before = app.data.lease.replace(lease);
    if before.as_ref().map(key) == Some(seen) {
        return Vec::new();
    }
    let known = std::mem::take(&mut app.data.findings);
    app.gather_findings();
    let (Some(before), Some(now)) = (before, app.lease()) else {
        return Vec::new();
    };
    let news = events::lease(&before, now);
    let news = news.or_else(|| events::findings(&known, &app.data.findings));
    news.and_then(|news| events::tell(app, news))
        .into_iter()
        .collect()
}

fn took_over(app: &mut App, asked: Ticket, result: Result<(), String>) -> Vec<Command> {
    let waits = matches!(
        &app.dialog,
        Some(Dialog::TakeOver(question)) if question.state == takeover::State::Trying(asked)
    );
    match result {
        Ok(()) => {
            if waits {
                app.dialog = None;
            }
            app.say(Role::Good, "took the lease over");
        }
        Err(why) => match &mut app.dialog {
            Some(Dialog::TakeOver(question)) if waits => {
                question.state = takeover::State::Failed(why);
            }
            _ => app.say(Role::Critical, text::clean(&why)),
        },
    }
    app.pending.lease = true;
    vec![Command::Lease]
}

pub(super) fn applied(
    app: &mut App,
    ticket: Ticket,
    result: Result<RunningJob, ApplyError>,
) -> Vec<Command> {
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

pub(super) fn started(app: &mut App, job: RunningJob) -> Vec<Command> {
    app.say(Role::Info, format!("started: {}", text::clean(&job.title)));
    if job.changes {
        // The marks were for the plan that now runs.
        app.marks.clear();
    }
    app.running.push(Running::new(job, app.moment.elapsed));
    app.pending.jobs = true;
    vec![actions::jobs_asked(app)]
}
