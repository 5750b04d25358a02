//! What each kind of step does: check what it expects, do it, read back what it made.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{put::Wanted, sources};
use crate::{
    backup::{self, BackupId},
    journal::model::Outcome,
    maif::Digest,
    plan::{Expectations, Expected, Source, Step},
    progress::Task,
    store::{
        Slot, Store, StoreError, lease, mark, peek::Peek, relocate::Brought, state::VolumeState,
    },
    volume::{ArtifactName, Dir, Fingerprint, Lane, Pulse, VersionKind, dir, version},
};

pub struct Context<'a> {
    pub store: &'a Store,
    pub job: &'a str,
    pub task: &'a Task,
    /// The gate that the batch at work has passed.
    pub commit: RefCell<lease::Commit>,
    /// Digests of sources that were verified, by the number of their step.
    pub sources: RefCell<HashMap<usize, Digest>>,
    /// How many steps failed, by the volume that they were to change.
    pub failed: RefCell<HashMap<String, u64>>,
}

/// A step in a few words, for errors.
pub fn words(step: &Step) -> String {
    match step {
        Step::Put { name, .. } => format!("restoring {name}"),
        Step::Copy { name, to, .. } => format!("copying {name} to {to}"),
        Step::Version { name, id, to, .. } => format!("copying version {id} of {name} to {to}"),
        Step::MendVersion { name, id, to, .. } => format!("mending version {id} of {name} on {to}"),
        Step::Move { name, to, .. } => format!("moving {name} to {to}"),
        Step::Remove { name, .. } => format!("removing {name}"),
        Step::TrashVersions { name, .. } => format!("trashing versions of {name}"),
        Step::RetireBackup { id, .. } => format!("retiring backup {id}"),
        Step::ReturnVersions { name, .. } => format!("bringing back versions of {name}"),
        Step::ReturnBackup { id, .. } => format!("bringing back backup {id}"),
        Step::Admit { volume, .. } => format!("admitting {volume}"),
        Step::Mark { volume, .. } => format!("marking {volume}"),
        Step::Layout { layout, .. } => format!("raising the layout to {}", layout.number),
        Step::Seal => "sealing the layout".to_owned(),
        Step::FreeTrash { volume, job, .. } => format!("freeing the trash of {job} on {volume}"),
    }
}

pub(super) fn slot<'s>(store: &'s Store, label: &str) -> Result<&'s Slot, StoreError> {
    let slot = store
        .slot(label)
        .ok_or_else(|| StoreError::Changed(format!("there is no volume {label} any more")))?;
    if slot.state.is_readable() {
        Ok(slot)
    } else {
        Err(slot.not_usable())
    }
}

pub(super) fn backups(store: &Store) -> Result<&Path, StoreError> {
    let config = store.config().backup.as_ref();
    config
        .map(|config| &*config.directory)
        .ok_or_else(|| StoreError::Changed("no backups are configured any more".to_owned()))
}

