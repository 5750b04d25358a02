//! Key names: `a`, `G`, `C-x`, `M-x`, `enter`, `f5`, and chords of two such as `g g`.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key press.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stroke {
    code: KeyCode,
    control: bool,
    alt: bool,
}

const NAMED: [(&str, KeyCode); 15] = [
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backtab", KeyCode::BackTab),
    ("space", KeyCode::Char(' ')),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
];

impl Stroke {
    pub fn parse(text: &str) -> Option<Self> {
        let (mut control, mut alt) = (false, false);
        let mut rest = text;
        loop {
            if let Some(after) = rest.strip_prefix("C-").filter(|after| !after.is_empty()) {
                (control, rest) = (true, after);
            } else if let Some(after) = rest.strip_prefix("M-").filter(|after| !after.is_empty()) {
                (alt, rest) = (true, after);
            } else {
                break;
            }
        }
        let named = NAMED
            .iter()
            .find(|(name, _)| *name == rest)
            .map(|(_, code)| *code);
        let function = || {
            rest.strip_prefix('f')
                .and_then(|number| number.parse().ok())
                .filter(|number| (1..=12).contains(number))
                .map(KeyCode::F)
        };
        let single = || {
            let mut chars = rest.chars();
            let only = chars.next().filter(|c| !c.is_control() && *c != ' ')?;
            chars.next().is_none().then_some(KeyCode::Char(only))
        };
        let code = named.or_else(function).or_else(single)?;
        Some(Self { code, control, alt })
    }

    /// The key press of an event. Shift is in the character itself.
    pub fn of(event: KeyEvent) -> Self {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        let code = match event.code {
            KeyCode::Char(c) if control => KeyCode::Char(c.to_ascii_lowercase()),
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            code => code,
        };
        Self { code, control, alt }
    }

    /// The event that this stroke comes from: for headless runs.
    pub fn event(self) -> KeyEvent {
        let mut modifiers = KeyModifiers::NONE;
        modifiers.set(KeyModifiers::CONTROL, self.control);
        modifiers.set(KeyModifiers::ALT, self.alt);
        KeyEvent::new(self.code, modifiers)
    }
}

impl fmt::Display for Stroke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.control {
            f.write_str("C-")?;
        }
        if self.alt {
            f.write_str("M-")?;
        }
        if let Some((name, _)) = NAMED.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(number) => write!(f, "f{number}"),
            _ => f.write_str("?"),
        }
    }
}

/// One stroke, or two after each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chord {
    One(Stroke),
    Two(Stroke, Stroke),
}

impl Chord {
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some((first, second)) => Some(Self::Two(Stroke::parse(first)?, Stroke::parse(second)?)),
            None => Stroke::parse(text).map(Self::One),
        }
    }

    const fn first(&self) -> Stroke {
        match self {
            Self::One(first) | Self::Two(first, _) => *first,
        }
    }

    /// Whether both cannot be told apart: equal, or one begins the other.
    pub fn clashes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Two(..), Self::Two(..)) => self == other,
            _ => self.first() == other.first(),
        }
    }

    /// Keys that tmux or screen take (C-a, C-b) or that terminals confuse (C-i is Tab, C-m Enter).
    pub fn is_unreachable(&self) -> bool {
        let first = self.first();
        first.control && matches!(first.code, KeyCode::Char('a' | 'b' | 'i' | 'm'))
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(only) => only.fmt(f),
            Self::Two(first, second) if first.to_string().len() == 1 => {
                write!(f, "{first}{second}")
            }
            Self::Two(first, second) => write!(f, "{first} {second}"),
        }
    }
}
