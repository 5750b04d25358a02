//! The threads that touch one volume's files, and the deadline on every call.
//!
//! A mount that hangs blocks the thread that asked it, in the kernel, beyond the reach of any
//! signal. So nobody asks a volume but its own two threads (one for short questions, one for bulk
//! work, so that a listing never waits for a long copy), and nobody waits for them longer than the
//! volume's timeout without a sign of life. While a call is stuck the volume gets no more work.
//! The threads are detached: exit never joins them.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::error::VolumeError;

/// A worker's sign of life; long work beats it after every piece.
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which thread does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Questions that a screen waits for.
    Short,
    /// Copies, verification, whole surveys.
    Bulk,
}

type Call = Box<dyn FnOnce(&Pulse) + Send>;

#[derive(Debug)]
struct LaneEnd {
    calls: mpsc::Sender<Call>,
    pulse: Arc<Pulse>,
    /// Since when a call that was given up has not returned.
    stuck: Arc<Mutex<Option<Instant>>>,
}

/// Both lanes of one volume.
#[derive(Debug)]
pub struct Worker {
    path: PathBuf,
    timeout: Duration,
    short: LaneEnd,
    bulk: LaneEnd,
}

impl Worker {
    pub fn new(path: &Path, timeout: Duration) -> Self {
        Self {
            path: path.to_owned(),
            timeout,
            short: LaneEnd::open(),
            bulk: LaneEnd::open(),
        }
    }

    /// Hands work to a lane; the answer is waited for with [`Pending::wait`].
    pub fn start<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce(&Pulse) -> Result<T, VolumeError> + Send + 'static,
    ) -> Pending<T> {
        let end = match lane {
            Lane::Short => &self.short,
            Lane::Bulk => &self.bulk,
        };
        let (sender, receiver) = mpsc::sync_channel(1);
        let stuck = Arc::clone(&end.stuck);
        let refused = *lock(&stuck);
        if refused.is_none() {
            let done = Arc::clone(&stuck);
            // A closed channel means a worker's panic; `wait` reports it as no answer.
            let _ = end.calls.send(Box::new(move |pulse| {
                let result = work(pulse);
                pulse.beat();
                *lock(&done) = None;
                let _ = sender.send(result);
            }));
        }
        Pending {
            path: self.path.clone(),
            timeout: self.timeout,
            pulse: Arc::clone(&end.pulse),
            stuck,
            refused,
            receiver,
        }
    }

    /// Does the work on a lane and waits for it.
    pub fn call<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce(&Pulse) -> Result<T, VolumeError> + Send + 'static,
    ) -> Result<T, VolumeError> {
        self.start(lane, work).wait()
    }
}

impl LaneEnd {
    fn open() -> Self {
        let (calls, inbox) = mpsc::channel::<Call>();
        let pulse = Arc::<Pulse>::default();
        let beat = Arc::clone(&pulse);
        thread::spawn(move || {
            for call in inbox {
                // One call's panic must not take the volume away from all later ones.
                let outcome =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call(&beat)));
                if outcome.is_err() {
                    tracing::error!("a volume's worker panicked");
                }
            }
        });
        Self {
            calls,
            pulse,
            stuck: Arc::default(),
        }
    }
}

/// An answer that is still to come.
#[derive(Debug)]
#[must_use]
pub struct Pending<T> {
    path: PathBuf,
    timeout: Duration,
    pulse: Arc<Pulse>,
    stuck: Arc<Mutex<Option<Instant>>>,
    refused: Option<Instant>,
    receiver: mpsc::Receiver<Result<T, VolumeError>>,
}

impl<T> Pending<T> {
    /// Waits as long as the lane shows life at least once a timeout.
    pub fn wait(self) -> Result<T, VolumeError> {
        let no_answer = |waited| VolumeError::NoAnswer {
            path: self.path.clone(),
            waited,
        };
        if let Some(since) = self.refused {
            return Err(no_answer(since.elapsed()));
        }
        loop {
            let before = self.pulse.count();
            match self.receiver.recv_timeout(self.timeout) {
                Ok(result) => return result,
                Err(mpsc::RecvTimeoutError::Timeout) if self.pulse.count() != before => {}
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let since = Instant::now()
                        .checked_sub(self.timeout)
                        .unwrap_or_else(Instant::now);
                    *lock(&self.stuck) = Some(since);
                    return Err(no_answer(self.timeout));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(VolumeError::Bad {
                        path: self.path.clone(),
                        problem: "the worker failed; the log says more".to_owned(),
                    });
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_call_makes_the_volume_unreachable_until_it_returns() {
        let worker = Worker::new(Path::new("/mnt/x"), Duration::from_millis(30));
        let (release, gate) = mpsc::channel::<()>();
        let stuck = worker.call(Lane::Short, move |_| {
            let _ = gate.recv();
            Ok(())
        });
        assert!(matches!(stuck, Err(VolumeError::NoAnswer { .. })));
        let refused = worker.call(Lane::Short, |_| Ok(()));
        assert!(matches!(refused, Err(VolumeError::NoAnswer { .. })));
        assert!(worker.call(Lane::Bulk, |_| Ok(())).is_ok());
        release.send(()).unwrap();
        while worker.call(Lane::Short, |_| Ok(())).is_err() {
            thread::yield_now();
        }
    }

    #[test]
    fn work_that_beats_may_take_longer_than_the_timeout() {
        let worker = Worker::new(Path::new("/mnt/x"), Duration::from_millis(40));
        let answer = worker.call(Lane::Bulk, |pulse| {
            let end = Instant::now() + Duration::from_millis(120);
            while Instant::now() < end {
                pulse.beat();
            }
            Ok(7)
        });
        assert_eq!(answer.ok(), Some(7));
    }

    #[test]
    fn a_panic_fails_its_call_only() {
        let worker = Worker::new(Path::new("/mnt/x"), Duration::from_secs(5));
        let failed = worker.call::<()>(Lane::Short, |_| panic!("planted"));
        assert!(matches!(failed, Err(VolumeError::Bad { .. })));
        assert!(worker.call(Lane::Short, |_| Ok(())).is_ok());
    }
}
