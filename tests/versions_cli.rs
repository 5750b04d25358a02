//! Histories by command: merged with what backups hold, as of a time, on the real binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{fs, time::Duration};

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::Digest as _;
use support::{Fixture, files};

fn put(f: &Fixture, text: &str) {
    f.run(&["put", "a", "--text", text]).exits(0);
}

fn create(f: &Fixture) -> String {
    let made = f.run(&["backup", "create", "--json"]).exits(0).json();
    made["backup"]["id"].as_str().unwrap().to_owned()
}

fn history(f: &Fixture, name: &str) -> Value {
    f.run(&["versions", name, "--json"]).exits(0).json()
}

fn text(f: &Fixture, name: &str) -> Value {
    f.run(&["inspect", name, "--text", "--json"])
        .exits(0)
        .json()["texts"][0]
        .clone()
}

/// Now, with milliseconds, and a little later: what is saved next is after it.
fn moment() -> String {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    std::thread::sleep(Duration::from_millis(20));
    now
}

/// Saves as a sketch does that keeps no versions: in place, on every replica.
fn overwrite(f: &Fixture, text: &str) {
    let g = Fixture::grid(1, 1);
    put(&g, text);
    for disk in ["a", "b"] {
        fs::copy(g.path("a/p1/a.maif"), f.path(disk).join("p1/a.maif")).unwrap();
    }
}

