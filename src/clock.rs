//! Time from outside: the engine never asks the operating system what time it is, it asks a
//! [`Clock`], so that tests and the demo can hold it still or let weeks pass.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, TimeZone, Utc};

/// Where "now" comes from. Times are UTC with microseconds, as in the MAIF format.
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> DateTime<Utc>;
}

/// A clock that several owners share.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock. A development build moves it by `$MAIFDECK_CLOCK_SKEW` seconds, so
/// that tests can run hosts whose clocks disagree.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        static SKEW: OnceLock<chrono::Duration> = OnceLock::new();
        if !cfg!(debug_assertions) {
            return Utc::now();
        }
        let skew = SKEW.get_or_init(|| {
            let seconds = std::env::var("MAIFDECK_CLOCK_SKEW");
            let seconds = seconds.ok().and_then(|seconds| seconds.parse().ok());
            chrono::Duration::seconds(seconds.unwrap_or(0))
        });
        Utc::now() + *skew
    }
}

/// A clock that stands still until it is set; clones share the same hand.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(Arc::new(AtomicI64::new(time.timestamp_micros())))
    }

    pub fn set(&self, time: DateTime<Utc>) {
        self.0.store(time.timestamp_micros(), Ordering::SeqCst);
    }

    pub fn advance(&self, by: chrono::Duration) {
        self.0
            .fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
    }

    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        Utc.timestamp_micros(self.0.load(Ordering::SeqCst))
            .single()
            .unwrap_or(DateTime::UNIX_EPOCH)
    }
}
