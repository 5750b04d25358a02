//! Hosts on one store: processes with names and state directories of their own, stopped and killed.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Fixture, Run};

/// A grid with leases; `ttl` as in the configuration.
pub fn leased(replicas: usize, ttl: &str) -> Fixture {
    let f = Fixture::empty();
    let directories: Vec<String> = (b'a'..)
        .take(replicas)
        .map(|disk| format!("{}/p1", char::from(disk)))
        .collect();
    let partition = format!("p1={}", directories.join(","));
    f.run(&["init", "--leases", "--partition", &partition])
        .exits(0);
    f.configure(
        "leader",
        &format!("ttl = \"{ttl}\"\nbarrier_timeout = \"300ms\""),
    );
    f
}

/// A command of another host: its own name, its own state directory.
pub fn on(f: &Fixture, host: &str, arguments: &[&str]) -> Command {
    let mut command = f.command(arguments);
    command
        .env("MAIFDECK_HOST", host)
        .env("XDG_STATE_HOME", f.path(&format!("state-{host}")))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn run(f: &Fixture, host: &str, arguments: &[&str]) -> Run {
    on(f, host, arguments).output().unwrap().into()
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts a put that stops itself at a point, and waits until it has.
pub fn stopped_put(f: &Fixture, host: &str, name: &str, point: &str) -> Child {
    stopped(on(f, host, &["put", name, "--text", host, "--json"]), point)
}

/// Starts a command that stops itself at a point, and waits until it has.
pub fn stopped(mut command: Command, point: &str) -> Child {
    let child = command
        .env("MAIFDECK_FAULT", format!("{point}=stop"))
        .spawn()
        .unwrap();
    let stat = format!("/proc/{}/stat", child.id());
    until("the stop", || {
        let text = fs::read_to_string(&stat).unwrap();
        text.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
    });
    child
}

pub fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

pub fn status(f: &Fixture, host: &str, arguments: &[&str]) -> Value {
    let mut all = vec!["lease", "status", "--json"];
    all.extend(arguments);
    run(f, host, &all).exits(0).json()
}

/// A holder that keeps the lease until its stdin is closed or it is killed.
pub fn holder(f: &Fixture, host: &str) -> Child {
    let mut child = on(
        f,
        host,
        &["lease", "hold", "--", "sh", "-c", "echo; read x"],
    )
    .stdin(Stdio::piped())
    .spawn()
    .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.as_mut().unwrap()),
        &mut line,
    )
    .unwrap();
    child
}
