//! One door for every intent: planned against a survey of now.

use super::{Repair, empty_trash, layout, mark, prune, prune_versions, removal, repair, undo};
use crate::{
    plan::{Intent, LayoutChange, Plan},
    store::{Store, StoreError},
    volume::Level,
};

/// Plans an intent against a survey of now.
pub fn of(store: &Store, intent: Intent) -> Result<Plan, StoreError> {
    match intent {
        Intent::Repair {
            names,
            accept_older,
            prefer,
            volume,
        } => repair(
            store,
            Level::Deep,
            Repair {
                names,
                accept_older,
                prefer,
                volume,
            },
        ),
        Intent::VersionRestore {
            name,
            version,
            aside,
        } => super::restore(store, &name, version, aside),
        Intent::BackupRestore {
            backup,
            mode,
            names,
        } => super::backup(store, &backup.to_string(), names, mode, 50),
        Intent::VersionsPrune { names, policy } => prune_versions(store, names, Some(policy)),
        Intent::BackupPrune { policy } => prune(store, Some(policy)),
        Intent::Remove { names } => removal(store, names),
        Intent::Undo { job } => undo(store, &job),
        Intent::MarkVolume {
            volume,
            replace,
            directory,
        } => mark(store, &volume, replace, directory),
        Intent::Layout {
            change: LayoutChange::Apply,
        } => Err(StoreError::Usage("run `maifdeck config apply`".to_owned())),
        Intent::Layout { change } => layout::change(store, change),
        Intent::EmptyTrash { all } => Ok(empty_trash(store, all)),
    }
}
