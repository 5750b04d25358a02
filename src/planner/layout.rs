//! From a changed configuration to the plan that makes it the store's layout.

use sha2::{Digest as _, Sha256};

use super::look;
use crate::{
    plan::{self, Intent, LayoutChange, Next, Plan, Room, Step, Target},
    report,
    store::{
        Config, Store, StoreError,
        candidate::Candidate,
        config::{PartitionConfig, Placement},
        edit::{self, Edit},
        layout,
        lease::{LeaseError, acquire::require_trust},
    },
    survey::Survey,
    volume::{At, Layout},
};

/// Plans a change of the layout; the configuration's file is changed by the plan, not before.
pub fn change(store: &Store, mut change: LayoutChange) -> Result<Plan, StoreError> {
    store.require_same_layout()?;
    let mut edit = Edit::of(store.config())?;
    match &mut change {
        LayoutChange::Add { name, directories } => {
            for directory in directories.iter_mut() {
                *directory = std::path::absolute(&*directory).at("find", directory)?;
            }
            if store.partitions().iter().any(|p| p.name == *name) {
                return Err(StoreError::Usage(format!(
                    "there is a partition {name} already"
                )));
            }
            edit.add_partition(name, directories)?;
        }
        LayoutChange::Drain { name } => {
            let partition = known(store, name)?;
            let others = store.partitions().iter();
            let others = others.filter(|p| p.name != *name && p.weight > 0.0).count();
            if others == 0 {
                return Err(StoreError::Usage(format!(
                    "{name} is the only partition that takes artifacts; add another one first"
                )));
            }
            if partition.weight == 0.0 {
                // Drained before, perhaps not to its end.
                return moves(store, Intent::Layout { change });
            }
            edit.set_weight(name, 0.0)?;
        }
        LayoutChange::Remove { name } => {
            let partition = known(store, name)?;
            if partition.weight > 0.0 {
                return Err(StoreError::Usage(format!(
                    "{name} still takes artifacts; `maifdeck partitions drain {name}` first"
                )));
            }
            require_empty(store, name)?;
            if store
                .config()
                .store
                .control
                .starts_with(&format!("{name}."))
            {
                return Err(StoreError::Usage(format!(
                    "the lease lives on {}; `maifdeck lease move` takes it to another volume",
                    store.config().store.control
                )));
            }
            edit.remove_partition(name)?;
        }
        LayoutChange::Rebalance { placement: None } => {
            return moves(store, Intent::Layout { change });
        }
        LayoutChange::Rebalance {
            placement: Some(wanted),
        } => {
            let placement = match wanted.as_str() {
                "md5-modulo" => Placement::Md5Modulo,
                "rendezvous" => Placement::Rendezvous,
                other => {
                    return Err(StoreError::Usage(format!(
                        "placement is md5-modulo or rendezvous, not {other:?}"
                    )));
                }
            };
            if placement == store.config().store.placement {
                return moves(store, Intent::Layout { change });
            }
            edit.set_placement(placement);
        }
        LayoutChange::MoveLease { volume } => {
            require_fit_for_lease(store, volume)?;
            edit.set_control(volume);
        }
        LayoutChange::Apply => {}
    }
    let (text, config) = edit.finish()?;
    plan_change(store, change, text, &config)
}

/// Plans to make an edited configuration the store's layout. `store` was opened by it; the plan is
/// one for the store that is returned, opened by the layout in force.
pub fn apply(store: &Store) -> Result<(Store, Plan), StoreError> {
    let (Some(layout), Some(file)) = (store.layout(), store.config().file.clone()) else {
        return Err(StoreError::Usage(
            "there is no configuration file, or no marked volume, to apply".to_owned(),
        ));
    };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| StoreError::Usage(format!("cannot read {}: {error}", file.display())))?;
    let config = edit::parse(&text, &file)?;
    let gone = layout
        .partition
        .iter()
        .find(|there| config.partition.iter().all(|p| p.name != there.name));
    if let Some(gone) = gone {
        return Err(StoreError::Usage(format!(
            "partition {} is in the layout but not in {}; put it back, then drain and remove it",
            gone.name,
            file.display()
        )));
    }
    let fewer = layout.partition.iter().find_map(|there| {
        let now = config.partition.iter().find(|p| p.name == there.name)?;
        (now.replicas.len() < usize::from(there.replicas)).then_some((there, now.replicas.len()))
    });
    if let Some((there, now)) = fewer {
        return Err(StoreError::Usage(format!(
            "partition {0} has {1} replicas in the layout and {now} in {2}; put the others back: a \
             replica cannot be dropped, `maifdeck volume replace {0}.N DIR` gives its place to \
             another directory",
            there.name,
            there.replicas,
            file.display()
        )));
    }
    let before = store.with_config(as_in_force(&config, layout));
    before.require_same_layout()?;
    if layout::difference(layout, &config).is_none() {
        let change = LayoutChange::Apply;
        let plan = moves(&before, Intent::Layout { change })?;
        return Ok((before, plan));
    }
    let plan = plan_change(&before, LayoutChange::Apply, text, &config)?;
    Ok((before, plan))
}

