//! What the console costs that nobody touches, and how it answers while it works: no byte on the line
//! and next to no processor time, however large the store; every key answered. In full size, with the
//! targets of a release build, these are figures of `cargo bench --bench scale`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/many.rs"]
mod many;
#[path = "support/scale.rs"]
mod scale;
#[path = "support/session.rs"]
mod session;
mod support;

use std::time::Duration;

#[test]
fn an_idle_console_sends_nothing_and_rests_and_ten_times_the_artifacts_cost_no_more() {
    let for_ = Duration::from_secs(10);
    // Both are more than are looked at in one refresh.
    let [(few, time), (many, longer)] = [1_200, 12_000].map(|n| scale::idle(n, for_));
    assert_eq!((few, many), (0, 0), "bytes");
    // A debug build on a busy machine; the target is for the release build.
    assert!(time < for_ / 10, "{time:?} in {for_:?}");
    let most = time * 2 + Duration::from_millis(200);
    assert!(longer < most, "{longer:?} instead of {time:?} in {for_:?}");
}

/// The screen's threads come before those that work, or a key would queue with a survey.
#[test]
fn whoever_works_for_the_console_lets_its_screen_go_first() {
    let f = support::Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "words"]).exits(0);
    let mut s = session::Session::open(&f, &[], 24, 80);
    s.press("3");
    s.see("doc");
    let (mut first, mut behind) = (Vec::new(), Vec::new());
    for task in std::fs::read_dir(format!("/proc/{}/task", s.pid())).unwrap() {
        let task = task.unwrap();
        // One that has ended meanwhile says nothing.
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        let (name, fields) = stat.rsplit_once(')').unwrap();
        let name = name.split_once('(').unwrap().1.to_owned();
        let nice: i32 = fields.split_whitespace().nth(16).unwrap().parse().unwrap();
        let main = task.file_name().to_str() == Some(s.pid().to_string().as_str());
        let screen = main || ["keys", "terminal"].contains(&&*name);
        if screen {
            first.push((nice, name));
        } else if name == "opening" {
            // Those that the thread started which opened the store.
            behind.push((nice, name));
        }
    }
    assert_eq!(first.len(), 3, "{first:?}");
    assert!(behind.len() >= 6, "three volumes work: {behind:?}");
    let modest = |(nice, _): &(i32, String)| *nice == (first[0].0 + 5).min(19);
    assert!(
        first.iter().all(|(nice, _)| *nice == first[0].0),
        "{first:?}"
    );
    assert!(behind.iter().all(modest), "{first:?} {behind:?}");
    s.press("q");
    assert_eq!(s.end(), 0);
}

#[test]
fn keys_and_filter_are_answered_while_the_store_is_surveyed_and_scrubbed() {
    let found = scale::answers(3_000, 60);
    println!("{found}");
    // A debug build on a busy machine.
    let most = Duration::from_millis(500);
    assert!(found.keys[0] < most && found.letters[0] < most, "{found}");
    // Whatever else the machine does.
    assert!(found.worked[0] < Duration::from_millis(100), "{found}");
    assert!(found.memory < 256, "{found}");
}
