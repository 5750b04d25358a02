//! What backups hold: find, diff, sealing a sketch's tree, verifying in parts, names of every kind,
//! on the real binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use support::{Fixture, files, tree};

/// A name with everything that a file name may hold and a line may not.
const ODD: [&[u8]; 7] = [
    b"new\nline",
    b"back\\slash \\n",
    b"  spaces  ",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}rtl".as_bytes(),
    "\u{1f980}\u{200d}\u{1f525}".as_bytes(),
    b"not-utf8-\xff\xfe",
    b"cr\rlf",
];

fn create(f: &Fixture) -> String {
    let made = f.run(&["backup", "create", "--json"]).exits(0).json();
    made["backup"]["id"].as_str().unwrap().to_owned()
}

fn sha256sum(root: &Path) -> bool {
    Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", ".maifdeck/SHA256SUMS"])
        .current_dir(root)
        .status()
        .unwrap()
        .success()
}

fn cp_a(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// Puts an artifact, then gives it a name that `put` refuses.
fn put_as(f: &Fixture, name: &[u8], text: &str) {
    f.run(&["put", "model", "--text", text]).exits(0);
    for disk in ["a", "b"] {
        let directory = f.path(disk).join("p1");
        let mut file = name.to_vec();
        file.extend_from_slice(b".maif");
        fs::copy(
            directory.join("model.maif"),
            directory.join(OsStr::from_bytes(&file)),
        )
        .unwrap();
    }
}

#[test]
fn sha256sum_checks_a_backup_whatever_the_names_and_init_adopts_a_copy_of_it() {
    let f = Fixture::grid(1, 2);
    for name in ODD {
        put_as(&f, name, "as text");
    }
    let id = create(&f);
    let root = f.path("backups").join(format!("backup_{id}"));
    assert!(sha256sum(&root));
    f.run(&["backup", "verify", &id]).exits(0);
    // A copy of the tree is a store: for us, and file for file for the sketches.
    let g = Fixture::empty();
    cp_a(&root, &g.path("adopted"));
    g.init(&["--partition", "p1=adopted"]);
    let listed = g.run(&["ls", "--json"]).exits(0).json();
    assert_eq!(
        listed["artifacts"].as_array().unwrap().len(),
        ODD.len() + 1,
        "{listed}"
    );
    let whole = files(&f.path("a/p1"));
    for (path, bytes) in files(&g.path("adopted")) {
        assert_eq!(whole.get(&path), Some(&bytes), "{}", path.display());
    }
    let hex = hex::encode(ODD[5]);
    g.run(&["--name-hex", "get", &hex]).exits(0);
    g.run(&["survey", "--level", "deep"]).exits(0);
    // The name is found by what it is, in hexadecimal too.
    for name in ODD {
        let hex = hex::encode(name);
        let found = f
            .run(&["--name-hex", "backup", "find", &hex, "--json"])
            .exits(0)
            .json();
        assert_eq!(found["backups"][0]["id"], id.as_str(), "{found}");
    }
}

#[test]
fn find_says_which_backups_hold_an_artifact_and_with_which_bytes() {
    let f = Fixture::grid(2, 2);
    f.run(&["put", "a", "--text", "one"]).exits(0);
    let first = create(&f);
    f.run(&["put", "a", "--text", "two"]).exits(0);
    f.run(&["put", "a_20260101_000000", "--text", "another"])
        .exits(0);
    let second = create(&f);
    f.run(&["rm", "a", "--yes"]).exits(0);
    let third = create(&f);
    let found = f.run(&["backup", "find", "a", "--json"]).exits(0).json();
    let backups = found["backups"].as_array().unwrap();
    let ids: Vec<_> = backups.iter().map(|b| b["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&*first, &*second, &*third]);
    assert_eq!(backups[0]["versions"], json!([]));
    assert_eq!(
        backups[1]["versions"][0]["sha256"],
        backups[0]["current"]["sha256"]
    );
    assert_eq!(backups[2]["current"], Value::Null);
    assert_eq!(backups[2]["versions"].as_array().unwrap().len(), 3);
    f.run(&["backup", "find", "b", "--json"]).exits(5);
    // One that cannot be read is named, and does not hide the others.
    let manifest = format!("backups/backup_{second}/.maifdeck/backup.json");
    fs::write(f.path(&manifest), "{").unwrap();
    let found = f.run(&["backup", "find", "a", "--json"]).exits(4).json();
    assert_eq!(found["backups"].as_array().unwrap().len(), 3);
    assert_ne!(found["backups"][1]["problem"], Value::Null);
}

#[test]
fn diff_tells_two_backups_or_a_backup_and_the_store_apart() {
    let f = Fixture::grid(2, 2);
    for name in ["same", "changed", "gone"] {
        f.run(&["put", name, "--text", name]).exits(0);
    }
    let first = create(&f);
    f.run(&["put", "changed", "--text", "something else"])
        .exits(0);
    f.run(&["rm", "gone", "--yes"]).exits(0);
    f.run(&["put", "new", "--text", "new"]).exits(0);
    let before = files(f.directory.path());
    let names = |found: &Value, list: &str| -> Vec<String> {
        let list = found[list].as_array().unwrap();
        let name = |entry: &Value| entry["name"].as_str().unwrap().to_owned();
        list.iter().map(name).collect()
    };
    let check = |found: &Value| {
        assert_eq!(names(found, "added"), ["new"], "{found}");
        assert_eq!(names(found, "removed"), ["gone"]);
        assert_eq!(names(found, "changed"), ["changed"]);
        assert_eq!(found["same"], 1);
        // The spoiled copy, and the removed artifact's copy and removal.
        assert_eq!(found["versions"]["added"], 3);
        assert_eq!(found["versions"]["removed"], 0);
    };
    let now = f.run(&["backup", "diff", &first, "--json"]).exits(0);
    check(&now.json());
    assert_eq!(files(f.directory.path()), before);
    let second = create(&f);
    let both = f
        .run(&["backup", "diff", &first, &second, "--json"])
        .exits(0);
    check(&both.json());
    let same = f.run(&["backup", "diff", "latest", "--json"]).exits(0);
    assert_eq!(same.json()["same"], 3);
    f.run(&["backup", "diff", "20200101_000000"]).exits(5);
}

/// A tree as the sketches make it: a copy of everything in the volume.
fn sketch_backup(f: &Fixture) -> &'static str {
    let id = "20260102_030405";
    fs::create_dir_all(f.path("backups")).unwrap();
    let root = f.path("backups").join(format!("backup_{id}"));
    cp_a(&f.path("a/p1"), &root);
    id
}

#[test]
fn sealing_a_sketchs_tree_makes_it_count() {
    let f = Fixture::grid(1, 1);
    for text in ["one", "two"] {
        f.run(&["put", "a", "--text", text]).exits(0);
    }
    f.run(&["put", "b", "--text", "b"]).exits(0);
    let id = sketch_backup(&f);
    let root = f.path("backups").join(format!("backup_{id}"));
    let before = files(&root);
    let state = |f: &Fixture| f.run(&["backup", "list", "--json"]).json()["backups"][0].clone();
    assert_eq!(state(&f)["state"], "unsealed");
    f.run(&["backup", "diff", id]).exits(5);
    f.run(&["backup", "verify", id, "--percent", "10"]).exits(5);
    // Found without a manifest too.
    let found = f.run(&["backup", "find", "a", "--json"]).exits(0).json();
    assert_eq!(found["backups"][0]["state"], "unsealed");
    assert_eq!(found["backups"][0]["versions"].as_array().unwrap().len(), 1);
    f.run(&["--read-only", "backup", "seal", id]).exits(3);
    let made = f.run(&["backup", "seal", id, "--json"]).exits(0).json();
    assert_eq!(made["backup"]["state"], "complete");
    assert_eq!(made["backup"]["artifacts"], 2);
    assert_eq!(made["backup"]["versions"], 1);
    assert_eq!(files(&root), before);
    assert_eq!(state(&f)["state"], "complete");
    assert!(sha256sum(&root));
    f.run(&["backup", "verify", id]).exits(0);
    f.run(&["backup", "seal", id]).exits(2);
    f.run(&["put", "a", "--text", "spoiled"]).exits(0);
    f.run(&["backup", "restore", id, "--yes"]).exits(0);
    assert_eq!(
        f.run(&["inspect", "a", "--text", "--json"]).json()["texts"][0],
        "two"
    );
}

#[test]
fn a_damaged_file_is_left_out_of_the_seal_and_named() {
    let f = Fixture::grid(1, 1);
    for name in ["good", "torn"] {
        f.run(&["put", name, "--text", name]).exits(0);
    }
    let id = sketch_backup(&f);
    let torn = f.path("backups").join(format!("backup_{id}/torn.maif"));
    let file = fs::OpenOptions::new().write(true).open(torn).unwrap();
    file.set_len(700).unwrap();
    let made = f.run(&["backup", "seal", id, "--json"]).exits(4).json();
    assert_eq!(made["backup"]["state"], "partial");
    assert_eq!(made["backup"]["artifacts"], 1);
    assert!(made["job"]["errors"][0].as_str().unwrap().contains("torn"));
}

#[test]
fn a_seal_that_dies_half_way_is_none_and_is_made_again() {
    for fault in [
        "seal.spooled=kill",
        "seal.spooled=enospc",
        "seal.rename=kill",
        "seal.rename=kill@2",
        "seal.rename=eio@2",
    ] {
        let f = Fixture::grid(1, 1);
        f.run(&["put", "a", "--text", "a"]).exits(0);
        let id = sketch_backup(&f);
        let died = f
            .command(&["backup", "seal", id])
            .env("MAIFDECK_FAULT", fault)
            .output()
            .unwrap();
        assert_ne!(died.status.code(), Some(0), "{fault} was not passed");
        let listed = f.run(&["backup", "list", "--json"]).exits(0).json();
        assert_eq!(listed["backups"][0]["state"], "unsealed", "{fault}");
        f.run(&["backup", "seal", id]).exits(0);
        f.run(&["backup", "verify", id]).exits(0);
        let root = f.path("backups").join(format!("backup_{id}"));
        let left: Vec<_> = tree(&root)
            .into_keys()
            .filter(|path| path.to_string_lossy().contains("sealing"))
            .collect();
        assert!(left.is_empty(), "{fault}: {left:?}");
    }
}

/// Flips a bit in the middle of a backup's file.
fn flip(path: &Path) {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 820).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 820).unwrap();
}

