//! How artifacts are spread over the partitions.

use crate::{
    store::Store,
    survey::model::{CopyState, PartitionView, Survey},
};

/// Counts artifacts by partition, each once.
#[expect(
    clippy::cast_precision_loss,
    reason = "shares are shown with one decimal"
)]
pub(super) fn distribute(store: &Store, survey: &mut Survey) {
    let partitions = store.partitions();
    let expected = store.homes().shares(partitions.len());
    let mut views: Vec<PartitionView> = partitions
        .iter()
        .zip(expected)
        .map(|(partition, expected_share)| PartitionView {
            name: partition.name.as_str().into(),
            weight: partition.weight,
            draining: partition.weight == 0.0,
            artifacts: 0,
            bytes: 0,
            misplaced: 0,
            share: 0.0,
            expected_share,
        })
        .collect();
    let mut total = 0u64;
    for artifact in survey.artifacts.iter().filter(|a| !a.removed) {
        if let Some(view) = views.get_mut(usize::from(artifact.home)) {
            view.artifacts += 1;
            view.bytes += artifact.shown_copy().and_then(|c| c.size).unwrap_or(0);
            total += 1;
        }
        let mut places: Vec<u16> = artifact
            .copies
            .iter()
            .filter(|copy| copy.state == CopyState::Misplaced)
            .filter_map(|copy| Some(survey.volumes.get(usize::from(copy.volume.0))?.partition))
            .collect();
        places.dedup();
        for place in places {
            if let Some(view) = views.get_mut(usize::from(place)) {
                view.misplaced += 1;
            }
        }
    }
    survey.skew = 0.0;
    for view in &mut views {
        if total > 0 {
            view.share = view.artifacts as f64 / total as f64;
        }
        if view.expected_share > 0.0 {
            survey.skew = survey.skew.max(view.share / view.expected_share);
        }
    }
    survey.partitions = views;
}
