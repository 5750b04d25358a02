//! Promise 5 with real processes: two hosts on one store, stopped, killed and racing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/hosts.rs"]
mod hosts;
mod support;

use std::{
    fs,
    io::Write,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use hosts::{holder, leased, on, run, signal, status, stopped, stopped_put};
use serde_json::Value;
use support::{Fixture, Run};

#[test]
fn a_single_write_takes_the_lease_and_gives_it_back() {
    let f = leased(3, "10s");
    assert_eq!(status(&f, "ops-1", &[])["state"], "free");
    assert_eq!(status(&f, "ops-1", &[])["epoch"], Value::Null);
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    run(&f, "ops-2", &["put", "doc", "--text", "y"]).exits(0);
    run(&f, "ops-2", &["rm", "doc", "--yes"]).exits(0);
    let now = status(&f, "ops-1", &[]);
    assert_eq!((&now["state"], &now["epoch"]), (&"free".into(), &3.into()));
    for disk in ["a", "b", "c"] {
        let epoch = fs::read_to_string(f.path(&format!("{disk}/p1/.maifdeck/epoch"))).unwrap();
        assert_eq!(epoch.trim_start_matches('0'), "3\n");
    }
    // Jobs take it too.
    fs::remove_file(f.path("b/p1/.maifdeck/epoch")).unwrap();
    run(&f, "ops-1", &["put", "doc", "--text", "z"]).exits(0);
    fs::remove_file(f.path("b/p1/doc.maif")).unwrap();
    run(&f, "ops-1", &["replicas", "repair", "--yes"]).exits(0);
    assert_eq!(status(&f, "ops-1", &[])["epoch"], 5);
    assert_eq!(
        f.run(&["status", "--json"]).json()["lease"]["state"],
        "free"
    );
}

#[test]
fn a_follower_writes_nothing_and_needs_no_lease() {
    let f = leased(1, "10s");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    let path = f.path("maifdeck.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n[node]\nrole = \"follower\"\n")).unwrap();
    // Nor when it looks twice at what is damaged: its lock file is one of those that are not made.
    fs::remove_file(f.path("a/p1/doc.maif.lock")).unwrap();
    let whole = fs::read(f.path("a/p1/doc.maif")).unwrap();
    fs::write(f.path("a/p1/doc.maif"), &whole[..whole.len() / 2]).unwrap();
    run(&f, "ops-2", &["get", "doc"]).exits(5);
    assert!(!f.path("a/p1/doc.maif.lock").exists());
    fs::write(f.path("a/p1/doc.maif"), whole).unwrap();
    let before = support::tree(&f.path("a"));
    run(&f, "ops-2", &["get", "doc"]).exits(0);
    run(&f, "ops-2", &["put", "doc", "--text", "y"]).exits(3);
    run(&f, "ops-2", &["lease", "hold", "--", "true"]).exits(3);
    run(&f, "ops-2", &["lease", "steal", "--yes"]).exits(3);
    assert_eq!(support::tree(&f.path("a")), before);
}

