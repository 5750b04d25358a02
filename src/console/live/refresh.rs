//! A refresh that costs what changed: every volume is asked whether it is still ours and when its
//! directories changed, the rows on the screen are looked at, and a bounded number of all others in
//! turn. Only a difference leads to a new survey.

use std::{ffi::OsString, sync::Arc};

use chrono::{DateTime, Utc};

use super::{Live, lock, words};
use crate::{
    backup::{BackupView, KnownNames},
    console::backend::Backend,
    progress::Task,
    report,
    store::Store,
    survey::{self, Checked, CopyView, Scope, Stamp, Survey, VolumeState},
    volume::{ArtifactName, Lane, Level, listing},
};

/// Rows looked at in one refresh beside the visible ones.
const SWEEP: usize = 1000;

/// What a refresh remembers of the one before.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Directory times by slot; `None` for a volume that did not answer.
    times: Vec<Option<[i64; 3]>>,
    states: Vec<VolumeState>,
    /// Where the sweep goes on.
    next: usize,
    /// The backups that the findings are about.
    shown: Vec<BackupView>,
    pub(super) survey: Option<Arc<Survey>>,
    /// What the newest backup holds.
    known: KnownNames,
    /// What is remembered of readings to the last byte.
    checked: Vec<OsString>,
}

impl Live {
    pub(super) fn look_again(
        &self,
        visible: &[ArtifactName],
        previous: Option<Arc<Survey>>,
    ) -> Result<Option<Arc<Survey>>, String> {
        let store = self.reopened();
        // What was read to the last byte meanwhile changes the verdict on files that did not change.
        let checked = Checked::of(store.id().unwrap_or_default());
        let state = checked.state();
        let rechecked = {
            let mut memory = lock(&self.memory);
            let same = memory.checked == state;
            memory.checked = state;
            !same
        };
        let changed = self.looks_changed(&store, visible, previous.as_ref()) || rechecked;
        let backups = self.backups()?;
        if !changed && lock(&self.memory).shown == backups {
            return Ok(None);
        }
        let mut survey = match previous {
            Some(previous) if !changed => (*previous).clone(),
            previous => {
                let known = {
                    let mut memory = lock(&self.memory);
                    memory.known.refresh(&backups, store.clock().now());
                    memory.known.list()
                };
                let scope = Scope {
                    level: Level::Quick,
                    known,
                    checked,
                    ..Scope::default()
                };
                survey::survey_again(&store, &scope, previous.as_deref(), &Task::new())
                    .map_err(|error| words(&error))?
            }
        };
        // Findings about jobs are made where the jobs are shown.
        survey.findings = report::findings::all(&survey, &store, &backups, &[]);
        let survey = Arc::new(survey);
        let mut memory = lock(&self.memory);
        memory.shown = backups;
        memory.survey = Some(Arc::clone(&survey));
        Ok(Some(survey))
    }

    /// Whether anything that a cheap look can see is other than before.
    fn looks_changed(
        &self,
        store: &Store,
        visible: &[ArtifactName],
        previous: Option<&Arc<Survey>>,
    ) -> bool {
        let mut memory = lock(&self.memory);
        let states: Vec<VolumeState> = store.slots().iter().map(|slot| slot.state).collect();
        let times: Vec<Option<[i64; 3]>> = store
            .slots()
            .iter()
            .map(|slot| {
                slot.state.is_readable().then(|| {
                    slot.volume
                        .start(Lane::Short, |dir, _| listing::directory_times(dir))
                })
            })
            .collect::<Vec<_>>()
            .into_iter()
            .map(|pending| pending.and_then(|pending| pending.wait().ok()))
            .collect();
        let mut changed = previous.is_none() || memory.states != states || memory.times != times;
        memory.states = states;
        memory.times = times;
        let Some(survey) = previous else { return true };
        // Rows on the screen every time, the others in turn.
        let total = survey.artifacts.len();
        let from = memory.next.min(total);
        let to = (from + SWEEP).min(total);
        memory.next = if to == total { 0 } else { to };
        let swept = survey.artifacts.get(from..to).unwrap_or_default();
        let names: Vec<ArtifactName> = visible
            .iter()
            .cloned()
            .chain(swept.iter().map(|artifact| artifact.name.clone()))
            .collect();
        for (position, slot) in store.slots().iter().enumerate() {
            if !slot.state.is_readable() {
                continue;
            }
            let here: Vec<ArtifactName> = names
                .iter()
                .filter(|name| store.home(name) == slot.partition)
                .cloned()
                .collect();
            let asked = here.clone();
            let Ok(found) = slot.volume.run(Lane::Short, move |dir, pulse| {
                Ok(listing::stat_copies(dir, &asked, pulse))
            }) else {
                changed = true;
                continue;
            };
            let volume = u16::try_from(position).unwrap_or(u16::MAX);
            for (name, found) in here.into_iter().zip(found) {
                let as_surveyed = survey.find(&name).and_then(|row| {
                    let copies = &survey.artifacts.get(row)?.copies;
                    copies.iter().find(|copy| copy.volume.0 == volume)
                });
                changed |= found
                    .is_some_and(|found| as_surveyed.is_none_or(|c| differs(c, found, survey.at)));
            }
        }
        changed
    }
}

/// Whether a file may be other than the survey saw it: it differs, or it was written so shortly
/// before the survey that another save could hide in the grain of its time stamps.
fn differs(copy: &CopyView, (size, stamp): (u64, Stamp), at: DateTime<Utc>) -> bool {
    copy.size != Some(size) || copy.stamp != stamp || !stamp.is_settled(at.timestamp())
}
