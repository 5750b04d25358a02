//! Files made equal to another volume's (or a backup's): current copies for repair, versions for
//! histories. Many at a time, durable together, each read back.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::steps::{Context, expected};
use crate::{
    journal::model::Outcome,
    maif::Digest,
    plan::{Expected, Source, Step},
    store::{
        Slot, Store, StoreError,
        batch::{self, Batches},
        hold,
    },
    volume::{
        ArtifactName, Dir, Durable, Fingerprint, HistoryFile, Lane, LockMode, Pending, Pulse,
        Staged, VersionKind, VolumeError,
    },
};

/// What becomes of the staged file.
#[derive(Debug, Clone, Copy)]
enum Into {
    /// The current copy; its bytes were verified before.
    Current(Digest),
    History(HistoryFile),
}

/// One file under way.
struct Copying<'a> {
    target: &'a Slot,
    name: &'a ArtifactName,
    from: PathBuf,
    into: Into,
    size: u64,
    staged: Option<Arc<Staged>>,
}

/// A step: done before, failed, or under way.
type Place<'a> = Result<Option<Copying<'a>>, StoreError>;

impl Context<'_> {
    /// Does these steps, all of them `Copy` or `Version`; an answer each, in the same order.
    pub fn copy_all(&self, steps: &[&Step]) -> Vec<Result<Outcome, StoreError>> {
        let held = match self.hold_names(steps) {
            Ok(held) => held,
            // One that is locked must not fail the others: each waits for its own.
            Err(error) => match steps {
                [_] => return vec![Err(error)],
                steps => {
                    return steps
                        .iter()
                        .flat_map(|step| self.copy_all(&[step]))
                        .collect();
                }
            },
        };
        let mut places: Vec<Place<'_>> = steps.iter().map(|step| self.prepare(step)).collect();
        let targets = |places: &[Place<'_>]| -> Vec<&Slot> {
            let under_way = places.iter().flatten().flatten();
            under_way
                .filter_map(|copying| self.store.slot(copying.target.label()))
                .collect()
        };
        let batches = Batches::open(targets(&places).into_iter());
        stage(&mut places, |slot| batches.durable(slot));
        let failed = batches.sync();
        if !failed.is_empty() {
            let again = |slot: &Slot| failed.iter().any(|f| f.label() == slot.label());
            stage_again(&mut places, again);
        }
        self.publish(&mut places);
        for work in [Dir::sync_versions, Dir::sync_current] {
            for (label, error) in batch::on_each(targets(&places).into_iter(), work) {
                for place in &mut places {
                    if matches!(place, Ok(Some(copying)) if copying.target.label() == label) {
                        *place = Err(error.again().into());
                    }
                }
            }
        }
        drop(held);
        places
            .into_iter()
            .map(|place| match place? {
                None => Ok(Outcome::Already),
                Some(copying) => self.conclude(&copying),
            })
            .collect()
    }

    /// The locks of all names, each once, on every volume that its steps touch.
    fn hold_names(&self, steps: &[&Step]) -> Result<Vec<hold::Held>, StoreError> {
        let mut wanted: BTreeMap<&ArtifactName, Vec<&str>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Copy { name, from, to, .. } => {
                    wanted.entry(name).or_default().extend([&**from, &**to]);
                }
                Step::Version { name, to, .. } => wanted.entry(name).or_default().push(to),
                _ => {}
            }
        }
        wanted
            .into_iter()
            .map(|(name, labels)| {
                // In label order of the grid, each once.
                let slots: Vec<&Slot> = self
                    .store
                    .slots()
                    .iter()
                    .filter(|slot| labels.contains(&slot.label()))
                    .collect();
                hold::hold_name(self.store, &slots, name, LockMode::Exclusive)
            })
            .collect()
    }

    fn prepare<'s>(&'s self, step: &'s Step) -> Place<'s> {
        match step {
            Step::Copy {
                name,
                from,
                to,
                size,
                check,
                expect,
            } => {
                let wanted = Fingerprint {
                    size: *size,
                    check: *check,
                };
                self.prepare_copy(name, self.slot(from)?, self.slot(to)?, wanted, expect)
            }
            Step::Version {
                name,
                id,
                removal,
                source,
                to,
                size,
            } => {
                let kind = if *removal {
                    VersionKind::Removal
                } else {
                    VersionKind::Copy
                };
                let file = HistoryFile { id: *id, kind };
                self.prepare_version(name, file, source, self.slot(to)?, *size)
            }
            _ => Ok(None),
        }
    }

    fn prepare_copy<'s>(
        &'s self,
        name: &'s ArtifactName,
        source: &Slot,
        target: &'s Slot,
        wanted: Fingerprint,
        expect: &Expected,
    ) -> Place<'s> {
        let look = |slot: &Slot| {
            let name = name.clone();
            slot.volume
                .start(Lane::Short, move |dir, _| dir.look(&name))
        };
        let (there, here) = (look(source), look(target));
        let (there, here) = (there.wait()?, here.wait()?);
        let record = there.and_then(|found| found.record);
        let from = source.volume.path().join(name.file_name());
        let sha256 = self.verified(&from, wanted)?;
        // A flipped bit leaves the fingerprint as it was: only the bytes say that it is done.
        let looks_done = here
            .as_ref()
            .is_some_and(|found| found.fingerprint == wanted && found.record == record);
        if looks_done && self.read_back(target, name, sha256).is_ok() {
            return Ok(None);
        }
        expected(expect, target.label(), here.map(|found| found.fingerprint))?;
        Ok(Some(Copying {
            target,
            name,
            from,
            into: Into::Current(sha256),
            size: wanted.size,
            staged: None,
        }))
    }

    fn prepare_version<'s>(
        &'s self,
        name: &'s ArtifactName,
        file: HistoryFile,
        source: &Source,
        target: &'s Slot,
        size: u64,
    ) -> Place<'s> {
        let owned = name.clone();
        let there = target.volume.run(Lane::Short, move |dir, _| {
            let path = dir.version_path(&owned, file.id, file.kind);
            Ok(path.symlink_metadata().is_ok())
        })?;
        if there {
            return Ok(None);
        }
        Ok(Some(Copying {
            target,
            name,
            from: self.version_source(name, source, file.kind)?,
            into: Into::History(file),
            size,
            staged: None,
        }))
    }

    /// Keeps what is replaced, then renames.
    fn publish(&self, places: &mut [Place<'_>]) {
        let pending: Vec<Option<Pending<()>>> = places
            .iter()
            .map(|place| {
                let Ok(Some(copying)) = place else {
                    return None;
                };
                let staged = Arc::clone(copying.staged.as_ref()?);
                let (name, into) = (copying.name.clone(), copying.into);
                let job = self.job.to_owned();
                let work = move |dir: &Dir, pulse: &Pulse| match into {
                    Into::Current(_) => replace(dir, &name, &staged, &job, pulse),
                    Into::History(file) => dir.publish_version(&staged.path, &name, file),
                };
                Some(copying.target.volume.start(Lane::Bulk, work))
            })
            .collect();
        for (place, pending) in places.iter_mut().zip(pending) {
            if let Some(Err(error)) = pending.map(Pending::wait) {
                *place = Err(error.into());
            }
        }
    }

    /// Reads back what was made.
    fn conclude(&self, copying: &Copying<'_>) -> Result<Outcome, StoreError> {
        if let Into::Current(sha256) = copying.into {
            if let Some(staged) = copying.staged.clone().filter(|s| s.has_sidecar()) {
                let name = copying.name.clone();
                copying
                    .target
                    .volume
                    .run(Lane::Bulk, move |dir, _| dir.settle_record(&staged, &name))?;
            }
            self.read_back(copying.target, copying.name, sha256)?;
        }
        self.task.add_bytes(copying.size);
        Ok(Outcome::Done)
    }
}

