//! Lines to read, in colours and by words: how two states of an artifact differ, or a backup and the
//! store.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::Reply;
use crate::{
    console::{
        canvas::{Canvas, centred},
        keymap::Action,
        message::Ticket,
        text,
        theme::Role,
    },
    report::{Line, Tone},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingDialog {
    pub ticket: Ticket,
    pub title: String,
    /// `None` while it is read.
    pub found: Option<Result<Vec<Line>, String>>,
    /// What is said when there are no lines.
    pub nothing: &'static str,
    /// Keys that show something else instead, and the words of the hint for them.
    pub turns: &'static [(char, Action, &'static str)],
    pub scroll: usize,
}

impl ReadingDialog {
    pub fn key(&mut self, event: KeyEvent, screen: Rect) -> Reply {
        if let Some(by) = super::scroll(event, screen.height.saturating_sub(4), true) {
            let area = area(screen);
            let inner = usize::from(area.width.saturating_sub(4));
            let rows = usize::from(area.height.saturating_sub(3));
            let most = self.lines(inner).len().saturating_sub(rows);
            self.scroll = self.scroll.min(most).saturating_add_signed(by).min(most);
            return Reply::Stay;
        }
        match event.code {
            KeyCode::Char('q') | KeyCode::Enter => Reply::Close,
            KeyCode::Char(key) => {
                let turn = self.turns.iter().find(|(turn, ..)| *turn == key);
                turn.map_or(Reply::Stay, |(_, action, _)| Reply::Act(*action))
            }
            _ => Reply::Stay,
        }
    }

    fn lines(&self, width: usize) -> Vec<(String, Role)> {
        let said = |words: &str, role| {
            let lines = text::wrap(words, width);
            lines.into_iter().map(|line| (line, role)).collect()
        };
        match &self.found {
            None => said("reading", Role::Dim),
            Some(Err(error)) => said(&text::clean(error), Role::Critical),
            Some(Ok(lines)) if lines.is_empty() => said(self.nothing, Role::Dim),
            Some(Ok(lines)) => {
                let wrapped = |line: &Line| {
                    let role = role(line.tone);
                    let words = line.text.trim_start_matches(' ');
                    let indent = line.text.len() - words.len();
                    let lines = text::wrap(words, width.saturating_sub(indent)).into_iter();
                    lines
                        .map(move |text| (format!("{:indent$}{text}", ""), role))
                        .collect::<Vec<_>>()
                };
                lines.iter().flat_map(wrapped).collect()
            }
        }
    }

    pub fn draw(&self, canvas: &mut Canvas<'_>, screen: Rect) {
        let inner = canvas.frame(area(screen), &self.title, Role::Title);
        let lines = self.lines(usize::from(inner.width));
        let rows = usize::from(inner.height.saturating_sub(1));
        let from = self.scroll.min(lines.len().saturating_sub(rows));
        let shown = lines.iter().skip(from);
        for (y, (line, role)) in (inner.y..inner.bottom().saturating_sub(1)).zip(shown) {
            canvas.put(inner.x, y, inner.width, line, *role);
        }
        if inner.height > 1 {
            let more = lines.len().saturating_sub(from + rows);
            let mut hints: Vec<String> = Vec::new();
            if more > 0 {
                hints.push(format!("up/down scroll, {more} more lines"));
            }
            hints.extend(
                self.turns
                    .iter()
                    .map(|(key, _, word)| format!("{key} {word}")),
            );
            hints.push("esc leaves".to_owned());
            let hint = hints.join("   ");
            canvas.put(inner.x, inner.bottom() - 1, inner.width, &hint, Role::Dim);
        }
    }
}

fn area(screen: Rect) -> Rect {
    centred(screen, 110.min(screen.width), screen.height)
}

const fn role(tone: Tone) -> Role {
    match tone {
        Tone::Plain => Role::Text,
        Tone::Dim => Role::Dim,
        Tone::Head => Role::Title,
        Tone::Added => Role::Good,
        Tone::Removed => Role::Critical,
        Tone::Changed => Role::Warning,
    }
}
