//! SIGKILL, EIO and ENOSPC at every named failure point that a put, a removal, a repair and a change
//! of the layout pass: nothing acknowledged is lost, nothing is claimed that is not so, and doing it
//! again (or resuming it) ends where the undisturbed run does.
//!
//! The points are those that an undisturbed run reports, so a new one is covered by being passed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::{Value, json};
use support::{Fixture, Run};

const NAMES: usize = 4;

fn name(n: usize) -> String {
    format!("doc-{n}")
}

/// A store that can be copied to anywhere: its configuration names directories relative to itself.
fn prepared(partitions: usize) -> Fixture {
    let f = Fixture::grid(partitions, 3);
    for n in 0..NAMES {
        for text in ["first", "second"] {
            f.run(&["put", &name(n), "--text", text]).exits(0);
        }
    }
    let file = f.path("maifdeck.toml");
    let text = fs::read_to_string(&file).unwrap();
    let prefix = format!("{}/", f.directory.path().display());
    fs::write(&file, text.replace(&prefix, "")).unwrap();
    f
}

fn copy_of(template: &Fixture) -> Fixture {
    let f = Fixture::empty();
    let copied = Command::new("cp")
        .args(["-a", "--"])
        .arg(template.path("."))
        .arg(f.path("."))
        .status()
        .unwrap();
    assert!(copied.success());
    f
}

/// Every point that the command passes when nothing fails, with how often.
fn passages(template: &Fixture, command: &[&str]) -> (Fixture, BTreeMap<String, usize>) {
    let f = copy_of(template);
    let log = f.path("points");
    let run = f
        .command(command)
        .env("MAIFDECK_FAULT_LOG", &log)
        .output()
        .unwrap();
    Run::from(run).exits(0);
    let mut points = BTreeMap::new();
    for point in fs::read_to_string(&log).unwrap().lines() {
        *points.entry(point.to_owned()).or_default() += 1;
    }
    fs::remove_file(&log).unwrap();
    (f, points)
}

/// What the store holds, every byte read: states, generations, digests, histories. No times.
fn contents(f: &Fixture) -> Value {
    let survey = f.run(&["survey", "--level", "deep", "--json"]).json();
    let mut artifacts = BTreeMap::new();
    for artifact in survey["artifacts"].as_array().unwrap() {
        let name = artifact["name"].as_str().unwrap();
        let copies = artifact["copies"].as_array().unwrap().iter();
        let copies: Vec<Value> = copies
            .map(|c| json!([c["volume"], c["state"], c["generation"], c["sha256"]]))
            .collect();
        let versions = f.run(&["versions", name, "--json"]).exits(0).json();
        let versions = versions["versions"].as_array().unwrap().iter();
        let versions: Vec<Value> = versions
            .map(|v| json!([v["sha256"], v["removed"], v["volumes"]]))
            .collect();
        artifacts.insert(
            name.to_owned(),
            json!([artifact["partition"], copies, versions]),
        );
    }
    let partitions = f.run(&["partitions", "--json"]).json();
    let partitions = partitions["partitions"].as_array().unwrap().iter();
    let partitions: Vec<Value> = partitions
        .map(|p| json!([p["name"], p["artifacts"], p["misplaced"]]))
        .collect();
    json!([artifacts, partitions])
}

fn text(f: &Fixture, name: &str) -> Option<String> {
    let run = f.run(&["inspect", name, "--text", "--json"]);
    let text = || run.json()["texts"][0].as_str().unwrap().to_owned();
    (run.code == Some(0)).then(text)
}

fn staged(f: &Fixture) -> usize {
    walkdir::WalkDir::new(f.directory.path())
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| {
            let in_tmp = entry
                .path()
                .parent()
                .is_some_and(|p| p.ends_with(".maifdeck/tmp"));
            entry.file_type().is_file() && in_tmp
        })
        .count()
}

/// How a disturbed run may end: by the signal; or with an exit code that is not a crash.
fn is_proper(what: &str, run: &Run) -> bool {
    match what {
        "kill" => run.code.is_none(),
        _ => matches!(run.code, Some(0 | 4 | 5)),
    }
}

