//! The lease of a console: taken when it is free, kept while the console is open, watched always.
//!
//! One thread samples and beats are the tenure's own; the screen reads the last sample and never
//! waits. From a holder that shows no life it is not taken by itself, nor fought for when it was
//! taken from us: both are the operator's to decide.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    acquire::Patience,
    holder::{Purpose, Tenure},
    model::{Beat, Epoch, Watch},
    watch::{LeaseState, LeaseView, Observer},
};
use crate::store::{Store, StoreError};

/// Keeps the lease for as long as it lives; dropping it gives the lease back.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    /// As its volumes were when they were last looked at.
    store: Store,
    view: LeaseView,
    tenure: Option<Arc<Tenure>>,
    /// Whether to take the lease when it is free.
    wanted: bool,
    /// What happened to it last, for the screen.
    note: Option<String>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The console is stopped or about to end.
    Resting,
    Closed,
}

impl State {
    fn may_take(&self) -> bool {
        self.wanted && self.phase == Phase::Open
    }
}

impl Keeper {
    /// Begins to watch, and to take the lease when `wanted` and it is free.
    pub fn open(store: &Store, wanted: bool) -> Self {
        let enabled = store.config().leader.enabled;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                store: store.clone(),
                view: if enabled {
                    LeaseView::unknown(None)
                } else {
                    LeaseView::default()
                },
                tenure: None,
                wanted: wanted && store.require_write().is_ok(),
                note: None,
                phase: Phase::Open,
            }),
            wake: Condvar::new(),
        });
        if enabled {
            let watched = Arc::clone(&shared);
            // Detached: exit never waits for a thread that a dead mount holds.
            thread::spawn(move || watch(&watched));
        }
        Self { shared }
    }

    /// The volumes were looked at again.
    pub fn follow(&self, store: &Store) {
        self.shared.lock().store = store.clone();
    }

    /// The last sample; never waits.
    pub fn status(&self) -> LeaseView {
        self.shared.lock().view.clone()
    }

    /// What happened last: lost to whom, or why it could not be taken.
    pub fn note(&self) -> Option<String> {
        self.shared.lock().note.clone()
    }

    /// Takes the lease: this epoch's from its holder, or a free one. Blocks up to the barrier's
    /// timeout.
    pub fn take_over(&self, from: Option<Epoch>) -> Result<(), StoreError> {
        let store = self.shared.lock().store.clone();
        let patience = from.map_or_else(|| Patience::until(Instant::now()), Patience::of_a_thief);
        let tenure = store.take_lease(Purpose::Console, patience, &mut Watch::default())?;
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

    /// Gives the lease back until [`Keeper::wake`], whatever runs under it: others may take it.
    pub fn rest(&self) {
        let tenure = {
            let mut state = self.shared.lock();
            state.phase = Phase::Resting;
            state.tenure.clone()
        };
        if let Some(tenure) = tenure {
            tenure.rest(Beat::Released);
        }
    }

    /// The lease is ours again, if nobody took it meanwhile.
    pub fn wake(&self) {
        let tenure = {
            let mut state = self.shared.lock();
            state.phase = Phase::Open;
            state.tenure.clone()
        };
        if let Some(Err(error)) = tenure.map(|tenure| tenure.wake()) {
            tracing::warn!(%error, "the lease could not be taken up again");
        }
        self.shared.wake.notify_all();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.lock().phase = Phase::Closed;
        self.step_down();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn watch(shared: &Shared) {
    let mut observer = Observer::default();
    loop {
        let store = shared.lock().store.clone();
        let view = observer.sample(&store);
        let is_free = view.state == LeaseState::Free;
        let (wanted, lost) = {
            let mut state = shared.lock();
            let lost = state.tenure.take_if(|tenure| tenure.is_lost());
            if lost.is_some() {
                state.note = Some(format!("the lease was taken: {}", view.words()));
                state.wanted = false;
            }
            (state.may_take() && state.tenure.is_none() && is_free, lost)
        };
        drop(lost);
        // What is taken at once was never free for the screen.
        if wanted && take(shared, &store, &mut observer.watch) {
            continue;
        }
        let every = (store.config().leader.ttl / 10)
            .clamp(Duration::from_millis(20), Duration::from_secs(1));
        let mut state = shared.lock();
        state.view = view;
        if state.phase == Phase::Closed {
            return;
        }
        let _ = shared.wake.wait_timeout(state, every);
    }
}

/// Whether it is ours now.
fn take(shared: &Shared, store: &Store, watch: &mut Watch) -> bool {
    let patience = Patience::until(Instant::now());
    let taken = store.take_lease(Purpose::Console, patience, watch);
    let (ours, unwanted) = {
        let mut state = shared.lock();
        match taken {
            Ok(tenure) if state.may_take() => {
                state.note = None;
                (true, state.tenure.replace(tenure))
            }
            Ok(tenure) => (false, Some(tenure)),
            Err(error) => {
                state.note = Some(error.to_string());
                (false, None)
            }
        }
    };
    // Stepped down meanwhile: dropping it gives it back.
    drop(unwanted);
    ours
}
