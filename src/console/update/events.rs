//! What happened by itself: a job ended, a volume went or came back, something new is wrong. It is
//! told in the footer for a while, one after the other, takes no key, and rings if configured.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    console::{
        app::{App, News},
        message::Command,
        text,
        theme::Role,
    },
    store::lease::{LeaseState, LeaseView},
    survey::{Finding, FindingKind, Severity, Survey},
};

/// How long each is shown.
const SHOWN: Duration = Duration::from_secs(8);
/// More are not kept: who comes back later reads the findings, not the news.
const MOST: usize = 6;

impl News {
    pub(super) fn new(role: Role, text: String) -> Self {
        Self {
            text,
            role,
            until: None,
            about: None,
        }
    }
}

/// Tells it after what is being told.
pub(super) fn tell(app: &mut App, news: News) -> Option<Command> {
    if app.events.len() < MOST {
        app.events.push_back(news);
    }
    told(app)
}

/// Tells it at once: the end of what the operator began is waited for.
pub(super) fn tell_first(app: &mut App, news: News) -> Option<Command> {
    if let Some(interrupted) = app.events.front_mut() {
        interrupted.until = None;
    }
    app.events.push_front(news);
    app.events.truncate(MOST);
    told(app)
}

fn told(app: &mut App) -> Option<Command> {
    // It is newer than the answer to the last key.
    app.notice = None;
    pass(app);
    app.settings.bell.then_some(Command::Bell)
}

/// Drops what was told long enough, and goes on to the next.
pub(super) fn pass(app: &mut App) {
    let now = app.moment.elapsed;
    let over = |news: &News| news.until.is_some_and(|until| until <= now);
    while app.events.front().is_some_and(over) {
        app.events.pop_front();
    }
    if let Some(first) = app.events.front_mut() {
        first.until.get_or_insert(now + SHOWN);
    }
}

/// Drops news of findings that are no more.
pub(super) fn outdate(app: &mut App) {
    let findings = &app.data.findings;
    app.events.retain(|news| {
        news.about.as_ref().is_none_or(|(kind, subject)| {
            let mut findings = findings.iter();
            findings.any(|f| f.kind == *kind && f.subject == *subject)
        })
    });
}

/// Volumes that went or came back since the survey before.
pub(super) fn volumes(before: &Survey, after: &Survey) -> Vec<News> {
    after
        .volumes
        .iter()
        .filter_map(|volume| {
            let old = before.volumes.iter().find(|v| v.label == volume.label)?;
            let label = text::clean(&volume.label);
            match (old.state.is_readable(), volume.state.is_readable()) {
                (true, false) => {
                    let why = volume
                        .reason
                        .as_deref()
                        .map(text::clean)
                        .unwrap_or_default();
                    let words = format!("volume {label} is {}: {why}", volume.state.word());
                    Some(News::new(Role::Critical, words))
                }
                (false, true) => {
                    let words = format!("volume {label} is back");
                    Some(News::new(Role::Good, words))
                }
                _ => None,
            }
        })
        .collect()
}

/// The lease came here or went away. How it is otherwise the screen shows.
pub(super) fn lease(before: &LeaseView, after: &LeaseView) -> Option<News> {
    match (before.mine, after.mine) {
        (true, true) | (false, false) => None,
        // Given back on purpose, it is free.
        (true, false) if after.state == LeaseState::Free => None,
        (true, false) => Some(News::new(
            Role::Critical,
            format!(
                "this console leads no longer: the lease is {}",
                after.words()
            ),
        )),
        // What is there when the console opens is no news.
        (false, true) if before.state == LeaseState::Unknown => None,
        (false, true) => Some(News::new(
            Role::Good,
            format!("the lease is {}", after.words()),
        )),
    }
}

/// The worst of what was not found before, and how many more there are.
pub(super) fn findings(before: &[Finding], after: &[Finding]) -> Option<News> {
    let known: BTreeSet<_> = before.iter().map(|f| (f.kind, &*f.subject)).collect();
    let mut new = after.iter().filter(|f| {
        f.severity <= Severity::Warning
            // Volumes are told by themselves.
            && !matches!(f.kind, FindingKind::VolumeUnreachable | FindingKind::VolumeUnmarked)
            && !known.contains(&(f.kind, &*f.subject))
    });
    let worst = new.next()?;
    let role = match worst.severity {
        Severity::Critical => Role::Critical,
        Severity::Warning | Severity::Info => Role::Warning,
    };
    let more = match new.count() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = text::clean(&worst.message);
    let subject = text::clean(&worst.subject);
    let about = if message.contains(&subject) {
        message
    } else {
        format!("{subject}: {message}")
    };
    Some(News {
        about: Some((worst.kind, worst.subject.clone())),
        ..News::new(role, format!("new finding: {about}{more}"))
    })
}
