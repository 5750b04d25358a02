//! Beside Python on the same directories: locks, file names, saves in place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use support::Fixture;

/// Runs a Python program that prints a line when it is ready and ends when its stdin is closed.
fn python(program: &str, arguments: &[&str]) -> std::process::Child {
    let mut child = Command::new("python3")
        .arg("-c")
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed for this test");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// The sketches' `locked_artifact`.
const HOLD: &str = "
import fcntl, sys
f = open(sys.argv[1] + '.lock', 'w')
fcntl.flock(f, fcntl.LOCK_EX)
print('ready', flush=True)
sys.stdin.read()
";

#[test]
fn a_lock_held_by_python_keeps_a_put_out_until_it_is_given_back() {
    let f = Fixture::grid(1, 1);
    f.configure("store", "lock_timeout = \"200ms\"");
    f.run(&["put", "doc", "--text", "old"]).exits(0);
    let path = f.path("a/p1/doc.maif");
    let mut holder = python(HOLD, &[path.to_str().unwrap()]);
    let refused = f.run(&["put", "doc", "--text", "new", "--json"]).exits(3);
    assert_eq!(refused.json()["error"]["kind"], "locked");
    // Readers take no lock.
    f.run(&["get", "doc", "-o", f.path("out").to_str().unwrap()])
        .exits(0);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    f.run(&["put", "doc", "--text", "new"]).exits(0);
}

const TRY: &str = "
import fcntl, sys
f = open(sys.argv[1] + '.lock', 'a')
try:
    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print('free')
except BlockingIOError:
    print('held')
";

#[test]
fn python_sees_our_lock_and_commands_inside_use_it() {
    let f = Fixture::grid(1, 1);
    f.configure("store", "lock_timeout = \"200ms\"");
    f.run(&["put", "doc", "--text", "old"]).exits(0);
    let path = f.path("a/p1/doc.maif");
    let run = f
        .run(&[
            "lock",
            "doc",
            "--",
            "python3",
            "-c",
            TRY,
            path.to_str().unwrap(),
        ])
        .exits(0);
    assert_eq!(run.text(), "held\n");
    let us = env!("CARGO_BIN_EXE_maifdeck");
    f.run(&["lock", "doc", "--", us, "put", "doc", "--text", "inside"])
        .exits(0);
    // Another artifact's lock is not the one that is held.
    f.run(&["lock", "doc", "--", us, "put", "other", "--text", "inside"])
        .exits(0);
    f.run(&["lock", "doc", "--", "sh", "-c", "exit 7"]).exits(7);
}

/// A sketch saves in place: truncates the file and writes it anew, as `artifact.save` does.
#[test]
fn a_save_in_place_is_the_successor_and_a_put_archives_it() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "ours"]).exits(0);
    let saved = golden.join("v-doc.maif");
    let mut save = python(
        "
import sys
data = open(sys.argv[2], 'rb').read()
with open(sys.argv[1], 'wb') as f:
    f.write(data)
print('ready', flush=True)
",
        &[
            f.path("a/p1/doc.maif").to_str().unwrap(),
            saved.to_str().unwrap(),
        ],
    );
    assert!(save.wait().unwrap().success());
    let run = f.run(&["replicas", "doc", "--json"]).exits(1).json();
    let artifact = &run["artifacts"][0];
    assert_eq!(artifact["reference"]["volume"], "p1.1");
    assert!(
        artifact["reference"]["reason"]
            .as_str()
            .unwrap()
            .contains("a writer other than maifdeck")
    );
    let mut got = Vec::new();
    got.write_all(&f.run(&["get", "doc"]).exits(0).stdout)
        .unwrap();
    assert_eq!(got, fs::read(&saved).unwrap());
    // The next put archives it where it is; nothing of either writer is lost.
    f.run(&["put", "doc", "--text", "after"]).exits(0);
    let kept = support::files(&f.path("a/p1/versions"));
    assert!(
        kept.values()
            .any(|bytes| *bytes == fs::read(&saved).unwrap())
    );
    assert_eq!(
        f.run(&["replicas", "doc", "--level", "deep", "--json"])
            .exits(0)
            .json()["summary"]["ok"],
        1
    );
}
