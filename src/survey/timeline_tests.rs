//! Tests of the timeline: periods, places of what only backups hold, equal states.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::timeline::*;
use crate::{
    backup::{BackupId, RelPath},
    maif::Digest,
    volume::{Fingerprint, VersionId},
};

fn time(minute: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_323_200 + i64::from(minute) * 60, 0).unwrap()
}

fn print(text: &str) -> Fingerprint {
    Fingerprint::of(text.len() as u64, text.as_bytes(), text.as_bytes())
}

fn version(minute: u32, written: u32, text: &str) -> Earlier {
    let id = StateId::Version(VersionId::after(time(minute), []));
    Earlier {
        size: 1,
        print: Some(print(text)),
        volume: Some("p1.1".to_owned()),
        volumes: 1,
        ..Earlier::new(id, time(written))
    }
}

fn removal(minute: u32) -> Earlier {
    Earlier {
        removed: true,
        print: None,
        ..version(minute, minute, "")
    }
}

fn held(minute: u32, written: u32, text: &str) -> Held {
    Held {
        backup: BackupId::at(time(minute)),
        path: RelPath::parse(b"x.maif").unwrap(),
        size: 1,
        written: time(written),
        print: print(text),
        sha256: Digest([u8::try_from(text.len()).unwrap(); 32]),
    }
}

fn current(written: u32, text: &str) -> Current {
    Current {
        volume: "p1.1".to_owned(),
        size: Some(1),
        written: time(written),
        from: time(0),
        generation: None,
        print: Some(print(text)),
        sha256: None,
        looked: None,
        backups: BTreeSet::new(),
    }
}

/// From and until in minutes, newest first.
fn spans(states: &[Earlier]) -> Vec<(i64, i64)> {
    let minute = |t: Option<DateTime<Utc>>| t.map_or(-1, |t| (t - time(0)).num_minutes());
    states
        .iter()
        .map(|state| (minute(state.from), minute(state.until)))
        .collect()
}

#[test]
fn each_state_was_current_until_the_next_one_came() {
    let mut now = Some(current(40, "now"));
    // Written at 0, replaced at 10; removed at 20; put again at 30, replaced at 40.
    let mut states = vec![
        version(40, 30, "c"),
        removal(20),
        version(19, 10, "b"),
        version(10, 0, "a"),
    ];
    settle(&mut now, &mut states);
    assert_eq!(spans(&states), [(30, 40), (-1, -1), (10, 19), (0, 10)]);
    assert_eq!(now.unwrap().from, time(40));
}

#[test]
fn what_only_a_backup_holds_has_its_place_between_the_versions() {
    let mut now = Some(current(50, "now"));
    let mut states = vec![version(10, 0, "a"), version(50, 30, "c")];
    let backups = vec![
        held(5, 0, "a"),
        held(20, 15, "overwritten"),
        held(25, 15, "overwritten"),
        held(60, 50, "now"),
    ];
    add_backups(&mut now, &mut states, &backups);
    settle(&mut now, &mut states);
    assert_eq!(spans(&states), [(30, 50), (15, 30), (0, 10)]);
    assert_eq!(states[1].id.to_string(), "backup_20260301_002500");
    assert_eq!(states[1].backups.len(), 2);
    assert_eq!(states[1].volume, None);
    assert_eq!(states[2].backups.len(), 1);
    assert_eq!(now.unwrap().backups.len(), 1);
}

#[test]
fn neighbours_with_the_same_bytes_are_one_and_others_name_each_other() {
    let mut now = Some(current(50, "a"));
    let mut states = vec![
        version(50, 40, "b"),
        version(40, 30, "a"),
        version(30, 20, "a"),
        removal(15),
        version(10, 0, "a"),
    ];
    settle(&mut now, &mut states);
    assert_eq!(
        spans(&states),
        [(40, 50), (20, 40), (-1, -1), (0, 10)],
        "{states:?}"
    );
    assert_eq!(states[1].also.len(), 1);
    let same: Vec<_> = states.iter().map(|s| s.same_as.as_deref()).collect();
    assert_eq!(same, [None, Some("current"), None, Some("current")]);
    let mut states = vec![
        version(30, 20, "a"),
        version(20, 10, "b"),
        version(10, 0, "a"),
    ];
    settle(&mut None, &mut states);
    assert_eq!(states[0].same_as.as_deref(), Some("20260301_001000.000"));
}

#[test]
fn bytes_that_came_back_are_states_of_their_own_and_know_all_their_backups() {
    // "a" until 10, "b" until 20, "a" again until 30, and now.
    let mut states = vec![
        version(30, 20, "a"),
        version(20, 10, "b"),
        version(10, 0, "a"),
    ];
    let mut now = Some(current(30, "a"));
    let backups = [held(5, 0, "a"), held(25, 20, "a"), held(35, 30, "a")];
    add_backups(&mut now, &mut states, &backups);
    settle(&mut now, &mut states);
    let counts: Vec<_> = states.iter().map(|s| s.backups.len()).collect();
    assert_eq!(counts, [3, 0, 3]);
    // "x", which only a backup saw, was restored from it.
    let mut states = vec![version(40, 20, "b")];
    let mut now = Some(current(40, "x"));
    add_backups(&mut now, &mut states, &[held(15, 10, "x")]);
    settle(&mut now, &mut states);
    assert_eq!(spans(&states), [(20, 40), (10, 20)]);
    assert_eq!(states[1].same_as.as_deref(), Some("current"));
    assert_eq!(now.unwrap().backups.len(), 1);
}
