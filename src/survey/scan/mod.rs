//! Taking a survey: list every volume, look as closely as asked, judge every artifact.
//!
//! Reading only. Level presence costs the listings; copies whose listing is not enough to judge
//! (sizes differ, a removal is involved) are looked at quickly all the same, so that even the
//! cheapest survey never guesses.

mod conclude;
mod look;
mod rows;
mod spread;

use std::{os::unix::fs::MetadataExt, sync::Arc, time::Instant};

use conclude::conclude;
use look::{compare_histories, look_closer, recall};
use rows::{Known, is_comparable, merge};
use spread::distribute;

use crate::{
    progress::Task,
    store::{Store, StoreError},
    survey::{
        checked::Checked,
        model::{Space, Survey, VolumeState, VolumeView},
        parts::Parts,
        scrub::Cursor,
    },
    volume::{ArtifactName, Dir, Lane, Level, Listing, listing},
};

/// Names looked at in one call to a volume: so many between two safe points.
const BATCH: usize = 512;

/// What is surveyed.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub level: Level,
    /// Only these artifacts are looked at more closely than by listing; all when empty.
    pub names: Vec<ArtifactName>,
    /// What this host remembers of copies that were read to the last byte.
    pub checked: Checked,
    /// Names that backups know: with no copy and no history left, they have vanished. In
    /// the order of names.
    pub known: Vec<(ArtifactName, Arc<str>)>,
}

/// Surveys the store.
pub fn survey(store: &Store, scope: &Scope, task: &Task) -> Result<Survey, StoreError> {
    survey_again(store, scope, None, task)
}

/// Surveys the store; what a stat shows to be as in `previous` is not looked at again.
pub fn survey_again(
    store: &Store,
    scope: &Scope,
    previous: Option<&Survey>,
    task: &Task,
) -> Result<Survey, StoreError> {
    let began = Instant::now();
    task.phase("listing");
    let mut survey = Survey {
        level: scope.level,
        at: store.clock().now(),
        placement: store.config().store.placement.word(),
        scrub: Cursor::load(store.id().unwrap_or_default()),
        ..Survey::default()
    };
    let listings = list_volumes(store, &mut survey);
    task.checkpoint()?;
    count_volumes(&mut survey, &listings);
    count_work(scope, &listings, task);
    let most = listings.iter().flatten().map(|l| l.copies.len()).max();
    survey.artifacts.reserve(most.unwrap_or(0));
    let previous = previous.filter(|p| is_comparable(p, &survey));
    let mut known = Known {
        previous,
        next: 0,
        judged: None,
    };
    let mut remembered = scope.checked.recall();
    // Part by part, so that what is only needed to judge a row is never held for all of them.
    for part in Parts::of(&listings, &scope.known) {
        let mut rows = merge(store, &part);
        recall(store, &mut remembered, &mut rows);
        known.mark(&mut rows, task);
        look_closer(store, scope, &mut survey, &mut rows, task)?;
        compare_histories(store, &survey, &mut rows, task)?;
        conclude(store, &mut survey, rows, &mut known);
    }
    distribute(store, &mut survey);
    survey.took = began.elapsed();
    Ok(survey)
}

/// Listings by slot; `None` for a volume that cannot be read.
fn list_volumes(store: &Store, survey: &mut Survey) -> Vec<Option<Listing>> {
    let pending: Vec<_> = store
        .slots()
        .iter()
        .map(|slot| {
            slot.state.is_readable().then(|| {
                slot.volume.start(Lane::Bulk, |dir, pulse| {
                    let listing = listing::list(dir, pulse)?;
                    Ok((listing, space(dir)))
                })
            })
        })
        .collect();
    let mut listings = Vec::new();
    for (slot, pending) in store.slots().iter().zip(pending) {
        let mut view = VolumeView {
            label: Arc::clone(slot.volume.label()),
            partition: u16::try_from(slot.partition).unwrap_or(u16::MAX),
            path: slot.volume.path().to_owned(),
            state: slot.state,
            reason: slot.reason.clone(),
            artifacts: 0,
            current_bytes: 0,
            versions: 0,
            versions_bytes: 0,
            trash_bytes: 0,
            space: None,
            other_files: 0,
        };
        let listing = match pending.map(crate::volume::Pending::wait) {
            None => None,
            Some(Ok((listing, space))) => {
                view.space = space;
                if view.state == VolumeState::Ok
                    && space.is_some_and(|space| space.free == 0 && space.total > 0)
                {
                    view.state = VolumeState::Full;
                    view.reason = Some("its file system has no room left".to_owned());
                }
                Some(listing)
            }
            Some(Err(error)) => {
                view.state = VolumeState::Unreachable;
                view.reason = Some(error.to_string());
                None
            }
        };
        survey.volumes.push(view);
        listings.push(listing);
    }
    listings
}

fn space(dir: &Dir) -> Option<Space> {
    let stats = fs2::statvfs(dir.path()).ok()?;
    Some(Space {
        device: std::fs::metadata(dir.path()).ok()?.dev(),
        free: stats.available_space(),
        total: stats.total_space(),
    })
}

fn count_volumes(survey: &mut Survey, listings: &[Option<Listing>]) {
    for (view, listing) in survey.volumes.iter_mut().zip(listings) {
        let Some(listing) = listing else { continue };
        view.artifacts = listing.copies.len() as u64;
        view.current_bytes = listing.copies.iter().map(|c| c.size).sum();
        view.versions = listing.versions.len() as u64;
        view.versions_bytes = listing.versions.iter().map(|v| v.size).sum();
        view.trash_bytes = listing.trash_bytes;
        view.other_files = listing.other_count;
    }
}

/// Tells how much there is to look at.
fn count_work(scope: &Scope, listings: &[Option<Listing>], task: &Task) {
    let (mut items, mut bytes) = (0, 0);
    if scope.level > Level::Presence {
        let copies = listings.iter().flatten().flat_map(|l| &l.copies);
        for copy in copies.filter(|copy| is_meant(scope, &copy.name)) {
            items += 1;
            bytes += copy.size;
        }
    }
    if scope.level < Level::Deep {
        bytes = 0;
    }
    task.totals(items, bytes);
    task.phase(if scope.level == Level::Deep {
        "verifying"
    } else {
        "looking"
    });
}

/// Whether a name is to be looked at as closely as the scope says.
fn is_meant(scope: &Scope, name: &ArtifactName) -> bool {
    scope.names.is_empty() || scope.names.binary_search(name).is_ok()
}
