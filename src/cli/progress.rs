//! The progress of long work: one line on a terminal's stderr, nothing elsewhere.

use std::{
    io::{IsTerminal, Write},
    sync::{
        atomic::{AtomicU8, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use super::Context;
use crate::{
    progress::{Snapshot, Task},
    report,
};

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// The exit code of the signal that asked to stop; 0: none did.
static SIGNALLED: AtomicU8 = AtomicU8::new(0);

/// The exit code of the contract, when a signal ended the work.
pub fn signalled() -> Option<u8> {
    let code = SIGNALLED.load(Ordering::SeqCst);
    (code != 0).then_some(code)
}

/// The first signal stops the work at its next safe point, the second at once.
fn heed_signals(task: &Task) {
    let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGTERM]) else {
        return;
    };
    let task = task.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            let code = u8::try_from(128 + signal).unwrap_or(1);
            if SIGNALLED.swap(code, Ordering::SeqCst) != 0 {
                std::process::exit(i32::from(code));
            }
            task.cancel();
        }
    });
}

/// Does long work with its progress shown while it lasts.
pub fn shown<T>(context: &Context<'_>, work: impl FnOnce(&Task) -> T) -> T {
    let task = Task::new();
    heed_signals(&task);
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
