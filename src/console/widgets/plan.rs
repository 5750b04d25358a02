//! The confirmation of a plan. It is bound to one plan by its id; what is confirmed is that plan
//! and no other. The focus starts on Cancel, and what destroys takes a typed word.

use std::{sync::Arc, time::Duration};

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;

use super::{Reply, edit};
use crate::{
    console::{
        app::Settings,
        canvas::{Canvas, Piece, centred},
        message::{Command, Ticket},
        text,
        theme::Role,
    },
    plan::Plan,
    report::{self, count, percent, plural, size},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    Cancel,
    /// The word, or the button where no word is needed.
    Confirm,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Ready,
    /// Handed to the engine under this ticket.
    Starting(Ticket),
    /// The engine says that the store moved.
    Changed(String),
    Failed(String),
}

/// The dialog's lines on a screen: what does not fit of the head is left out at its end.
struct Shape {
    area: Rect,
    head: Vec<Vec<Piece>>,
    foot: Vec<Vec<Piece>>,
    head_rows: usize,
    step_rows: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PlanDialog {
    pub plan: Arc<Plan>,
    pub focus: Focus,
    pub typed: String,
    pub scroll: usize,
    pub state: State,
    /// A word about the last key: what is still missing.
    pub hint: Option<&'static str>,
    /// The command line that does the same, cut to a few lines: it may name every artifact.
    same_as: String,
    /// What a lost connection would do to it.
    caution: Option<String>,
}

/// Longer than this, and an operator may lose the connection meanwhile.
const LONG: Duration = Duration::from_secs(300);
/// Characters of the equivalent command that are shown.
const COMMAND: usize = 240;

impl PlanDialog {
    pub fn new(plan: Arc<Plan>, settings: &Settings) -> Self {
        let expected = report::plan::expected(&plan);
        Self {
            same_as: text::middle(
                &report::command(&plan.intent),
                COMMAND,
                settings.theme.glyphs.ellipsis,
            ),
            caution: (expected > LONG && !settings.multiplexed).then(|| {
                format!(
                    "This takes about {}: outside tmux and screen a lost connection interrupts it.",
                    report::duration(expected)
                )
            }),
            plan,
            focus: Focus::Cancel,
            typed: String::new(),
            scroll: 0,
            state: State::Ready,
            hint: None,
        }
    }

    /// The word that must be typed, for plans that destroy.
    fn word(&self) -> Option<String> {
        report::plan::asks(&self.plan)
    }

    pub fn key(&mut self, event: KeyEvent, screen: Rect, last_ticket: &mut Ticket) -> Reply {
        match &self.state {
            State::Starting(_) => return Reply::Stay,
            State::Changed(_) => {
                return match event.code {
                    KeyCode::Char('n') | KeyCode::Enter => Reply::Plan(self.plan.intent.clone()),
                    _ => Reply::Stay,
                };
            }
            State::Failed(_) => {
                return match event.code {
                    KeyCode::Enter => Reply::Close,
                    _ => Reply::Stay,
                };
            }
            State::Ready => {}
        }
        let rows = self.shape(screen).step_rows;
        let page = u16::try_from(rows).unwrap_or(u16::MAX);
        if let Some(by) = super::scroll(event, page, false) {
            let last = self.plan.steps.len().saturating_sub(rows);
            self.scroll = self.scroll.saturating_add_signed(by).min(last);
            return Reply::Stay;
        }
        self.hint = None;
        match event.code {
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = match self.focus {
                    Focus::Cancel => Focus::Confirm,
                    Focus::Confirm => Focus::Cancel,
                };
                Reply::Stay
            }
            KeyCode::Enter if self.focus == Focus::Cancel => Reply::Close,
            KeyCode::Enter => self.confirm(last_ticket),
            _ if self.word().is_some() => {
                // Typing is aimed at the word wherever the focus is.
                if edit(&mut self.typed, event) {
                    self.focus = Focus::Confirm;
                }
                Reply::Stay
            }
            _ => Reply::Stay,
        }
    }

    fn confirm(&mut self, last_ticket: &mut Ticket) -> Reply {
        if self.plan.is_empty() {
            return Reply::Close;
        }
        if self.word().is_some_and(|word| word != self.typed) {
            self.hint = Some("the word is not there yet");
            return Reply::Stay;
        }
        *last_ticket += 1;
        self.state = State::Starting(*last_ticket);
        Reply::Wait(Command::Apply(*last_ticket, Arc::clone(&self.plan)))
    }

    pub fn paste(&mut self) {
        self.hint = Some("pasting does not count: type it");
    }

