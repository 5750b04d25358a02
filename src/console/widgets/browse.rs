//! What a backup holds: names with a filter, and marks for those that are wanted back.

use std::collections::BTreeSet;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::{Reply, edit};
use crate::{
    backup::BackupId,
    console::{
        app::Cursor,
        backend::HeldArtifact,
        canvas::{Canvas, centred},
        message::Ticket,
        text,
        theme::Role,
    },
    plan::{Intent, RestoreMode},
    report::{count, plural, size},
    volume::ArtifactName,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowseDialog {
    pub ticket: Ticket,
    pub backup: BackupId,
    /// Why nothing may be restored.
    pub read_only: Option<String>,
    /// `None` while it is read.
    found: Option<Result<Vec<HeldArtifact>, String>>,
    /// The rows that fit the filter.
    fitting: Vec<usize>,
    filter: String,
    filtering: bool,
    cursor: Cursor,
    marks: BTreeSet<usize>,
    /// The answer to a key that did nothing.
    said: Option<String>,
}

impl BrowseDialog {
    pub fn new(ticket: Ticket, backup: BackupId, read_only: Option<String>) -> Self {
        Self {
            ticket,
            backup,
            read_only,
            found: None,
            fitting: Vec::new(),
            filter: String::new(),
            filtering: false,
            cursor: Cursor::default(),
            marks: BTreeSet::new(),
            said: None,
        }
    }

    pub fn take(&mut self, found: Result<Vec<HeldArtifact>, String>) {
        self.found = Some(found);
        self.list();
    }

    fn held(&self) -> &[HeldArtifact] {
        match &self.found {
            Some(Ok(held)) => held,
            _ => &[],
        }
    }

    fn list(&mut self) {
        let wanted = self.filter.to_lowercase();
        let fits = |held: &HeldArtifact| {
            wanted.is_empty() || held.name.to_string().to_lowercase().contains(&wanted)
        };
        let rows = self.held().iter().enumerate();
        self.fitting = rows
            .filter(|(_, held)| fits(held))
            .map(|(row, _)| row)
            .collect();
        self.cursor = Cursor::default();
    }

    pub fn key(&mut self, event: KeyEvent, screen: Rect) -> Reply {
        self.said = None;
        let rows = usize::from(area(screen).height.saturating_sub(4));
        if self.filtering {
            match event.code {
                KeyCode::Enter | KeyCode::Tab => self.filtering = false,
                _ if edit(&mut self.filter, event) => self.list(),
                _ => {}
            }
        } else if let KeyCode::Char(' ') = event.code {
            if let Some(row) = self.selected() {
                if !self.marks.remove(&row) {
                    self.marks.insert(row);
                }
                self.cursor.step(1, self.fitting.len());
            }
        } else if let Some(by) = super::scroll(event, screen.height.saturating_sub(5), true) {
            self.cursor.step(by, self.fitting.len());
        } else {
            match event.code {
                KeyCode::Char('/') => self.filtering = true,
                KeyCode::Char('*') => self.marks.extend(self.fitting.iter().copied()),
                KeyCode::Char('U') => self.marks.clear(),
                KeyCode::Char('q') => return Reply::Close,
                KeyCode::Char('R') => return self.restore(RestoreMode::Exact),
                KeyCode::Char('M') => return self.restore(RestoreMode::Merge),
                _ => {}
            }
        }
        self.cursor.settle(self.fitting.len(), rows);
        Reply::Stay
    }

    fn selected(&self) -> Option<usize> {
        self.fitting.get(self.cursor.selected).copied()
    }

    /// A plan for the marked artifacts, else for the one under the cursor.
    fn restore(&mut self, mode: RestoreMode) -> Reply {
        if let Some(why) = &self.read_only {
            self.said = Some(format!("restore is not possible: {why}"));
            return Reply::Stay;
        }
        let rows: Vec<usize> = if self.marks.is_empty() {
            self.selected().into_iter().collect()
        } else {
            self.marks.iter().copied().collect()
        };
        let names: Vec<ArtifactName> = rows
            .into_iter()
            .filter_map(|row| self.held().get(row))
            .map(|held| held.name.clone())
            .collect();
        if names.is_empty() {
            self.said = Some("nothing is selected".to_owned());
            return Reply::Stay;
        }
        Reply::Plan(Intent::BackupRestore {
            backup: self.backup,
            mode,
            names,
        })
    }

    pub fn draw(&self, canvas: &mut Canvas<'_>, screen: Rect) {
        let title = format!("backup {} holds", self.backup);
        let inner = canvas.frame(area(screen), &title, Role::Title);
        if inner.height < 3 {
            return;
        }
        let last = inner.bottom() - 1;
        let (words, role) = match &self.found {
            None => ("reading the manifest".to_owned(), Role::Dim),
            Some(Err(error)) => (text::clean(error), Role::Critical),
            Some(Ok(_)) if self.filtering || !self.filter.is_empty() => {
                (format!("/{}", text::clean(&self.filter)), Role::Info)
            }
            Some(Ok(held)) => (
                plural(held.len() as u64, "artifact", "artifacts"),
                Role::Dim,
            ),
        };
        let used = canvas.put(inner.x, inner.y, inner.width, &words, role);
        if self.filtering {
            canvas.put(inner.x + used, inner.y, 1, " ", Role::Selected);
        }
        if !self.marks.is_empty() {
            let marked = format!("{} marked", count(self.marks.len() as u64));
            let line = Rect { height: 1, ..inner };
            canvas.put_right(line, &marked, Role::Info);
        }
        let rows = usize::from(inner.height - 2);
        let mut cursor = self.cursor;
        cursor.settle(self.fitting.len(), rows);
        let window = cursor.window(self.fitting.len(), rows);
        for (y, at) in (inner.y + 1..last).zip(window) {
            self.line(canvas, Rect::new(inner.x, y, inner.width, 1), at);
        }
        let hint = self.said.clone().unwrap_or_else(|| {
            "space mark   / filter   R restore   M merge   esc leaves".to_owned()
        });
        let role = if self.said.is_some() {
            Role::Warning
        } else {
            Role::Dim
        };
        canvas.put(inner.x, last, inner.width, &hint, role);
    }

    fn line(&self, canvas: &mut Canvas<'_>, row: Rect, at: usize) {
        let g = canvas.theme.glyphs;
        let Some((number, held)) = self
            .fitting
            .get(at)
            .and_then(|number| Some((*number, self.held().get(*number)?)))
        else {
            return;
        };
        if self.marks.contains(&number) {
            canvas.put(row.x + 2, row.y, 1, g.marked, Role::Info);
        }
        let mut facts = held.size.map_or_else(|| "removed".to_owned(), size);
        if held.versions > 0 {
            facts = format!("{} + {facts}", plural(held.versions, "version", "versions"));
        }
        let room = usize::from(row.width).saturating_sub(text::width(&facts) + 6);
        let name = text::middle(&held.name.to_string(), room, g.ellipsis);
        canvas.put(
            row.x + 4,
            row.y,
            row.width.saturating_sub(4),
            &name,
            Role::Text,
        );
        canvas.put_right(row, &facts, Role::Dim);
        if at == self.cursor.selected {
            canvas.put(row.x, row.y, 1, g.marker, Role::Key);
            let rest = Rect {
                x: row.x + 1,
                width: row.width.saturating_sub(1),
                ..row
            };
            canvas.highlight(rest, Role::Selected);
        }
    }
}

fn area(screen: Rect) -> Rect {
    centred(screen, 90.min(screen.width), screen.height)
}
