//! Why a copy is the reference, in words.

use crate::survey::{Reason, Reference, Survey, VolumeIndex};

/// One sentence, without a full stop.
pub fn words(survey: &Survey, reference: &Reference) -> String {
    let winner = survey.label(reference.volume);
    let labels = |volumes: &[VolumeIndex]| {
        let labels: Vec<&str> = volumes.iter().map(|v| survey.label(*v)).collect();
        labels.join(", ")
    };
    match &reference.reason {
        Reason::Only => format!("{winner} holds the only copy that can be read"),
        Reason::AllAgree => "all copies hold the same bytes".to_owned(),
        Reason::Newest { generation, behind } => {
            let behind: Vec<String> = behind
                .iter()
                .map(|(volume, generation)| match generation {
                    0 => format!("{} holds no recorded one", survey.label(*volume)),
                    n => format!("{} holds generation {n}", survey.label(*volume)),
                })
                .collect();
            format!(
                "{winner} is ahead: generation {generation}; {}",
                behind.join(", ")
            )
        }
        Reason::Quorum { copies } => {
            format!("{winner}'s bytes are on {copies} replicas of the same generation, a quorum")
        }
        Reason::Intact { damaged } => {
            format!("{winner} is intact where {} is damaged", labels(damaged))
        }
        Reason::WrittenOutside { over } => format!(
            "{winner} was written outside maifdeck over generation {over}, so it is its successor"
        ),
        Reason::HistoryBehind { behind } => format!(
            "the bytes on {} are in a history; those on {winner} are not, so they are newer",
            labels(behind)
        ),
    }
}
