//! Versions and Backups: what can be done with every state, wherever it is, and with every backup.

use maifdeck::{
    console::{
        backend::{Compared, EntryId},
        message::Command,
        theme::{Theme, ThemeName},
        widgets::Dialog,
    },
    plan::{Intent, RestoreMode},
    store::Policy,
    survey::StateId,
};

use crate::{
    fixture::{FakeBackend, Shape},
    headless::Headless,
};

/// Versions, on an artifact with a state that only a backup holds.
fn open() -> Headless {
    let mut console = Headless::open(Shape::Healthy, (160, 48));
    console.press("4");
    for _ in 0..30 {
        let entries = console.app.shown_history().map(|h| h.entries.clone());
        let held = |entry: &maifdeck::console::backend::HistoryEntry| entry.volume.is_none();
        if entries.is_some_and(|entries| entries.unwrap().iter().any(held)) {
            return console;
        }
        console.press("j");
    }
    panic!("no history has a state of a backup");
}

fn to_the_backups_state(console: &mut Headless) -> StateId {
    console.press("tab G");
    match console.app.selected_entry().unwrap().id {
        EntryId::Earlier(id @ StateId::Backup(_)) => id,
        other => panic!("{other:?}"),
    }
}

fn planned(console: &Headless) -> Intent {
    match &console.app.dialog {
        Some(Dialog::Plan(dialog)) => dialog.plan.intent.clone(),
        other => panic!("no plan: {other:?}"),
    }
}

#[test]
fn a_state_that_only_a_backup_holds_is_shown_and_restored_in_place_and_aside() {
    let mut console = open();
    let name = console.app.selected_artifact().unwrap().name.clone();
    let id = to_the_backups_state(&mut console);
    let text = console.text();
    assert!(text.contains("in no history, but in backup"), "{text}");
    assert!(text.contains("on no volume"), "{text}");
    console.press("R");
    assert_eq!(
        planned(&console),
        Intent::VersionRestore {
            name: name.clone(),
            version: id,
            aside: None
        }
    );
    console.press("esc A");
    console.type_text("other");
    console.press("enter");
    assert!(
        matches!(planned(&console), Intent::VersionRestore { version, aside: Some(_), .. } if version == id)
    );
    // And by its time.
    console.press("esc esc @ C-u");
    console.type_text("2026-03-03 12:00");
    console.press("enter");
    assert_eq!(
        console.app.selected_entry().unwrap().id,
        EntryId::Earlier(id)
    );
}

#[test]
fn a_version_is_compared_with_the_current_copy_and_with_the_one_before() {
    let mut console = open();
    let name = console.app.selected_artifact().unwrap().name.clone();
    console.press("tab j");
    let ids: Vec<_> = console
        .app
        .shown_history()
        .unwrap()
        .entries
        .as_ref()
        .unwrap()[1..3]
        .iter()
        .map(|entry| match entry.id {
            EntryId::Earlier(id) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    console.press("d");
    let against_current = Compared::States {
        name: name.clone(),
        a: Some(ids[0]),
        b: None,
    };
    let text = console.text();
    assert!(text.contains("+Nobody was hurt."), "{text}");
    assert!(text.contains("c with before"), "{text}");
    // The other one from inside the dialog.
    console.press("c");
    let against_older = Compared::States {
        name: name.clone(),
        a: Some(ids[1]),
        b: Some(ids[0]),
    };
    assert_eq!(
        *console.backend.compared.lock().unwrap(),
        [against_current, against_older]
    );
    // Of the current copy `d` is what it changed; the oldest has nothing before it.
    console.press("esc k d");
    assert_eq!(
        console.backend.compared.lock().unwrap().last().unwrap(),
        &Compared::States {
            name,
            a: Some(ids[0]),
            b: None
        }
    );
    console.press("esc G c");
    assert!(console.app.dialog.is_none());
    assert!(console.text().contains("the oldest that is known"));
}

#[test]
fn a_difference_scrolls_and_stays_inside() {
    let mut console = Headless::open(Shape::Healthy, (60, 10));
    console.press("5 d down down pagedown end up");
    assert!(matches!(console.app.dialog, Some(Dialog::Reading(_))));
    console.frame();
    console.press("q");
    assert!(console.app.dialog.is_none());
}

#[test]
fn a_backup_is_browsed_filtered_marked_and_only_the_marked_are_restored() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("5 j enter");
    let backup = console.app.selected_backup().unwrap().id;
    assert!(
        console.text().contains("26 artifacts"),
        "{}",
        console.text()
    );
    console.press("/");
    console.type_text("incident");
    console.press("enter");
    let text = console.text();
    assert!(
        text.contains("incident-1182") && !text.contains("agent-handbook"),
        "{text}"
    );
    console.press("space space");
    assert!(console.text().contains("2 marked"));
    console.press("R");
    let Intent::BackupRestore {
        backup: of,
        mode,
        names,
    } = planned(&console)
    else {
        panic!("{:?}", planned(&console));
    };
    assert_eq!((of, mode), (backup, RestoreMode::Exact));
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["incident-1182", "incident-1190"]);
}