#[test]
fn a_held_lease_keeps_other_hosts_out_and_lets_its_commands_write() {
    let f = leased(3, "5s");
    let us = env!("CARGO_BIN_EXE_maifdeck");
    let script = format!("{us} put a --text 1 && {us} put b --text 2 && {us} lease status --json");
    let held = run(&f, "ops-1", &["lease", "hold", "--", "sh", "-c", &script]).exits(0);
    let last: Value = serde_json::from_str(held.text().lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["state"], &last["mine"]),
        (&"held".into(), &true.into())
    );
    assert_eq!(last["epoch"], 1, "both puts wrote under the one lease");

    let mut holder = holder(&f, "ops-1");
    let refused = run(&f, "ops-2", &["put", "a", "--text", "x", "--json"]).exits(3);
    assert_eq!(refused.json()["error"]["kind"], "lease_held");
    assert!(refused.stderr.contains("ops-1 pid"), "{refused:?}");
    assert!(refused.stderr.contains("lease hold"), "{refused:?}");
    run(
        &f,
        "ops-2",
        &["lease", "hold", "--timeout", "0", "--", "true"],
    )
    .exits(3);
    let seen = status(&f, "ops-2", &["--wait"]);
    assert_eq!(
        (&seen["state"], &seen["host"]),
        (&"held".into(), &"ops-1".into())
    );
    assert_eq!(
        (&seen["mine"], &seen["pid"]),
        (&false.into(), &holder.id().into())
    );
    // Stealing needs a word, and then works on one that lives.
    run(&f, "ops-2", &["lease", "steal"]).exits(3);
    run(&f, "ops-2", &["lease", "steal", "--yes"]).exits(0);
    run(&f, "ops-2", &["put", "a", "--text", "x"]).exits(0);
    holder.stdin.take().unwrap().write_all(b"\n").unwrap();
    let ended: Run = holder.wait_with_output().unwrap().into();
    assert!(ended.exits(0).stderr.contains("taken over meanwhile"));
    assert_eq!(
        run(&f, "ops-1", &["lease", "hold", "--", "sh", "-c", "exit 7"]).code,
        Some(7)
    );
}

#[test]
fn a_leader_stopped_outside_a_commit_is_overtaken_and_its_commit_refused() {
    let f = leased(3, "600ms");
    let stopped = stopped_put(&f, "ops-1", "doc", "commit.before-gate");
    run(&f, "ops-2", &["put", "other", "--text", "y"]).exits(0);
    signal(&stopped, rustix::process::Signal::CONT);
    let ended: Run = stopped.wait_with_output().unwrap().into();
    let ended = ended.exits(3);
    assert_eq!(ended.json()["error"]["kind"], "lease_lost");
    assert!(ended.stderr.contains("ops-2 pid"), "{ended:?}");
    run(&f, "ops-2", &["get", "doc"]).exits(5);
    for disk in ["a", "b", "c"] {
        let staged = fs::read_dir(f.path(&format!("{disk}/p1/.maifdeck/tmp"))).unwrap();
        assert_eq!(staged.count(), 0, "nothing of it is left");
    }
    run(&f, "ops-1", &["put", "doc", "--text", "later"]).exits(0);
}

#[test]
fn a_leader_stopped_inside_a_commit_blocks_until_it_is_ended() {
    let f = leased(3, "600ms");
    let mut stopped = stopped_put(&f, "ops-1", "doc", "commit.inside");
    let pid = stopped.id();
    let blocked = run(&f, "ops-2", &["put", "other", "--text", "y", "--json"]).exits(3);
    assert_eq!(blocked.json()["error"]["kind"], "lease_blocked");
    assert!(
        blocked.stderr.contains(&format!("ops-1 pid {pid}")),
        "{blocked:?}"
    );
    let seen = status(&f, "ops-3", &[]);
    assert_eq!(
        (&seen["state"], &seen["host"]),
        (&"blocked".into(), &"ops-1".into())
    );
    assert_eq!(seen["pid"], pid);
    run(&f, "ops-2", &["lease", "steal", "--yes"]).exits(3);
    run(&f, "ops-2", &["lease", "steal", "--kill", "--yes"]).exits(0);
    assert_eq!(stopped.wait().unwrap().code(), None, "it was killed");
    run(&f, "ops-2", &["put", "doc", "--text", "y"]).exits(0);
    assert_eq!(status(&f, "ops-3", &[])["state"], "free");
}

