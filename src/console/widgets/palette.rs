//! `:`: any action by its words.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::{Reply, edit};
use crate::console::{
    app::App,
    canvas::{Canvas, centred},
    keymap::{Entry, Pane, TABLE},
    text::fuzzy,
    theme::Role,
};

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
        let area = centred(screen, 104.min(screen.width), 16.min(screen.height));
        let inner = canvas.frame(area, "commands", Role::Title);
        super::prompt::draw_line(canvas, inner, &self.filter, true);
        let rows = usize::from(inner.height.saturating_sub(2));
        let offset = (self.selected + 1).saturating_sub(rows);
        for (at, entry) in matches.iter().enumerate().skip(offset).take(rows) {
            let y = inner.y + 1 + u16::try_from(at - offset).unwrap_or(0);
            let role = if entry.panes.has(app.pane) {
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

/// The actions that fit, best first; those of the pane before the others.
pub fn matches(filter: &str, pane: Pane) -> Vec<&'static Entry> {
    let needle = filter.to_lowercase();
    let mut found: Vec<_> = TABLE
        .iter()
        .filter_map(|entry| {
            let hay = format!("{} {}", entry.name, entry.help).to_lowercase();
            fuzzy(&hay, &needle).map(|score| (!entry.panes.has(pane), -score, entry))
        })
        .collect();
    found.sort_by_key(|(elsewhere, score, _)| (*elsewhere, *score));
    found.into_iter().map(|(.., entry)| entry).collect()
}
