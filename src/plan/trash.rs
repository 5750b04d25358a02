//! Freeing what waits in the trash. Pure.

use chrono::{DateTime, Utc};

use super::{Intent, Plan, Step, Summary};
use crate::volume::trash::TrashEntry;

/// Plans to free the trash of jobs that began before `until` (of all jobs when `None`). `found` is
/// what waits, by volume.
pub fn empty_trash(
    found: &[(String, TrashEntry)],
    store: &str,
    until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Plan {
    let mut summary = Summary::default();
    let mut steps = Vec::new();
    for (volume, entry) in found {
        let waits = until.is_some_and(|until| entry.since().is_none_or(|since| since >= until));
        if waits {
            summary.same += 1;
            continue;
        }
        summary.removes += entry.files;
        summary.unrecoverable.push(format!(
            "{} on {volume} that job {} replaced or removed",
            if entry.files == 1 {
                "1 file".to_owned()
            } else {
                format!("{} files", entry.files)
            },
            entry.job
        ));
        steps.push(Step::FreeTrash {
            volume: volume.clone(),
            job: entry.job.clone(),
            bytes: entry.bytes,
        });
    }
    let intent = Intent::EmptyTrash {
        all: until.is_none(),
    };
    Plan::new(store.to_owned(), intent, now, steps, summary)
}
