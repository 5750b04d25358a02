//! The console in full size, the real binary on real directories: a million artifacts on three replicas
//! that are surveyed again and again while a scrub runs, and an idle console on 50,000. Takes minutes;
//! ends with an error where a target of `console.md` is missed: `cargo bench --bench scale`
//! (`MAIFDECK_ARTIFACTS=300000` for fewer).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/support/many.rs"]
mod many;
#[path = "../tests/support/scale.rs"]
mod scale;
#[path = "../tests/support/session.rs"]
mod session;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

fn main() {
    let for_ = Duration::from_secs(60);
    let (bytes, time) = scale::idle(50_000, for_);
    println!("50,000 artifacts x 3, idle for 60 s: {bytes} bytes, {time:?} of processor time");
    let artifacts = std::env::var("MAIFDECK_ARTIFACTS").map_or(1_000_000, |n| n.parse().unwrap());
    let found = scale::answers(artifacts, 1000);
    println!("{found}");
    assert_eq!(bytes, 0, "an idle console is silent");
    assert!(time <= for_ / 100, "idle takes a hundredth of a core");
    let first = Duration::from_millis(100);
    assert!(
        found.first_frame <= first,
        "the first frame is there at once"
    );
    // Said apart from the whole, which a busy machine makes of it.
    assert!(found.worked[1] <= Duration::from_millis(16), "a key's work");
    assert!(found.keys[1] <= Duration::from_millis(16), "keys");
    assert!(found.letters[1] <= Duration::from_millis(50), "filter");
    assert!(found.memory <= 1024, "memory");
}
