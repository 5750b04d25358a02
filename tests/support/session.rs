//! The real binary, or a shell, in a real pseudo-terminal: what it shows, what it was sent, how it ends.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{Read, Write},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::termios::LocalModes;

use crate::support::Fixture;

/// What the terminal shows, and everything it was sent.
#[derive(Default)]
pub struct Shown {
    pub parser: Option<vt100::Parser>,
    pub bytes: Vec<u8>,
    pub closed: bool,
    /// The terminal takes no bytes for now.
    pub held: bool,
}

/// The console in a pseudo-terminal.
pub struct Session {
    pub child: Box<dyn Child + Send + Sync>,
    pub master: Box<dyn MasterPty + Send>,
    pub writer: Box<dyn Write + Send>,
    pub shown: Arc<(Mutex<Shown>, Condvar)>,
}

pub fn cells(n: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(n).unwrap()
}

/// The modes of a terminal that a shell has.
pub const COOKED: LocalModes = LocalModes::ICANON
    .union(LocalModes::ECHO)
    .union(LocalModes::ISIG);

/// Nothing takes longer on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

impl Session {
    pub fn open(f: &Fixture, arguments: &[&str], rows: u16, cols: u16) -> Self {
        Self::open_with(f, arguments, rows, cols, &[])
    }

    /// A program of another name, a shell say.
    pub fn run(f: &Fixture, program: &str, arguments: &[&str], rows: u16, cols: u16) -> Self {
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        Self::start(f, command, (rows, cols), &[])
    }

    /// With these variables set.
    pub fn open_with(
        f: &Fixture,
        arguments: &[&str],
        rows: u16,
        cols: u16,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_maifdeck"));
        command.args(arguments);
        Self::start(f, command, (rows, cols), environment)
    }

    /// Any program.
    pub fn start(
        f: &Fixture,
        mut command: CommandBuilder,
        (rows, cols): (u16, u16),
        environment: &[(&str, &str)],
    ) -> Self {
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        command.cwd(f.directory.path());
        command.env("TERM", "xterm-256color");
        command.env("HOME", f.directory.path());
        if command.get_env("MAIFDECK_HOST").is_none() {
            command.env("XDG_STATE_HOME", f.path("state"));
        }
        for key in [
            "MAIFDECK_CONFIG",
            "NO_COLOR",
            "TMUX",
            "STY",
            "XDG_CONFIG_HOME",
        ] {
            command.env_remove(key);
        }
        for (key, value) in environment {
            command.env(key, value);
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
                while shown.held {
                    shown = sink.1.wait(shown).unwrap();
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

    /// Makes a terminal of it that takes no bytes, or one that does again.
    pub fn hold(&self, held: bool) {
        self.shown.0.lock().unwrap().held = held;
        self.shown.1.notify_all();
    }

    /// Whether the terminal is as a shell wants it: lines, echo, signals.
    pub fn is_cooked(&self) -> bool {
        let tty = std::fs::File::open(self.master.tty_name().unwrap()).unwrap();
        let modes = rustix::termios::tcgetattr(&tty).unwrap();
        modes.local_modes.contains(COOKED)
    }

    pub fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    pub fn screen(&self) -> String {
        let shown = self.shown.0.lock().unwrap();
        shown.parser.as_ref().unwrap().screen().contents()
    }

    /// Waits until the screen is as wanted; fails with the screen when it never is.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
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
    pub fn see(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    pub fn resize(&self, rows: u16, cols: u16) {
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

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal)
            .unwrap();
    }

    /// Waits for the end; its exit code.
    pub fn end(&mut self) -> u32 {
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

    /// The terminal was given back: lines and echo as before, alternate screen left, cursor shown,
    /// paste mode off.
    #[track_caller]
    pub fn is_restored(&self) {
        assert!(self.is_cooked(), "the terminal stays raw");
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

    /// How many bytes it was sent so far.
    pub fn sent(&self) -> usize {
        self.shown.0.lock().unwrap().bytes.len()
    }

    /// Waits until more was sent than `before`, and then nothing for a while; how many bytes more.
    #[track_caller]
    pub fn redrawn(&self, before: usize) -> usize {
        const CALM: Duration = Duration::from_millis(250);
        let deadline = Instant::now() + PATIENCE;
        let mut shown = self.shown.0.lock().unwrap();
        loop {
            let last = shown.bytes.len();
            let waited = self
                .shown
                .1
                .wait_timeout_while(shown, CALM, |shown| shown.bytes.len() == last);
            let (now, calm) = waited.unwrap();
            shown = now;
            if calm.timed_out() && shown.bytes.len() > before {
                return shown.bytes.len() - before;
            }
            assert!(Instant::now() < deadline, "nothing was drawn");
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Processor time that it took so far.
    pub fn processor_time(&self) -> Duration {
        processor_time(self.pid())
    }
}

/// The console on a terminal of which nobody else has the master: it is hung up when that is dropped.
pub struct Lone {
    pub child: std::process::Child,
    master: std::fs::File,
    parser: vt100::Parser,
}

impl Lone {
    pub fn open(f: &Fixture) -> Self {
        use rustix::pty::OpenptFlags;

        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let path = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let slave = std::fs::File::options()
            .read(true)
            .write(true)
            .open(path.to_str().unwrap())
            .unwrap();
        let size = rustix::termios::Winsize {
            ws_row: 30,
            ws_col: 110,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&master, size).unwrap();
        let child = f
            .command(&["--config", "maifdeck.toml"])
            .env("TERM", "xterm-256color")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave)
            .spawn()
            .unwrap();
        Self {
            child,
            master: master.into(),
            parser: vt100::Parser::new(cells(30), cells(110), 0),
        }
    }

    pub fn see(&mut self, words: &str) {
        let mut buffer = [0; 8192];
        while !self.parser.screen().contents().contains(words) {
            let length = self.master.read(&mut buffer).unwrap();
            self.parser.process(&buffer[..length]);
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Hangs up and waits for the end: the exit code, how long it took, and the processor time used.
    pub fn hang_up(mut self) -> (Option<i32>, Duration, Duration) {
        use rustix::process::{WaitId, WaitIdOptions};

        let used = processor_time(self.child.id());
        let hung_up = Instant::now();
        drop(self.master);
        // It has ended, and its figures are still there.
        let pid = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        rustix::process::waitid(WaitId::Pid(pid), ended).unwrap();
        let took = hung_up.elapsed();
        let used = processor_time(self.child.id()).saturating_sub(used);
        (self.child.wait().unwrap().code(), took, used)
    }
}

/// What a process has used, also one that ended and was not waited for.
pub fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    // Linux counts for user space in hundredths of a second.
    Duration::from_millis(ticks * 10)
}
