//! The lease protocol as pure decisions: no files, no clocks, no threads.
//!
//! Four rules make one writer of many hosts, and the tests explore them exhaustively:
//! 1. An epoch is won by whoever creates its file first, and no number is ever used again.
//! 2. The holder's counter that stands still for a TTL, watched by one's own monotonic clock, or a
//!    holder that gave up, entitles others to the next epoch. Being wrong about it is unfair, not
//!    unsafe.
//! 3. A winner leads only once it has written its number into `lease.lock` under the exclusive
//!    lock, over a smaller one. That is the barrier: no commit is under way then.
//! 4. A commit holds that lock shared from its check of the number to its last rename.

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// The fencing number. Zero is before all leaders.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Epoch {
    /// Twenty digits, so that names sort as numbers do.
    pub fn digits(self) -> String {
        format!("{:020}", self.0)
    }

    /// Exactly what [`Epoch::digits`] makes.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self)).flatten()
    }
}

/// What a holder leaves for the others to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Beat {
    /// Nothing yet: it has only just won.
    #[default]
    Silent,
    Count(u64),
    /// It gave the lease back.
    Released,
    /// It could not get past a commit of the leader before it, and gave up.
    Blocked,
}

impl Beat {
    /// Whether its holder is done with it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Released | Self::Blocked)
    }
}

/// What one look at the lease shows: the newest epoch and its holder's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sighting {
    /// `None`: nobody ever had it.
    pub epoch: Option<Epoch>,
    pub beat: Beat,
}

/// What a sighting entitles to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The next epoch may be won at once.
    Free,
    /// Its holder may live.
    Held {
        /// Whether its counter was seen to move.
        alive: bool,
    },
    /// Its counter stood still for a TTL: the next epoch may be won.
    Expired,
}

/// One host's watch over the counter, by its own monotonic clock.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    still: Option<(Sighting, Instant)>,
    alive: bool,
}

impl Watch {
    /// Judges what was read between `began` and `ended`. The counter stood still at least from the
    /// end of the first reading to the beginning of this one.
    pub fn see(
        &mut self,
        sighting: Sighting,
        began: Instant,
        ended: Instant,
        ttl: Duration,
    ) -> Standing {
        if sighting.epoch.is_none() || sighting.beat.is_final() {
            self.still = None;
            self.alive = false;
            return Standing::Free;
        }
        match self.still {
            Some((before, since)) if before == sighting => {
                if began.saturating_duration_since(since) >= ttl {
                    return Standing::Expired;
                }
            }
            before => {
                self.alive = before.is_some_and(|(before, _)| before.epoch == sighting.epoch);
                self.still = Some((sighting, ended));
            }
        }
        Standing::Held { alive: self.alive }
    }

    /// How long the counter has stood still before our eyes.
    pub fn observed(&self, now: Instant) -> Duration {
        self.still.map_or(Duration::ZERO, |(_, since)| {
            now.saturating_duration_since(since)
        })
    }
}

/// The epoch to try for: greater than every one that left a trace anywhere; `None` when there is no
/// such number.
pub fn next_epoch(traces: impl IntoIterator<Item = Epoch>) -> Option<Epoch> {
    let greatest = traces.into_iter().max().unwrap_or_default();
    greatest.0.checked_add(1).map(Epoch)
}

/// Under the exclusive lock: whether the winner of `ours` becomes the leader; `Err` is the epoch that
/// stands before it. A number that is there already belongs to a leader, so no epoch ever has two.
/// Where none is (never written, or damaged) the newest epoch that was won counts in its place: a
/// slow rival may have won a number that was swept, and was a leader's once.
pub fn may_lead(ours: Epoch, in_lock: Epoch, newest: Epoch) -> Result<(), Epoch> {
    if in_lock >= ours {
        return Err(in_lock);
    }
    if in_lock == Epoch::default() && newest > ours {
        return Err(newest);
    }
    Ok(())
}

/// Under the shared lock: whether a commit of `ours` may go on, given the number in the lock and
/// those that volumes carry. `Err` is the epoch that overtook it.
pub fn may_commit(
    ours: Epoch,
    in_lock: Epoch,
    on_volumes: impl IntoIterator<Item = Epoch>,
) -> Result<(), Epoch> {
    if in_lock != ours {
        return Err(in_lock);
    }
    match on_volumes.into_iter().max() {
        Some(newer) if newer > ours => Err(newer),
        _ => Ok(()),
    }
}

/// Which lease files an established leader may sweep: all but the newest few. Only numbers below
/// an established one go, so a slow rival that wins a swept number again can never lead by it.
pub fn may_sweep(found: Epoch, established: Epoch, keep: u64) -> bool {
    found.0.saturating_add(keep) <= established.0
}
