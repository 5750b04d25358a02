//! Every key of the pane, made from the table, searchable by typing.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::{Reply, edit};
use crate::console::{
    app::App,
    canvas::{Canvas, centred},
    keymap::{Entry, Keymap, Pane, Panes, TABLE},
    text,
    theme::Role,
};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelpDialog {
    pub filter: String,
    pub offset: usize,
}

/// Where the words of a line begin: on a narrow screen in the place of the names.
const fn words_at(screen: Rect) -> u16 {
    if screen.width < 70 { 14 } else { 30 }
}

/// A line on the screen: of an action the first has its keys and its name.
struct Row {
    keys: String,
    name: &'static str,
    words: String,
    here: bool,
}

impl HelpDialog {
    pub fn key(&mut self, event: KeyEvent, screen: Rect, keymap: &Keymap, pane: Pane) -> Reply {
        match event.code {
            KeyCode::Enter => return Reply::Close,
            KeyCode::Char('?') if self.filter.is_empty() => return Reply::Close,
            _ => {}
        }
        if let Some(by) = super::scroll(event, 10, false) {
            let rows = self.rows(keymap, pane, screen).len();
            let last = rows.saturating_sub(shown(area(screen, rows)));
            self.offset = self.offset.saturating_add_signed(by).min(last);
        } else if edit(&mut self.filter, event) {
            self.offset = 0;
        }
        Reply::Stay
    }

    /// The lines as they are shown: what does not fit beside the name goes on below.
    fn rows(&self, keymap: &Keymap, pane: Pane, screen: Rect) -> Vec<Row> {
        let width = usize::from(area(screen, 0).width.saturating_sub(4 + words_at(screen)));
        let mut rows = Vec::new();
        for (keys, name, help, here) in lines(keymap, pane, &self.filter) {
            let mut first = Some((keys, name));
            for words in text::wrap(&help, width) {
                let (keys, name) = first.take().unwrap_or_default();
                rows.push(Row {
                    keys,
                    name,
                    words,
                    here,
                });
            }
        }
        rows
    }

    pub fn draw(&self, app: &App, canvas: &mut Canvas<'_>, screen: Rect) {
        let lines = self.rows(&app.settings.keymap, app.pane, screen);
        let area = area(screen, lines.len());
        let title = format!("keys in {}", app.pane.names().0);
        let inner = canvas.frame(area, &title, Role::Title);
        super::prompt::draw_line(canvas, inner, &self.filter, true);
        let rows = shown(area);
        let offset = self.offset.min(lines.len().saturating_sub(rows));
        for (y, row) in (inner.y + 1..).zip(lines.iter().skip(offset).take(rows)) {
            let (key_role, role) = if row.here {
                (Role::Key, Role::Text)
            } else {
                (Role::Dim, Role::Dim)
            };
            canvas.put(inner.x, y, 13, &row.keys, key_role);
            let at = words_at(screen);
            canvas.put(inner.x + 14, y, at - 14, row.name, role);
            let room = inner.width.saturating_sub(at);
            canvas.put(inner.x + at, y, room, &row.words, role);
        }
        if lines.is_empty() {
            canvas.put(inner.x, inner.y + 1, inner.width, "nothing fits", Role::Dim);
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

fn area(screen: Rect, lines: usize) -> Rect {
    let height = u16::try_from(lines + 5).unwrap_or(u16::MAX).max(10);
    centred(screen, 112.min(screen.width), height)
}

/// Lines that a frame has room for, beside the typed line, a blank one and the hint.
fn shown(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(5))
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
