//! Trashing versions that a confirmed plan lists: on every replica of their home, or on none; and
//! bringing them back.
//!
//! They are expendable only while the current copy was just read and is intact; of a removed
//! artifact its newest version has to be. The newest version is never trashed.

use std::collections::BTreeSet;

use super::steps::Context;
use crate::{
    journal::model::Outcome,
    maif::{Verdict, verify},
    store::{Slot, StoreError, hold, state::ArtifactState},
    volume::{
        ArtifactName, At, Dir, Lane, LockMode, Pulse, VersionId, VersionKind, VolumeError, dir,
        fault,
    },
};

impl Context<'_> {
    pub(super) fn trash_versions(
        &self,
        name: &ArtifactName,
        ids: &[VersionId],
    ) -> Result<Outcome, StoreError> {
        let slots: Vec<&Slot> = self.store.replicas(self.store.home(name)).collect();
        if let Some(away) = slots.iter().find(|slot| !slot.is_writable()) {
            return Err(away.not_usable());
        }
        let _held = hold::hold_name(self.store, &slots, name, LockMode::Exclusive)?;
        let mut known = BTreeSet::new();
        for slot in &slots {
            let owned = name.clone();
            let files = slot
                .volume
                .run(Lane::Short, move |dir, _| dir.history(&owned))?;
            let copies = files.iter().filter(|file| file.kind == VersionKind::Copy);
            known.extend(copies.map(|file| file.id));
        }
        if !ids.iter().any(|id| known.contains(id)) {
            return Ok(Outcome::Already);
        }
        let newest = known.last().copied();
        if newest.is_some_and(|newest| ids.contains(&newest)) {
            return Err(StoreError::Changed(format!(
                "the newest version of {name} is one of those now"
            )));
        }
        self.expendable(&slots, name, newest)?;
        for slot in slots {
            let (name, ids, job) = (name.clone(), ids.to_vec(), self.job.to_owned());
            let commit = self.commit.borrow().clone();
            slot.volume.run(Lane::Bulk, move |dir, pulse| {
                // What renames is inside the gate, even when nobody waits for it any more.
                let _inside = commit;
                trash(dir, &name, &ids, &job, pulse)
            })?;
        }
        Ok(Outcome::Done)
    }

    /// Puts versions back from the trash of a job, on every replica that has them there.
    pub(super) fn return_versions(
        &self,
        name: &ArtifactName,
        ids: &[VersionId],
        job: &str,
    ) -> Result<Outcome, StoreError> {
        let slots: Vec<&Slot> = self.store.replicas(self.store.home(name)).collect();
        if let Some(away) = slots.iter().find(|slot| !slot.is_writable()) {
            return Err(away.not_usable());
        }
        let _held = hold::hold_name(self.store, &slots, name, LockMode::Exclusive)?;
        let (mut returned, mut there) = (0, BTreeSet::new());
        for slot in slots {
            let (name, ids, job) = (name.clone(), ids.to_vec(), job.to_owned());
            let commit = self.commit.borrow().clone();
            let (count, found) = slot.volume.run(Lane::Bulk, move |dir, pulse| {
                let _inside = commit;
                untrash(dir, &name, &ids, &job, pulse)
            })?;
            returned += count;
            there.extend(found);
        }
        let gone = ids.iter().filter(|id| !there.contains(id)).count();
        if gone > 0 {
            return Err(StoreError::Changed(format!(
                "{gone} versions of {name} were freed from the trash since"
            )));
        }
        Ok(if returned > 0 {
            Outcome::Done
        } else {
            Outcome::Already
        })
    }

    /// Reads the current copy, or the newest version of a removed artifact, every byte.
    fn expendable(
        &self,
        slots: &[&Slot],
        name: &ArtifactName,
        newest: Option<VersionId>,
    ) -> Result<(), StoreError> {
        let (_, judgement) = self.store.judge(name);
        if !judgement.removed && judgement.state != ArtifactState::Ok {
            return Err(StoreError::Changed(format!(
                "{name} is {} now; its versions may be needed",
                judgement.state.word()
            )));
        }
        let needed = newest.filter(|_| judgement.removed);
        let mut problem = "it is gone".to_owned();
        for slot in slots {
            let (name, trusted) = (name.clone(), self.store.trusted()?);
            let verified = slot.volume.run(Lane::Bulk, move |dir, pulse| {
                let path = match needed {
                    Some(id) => dir.version_path(&name, id, VersionKind::Copy),
                    None => dir.copy_path(&name),
                };
                let file = dir::open(&path).at("open", &path)?;
                Ok(verify(&file, &trusted, &mut |_| {
                    pulse.beat();
                    std::ops::ControlFlow::Continue(())
                }))
            });
            match verified.map_err(StoreError::from).and_then(|v| Ok(v?)) {
                // What is not MAIF is whole as long as all replicas agree, and they do.
                Ok(found) if found.verdict() != Verdict::Damaged => return Ok(()),
                Ok(found) => problem = format!("{}: {}", slot.label(), found.problem()),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(StoreError::NoIntactCopy {
            name: name.clone(),
            why: format!("{problem}; its versions may be needed"),
        })
    }
}

/// Takes these versions out of one volume's history; those that are not there are done.
fn trash(
    dir: &Dir,
    name: &ArtifactName,
    ids: &[VersionId],
    job: &str,
    pulse: &Pulse,
) -> Result<(), VolumeError> {
    for file in dir.history(name)? {
        if file.kind == VersionKind::Copy && ids.contains(&file.id) {
            fault::point("versions.trash").at("trash a version in", dir.path())?;
            dir.version_to_trash(name, file, job)?;
            fault::point("versions.trashed").at("trash a version in", dir.path())?;
            pulse.beat();
        }
    }
    dir.sync_versions()
}

/// Brings versions back on one volume: how many it had in the trash, and which of them it holds now.
fn untrash(
    dir: &Dir,
    name: &ArtifactName,
    ids: &[VersionId],
    job: &str,
    pulse: &Pulse,
) -> Result<(u64, Vec<VersionId>), VolumeError> {
    let holds = |id: VersionId| -> Result<bool, VolumeError> {
        let files = dir.history(name)?;
        let kind = VersionKind::Copy;
        Ok(files.iter().any(|file| file.id == id && file.kind == kind))
    };
    let (mut returned, mut there) = (0, Vec::new());
    for id in ids {
        // One that took its id since stays; what is in the trash then waits there.
        if !holds(*id)? && dir.version_from_trash(name, *id, job)? {
            returned += 1;
        }
        if holds(*id)? {
            there.push(*id);
        }
        pulse.beat();
    }
    dir.sync_versions()?;
    Ok((returned, there))
}
