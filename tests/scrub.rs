//! Every byte read: what rots is found, remembered, and mended; a scrub that is stopped goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{fs, process::Stdio, sync::Arc};

use maifdeck::{
    clock::SystemClock,
    progress::Task,
    store::{Access, Config, Store},
    survey::{
        self, Scope,
        scrub::{self, ScrubScope},
    },
    volume::Level,
};
use serde_json::Value;
use support::{Fixture, Run};

/// Flips a bit that neither header nor footer shows.
fn rot(f: &Fixture, copy: &str) {
    let path = f.path(copy);
    let mut bytes = fs::read(&path).unwrap();
    bytes[444 + 372] ^= 1;
    fs::write(&path, &bytes).unwrap();
}

fn scrub(f: &Fixture, arguments: &[&str]) -> Run {
    let mut all = vec!["scrub", "--json", "--tranquility", "0"];
    all.extend(arguments);
    f.run(&all)
}

fn copy_of(f: &Fixture, name: &str, volume: usize) -> Value {
    let survey = f.run(&["replicas", name, "--json"]).json();
    survey["artifacts"][0]["copies"][volume].clone()
}

#[test]
fn rot_is_found_remembered_and_mended() {
    let f = Fixture::grid(2, 3);
    for n in 0..6 {
        f.run(&["put", &format!("doc-{n}"), "--text", "first"])
            .exits(0);
        f.run(&["put", &format!("doc-{n}"), "--text", "second"])
            .exits(0);
    }
    let clean = scrub(&f, &[]).exits(0).json();
    assert_eq!(clean["scrub"]["artifacts"], 6);
    // Six artifacts, a copy and a version each, on three replicas.
    assert_eq!(clean["scrub"]["verified"], 36);
    assert_eq!(clean["scrub"]["finished"], true);
    assert_eq!(copy_of(&f, "doc-0", 0)["checked"], "deep");

    let home = f.run(&["replicas", "doc-3", "--json"]).json();
    let home = home["artifacts"][0]["partition"]
        .as_str()
        .unwrap()
        .to_owned();
    rot(&f, &format!("b/{home}/doc-3.maif"));
    // What is written since is no longer what was read.
    assert_eq!(copy_of(&f, "doc-3", 1)["state"], "ok");
    assert_eq!(copy_of(&f, "doc-3", 1)["checked"], "quick");
    let found = scrub(&f, &["--trust-unchanged"]).exits(1).json();
    let words = found["scrub"]["found"][0].as_str().unwrap();
    assert!(
        words.starts_with(&format!("doc-3 on {home}.2 is damaged")),
        "{words}"
    );
    assert_eq!(found["scrub"]["trusted"], 17);
    // A quick look would not see it; this host remembers.
    assert_eq!(copy_of(&f, "doc-3", 1)["state"], "corrupt");
    assert_eq!(copy_of(&f, "doc-0", 0)["checked"], "deep");
    let again = scrub(&f, &["--only-errors"]).exits(1).json();
    assert_eq!(again["scrub"]["artifacts"], 1);
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    assert_eq!(copy_of(&f, "doc-3", 1)["state"], "ok");
    scrub(&f, &[]).exits(0);
    // The memory may be deleted at any time.
    fs::remove_dir_all(f.path(".local/state/maifdeck")).unwrap();
    assert_eq!(copy_of(&f, "doc-0", 0)["checked"], "quick");
}

#[test]
fn a_damaged_version_and_a_missing_copy_are_found() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "first"]).exits(0);
    f.run(&["put", "doc", "--text", "second"]).exits(0);
    let version = fs::read_dir(f.path("c/p1/versions"))
        .unwrap()
        .next()
        .unwrap();
    let version = version.unwrap().path();
    rot(
        &f,
        version
            .strip_prefix(f.directory.path())
            .unwrap()
            .to_str()
            .unwrap(),
    );
    fs::remove_file(f.path("a/p1/doc.maif")).unwrap();
    let found = scrub(&f, &[]).exits(1).json();
    let found: Vec<&str> = found["scrub"]["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|words| words.as_str().unwrap())
        .collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.contains(&"doc is missing on p1.1"));
    assert!(
        found
            .iter()
            .any(|words| words.starts_with("version ") && words.contains("p1.3"))
    );
}

