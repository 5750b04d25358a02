//! From what an operator names (artifacts, a version, a backup) to a plan: looks at the store and at
//! the source, then lets the pure planning do the rest. Shared by console and command line.

mod backups;
mod histories;
mod intent;
pub mod layout;

use std::path::PathBuf;

pub use backups::{backup_diff, backups, outside, pin, prune, say_what_keeps};
pub use histories::{fetch, moment, pick, prune_versions, read_state, restore, restore_state};
pub use intent::of;

use crate::{
    backup::{self, BackupId, BackupState, BackupView, manifest},
    journal,
    plan::{
        self, Choice, InTrash, Known, KnownVersion, KnownVersions, Plan, RestoreChoice,
        RestoreMode, Source, VersionFacts,
    },
    progress::Task,
    report,
    store::{Store, StoreError, candidate::Candidate, config::BackupConfig, lease, mark},
    survey::{self, Scope, StateId, Survey},
    volume::{ArtifactName, Dir, Lane, Level, Pulse, VersionId, VersionKind, trash::TrashEntry},
};

/// Plans the restore of a version that was found intact.
pub fn version(
    store: &Store,
    name: &ArtifactName,
    id: VersionId,
    aside: Option<ArtifactName>,
) -> Result<Plan, StoreError> {
    restore_from(store, &intact_version(store, name, id)?, aside)
}

fn restore_from(
    store: &Store,
    facts: &VersionFacts,
    aside: Option<ArtifactName>,
) -> Result<Plan, StoreError> {
    let mut names = vec![facts.name.clone()];
    names.extend(aside.clone());
    names.sort();
    let survey = look(store, names)?;
    Ok(plan::restore_version(
        &survey,
        store.id().unwrap_or_default(),
        facts,
        aside,
        |name| store.home(name),
        store.clock().now(),
    ))
}

/// Finds a volume where the version is intact: it is verified before it is planned with.
fn intact_version(
    store: &Store,
    name: &ArtifactName,
    id: VersionId,
) -> Result<VersionFacts, StoreError> {
    let fetched = store.fetch_version(name, id)?;
    let slot = store
        .slot(&fetched.volume)
        .ok_or_else(|| StoreError::Failed(format!("volume {} is gone", fetched.volume)))?;
    let owned = name.clone();
    let print = slot
        .volume
        .run(Lane::Short, move |dir, _| dir.look_at_version(&owned, id))?;
    Ok(VersionFacts {
        name: name.clone(),
        id: StateId::Version(id),
        source: Source::Version {
            volume: fetched.volume,
            name: name.clone(),
            id,
        },
        size: print.size,
        check: print.check,
    })
}

/// The [backup] section, or an error that says that there is none.
pub fn configured(store: &Store) -> Result<&BackupConfig, StoreError> {
    store
        .config()
        .backup
        .as_ref()
        .ok_or_else(|| StoreError::Usage("no [backup] directory is configured".to_owned()))
}

/// Finds a backup; `latest` is the newest complete one, and a future date is never the newest.
pub fn find(store: &Store, id: &str) -> Result<BackupView, StoreError> {
    let directory = &configured(store)?.directory;
    if id == "latest" {
        let now = store.clock().now();
        return backup::list(directory)?
            .into_iter()
            .rfind(|view| view.state == BackupState::Complete && view.at <= now)
            .ok_or_else(|| StoreError::NotFound {
                kind: "backup",
                what: format!("complete one in {}", directory.display()),
            });
    }
    backup::tree::find(directory, backup_id(id)?)
}

/// Reads a backup's id as an operator gives it.
pub fn backup_id(text: &str) -> Result<BackupId, StoreError> {
    text.parse()
        .map_err(|error: backup::model::BadBackupId| StoreError::Usage(error.to_string()))
}

