//! Promise 1 at every named failure point of everything that backs up, brings back and prunes: the
//! points are not listed here but asked of the run itself, so that a new one cannot be forgotten.
//!
//! Each operation is run once to see which points it passes, then once more a point and a fault: dead
//! or failing there, no bytes are lost, nothing is torn, and going on ends where the undisturbed run did.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use support::{Fixture, files, tree};

/// Something that is done to a store.
struct Operation {
    /// Builds the store that it is done to.
    store: fn() -> Fixture,
    /// Its arguments.
    run: fn(&Fixture) -> Vec<String>,
    /// What it may free on purpose.
    frees: fn(&Path) -> bool,
    /// Whether the store is whole before it.
    whole: bool,
}

const NOTHING: fn(&Path) -> bool = |_| false;

fn words(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|word| (*word).to_owned()).collect()
}

/// Artifacts with histories, one that was removed, one that is not MAIF, one that is large; a backup,
/// and a store that differs from it.
fn changed() -> Fixture {
    let f = Fixture::grid(1, 2);
    for name in ["a", "b", "d"] {
        for text in ["first", name] {
            f.run(&["put", name, "--text", text]).exits(0);
        }
    }
    f.run(&["put", "large", "--text", &"x".repeat(120_000)])
        .exits(0);
    for disk in ["a", "b"] {
        fs::write(f.path(disk).join("p1/table.maif"), "not MAIF").unwrap();
    }
    f.run(&["backup", "create"]).exits(0);
    f.run(&["put", "a", "--text", "later"]).exits(0);
    f.run(&["put", "c", "--text", "new"]).exits(0);
    f.run(&["rm", "d", "--yes"]).exits(0);
    f
}

fn several_backups() -> Fixture {
    let f = changed();
    for text in ["2", "3"] {
        f.run(&["put", "a", "--text", text]).exits(0);
        f.run(&["backup", "create"]).exits(0);
    }
    f
}

/// Backups that were retired so long ago that the next backup frees them.
fn expired() -> Fixture {
    let f = several_backups();
    f.run(&["backup", "prune", "--keep-last", "1", "--yes"])
        .exits(0);
    f.configure("store", "undo_window = \"1ms\"");
    f.run(&["put", "a", "--text", "4"]).exits(0);
    f
}

fn without_window(store: Fixture) -> Fixture {
    // What was archived just now may go at once.
    store.configure("store", "undo_window = \"1ms\"");
    store
}

fn after(store: Fixture, arguments: &[&str]) -> Fixture {
    store.run(arguments).exits(0);
    store
}

fn sketch_tree() -> Fixture {
    let f = changed();
    let copied = Command::new("cp")
        .arg("-a")
        .args([f.path("a/p1"), f.path("backups/backup_20260102_030405")])
        .status();
    assert!(copied.unwrap().success());
    f
}

fn jobs(f: &Fixture) -> Vec<Value> {
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    jobs["jobs"].as_array().unwrap().clone()
}

/// The arguments that undo the first restore or prune.
fn undo(f: &Fixture) -> Vec<String> {
    let jobs = jobs(f);
    let undone = ["backup-restore", "backup-prune", "versions-prune"];
    let is_it = |job: &&Value| undone.contains(&job["intent"].as_str().unwrap());
    let job = jobs.iter().rfind(is_it).unwrap();
    words(&["jobs", "undo", job["id"].as_str().unwrap(), "--yes"])
}

const RESTORE: [&str; 5] = ["backup", "restore", "latest", "--yes", "--max-remove=100"];
const PRUNE: [&str; 5] = ["backup", "prune", "--keep-last", "1", "--yes"];
const PRUNE_VERSIONS: [&str; 5] = ["versions", "prune", "--keep-last", "1", "--yes"];

