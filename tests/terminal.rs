//! The real binary in a real pseudo-terminal: the main job, start to end, and every way out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/session.rs"]
mod session;
mod support;

use std::{
    io::Write,
    time::{Duration, Instant},
};

use session::Session;
use support::Fixture;

/// A playground, and the console on it.
fn playground() -> (Fixture, Session) {
    let f = Fixture::empty();
    f.run(&["demo", "play", "--artifacts", "40", "--no-console"])
        .exits(0);
    let session = Session::open(&f, &["--config", "play/maifdeck.toml"], 30, 100);
    session.see("findings");
    (f, session)
}

#[test]
fn an_operator_looks_backs_up_and_restores() {
    let (f, mut s) = playground();
    s.see("damaged on");
    for (key, text) in [
        ("2", "skew"),
        ("3", "divergent"),
        ("4", "versions"),
        ("6", "p4.3"),
        ("7", "7 Jobs"),
        ("5", "complete"),
    ] {
        s.press(key);
        s.see(text);
    }
    // A backup by keypress: a job, and one more line in the list. Two artifacts of the playground
    // cannot be taken in, so it is partial, and says so.
    s.press("b");
    s.see("partial");
    let listed = f.run(&["--config", "play/maifdeck.toml", "backup", "list", "--json"]);
    let backups = listed.exits(0).json()["backups"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(backups.len(), 4);

    // Restore the newest complete one: down to it, the plan, the typed word.
    s.press("\u{1b}[F");
    s.press("\u{1b}[H");
    s.press("j");
    s.press("R");
    let dialog = s.see("Cancel");
    let word: String = dialog
        .split_once("plan ")
        .unwrap_or_else(|| panic!("no plan:\n{dialog}"))
        .1
        .chars()
        .take(6)
        .collect();
    // Enter alone is Cancel.
    s.press("\r");
    s.wait("the dialog closed", |screen| !screen.contains("─ plan "));
    s.press("R");
    // Not a notice that the first one was cancelled: the dialog.
    s.see("press enter to confirm");
    s.press(&word);
    s.press("\r");
    s.wait("the dialog closed", |screen| !screen.contains("─ plan "));
    s.press("7");
    s.wait("the restore's end", |screen| {
        let ended = |line: &str| line.contains("done") || line.contains("partial");
        screen
            .lines()
            .any(|line| line.contains("restore") && ended(line))
    });
    let jobs = f
        .run(&["--config", "play/maifdeck.toml", "jobs", "--json"])
        .exits(0)
        .json();
    assert_eq!(jobs["jobs"][0]["intent"], "backup-restore");

    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

#[test]
fn any_size_draws_and_comes_back() {
    let (_f, mut s) = playground();
    for (rows, cols) in [(1, 1), (5, 20), (80, 300), (24, 80)] {
        s.resize(rows, cols);
    }
    s.press("3");
    s.see("divergent");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

#[test]
fn a_termination_restores_the_terminal() {
    let (_f, mut s) = playground();
    s.signal(rustix::process::Signal::TERM);
    assert_eq!(s.end(), 143);
    s.is_restored();
}

#[test]
fn read_only_refuses_in_words() {
    let f = Fixture::empty();
    f.run(&["demo", "play", "--artifacts", "20", "--no-console"])
        .exits(0);
    let before = support::tree(&f.path("play"));
    let mut s = Session::open(
        &f,
        &["--read-only", "--config", "play/maifdeck.toml"],
        24,
        80,
    );
    s.see("findings");
    s.press("b");
    s.see("read-only");
    s.press("q");
    assert_eq!(s.end(), 0);
    assert_eq!(support::tree(&f.path("play")), before);
}

/// A sketch saves in place while the console is open: the screen notices by itself.
#[test]
fn a_save_in_place_is_seen_by_the_refresh() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "ours"]).exits(0);
    f.run(&["backup", "create"]).exits(0);
    let mut s = Session::open(&f, &[], 24, 80);
    s.press("3");
    s.see("doc");
    s.wait("all is well", |screen| !screen.contains("degraded"));
    let saved = std::fs::read(golden.join("v-doc.maif")).unwrap();
    let mut file = std::fs::File::options()
        .write(true)
        .truncate(true)
        .open(f.path("b/p1/doc.maif"))
        .unwrap();
    file.write_all(&saved).unwrap();
    drop(file);
    s.see("degraded");
    // So does a volume that goes away.
    std::fs::rename(f.path("c/p1"), f.path("aside")).unwrap();
    s.press("1");
    s.see("p1.3 is unreachable");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

#[test]
fn without_a_configuration_the_console_makes_a_store() {
    let f = Fixture::empty();
    let mut session = Session::open(&f, &[], 24, 80);
    session.see("No configuration was found");
    session.press("\r");
    session.see("Which directories");
    for (before, disk) in ["a", "b", "c"].into_iter().enumerate() {
        session.press(&f.path(disk).to_string_lossy());
        session.press("\r");
        session.wait(disk, |screen| {
            screen.matches("will be created").count() == before + 1
        });
    }
    session.press("\r");
    session.see("p1.3");
    session.press("\r");
    session.see("Where shall backups go?");
    session.press(&format!("{}\r", f.path("backups").display()));
    session.see("[ Write and mark ]");
    assert!(!f.path("maifdeck.toml").exists());
    session.press("\t\r");
    session.see("no complete backup");
    session.press("q");
    assert_eq!(session.end(), 0);
    session.is_restored();
    f.run(&["put", "x", "--text", "hello"]).exits(0);
}

#[test]
fn a_disk_that_died_is_replaced_repaired_and_counts_again() {
    let f = Fixture::grid(2, 3);
    for n in 0..5 {
        f.run(&["put", &format!("doc-{n}"), "--text", "x"]).exits(0);
    }
    f.run(&["backup", "create"]).exits(0);
    std::fs::remove_dir_all(f.path("b/p2")).unwrap();
    std::fs::create_dir(f.path("b/p2")).unwrap();
    let mut s = Session::open(&f, &[], 30, 110);
    s.see("p2.2 is unmarked");
    s.press("\u{1b}[H");
    s.press("m");
    // What is there is shown, and the label is what has to be typed.
    s.see("holds 0 artifacts");
    s.press("p2.2");
    s.press("\r");
    // The repair that the volume waits for is offered at once.
    let offered = s.see("admit");
    assert!(offered.contains("repair volume p2.2") && offered.contains("Cancel"));
    s.press("\t\r");
    s.wait("the dialog closed", |screen| !screen.contains("─ plan "));
    s.wait("nothing is wrong any more", |screen| {
        !screen.contains("p2.2 is") && screen.contains("0 findings")
            || screen.contains("nothing needs you")
    });
    let volumes = f.run(&["volume", "list", "--json"]).exits(0).json();
    assert_eq!(volumes["volumes"][4]["state"], "ok");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

#[test]
fn what_a_restore_replaced_comes_back_by_undo() {
    let f = Fixture::grid(1, 2);
    f.run(&["put", "doc", "--text", "first"]).exits(0);
    f.run(&["backup", "create"]).exits(0);
    f.run(&["put", "doc", "--text", "second"]).exits(0);
    let text = |expected: &str| {
        let found = f
            .run(&["inspect", "doc", "--text", "--json"])
            .exits(0)
            .json();
        assert_eq!(found["texts"][0], expected);
    };
    let mut s = Session::open(&f, &[], 30, 110);
    s.press("5");
    s.see("never; v verifies");
    let confirm = |s: &mut Session| {
        let dialog = s.see("Cancel");
        let word: String = dialog
            .split_once("plan ")
            .unwrap()
            .1
            .chars()
            .take(6)
            .collect();
        s.press(&word);
        s.press("\r");
        // While the job begins the dialog is still there, without its buttons.
        s.wait("the dialog closed", |screen| !screen.contains("─ plan "));
    };
    s.press("R");
    confirm(&mut s);
    s.press("7");
    s.wait("the restore's end", |screen| {
        let ended = |line: &str| line.contains("restore") && line.contains("done");
        screen.lines().any(ended)
    });
    text("first");
    s.press("\u{1b}[H");
    s.press("u");
    confirm(&mut s);
    s.wait("the undo's end", |screen| {
        let ended = |line: &str| line.contains("undo") && line.contains("done");
        screen.lines().any(ended)
    });
    text("second");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

/// A disk is pulled out, and one hangs, while the operator looks: both are shown with path and remedy,
/// keys are answered all the time, and when they are back nothing is lost.
#[test]
fn a_volume_that_vanishes_and_one_that_hangs_are_shown_and_nothing_is_lost() {
    let f = Fixture::grid(1, 3);
    f.configure("store", "volume_timeout = \"1s\"");
    std::fs::write(
        f.path("maifdeck.toml"),
        std::fs::read_to_string(f.path("maifdeck.toml")).unwrap()
            + "\n[console]\nrefresh = \"300ms\"\n",
    )
    .unwrap();
    f.run(&["put", "doc", "--text", "ours"]).exits(0);
    f.run(&["backup", "create"]).exits(0);
    let volumes = || ["a", "b", "c"].map(|disk| support::files(&f.path(disk)));
    let before = volumes();
    let mut s = Session::open(&f, &[], 30, 140);
    s.see("live");

    std::fs::rename(f.path("b/p1"), f.path("aside")).unwrap();
    let screen = s.see("p1.2 is unreachable");
    assert!(screen.contains("b/p1"), "the path is named:\n{screen}");
    s.press("6");
    s.see("this node");
    s.press("1");
    std::fs::rename(f.path("aside"), f.path("b/p1")).unwrap();
    s.see("volume p1.2 is back");
    s.wait("nothing is wrong any more", |screen| {
        screen.contains("nothing critical")
    });

    // Reading a pipe that nobody writes to waits as a dead mount does.
    let mark = f.path("c/p1/.maifdeck/volume.toml");
    std::fs::rename(&mark, f.path("mark")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&mark).status();
    assert!(made.unwrap().success());
    let screen = s.see("p1.3 is unreachable");
    assert!(screen.contains("no answer"), "{screen}");
    assert!(screen.contains("c/p1"), "the path is named:\n{screen}");
    s.press("3");
    s.see("doc");
    s.press("1");
    s.see("1 finding");
    // It answers again: who waits at the pipe gets the mark that belongs there.
    let text = std::fs::read(f.path("mark")).unwrap();
    let pipe = std::fs::File::options().read(true).write(true).open(&mark);
    std::fs::rename(f.path("mark"), &mark).unwrap();
    pipe.unwrap().write_all(&text).unwrap();
    s.see("volume p1.3 is back");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
    assert!(volumes() == before, "a file is not as it was");
}

#[test]
fn leaving_does_not_wait_for_a_volume_that_hangs() {
    let f = Fixture::grid(1, 3);
    f.configure("store", "volume_timeout = \"1s\"");
    let mark = f.path("c/p1/.maifdeck/volume.toml");
    std::fs::remove_file(&mark).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&mark).status();
    assert!(made.unwrap().success());
    // The screen is there at once, and so is the way out.
    let mut s = Session::open(&f, &[], 30, 140);
    s.see("opening the store");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
    let mut s = Session::open(&f, &[], 30, 140);
    s.see("p1.3 is unreachable");
    let asked = Instant::now();
    s.press("q");
    assert_eq!(s.end(), 0);
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    s.is_restored();
}

#[test]
fn rot_that_a_deep_verification_finds_is_shown_and_repaired() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    f.run(&["backup", "create"]).exits(0);
    let path = f.path("b/p1/doc.maif");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[444 + 372] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut s = Session::open(&f, &[], 30, 110);
    s.see("nothing critical");
    s.press("3");
    s.see("doc");
    s.press("v");
    s.see("damaged on p1.2");
    s.press("1");
    s.see("1 critical");
    s.press("\u{1b}[H");
    s.press("f");
    s.see("Cancel");
    s.press("\t\r");
    s.wait("the dialog closed", |screen| !screen.contains("─ plan "));
    s.see("nothing critical");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

#[test]
fn whether_a_backup_is_good_is_seen_and_what_is_damaged_in_it_is_named() {
    let f = Fixture::grid(1, 2);
    for name in ["ledger", "orders"] {
        f.run(&["put", name, "--text", "words"]).exits(0);
    }
    let made = f.run(&["backup", "create", "--json"]).exits(0).json();
    let id = made["backup"]["id"].as_str().unwrap().to_owned();
    let mut s = Session::open(&f, &[], 36, 130);
    s.press("5");
    s.see("never; v verifies");
    s.press("v");
    s.see("complete · verified 100 %");
    let path = f.path(&format!("backups/backup_{id}/ledger.maif"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[444 + 372] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    s.press("v");
    s.see("ledger.maif is damaged; good: the current copy on p1.1");
    s.press("1");
    s.see("1 critical");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

/// Types the word that the dialog asks for.
fn confirm(s: &mut Session, dialog: &str) {
    let word = dialog.split_once("Type  ").unwrap().1;
    s.press(word.split_whitespace().next().unwrap());
    s.press("\r");
}

/// What is lost comes back, and the divergent one is compared and chosen, from Overview and by the keys
/// that stand there.
#[test]
fn what_is_lost_or_divergent_is_mended_by_the_keys_beside_its_finding() {
    let (f, mut s) = playground();
    let lost = s.see("O bring back");
    let line = lost.lines().find(|line| line.contains("O bring back"));
    assert!(line.unwrap().contains("has no intact copy"), "{lost}");
    s.press("O");
    let dialog = s.see("and press enter to confirm");
    confirm(&mut s, &dialog);
    s.see("all copies hold the same bytes");
    s.press("1");
    s.wait("no more O bring back", |screen| {
        screen.contains("findings") && !screen.contains("O bring back")
    });
    s.press("\u{1b}[H");
    s.see("p choose copy");
    s.press("p");
    s.see("how its copies differ");
    s.press("p");
    s.see("is right?");
    s.press("jj\r");
    let dialog = s.see("and press enter to confirm");
    assert!(dialog.contains("--prefer p1.2"), "{dialog}");
    confirm(&mut s, &dialog);
    s.see("all copies hold the same bytes");
    s.press("1");
    s.wait("no more p choose copy", |screen| {
        screen.contains("findings") && !screen.contains("p choose copy")
    });
    s.press("q");
    assert_eq!(s.end(), 0);
    let found = f.run(&["--config", "play/maifdeck.toml", "status", "--json"]);
    let summary = found.exits(1).json()["summary"].clone();
    assert!(
        summary["lost"].is_null() || summary["lost"] == 0,
        "{summary}"
    );
    assert!(
        summary["divergent"].is_null() || summary["divergent"] == 0,
        "{summary}"
    );
}

#[test]
fn without_symbols_the_screen_is_ascii() {
    let f = Fixture::empty();
    f.run(&["demo", "play", "--artifacts", "20", "--no-console"])
        .exits(0);
    let arguments = ["--ascii", "--config", "play/maifdeck.toml"];
    let mut s = Session::open(&f, &arguments, 24, 80);
    let screen = s.see("findings");
    assert!(screen.is_ascii(), "{screen}");
    s.press("q");
    assert_eq!(s.end(), 0);
}
