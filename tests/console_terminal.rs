//! The console in a real pseudo-terminal: what it writes, what it restores on every way out, and what
//! becomes of it when a part of it panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/session.rs"]
mod session;
mod support;

use rustix::process::Signal;
use session::Session;
use support::Fixture;

/// One artifact, and a second of which a replica has lost its copy.
fn store() -> Fixture {
    let f = Fixture::grid(1, 3);
    for name in ["doc", "notes"] {
        f.run(&["put", name, "--text", "words"]).exits(0);
    }
    f.run(&["backup", "create"]).exits(0);
    std::fs::remove_file(f.path("b/p1/notes.maif")).unwrap();
    f
}

/// What the store shows first.
const SEEN: &str = "notes is missing on p1.2";

fn open(f: &Fixture, environment: &[(&str, &str)]) -> Session {
    Session::open_with(f, &[], 30, 110, environment)
}

fn written(s: &Session) -> String {
    let shown = s.shown.0.lock().unwrap();
    String::from_utf8_lossy(&shown.bytes).into_owned()
}

/// Over a slow line: frames are whole, and modes are set only where they are needed.
#[test]
fn frames_are_synchronized_and_the_mouse_is_the_terminals_unless_it_is_asked_for() {
    let f = store();
    for mouse in [false, true] {
        if mouse {
            let path = f.path("maifdeck.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text + "\n[console]\nmouse = true\n").unwrap();
        }
        let mut s = open(&f, &[]);
        s.see(SEEN);
        s.press("q");
        assert_eq!(s.end(), 0);
        s.is_restored();
        let written = written(&s);
        assert!(written.contains("\u{1b}[?2026h") && written.contains("\u{1b}[?2026l"));
        for mode in [
            "\u{1b}[?1000h",
            "\u{1b}[?1006h",
            "\u{1b}[?1000l",
            "\u{1b}[?1006l",
        ] {
            assert_eq!(written.contains(mode), mouse, "{mode:?}");
        }
    }
}

/// Low bandwidth: a list alone takes a kilobyte, the detail beside it comes after a short rest.
#[test]
fn a_cursor_move_writes_little() {
    let f = Fixture::empty();
    f.run(&["demo", "play", "--artifacts", "40", "--no-console"])
        .exits(0);
    // So low a screen has lists alone, the others have the details beside or below.
    for (rows, columns, most) in [(12, 80, 1000), (24, 80, 4000), (48, 160, 4000)] {
        let mut s = Session::open(&f, &["--config", "play/maifdeck.toml"], rows, columns);
        s.see("p4.3 is unmarked");
        for pane in ["2", "3", "5", "6", "4", "1"] {
            let before = s.sent();
            s.press(pane);
            // Overview is there already.
            s.press("\u{c}");
            s.redrawn(before);
            for key in ["j", "j", "k", "k"] {
                let before = s.sent();
                s.press(key);
                let bytes = s.redrawn(before);
                assert!(
                    bytes <= most,
                    "pane {pane} at {columns}x{rows}: {bytes} bytes for {key}"
                );
            }
        }
        s.press("q");
        assert_eq!(s.end(), 0);
    }
}

/// A line that drops bytes: what was begun is given up with the next key, and nothing waits for it.
#[test]
fn half_a_sequence_freezes_nothing() {
    let f = store();
    for half in ["\u{1b}[", "\u{1b}[1;", "\u{1b}O"] {
        let mut s = open(&f, &[]);
        s.see(SEEN);
        s.press(half);
        s.resize(31, 110);
        s.see(SEEN);
        s.press("j5");
        s.press("5");
        s.see("never; v verifies");
        s.press("q");
        assert_eq!(s.end(), 0);
    }
    let mut s = open(&f, &[]);
    s.see(SEEN);
    // The first byte of a character.
    std::io::Write::write_all(&mut s.writer, &[0xe6]).unwrap();
    s.press("55");
    s.see("never; v verifies");
    std::io::Write::write_all(&mut s.writer, &[0xe6]).unwrap();
    s.signal(Signal::TERM);
    assert_eq!(s.end(), 143);
    s.is_restored();
}

#[test]
fn signals_restore_the_terminal_and_give_their_codes() {
    let f = store();
    for (signal, expected) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut s = open(&f, &[]);
        s.see(SEEN);
        s.signal(signal);
        assert_eq!(s.end(), expected);
        s.is_restored();
    }
}

