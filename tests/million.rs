//! A million artifacts on three replicas, the real binary on real directories, while the store is
//! surveyed again and again and a scrub runs: when the first frame comes, how soon keys and the
//! filter are answered, how much memory it takes. Run on demand, with the release build:
//! `cargo test --release --test million -- --ignored --nocapture`
//! (`MAIFDECK_ARTIFACTS=50000` for fewer).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/many.rs"]
mod many;
#[path = "support/session.rs"]
mod session;
mod support;

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use session::Session;

/// The longest that a survey of so many may take here.
const SURVEY: Duration = Duration::from_secs(300);

/// Waits until the screen is as wanted, looking whenever something was sent; how long it took.
fn after(s: &Session, what: &str, most: Duration, wanted: impl Fn(&str) -> bool) -> Duration {
    let began = Instant::now();
    let mut shown = s.shown.0.lock().unwrap();
    loop {
        let screen = shown.parser.as_ref().unwrap().screen().contents();
        if wanted(&screen) {
            return began.elapsed();
        }
        assert!(began.elapsed() < most, "{what} was not shown:\n{screen}");
        shown = s.shown.1.wait_timeout(shown, most).unwrap().0;
    }
}

/// The line that the cursor is on.
fn cursor(screen: &str) -> Option<usize> {
    screen.lines().position(|line| line.starts_with('▌'))
}

/// The median, the 99th percentile and the longest.
fn figures(mut took: Vec<Duration>) -> [Duration; 3] {
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    [at(50), at(99), at(100)]
}

fn memory(s: &Session, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", s.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024
}

#[test]
#[ignore = "takes minutes; needs the release build"]
fn a_million_artifacts_keep_the_console_at_hand() {
    let artifacts = std::env::var("MAIFDECK_ARTIFACTS").map_or(1_000_000, |n| n.parse().unwrap());
    let f = many::store(1, 3, artifacts);
    let began = Instant::now();
    let mut s = Session::open(&f, &[], 36, 120);
    after(&s, "a frame", SURVEY, |screen| {
        screen.contains("1 Overview")
    });
    eprintln!("{artifacts} x 3: first frame after {:?}", began.elapsed());
    after(&s, "the store", SURVEY, |screen| screen.contains("skew"));
    let (now, peak) = (memory(&s, "VmRSS"), memory(&s, "VmHWM"));
    eprintln!(
        "surveyed after {:?}; {now} MiB now, {peak} MiB at most",
        began.elapsed()
    );

    let done = AtomicBool::new(false);
    let (keys, letters) = std::thread::scope(|scope| {
        let (first, done) = (f.path("a/p1/artifact-0000000.maif"), &done);
        let directory = f.path("a/p1");
        scope.spawn(move || {
            // A name comes and goes: one survey follows the other.
            for n in 0.. {
                let other = directory.join(format!("zz-{n}.maif"));
                fs::hard_link(&first, &other).unwrap();
                std::thread::sleep(Duration::from_secs(1));
                fs::remove_file(&other).unwrap();
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        s.press("c");
        after(&s, "the scrub", SURVEY, |screen| screen.contains("scrub  "));
        s.press("3");
        after(&s, "rows", SURVEY, |screen| {
            screen.contains("artifact-0000")
        });
        let mut keys = Vec::new();
        for n in 0..1000 {
            let before = cursor(&s.screen());
            s.press(if n % 20 < 10 { "j" } else { "k" });
            keys.push(after(&s, "the next row", SURVEY, |screen| {
                cursor(screen) != before
            }));
            std::thread::sleep(Duration::from_millis(30));
        }
        let mut letters = Vec::new();
        for _ in 0..40 {
            s.press("/");
            after(&s, "the filter", SURVEY, |screen| screen.contains(" fit"));
            for typed in ["9", "98", "987", "9876"] {
                s.press(&typed[typed.len() - 1..]);
                letters.push(after(&s, typed, SURVEY, |screen| {
                    screen.contains(&format!("> {typed}  "))
                }));
                std::thread::sleep(Duration::from_millis(30));
            }
            s.press("\u{1b}");
            after(&s, "the list", SURVEY, |screen| !screen.contains(" fit"));
        }
        done.store(true, Ordering::Relaxed);
        (keys, letters)
    });
    let [keys, letters] = [keys, letters].map(figures);
    eprintln!(
        "keys: median {:?}, 99 % within {:?}, all within {:?}",
        keys[0], keys[1], keys[2]
    );
    eprintln!(
        "filter: median {:?}, 99 % within {:?}, all within {:?}",
        letters[0], letters[1], letters[2]
    );
    let (now, peak) = (memory(&s, "VmRSS"), memory(&s, "VmHWM"));
    eprintln!("{now} MiB now, {peak} MiB at most");
    s.signal(rustix::process::Signal::TERM);
    s.end();
    assert!(keys[1] <= Duration::from_millis(16), "{keys:?}");
    assert!(letters[1] <= Duration::from_millis(50), "{letters:?}");
    assert!(peak <= 1024, "{peak} MiB");
}
