//! What each kind of step does: check what it expects, do it, read back what it made.

use std::{
    fs::File,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use crate::{
    backup::{self, BackupId},
    journal::model::Outcome,
    maif::{Digest, Verdict, verify},
    plan::{Expectations, Expected, Source, Step},
    progress::Task,
    store::{
        Slot, Store, StoreError,
        commit::Condition,
        hold,
        peek::{Peek, peek_all},
    },
    volume::{
        ArtifactName, At, Dir, Fingerprint, Lane, LockMode, Pulse, Record, VersionId, VersionKind,
        VolumeError, dir, version,
    },
};

pub struct Context<'a> {
    pub store: &'a Store,
    pub job: &'a str,
    pub task: &'a Task,
}

/// A step in a few words, for errors.
pub fn words(step: &Step) -> String {
    match step {
        Step::Put { name, .. } => format!("restoring {name}"),
        Step::Copy { name, to, .. } => format!("copying {name} to {to}"),
        Step::Version { name, id, to, .. } => format!("copying version {id} of {name} to {to}"),
        Step::Discard { name, from, .. } => format!("discarding {name} on {from}"),
        Step::Remove { name, .. } => format!("removing {name}"),
        Step::TrashVersions { name, .. } => format!("trashing versions of {name}"),
        Step::RetireBackup { id, .. } => format!("retiring backup {id}"),
        Step::Admit { volume } => format!("admitting {volume}"),
    }
}

