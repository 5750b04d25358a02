//! Removal: archive and mark removed. Pure.

use chrono::{DateTime, Utc};

use super::{
    Intent, Plan, Step, Summary,
    homecoming::Homecoming,
    restore_backup::{expected, was},
};
use crate::{
    survey::{CopyState, Survey},
    volume::ArtifactName,
};

/// Plans the removal of these artifacts; what is not there, or not at home, is left and named.
pub fn remove(survey: &Survey, store: &str, names: &[ArtifactName], now: DateTime<Utc>) -> Plan {
    let mut summary = Summary::default();
    let mut steps = Vec::new();
    for name in names {
        let found = survey
            .find(name)
            .and_then(|row| survey.artifacts.get(row))
            .filter(|artifact| !artifact.removed && !artifact.vanished);
        match found {
            None => summary.skipped.push(format!("{name} is not there")),
            Some(artifact) => {
                let coming = Homecoming::of(survey, artifact);
                let then = coming.as_ref().map(|coming| coming.then.clone());
                if let Some(coming) = coming {
                    summary.space = coming.space(survey);
                    summary.copies += coming.copies;
                    steps.push(coming.step);
                }
                summary.removes += 1;
                summary.archives += 1;
                steps.push(Step::Remove {
                    name: name.clone(),
                    expect: artifact
                        .copies
                        .iter()
                        .filter(|copy| copy.state != CopyState::Misplaced)
                        .map(|copy| {
                            let expected = then.clone().unwrap_or_else(|| expected(copy));
                            (survey.label(copy.volume).to_owned(), expected)
                        })
                        .collect(),
                    was: was(artifact),
                });
            }
        }
    }
    let intent = Intent::Remove {
        names: names.to_vec(),
    };
    Plan::new(store.to_owned(), intent, now, steps, summary)
}
