//! Locks with real processes: `lock`, flock(1), the descriptors that commands inherit, and what a
//! lock file may say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/hosts.rs"]
mod hosts;
mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use hosts::{leased, on, run};
use support::{Fixture, Run};

const US: &str = env!("CARGO_BIN_EXE_maifdeck");

fn grid(replicas: usize) -> Fixture {
    let f = Fixture::grid(1, replicas);
    f.configure("store", "lock_timeout = \"200ms\"");
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    f
}

/// Waits for the line that a process prints when it holds what it should.
fn ready(mut command: Command) -> Child {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    child
}

/// flock(1) holding a lock file until its stdin is closed; `None` where there is no flock(1).
fn flock(path: &std::path::Path, mode: &str) -> Option<Child> {
    Command::new("flock").arg("--version").output().ok()?;
    let mut command = Command::new("flock");
    command
        .arg(mode)
        .arg(path)
        .args(["sh", "-c", "echo; read x"]);
    Some(ready(command))
}

#[test]
fn flock_1_keeps_us_out_and_we_keep_it_out() {
    let f = grid(1);
    let lock = f.path("a/p1/doc.maif.lock");
    let put = ["put", "doc", "--text", "y"];
    for mode in ["--exclusive", "--shared"] {
        let Some(mut holder) = flock(&lock, mode) else {
            return;
        };
        let refused = f.run(&put).exits(3);
        // It wrote nothing into the file, and is named all the same.
        assert!(refused.stderr.contains(" pid "), "{refused:?}");
        let shared = f.run(&["lock", "doc", "--shared", "--", "true"]);
        assert_eq!(shared.code, Some(if mode == "--shared" { 0 } else { 3 }));
        drop(holder.stdin.take());
        holder.wait().unwrap();
        f.run(&put).exits(0);
    }
    let path = lock.to_str().unwrap();
    let within = |more: &[&str], mode: &str| {
        let inner = ["--", "flock", "--nonblock", mode, path, "true"];
        f.run(&[&["lock", "doc"], more, &inner].concat()).code
    };
    assert_eq!(within(&[], "--shared"), Some(1));
    assert_eq!(within(&["--shared"], "--exclusive"), Some(1));
    assert_eq!(within(&["--shared"], "--shared"), Some(0));
}

#[test]
fn what_cannot_be_locked_on_a_quorum_is_not_run() {
    let f = grid(3);
    let lock = ["lock", "doc", "--", "touch", "ran"];
    for disk in ["b", "c"] {
        fs::rename(f.path(disk), f.path(&format!("{disk}.away"))).unwrap();
    }
    f.run(&lock).exits(5);
    f.run(&["lock", "doc", "--shared", "--", "touch", "ran"])
        .exits(5);
    fs::rename(f.path("b.away"), f.path("b")).unwrap();
    assert!(!f.path("ran").exists());
    f.run(&lock).exits(0);
    fs::remove_file(f.path("ran")).unwrap();
    // Nor under a layout that is not the store's.
    let path = f.path("maifdeck.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("name = \"p1\"", "name = \"p2\"")).unwrap();
    f.run(&lock).exits(3);
    assert!(!f.path("ran").exists());
}

#[test]
fn the_variable_is_a_hint_and_only_the_kernel_says_that_a_lock_is_held() {
    let f = grid(1);
    let lock = f.path("a/p1/doc.maif.lock");
    let path = lock.to_str().unwrap();
    let holds = ["lock", "doc", "--", "sh", "-c", "echo; read x"];
    let mut holder = ready(f.command(&holds));
    let doc = hex::encode("doc");
    let pid = holder.id();
    let init = std::process::id();
    // Open without a lock; closed; another file; numbers that are none; another's name; no pid; and
    // the real holder's descriptors under a wrong number.
    for (redirect, value) in [
        (format!("9<{path}"), format!("{doc}:{init}:9")),
        (String::new(), format!("{doc}:{init}:9,10,11")),
        ("9</dev/null".to_owned(), format!("{doc}:{init}:9")),
        (String::new(), format!("{doc}:0:-1,99999999999,x")),
        (
            String::new(),
            format!("{}:{pid}:3,4,5,6,7,8,9", hex::encode("other")),
        ),
        (String::new(), format!("{doc}:{pid}:0,1,2")),
        (String::new(), ";;:::".to_owned()),
        (String::new(), "x".repeat(100_000)),
    ] {
        let script = format!("exec {redirect}; exec {US} put doc --text y");
        let mut shell = Command::new("sh");
        shell.current_dir(f.path(""));
        shell.env("MAIFDECK_LOCK_FDS", &value);
        let refused: Run = shell.args(["-c", &script]).output().unwrap().into();
        assert_eq!(refused.code, Some(3), "{value:.60}: {refused:?}");
    }
    // A shared lock does not become an exclusive one by what the variable says.
    drop(holder.stdin.take());
    holder.wait().unwrap();
    let script = format!("exec {US} put doc --text y");
    let shared = f.run(&["lock", "doc", "--shared", "--", "sh", "-c", &script]);
    assert!(shared.exits(3).stderr.contains("--shared"));
}