#[test]
fn a_job_that_was_overtaken_between_two_batches_changes_nothing_more_and_resumes() {
    let f = leased(3, "600ms");
    for name in ["d1", "d2", "d3"] {
        run(&f, "ops-1", &["put", name, "--text", "first"]).exits(0);
        run(&f, "ops-1", &["put", name, "--text", "second"]).exits(0);
        fs::remove_file(f.path(&format!("b/p1/{name}.maif"))).unwrap();
    }
    fs::remove_dir_all(f.path("b/p1/versions")).unwrap();
    // Copies are one batch, versions the next.
    let mended = || {
        let versions = fs::read_dir(f.path("b/p1/versions"));
        versions.map_or(0, Iterator::count)
    };
    let job = stopped(
        on(&f, "ops-1", &["replicas", "repair", "--yes", "--json"]),
        "apply.batch-done",
    );
    assert_eq!(mended(), 0);
    assert!(f.path("b/p1/d3.maif").exists());
    run(&f, "ops-2", &["put", "other", "--text", "y"]).exits(0);
    signal(&job, rustix::process::Signal::CONT);
    let ended: Run = job.wait_with_output().unwrap().into();
    let ended = ended.exits(3);
    assert_eq!(ended.json()["error"]["kind"], "lease_lost");
    assert_eq!(mended(), 0);
    let jobs = run(&f, "ops-1", &["jobs", "--json"]).exits(0).json();
    assert_eq!(jobs["jobs"][0]["state"], "interrupted");
    let id = jobs["jobs"][0]["id"].as_str().unwrap();
    run(&f, "ops-1", &["jobs", "resume", id]).exits(0);
    assert_eq!(mended(), 3);
}

#[test]
fn a_leader_that_went_on_inside_its_commit_ends_it_before_anyone_else_leads() {
    let f = leased(1, "600ms");
    let stopped = stopped_put(&f, "ops-1", "doc", "commit.inside");
    run(&f, "ops-2", &["put", "other", "--text", "y"]).exits(3);
    signal(&stopped, rustix::process::Signal::CONT);
    let ended: Run = stopped.wait_with_output().unwrap().into();
    ended.exits(0);
    run(
        &f,
        "ops-2",
        &["get", "doc", "-o", f.path("out").to_str().unwrap()],
    )
    .exits(0);
    run(&f, "ops-2", &["put", "other", "--text", "y"]).exits(0);
}

#[test]
fn a_killed_leader_is_overtaken_after_its_ttl() {
    let f = leased(1, "600ms");
    let mut child = holder(&f, "ops-1");
    signal(&child, rustix::process::Signal::KILL);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(
        status(&f, "ops-2", &[])["state"],
        "held",
        "one look cannot tell"
    );
    let seen = status(&f, "ops-2", &["--wait"]);
    assert_eq!(seen["state"], "expired");
    assert!(seen["observed_seconds"].as_f64().unwrap() >= 0.6);
    let began = Instant::now();
    run(&f, "ops-2", &["put", "doc", "--text", "y"]).exits(0);
    assert!(
        began.elapsed() >= Duration::from_millis(600),
        "it watched for itself"
    );
}

/// A command on a host whose wall clock is so many days off.
fn skewed(f: &Fixture, host: &str, days: i64, arguments: &[&str]) -> Command {
    let mut command = on(f, host, arguments);
    command.env("MAIFDECK_CLOCK_SKEW", (days * 86_400).to_string());
    command
}

