//! Changed cells as bytes for the terminal, as few as it takes: over a slow line a cursor move should
//! be answered in a packet. Sixteen colours have short codes, styles are told only where they change,
//! and a short gap is skipped instead of addressed.

use std::fmt::Write as _;

use ratatui::{
    buffer::Cell,
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr;

/// What the terminal's pen is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pen {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

const PLAIN: Pen = Pen {
    fg: Color::Reset,
    bg: Color::Reset,
    modifier: Modifier::empty(),
};

const MODIFIERS: [(Modifier, u8); 6] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::REVERSED, 7),
    (Modifier::CROSSED_OUT, 9),
];

/// The cells (column, row, cell), in the order of reading. The pen is plain before and after.
pub fn encode<'a>(cells: impl Iterator<Item = (u16, u16, &'a Cell)>) -> String {
    let mut out = String::with_capacity(2048);
    let mut pen = PLAIN;
    // Where the next character would go, if that is known.
    let mut at: Option<(u16, u16)> = None;
    for (x, y, cell) in cells {
        // Writing to a string cannot fail.
        let _ = match at {
            Some(here) if here == (x, y) => Ok(()),
            Some((column, row)) if row == y && column < x => write!(out, "\x1b[{}C", x - column),
            _ => write!(out, "\x1b[{};{}H", y + 1, x + 1),
        };
        let wanted = Pen {
            fg: cell.fg,
            bg: cell.bg,
            modifier: cell.modifier,
        };
        if wanted != pen {
            change(&mut out, pen, wanted);
            pen = wanted;
        }
        let symbol = cell.symbol();
        out.push_str(symbol);
        // Terminals do not agree on wide characters: after one, the place is said anew.
        at = (symbol.width() == 1).then_some((x + 1, y));
    }
    if pen != PLAIN {
        out.push_str("\x1b[m");
    }
    out
}

fn change(out: &mut String, from: Pen, to: Pen) {
    let mut codes = String::new();
    let mut code = |words: std::fmt::Arguments<'_>| {
        if !codes.is_empty() {
            codes.push(';');
        }
        let _ = codes.write_fmt(words);
    };
    // Some terminals know no codes that take one attribute away.
    let mut from = from;
    if !(from.modifier - to.modifier).is_empty() {
        code(format_args!("0"));
        from = PLAIN;
    }
    for (modifier, number) in MODIFIERS {
        if to.modifier.contains(modifier) && !from.modifier.contains(modifier) {
            code(format_args!("{number}"));
        }
    }
    for (was, now, base) in [(from.fg, to.fg, 30), (from.bg, to.bg, 40)] {
        if was != now {
            match sixteen(now) {
                Some(number @ 0..8) => code(format_args!("{}", base + number)),
                Some(number) => code(format_args!("{}", base + 52 + number)),
                None => match now {
                    Color::Indexed(index) => code(format_args!("{};5;{index}", base + 8)),
                    Color::Rgb(r, g, b) => code(format_args!("{};2;{r};{g};{b}", base + 8)),
                    _ => code(format_args!("{}", base + 9)),
                },
            }
        }
    }
    let _ = write!(out, "\x1b[{codes}m");
}

/// The number of one of the sixteen colours.
const fn sixteen(color: Color) -> Option<u8> {
    Some(match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use ratatui::{buffer::Buffer, layout::Rect, style::Style};

    use super::*;

    fn encoded(draw: impl Fn(&mut Buffer)) -> String {
        let area = Rect::new(0, 0, 20, 3);
        let before = Buffer::empty(area);
        let mut after = before.clone();
        draw(&mut after);
        encode(before.diff(&after).into_iter())
    }

    #[test]
    fn styles_are_told_where_they_change() {
        let red = Style::new().fg(Color::Red);
        let out = encoded(|b| {
            b.set_string(2, 1, "ab", red);
            b.set_string(4, 1, "c", red.add_modifier(Modifier::BOLD));
            b.set_string(5, 1, "d", Style::new().fg(Color::LightBlue));
        });
        assert_eq!(out, "\x1b[2;3H\x1b[31mab\x1b[1mc\x1b[0;94md\x1b[m");
    }

    #[test]
    fn gaps_are_skipped_and_wide_characters_end_what_is_known() {
        let out = encoded(|b| {
            b.set_string(0, 0, "a", Style::new());
            b.set_string(5, 0, "b漢c", Style::new());
        });
        assert_eq!(out, "\x1b[1;1Ha\x1b[4Cb漢\x1b[1;9Hc");
    }
}
