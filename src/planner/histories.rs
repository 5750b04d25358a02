//! What an operator asks of one artifact's history: a state by id or time, its bytes, going back to
//! it; and which versions of all go.

use chrono::{DateTime, Local, Utc};

use super::{backup, look, restore_from, version};
use crate::{
    maif::Verdict,
    plan::{self, Plan, RestoreMode, Source, VersionFacts, VersionsChoice},
    progress::Task,
    report,
    store::{Policy, Store, StoreError, fetch::Fetched, retention::Refused},
    survey::{
        self, History, Pick, StateId,
        history::{self, Place},
        timeline::Earlier,
    },
    volume::{ArtifactName, Fingerprint, Level},
};

/// Plans the restore of an earlier state, also of one that only a backup holds. `None`: what is
/// current is that state.
pub fn restore_state(
    store: &Store,
    history: &History,
    pick: Pick,
    aside: Option<ArtifactName>,
) -> Result<Option<Plan>, StoreError> {
    let name = &history.name;
    let id = match pick {
        Pick::Current if aside.is_none() => return Ok(None),
        Pick::Current => {
            return Err(StoreError::Usage(format!(
                "that is the current copy of {name}; `maifdeck get` and `put` copy it"
            )));
        }
        Pick::Earlier(id) => id,
    };
    let state = history.find(id);
    let place = state.and_then(Earlier::place);
    match (id, place) {
        (_, None) => Err(StoreError::NotFound {
            kind: "version",
            what: format!("{id} of {name}"),
        }),
        (_, Some(Place::Volume(id))) => version(store, name, id, aside).map(Some),
        // Its history comes back with it.
        (StateId::Backup(id), Some(_)) if aside.is_none() => {
            let names = vec![name.clone()];
            backup(store, &id.to_string(), names, RestoreMode::Merge, 50).map(Some)
        }
        (_, Some(place @ Place::Backup(..))) => {
            let print = state.and_then(|state| state.print);
            let facts = facts_in_backup(store, name, id, &place, print)?;
            restore_from(store, &facts, aside).map(Some)
        }
    }
}

/// Plans the restore of an earlier state by its id, wherever it is.
pub fn restore(
    store: &Store,
    name: &ArtifactName,
    id: StateId,
    aside: Option<ArtifactName>,
) -> Result<Plan, StoreError> {
    if let StateId::Version(id) = id {
        match version(store, name, id, aside.clone()) {
            // Perhaps a backup has it.
            Err(StoreError::NotFound { .. }) => {}
            planned => return planned,
        }
    }
    let history = survey::history(store, name, Level::Quick, &Task::new())?;
    let plan = restore_state(store, &history, Pick::Earlier(id), aside)?;
    plan.ok_or_else(|| StoreError::Usage(format!("{id} is what is current")))
}

/// A state that only a backup holds: it is verified before it is planned with.
fn facts_in_backup(
    store: &Store,
    name: &ArtifactName,
    id: StateId,
    place: &Place,
    print: Option<Fingerprint>,
) -> Result<VersionFacts, StoreError> {
    let found = history::read(store, name, place, &Task::new())?.verification;
    let intact = print.filter(|_| found.verdict() == Verdict::Intact);
    match (place, intact) {
        (Place::Backup(from, path), Some(print)) => Ok(VersionFacts {
            name: name.clone(),
            id,
            source: Source::Backup {
                id: *from,
                path: path.clone(),
                sha256: Some(found.sha256),
            },
            size: print.size,
            check: print.check,
        }),
        _ => Err(StoreError::NoIntactCopy {
            name: name.clone(),
            why: format!("{id} in a backup: {}", found.problem()),
        }),
    }
}

/// The verified bytes of what an operator calls a state, as [`pick`] reads it.
pub fn fetch(store: &Store, name: &ArtifactName, text: &str) -> Result<Fetched, StoreError> {
    // A history need not be put together for a state that says where it is.
    if let Ok(id) = text.parse() {
        return history::read_by_id(store, name, id, None, &Task::new());
    }
    let history = survey::history(store, name, Level::Quick, &Task::new())?;
    let pick = pick(store, &history, text)?;
    read_state(store, &history, pick)
}

/// The verified bytes of a state.
pub fn read_state(store: &Store, history: &History, pick: Pick) -> Result<Fetched, StoreError> {
    let name = &history.name;
    let Pick::Earlier(id) = pick else {
        return store.fetch(name);
    };
    let place = history.find(id).and_then(Earlier::place);
    let place = place.ok_or_else(|| StoreError::NotFound {
        kind: "version with a copy",
        what: format!("{id} of {name}"),
    })?;
    history::read(store, name, &place, &Task::new())
}

/// Reads what an operator calls a state: `current`, a version's id, `backup_<id>`, or a time.
pub fn pick(store: &Store, history: &History, text: &str) -> Result<Pick, StoreError> {
    if text == "current" {
        return Ok(Pick::Current);
    }
    let Ok(id) = text.parse() else {
        return history.at(moment(store, text)?);
    };
    if history.find(id).is_none() {
        return Err(StoreError::NotFound {
            kind: "version",
            what: format!("{text} of {}", history.name),
        });
    }
    Ok(Pick::Earlier(id))
}

/// Reads a time as an operator types it, in the local zone.
pub fn moment(store: &Store, text: &str) -> Result<DateTime<Utc>, StoreError> {
    report::when::parse(text, store.clock().now(), report::Zone::Local).ok_or_else(|| {
        StoreError::Usage(format!(
            "neither an id nor a time such as 2026-03-11T18:00 or \"yesterday 18:00\": {text}"
        ))
    })
}

/// Plans the trashing of versions that a policy lets go, of these artifacts or of all; without a
/// policy that of the `[versions]` section.
pub fn prune_versions(
    store: &Store,
    mut names: Vec<ArtifactName>,
    given: Option<Policy>,
) -> Result<Plan, StoreError> {
    names.sort();
    let survey = look(store, names.clone())?;
    if let Some(name) = names.iter().find(|name| survey.find(name).is_none()) {
        return Err(StoreError::NotFound {
            kind: "artifact",
            what: name.to_string(),
        });
    }
    let config = store.config();
    let choice = VersionsChoice {
        store: store.id().unwrap_or_default(),
        names: &names,
        policy: given.unwrap_or_else(|| (&config.versions).into()),
        undo_window: config.store.undo_window,
    };
    plan::prune_versions(&survey, choice, store.clock().now(), &Local).map_err(|error| {
        StoreError::Usage(match error {
            Refused::Empty => format!("{error}, or set them in [versions]"),
            Refused::RemovesAll => error.to_string(),
        })
    })
}