const CREATE: Operation = Operation {
    store: expired,
    run: |_| words(&["backup", "create"]),
    frees: |path| path.to_string_lossy().contains(".maifdeck-trash"),
    whole: true,
};
const SEAL: Operation = Operation {
    store: sketch_tree,
    run: |_| words(&["backup", "seal", "20260102_030405"]),
    frees: NOTHING,
    whole: true,
};
const RESTORE_STORE: Operation = Operation {
    store: changed,
    run: |_| words(&RESTORE),
    frees: NOTHING,
    whole: true,
};
const RESTORE_ANEW: Operation = Operation {
    // Nothing is there: histories come back too.
    store: || {
        let f = changed();
        for disk in ["a", "b"] {
            for entry in fs::read_dir(f.path(disk).join("p1")).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("versions") {
                    fs::remove_dir_all(path).unwrap();
                } else if path.is_file() {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        f
    },
    run: |_| words(&RESTORE),
    frees: NOTHING,
    whole: false,
};
const RESTORE_TO: Operation = Operation {
    store: changed,
    run: |_| words(&["backup", "restore", "latest", "--to", "out"]),
    frees: NOTHING,
    whole: true,
};
const RETIRE: Operation = Operation {
    store: several_backups,
    run: |_| words(&PRUNE),
    frees: NOTHING,
    whole: true,
};
const TRASH_VERSIONS: Operation = Operation {
    store: || without_window(several_backups()),
    run: |_| words(&PRUNE_VERSIONS),
    frees: NOTHING,
    whole: true,
};
const UNDO_RESTORE: Operation = Operation {
    store: || after(changed(), &RESTORE),
    run: undo,
    frees: NOTHING,
    whole: true,
};
const UNDO_RETIRE: Operation = Operation {
    store: || after(several_backups(), &PRUNE),
    run: undo,
    frees: NOTHING,
    whole: true,
};
const UNDO_TRASH: Operation = Operation {
    store: || after(without_window(several_backups()), &PRUNE_VERSIONS),
    run: undo,
    frees: NOTHING,
    whole: true,
};

const ALL: [&Operation; 10] = [
    &CREATE,
    &SEAL,
    &RESTORE_STORE,
    &RESTORE_ANEW,
    &RESTORE_TO,
    &RETIRE,
    &TRASH_VERSIONS,
    &UNDO_RESTORE,
    &UNDO_RETIRE,
    &UNDO_TRASH,
];

fn execute(f: &Fixture, operation: &Operation, fault: &str) -> Option<i32> {
    let arguments = (operation.run)(f);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = f.command(&arguments);
    command.env("MAIFDECK_FAULT", fault);
    command.output().unwrap().status.code()
}

/// How often an operation passes each point, and the store that it leaves.
fn points(store: &Fixture, operation: &Operation) -> (BTreeMap<String, usize>, Fixture) {
    let f = store.copied();
    let arguments = (operation.run)(&f);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    (f.passes(&arguments), f)
}

/// The bytes of every copy, version and backup.
fn contents(f: &Fixture, but: fn(&Path) -> bool) -> BTreeSet<Vec<u8>> {
    let mut all = tree(f.directory.path());
    all.retain(|path, _| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.contains(".maif") && !name.ends_with(".lock") && !but(path)
    });
    all.into_values().collect()
}

/// What is current and what the histories hold, by content; the backups that there were before, and
/// what was copied out of them.
fn outcome(f: &Fixture, backups: &BTreeSet<String>) -> Value {
    let current = ["a", "b"].map(|disk| {
        let mut copies = files(&f.path(disk).join("p1"));
        copies.retain(|path, _| path.parent() == Some(Path::new("")));
        let named = |(path, bytes): (std::path::PathBuf, Vec<u8>)| {
            (path.display().to_string(), digest(&bytes))
        };
        copies.into_iter().map(named).collect::<BTreeMap<_, _>>()
    });
    let histories = ["a", "b"].map(|disk| {
        let mut kept = files(&f.path(disk).join("p1"));
        kept.retain(|path, _| path.starts_with("versions"));
        let digests: BTreeSet<String> = kept
            .into_iter()
            // A removal holds the number of its commit.
            .filter(|(path, _)| path.extension().is_some_and(|e| e == "maif"))
            .map(|(_, bytes)| digest(&bytes))
            // A commit that was cut off between replicas archives what it had made itself.
            .filter(|digest| !current[0].values().any(|current| current == digest))
            .collect();
        digests
    });
    let listed: BTreeMap<String, Value> = states(f)
        .into_iter()
        .filter(|(id, _)| backups.contains(id))
        .collect();
    let out: Vec<String> = if f.path("out").exists() {
        let copied = files(&f.path("out")).into_iter();
        copied
            .map(|(path, bytes)| format!("{} {}", path.display(), digest(&bytes)))
            .collect()
    } else {
        Vec::new()
    };
    json!({ "histories": histories, "current": current, "backups": listed, "out": out })
}

fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}

fn states(f: &Fixture) -> BTreeMap<String, Value> {
    let list = f.run(&["backup", "list", "--json"]).exits(0).json();
    let backups = list["backups"].as_array().unwrap().iter();
    backups
        .map(|b| (b["id"].as_str().unwrap().to_owned(), b["state"].clone()))
        .collect()
}

/// Nothing torn, nothing in doubt.
fn sound(f: &Fixture, what: &str) {
    let survey = f.run(&["survey", "--level", "deep", "--json"]);
    assert!(matches!(survey.code, Some(0 | 1)), "{what}: {survey:?}");
    let summary = survey.json()["summary"].clone();
    for bad in ["lost", "corrupt", "divergent", "unreachable"] {
        let count = summary[bad].as_u64().unwrap_or(0);
        assert_eq!(count, 0, "{what}: {summary}");
    }
}

