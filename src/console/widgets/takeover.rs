//! The confirmation of taking the lease over. It is bound to the epoch that was shown: what another
//! host wins meanwhile is not taken. The focus starts on Cancel, and the holder's host is typed.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::{Reply, edit};
use crate::{
    console::{
        app::App,
        canvas::{Canvas, centred},
        lease,
        message::{Command, Ticket},
        text,
        theme::Role,
    },
    store::lease::{Epoch, LeaseState, LeaseView},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Ready,
    /// Handed to the engine under this ticket.
    Trying(Ticket),
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeOver {
    /// Whose lease it is, as it was when the question was asked.
    pub holder: String,
    pub from: Epoch,
    pub word: String,
    pub typed: String,
    /// Whether Confirm has the focus and not Cancel.
    pub confirming: bool,
    pub state: State,
    pub hint: Option<&'static str>,
}

impl TakeOver {
    pub fn new(lease: &LeaseView) -> Self {
        Self {
            holder: lease
                .holder
                .as_ref()
                .map_or_else(|| lease.host(), crate::store::lease::Holder::words),
            from: lease.epoch.unwrap_or_default(),
            word: lease::word(lease),
            typed: String::new(),
            confirming: false,
            state: State::Ready,
            hint: None,
        }
    }

    pub fn key(&mut self, event: KeyEvent, last_ticket: &mut Ticket) -> Reply {
        match self.state {
            State::Failed(_) if event.code == KeyCode::Enter => return Reply::Close,
            State::Failed(_) | State::Trying(_) => return Reply::Stay,
            State::Ready => {}
        }
        self.hint = None;
        match event.code {
            KeyCode::Tab | KeyCode::BackTab => self.confirming = !self.confirming,
            KeyCode::Enter if !self.confirming => return Reply::Close,
            KeyCode::Enter if self.typed == self.word => {
                *last_ticket += 1;
                self.state = State::Trying(*last_ticket);
                return Reply::Wait(Command::TakeOver(*last_ticket, Some(self.from)));
            }
            KeyCode::Enter => self.hint = Some("the word is not there yet"),
            // Typing is aimed at the word wherever the focus is.
            _ => self.confirming |= edit(&mut self.typed, event),
        }
        Reply::Stay
    }

    pub fn paste(&mut self) {
        self.hint = Some("pasting does not count: type it");
    }

    pub fn draw(&self, app: &App, canvas: &mut Canvas<'_>, screen: Rect) {
        let width = 76.min(screen.width.saturating_sub(4));
        let inner_width = usize::from(width.saturating_sub(4));
        let mut lines: Vec<(String, Role)> = Vec::new();
        let mut say = |words: &str, role| {
            let wrapped = text::wrap(words, inner_width).into_iter();
            lines.extend(wrapped.map(|line| (line, role)));
        };
        say(
            &format!("epoch {} of {}", self.from, self.holder),
            Role::Title,
        );
        match &self.state {
            State::Ready => {
                if let Some(now) = app.lease().filter(|now| now.state != LeaseState::Blocked) {
                    let (words, role) = lease::counter(now, app.settings.zone);
                    say(&format!("its counter: {words}"), role);
                }
                say(
                    "From then on its changes are refused; what it has finished stays. A commit that \
                     it is inside of is waited for: if it does not end, the lease is blocked, and \
                     maifdeck lease steal --kill on that host ends it.",
                    Role::Text,
                );
                say("", Role::Text);
                say(
                    &format!("Type  {}  and press enter to confirm.", self.word),
                    Role::Text,
                );
                let caret = if self.confirming { "_" } else { "" };
                let hint = self
                    .hint
                    .map_or_else(String::new, |hint| format!("   {hint}"));
                say(
                    &format!("> {}{caret}{hint}", text::clean(&self.typed)),
                    Role::Title,
                );
            }
            State::Trying(_) => say("waiting for a commit that may be under way …", Role::Info),
            State::Failed(why) => say(&text::clean(why), Role::Critical),
        }
        let height = u16::try_from(lines.len() + 4).unwrap_or(u16::MAX);
        let area = centred(screen, width, height);
        let inner = canvas.frame(area, "take over the lease", Role::Warning);
        for (y, (line, role)) in (inner.y..inner.bottom()).zip(&lines) {
            canvas.put(inner.x, y, inner.width, line, *role);
        }
        if inner.height > 0 {
            let foot = Rect {
                y: inner.bottom() - 1,
                height: 1,
                ..inner
            };
            self.draw_foot(canvas, foot);
        }
    }

    fn draw_foot(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let ready = self.state == State::Ready;
        let first = if ready { "[ Cancel ]" } else { "esc  leave" };
        let used = canvas.put(area.x, area.y, area.width, first, Role::Title);
        let mut focus = Rect {
            width: used,
            ..area
        };
        if !ready {
            return;
        }
        let x = area.x + used + 3;
        let room = area.right().saturating_sub(x);
        let role = if self.typed == self.word {
            Role::Title
        } else {
            Role::Dim
        };
        let width = canvas.put(x, area.y, room, "[ Confirm ]", role);
        if self.confirming {
            focus = Rect { x, width, ..area };
        }
        canvas.highlight(focus, Role::Selected);
    }
}
