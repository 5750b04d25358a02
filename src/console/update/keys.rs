//! Keys, pasted text and the mouse: to the dialog, the filter line, or through the key table to an
//! action.

use crossterm::event::{KeyCode, KeyEvent, MouseEvent, MouseEventKind};

use super::remember;
use crate::{
    console::{
        actions,
        app::{App, Focus},
        keymap::Lookup,
        keys::Stroke,
        layout,
        message::{Command, Message},
        view,
        widgets::{self, Dialog, Reply},
    },
    report,
};

pub(super) fn key(app: &mut App, event: KeyEvent) -> Vec<Command> {
    app.last_key = app.moment.elapsed;
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
pub(super) fn replied(app: &mut App, reply: Reply) -> Vec<Command> {
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
        Reply::Copy(text) => {
            app.dialog = None;
            actions::sent(app, text)
        }
        Reply::Wait(command) => vec![command],
        Reply::AsOf(when, then) => {
            let now = app.moment.now;
            let found = report::when::parse(&when, now, app.settings.zone)
                .ok_or("not a time: 18:00, yesterday 18:00, 2026-03-11 18:00".to_owned())
                .and_then(|time| actions::as_of(app, time, then));
            match found {
                Ok(commands) => return commands,
                Err(why) => {
                    if let Some(Dialog::Prompt(prompt)) = &mut app.dialog {
                        prompt.error = Some(why);
                    }
                }
            }
            Vec::new()
        }
    }
}

/// Keys while the filter line is open; moving still works.
pub(super) fn filter_key(app: &mut App, event: KeyEvent) -> Vec<Command> {
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
            if let Some(rows) = app.rows_mut()
                && widgets::edit(&mut rows.filter, event)
            {
                app.refilter = true;
            }
        }
    }
    Vec::new()
}

/// Whether it is a key that only changes the line of the filter.
pub(super) fn is_typed(app: &App, message: &Message) -> bool {
    let Message::Key(event) = message else {
        return false;
    };
    let letter = matches!(event.code, KeyCode::Char(_) | KeyCode::Backspace);
    app.filtering
        && app.dialog.is_none()
        && letter
        && Some(Stroke::of(*event)) != Stroke::parse("C-c")
}

/// Looks for what fits the line of the filter as it is now.
pub(super) fn refilter(app: &mut App) {
    let filter = app.rows().map(|rows| rows.filter.clone());
    set_filter(app, filter.unwrap_or_default());
}

/// Filters the pane's artifacts; the best fit is selected.
pub fn set_filter(app: &mut App, filter: String) {
    let Some(seen) = app.seen() else {
        return;
    };
    let now = app.moment.now;
    let at = app.rows_mut().and_then(|rows| {
        let cleared = filter.is_empty();
        rows.filter = filter;
        // Taking the filter away leaves the selection on its artifact.
        rows.rebuild(&seen, now).filter(|_| cleared)
    });
    app.place_mut().list.selected = at.unwrap_or(0);
}

pub(super) fn paste(app: &mut App, pasted: &str) {
    match &mut app.dialog {
        Some(Dialog::Plan(plan)) => plan.paste(),
        Some(Dialog::TakeOver(question)) => question.paste(),
        Some(Dialog::Prompt(prompt)) => prompt.paste(pasted),
        None if app.filtering => {
            if let Some(rows) = app.rows_mut() {
                widgets::append(&mut rows.filter, pasted);
                app.refilter = true;
            }
        }
        Some(_) | None => {}
    }
}

pub(super) fn mouse(app: &mut App, event: MouseEvent) -> Vec<Command> {
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
            if let Some(pane) = view::tab_at(app, areas.tabs, event.column) {
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
