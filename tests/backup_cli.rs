//! Backups by command: create, list, verify, restore, on the real binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Fixture, files};

fn text(f: &Fixture, name: &str) -> Value {
    f.run(&["inspect", name, "--text", "--json"])
        .exits(0)
        .json()["texts"][0]
        .clone()
}

fn create(f: &Fixture) -> String {
    let made = f.run(&["backup", "create", "--json"]).exits(0).json();
    assert_eq!(made["backup"]["state"], "complete");
    made["backup"]["id"].as_str().unwrap().to_owned()
}

/// Two partitions, three replicas, three artifacts and a backup of them.
fn store() -> (Fixture, String) {
    let f = Fixture::grid(2, 3);
    for name in ["a", "b", "c"] {
        f.run(&["put", name, "--text", "old"]).exits(0);
        f.run(&["put", name, "--text", "kept"]).exits(0);
    }
    let id = create(&f);
    (f, id)
}

#[test]
fn a_backup_is_listed_and_verified() {
    let (f, id) = store();
    let listed = f.run(&["backup", "list", "--json"]).exits(0).json();
    assert_eq!(listed["backups"][0]["id"], id.as_str());
    assert_eq!(listed["backups"][0]["artifacts"], 3);
    assert_eq!(listed["backups"][0]["verified"], Value::Null);
    let verified = f
        .run(&["backup", "verify", "latest", "--json"])
        .exits(0)
        .json();
    assert_eq!(verified["ok"], true);
    assert_eq!(
        f.run(&["backup", "list", "--json"]).json()["backups"][0]["verified"]["ok"],
        true
    );
    f.run(&["status"]).exits(0);
    // One flipped bit is found, and the store says so from then on.
    let file = walkdir::WalkDir::new(f.path("backups"))
        .into_iter()
        .map(Result::unwrap)
        .find(|e| e.path().extension().is_some_and(|x| x == "maif"))
        .unwrap()
        .into_path();
    let mut bytes = fs::read(&file).unwrap();
    bytes[820] ^= 1;
    fs::write(&file, bytes).unwrap();
    let verified = f.run(&["backup", "verify", &id, "--json"]).exits(1).json();
    assert_eq!(verified["damaged"].as_array().unwrap().len(), 1);
    let status = f.run(&["status", "--json"]).exits(1).json();
    assert!(status["findings"].to_string().contains("backup-damaged"));
    f.run(&["backup", "restore", &id, "--yes"]).exits(5);
}

#[test]
fn a_restore_brings_back_everything_and_archives_what_was_there() {
    let (f, id) = store();
    f.run(&["put", "a", "--text", "spoiled"]).exits(0);
    f.run(&["rm", "b", "--yes"]).exits(0);
    f.run(&["put", "new", "--text", "after the backup"])
        .exits(0);
    let before = files(f.directory.path());
    let plan = f
        .run(&["backup", "restore", &id, "--dry-run", "--json"])
        .exits(0)
        .json();
    assert_eq!(plan["plan"]["removes"], 1);
    assert_eq!(plan["plan"]["unrecoverable"], json!([]));
    assert_eq!(files(f.directory.path()), before);
    f.run(&["backup", "restore", &id]).exits(3);
    let job = f
        .run(&["backup", "restore", &id, "--yes", "--json"])
        .exits(0)
        .json();
    assert_eq!(job["job"]["state"], "done");
    for name in ["a", "b", "c"] {
        assert_eq!(text(&f, name), "kept", "{name}");
    }
    f.run(&["get", "new"]).exits(5);
    // Nothing is gone: the spoiled copy and the removed artifact are versions.
    for (name, wanted) in [("a", "spoiled"), ("new", "after the backup")] {
        let versions = f.run(&["versions", name, "--json"]).exits(0).json();
        let found = versions["versions"].as_array().unwrap().iter().any(|v| {
            let id = v["id"].as_str().unwrap();
            let run = f.run(&["inspect", name, "--version", id, "--text", "--json"]);
            run.code == Some(0) && run.json()["texts"][0] == wanted
        });
        assert!(found, "{wanted} is not in {versions}");
    }
    f.run(&["status"]).exits(0);
    // Again, there is nothing left to do.
    let again = f
        .run(&["backup", "restore", &id, "--dry-run", "--json"])
        .exits(0)
        .json();
    assert_eq!(again["plan"]["steps"], 0);
}

