//! Beside Python on the same directories: locks, file names, saves in place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use serde_json::json;
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

/// Truncates the artifact under its lock as a sketch's save does, and takes its time to write it.
const SLOW_SAVE: &str = "
import fcntl, sys, time
data = open(sys.argv[1], 'rb').read()
with open(sys.argv[1] + '.lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    with open(sys.argv[1], 'wb') as f:
        f.write(data[:len(data) // 2])
        f.flush()
        print('ready', flush=True)
        time.sleep(0.7)
        f.write(data[len(data) // 2:])
";

#[test]
fn a_reader_waits_for_a_save_in_place_that_is_under_way() {
    let f = Fixture::grid(1, 1);
    f.run(&["put", "doc", "--text", "whole"]).exits(0);
    let path = f.path("a/p1/doc.maif");
    let whole = fs::read(&path).unwrap();
    let mut save = python(SLOW_SAVE, &[path.to_str().unwrap()]);
    let got = f.run(&["get", "doc"]).exits(0);
    assert_eq!(got.stdout, whole);
    assert!(save.wait().unwrap().success());
    // Nor is what is being saved taken for rot.
    let mut save = python(SLOW_SAVE, &[path.to_str().unwrap()]);
    let scrub = ["scrub", "--tranquility", "0", "--json"];
    let found = f.run(&scrub).exits(0).json()["scrub"].clone();
    assert_eq!(
        (&found["verified"], &found["found"]),
        (&1.into(), &json!([]))
    );
    assert!(save.wait().unwrap().success());
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

/// One increment after another, each under the lock: by a sketch, which saves in place, or by
/// `maifdeck put` inside `maifdeck lock`. Prints what it replaced.
const INCREMENT: &str = r"
import fcntl, json, os, random, subprocess, sys, time
us, store, scratch, kind, seconds = sys.argv[1:6]
names = sys.argv[6:]
def run(*arguments, cwd=store):
    return subprocess.run([us, *arguments], cwd=cwd, check=True, stdout=subprocess.PIPE).stdout
def value(what):
    return int(json.loads(run('inspect', what, '--text', '--json'))['texts'][0])
if kind == 'inside':
    name = names[0]
    old = value(name)
    run('put', name, '--text', str(old + 1))
    print('ours', name, old, flush=True)
    sys.exit()
print('ready', flush=True)
sys.stdin.readline()
until = time.monotonic() + float(seconds)
while time.monotonic() < until:
    name = random.choice(names)
    if kind == 'ours':
        sys.stdout.flush()
        subprocess.run([us, 'lock', name, '--', sys.executable, '-c', open(scratch).read(),
            us, store, scratch, 'inside', '0', name], cwd=store, check=True)
        continue
    path = os.path.join(store, 'a/p1', name + '.maif')
    with open(path + '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        old = value(path)
        run('put', 'x', '--text', str(old + 1), cwd=scratch)
        data = open(os.path.join(scratch, 'a/p1/x.maif'), 'rb').read()
        with open(path, 'wb') as f:
            f.write(data)
        print('theirs', name, old, flush=True)
";

#[test]
fn increments_of_eight_processes_under_the_lock_lose_nothing() {
    let seconds = "20";
    let f = Fixture::grid(1, 1);
    let names: Vec<String> = (1..=20).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        f.run(&["put", name, "--text", "0"]).exits(0);
    }
    fs::write(f.path("increment.py"), INCREMENT).unwrap();
    let us = env!("CARGO_BIN_EXE_maifdeck");
    let scratch: Vec<Fixture> = (0..4).map(|_| Fixture::grid(1, 1)).collect();
    let mut workers = Vec::new();
    for n in 0..8 {
        let (kind, place) = match scratch.get(n) {
            Some(scratch) => ("theirs", scratch.path("")),
            None => ("ours", f.path("increment.py")),
        };
        let store = f.path("");
        let mut arguments = vec![us, store.to_str().unwrap(), place.to_str().unwrap()];
        arguments.extend([kind, seconds]);
        arguments.extend(&names);
        workers.push(python(INCREMENT, &arguments));
    }
    for worker in &mut workers {
        worker.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    // What a reader without a lock is given is whole, whoever is saving.
    let out = f.path("out");
    for name in names.iter().cycle() {
        f.run(&["get", name, "-o", out.to_str().unwrap()]).exits(0);
        f.run(&["verify", out.to_str().unwrap()]).exits(0);
        if workers.iter_mut().all(|w| w.try_wait().unwrap().is_some()) {
            break;
        }
    }
    let mut replaced: Vec<(bool, String, u64)> = Vec::new();
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [kind, name, old] = words[..] else {
                panic!("{line}")
            };
            replaced.push((kind == "ours", name.to_owned(), old.parse().unwrap()));
        }
    }
    let made_by_us = replaced.iter().filter(|(ours, ..)| *ours).count();
    println!(
        "{made_by_us} increments of ours, {} of theirs",
        replaced.len() - made_by_us
    );
    assert!(made_by_us >= 4 && replaced.len() - made_by_us >= 4);
    let text = |arguments: &[&str]| -> u64 {
        let run = f.run(arguments).exits(0).json();
        run["texts"][0].as_str().unwrap().parse().unwrap()
    };
    for name in names {
        let made = replaced.iter().filter(|(_, n, _)| n == name).count();
        let now = text(&["inspect", name, "--text", "--json"]);
        assert_eq!(now, made as u64, "an update of {name} was lost");
        // Each value that one of our puts replaced is a version; a sketch archives nothing.
        let versions = f.run(&["versions", name, "--json"]).exits(0).json();
        let kept: Vec<u64> = versions["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| {
                let id = version["id"].as_str().unwrap();
                text(&["inspect", name, "--version", id, "--text", "--json"])
            })
            .collect();
        for (ours, _, old) in replaced.iter().filter(|(_, n, _)| n == name) {
            assert!(!ours || kept.contains(old), "{old} of {name} is not kept");
        }
    }
}