/// Runs `command` once for each point and kind of fault, at its first or its last passage; killed at
/// both.
fn disturb(
    template: &Fixture,
    command: &[&str],
    expected: &[&str],
    check: impl Fn(&Fixture, &Run, &str),
) -> Fixture {
    let (undisturbed, points) = passages(template, command);
    for point in expected {
        assert!(
            points.contains_key(*point),
            "{point} is not among {points:?}"
        );
    }
    for (point, passed) in &points {
        for (what, passages) in [
            ("kill", vec![1, *passed]),
            ("eio", vec![*passed]),
            ("enospc", vec![1]),
        ] {
            for passage in std::collections::BTreeSet::from_iter(passages) {
                let fault = format!("{point}={what}@{passage}");
                let f = copy_of(template);
                let run = f.command(command).env("MAIFDECK_FAULT", &fault).output();
                let run = Run::from(run.unwrap());
                assert!(is_proper(what, &run), "{fault}: {run:?}");
                if what != "kill" {
                    assert_eq!(staged(&f), 0, "{fault}: what was staged stays: {run:?}");
                }
                check(&f, &run, &fault);
            }
        }
    }
    undisturbed
}

#[test]
fn a_put_that_fails_anywhere_loses_nothing_and_says_how_it_ended() {
    let template = prepared(1);
    let put = ["put", "doc-0", "--text", "third", "--json"];
    let expected = [
        "stage.written",
        "archive.linked",
        "publish.renamed",
        "publish.synced",
    ];
    disturb(&template, &put, &expected, |f, run, fault| {
        let now = text(f, "doc-0").unwrap();
        let kind = run.code.map(|_| run.json()["error"]["kind"].clone());
        match (run.code, kind) {
            (Some(0), _) | (Some(4), Some(Value::Null)) => assert_eq!(now, "third", "{fault}"),
            (Some(5), _) => assert_eq!(now, "second", "{fault}: {run:?}"),
            _ => assert!(now == "second" || now == "third", "{fault}: {now}"),
        }
        settles(f, fault);
        assert_eq!(text(f, "doc-0").unwrap(), now, "{fault}");
        f.run(&["put", "doc-0", "--text", "fourth"]).exits(0);
        assert_eq!(text(f, "doc-0").unwrap(), "fourth");
        keeps(f, &["first", "second"], fault);
    });
}

#[test]
fn a_removal_that_fails_anywhere_loses_nothing_and_says_how_it_ended() {
    let template = prepared(1);
    let remove = ["rm", "doc-0", "--yes", "--json"];
    let expected = [
        "stage.written",
        "remove.before-mark",
        "remove.marked",
        "remove.unlinked",
    ];
    disturb(&template, &remove, &expected, |f, run, fault| {
        let now = text(f, "doc-0");
        match run.code {
            Some(0) => assert_eq!(now, None, "{fault}"),
            Some(5) => assert_eq!(now.as_deref(), Some("second"), "{fault}: {run:?}"),
            _ => assert!(now.is_none_or(|now| now == "second"), "{fault}"),
        }
        settles(f, fault);
        keeps(f, &["first"], fault);
        f.run(&["put", "doc-0", "--text", "again"]).exits(0);
        keeps(f, &["first", "second"], fault);
    });
}

/// Both disks that would make a quorum are full: nothing becomes visible anywhere.
#[test]
fn a_change_without_a_quorum_of_disks_with_room_leaves_no_trace() {
    let template = prepared(1);
    for (command, point) in [
        (
            ["put", "doc-0", "--text", "third", "--json"],
            "stage.written",
        ),
        (
            ["put", "doc-0", "--text", "third", "--json"],
            "archive.linked",
        ),
        (["rm", "doc-0", "--yes", "-q", "--json"], "stage.written"),
        (["rm", "doc-0", "--yes", "-q", "--json"], "archive.linked"),
    ] {
        let f = copy_of(&template);
        let before = contents(&f);
        let fault = format!("{point}=enospc@2+");
        let run = f.command(&command).env("MAIFDECK_FAULT", &fault).output();
        let run = Run::from(run.unwrap()).exits(5);
        assert_eq!(run.json()["error"]["kind"], "no_quorum", "{fault}");
        assert_eq!(contents(&f), before, "{fault}");
        assert_eq!(staged(&f), 0, "{fault}");
    }
}

