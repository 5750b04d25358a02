//! Promise 1 for restores: killed or failing at any named point, every artifact is the old copy or
//! the new one, whole, every version is still there, and the job resumes or is undone. A restore to a
//! directory leaves nothing, or what the next one finishes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use support::{Fixture, files};

/// A backup, and a store that differs from it: `a` changed, `b` did not, `c` is new, `d` was removed.
fn store() -> Fixture {
    let f = Fixture::grid(1, 2);
    for name in ["a", "b", "d"] {
        f.run(&["put", name, "--text", name]).exits(0);
    }
    f.run(&["backup", "create"]).exits(0);
    f.run(&["put", "a", "--text", "later"]).exits(0);
    f.run(&["put", "c", "--text", "new"]).exits(0);
    f.run(&["rm", "d", "--yes"]).exits(0);
    f
}

const RESTORE: [&str; 5] = ["backup", "restore", "latest", "--yes", "--max-remove=100"];

/// The text of each artifact, on all replicas the same.
fn texts(f: &Fixture) -> BTreeMap<String, String> {
    let list = f.run(&["ls", "--json"]).exits(0).json();
    let names = list["artifacts"].as_array().unwrap().iter();
    names
        .map(|artifact| {
            let name = artifact["name"].as_str().unwrap().to_owned();
            let found = f.run(&["inspect", &name, "--text", "--json"]).exits(0);
            let text = found.json()["texts"][0].as_str().unwrap().to_owned();
            (name, text)
        })
        .collect()
}

fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    pairs.iter().map(owned).collect()
}

/// The bytes of every copy and version, whatever they are called.
fn contents(f: &Fixture) -> BTreeSet<Vec<u8>> {
    let replicas = ["a", "b"].map(|disk| files(&f.path(disk).join("p1")));
    replicas
        .into_iter()
        .flat_map(BTreeMap::into_values)
        .collect()
}

fn fails(f: &Fixture, arguments: &[&str], fault: &str) -> bool {
    let run = f
        .command(arguments)
        .env("MAIFDECK_FAULT", fault)
        .output()
        .unwrap();
    run.status.code() != Some(0)
}

fn last_job(f: &Fixture) -> String {
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    jobs["jobs"][0]["id"].as_str().unwrap().to_owned()
}

/// Named points that a restore into the store passes.
const POINTS: [&str; 12] = [
    "apply.journalled",
    "stage.created",
    "stage.written",
    "batch.sync",
    "archive.predecessor-synced",
    "archive.linked",
    "archive.synced",
    "publish.before-rename",
    "publish.renamed",
    "publish.synced",
    "remove.marked",
    "apply.batch-done",
];

/// What is staged is swept by the next job that keeps others out.
fn staged(f: &Fixture) -> usize {
    let count = |disk: &&str| {
        let directory = f.path(disk).join("p1/.maifdeck/tmp");
        fs::read_dir(directory).map_or(0, Iterator::count)
    };
    ["a", "b"].iter().map(count).sum()
}

fn check(fault: &str, then: &str) {
    let f = store();
    let (before, old) = (texts(&f), contents(&f));
    assert!(fails(&f, &RESTORE, fault), "{fault} was not passed");
    for (name, text) in texts(&f) {
        let one = ["a", "b", "c", "d", "later", "new"].contains(&&*text);
        assert!(one, "{fault}: {name} is {text}");
    }
    assert!(contents(&f).is_superset(&old), "{fault}: bytes are gone");
    match then {
        "resume" => {
            f.run(&["jobs", "resume", &last_job(&f)]).exits(0);
        }
        "undo" => {
            f.run(&["jobs", "undo", &last_job(&f), "--yes"]);
            assert_eq!(texts(&f), before, "{fault}");
        }
        _ => {}
    }
    if then != "undo" {
        // Again from the start, where a failed step is no job to resume.
        f.run(&RESTORE).exits(0);
        let wanted = of(&[("a", "a"), ("b", "b"), ("d", "d")]);
        assert_eq!(texts(&f), wanted, "{fault}");
    }
    assert!(contents(&f).is_superset(&old), "{fault}: bytes are gone");
    assert_eq!(staged(&f), 0, "{fault}");
    f.run(&["survey", "--level", "deep"]).exits(0);
}

#[test]
fn a_restore_that_was_killed_resumes() {
    for point in POINTS {
        check(&format!("{point}=kill"), "resume");
    }
}

#[test]
fn a_restore_that_was_killed_half_way_is_undone() {
    for point in [
        "apply.batch-done",
        "apply.batch-done=kill@2",
        "remove.marked",
    ] {
        let fault = if point.contains('=') {
            point.to_owned()
        } else {
            format!("{point}=kill")
        };
        let f = store();
        if fails(&f, &RESTORE, &fault) {
            let before = of(&[("a", "later"), ("b", "b"), ("c", "new")]);
            let job = last_job(&f);
            // What was done and journalled comes back; what was not journalled is resumed first.
            f.run(&["jobs", "resume", &job]).exits(0);
            f.run(&["jobs", "undo", &job, "--yes"]).exits(0);
            assert_eq!(texts(&f), before, "{fault}");
        }
    }
}

