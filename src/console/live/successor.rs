//! Going on without the console: this program, run again for one job, apart from the terminal.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

/// The program itself, also when another version lies at its path by now.
const MYSELF: &str = "/proc/self/exe";

/// How this program is run on the same store.
#[derive(Debug, Clone)]
pub struct Successor {
    /// What stands before the command: the configuration, the log.
    pub arguments: Vec<OsString>,
}

impl Successor {
    /// Starts a process that takes the job up as soon as this one has ended. Returns its pid.
    pub(super) fn take_up(&self, job: &str) -> Result<u32, String> {
        Command::new(MYSELF)
            .args(&self.arguments)
            .args(["jobs", "resume", job, "--after-another"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A terminal that is lost, or whose session ends, hangs up on its own group only.
            .process_group(0)
            .spawn()
            .map(|child| child.id())
            .map_err(|error| format!("no process could be started for it: {error}"))
    }
}
