//! The console's side of the lease, through the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use maifdeck::{
    clock::SystemClock,
    store::{
        Access, Config, Store, StoreError,
        commit::{Committed, Condition, PutRequest},
        lease::{Keeper, LeaseState},
        prepare::{Input, prepare},
    },
    volume::ArtifactName,
};
use support::Fixture;

fn leased() -> Fixture {
    let f = Fixture::empty();
    f.init(&["--leases", "--partition", "p1=a"]);
    f.configure("leader", "ttl = \"1s\"");
    f
}

fn open(f: &Fixture, access: Access) -> Store {
    let config = Config::read(Path::new(&f.path("maifdeck.toml"))).unwrap();
    Store::open(Arc::new(config), SystemClock::shared(), access)
}

fn put(store: &Store, name: &str) -> Result<Committed, StoreError> {
    let texts = ["x".to_owned()];
    let sign = &store.config().sign;
    let prepared = prepare(Input::Texts(&texts), sign, store.clock().as_ref()).unwrap();
    store.put(PutRequest {
        name: &ArtifactName::new(name).unwrap(),
        source: prepared.file.path(),
        sha256: prepared.sha256,
        condition: Condition::Always,
        guard: &|_| Ok(()),
    })
}

#[track_caller]
fn until(keeper: &Keeper, what: &str, condition: impl Fn(&Keeper) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition(keeper) {
        assert!(Instant::now() < deadline, "{what}: {:?}", keeper.status());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_open_console_leads_until_it_steps_down_or_is_overtaken() {
    let f = leased();
    let store = open(&f, Access::Write);
    let keeper = Keeper::open(&store, true);
    until(&keeper, "leads", |k| k.status().mine);
    let epoch = keeper.status().epoch;
    assert_eq!(keeper.status().words(), "held here, epoch 1");
    // What this process writes, also after a look at the volumes anew, is under this lease.
    put(&store, "a").unwrap();
    put(&store.reopened(), "b").unwrap();
    until(&keeper, "beats", |k| k.status().alive);
    assert_eq!(keeper.status().epoch, epoch);
    f.run(&["put", "c", "--text", "x"]).exits(3);

    keeper.step_down();
    until(&keeper, "is free", |k| k.status().state == LeaseState::Free);
    f.run(&["put", "c", "--text", "x"]).exits(0);
    until(&keeper, "stays away", |k| {
        k.status().epoch.is_some_and(|e| e.0 == 2)
    });
    assert!(!keeper.status().mine);

    keeper.take_over(None).unwrap();
    until(&keeper, "leads again", |k| k.status().mine);
    f.run(&["lease", "steal", "--yes"]).exits(0);
    until(&keeper, "knows that it lost", |k| k.note().is_some());
    assert!(keeper.note().unwrap().starts_with("the lease was taken"));
    assert!(!keeper.status().mine, "what was taken is not fought for");
    drop(keeper);
    put(&store, "d").unwrap();
}

#[test]
fn a_resting_console_gives_the_lease_back_and_takes_it_up_again_unless_another_has_it() {
    let f = leased();
    let store = open(&f, Access::Write);
    let keeper = Keeper::open(&store, true);
    until(&keeper, "leads", |k| k.status().mine);
    // A job that stands still meanwhile keeps its right to write.
    let lead = store.lead().unwrap();
    keeper.rest();
    let status = f.run(&["lease", "status", "--json"]).exits(0).json();
    assert_eq!(status["state"], "free");
    keeper.wake();
    until(&keeper, "leads again", |k| {
        k.status().mine && k.status().alive
    });
    assert_eq!(keeper.status().epoch, lead.epoch());
    put(&store, "a").unwrap();

    keeper.rest();
    f.run(&["put", "b", "--text", "x"]).exits(0);
    keeper.wake();
    until(&keeper, "knows that it lost", |k| k.note().is_some());
    let refused = put(&store, "c").unwrap_err();
    assert!(refused.to_string().contains("lost the lease"), "{refused}");
    drop(lead);
    assert!(!keeper.status().mine);
}

#[test]
fn a_job_that_rests_gives_its_locks_back_and_goes_on_under_them() {
    use maifdeck::{
        apply, planner,
        progress::Task,
        store::held::{LockOf, held_now},
        volume::Level,
    };
    let f = Fixture::empty();
    f.init(&["--leases", "--partition", "p1=a,b,c"]);
    f.configure("store", "lock_timeout = \"200ms\"");
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    std::fs::remove_file(f.path("b/doc.maif")).unwrap();
    let store = open(&f, Access::Write);
    let plan = Arc::new(planner::repair(&store, Level::Quick, planner::Repair::default()).unwrap());
    let locks = || -> Vec<LockOf> {
        let held = held_now(&store).unwrap().into_iter();
        held.filter(|lock| lock.certain)
            .map(|lock| lock.of)
            .collect()
    };
    for overtaken in [true, false] {
        let keeper = Keeper::open(&store, true);
        until(&keeper, "leads", |k| k.status().mine);
        let task = Task::new();
        let job = apply::begin(&store, &plan).unwrap();
        assert!(locks().contains(&LockOf::Job));
        task.rest();
        let worker = std::thread::spawn({
            let task = task.clone();
            move || job.run(&task)
        });
        while !locks().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        keeper.rest();
        if overtaken {
            // Another host does what it waited for, and leaves: this one may not go on.
            f.run(&["put", "other", "--text", "x"]).exits(0);
            keeper.wake();
            task.resume();
            let refused = worker.join().unwrap().unwrap_err();
            assert!(refused.to_string().contains("lost the lease"), "{refused}");
            let jobs = f.run(&["jobs", "--json"]).json();
            assert_eq!(jobs["jobs"][0]["state"], "interrupted");
            assert!(!f.path("b/doc.maif").exists());
            continue;
        }
        keeper.wake();
        task.resume();
        let done = worker.join().unwrap().unwrap();
        assert_eq!(done.steps_done, 1);
        assert!(f.path("b/doc.maif").exists());
    }
}

#[test]
fn a_lease_whose_holder_died_waits_for_the_operator_and_only_what_was_confirmed_is_taken() {
    let f = leased();
    f.command(&["put", "a", "--text", "x"])
        .env("MAIFDECK_FAULT", "commit.before-gate=kill")
        .output()
        .unwrap();
    let store = open(&f, Access::Write);
    let keeper = Keeper::open(&store, true);
    until(&keeper, "sees", |k| k.status().state == LeaseState::Expired);
    until(&keeper, "watches on", |k| {
        k.status().observed > Duration::from_millis(1300)
    });
    let seen = keeper.status();
    assert_eq!((seen.state, seen.mine), (LeaseState::Expired, false));
    assert!(seen.is_still() && seen.watched.is_some());
    // Another host was faster: what was shown is not there any more.
    let mut other = f
        .command(&["lease", "hold", "--", "sh", "-c", "echo; read x"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let refused = keeper.take_over(seen.epoch).unwrap_err();
    assert!(refused.to_string().contains("lease hold"), "{refused}");
    let now = f.run(&["lease", "status", "--json"]).exits(0).json();
    assert_eq!(now["pid"], other.id());
    drop(other.stdin.take());
    other.wait().unwrap();
    until(&keeper, "leads when it is free", |k| k.status().mine);
}

#[test]
fn a_console_that_may_not_write_only_watches() {
    let f = leased();
    let store = open(&f, Access::ReadOnly);
    let keeper = Keeper::open(&store, true);
    until(&keeper, "sees", |k| k.status().state == LeaseState::Free);
    assert!(keeper.take_over(None).is_err());
    assert!(!f.path("a/.maifdeck/lease").exists());
}

#[test]
fn a_console_gives_the_lease_back_when_it_closes() {
    let f = leased();
    let store = open(&f, Access::Write);
    let keeper = Keeper::open(&store, true);
    until(&keeper, "leads", |k| k.status().mine);
    drop(keeper);
    let status = f.run(&["lease", "status", "--json"]).exits(0).json();
    assert_eq!(status["state"], "free");
}

#[test]
fn the_locks_that_are_held_are_told_with_their_holders() {
    use maifdeck::store::held::{LockOf, held_now};
    let f = leased();
    let store = open(&f, Access::ReadOnly);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    assert_eq!(held_now(&store).unwrap(), []);
    let mut child = f
        .command(&["lock", "doc", "--", "sh", "-c", "echo; read x"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    let held = held_now(&store).unwrap();
    let pid = format!("pid {}", child.id());
    assert!(
        held.iter()
            .all(|lock| lock.certain && lock.holder.contains(&pid))
    );
    let what: Vec<LockOf> = held.into_iter().map(|lock| lock.of).collect();
    let doc = ArtifactName::new("doc").unwrap();
    assert_eq!(what, [LockOf::Store, LockOf::Artifact(doc)]);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(held_now(&store).unwrap(), []);
}
