//! Who signed the current copies, by their headers: read only when a filter asks for it, since it
//! opens every file once. It is what the headers say; whether it is true, verification tells.

use std::collections::HashMap;

use super::table::Agents;
use crate::{
    maif::Reader,
    store::Store,
    survey::Survey,
    volume::{ArtifactName, Lane, dir},
};

/// Copies asked for in one call of a volume's worker.
const BATCH: usize = 1000;

/// By row of the survey. A copy that cannot be read has no agent.
pub fn read(store: &Store, survey: &Survey) -> Agents {
    let mut by_volume: HashMap<u16, Vec<(usize, ArtifactName)>> = HashMap::new();
    for (row, artifact) in survey.artifacts.iter().enumerate() {
        if let Some(copy) = artifact.shown_copy().filter(|_| !artifact.removed) {
            let rows = by_volume.entry(copy.volume.0).or_default();
            rows.push((row, artifact.name.clone()));
        }
    }
    let mut agents = Agents {
        names: Vec::new(),
        of_row: vec![u32::MAX; survey.artifacts.len()],
    };
    let mut known: HashMap<String, u32> = HashMap::new();
    for (volume, rows) in by_volume {
        let slot = survey
            .volumes
            .get(usize::from(volume))
            .and_then(|view| store.slot(&view.label));
        let Some(slot) = slot else { continue };
        for batch in rows.chunks(BATCH) {
            let asked = batch.to_vec();
            let read = slot.volume.run(Lane::Bulk, move |dir, pulse| {
                Ok(asked
                    .iter()
                    .map(|(_, name)| {
                        pulse.beat();
                        let file = dir::open(&dir.copy_path(name)).ok()?;
                        Some(Reader::open(&file).ok()?.header().agent().to_lowercase())
                    })
                    .collect::<Vec<_>>())
            });
            for ((row, _), agent) in batch.iter().zip(read.unwrap_or_default()) {
                let Some(agent) = agent else { continue };
                let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
                let number = *known.entry(agent).or_insert_with_key(|agent| {
                    agents.names.push(agent.clone());
                    next
                });
                if let Some(of_row) = agents.of_row.get_mut(*row) {
                    *of_row = number;
                }
            }
        }
    }
    agents
}