impl Context<'_> {
    pub fn run(&self, step: &Step) -> Result<Outcome, StoreError> {
        match step {
            Step::Put { .. }
            | Step::Copy { .. }
            | Step::Version { .. }
            | Step::MendVersion { .. }
            | Step::Move { .. } => self
                .run_all(&[(0, step)])
                .pop()
                .unwrap_or(Ok(Outcome::Already)),
            Step::Remove { name, expect, .. } => {
                let (_, judgement) = self.store.judge(name);
                let leftovers = judgement
                    .copies
                    .contains(&crate::store::state::CopyState::Stale);
                if judgement.removed && !leftovers {
                    return Ok(Outcome::Already);
                }
                self.store
                    .remove(name, &|peeks| holds(expect, None, peeks))?;
                Ok(Outcome::Done)
            }
            Step::TrashVersions { name, ids, .. } => self.trash_versions(name, ids),
            Step::RetireBackup { id, .. } => self.retire(*id),
            Step::ReturnVersions { name, ids, job } => self.return_versions(name, ids, job),
            Step::ReturnBackup { id, job } => self.unretire(*id, job),
            Step::Admit {
                volume,
                accept_older,
            } => self.admit(volume, *accept_older),
            Step::Mark {
                volume,
                replace: true,
                directory,
            } => {
                mark::replace(self.store, volume, directory.as_deref())?;
                Ok(Outcome::Done)
            }
            Step::Mark { volume, .. } => {
                mark::mark(self.store, volume)?;
                Ok(Outcome::Done)
            }
            Step::Layout { .. } | Step::Seal => Err(StoreError::Failed(
                "the layout is changed by the job itself".to_owned(),
            )),
            Step::FreeTrash { volume, job, .. } => {
                let job = job.clone();
                let free = move |dir: &Dir, pulse: &Pulse| dir.free_trash(&job, pulse);
                let freed = self.slot(volume)?.volume.run(Lane::Bulk, free)?;
                Ok(if freed {
                    Outcome::Done
                } else {
                    Outcome::Already
                })
            }
        }
    }

    /// Does steps of one kind together; an answer each, in the same order.
    pub fn run_all(&self, steps: &[(usize, &Step)]) -> Vec<Result<Outcome, StoreError>> {
        let puts: Vec<Wanted<'_>> = steps
            .iter()
            .filter_map(|(number, step)| match step {
                Step::Put {
                    name,
                    source,
                    size,
                    check,
                    expect,
                    ..
                } => Some(Wanted {
                    number: *number,
                    name,
                    source,
                    fingerprint: print(*size, *check),
                    expect,
                }),
                _ => None,
            })
            .collect();
        match steps.first() {
            Some((_, Step::Put { .. })) => self.put_all(&puts),
            Some((_, Step::Copy { .. } | Step::Version { .. } | Step::MendVersion { .. })) => {
                let steps: Vec<&Step> = steps.iter().map(|(_, step)| *step).collect();
                self.copy_all(&steps)
            }
            Some((_, Step::Move { .. })) => self.move_all(steps),
            _ => steps.iter().map(|(_, step)| self.run(step)).collect(),
        }
    }

    pub fn slot(&self, label: &str) -> Result<&Slot, StoreError> {
        slot(self.store, label)
    }

    /// The path of a source; the bytes there are verified before they are used.
    pub fn source(&self, name: &ArtifactName, source: &Source) -> Result<PathBuf, StoreError> {
        sources::path(self.store, name, source)
    }

    /// The path of a version's source: a removal lies beside the copies of the same history.
    pub fn version_source(
        &self,
        name: &ArtifactName,
        source: &Source,
        kind: VersionKind,
    ) -> Result<PathBuf, StoreError> {
        match (kind, source) {
            (VersionKind::Removal, Source::Version { volume, name, id }) => Ok(self
                .slot(volume)?
                .volume
                .path()
                .join(dir::VERSIONS)
                .join(version::file_name(name, *id, kind))),
            _ => self.source(name, source),
        }
    }

    /// A volume counts again when nothing on it is left undone.
    fn admit(&self, volume: &str, accept_older: bool) -> Result<Outcome, StoreError> {
        let failed = self.failed.borrow().get(volume).copied().unwrap_or(0);
        if failed > 0 {
            return Err(StoreError::Failed(format!(
                "{failed} steps on {volume} failed; it stays joining until a repair of it has \
                 finished"
            )));
        }
        if self.slot(volume)?.state != VolumeState::Joining {
            return Ok(Outcome::Already);
        }
        mark::admit(self.store, volume, accept_older)?;
        Ok(Outcome::Done)
    }

    /// Notes that a step failed, for the volumes that it was to change.
    pub fn note_failure(&self, step: &Step) {
        let mut failed = self.failed.borrow_mut();
        let mut note = |label: &str| *failed.entry(label.to_owned()).or_default() += 1;
        match step {
            Step::Copy { to, .. } | Step::Version { to, .. } | Step::MendVersion { to, .. } => {
                note(to);
            }
            // Its home has not got all that it should hold. Where it lay nothing is missing: a volume
            // that waited for what cannot leave it would wait for ever.
            Step::Move { to, .. } => {
                let partitions = self.store.partitions();
                for slot in self.store.slots() {
                    let partition = partitions.get(slot.partition);
                    if partition.is_some_and(|p| p.name == *to) {
                        note(slot.label());
                    }
                }
            }
            Step::Put { expect, .. } | Step::Remove { expect, .. } => {
                for (label, _) in expect {
                    note(label);
                }
            }
            _ => {}
        }
    }

    /// Brings a backup back from the backups' trash.
    fn unretire(&self, id: BackupId, job: &str) -> Result<Outcome, StoreError> {
        let directory = backups(self.store)?;
        if !backup::trash::retired_by(directory, job)?.contains(&id) {
            // It is back already, or there is nothing to bring back.
            backup::tree::find(directory, id)?;
            return Ok(Outcome::Already);
        }
        let timeout = self.store.config().store.lock_timeout;
        backup::trash::undelete(directory, id, Some(job), timeout)?;
        Ok(Outcome::Done)
    }

    /// Renames a sealed backup into the backups' trash, where it waits for the undo window.
    fn retire(&self, id: BackupId) -> Result<Outcome, StoreError> {
        let directory = backups(self.store)?;
        let config = &self.store.config().store;
        let now = self.store.clock().now();
        let retired = backup::trash::retire(directory, id, self.job, now, config.lock_timeout)?;
        backup::trash::free_expired(directory, now, config.undo_window);
        Ok(if retired {
            Outcome::Done
        } else {
            Outcome::Already
        })
    }

    /// Brings artifacts home.
    fn move_all(&self, steps: &[(usize, &Step)]) -> Vec<Result<Outcome, StoreError>> {
        let names: Vec<&ArtifactName> = steps
            .iter()
            .filter_map(|(_, step)| match step {
                Step::Move { name, .. } => Some(name),
                _ => None,
            })
            .collect();
        let brought = self
            .store
            .bring_all_home(&names, self.job, &self.commit.borrow())
            .into_iter();
        brought
            .map(|brought| match brought? {
                Brought::Already => Ok(Outcome::Already),
                Brought::Home { bytes } => {
                    self.task.add_bytes(bytes);
                    self.task.add_verified(1);
                    Ok(Outcome::Done)
                }
            })
            .collect()
    }
}

