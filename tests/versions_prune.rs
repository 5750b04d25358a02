//! Retention of histories by command: what goes, what stays, what refuses it, dying half-way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};
use support::{Fixture, tree};

/// Two replicas, three artifacts with `count` versions each, and no undo window to keep them.
fn store(count: usize) -> Fixture {
    let f = Fixture::grid(1, 2);
    f.configure("store", "undo_window = \"1ms\"");
    for name in ["a", "b", "c"] {
        for n in 0..=count {
            f.run(&["put", name, "--text", &format!("{name} {n}")])
                .exits(0);
        }
    }
    f
}

fn configure(f: &Fixture, policy: &str) {
    let path = f.path("maifdeck.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n[versions]\n{policy}\n")).unwrap();
}

fn ids(f: &Fixture, name: &str) -> Vec<String> {
    let shown = f.run(&["versions", name, "--json"]).exits(0).json();
    let versions = shown["versions"].as_array().unwrap();
    let id = |version: &Value| version["id"].as_str().unwrap().to_owned();
    versions.iter().map(id).collect()
}

/// Every version's bytes on a volume, in its history or in the trash.
fn versions_anywhere(f: &Fixture, disk: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    tree(&f.path(disk).join("p1"))
        .into_iter()
        .filter(|(path, _)| {
            let trashed = path.starts_with(".maifdeck/trash");
            trashed || path.parent().is_some_and(|p| p.ends_with("versions"))
        })
        .map(|(path, bytes)| (path.file_name().unwrap().into(), bytes))
        .collect()
}

#[test]
fn the_policy_decides_the_newest_stays_and_what_goes_is_in_the_trash() {
    let f = store(3);
    let before = ids(&f, "a");
    assert_eq!(before.len(), 3);
    let bytes = versions_anywhere(&f, "b");
    f.run(&["versions", "prune", "--yes"]).exits(2);
    f.run(&["versions", "prune", "nobody", "--keep-last", "1", "--yes"])
        .exits(5);
    f.run(&["versions", "prune", "--keep-last", "1"]).exits(3);
    let plan = f
        .run(&[
            "versions",
            "prune",
            "a",
            "--keep-last",
            "1",
            "--dry-run",
            "--json",
        ])
        .exits(0)
        .json();
    assert_eq!(plan["plan"]["removes"], 2);
    assert_eq!(plan["plan"]["unrecoverable"].as_array().unwrap().len(), 2);
    assert_eq!(
        plan["plan"]["kept"],
        json!([{ "what": format!("a {}", before[0]), "kept_by": ["last 1", "newest"] }])
    );
    f.run(&["versions", "prune", "a", "--keep-last", "1", "--yes"])
        .exits(0);
    assert_eq!(ids(&f, "a"), before[..1]);
    assert_eq!(ids(&f, "b").len(), 3);
    // Nothing is freed at once, on either replica.
    for disk in ["a", "b"] {
        let kept = versions_anywhere(&f, disk);
        assert_eq!(kept.len(), 9, "{kept:?}");
    }
    assert_eq!(versions_anywhere(&f, "b"), bytes);
    // The rest, by the configuration's policy; a span that keeps nothing leaves the newest.
    configure(&f, "keep_within = \"1ms\"");
    f.run(&["versions", "prune", "--yes"]).exits(0);
    for name in ["a", "b", "c"] {
        assert_eq!(ids(&f, name).len(), 1, "{name}");
    }
    f.run(&["survey", "--level", "deep"]).exits(0);
    let again = f.run(&["versions", "prune", "--dry-run", "--json"]);
    assert_eq!(again.exits(0).json()["plan"]["steps"], 0);
}

#[test]
fn what_an_undo_may_need_stays_and_the_history_says_why() {
    let f = Fixture::grid(1, 2);
    for text in ["one", "two", "three"] {
        f.run(&["put", "a", "--text", text]).exits(0);
    }
    f.run(&["versions", "prune", "--keep-last", "1", "--yes"])
        .exits(0);
    assert_eq!(ids(&f, "a").len(), 2);
    configure(&f, "keep_last = 1");
    let shown = f.run(&["versions", "a", "--json"]).exits(0).json();
    assert_eq!(
        shown["versions"][0]["kept_by"],
        json!(["last 1", "newest", "undo window"])
    );
    assert_eq!(shown["versions"][1]["kept_by"], json!(["undo window"]));
}

