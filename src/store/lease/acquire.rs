//! Winning an epoch: watch, claim, pass the barrier.

use std::{
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    error::LeaseError,
    file::{self, Look},
    holder::{Holder, Purpose, Tenure},
    model::{self, Beat, Epoch, Standing, Watch},
};
use crate::{
    store::{error::StoreError, grid::Store, slot::Slot},
    volume::{Identity, Lane, LockMode, Pending, Probe, Volume, dir::OWN, fault, holders, mount},
};

/// How long to wait for a lease that somebody holds.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub until: Instant,
    /// Whether to go on waiting for a console or a `lease hold` whose counter moves: they may
    /// take hours, a single write does not.
    pub for_the_living: bool,
    /// The epoch that is taken from its holder, living or not; one that came after it is not.
    pub steal: Option<Epoch>,
}

impl Patience {
    /// For one change: waits for other single writes, and long enough to see that a holder died.
    pub fn of_a_write(store: &Store) -> Self {
        let leader = &store.config().leader;
        let long = store.config().store.lock_timeout.max(leader.ttl * 2);
        Self {
            until: Instant::now() + long,
            for_the_living: false,
            steal: None,
        }
    }

    pub fn until(until: Instant) -> Self {
        Self {
            until,
            for_the_living: true,
            steal: None,
        }
    }

    /// Takes this epoch's lease from who has it: what was confirmed, and nobody else's.
    pub fn of_a_thief(from: Epoch) -> Self {
        Self {
            steal: Some(from),
            ..Self::until(Instant::now())
        }
    }
}

/// The volume where the lease lives.
pub fn control(store: &Store) -> Result<&Slot, StoreError> {
    let label = &store.config().store.control;
    let slot = store
        .slot(label)
        .ok_or_else(|| StoreError::Usage(format!("store.control names no volume: {label}")))?;
    if slot.state.is_readable() {
        Ok(slot)
    } else {
        Err(slot.not_usable())
    }
}

/// Refuses where flock or link are not what the protocol stands on.
pub fn require_trust(slot: &Slot) -> Result<(), StoreError> {
    let probe = slot.identity.as_ref().and_then(|i| i.probe.as_ref());
    trust(slot, distrust(&slot.volume, probe).wait()?)
}

fn trust(slot: &Slot, distrust: Option<String>) -> Result<(), StoreError> {
    match distrust {
        None => Ok(()),
        Some(reason) => Err(LeaseError::Untrusted {
            path: slot.volume.path().display().to_string(),
            reason,
        }
        .into()),
    }
}

/// Asks why no lease can live on a volume: by what was found there, then by how it is mounted.
pub fn distrust(volume: &Volume, probe: Option<&Probe>) -> Pending<Option<String>> {
    let missing = probe.and_then(|probe| match (probe.flock, probe.hard_link) {
        (false, _) => Some("the probe found that flock does not exclude there"),
        (_, false) => Some("the probe found no hard links there"),
        _ => None,
    });
    volume.start(Lane::Short, move |dir, _| {
        Ok(match missing {
            Some(reason) => Some(reason.to_owned()),
            None => mount::of(dir.path()).and_then(|mount| mount.distrust()),
        })
    })
}

/// Wins an epoch and becomes the leader, or says who keeps us from it.
pub fn acquire(
    store: &Store,
    purpose: Purpose,
    patience: Patience,
    watch: &mut Watch,
) -> Result<Tenure, StoreError> {
    let slot = control(store)?;
    if !slot.is_writable() {
        return Err(slot.not_usable());
    }
    let control = &slot.volume;
    let probe = slot.identity.as_ref().and_then(|i| i.probe.as_ref());
    // Asked together with the first look.
    let mut asked = Some(distrust(control, probe));
    let mut pause = Duration::from_millis(2);
    loop {
        // Before the look: a number that a living leader leaves after it must not be taken for the
        // trace of a dead one, or the next one would be won from under it.
        let traces = on_volumes(store);
        let began = Instant::now();
        let seen = control.run(Lane::Short, |dir, _| file::look(dir))?;
        let ended = Instant::now();
        if let Some(asked) = asked.take() {
            trust(slot, asked.wait()?)?;
        }
        fault::point("lease.looked").map_err(|error| StoreError::Failed(error.to_string()))?;
        let ttl = judged_ttl(store, &seen);
        let standing = watch.see(seen.sighting, began, ended, ttl);
        if let Standing::Held { alive } = standing
            && (patience.steal.is_none() || patience.steal != seen.sighting.epoch)
        {
            let single = seen.holder.as_ref().map(|h| h.purpose) == Some(Purpose::Write);
            let in_vain = alive && !single && !patience.for_the_living;
            if in_vain || ended >= patience.until {
                return Err(held(&seen).into());
            }
        } else if let Some(holder) = claim(store, control, purpose, &seen, traces)? {
            return lead(store, control, holder);
        } else if ended >= patience.until {
            // Another won the epoch in between, and again.
            return Err(held(&seen).into());
        }
        thread::sleep(pause);
        pause =
            (pause * 2).min((ttl / 20).clamp(Duration::from_millis(2), Duration::from_millis(100)));
    }
}

