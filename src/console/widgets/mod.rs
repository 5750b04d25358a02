//! What lies over a pane and takes all keys while it is there. Each dialog is a state, a function
//! of keys that says what follows, and a function that draws it.

pub mod browse;
pub mod choice;
pub mod help;
pub mod inspect;
pub mod leave;
pub mod palette;
pub mod plan;
pub mod prompt;
pub mod reading;
pub mod takeover;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use super::{
    app::App,
    canvas::Canvas,
    keymap::Action,
    message::{Command, Ticket},
};
use crate::plan::Intent;

/// What is open.
#[derive(Debug, Clone, PartialEq)]
pub enum Dialog {
    /// A plan is being made.
    Planning {
        ticket: Ticket,
        title: String,
    },
    Plan(plan::PlanDialog),
    Inspect(inspect::InspectDialog),
    Reading(reading::ReadingDialog),
    Browse(browse::BrowseDialog),
    Help(help::HelpDialog),
    Palette(palette::PaletteDialog),
    Prompt(prompt::Prompt),
    Choice(choice::Choice),
    Leave(leave::LeaveDialog),
    TakeOver(takeover::TakeOver),
}

impl Dialog {
    /// Whether it is there for an answer of the engine.
    pub fn waits(&self) -> bool {
        match self {
            Self::Planning { .. } => true,
            Self::Plan(plan) => matches!(plan.state, plan::State::Starting(_)),
            Self::Inspect(inspect) => inspect.found.is_none(),
            _ => false,
        }
    }
}

/// What a key did to a dialog.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Stay,
    Close,
    /// Close, then do the same as this action's key.
    Act(Action),
    /// Close, then make this plan.
    Plan(Intent),
    /// Close, then do this.
    Do(Command),
    /// Close, then hand this to the terminal.
    Copy(String),
    /// The dialog stays and waits for what the command brings.
    Wait(Command),
    /// Find the version that was current then.
    AsOf(String, prompt::AsOf),
}

/// Keys to a dialog: Esc and C-c close every one of them.
pub fn key(app: &mut App, event: KeyEvent) -> Reply {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.code == KeyCode::Esc || (control && event.code == KeyCode::Char('c')) {
        return Reply::Close;
    }
    let (screen, goes_on) = (app.screen(), app.goes_on());
    let Some(dialog) = &mut app.dialog else {
        return Reply::Close;
    };
    match dialog {
        Dialog::Planning { .. } => Reply::Stay,
        Dialog::Plan(plan) => plan.key(event, screen, &mut app.last_ticket),
        Dialog::Inspect(inspect) => inspect.key(event, screen),
        Dialog::Reading(reading) => reading.key(event, screen),
        Dialog::Browse(browse) => browse.key(event, screen),
        Dialog::Help(help) => help.key(event, screen, &app.settings.keymap, app.pane),
        Dialog::Palette(palette) => palette.key(event, app.pane),
        Dialog::Prompt(prompt) => prompt.key(event),
        Dialog::Choice(choice) => choice.key(event),
        Dialog::Leave(leave) => leave.key(goes_on, event),
        Dialog::TakeOver(question) => question.key(event, &mut app.last_ticket),
    }
}

pub fn draw(app: &App, canvas: &mut Canvas<'_>, screen: Rect) {
    match &app.dialog {
        None => {}
        Some(Dialog::Planning { title, .. }) => {
            choice::draw_waiting(canvas, screen, title);
        }
        Some(Dialog::Plan(plan)) => plan.draw(canvas, screen),
        Some(Dialog::Inspect(inspect)) => inspect.draw(app, canvas, screen),
        Some(Dialog::Reading(reading)) => reading.draw(canvas, screen),
        Some(Dialog::Browse(browse)) => browse.draw(canvas, screen),
        Some(Dialog::Help(help)) => help.draw(app, canvas, screen),
        Some(Dialog::Palette(palette)) => palette.draw(app, canvas, screen),
        Some(Dialog::Prompt(prompt)) => prompt.draw(canvas, screen),
        Some(Dialog::Choice(choice)) => choice.draw(canvas, screen),
        Some(Dialog::Leave(leave)) => leave.draw(app, canvas, screen),
        Some(Dialog::TakeOver(question)) => question.draw(app, canvas, screen),
    }
}

/// No name, path or filter is longer. What is pasted by mistake is not looked for in a million names.
const LINE: usize = 4096;

/// A line of text being typed: enough for names, filters and confirmation words.
pub fn edit(text: &mut String, event: KeyEvent) -> bool {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    match event.code {
        KeyCode::Backspace => text.pop().is_some(),
        KeyCode::Char('u') if control => {
            text.clear();
            true
        }
        KeyCode::Char('w') if control => {
            let kept = text.trim_end().rfind(' ').map_or(0, |at| at + 1);
            text.truncate(kept);
            true
        }
        KeyCode::Char(c)
            if !control && !event.modifiers.contains(KeyModifiers::ALT) && !c.is_control() =>
        {
            let room = text.len() < LINE;
            if room {
                text.push(c);
            }
            room
        }
        _ => false,
    }
}

/// Pasted text, as far as there is room for it in a line.
pub fn append(text: &mut String, pasted: &str) {
    let room = LINE.saturating_sub(text.len());
    text.extend(pasted.chars().filter(|c| !c.is_control()).take(room));
}

/// How far a key scrolls a text, in lines; `None` when it is no such key.
pub fn scroll(event: KeyEvent, page: u16, letters: bool) -> Option<isize> {
    let page = isize::try_from(page.max(1)).unwrap_or(1);
    Some(match event.code {
        KeyCode::Up => -1,
        KeyCode::Down => 1,
        KeyCode::PageUp => -page,
        KeyCode::PageDown => page,
        KeyCode::Home => isize::MIN / 2,
        KeyCode::End => isize::MAX / 2,
        KeyCode::Char('k') if letters => -1,
        KeyCode::Char('j' | ' ') if letters => 1,
        KeyCode::Char('g') if letters => isize::MIN / 2,
        KeyCode::Char('G') if letters => isize::MAX / 2,
        _ => return None,
    })
}
