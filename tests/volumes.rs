//! Disks that die, are exchanged and join: nothing counts before it was made equal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use serde_json::Value;
use support::Fixture;

fn volume(f: &Fixture, label: &str) -> Value {
    let list = f.run(&["volume", "list", "--json"]).json();
    let volumes = list["volumes"].as_array().unwrap();
    volumes
        .iter()
        .find(|v| v["label"] == label)
        .unwrap()
        .clone()
}

/// A store with histories and a removal, whose second disk was exchanged for an empty one.
fn with_a_new_disk() -> Fixture {
    let f = Fixture::grid(1, 3);
    for n in 0..5 {
        let name = format!("doc-{n}");
        f.run(&["put", &name, "--text", "first"]).exits(0);
        f.run(&["put", &name, "--text", "second"]).exits(0);
    }
    f.run(&["rm", "doc-4", "--yes"]).exits(0);
    fs::remove_dir_all(f.path("b/p1")).unwrap();
    fs::create_dir(f.path("b/p1")).unwrap();
    f
}

fn listing(f: &Fixture, directory: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(f.path(directory))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.contains(".maif.lock"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_disk_is_marked_joins_is_repaired_and_counts() {
    let f = with_a_new_disk();
    assert_eq!(volume(&f, "p1.2")["state"], "unmarked");
    let status = f.run(&["status", "--json"]).exits(1).json();
    assert!(status.to_string().contains("volume-unmarked"));
    // Nothing is written to it before it is marked, and marking asks.
    f.run(&["put", "doc-0", "--text", "third"]).exits(4);
    assert_eq!(listing(&f, "b/p1"), Vec::<String>::new());
    let refused = f.run(&["volume", "mark", "p1.2"]).exits(3);
    assert!(refused.stderr.contains("holds 0 artifacts"));
    f.run(&["volume", "mark", "p1.1", "--yes"]).exits(2);

    f.run(&["volume", "mark", "p1.2", "--yes"]).exits(0);
    assert_eq!(volume(&f, "p1.2")["state"], "joining");
    // It is written to, but a reading never takes it for the right copy.
    f.run(&["put", "doc-1", "--text", "third"]).exits(0);
    assert!(f.path("b/p1/doc-1.maif").exists());
    let plan = f.run(&[
        "replicas",
        "repair",
        "--volume",
        "p1.2",
        "--dry-run",
        "--json",
    ]);
    let plan = plan.exits(0).json();
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["step"], "admit");
    f.run(&["replicas", "repair", "--volume", "p1.2", "--yes"])
        .exits(0);
    assert_eq!(volume(&f, "p1.2")["state"], "ok");
    assert_eq!(listing(&f, "b/p1/versions"), listing(&f, "a/p1/versions"));
    let survey = f.run(&["replicas", "--level", "deep", "--json"]).exits(0);
    assert_eq!(survey.json()["summary"]["ok"], 4);
    f.run(&["get", "doc-4"]).exits(5);
    let status = f.run(&["status", "--json"]).json();
    assert!(!status.to_string().contains("joining"));
}

#[test]
fn a_joining_volume_is_no_part_of_a_quorum() {
    let f = Fixture::grid(1, 2);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    fs::remove_dir_all(f.path("b/p1")).unwrap();
    fs::create_dir(f.path("b/p1")).unwrap();
    f.run(&["volume", "mark", "p1.2", "--yes"]).exits(0);
    f.run(&["put", "doc", "--text", "y"]).exits(5);
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    f.run(&["put", "doc", "--text", "y"]).exits(0);
}

#[test]
fn a_repair_that_fails_on_a_joining_volume_does_not_admit_it() {
    let f = with_a_new_disk();
    f.run(&["volume", "mark", "p1.2", "--yes"]).exits(0);
    let failed = f
        .command(&["replicas", "repair", "--volume", "p1.2", "--yes"])
        .env("MAIFDECK_FAULT", "publish.before-rename=eio@2")
        .output()
        .unwrap();
    support::Run::from(failed).exits(4);
    assert_eq!(volume(&f, "p1.2")["state"], "joining");
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    assert_eq!(volume(&f, "p1.2")["state"], "ok");
}

#[test]
fn a_volume_moves_to_another_directory_and_the_configuration_keeps_its_comments() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    let file = f.path("maifdeck.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("# mine\n{text}")).unwrap();
    fs::create_dir(f.path("new")).unwrap();
    let new = f.path("new").to_str().unwrap().to_owned();
    f.run(&["volume", "replace", "p1.3", &new, "--yes"])
        .exits(0);
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("# mine\n") && text.contains(&new),
        "{text}"
    );
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    assert_eq!(volume(&f, "p1.3")["state"], "ok");
    assert!(f.path("new/doc.maif").exists());
}

