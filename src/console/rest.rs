//! Coming to rest: before the console is stopped, left or cut off, its jobs pause at a safe point and
//! the engine gives back what it holds, within a bounded time.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{
    backend::{Backend, RunningJob},
    run::{Console, Left},
    terminal::Terminal,
    text,
    update::REST,
};

/// What becomes of the jobs that were brought to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// They wait: for the console, or for somebody who resumes them.
    Wait,
    /// Another process takes them up when this one has ended.
    GoOn,
}

impl Console {
    /// Jobs pause, locks and lease are given back, the shell has the terminal; then all comes back.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        let tasks: Vec<_> = self
            .app
            .running
            .iter()
            .map(|running| running.job.task.clone())
            .filter(|task| !task.snapshot().paused)
            .collect();
        self.bring_to_rest(Afterwards::Wait);
        let result = self.terminal.suspend();
        self.backend.wake();
        for task in tasks {
            task.resume();
        }
        self.app.size = Terminal::size();
        result
    }

    /// Our jobs rest, and the engine has a moment to come to a safe point. Returns where those
    /// that can be resumed keep their journals, and who goes on with them.
    pub(super) fn bring_to_rest(&self, afterwards: Afterwards) -> Vec<String> {
        let jobs: Vec<_> = self.app.running.iter().map(|r| r.job.clone()).collect();
        for job in &jobs {
            job.task.rest();
        }
        let backend = Arc::clone(&self.backend);
        let (done, rested) = mpsc::channel();
        let spawned = thread::Builder::new()
            .name("rest".to_owned())
            .spawn(move || {
                settle(&jobs, REST * 3 / 4);
                backend.rest();
                let lines = jobs
                    .iter()
                    .filter(|job| job.done.borrow().is_none())
                    .filter_map(|job| Some((job, backend.journal(&job.id)?)))
                    .map(|(job, path)| left(&*backend, job, &path, afterwards))
                    .collect();
                let _ = done.send(lines);
            });
        if spawned.is_err() {
            return Vec::new();
        }
        rested.recv_timeout(REST).unwrap_or_default()
    }

    pub(super) fn hang_up(&self) -> Left {
        Terminal::abandon();
        self.bring_to_rest(Afterwards::Wait);
        // Nobody is there to be told.
        (129, Vec::new())
    }
}

/// Leaves a job; what the shell's screen says about it.
fn left(backend: &dyn Backend, job: &RunningJob, journal: &str, afterwards: Afterwards) -> String {
    let (title, journal) = (text::clean(&job.title), text::clean(journal));
    // Only plans are journalled step by step; other work begins anew.
    if afterwards == Afterwards::Wait || !job.changes {
        return format!("left: {title}; its journal: {journal}");
    }
    match backend.detach(&job.id) {
        Ok(pid) => format!(
            "goes on as process {pid}: {title}; `maifdeck jobs show {}` tells how far; its journal: {journal}",
            job.id
        ),
        Err(why) => format!(
            "left: {title}: {}; its journal: {journal}",
            text::clean(&why)
        ),
    }
}

/// Waits until paused jobs stand at a safe point or have ended. One that is deep in a slow write is
/// cut off as by a crash, which its journal is made for.
fn settle(jobs: &[RunningJob], within: Duration) {
    let began = Instant::now();
    let moves = |job: &RunningJob| job.done.borrow().is_none() && !job.task.snapshot().resting;
    while began.elapsed() < within && jobs.iter().any(moves) {
        thread::sleep(Duration::from_millis(10));
    }
}
