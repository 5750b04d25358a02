//! From what an operator names (artifacts, a version, a backup) to a plan: looks at the store and at
//! the source, then lets the pure planning do the rest. Shared by console and command line.

mod backups;
mod histories;

pub use backups::{backup_diff, backups, outside, prune};
pub use histories::{moment, pick, prune_versions, read_state, restore_state};

use crate::{
    backup::{self, BackupId, BackupState, BackupView, manifest},
    plan::{self, Choice, Plan, RestoreChoice, RestoreMode, Source, VersionFacts},
    progress::Task,
    store::{Store, StoreError, config::BackupConfig},
    survey::{self, Scope, Survey},
    volume::{ArtifactName, Lane, Level, Pulse, VersionId},
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
        id,
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
    if !matches!(view.state, BackupState::Complete | BackupState::Partial) {
        return Err(StoreError::Failed(format!(
            "backup {} is {}{}; only a sealed backup that is not damaged is restored",
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

/// Plans a repair, from a survey of every byte of these artifacts (all when empty).
pub fn repair(
    store: &Store,
    mut names: Vec<ArtifactName>,
    level: Level,
    accept_older: bool,
    prefer: Option<&str>,
) -> Result<Plan, StoreError> {
    names.sort();
    if let Some(label) = prefer
        && store.slot(label).is_none()
    {
        return Err(StoreError::NotFound {
            kind: "volume",
            what: label.to_owned(),
        });
    }
    let scope = Scope {
        level: level.max(Level::Quick),
        names: names.clone(),
        known: Vec::new(),
    };
    let survey = survey::survey(store, &scope, &Task::new())?;
    if let Some(name) = names.iter().find(|name| survey.find(name).is_none()) {
        return Err(StoreError::NotFound {
            kind: "artifact",
            what: name.to_string(),
        });
    }
    let choice = Choice {
        names: &names,
        accept_older,
        prefer,
    };
    let id = store.id().unwrap_or_default();
    Ok(plan::repair(&survey, id, &choice, store.clock().now()))
}

fn look(store: &Store, names: Vec<ArtifactName>) -> Result<Survey, StoreError> {
    let scope = Scope {
        level: Level::Quick,
        names,
        known: Vec::new(),
    };
    survey::survey(store, &scope, &Task::new())
}