#[test]
fn a_restore_on_a_failing_or_full_disk_loses_nothing() {
    for point in [
        "stage.created",
        "stage.written",
        "batch.sync",
        "archive.linked",
    ] {
        for what in ["eio", "enospc"] {
            let f = store();
            let old = contents(&f);
            // A failed sync of a batch is made good file by file.
            let failed = fails(&f, &RESTORE, &format!("{point}={what}"));
            assert!(contents(&f).is_superset(&old), "{point}={what}");
            if failed {
                f.run(&["replicas", "repair", "--yes"]);
                f.run(&RESTORE).exits(0);
            }
            let wanted = of(&[("a", "a"), ("b", "b"), ("d", "d")]);
            assert_eq!(texts(&f), wanted, "{point}={what}");
            f.run(&["survey", "--level", "deep"]).exits(0);
        }
    }
}

#[test]
fn a_restore_to_a_directory_leaves_nothing_or_what_the_next_one_finishes() {
    let f = store();
    let to = ["backup", "restore", "latest", "--to", "out"];
    f.run(&["backup", "restore", "latest", "--to", "whole"])
        .exits(0);
    let whole = files(&f.path("whole"));
    assert_eq!(whole.len(), 3);
    let marker: PathBuf = f.path("out").join(".maifdeck-unfinished");
    for point in ["created", "copied", "sync", "finish"] {
        for what in ["kill", "eio", "enospc"] {
            let fault = format!("extract.{point}={what}");
            assert!(fails(&f, &to, &fault), "{fault} was not passed");
            if what == "kill" {
                assert!(marker.exists(), "{fault}");
                // What the operator put there is not ours to touch.
                fs::write(f.path("out/note"), "mine").unwrap();
                f.run(&to).exits(0);
                assert!(!marker.exists(), "{fault}");
                fs::remove_file(f.path("out/note")).unwrap();
                assert_eq!(files(&f.path("out")), whole, "{fault}");
                fs::remove_dir_all(f.path("out")).unwrap();
            } else {
                assert!(!f.path("out").exists(), "{fault}");
                // A directory that was there before stays, empty.
                fs::create_dir(f.path("out")).unwrap();
                assert!(fails(&f, &to, &fault), "{fault}");
                assert_eq!(fs::read_dir(f.path("out")).unwrap().count(), 0, "{fault}");
                fs::remove_dir(f.path("out")).unwrap();
            }
        }
    }
}

/// A file system of its own that is unmounted in the end.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let options = format!("size={size}");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "none"])
            .arg(&at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at)),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                println!("skipped: no small file system can be mounted: {why}");
                None
            }
            Err(error) => {
                println!("skipped: {error}");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn on_a_real_full_file_system_backup_and_restore_leave_nothing_behind() {
    let f = store();
    f.run(&["put", "big", "--text", &"x".repeat(100_000)])
        .exits(0);
    let roomy = f.path("backups");
    let tiny = f.path("tiny");
    let Some(_mounted) = Small::mount(tiny.clone(), "64k") else {
        return;
    };
    // Restore to a directory there.
    f.run(&["backup", "create"]).exits(0);
    let out = tiny.join("out");
    let full = f.run(&["backup", "restore", "latest", "--to", out.to_str().unwrap()]);
    let full = full.exits(5);
    assert!(full.stderr.contains("No space left"), "{full:?}");
    assert!(!out.exists());
    // A backup there.
    let config = f.path("maifdeck.toml");
    let text = fs::read_to_string(&config).unwrap();
    let moved = text.replace(roomy.to_str().unwrap(), tiny.to_str().unwrap());
    assert_ne!(moved, text);
    fs::write(&config, moved).unwrap();
    let full = f.run(&["backup", "create"]).exits(5);
    assert!(full.stderr.contains("No space left"), "{full:?}");
    let left: Vec<_> = fs::read_dir(&tiny)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("backup_"))
        .collect();
    assert_eq!(left, [""; 0]);
    // With less to hold it fits.
    f.run(&["rm", "big", "--yes"]).exits(0);
    let versions = f.run(&["versions", "big", "--json"]).exits(0).json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
    for disk in ["a", "b"] {
        for entry in fs::read_dir(f.path(disk).join("p1/versions")).unwrap() {
            let path = entry.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("big_")
            {
                fs::remove_file(path).unwrap();
            }
        }
    }
    f.run(&["backup", "create"]).exits(0);
    f.run(&["backup", "verify", "latest"]).exits(0);
}
