//! Leaving while jobs run. It shows them as they are now, and closes by itself when the last one
//! has ended: then nothing is left to ask.
//!
//! A job lives in this process and holds the lock on its journal, so "continue detached" means that
//! another process takes it up from its journal when this one has ended. Plans can go on so; backups
//! and verifications have nothing to go on from. Inside tmux or screen the console itself can be
//! detached, and the dialog says so.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::Reply;
use crate::{
    console::{
        app::App,
        canvas::{Canvas, centred},
        message::Command,
        text,
        theme::Role,
        view,
    },
    report,
};

/// Lines of jobs that are shown.
const MOST: usize = 6;

/// Which answer the cursor is on; the first is the safe one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaveDialog {
    #[default]
    Stay,
    Pause,
    Detach,
}

impl LeaveDialog {
    /// The answers that there are; with plans running that can do so they can go on.
    fn answers(goes_on: bool) -> &'static [Self] {
        if goes_on {
            &[Self::Stay, Self::Pause, Self::Detach]
        } else {
            &[Self::Stay, Self::Pause]
        }
    }

    pub fn key(&mut self, goes_on: bool, event: KeyEvent) -> Reply {
        let answers = Self::answers(goes_on);
        let at = answers.iter().position(|answer| answer == self);
        let (at, last) = (at.unwrap_or(0), answers.len() - 1);
        let mut go = |to: usize| *self = answers.get(to).copied().unwrap_or_default();
        match event.code {
            KeyCode::Up | KeyCode::Char('k') => go(at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => go((at + 1).min(last)),
            KeyCode::Tab => go((at + 1) % answers.len()),
            KeyCode::BackTab => go(at.checked_sub(1).unwrap_or(last)),
            KeyCode::Char('q') => return Reply::Close,
            KeyCode::Enter => {
                return match answers.get(at).copied().unwrap_or_default() {
                    Self::Stay => Reply::Close,
                    Self::Pause => Reply::Do(Command::Quit {
                        code: 0,
                        silent: false,
                    }),
                    Self::Detach => Reply::Do(Command::Detach),
                };
            }
            _ => {}
        }
        Reply::Stay
    }

    pub fn draw(self, app: &App, canvas: &mut Canvas<'_>, screen: Rect) {
        let jobs = app.running.len();
        let shown = jobs.min(MOST);
        let more = u16::from(jobs > shown);
        let rows = u16::try_from(shown).unwrap_or(0) + more;
        let width = 76.min(screen.width.saturating_sub(4));
        let answers = Self::answers(app.goes_on());
        let lines = 2 * u16::try_from(answers.len()).unwrap_or(0);
        let area = centred(screen, width, rows + lines + 5);
        let title = report::plural(jobs as u64, "job is running", "jobs are running");
        let inner = canvas.frame(area, &title, Role::Warning);
        let mut y = inner.y;
        let mut line = |canvas: &mut Canvas<'_>, words: &str, role| {
            if y < inner.bottom() {
                canvas.put(inner.x, y, inner.width, words, role);
            }
            y += 1;
            y - 1
        };
        for running in app.running.iter().take(shown) {
            let words = view::progress_words(running).join("  ");
            let used = text::width(&words) + 2;
            let room = usize::from(inner.width).saturating_sub(used);
            let ellipsis = canvas.theme.glyphs.ellipsis;
            let title = text::middle(&text::clean(&running.job.title), room, ellipsis);
            let at = line(canvas, &title, Role::Text);
            if at < inner.bottom() {
                let row = Rect {
                    y: at,
                    height: 1,
                    ..inner
                };
                canvas.put_right(row, &words, Role::Dim);
            }
        }
        if more > 0 {
            line(canvas, &format!("and {} more", jobs - shown), Role::Dim);
        }
        line(canvas, "", Role::Text);
        let stay = if app.settings.multiplexed {
            "the console stays; tmux or screen can be detached from it"
        } else {
            "the console stays open"
        };
        let chosen = answers.iter().find(|answer| **answer == self);
        let chosen = chosen.copied().unwrap_or_default();
        for answer in answers.iter().copied() {
            let (name, meaning) = match answer {
                Self::Stay => ("Stay", stay),
                Self::Pause => (
                    "Pause and quit",
                    "plans stop at a safe point within 2 s, r resumes; others start anew",
                ),
                Self::Detach => (
                    "Continue detached",
                    "plans go on in a process of their own; others start anew",
                ),
            };
            let at = line(canvas, &format!("  {name}"), Role::Title);
            if answer == chosen && at < inner.bottom() {
                canvas.put(inner.x, at, 1, canvas.theme.glyphs.marker, Role::Key);
                let row = Rect::new(inner.x + 1, at, inner.width.saturating_sub(1), 1);
                canvas.highlight(row, Role::Selected);
            }
            line(canvas, &format!("    {meaning}"), Role::Dim);
        }
        line(canvas, "", Role::Text);
        line(canvas, "up/down choose   enter take   esc stay", Role::Dim);
    }
}
