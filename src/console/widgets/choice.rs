//! One of a few: the volume whose copy is right, what to copy.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::Reply;
use crate::{
    console::{
        canvas::{Canvas, centred},
        text,
        theme::Role,
    },
    plan::Intent,
};

/// What follows when a line is chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Follow {
    Stay,
    Plan(Intent),
    Copy(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub title: String,
    /// Shown above the lines.
    pub words: Vec<String>,
    /// A line, what it means, what follows. The first is the safe one.
    pub options: Vec<(String, String, Follow)>,
    pub selected: usize,
}

impl Choice {
    pub fn key(&mut self, event: KeyEvent) -> Reply {
        let last = self.options.len().saturating_sub(1);
        match event.code {
            KeyCode::Up | KeyCode::Char('k') | KeyCode::BackTab => {
                self.selected = self.selected.saturating_sub(1);
                Reply::Stay
            }
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => {
                self.selected = (self.selected + 1).min(last);
                Reply::Stay
            }
            KeyCode::Char('q') => Reply::Close,
            KeyCode::Enter => match self.options.get(self.selected) {
                None | Some((.., Follow::Stay)) => Reply::Close,
                Some((.., Follow::Plan(intent))) => Reply::Plan(intent.clone()),
                Some((.., Follow::Copy(text))) => Reply::Copy(text.clone()),
            },
            _ => Reply::Stay,
        }
    }

    pub fn draw(&self, canvas: &mut Canvas<'_>, screen: Rect) {
        let width = 72.min(screen.width.saturating_sub(4));
        let inner_width = usize::from(width.saturating_sub(4));
        let words: Vec<_> = self
            .words
            .iter()
            .flat_map(|line| text::wrap(line, inner_width))
            .collect();
        let meanings: Vec<Vec<String>> = self
            .options
            .iter()
            .map(|(_, meaning, _)| text::wrap(meaning, inner_width.saturating_sub(2)))
            .collect();
        let lines = words.len()
            + usize::from(!words.is_empty())
            + meanings.iter().map(|lines| lines.len() + 1).sum::<usize>();
        let height = u16::try_from(lines + 3).unwrap_or(u16::MAX);
        let area = centred(screen, width, height);
        let inner = canvas.frame(area, &self.title, Role::Title);
        let mut y = inner.y;
        for line in &words {
            if y < inner.bottom() {
                canvas.put(inner.x, y, inner.width, line, Role::Text);
            }
            y += 1;
        }
        y += u16::from(!words.is_empty());
        for (at, ((name, ..), meaning)) in self.options.iter().zip(&meanings).enumerate() {
            if y >= inner.bottom() {
                break;
            }
            let chosen = at == self.selected;
            let marker = if chosen {
                canvas.theme.glyphs.marker
            } else {
                " "
            };
            canvas.put(inner.x, y, 2, marker, Role::Key);
            canvas.put(
                inner.x + 2,
                y,
                inner.width.saturating_sub(2),
                name,
                Role::Title,
            );
            if chosen {
                canvas.highlight(Rect::new(inner.x, y, inner.width, 1), Role::Selected);
            }
            y += 1;
            for line in meaning {
                if y + 1 < inner.bottom() {
                    let room = inner.width.saturating_sub(2);
                    canvas.put(inner.x + 2, y, room, line, Role::Dim);
                }
                y += 1;
            }
        }
        if inner.height > 0 {
            let hint = "up/down choose   enter take   esc stay";
            canvas.put(inner.x, inner.bottom() - 1, inner.width, hint, Role::Dim);
        }
    }
}

/// The box that is there while the engine thinks.
pub fn draw_waiting(canvas: &mut Canvas<'_>, screen: Rect, title: &str) {
    let area = centred(screen, 60.min(screen.width.saturating_sub(4)), 5);
    let inner = canvas.frame(area, "planning", Role::Title);
    canvas.put(inner.x, inner.y, inner.width, title, Role::Text);
    canvas.put(
        inner.x,
        inner.y + 1,
        inner.width,
        "looking at the store and making the plan; nothing is changed",
        Role::Dim,
    );
    canvas.put(inner.x, inner.y + 2, inner.width, "esc leaves", Role::Dim);
}