/// Stages what is under way, the volumes side by side.
fn stage(places: &mut [Place<'_>], durable: impl Fn(&Slot) -> Durable) {
    let pending: Vec<Option<Pending<Staged>>> = places
        .iter()
        .map(|place| {
            let Ok(Some(copying)) = place else {
                return None;
            };
            Some(start(copying, durable(copying.target)))
        })
        .collect();
    for (place, pending) in places.iter_mut().zip(pending) {
        let (Ok(Some(copying)), Some(pending)) = (&mut *place, pending) else {
            continue;
        };
        match pending.wait() {
            Ok(staged) => copying.staged = Some(Arc::new(staged)),
            Err(error) => *place = Err(error.into()),
        }
    }
}

/// Stages afresh, file by file, what was on volumes whose sync failed.
fn stage_again(places: &mut [Place<'_>], failed: impl Fn(&Slot) -> bool) {
    for place in places {
        let Ok(Some(copying)) = place else { continue };
        if !failed(copying.target) {
            continue;
        }
        if let Some(staged) = copying.staged.take() {
            // What cannot be removed is swept later; the copy is made anew in any case.
            let _ = std::fs::remove_file(&staged.path);
        }
        match start(copying, Durable::Now).wait() {
            Ok(staged) => copying.staged = Some(Arc::new(staged)),
            Err(error) => *place = Err(error.into()),
        }
    }
}

fn start(copying: &Copying<'_>, durable: Durable) -> Pending<Staged> {
    let (from, into) = (copying.from.clone(), copying.into);
    copying
        .target
        .volume
        .start(Lane::Bulk, move |dir, pulse| match into {
            Into::Current(sha256) => dir.stage_equal(&from, Some(sha256), durable, pulse),
            Into::History(_) => dir.stage_equal(&from, None, durable, pulse),
        })
}

/// Keeps what is replaced in the trash unless a history holds it, and publishes.
fn replace(
    dir: &Dir,
    name: &ArtifactName,
    staged: &Staged,
    job: &str,
    pulse: &Pulse,
) -> Result<(), VolumeError> {
    if dir.copy_path(name).symlink_metadata().is_ok() && !dir.is_in_history(name, pulse)? {
        dir.keep_in_trash(name, job, pulse)?;
    }
    dir.publish(staged, name)
}

/// The steps from `from` on that are done together: of one kind, at most `size`, none done before.
pub fn run_of(
    steps: &[Step],
    from: usize,
    size: usize,
    done: impl Fn(usize) -> bool,
) -> Vec<(usize, &Step)> {
    let kind = |step: &Step| match step {
        Step::Put { .. } => Some(0),
        Step::Copy { .. } => Some(1),
        Step::Version { .. } => Some(2),
        _ => None,
    };
    let mut run: Vec<(usize, &Step)> = Vec::new();
    for (number, step) in steps.iter().enumerate().skip(from) {
        if done(number) {
            continue;
        }
        let alike = run
            .first()
            .is_none_or(|(_, first)| kind(first).is_some() && kind(first) == kind(step));
        if !alike || run.len() == size {
            break;
        }
        run.push((number, step));
    }
    run
}

/// At most so many steps are done together.
const BATCH: usize = 256;

/// How many steps are done together: each holds its artifact's locks meanwhile, so the number of
/// files that this process may open sets a bound too.
pub fn batch_size(store: &Store) -> usize {
    let replicas = store.partitions().iter().map(|p| p.replicas.len()).max();
    let files = crate::volume::lock::raise_open_files();
    // The locks take at most half of them.
    let bound = files / 2 / replicas.unwrap_or(1).max(1);
    bound.clamp(1, BATCH)
}
