//! Retention by command: what a policy lets go, pins, the way back, and dying half-way, on the real
//! binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use support::Fixture;

/// A store with `count` backups, oldest first.
fn store(count: usize) -> (Fixture, Vec<String>) {
    let f = Fixture::grid(1, 2);
    let ids = (0..count)
        .map(|n| {
            f.run(&["put", "a", "--text", &n.to_string()]).exits(0);
            let made = f.run(&["backup", "create", "--json"]).exits(0).json();
            made["backup"]["id"].as_str().unwrap().to_owned()
        })
        .collect();
    (f, ids)
}

fn listed(f: &Fixture) -> Vec<Value> {
    let list = f.run(&["backup", "list", "--json"]).exits(0).json();
    list["backups"].as_array().unwrap().clone()
}

fn ids(f: &Fixture) -> Vec<String> {
    let id = |view: &Value| view["id"].as_str().unwrap().to_owned();
    listed(f).iter().map(id).collect()
}

/// The jobs' directories in the backups' trash.
fn trash(f: &Fixture) -> Vec<PathBuf> {
    fs::read_dir(f.path("backups/.maifdeck-trash"))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}

const PRUNE: [&str; 5] = ["backup", "prune", "--keep-last", "1", "--yes"];

#[test]
fn prune_keeps_what_a_rule_keeps_and_says_why() {
    let (f, made) = store(3);
    f.run(&["backup", "prune", "--keep-last", "0", "--yes"])
        .exits(2);
    f.run(&["backup", "prune", "--yes"]).exits(2);
    f.run(&["backup", "prune", "--keep-within", "soon", "--yes"])
        .exits(2);
    f.run(&["backup", "prune", "--keep-within", "1ms", "--yes"])
        .exits(2);
    f.run(&["backup", "prune", "--keep-last", "1"]).exits(3);
    let plan = f
        .run(&[
            "backup",
            "prune",
            "--keep-last",
            "2",
            "--keep-yearly",
            "1",
            "--dry-run",
            "--json",
        ])
        .exits(0)
        .json();
    assert_eq!(plan["plan"]["removes"], 1);
    assert_eq!(
        plan["plan"]["kept"],
        json!([
            { "what": made[1], "kept_by": ["last 2"] },
            { "what": made[2], "kept_by": ["last 1", "yearly 1"] },
        ])
    );
    assert_eq!(
        plan["plan"]["unrecoverable"].as_array().unwrap().len(),
        1,
        "{plan}"
    );
    // The configured policy is the default one, and the list shows what it keeps.
    f.configure("backup", "keep_last = 1");
    let list = listed(&f);
    assert_eq!(list[0]["kept_by"], json!([]));
    assert_eq!(list[2]["kept_by"], json!(["last 1"]));
    f.run(&["backup", "prune", "--yes"]).exits(0);
    assert_eq!(ids(&f), made[2..]);
    assert_eq!(trash(&f).len(), 1);
}

#[test]
fn a_retired_backup_comes_back_whole_until_the_undo_window_is_over() {
    let (f, made) = store(3);
    f.run(&PRUNE).exits(0);
    f.run(&["backup", "undelete", &made[0]]).exits(0);
    f.run(&["backup", "verify", &made[0]]).exits(0);
    f.run(&["backup", "undelete", &made[0]]).exits(5);
    f.run(&["backup", "undelete", "nonsense"]).exits(2);
    assert_eq!(ids(&f), [made[0].clone(), made[2].clone()]);
    // A later create frees what waited long enough, and only that.
    f.run(&["backup", "create"]).exits(0);
    assert_eq!(trash(&f).len(), 1);
    f.configure("store", "undo_window = \"1ms\"");
    f.run(&["backup", "create"]).exits(0);
    assert!(trash(&f).is_empty());
    let gone = f.run(&["backup", "undelete", &made[1], "--json"]).exits(5);
    assert_eq!(gone.json()["error"]["kind"], "not_found");
}

#[test]
fn a_job_that_retired_something_lately_keeps_its_window() {
    let (f, made) = store(2);
    f.run(&PRUNE).exits(0);
    // The job began a year ago and was resumed just now.
    let job = trash(&f).pop().unwrap();
    let old = job.with_file_name("20250101_000000.000-abcdef");
    fs::rename(&job, &old).unwrap();
    f.run(&["backup", "create"]).exits(0);
    assert_eq!(trash(&f), std::slice::from_ref(&old));
    let year = Duration::from_secs(365 * 86_400);
    fs::File::open(&old)
        .unwrap()
        .set_modified(SystemTime::now() - year)
        .unwrap();
    f.run(&["backup", "create"]).exits(0);
    assert!(trash(&f).is_empty());
    f.run(&["backup", "undelete", &made[0]]).exits(5);
}

#[test]
fn a_pin_holds_in_the_plan_and_where_the_deletion_happens() {
    let (f, made) = store(3);
    f.run(&["backup", "pin", &made[0]]).exits(0);
    assert_eq!(listed(&f)[0]["pinned"], true);
    let plan = f
        .run(&["backup", "prune", "--keep-last", "1", "--dry-run", "--json"])
        .exits(0)
        .stdout;
    fs::write(f.path("plan.json"), plan).unwrap();
    // Pinned after it was planned.
    f.run(&["backup", "pin", &made[1]]).exits(0);
    let job = f
        .run(&["apply", "plan.json", "--yes", "--json"])
        .exits(5)
        .json();
    assert!(job["job"]["errors"][0].as_str().unwrap().contains("pinned"));
    assert_eq!(ids(&f), made);
    f.run(&["backup", "unpin", &made[1]]).exits(0);
    f.run(&["backup", "unpin", &made[1]]).exits(0);
    f.run(&["apply", "plan.json", "--yes"]).exits(0);
    assert_eq!(ids(&f), [made[0].clone(), made[2].clone()]);
    f.run(&["--read-only", "backup", "unpin", &made[0]])
        .exits(3);
    f.run(&["backup", "pin", "20200101_000000"]).exits(5);
}

