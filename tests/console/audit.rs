//! Who did what: the log of each job, and single changes between the jobs.

use std::time::Duration;

use maifdeck::{
    console::theme::{Theme, ThemeName},
    journal::JobState,
};

use crate::{
    fixture::{FakeBackend, Shape},
    headless::{Headless, render},
};

#[test]
fn the_changes_look_like_this() {
    for size in [(80, 24), (160, 48)] {
        let [dark, mono] = [ThemeName::Dark, ThemeName::Mono].map(|theme| {
            let backend = FakeBackend::new(Shape::Damaged);
            let mut console = Headless::with(backend, Theme::new(theme, false), size);
            console.press("7 a j");
            console.frame()
        });
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("audit_{}x{}", size.0, size.1), render(&dark, &mono));
        });
    }
}

#[test]
fn single_changes_stand_between_the_jobs_when_they_are_asked_for() {
    let mut console = Headless::open(Shape::Damaged, (120, 40));
    console.press("7");
    assert!(!console.text().contains("put report-2026-03"));
    console.press("a");
    let text = console.text();
    let at = |words: &str| {
        text.find(words)
            .unwrap_or_else(|| panic!("{words}: {text}"))
    };
    let order = [
        "repair p1",
        "put report-2026-03, generation 4",
        "create backup",
        "put sensor-hall",
    ];
    assert!(order.map(at).is_sorted(), "by time: {text}");
    assert!(text.contains("ada@ops-2"), "{text}");
    // Of each: who, under which lease, what went wrong.
    let failed = console
        .app
        .data
        .jobs
        .iter()
        .position(|job| job.state == JobState::Failed);
    for _ in 0..failed.unwrap() {
        console.press("j");
    }
    let text = console.text();
    for words in [
        "a single change",
        "ada@ops-2, pid 88, epoch 6",
        "no quorum: p1.2",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // They stay when the list is read again, and go with the same key.
    console.tick(Duration::from_secs(3));
    assert!(console.text().contains("put sensor-hall"));
    console.press("a");
    assert!(!console.text().contains("put sensor-hall"));
}

#[test]
fn the_log_of_the_selected_job_is_shown_and_scrolls() {
    let mut console = Headless::open(Shape::Damaged, (160, 48));
    console.press("7 j j");
    let text = console.text();
    for words in [
        "partial, 10 MB written",
        "p4.1: no space left on device",
        "training-notes  p1.1",
        "begun by ops@ops-1, pid 4711",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    console.press("enter j j");
    let text = console.text();
    assert!(
        !text.contains("10 MB written") && text.contains("training-notes"),
        "{text}"
    );
    console.press("j j j j j j");
    assert!(
        console.text().contains("begun by"),
        "the last line stays in sight"
    );
}

#[test]
fn the_log_goes_on_with_the_job() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("7");
    let before = console.app.data.log.as_ref().unwrap().upto;
    console.backend.jobs.lock().unwrap()[0].steps_done += 1;
    console.tick(Duration::from_secs(3));
    assert_ne!(console.app.data.log.as_ref().unwrap().upto, before);
}
