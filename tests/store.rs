//! The store from outside: what the sketches get wrong, and Promises 1, 3, 4 and 7, with the real
//! binary on real files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{ffi::OsStr, fs, io::Write, os::unix::ffi::OsStrExt, process::Stdio};

use serde_json::{Value, json};
use support::{Fixture, files, tree};

/// Texts of the current copy.
fn texts(fixture: &Fixture, name: &str) -> Value {
    fixture
        .run(&["inspect", name, "--text", "--json"])
        .exits(0)
        .json()["texts"]
        .clone()
}

fn state(fixture: &Fixture, name: &str, level: &str) -> Value {
    let run = fixture.run(&["replicas", name, "--level", level, "--json"]);
    run.json()["artifacts"][0].clone()
}

fn copy_states(artifact: &Value) -> Vec<String> {
    artifact["copies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| copy["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_put_can_be_got_listed_and_removed() {
    let f = Fixture::grid(2, 3);
    let put = f
        .run(&["put", "doc", "--text", "one", "--text", "two", "--json"])
        .exits(0)
        .json();
    assert_eq!(put["generation"], 1);
    assert_eq!(put["version"], Value::Null);
    assert_eq!(put["copies"].as_array().unwrap().len(), 3);
    assert_eq!(texts(&f, "doc"), json!(["one", "two"]));
    let listed = f.run(&["ls", "--json"]).exits(0).json();
    assert_eq!(listed["artifacts"][0]["name"], "doc");
    assert_eq!(listed["artifacts"][0]["state"], "ok");
    f.run(&["rm", "doc"]).exits(3);
    let removed = f.run(&["rm", "doc", "--yes", "--json"]).exits(0).json();
    assert_eq!(removed["generation"], 2);
    assert_eq!(
        f.run(&["get", "doc", "--json"]).exits(5).json()["error"]["kind"],
        "not_found"
    );
    assert_eq!(
        f.run(&["ls", "--json"]).exits(0).json()["artifacts"],
        json!([])
    );
    // The removed copy is in the history, and a new save goes on counting.
    let versions = f.run(&["versions", "doc", "--json"]).exits(0).json();
    assert_eq!(versions["versions"][0]["removed"], true);
    assert_eq!(versions["versions"][1]["intact"], true);
    assert_eq!(
        f.run(&["put", "doc", "--text", "again", "--json"])
            .exits(0)
            .json()["generation"],
        3
    );
}

#[test]
fn saves_within_one_second_all_keep_their_predecessor() {
    let f = Fixture::grid(1, 3);
    for n in 0..5 {
        f.run(&["put", "doc", "--text", &n.to_string()]).exits(0);
    }
    let versions = f.run(&["versions", "doc", "--json"]).exits(0).json();
    let versions = versions["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 4);
    let mut ids: Vec<&str> = versions.iter().map(|v| v["id"].as_str().unwrap()).collect();
    for id in &ids {
        let run = f
            .run(&["inspect", "doc", "--version", id, "--text", "--json"])
            .exits(0);
        assert_eq!(run.json()["verdict"], "intact");
    }
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_history_is_not_that_of_a_longer_name() {
    let f = Fixture::grid(1, 1);
    for name in ["doc", "doc_2", "doc_20260101_120000"] {
        f.run(&["put", name, "--text", "old"]).exits(0);
        f.run(&["put", name, "--text", "new"]).exits(0);
    }
    for name in ["doc", "doc_2", "doc_20260101_120000"] {
        let versions = f.run(&["versions", name, "--json"]).exits(0).json();
        assert_eq!(versions["versions"].as_array().unwrap().len(), 1, "{name}");
    }
}

#[test]
fn names_that_leave_the_store_are_refused() {
    let f = Fixture::grid(1, 1);
    let before = tree(f.directory.path());
    for name in ["../../x", "a/b", "/x", ".hidden", "", "a\u{1}b"] {
        f.run(&["put", name, "--text", "x"]).exits(2);
    }
    assert_eq!(tree(f.directory.path()), before);
}

#[test]
fn a_damaged_first_replica_is_never_served() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "right"]).exits(0);
    let path = f.path("a/p1/doc.maif");
    let mut bytes = fs::read(&path).unwrap();
    bytes[444 + 372] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(texts(&f, "doc"), json!(["right"]));
    let artifact = state(&f, "doc", "deep");
    assert_eq!(artifact["state"], "corrupt");
    assert_eq!(copy_states(&artifact), ["corrupt", "ok", "ok"]);
    assert_ne!(artifact["reference"]["volume"], "p1.1");
    f.run(&["replicas", "--level", "deep"]).exits(1);
    // Cut to nothing, it is torn, and a quick look is enough to see it.
    fs::write(&path, b"MAIF").unwrap();
    assert_eq!(copy_states(&state(&f, "doc", "quick"))[0], "corrupt");
}

#[test]
fn a_write_without_a_quorum_changes_nothing() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "old"]).exits(0);
    for disk in ["b", "c"] {
        fs::rename(
            f.path(&format!("{disk}/p1/.maifdeck")),
            f.path(&format!("{disk}-aside")),
        )
        .unwrap();
    }
    let before = files(f.directory.path());
    let refused = f
        .run(&["put", "doc", "--text", "new", "--json"])
        .exits(5)
        .json();
    assert_eq!(refused["error"]["kind"], "no_quorum");
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("p1.2: unmarked")
    );
    assert_eq!(files(f.directory.path()), before);
    // With one volume back there is a quorum; what was missed shows as behind, and why.
    fs::rename(f.path("b-aside"), f.path("b/p1/.maifdeck")).unwrap();
    let partial = f
        .run(&["put", "doc", "--text", "new", "--json"])
        .exits(4)
        .json();
    assert_eq!(partial["copies"].as_array().unwrap().len(), 3);
    fs::rename(f.path("c-aside"), f.path("c/p1/.maifdeck")).unwrap();
    let artifact = state(&f, "doc", "quick");
    assert_eq!(copy_states(&artifact), ["ok", "ok", "stale"]);
    assert!(
        artifact["reference"]["reason"]
            .as_str()
            .unwrap()
            .contains("p1.3 holds generation 1")
    );
    assert_eq!(texts(&f, "doc"), json!(["new"]));
}