#[test]
fn wall_clocks_that_are_days_apart_change_nothing() {
    let f = leased(1, "600ms");
    let put = |host, days, text: &str| -> Run {
        let arguments = ["put", "doc", "--text", text, "--json"];
        let output = skewed(&f, host, days, &arguments).output().unwrap();
        Run::from(output).exits(0)
    };
    put("past", -3, "1");
    put("future", 3, "2");
    put("past", -3, "3");
    // Versions are in the order of the commits, whatever the hosts think the time is.
    let history = run(&f, "ops-1", &["versions", "doc", "--json"])
        .exits(0)
        .json();
    let texts: Vec<String> = history["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| {
            let id = version["id"].as_str().unwrap();
            let found = run(
                &f,
                "ops-1",
                &["inspect", "doc", "--version", id, "--text", "--json"],
            );
            found.exits(0).json()["texts"][0]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(texts, ["2", "1"]);
    let now = run(&f, "ops-1", &["inspect", "doc", "--text", "--json"])
        .exits(0)
        .json();
    assert_eq!(now["texts"][0], "3");

    // A dead leader is overtaken after its TTL and not before, by whichever clock.
    for (dead, heir, days) in [("past", "future", 3), ("future", "past", -3)] {
        let mut child = skewed(
            &f,
            dead,
            -days,
            &["lease", "hold", "--", "sh", "-c", "echo; read x"],
        )
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        // It lives: nobody takes it.
        let refused = skewed(&f, heir, days, &["put", "doc", "--text", "x"]);
        Run::from({ refused }.output().unwrap()).exits(3);
        let before = status(&f, "ops-1", &[]);
        signal(&child, rustix::process::Signal::KILL);
        drop(child.stdin.take());
        child.wait().unwrap();
        let began = Instant::now();
        put(heir, days, "x");
        assert!(began.elapsed() >= Duration::from_millis(600));
        let after = status(&f, "ops-1", &[]);
        assert!(after["epoch"].as_u64() > before["epoch"].as_u64());
    }
}

#[test]
fn of_hosts_that_start_at_once_each_epoch_has_one_leader() {
    let f = leased(1, "5s");
    let log = f.path("log");
    let script = format!(
        "echo \"begin $MAIFDECK_LEASE\" >> {0}; echo \"end $MAIFDECK_LEASE\" >> {0}",
        log.display()
    );
    let rounds = 200;
    for _ in 0..rounds {
        let arguments = [
            "lease",
            "hold",
            "--timeout",
            "60",
            "--",
            "sh",
            "-c",
            &script,
        ];
        let both: Vec<Child> = ["ops-1", "ops-2"]
            .iter()
            .map(|host| on(&f, host, &arguments).spawn().unwrap())
            .collect();
        for child in both {
            let ended: Run = child.wait_with_output().unwrap().into();
            assert!(!ended.exits(0).stderr.contains("taken over"));
        }
    }
    let log = fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let mut before = 0;
    assert_eq!(lines.len(), 4 * rounds);
    for pair in lines.chunks(2) {
        let (begin, end) = (pair[0].strip_prefix("begin "), pair[1].strip_prefix("end "));
        assert_eq!(begin, end, "two leaders at once: {pair:?}");
        let epoch: u64 = begin.unwrap().split(':').nth(1).unwrap().parse().unwrap();
        assert!(epoch > before, "epoch {epoch} after {before}");
        before = epoch;
    }
    let left = fs::read_dir(f.path("a/p1/.maifdeck/lease"))
        .unwrap()
        .count();
    assert!(left <= 40, "old lease files are swept: {left}");
}

#[test]
fn a_leader_that_came_between_a_rivals_looks_is_not_taken_for_a_dead_one() {
    let f = leased(3, "20s");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    // It has seen that the lease is free, and stops.
    let late = stopped_put(&f, "ops-2", "late", "lease.looked");
    let us = env!("CARGO_BIN_EXE_maifdeck");
    let script = format!("{us} put doc --text y; echo; read x");
    let mut leader = on(&f, "ops-1", &["lease", "hold", "--", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(leader.stdout.take().unwrap());
    let mut line = String::new();
    while line != "\n" {
        line.clear();
        std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    }
    signal(&late, rustix::process::Signal::CONT);
    let refused: Run = late.wait_with_output().unwrap().into();
    let refused = refused.exits(3);
    assert_eq!(refused.json()["error"]["kind"], "lease_held");
    assert!(refused.stderr.contains("ops-1 pid"), "{refused:?}");
    leader.stdin.take().unwrap().write_all(b"\n").unwrap();
    let ended: Run = leader.wait_with_output().unwrap().into();
    assert!(!ended.exits(0).stderr.contains("taken over"));
}

#[test]
fn a_volume_that_saw_a_greater_epoch_refuses_the_commit() {
    let f = leased(3, "10s");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    let us = env!("CARGO_BIN_EXE_maifdeck");
    let epoch = f.path("c/p1/.maifdeck/epoch");
    let script = format!(
        "printf '%020d\\n' 900 > {}; {us} put doc --text y",
        epoch.display()
    );
    let refused = run(&f, "ops-1", &["lease", "hold", "--", "sh", "-c", &script]).exits(3);
    assert!(refused.stderr.contains("epoch 900"), "{refused:?}");
    // Nor does a command write under a lease that its parent lost so long ago that it is swept.
    let script = format!(
        "rm {}/a/p1/.maifdeck/lease/*; {us} put doc --text y",
        f.path("").display()
    );
    let refused = run(&f, "ops-1", &["lease", "hold", "--", "sh", "-c", &script]).exits(3);
    assert!(refused.stderr.contains("lost the lease"), "{refused:?}");
    // A new lease begins after everything that left a trace, also where the control is new.
    fs::remove_dir_all(f.path("a/p1/.maifdeck/lease")).unwrap();
    fs::remove_file(f.path("a/p1/.maifdeck/lease.lock")).unwrap();
    run(&f, "ops-1", &["put", "doc", "--text", "y"]).exits(0);
    assert_eq!(status(&f, "ops-1", &[])["epoch"], 901);
}

#[test]
fn leases_are_refused_where_the_probe_found_no_working_locks() {
    let f = leased(1, "10s");
    let mark = f.path("a/p1/.maifdeck/volume.toml");
    let text = fs::read_to_string(&mark).unwrap();
    fs::write(&mark, text.replace("flock = true", "flock = false")).unwrap();
    let refused = run(&f, "ops-1", &["put", "doc", "--text", "x", "--json"]).exits(3);
    assert_eq!(refused.json()["error"]["kind"], "lease_untrusted");
    assert!(
        refused.stderr.contains("flock does not exclude"),
        "{refused:?}"
    );
    let seen = status(&f, "ops-1", &[]);
    assert_eq!(seen["state"], "unknown");
    assert!(seen["problem"].as_str().unwrap().contains("flock"));
    run(&f, "ops-1", &["get", "doc"]).exits(5);
}

#[test]
fn what_holds_a_lock_is_named_with_host_pid_and_operation() {
    let f = Fixture::grid(1, 1);
    f.configure("store", "lock_timeout = \"200ms\"");
    let mut child = on(
        &f,
        "ops-1",
        &["lock", "doc", "--", "sh", "-c", "echo; read x"],
    )
    .stdin(Stdio::piped())
    .spawn()
    .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.as_mut().unwrap()),
        &mut line,
    )
    .unwrap();
    let pid = child.id();
    for arguments in [
        &["put", "doc", "--text", "x"][..],
        &["lock", "doc", "--timeout", "0", "--", "true"],
    ] {
        let refused = run(&f, "ops-1", arguments).exits(3);
        let words = format!("ops-1 pid {pid} since ");
        assert!(refused.stderr.contains(&words), "{refused:?}");
        assert!(refused.stderr.contains("(lock doc)"), "{refused:?}");
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    // What is no longer held names nobody, and a change under a shared lock is refused at once.
    assert_eq!(
        fs::read_to_string(f.path("a/p1/doc.maif.lock")).unwrap(),
        ""
    );
    let us = env!("CARGO_BIN_EXE_maifdeck");
    let refused = f
        .run(&[
            "lock", "doc", "--shared", "--", us, "put", "doc", "--text", "x",
        ])
        .exits(3);
    assert!(refused.stderr.contains("--shared"), "{refused:?}");
    // Locks nest: each command inside uses all that are held around it, the same one too.
    for inner in ["other", "doc"] {
        f.run(&[
            "lock", "doc", "--", us, "lock", inner, "--", us, "put", "doc", "--text", "x",
        ])
        .exits(0);
    }
}

#[test]
fn the_help_says_what_holds_where_and_the_probe_how_to_try_it() {
    let f = leased(1, "5s");
    let help = f.run(&["help", "lease"]).exits(0).text();
    for place in [
        "local disks",
        "NFS v4, v3",
        "SMB",
        "s3fs and FUSE",
        "know no leases",
    ] {
        assert!(help.contains(place), "{place}: {help}");
    }
    let probe = f.run(&["volume", "probe", "p1.1"]).exits(0);
    assert!(probe.stderr.contains("only two hosts can"), "{probe:?}");
}
