//! Making a layout the one in force: raised on a majority of the volumes before the configuration
//! names it, sealed when nothing is left to move. Doing it again goes on where it was cut off.

use std::path::Path;

use crate::{
    store::{
        Config, Slot, Store, StoreError,
        candidate::Candidate,
        edit,
        mark::{self, rewrite},
    },
    volume::{Identity, Lane, Layout, Membership, Volume, Watermark, fault, identity},
};

/// Raises the layout. The store of the new layout is returned, open.
pub fn raise(store: &Store, layout: &Layout, text: &str, file: &Path) -> Result<Store, StoreError> {
    let current = store
        .layout()
        .ok_or_else(|| StoreError::Failed("the store has no layout".to_owned()))?;
    if current.number != layout.number && current.number + 1 != layout.number {
        return Err(StoreError::Changed(format!(
            "the layout has number {} by now, the plan makes it {}",
            current.number, layout.number
        )));
    }
    let config = edit::parse(text, file)?;
    store.require_reach()?;
    begin_new(store, &config, layout)?;
    let mut ours: Vec<&Slot> = store.slots().iter().filter(|slot| slot.is_ours()).collect();
    // Where the lease will live comes first and where it lived last: cut off anywhere in between,
    // it can be had under the layout that is in force.
    let control = &store.config().store.control;
    ours.sort_by_key(|slot| (slot.label() == control, slot.label() != layout.control));
    let mut raised = 0;
    let mut why = Vec::new();
    for slot in &ours {
        let wanted = layout.clone();
        match rewrite(slot, move |identity| identity.layout = wanted) {
            Ok(()) => raised += 1,
            Err(error) if slot.label() == control && layout.control != *control => {
                return Err(error);
            }
            Err(error) => why.push(format!("{}: {error}", slot.label())),
        }
        fault::point("layout.raised").map_err(|error| StoreError::Failed(error.to_string()))?;
    }
    // Of all, also of those that do not answer: they must not be the majority of anybody.
    if raised * 2 <= store.slots().len() {
        return Err(StoreError::Failed(format!(
            "the layout was raised on {raised} volumes only, not on most of them ({}); \
             `maifdeck jobs resume` goes on when they answer",
            why.join("; ")
        )));
    }
    edit::write(file, text)?;
    fault::point("layout.configured").map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(store.with_config(config))
}

/// Marks the volumes that come with the layout: those of a new partition are empty and count at
/// once, a new replica of an old one joins.
fn begin_new(store: &Store, config: &Config, layout: &Layout) -> Result<(), StoreError> {
    let id = store.id().unwrap_or_default();
    for (label, path, is_new) in store.volumes_new_in(config) {
        let volume = Volume::new(&label, path, config.store.volume_timeout);
        let there = volume.run(Lane::Short, |dir, _| Identity::read(dir));
        match there {
            // Marked before this was cut off.
            Ok(Some(there)) if there.store == id && there.label == label => continue,
            Ok(Some(there)) => {
                return Err(StoreError::Usage(format!(
                    "{} is already volume {} of the store {}",
                    path.display(),
                    there.label,
                    there.store_name
                )));
            }
            // Not there yet, or nobody's.
            Err(error) if !error.is_not_found() => return Err(error.into()),
            Ok(None) | Err(_) => {}
        }
        Candidate::newcomer(store, &label, path, is_new)?.require()?;
        std::fs::create_dir_all(path)
            .map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))?;
        let identity = Identity {
            schema: 1,
            store: id.to_owned(),
            store_name: config.store.name.clone(),
            label,
            instance: identity::new_id()?,
            state: if is_new {
                Membership::Active
            } else {
                Membership::Joining
            },
            marked_at: identity::stamp(store.clock().now()),
            mount_point: false,
            watermark: Watermark::default(),
            layout: layout.clone(),
            probe: None,
        };
        volume.run(Lane::Short, move |dir, _| identity.mark(dir))?;
    }
    Ok(())
}

/// Ends the transition: from here on an artifact lies nowhere but at home.
pub fn seal(store: &Store) -> Result<bool, StoreError> {
    let Some(layout) = store.layout().filter(|layout| !layout.sealed) else {
        return Ok(false);
    };
    store.require_knowledge()?;
    let mut layout = layout.clone();
    layout.sealed = true;
    for slot in store.slots().iter().filter(|slot| slot.is_ours()) {
        let sealed = layout.clone();
        let number = layout.number;
        mark::rewrite(slot, move |identity| {
            // One that missed the change learns of it when it is admitted.
            if identity.layout.number == number {
                identity.layout = sealed;
            }
        })?;
        fault::point("layout.sealed").map_err(|error| StoreError::Failed(error.to_string()))?;
    }
    Ok(true)
}
