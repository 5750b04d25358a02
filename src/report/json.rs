//! The JSON documents of the contract.

use serde_json::{Value, json};

use super::stamp;
use crate::survey::{ArtifactView, CopyView, NewestIntact, Survey};

/// `partitions --json`
pub fn partitions(survey: &Survey) -> Value {
    let partitions: Vec<Value> = survey
        .partitions
        .iter()
        .enumerate()
        .map(|(number, partition)| {
            let volumes: Vec<Value> = survey
                .volumes
                .iter()
                .filter(|volume| usize::from(volume.partition) == number)
                .map(|volume| {
                    json!({
                        "label": &*volume.label,
                        "path": volume.path.to_string_lossy(),
                        "state": volume.state,
                        "artifacts": volume.artifacts,
                        "current_bytes": volume.current_bytes,
                        "versions_bytes": volume.versions_bytes,
                        "trash_bytes": volume.trash_bytes,
                    "other_bytes": volume.other_bytes(),
                        "free_bytes": volume.space.map(|s| s.free),
                        "total_bytes": volume.space.map(|s| s.total),
                    })
                })
                .collect();
            json!({
                "name": &*partition.name,
                "state": if partition.draining { "draining" } else { "active" },
                "weight": partition.weight,
                "artifacts": partition.artifacts,
                "bytes": partition.bytes,
                "share": partition.share,
                "expected_share": partition.expected_share,
                "misplaced": partition.misplaced,
                "volumes": volumes,
            })
        })
        .collect();
    json!({
        "placement": survey.placement,
        "skew": survey.skew,
        "partitions": partitions,
    })
}

/// `replicas --json`, `survey --json`
pub fn survey(survey: &Survey, wanted: impl Fn(&ArtifactView) -> bool) -> Value {
    let artifacts: Vec<Value> = survey
        .artifacts
        .iter()
        .filter(|artifact| !artifact.removed && wanted(artifact))
        .map(|artifact| self::artifact(survey, artifact))
        .collect();
    json!({
        "level": survey.level,
        "at": stamp::rfc3339(survey.at),
        "artifacts": artifacts,
        "summary": summary(survey),
        "findings": survey.findings,
    })
}

/// Number of artifacts in each state.
pub fn summary(survey: &Survey) -> Value {
    let counts = survey
        .summary()
        .into_iter()
        .map(|(state, count)| (state.word().to_owned(), count.into()));
    Value::Object(counts.collect())
}

fn artifact(survey: &Survey, artifact: &ArtifactView) -> Value {
    let mut document = json!({
        "name": artifact.name.json(),
        "partition": survey.partitions.get(usize::from(artifact.home)).map(|p| &*p.name),
        "state": artifact.state,
        "reference": artifact.reference.as_ref().map(|reference| json!({
            "volume": survey.label(reference.volume),
            "generation": reference.generation,
            "reason": super::reason(survey, artifact),
        })),
        "copies": artifact.copies.iter().map(|c| copy(survey, c)).collect::<Vec<_>>(),
    });
    if let Value::Object(members) = &mut document {
        if let Some(hex) = artifact.name.json_hex() {
            members.insert("name_hex".to_owned(), hex.into());
        }
        if let Some(newest) = &artifact.newest_intact {
            let (place, id) = match &**newest {
                NewestIntact::Copy { volume } => (survey.label(*volume).to_owned(), None),
                NewestIntact::Version { volume, id } => (
                    format!("{}/versions", survey.label(*volume)),
                    Some(id.to_string()),
                ),
                NewestIntact::Backup { id } => ("backups".to_owned(), Some(id.clone())),
            };
            members.insert(
                "newest_intact".to_owned(),
                json!({ "where": place, "id": id }),
            );
        }
    }
    document
}

fn copy(survey: &Survey, copy: &CopyView) -> Value {
    let mut document = json!({
        "volume": survey.label(copy.volume),
        "state": copy.state,
        "checked": copy.checked,
        "size": copy.size,
        "generation": copy.generation,
    });
    if let Value::Object(members) = &mut document {
        if copy.checked_at > 0 {
            let at = stamp::rfc3339_seconds(copy.checked_at);
            members.insert("checked_at".to_owned(), at.into());
        }
        if let Some(sha256) = copy.prints.sha256 {
            members.insert("sha256".to_owned(), sha256.to_string().into());
        }
    }
    document
}
