//! Giving a directory to a volume: what is there is shown, nothing else is planned. Pure.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::{Intent, Plan, Step, Summary};

/// Plans to mark a volume's directory, or another one in its place. `notes`: what is there, in
/// words.
pub fn mark_volume(
    store: &str,
    volume: &str,
    replace: bool,
    directory: Option<PathBuf>,
    notes: Vec<String>,
    now: DateTime<Utc>,
) -> Plan {
    let step = Step::Mark {
        volume: volume.to_owned(),
        replace,
        directory: directory.clone(),
    };
    let intent = Intent::MarkVolume {
        volume: volume.to_owned(),
        replace,
        directory,
    };
    let summary = Summary {
        notes,
        ..Summary::default()
    };
    Plan::new(store.to_owned(), intent, now, vec![step], summary)
}