/// The configuration as it would be if it said what the layout in force says.
fn as_in_force(config: &Config, layout: &Layout) -> Config {
    let mut before = config.clone();
    before.partition = layout
        .partition
        .iter()
        .filter_map(|there| {
            let partition = config.partition.iter().find(|p| p.name == there.name)?;
            Some(PartitionConfig {
                name: there.name.clone(),
                weight: there.weight,
                replicas: partition
                    .replicas
                    .iter()
                    .take(usize::from(there.replicas))
                    .cloned()
                    .collect(),
            })
        })
        .collect();
    before.store.placement = if layout.placement == Placement::Rendezvous.word() {
        Placement::Rendezvous
    } else {
        Placement::Md5Modulo
    };
    before.store.write_quorum = layout.write_quorum.parse().unwrap_or_default();
    before.store.control.clone_from(&layout.control);
    before.leader.enabled = layout.leases;
    before
}

fn known<'a>(store: &'a Store, name: &str) -> Result<&'a PartitionConfig, StoreError> {
    let mut partitions = store.partitions().iter();
    partitions
        .find(|p| p.name == name)
        .ok_or_else(|| StoreError::NotFound {
            kind: "partition",
            what: name.to_owned(),
        })
}

/// Where the lease may live: on a volume that can be written and whose locks can be trusted.
fn require_fit_for_lease(store: &Store, volume: &str) -> Result<(), StoreError> {
    if !store.config().leader.enabled {
        return Err(LeaseError::Off.into());
    }
    let slot = store.slot(volume).ok_or_else(|| StoreError::NotFound {
        kind: "volume",
        what: volume.to_owned(),
    })?;
    if !slot.is_writable() {
        return Err(slot.not_usable());
    }
    if store.config().store.control == volume {
        return Err(StoreError::Usage(format!(
            "the lease lives on {volume} already"
        )));
    }
    require_trust(slot)
}

fn require_empty(store: &Store, name: &str) -> Result<(), StoreError> {
    let survey = look(store, Vec::new())?;
    let number = survey.partitions.iter().position(|p| &*p.name == name);
    for volume in &survey.volumes {
        if Some(usize::from(volume.partition)) != number {
            continue;
        }
        if !volume.state.is_readable() {
            return Err(StoreError::Changed(format!(
                "{} cannot be read, so nobody knows whether it is empty",
                volume.label
            )));
        }
        if volume.artifacts + volume.versions > 0 {
            return Err(StoreError::Changed(format!(
                "{} still holds {} copies and {} versions; drain it to its end first",
                volume.label, volume.artifacts, volume.versions
            )));
        }
    }
    Ok(())
}

/// The moves that are left under the layout in force.
fn moves(store: &Store, intent: Intent) -> Result<Plan, StoreError> {
    let survey = look(store, Vec::new())?;
    // Who does not answer may hold what has to move still: then the change stays open.
    let known = store.require_knowledge();
    let unsealed = store.is_in_transition();
    let next = Next {
        partitions: targets(store, &survey, store.config(), &[]),
        homes: store.homes().clone(),
        max_fill: store.config().store.max_fill,
        change: None,
        unsealed: unsealed && known.is_ok(),
    };
    let mut plan = finish(store, &survey, intent, &next)?;
    if let (true, Err(why)) = (unsealed, known) {
        let open = format!("the change of the layout stays open until it can be ended: {why}");
        plan.summary.skipped.push(open);
    }
    Ok(plan)
}

