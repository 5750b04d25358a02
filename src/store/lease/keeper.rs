//! The lease of a console: taken when it is free, kept while the console is open, watched always.
//!
//! One thread samples and beats are the tenure's own; the screen reads the last sample and never
//! waits. A lease that was taken from us is not fought for: the operator takes it back.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{
    acquire::{self, Patience},
    holder::{Purpose, Tenure},
    watch::{LeaseState, LeaseView, Observer},
};
use crate::store::{Store, StoreError};

/// Keeps the lease for as long as it lives; dropping it gives the lease back.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    view: LeaseView,
    tenure: Option<Arc<Tenure>>,
    /// Whether to take the lease when it is to be had.
    wanted: bool,
    /// What happened to it last, for the screen.
    note: Option<String>,
    closed: bool,
}

impl Keeper {
    /// Begins to watch, and to take the lease when `wanted` and it is free or expired.
    pub fn open(store: &Store, wanted: bool) -> Self {
        let wanted = wanted && store.config().leader.enabled && store.require_write().is_ok();
        let view = LeaseView {
            enabled: store.config().leader.enabled,
            state: LeaseState::Unknown,
            holder: None,
            epoch: None,
            count: None,
            mine: false,
            alive: false,
            observed: Duration::ZERO,
            problem: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                view,
                tenure: None,
                wanted,
                note: None,
                closed: false,
            }),
            wake: Condvar::new(),
        });
        let (watched, store_there) = (Arc::clone(&shared), store.clone());
        // Detached: exit never waits for a thread that a dead mount holds.
        thread::spawn(move || watch(&store_there, &watched));
        Self {
            store: store.clone(),
            shared,
        }
    }

    /// The last sample; never waits.
    pub fn status(&self) -> LeaseView {
        self.shared.lock().view.clone()
    }

    /// What happened last: lost to whom, or why it could not be taken.
    pub fn note(&self) -> Option<String> {
        self.shared.lock().note.clone()
    }

    /// Takes the lease, from whoever has it. Blocks up to the barrier's timeout.
    pub fn take_over(&self) -> Result<(), StoreError> {
        let tenure = self.store.take_lease(
            Purpose::Console,
            Patience::of_a_thief(&self.store),
            &mut super::model::Watch::default(),
        )?;
        let before = {
            let mut state = self.shared.lock();
            state.wanted = true;
            state.note = None;
            state.tenure.replace(tenure)
        };
        // Outside the lock, as everything that touches files: `status` must not wait for it.
        drop(before);
        self.shared.wake.notify_all();
        Ok(())
    }

    /// Gives the lease back, when what runs under it has ended, and does not take it again.
    pub fn step_down(&self) {
        let tenure = {
            let mut state = self.shared.lock();
            state.wanted = false;
            state.tenure.take()
        };
        drop(tenure);
        self.shared.wake.notify_all();
    }

    /// The processes of this machine that are inside a commit now: whom to end when blocked.
    pub fn blockers(&self) -> Result<Vec<u32>, StoreError> {
        acquire::inside(&self.store)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.step_down();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn watch(store: &Store, shared: &Shared) {
    let every =
        (store.config().leader.ttl / 10).clamp(Duration::from_millis(20), Duration::from_secs(1));
    let mut observer = Observer::default();
    loop {
        let view = observer.sample(store);
        let to_be_had = matches!(view.state, LeaseState::Free | LeaseState::Expired);
        let (wanted, lost) = {
            let mut state = shared.lock();
            state.view = view;
            let lost = state.tenure.take_if(|tenure| tenure.is_lost());
            if lost.is_some() {
                state.note = Some(format!("the lease was taken: {}", state.view.words()));
                state.wanted = false;
            }
            (state.wanted && state.tenure.is_none() && to_be_had, lost)
        };
        drop(lost);
        if wanted {
            let patience = Patience::until(std::time::Instant::now());
            let taken = store.take_lease(Purpose::Console, patience, &mut observer.watch);
            let unwanted = {
                let mut state = shared.lock();
                match taken {
                    Ok(tenure) if state.wanted && !state.closed => {
                        state.note = None;
                        state.tenure.replace(tenure)
                    }
                    Ok(tenure) => Some(tenure),
                    Err(error) => {
                        state.note = Some(error.to_string());
                        None
                    }
                }
            };
            // Stepped down meanwhile: dropping it gives it back.
            drop(unwanted);
        }
        let state = shared.lock();
        if state.closed {
            return;
        }
        let _ = shared.wake.wait_timeout(state, every);
    }
}
