//! What a console costs that nobody touches: no byte on the line and next to no processor time, however
//! large the store. The large one is run on demand:
//! `cargo test --release --test idle -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/many.rs"]
mod many;
#[path = "support/session.rs"]
mod session;
mod support;

use std::time::{Duration, Instant};

use session::Session;

/// Bytes sent and processor time taken while nothing happens.
fn idle(s: &Session, for_: Duration) -> (usize, Duration) {
    let (bytes, time) = (s.sent(), s.processor_time());
    let end = Instant::now() + for_;
    // It ends sooner only when something is sent that should not be.
    while s.sent() == bytes && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    (s.sent() - bytes, s.processor_time().saturating_sub(time))
}

fn measure(artifacts: u32, for_: Duration) -> (usize, Duration) {
    let f = many::store(1, 3, artifacts);
    let mut s = Session::open(&f, &[], 36, 120);
    s.press("3");
    s.see("artifact-0000000");
    s.press("1");
    s.see("finding");
    // Files that were just written are looked at again until their time stamps have settled.
    while idle(&s, Duration::from_secs(6)).0 > 0 {}
    let found = idle(&s, for_);
    s.press("q");
    assert_eq!(s.end(), 0);
    s.is_restored();
    found
}

#[test]
fn an_idle_console_sends_nothing_and_rests() {
    let for_ = Duration::from_secs(10);
    let (bytes, time) = measure(2_000, for_);
    assert_eq!(bytes, 0);
    // A debug build on a busy machine; the target is for the release build.
    assert!(time < for_ / 10, "{time:?} in {for_:?}");
}

#[test]
#[ignore = "takes minutes; needs the release build"]
fn fifty_thousand_artifacts_cost_a_hundredth_of_a_core() {
    let for_ = Duration::from_secs(60);
    let (bytes, time) = measure(50_000, for_);
    eprintln!("50,000 x 3, idle for 60 s: {bytes} bytes, {time:?} of processor time");
    assert_eq!(bytes, 0);
    assert!(time <= for_ / 100, "{time:?} in {for_:?}");
}
