//! Text by display width: cut in the middle, padded, wrapped. What comes from a disk goes through
//! `escape` first, since a terminal would obey or hide some of its characters.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub use crate::volume::name::escape;

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Text from outside (an agent's name, an error from the system) on one line, nothing hidden.
pub fn clean(text: &str) -> String {
    escape(text.as_bytes()).replace("\\\\", "\\")
}

/// Cuts to `columns`, with the ellipsis in the middle: the ends of names tell them apart.
pub fn middle(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    if room == 0 {
        return take(text.chars(), columns);
    }
    let tail_room = room / 2;
    let head = take(text.chars(), room - tail_room);
    let tail: String = take(text.chars().rev(), tail_room).chars().rev().collect();
    format!("{head}{ellipsis}{tail}")
}

/// Cuts to `columns` at the end: for sentences.
pub fn end(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    if room == 0 {
        return take(text.chars(), columns);
    }
    format!("{}{ellipsis}", take(text.chars(), room))
}

fn take(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

/// Wraps at spaces to lines of at most `columns`; a longer word is broken.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let needed = width(&line) + usize::from(!line.is_empty()) + width(word);
            if !line.is_empty() && needed > columns {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            let mut rest = word;
            while width(&line) + width(rest) > columns {
                let part = take(rest.chars(), columns.saturating_sub(width(&line)).max(1));
                let Some(after) = rest.get(part.len()..).filter(|_| !part.is_empty()) else {
                    break;
                };
                line.push_str(&part);
                lines.push(std::mem::take(&mut line));
                rest = after;
            }
            line.push_str(rest);
        }
        lines.push(line);
    }
    lines
}

/// How well `needle` fits into `hay` as a subsequence (both lower case): `None` when not, greater
/// is better. Runs and beginnings of words count.
pub fn fuzzy(hay: &str, needle: &str) -> Option<i32> {
    if needle.is_empty() {
        return Some(0);
    }
    if let Some(at) = hay.find(needle) {
        let start = i32::from(at == 0) * 50;
        return Some(1000 + start - i32::try_from(at.min(200)).unwrap_or(200));
    }
    let (mut score, mut run, mut before) = (0, 0, ' ');
    let mut wanted = needle.chars().filter(|c| *c != ' ').peekable();
    for c in hay.chars() {
        if wanted.peek() == Some(&c) {
            wanted.next();
            run += 1;
            score += run * 2 + i32::from(!before.is_alphanumeric()) * 5;
        } else {
            run = 0;
            score -= 1;
        }
        before = c;
    }
    wanted.peek().is_none().then_some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_in_the_middle_by_display_width() {
        assert_eq!(middle("report-2026-03-11", 9, "…"), "repo…3-11");
        assert_eq!(middle("漢字漢字漢字", 7, "…"), "漢…字");
        assert_eq!(middle("abc", 3, "…"), "abc");
        for columns in 0..6 {
            assert!(width(&middle("漢字abc漢", columns, "…")) <= columns);
            assert!(width(&end("漢字abc漢", columns, "...")) <= columns);
        }
    }

    #[test]
    fn wrapping_breaks_words_only_when_it_must() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("漢字", 1), ["漢字"]);
    }

    #[test]
    fn fuzzy_prefers_what_is_together() {
        let close = fuzzy("backup create", "back").unwrap();
        let far = fuzzy("black duck", "back").unwrap();
        assert!(close > far);
        assert_eq!(fuzzy("backup", "xyz"), None);
    }

    #[test]
    fn nothing_from_outside_controls_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}
