//! `:`: any action by its words.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::{Reply, edit};
use crate::console::{
    actions,
    app::App,
    canvas::{Canvas, centred},
    keymap::{Entry, Pane, Panes, TABLE},
    text::{self, fuzzy},
    theme::Role,
};

/// The least score of words that hold the whole of what was typed.
const TOGETHER: i32 = 800;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PaletteDialog {
    pub filter: String,
    pub selected: usize,
}

impl PaletteDialog {
    pub fn key(&mut self, event: KeyEvent, pane: Pane) -> Reply {
        let matches = matches(&self.filter, pane);
        match event.code {
            KeyCode::Up | KeyCode::BackTab => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Tab => {
                self.selected = (self.selected + 1).min(matches.len().saturating_sub(1));
            }
            KeyCode::Enter => {
                return matches
                    .get(self.selected)
                    .map_or(Reply::Stay, |entry| Reply::Act(entry.action));
            }
            _ => {
                if edit(&mut self.filter, event) {
                    self.selected = 0;
                }
            }
        }
        Reply::Stay
    }

    pub fn draw(&self, app: &App, canvas: &mut Canvas<'_>, screen: Rect) {
        let matches = matches(&self.filter, app.pane);
        let area = centred(screen, 104.min(screen.width), 20.min(screen.height));
        let inner = canvas.frame(area, "commands", Role::Title);
        super::prompt::draw_line(canvas, inner, &self.filter, true);
        // The selected one in full: the list has room for the beginning of each.
        let full = matches.get(self.selected).map_or_else(Vec::new, |entry| {
            let (words, role) = described(app, entry);
            let lines = text::wrap(&words, usize::from(inner.width)).into_iter();
            lines.map(|line| (line, role)).collect()
        });
        let rows = usize::from(inner.height.saturating_sub(6));
        let below = inner.bottom().saturating_sub(4);
        for (y, (line, role)) in (below..inner.bottom().saturating_sub(1)).zip(&full) {
            if y > inner.y + 1 {
                canvas.put(inner.x, y, inner.width, line, *role);
            }
        }
        let offset = (self.selected + 1).saturating_sub(rows);
        for (at, entry) in matches.iter().enumerate().skip(offset).take(rows) {
            let y = inner.y + 1 + u16::try_from(at - offset).unwrap_or(0);
            let role = if hindrance(app, entry).is_none() {
                Role::Text
            } else {
                Role::Dim
            };
            canvas.put(inner.x + 1, y, 16, entry.name, role);
            canvas.put(
                inner.x + 18,
                y,
                inner.width.saturating_sub(28),
                entry.help,
                role,
            );
            let key = app.settings.keymap.key(entry.action);
            canvas.put_right(Rect::new(inner.x, y, inner.width, 1), &key, Role::Key);
            if at == self.selected {
                canvas.highlight(Rect::new(inner.x, y, inner.width, 1), Role::Selected);
            }
        }
        if matches.is_empty() {
            canvas.put(
                inner.x + 1,
                inner.y + 1,
                inner.width,
                "nothing fits",
                Role::Dim,
            );
        }
        if inner.height > 1 {
            let hint = "up/down choose   enter does it   esc leaves";
            canvas.put(inner.x, inner.bottom() - 1, inner.width, hint, Role::Dim);
        }
    }
}

/// What it does, or why it cannot be done here and now.
fn described(app: &App, entry: &Entry) -> (String, Role) {
    hindrance(app, entry).map_or_else(
        || (entry.help.to_owned(), Role::Info),
        |why| (format!("{}: {why}", entry.help), Role::Warning),
    )
}

fn hindrance(app: &App, entry: &Entry) -> Option<String> {
    actions::refusal(app, entry).map(|why| text::clean(&why))
}

/// The actions that fit: those that hold the word before those that hold its letters, those of the
/// pane before the others, and what is only moving about last.
pub fn matches(filter: &str, pane: Pane) -> Vec<&'static Entry> {
    let needle = filter.to_lowercase();
    let mut found: Vec<_> = TABLE
        .iter()
        .filter_map(|entry| {
            let hay = format!("{} {}", entry.name, entry.help).to_lowercase();
            fuzzy(&hay, &needle).map(|score| (score, entry))
        })
        .collect();
    found.sort_by_key(|(score, entry)| {
        let letters_only = !needle.is_empty() && *score < TOGETHER;
        let general = entry.panes == Panes::EVERY;
        let elsewhere = !entry.panes.has(pane);
        let other = entry.name != needle;
        (
            other,
            letters_only,
            elsewhere,
            -score,
            general,
            entry.rank == 0,
            entry.rank,
        )
    });
    found.into_iter().map(|(_, entry)| entry).collect()
}
