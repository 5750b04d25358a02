//! The console's engine on a real store: histories merged with backups, states compared, read and
//! restored wherever they are, backups browsed, pinned and kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/many.rs"]
mod many;
mod support;

use std::{fs, sync::Arc, time::Duration};

use maifdeck::{
    backup::BackupId,
    clock::SystemClock,
    console::{
        Backend,
        backend::{Compared, EntryId, HistoryEntry},
        live::Live,
    },
    plan::Intent,
    store::{Access, Config, Store},
    survey::{StateId, Survey},
    volume::ArtifactName,
};
use support::Fixture;

fn open(f: &Fixture, access: Access) -> Live {
    let path = f.path("maifdeck.toml");
    let text = fs::read_to_string(&path).unwrap();
    let config = Config::parse(&text, &path, f.directory.path()).unwrap();
    let store = Store::open(Arc::new(config), SystemClock::shared(), access);
    Live::new(store, path.display().to_string())
}

fn put(f: &Fixture, text: &str) {
    f.run(&["put", "a", "--text", text]).exits(0);
}

fn create(f: &Fixture) -> BackupId {
    let made = f.run(&["backup", "create", "--json"]).exits(0).json();
    made["backup"]["id"].as_str().unwrap().parse().unwrap()
}

/// Saves as a sketch does that keeps no versions: in place, on every replica.
fn overwrite(f: &Fixture, text: &str) {
    let g = Fixture::grid(1, 1);
    put(&g, text);
    for disk in ["a", "b"] {
        fs::copy(g.path("a/p1/a.maif"), f.path(disk).join("p1/a.maif")).unwrap();
    }
}

fn name() -> ArtifactName {
    ArtifactName::new("a").unwrap()
}

fn history(live: &Live) -> Vec<HistoryEntry> {
    live.refresh(&[], None).unwrap();
    live.history(&name()).unwrap()
}

fn run(live: &Live, intent: Intent) {
    let plan = live.plan(intent).unwrap();
    let mut job = live.apply(plan).unwrap();
    while job.done.borrow().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let done = job.done.borrow_and_update().clone().unwrap();
    assert_eq!(done.errors, [""; 0], "{}", done.message);
}

/// One put, a backup of it, another state that only a backup saw, and two puts after it.
fn store() -> (Fixture, [BackupId; 2]) {
    let f = Fixture::grid(1, 2);
    put(&f, "one");
    let first = create(&f);
    std::thread::sleep(Duration::from_millis(1100));
    overwrite(&f, "two, never archived");
    let second = create(&f);
    std::thread::sleep(Duration::from_millis(2200));
    overwrite(&f, "three");
    put(&f, "four");
    (f, [first, second])
}

#[test]
fn the_history_is_merged_with_what_backups_hold_and_every_state_is_within_reach() {
    let (f, [first, second]) = store();
    f.configure("backup", "keep_last = 1");
    let live = open(&f, Access::Write);
    let shown = history(&live);
    assert_eq!(shown.len(), 4, "{shown:?}");
    assert_eq!(shown[0].id, EntryId::Current);
    assert_eq!((shown[0].blocks, shown[0].intact), (Some(1), Some(true)));
    assert!(matches!(shown[1].id, EntryId::Earlier(StateId::Version(_))));
    assert_eq!(shown[1].copies, (2, 2));
    assert_eq!(shown[1].kept_by, [""; 0]);
    for (entry, backup) in [(&shown[2], second), (&shown[3], first)] {
        assert_eq!(entry.id, EntryId::Earlier(StateId::Backup(backup)));
        assert_eq!((&entry.volume, &*entry.backups), (&None, &[backup][..]));
        assert!(entry.sha256.is_some() && entry.agent.is_some());
        assert!(entry.current_from <= entry.current_until);
    }
    // The new state is larger than the older one by what the manifest says.
    assert_eq!(
        shown[2].change,
        Some(shown[2].size.cast_signed() - shown[3].size.cast_signed())
    );

    // Inspected and compared.
    let state = StateId::Backup(second);
    let found = live.inspect(&name(), Some(state)).unwrap();
    assert!(found.what.contains("backup"), "{}", found.what);
    assert_eq!(
        found.blocks[0].preview.as_deref(),
        Some("two, never archived")
    );
    let compare = |a, b| {
        let what = Compared::States { name: name(), a, b };
        let lines = live.compare(&what).unwrap();
        lines.into_iter().map(|line| line.text).collect::<Vec<_>>()
    };
    let lines = compare(Some(StateId::Backup(first)), Some(state));
    assert!(lines.iter().any(|l| l == "    -one"), "{lines:?}");
    assert!(
        lines.iter().any(|l| l == "    +two, never archived"),
        "{lines:?}"
    );
    assert_eq!(compare(None, None), [""; 0]);

    // Restored aside and in place.
    let restore = |aside: Option<&str>| Intent::VersionRestore {
        name: name(),
        version: state,
        aside: aside.map(|aside| ArtifactName::new(aside).unwrap()),
    };
    run(&live, restore(Some("b")));
    let b = f.run(&["inspect", "b", "--text", "--json"]).exits(0).json();
    assert_eq!(b["texts"][0], "two, never archived");
    run(&live, restore(None));
    let now = history(&live);
    assert_eq!(now[0].sha256, shown[2].sha256);
    assert!(now[0].backups.contains(&second), "{:?}", now[0]);
}