#[test]
fn versions_stay_while_anything_is_wrong_with_their_artifact() {
    let f = store(2);
    let prune = ["versions", "prune", "--keep-last", "1", "--yes", "--json"];
    let plan = [
        "versions",
        "prune",
        "--keep-last",
        "1",
        "--dry-run",
        "--json",
    ];
    let plan = f.run(&plan).exits(0).stdout;
    fs::write(f.path("plan.json"), plan).unwrap();
    // Damaged where neither size nor footer shows it: only reading it can tell.
    for disk in ["a", "b"] {
        let path = f.path(disk).join("p1/a.maif");
        let mut bytes = fs::read(&path).unwrap();
        bytes[820] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    // Torn on one replica since it was planned.
    fs::write(f.path("b/p1/b.maif"), "MAIF").unwrap();
    let job = f
        .run(&["apply", "plan.json", "--yes", "--json"])
        .exits(4)
        .json();
    assert_eq!(job["job"]["errors"].as_array().unwrap().len(), 2, "{job}");
    assert_eq!(
        (ids(&f, "a").len(), ids(&f, "b").len(), ids(&f, "c").len()),
        (2, 2, 1)
    );
    // A new plan leaves out what is known to be wrong.
    let job = f.run(&prune).json();
    assert!(job["job"]["errors"].as_array().unwrap().len() == 1, "{job}");
    assert_eq!((ids(&f, "a").len(), ids(&f, "b").len()), (2, 2));
    // With a replica away its versions would come back.
    fs::rename(f.path("b/p1"), f.path("b/away")).unwrap();
    f.run(&["versions", "prune", "--keep-last", "1", "--yes"])
        .exits(4);
    assert_eq!(ids(&f, "a").len(), 2);
}

#[test]
fn of_a_removed_artifact_the_last_copy_stays() {
    let f = store(2);
    f.run(&["rm", "a", "--yes"]).exits(0);
    f.run(&["versions", "prune", "a", "--keep-last", "1", "--yes"])
        .exits(0);
    let left = f.run(&["versions", "a", "--json"]).exits(0).json();
    let left = left["versions"].as_array().unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0]["removed"], true);
    let id = left[1]["id"].as_str().unwrap();
    f.run(&["versions", "restore", "a", id, "--yes"]).exits(0);
    let text = f.run(&["inspect", "a", "--text", "--json"]).json();
    assert_eq!(text["texts"][0], "a 2");
}

/// Promise 1 for a prune of histories: killed or failing at any point, every version is in its
/// history or in the trash on every replica, and the resumed job ends as if nothing had happened.
#[test]
fn a_killed_prune_resumes_to_the_same_end() {
    for fault in [
        "apply.journalled=kill",
        "versions.trash=kill",
        "versions.trash=kill@2",
        "versions.trashed=kill@3",
        "versions.trash=eio@2",
        "apply.batch-done=kill",
    ] {
        let f = store(3);
        let before = [versions_anywhere(&f, "a"), versions_anywhere(&f, "b")];
        let died = f
            .command(&["versions", "prune", "--keep-last", "1", "--yes"])
            .env("MAIFDECK_FAULT", fault)
            .output()
            .unwrap();
        assert_ne!(died.status.code(), Some(0), "{fault} was not passed");
        let after = [versions_anywhere(&f, "a"), versions_anywhere(&f, "b")];
        assert_eq!(after, before, "{fault}");
        if fault.contains("kill") {
            let jobs = f.run(&["jobs", "--json"]).exits(0).json();
            let job = jobs["jobs"][0]["id"].as_str().unwrap();
            f.run(&["jobs", "resume", job]).exits(0);
        } else {
            f.run(&["versions", "prune", "--keep-last", "1", "--yes"])
                .exits(0);
        }
        for name in ["a", "b", "c"] {
            assert_eq!(ids(&f, name).len(), 1, "{fault}: {name}");
        }
        // Without an undo window another job frees what this one left.
        if fault.contains("kill") {
            let after = [versions_anywhere(&f, "a"), versions_anywhere(&f, "b")];
            assert!(after == before, "{fault}");
        }
    }
}

fn last_job(f: &Fixture) -> String {
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    jobs["jobs"][0]["id"].as_str().unwrap().to_owned()
}