#[test]
fn the_last_good_backup_is_not_retired_when_the_others_turn_out_damaged() {
    let (f, made) = store(2);
    let plan = f
        .run(&["backup", "prune", "--keep-last", "1", "--dry-run", "--json"])
        .exits(0)
        .stdout;
    fs::write(f.path("plan.json"), plan).unwrap();
    let sums = format!("backups/backup_{}/.maifdeck/SHA256SUMS", made[1]);
    fs::remove_file(f.path(&sums)).unwrap();
    f.run(&["apply", "plan.json", "--yes"]).exits(5);
    assert_eq!(ids(&f), made);
    // Only complete ones count: the damaged one is no newest to keep.
    f.run(&PRUNE).exits(0);
    assert_eq!(ids(&f), made);
}

/// Promise 1 for a prune: killed at any point, each backup is in its place or in the trash, whole,
/// and the resumed job ends as if nothing had happened.
#[test]
fn a_killed_prune_resumes_to_the_same_end() {
    for point in [
        "apply.journalled",
        "backup.retire",
        "backup.retired",
        "apply.batch-done",
    ] {
        for what in ["kill", "eio"] {
            let (f, made) = store(3);
            let killed = f
                .command(&PRUNE)
                .env("MAIFDECK_FAULT", format!("{point}={what}"))
                .output()
                .unwrap();
            assert_ne!(killed.status.code(), Some(0), "{point}={what}");
            for id in ids(&f) {
                f.run(&["backup", "verify", &id]).exits(0);
            }
            if what == "kill" {
                let jobs = f.run(&["jobs", "--json"]).exits(0).json();
                let job = jobs["jobs"][0]["id"].as_str().unwrap();
                f.run(&["jobs", "resume", job]).exits(0);
            } else {
                f.run(&PRUNE);
            }
            assert_eq!(ids(&f), made[2..], "{point}={what}");
            for id in &made[..2] {
                f.run(&["backup", "undelete", id]).exits(0);
                f.run(&["backup", "verify", id]).exits(0);
            }
            assert_eq!(ids(&f), made, "{point}={what}");
        }
    }
}

#[test]
fn what_was_being_freed_when_the_process_died_is_freed_the_next_time() {
    let (f, made) = store(2);
    f.run(&PRUNE).exits(0);
    f.configure("store", "undo_window = \"1ms\"");
    let killed = f
        .command(&["backup", "create"])
        .env("MAIFDECK_FAULT", "backup.freeing=kill")
        .output()
        .unwrap();
    assert_eq!(killed.status.code(), None);
    // Half-freed ones are never brought back.
    f.run(&["backup", "undelete", &made[0]]).exits(5);
    f.run(&["backup", "create"]).exits(0);
    assert!(trash(&f).is_empty());
}

fn last_job(f: &Fixture) -> String {
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    jobs["jobs"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn undo_brings_back_what_a_prune_retired_while_it_is_in_the_trash() {
    let (f, made) = store(4);
    f.run(&PRUNE).exits(0);
    let job = last_job(&f);
    // One came back by hand meanwhile, one was freed.
    f.run(&["backup", "undelete", &made[0]]).exits(0);
    let freed = trash(&f).pop().unwrap().join(format!("backup_{}", made[1]));
    fs::remove_dir_all(freed).unwrap();
    f.run(&["jobs", "undo", &job]).exits(3);
    let undone = f.run(&["jobs", "undo", &job, "--yes"]).exits(4);
    assert!(undone.stderr.contains(&made[1]), "{undone:?}");
    assert_eq!(ids(&f), [&made[..1], &made[2..]].concat());
    for id in ids(&f) {
        f.run(&["backup", "verify", &id]).exits(0);
    }
}

/// Promise 1 for the undo of a prune: killed or failing at any point, each backup is in its place
/// or in the trash, whole, and the undo goes on.
#[test]
fn a_killed_undo_of_a_prune_resumes_to_the_same_end() {
    for point in [
        "apply.journalled",
        "backup.return",
        "backup.returned",
        "apply.batch-done",
    ] {
        for what in ["kill", "eio"] {
            let (f, made) = store(3);
            f.run(&PRUNE).exits(0);
            let job = last_job(&f);
            let died = f
                .command(&["jobs", "undo", &job, "--yes"])
                .env("MAIFDECK_FAULT", format!("{point}={what}"))
                .output()
                .unwrap();
            assert_ne!(died.status.code(), Some(0), "{point}={what}");
            for id in ids(&f) {
                f.run(&["backup", "verify", &id]).exits(0);
            }
            if what == "kill" {
                f.run(&["jobs", "resume", &last_job(&f)]).exits(0);
            } else {
                f.run(&["jobs", "undo", &job, "--yes"]);
            }
            assert_eq!(ids(&f), made, "{point}={what}");
        }
    }
}