#[test]
fn lock_ends_as_its_command_did_and_waits_no_longer_than_it_was_told() {
    let f = grid(3);
    for (script, code) in [
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        f.run(&["lock", "doc", "--", "sh", "-c", script])
            .exits(code);
    }
    // However many locks are waited for, one timeout is for all of them.
    let path = f.path("maifdeck.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"200ms\"", "\"20s\"")).unwrap();
    let Some(mut first) = flock(&f.path("a/p1/.maifdeck/store.lock"), "--exclusive") else {
        return;
    };
    let mut second = flock(&f.path("b/p1/doc.maif.lock"), "--exclusive").unwrap();
    let began = Instant::now();
    let waiting = f
        .command(&["lock", "doc", "--timeout", "2", "--", "true"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while began.elapsed() < Duration::from_secs(1) {
                std::thread::yield_now();
            }
            drop(first.stdin.take());
        });
        let refused: Run = waiting.wait_with_output().unwrap().into();
        assert!(refused.exits(3).stderr.contains("doc.maif.lock"));
    });
    assert!(began.elapsed() < Duration::from_secs(10));
    first.wait().unwrap();
    drop(second.stdin.take());
    second.wait().unwrap();
    f.run(&[
        "lock",
        "doc",
        "--timeout",
        "18446744073709551615",
        "--",
        "true",
    ])
    .exits(2);
}

#[test]
fn the_timeout_of_lock_is_also_for_the_lease() {
    let f = leased(1, "20s");
    let mut other = hosts::holder(&f, "ops-2");
    let began = Instant::now();
    let refused = run(
        &f,
        "ops-1",
        &["lock", "doc", "--timeout", "0", "--", "true"],
    )
    .exits(3);
    assert!(refused.stderr.contains("ops-2 pid"), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    // What two hosts try to see whether locks bind both needs no lease on the second.
    drop(other.stdin.take());
    other.wait().unwrap();
    let mut first = ready(on(
        &f,
        "ops-2",
        &["lock", "doc", "--", "sh", "-c", "echo; read x"],
    ));
    let tried = ["lock", "doc", "--shared", "--timeout", "0", "--", "true"];
    let refused = run(&f, "ops-1", &tried).exits(3);
    assert!(
        refused.stderr.contains(&format!("pid {}", first.id())),
        "{refused:?}"
    );
    drop(first.stdin.take());
    first.wait().unwrap();
    run(&f, "ops-1", &tried).exits(0);
}

#[test]
fn a_lock_file_is_never_believed_and_never_read_to_its_end() {
    let f = grid(1);
    let lock = f.path("a/p1/doc.maif.lock");
    let file = fs::OpenOptions::new().write(true).open(&lock).unwrap();
    fs2::FileExt::lock_exclusive(&file).unwrap();
    let us = format!(" pid {} ", std::process::id());
    for content in [
        "ops-9 pid 1 since 1999 (nobody)".as_bytes(),
        b"\x1b[2J\x1b[31mevil",
        "\u{202e}detrevni".as_bytes(),
        b"\xff\xfe\x00",
        b"two\nlines",
    ] {
        fs::write(&lock, content).unwrap();
        let refused = f.run(&["put", "doc", "--text", "y"]).exits(3);
        // The kernel's word goes before it.
        assert!(refused.stderr.contains(&us), "{refused:?}");
        assert!(
            !refused.stderr.contains(['\u{1b}', '\u{202e}']),
            "{refused:?}"
        );
    }
    file.set_len(1 << 40).unwrap();
    assert!(
        f.run(&["put", "doc", "--text", "y"])
            .exits(3)
            .stderr
            .contains(&us)
    );
    drop(file);
    f.run(&["put", "doc", "--text", "y"]).exits(0);
}

#[test]
fn a_put_at_a_generation_is_refused_when_another_program_wrote_since() {
    let f = grid(1);
    let put = |generation: &str| {
        let arguments = ["put", "doc", "--text", "z", "--if-generation", generation];
        f.run(&arguments)
    };
    put("absent").exits(3);
    put("7").exits(3);
    put("1").exits(0);
    put("1").exits(3);
    // Saved in place: the record is that of generation 2, the bytes are not.
    f.run(&["put", "other", "--text", "by a sketch"]).exits(0);
    fs::write(
        f.path("a/p1/doc.maif"),
        fs::read(f.path("a/p1/other.maif")).unwrap(),
    )
    .unwrap();
    let refused = put("2").exits(3);
    assert!(refused.stderr.contains("another program"), "{refused:?}");
    f.run(&["put", "doc", "--text", "z"]).exits(0);
    put("3").exits(0);
    f.run(&["rm", "doc", "--yes"]).exits(0);
    put("5").exits(3);
    put("absent").exits(0);
}
