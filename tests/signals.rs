//! What happens to a console from outside: another size again and again, a stop and back, a terminal
//! that is gone while a job runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/many.rs"]
mod many;
#[path = "support/session.rs"]
mod session;
mod support;

use std::{
    fs::File,
    io::Read,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{WaitId, WaitIdOptions};
use session::{Session, processor_time};
use support::Fixture;

fn small() -> Fixture {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "words"]).exits(0);
    f.run(&["backup", "create"]).exits(0);
    f
}

#[test]
fn a_storm_of_sizes_ends_with_the_right_screen() {
    let f = small();
    let mut s = Session::open(&f, &[], 24, 80);
    s.see("nothing critical");
    let before = s.processor_time();
    for n in 0..300_u16 {
        s.resize(1 + n % 60, 1 + n * 7 % 200);
    }
    for (rows, cols) in [(1, 1), (5, 20), (80, 300), (24, 80)] {
        s.resize(rows, cols);
    }
    s.press("3");
    s.wait("the whole screen", |screen| {
        screen.contains("3 Repl") && screen.contains("doc") && screen.contains("? help")
    });
    let took = s.processor_time().saturating_sub(before);
    assert!(took < Duration::from_secs(10), "{took:?} for 304 sizes");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

/// Under a shell that controls jobs, as an operator has it.
#[test]
fn a_stop_gives_the_shell_its_terminal_and_fg_brings_the_console_back() {
    let f = small();
    let mut shell = Session::run(&f, "/bin/sh", &["-i"], 24, 80);
    shell.press(&format!(
        "{} --config maifdeck.toml\r",
        env!("CARGO_BIN_EXE_maifdeck")
    ));
    shell.see("nothing critical");
    shell.press("\u{1a}");
    let screen = shell.see("Stopped");
    assert!(
        !screen.contains("nothing critical"),
        "the shell's screen is another one:\n{screen}"
    );
    shell.press("echo back-$((40+2))\r");
    shell.see("back-42");
    shell.press("fg\r");
    shell.see("nothing critical");
    shell.press("3");
    shell.see("doc");
    shell.press("q");
    shell.wait("the prompt again", |screen| {
        screen.contains("back-42") && screen.trim_end().ends_with(['#', '$'])
    });
    shell.press("exit\r");
    assert_eq!(shell.end(), 0);
    shell.is_restored();
}

/// The only descriptor of the master is closed: a cloned reader would prevent the hang-up.
#[test]
fn a_hang_up_with_a_job_running_leaves_a_whole_journal_that_goes_on() {
    use rustix::pty::OpenptFlags;

    const COPIES: u32 = 2000;
    let f = many::store(1, 2, COPIES);
    many::empty(&f.path("b/p1"));
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let path = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let slave = File::options()
        .read(true)
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    let mut command: Command = f.command(&["--config", "maifdeck.toml"]);
    let mut child = command
        .env("TERM", "xterm-256color")
        .stdin(slave.try_clone().unwrap())
        .stdout(slave.try_clone().unwrap())
        .stderr(slave)
        .spawn()
        .unwrap();
    drop(command);
    let mut master = File::from(master);
    let size = rustix::termios::Winsize {
        ws_row: 30,
        ws_col: 110,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&master, size).unwrap();
    let mut screen = vt100::Parser::new(cells(30), cells(110), 0);
    let mut see = |master: &mut File, words: &str| {
        let mut buffer = [0; 8192];
        while !screen.screen().contents().contains(words) {
            let length = master.read(&mut buffer).unwrap();
            screen.process(&buffer[..length]);
        }
    };
    let press = |master: &mut File, keys: &str| {
        std::io::Write::write_all(master, keys.as_bytes()).unwrap();
    };
    see(&mut master, "are missing on p1.2");
    press(&mut master, "F");
    see(&mut master, "[ Confirm ]");
    press(&mut master, "\t\r");
    see(&mut master, "applying");
    let used = processor_time(child.id());
    let hung_up = Instant::now();
    drop(master);
    // It has ended, and its figures are still there.
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    rustix::process::waitid(WaitId::Pid(pid), ended).unwrap();
    let took = hung_up.elapsed();
    let used = processor_time(child.id()).saturating_sub(used);
    assert_eq!(child.wait().unwrap().code(), Some(129));
    println!("ended {took:?} after the hang-up, {used:?} of processor time");
    assert!(took < Duration::from_secs(3), "{took:?}");
    // A debug build finishes its batch on every processor; what spins takes all of the time.
    assert!(used < Duration::from_secs(3), "{used:?}");

    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    let job = jobs["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|job| job["intent"] == "repair")
        .unwrap_or_else(|| panic!("no job: {jobs}"))
        .clone();
    assert_eq!(job["state"], "interrupted", "{job}");
    let done = job["steps_done"].as_u64().unwrap();
    assert!(done < u64::from(COPIES), "it was cut off: {done}");
    f.run(&["jobs", "resume", job["id"].as_str().unwrap()])
        .exits(0);
    let found = f.run(&["replicas", "--json"]).exits(0).json();
    assert_eq!(found["summary"]["ok"], COPIES + 1, "{}", found["summary"]);
}

fn cells(n: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(n).unwrap()
}