/// Reads the backup's entries and the store, and plans the restore.
pub fn backup(
    store: &Store,
    id: &str,
    mut names: Vec<ArtifactName>,
    mode: RestoreMode,
    max_remove: u8,
) -> Result<Plan, StoreError> {
    names.sort();
    let view = find(store, id)?;
    // Sources are verified before the first change: what is not damaged may be taken from one that is.
    let known = view.verified.is_some_and(|verified| !verified.ok) && !names.is_empty();
    let whole = matches!(view.state, BackupState::Complete | BackupState::Partial);
    let in_part = view.state == BackupState::Damaged && known;
    if !(whole || in_part) {
        return Err(StoreError::Failed(format!(
            "backup {} is {}{}; restored as a whole is only a sealed backup that is not damaged; \
             artifacts can be restored by name, or with --to",
            view.id,
            view.state.word(),
            view.reason
                .as_ref()
                .map_or_else(String::new, |reason| format!(" ({reason})")),
        )));
    }
    if mode == RestoreMode::Exact && view.state == BackupState::Partial && names.is_empty() {
        return Err(StoreError::Usage(format!(
            "backup {} is partial: exact would remove what it could not hold; restore it with \
             --mode merge, or name the artifacts",
            view.id
        )));
    }
    let mut entries = Vec::new();
    manifest::read_entries(&view.path, &Pulse::default(), &mut |entry| {
        entries.push(entry);
        Ok(())
    })?;
    let survey = look(store, Vec::new())?;
    let choice = RestoreChoice {
        backup: view.id,
        mode,
        names: &names,
        max_remove,
    };
    plan::restore_backup(
        &survey,
        store.id().unwrap_or_default(),
        &choice,
        &entries,
        |name| store.home(name),
        store.clock().now(),
    )
    .map_err(|refused| match refused {
        plan::RestoreRefused::NotInBackup { .. } => StoreError::NotFound {
            kind: "artifact in that backup",
            what: refused.to_string(),
        },
        plan::RestoreRefused::TooManyRemovals { .. } => StoreError::Usage(refused.to_string()),
    })
}

/// Plans the removal of artifacts.
pub fn removal(store: &Store, mut names: Vec<ArtifactName>) -> Result<Plan, StoreError> {
    names.sort();
    let survey = look(store, names.clone())?;
    let id = store.id().unwrap_or_default();
    Ok(plan::remove(&survey, id, &names, store.clock().now()))
}

/// Plans the undoing of a job; the id may be shortened.
pub fn undo(store: &Store, id: &str) -> Result<Plan, StoreError> {
    let record = journal::read::find(store, id)?;
    let view = record.view();
    let plan = record.header.plan.as_ref().filter(|_| view.undoable);
    let Some(plan) = plan else {
        return Err(StoreError::Usage(format!(
            "job {} ({}, {}) left nothing that can be undone",
            view.id,
            view.intent,
            view.state.word()
        )));
    };
    let done = || {
        let steps = record.steps.done.iter();
        steps.filter_map(|number| plan.steps.get(*number))
    };
    let names: Vec<ArtifactName> = plan::touched(done()).into_iter().collect();
    let survey = look(store, names.clone())?;
    let known = Known {
        histories: known_versions(store, &survey, &names),
        trash: in_trash(store, &view.id)?,
    };
    Ok(plan::undo(
        &survey,
        store.id().unwrap_or_default(),
        &view.id,
        done(),
        &known,
        |name| store.home(name),
        store.clock().now(),
    ))
}

/// What a job left in the trash of the volumes that can be read, and of the backups.
fn in_trash(store: &Store, job: &str) -> Result<InTrash, StoreError> {
    let mut found = InTrash::default();
    for slot in store.slots().iter().filter(|slot| slot.state.is_readable()) {
        let owned = job.to_owned();
        let waiting = slot.volume.run(Lane::Bulk, move |dir, pulse| {
            dir.versions_in_trash(&owned, pulse)
        })?;
        // What lies on a volume that is not its home any more has been moved since.
        let at_home = |(name, _): &(ArtifactName, VersionId)| store.home(name) == slot.partition;
        found.versions.extend(waiting.into_iter().filter(at_home));
    }
    if let Some(config) = &store.config().backup {
        found.backups = backup::trash::retired_by(&config.directory, job)?
            .into_iter()
            .collect();
    }
    Ok(found)
}

/// What the versions of these artifacts hold.
fn known_versions(store: &Store, survey: &Survey, names: &[ArtifactName]) -> KnownVersions {
    let mut known = KnownVersions::new();
    for (position, slot) in store.slots().iter().enumerate() {
        let here: Vec<(ArtifactName, VersionId)> = names
            .iter()
            .filter_map(|name| Some((name, survey.find(name)?)))
            .flat_map(|(name, row)| {
                let kept = survey.history(row).iter().filter(move |version| {
                    version.kind == VersionKind::Copy && usize::from(version.volume.0) == position
                });
                kept.map(move |version| (name.clone(), version.id))
            })
            .collect();
        if here.is_empty() {
            continue;
        }
        let looked = slot.volume.run(Lane::Bulk, move |dir, pulse| {
            Ok(here
                .into_iter()
                .map(|(name, id)| {
                    pulse.beat();
                    let print = dir.look_at_version(&name, id).ok();
                    (name, id, print)
                })
                .collect::<Vec<_>>())
        });
        // A volume that cannot be read gives no source; the plan then says what is missing.
        for (name, id, print) in looked.unwrap_or_default() {
            if let Some(fingerprint) = print {
                known.entry(name).or_default().push(KnownVersion {
                    id,
                    volume: slot.label().to_owned(),
                    fingerprint,
                });
            }
        }
    }
    for versions in known.values_mut() {
        versions.sort_by_key(|version| std::cmp::Reverse(version.id));
    }
    known
}