/// Every sealed backup is whole and holds no more than it says.
fn backups_sound(f: &Fixture, what: &str) {
    for (id, state) in states(f) {
        if state == "complete" {
            let verified = f.run(&["backup", "verify", &id, "--json"]).exits(0).json();
            let extra = verified["extra"].as_array().unwrap().iter();
            let lock = |path: &&Value| {
                let path = Path::new(path.as_str().unwrap());
                path.extension()
                    .is_some_and(|extension| extension == "lock")
            };
            assert!(
                extra.filter(|p| !lock(p)).count() == 0,
                "{what}: {verified}"
            );
        }
    }
}

fn leftovers(f: &Fixture) -> Vec<String> {
    let all = walkdir::WalkDir::new(f.directory.path()).into_iter();
    all.map(|entry| entry.unwrap().path().to_string_lossy().into_owned())
        .filter(|path| {
            [
                ".partial",
                ".sealing",
                ".maifdeck-unfinished",
                "/.maifdeck/tmp/",
            ]
            .iter()
            .any(|mark| path.contains(mark))
        })
        .collect()
}

fn disturb(operation: &Operation) {
    let store = (operation.store)();
    let before = contents(&store, operation.frees);
    let backups: BTreeSet<String> = states(&store).into_keys().collect();
    let (points, undisturbed) = points(&store, operation);
    assert!(!points.is_empty());
    let wanted = outcome(&undisturbed, &backups);
    for (point, passages) in points {
        let mut faults = vec![
            format!("{point}=kill"),
            format!("{point}=eio"),
            format!("{point}=enospc"),
        ];
        if passages > 1 {
            faults.push(format!("{point}=kill@{passages}"));
        }
        for fault in faults {
            let f = store.copied();
            let code = execute(&f, operation, &fault);
            let held = contents(&f, |_| false);
            assert!(held.is_superset(&before), "{fault}: bytes are gone");
            if operation.whole {
                sound(&f, &fault);
            }
            if code != Some(0) {
                let last = jobs(&f).first().cloned().unwrap_or_default();
                if last["state"] == "interrupted" && last["resumable"] == true {
                    let id = last["id"].as_str().unwrap();
                    f.run(&["jobs", "resume", id]).exits(0);
                } else {
                    execute(&f, operation, "");
                    // What failed on one replica is behind there.
                    f.run(&["replicas", "repair", "--yes"]);
                }
            }
            assert_eq!(outcome(&f, &backups), wanted, "{fault}");
            sound(&f, &fault);
            if fault.contains("backup.") || fault.contains("seal.") {
                backups_sound(&f, &fault);
            }
            assert_eq!(leftovers(&f), [""; 0], "{fault}");
            let held = contents(&f, |_| false);
            assert!(held.is_superset(&before), "{fault}: bytes are gone");
        }
    }
}

#[test]
fn creating_a_backup() {
    disturb(&CREATE);
}

#[test]
fn sealing_a_sketchs_tree() {
    disturb(&SEAL);
}

#[test]
fn restoring_a_backup() {
    disturb(&RESTORE_STORE);
}

#[test]
fn restoring_a_backup_where_everything_is_gone() {
    disturb(&RESTORE_ANEW);
}

#[test]
fn restoring_to_a_directory() {
    disturb(&RESTORE_TO);
}

#[test]
fn retiring_backups() {
    disturb(&RETIRE);
}

#[test]
fn pruning_histories() {
    disturb(&TRASH_VERSIONS);
}

#[test]
fn undoing_a_restore() {
    disturb(&UNDO_RESTORE);
}

#[test]
fn undoing_the_retirement_of_backups() {
    disturb(&UNDO_RETIRE);
}

#[test]
fn undoing_a_prune_of_histories() {
    disturb(&UNDO_TRASH);
}

#[test]
fn no_point_of_the_source_is_forgotten() {
    // Those of single writes, leases, layouts and the console have tests of their own.
    let others = ["commit.", "layout.", "lease.", "volume.", "console."];
    let mut named = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (_, bytes) in tree(&source) {
        let text = String::from_utf8(bytes).unwrap();
        for part in text.split("fault::point(\"").skip(1) {
            named.insert(part.split('"').next().unwrap().to_owned());
        }
    }
    named.retain(|point| !others.iter().any(|other| point.starts_with(other)));
    let passed: BTreeSet<String> = ALL
        .iter()
        .flat_map(|operation| points(&(operation.store)(), operation).0.into_keys())
        .collect();
    let forgotten: Vec<&String> = named.difference(&passed).collect();
    assert!(named.len() > 20 && forgotten.is_empty(), "{forgotten:?}");
}