#[test]
fn a_condition_on_the_generation_is_held() {
    let f = Fixture::grid(1, 1);
    f.run(&["put", "doc", "--text", "1", "--if-generation", "absent"])
        .exits(0);
    f.run(&["put", "doc", "--text", "2", "--if-generation", "absent"])
        .exits(3);
    f.run(&["put", "doc", "--text", "2", "--if-generation", "1"])
        .exits(0);
    f.run(&["put", "doc", "--text", "3", "--if-generation", "1"])
        .exits(3);
    assert_eq!(texts(&f, "doc"), json!(["2"]));
}

/// Promise 1: killed at any point, every replica holds the old copy or the new one, complete, and
/// every version is still there; the next save works.
#[test]
fn a_kill_anywhere_in_a_put_loses_nothing() {
    let points = [
        "stage.created",
        "stage.written",
        "stage.synced",
        "archive.predecessor-synced",
        "archive.linked",
        "archive.synced",
        "publish.before-rename",
        "publish.renamed",
        "publish.synced",
    ];
    for point in points {
        for passage in 1..=2 {
            let f = Fixture::grid(1, 3);
            f.run(&["put", "doc", "--text", "first"]).exits(0);
            f.run(&["put", "doc", "--text", "second"]).exits(0);
            let killed = f
                .command(&["put", "doc", "--text", "third"])
                .env("MAIFDECK_FAULT", format!("{point}=kill@{passage}"))
                .output()
                .unwrap();
            assert_eq!(
                killed.status.code(),
                None,
                "{point} was not passed {passage} times"
            );
            for disk in ["a", "b", "c"] {
                let copy = f.path(&format!("{disk}/p1/doc.maif"));
                f.run(&["verify", copy.to_str().unwrap()]).exits(0);
            }
            let now = texts(&f, "doc");
            assert!(
                now == json!(["second"]) || now == json!(["third"]),
                "{point}: {now}"
            );
            f.run(&["put", "doc", "--text", "fourth"]).exits(0);
            assert_eq!(texts(&f, "doc"), json!(["fourth"]));
            let artifact = state(&f, "doc", "deep");
            assert_eq!(artifact["state"], "ok", "{point}: {artifact}");
            // Every content that was ever acknowledged is in the history, on every replica once.
            let versions = f.run(&["versions", "doc", "--json"]).exits(0).json();
            let kept: Vec<String> = versions["versions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| {
                    let id = v["id"].as_str().unwrap();
                    let run = f.run(&["inspect", "doc", "--version", id, "--text", "--json"]);
                    run.exits(0).json()["texts"][0].as_str().unwrap().to_owned()
                })
                .collect();
            for text in ["first", "second"] {
                assert!(
                    kept.iter().any(|k| k == text),
                    "{point}: {text} is not in {kept:?}"
                );
            }
        }
    }
}