#[test]
fn successive_partial_verifications_find_any_damage_within_one_round() {
    let f = Fixture::grid(1, 1);
    for n in 0..12 {
        f.run(&["put", &format!("a{n}"), "--text", "x"]).exits(0);
    }
    let id = create(&f);
    let verify = ["backup", "verify", &id, "--percent", "25", "--json"];
    let mut checked = 0;
    for _ in 0..4 {
        // The seal itself is looked at each time.
        checked += f.run(&verify).exits(0).json()["checked"].as_u64().unwrap() - 1;
    }
    assert_eq!(checked, 12);
    let verified = f.run(&["backup", "list", "--json"]).json()["backups"][0]["verified"].clone();
    assert_eq!(verified["percent"], 25);
    assert_ne!(verified["whole_at"], Value::Null);
    flip(&f.path("backups").join(format!("backup_{id}/a7.maif")));
    let damaged = (0..4)
        .map(|_| f.run(&verify))
        .filter(|run| run.code == Some(1))
        .count();
    assert_eq!(damaged, 1);
    // The parts that are good do not take the damage back.
    let status = f.run(&["status", "--json"]).exits(1).json();
    assert!(status["findings"].to_string().contains("backup-damaged"));
    f.run(&["backup", "verify", &id, "--percent", "0"]).exits(2);
}

