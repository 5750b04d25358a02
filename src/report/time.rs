//! Times, ages and durations as people read them. Times are shown in a zone that is named.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, Local, Utc};

/// The zone in which times are shown; held fixed by tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Zone {
    #[default]
    Local,
    Fixed(FixedOffset),
}

impl Zone {
    /// `2026-03-11 18:00`
    pub fn minute(self, time: DateTime<Utc>) -> String {
        self.format(time, "%Y-%m-%d %H:%M")
    }

    /// `2026-03-11 18:00:07 +01:00`
    pub fn full(self, time: DateTime<Utc>) -> String {
        self.format(time, "%Y-%m-%d %H:%M:%S %:z")
    }

    /// `18:00`, `11 Mar 18:00` or `11 Mar 2025`, as much as tells it apart from today.
    pub fn short(self, now: DateTime<Utc>, time: DateTime<Utc>) -> String {
        if self.format(now, "%F") == self.format(time, "%F") {
            self.format(time, "%H:%M")
        } else if self.format(now, "%Y") == self.format(time, "%Y") {
            self.format(time, "%d %b %H:%M")
        } else {
            self.format(time, "%d %b %Y")
        }
    }

    /// `+01:00`, as it is at that time.
    pub fn name(self, time: DateTime<Utc>) -> String {
        self.format(time, "%:z")
    }

    pub fn format(self, time: DateTime<Utc>, format: &str) -> String {
        match self {
            Self::Local => time.with_timezone(&Local).format(format).to_string(),
            Self::Fixed(zone) => time.with_timezone(&zone).format(format).to_string(),
        }
    }
}

/// How long before `now` something was, in one unit: `now`, `8 s`, `5 min`, `3 h`, `2 d`, `14 w`,
/// `3 y`. A time to come is `ahead`: clocks differ, and an age must not hide that.
pub fn age(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    let seconds = (now - then).num_seconds();
    match seconds {
        i64::MIN..=-60 => "ahead".to_owned(),
        -59..=1 => "now".to_owned(),
        2..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        172_800..5_184_000 => format!("{} d", seconds / 86_400),
        5_184_000..63_072_000 => format!("{} w", seconds / 604_800),
        _ => format!("{} y", seconds / 31_536_000),
    }
}

/// `3 h ago`, but `now` and `in the future` as they are.
pub fn ago(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    match age(now, then).as_str() {
        "now" => "just now".to_owned(),
        "ahead" => "in the future".to_owned(),
        age => format!("{age} ago"),
    }
}

/// `0.4s`, `7s`, `1m10s`, `3h05m`, `2d4h`
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{:.1}s", time.as_secs_f64()),
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ if (seconds / 3_600).is_multiple_of(24) => format!("{}d", seconds / 86_400),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_one_number_and_one_unit() {
        let now: DateTime<Utc> = "2026-03-11T18:00:00Z".parse().unwrap();
        for (seconds, words) in [
            (-90, "ahead"),
            (0, "now"),
            (42, "42 s"),
            (61, "1 min"),
            (3 * 3600, "3 h"),
            (47 * 3600, "47 h"),
            (2 * 86_400, "2 d"),
            (70 * 86_400, "10 w"),
            (800 * 86_400, "2 y"),
        ] {
            assert_eq!(age(now, now - chrono::Duration::seconds(seconds)), words);
        }
    }

    #[test]
    fn times_are_shown_in_their_zone_with_its_name() {
        let zone = Zone::Fixed(FixedOffset::east_opt(3600).unwrap());
        let time = "2026-03-11T23:30:07Z".parse().unwrap();
        assert_eq!(zone.full(time), "2026-03-12 00:30:07 +01:00");
        let now = "2026-03-12T10:00:00Z".parse().unwrap();
        assert_eq!(zone.short(now, time), "00:30");
    }

    #[test]
    fn durations_keep_two_units() {
        assert_eq!(duration(Duration::from_millis(400)), "0.4s");
        assert_eq!(duration(Duration::from_secs(70)), "1m10s");
        assert_eq!(duration(Duration::from_secs(11_100)), "3h05m");
    }
}
