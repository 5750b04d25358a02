//! Colours and glyphs. Sixteen colours on the terminal's own foreground and background, so that
//! dark and light terminals both work; colour is never the only sign.

use ratatui::style::{Color, Modifier, Style};

use crate::{
    backup::BackupState,
    journal::JobState,
    survey::{ArtifactState, CopyState, Severity, VolumeState},
    volume::Level,
};

pub use crate::store::config::ThemeName;

/// What a piece of the screen is, for its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Text,
    /// Less important: labels, rules, units.
    Dim,
    /// Headings and the selected tab.
    Title,
    /// Keys, and what can be followed.
    Key,
    Critical,
    Warning,
    Good,
    Info,
    /// The cursor's row in the part that has the focus.
    Selected,
    /// The cursor's row elsewhere.
    Resting,
}

/// Colours and glyphs together.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    pub name: ThemeName,
    pub glyphs: &'static Glyphs,
}

impl Theme {
    pub const fn new(name: ThemeName, ascii: bool) -> Self {
        Self {
            name,
            glyphs: if ascii { &ASCII } else { &SYMBOLS },
        }
    }

    pub fn style(&self, role: Role) -> Style {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let reverse = plain.add_modifier(Modifier::REVERSED);
        match self.name {
            ThemeName::Mono => match role {
                Role::Text | Role::Good | Role::Info => plain,
                Role::Dim => plain.add_modifier(Modifier::DIM),
                Role::Title | Role::Key | Role::Critical | Role::Warning => bold,
                Role::Selected => reverse,
                Role::Resting => bold,
            },
            ThemeName::Dark => match role {
                Role::Text => plain,
                Role::Dim => plain.fg(Color::DarkGray),
                Role::Title => bold,
                Role::Key => plain.fg(Color::Cyan),
                Role::Critical => bold.fg(Color::LightRed),
                Role::Warning => plain.fg(Color::Yellow),
                Role::Good => plain.fg(Color::Green),
                Role::Info => plain.fg(Color::LightBlue),
                Role::Selected => reverse,
                Role::Resting => bold,
            },
            ThemeName::Light => match role {
                Role::Text => plain,
                Role::Dim => plain.fg(Color::DarkGray),
                Role::Title => bold,
                Role::Key | Role::Info => plain.fg(Color::Blue),
                Role::Critical => bold.fg(Color::Red),
                Role::Warning => plain.fg(Color::Magenta),
                Role::Good => plain.fg(Color::Green),
                Role::Selected => reverse,
                Role::Resting => bold,
            },
            ThemeName::HighContrast => match role {
                Role::Text | Role::Dim => plain,
                Role::Title => bold,
                Role::Key | Role::Info => bold.fg(Color::LightCyan),
                Role::Critical => bold.fg(Color::LightRed).add_modifier(Modifier::REVERSED),
                Role::Warning => bold.fg(Color::LightYellow),
                Role::Good => bold.fg(Color::LightGreen),
                Role::Selected => bold.add_modifier(Modifier::REVERSED),
                Role::Resting => bold,
            },
        }
    }

    /// Glyph and role of a copy; `ok` shows how well it was looked at.
    pub const fn copy(&self, state: CopyState, checked: Level) -> (&'static str, Role) {
        let g = self.glyphs;
        match state {
            CopyState::Ok => match checked {
                Level::Deep => (g.ok_deep, Role::Good),
                Level::Quick => (g.ok_quick, Role::Good),
                Level::Presence | Level::None => (g.ok_listed, Role::Dim),
            },
            CopyState::Missing => (g.missing, Role::Warning),
            CopyState::Stale => (g.stale, Role::Warning),
            CopyState::Corrupt => (g.corrupt, Role::Critical),
            CopyState::Divergent => (g.divergent, Role::Critical),
            CopyState::Misplaced => (g.misplaced, Role::Info),
            CopyState::Unreachable => (g.unreachable, Role::Critical),
        }
    }

    pub const fn artifact(&self, state: ArtifactState) -> Role {
        match state {
            ArtifactState::Lost
            | ArtifactState::Unreachable
            | ArtifactState::Divergent
            | ArtifactState::Corrupt => Role::Critical,
            ArtifactState::Degraded => Role::Warning,
            ArtifactState::Misplaced => Role::Info,
            ArtifactState::Ok => Role::Good,
        }
    }

