//! Why a copy is the right one, in words.

use chrono::Datelike;

use crate::{
    survey::{
        ArtifactState, ArtifactView, Behind, CopyState, NewestIntact, Reason, Reference, Survey,
        VolumeIndex,
    },
    volume::Level,
};

/// `p2.2 is ahead: generation 7; p2.1 holds generation 6, archived there on 11 March`. One sentence
/// without a full stop. "There" is on the volume that is ahead.
pub fn reason(survey: &Survey, artifact: &ArtifactView) -> String {
    let away = away(survey, artifact);
    let Some(reference) = &artifact.reference else {
        return match artifact.newest_intact.as_deref() {
            Some(newest) => format!(
                "no intact copy of the newest generation{}; the newest intact one is {}",
                match &away {
                    Some(away) => format!(" is in reach ({away})"),
                    None => String::new(),
                },
                newest_intact(survey, newest)
            ),
            None if artifact.state == ArtifactState::Unreachable => {
                "no volume that could hold a copy can be read now".to_owned()
            }
            None if artifact.vanished => {
                "no volume has it, and nothing says that it was removed".to_owned()
            }
            None => "no copy can be called the right one".to_owned(),
        };
    };
    let why = why(survey, artifact, reference);
    match away {
        Some(away) => format!("{why}; {away}"),
        None => why,
    }
}

/// What could not be seen, so that nobody takes it for empty or equal.
fn away(survey: &Survey, artifact: &ArtifactView) -> Option<String> {
    let at_home = artifact.copies.iter();
    let at_home = at_home.filter(|copy| copy.state != CopyState::Misplaced);
    let away: Vec<&str> = at_home
        .clone()
        .filter(|copy| copy.state == CopyState::Unreachable)
        .map(|copy| survey.label(copy.volume))
        .collect();
    if away.is_empty() {
        return None;
    }
    // Those who answer may all have missed the newest commit.
    let too_few = away.len() * 2 > at_home.count();
    let newer = if too_few {
        ", and may hold a newer one"
    } else {
        ""
    };
    Some(format!("{} cannot be read now{newer}", list(away)))
}

fn why(survey: &Survey, artifact: &ArtifactView, reference: &Reference) -> String {
    let label = survey.label(reference.volume);
    let labels = |volumes: &[VolumeIndex]| list(volumes.iter().map(|v| survey.label(*v)));
    let mut copies = artifact.copies.iter();
    let all = if copies.any(|copy| copy.state == CopyState::Unreachable) {
        "all copies that can be read"
    } else {
        "all copies"
    };
    match &reference.reason {
        Reason::Only if all == "all copies" => format!("{label} holds the only copy"),
        Reason::Only => format!("{label} holds the only copy that can be read"),
        Reason::AllAgree => {
            let mut copies = artifact.copies.iter();
            let looked = copies.find(|copy| copy.volume == reference.volume);
            if looked.is_some_and(|copy| copy.checked <= Level::Presence) {
                format!("{all} are of one size; their bytes were not looked at")
            } else {
                format!("{all} hold the same bytes")
            }
        }
        Reason::Newest { generation, behind } => {
            let others: Vec<String> = behind
                .iter()
                .map(|behind| older(survey, reference.volume, *behind))
                .collect();
            if others.is_empty() {
                format!("{label} holds generation {generation}, the newest")
            } else {
                format!(
                    "{label} is ahead: generation {generation}; {}",
                    list(others.iter().map(String::as_str))
                )
            }
        }
        Reason::Quorum { copies } => {
            format!("{label} holds the bytes that a quorum agrees on ({copies} copies)")
        }
        Reason::Intact { damaged } => {
            format!(
                "{label} is intact; {} of the same generation {} not",
                labels(damaged),
                if damaged.len() == 1 { "is" } else { "are" }
            )
        }
        Reason::WrittenOutside { over } => format!(
            "{label} was replaced in place by a writer other than maifdeck, over generation {over}, the newest"
        ),
        Reason::HistoryBehind { behind } => format!(
            "{label} holds bytes that no history knows; those of {} are in one, so older",
            labels(behind)
        ),
    }
}

/// A copy that is behind, and where its bytes are kept.
fn older(survey: &Survey, ahead: VolumeIndex, behind: Behind) -> String {
    let words = format!(
        "{} holds generation {}",
        survey.label(behind.volume),
        behind.generation
    );
    let Some((volume, id)) = behind.archived else {
        return words;
    };
    let place = if volume == ahead {
        "there".to_owned()
    } else {
        format!("on {}", survey.label(volume))
    };
    let time = id.time();
    let format = if time.year() == survey.at.year() {
        "%-d %B"
    } else {
        "%-d %B %Y"
    };
    format!("{words}, archived {place} on {}", time.format(format))
}

