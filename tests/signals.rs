//! What happens to a console from outside: another size again and again, a stop and back, a terminal
//! that is gone while a job runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/many.rs"]
mod many;
#[path = "support/session.rs"]
mod session;
mod support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use session::{Lone, Session};
use support::Fixture;

/// Within two seconds, as the rules say, and what a busy machine takes.
const LEFT: Duration = Duration::from_secs(3);

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

/// Stopped from outside, while a shell that takes the terminal sets its own modes: SIGCONT brings the
/// console's back, and the whole screen.
#[test]
fn a_stop_from_outside_and_other_modes_meanwhile_leave_nothing_wrong() {
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

    let f = small();
    let mut s = Session::open(&f, &[], 24, 80);
    s.see("nothing critical");
    s.signal(Signal::STOP);
    let tty = std::fs::File::open(s.master.tty_name().unwrap()).unwrap();
    let mut modes = tcgetattr(&tty).unwrap();
    modes.local_modes |= session::COOKED;
    tcsetattr(&tty, OptionalActions::Now, &modes).unwrap();
    assert!(s.is_cooked());
    let before = s.sent();
    s.signal(Signal::CONT);
    s.redrawn(before);
    let deadline = Instant::now() + session::PATIENCE;
    while s.is_cooked() {
        assert!(Instant::now() < deadline, "keys wait for a line's end");
        std::thread::sleep(Duration::from_millis(10));
    }
    s.press("3");
    s.see("doc");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

/// A line that stands still: what is written to the terminal waits in the kernel until nothing fits
/// any more. Keys and signals come through all the same, and the terminal is given back.
#[test]
fn a_terminal_that_takes_no_bytes_keeps_nobody_from_leaving() {
    let f = small();
    for (signal, code) in [
        (None, 0),
        (Some(Signal::TERM), 143),
        (Some(Signal::HUP), 129),
    ] {
        let mut s = Session::open(&f, &[], 50, 200);
        s.see("nothing critical");
        s.hold(true);
        // Far more than a pseudo-terminal holds.
        for _ in 0..60 {
            s.press("1234567");
            std::thread::sleep(Duration::from_millis(5));
        }
        let asked = Instant::now();
        match signal {
            None => s.press("q"),
            Some(signal) => s.signal(signal),
        }
        assert_eq!(s.end(), code);
        assert!(asked.elapsed() < LEFT, "{:?}", asked.elapsed());
        s.hold(false);
        s.is_restored();
    }
}

/// A paste without brackets: a hundred thousand keys as fast as the terminal takes them, into the
/// filter and into the lists.
#[test]
fn a_hundred_kilobytes_of_keys_at_once_are_taken_in() {
    let f = small();
    let mut s = Session::open(&f, &[], 24, 80);
    s.see("nothing critical");
    let before = s.sent();
    s.press("3/");
    s.press(&"doc report ".repeat(9_000));
    s.press("\u{15}do");
    s.see("> do ");
    s.press("\u{1b}[200~");
    s.press(&"words ".repeat(17_000));
    s.press("\u{1b}[201~");
    s.press("\u{15}c");
    s.see("> c ");
    s.press("\r");
    s.press(&"jkG".repeat(33_000));
    s.press("5");
    s.see("never; v verifies");
    let sent = s.sent() - before;
    assert!(sent < 2_000_000, "{sent} bytes");
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
}

/// What was drawn last is shown when it takes bytes again, and not all that was in between.
#[test]
fn a_terminal_that_takes_bytes_again_shows_how_it_is_now() {
    let f = small();
    let mut s = Session::open(&f, &[], 50, 200);
    s.see("nothing critical");
    s.hold(true);
    let before = s.sent();
    for _ in 0..100 {
        s.press("1234567");
        std::thread::sleep(Duration::from_millis(2));
    }
    s.press("3");
    s.hold(false);
    s.see("doc");
    let sent = s.sent() - before;
    assert!(sent < 100_000, "{sent} bytes for 700 screens");
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

#[test]
fn a_hang_up_with_a_job_running_leaves_a_whole_journal_that_goes_on() {
    const COPIES: u32 = 2000;
    let f = to_repair(COPIES);
    let mut lone = Lone::open(&f);
    lone.see("are missing on p1.2");
    lone.press("F");
    lone.see("[ Confirm ]");
    lone.press("\t\r");
    lone.see("applying");
    let (code, took, used) = lone.hang_up();
    assert_eq!(code, Some(129));
    println!("ended {took:?} after the hang-up, {used:?} of processor time");
    assert!(took < LEFT, "{took:?}");
    // A debug build finishes its batch on every processor; what spins takes all of the time.
    assert!(used < Duration::from_secs(3), "{used:?}");

    let job = job(&f);
    assert_eq!(job["state"], "interrupted", "{job}");
    let done = job["steps_done"].as_u64().unwrap();
    assert!(done < u64::from(COPIES), "it was cut off: {done}");
    f.run(&["jobs", "resume", job["id"].as_str().unwrap()])
        .exits(0);
    let found = f.run(&["replicas", "--json"]).exits(0).json();
    assert_eq!(found["summary"]["ok"], COPIES + 1, "{}", found["summary"]);
}

#[test]
fn a_lost_terminal_ends_an_idle_console_at_once() {
    let f = small();
    let mut lone = Lone::open(&f);
    lone.see("nothing critical");
    let (code, took, used) = lone.hang_up();
    assert_eq!(code, Some(129));
    assert!(took < LEFT, "{took:?}");
    assert!(used < Duration::from_millis(300), "{used:?}");
}

/// Two replicas of which one has lost its copies: their repair takes a while.
fn to_repair(copies: u32) -> Fixture {
    let f = many::store(1, 2, copies);
    many::empty(&f.path("b/p1"));
    f
}

/// Confirms the repair of everything, and sees it begin.
fn repair(s: &mut Session) {
    s.see("are missing on p1.2");
    s.press("F");
    s.see("[ Confirm ]");
    s.press("\t\r");
    s.see("applying");
}

/// The repair in the journal.
fn job(f: &Fixture) -> serde_json::Value {
    let jobs = f.run(&["jobs", "--json"]).exits(0).json();
    let mut jobs = jobs["jobs"].as_array().unwrap().iter();
    let job = jobs.find(|job| job["intent"] == "repair");
    job.unwrap_or_else(|| panic!("no job: {jobs:?}")).clone()
}

/// A stop while a job runs: it stands at a safe point with its locks given back, so that others can
/// write and clean up; with the console it goes on.
#[test]
fn a_stop_pauses_the_job_and_lets_others_write_until_the_console_is_back() {
    const COPIES: u32 = 1200;
    let f = to_repair(COPIES);
    f.configure("store", "lock_timeout = \"2s\"");
    let mut s = Session::run(&f, "/bin/sh", &["-i"], 30, 110);
    s.press(&format!(
        "{} --config maifdeck.toml\r",
        env!("CARGO_BIN_EXE_maifdeck")
    ));
    repair(&mut s);
    let asked = Instant::now();
    s.press("\u{1a}");
    s.see("Stopped");
    assert!(asked.elapsed() < LEFT, "{:?}", asked.elapsed());
    assert!(s.is_cooked());
    let stopped = job(&f);
    assert_eq!(stopped["state"], "running", "{stopped}");
    // Its journal is held: nobody takes the job up a second time.
    let id = stopped["id"].as_str().unwrap();
    f.run(&["jobs", "resume", id]).exits(2);
    // A single change and bulk work.
    f.run(&["put", "other", "--text", "words"]).exits(0);
    f.run(&["trash", "empty", "--yes"]).exits(0);
    let before = stopped["steps_done"].as_u64().unwrap();
    assert!(before < u64::from(COPIES), "it ended before the stop");
    assert_eq!(
        job(&f)["steps_done"],
        before,
        "it works while it is stopped"
    );
    s.press("fg\r");
    s.see("7 Jobs");
    s.press("7");
    s.wait("the repair's end", |screen| {
        screen
            .lines()
            .any(|line| line.contains("repair") && line.contains("done"))
    });
    s.press("q");
    s.wait("the prompt again", |screen| {
        screen.trim_end().ends_with(['#', '$'])
    });
    s.press("exit\r");
    assert_eq!(s.end(), 0);
    s.is_restored();
    let found = f.run(&["replicas", "--json"]).exits(0).json();
    assert_eq!(found["summary"]["ok"], COPIES + 2, "{}", found["summary"]);
}

#[test]
fn a_job_that_is_paused_by_leaving_says_where_its_journal_is() {
    let f = to_repair(1200);
    let mut s = Session::open(&f, &["--config", "maifdeck.toml"], 30, 110);
    repair(&mut s);
    s.press("q");
    s.see("1 job is running");
    let asked = Instant::now();
    s.press("j\r");
    assert_eq!(s.end(), 0);
    assert!(asked.elapsed() < LEFT, "{:?}", asked.elapsed());
    s.is_restored();
    let (job, said) = (job(&f), s.screen().replace('\n', ""));
    assert_eq!(job["state"], "interrupted", "{job}");
    let journal = format!(
        "a/p1/.maifdeck/journal/{}.jsonl",
        job["id"].as_str().unwrap()
    );
    assert!(f.path(&journal).exists());
    assert!(
        said.contains("left: repair everything that differs"),
        "{said}"
    );
    assert!(said.contains(&journal), "{said}");
}

/// The console is left with its job running, which goes on in a process of its own, whatever becomes
/// of the terminal.
#[test]
fn a_job_that_is_left_detached_ends_without_console_and_terminal() {
    const COPIES: u32 = 1200;
    let f = to_repair(COPIES);
    let mut s = Session::open(&f, &["--config", "maifdeck.toml"], 30, 110);
    repair(&mut s);
    s.press("q");
    s.see("Continue detached");
    let asked = Instant::now();
    s.press("jj\r");
    assert_eq!(s.end(), 0);
    assert!(asked.elapsed() < LEFT, "{:?}", asked.elapsed());
    s.is_restored();
    let said = s.screen();
    assert!(said.contains("goes on as process "), "{said}");
    let journal = format!("{}.jsonl", job(&f)["id"].as_str().unwrap());
    assert!(
        said.replace('\n', "").contains(&journal),
        "the journal's path is printed:\n{said}"
    );
    drop(s);
    let deadline = Instant::now() + session::PATIENCE;
    while job(&f)["state"] != "done" {
        assert!(Instant::now() < deadline, "{}", job(&f));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(job(&f)["steps_done"], COPIES + 1);
    let found = f.run(&["replicas", "--json"]).exits(0).json();
    assert_eq!(found["summary"]["ok"], COPIES + 1, "{}", found["summary"]);
}