#[test]
fn a_directory_of_another_store_or_volume_is_refused() {
    let f = Fixture::grid(1, 3);
    let other = Fixture::grid(1, 1);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    let foreign = other.path("a/p1").to_str().unwrap().to_owned();
    let refused = f
        .run(&["volume", "replace", "p1.2", &foreign, "--yes"])
        .exits(3);
    assert!(refused.stderr.contains("marked as volume"));
    let twin = f.path("a/p1").to_str().unwrap().to_owned();
    f.run(&["volume", "replace", "p1.2", &twin, "--yes"])
        .exits(3);
    f.run(&["volume", "replace", "p9.1", "--yes"]).exits(5);
    let missing = f.path("no-such-directory").to_str().unwrap().to_owned();
    let failed = f
        .run(&["volume", "replace", "p1.2", &missing, "--yes"])
        .exits(5);
    assert!(failed.stderr.contains("no-such-directory"));
    assert_eq!(volume(&f, "p1.2")["state"], "ok");
}

#[test]
fn the_trash_holds_what_a_repair_replaced_until_it_is_emptied() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    let copy = f.path("b/p1/doc.maif");
    let whole = fs::read(&copy).unwrap();
    fs::write(&copy, &whole[..whole.len() / 2]).unwrap();
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    let list = |f: &Fixture| f.run(&["trash", "list", "--json"]).exits(0).json();
    assert_eq!(list(&f)["trash"][0]["volume"], "p1.2");
    assert_eq!(list(&f)["trash"][0]["files"], 1);
    // Within the undo window it stays, unless it is asked for.
    f.run(&["trash", "empty", "--yes"]).exits(0);
    assert_eq!(list(&f)["trash"][0]["files"], 1);
    let plan = f.run(&["trash", "empty", "--all", "--dry-run", "--json"]);
    let plan = plan.exits(0).json();
    assert_eq!(plan["plan"]["unrecoverable"].as_array().unwrap().len(), 1);
    f.run(&["trash", "empty", "--all"]).exits(3);
    f.run(&["trash", "empty", "--all", "--yes"]).exits(0);
    assert_eq!(list(&f)["trash"].as_array().unwrap().len(), 0);
}

#[test]
fn a_volume_is_not_admitted_by_too_few_to_know_every_write() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "old"]).exits(0);
    // p1.3 misses a write, then the only others are away or new.
    fs::rename(f.path("c/p1"), f.path("c/away")).unwrap();
    f.run(&["put", "doc", "--text", "new"]).exits(4);
    fs::rename(f.path("c/away"), f.path("c/p1")).unwrap();
    fs::rename(f.path("b/p1"), f.path("b/away")).unwrap();
    fs::remove_dir_all(f.path("a/p1")).unwrap();
    fs::create_dir(f.path("a/p1")).unwrap();
    f.run(&["volume", "mark", "p1.1", "--yes"]).exits(0);
    let repaired = f.run(&["replicas", "repair", "--yes"]).exits(4);
    assert!(
        repaired.text().contains("1 other replicas"),
        "{}",
        repaired.text()
    );
    assert_eq!(volume(&f, "p1.1")["state"], "joining");
    f.run(&["put", "doc", "--text", "newer"]).exits(5);
    fs::rename(f.path("b/away"), f.path("b/p1")).unwrap();
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    let found = f
        .run(&["inspect", "doc", "--text", "--json"])
        .exits(0)
        .json();
    assert_eq!(found["texts"][0], "new");
    assert_eq!(volume(&f, "p1.1")["state"], "ok");
}

#[test]
fn the_only_replica_counts_at_once_when_its_disk_was_exchanged() {
    let f = Fixture::grid(2, 1);
    for n in 0..6 {
        f.run(&["put", &format!("doc-{n}"), "--text", "x"]).exits(0);
    }
    f.run(&["backup", "create"]).exits(0);
    fs::remove_dir_all(f.path("a/p1")).unwrap();
    fs::create_dir(f.path("a/p1")).unwrap();
    f.run(&["volume", "mark", "p1.1", "--yes"]).exits(0);
    assert_eq!(volume(&f, "p1.1")["state"], "ok");
    f.run(&["backup", "restore", "latest", "--mode", "merge", "--yes"])
        .exits(0);
    let listed = f.run(&["ls", "--json"]).exits(0).json();
    assert_eq!(listed["artifacts"].as_array().unwrap().len(), 6);
}

/// Copies a volume as it is now, as a snapshot does.
fn snapshot(f: &Fixture, directory: &str, to: &str) {
    let copied = std::process::Command::new("cp")
        .args(["-a", "--"])
        .args([f.path(directory), f.path(to)])
        .status();
    assert!(copied.unwrap().success());
}

fn roll_back(f: &Fixture, directory: &str, from: &str) {
    fs::remove_dir_all(f.path(directory)).unwrap();
    fs::rename(f.path(from), f.path(directory)).unwrap();
}