pub(super) const fn print(size: u64, check: Digest) -> Fingerprint {
    Fingerprint { size, check }
}

/// Whether every replica holds what the step expects, or its result already: a step that was cut
/// off between two replicas goes on.
pub fn holds(
    expect: &Expectations,
    result: Option<Fingerprint>,
    peeks: &[(&str, &Peek)],
) -> Result<(), StoreError> {
    for (label, peek) in peeks {
        let found = peek.found.as_ref().map(|found| found.fingerprint);
        match expect.iter().find(|(l, _)| l == label) {
            // Who knows nothing of it would have decided nothing.
            Some((_, Expected::Unseen)) if found.is_none() && peek.history.is_empty() => {}
            Some((_, wanted)) if found != result || *wanted == Expected::Unseen => {
                expected(wanted, label, found)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a copy is what the step expects.
pub fn expected(
    expect: &Expected,
    label: &str,
    found: Option<Fingerprint>,
) -> Result<(), StoreError> {
    let fits = match expect {
        Expected::Anything => true,
        Expected::Absent => found.is_none(),
        Expected::Unseen => {
            return Err(StoreError::Changed(format!(
                "{label} could not be seen when this was planned, and answers now; plan it again"
            )));
        }
        Expected::File { size, check } => {
            found
                == Some(Fingerprint {
                    size: *size,
                    check: *check,
                })
        }
    };
    if fits {
        Ok(())
    } else {
        Err(StoreError::Changed(format!(
            "the copy on {label} changed since planned"
        )))
    }
}