/// A holder with a longer TTL beats more slowly: the longer one counts.
pub fn judged_ttl(store: &Store, seen: &Look) -> Duration {
    let theirs = seen.holder.as_ref().map_or(Duration::ZERO, Holder::ttl);
    store.config().leader.ttl.max(theirs)
}

fn held(seen: &Look) -> LeaseError {
    LeaseError::Held {
        holder: words(seen.holder.as_ref()),
        epoch: seen.sighting.epoch.unwrap_or_default(),
    }
}

/// A holder in words.
pub fn words(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "a host that left no name".to_owned(), Holder::words)
}

/// Tries to win the epoch after all that left a trace; `None`: another was faster.
fn claim(
    store: &Store,
    control: &Volume,
    purpose: Purpose,
    seen: &Look,
    on_volumes: Vec<(Epoch, PathBuf)>,
) -> Result<Option<Holder>, StoreError> {
    let newest = seen.sighting.epoch;
    let traces: Vec<(Epoch, PathBuf)> = on_volumes
        .into_iter()
        .chain([(seen.in_lock, file::lock_path(control.dir()))])
        .chain(newest.map(|epoch| (epoch, file::holder_path(control.dir(), epoch))))
        .collect();
    let ours = model::next_epoch(traces.iter().map(|(epoch, _)| *epoch)).ok_or_else(|| {
        let last = traces.into_iter().max().unwrap_or_default();
        LeaseError::UsedUp {
            path: last.1.display().to_string(),
            epoch: last.0,
        }
    })?;
    let since = store
        .clock()
        .now()
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let holder = Holder::new(ours, purpose, store.config().leader.ttl, since)?;
    let claimed = holder.clone();
    let won = control.run(Lane::Short, move |dir, _| file::claim(dir, &claimed))?;
    Ok(won.then_some(holder))
}

/// The epochs that volumes carry, each with its file. One that does not answer now is asked again
/// before the first commit on it.
fn on_volumes(store: &Store) -> Vec<(Epoch, PathBuf)> {
    let readable = store.slots().iter().filter(|slot| slot.state.is_readable());
    let pending: Vec<_> = readable
        .map(|slot| {
            let path = file::epoch_path(slot.volume.dir());
            let asked = slot
                .volume
                .start(Lane::Short, |dir, _| file::volume_epoch(dir));
            (asked, path)
        })
        .collect();
    let answers = pending.into_iter();
    answers
        .filter_map(|(asked, path)| Some((asked.wait().ok()?, path)))
        .collect()
}

/// Whether the lease is out of anybody's reach: its volume is lost, or cannot be written any more.
pub fn is_lost_with(store: &Store, label: &str) -> bool {
    let lives_there = store.config().leader.enabled && store.config().store.control == label;
    lives_there && store.slot(label).is_some_and(|slot| !slot.is_writable())
}

/// Where the lease begins anew when its volume gets a new disk: so far beyond what the other volumes
/// have seen that it repeats no number that was won and never committed by.
pub fn anew(store: &Store) -> Epoch {
    const LEAP: u64 = 1000;
    let seen = on_volumes(store).into_iter().map(|(epoch, _)| epoch).max();
    Epoch(seen.unwrap_or_default().0.saturating_add(LEAP))
}

/// From winner to leader: writes the number under the exclusive lock, when no commit is under way.
fn lead(store: &Store, control: &Arc<Volume>, holder: Holder) -> Result<Tenure, StoreError> {
    let ours = holder.epoch;
    let tenure = Tenure::begin(control, holder)?;
    fault::point("lease.won").map_err(|error| StoreError::Failed(error.to_string()))?;
    match pass_barrier(control, ours, store.config().leader.barrier_timeout)? {
        Barrier::Passed => {
            tracing::info!(epoch = %ours, "took the lease");
            Ok(tenure)
        }
        Barrier::Newer(newer) => {
            tenure.mark_lost();
            Err(lost(control, ours, newer)?.into())
        }
        Barrier::Moved(to) => Err(LeaseError::Moved { to }.into()),
        Barrier::Closed(waited) => {
            tenure.rest(Beat::Blocked);
            Err(blocked(control, waited)?.into())
        }
    }
}