#[test]
fn browsing_read_only_restores_nothing() {
    let mut backend = FakeBackend::new(Shape::Healthy);
    backend.read_only = true;
    let mut console = Headless::with(backend, Theme::new(ThemeName::Dark, false), (100, 30));
    console.press("5 enter R");
    assert!(matches!(console.app.dialog, Some(Dialog::Browse(_))));
    assert!(
        console
            .text()
            .contains("restore is not possible: opened with --read-only")
    );
    console.press("esc p");
    assert!(console.backend.pins.lock().unwrap().is_empty());
}

#[test]
fn a_backup_is_pinned_unpinned_and_compared_with_the_store() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("5 p");
    let newest = console.app.selected_backup().unwrap().id;
    // The one but the oldest is pinned already.
    console.press("G k p");
    let pinned = console.app.selected_backup().unwrap().id;
    assert_eq!(
        *console.backend.pins.lock().unwrap(),
        [(newest, true), (pinned, false)]
    );
    assert!(console.text().contains("is unpinned"));
    console.press("d");
    assert_eq!(
        *console.backend.compared.lock().unwrap(),
        [Compared::Backup(pinned)]
    );
    assert!(console.text().contains("1 added, 1 removed"));
}

#[test]
fn prune_offers_the_configured_policy_and_asks_for_one_where_none_is() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("5 P");
    assert!(
        console.text().contains("last 7 daily 14"),
        "{}",
        console.text()
    );
    console.press("enter");
    let policy = Policy {
        keep_daily: 14,
        ..Policy::last(7)
    };
    assert_eq!(planned(&console), Intent::BackupPrune { policy });
    console.press("esc P C-u");
    console.type_text("hourly");
    console.press("enter");
    assert!(
        console.text().contains("rules such as"),
        "{}",
        console.text()
    );
    console.press("C-u");
    console.type_text("0");
    console.press("enter");
    assert!(console.text().contains("at least one is kept"));
    // Histories: of the marked artifacts, else of the selected one.
    console.press("esc 4 j P C-u");
    console.type_text("last 2 within 30d");
    console.press("enter");
    let Intent::VersionsPrune { names, policy } = planned(&console) else {
        panic!("{:?}", planned(&console));
    };
    assert_eq!(
        names,
        [console.app.selected_artifact().unwrap().name.clone()]
    );
    assert_eq!(policy.to_string(), "--keep-last 2 --keep-within 30d");
}

#[test]
fn the_pane_says_that_the_last_good_backup_is_too_old() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    console.press("5");
    let text = console.text();
    assert!(text.contains("backup 20260311_020000 is damaged"), "{text}");
}

#[test]
fn inspecting_a_state_of_a_backup_asks_for_that_state() {
    let mut console = open();
    let id = to_the_backups_state(&mut console);
    console.press("enter");
    assert!(
        console.text().contains(&id.to_string()),
        "{}",
        console.text()
    );
    assert!(
        !console
            .asked
            .iter()
            .any(|asked| matches!(asked, Command::Inspect(..)))
    );
}