    pub const fn volume(&self, state: VolumeState) -> Role {
        match state {
            VolumeState::Ok => Role::Good,
            VolumeState::Joining => Role::Info,
            VolumeState::ReadOnly | VolumeState::Full => Role::Warning,
            VolumeState::Unmarked | VolumeState::Foreign | VolumeState::Unreachable => {
                Role::Critical
            }
        }
    }

    pub const fn backup(&self, state: BackupState) -> Role {
        match state {
            BackupState::Complete => Role::Good,
            BackupState::Damaged => Role::Critical,
            BackupState::Partial | BackupState::Interrupted => Role::Warning,
            BackupState::Unsealed => Role::Dim,
            BackupState::Running => Role::Info,
        }
    }

    pub const fn job(&self, state: JobState) -> Role {
        match state {
            JobState::Running => Role::Info,
            JobState::Done => Role::Good,
            JobState::Partial | JobState::Interrupted => Role::Warning,
            JobState::Failed => Role::Critical,
            JobState::Cancelled => Role::Dim,
        }
    }

    pub const fn severity(&self, severity: Severity) -> (&'static str, Role) {
        match severity {
            Severity::Critical => (self.glyphs.critical, Role::Critical),
            Severity::Warning => (self.glyphs.warning, Role::Warning),
            Severity::Info => (self.glyphs.info, Role::Info),
        }
    }
}

/// The symbols of the screen: each one column wide.
#[derive(Debug, Clone, Copy)]
pub struct Glyphs {
    pub ok_deep: &'static str,
    pub ok_quick: &'static str,
    pub ok_listed: &'static str,
    pub missing: &'static str,
    pub stale: &'static str,
    pub corrupt: &'static str,
    pub divergent: &'static str,
    pub misplaced: &'static str,
    pub unreachable: &'static str,
    pub critical: &'static str,
    pub warning: &'static str,
    pub info: &'static str,
    pub rule: &'static str,
    pub bar_full: &'static str,
    pub bar_empty: &'static str,
    /// Where the even share lies on a bar.
    pub bar_mark: &'static str,
    pub marker: &'static str,
    pub marked: &'static str,
    pub reference: &'static str,
    pub running: &'static str,
    pub ellipsis: &'static str,
    pub separator: &'static str,
    pub vertical: &'static str,
    pub corners: [&'static str; 4],
    pub spark: [&'static str; 8],
    pub arrows: &'static str,
    pub dash: &'static str,
    pub to: &'static str,
}

pub static SYMBOLS: Glyphs = Glyphs {
    ok_deep: "●",
    ok_quick: "◉",
    ok_listed: "○",
    missing: "□",
    stale: "◔",
    corrupt: "✗",
    divergent: "≠",
    misplaced: "⇄",
    unreachable: "?",
    critical: "●",
    warning: "▲",
    info: "•",
    rule: "─",
    bar_full: "█",
    bar_empty: "░",
    bar_mark: "│",
    marker: "▌",
    marked: "✓",
    reference: "←",
    running: "▶",
    ellipsis: "…",
    separator: "·",
    vertical: "│",
    corners: ["╭", "╮", "╰", "╯"],
    spark: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    arrows: "↑↓",
    dash: "–",
    to: "→",
};

pub static ASCII: Glyphs = Glyphs {
    ok_deep: "O",
    ok_quick: "o",
    ok_listed: ".",
    missing: "-",
    stale: "<",
    corrupt: "X",
    divergent: "#",
    misplaced: "@",
    unreachable: "?",
    critical: "!",
    warning: "^",
    info: "*",
    rule: "-",
    bar_full: "#",
    bar_empty: ".",
    bar_mark: "|",
    marker: ">",
    marked: "+",
    reference: "<",
    running: ">",
    ellipsis: "~",
    separator: "-",
    vertical: "|",
    corners: ["+", "+", "+", "+"],
    spark: ["_", "_", ".", "-", "-", "=", "+", "#"],
    arrows: "jk",
    dash: "-",
    to: ">",
};
