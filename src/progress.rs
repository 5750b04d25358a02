//! Progress and cancellation of long work.
//!
//! The worker side counts and asks for permission to go on; the other side samples a `watch`
//! channel and pauses or cancels. Found, copied and verified are counted apart, so that progress
//! can never say "done" of what was only looked at.

use std::{
    ops::ControlFlow,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rayon::ThreadPoolBuilder;
use tokio::sync::watch;

/// A moment of a task, as the screen and the progress bar show it.
#[allow(clippy::struct_excessive_bools)] // what was asked for, and whether it is in force
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What is being done now, in words: "staging", "verifying".
    pub phase: &'static str,
    /// Items (artifacts, copies or files) finished, of `items_total` (0: not yet known).
    pub items_done: u64,
    pub items_total: u64,
    /// Bytes read or written, of `bytes_total` (0: not yet known).
    pub bytes_done: u64,
    pub bytes_total: u64,
    /// Items whose bytes were read back and found right.
    pub verified: u64,
    pub failed: u64,
    pub paused: bool,
    /// The pause has come into force: the worker stands at a safe point.
    pub resting: bool,
    pub cancelled: bool,
}

/// The operator asked to stop; nothing is half-done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

#[derive(Debug, Default)]
struct State {
    now: Snapshot,
    /// Paused, and whoever works gives back what others may want meanwhile.
    resting: bool,
    published: Option<Instant>,
}

/// One piece of long work. Cheap to clone; all clones are the same task.
#[derive(Debug, Clone)]
pub struct Task {
    state: Arc<(Mutex<State>, Condvar)>,
    watch: watch::Sender<Snapshot>,
}

impl Default for Task {
    fn default() -> Self {
        Self::new()
    }
}

/// A watcher need not see more than this many moments a second.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);

impl Task {
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            watch: watch::Sender::new(Snapshot::default()),
        }
    }

    /// Another end of the channel on which moments are published.
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.watch.subscribe()
    }

    pub fn snapshot(&self) -> Snapshot {
        self.lock().now.clone()
    }

    /// Runs parallel work on threads of its own, so that nobody else's waits when a disk keeps these
    /// waiting.
    pub fn side_by_side<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match ThreadPoolBuilder::new().build() {
            Ok(pool) => pool.install(work),
            Err(error) => {
                tracing::warn!(%error, "no threads for a job");
                work()
            }
        }
    }

    /// Enters a phase; totals are those of the whole task.
    pub fn phase(&self, phase: &'static str) {
        self.update(true, |now| now.phase = phase);
    }

    pub fn totals(&self, items: u64, bytes: u64) {
        self.update(true, |now| {
            (now.items_total, now.bytes_total) = (items, bytes);
        });
    }

    pub fn add_bytes(&self, bytes: u64) {
        self.update(false, |now| now.bytes_done += bytes);
    }

    pub fn add_done(&self, items: u64) {
        self.update(false, |now| now.items_done += items);
    }

    pub fn add_verified(&self, items: u64) {
        self.update(false, |now| now.verified += items);
    }

    pub fn add_failed(&self, items: u64) {
        self.update(true, |now| now.failed += items);
    }

    pub fn cancel(&self) {
        self.update(true, |now| now.cancelled = true);
        self.state.1.notify_all();
    }

    pub fn pause(&self) {
        self.update(true, |now| now.paused = true);
    }

    /// Pauses it for a time in which its process may not run: locks are given back.
    pub fn rest(&self) {
        self.lock().resting = true;
        self.pause();
    }

    pub fn is_resting(&self) -> bool {
        self.lock().resting
    }

    pub fn resume(&self) {
        self.lock().resting = false;
        self.update(true, |now| now.paused = false);
        self.state.1.notify_all();
    }

    /// Sleeps, to leave others their share of disk and network; in short pieces, so that cancelling
    /// never waits.
    pub fn sleep(&self, mut left: Duration) {
        while !left.is_zero() && !self.snapshot().cancelled {
            let piece = left.min(Duration::from_millis(100));
            std::thread::sleep(piece);
            left -= piece;
        }
    }

    /// A safe point between two steps: waits while paused, ends when cancelled.
    pub fn checkpoint(&self) -> Result<(), Cancelled> {
        let mut state = self.lock();
        while state.now.paused && !state.now.cancelled {
            state.now.resting = true;
            state = self
                .state
                .1
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.now.resting = false;
        if state.now.cancelled {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    /// For readers that ask in the middle of a file: counts the bytes, breaks when cancelled.
    pub fn tick(&self, bytes: u64) -> ControlFlow<()> {
        self.add_bytes(bytes);
        if self.lock().now.cancelled {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Publishes the last moment, whatever the rate limit says.
    pub fn flush(&self) {
        self.update(true, |_| ());
    }

    fn update(&self, at_once: bool, change: impl FnOnce(&mut Snapshot)) {
        let mut state = self.lock();
        change(&mut state.now);
        if at_once
            || state
                .published
                .is_none_or(|at| at.elapsed() >= PUBLISH_EVERY)
        {
            state.published = Some(Instant::now());
            self.watch.send_replace(state.now.clone());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Counters stay meaningful when a worker panicked between two of them.
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_paused_task_says_when_its_worker_stands_still() {
        let task = Task::new();
        let worker = task.clone();
        task.pause();
        assert!(!task.snapshot().resting, "nobody is at a safe point yet");
        let at_work = thread::spawn(move || worker.checkpoint());
        while !task.snapshot().resting {
            thread::yield_now();
        }
        task.resume();
        assert_eq!(at_work.join().unwrap(), Ok(()));
        assert!(!task.snapshot().resting);
    }
}
