//! Which artifacts the newest complete backup knows: what is on no volume any more is missed.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    manifest,
    model::{BackupId, BackupState, BackupView},
};
use crate::volume::{ArtifactName, Pulse};

/// The names that the newest complete backup holds current copies of; read once a backup.
#[derive(Debug, Clone, Default)]
pub struct KnownNames {
    backup: Option<BackupId>,
    names: Vec<ArtifactName>,
}

impl KnownNames {
    /// Looks which backup is the newest by now, and reads it when it is another one. One that
    /// cannot be read knows nothing; its own finding says what is wrong with it.
    pub fn refresh(&mut self, backups: &[BackupView], now: DateTime<Utc>) {
        let newest = backups
            .iter()
            .rfind(|backup| backup.state == BackupState::Complete && backup.at <= now);
        if newest.map(|backup| backup.id) == self.backup {
            return;
        }
        self.backup = newest.map(|backup| backup.id);
        self.names.clear();
        let Some(newest) = newest else { return };
        let names = &mut self.names;
        let read = manifest::read_entries(&newest.path, &Pulse::default(), &mut |entry| {
            if entry.version.is_none() {
                names.push(entry.name);
            }
            Ok(())
        });
        names.sort_unstable();
        if let Err(error) = read {
            tracing::warn!(%error, "what the newest backup holds is not known");
        }
    }

    /// Each name with the backup's id, in the order of names.
    pub fn list(&self) -> Vec<(ArtifactName, Arc<str>)> {
        let backup: Arc<str> = self
            .backup
            .map(|id| id.to_string())
            .unwrap_or_default()
            .into();
        let names = self.names.iter();
        names
            .map(|name| (name.clone(), Arc::clone(&backup)))
            .collect()
    }
}
