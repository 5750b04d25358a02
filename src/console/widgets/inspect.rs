//! One copy or version from the inside: header, blocks, provenance, signer, and the verdict with
//! what it rests on.

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use super::Reply;
use crate::{
    console::{
        app::App,
        backend::Inspection,
        canvas::{Canvas, Piece, centred},
        message::Ticket,
        text,
        theme::{Role, Theme},
    },
    report::{Zone, size},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectDialog {
    pub ticket: Ticket,
    pub title: String,
    /// `None` while it is read and verified.
    pub found: Option<Result<Inspection, String>>,
    pub scroll: usize,
}

impl InspectDialog {
    pub fn key(&mut self, event: KeyEvent, screen: Rect) -> Reply {
        if let Some(by) = super::scroll(event, screen.height.saturating_sub(4), true) {
            // The drawing clamps what is too far; here only the overflow is kept away.
            let most = self.line_count(screen);
            self.scroll = self.scroll.min(most).saturating_add_signed(by).min(most);
            return Reply::Stay;
        }
        match event.code {
            crossterm::event::KeyCode::Char('q' | 'i') | crossterm::event::KeyCode::Enter => {
                Reply::Close
            }
            _ => Reply::Stay,
        }
    }

    /// An upper bound of the lines, whatever the width: none is wrapped to less than half.
    fn line_count(&self, screen: Rect) -> usize {
        match &self.found {
            Some(Ok(found)) => {
                let width = usize::from(screen.width.saturating_sub(4)).clamp(1, 106);
                let theme = Theme::new(crate::console::theme::ThemeName::Mono, true);
                let rows = usize::from(screen.height.saturating_sub(3));
                lines(found, width, theme, Zone::default())
                    .len()
                    .saturating_sub(rows)
            }
            _ => 0,
        }
    }

    pub fn draw(&self, app: &App, canvas: &mut Canvas<'_>, screen: Rect) {
        let area = centred(screen, 110.min(screen.width), screen.height);
        let inner = canvas.frame(area, &self.title, Role::Title);
        match &self.found {
            None => {
                canvas.put(
                    inner.x,
                    inner.y,
                    inner.width,
                    "reading and verifying every byte …",
                    Role::Dim,
                );
            }
            Some(Err(error)) => {
                let words = text::wrap(&text::clean(error), usize::from(inner.width));
                let last = inner.bottom().saturating_sub(1);
                for (y, line) in (inner.y..last).zip(words) {
                    canvas.put(inner.x, y, inner.width, &line, Role::Critical);
                }
                if inner.height > 1 {
                    canvas.put(inner.x, last, inner.width, "esc leaves", Role::Dim);
                }
            }
            Some(Ok(found)) => {
                let lines = lines(
                    found,
                    usize::from(inner.width),
                    canvas.theme,
                    app.settings.zone,
                );
                let rows = usize::from(inner.height.saturating_sub(1));
                let from = self.scroll.min(lines.len().saturating_sub(rows));
                for (y, line) in
                    (inner.y..inner.bottom().saturating_sub(1)).zip(lines.iter().skip(from))
                {
                    canvas.pieces(inner.x, y, inner.width, line);
                }
                if inner.height > 1 {
                    let more = lines.len().saturating_sub(from + rows);
                    let hint = if more > 0 {
                        format!("up/down scroll, {more} more lines   esc leaves")
                    } else {
                        "esc leaves".to_owned()
                    };
                    canvas.put(inner.x, inner.bottom() - 1, inner.width, &hint, Role::Dim);
                }
            }
        }
    }
}

fn lines(found: &Inspection, width: usize, theme: Theme, zone: Zone) -> Vec<Vec<Piece>> {
    let mut lines: Vec<Vec<Piece>> = Vec::new();
    let g = theme.glyphs;
    let (glyph, role) = match found.verdict.as_str() {
        "intact" => (g.ok_deep, Role::Good),
        "damaged" => (g.corrupt, Role::Critical),
        _ => (g.info, Role::Warning),
    };
    lines.push(vec![
        (format!("{glyph} {}", found.verdict), role),
        (format!("  {}", found.class), role),
        (
            format!("   {}   {}", found.what, size(found.size)),
            Role::Text,
        ),
    ]);
    lines.push(vec![(
        text::middle(&text::clean(&found.path), width, g.ellipsis),
        Role::Dim,
    )]);
    for error in &found.errors {
        for line in text::wrap(&text::clean(error), width.saturating_sub(2)) {
            lines.push(vec![(format!("  {line}"), Role::Critical)]);
        }
    }
    if !found.checked.is_empty() {
        let separator = format!(" {} ", g.separator);
        let words = format!("checked: {}", found.checked.join(&separator));
        lines.extend(
            text::wrap(&words, width)
                .into_iter()
                .map(|l| vec![(l, Role::Dim)]),
        );
    }
    let head = |words: &str| {
        let words = format!("{0}{0} {words} ", g.rule);
        let rest = width.saturating_sub(text::width(&words));
        vec![(words, Role::Title), (g.rule.repeat(rest), Role::Dim)]
    };
    let field = |label: &str, value: &str| {
        vec![
            (format!("  {label:<14} "), Role::Dim),
            (
                text::middle(&text::clean(value), width.saturating_sub(17), g.ellipsis),
                Role::Text,
            ),
        ]
    };
    lines.push(head("header"));
    for (label, value) in &found.header {
        lines.push(field(label, value));
    }
    let signer = found.signer.as_deref().unwrap_or("not known");
    lines.push(field("signer", signer));
    lines.push(head(&format!("{} blocks", found.blocks.len())));
    push_blocks(&mut lines, found, width, theme);
    lines.push(head(&format!(
        "{} provenance entries",
        found.provenance.len()
    )));
    for entry in &found.provenance {
        let at = entry
            .at
            .map_or_else(|| "no time".to_owned(), |at| zone.full(at));
        lines.push(vec![
            (format!("  {at}  "), Role::Dim),
            (format!("{:<14} ", text::clean(&entry.action)), Role::Text),
            (text::clean(&entry.agent), Role::Dim),
            (
                entry
                    .fault
                    .as_deref()
                    .map(|f| format!("  {}", text::clean(f)))
                    .unwrap_or_default(),
                Role::Critical,
            ),
        ]);
    }
    lines
}

fn push_blocks(lines: &mut Vec<Vec<Piece>>, found: &Inspection, width: usize, theme: Theme) {
    let g = theme.glyphs;
    for (at, block) in found.blocks.iter().enumerate() {
        let hash: String = block.hash.chars().take(12).collect();
        lines.push(vec![
            (
                format!("  {:>2}  {:<5}", at + 1, text::clean(&block.kind)),
                Role::Title,
            ),
            (format!("{:>10}  ", size(block.size)), Role::Text),
            (format!("{hash}  "), Role::Dim),
            (
                block.fault.as_deref().map(text::clean).unwrap_or_default(),
                Role::Critical,
            ),
        ]);
        if !block.metadata.is_empty() {
            let words = text::end(
                &text::clean(&block.metadata),
                width.saturating_sub(6),
                g.ellipsis,
            );
            lines.push(vec![(format!("      {words}"), Role::Dim)]);
        }
        for line in block.preview.iter().flat_map(|p| p.lines()).take(12) {
            let words = text::end(&text::clean(line), width.saturating_sub(8), g.ellipsis);
            lines.push(vec![
                (format!("      {} ", g.vertical), Role::Dim),
                (words, Role::Text),
            ]);
        }
    }
}
