//! The history of an artifact, as the Versions pane shows it.

use chrono::DateTime;

use crate::{
    console::backend::{EntryId, HistoryEntry},
    maif::Verification,
    store::Store,
    survey::{Survey, VersionView},
    volume::{ArtifactName, VersionKind},
};

/// The current copy and what the histories hold, newest first.
pub(super) fn history_of(
    store: &Store,
    survey: &Survey,
    row: usize,
    name: &ArtifactName,
) -> Vec<HistoryEntry> {
    let Some(artifact) = survey.artifacts.get(row) else {
        return Vec::new();
    };
    let replicas = u16::try_from(artifact.copies.len()).unwrap_or(u16::MAX);
    let versions = survey.history(row);
    let mut entries = Vec::new();
    if !artifact.removed
        && let Some(copy) = artifact.shown_copy()
    {
        let same = artifact
            .copies
            .iter()
            .filter(|other| other.check.is_some() && other.check == copy.check)
            .count();
        let looked = store.fetch(name).ok().map(|fetched| fetched.verification);
        entries.push(HistoryEntry {
            id: EntryId::Current,
            current_from: versions
                .first()
                .map(|version| version.id.time())
                .or_else(|| DateTime::from_timestamp(copy.modified, 0)),
            current_until: None,
            size: copy.size.unwrap_or(0),
            change: None,
            sha256: looked.as_ref().map(|v| v.sha256),
            agent: looked.as_ref().and_then(Verification::agent_did),
            blocks: looked.as_ref().map(blocks),
            origin: vec![survey.label(copy.volume).to_owned()],
            copies: (u16::try_from(same).unwrap_or(u16::MAX), replicas),
        });
    }
    for (n, version) in versions.iter().enumerate() {
        entries.push(entry(
            store,
            survey,
            name,
            version,
            versions.get(n + 1),
            replicas,
        ));
    }
    let sizes: Vec<u64> = entries.iter().map(|entry| entry.size).collect();
    for (entry, older) in entries.iter_mut().zip(sizes.iter().skip(1)) {
        entry.change = i64::try_from(entry.size)
            .ok()
            .zip(i64::try_from(*older).ok())
            .map(|(new, old)| new - old);
    }
    entries
}

fn entry(
    store: &Store,
    survey: &Survey,
    name: &ArtifactName,
    version: &VersionView,
    older: Option<&VersionView>,
    replicas: u16,
) -> HistoryEntry {
    let label = survey.label(version.volume);
    let removal = version.kind == VersionKind::Removal;
    let looked = (!removal)
        .then(|| store.slot(label))
        .flatten()
        .and_then(|slot| store.verify_version(slot, name, version.id).ok());
    HistoryEntry {
        id: if removal {
            EntryId::Removed(version.id)
        } else {
            EntryId::Version(version.id)
        },
        current_from: older
            .map(|older| older.id.time())
            .or_else(|| DateTime::from_timestamp(version.written, 0)),
        current_until: Some(version.id.time()),
        size: if removal { 0 } else { version.size },
        change: None,
        sha256: looked.as_ref().map(|v| v.sha256),
        agent: looked.as_ref().and_then(Verification::agent_did),
        blocks: looked.as_ref().map(blocks),
        origin: vec![label.to_owned()],
        copies: (version.volumes, replicas),
    }
}

fn blocks(verification: &Verification) -> u32 {
    u32::try_from(verification.block_types.len()).unwrap_or(u32::MAX)
}
