//! The lease when its files or its volume are not as they should be: nobody leads twice, nothing
//! panics, and there is always a way on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/hosts.rs"]
mod hosts;
mod support;

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use hosts::{holder, leased, on, run, status};
use support::{Fixture, Run};

fn own(f: &Fixture, file: &str) -> std::path::PathBuf {
    f.path("a/p1/.maifdeck").join(file)
}

fn epoch(f: &Fixture) -> u64 {
    status(f, "ops-1", &[])["epoch"].as_u64().unwrap()
}

#[test]
fn a_damaged_lock_or_epoch_hinders_nobody_and_is_made_whole() {
    let f = leased(3, "5s");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    let huge = "7".repeat(1 << 20);
    for (number, damage) in ["", "0000", "no epoch's number, but long enough", &huge]
        .into_iter()
        .enumerate()
    {
        let before = epoch(&f);
        fs::write(own(&f, "lease.lock"), damage).unwrap();
        fs::write(f.path("b/p1/.maifdeck/epoch"), damage).unwrap();
        run(&f, "ops-2", &["put", "doc", "--text", &number.to_string()]).exits(0);
        assert!(epoch(&f) > before, "{damage:.30}");
        for file in ["a/p1/.maifdeck/lease.lock", "b/p1/.maifdeck/epoch"] {
            let text = fs::read_to_string(f.path(file)).unwrap();
            assert_eq!(
                text.get(..20),
                Some(&*format!("{:020}", epoch(&f))),
                "{file}"
            );
        }
    }
}

#[test]
fn who_leads_while_the_lock_is_damaged_or_removed_changes_nothing_more() {
    let f = leased(3, "5s");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    let us = env!("CARGO_BIN_EXE_maifdeck");
    let lock = own(&f, "lease.lock");
    let lock = lock.display();
    for harm in [format!("echo damaged > {lock}"), format!("rm {lock}")] {
        let script = format!("{harm}; {us} put doc --text y --json");
        let refused = run(&f, "ops-1", &["lease", "hold", "--", "sh", "-c", &script]).exits(3);
        assert_eq!(refused.json()["error"]["kind"], "lease_lost");
        assert!(refused.stderr.contains("damaged or removed"), "{refused:?}");
        run(&f, "ops-1", &["put", "doc", "--text", "z"]).exits(0);
    }
}

#[test]
fn what_was_left_under_an_epochs_name_is_passed_over() {
    let f = leased(1, "300ms");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    let put = || run(&f, "ops-2", &["put", "doc", "--text", "y"]).exits(0);
    // A winner whose file is empty is watched like any other.
    fs::write(own(&f, "lease/00000000000000000050.json"), "").unwrap();
    assert_eq!(status(&f, "ops-2", &["--wait"])["state"], "expired");
    put();
    assert_eq!(epoch(&f), 51);
    // Neither a directory nor a pipe is read, and no file to its end.
    fs::create_dir(own(&f, "lease/00000000000000000090.json")).unwrap();
    put();
    let pipe = own(&f, "lease/00000000000000000120.json");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    put();
    fs::write(own(&f, "lease/00000000000000000150.json"), "{}").unwrap();
    let beat = fs::File::create(own(&f, "lease/00000000000000000150.beat")).unwrap();
    beat.set_len(1 << 40).unwrap();
    put();
    // Names that are no epochs' are nobody's.
    for name in [
        "99999999999999999999.json",
        "160.json",
        "doc",
        "-0000000000000000160.json",
    ] {
        fs::write(own(&f, "lease").join(name), "{}").unwrap();
    }
    put();
    assert_eq!(epoch(&f), 152);
    // All of them are gone or out of the way for good.
    fs::remove_dir_all(own(&f, "lease")).unwrap();
    put();
    assert_eq!(epoch(&f), 153);
}

#[test]
fn the_last_number_of_all_is_refused_with_the_file_that_bears_it() {
    let f = leased(3, "300ms");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    let last = u64::MAX.to_string();
    for (file, text) in [
        (format!("a/p1/.maifdeck/lease/{last}.json"), "{}".to_owned()),
        ("c/p1/.maifdeck/epoch".to_owned(), format!("{last}\n")),
    ] {
        let before = fs::read(f.path(&file)).ok();
        fs::write(f.path(&file), text).unwrap();
        let refused = run(&f, "ops-1", &["put", "doc", "--text", "y", "--json"]).exits(3);
        assert_eq!(refused.json()["error"]["kind"], "lease_used_up");
        assert!(refused.stderr.contains(&file), "{refused:?}");
        match before {
            Some(before) => fs::write(f.path(&file), before).unwrap(),
            None => fs::remove_file(f.path(&file)).unwrap(),
        }
        run(&f, "ops-1", &["put", "doc", "--text", "y"]).exits(0);
    }
}