/// Where the newest intact bytes are, in words.
pub fn newest_intact(survey: &Survey, newest: &NewestIntact) -> String {
    match newest {
        NewestIntact::Copy { volume } => format!("the copy on {}", survey.label(*volume)),
        NewestIntact::Version { volume, id } => {
            format!("version {id} on {}", survey.label(*volume))
        }
        NewestIntact::Backup { id } => format!("that of backup {id}"),
    }
}

/// `a`, `a and b`, `a, b and c`
fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().collect();
    match words.as_slice() {
        [] => "the others".to_owned(),
        [one] => (*one).to_owned(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use std::sync::Arc;

    use super::*;
    use crate::{
        survey::{CopyView, VolumeState, VolumeView},
        volume::ArtifactName,
    };

    fn survey() -> Survey {
        let volume = |label: &str| VolumeView {
            label: label.into(),
            partition: 0,
            path: PathBuf::new(),
            state: VolumeState::Ok,
            reason: None,
            artifacts: 0,
            current_bytes: 0,
            versions: 0,
            versions_bytes: 0,
            trash_bytes: 0,
            space: None,
            other_files: 0,
        };
        Survey {
            volumes: vec![volume("p2.1"), volume("p2.2"), volume("p2.3")],
            at: "2026-03-12T09:15:00Z".parse().unwrap(),
            ..Survey::default()
        }
    }

    fn words(reason_of: Reason) -> String {
        words_with(reason_of, &[])
    }

    fn words_with(reason_of: Reason, states: &[CopyState]) -> String {
        let copies = states.iter().enumerate().map(|(number, state)| CopyView {
            volume: VolumeIndex(u16::try_from(number).unwrap()),
            state: *state,
            checked: Level::Quick,
            checked_at: 0,
            size: Some(1),
            generation: None,
            prints: Arc::default(),
            stamp: crate::survey::Stamp::default(),
        });
        let copies: Vec<CopyView> = copies.collect();
        let artifact = ArtifactView {
            name: ArtifactName::new("doc").unwrap(),
            home: 0,
            state: ArtifactState::Degraded,
            removed: false,
            vanished: false,
            unsupported: false,
            reference: Some(Arc::new(Reference {
                volume: VolumeIndex(1),
                generation: Some(7),
                reason: reason_of,
            })),
            newest_intact: None,
            copies: copies.into(),
        };
        reason(&survey(), &artifact)
    }

    #[test]
    fn the_right_copy_is_named_with_its_reason() {
        let behind = |archived: Option<(u16, &str)>| Reason::Newest {
            generation: 7,
            behind: vec![Behind {
                volume: VolumeIndex(0),
                generation: 6,
                archived: archived.map(|(v, id)| (VolumeIndex(v), id.parse().unwrap())),
            }],
        };
        assert_eq!(
            words(behind(None)),
            "p2.2 is ahead: generation 7; p2.1 holds generation 6"
        );
        assert_eq!(
            words(behind(Some((1, "20260311_180000.000")))),
            "p2.2 is ahead: generation 7; p2.1 holds generation 6, archived there on 11 March"
        );
        assert_eq!(
            words(behind(Some((2, "20250301_180000.000")))),
            "p2.2 is ahead: generation 7; p2.1 holds generation 6, archived on p2.3 on 1 March 2025"
        );
        let damaged = vec![VolumeIndex(0), VolumeIndex(2)];
        assert_eq!(
            words(Reason::Intact { damaged }),
            "p2.2 is intact; p2.1 and p2.3 of the same generation are not"
        );
    }

    #[test]
    fn what_cannot_be_read_is_never_taken_for_equal_or_absent() {
        use CopyState::{Ok, Unreachable};
        assert_eq!(
            words_with(Reason::AllAgree, &[Ok, Ok, Unreachable]),
            "all copies that can be read hold the same bytes; p2.3 cannot be read now"
        );
        assert_eq!(
            words_with(Reason::Only, &[Unreachable, Ok, Unreachable]),
            "p2.2 holds the only copy that can be read; p2.1 and p2.3 cannot be read now, and may \
             hold a newer one"
        );
    }
}
