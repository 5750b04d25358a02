//! What an operator asks of backups beside restoring one: which go, how they differ, where to copy one.

use std::path::Path;

use chrono::Local;

use super::configured;
use crate::{
    backup::{
        self, BackupId, BackupView,
        diff::{self, Copy, Difference, State},
    },
    plan::{self, Plan, PruneChoice},
    progress::Task,
    report,
    store::{
        Policy, Store, StoreError,
        retention::{Reason, Refused},
    },
    survey::{self, Scope},
    volume::{Fingerprint, Level, lock},
};

/// Makes sure that a directory to copy to is neither in a volume nor among the backups, where it
/// would be taken for a part of them.
pub fn outside(store: &Store, directory: &Path) -> Result<(), StoreError> {
    let whole = std::path::absolute(directory).map_err(|error| {
        StoreError::Usage(format!(
            "{} cannot be resolved: {error}",
            directory.display()
        ))
    })?;
    // Where it will be, whatever links lead there; it need not be there yet.
    let real = whole
        .parent()
        .and_then(|parent| parent.canonicalize().ok())
        .zip(whole.file_name())
        .map_or_else(|| whole.clone(), |(parent, name)| parent.join(name));
    let backups = store.config().backup.iter().map(|b| b.directory.as_path());
    let volumes = store.slots().iter().map(|slot| slot.volume.path());
    for taken in volumes.chain(backups) {
        let resolved = taken.canonicalize();
        let inside = |path: &Path| whole.starts_with(path) || real.starts_with(path);
        if inside(taken) || resolved.is_ok_and(|resolved| inside(&resolved)) {
            return Err(StoreError::Usage(format!(
                "{} lies in {}; name a directory outside of the store and its backups",
                directory.display(),
                taken.display()
            )));
        }
    }
    Ok(())
}

/// How backup `b`, or the store now, differs from backup `a`.
pub fn backup_diff(
    store: &Store,
    a: &BackupView,
    b: Option<&BackupView>,
    task: &Task,
) -> Result<Difference, StoreError> {
    let before = State::of_backup(a)?;
    let after = match b {
        Some(b) => State::of_backup(b)?,
        None => state_now(store, task)?,
    };
    Ok(diff::compare(&before, &after))
}

/// The store as a quick survey sees it.
fn state_now(store: &Store, task: &Task) -> Result<State, StoreError> {
    let scope = Scope {
        level: Level::Quick,
        ..Scope::default()
    };
    let survey = survey::survey(store, &scope, task)?;
    let mut state = State::default();
    for (row, artifact) in survey.artifacts.iter().enumerate() {
        for version in survey.history(row) {
            let key = (artifact.name.clone(), version.id, version.kind);
            state.versions.insert(key);
        }
        if artifact.removed || artifact.vanished {
            continue;
        }
        let known = artifact.reference.is_some().then(|| artifact.shown_copy());
        let copy = known
            .flatten()
            .and_then(|copy| copy.size.zip(copy.prints.check))
            .map_or(Copy::Unknown, |(size, check)| Copy::Known {
                print: Fingerprint { size, check },
                sha256: None,
            });
        state.copies.insert(artifact.name.clone(), copy);
    }
    Ok(state)
}

/// The policy that was given, else that of the `[backup]` section.
fn policy(store: &Store, given: Option<Policy>) -> Result<Policy, StoreError> {
    let configured = configured(store)?;
    Ok(given.unwrap_or_else(|| configured.into()))
}

/// Plans the retirement of the backups that a policy lets go; without one the configured policy.
pub fn prune(store: &Store, given: Option<Policy>) -> Result<Plan, StoreError> {
    let choice = PruneChoice {
        store: store.id().unwrap_or_default(),
        policy: policy(store, given)?,
        undo_window: store.config().store.undo_window,
    };
    let backups = backup::list(&configured(store)?.directory)?;
    plan::prune_backups(&backups, choice, store.clock().now(), &Local).map_err(|error| {
        StoreError::Usage(match error {
            Refused::Empty => format!("{error}, or set them in [backup]"),
            Refused::RemovesAll => error.to_string(),
        })
    })
}

/// All backups, oldest first, each with what the configured policy keeps it by.
pub fn backups(store: &Store) -> Result<Vec<BackupView>, StoreError> {
    let mut views = backup::list(&configured(store)?.directory)?;
    say_what_keeps(store, &mut views)?;
    Ok(views)
}

/// Fills in what the configured policy keeps each backup by.
pub fn say_what_keeps(store: &Store, views: &mut [BackupView]) -> Result<(), StoreError> {
    let now = store.clock().now();
    // Without a policy nothing is pruned, and so nothing is kept by a rule.
    if let Ok(kept) = plan::backups_kept(views, &policy(store, None)?, now, &Local) {
        for (view, mut reasons) in views.iter_mut().zip(kept) {
            // What the state and the pin say, the view says already.
            reasons.retain(|reason| !matches!(reason, Reason::Pinned | Reason::NotComplete));
            view.kept_by = report::kept_by(&reasons);
        }
    }
    Ok(())
}

/// Pins a backup in the name of who runs this process, or takes the pin away.
pub fn pin(store: &Store, id: BackupId, pinned: bool) -> Result<(), StoreError> {
    store.require_write()?;
    let directory = &configured(store)?.directory;
    let timeout = store.config().store.lock_timeout;
    if !pinned {
        return backup::trash::unpin(directory, id, timeout);
    }
    let (user, host) = (lock::user(), lock::host());
    let who = format!("{user}@{host} at {}", store.clock().now());
    backup::trash::pin(directory, id, &who, timeout)
}
