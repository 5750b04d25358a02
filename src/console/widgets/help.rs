//! Every key of the pane, made from the table, searchable by typing.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::{Reply, edit};
use crate::console::{
    app::App,
    canvas::{Canvas, centred},
    keymap::{Entry, Keymap, Pane, Panes, TABLE},
    theme::Role,
};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelpDialog {
    pub filter: String,
    pub offset: usize,
}

impl HelpDialog {
    pub fn key(&mut self, event: KeyEvent) -> Reply {
        match event.code {
            KeyCode::Enter => return Reply::Close,
            KeyCode::Char('?') if self.filter.is_empty() => return Reply::Close,
            _ => {}
        }
        if let Some(by) = super::scroll(event, 10, false) {
            let last = TABLE.len();
            self.offset = self.offset.saturating_add_signed(by).min(last);
        } else if edit(&mut self.filter, event) {
            self.offset = 0;
        }
        Reply::Stay
    }

    pub fn draw(&self, app: &App, canvas: &mut Canvas<'_>, screen: Rect) {
        let lines = lines(&app.settings.keymap, app.pane, &self.filter);
        let height = u16::try_from(lines.len() + 5).unwrap_or(u16::MAX);
        let area = centred(
            screen,
            112.min(screen.width),
            height.max(10).min(screen.height),
        );
        let title = format!("keys in {}", app.pane.names().0);
        let inner = canvas.frame(area, &title, Role::Title);
        super::prompt::draw_line(canvas, inner, &self.filter, true);
        let rows = usize::from(inner.height.saturating_sub(3));
        let offset = self.offset.min(lines.len().saturating_sub(rows));
        let shown = lines.iter().skip(offset).take(rows);
        for (y, (keys, name, help, here)) in (inner.y + 1..).zip(shown) {
            let (key_role, role) = if *here {
                (Role::Key, Role::Text)
            } else {
                (Role::Dim, Role::Dim)
            };
            canvas.put(inner.x, y, 13, keys, key_role);
            canvas.put(inner.x + 14, y, 15, name, role);
            canvas.put(inner.x + 30, y, inner.width.saturating_sub(30), help, role);
        }
        if inner.height > 1 {
            let more = lines.len().saturating_sub(offset + rows);
            let hint = if more > 0 {
                format!("type to search   up/down scroll, {more} more   esc leaves")
            } else {
                "type to search   dim: in other panes   esc leaves".to_owned()
            };
            canvas.put(inner.x, inner.bottom() - 1, inner.width, &hint, Role::Dim);
        }
    }
}

/// Keys, name, help and whether it is for this pane; the pane's own first.
pub fn lines(
    keymap: &Keymap,
    pane: Pane,
    filter: &str,
) -> Vec<(String, &'static str, String, bool)> {
    let needle = filter.to_lowercase();
    let mut lines: Vec<_> = TABLE
        .iter()
        .map(|entry| {
            let here = entry.panes.has(pane);
            let help = if here || entry.panes == Panes::EVERY {
                entry.help.to_owned()
            } else {
                format!("{} ({})", entry.help, elsewhere(entry))
            };
            (keymap.keys(entry.action), entry.name, help, here)
        })
        .filter(|(keys, name, help, _)| {
            needle.is_empty()
                || keys.to_lowercase().contains(&needle)
                || name.contains(&needle)
                || help.to_lowercase().contains(&needle)
        })
        .collect();
    let general = |name: &str| {
        TABLE
            .iter()
            .any(|entry| entry.name == name && entry.panes == Panes::EVERY)
    };
    lines.sort_by_key(|(_, name, _, here)| (!*here, general(name)));
    lines
}

fn elsewhere(entry: &Entry) -> String {
    Pane::ALL
        .into_iter()
        .filter(|pane| entry.panes.has(*pane))
        .map(|pane| pane.names().0)
        .collect::<Vec<_>>()
        .join(", ")
}
