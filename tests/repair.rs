//! Repair and restore: plans that are shown, confirmed, applied as they were shown, and resumed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Fixture, files};

fn flip(f: &Fixture, copy: &str) {
    let path = f.path(copy);
    let mut bytes = fs::read(&path).unwrap();
    bytes[444 + 372] ^= 1;
    fs::write(&path, &bytes).unwrap();
}

fn demo() -> (Fixture, Value) {
    let f = Fixture::empty();
    let built = f
        .run(&[
            "demo",
            "play",
            "--artifacts",
            "40",
            "--no-console",
            "--json",
        ])
        .exits(0)
        .json();
    fs::copy(f.path("play/maifdeck.toml"), f.path("maifdeck.toml")).unwrap();
    (f, built)
}

fn planted(built: &Value, what: &str) -> String {
    built["planted"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["what"].as_str().unwrap().contains(what))
        .unwrap()["subject"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn states(f: &Fixture) -> Value {
    f.run(&["survey", "--level", "deep", "--json"]).json()["summary"].clone()
}

#[test]
fn repair_mends_what_can_be_mended_and_names_what_is_left() {
    let (f, built) = demo();
    let before = files(&f.path("play"));
    let plan = f
        .run(&["replicas", "repair", "--dry-run", "--json"])
        .exits(0)
        .json();
    assert_eq!(
        files(&f.path("play")),
        before,
        "a dry run changed something"
    );
    let skipped = plan["plan"]["skipped"].to_string();
    assert!(
        skipped.contains(&planted(&built, "two contents")),
        "{skipped}"
    );
    assert!(
        skipped.contains(&planted(&built, "no intact copy")),
        "{skipped}"
    );
    assert!(skipped.contains("the volume cannot be used"), "{skipped}");
    f.run(&["replicas", "repair"]).exits(3);
    let job = f
        .run(&["replicas", "repair", "--yes", "--json"])
        .exits(4)
        .json();
    assert_eq!(job["job"]["state"], "done");
    let summary = states(&f);
    assert_eq!(
        (&summary["corrupt"], &summary["misplaced"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(
        (&summary["lost"], &summary["divergent"]),
        (&json!(1), &json!(1))
    );
    // Repairing again finds nothing more to do.
    let again = f
        .run(&["replicas", "repair", "--dry-run", "--json"])
        .exits(0)
        .json();
    assert_eq!(again["plan"]["steps"], 0, "{again}");
}

#[test]
fn the_operator_decides_a_divergence_and_both_contents_stay() {
    let (f, built) = demo();
    let name = planted(&built, "two contents");
    let artifact = &f.run(&["replicas", &name, "--json"]).json()["artifacts"][0];
    let divergent: Vec<String> = artifact["copies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["state"] == "divergent")
        .map(|c| c["volume"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(divergent.len(), 2);
    // Its copy that is missing is not told with a remedy that does not help.
    let findings = f.run(&["status", "--json"]).exits(1).json()["findings"].take();
    let mut findings = findings.as_array().unwrap().iter();
    let missing = findings
        .find(|finding| finding["kind"] == "missing")
        .unwrap();
    let alone = planted(&built, "no copy on");
    assert_eq!(
        missing["remedy"],
        format!("maifdeck replicas repair {alone}").as_str()
    );
    // Nothing is served while nobody knows which is right.
    f.run(&["get", &name]).exits(5);
    f.run(&[
        "replicas",
        "repair",
        &name,
        "--prefer",
        &divergent[1],
        "--yes",
    ])
    .exits(0);
    f.run(&["replicas", "repair", &name, "--yes"]).exits(0);
    let after = f
        .run(&["replicas", &name, "--level", "deep", "--json"])
        .exits(0)
        .json();
    assert_eq!(after["artifacts"][0]["state"], "ok");
    let versions = f.run(&["versions", &name, "--json"]).exits(0).json();
    let mut digests: Vec<&str> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["sha256"].as_str().unwrap())
        .collect();
    digests.sort_unstable();
    digests.dedup();
    assert!(digests.len() >= 2, "{versions}");
}

#[test]
fn a_version_comes_back_in_place_and_aside() {
    let f = Fixture::grid(2, 3);
    for text in ["one", "two", "three"] {
        f.run(&["put", "doc", "--text", text]).exits(0);
    }
    let versions = f.run(&["versions", "doc", "--json"]).exits(0).json();
    let oldest = versions["versions"][1]["id"].as_str().unwrap().to_owned();
    f.run(&["versions", "restore", "doc", &oldest, "--yes"])
        .exits(0);
    f.run(&[
        "versions", "restore", "doc", &oldest, "--as", "copy", "--yes",
    ])
    .exits(0);
    for name in ["doc", "copy"] {
        let inspected = f
            .run(&["inspect", name, "--text", "--json"])
            .exits(0)
            .json();
        assert_eq!(inspected["texts"], json!(["one"]));
    }
    // What was current is in the history.
    assert_eq!(
        f.run(&["versions", "doc", "--json"]).json()["versions"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    f.run(&["versions", "restore", "doc", "20200101_000000", "--yes"])
        .exits(5);
    f.run(&["versions", "restore", "doc", "soon", "--yes"])
        .exits(2);
}

#[test]
fn what_runs_is_the_plan_that_was_shown() {
    let f = Fixture::grid(1, 3);
    for name in ["a", "b"] {
        f.run(&["put", name, "--text", "x"]).exits(0);
        flip(&f, &format!("b/p1/{name}.maif"));
    }
    let plan = f
        .run(&["replicas", "repair", "--dry-run", "--json"])
        .exits(0);
    fs::write(f.path("plan.json"), &plan.stdout).unwrap();
    // The store moves on: one artifact is saved anew before the plan runs.
    f.run(&["put", "a", "--text", "y"]).exits(0);
    let job = f
        .run(&["apply", "plan.json", "--yes", "--json"])
        .exits(4)
        .json();
    assert_eq!(job["job"]["steps_done"], 1);
    assert!(
        job["job"]["errors"][0]
            .as_str()
            .unwrap()
            .contains("changed since planned")
    );
    let inspected = f.run(&["inspect", "a", "--text", "--json"]).exits(0).json();
    assert_eq!(inspected["texts"], json!(["y"]));
    // A plan that was edited is none.
    let edited = String::from_utf8(plan.stdout)
        .unwrap()
        .replace("\"to\":\"p1.2\"", "\"to\":\"p1.3\"");
    fs::write(f.path("edited.json"), edited).unwrap();
    f.run(&["apply", "edited.json", "--yes"]).exits(2);
}

#[test]
fn a_killed_repair_is_interrupted_and_resumes_to_the_same_end() {
    for point in [
        "apply.journalled=kill",
        "stage.written=kill@3",
        "batch.sync=kill",
        "publish.before-rename=kill@2",
        "publish.renamed=kill@4",
        "publish.synced=kill",
        "apply.batch-done=kill",
    ] {
        let f = damaged_in_b();
        let killed = f
            .command(&["replicas", "repair", "--yes"])
            .env("MAIFDECK_FAULT", point)
            .output()
            .unwrap();
        assert_eq!(killed.status.code(), None, "{point} was not passed");
        let jobs = f.run(&["jobs", "--json"]).exits(0).json();
        assert_eq!(jobs["jobs"][0]["state"], "interrupted");
        let id = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
        f.run(&["jobs", "resume", &id, "--yes"]).exits(0);
        let jobs = f.run(&["jobs", "--json"]).exits(0).json();
        assert_eq!(jobs["jobs"][0]["state"], "done", "{point}");
        assert_eq!(states(&f)["ok"], 4, "{point}");
        f.run(&["jobs", "resume", &id]).exits(2);
        // The damaged copies wait in the trash; nothing was destroyed.
        assert!(in_trash(&f) >= 4, "{point}");
    }
}

#[test]
fn a_batch_whose_sync_fails_is_staged_again_file_by_file() {
    let f = damaged_in_b();
    let repaired = f
        .command(&["replicas", "repair", "--yes"])
        .env("MAIFDECK_FAULT", "batch.sync=eio")
        .output()
        .unwrap();
    support::Run::from(repaired).exits(0);
    assert_eq!(states(&f)["ok"], 4);
    let left = fs::read_dir(f.path("b/p1/.maifdeck/tmp")).unwrap().count();
    assert_eq!(left, 0, "what was staged first was given back");
}

/// Four artifacts, each damaged on the second replica.
fn damaged_in_b() -> Fixture {
    let f = Fixture::grid(1, 3);
    for n in 0..4 {
        f.run(&["put", &format!("doc-{n}"), "--text", "x"]).exits(0);
        flip(&f, &format!("b/p1/doc-{n}.maif"));
    }
    f
}

fn in_trash(f: &Fixture) -> usize {
    walkdir::WalkDir::new(f.path("b/p1/.maifdeck/trash"))
        .into_iter()
        .filter(|e| e.as_ref().unwrap().file_type().is_file())
        .count()
}

#[test]
fn read_only_is_held_by_the_engine() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    flip(&f, "a/p1/doc.maif");
    let before = support::tree(f.directory.path());
    f.run(&["--read-only", "replicas", "repair", "--yes"])
        .exits(3);
    assert_eq!(support::tree(f.directory.path()), before);
}

#[test]
fn undo_brings_back_what_a_restore_replaced_and_leaves_what_changed_since() {
    let f = Fixture::grid(2, 2);
    f.run(&["put", "kept", "--text", "kept 1"]).exits(0);
    f.run(&["put", "replaced", "--text", "replaced 1"]).exits(0);
    f.run(&["put", "touched", "--text", "touched 1"]).exits(0);
    f.run(&["put", "gone", "--text", "gone 1"]).exits(0);
    f.run(&["backup", "create"]).exits(0);
    f.run(&["put", "replaced", "--text", "replaced 2"]).exits(0);
    f.run(&["put", "touched", "--text", "touched 2"]).exits(0);
    f.run(&["put", "newer", "--text", "newer 1"]).exits(0);
    f.run(&["rm", "gone", "--yes"]).exits(0);

    let restored = f.run(&["backup", "restore", "latest", "--yes", "--json"]);
    let restored = restored.exits(0).json();
    assert_eq!(restored["job"]["undo"], true);
    assert_eq!(text(&f, "replaced"), "replaced 1");
    assert_eq!(text(&f, "gone"), "gone 1");
    f.run(&["get", "newer"]).exits(5);
    f.run(&["put", "touched", "--text", "touched 3"]).exits(0);

    let job = restored["job"]["id"].as_str().unwrap();
    // Not confirmed, nothing happens.
    f.run(&["jobs", "undo", job]).exits(3);
    assert_eq!(text(&f, "replaced"), "replaced 1");
    let undone = f.run(&["jobs", "undo", job, "--yes"]).exits(4);
    assert!(undone.stderr.contains("touched was changed since"));
    assert_eq!(text(&f, "replaced"), "replaced 2");
    assert_eq!(text(&f, "newer"), "newer 1");
    assert_eq!(text(&f, "touched"), "touched 3");
    assert_eq!(text(&f, "kept"), "kept 1");
    f.run(&["get", "gone"]).exits(5);
    // Undone is undone: what is left to do is nothing.
    let again = f.run(&["jobs", "undo", job, "--yes"]).exits(4);
    assert!(again.stderr.contains("0 steps"), "{}", again.stderr);
}

#[test]
fn several_removals_are_one_job_that_can_be_undone() {
    let f = Fixture::grid(1, 3);
    for name in ["a", "b", "c"] {
        f.run(&["put", name, "--text", name]).exits(0);
    }
    f.run(&["rm", "a", "b", "no-such", "--yes"]).exits(4);
    f.run(&["rm", "no-such", "--yes"]).exits(5);
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    assert_eq!(jobs["jobs"][0]["intent"], "remove");
    assert_eq!(jobs["jobs"][0]["steps_done"], 2);
    f.run(&["get", "a"]).exits(5);
    let job = jobs["jobs"][0]["id"].as_str().unwrap();
    f.run(&["jobs", "undo", job, "--yes"]).exits(0);
    assert_eq!(text(&f, "a"), "a");
    assert_eq!(text(&f, "b"), "b");
    assert_eq!(states(&f)["ok"], 3);
}

#[test]
fn a_backup_is_a_job_and_one_that_was_killed_is_no_news_once_it_was_made_again() {
    let f = Fixture::grid(1, 2);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    let killed = f
        .command(&["backup", "create"])
        .env("MAIFDECK_FAULT", "backup.before-seal=kill")
        .output()
        .unwrap();
    assert_eq!(killed.status.code(), None);
    let jobs = |f: &Fixture| f.run(&["jobs", "--json"]).exits(0).json();
    assert_eq!(jobs(&f)["jobs"][0]["state"], "interrupted");
    assert_eq!(jobs(&f)["jobs"][0]["intent"], "backup-create");
    let status = f.run(&["status", "--json"]).exits(1).json();
    assert!(status.to_string().contains("was interrupted"));
    let made = f.run(&["backup", "create", "--json"]).exits(0).json();
    assert_eq!(made["job"]["id"], jobs(&f)["jobs"][0]["id"]);
    assert_eq!(made["job"]["state"], "done");
    let status = f.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["findings"], json!([]));
}

#[test]
fn a_running_job_is_cancelled_from_outside_and_goes_on_when_it_is_resumed() {
    let f = damaged_in_b();
    let child = f
        .command(&["replicas", "repair", "--yes"])
        .env("MAIFDECK_FAULT", "apply.journalled=stop")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let mut child = child;
    // It stands before anybody lets it go on.
    let stopped = rustix::process::Pid::from_raw(child.id().try_into().unwrap());
    rustix::process::waitpid(stopped, rustix::process::WaitOptions::UNTRACED).unwrap();
    let id = loop {
        let jobs = f.run(&["jobs", "--json"]).exits(0).json();
        if jobs["jobs"][0]["state"] == "running" {
            break jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
        }
        std::thread::yield_now();
    };
    f.run(&["jobs", "cancel", &id]).exits(0);
    // It may be done before it looks; what matters is that it ends by itself, whole.
    let go_on = std::process::Command::new("kill")
        .args(["-CONT", &pid])
        .status()
        .unwrap();
    assert!(go_on.success());
    let ended = child.wait().unwrap();
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    let state = jobs["jobs"][0]["state"].as_str().unwrap().to_owned();
    assert!(
        (state == "cancelled" && ended.code() == Some(4))
            || (state == "done" && ended.code() == Some(0)),
        "{state} {ended}"
    );
    if state == "cancelled" {
        f.run(&["jobs", "resume", &id]).exits(0);
    }
    assert_eq!(states(&f)["ok"], 4);
    f.run(&["jobs", "cancel", &id]).exits(2);
}

fn text(f: &Fixture, name: &str) -> String {
    let inspected = f.run(&["inspect", name, "--text", "--json"]).exits(0);
    inspected.json()["texts"][0].as_str().unwrap().to_owned()
}

/// What a sketch saved on the only replica in reach looked like the newest; two others that know
/// better came back before the plan ran.
#[test]
fn a_repair_planned_while_volumes_were_away_is_refused_once_they_answer() {
    let f = Fixture::grid(1, 3);
    let away = |disk: &str| {
        fs::rename(
            f.path(&format!("{disk}/p1")),
            f.path(&format!("{disk}-away")),
        )
        .unwrap();
    };
    let back = |disk: &str| {
        fs::rename(
            f.path(&format!("{disk}-away")),
            f.path(&format!("{disk}/p1")),
        )
        .unwrap();
    };
    f.run(&["put", "doc", "--text", "first"]).exits(0);
    f.run(&["put", "aside", "--text", "from outside"]).exits(0);
    away("a");
    f.run(&["put", "doc", "--text", "second"]).exits(4);
    back("a");
    away("b");
    away("c");
    let outside = fs::read(f.path("a/p1/aside.maif")).unwrap();
    fs::write(f.path("a/p1/doc.maif"), outside).unwrap();
    let plan = f
        .run(&["replicas", "repair", "doc", "--dry-run", "--json"])
        .exits(0);
    fs::write(f.path("plan.json"), &plan.stdout).unwrap();
    back("b");
    back("c");
    let job = f
        .run(&["apply", "plan.json", "--yes", "--json"])
        .exits(5)
        .json();
    let error = job["job"]["errors"][0].as_str().unwrap();
    assert!(error.contains("plan it again"), "{error}");
    let survey = f.run(&["replicas", "doc", "--json"]).exits(1).json();
    assert_eq!(survey["artifacts"][0]["state"], "divergent");
}
