//! A job of this process as the screen follows it: the last moments, and from them rate and time left.

use std::{collections::VecDeque, time::Duration};

use super::backend::RunningJob;
use crate::progress::Snapshot;

/// A job of this process with what the last ticks saw of it.
#[derive(Debug, Clone)]
pub struct Running {
    pub job: RunningJob,
    pub now: Snapshot,
    /// Moments of the last seconds: elapsed, bytes, items.
    pub window: VecDeque<(Duration, u64, u64)>,
    /// When it began, of the console's own time.
    pub begun: Duration,
}

/// The rate and the time left, over the window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    pub bytes_per_second: f64,
    pub items_per_second: f64,
    pub left: Option<Duration>,
}

impl Running {
    pub fn new(job: RunningJob, begun: Duration) -> Self {
        Self {
            now: job.task.snapshot(),
            job,
            window: VecDeque::new(),
            begun,
        }
    }

    /// Takes a sample; the window is ten seconds.
    pub fn sample(&mut self, elapsed: Duration) {
        self.now = self.job.task.snapshot();
        self.window
            .push_back((elapsed, self.now.bytes_done, self.now.items_done));
        while let Some((first, ..)) = self.window.front()
            && elapsed.saturating_sub(*first) > Duration::from_secs(10)
        {
            self.window.pop_front();
        }
    }

    /// How far it is, between 0 and 1; `None` while the totals are unknown.
    pub fn share(&self) -> Option<f64> {
        let ratio = crate::report::number::ratio;
        if self.now.bytes_total > 0 {
            Some(ratio(self.now.bytes_done, self.now.bytes_total).min(1.0))
        } else if self.now.items_total > 0 {
            Some(ratio(self.now.items_done, self.now.items_total).min(1.0))
        } else {
            None
        }
    }

    pub fn pace(&self) -> Pace {
        let (Some(first), Some(last)) = (self.window.front(), self.window.back()) else {
            return Pace::default();
        };
        let seconds = last.0.saturating_sub(first.0).as_secs_f64();
        if seconds < 1.0 {
            return Pace::default();
        }
        let to_f64 = crate::report::number::to_f64;
        let bytes_per_second = to_f64(last.1.saturating_sub(first.1)) / seconds;
        let items_per_second = to_f64(last.2.saturating_sub(first.2)) / seconds;
        let left = |done: u64, total: u64, rate: f64| {
            (total > done && rate > 0.0)
                .then(|| Duration::try_from_secs_f64(to_f64(total - done) / rate).ok())
                .flatten()
        };
        Pace {
            bytes_per_second,
            items_per_second,
            left: left(self.now.bytes_done, self.now.bytes_total, bytes_per_second)
                .or_else(|| left(self.now.items_done, self.now.items_total, items_per_second)),
        }
    }
}