#[test]
fn a_lost_control_volume_gets_a_new_disk_and_the_lease_begins_anew_beyond_every_number() {
    let f = leased(3, "5s");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    // Numbers that were won and never committed by.
    for _ in 0..5 {
        run(&f, "ops-1", &["lease", "hold", "--", "true"]).exits(0);
    }
    let before = epoch(&f);
    // The old leader is still there when its disk dies.
    let mut old = holder(&f, "ops-3");
    fs::rename(f.path("a"), f.path("dead")).unwrap();
    fs::create_dir_all(f.path("a/p1")).unwrap();
    run(&f, "ops-1", &["put", "doc", "--text", "y"]).exits(3);
    run(&f, "ops-1", &["get", "doc"]).exits(0);
    let told = run(&f, "ops-1", &["status", "--json"]).exits(1).json();
    let findings = told["findings"].as_array().unwrap();
    let finding = findings.iter().find(|f| f["kind"] == "lease-unknown");
    let finding = finding.unwrap_or_else(|| panic!("{findings:#?}"));
    assert_eq!(finding["severity"], "critical");
    let planned = run(&f, "ops-1", &["volume", "mark", "p1.1", "--dry-run"]).exits(0);
    let words = format!("{}{}", planned.text(), planned.stderr);
    assert!(words.contains("the lease is lost"), "{words}");
    run(&f, "ops-1", &["volume", "mark", "p1.1", "--yes"]).exits(0);
    run(
        &f,
        "ops-1",
        &["replicas", "repair", "--volume", "p1.1", "--yes"],
    )
    .exits(0);
    run(&f, "ops-1", &["put", "doc", "--text", "y"]).exits(0);
    assert!(epoch(&f) > before + 500);
    let volumes = run(&f, "ops-1", &["volume", "list", "--json"])
        .exits(0)
        .json();
    assert_eq!(volumes["volumes"][0]["state"], "ok");
    // What the old leader still wants to write is refused.
    old.stdin.take().unwrap().write_all(b"\n").unwrap();
    let ended: Run = old.wait_with_output().unwrap().into();
    assert!(ended.exits(0).stderr.contains("taken over meanwhile"));
}

#[test]
fn a_dead_control_volume_is_replaced_elsewhere_and_a_living_one_only_after_a_move() {
    let f = leased(3, "5s");
    run(&f, "ops-1", &["put", "doc", "--text", "x"]).exits(0);
    fs::create_dir(f.path("new")).unwrap();
    let replace = ["volume", "replace", "p1.1", "new", "--yes"];
    let refused = run(&f, "ops-1", &replace).exits(2);
    assert!(refused.stderr.contains("lease move"), "{refused:?}");
    fs::rename(f.path("a"), f.path("dead")).unwrap();
    run(&f, "ops-1", &replace).exits(0);
    run(
        &f,
        "ops-1",
        &["replicas", "repair", "--volume", "p1.1", "--yes"],
    )
    .exits(0);
    run(&f, "ops-2", &["put", "doc", "--text", "y"]).exits(0);
    assert!(f.path("new/.maifdeck/lease.lock").exists());
}

/// The kernel's table of mounts with the store's disk on another file system.
fn mounted(f: &Fixture, kind: &str, options: &str) -> Command {
    let root = f.path("a").canonicalize().unwrap();
    let table = format!(
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n30 22 0:40 / {} rw - {kind} remote {options}\n",
        root.display()
    );
    fs::write(f.path("mounts"), table).unwrap();
    let mut command = on(f, "ops-1", &["put", "doc", "--text", "x", "--json"]);
    command.env("MAIFDECK_MOUNTS", f.path("mounts"));
    command
}

#[test]
fn leases_are_refused_by_the_type_and_the_options_of_the_mount_with_the_reason() {
    let f = leased(1, "5s");
    for (kind, options, reason) in [
        ("fuse.s3fs", "rw", "fuse.s3fs keeps locks to one mount"),
        ("fuse.sshfs", "rw", "fuse.sshfs keeps locks to one mount"),
        ("nfs", "rw,nolock", "the option nolock"),
        ("nfs4", "rw,local_lock=flock", "the option local_lock=flock"),
        ("cifs", "rw,nobrl", "the option nobrl"),
        ("virtiofs", "rw", "virtiofs keeps locks to one machine"),
    ] {
        let refused: Run = mounted(&f, kind, options).output().unwrap().into();
        let refused = refused.exits(3);
        assert_eq!(refused.json()["error"]["kind"], "lease_untrusted");
        assert!(refused.stderr.contains(reason), "{refused:?}");
    }
    for (kind, options) in [
        ("fuse.ceph-fuse", "rw"),
        ("nfs4", "rw,local_lock=none"),
        ("cifs", "rw"),
        ("xfs", "rw"),
    ] {
        Run::from(mounted(&f, kind, options).output().unwrap()).exits(0);
    }
    // The probe says it too, and no store begins with leases there.
    mounted(&f, "fuse.s3fs", "rw");
    let with = |arguments: &[&str]| -> Run {
        let mut command = on(&f, "ops-1", arguments);
        let command = command.env("MAIFDECK_MOUNTS", f.path("mounts"));
        command.stdin(Stdio::null()).output().unwrap().into()
    };
    let probe = with(&["volume", "probe", "p1.1", "--json"]).exits(0).json();
    assert_eq!(probe["leases"]["trusted"], false);
    assert!(
        with(&["volume", "probe", "p1.1"])
            .exits(0)
            .text()
            .contains("no: fuse.s3fs")
    );
    let begun = [
        "--config",
        "other.toml",
        "init",
        "--leases",
        "--partition",
        "p1=a/p9",
    ];
    let refused = with(&begun).exits(3);
    assert!(refused.stderr.contains("fuse.s3fs"), "{refused:?}");
    assert!(!f.path("a/p9").exists() && !f.path("other.toml").exists());
}