/// What a winner finds at the lock.
enum Barrier {
    /// Its number is in the lock: it leads.
    Passed,
    Newer(Epoch),
    /// The layout was changed meanwhile: the lease lives elsewhere.
    Moved(String),
    /// A commit is under way for as long as was waited.
    Closed(Duration),
}

fn pass_barrier(control: &Volume, ours: Epoch, timeout: Duration) -> Result<Barrier, StoreError> {
    let label = control.label().to_string();
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let label = label.clone();
        let found = control.run(Lane::Short, move |dir, _| {
            let Some((file, in_lock)) = file::try_lock(dir, LockMode::Exclusive)? else {
                return Ok(None);
            };
            let newest = match in_lock {
                Epoch(0) => file::newest(dir)?.unwrap_or_default(),
                // Not asked for.
                _ => in_lock,
            };
            if let Err(newer) = model::may_lead(ours, in_lock, newest) {
                return Ok(Some(Barrier::Newer(newer)));
            }
            // Who raised a layout did so inside a commit, so what is read here is in force.
            if let Some(there) = Identity::read(dir)?.filter(|there| there.layout.control != label)
            {
                return Ok(Some(Barrier::Moved(there.layout.control)));
            }
            file::write_lock(dir, &file, ours)?;
            Ok(Some(Barrier::Passed))
        })?;
        match found {
            Some(found) => return Ok(found),
            None if began.elapsed() >= timeout => return Ok(Barrier::Closed(began.elapsed())),
            None => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Ends what may still be written by an epoch whose layout is over: its number leaves the lock.
pub fn retire(control: &Volume, epoch: Epoch, timeout: Duration) -> Result<(), StoreError> {
    let began = Instant::now();
    loop {
        let done = control.run(Lane::Short, move |dir, _| {
            let Some((file, in_lock)) = file::try_lock(dir, LockMode::Exclusive)? else {
                return Ok(false);
            };
            if in_lock == epoch {
                file::write_lock(dir, &file, model::next_epoch([epoch]).unwrap_or_default())?;
                file::sync_lock(dir)?;
            }
            Ok(true)
        })?;
        if done {
            return Ok(());
        }
        if began.elapsed() >= timeout {
            return Err(blocked(control, began.elapsed())?.into());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Who overtook us.
pub fn lost(control: &Volume, ours: Epoch, newer: Epoch) -> Result<LeaseError, StoreError> {
    if newer <= ours {
        let path = control.dir().path().join(OWN).display().to_string();
        return Ok(LeaseError::Torn { path, ours });
    }
    let holder = control.run(Lane::Short, move |dir, _| {
        match file::read_holder(dir, newer)? {
            Some(holder) => Ok(Some(holder)),
            None => Ok(file::look(dir)?.holder),
        }
    })?;
    Ok(LeaseError::Lost {
        ours,
        holder: words(holder.as_ref()),
        epoch: newer,
    })
}

/// Who is inside a commit: the leader by the lock's number, and the processes of this machine that
/// the kernel names.
fn blocked(control: &Volume, waited: Duration) -> Result<LeaseError, StoreError> {
    let (leader, epoch, here) = control.run(Lane::Short, |dir, _| {
        let epoch = file::look(dir)?.in_lock;
        let leader = file::read_holder(dir, epoch)?;
        Ok((leader, epoch, holders::of(&file::lock_path(dir))))
    })?;
    let mut holder = words(leader.as_ref());
    let others: Vec<String> = here
        .iter()
        .filter(|pid| leader.as_ref().is_none_or(|leader| leader.pid != **pid))
        .map(|pid| format!("pid {pid} on this machine"))
        .collect();
    if !others.is_empty() {
        holder = format!("{holder}, by {}", others.join(", "));
    }
    Ok(LeaseError::Blocked {
        holder,
        epoch,
        waited: waited.as_secs(),
    })
}

/// The processes of this machine that are inside a commit now.
pub fn inside(store: &Store) -> Result<Vec<u32>, StoreError> {
    Ok(control(store)?
        .volume
        .run(Lane::Short, |dir, _| Ok(holders::of(&file::lock_path(dir))))?)
}
