//! How the console answers while its store is surveyed again and again and a scrub runs, and what it
//! costs when nobody touches it: the real binary on real directories, small for the tests and in full
//! size for the benchmark.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt, fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::{many, session::Session};

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

/// How long the screen's thread has worked, and waited for a processor while it could have.
fn scheduled(s: &Session) -> [Duration; 2] {
    let pid = s.pid();
    let figures = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"));
    // Not every kernel counts that.
    let figures = figures.unwrap_or_default();
    let mut figures = figures.split_whitespace().map(|n| n.parse().unwrap_or(0));
    [(); 2].map(|()| Duration::from_nanos(figures.next().unwrap_or(0)))
}

/// What was measured.
#[derive(Debug)]
pub struct Answers {
    pub artifacts: u32,
    pub first_frame: Duration,
    pub surveyed: Duration,
    /// Median, 99th percentile, longest.
    pub keys: [Duration; 3],
    pub letters: [Duration; 3],
    /// What the screen's thread worked for each key, and waited for a processor: on a busy machine
    /// the latter is most of what a key took.
    pub worked: [Duration; 3],
    pub queued: [Duration; 3],
    /// MiB, at most.
    pub memory: u64,
}

impl fmt::Display for Answers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            artifacts,
            first_frame,
            surveyed,
            memory,
            ..
        } = self;
        writeln!(
            out,
            "{artifacts} artifacts x 3, surveyed and scrubbed meanwhile"
        )?;
        writeln!(
            out,
            "first frame after {first_frame:?}, data after {surveyed:?}"
        )?;
        for (what, [median, most, longest]) in [
            ("keys", self.keys),
            ("  of that the screen's thread worked", self.worked),
            ("  and waited for a processor", self.queued),
            ("filter", self.letters),
        ] {
            writeln!(
                out,
                "{what}: median {median:?}, 99 % within {most:?}, all within {longest:?}"
            )?;
        }
        write!(out, "{memory} MiB at most")
    }
}

/// Opens the console on so many artifacts, and presses so many keys.
pub fn answers(artifacts: u32, keys: usize) -> Answers {
    let f = many::store(1, 3, artifacts);
    let began = Instant::now();
    let mut s = Session::open(&f, &[], 36, 120);
    after(&s, "a frame", SURVEY, |screen| {
        screen.contains("1 Overview")
    });
    let first_frame = began.elapsed();
    after(&s, "the store", SURVEY, |screen| screen.contains("skew"));
    let surveyed = began.elapsed();

    let done = AtomicBool::new(false);
    let (keys, letters, [worked, queued]) = std::thread::scope(|scope| {
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
        after(&s, "the scrub", SURVEY, |screen| screen.contains("scrub"));
        s.press("3");
        after(&s, "rows", SURVEY, |screen| {
            screen.contains("artifact-0000")
        });
        let pause = || std::thread::sleep(Duration::from_millis(30));
        let mut moves = Vec::new();
        let (mut worked, mut queued) = (Vec::new(), Vec::new());
        for n in 0..keys {
            let before = cursor(&s.screen());
            let [ran, waited] = scheduled(&s);
            s.press(if n % 20 < 10 { "j" } else { "k" });
            moves.push(after(&s, "the next row", SURVEY, |screen| {
                cursor(screen) != before
            }));
            let [ran_now, waited_now] = scheduled(&s);
            worked.push(ran_now.saturating_sub(ran));
            queued.push(waited_now.saturating_sub(waited));
            pause();
        }
        let mut letters = Vec::new();
        for _ in 0..keys.div_ceil(25) {
            s.press("/");
            after(&s, "the filter", SURVEY, |screen| screen.contains(" fit"));
            for typed in ["9", "98", "987", "9876"] {
                s.press(&typed[typed.len() - 1..]);
                letters.push(after(&s, typed, SURVEY, |screen| {
                    screen.contains(&format!("> {typed}  "))
                }));
                pause();
            }
            s.press("\u{1b}");
            after(&s, "the list", SURVEY, |screen| !screen.contains(" fit"));
        }
        done.store(true, Ordering::Relaxed);
        (moves, letters, [worked, queued])
    });
    let memory = memory(&s, "VmHWM");
    s.signal(rustix::process::Signal::TERM);
    s.end();
    Answers {
        artifacts,
        first_frame,
        surveyed,
        keys: figures(keys),
        letters: figures(letters),
        worked: figures(worked),
        queued: figures(queued),
        memory,
    }
}

/// Bytes sent and processor time taken in a while in which nothing happens.
pub fn idle(artifacts: u32, for_: Duration) -> (usize, Duration) {
    let f = many::store(1, 3, artifacts);
    let mut s = Session::open(&f, &[], 36, 120);
    s.press("3");
    s.see("artifact-0000000");
    s.press("1");
    s.see("finding");
    // Files that were just written are looked at again until their time stamps have settled.
    while rest(&s, Duration::from_secs(6)).0 > 0 {}
    let found = rest(&s, for_);
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
    found
}

fn rest(s: &Session, for_: Duration) -> (usize, Duration) {
    let (bytes, time) = (s.sent(), s.processor_time());
    let end = Instant::now() + for_;
    // It ends sooner only when something is sent that should not be.
    while s.sent() == bytes && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    (s.sent() - bytes, s.processor_time().saturating_sub(time))
}
