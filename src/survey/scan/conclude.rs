//! From rows to the survey: every artifact judged, with the reason for its reference copy.

use std::sync::Arc;

use super::{
    look::apply_recalled,
    rows::{Draft, Known, Removal, Row, Rows, index},
};
use crate::{
    store::{
        Slot, Store,
        judge::{Condition, Facts, FileFacts, Seen, judge},
    },
    survey::model::{
        ArtifactState, ArtifactView, Copies, CopyState, CopyView, NewestIntact, Prints, Stamp,
        Survey, VersionView, VolumeIndex,
    },
    volume::{Fingerprint, Level, VersionKind},
};

/// Judges every row and makes the survey's arrays.
pub(super) fn conclude(store: &Store, survey: &mut Survey, mut rows: Rows, known: &mut Known<'_>) {
    apply_recalled(&mut rows);
    let at = survey.at.timestamp();
    for (name, row) in rows {
        if let Some(view) = row.known.and_then(|at| known.view(at)) {
            let artifact = u32::try_from(survey.artifacts.len()).unwrap_or(u32::MAX);
            survey.artifacts.push(view.clone());
            let versions = row.versions.into_iter();
            survey.versions.extend(versions.map(|version| VersionView {
                artifact,
                ..version
            }));
            continue;
        }
        let replicas: Vec<(VolumeIndex, &Slot)> = store
            .slots()
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.partition == row.home)
            .map(|(position, slot)| (index(position), slot))
            .collect();
        let quorum = store.config().store.write_quorum.of(replicas.len());
        let facts: Vec<Facts> = replicas
            .iter()
            .map(|(volume, slot)| facts_of(survey, &row, *volume, slot))
            .collect();
        let judgement = judge(&facts, quorum);
        let artifact = u32::try_from(survey.artifacts.len()).unwrap_or(u32::MAX);
        let mut copies: Vec<CopyView> = facts
            .iter()
            .zip(&judgement.copies)
            .map(|(fact, state)| {
                let draft = row.copies.iter().find(|d| d.volume == fact.volume);
                view(fact.volume, *state, draft, row.level, at)
            })
            .collect();
        copies.extend(row.misplaced.iter().map(|draft| {
            view(
                draft.volume,
                CopyState::Misplaced,
                Some(draft),
                row.level,
                at,
            )
        }));
        let misplaced = !row.misplaced.is_empty();
        let only_misplaced = misplaced && judgement.vanished;
        // A removal that a change of the layout has not brought home yet is one all the same.
        let stray = |removal: &Removal| {
            let mut at_home = replicas.iter().map(|(volume, _)| *volume);
            removal.record.is_some() && at_home.all(|volume| volume != removal.volume)
        };
        let removed_elsewhere = judgement.vanished && row.removals.iter().any(stray);
        let state = if only_misplaced || (misplaced && judgement.state > ArtifactState::Misplaced) {
            ArtifactState::Misplaced
        } else if removed_elsewhere {
            ArtifactState::Ok
        } else {
            judgement.state
        };
        let versions = row.versions;
        let newest_intact = judgement
            .newest_intact
            .or_else(|| older(&versions, row.backup.as_deref(), state));
        survey
            .versions
            .extend(versions.into_iter().map(|version| VersionView {
                artifact,
                ..version
            }));
        survey.artifacts.push(ArtifactView {
            name,
            home: u16::try_from(row.home).unwrap_or(u16::MAX),
            state,
            removed: (judgement.removed || removed_elsewhere) && !misplaced,
            vanished: judgement.vanished && !misplaced && !removed_elsewhere,
            unsupported: judgement.unsupported,
            reference: judgement.reference.map(|found| known.shared(found)),
            newest_intact: newest_intact.map(Box::new),
            copies: sharing(copies),
        });
    }
}

/// The copies, the bytes of those that agree told of once.
fn sharing(mut copies: Vec<CopyView>) -> Copies {
    if let [first, others @ ..] = copies.as_mut_slice() {
        for other in others {
            if other.prints == first.prints {
                other.prints = Arc::clone(&first.prints);
            }
        }
    }
    copies.into()
}

/// Where older bytes of a lost artifact are, when no copy has any.
fn older(
    versions: &[VersionView],
    backup: Option<&str>,
    state: ArtifactState,
) -> Option<NewestIntact> {
    if state != ArtifactState::Lost {
        return None;
    }
    versions
        .iter()
        .find(|version| version.kind == VersionKind::Copy)
        .map(|version| NewestIntact::Version {
            volume: version.volume,
            id: version.id,
        })
        .or_else(|| backup.map(|id| NewestIntact::Backup { id: id.to_owned() }))
}

fn facts_of(survey: &Survey, row: &Row, volume: VolumeIndex, slot: &Slot) -> Facts {
    let reachable = survey
        .volume(volume)
        .is_some_and(|view| view.state.is_readable());
    let draft = row.copies.iter().find(|draft| draft.volume == volume);
    let seen = match draft {
        _ if !reachable => Seen::Unreachable,
        None => Seen::Absent,
        Some(draft) => Seen::File(draft.facts.unwrap_or(FileFacts {
            // Known by its listing only: nothing wrong is known of it.
            fingerprint: Fingerprint {
                size: draft.size,
                check: crate::maif::Digest::default(),
            },
            record: None,
            condition: if row.unreadable.contains(&volume) {
                Condition::Damaged
            } else {
                Condition::Intact
            },
            sha256: None,
        })),
    };
    Facts {
        volume,
        seen,
        counts: slot.counts(),
        removal: row
            .removals
            .iter()
            .find(|removal| removal.volume == volume)
            .and_then(|removal| removal.record),
        history: row
            .prints
            .iter()
            .find(|(v, _)| *v == volume)
            .map(|(_, prints)| prints.clone())
            .unwrap_or_default(),
    }
}

fn view(
    volume: VolumeIndex,
    state: CopyState,
    draft: Option<&Draft>,
    level: Level,
    at: i64,
) -> CopyView {
    let facts = draft.and_then(|draft| draft.facts);
    let checked = match (draft, facts) {
        (None, _) if state == CopyState::Unreachable => Level::None,
        (_, None) => Level::Presence,
        (_, Some(_)) => level,
    };
    let earlier = draft
        .and_then(|draft| draft.earlier)
        .filter(|_| checked < Level::Deep);
    CopyView {
        volume,
        state,
        checked: earlier.map_or(checked, |_| Level::Deep),
        checked_at: match earlier {
            Some(check) => check.at,
            None if checked == Level::None => 0,
            None => at,
        },
        size: draft.map(|draft| draft.size),
        stamp: draft.map_or_else(Stamp::default, |draft| draft.stamp),
        generation: facts.and_then(|facts| {
            facts
                .record
                .filter(|record| record.describes(&facts.fingerprint))
                .map(|record| record.generation)
        }),
        prints: Arc::new(Prints {
            check: facts.map(|facts| facts.fingerprint.check),
            sha256: facts
                .and_then(|facts| facts.sha256)
                .or_else(|| earlier.and_then(|check| check.sha256)),
        }),
    }
}