#[test]
fn a_backup_that_is_damaged_changes_nothing() {
    let (f, id) = store();
    for name in ["a", "b", "c"] {
        f.run(&["put", name, "--text", "now"]).exits(0);
    }
    // Behind the seal's back, in a place that neither size nor footer shows.
    let file = walkdir::WalkDir::new(f.path("backups"))
        .into_iter()
        .map(Result::unwrap)
        .find(|e| e.file_name() == "c.maif")
        .unwrap()
        .into_path();
    let mut bytes = fs::read(&file).unwrap();
    bytes[820] ^= 1;
    fs::write(&file, bytes).unwrap();
    let before = files(&f.path("a"));
    let refused = f
        .run(&["backup", "restore", &id, "--yes", "--json"])
        .exits(5)
        .json();
    assert_eq!(refused["error"]["kind"], "damaged");
    assert_eq!(files(&f.path("a")), before);
    assert_eq!(
        f.run(&["jobs", "--json"]).json()["jobs"][0]["state"],
        "failed"
    );
}

#[test]
fn merge_and_names_leave_the_rest_alone() {
    let (f, id) = store();
    for name in ["a", "b", "new"] {
        f.run(&["put", name, "--text", "changed"]).exits(0);
    }
    f.run(&["backup", "restore", &id, "a", "--yes"]).exits(0);
    assert_eq!(
        (text(&f, "a"), text(&f, "b")),
        (json!("kept"), json!("changed"))
    );
    f.run(&["backup", "restore", &id, "--mode", "merge", "--yes"])
        .exits(0);
    assert_eq!(
        (text(&f, "b"), text(&f, "new")),
        (json!("kept"), json!("changed"))
    );
    f.run(&["backup", "restore", &id, "absent", "--yes"])
        .exits(5);
    f.run(&["backup", "restore", "latest", "--max-remove", "0", "--yes"])
        .exits(2);
    f.run(&["backup", "restore", "20200101_000000", "--yes"])
        .exits(5);
    f.run(&["backup", "restore", "nonsense", "--yes"]).exits(2);
}

/// Promise 1 for a restore: killed between any two steps, nothing is lost, and the resumed job
/// ends where the uninterrupted one does.
#[test]
fn a_killed_restore_resumes_to_the_same_end() {
    for point in [
        "apply.journalled",
        "apply.batch-done",
        "archive.linked",
        "publish.renamed",
    ] {
        let (f, id) = store();
        for name in ["a", "b", "c"] {
            f.run(&["put", name, "--text", "spoiled"]).exits(0);
        }
        let killed = f
            .command(&["backup", "restore", &id, "--yes"])
            .env("MAIFDECK_FAULT", format!("{point}=kill"))
            .output()
            .unwrap();
        assert_eq!(killed.status.code(), None, "{point} was not passed");
        for name in ["a", "b", "c"] {
            let now = text(&f, name);
            assert!(now == "spoiled" || now == "kept", "{point}: {now}");
        }
        let jobs = f.run(&["jobs", "--json"]).exits(0).json();
        assert_eq!(jobs["jobs"][0]["state"], "interrupted", "{point}");
        let status = f.run(&["status", "--json"]).exits(1).json();
        assert_eq!(status["findings"][0]["kind"], "job-interrupted");
        let job = jobs["jobs"][0]["id"].as_str().unwrap();
        f.run(&["jobs", "resume", job]).exits(0);
        for name in ["a", "b", "c"] {
            assert_eq!(text(&f, name), "kept", "{point}");
        }
        assert_eq!(
            f.run(&["survey", "--level", "deep", "--json"])
                .exits(0)
                .json()["summary"]["ok"],
            3
        );
    }
}