#[test]
fn a_full_or_failing_disk_is_an_error_and_loses_nothing() {
    for fault in ["eio", "enospc"] {
        let f = Fixture::grid(1, 1);
        f.run(&["put", "doc", "--text", "old"]).exits(0);
        let before = files(f.directory.path());
        let failed = f
            .command(&["put", "doc", "--text", "new", "--json"])
            .env("MAIFDECK_FAULT", format!("stage.written={fault}"))
            .output()
            .unwrap();
        let failed = support::Run::from(failed).exits(5);
        assert!(failed.stderr.contains("a/p1/.maifdeck/tmp"), "{failed:?}");
        assert_eq!(files(f.directory.path()), before);
        assert_eq!(
            fs::read_dir(f.path("a/p1/.maifdeck/tmp")).unwrap().count(),
            0
        );
    }
}

#[test]
fn reading_writes_nothing() {
    let f = Fixture::grid(2, 2);
    for n in 0..4 {
        f.run(&["put", &format!("doc-{n}"), "--text", "x"]).exits(0);
    }
    // What this host remembers for itself is no part of the store.
    let store = || {
        let mut files = tree(f.directory.path());
        files.retain(|path, _| !path.starts_with(".local"));
        files
    };
    let before = store();
    // Its only finding is that nobody has made a backup yet.
    f.run(&["status"]).exits(1);
    for arguments in [
        &["ls"][..],
        &["survey", "--level", "deep"],
        &["replicas", "doc-1", "--level", "deep"],
        &["partitions"],
        &["versions", "doc-1"],
        &["verify"],
        &["config", "check"],
    ] {
        f.run(arguments).exits(0);
    }
    f.run(&["--read-only", "inspect", "doc-1"]).exits(0);
    f.run(&["--read-only", "get", "doc-1"]).exits(0);
    f.run(&["--read-only", "put", "doc-1", "--text", "y"])
        .exits(3);
    f.run(&["--read-only", "rm", "doc-1", "--yes"]).exits(3);
    assert!(store() == before);
}

#[test]
fn without_a_store_nothing_is_created() {
    let f = Fixture::empty();
    let run = f.run(&["status", "--json"]).exits(2);
    assert_eq!(run.json()["error"]["kind"], "no_store");
    assert!(run.stderr.contains("/etc/maifdeck/maifdeck.toml"));
    assert!(tree(f.directory.path()).is_empty());
    // The embedded default is made by a put, and is a store from then on.
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    f.run(&["backup", "create"]).exits(0);
    let findings = f.run(&["status", "--json"]).json()["findings"].take();
    let others = findings.as_array().unwrap().iter();
    // How full the machine's disk is is not asked here.
    assert_eq!(others.filter(|f| f["kind"] != "volume-full").count(), 0);
    assert!(f.path("data-home/maifdeck/store/doc.maif").exists());
}

