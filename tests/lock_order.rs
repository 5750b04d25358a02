//! The lock order, as `src/store/hold.rs` states it: lease, `job.lock`, `store.lock`, labels in order,
//! name. Whoever waits for one holds what comes before it and nothing that comes after, so no two can
//! wait for each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use maifdeck::{
    clock::SystemClock,
    store::{
        Access, Config, Store,
        held::{LockOf, held_now},
    },
};
use support::{Fixture, Run};

const VOLUMES: [&str; 3] = ["p1.1", "p1.2", "p1.3"];

fn leased() -> Fixture {
    let f = Fixture::empty();
    f.init(&["--leases", "--partition", "p1=a,b,c"]);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    f
}

fn open(f: &Fixture) -> Store {
    let config = Config::read(&f.path("maifdeck.toml")).unwrap();
    Store::open(Arc::new(config), SystemClock::shared(), Access::ReadOnly)
}

/// Holds a lock file of a volume until it is dropped.
fn hold(path: PathBuf) -> File {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap();
    fs2::FileExt::lock_exclusive(&file).unwrap();
    file
}

fn start(f: &Fixture, arguments: &[&str]) -> Child {
    f.command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a process holds by the kernel's word, as `<lock> <volume>`, once it holds `last`.
fn holds(store: &Store, child: &Child, last: &str) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !held_by(store, child).iter().any(|lock| lock == last) {
        assert!(Instant::now() < deadline, "never held {last}");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Each volume is looked at in its own time; now it waits, and nothing changes any more.
    held_by(store, child)
}

fn held_by(store: &Store, child: &Child) -> Vec<String> {
    let pid = format!(" pid {} ", child.id());
    held_now(store)
        .unwrap()
        .into_iter()
        .filter(|lock| lock.certain && lock.holder.contains(&pid))
        .map(|lock| {
            let what = match lock.of {
                LockOf::Lease => "lease".to_owned(),
                LockOf::Job => "job".to_owned(),
                LockOf::Store => "store".to_owned(),
                LockOf::Artifact(name) => name.to_string(),
            };
            format!("{what} {}", lock.volume)
        })
        .collect()
}

/// Whether a process has the lease.
fn leads(f: &Fixture, child: &Child) -> bool {
    let status = f.run(&["lease", "status", "--json"]).exits(0).json();
    status["state"] == "held" && status["pid"] == child.id()
}

fn of(what: &str, volumes: &[&str]) -> Vec<String> {
    let all = volumes.iter().map(|volume| format!("{what} {volume}"));
    all.collect()
}

#[track_caller]
fn same(mut found: Vec<String>, expected: &[Vec<String>]) {
    let mut expected: Vec<String> = expected.iter().flatten().cloned().collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

fn ends(child: Child) {
    Run::from(child.wait_with_output().unwrap()).exits(0);
}

fn own(f: &Fixture, disk: &str, file: &str) -> PathBuf {
    f.path(disk).join(Path::new(".maifdeck").join(file))
}

#[test]
fn a_change_waits_for_each_lock_holding_only_what_comes_before_it() {
    let f = leased();
    let store = open(&f);
    // For the name on the second volume: lease, all of `store.lock`, the name on the first.
    let blocker = hold(f.path("b/doc.maif.lock"));
    let put = start(&f, &["put", "doc", "--text", "y"]);
    let held = holds(&store, &put, "doc p1.1");
    same(held, &[of("store", &VOLUMES), of("doc", &["p1.1"])]);
    assert!(leads(&f, &put));
    drop(blocker);
    ends(put);
    // For `store.lock` on the second: lease, and `store.lock` on the first.
    let blocker = hold(own(&f, "b", "store.lock"));
    let put = start(&f, &["put", "doc", "--text", "z"]);
    same(holds(&store, &put, "store p1.1"), &[of("store", &["p1.1"])]);
    assert!(leads(&f, &put));
    drop(blocker);
    ends(put);
}

#[test]
fn nothing_is_locked_before_the_lease_is_had() {
    let f = leased();
    std::fs::remove_file(f.path("c/doc.maif")).unwrap();
    let mut other = start(&f, &["lease", "hold", "--", "sh", "-c", "read x"]);
    while !leads(&f, &other) {
        assert!(other.try_wait().unwrap().is_none());
    }
    // Whoever took one of these first would wait for it, and not be told of the lease.
    let _held = ["job.lock", "store.lock"].map(|file| hold(own(&f, "a", file)));
    let _name = hold(f.path("a/doc.maif.lock"));
    for arguments in [
        &["put", "doc", "--text", "y", "--json"][..],
        &["rm", "doc", "--yes", "--json"],
        &["lock", "doc", "--json", "--", "true"],
        &["replicas", "repair", "--yes", "--json"],
    ] {
        let refused = f.run(arguments).exits(3);
        assert!(
            refused.stderr.contains("the lease is held by"),
            "{refused:?}"
        );
    }
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn bulk_work_waits_for_each_lock_holding_only_what_comes_before_it() {
    let f = leased();
    let store = open(&f);
    std::fs::remove_file(f.path("c/doc.maif")).unwrap();
    let repair = ["replicas", "repair", "--yes"];
    // For `store.lock` on the third volume: lease, all of `job.lock`, `store.lock` on the others.
    let blocker = hold(own(&f, "c", "store.lock"));
    let job = start(&f, &repair);
    let held = holds(&store, &job, "store p1.2");
    same(held, &[of("job", &VOLUMES), of("store", &["p1.1", "p1.2"])]);
    assert!(leads(&f, &job));
    drop(blocker);
    ends(job);
    // For `job.lock` on the second: lease, and `job.lock` on the first.
    std::fs::remove_file(f.path("c/doc.maif")).unwrap();
    let blocker = hold(own(&f, "b", "job.lock"));
    let job = start(&f, &repair);
    same(holds(&store, &job, "job p1.1"), &[of("job", &["p1.1"])]);
    assert!(leads(&f, &job));
    drop(blocker);
    ends(job);
}
