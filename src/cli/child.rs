//! Running a command under something that is held: the holder must outlive it and give back.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Exit;
use crate::store::StoreError;

/// Runs a command with these variables set; exits as it did.
///
/// An interrupt from the keyboard reaches the command by itself; a hang-up and a termination are
/// handed on to it. None of them ends this process before the command has ended.
pub fn run(command: &[OsString], environment: &[(&str, String)]) -> Result<u8, StoreError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(StoreError::Usage("no command to run".to_owned()));
    };
    let hand_on = Arc::<AtomicBool>::default();
    for (signal, flag) in [
        (SIGINT, Arc::default()),
        (SIGHUP, Arc::clone(&hand_on)),
        (SIGTERM, Arc::clone(&hand_on)),
    ] {
        signal_hook::flag::register(signal, flag)
            .map_err(|error| StoreError::Failed(format!("cannot watch for signals: {error}")))?;
    }
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .spawn()
        .map_err(|error| {
            StoreError::Failed(format!("cannot run {}: {error}", program.display()))
        })?;
    let status = loop {
        let ended = child
            .try_wait()
            .map_err(|error| StoreError::Failed(format!("cannot wait for the command: {error}")))?;
        if let Some(status) = ended {
            break status;
        }
        if hand_on.swap(false, Ordering::Relaxed) {
            terminate(&child);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ok(status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(Exit::FAILED))
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM)
    {
        tracing::warn!(%error, "the command could not be told to end");
    }
}
