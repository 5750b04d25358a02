//! The console in a real pseudo-terminal: what it writes, what it restores on every way out, and
//! that it neither spins nor lingers. The child is this very program, running the one ignored test
//! below, so that no binary of the package is needed.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

#[path = "support/fixture.rs"]
#[allow(dead_code)]
mod fixture;

use std::{
    fs::File,
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use fixture::{FakeBackend, Shape};
use maifdeck::{
    clock::{Clock, ManualClock},
    console::{Options, open},
};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Far more than anything here takes; only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that panics on the thread that owns the terminal, once it was asked often enough.
#[derive(Debug)]
struct Bomb(AtomicUsize);

impl Clock for Bomb {
    fn now(&self) -> DateTime<Utc> {
        assert!(
            self.0.fetch_add(1, Ordering::SeqCst) < 2,
            "the bomb went off"
        );
        fixture::now()
    }
}

/// The child: opens the console on this process' terminal.
#[test]
#[ignore = "run by the other tests as their child"]
fn child() {
    let mut backend = FakeBackend::new(Shape::Damaged);
    backend.alive = true;
    backend.bomb = std::env::var_os("WORKER_BOMB").is_some();
    let panics = std::env::var_os("CONSOLE_BOMB").is_some();
    let options = Options {
        clock: if panics {
            Arc::new(Bomb(AtomicUsize::new(0)))
        } else {
            ManualClock::at(fixture::now()).shared()
        },
        ..Options::default()
    };
    let code = open(Arc::new(backend), options).unwrap();
    std::process::exit(i32::from(code));
}

struct Session {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    raw: Vec<u8>,
}

impl Session {
    fn open(environment: &[(&str, &str)]) -> Self {
        let size = PtySize {
            rows: 24,
            cols: 80,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]);
        command.env("TERM", "xterm-256color");
        command.env_remove("TMUX");
        command.env_remove("NO_COLOR");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(length) = reader.read(&mut buffer) {
                if length == 0 || sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            writer: Some(pair.master.take_writer().unwrap()),
            master: Some(pair.master),
            child,
            output,
            screen: vt100::Parser::new(nonzero(24), nonzero(80), 0),
            raw: Vec::new(),
        }
    }

    /// Takes in output until the screen satisfies `until`.
    fn wait(&mut self, what: &str, until: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !until(self.screen.screen()) {
            match self
                .output
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(bytes) => {
                    self.screen.process(&bytes);
                    self.raw.extend(bytes);
                }
                Err(_) => panic!("never seen: {what}\n{}", self.screen.screen().contents()),
            }
        }
    }

    fn wait_for(&mut self, words: &str) {
        self.wait(words, |screen| screen.contents().contains(words));
    }

    fn keys(&mut self, keys: &str) {
        self.writer
            .as_mut()
            .unwrap()
            .write_all(keys.as_bytes())
            .unwrap();
    }

    fn resize(&mut self, rows: u16, cols: u16) {
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.screen
            .screen_mut()
            .set_size(nonzero(rows), nonzero(cols));
        self.master.as_ref().unwrap().resize(size).unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The exit code, and everything that was written.
    fn end(mut self) -> (u32, Vec<u8>) {
        let end = Instant::now() + PATIENCE;
        loop {
            match self
                .output
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(bytes) => {
                    self.screen.process(&bytes);
                    self.raw.extend(bytes);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
        (self.child.wait().unwrap().exit_code(), self.raw)
    }
}

fn nonzero(number: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(number).unwrap()
}

fn has(bytes: &[u8], wanted: &str) -> bool {
    bytes
        .windows(wanted.len())
        .any(|window| window == wanted.as_bytes())
}

/// Every mode that was set is undone, in an order that leaves the shell's screen alone.
fn assert_restored(raw: &[u8]) {
    for (set, undone) in [
        ("\x1b[?1049h", "\x1b[?1049l"),
        ("\x1b[?25l", "\x1b[?25h"),
        ("\x1b[?2004h", "\x1b[?2004l"),
    ] {
        assert!(has(raw, set), "{set:?} was never set");
        assert!(has(raw, undone), "{undone:?} is missing");
    }
}

#[test]
fn it_opens_shows_every_pane_and_leaves_the_terminal_as_it_was() {
    let mut session = Session::open(&[]);
    session.wait_for("9 findings");
    for (key, words) in [
        ("2", "against even"),
        ("3", "training-notes"),
        ("4", "current from"),
        ("5", "20260311_020000"),
        ("6", "leases are off"),
        ("7", "interrupted"),
        ("1", "9 findings"),
    ] {
        session.keys(key);
        session.wait_for(words);
    }
    session.resize(1, 1);
    session.resize(24, 80);
    session.wait_for("9 findings");
    session.keys("q");
    let (code, raw) = session.end();
    assert_eq!(code, 0);
    assert_restored(&raw);
    assert!(has(&raw, "\x1b[?2026h") && has(&raw, "\x1b[?2026l"));
    assert!(
        !has(&raw, "\x1b[?1000h"),
        "the mouse is off unless configured"
    );
}

#[test]
fn leaving_a_running_job_says_where_its_journal_is() {
    let mut session = Session::open(&[]);
    session.wait_for("9 findings");
    session.keys("b");
    session.wait_for("started: create a backup");
    session.keys("q");
    session.wait_for("1 job is running");
    session.keys("j\r");
    let (code, raw) = session.end();
    assert_eq!(code, 0);
    assert_restored(&raw);
    let left = raw.windows(8).rposition(|w| w == b"\x1b[?1049l").unwrap();
    assert!(has(
        &raw[left..],
        "left: create a backup; its journal: /volumes/p1.1/"
    ));
}

/// Takes in output until none comes for a while; how much it was.
fn quiet(session: &mut Session, while_: Duration) -> usize {
    let mut bytes = 0;
    while let Ok(more) = session.output.recv_timeout(while_) {
        session.screen.process(&more);
        bytes += more.len();
        session.raw.extend(more);
    }
    bytes
}

/// Low bandwidth: what is not seen to change is not sent.
#[test]
fn an_idle_screen_is_not_written_and_a_cursor_move_writes_little() {
    let mut session = Session::open(&[]);
    session.wait_for("9 findings");
    let calm = Duration::from_millis(150);
    // However long the machine takes to begin with it.
    let redrawn = |session: &mut Session| {
        let end = Instant::now() + PATIENCE;
        loop {
            let bytes = quiet(session, calm);
            if bytes > 0 {
                return bytes;
            }
            assert!(
                Instant::now() < end,
                "nothing was drawn:\n{}",
                session.screen.screen().contents()
            );
        }
    };
    // So low a screen has lists alone, the others have the details beside or below.
    for (rows, columns, most) in [(12, 80, 1000), (24, 80, 4000), (48, 160, 4000)] {
        session.resize(rows, columns);
        redrawn(&mut session);
        for pane in ["2", "3", "5", "6", "4", "1"] {
            session.keys(pane);
            redrawn(&mut session);
            for key in ["j", "j", "k", "k"] {
                session.keys(key);
                let bytes = redrawn(&mut session);
                assert!(
                    bytes <= most,
                    "pane {pane} at {columns}x{rows}: {bytes} bytes for {key}"
                );
            }
        }
    }
    // Several refreshes and ticks.
    let bytes = quiet(&mut session, Duration::from_millis(4_500));
    assert_eq!(bytes, 0, "an idle screen was written");
    session.keys("q");
    assert_eq!(session.end().0, 0);
}

#[test]
fn half_a_sequence_freezes_nothing() {
    let mut session = Session::open(&[]);
    session.wait_for("9 findings");
    session.keys("\x1b[");
    session.keys("B");
    session.wait_for("3.2 is unmarked");
    session.keys("5");
    session.wait_for("20260311_020000");
    session.keys("q");
    assert_eq!(session.end().0, 0);
}

#[test]
fn signals_restore_the_terminal_and_give_their_codes() {
    use rustix::process::Signal;
    for (signal, expected) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut session = Session::open(&[]);
        session.wait_for("9 findings");
        session.signal(signal);
        let (code, raw) = session.end();
        assert_eq!(code, expected);
        assert_restored(&raw);
    }
}

#[test]
fn a_panic_restores_the_terminal_before_it_speaks() {
    let session = Session::open(&[("CONSOLE_BOMB", "1")]);
    let (code, raw) = session.end();
    assert_ne!(code, 0);
    assert_restored(&raw);
    let restored = raw.windows(8).rposition(|w| w == b"\x1b[?1049l").unwrap();
    let spoke = raw
        .windows(17)
        .position(|w| w == b"the bomb went off")
        .unwrap();
    assert!(restored < spoke, "words on the alternate screen are lost");
}

#[test]
fn a_worker_that_panics_is_told_and_the_console_goes_on() {
    let mut session = Session::open(&[("WORKER_BOMB", "1")]);
    session.wait_for("9 findings");
    session.keys("3i");
    session.wait_for("a part of the engine failed");
    session.keys("5");
    session.wait_for("20260311_020000");
    session.keys("q");
    let (code, raw) = session.end();
    assert_eq!(code, 0);
    assert_restored(&raw);
}

#[test]
fn no_color_writes_no_colour() {
    let mut session = Session::open(&[("NO_COLOR", "1")]);
    session.wait_for("9 findings");
    session.keys("q");
    let (_, raw) = session.end();
    let text = String::from_utf8_lossy(&raw);
    for colour in 30..=37 {
        assert!(!text.contains(&format!("[{colour}m")), "colour {colour}");
    }
    assert!(!text.contains("[38;5;"), "indexed colours");
    assert!(
        text.contains("\x1b[7m") || text.contains("\x1b[0;7m"),
        "the selection is reversed"
    );
}

/// The only descriptor of the master is closed: a cloned reader would prevent the hang-up.
#[test]
fn a_lost_terminal_ends_the_process_soon_and_quietly() {
    use std::os::fd::OwnedFd;

    use rustix::pty::OpenptFlags;

    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master: OwnedFd = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let path = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let slave = File::options()
        .read(true)
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("TERM", "xterm-256color")
        .stdin(slave.try_clone().unwrap())
        .stdout(slave.try_clone().unwrap())
        .stderr(slave)
        .spawn()
        .unwrap();
    let mut master = File::from(master);
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !has(&seen, "findings") {
        let length = master.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..length]);
    }
    let hung_up = Instant::now();
    drop(master);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(129));
    assert!(
        hung_up.elapsed() < Duration::from_secs(3),
        "{:?}",
        hung_up.elapsed()
    );
}