/// What of a repair the operator names; all artifacts when none are.
#[derive(Debug, Clone, Default)]
pub struct Repair {
    pub names: Vec<ArtifactName>,
    pub accept_older: bool,
    pub prefer: Option<String>,
    pub volume: Option<String>,
}

/// Plans a repair, from a survey of every byte (at level deep) of these artifacts.
pub fn repair(store: &Store, level: Level, wanted: Repair) -> Result<Plan, StoreError> {
    let mut names = wanted.names;
    names.sort();
    let labels = wanted.prefer.iter().chain(&wanted.volume);
    if let Some(label) = labels.into_iter().find(|label| store.slot(label).is_none()) {
        return Err(StoreError::NotFound {
            kind: "volume",
            what: label.clone(),
        });
    }
    let scope = Scope {
        level: level.max(Level::Quick),
        names: names.clone(),
        ..Scope::default()
    };
    let survey = survey::survey(store, &scope, &Task::new())?;
    if let Some(name) = names.iter().find(|name| survey.find(name).is_none()) {
        return Err(StoreError::NotFound {
            kind: "artifact",
            what: name.to_string(),
        });
    }
    let rotten = survey::rotten(store, &survey, &names, &Task::new())?;
    let choice = Choice {
        names: &names,
        accept_older: wanted.accept_older,
        prefer: wanted.prefer.as_deref(),
        volume: wanted.volume.as_deref(),
        rotten: &rotten,
    };
    let id = store.id().unwrap_or_default();
    Ok(plan::repair(&survey, id, &choice, store.clock().now()))
}

/// Plans to mark a volume's directory, or another one in its place. What is there is in the plan's
/// notes.
pub fn mark(
    store: &Store,
    volume: &str,
    replace: bool,
    directory: Option<PathBuf>,
) -> Result<Plan, StoreError> {
    store.require_same_layout()?;
    let candidate = Candidate::look(store, volume, directory.as_deref())?;
    let leads = store.config().leader.enabled && store.config().store.control == volume;
    if leads
        && directory.is_some()
        && store.slots().len() > 1
        && !lease::acquire::is_lost_with(store, volume)
    {
        // Hosts that are not told yet would go on with the lease at the old place.
        return Err(StoreError::Usage(format!(
            "the lease lives on {volume}; let it live elsewhere first: maifdeck lease move V"
        )));
    }
    if !replace {
        mark::require_unmarked(store, volume)?;
    }
    candidate.require()?;
    let id = store.id().unwrap_or_default();
    let now = store.clock().now();
    let mut notes = report::candidate(&candidate);
    if lease::acquire::is_lost_with(store, volume) {
        notes.push(
            "the lease is lost with what was there and begins anew: end every maifdeck that leads \
             on another host first, since it cannot be asked"
                .to_owned(),
        );
    }
    Ok(plan::mark_volume(
        id, volume, replace, directory, notes, now,
    ))
}

/// What waits in the trash of the volumes that can be read, by volume.
pub fn waiting(store: &Store) -> Vec<(String, TrashEntry)> {
    let readable = store.slots().iter().filter(|slot| slot.state.is_readable());
    let pending: Vec<_> = readable
        .map(|slot| (slot.label(), slot.volume.start(Lane::Bulk, Dir::trash)))
        .collect();
    pending
        .into_iter()
        .flat_map(|(label, pending)| {
            let found = pending
                .wait()
                .inspect_err(|error| tracing::warn!(%error, "a trash cannot be read"));
            let found = found.unwrap_or_default().into_iter();
            found.map(|entry| (label.to_owned(), entry))
        })
        .collect()
}

/// Plans to free the trash: all of it, or what has waited longer than the undo window.
pub fn empty_trash(store: &Store, all: bool) -> Plan {
    let now = store.clock().now();
    let until = (!all).then(|| now - store.config().store.undo_window);
    plan::empty_trash(&waiting(store), store.id().unwrap_or_default(), until, now)
}

fn look(store: &Store, names: Vec<ArtifactName>) -> Result<Survey, StoreError> {
    let scope = Scope {
        level: Level::Quick,
        names,
        ..Scope::default()
    };
    survey::survey(store, &scope, &Task::new())
}
