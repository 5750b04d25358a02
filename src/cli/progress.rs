//! The progress of long work: one line on a terminal's stderr, nothing elsewhere.

use std::{
    io::{IsTerminal, Write},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::Context;
use crate::{
    progress::{Snapshot, Task},
    report,
};

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// Does long work with its progress shown while it lasts.
pub fn shown<T>(context: &Context<'_>, work: impl FnOnce(&Task) -> T) -> T {
    let task = Task::new();
    if context.global.quiet || !std::io::stderr().is_terminal() {
        return work(&task);
    }
    let (stop, stopped) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watched = task.clone();
        scope.spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = write!(std::io::stderr(), "\r\u{1b}[K{}", line(&watched.snapshot()));
                let _ = std::io::stderr().flush();
            }
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        });
        let result = work(&task);
        drop(stop);
        result
    })
}

fn line(now: &Snapshot) -> String {
    let items = match now.items_total {
        0 => report::count(now.items_done),
        total => format!(
            "{} of {}",
            report::count(now.items_done),
            report::count(total)
        ),
    };
    let failed = match now.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    format!(
        "{} {items}, {}{failed}",
        now.phase,
        report::size(now.bytes_done)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_never_claims_a_total_that_is_not_known() {
        let mut now = Snapshot {
            phase: "copying",
            items_done: 3,
            ..Snapshot::default()
        };
        assert!(line(&now).starts_with("copying 3, "));
        now.items_total = 12;
        assert!(line(&now).starts_with("copying 3 of 12, "));
    }
}
