//! Named failure points: where a test makes the process die or the file system fail.
//!
//! `MAIFDECK_FAULT=<point>=<what>[@<n>]` makes the n-th (default first) passage of a point fail:
//! `kill` is SIGKILL, `stop` SIGSTOP, `panic` a panic, `eio` and `enospc` are errors. Development builds
//! only: a release build has no points.

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

#[derive(Debug)]
struct Fault {
    point: String,
    what: String,
    countdown: AtomicU32,
}

static FAULT: OnceLock<Option<Fault>> = OnceLock::new();

/// Passes the named point: returns at once unless a test planted a fault here.
#[allow(clippy::panic)] // only where a test asks for it
pub fn point(name: &str) -> io::Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let Some(fault) = FAULT.get_or_init(planted) else {
        return Ok(());
    };
    if fault.point != name || fault.countdown.fetch_sub(1, Ordering::SeqCst) != 1 {
        return Ok(());
    }
    let signal = |signal| {
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    };
    match fault.what.as_str() {
        "kill" => signal(rustix::process::Signal::KILL),
        "stop" => signal(rustix::process::Signal::STOP),
        "panic" => std::panic::panic_any("a planted fault"),
        "eio" => return Err(rustix::io::Errno::IO.into()),
        _ => return Err(rustix::io::Errno::NOSPC.into()),
    }
    Ok(())
}

fn planted() -> Option<Fault> {
    let text = std::env::var("MAIFDECK_FAULT").ok()?;
    let (point, rest) = text.split_once('=')?;
    let (what, count) = rest.split_once('@').unwrap_or((rest, "1"));
    Some(Fault {
        point: point.to_owned(),
        what: what.to_owned(),
        countdown: AtomicU32::new(count.parse().ok()?),
    })
}
