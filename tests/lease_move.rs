//! The lease on another volume: a plan, refused while another leads, resumed wherever it was cut off.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/hosts.rs"]
mod hosts;
mod support;

use std::fs;

use hosts::{holder, leased, on, run, signal, status, stopped_put};
use support::Run;

#[test]
fn the_lease_moves_to_another_volume_as_a_plan_and_nobody_leads_where_it_was() {
    let f = leased(3, "5s");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    run(&f, "ops-1", &["lease", "move", "p1.9", "--yes"]).exits(5);
    run(&f, "ops-1", &["lease", "move", "p1.1", "--yes"]).exits(2);
    let before = fs::read_to_string(f.path("maifdeck.toml")).unwrap();
    let planned = run(
        &f,
        "ops-1",
        &["lease", "move", "p1.2", "--dry-run", "--json"],
    )
    .exits(0);
    assert_eq!(planned.json()["plan"]["intent"], "lease-move");
    // Not while somebody else leads.
    let mut other = holder(&f, "ops-2");
    let refused = run(&f, "ops-1", &["lease", "move", "p1.2", "--yes", "--json"]).exits(3);
    assert!(refused.stderr.contains("ops-2 pid"), "{refused:?}");
    assert_eq!(fs::read_to_string(f.path("maifdeck.toml")).unwrap(), before);
    drop(other.stdin.take());
    other.wait().unwrap();

    // A write that was prepared under the layout before, as its leader.
    let late = stopped_put(&f, "ops-3", "late", "lease.won");
    let old = status(&f, "ops-1", &["--wait"]);
    assert_eq!(old["host"], "ops-3");
    run(&f, "ops-1", &["lease", "steal", "--yes"]).exits(0);
    let moved = run(&f, "ops-1", &["lease", "move", "p1.2", "--yes", "--json"]).exits(0);
    assert_eq!(moved.json()["job"]["state"], "done");
    signal(&late, rustix::process::Signal::CONT);
    let ended: Run = late.wait_with_output().unwrap().into();
    assert_eq!(ended.exits(3).json()["error"]["kind"], "lease_lost");

    run(&f, "ops-1", &["put", "doc", "--text", "y"]).exits(0);
    let now = status(&f, "ops-1", &[]);
    assert!(
        now["epoch"].as_u64() > old["epoch"].as_u64(),
        "numbers only grow"
    );
    assert!(f.path("b/p1/.maifdeck/lease.lock").exists());
    // A host that was not told is refused, and says what differs.
    let stale = f.path("stale.toml");
    fs::write(&stale, before).unwrap();
    let stale = stale.to_str().unwrap();
    let refused = run(
        &f,
        "ops-2",
        &["--config", stale, "put", "doc", "--text", "z"],
    )
    .exits(3);
    assert!(refused.stderr.contains("control is p1.2"), "{refused:?}");
    // There and back again.
    run(&f, "ops-1", &["lease", "move", "p1.1", "--yes"]).exits(0);
    run(&f, "ops-1", &["put", "doc", "--text", "z"]).exits(0);
    assert!(status(&f, "ops-1", &[])["epoch"].as_u64() > now["epoch"].as_u64());
}

#[test]
fn a_move_of_the_lease_that_was_cut_off_anywhere_goes_on() {
    for point in [
        "layout.raised=kill@1",
        "layout.raised=kill@2",
        "layout.raised=kill@3",
        "layout.configured=kill",
        "apply.batch-done=kill",
        "layout.sealed=kill@2",
    ] {
        let f = leased(3, "300ms");
        run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
        let mut cut = on(&f, "ops-1", &["lease", "move", "p1.2", "--yes"]);
        let cut = cut.env("MAIFDECK_FAULT", point).output().unwrap();
        assert_eq!(cut.status.code(), None, "{point}");
        let jobs = run(&f, "ops-1", &["jobs", "--json"]).json();
        let id = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
        let resumed = run(&f, "ops-1", &["jobs", "resume", &id, "--json"]);
        assert_eq!(resumed.code, Some(0), "{point}: {resumed:?}");
        run(&f, "ops-2", &["put", "doc", "--text", "y"]).exits(0);
        run(&f, "ops-2", &["lease", "status"]).exits(0);
        let text = fs::read_to_string(f.path("maifdeck.toml")).unwrap();
        assert!(text.contains("control = \"p1.2\""), "{point}");
        run(&f, "ops-2", &["config", "apply", "--yes"]).exits(0);
    }
}

#[test]
fn an_edited_control_is_applied_as_a_move() {
    let f = leased(3, "5s");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    f.configure("store", "control = \"p1.3\"");
    run(&f, "ops-1", &["put", "doc", "--text", "y"]).exits(3);
    run(&f, "ops-1", &["config", "apply", "--yes"]).exits(0);
    run(&f, "ops-1", &["put", "doc", "--text", "y"]).exits(0);
    assert!(f.path("c/p1/.maifdeck/lease").exists());
}
