//! A backup that dies or fails at any named point leaves either no backup or a whole one, and the
//! next one succeeds. The child is this very test program, run again with a fault planted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    process::{Command, ExitStatus},
    sync::Arc,
};

use maifdeck::{
    backup::{self, BackupState},
    clock::SystemClock,
    progress::Task,
    store::{Access, Config, Store, setup},
};

const DIRECTORY: &str = "MAIFDECK_TEST_BACKUP_DIRECTORY";

fn config(directory: &Path) -> Config {
    let text = "[backup]\ndirectory = \"backups\"\n[[partition]]\nname = \"p1\"\n\
                replicas = [\"a\", \"b\"]\n";
    Config::parse(text, Path::new("maifdeck.toml"), directory).unwrap()
}

fn open(directory: &Path) -> Store {
    let clock = SystemClock::shared();
    Store::open(Arc::new(config(directory)), clock, Access::Write)
}

/// Not a test of its own: what the child does.
#[test]
fn child_makes_a_backup() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let store = open(Path::new(&directory));
        backup::create(&store, &SystemClock::shared(), &Task::new()).unwrap();
    }
}

fn run_child(directory: &Path, fault: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_makes_a_backup", "--quiet"])
        .env(DIRECTORY, directory)
        .env("MAIFDECK_FAULT", fault)
        .output()
        .unwrap()
        .status
}

fn leftovers(directory: &Path) -> Vec<String> {
    fs::read_dir(directory.join("backups"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("partial"))
        .collect()
}

#[test]
fn a_crash_at_any_point_leaves_no_backup_or_a_whole_one() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    setup::mark_all(&config(directory), &SystemClock::shared()).unwrap();
    for replica in ["a", "b"] {
        for name in ["x", "y"] {
            fs::write(directory.join(replica).join(format!("{name}.maif")), name).unwrap();
        }
    }
    let store = open(directory);
    let backups = directory.join("backups");
    let clock = SystemClock::shared();
    let create = || backup::create(&store, &clock, &Task::new()).unwrap();
    create();
    let mut sealed = 1;
    for point in [
        "staging",
        "linked",
        "created",
        "copied",
        "sync",
        "before-seal",
        "sealed",
    ] {
        for what in ["kill", "eio", "enospc"] {
            // One to link and one to copy.
            for replica in ["a", "b"] {
                let text = format!("{point} {what}");
                fs::write(directory.join(replica).join("y.maif"), text).unwrap();
            }
            let status = run_child(directory, &format!("backup.{point}={what}"));
            assert!(!status.success(), "{point}={what} was not passed");
            // Only the very last point lies behind the rename.
            sealed += usize::from(point == "sealed");
            if what != "kill" {
                assert_eq!(leftovers(directory), [""; 0], "{point}={what}");
            }
            let views = backup::list(&backups).unwrap();
            let whole: Vec<_> = views
                .iter()
                .filter(|view| view.state == BackupState::Complete)
                .collect();
            assert_eq!(whole.len(), sealed, "{point}={what}: {views:?}");
            for view in whole {
                let found = backup::verify(&backups, view.id, false, &clock, &Task::new());
                let found = found.unwrap();
                assert!(
                    found.ok && found.extra.is_empty(),
                    "{point}={what}: {found:?}"
                );
            }
        }
        create();
        sealed += 1;
        assert_eq!(leftovers(directory), [""; 0], "after {point}");
    }
}
