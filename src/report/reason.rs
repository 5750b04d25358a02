//! Why a copy is the right one, in words.

use crate::survey::{ArtifactState, ArtifactView, NewestIntact, Reason, Survey, VolumeIndex};

/// `p2.2 is ahead: generation 7; p2.1 holds generation 6`. One sentence without a full stop.
pub fn reason(survey: &Survey, artifact: &ArtifactView) -> String {
    let Some(reference) = &artifact.reference else {
        return match artifact.newest_intact.as_deref() {
            Some(newest) => format!(
                "no intact copy of the newest generation; the newest intact one is {}",
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
    let label = survey.label(reference.volume);
    let labels = |volumes: &[VolumeIndex]| list(volumes.iter().map(|v| survey.label(*v)));
    match &reference.reason {
        Reason::Only => format!("{label} holds the only copy"),
        Reason::AllAgree => "all copies hold the same bytes".to_owned(),
        Reason::Newest { generation, behind } => {
            let others = behind
                .iter()
                .map(|(volume, older)| {
                    format!("{} holds generation {older}", survey.label(*volume))
                })
                .collect::<Vec<_>>();
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
fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
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
        survey::{Reference, VolumeState, VolumeView},
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
            ..Survey::default()
        }
    }

    fn words(reason_of: Reason) -> String {
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
            copies: Vec::new().into(),
        };
        reason(&survey(), &artifact)
    }

    #[test]
    fn the_right_copy_is_named_with_its_reason() {
        let behind = vec![(VolumeIndex(0), 6)];
        assert_eq!(
            words(Reason::Newest {
                generation: 7,
                behind
            }),
            "p2.2 is ahead: generation 7; p2.1 holds generation 6"
        );
        let damaged = vec![VolumeIndex(0), VolumeIndex(2)];
        assert_eq!(
            words(Reason::Intact { damaged }),
            "p2.2 is intact; p2.1 and p2.3 of the same generation are not"
        );
    }
}
