//! Drawing that cannot leave the screen: every write is clipped to the buffer and to a width.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use super::{
    text,
    theme::{Role, Theme},
};

/// A piece of text with its role.
pub type Piece = (String, Role);

/// A buffer with a theme.
#[derive(Debug)]
pub struct Canvas<'a> {
    buffer: &'a mut Buffer,
    pub theme: Theme,
}

impl<'a> Canvas<'a> {
    pub const fn new(buffer: &'a mut Buffer, theme: Theme) -> Self {
        Self { buffer, theme }
    }

    /// The column behind the last one.
    pub const fn right(&self) -> u16 {
        self.buffer.area.x + self.buffer.area.width
    }

    /// The cursor's row: everything in it, so that it is seen at both ends.
    pub fn highlight(&mut self, area: Rect, role: Role) {
        let style = self.theme.style(role);
        let area = area.intersection(self.buffer.area);
        if role == Role::Selected {
            // Colours under reverse become backgrounds, and rows of many colours: plain is calmer.
            for position in area.positions() {
                if let Some(cell) = self.buffer.cell_mut(position) {
                    cell.set_style(Style::reset().patch(style));
                }
            }
        } else {
            self.buffer.set_style(area, style);
        }
    }

    /// Writes up to `columns` of `text`, cut at the end; returns the columns used.
    pub fn put(&mut self, x: u16, y: u16, columns: u16, text: &str, role: Role) -> u16 {
        let style = self.theme.style(role);
        self.put_styled(x, y, columns, text, style)
    }

    pub fn put_styled(&mut self, x: u16, y: u16, columns: u16, text: &str, style: Style) -> u16 {
        let area = self.buffer.area;
        let columns = columns.min(area.right().saturating_sub(x));
        if y < area.top() || y >= area.bottom() || x < area.left() || columns == 0 {
            return 0;
        }
        let shown = text::end(text, usize::from(columns), self.theme.glyphs.ellipsis);
        let (end, _) = self
            .buffer
            .set_stringn(x, y, &shown, usize::from(columns), style);
        end.saturating_sub(x)
    }

    /// Writes at the right edge of `area`'s first line.
    pub fn put_right(&mut self, area: Rect, text: &str, role: Role) {
        let width = u16::try_from(text::width(text)).unwrap_or(u16::MAX);
        let width = width.min(area.width);
        self.put(area.right() - width, area.y, width, text, role);
    }

    /// Pieces one after the other; returns the columns used.
    pub fn pieces(&mut self, x: u16, y: u16, columns: u16, pieces: &[Piece]) -> u16 {
        let mut used = 0;
        for (text, role) in pieces {
            used += self.put(x + used, y, columns.saturating_sub(used), text, *role);
        }
        used
    }

    pub fn rule(&mut self, area: Rect) {
        let rule = self.theme.glyphs.rule.repeat(usize::from(area.width));
        self.put(area.x, area.y, area.width, &rule, Role::Dim);
    }

    /// A rule with words in it: `── versions ──────`.
    pub fn heading(&mut self, area: Rect, words: &str, role: Role) {
        if area.height == 0 {
            return;
        }
        self.rule(area);
        if area.width > 4 {
            self.put(
                area.x + 2,
                area.y,
                area.width.saturating_sub(3),
                &format!(" {words} "),
                role,
            );
        }
    }

    /// A line down the left edge of a part.
    pub fn divider(&mut self, x: u16, top: u16, height: u16) {
        for y in top..top.saturating_add(height) {
            self.put(x, y, 1, self.theme.glyphs.vertical, Role::Dim);
        }
    }

    /// Clears an area and draws a frame with a title around it; returns the inside.
    pub fn frame(&mut self, area: Rect, title: &str, role: Role) -> Rect {
        let screen = self.buffer.area;
        let area = area.intersection(screen);
        // A column of air on both sides keeps what lies below apart.
        let cleared = Rect {
            x: area.x.saturating_sub(1),
            width: area.width.saturating_add(2),
            ..area
        };
        for position in cleared.intersection(screen).positions() {
            if let Some(cell) = self.buffer.cell_mut(position) {
                cell.reset();
            }
        }
        if area.width < 2 || area.height < 2 {
            return Rect {
                width: 0,
                height: 0,
                ..area
            };
        }
        let g = self.theme.glyphs;
        let [top_left, top_right, bottom_left, bottom_right] = g.corners;
        let line = g.rule.repeat(usize::from(area.width) - 2);
        let top = format!("{top_left}{line}{top_right}");
        let bottom = format!("{bottom_left}{line}{bottom_right}");
        self.put(area.x, area.y, area.width, &top, role);
        self.put(area.x, area.bottom() - 1, area.width, &bottom, role);
        for y in area.top() + 1..area.bottom() - 1 {
            self.put(area.x, y, 1, g.vertical, role);
            self.put(area.right() - 1, y, 1, g.vertical, role);
        }
        if !title.is_empty() && area.width > 6 {
            let style = self.theme.style(role).add_modifier(Modifier::BOLD);
            self.put_styled(
                area.x + 2,
                area.y,
                area.width - 4,
                &format!(" {title} "),
                style,
            );
        }
        Rect::new(
            area.x + 2,
            area.y + 1,
            area.width.saturating_sub(4),
            area.height - 2,
        )
    }

    /// A bar of `width` columns, `share` of it full, with a mark where `mark` lies.
    pub fn bar(&mut self, x: u16, y: u16, width: u16, share: f64, mark: Option<f64>, role: Role) {
        let full = columns(share, width);
        let g = self.theme.glyphs;
        self.put(x, y, full, &g.bar_full.repeat(usize::from(full)), role);
        let empty = g.bar_empty.repeat(usize::from(width - full));
        self.put(x + full, y, width - full, &empty, Role::Dim);
        if let Some(mark) = mark {
            let at = columns(mark, width).min(width.saturating_sub(1));
            self.put(x + at, y, 1, g.bar_mark, Role::Title);
        }
    }

    /// Places the bold style of a heading over what is there.
    pub fn embolden(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        self.buffer
            .set_style(area, Style::new().add_modifier(Modifier::BOLD));
    }
}

/// Columns that a share takes; at least one when there is anything.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn columns(share: f64, width: u16) -> u16 {
    if share <= 0.0 || share.is_nan() || width == 0 {
        return 0;
    }
    let full = (share.min(1.0) * f64::from(width)).round() as u16;
    full.clamp(1, width)
}

/// A rectangle of at most `width` × `height` in the middle of `area`.
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect::new(
        area.x + (area.width - width) / 2,
        area.y + (area.height - height) / 2,
        width,
        height,
    )
}
