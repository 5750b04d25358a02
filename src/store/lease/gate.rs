//! The gate before every commit, and the one lease that a process has.
//!
//! [`Store::lead`] gives the right to write: shared when this process has it already or a parent
//! lent it (`$MAIFDECK_LEASE`), else taken for this one change. [`Lead::commit`] is the gate: it
//! re-checks under the shared lock, and its value is held until the last rename.

use std::{
    fs::File,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use super::{
    acquire::{self, Patience},
    file,
    holder::{Holder, Purpose, Tenure},
    model::{self, Epoch, Watch},
};
use crate::{
    store::{error::StoreError, grid::Store, slot::Slot},
    volume::{Lane, LockMode, Pending, Volume, fault},
};

/// `$MAIFDECK_LEASE`: `<store id>:<epoch>:<nonce>`, set by `lease hold` and `lock` for what they
/// run.
pub const LENT: &str = "MAIFDECK_LEASE";

/// Which lease this process has. All clones of a [`Store`] share it.
#[derive(Debug, Default)]
pub struct Seat {
    current: Mutex<Weak<Tenure>>,
}

impl Seat {
    /// The lease of this process, if it has one now.
    pub fn current(&self) -> Option<Arc<Tenure>> {
        // While somebody of us is winning one there is none yet; nobody waits for that here.
        self.current.try_lock().ok()?.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, Weak<Tenure>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write, as long as it lives.
#[derive(Debug, Clone, Default)]
pub struct Lead {
    /// `None`: leases are off.
    tenure: Option<Arc<Tenure>>,
}

/// A commit under way: no other leader begins before it is dropped. Move a clone into whatever
/// renames, so that a rename that outlives its caller's patience is still inside.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Commit {
    _lock: Option<Arc<File>>,
}

/// What the gate asks for, being prepared meanwhile.
#[derive(Debug, Default)]
#[must_use]
pub struct Announced {
    number: Option<Pending<()>>,
    on_volumes: Vec<Pending<Epoch>>,
}

impl Announced {
    /// Waits until it is so. What failed the gate finds undone, and tries again.
    pub fn wait(self) {
        let number = self.number.map(Pending::wait);
        let epochs = self.on_volumes.into_iter().map(Pending::wait);
        for error in epochs
            .filter_map(Result::err)
            .chain(number.and_then(Result::err))
        {
            tracing::warn!(%error, "an epoch is not announced");
        }
    }
}

impl Store {
    /// Takes part in this process's lease, or takes one for this change alone. Nothing when leases
    /// are off.
    pub fn lead(&self) -> Result<Lead, StoreError> {
        if self.config().leader.enabled {
            self.require_same_layout()?;
        }
        self.lead_in_change()
    }

    /// [`Store::lead`] that waits no longer than this.
    pub fn lead_until(&self, until: Instant) -> Result<Lead, StoreError> {
        if !self.config().leader.enabled {
            return Ok(Lead::default());
        }
        let patience = Patience {
            until,
            ..Patience::of_a_write(self)
        };
        self.take_lease(Purpose::Write, patience, &mut Watch::default())
            .map(Lead::of)
    }

    /// [`Store::lead`] while the layout is being changed, or was left half changed.
    pub fn lead_in_change(&self) -> Result<Lead, StoreError> {
        if !self.config().leader.enabled {
            return Ok(Lead::default());
        }
        self.win(
            Purpose::Write,
            Patience::of_a_write(self),
            &mut Watch::default(),
        )
        .map(Lead::of)
    }

    /// The lease of this process, or a new one.
    pub fn take_lease(
        &self,
        purpose: Purpose,
        patience: Patience,
        watch: &mut Watch,
    ) -> Result<Arc<Tenure>, StoreError> {
        self.require_same_layout()?;
        self.win(purpose, patience, watch)
    }

    fn win(
        &self,
        purpose: Purpose,
        patience: Patience,
        watch: &mut Watch,
    ) -> Result<Arc<Tenure>, StoreError> {
        self.require_write()?;
        let mut current = self.seat().lock();
        // One on another volume is of the layout before.
        let is_here =
            |tenure: &Arc<Tenure>| **tenure.control().label() == *self.config().store.control;
        if let Some(tenure) = current.upgrade().filter(is_here) {
            if tenure.is_lost() && patience.steal.is_none() {
                return Err(overtaken(&tenure)?);
            }
            if !tenure.is_lost() {
                return Ok(tenure);
            }
        }
        let tenure = match lent(self)? {
            Some(tenure) if patience.steal.is_none() => tenure,
            _ => acquire::acquire(self, purpose, patience, watch)?,
        };
        // One change makes it durable while it stages; others have the time now.
        if purpose != Purpose::Write {
            tenure.sync()?;
        }
        let tenure = Arc::new(tenure);
        *current = Arc::downgrade(&tenure);
        Ok(tenure)
    }
}

fn overtaken(tenure: &Tenure) -> Result<StoreError, StoreError> {
    let control = tenure.control();
    let newest = control.run(Lane::Short, |dir, _| file::newest(dir))?;
    let newest = newest.unwrap_or_default();
    Ok(acquire::lost(control, tenure.epoch(), newest)?.into())
}

/// The variable's value that lends this holder's lease.
pub fn lent_value(store: &Store, holder: &Holder) -> String {
    format!(
        "{}:{}:{}",
        store.id().unwrap_or_default(),
        holder.epoch,
        holder.nonce
    )
}

/// The lease that a parent lent, when the variable is about this store.
fn lent(store: &Store) -> Result<Option<Tenure>, StoreError> {
    let Ok(value) = std::env::var(LENT) else {
        return Ok(None);
    };
    let mut parts = value.split(':');
    let (Some(id), Some(Ok(epoch)), Some(nonce)) =
        (parts.next(), parts.next().map(str::parse), parts.next())
    else {
        return Ok(None);
    };
    if Some(id) != store.id() {
        return Ok(None);
    }
    let control = &acquire::control(store)?.volume;
    let ours = Epoch(epoch);
    let holder = control.run(Lane::Short, move |dir, _| file::read_holder(dir, ours))?;
    if let Some(holder) = holder.filter(|holder| holder.nonce == nonce) {
        return Ok(Some(Tenure::lent(control, holder)));
    }
    // Swept: it was lost long ago, and whoever runs us counts on it still.
    let newest = control.run(Lane::Short, |dir, _| file::newest(dir))?;
    Err(acquire::lost(control, ours, newest.unwrap_or_default())?.into())
}

impl Lead {
    /// From a lease that is held for longer.
    pub fn of(tenure: Arc<Tenure>) -> Self {
        Self {
            tenure: Some(tenure),
        }
    }

    /// The right to write under the layout that was just raised: the same one, unless the lease
    /// lives on another volume now. Then nothing more is written by the old one, whoever shares it.
    pub fn follow(self, store: &Store) -> Result<Self, StoreError> {
        let wanted = store
            .config()
            .leader
            .enabled
            .then_some(&*store.config().store.control);
        let control = self
            .tenure
            .as_ref()
            .map(|tenure| &**tenure.control().label());
        if control == wanted {
            return Ok(self);
        }
        if let Some(tenure) = self.tenure.as_ref().filter(|_| wanted.is_some()) {
            acquire::retire(
                tenure.control(),
                tenure.epoch(),
                store.config().leader.barrier_timeout,
            )?;
        }
        store.lead_in_change()
    }

    pub fn epoch(&self) -> Option<Epoch> {
        self.tenure.as_ref().map(|tenure| tenure.epoch())
    }

    /// What `$MAIFDECK_LEASE` has to be for a child to write under this lease.
    pub fn lend(&self, store: &Store) -> Result<Option<String>, StoreError> {
        let Some(tenure) = &self.tenure else {
            return Ok(None);
        };
        tenure.sync()?;
        Ok(Some(lent_value(store, tenure.holder())))
    }

    /// Begins to leave our number, durably, where the gate will ask for it: while a change stages,
    /// that costs no time of its own. Never by one who was overtaken; the gate will say so.
    pub fn announce(&self, store: &Store, slots: &[&Slot]) -> Result<Announced, StoreError> {
        let Some(tenure) = &self.tenure else {
            return Ok(Announced::default());
        };
        let ours = tenure.epoch();
        let (lock, in_lock) = shared(store, tenure.control())?;
        if tenure.is_lost() || model::may_commit(ours, in_lock, []).is_err() {
            return Ok(Announced::default());
        }
        // A new leader waits until the last of them is done with it.
        let lock = Arc::new(lock);
        let on_volumes = slots.iter().map(|slot| {
            let lock = Arc::clone(&lock);
            slot.volume.start(Lane::Short, move |dir, _| {
                let _inside = lock;
                file::raise(dir, ours)
            })
        });
        Ok(Announced {
            on_volumes: on_volumes.collect(),
            number: tenure.start_sync(),
        })
    }

    /// The gate: what is staged is durable, nothing is renamed yet. Refuses when another host has
    /// taken over; otherwise none can until the value is dropped.
    pub fn commit(&self, store: &Store, slots: &[&Slot]) -> Result<Commit, StoreError> {
        let Some(tenure) = &self.tenure else {
            return Ok(Commit::default());
        };
        fault::point("commit.before-gate")
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        let control = tenure.control();
        let ours = tenure.epoch();
        if tenure.is_lost() {
            return Err(overtaken(tenure)?);
        }
        tenure.sync()?;
        let (lock, in_lock) = shared(store, control)?;
        // Raising a volume's epoch is a change like others: never by one who was overtaken.
        let refused = match model::may_commit(ours, in_lock, []) {
            Ok(()) => model::may_commit(ours, in_lock, raise_all(slots, ours)),
            refused => refused,
        };
        if let Err(newer) = refused {
            drop(lock);
            tenure.mark_lost();
            return Err(acquire::lost(control, ours, newer)?.into());
        }
        fault::point("commit.inside").map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Commit {
            _lock: Some(Arc::new(lock)),
        })
    }
}

/// Leaves our number on the volumes of a commit; what was there.
fn raise_all(slots: &[&Slot], ours: Epoch) -> Vec<Epoch> {
    let pending: Vec<_> = slots
        .iter()
        .map(|slot| {
            slot.volume
                .start(Lane::Short, move |dir, _| file::raise(dir, ours))
        })
        .collect();
    pending
        .into_iter()
        .zip(slots)
        .filter_map(|(pending, slot)| {
            pending
                .wait()
                .inspect_err(|error| {
                    // It will hardly take the rename either; the lock is what fences.
                    tracing::warn!(%error, volume = slot.label(), "no epoch could be left");
                })
                .ok()
        })
        .collect()
}

/// A new leader holds the lock for the time of writing a number.
fn shared(store: &Store, control: &Volume) -> Result<(File, Epoch), StoreError> {
    let deadline = Instant::now() + store.config().store.lock_timeout;
    let mut pause = Duration::from_millis(1);
    loop {
        let tried = control.run(Lane::Short, |dir, _| file::try_lock(dir, LockMode::Shared))?;
        match tried {
            Some(lock) => return Ok(lock),
            None if Instant::now() >= deadline => {
                return Err(StoreError::Locked {
                    what: "the lease's lock".to_owned(),
                    holder: "a host that is taking the lease".to_owned(),
                });
            }
            None => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