#[test]
fn a_wrong_configuration_is_told_by_file_line_and_key() {
    let f = Fixture::grid(1, 1);
    f.configure("store", "lock_timeot = \"1s\"");
    let run = f.run(&["ls", "--json"]).exits(2);
    let message = run.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("maifdeck.toml:"), "{message}");
    assert!(message.contains("did you mean `lock_timeout`"), "{message}");
}

#[test]
fn a_directory_that_is_not_ours_is_shown_and_never_written() {
    let f = Fixture::grid(1, 2);
    fs::remove_dir_all(f.path("b/p1")).unwrap();
    fs::create_dir(f.path("b/p1")).unwrap();
    let status = f.run(&["status", "--json"]).exits(1).json();
    assert_eq!(status["volumes"][1]["state"], "unmarked");
    assert_eq!(status["findings"][0]["kind"], "volume-unmarked");
    let remedy = status["findings"][0]["remedy"].as_str().unwrap();
    assert!(remedy.ends_with("maifdeck volume mark p1.2"), "{remedy}");
    f.run(&["put", "doc", "--text", "x"]).exits(5);
    assert_eq!(fs::read_dir(f.path("b/p1")).unwrap().count(), 0);
}

#[test]
fn one_directory_under_two_labels_is_refused() {
    let f = Fixture::empty();
    fs::create_dir(f.path("a")).unwrap();
    std::os::unix::fs::symlink("a", f.path("link")).unwrap();
    f.run(&["init", "--partition", "p1=a,link"]).exits(2);
    assert!(!f.path("maifdeck.toml").exists());
}

#[test]
fn a_tree_of_the_sketches_is_adopted_as_it_is() {
    let f = Fixture::empty();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::create_dir_all(f.path("old/versions")).unwrap();
    fs::copy(golden.join("v-doc.maif"), f.path("old/doc.maif")).unwrap();
    fs::copy(
        golden.join("v-base.maif"),
        f.path("old/versions/doc_20240102_030405.maif"),
    )
    .unwrap();
    fs::copy(golden.join("v-equal.maif"), f.path("old/other.maif")).unwrap();
    fs::write(f.path("old/doc.maif.lock"), "").unwrap();
    let before = files(&f.path("old"));
    f.init(&["--partition", "p1=old"]);
    assert_eq!(files(&f.path("old")), before);
    f.run(&["status"]).exits(0);
    let listed = f.run(&["ls", "--json"]).exits(0).json();
    assert_eq!(listed["artifacts"].as_array().unwrap().len(), 2);
    let versions = f.run(&["versions", "doc", "--json"]).exits(0).json();
    assert_eq!(versions["versions"][0]["id"], "20240102_030405");
    f.run(&["put", "doc", "--text", "new"]).exits(0);
    let after = files(&f.path("old"));
    assert!(
        after
            .values()
            .any(|bytes| *bytes == before[std::path::Path::new("doc.maif")])
    );
    assert_eq!(
        after[std::path::Path::new("versions/doc_20240102_030405.maif")],
        before[std::path::Path::new("versions/doc_20240102_030405.maif")]
    );
}