    /// How its lines share the screen.
    fn shape(&self, screen: Rect) -> Shape {
        let width = 100.min(screen.width);
        let inner_width = usize::from(width.saturating_sub(4));
        let (head, foot) = (self.head(inner_width), self.foot(inner_width));
        let steps = self.plan.steps.len();
        let lines = head.len() + foot.len() + steps.min(14) + 3;
        let area = centred(screen, width, u16::try_from(lines).unwrap_or(u16::MAX));
        let room = usize::from(area.height.saturating_sub(2)).saturating_sub(foot.len());
        // The steps keep three lines; what the plan takes away is told before them.
        let kept = if steps > 0 { steps.min(3) + 1 } else { 0 };
        let head_rows = head.len().min(room.saturating_sub(kept));
        Shape {
            area,
            head,
            foot,
            head_rows,
            step_rows: (room - head_rows).saturating_sub(1),
        }
    }

    pub fn draw(&self, canvas: &mut Canvas<'_>, screen: Rect) {
        let Shape {
            area,
            head,
            foot,
            head_rows,
            step_rows,
        } = self.shape(screen);
        let title = format!("plan {}", self.plan.id.short());
        let role = if self.plan.is_destructive() {
            Role::Warning
        } else {
            Role::Title
        };
        let inner = canvas.frame(area, &title, role);
        if inner.height < 3 {
            return;
        }
        let width = usize::from(inner.width);
        let foot_rows = u16::try_from(foot.len()).unwrap_or(0).min(inner.height);
        let foot_top = inner.bottom() - foot_rows;
        let steps = self.plan.steps.len();
        for (y, line) in (inner.y..foot_top).zip(head.iter().take(head_rows)) {
            canvas.pieces(inner.x, y, inner.width, line);
        }
        let y = inner.y + u16::try_from(head_rows).unwrap_or(u16::MAX);
        if y < foot_top && steps > 0 {
            let from = self.scroll.min(steps.saturating_sub(step_rows));
            let to = (from + step_rows).min(steps);
            let words = format!(
                "{}{}",
                plural(steps as u64, "step", "steps"),
                if to - from < steps {
                    format!(", {} to {} shown, up/down scroll", from + 1, to)
                } else {
                    String::new()
                }
            );
            canvas.heading(Rect::new(inner.x, y, inner.width, 1), &words, Role::Dim);
            for (y, step) in (y + 1..foot_top).zip(self.plan.steps.iter().skip(from)) {
                let line = report::step(step);
                let shown = text::middle(&line, width, canvas.theme.glyphs.ellipsis);
                canvas.put(inner.x, y, inner.width, &shown, Role::Text);
            }
        }
        for (y, line) in (foot_top..inner.bottom()).zip(&foot) {
            canvas.pieces(inner.x, y, inner.width, line);
        }
        self.draw_buttons(
            canvas,
            Rect {
                y: inner.bottom() - 1,
                height: 1,
                ..inner
            },
        );
    }

    /// What it is about, and who gets how much.
    fn forecast(&self, width: usize) -> Vec<Vec<Piece>> {
        let summary = &self.plan.summary;
        let line = |words: String, role| vec![(words, role)];
        let mut lines = Vec::new();
        for note in &summary.notes {
            let words = text::wrap(&text::clean(note), width.saturating_sub(2));
            lines.extend(
                words
                    .into_iter()
                    .map(|w| line(format!("  {w}"), Role::Text)),
            );
        }
        for share in &summary.shares {
            lines.push(line(
                format!(
                    "  {:<8} {:>9} artifacts before, {:>9} after (even: {})",
                    share.partition,
                    count(share.before),
                    count(share.after),
                    percent(share.expected_share)
                ),
                Role::Text,
            ));
        }
        if let Some(warning) = report::plan::warning(&self.plan) {
            let words = text::wrap(warning, width);
            lines.extend(words.into_iter().map(|w| line(w, Role::Warning)));
        }
        lines
    }

    /// The room on each volume; where it fits, as many in a line as there is room for.
    fn space(&self, width: usize) -> Vec<Vec<Piece>> {
        const COLUMN: usize = 48;
        let needs: Vec<Piece> = self
            .plan
            .summary
            .space
            .iter()
            .map(|need| {
                let tight = need.needed > need.free;
                let word = if tight { "does not fit" } else { "" };
                let words = format!(
                    "  {:<8} needs {:>9} of {:>9} free {word}",
                    need.volume,
                    size(need.needed),
                    size(need.free),
                );
                let role = if tight { Role::Critical } else { Role::Dim };
                (format!("{words:<COLUMN$}"), role)
            })
            .collect();
        let across = (width / COLUMN).max(1);
        needs.chunks(across).map(<[Piece]>::to_vec).collect()
    }

