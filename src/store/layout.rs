//! The layout: what all hosts of a store have to agree on, and which one is in force.

use super::{
    config::{Config, Placement},
    placement::Homes,
};
use crate::volume::{Layout, LayoutPartition};

/// The layout in force: that of most volumes; while no number has most of them, the newest.
pub fn in_force<'a>(layouts: impl Iterator<Item = &'a Layout>) -> Option<&'a Layout> {
    let layouts: Vec<&Layout> = layouts.collect();
    let carried = |number| layouts.iter().filter(|l| l.number == number).count();
    layouts
        .iter()
        .copied()
        .max_by_key(|layout| (carried(layout.number) * 2 > layouts.len(), layout.number))
}

/// The configuration as a layout. `ids` are the stable ids of its partitions.
pub fn of(config: &Config, number: u64, ids: &[String]) -> Layout {
    Layout {
        number,
        sealed: true,
        placement: config.store.placement.word().to_owned(),
        write_quorum: config.store.write_quorum.to_string(),
        control: config.store.control.clone(),
        leases: config.leader.enabled,
        partition: config
            .partition
            .iter()
            .enumerate()
            .map(|(index, partition)| LayoutPartition {
                name: partition.name.clone(),
                id: ids.get(index).cloned().unwrap_or_default(),
                weight: partition.weight,
                replicas: u16::try_from(partition.replicas.len()).unwrap_or(u16::MAX),
            })
            .collect(),
    }
}

/// In words, the first thing in which a layout is not the configuration's.
pub fn difference(layout: &Layout, config: &Config) -> Option<String> {
    let ours = of(config, layout.number, &[]);
    let names = |layout: &Layout| {
        layout
            .partition
            .iter()
            .map(|p| format!("{}×{}", p.name, p.replicas))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let weights = |layout: &Layout| {
        layout
            .partition
            .iter()
            .map(|p| format!("{} {}", p.name, p.weight))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let differs = |what: &str, there: &str, here: &str| {
        (there != here)
            .then(|| format!("{what} is {there} on the volumes and {here} in the configuration"))
    };
    differs("placement", &layout.placement, &ours.placement)
        .or_else(|| differs("partitions × replicas", &names(layout), &names(&ours)))
        .or_else(|| differs("the weights", &weights(layout), &weights(&ours)))
        .or_else(|| differs("write_quorum", &layout.write_quorum, &ours.write_quorum))
        .or_else(|| differs("control", &layout.control, &ours.control))
        .or_else(|| {
            let words = |leases: bool| if leases { "on" } else { "off" };
            differs("leases", words(layout.leases), words(ours.leases))
        })
}

/// The placement of a configuration; ids come from the layout, which alone knows them.
pub fn homes(config: &Config, layout: Option<&Layout>) -> Homes {
    homes_of(config, config.store.placement, layout)
}

fn homes_of(config: &Config, placement: Placement, layout: Option<&Layout>) -> Homes {
    let id = |name: &str| {
        let known = layout.and_then(|layout| layout.partition.iter().find(|p| p.name == name));
        known.map_or_else(|| name.to_owned(), |known| known.id.clone())
    };
    let ids: Vec<String> = config.partition.iter().map(|p| id(&p.name)).collect();
    let weights = config.partition.iter().map(|p| p.weight);
    Homes::new(placement, ids.iter().map(String::as_str).zip(weights))
}
