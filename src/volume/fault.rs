//! Named failure points: where a test makes the process die or the file system fail.
//!
//! `MAIFDECK_FAULT=<point>=<what>[@<n>[+]]` makes the n-th (default first) passage of a point fail,
//! with a `+` all after it too: `kill` is SIGKILL, `stop` SIGSTOP, `eio` and `enospc` are errors.
//! `MAIFDECK_FAULT_LOG=<file>` gets the name of every point that is passed, so that a test finds them
//! all. Development builds only: a release build has no points.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

#[derive(Debug)]
struct Fault {
    point: String,
    what: String,
    countdown: AtomicI64,
    /// Also when it has failed before.
    again: bool,
}

static FAULT: OnceLock<Option<Fault>> = OnceLock::new();

/// Passes the named point: returns at once unless a test planted a fault here.
pub fn point(name: &str) -> io::Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    log(name);
    let Some(fault) = FAULT.get_or_init(planted) else {
        return Ok(());
    };
    if fault.point != name {
        return Ok(());
    }
    let left = fault.countdown.fetch_sub(1, Ordering::SeqCst);
    if left > 1 || (left < 1 && !fault.again) {
        return Ok(());
    }
    let signal = |signal| {
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    };
    match fault.what.as_str() {
        "kill" => signal(rustix::process::Signal::KILL),
        "stop" => signal(rustix::process::Signal::STOP),
        "eio" => return Err(rustix::io::Errno::IO.into()),
        _ => return Err(rustix::io::Errno::NOSPC.into()),
    }
    Ok(())
}

fn log(name: &str) {
    let Some(path) = std::env::var_os("MAIFDECK_FAULT_LOG") else {
        return;
    };
    let file = OpenOptions::new().append(true).create(true).open(path);
    // One write a line: several threads pass points.
    if let Ok(mut file) = file {
        let _ = file.write_all(format!("{name}\n").as_bytes());
    }
}

fn planted() -> Option<Fault> {
    let text = std::env::var("MAIFDECK_FAULT").ok()?;
    let (point, rest) = text.split_once('=')?;
    let (what, count) = rest.split_once('@').unwrap_or((rest, "1"));
    let (count, again) = match count.strip_suffix('+') {
        Some(count) => (count, true),
        None => (count, false),
    };
    Some(Fault {
        point: point.to_owned(),
        what: what.to_owned(),
        countdown: AtomicI64::new(count.parse().ok()?),
        again,
    })
}
