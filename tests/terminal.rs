//! The real binary in a real pseudo-terminal: the main job, start to end, and every way out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    io::{Read, Write},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use support::Fixture;

/// What the terminal shows, and everything it was sent.
#[derive(Default)]
struct Shown {
    parser: Option<vt100::Parser>,
    bytes: Vec<u8>,
    closed: bool,
}

/// The console in a pseudo-terminal.
struct Session {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

fn cells(n: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(n).unwrap()
}

/// Nothing takes longer on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

impl Session {
    fn open(f: &Fixture, arguments: &[&str], rows: u16, cols: u16) -> Self {
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_maifdeck"));
        command.args(arguments);
        command.cwd(f.directory.path());
        command.env("TERM", "xterm-256color");
        command.env("HOME", f.directory.path());
        command.env("XDG_STATE_HOME", f.path("state"));
        for key in [
            "MAIFDECK_CONFIG",
            "NO_COLOR",
            "TMUX",
            "STY",
            "XDG_CONFIG_HOME",
        ] {
            command.env_remove(key);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let shown = Arc::new((Mutex::new(Shown::default()), Condvar::new()));
        shown.0.lock().unwrap().parser = Some(vt100::Parser::new(cells(rows), cells(cols), 0));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let sink = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let read = reader.read(&mut buffer).unwrap_or(0);
                let mut shown = sink.0.lock().unwrap();
                if let Some(parser) = &mut shown.parser {
                    parser.process(&buffer[..read]);
                }
                shown.bytes.extend_from_slice(&buffer[..read]);
                shown.closed = read == 0;
                sink.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self {
            child,
            writer: pair.master.take_writer().unwrap(),
            master: pair.master,
            shown,
        }
    }

    fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    fn screen(&self) -> String {
        let shown = self.shown.0.lock().unwrap();
        shown.parser.as_ref().unwrap().screen().contents()
    }

    /// Waits until the screen is as wanted; fails with the screen when it never is.
    #[track_caller]
    fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut shown = self.shown.0.lock().unwrap();
        loop {
            let screen = shown.parser.as_ref().unwrap().screen().contents();
            if wanted(&screen) {
                return screen;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !shown.closed,
                "{what} was not shown:\n{screen}"
            );
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
    }

    #[track_caller]
    fn see(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    fn resize(&self, rows: u16, cols: u16) {
        self.shown
            .0
            .lock()
            .unwrap()
            .parser
            .as_mut()
            .unwrap()
            .screen_mut()
            .set_size(cells(rows), cells(cols));
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.master.resize(size).unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal)
            .unwrap();
    }

    /// Waits for the end; its exit code.
    fn end(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.screen()
            );
            let shown = self.shown.0.lock().unwrap();
            drop(
                self.shown
                    .1
                    .wait_timeout(shown, Duration::from_millis(20))
                    .unwrap(),
            );
        }
    }

    /// The terminal was given back: alternate screen left, cursor shown, paste mode off.
    #[track_caller]
    fn is_restored(&self) {
        // The last bytes may still be on their way from the terminal when the process is gone.
        let shown = self.shown.0.lock().unwrap();
        let (shown, _) = self
            .shown
            .1
            .wait_timeout_while(shown, PATIENCE, |shown| !shown.closed)
            .unwrap();
        let sent = String::from_utf8_lossy(&shown.bytes).into_owned();
        for (on, off) in [
            ("\u{1b}[?1049h", "\u{1b}[?1049l"),
            ("\u{1b}[?25l", "\u{1b}[?25h"),
            ("\u{1b}[?2004h", "\u{1b}[?2004l"),
        ] {
            if let Some(set) = sent.rfind(on) {
                assert!(
                    sent.rfind(off).is_some_and(|unset| unset > set),
                    "{on:?} stays on"
                );
            }
        }
        assert!(!shown.parser.as_ref().unwrap().screen().alternate_screen());
    }
}

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
    s.see("Cancel");
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
