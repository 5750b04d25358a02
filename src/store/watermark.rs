//! Telling a volume that was rolled back (a snapshot brought back, a stale mirror mounted) from one
//! that was only away: a number that only grows, which every volume carries and all others note.
//!
//! Who missed commits because it was away carries the number that the others last noted of it, and
//! counts. Who carries a smaller one has forgotten commits that it acknowledged, so quorums that it
//! was part of no longer hold: it joins, until a repair has made it equal. The number is raised at
//! the beginning of every bulk job, and by a single change when that is [`EVERY`] ago: a volume that
//! is rolled back by less is told by its copies' generations alone.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{grid::Store, mark::rewriting, slot::Slot, state::VolumeState};
use crate::volume::{Identity, Lane, LockMode, Membership, Pending, Watermark, dir::OWN};

/// How old the number may be when a single change begins.
const EVERY: i64 = 600;

/// When the number was last raised, in seconds since the epoch; all clones of a store share it.
#[derive(Debug, Clone, Default)]
pub struct RaisedAt(Arc<AtomicI64>);

impl RaisedAt {
    pub(super) fn of<'a>(marks: impl Iterator<Item = &'a Identity>) -> Self {
        let newest = marks.map(|mark| mark.watermark.at).max().unwrap_or(0);
        Self(Arc::new(newest.into()))
    }

    /// Clocks may disagree, so a time far ahead is as good a reason as one far behind.
    fn is_due(&self, now: i64) -> bool {
        self.0.load(Ordering::Relaxed).abs_diff(now) >= EVERY.unsigned_abs()
    }
}

/// The greatest number that any volume notes of each.
fn noted<'a>(marks: impl Iterator<Item = &'a Identity>) -> BTreeMap<String, u64> {
    let mut noted = BTreeMap::new();
    for (label, number) in marks.flat_map(|mark| &mark.watermark.others) {
        let greatest: &mut u64 = noted.entry(label.clone()).or_default();
        *greatest = (*greatest).max(*number);
    }
    noted
}

/// Volumes that carry a smaller number than the others noted of them, with both numbers.
pub(super) fn rolled_back<'a>(
    marks: impl Iterator<Item = &'a Identity> + Clone,
) -> BTreeMap<String, (u64, u64)> {
    let noted = noted(marks.clone());
    marks
        .filter_map(|mark| {
            let seen = *noted.get(&mark.label)?;
            let own = mark.watermark.number;
            (own < seen).then(|| (mark.label.clone(), (own, seen)))
        })
        .collect()
}

/// What a volume carries that was just made equal to the others.
pub(super) fn caught_up(store: &Store) -> Watermark {
    let marks = || {
        store
            .slots()
            .iter()
            .filter_map(|slot| slot.identity.as_ref())
    };
    let others = noted(marks());
    let own = marks().map(|mark| mark.watermark.number).max();
    Watermark {
        number: own.max(others.values().copied().max()).unwrap_or(0),
        at: store.clock().now().timestamp(),
        others,
    }
}

impl Store {
    /// Raises the number when that is due and no bulk job does it. A change never waits for it, and
    /// never fails by it.
    pub(super) fn note_watermark(&self) {
        if self.is_in_bulk() || !self.raised_at().is_due(self.clock().now().timestamp()) {
            return;
        }
        let mut locks = Vec::new();
        for slot in self
            .slots()
            .iter()
            .filter(|slot| slot.is_ours() && slot.is_writable())
        {
            let file = Path::new(OWN).join("job.lock");
            match slot.volume.lock(&file, LockMode::Exclusive, Duration::ZERO) {
                Ok(Ok(lock)) => locks.push(lock),
                _ => return,
            }
        }
        self.raise_watermark();
    }

    /// Raises the number on every volume that counts, then lets all of them note it. The caller
    /// holds `job.lock`. A volume that fails keeps the number that the others noted of it.
    pub fn raise_watermark(&self) {
        let now = self.clock().now().timestamp();
        self.raised_at().0.store(now, Ordering::Relaxed);
        let slots: Vec<&Slot> = self.slots().iter().filter(|slot| slot.is_ours()).collect();
        let pending: Vec<_> = slots
            .iter()
            .map(|slot| slot.volume.start(Lane::Short, |dir, _| Identity::read(dir)))
            .collect();
        let marks: Vec<Identity> = pending
            .into_iter()
            .filter_map(|pending| pending.wait().ok().flatten())
            .collect();
        let mut noted = noted(marks.iter());
        noted.retain(|label, _| self.slot(label).is_some());
        let carried = marks.iter().map(|mark| mark.watermark.number);
        let number = 1 + carried.chain(noted.values().copied()).max().unwrap_or(0);
        let pending: Vec<_> = slots
            .into_iter()
            .filter_map(|slot| {
                let raising = match slot.state {
                    VolumeState::Ok | VolumeState::Full => rewriting(slot, move |identity| {
                        identity.watermark.number = number;
                        identity.watermark.at = now;
                    }),
                    // Found rolled back: it must stay so when those that know are away.
                    VolumeState::Joining if is_active(slot) => {
                        rewriting(slot, |identity| identity.state = Membership::Joining)
                    }
                    _ => return None,
                };
                Some((slot, raising))
            })
            .collect();
        let raised: Vec<&Slot> = pending
            .into_iter()
            .filter(|(slot, _)| slot.state != VolumeState::Joining)
            .filter_map(|(slot, raising)| told(slot, raising).then_some(slot))
            .collect();
        noted.extend(raised.iter().map(|slot| (slot.label().to_owned(), number)));
        let pending: Vec<_> = raised
            .iter()
            .map(|slot| {
                let others = noted.clone();
                rewriting(slot, move |identity| identity.watermark.others = others)
            })
            .collect();
        for (slot, noting) in raised.iter().zip(pending) {
            told(slot, noting);
        }
    }
}

/// Whether its mark calls it active.
fn is_active(slot: &Slot) -> bool {
    let mark = slot.identity.as_ref();
    mark.is_some_and(|mark| mark.state == Membership::Active)
}

/// Whether a volume took it.
fn told(slot: &Slot, pending: Pending<()>) -> bool {
    let result = pending.wait();
    if let Err(error) = &result {
        tracing::warn!(%error, volume = slot.label(), "its watermark is not raised");
    }
    result.is_ok()
}