/// The histories of both replicas.
fn histories(f: &Fixture) -> [BTreeMap<PathBuf, Vec<u8>>; 2] {
    ["a", "b"].map(|disk| {
        let mut kept = tree(&f.path(disk).join("p1"));
        kept.retain(|path, _| path.parent().is_some_and(|p| p.ends_with("versions")));
        kept
    })
}

const PRUNE: [&str; 5] = ["versions", "prune", "--keep-last", "1", "--yes"];

#[test]
fn undo_brings_pruned_versions_back_from_the_trash() {
    let f = store(3);
    let before = histories(&f);
    f.run(&PRUNE).exits(0);
    let job = last_job(&f);
    assert_ne!(histories(&f), before);
    f.run(&["jobs", "undo", &job]).exits(3);
    let plan = f.run(&["jobs", "undo", &job, "--dry-run", "--json"]);
    let plan = plan.exits(0).json();
    assert_eq!(plan["plan"]["steps"], 3, "{plan}");
    f.run(&["jobs", "undo", &job, "--yes"]).exits(0);
    assert_eq!(histories(&f), before);
    f.run(&["survey", "--level", "deep"]).exits(0);
    // Undone is undone: what is left to do is nothing.
    let again = f.run(&["jobs", "undo", &job, "--dry-run", "--json"]);
    assert_eq!(again.exits(0).json()["plan"]["steps"], 0);
}

#[test]
fn undo_names_what_was_freed_and_brings_back_the_rest() {
    let f = store(3);
    let before = histories(&f);
    f.run(&PRUNE).exits(0);
    let job = last_job(&f);
    for disk in ["a", "b"] {
        let trash = f.path(disk).join(format!("p1/.maifdeck/trash/{job}"));
        for entry in fs::read_dir(trash).unwrap() {
            let path = entry.unwrap().path();
            // Of "a" everything is gone, of "b" on one replica only.
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with("a_") || (disk == "b" && name.starts_with("b_")) {
                fs::remove_file(path).unwrap();
            }
        }
    }
    let undone = f.run(&["jobs", "undo", &job, "--yes"]).exits(4);
    assert!(undone.stderr.contains("of a was freed"), "{undone:?}");
    let now = histories(&f);
    let of = |name: &str, all: &BTreeMap<PathBuf, Vec<u8>>| {
        let is_its = |path: &&PathBuf| {
            let file_name = path.file_name().unwrap().to_str().unwrap();
            file_name.starts_with(&format!("{name}_"))
        };
        all.keys().filter(is_its).count()
    };
    assert_eq!((of("a", &now[0]), of("a", &now[1])), (1, 1));
    assert_eq!((of("b", &now[0]), of("b", &now[1])), (3, 1));
    assert_eq!((of("c", &now[0]), of("c", &now[1])), (3, 3));
    assert_eq!(of("c", &before[0]), 3);
}

/// Promise 1 for the undo: killed or failing at any point, every version is in its history or in
/// the trash on every replica, and the resumed undo ends as if nothing had happened.
#[test]
fn a_killed_undo_resumes_to_the_same_end() {
    for fault in [
        "apply.journalled=kill",
        "versions.return=kill@2",
        "versions.returned=kill@3",
        "archive.synced=kill",
        "versions.return=eio@2",
        "versions.returned=enospc",
        "apply.batch-done=kill",
    ] {
        let f = store(3);
        let before = histories(&f);
        f.run(&PRUNE).exits(0);
        let job = last_job(&f);
        let anywhere = [versions_anywhere(&f, "a"), versions_anywhere(&f, "b")];
        let died = f
            .command(&["jobs", "undo", &job, "--yes"])
            .env("MAIFDECK_FAULT", fault)
            .output()
            .unwrap();
        assert_ne!(died.status.code(), Some(0), "{fault} was not passed");
        let after = [versions_anywhere(&f, "a"), versions_anywhere(&f, "b")];
        assert_eq!(after, anywhere, "{fault}");
        if fault.contains("kill") {
            f.run(&["jobs", "resume", &last_job(&f)]).exits(0);
        } else {
            // The rest can be undone again: what is back stays.
            f.run(&["jobs", "undo", &job, "--yes"]).exits(0);
        }
        assert_eq!(histories(&f), before, "{fault}");
    }
}
