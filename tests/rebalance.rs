//! Changing the layout: artifacts stay readable and writable, histories go along, and a cut at any
//! point is taken up again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use support::Fixture;

const NAMES: usize = 24;

fn name(n: usize) -> String {
    format!("artifact-{n}")
}

/// Partitions × 2 replicas, each artifact with a history, one removed.
fn store(partitions: usize, placement: &str) -> Fixture {
    let f = Fixture::empty();
    let mut arguments = Vec::new();
    for p in 1..=partitions {
        let at = |disk: &str| f.path(&format!("{disk}/p{p}")).display().to_string();
        arguments.push("--partition".to_owned());
        arguments.push(format!("p{p}={},{}", at("a"), at("b")));
    }
    arguments.extend(["--placement".to_owned(), placement.to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    f.init(&arguments);
    for n in 0..NAMES {
        f.run(&["put", &name(n), "--text", &format!("{n} first")])
            .exits(0);
        f.run(&["put", &name(n), "--text", &format!("{n} second")])
            .exits(0);
    }
    f.run(&["rm", &name(0), "--yes"]).exits(0);
    f
}

fn new_partition(f: &Fixture, partition: &str) -> String {
    let at = |disk: &str| f.path(&format!("{disk}/{partition}")).display().to_string();
    format!("{partition}={},{}", at("a"), at("b"))
}

fn text(f: &Fixture, name: &str) -> String {
    let inspected = f.run(&["inspect", name, "--text", "--json"]).exits(0);
    inspected.json()["texts"][0].as_str().unwrap().to_owned()
}

/// Everything is there, whole, at home and nowhere else, on both replicas.
fn is_whole(f: &Fixture, changed: &BTreeSet<usize>) {
    let survey = f
        .run(&["replicas", "--level", "deep", "--json"])
        .exits(0)
        .json();
    assert_eq!(survey["summary"]["ok"], NAMES - 1, "{}", survey["findings"]);
    for n in 1..NAMES {
        let expected = if changed.contains(&n) {
            "changed"
        } else {
            "second"
        };
        assert_eq!(text(f, &name(n)), format!("{n} {expected}"));
        let versions = f.run(&["versions", &name(n), "--json"]).exits(0).json();
        let kept = 1 + usize::from(changed.contains(&n));
        assert_eq!(
            versions["versions"].as_array().unwrap().len(),
            kept,
            "{n}: {versions}"
        );
    }
    f.run(&["get", &name(0)]).exits(5);
    let partitions = f.run(&["partitions", "--json"]).json();
    for partition in partitions["partitions"].as_array().unwrap() {
        assert_eq!(partition["misplaced"], 0, "{partition}");
        let held: Vec<&Value> = partition["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|volume| &volume["artifacts"])
            .collect();
        assert!(
            held.iter().all(|count| **count == partition["artifacts"]),
            "{partition}"
        );
    }
}

fn interrupted(f: &Fixture) -> String {
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    assert_eq!(jobs["jobs"][0]["state"], "interrupted", "{jobs}");
    jobs["jobs"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_new_partition_takes_its_share_with_histories_and_removals() {
    for placement in ["md5-modulo", "rendezvous"] {
        let f = store(3, placement);
        fs::copy(f.path("maifdeck.toml"), f.path("old.toml")).unwrap();
        let added = new_partition(&f, "p4");
        let plan = f.run(&["partitions", "add", &added, "--dry-run", "--json"]);
        let plan = plan.exits(0).json();
        let shares = plan["plan"]["shares"].as_array().unwrap();
        assert_eq!(shares.len(), 4);
        assert_eq!(shares[3]["before"], 0);
        assert!(!f.path("a/p4").exists(), "a plan changes nothing");
        f.run(&["partitions", "add", &added]).exits(3);
        f.run(&["partitions", "add", &added, "--yes"]).exits(0);
        let listed = f.run(&["partitions", "--json"]).json();
        assert_eq!(listed["partitions"][3]["artifacts"], shares[3]["after"]);
        is_whole(&f, &BTreeSet::new());
        // A host that still has the old layout is refused, with words.
        let refused = f
            .run(&["--config", "old.toml", "put", "x", "--text", "x"])
            .exits(3);
        assert!(
            refused.stderr.contains("p1×2, p2×2, p3×2, p4×2"),
            "{}",
            refused.stderr
        );
        f.run(&["--config", "old.toml", "get", &name(1)]).exits(3);
    }
}

#[test]
fn a_partition_is_drained_and_leaves() {
    for placement in ["md5-modulo", "rendezvous"] {
        let f = store(3, placement);
        f.run(&["partitions", "remove", "p2", "--yes"]).exits(2);
        f.run(&["partitions", "drain", "p2", "--yes"]).exits(0);
        let listed = f.run(&["partitions", "--json"]).json();
        assert_eq!(listed["partitions"][1]["state"], "draining");
        assert_eq!(listed["partitions"][1]["artifacts"], 0);
        is_whole(&f, &BTreeSet::new());
        f.run(&["partitions", "remove", "p2", "--yes"]).exits(0);
        let listed = f.run(&["partitions", "--json"]).json();
        assert_eq!(listed["partitions"].as_array().unwrap().len(), 2);
        is_whole(&f, &BTreeSet::new());
    }
}

#[test]
fn a_cut_anywhere_leaves_everything_readable_and_writable_and_is_taken_up_again() {
    for point in [
        "layout.raised=kill@1",
        "layout.raised=kill@3",
        "layout.raised=kill@4",
        "layout.configured=kill",
        "stage.written=kill@9",
        "publish.renamed=kill@3",
        "archive.synced=kill@2",
        "remove.unlinked=kill@2",
        "apply.batch-done=kill",
        "layout.sealed=kill@2",
    ] {
        let f = store(2, "rendezvous");
        let added = new_partition(&f, "p3");
        let killed = f
            .command(&["partitions", "add", &added, "--yes"])
            .env("MAIFDECK_FAULT", point)
            .output()
            .unwrap();
        assert_eq!(killed.status.code(), None, "{point} was not passed");
        let id = interrupted(&f);
        let mut changed = BTreeSet::new();
        // Until the configuration names the new layout, it is refused or works by the old one.
        if f.run(&["get", &name(1)]).code == Some(0) {
            for n in 1..NAMES {
                assert_eq!(text(&f, &name(n)), format!("{n} second"), "{point}");
            }
            for n in [5, 6] {
                let put = f.run(&["put", &name(n), "--text", &format!("{n} changed")]);
                assert_eq!(put.code, Some(0), "{point}: {}", put.stderr);
            }
            changed = BTreeSet::from([5, 6]);
        }
        let resumed = f.run(&["jobs", "resume", &id]);
        assert_eq!(
            resumed.code,
            Some(0),
            "{point}: {} {}",
            resumed.text(),
            resumed.stderr
        );
        is_whole(&f, &changed);
        let jobs = f.run(&["jobs", "--json"]).exits(0).json();
        assert_eq!(jobs["jobs"][0]["state"], "done", "{point}");
    }
}

#[test]
fn a_failing_disk_leaves_the_change_open_until_a_rebalance_ends_it() {
    for fault in ["publish.before-rename=eio@2", "stage.written=enospc@5"] {
        let f = store(2, "md5-modulo");
        let added = new_partition(&f, "p3");
        let failed = f
            .command(&["partitions", "add", &added, "--yes"])
            .env("MAIFDECK_FAULT", fault)
            .output()
            .unwrap();
        support::Run::from(failed).exits(4);
        for n in 1..NAMES {
            assert_eq!(text(&f, &name(n)), format!("{n} second"), "{fault}");
        }
        f.run(&["partitions", "add", &new_partition(&f, "p4"), "--yes"])
            .exits(2);
        f.run(&["partitions", "rebalance", "--yes"]).exits(0);
        is_whole(&f, &BTreeSet::new());
    }
}

#[test]
fn a_write_of_what_lies_elsewhere_brings_it_home_first() {
    let f = store(2, "md5-modulo");
    let survey = f.run(&["replicas", &name(3), "--json"]).exits(0).json();
    let home = survey["artifacts"][0]["partition"]
        .as_str()
        .unwrap()
        .to_owned();
    let away = if home == "p1" { "p2" } else { "p1" };
    for disk in ["a", "b"] {
        let file = format!("{}.maif", name(3));
        let (from, to) = (
            format!("{disk}/{home}/{file}"),
            format!("{disk}/{away}/{file}"),
        );
        fs::rename(f.path(&from), f.path(&to)).unwrap();
        for entry in fs::read_dir(f.path(&format!("{disk}/{home}/versions"))).unwrap() {
            let entry = entry.unwrap();
            let version = entry.file_name().into_string().unwrap();
            if version.starts_with(&format!("{}_", name(3))) {
                let to = f.path(&format!("{disk}/{away}/versions/{version}"));
                fs::rename(entry.path(), to).unwrap();
            }
        }
    }
    assert_eq!(text(&f, &name(3)), "3 second");
    let put = f
        .run(&["put", &name(3), "--text", "3 changed", "--json"])
        .exits(0);
    assert_eq!(put.json()["generation"], 3);
    is_whole(&f, &BTreeSet::from([3]));
}

#[test]
fn the_placement_changes_and_no_plan_fills_beyond_the_limit() {
    let f = store(3, "md5-modulo");
    f.run(&[
        "partitions",
        "rebalance",
        "--placement",
        "sideways",
        "--yes",
    ])
    .exits(2);
    f.run(&[
        "partitions",
        "rebalance",
        "--placement",
        "rendezvous",
        "--yes",
    ])
    .exits(0);
    assert_eq!(
        f.run(&["partitions", "--json"]).json()["placement"],
        "rendezvous"
    );
    is_whole(&f, &BTreeSet::new());
    // Nothing is left to do.
    let plan = f
        .run(&["partitions", "rebalance", "--dry-run", "--json"])
        .exits(0)
        .json();
    assert_eq!(plan["steps"], json!([]));
    let file = f.path("maifdeck.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("max_fill = 100", "max_fill = 1")).unwrap();
    let refused = f
        .run(&["partitions", "add", &new_partition(&f, "p4"), "--yes"])
        .exits(2);
    assert!(refused.stderr.contains("max_fill"), "{}", refused.stderr);
}

#[test]
fn an_edited_configuration_becomes_the_layout_by_a_plan() {
    let f = store(2, "md5-modulo");
    let file = f.path("maifdeck.toml");
    let before = fs::read_to_string(&file).unwrap();
    let third = before.replace(
        "/b/p1\"]",
        &format!("/b/p1\", \"{}\"]", f.path("c/p1").display()),
    );
    fs::write(&file, &third).unwrap();
    let refused = f.run(&["put", &name(1), "--text", "x"]).exits(3);
    assert!(
        refused.stderr.contains("config apply"),
        "{}",
        refused.stderr
    );
    f.run(&["config", "apply", "--yes"]).exits(0);
    // A new replica of an old partition joins, and a repair makes it equal.
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    is_whole(&f, &BTreeSet::new());
    // A partition that holds artifacts cannot vanish by it.
    let without = third.find("[[partition]]\nname = \"p2\"").unwrap();
    fs::write(&file, &third[..without]).unwrap();
    let refused = f.run(&["config", "apply", "--yes"]).exits(2);
    assert!(refused.stderr.contains("p2"), "{}", refused.stderr);
}

/// A version that rotted on the first replica alone: the move takes it from where it is whole.
#[test]
fn a_move_takes_every_version_from_where_it_is_whole() {
    let f = store(2, "md5-modulo");
    // Disk a's versions of the first put all rot.
    for partition in ["p1", "p2"] {
        let Ok(versions) = fs::read_dir(f.path(&format!("a/{partition}/versions"))) else {
            continue;
        };
        for version in versions {
            let path = version.unwrap().path();
            if path.extension().is_some_and(|e| e == "removed") {
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            bytes[444 + 372] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    f.run(&["partitions", "add", &new_partition(&f, "p3"), "--yes"])
        .exits(0);
    let survey = f.run(&["partitions", "--json"]).json();
    assert!(survey["partitions"][2]["artifacts"].as_u64().unwrap() > 0);
    let moved = fs::read_dir(f.path("a/p3/versions")).unwrap();
    let moved: Vec<_> = moved.map(|entry| entry.unwrap().path()).collect();
    let copies = moved
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "maif"));
    assert!(copies.clone().count() > 0);
    for path in copies {
        f.run(&["verify", path.to_str().unwrap()]).exits(0);
    }
}

/// Nobody can move what cannot be seen, and a layout that most volumes miss is none.
#[test]
fn the_layout_changes_only_while_enough_volumes_answer() {
    let f = store(2, "md5-modulo");
    let away = |volume: &str| {
        let aside = f.path(&volume.replace('/', "-"));
        fs::rename(f.path(volume), aside).unwrap();
    };
    away("a/p2");
    away("b/p2");
    let before = support::tree(f.directory.path());
    let added = new_partition(&f, "p3");
    let refused = f
        .run(&["partitions", "add", &added, "--yes", "--json"])
        .exits(5);
    assert_eq!(refused.json()["error"]["kind"], "no_quorum");
    f.run(&["partitions", "drain", "p1", "--yes"]).exits(5);
    assert_eq!(support::tree(f.directory.path()), before);
    // A plan that was made before is held to the same.
    for volume in ["a/p2", "b/p2"] {
        fs::rename(f.path(&volume.replace('/', "-")), f.path(volume)).unwrap();
    }
    let plan = f.run(&["partitions", "add", &added, "--dry-run", "--json"]);
    fs::write(f.path("plan.json"), &plan.exits(0).stdout).unwrap();
    away("a/p2");
    away("b/p2");
    f.run(&["apply", "plan.json", "--yes"]).exits(5);
    assert!(!f.path("a/p3").exists());
    for volume in ["a/p2", "b/p2"] {
        fs::rename(f.path(&volume.replace('/', "-")), f.path(volume)).unwrap();
    }
    f.run(&["partitions", "add", &added, "--yes"]).exits(0);
    is_whole(&f, &BTreeSet::new());
}

/// Its volumes count at once, so what lies there would outvote what was acknowledged.
#[test]
fn a_new_partition_begins_empty() {
    let f = store(2, "md5-modulo");
    fs::create_dir_all(f.path("a/p3")).unwrap();
    let old = ["p1", "p2"].map(|p| f.path(&format!("a/{p}/artifact-1.maif")));
    let old = old.iter().find(|path| path.exists()).unwrap();
    fs::copy(old, f.path("a/p3/artifact-1.maif")).unwrap();
    let added = new_partition(&f, "p3");
    let refused = f.run(&["partitions", "add", &added, "--yes"]).exits(3);
    assert!(
        refused.stderr.contains("begins empty"),
        "{}",
        refused.stderr
    );
    assert!(!f.path("a/p3/.maifdeck").exists());
    // Also when it was filled after the plan was made.
    fs::remove_file(f.path("a/p3/artifact-1.maif")).unwrap();
    let plan = f.run(&["partitions", "add", &added, "--dry-run", "--json"]);
    fs::write(f.path("plan.json"), &plan.exits(0).stdout).unwrap();
    fs::copy(old, f.path("a/p3/artifact-1.maif")).unwrap();
    f.run(&["apply", "plan.json", "--yes"]).exits(3);
    fs::remove_file(f.path("a/p3/artifact-1.maif")).unwrap();
    f.run(&["partitions", "add", &added, "--yes"]).exits(0);
    is_whole(&f, &BTreeSet::new());
}

#[test]
fn a_plan_says_how_n_changes_even_when_nothing_moves() {
    let f = Fixture::grid(2, 1);
    let added = format!("p3={}", f.path("a/p3").display());
    let plan = f.run(&["partitions", "add", &added, "--dry-run"]).exits(0);
    for words in ["changes N from 2 to 3", "must be stopped"] {
        assert!(plan.stderr.contains(words), "{}", plan.stderr);
    }
}

#[test]
fn a_replica_is_not_dropped_by_an_edited_configuration() {
    let f = Fixture::grid(1, 3);
    let file = f.path("maifdeck.toml");
    let text = fs::read_to_string(&file).unwrap();
    let path = format!(", \"{}\"", f.path("c/p1").display());
    assert!(text.contains(&path), "{text}");
    fs::write(&file, text.replace(&path, "")).unwrap();
    let refused = f.run(&["config", "apply", "--yes"]).exits(2);
    assert!(
        refused.stderr.contains("volume replace"),
        "{}",
        refused.stderr
    );
}

/// A change that was cut off goes on as a plan of its own: what no copy tells of moves too.
#[test]
fn histories_and_removals_come_home_when_a_change_is_ended_by_another_plan() {
    let f = store(2, "md5-modulo");
    let added = new_partition(&f, "p3");
    let killed = f
        .command(&["partitions", "add", &added, "--yes"])
        .env("MAIFDECK_FAULT", "layout.configured=kill")
        .output()
        .unwrap();
    assert_eq!(killed.status.code(), None);
    // The removed one is not lost meanwhile.
    let survey = f.run(&["replicas", "--json"]).json();
    assert_eq!(survey["summary"]["lost"], 0, "{}", survey["findings"]);
    f.run(&["partitions", "rebalance", "--yes"]).exits(0);
    is_whole(&f, &BTreeSet::new());
    let survey = f.run(&["versions", &name(0), "--json"]).exits(0).json();
    let versions = survey["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 3, "{survey}");
    for version in versions {
        assert_eq!(version["volumes"], 2, "{survey}");
    }
    // All that is left of it is at one partition.
    let holds = |partition: &&&str| {
        let versions = fs::read_dir(f.path(&format!("a/{partition}/versions")));
        versions.is_ok_and(|mut v| {
            v.any(|v| {
                v.unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with("artifact-0_")
            })
        })
    };
    assert_eq!(["p1", "p2", "p3"].iter().filter(holds).count(), 1);
    f.run(&["put", &name(0), "--text", "again"]).exits(0);
    let put = f.run(&["replicas", &name(0), "--json"]).exits(0).json();
    assert_eq!(put["artifacts"][0]["reference"]["generation"], 4);
}

/// An old copy that was left where the artifact is going would be taken for the right one.
#[test]
fn a_partition_is_no_home_again_while_an_old_copy_was_left_there() {
    let f = store(2, "rendezvous");
    let home = |f: &Fixture| {
        let survey = f.run(&["replicas", &name(1), "--json"]).json();
        survey["artifacts"][0]["partition"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let old = home(&f);
    let file = format!("{}.maif", name(1));
    let left = f.path(&format!("b/{old}/{file}"));
    let aside = f.path("aside.maif");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&left, &aside])
        .status();
    assert!(copied.unwrap().success());
    let before = fs::read_to_string(f.path("maifdeck.toml")).unwrap();
    f.run(&["partitions", "drain", &old, "--yes"]).exits(0);
    f.run(&["put", &name(1), "--text", "1 changed"]).exits(0);
    fs::rename(&aside, &left).unwrap();
    // Back to the old weights.
    fs::write(f.path("maifdeck.toml"), before).unwrap();
    let refused = f.run(&["config", "apply", "--yes"]).exits(2);
    assert!(
        refused.stderr.contains("replicas repair"),
        "{}",
        refused.stderr
    );
}