#[test]
fn a_repair_that_fails_anywhere_ends_where_the_undisturbed_one_does() {
    let template = prepared(1);
    // Behind, damaged, missing, without its history; and one that is removed, but not here.
    for n in 0..NAMES {
        let copy = template.path(&format!("b/p1/{}.maif", name(n)));
        match n {
            0 => fs::remove_file(&copy).unwrap(),
            1 => {
                let mut bytes = fs::read(&copy).unwrap();
                bytes[444 + 372] ^= 1;
                fs::write(&copy, bytes).unwrap();
            }
            _ => {}
        }
    }
    let away = |from: &str, to: &str| fs::rename(template.path(from), template.path(to)).unwrap();
    away("b/p1", "b-away");
    template.run(&["put", "doc-2", "--text", "third"]).exits(4);
    template.run(&["rm", "doc-3", "--yes"]).exits(4);
    away("b-away", "b/p1");
    for version in fs::read_dir(template.path("c/p1/versions")).unwrap() {
        let path = version.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("doc-0")
        {
            fs::remove_file(path).unwrap();
        }
    }
    let repair = ["replicas", "repair", "--yes", "--json"];
    let expected = [
        "apply.journalled",
        "batch.sync",
        "publish.renamed",
        "apply.batch-done",
    ];
    let end = contents(&passages(&template, &repair).0);
    disturb(&template, &repair, &expected, |f, run, fault| {
        for (n, wanted) in [(0, "second"), (1, "second"), (2, "third")] {
            assert_eq!(text(f, &name(n)).as_deref(), Some(wanted), "{fault}");
        }
        assert_eq!(text(f, "doc-3"), None, "{fault}");
        let done = goes_on(f);
        if !done {
            f.run(&repair).exits(0);
        }
        assert_eq!(contents(f), end, "{fault}: {run:?}");
    });
}

#[test]
fn a_change_of_the_layout_that_fails_anywhere_ends_where_the_undisturbed_one_does() {
    let template = prepared(2);
    template.run(&["rm", "doc-3", "--yes"]).exits(0);
    let add = ["partitions", "add", "p3=a/p3,b/p3,c/p3", "--yes", "--json"];
    let expected = [
        "layout.raised",
        "layout.configured",
        "remove.unlinked",
        "layout.sealed",
    ];
    let end = contents(&passages(&template, &add).0);
    disturb(&template, &add, &expected, |f, run, fault| {
        // Refused until the configuration names the new layout, or right.
        for n in 0..NAMES - 1 {
            let read = f.run(&["inspect", &name(n), "--text", "--json"]);
            match read.code {
                Some(0) => assert_eq!(read.json()["texts"][0], "second", "{fault}"),
                code => assert_eq!(code, Some(3), "{fault}: {read:?}"),
            }
        }
        if !goes_on(f) {
            let partitions = f.run(&["partitions", "--json"]).json();
            match partitions["partitions"].as_array().map(Vec::len) {
                Some(3) => f.run(&["partitions", "rebalance", "--yes"]).exits(0),
                _ => f.run(&add).exits(0),
            };
        }
        // What one disk failed to take is for a repair.
        f.run(&["replicas", "repair", "--yes"]).exits(0);
        assert_eq!(contents(f), end, "{fault}: {run:?}");
    });
}

/// Resumes the newest job when it was interrupted; whether it was.
fn goes_on(f: &Fixture) -> bool {
    let jobs = f.run(&["jobs", "--json"]).json();
    let Some(job) = jobs["jobs"]
        .get(0)
        .filter(|job| job["state"] == "interrupted")
    else {
        return false;
    };
    f.run(&["jobs", "resume", job["id"].as_str().unwrap()])
        .exits(0);
    true
}

/// A repair makes all copies and histories equal.
fn settles(f: &Fixture, fault: &str) {
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    let survey = f.run(&["survey", "--level", "deep", "--json"]).json();
    let summary = &survey["summary"];
    let all = survey["artifacts"].as_array().unwrap().len();
    assert_eq!(summary["ok"], all, "{fault}: {survey}");
}

/// These texts are in the history of `doc-0`.
fn keeps(f: &Fixture, texts: &[&str], fault: &str) {
    let versions = f.run(&["versions", "doc-0", "--json"]).exits(0).json();
    let versions = versions["versions"].as_array().unwrap().iter();
    let kept: Vec<String> = versions
        .filter(|version| version["removed"] != true)
        .map(|version| {
            let id = version["id"].as_str().unwrap();
            let run = f.run(&["inspect", "doc-0", "--version", id, "--text", "--json"]);
            run.exits(0).json()["texts"][0].as_str().unwrap().to_owned()
        })
        .collect();
    for text in texts {
        assert!(
            kept.iter().any(|k| k == text),
            "{fault}: {text} is not in {kept:?}"
        );
    }
}