#[test]
fn what_goes_in_decides_what_is_stored() {
    let f = Fixture::grid(1, 1);
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let intact = golden.join("v-base.maif");
    f.run(&["put", "maif", "--file", intact.to_str().unwrap()])
        .exits(0);
    assert_eq!(
        fs::read(f.path("a/p1/maif.maif")).unwrap(),
        fs::read(&intact).unwrap()
    );
    let damaged = golden.join("t-data-flip.maif");
    let run = f
        .run(&["put", "bad", "--file", damaged.to_str().unwrap(), "--json"])
        .exits(5);
    assert_eq!(run.json()["error"]["kind"], "damaged");
    for (bytes, kind) in [(&b"plain"[..], "TEXT"), (b"\xff\xfe\0", "BINA")] {
        let mut child = f
            .command(&["put", "piped", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        assert!(child.wait().unwrap().success());
        let inspected = f.run(&["inspect", "piped", "--json"]).exits(0).json();
        assert_eq!(inspected["blocks"][0]["type"], kind);
    }
}

#[test]
fn a_name_that_is_not_utf8_comes_back_from_a_backup() {
    let f = Fixture::grid(1, 2);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    let odd = |disk: &str| f.path(disk).join(OsStr::from_bytes(b"p1/caf\xe9.maif"));
    for disk in ["a", "b"] {
        fs::copy(f.path(disk).join("p1/doc.maif"), odd(disk)).unwrap();
    }
    f.run(&["backup", "create"]).exits(0);
    for disk in ["a", "b"] {
        fs::remove_file(odd(disk)).unwrap();
    }
    let saved = f.run(&["backup", "restore", "latest", "--dry-run", "--json"]);
    fs::write(f.path("plan.json"), saved.exits(0).text()).unwrap();
    let plan = f.path("plan.json");
    f.run(&["apply", plan.to_str().unwrap(), "--yes"]).exits(0);
    for disk in ["a", "b"] {
        let whole = fs::read(f.path(disk).join("p1/doc.maif")).unwrap();
        assert_eq!(fs::read(odd(disk)).unwrap(), whole);
    }
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    let id = jobs["jobs"][0]["id"].as_str().unwrap();
    f.run(&["jobs", "undo", id, "--yes"]).exits(0);
    assert!(!odd("a").exists());
}

#[test]
fn a_name_that_is_not_utf8_is_a_full_artifact() {
    let f = Fixture::grid(1, 1);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    let odd = f.path("a/p1").join(OsStr::from_bytes(b"caf\xe9.maif"));
    fs::copy(f.path("a/p1/doc.maif"), odd).unwrap();
    let listed = f.run(&["ls", "--json"]).exits(0).json();
    assert_eq!(listed["artifacts"][0]["name"], "caf\\xe9");
    assert_eq!(listed["artifacts"][0]["name_hex"], "636166e9");
    f.run(&["--name-hex", "inspect", "636166e9"]).exits(0);
}

#[test]
fn what_vanished_from_every_volume_is_missed_and_comes_back_from_a_backup() {
    let f = Fixture::grid(1, 2);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    f.run(&["put", "other", "--text", "y"]).exits(0);
    f.run(&["backup", "create"]).exits(0);
    f.run(&["rm", "other", "--yes"]).exits(0);
    for disk in ["a", "b"] {
        fs::remove_file(f.path(&format!("{disk}/p1/doc.maif"))).unwrap();
    }
    let status = f.run(&["status", "--json"]).exits(1).json();
    let findings = status["findings"].as_array().unwrap();
    // Removed on purpose is not vanished.
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["kind"], "vanished");
    assert_eq!(findings[0]["subject"], "doc");
    let remedy = findings[0]["remedy"].as_str().unwrap();
    let words: Vec<&str> = remedy.split(' ').skip(1).chain(["--yes"]).collect();
    f.run(&words).exits(0);
    assert_eq!(texts(&f, "doc"), json!(["x"]));
    f.run(&["status"]).exits(0);
}

#[test]
fn what_is_no_regular_file_is_written_to_and_never_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let f = Fixture::grid(1, 1);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    let pipe = f.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    f.run(&["get", "doc", "-o", pipe.to_str().unwrap()])
        .exits(0);
    assert_eq!(
        reader.join().unwrap(),
        fs::read(f.path("a/p1/doc.maif")).unwrap()
    );
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

/// Damage in the footer looks, at first, like a save by a program that leaves no records.
#[test]
fn a_damaged_footer_is_no_save_from_outside() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "the right words"]).exits(0);
    for copy in ["a/p1/doc.maif", "b/p1/doc.maif"] {
        let mut bytes = std::fs::read(f.path(copy)).unwrap();
        let last = bytes.len() - 10;
        bytes[last] ^= 1;
        std::fs::write(f.path(copy), bytes).unwrap();
        f.run(&["get", "doc", "-o", "out.maif"]).exits(0);
        f.run(&["verify", "out.maif"]).exits(0);
    }
    let survey = f.run(&["replicas", "doc", "--json"]).exits(1).json();
    let states: Vec<&str> = survey["artifacts"][0]["copies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| copy["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["corrupt", "corrupt", "ok"]);
}
