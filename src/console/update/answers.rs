//! Answers of the engine.

use std::sync::Arc;

use super::events;
use crate::console::{
    app::{App, Cursor, History, News, Running},
    backend::{ApplyError, RunningJob},
    keymap::Pane,
    message::{Command, Message, Ticket},
    table::Seen,
    text,
    theme::Role,
    widgets::{
        Dialog,
        plan::{PlanDialog, State},
    },
};

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
        Message::History(name, entries) => {
            app.pending.history = None;
            app.pending.history_stale = false;
            if app.data.history.as_ref().is_none_or(|old| old.name != name) {
                app.place_of(Pane::Versions).detail = Cursor::default();
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
        _ => {}
    }
    Vec::new()
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
    app.running.push(Running::new(job));
    app.pending.jobs = true;
    vec![Command::Jobs]
}