#[test]
fn every_state_that_a_history_shows_is_given_and_inspected_by_its_id_or_a_time() {
    let f = Fixture::grid(1, 2);
    put(&f, "one");
    let backup = format!("backup_{}", create(&f));
    std::thread::sleep(Duration::from_millis(1100));
    overwrite(&f, "two");
    put(&f, "three");
    let before_four = moment();
    put(&f, "four");
    let shown = history(&f, "a");
    let ids: Vec<&str> = shown["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 3, "{shown}");
    assert_eq!(ids[2], backup);
    let asked = ids.iter().copied().chain([&*before_four, "current"]);
    for (id, wanted) in asked.zip(["three", "two", "one", "three", "four"]) {
        let found = f
            .run(&["inspect", "a", "--version", id, "--text", "--json"])
            .exits(0)
            .json();
        assert_eq!(found["texts"], json!([wanted]), "{id}");
        // Where these bytes are, not where they were copied to be looked at.
        let path = found["path"].as_str().unwrap();
        assert_eq!(
            hex::encode(sha2::Sha256::digest(fs::read(path).unwrap())),
            found["sha256"].as_str().unwrap()
        );
        let run = f.run(&["get", "a", "--version", id]).exits(0);
        assert_eq!(run.stdout, fs::read(path).unwrap());
    }
    for unknown in [
        "backup_20200101_000000",
        "20200101_000000.000",
        "2020-01-01",
    ] {
        f.run(&["get", "a", "--version", unknown]).exits(5);
    }
    f.run(&["get", "a", "--version", "sometime"]).exits(2);
}

#[test]
fn a_history_shows_versions_and_what_only_backups_hold() {
    let f = Fixture::grid(1, 2);
    put(&f, "one");
    let first = create(&f);
    // A backup's id has whole seconds; what follows is later.
    std::thread::sleep(Duration::from_millis(1100));
    overwrite(&f, "two, never archived");
    let second = create(&f);
    std::thread::sleep(Duration::from_millis(2200));
    overwrite(&f, "three, never archived either");
    put(&f, "four");
    let shown = history(&f, "a");
    let versions = shown["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 3, "{shown}");
    // "three" was current when "four" was put, so that it was archived then.
    assert_eq!(versions[0]["backups"], json!([]));
    assert_eq!(versions[0]["intact"], true);
    assert_eq!(versions[1]["id"], format!("backup_{second}"));
    assert_eq!(versions[1]["backups"], json!([second]));
    assert_eq!(versions[1]["blocks"], 1);
    assert_eq!(versions[2]["id"], format!("backup_{first}"));
    for version in versions {
        assert!(
            version["current_from"].as_str() <= version["current_until"].as_str(),
            "{version}"
        );
    }
    f.run(&["versions", "a"]).exits(0);
    // What only a backup holds is restored from it; what is current is archived first.
    let before = files(&f.path("a"));
    let plan = f.run(&["versions", "restore", "a", &format!("backup_{second}")]);
    plan.exits(3);
    assert_eq!(files(&f.path("a")), before);
    f.run(&[
        "versions",
        "restore",
        "a",
        &format!("backup_{second}"),
        "--yes",
    ])
    .exits(0);
    assert_eq!(text(&f, "a"), "two, never archived");
    let versions = history(&f, "a")["versions"].clone();
    assert_eq!(versions.as_array().unwrap().len(), 4, "{versions}");
}

#[test]
fn a_version_that_is_left_in_a_backup_only_is_found_and_restored_also_aside() {
    let f = Fixture::grid(1, 2);
    for text in ["one", "two", "three"] {
        put(&f, text);
    }
    let id = create(&f);
    let before = history(&f, "a");
    assert_eq!(before["versions"][0]["backups"], json!([id]));
    assert_eq!(before["current"]["backups"], json!([id]));
    for disk in ["a", "b"] {
        fs::remove_dir_all(f.path(disk).join("p1/versions")).unwrap();
    }
    let after = history(&f, "a");
    assert_eq!(after["versions"].as_array().unwrap().len(), 2, "{after}");
    assert_eq!(after["versions"][1]["volumes"], 0);
    let oldest = after["versions"][1]["id"].as_str().unwrap();
    assert_eq!(oldest, before["versions"][1]["id"].as_str().unwrap());
    f.run(&["versions", "restore", "a", oldest, "--as", "b", "--yes"])
        .exits(0);
    assert_eq!(
        (text(&f, "a"), text(&f, "b")),
        (json!("three"), json!("one"))
    );
    f.run(&["versions", "restore", "a", oldest, "--yes"])
        .exits(0);
    assert_eq!(text(&f, "a"), "one");
    // Damaged there, it is not planned with.
    for disk in ["a", "b"] {
        fs::remove_dir_all(f.path(disk).join("p1/versions")).unwrap();
    }
    let file = f.path("backups").join(format!("backup_{id}/versions"));
    for entry in fs::read_dir(file).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes[820] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    f.run(&["versions", "restore", "a", oldest, "--yes"])
        .exits(5);
}

#[test]
fn an_artifact_comes_back_as_it_was_at_a_time() {
    let f = Fixture::grid(1, 2);
    let never = moment();
    // Files know when they were written to the second.
    std::thread::sleep(Duration::from_secs(1));
    put(&f, "one");
    let one = moment();
    put(&f, "two");
    let two = moment();
    f.run(&["rm", "a", "--yes"]).exits(0);
    let removed = moment();
    std::thread::sleep(Duration::from_secs(1));
    put(&f, "three");
    let three = moment();
    let restore = |time: &str, aside: &str| {
        f.run(&[
            "versions", "restore", "a", "--as-of", time, "--as", aside, "--yes",
        ])
    };
    restore(&one, "was-one").exits(0);
    restore(&two, "was-two").exits(0);
    restore(&never, "x").exits(5);
    restore("soon", "x").exits(2);
    assert_eq!(text(&f, "was-one"), "one");
    assert_eq!(text(&f, "was-two"), "two");
    let gone = restore(&removed, "x").exits(5);
    assert!(gone.stderr.contains("removed"), "{gone:?}");
    // A time is an id as well; that of now changes nothing.
    f.run(&["versions", "restore", "a", &three, "--yes"])
        .exits(0);
    assert_eq!(text(&f, "a"), "three");
    f.run(&["versions", "restore", "a", &one, "--yes"]).exits(0);
    assert_eq!(text(&f, "a"), "one");
    let shown = history(&f, "a");
    let same: Vec<_> = shown["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["same_as"].clone())
        .collect();
    assert!(same.contains(&json!("current")), "{shown}");
    f.run(&["versions", "restore", "a", "20200101_000000", "--yes"])
        .exits(5);
    f.run(&["versions", "restore", "a", "--yes"]).exits(2);
}

#[test]
fn saves_of_a_sketch_that_changed_nothing_are_shown_as_one() {
    let f = Fixture::grid(1, 1);
    put(&f, "one");
    let versions = f.path("a/p1/versions");
    fs::create_dir_all(&versions).unwrap();
    for second in ["01", "02", "03"] {
        let name = format!("a_20260101_0000{second}.maif");
        fs::copy(f.path("a/p1/a.maif"), versions.join(name)).unwrap();
    }
    put(&f, "two");
    let shown = history(&f, "a");
    assert_eq!(shown["versions"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["versions"][0]["also"].as_array().unwrap().len(), 2);
}

#[test]
fn two_states_are_compared_block_by_block() {
    let f = Fixture::grid(1, 2);
    put(&f, "kept\nold line\n");
    let id = create(&f);
    put(&f, "kept\nnew line\n");
    let version = history(&f, "a")["versions"][0]["id"].clone();
    let version = version.as_str().unwrap();
    let check = |run: &[&str]| {
        let found = f.run(run).exits(0).json();
        assert_eq!(found["blocks"][0]["change"], "changed", "{found}");
        let text = found["blocks"][0]["text"].as_str().unwrap();
        assert!(text.contains("-old line") && text.contains("+new line"));
        assert_eq!(found["same"], false);
    };
    check(&["versions", "diff", "a", version, "--json"]);
    check(&["versions", "diff", "a", version, "current", "--json"]);
    check(&[
        "versions",
        "diff",
        "a",
        &format!("backup_{id}"),
        "current",
        "--json",
    ]);
    let shown = f.run(&["versions", "diff", "a", version]).exits(0);
    assert!(shown.text().contains("+new line"), "{shown:?}");
    let same = f.run(&["versions", "diff", "a", "current", "--json"]);
    assert_eq!(same.exits(0).json()["same"], true);
    f.run(&["versions", "diff", "a", "20200101_000000"])
        .exits(5);
    f.run(&["versions", "diff", "a", "soon"]).exits(2);
    f.run(&["versions", "diff", "nobody", "current"]).exits(5);
}