#[test]
fn a_scrub_that_is_stopped_goes_on_where_it_was() {
    let f = Fixture::grid(1, 1);
    for n in 0..70 {
        f.run(&["put", &format!("doc-{n:02}"), "--text", "x"])
            .exits(0);
    }
    let mut child = f
        .command(&["scrub", "--json", "--tranquility", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    // A signal before its handler is there would end it like any process.
    while !heeds_termination(&pid) {
        std::thread::yield_now();
    }
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(sent.unwrap().success());
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(143));
    let rest = scrub(&f, &["--resume"]).exits(0).json();
    let went_over = rest["scrub"]["artifacts"].as_u64().unwrap();
    assert!((1..=70).contains(&went_over));
    assert_eq!(rest["scrub"]["finished"], true);
    // Finished, the next one begins at the first name.
    let next = scrub(&f, &["--resume"]).exits(0).json();
    assert_eq!(next["scrub"]["artifacts"], 70);
}

/// Whether the process has a handler for SIGTERM: proc(5), `SigCgt`.
fn heeds_termination(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    caught & (1 << (15 - 1)) != 0
}

#[test]
fn a_version_that_rotted_is_mended_from_where_it_is_whole() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "first"]).exits(0);
    f.run(&["put", "doc", "--text", "second"]).exits(0);
    let versions = |disk: &str| fs::read_dir(f.path(&format!("{disk}/p1/versions"))).unwrap();
    let version = |disk: &str| versions(disk).next().unwrap().unwrap().path();
    let good = fs::read(version("a")).unwrap();
    let damage = |disk: &str| {
        let path = version(disk);
        let mut bytes = fs::read(&path).unwrap();
        bytes[444 + 372] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    damage("a");
    damage("b");
    let found = scrub(&f, &[]).exits(1).json();
    assert_eq!(found["scrub"]["queued"], serde_json::json!(["doc"]));
    f.run(&["replicas", "repair", "doc", "--yes"]).exits(0);
    for disk in ["a", "b", "c"] {
        assert_eq!(fs::read(version(disk)).unwrap(), good, "{disk}");
        assert_eq!(versions(disk).count(), 1);
    }
    scrub(&f, &[]).exits(0);
    // Whole nowhere: said, and nothing is changed.
    for disk in ["a", "b", "c"] {
        damage(disk);
    }
    let left = f.run(&["replicas", "repair", "doc", "--yes"]).exits(4);
    assert!(
        left.text().contains("whole on no replica") || left.stderr.contains("whole on no replica")
    );
}

#[test]
fn what_changes_while_a_scrub_runs_is_not_taken_for_damage() {
    let f = Fixture::grid(1, 3);
    for name in ["lost", "removed", "replaced"] {
        f.run(&["put", name, "--text", "first"]).exits(0);
    }
    let config = Config::read(&f.path("maifdeck.toml")).unwrap();
    let store = Store::open(Arc::new(config), SystemClock::shared(), Access::Write);
    let quick = Scope {
        level: Level::Quick,
        ..Scope::default()
    };
    let seen = survey::survey(&store, &quick, &Task::new()).unwrap();
    f.run(&["put", "replaced", "--text", "second"]).exits(0);
    f.run(&["rm", "removed", "--yes"]).exits(0);
    fs::remove_file(f.path("b/p1/lost.maif")).unwrap();
    let scope = ScrubScope::default();
    let report = scrub::scrub(&store, &scope, Some(Arc::new(seen)), &Task::new()).unwrap();
    let [found] = report.found.as_slice() else {
        panic!("{:?}", report.found)
    };
    assert!(found.starts_with("lost on p1.2: "), "{found}");
    assert_eq!(report.verified, 5);
}

/// What could not be read was not scrubbed: it is told, and the next scrub stays due.
#[test]
fn a_scrub_is_whole_only_when_it_reached_everything_from_the_first_name_on() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    f.run(&["put", "other", "--text", "x"]).exits(0);
    f.configure("store", "undo_window = \"7d\"");
    let text = fs::read_to_string(f.path("maifdeck.toml")).unwrap();
    fs::write(
        f.path("maifdeck.toml"),
        format!("{text}\n[scrub]\nevery = \"1ms\"\n"),
    )
    .unwrap();
    let overdue = |f: &Fixture| {
        let status = f.run(&["status", "--json"]).json();
        let findings = status["findings"].as_array().unwrap().clone();
        let found = findings.iter().find(|f| f["kind"] == "scrub-overdue");
        found.unwrap()["message"].as_str().unwrap().to_owned()
    };
    fs::rename(f.path("b/p1"), f.path("b-away")).unwrap();
    let report = scrub(&f, &[]).exits(1).json();
    assert_eq!(report["scrub"]["unread"], 2, "{report}");
    assert_eq!(report["scrub"]["verified"], 4, "{report}");
    assert!(
        report["scrub"]["found"][0]
            .as_str()
            .unwrap()
            .contains("p1.2"),
        "{report}"
    );
    assert!(
        overdue(&f).contains("never came to its end"),
        "{}",
        overdue(&f)
    );
    fs::rename(f.path("b-away"), f.path("b/p1")).unwrap();
    // One of chosen artifacts is not whole either.
    scrub(&f, &["--since", "2020-01-01"]).exits(0);
    assert!(
        overdue(&f).contains("never came to its end"),
        "{}",
        overdue(&f)
    );
    scrub(&f, &[]).exits(0);
    assert!(overdue(&f).contains("ended"), "{}", overdue(&f));
}