    /// Everything above the steps, what matters most first: a small screen cuts the end.
    fn head(&self, width: usize) -> Vec<Vec<Piece>> {
        let summary = &self.plan.summary;
        let line = |words: String, role| vec![(words, role)];
        let mut lines: Vec<_> = text::wrap(&self.plan.intent.title(), width)
            .into_iter()
            .map(|words| line(words, Role::Title))
            .collect();
        let mut counts = Vec::new();
        for (number, one, many) in [
            (summary.copies, "copy written", "copies written"),
            (
                summary.replaces,
                "current copy replaced",
                "current copies replaced",
            ),
            (summary.archives, "archived first", "archived first"),
            (summary.removes, "removed", "removed"),
            (summary.same, "already as wanted", "already as wanted"),
        ] {
            if number > 0 {
                counts.push(plural(number, one, many));
            }
        }
        if summary.bytes > 0 {
            counts.push(format!("{} to write", size(summary.bytes)));
        }
        if !counts.is_empty() {
            let counts = text::wrap(&counts.join(", "), width).into_iter();
            lines.extend(counts.map(|words| line(words, Role::Text)));
        }
        lines.extend(self.forecast(width));
        let mut listed = |heading: &str, items: &[String], role| {
            if items.is_empty() {
                return;
            }
            let heading = format!("{heading} ({}):", count(items.len() as u64));
            lines.push(line(heading, role));
            for item in items.iter().take(5) {
                let words = text::wrap(&text::clean(item), width.saturating_sub(2));
                lines.extend(words.into_iter().map(|w| line(format!("  {w}"), role)));
            }
            if items.len() > 5 {
                lines.push(line(format!("  and {} more", items.len() - 5), role));
            }
        };
        listed(
            "cannot be brought back afterwards",
            &summary.unrecoverable,
            Role::Critical,
        );
        let kept: Vec<String> = summary
            .kept
            .iter()
            .map(|kept| {
                format!(
                    "{} ({})",
                    kept.what,
                    report::kept_by(&kept.reasons).join(", ")
                )
            })
            .collect();
        listed("kept", &kept, Role::Dim);
        listed("left undone", &summary.skipped, Role::Warning);
        if summary.unrecoverable.is_empty() && summary.replaces + summary.removes > 0 {
            lines.push(line(
                "everything that this replaces can be brought back afterwards".to_owned(),
                Role::Good,
            ));
        }
        lines.extend(self.space(width));
        let same_as = text::wrap(&format!("same as: {}", self.same_as), width);
        lines.extend(same_as.into_iter().map(|words| line(words, Role::Dim)));
        lines
    }

    /// The question and its answers; the last line is left to the buttons.
    fn foot(&self, width: usize) -> Vec<Vec<Piece>> {
        let mut lines = vec![vec![(String::new(), Role::Text)]];
        let mut say = |words: &str, role| {
            for line in text::wrap(words, width) {
                lines.push(vec![(line, role)]);
            }
        };
        match &self.state {
            State::Starting(_) => say("writing the journal …", Role::Info),
            State::Changed(why) => {
                say(
                    "The store is no longer as this plan expects; nothing was changed.",
                    Role::Warning,
                );
                say(&text::clean(why), Role::Text);
            }
            State::Failed(why) => say(&text::clean(why), Role::Critical),
            State::Ready => {
                if let Some(caution) = &self.caution {
                    say(caution, Role::Warning);
                }
                if self.plan.is_empty() && !self.plan.summary.skipped.is_empty() {
                    say(
                        "Nothing of it can be done; what is left undone says why.",
                        Role::Warning,
                    );
                } else if self.plan.is_empty() {
                    say("Nothing needs to be changed.", Role::Good);
                } else if let Some(word) = self.word() {
                    say(
                        &format!("Type  {word}  and press enter to confirm."),
                        Role::Text,
                    );
                    let caret = if self.focus == Focus::Confirm {
                        "_"
                    } else {
                        ""
                    };
                    lines.push(vec![
                        ("> ".to_owned(), Role::Dim),
                        (format!("{}{caret}", text::clean(&self.typed)), Role::Title),
                        (
                            self.hint
                                .map(|hint| format!("   {hint}"))
                                .unwrap_or_default(),
                            Role::Warning,
                        ),
                    ]);
                }
            }
        }
        lines.push(Vec::new());
        lines
    }

    fn draw_buttons(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let (cancel, confirm) = match &self.state {
            State::Starting(_) => return,
            State::Changed(_) => ("esc  leave", Some("enter  make a new plan")),
            State::Failed(_) => ("esc  leave", None),
            State::Ready if self.plan.is_empty() => ("enter  close", None),
            State::Ready => ("[ Cancel ]", Some("[ Confirm ]")),
        };
        let used = canvas.put(area.x, area.y, area.width, cancel, Role::Title);
        if self.focus == Focus::Cancel && self.state == State::Ready {
            canvas.highlight(
                Rect {
                    width: used,
                    ..area
                },
                Role::Selected,
            );
        }
        let Some(confirm) = confirm else { return };
        let x = area.x + used + 3;
        let room = area.right().saturating_sub(x);
        let complete = self.word().is_none_or(|word| word == self.typed);
        let role = if complete { Role::Title } else { Role::Dim };
        let width = canvas.put(x, area.y, room, confirm, role);
        if self.focus == Focus::Confirm && self.state == State::Ready {
            canvas.highlight(Rect { x, width, ..area }, Role::Selected);
        }
        let hint = "tab moves";
        if self.state == State::Ready && room > width + 14 {
            canvas.put_right(area, hint, Role::Dim);
        }
    }
}