fn plan_change(
    store: &Store,
    change: LayoutChange,
    text: String,
    config: &Config,
) -> Result<Plan, StoreError> {
    let Some(current) = store.layout() else {
        return Err(StoreError::Failed("the store has no layout".to_owned()));
    };
    if !current.sealed {
        return Err(StoreError::Usage(
            "the change of the layout before this one still moves artifacts; `maifdeck partitions \
             rebalance` ends it"
                .to_owned(),
        ));
    }
    store.require_reach()?;
    if !matches!(change, LayoutChange::MoveLease { .. }) {
        store.require_knowledge()?;
    }
    let new = newcomers(store, config)?;
    let ids = config
        .partition
        .iter()
        .map(|partition| {
            let known = current.partition.iter().find(|p| p.name == partition.name);
            known.map_or_else(
                || id_of_new(store, &partition.name, current.number + 1),
                |known| known.id.clone(),
            )
        })
        .collect::<Vec<_>>();
    let mut layout = layout::of(config, current.number + 1, &ids);
    layout.sealed = false;
    let survey = look(store, Vec::new())?;
    let homes = layout::homes(config, Some(&layout));
    let mut notes = report::plan::placement_notes(store.layout(), &layout);
    notes.extend(new.iter().flat_map(report::candidate));
    let next = Next {
        partitions: targets(store, &survey, config, &new),
        homes,
        max_fill: config.store.max_fill,
        change: Some(Step::Layout {
            layout: Box::new(layout),
            config: text,
            file: config.file.clone().unwrap_or_default(),
        }),
        unsealed: false,
    };
    let mut plan = finish(store, &survey, Intent::Layout { change }, &next)?;
    plan.summary.notes.splice(0..0, notes);
    Ok(plan)
}

/// The stable id of a partition that comes with a layout: the same for everybody who plans it, so
/// that planning again places artifacts as before.
fn id_of_new(store: &Store, name: &str, number: u64) -> String {
    let digest = Sha256::new()
        .chain_update(store.id().unwrap_or_default())
        .chain_update([0])
        .chain_update(name)
        .chain_update([0])
        .chain_update(number.to_be_bytes())
        .finalize();
    hex::encode(digest.get(..16).unwrap_or_default())
}

fn finish(store: &Store, survey: &Survey, intent: Intent, next: &Next) -> Result<Plan, StoreError> {
    plan::rebalance(
        survey,
        store.id().unwrap_or_default(),
        intent,
        next,
        store.clock().now(),
    )
    .map_err(|refused| StoreError::Usage(refused.to_string()))
}

/// The volumes of a configuration and the room there, as the survey saw it; of those that come with
/// the configuration, as it is where their directories are or will be.
fn targets(
    store: &Store,
    survey: &Survey,
    config: &Config,
    new: &[Candidate],
) -> Vec<(String, Vec<Target>)> {
    let room = |label: &str| {
        let new = new.iter().find(|candidate| candidate.label == label);
        let new = new.map(|candidate| Room {
            device: candidate.place.0,
            free: candidate.free_bytes,
            total: candidate.total_bytes,
        });
        new.or_else(|| {
            let space = survey.volumes.iter().find(|v| *v.label == *label)?.space?;
            Some(Room {
                device: store.slot(label)?.place?.0,
                free: space.free,
                total: space.total,
            })
        })
    };
    let partitions = config.partition.iter();
    partitions
        .map(|partition| {
            let labels = (1..=partition.replicas.len()).map(|n| format!("{}.{n}", partition.name));
            let targets = labels.map(|label| Target {
                room: room(&label),
                label,
            });
            (partition.name.clone(), targets.collect())
        })
        .collect()
}

/// The directories that become volumes with a configuration: each is looked at, and refused where it
/// may not be marked.
fn newcomers(store: &Store, config: &Config) -> Result<Vec<Candidate>, StoreError> {
    let mut new: Vec<Candidate> = Vec::new();
    for (label, path, is_new) in store.volumes_new_in(config) {
        let candidate = Candidate::newcomer(store, &label, path, is_new)?;
        candidate.require()?;
        let twin = new.iter().find(|other| other.place == candidate.place);
        if let Some(twin) = twin.filter(|_| path.is_dir()) {
            return Err(StoreError::Usage(format!(
                "{} is the directory of {} too",
                path.display(),
                twin.label
            )));
        }
        new.push(candidate);
    }
    Ok(new)
}
