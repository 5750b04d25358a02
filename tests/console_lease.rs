//! "The leader host hangs": consoles of two hosts on one store, in real pseudo-terminals, each with
//! its own state directory; stopped outside and inside a commit, and by Ctrl-Z.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/session.rs"]
mod session;
mod support;

use portable_pty::CommandBuilder;
use rustix::process::Signal;
use serde_json::Value;
use session::Session;
use support::Fixture;

/// One partition, three replicas, a repair to be done, and leases.
fn leased(ttl: &str) -> Fixture {
    let f = Fixture::empty();
    f.init(&["--leases", "--partition", "p1=a,b,c"]);
    f.configure(
        "leader",
        &format!("ttl = \"{ttl}\"\nbarrier_timeout = \"300ms\""),
    );
    let path = f.path("maifdeck.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + "\n[console]\nrefresh = \"300ms\"\n").unwrap();
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    std::fs::remove_file(f.path("b/doc.maif")).unwrap();
    f
}

fn console(f: &Fixture, host: &str, more: &[(&str, &str)]) -> Session {
    let state = f.path(&format!("state-{host}"));
    let mut environment = vec![
        ("MAIFDECK_HOST", host),
        ("XDG_STATE_HOME", state.to_str().unwrap()),
    ];
    environment.extend(more);
    Session::open_with(f, &[], 24, 100, &environment)
}

fn status(f: &Fixture) -> Value {
    f.run(&["lease", "status", "--json"]).exits(0).json()
}

#[test]
fn the_leader_host_hangs_and_the_other_takes_over() {
    let f = leased("3s");
    let mut first = console(&f, "ops-1", &[]);
    first.see("you lead e2");
    let mut second = console(&f, "ops-2", &[]);
    second.see("leader ops-1 e2");
    second.press("F");
    second.see("not the leader: ops-1 holds the lease, epoch 2");
    second.press("6");
    second.see("moves, watched since");
    second.press("t");
    second.see("its counter moves");

    first.signal(Signal::STOP);
    second.wait("the counter stands still", |screen| {
        screen.contains("still for ") && screen.contains(" of 3 s, watched since")
    });
    second.press("t");
    second.see("Type  ops-1 ");
    second.press("ops-1\r");
    second.see("you lead e3");
    // What it does from here on is its own.
    second.press("3F");
    second.see("Cancel");
    second.press("\t\r");
    second.see("copied, verified");
    let audit = f.run(&["jobs", "--audit", "--json"]).exits(0).json();
    let last = &audit["audit"][0];
    assert_eq!(
        (&last["epoch"], &last["host"]),
        (&3.into(), &"ops-2".into())
    );

    // The first comes back, knows that it was overtaken, and changes nothing.
    first.signal(Signal::CONT);
    first.see("leads no longer: the lease is held by ops-2, epoch 3");
    first.press("F");
    first.see("not the leader: ops-2 holds the lease, epoch 3");
    second.press("q");
    assert_eq!(second.end(), 0);
    second.is_restored();
    assert_eq!(status(&f)["state"], "free");
    first.press("6");
    first.see("nobody: the lease is free");
    first.press("t");
    first.see("you lead e4");
    first.press("d");
    first.see("nobody: the lease is free");
    first.press("q");
    assert_eq!(first.end(), 0);
}

#[test]
fn a_leader_that_stopped_inside_a_commit_is_named_and_ended() {
    let f = leased("2s");
    let mut first = console(&f, "ops-1", &[("MAIFDECK_FAULT", "commit.inside=stop")]);
    first.see("you lead e2");
    let mut second = console(&f, "ops-2", &[]);
    second.see("leader ops-1 e2");
    first.press("3F");
    first.see("Cancel");
    first.press("\t\r");
    second.press("6");
    second.see("still for ");
    second.press("t");
    second.see("Type  ops-1 ");
    second.press("ops-1\r");
    let pid = first.child.process_id().unwrap();
    let refused = second.see("is inside a commit");
    assert!(refused.contains(&format!("ops-1 pid {pid}")), "{refused}");
    second.press("\r");
    second.see(&format!("end pid {pid} on ops-1"));
    second.press("1");
    second.see("the lease is blocked by ops-1");
    assert_eq!(status(&f)["state"], "blocked");

    f.run(&["lease", "steal", "--kill", "--yes"]).exits(0);
    first.child.wait().unwrap();
    second.see("you lead e");
    second.press("3");
    second.wait("the job is seen as interrupted", |_| {
        let jobs = f.run(&["jobs", "--json"]).json();
        jobs["jobs"][0]["state"] == "interrupted"
    });
    second.press("q");
    assert_eq!(second.end(), 0);
    second.is_restored();
}

/// A shell with job control, as stop signals to a lone process are thrown away.
#[test]
fn a_console_that_is_stopped_gives_the_lease_back_and_takes_it_up_again() {
    let f = leased("10s");
    let mut command = CommandBuilder::new("bash");
    command.args(["--norc", "--noprofile", "-i"]);
    command.env("PS1", "shell> ");
    let mut shell = Session::start(&f, command, (24, 100), &[]);
    shell.see("shell>");
    shell.press(&format!("{}\r", env!("CARGO_BIN_EXE_maifdeck")));
    shell.see("you lead e2");
    assert_eq!(status(&f)["state"], "held");
    shell.press("\u{1a}");
    shell.see("Stopped");
    assert_eq!(status(&f)["state"], "free");
    shell.press("fg\r");
    shell.see("you lead e2");
    // Overtaken while it was away.
    shell.press("\u{1a}");
    shell.see("Stopped");
    f.run(&["put", "other", "--text", "x"]).exits(0);
    shell.press("fg\r");
    shell.see("no leader");
    shell.press("6t");
    shell.see("you lead e4");
    shell.press("q");
    shell.see("shell>");
    assert_eq!(status(&f)["state"], "free");
    shell.press("exit\r");
    shell.end();
}
