//! One line of text: a new name, a time, a number.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::{Reply, edit};
use crate::{
    console::{
        canvas::{Canvas, centred},
        text,
        theme::Role,
    },
    plan::{Intent, LayoutChange},
    store::Policy,
    survey::StateId,
    volume::ArtifactName,
};

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A new name for a version.
    Aside(ArtifactName, StateId),
    /// By which policy backups are kept.
    KeepBackups,
    /// By which policy versions of these are kept.
    KeepVersions(Vec<ArtifactName>),
    /// A new partition with its directories.
    Partition,
    /// A time, for the version that was current then.
    Time(AsOf),
}

/// What is done with the version that was current at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    Select,
    Restore,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    pub asked: Asked,
    pub title: String,
    pub hint: String,
    pub text: String,
    pub error: Option<String>,
}

impl Prompt {
    pub fn key(&mut self, event: KeyEvent) -> Reply {
        if event.code != KeyCode::Enter {
            if edit(&mut self.text, event) {
                self.error = None;
            }
            return Reply::Stay;
        }
        let answer = match &self.asked {
            Asked::Aside(name, version) => ArtifactName::new(self.text.trim())
                .map(|aside| {
                    Reply::Plan(Intent::VersionRestore {
                        name: name.clone(),
                        version: *version,
                        aside: Some(aside),
                    })
                })
                .map_err(|error| error.to_string()),
            Asked::KeepBackups => {
                policy(&self.text).map(|policy| Reply::Plan(Intent::BackupPrune { policy }))
            }
            Asked::KeepVersions(names) => policy(&self.text).map(|policy| {
                Reply::Plan(Intent::VersionsPrune {
                    names: names.clone(),
                    policy,
                })
            }),
            Asked::Partition => {
                LayoutChange::add(&self.text).map(|change| Reply::Plan(Intent::Layout { change }))
            }
            Asked::Time(then) => Ok(Reply::AsOf(self.text.trim().to_owned(), *then)),
        };
        answer.unwrap_or_else(|error| {
            self.error = Some(error);
            Reply::Stay
        })
    }

    /// Pasted text goes into the line; it is not a confirmation.
    pub fn paste(&mut self, text: &str) {
        super::append(&mut self.text, text);
    }

    pub fn draw(&self, canvas: &mut Canvas<'_>, screen: Rect) {
        let width = 72.min(screen.width.saturating_sub(4));
        let (words, role) = match &self.error {
            Some(error) => (error, Role::Warning),
            None => (&self.hint, Role::Dim),
        };
        let words = text::wrap(words, usize::from(width.saturating_sub(4)));
        let height = u16::try_from(words.len() + 5).unwrap_or(u16::MAX);
        let inner = canvas.frame(centred(screen, width, height), &self.title, Role::Title);
        draw_line(canvas, inner, &self.text, true);
        let last = inner.bottom().saturating_sub(1);
        for (y, line) in (inner.y + 2..last).zip(&words) {
            canvas.put(inner.x, y, inner.width, line, role);
        }
        if inner.height > 2 {
            let hint = "enter takes   esc leaves";
            canvas.put(inner.x, last, inner.width, hint, Role::Dim);
        }
    }
}

/// The policy that was typed; one that keeps nothing is none.
fn policy(text: &str) -> Result<Policy, String> {
    match text.parse::<Policy>() {
        Ok(policy) if policy.is_empty() => Err("at least one is kept".to_owned()),
        Ok(policy) => Ok(policy),
        Err(error) => Err(error.to_string()),
    }
}

/// A line of typed text on the first line of `area`, with a caret; its end stays in sight.
pub fn draw_line(canvas: &mut Canvas<'_>, area: Rect, typed: &str, focused: bool) {
    let shown = crate::console::text::escape(typed.as_bytes()).replace("\\\\", "\\");
    let room = usize::from(area.width.saturating_sub(3));
    let skip = shown.chars().count().saturating_sub(room);
    let tail: String = shown.chars().skip(skip).collect();
    let used = canvas.put(area.x, area.y, 2, "> ", Role::Dim);
    let used = used
        + canvas.put(
            area.x + used,
            area.y,
            area.width.saturating_sub(used),
            &tail,
            Role::Text,
        );
    if focused {
        canvas.put(
            area.x + used,
            area.y,
            area.width.saturating_sub(used).min(1),
            " ",
            Role::Selected,
        );
    }
}