impl Context<'_> {
    pub fn run(&self, step: &Step) -> Result<Outcome, StoreError> {
        match step {
            Step::Put {
                name,
                source,
                size,
                check,
                expect,
            } => {
                let wanted = print(*size, *check);
                self.put(name, source, wanted, expect)
            }
            Step::Copy {
                name,
                from,
                to,
                size,
                check,
                expect,
            } => {
                let wanted = print(*size, *check);
                self.copy(name, from, to, wanted, expect)
            }
            Step::Version {
                name,
                id,
                removal,
                source,
                to,
                ..
            } => {
                let kind = if *removal {
                    VersionKind::Removal
                } else {
                    VersionKind::Copy
                };
                self.version(name, *id, kind, source, to)
            }
            Step::Discard {
                name,
                from,
                size,
                check,
            } => {
                let wanted = print(*size, *check);
                self.discard(name, from, wanted)
            }
            Step::Remove { name, expect } => {
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
            Step::Admit { volume } => Err(StoreError::Failed(format!(
                "this build cannot admit a joining volume ({volume})"
            ))),
        }
    }

    /// Verifies what a step will read, before any step of its plan changes anything.
    pub fn check_source(&self, step: &Step) -> Result<(), StoreError> {
        if let Step::Put {
            name,
            source,
            size,
            check,
            ..
        } = step
        {
            let path = self.source(name, source)?;
            let wanted = print(*size, *check);
            self.verified(&path, wanted)?;
        }
        Ok(())
    }

    fn slot(&self, label: &str) -> Result<&Slot, StoreError> {
        let slot = self
            .store
            .slot(label)
            .ok_or_else(|| StoreError::Changed(format!("there is no volume {label} any more")))?;
        if slot.state.is_readable() {
            Ok(slot)
        } else {
            Err(crate::store::grid::not_usable(slot))
        }
    }

    /// The path of a source; the bytes there are verified before they are used.
    fn source(&self, name: &ArtifactName, source: &Source) -> Result<PathBuf, StoreError> {
        Ok(match source {
            Source::Copy { volume } => self.slot(volume)?.volume.path().join(name.file_name()),
            Source::Version { volume, name, id } => self
                .slot(volume)?
                .volume
                .path()
                .join(dir::VERSIONS)
                .join(version::file_name(name, *id, VersionKind::Copy)),
            Source::Backup { id, path } => self
                .store
                .config()
                .backup
                .as_ref()
                .ok_or_else(|| {
                    StoreError::Changed("no backups are configured any more".to_owned())
                })?
                .directory
                .join(id.directory())
                .join(path),
        })
    }

    /// Verifies a source and makes sure that it is the one that was planned.
    fn verified(&self, path: &Path, wanted: Fingerprint) -> Result<Digest, StoreError> {
        let file = dir::open(path).at("open", path)?;
        let (found, ..) = Fingerprint::read(&file).at("read", path)?;
        if found != wanted {
            return Err(StoreError::Changed(format!(
                "{} changed since planned",
                path.display()
            )));
        }
        let verification = verify(&file, &self.store.trusted()?, &mut |_| {
            ControlFlow::Continue(())
        })?;
        match verification.verdict() {
            // What is not MAIF cannot be verified; it is copied as it is, digest and all.
            Verdict::Intact | Verdict::Unsupported => Ok(verification.sha256),
            Verdict::Damaged => Err(StoreError::Damaged {
                what: path.display().to_string(),
                class: verification.class.to_string(),
                problem: verification.problem().to_owned(),
            }),
        }
    }

    fn put(
        &self,
        name: &ArtifactName,
        source: &Source,
        wanted: Fingerprint,
        expect: &Expectations,
    ) -> Result<Outcome, StoreError> {
        let slots: Vec<&Slot> = self
            .store
            .replicas(self.store.home(name))
            .filter(|slot| slot.is_writable())
            .collect();
        let everywhere = peek_all(&slots, name).iter().all(|peek| {
            peek.as_ref().is_ok_and(|peek| {
                peek.found
                    .as_ref()
                    .is_some_and(|found| found.fingerprint == wanted)
            })
        });
        let agreed = self.store.judge(name).1.state == crate::store::state::ArtifactState::Ok;
        if everywhere && agreed {
            return Ok(Outcome::Already);
        }
        // A source on a volume that this very step replaces is read before that, through a copy.
        let path = self.source(name, source)?;
        let sha256 = self.verified(&path, wanted)?;
        let committed = self
            .store
            .put(name, &path, sha256, Condition::Always, &|peeks| {
                holds(expect, Some(wanted), peeks)
            })?;
        let written = committed.copies.iter().filter(|c| c.result.is_ok()).count() as u64;
        self.task.add_bytes(wanted.size * written);
        for slot in &slots {
            self.read_back(slot, name, sha256)?;
        }
        Ok(Outcome::Done)
    }

    /// Reads a copy back from its volume, every byte.
    fn read_back(
        &self,
        slot: &Slot,
        name: &ArtifactName,
        sha256: Digest,
    ) -> Result<(), StoreError> {
        let name = name.clone();
        let (found, path) = slot.volume.run(Lane::Bulk, move |dir, pulse| {
            let path = dir.copy_path(&name);
            let file = dir::open(&path).at("open", &path)?;
            Ok((digest(&file, pulse).at("read back", &path)?, path))
        })?;
        if found == sha256 {
            self.task.add_verified(1);
            return Ok(());
        }
        Err(StoreError::Damaged {
            what: path.display().to_string(),
            class: "read-back".to_owned(),
            problem: "it does not hold what was written to it".to_owned(),
        })
    }

    fn copy(
        &self,
        name: &ArtifactName,
        from: &str,
        to: &str,
        wanted: Fingerprint,
        expect: &Expected,
    ) -> Result<Outcome, StoreError> {
        let (source, target) = (self.slot(from)?, self.slot(to)?);
        let mut slots = vec![source, target];
        slots.sort_by_key(|slot| {
            self.store
                .slots()
                .iter()
                .position(|other| other.label() == slot.label())
        });
        let _held = hold::hold_name(self.store, &slots, name, LockMode::Exclusive)?;
        let peeks = peek_all(&[source, target], name)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let [there, here] = peeks.as_slice() else {
            return Err(StoreError::Failed("a volume did not answer".to_owned()));
        };
        let record = there.found.as_ref().and_then(|found| found.record);
        let path = source.volume.path().join(name.file_name());
        let sha256 = self.verified(&path, wanted)?;
        // A flipped bit leaves the fingerprint as it was: only the bytes say that it is done.
        let looks_done = here
            .found
            .as_ref()
            .is_some_and(|found| found.fingerprint == wanted && found.record == record);
        if looks_done && self.read_back(target, name, sha256).is_ok() {
            return Ok(Outcome::Already);
        }
        expected(expect, to, here)?;
        let (owned, job) = (name.clone(), self.job.to_owned());
        target.volume.run(Lane::Bulk, move |dir, pulse| {
            replace(dir, &owned, &path, record, sha256, &job, pulse)
        })?;
        self.task.add_bytes(wanted.size);
        self.read_back(target, name, sha256)?;
        Ok(Outcome::Done)
    }

    fn version(
        &self,
        name: &ArtifactName,
        id: VersionId,
        kind: VersionKind,
        source: &Source,
        to: &str,
    ) -> Result<Outcome, StoreError> {
        let target = self.slot(to)?;
        let from = match (kind, source) {
            (VersionKind::Removal, Source::Version { volume, name, id }) => self
                .slot(volume)?
                .volume
                .path()
                .join(dir::VERSIONS)
                .join(version::file_name(name, *id, kind)),
            _ => self.source(name, source)?,
        };
        let _held = hold::hold_name(self.store, &[target], name, LockMode::Exclusive)?;
        let name = name.clone();
        let outcome = target.volume.run(Lane::Bulk, move |dir, pulse| {
            let path = dir.version_path(&name, id, kind);
            if path.symlink_metadata().is_ok() {
                return Ok(Outcome::Already);
            }
            dir.ensure_versions()?;
            dir.copy_new(&from, &path, pulse)?;
            dir::sync_directory(&dir.versions())?;
            Ok(Outcome::Done)
        })?;
        Ok(outcome)
    }

    /// Renames a sealed backup into the backups' trash, where it waits for the undo window.
    fn retire(&self, id: BackupId) -> Result<Outcome, StoreError> {
        let directory = &self
            .store
            .config()
            .backup
            .as_ref()
            .ok_or_else(|| StoreError::Changed("no backups are configured any more".to_owned()))?
            .directory;
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

    /// A misplaced copy is redundant once a quorum at home was just read back with its bytes.
    fn discard(
        &self,
        name: &ArtifactName,
        from: &str,
        wanted: Fingerprint,
    ) -> Result<Outcome, StoreError> {
        let slot = self.slot(from)?;
        let path = slot.volume.path().join(name.file_name());
        if path.symlink_metadata().is_err() {
            return Ok(Outcome::Already);
        }
        let sha256 = self.verified(&path, wanted)?;
        let home: Vec<&Slot> = self.store.replicas(self.store.home(name)).collect();
        let intact = home
            .iter()
            .filter(|slot| slot.counts() && self.read_back(slot, name, sha256).is_ok())
            .count();
        if intact < self.store.config().store.write_quorum.of(home.len()) {
            return Err(StoreError::Changed(format!(
                "only {intact} replicas at home hold these bytes"
            )));
        }
        let _held = hold::hold_name(self.store, &[slot], name, LockMode::Exclusive)?;
        let (name, job) = (name.clone(), self.job.to_owned());
        slot.volume.run(Lane::Bulk, move |dir, pulse| {
            let found = dir.look(&name)?;
            if found.is_some_and(|found| found.fingerprint != wanted) {
                return Err(VolumeError::Changed {
                    path: dir.copy_path(&name),
                });
            }
            dir.keep_in_trash(&name, &job, pulse)?;
            dir.unlink(&name)
        })?;
        Ok(Outcome::Done)
    }
}

const fn print(size: u64, check: Digest) -> Fingerprint {
    Fingerprint { size, check }
}

/// Stages the source, keeps what is replaced unless a history holds it, and publishes.
fn replace(
    dir: &Dir,
    name: &ArtifactName,
    source: &Path,
    record: Option<Record>,
    sha256: Digest,
    job: &str,
    pulse: &Pulse,
) -> Result<(), VolumeError> {
    let mut file = dir::open(source).at("open", source)?;
    let keep = record.map(|record| move |_| record);
    let staged = dir.stage(
        &mut file,
        keep.as_ref()
            .map(|keep| keep as &dyn Fn(Fingerprint) -> Record),
        true,
        pulse,
    )?;
    if staged.sha256 != sha256 {
        std::fs::remove_file(&staged.path).at("remove", &staged.path)?;
        return Err(VolumeError::Changed {
            path: source.to_owned(),
        });
    }
    let current = dir.copy_path(name);
    let mut in_history = false;
    if current.symlink_metadata().is_ok() {
        for version in dir.history(name)? {
            let kept = dir.version_path(name, version.id, VersionKind::Copy);
            if version.kind == VersionKind::Copy && dir::same_bytes(&current, &kept, pulse)? {
                in_history = true;
                break;
            }
        }
        if !in_history {
            dir.keep_in_trash(name, job, pulse)?;
        }
    }
    dir.publish(&staged, name)
}

fn digest(file: &File, pulse: &Pulse) -> std::io::Result<Digest> {
    use std::io::Read;

    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut file = file;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
            return Ok(Digest(hash.finalize().into()));
        };
        hash.update(chunk);
        pulse.beat();
    }
}

/// Whether every replica holds what the step expects, or its result already: a step that was cut
/// off between two replicas goes on.
fn holds(
    expect: &Expectations,
    result: Option<Fingerprint>,
    peeks: &[(&str, &Peek)],
) -> Result<(), StoreError> {
    for (label, peek) in peeks {
        let found = peek.found.as_ref().map(|found| found.fingerprint);
        if found == result {
            continue;
        }
        if let Some((_, wanted)) = expect.iter().find(|(l, _)| l == label) {
            expected(wanted, label, peek)?;
        }
    }
    Ok(())
}

fn expected(expect: &Expected, label: &str, peek: &Peek) -> Result<(), StoreError> {
    let found = peek.found.as_ref().map(|found| found.fingerprint);
    let fits = match expect {
        Expected::Anything => true,
        Expected::Absent => found.is_none(),
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