/// Any bulk job lets the volumes note where each of them is.
fn bulk_job(f: &Fixture, code: i32) {
    for name in ["one", "two"] {
        f.run(&["put", name, "--text", "x"]).exits(code);
    }
    f.run(&["rm", "one", "two", "--yes"]).exits(0);
}

#[test]
fn a_volume_rolled_back_to_a_snapshot_counts_for_nothing_until_it_is_repaired() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "first"]).exits(0);
    snapshot(&f, "b/p1", "snapshot");
    f.run(&["put", "doc", "--text", "second"]).exits(0);
    bulk_job(&f, 0);
    assert_eq!(volume(&f, "p1.2")["state"], "ok");
    roll_back(&f, "b/p1", "snapshot");
    let found = volume(&f, "p1.2");
    assert_eq!(found["state"], "joining");
    assert!(found["reason"].as_str().unwrap().contains("rolled back"));
    // With one of the others away, the two left are no quorum: one of them has forgotten.
    fs::rename(f.path("a/p1"), f.path("away")).unwrap();
    f.run(&["put", "doc", "--text", "third"]).exits(5);
    let status = f.run(&["status", "--json"]).exits(1).json();
    assert!(status.to_string().contains("no-quorum"), "{status}");
    fs::rename(f.path("away"), f.path("a/p1")).unwrap();
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    assert_eq!(volume(&f, "p1.2")["state"], "ok");
    let copies = f.run(&["replicas", "doc", "--level", "deep", "--json"]);
    assert_eq!(copies.exits(0).json()["summary"]["ok"], 1);
}

#[test]
fn a_volume_that_was_only_away_counts_when_it_comes_back() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "first"]).exits(0);
    fs::rename(f.path("b/p1"), f.path("away")).unwrap();
    f.run(&["put", "doc", "--text", "second"]).exits(4);
    bulk_job(&f, 4);
    fs::rename(f.path("away"), f.path("b/p1")).unwrap();
    assert_eq!(volume(&f, "p1.2")["state"], "ok");
}

#[test]
fn when_most_disks_are_gone_for_good_the_operator_can_go_on_with_what_is_left() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "first"]).exits(0);
    for (disk, label) in [("a/p1", "p1.1"), ("b/p1", "p1.2")] {
        fs::remove_dir_all(f.path(disk)).unwrap();
        fs::create_dir(f.path(disk)).unwrap();
        f.run(&["volume", "mark", label, "--yes"]).exits(0);
    }
    let status = f.run(&["status", "--json"]).exits(1).json();
    assert!(status.to_string().contains("--accept-older"), "{status}");
    f.run(&["put", "doc", "--text", "second"]).exits(5);
    let refused = f.run(&["replicas", "repair", "--yes"]).exits(4);
    assert!(
        refused.text().contains("stays joining"),
        "{}",
        refused.text()
    );
    let plan = f.run(&[
        "replicas",
        "repair",
        "--accept-older",
        "--dry-run",
        "--json",
    ]);
    let plan = plan.exits(0).json();
    assert_eq!(plan["plan"]["unrecoverable"].as_array().unwrap().len(), 2);
    f.run(&["replicas", "repair", "--accept-older", "--yes"])
        .exits(0);
    f.run(&["put", "doc", "--text", "second"]).exits(0);
}

#[test]
fn no_plan_fills_a_file_system_beyond_max_fill() {
    let f = with_a_new_disk();
    f.run(&["backup", "create"]).exits(0);
    f.run(&["volume", "mark", "p1.2", "--yes"]).exits(0);
    let file = f.path("maifdeck.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("max_fill = 100", "max_fill = 1")).unwrap();
    let before = support::tree(f.directory.path());
    let restore = [
        "backup",
        "restore",
        "latest",
        "--yes",
        "--max-remove",
        "100",
    ];
    for command in [&["replicas", "repair", "--yes"][..], &restore] {
        let refused = f.run(command).exits(5);
        assert!(refused.stderr.contains("max_fill"), "{}", refused.stderr);
    }
    assert_eq!(support::tree(f.directory.path()), before);
    assert_eq!(volume(&f, "p1.2")["state"], "joining");
    // What writes nothing needs no room.
    f.run(&["rm", "doc-0", "doc-1", "--yes"]).exits(0);
}

/// Opening reads one volume after the other, and the number may be raised in between.
#[test]
fn a_number_that_is_raised_while_a_store_is_opened_makes_nobody_joining() {
    let f = Fixture::grid(2, 3);
    for _ in 0..5 {
        let mut opening = f
            .command(&["volume", "list", "--json"])
            .env("MAIFDECK_FAULT", "volume.looked-at=stop")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = rustix::process::Pid::from_raw(opening.id().try_into().unwrap()).unwrap();
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::UNTRACED).unwrap();
        bulk_job(&f, 0);
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(opening.stdout.as_mut().unwrap(), &mut said).unwrap();
        opening.wait().unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        for volume in said["volumes"].as_array().unwrap() {
            assert_eq!(volume["state"], "ok", "{volume}");
        }
    }
}