#[test]
fn a_panic_of_the_screen_restores_the_terminal_before_it_speaks() {
    let f = store();
    let mut s = open(&f, &[("MAIFDECK_FAULT", "console.draw=panic@3")]);
    assert_ne!(s.end(), 0);
    s.is_restored();
    let written = written(&s);
    let restored = written.rfind("\u{1b}[?1049l").unwrap();
    let spoke = written.find("a planted fault").unwrap();
    assert!(restored < spoke, "words on the alternate screen are lost");
}

#[test]
fn a_worker_that_panics_is_told_and_the_console_goes_on() {
    let f = store();
    let mut s = open(&f, &[("MAIFDECK_FAULT", "console.inspect=panic")]);
    s.see(SEEN);
    s.press("3i");
    s.see("a part of the engine failed");
    s.press("5");
    s.see("never; v verifies");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

/// It fails its job and nothing else; the log says more, and the next start begins with it.
#[test]
fn a_job_whose_worker_panics_fails_and_is_the_first_finding_at_the_next_start() {
    let f = store();
    let mut s = open(&f, &[("MAIFDECK_FAULT", "apply.batch-done=panic")]);
    s.see(SEEN);
    s.press("F");
    s.see("[ Confirm ]");
    s.press("\t\r");
    s.see("the job failed inside");
    s.press("5");
    s.see("never; v verifies");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
    let log = std::fs::read_to_string(f.path("state/maifdeck/maifdeck.log")).unwrap();
    assert!(log.contains("a planted fault"), "{log}");

    let mut s = open(&f, &[]);
    let screen = s.see("was interrupted after");
    let place = |words: &str| screen.find(words).unwrap_or(usize::MAX);
    assert!(
        place("was interrupted after") < place("missing"),
        "{screen}"
    );
    s.press("\u{1b}[H");
    s.press("r");
    s.see("repair everything that differs: done");
    s.see("nothing critical");
    s.wait("no finding about it", |screen| {
        !screen.contains("was interrupted")
    });
    s.press("q");
    assert_eq!(s.end(), 0);
    f.run(&["replicas"]).exits(0);
}

#[test]
fn no_color_writes_no_colour() {
    let f = store();
    let mut s = open(&f, &[("NO_COLOR", "1")]);
    s.see(SEEN);
    s.press("q");
    assert_eq!(s.end(), 0);
    let written = written(&s);
    for colour in 30..=37 {
        assert!(!written.contains(&format!("[{colour}m")), "colour {colour}");
    }
    assert!(!written.contains("[38;5;"), "indexed colours");
    assert!(
        written.contains("\u{1b}[7m") || written.contains("\u{1b}[0;7m"),
        "the selection is reversed"
    );
}

/// Whatever the environment says, it opens, answers and leaves.
#[test]
fn poor_terminals_and_small_locales_are_answered() {
    let f = store();
    for environment in [
        ("TERM", "dumb"),
        ("TERM", ""),
        ("TERM", "vt100"),
        ("LC_ALL", "C"),
    ] {
        let mut s = open(&f, &[environment]);
        s.see(SEEN);
        s.press("q");
        assert_eq!(s.end(), 0, "{environment:?}");
        s.is_restored();
    }
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let f = store();
    let refused = f.run(&[]).exits(2);
    assert!(refused.stderr.contains("needs a terminal"), "{refused:?}");
    assert!(refused.stderr.contains("maifdeck status"), "{refused:?}");
}
