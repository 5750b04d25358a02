//! Trashing versions that a confirmed plan lists: on every replica of their home, or on none.
//!
//! They are expendable only while the current copy was just read and is intact; of a removed
//! artifact its newest version has to be. The newest version is never trashed.

use std::{collections::BTreeSet, fs, path::Path};

use super::steps::Context;
use crate::{
    journal::model::Outcome,
    maif::{Verdict, verify},
    store::{Slot, StoreError, hold, state::ArtifactState},
    volume::{
        ArtifactName, At, Dir, Lane, LockMode, VersionId, VersionKind, VolumeError, dir, fault,
    },
};

/// Below a job's trash: where its versions are.
const BELOW: &str = "versions";

impl Context<'_> {
    pub(super) fn trash_versions(
        &self,
        name: &ArtifactName,
        ids: &[VersionId],
    ) -> Result<Outcome, StoreError> {
        let slots: Vec<&Slot> = self.store.replicas(self.store.home(name)).collect();
        if let Some(away) = slots.iter().find(|slot| !slot.is_writable()) {
            return Err(crate::store::grid::not_usable(away));
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
            slot.volume.run(Lane::Bulk, move |dir, pulse| {
                let trash = dir.own("trash").join(job).join(BELOW);
                for id in ids {
                    trash_one(dir, &trash, &name, id)?;
                    pulse.beat();
                }
                settle(dir, &trash)
            })?;
        }
        Ok(Outcome::Done)
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

/// Renames one version into the trash; one that is not there is done.
fn trash_one(
    dir: &Dir,
    trash: &Path,
    name: &ArtifactName,
    id: VersionId,
) -> Result<(), VolumeError> {
    let from = dir.version_path(name, id, VersionKind::Copy);
    if fs::symlink_metadata(&from).is_err() {
        return Ok(());
    }
    fs::create_dir_all(trash).at("create", trash)?;
    let Some(file) = from.file_name() else {
        return Ok(());
    };
    fault::point("versions.trash").at("trash", &from)?;
    dir::rename_new(&from, &trash.join(file)).at("trash", &from)?;
    fault::point("versions.trashed").at("trash", &from)
}

/// Makes the renames durable: the trash first, so that nothing is in neither place.
fn settle(dir: &Dir, trash: &Path) -> Result<(), VolumeError> {
    if !trash.is_dir() {
        return Ok(());
    }
    for directory in trash.ancestors().take(3) {
        dir::sync_directory(directory)?;
    }
    dir::sync_directory(&dir.versions())
}
