//! Coming to rest: before the console is stopped, left or cut off, its jobs pause at a safe point and
//! the engine gives back what it holds, within a bounded time.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{
    backend::RunningJob,
    run::{Console, Left},
    terminal::Terminal,
    text,
    update::REST,
};

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
        self.bring_to_rest();
        let result = self.terminal.suspend();
        self.backend.wake();
        for task in tasks {
            task.resume();
        }
        self.app.size = Terminal::size();
        result
    }

    /// Our jobs rest, and the engine has a moment to come to a safe point. Returns where those
    /// that can be resumed keep their journals.
    pub(super) fn bring_to_rest(&self) -> Vec<String> {
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
                    .map(|(job, path)| {
                        let title = text::clean(&job.title);
                        format!("left: {title}; its journal: {}", text::clean(&path))
                    })
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
        self.bring_to_rest();
        // Nobody is there to be told.
        (129, Vec::new())
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
