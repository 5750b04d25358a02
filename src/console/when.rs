//! Ages in steps: a figure that changes every second is an animation, and no information.

use chrono::{DateTime, Utc};

use crate::report;

/// The step that an age below an hour is in; `seconds` is at least ten.
pub fn step(seconds: u64) -> &'static str {
    match seconds {
        0..60 => "10 s",
        60..300 => "1 min",
        300..900 => "5 min",
        900..1_800 => "15 min",
        _ => "30 min",
    }
}

/// [`report::age`] in steps.
pub fn age(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    match u64::try_from((now - then).num_seconds()) {
        Ok(0..10) => "now".to_owned(),
        Ok(seconds @ 10..3_600) => step(seconds).to_owned(),
        _ => report::age(now, then),
    }
}

/// [`report::ago`] in steps.
pub fn ago(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    match age(now, then).as_str() {
        "now" => "just now".to_owned(),
        "ahead" => "in the future".to_owned(),
        age => format!("{age} ago"),
    }
}
