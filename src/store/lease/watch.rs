//! How the lease is now, for status, the console and `lease status`. Reads only.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    acquire, file,
    gate::{LENT, lent_value},
    holder::Holder,
    model::{Beat, Epoch, Standing, Watch},
};
use crate::{
    store::{StoreError, grid::Store},
    volume::Lane,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    Held,
    Free,
    /// This process watched the counter stand still for a TTL.
    Expired,
    /// A process stopped inside a commit; whoever wins the lease waits for it.
    Blocked,
    /// The control volume does not answer, or leases cannot be trusted there.
    Unknown,
}

impl LeaseState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Free => "free",
            Self::Expired => "expired",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
        }
    }
}

/// A moment of the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    /// Whether leases are on at all.
    pub enabled: bool,
    pub state: LeaseState,
    /// Who holds it, or stands in the way.
    pub holder: Option<Holder>,
    /// The newest epoch; of the blocking leader when blocked.
    pub epoch: Option<Epoch>,
    /// The holder's counter.
    pub count: Option<u64>,
    /// Whether this process has it, or writes under a parent's.
    pub mine: bool,
    /// Whether this process has seen the counter move.
    pub alive: bool,
    /// How long the counter has stood still before our eyes.
    pub observed: Duration,
    /// How long it may stand still.
    pub ttl: Duration,
    /// When this process first saw this epoch.
    pub watched: Option<DateTime<Utc>>,
    /// Why it is unknown; in a console also what happened to it last.
    pub problem: Option<String>,
}

impl Default for LeaseView {
    /// Leases are off.
    fn default() -> Self {
        Self {
            enabled: false,
            state: LeaseState::Free,
            holder: None,
            epoch: None,
            count: None,
            mine: false,
            alive: false,
            observed: Duration::ZERO,
            ttl: Duration::ZERO,
            watched: None,
            problem: None,
        }
    }
}

impl LeaseView {
    /// Leases are on, and nobody has looked yet, or looked in vain.
    pub fn unknown(problem: Option<String>) -> Self {
        Self {
            enabled: true,
            state: LeaseState::Unknown,
            problem,
            ..Self::default()
        }
    }

    /// The holder's host, fit to be shown.
    pub fn host(&self) -> String {
        self.holder
            .as_ref()
            .map_or_else(|| "a host that left no name".to_owned(), Holder::shown_host)
    }

    /// Whether the holder shows no life any more: of its beats, one in a tenth of the TTL, three
    /// are missing before our eyes.
    pub fn is_still(&self) -> bool {
        self.state == LeaseState::Expired || self.observed >= self.ttl * 3 / 10
    }

    /// In words: `leases are off`, `held by ops-1, epoch 7`.
    pub fn words(&self) -> String {
        if !self.enabled {
            return "leases are off".to_owned();
        }
        let host = self.host();
        let epoch = self.epoch.unwrap_or_default();
        match self.state {
            LeaseState::Held if self.mine => format!("held here, epoch {epoch}"),
            LeaseState::Held => format!("held by {host}, epoch {epoch}"),
            LeaseState::Free => "free".to_owned(),
            LeaseState::Expired => format!("expired: {host} shows no life, epoch {epoch}"),
            LeaseState::Blocked => {
                let pid = self.holder.as_ref();
                let pid = pid.map_or_else(String::new, |holder| format!(" pid {}", holder.pid));
                format!("blocked by {host}{pid} inside a commit, epoch {epoch}")
            }
            LeaseState::Unknown => match &self.problem {
                Some(problem) => format!("unknown: {problem}"),
                None => "unknown".to_owned(),
            },
        }
    }
}

/// Watches the lease from one process; the longer, the more it can tell.
#[derive(Debug, Default)]
pub struct Observer {
    pub(super) watch: Watch,
    /// The epoch that is watched, since when.
    since: Option<(Option<Epoch>, DateTime<Utc>)>,
}

impl Observer {
    /// Looks once.
    pub fn sample(&mut self, store: &Store) -> LeaseView {
        if !store.config().leader.enabled {
            return LeaseView::default();
        }
        self.look(store)
            .unwrap_or_else(|error| LeaseView::unknown(Some(error.to_string())))
    }

    fn look(&mut self, store: &Store) -> Result<LeaseView, StoreError> {
        let slot = acquire::control(store)?;
        acquire::require_trust(slot)?;
        let began = Instant::now();
        let (seen, blocking) = slot.volume.run(Lane::Short, |dir, _| {
            let seen = file::look(dir)?;
            let blocking = if seen.sighting.beat == Beat::Blocked && !file::is_lock_free(dir) {
                Some(file::read_holder(dir, seen.in_lock)?)
            } else {
                None
            };
            Ok((seen, blocking))
        })?;
        let ended = Instant::now();
        let ttl = acquire::judged_ttl(store, &seen);
        let standing = self.watch.see(seen.sighting, began, ended, ttl);
        let epoch = seen.sighting.epoch;
        let since = match self.since {
            Some((watched, since)) if watched == epoch => since,
            _ => store.clock().now(),
        };
        self.since = Some((epoch, since));
        let mut view = LeaseView {
            enabled: true,
            state: LeaseState::Held,
            epoch,
            observed: self.watch.observed(ended),
            ttl,
            watched: Some(since),
            ..LeaseView::default()
        };
        if let Some(leader) = blocking {
            view.state = LeaseState::Blocked;
            view.epoch = Some(seen.in_lock);
            view.holder = leader;
            return Ok(view);
        }
        match standing {
            Standing::Free => {
                view.state = LeaseState::Free;
                return Ok(view);
            }
            Standing::Expired => view.state = LeaseState::Expired,
            Standing::Held { alive } => view.alive = alive,
        }
        if let Beat::Count(count) = seen.sighting.beat {
            view.count = Some(count);
        }
        view.mine = seen
            .holder
            .as_ref()
            .is_some_and(|holder| is_mine(store, holder));
        view.holder = seen.holder;
        Ok(view)
    }
}

fn is_mine(store: &Store, holder: &Holder) -> bool {
    let ours = store
        .seat()
        .current()
        .is_some_and(|tenure| tenure.holder().nonce == holder.nonce);
    ours || std::env::var(LENT).is_ok_and(|value| value == lent_value(store, holder))
}