#[test]
fn a_backup_much_smaller_than_the_one_before_is_a_finding() {
    let f = Fixture::grid(1, 1);
    for name in ["a", "b", "c", "d", "e"] {
        f.run(&["put", name, "--text", name]).exits(0);
    }
    create(&f);
    for name in ["a", "b", "c"] {
        fs::remove_file(f.path(&format!("a/p1/{name}.maif"))).unwrap();
    }
    create(&f);
    let status = f.run(&["status", "--json"]).json();
    let finding = status["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["kind"] == "backup-shrunk")
        .expect("no finding")
        .clone();
    assert!(finding["remedy"].as_str().unwrap().contains("backup diff"));
}

#[test]
fn restore_to_a_directory_gives_the_store_as_it_was_and_touches_nothing() {
    let f = Fixture::grid(2, 2);
    for name in ["a", "b", "c"] {
        for text in ["old", "new"] {
            f.run(&["put", name, "--text", text]).exits(0);
        }
    }
    f.run(&["rm", "c", "--yes"]).exits(0);
    let id = create(&f);
    let before = tree(f.directory.path());
    let out = f
        .run(&["backup", "restore", &id, "--to", "out", "--json"])
        .exits(0)
        .json();
    let root = f.path("backups").join(format!("backup_{id}"));
    assert_eq!(files(&f.path("out")), files(&root));
    assert_eq!(out["files"], files(&root).len());
    let mut after = tree(f.directory.path());
    after.retain(|path, _| !path.starts_with("out"));
    assert_eq!(after, before);
    // It is not empty any more.
    f.run(&["backup", "restore", &id, "--to", "out"]).exits(2);
    f.run(&["backup", "restore", &id, "--to", "out/below/below"])
        .exits(5);
    for inside in ["a/p1/out", "backups/out", "a/p1", "out/../backups/x"] {
        f.run(&["backup", "restore", &id, "--to", inside]).exits(2);
    }
    // One artifact with its history.
    f.run(&["backup", "restore", "latest", "a", "--to", "one"])
        .exits(0);
    assert_eq!(files(&f.path("one")).len(), 2);
    f.run(&["backup", "restore", "latest", "a", "nobody", "--to", "two"])
        .exits(5);
    assert!(!f.path("two").exists());
}

#[test]
fn restore_to_a_directory_leaves_out_what_is_damaged_and_names_it() {
    let f = Fixture::grid(1, 1);
    for name in ["a", "b"] {
        f.run(&["put", name, "--text", name]).exits(0);
    }
    let id = create(&f);
    let root = f.path("backups").join(format!("backup_{id}"));
    flip(&root.join("a.maif"));
    let out = f
        .run(&["backup", "restore", &id, "--to", "out", "--json"])
        .exits(4)
        .json();
    assert_eq!(out["damaged"], json!(["a.maif"]));
    let left: Vec<_> = files(&f.path("out")).into_keys().collect();
    assert_eq!(left, [Path::new("b.maif")]);
    // A tree without a seal is judged by the files themselves.
    fs::remove_dir_all(root.join(".maifdeck")).unwrap();
    fs::create_dir(f.path("empty")).unwrap();
    let out = f
        .run(&["backup", "restore", &id, "--to", "empty", "--json"])
        .exits(4)
        .json();
    assert_eq!(out["damaged"], json!(["a.maif"]));
    assert_eq!(out["files"], 1);
}
