//! Who holds an epoch, and the thread that keeps its counter moving.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    file,
    model::{Beat, Epoch},
};
use crate::{
    store::StoreError,
    volume::{Lane, Pending, Volume, lock},
};

/// What a lease is held for; others wait for a single write and not for a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// One change, or one job.
    Write,
    /// `lease hold`
    Hold,
    Console,
}

impl Purpose {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Hold => "hold",
            Self::Console => "console",
        }
    }
}

/// What the winner of an epoch says of itself, in the file that won it. Informative, but for the
/// nonce, which tells two winners apart, and the TTL, which the others must wait at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub schema: u32,
    pub epoch: Epoch,
    pub nonce: String,
    pub user: String,
    pub host: String,
    pub pid: u32,
    pub since: String,
    pub purpose: Purpose,
    pub operation: String,
    pub ttl_ms: u64,
}

impl Holder {
    /// This process.
    pub fn new(
        epoch: Epoch,
        purpose: Purpose,
        ttl: Duration,
        since: String,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            schema: 1,
            epoch,
            nonce: crate::volume::identity::new_id()?,
            user: lock::user(),
            host: lock::host(),
            pid: std::process::id(),
            since,
            purpose,
            operation: lock::operation().to_owned(),
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
        })
    }

    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }

    /// Its host, fit to be shown.
    pub fn shown_host(&self) -> String {
        crate::volume::name::escape(self.host.as_bytes())
    }

    /// For errors and screens: `ops-1 pid 123 (put doc) since 2026-03-11T09:15:00Z`.
    pub fn words(&self) -> String {
        let shown = |text: &str| crate::volume::name::escape(text.as_bytes());
        format!(
            "{} pid {} ({}) since {}",
            self.shown_host(),
            self.pid,
            shown(&self.operation),
            shown(&self.since)
        )
    }
}

/// An epoch that is ours. Dropping it gives the lease back.
#[derive(Debug)]
pub struct Tenure {
    control: Arc<Volume>,
    holder: Holder,
    lost: Arc<AtomicBool>,
    /// Whether a parent beats for us and gives it back.
    lent: bool,
    /// Whether its number in `lease.lock` outlives a crash.
    durable: Arc<AtomicBool>,
    /// `None` while it rests.
    heart: Mutex<Option<Heart>>,
}

#[derive(Debug)]
struct Heart {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Tenure {
    /// For the winner of an epoch: begins to beat.
    pub fn begin(control: &Arc<Volume>, holder: Holder) -> Result<Self, StoreError> {
        let tenure = Self {
            control: Arc::clone(control),
            holder,
            lost: Arc::default(),
            lent: false,
            durable: Arc::default(),
            heart: Mutex::default(),
        };
        *tenure.heart() = Some(tenure.start()?);
        Ok(tenure)
    }

    fn start(&self) -> Result<Heart, StoreError> {
        let epoch = self.epoch();
        self.control.run(Lane::Short, move |dir, _| {
            file::write_beat(dir, epoch, Beat::Count(1))
        })?;
        let (stop, stopped) = mpsc::channel();
        let (control, lost) = (Arc::clone(&self.control), Arc::clone(&self.lost));
        let every = beat_every(self.holder.ttl());
        let thread = thread::spawn(move || beat(&control, epoch, every, &stopped, &lost));
        Ok(Heart { stop, thread })
    }

    fn heart(&self) -> MutexGuard<'_, Option<Heart>> {
        self.heart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a process to which a parent lent its lease.
    pub fn lent(control: &Arc<Volume>, holder: Holder) -> Self {
        Self {
            control: Arc::clone(control),
            holder,
            lost: Arc::default(),
            lent: true,
            // Nothing is lent before.
            durable: Arc::new(AtomicBool::new(true)),
            heart: Mutex::default(),
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.holder.epoch
    }

    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Whether a greater epoch was seen. The gate finds out for itself; this is for the screen,
    /// and spares a newcomer at the barrier commits that would be refused anyway.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Looks at once whether somebody took over, without waiting for the next beat.
    pub fn look_again(&self) -> bool {
        let newest = self.control.run(Lane::Short, |dir, _| file::newest(dir));
        if matches!(newest, Ok(Some(newest)) if newest > self.epoch()) {
            self.mark_lost();
        }
        self.is_lost()
    }

    pub fn mark_lost(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Begins to make its number durable, if it is not, and to sweep what older ones left. Nothing is
    /// renamed under it before.
    pub fn start_sync(&self) -> Option<Pending<()>> {
        if self.durable.load(Ordering::Acquire) {
            return None;
        }
        let (durable, epoch) = (Arc::clone(&self.durable), self.epoch());
        Some(self.control.start(Lane::Short, move |dir, _| {
            // It may have been done while this waited.
            if !durable.load(Ordering::Acquire) {
                file::sync_lock(dir)?;
                durable.store(true, Ordering::Release);
                if let Err(error) = file::sweep(dir, epoch) {
                    // It costs room, nothing else; the next leader tries again.
                    tracing::warn!(%error, "old lease files stay");
                }
            }
            Ok(())
        }))
    }

    /// Makes its number durable.
    pub fn sync(&self) -> Result<(), StoreError> {
        Ok(self.start_sync().map_or(Ok(()), Pending::wait)?)
    }

    /// The volume where it lives.
    pub fn control(&self) -> &Volume {
        &self.control
    }

    /// Comes back from a rest: it is ours still, unless another host took the next epoch meanwhile.
    /// What was given back may be overtaken at any time, and the gate sees to the rest; so this
    /// needs no rule of its own.
    pub fn wake(&self) -> Result<(), StoreError> {
        let mut heart = self.heart();
        if heart.is_none() && !self.lent && !self.look_again() {
            *heart = Some(self.start()?);
        }
        Ok(())
    }

    /// Gives the epoch up with this word: its last one, or until [`Tenure::wake`].
    pub fn rest(&self, word: Beat) {
        let Some(heart) = self.heart().take() else {
            return;
        };
        // A thread that ended already has no receiver any more.
        let _ = heart.stop.send(());
        if heart.thread.join().is_err() {
            tracing::error!("the lease's heartbeat panicked");
        }
        let epoch = self.epoch();
        let said = self.control.run(Lane::Short, move |dir, _| {
            file::write_beat(dir, epoch, word)
        });
        if let Err(error) = said {
            // Then the others find out by the counter that stands still.
            tracing::warn!(%error, "the lease could not be given back");
        }
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.rest(Beat::Released);
    }
}

/// Ten times a TTL: a rival sees a living holder soon, and one late beat is no death.
fn beat_every(ttl: Duration) -> Duration {
    (ttl / 10).clamp(Duration::from_millis(10), Duration::from_secs(5))
}

fn beat(
    control: &Volume,
    epoch: Epoch,
    every: Duration,
    stopped: &mpsc::Receiver<()>,
    lost: &AtomicBool,
) {
    let mut count = 1;
    while stopped.recv_timeout(every) == Err(mpsc::RecvTimeoutError::Timeout) {
        count += 1;
        let newest = control.run(Lane::Short, move |dir, _| {
            file::write_beat(dir, epoch, Beat::Count(count))?;
            file::newest(dir)
        });
        match newest {
            Ok(Some(newest)) if newest > epoch => {
                tracing::warn!(%epoch, %newest, "another host took the lease over");
                lost.store(true, Ordering::Relaxed);
                return;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the lease's counter could not be moved"),
        }
    }
}