#[test]
fn what_was_learned_of_a_backup_is_forgotten_with_it_and_new_ones_are_seen() {
    let (f, [first, second]) = store();
    let live = open(&f, Access::Write);
    assert_eq!(history(&live).len(), 4);
    fs::remove_dir_all(f.path("backups").join(second.directory())).unwrap();
    let ids = |shown: Vec<HistoryEntry>| -> Vec<BackupId> {
        shown.into_iter().flat_map(|entry| entry.backups).collect()
    };
    assert_eq!(ids(history(&live)), [first]);
    let third = create(&f);
    // The copy that is current, the versions, and what the first one holds.
    assert!(ids(history(&live)).contains(&third));
}

#[test]
fn a_backup_tells_what_it_holds_and_how_the_store_differs() {
    let (f, [first, second]) = store();
    f.run(&["put", "new", "--text", "x"]).exits(0);
    let live = open(&f, Access::Write);
    let held = live.contents(second).unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!((&held[0].name, held[0].versions), (&name(), 0));
    assert!(held[0].size.is_some());
    let lines = live.compare(&Compared::Backup(first)).unwrap();
    let text: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
    assert!(text[0].starts_with("added    new"), "{text:?}");
    assert!(text[1].starts_with("changed  a"), "{text:?}");
}

#[test]
fn backups_say_by_which_rule_they_are_kept_and_pins_need_the_right_to_write() {
    let (f, [first, second]) = store();
    f.configure("backup", "keep_last = 1");
    let live = open(&f, Access::Write);
    let kept = |live: &Live| -> Vec<(BackupId, bool, Vec<String>)> {
        let views = live.backups().unwrap().into_iter();
        views.map(|v| (v.id, v.pinned, v.kept_by)).collect()
    };
    let last = vec!["last 1".to_owned()];
    assert_eq!(
        kept(&live),
        [(first, false, vec![]), (second, false, last.clone())]
    );
    assert_eq!(live.store().keep_backups.to_string(), "--keep-last 1");
    live.pin(first, true).unwrap();
    assert_eq!(kept(&live), [(first, true, vec![]), (second, false, last)]);
    let plan = live.plan(Intent::BackupPrune {
        policy: live.store().keep_backups,
    });
    assert!(plan.unwrap().is_empty());
    let reader = open(&f, Access::ReadOnly);
    let refused = reader.pin(first, false).unwrap_err();
    assert!(refused.contains("read-only"), "{refused}");
    assert!(kept(&live)[0].1);
    live.pin(first, false).unwrap();
    assert!(!kept(&live)[0].1);
}

/// A sketch saves in place, which no directory tells of: what is on the screen is looked at every
/// time, and all else in turn, a thousand at a time.
#[test]
fn a_save_in_place_is_seen_at_once_where_it_is_visible_and_in_turn_elsewhere() {
    let f = many::store(1, 2, 2_500);
    let last = f.path("a/p1/artifact-0002499.maif");
    // A file of its own.
    let bytes = fs::read(&last).unwrap();
    fs::remove_file(&last).unwrap();
    fs::write(&last, &bytes).unwrap();
    let live = open(&f, Access::ReadOnly);
    let far = ArtifactName::new("artifact-0002499").unwrap();
    let mut seen = live.refresh(&[], None).unwrap().unwrap();
    let calm = |seen: &mut Arc<Survey>| {
        // Once round without a change: time stamps have settled.
        let mut unchanged = 0;
        while unchanged < 4 {
            match live.refresh(&[], Some(Arc::clone(seen))).unwrap() {
                Some(new) => (*seen, unchanged) = (new, 0),
                None => unchanged += 1,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    for (visible, most) in [(vec![far.clone()], 1), (vec![], 4)] {
        calm(&mut seen);
        let mut file = fs::File::options().write(true).open(&last).unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        drop(file);
        let mut asked = 0;
        seen = loop {
            asked += 1;
            let looked = live.refresh(&visible, Some(Arc::clone(&seen))).unwrap();
            if let Some(new) = looked {
                break new;
            }
            assert!(asked < most, "not seen after {asked}");
        };
    }
}
