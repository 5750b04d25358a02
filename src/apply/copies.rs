//! Repair's copies: current ones made equal to the reference, versions added to histories.

use std::{collections::BTreeMap, path::Path};

use super::{
    sources,
    steps::{Context, expected},
};
use crate::{
    journal::model::Outcome,
    plan::{Expected, Source, Step},
    store::{
        Slot, Store, StoreError, hold,
        transfer::{Becomes, Transfer, read_back},
    },
    volume::{
        ArtifactName, At, Fingerprint, HistoryFile, Lane, LockMode, Record, VersionId, VersionKind,
    },
};

/// A file to be made, and its size.
type Wanted<'a> = (Transfer<'a>, u64);

impl Context<'_> {
    /// Does these steps, all of them `Copy` or `Version`; an answer each, in the same order.
    pub fn copy_all(&self, steps: &[&Step]) -> Vec<Result<Outcome, StoreError>> {
        let held = match self.hold_names(steps) {
            Ok(held) => held,
            // One that is locked must not fail the others: each waits for its own.
            Err(error) => match steps {
                [_] => return vec![Err(error)],
                steps => {
                    let alone = steps.iter().flat_map(|step| self.copy_all(&[step]));
                    return alone.collect();
                }
            },
        };
        let prepared: Vec<Result<Option<Wanted<'_>>, StoreError>> =
            steps.iter().map(|step| self.prepare(step)).collect();
        let wanted = prepared.iter().flatten().flatten();
        let transfers = wanted.map(|(transfer, _)| transfer.clone()).collect();
        let mut made = self
            .store
            .transfer_all(transfers, &self.commit.borrow())
            .into_iter();
        drop(held);
        prepared
            .into_iter()
            .map(|prepared| {
                let Some((transfer, size)) = prepared? else {
                    return Ok(Outcome::Already);
                };
                match made.next() {
                    Some(result) => result?,
                    None => return Err(StoreError::Failed("it was not made".to_owned())),
                }
                self.task.add_bytes(size);
                if matches!(transfer.becomes, Becomes::Current(_)) {
                    self.task.add_verified(1);
                }
                Ok(Outcome::Done)
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
                Step::Version { name, to, .. } | Step::MendVersion { name, to, .. } => {
                    wanted.entry(name).or_default().push(to);
                }
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

    fn prepare<'s>(&'s self, step: &'s Step) -> Result<Option<Wanted<'s>>, StoreError> {
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
            Step::MendVersion {
                name,
                id,
                from,
                to,
                size,
            } => self.prepare_mending(name, *id, (from, to), *size),
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
    ) -> Result<Option<Wanted<'s>>, StoreError> {
        let look = |slot: &Slot| {
            let name = name.clone();
            slot.volume
                .start(Lane::Short, move |dir, _| dir.look(&name))
        };
        let (there, here) = (look(source), look(target));
        let (there, here) = (there.wait()?, here.wait()?);
        let record = there.and_then(|found| found.record);
        let from = source.volume.path().join(name.file_name());
        let sha256 = self.store.verified(&from, wanted)?;
        // A flipped bit leaves the fingerprint as it was: only the bytes say that it is done.
        let looks_done = here
            .as_ref()
            .is_some_and(|found| found.fingerprint == wanted && found.record == record);
        if looks_done && read_back(target, name, sha256).is_ok() {
            return Ok(None);
        }
        expected(expect, target.label(), here.map(|found| found.fingerprint))?;
        let transfer = Transfer {
            target,
            name,
            from,
            becomes: Becomes::Current(sha256),
            record: None,
            job: self.job,
        };
        Ok(Some((transfer, wanted.size)))
    }

    fn prepare_version<'s>(
        &'s self,
        name: &'s ArtifactName,
        file: HistoryFile,
        source: &Source,
        target: &'s Slot,
        size: u64,
    ) -> Result<Option<Wanted<'s>>, StoreError> {
        let owned = name.clone();
        let there = target.volume.run(Lane::Short, move |dir, _| {
            let path = dir.version_path(&owned, file.id, file.kind);
            Ok(path.symlink_metadata().is_ok())
        })?;
        if there {
            return Ok(None);
        }
        let named = self.version_source(name, source, file.kind)?;
        if file.kind == VersionKind::Removal && matches!(source, Source::Backup { .. }) {
            self.must_not_outrank(name, file.id, &named)?;
        }
        // From where it is whole, if it is so anywhere: a version may rot unseen.
        let whole = match (source, file.kind) {
            (Source::Version { volume, .. }, VersionKind::Copy) => {
                let home = self.store.replicas(self.store.home(name));
                let slots = self.store.slot(volume).into_iter().chain(home);
                let readable = slots.filter(|slot| slot.state.is_readable());
                self.store.whole_version(readable, name, file.id)
            }
            _ => None,
        };
        let path = |slot: &Slot| slot.volume.dir().version_path(name, file.id, file.kind);
        let sha256 = whole.map(|(_, sha256)| sha256).or(sources::sealed(source));
        let transfer = Transfer {
            target,
            name,
            from: whole.map_or(named, |(slot, _)| path(slot)),
            becomes: Becomes::History(file, sha256),
            record: None,
            job: self.job,
        };
        Ok(Some((transfer, size)))
    }

    /// A removal that a backup knows of must not take the place of a copy that came later, in a store
    /// whose generations began anew.
    fn must_not_outrank(
        &self,
        name: &ArtifactName,
        id: VersionId,
        removal: &Path,
    ) -> Result<(), StoreError> {
        let text = std::fs::read_to_string(removal).at("read", removal)?;
        let removed = text.parse::<Record>().map(|record| record.generation);
        let (_, judgement) = self.store.judge(name);
        let current = judgement.reference.and_then(|r| r.generation);
        if removed.is_ok_and(|removed| current.is_some_and(|current| removed > current)) {
            return Err(StoreError::Changed(format!(
                "the removal {id} would hide the copy of {name} that is there"
            )));
        }
        Ok(())
    }

    fn prepare_mending<'s>(
        &'s self,
        name: &'s ArtifactName,
        id: VersionId,
        (from, to): (&str, &str),
        size: u64,
    ) -> Result<Option<Wanted<'s>>, StoreError> {
        let (source, target) = (self.slot(from)?, self.slot(to)?);
        let store = self.store;
        if store
            .whole_version([target].into_iter(), name, id)
            .is_some()
        {
            return Ok(None);
        }
        let whole = store.whole_version([source].into_iter(), name, id);
        let (_, sha256) = whole.ok_or_else(|| {
            StoreError::Changed(format!(
                "version {id} of {name} is whole no longer on {from}"
            ))
        })?;
        let kind = VersionKind::Copy;
        let transfer = Transfer {
            target,
            name,
            from: source.volume.dir().version_path(name, id, kind),
            becomes: Becomes::Mended(HistoryFile { id, kind }, sha256),
            record: None,
            job: self.job,
        };
        Ok(Some((transfer, size)))
    }
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
        Step::Move { .. } => Some(3),
        Step::MendVersion { .. } => Some(4),
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
