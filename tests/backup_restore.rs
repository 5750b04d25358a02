//! What a restore proves before it changes anything, what it must not hide, and what undoing it means,
//! on the real binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use support::{Fixture, files};

fn create(f: &Fixture) -> String {
    let made = f.run(&["backup", "create", "--json"]).exits(0).json();
    made["backup"]["id"].as_str().unwrap().to_owned()
}

fn text(f: &Fixture, name: &str) -> Value {
    let found = f.run(&["inspect", name, "--text", "--json"]).exits(0);
    found.json()["texts"][0].clone()
}

fn last_job(f: &Fixture) -> String {
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    jobs["jobs"][0]["id"].as_str().unwrap().to_owned()
}

/// The only file of a backup that is called so, or begins and ends so.
fn in_backup(f: &Fixture, id: &str, starts: &str) -> PathBuf {
    let root = f.path("backups").join(format!("backup_{id}"));
    let mut found = files(&root).into_keys().filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(starts)
    });
    let path = root.join(found.next().expect("no such file"));
    assert_eq!(found.next(), None);
    path
}

/// Flips a bit where neither size nor footer shows it.
fn rot(path: &PathBuf) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_rotted_in_a_backup_is_found_before_the_first_change_whatever_it_is() {
    for rotten in ["table.maif", "doc_"] {
        let f = Fixture::grid(1, 2);
        for text in ["one", "two"] {
            f.run(&["put", "doc", "--text", text]).exits(0);
        }
        for disk in ["a", "b"] {
            fs::write(f.path(disk).join("p1/table.maif"), vec![b'x'; 4000]).unwrap();
        }
        let id = create(&f);
        rot(&in_backup(&f, &id, rotten));
        f.run(&["put", "doc", "--text", "three"]).exits(0);
        for disk in ["a", "b"] {
            fs::write(f.path(disk).join("p1/table.maif"), "spoiled").unwrap();
            let versions = f.path(disk).join("p1/versions");
            fs::remove_dir_all(versions).unwrap();
        }
        let before = files(&f.path("a"));
        let refused = f.run(&["backup", "restore", &id, "--yes", "--json"]);
        let refused = refused.exits(5).json();
        assert_eq!(refused["error"]["kind"], "damaged", "{refused}");
        assert_eq!(files(&f.path("a")), before, "{rotten}");
        // What is not damaged can be had, also when the damage is known.
        f.run(&["backup", "verify", &id]).exits(1);
        let (good, bad) = if rotten == "doc_" {
            ("table", "doc")
        } else {
            ("doc", "table")
        };
        f.run(&["backup", "restore", &id, "--yes"]).exits(5);
        f.run(&["backup", "restore", &id, bad, "--yes"]).exits(5);
        f.run(&["backup", "restore", &id, good, "--yes"]).exits(0);
    }
}

/// A store that was made anew counts its generations from one again.
#[test]
fn merging_a_backup_hides_no_artifact_that_is_there() {
    let f = Fixture::grid(1, 2);
    for text in ["one", "two"] {
        f.run(&["put", "doc", "--text", text]).exits(0);
    }
    f.run(&["put", "other", "--text", "other"]).exits(0);
    f.run(&["rm", "doc", "--yes"]).exits(0);
    let id = create(&f);
    let g = Fixture::grid(1, 2);
    g.run(&["put", "doc", "--text", "new"]).exits(0);
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([f.path("backups"), g.path("backups")])
        .status();
    assert!(copied.unwrap().success());
    let plan = [
        "backup",
        "restore",
        &id,
        "--mode",
        "merge",
        "--dry-run",
        "--json",
    ];
    let plan = g.run(&plan).exits(0).json();
    assert!(plan["plan"]["notes"].to_string().contains("doc"), "{plan}");
    g.run(&["backup", "restore", &id, "--mode", "merge", "--yes"])
        .exits(0);
    assert_eq!(
        (text(&g, "doc"), text(&g, "other")),
        (json!("new"), json!("other"))
    );
    let versions = g.run(&["versions", "doc", "--json"]).exits(0).json();
    let kept = versions["versions"].as_array().unwrap();
    assert!(
        kept.iter().filter(|v| v["volumes"] == 2).count() == 2,
        "{versions}"
    );
}

#[test]
fn a_replica_that_was_behind_does_not_keep_an_undo_from_the_right_copy() {
    let f = Fixture::grid(1, 3);
    for name in ["doc", "other"] {
        f.run(&["put", name, "--text", "old"]).exits(0);
    }
    let id = create(&f);
    let behind = f.path("c/p1/doc.maif");
    let old = fs::read(&behind).unwrap();
    f.run(&["put", "doc", "--text", "right"]).exits(0);
    // As it was before, record and all.
    let put_back = || {
        let copied = std::process::Command::new("cp")
            .args(["-a", "--remove-destination"])
            .arg(f.path("backups").join(format!("backup_{id}/doc.maif")))
            .arg(&behind)
            .status();
        assert!(copied.unwrap().success());
    };
    put_back();
    assert_eq!(fs::read(&behind).unwrap(), old);
    f.run(&["backup", "restore", &id, "--yes"]).exits(0);
    assert_eq!(text(&f, "doc"), "old");
    f.run(&["jobs", "undo", &last_job(&f), "--yes"]).exits(0);
    assert_eq!(text(&f, "doc"), "right");
    f.run(&["survey", "--level", "deep"]).exits(0);
    // The same for a removal.
    put_back();
    f.run(&["rm", "doc", "other", "--yes"]).exits(0);
    f.run(&["jobs", "undo", &last_job(&f), "--yes"]).exits(0);
    assert_eq!(
        (text(&f, "doc"), text(&f, "other")),
        (json!("right"), json!("old"))
    );
}

#[test]
fn a_restores_plan_says_what_becomes_of_artifacts_and_where_the_bytes_go() {
    let f = Fixture::grid(1, 2);
    for name in ["same", "changed", "gone"] {
        f.run(&["put", name, "--text", name]).exits(0);
    }
    let id = create(&f);
    f.run(&["put", "changed", "--text", "else"]).exits(0);
    f.run(&["put", "new", "--text", "new"]).exits(0);
    f.run(&["rm", "gone", "--yes"]).exits(0);
    let dry = ["backup", "restore", &id, "--dry-run"];
    let plan = f.run(&[&dry[..], &["--json"]].concat()).exits(0).json();
    let plan = &plan["plan"];
    for (what, count) in [("added", 1), ("replaced", 1), ("same", 1), ("removes", 1)] {
        assert_eq!(plan[what], count, "{what}: {plan}");
    }
    let size = fs::metadata(in_backup(&f, &id, "changed.maif"))
        .unwrap()
        .len();
    let other = fs::metadata(in_backup(&f, &id, "gone.maif")).unwrap().len();
    assert_eq!(plan["bytes"], 2 * (size + other));
    for (space, volume) in plan["space"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["p1.1", "p1.2"])
    {
        assert_eq!(space["volume"], volume);
        assert_eq!(space["needed"], size + other);
        assert!(space["free"].as_u64().unwrap() > 0);
    }
    let words = f.run(&dry).exits(0).stderr;
    assert!(
        words.contains("1 artifact added, 1 replaced, 1 the same, 1 removed"),
        "{words}"
    );
}
