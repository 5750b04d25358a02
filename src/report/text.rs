//! One formatter each for sizes, counts, times and ages.

use std::time::Duration;

use chrono::{DateTime, Local, SecondsFormat, Utc};

/// `3,001 B`, `1.2 MiB`: bytes below ten thousand exactly, above with one decimal.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 10_000 {
        return format!("{} B", count(bytes));
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// `1,204`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 copy`, `2 copies`
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `25.0 %`
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `2026-03-11 18:00:05 +0100`
pub fn local(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local)
        .format("%Y-%m-%d %H:%M:%S %z")
        .to_string()
}

/// RFC 3339, UTC, seconds: what JSON documents give.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// RFC 3339 of seconds since 1970.
pub fn rfc3339_seconds(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).map_or_else(String::new, rfc3339)
}

/// RFC 3339 of a MAIF time, microseconds since 1970.
pub fn rfc3339_micros(micros: u64) -> String {
    i64::try_from(micros)
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .map_or_else(
            || format!("{micros} µs after 1970"),
            |time| time.to_rfc3339_opts(SecondsFormat::Micros, true),
        )
}

/// `42 s`, `7 min`, `3 h`, `12 d`: the largest unit that fits.
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

/// `3 h ago`; `in 3 h` for a time to come.
pub fn ago(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (now - then).to_std() {
        Ok(age) => format!("{} ago", duration(age)),
        Err(_) => format!("in {}", duration((then - now).to_std().unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_are_easy_to_read() {
        assert_eq!(size(3001), "3,001 B");
        assert_eq!(size(10_240), "10.0 KiB");
        assert_eq!(size(1 << 20), "1.0 MiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
        assert_eq!(count(1_204_000), "1,204,000");
        assert_eq!(count(999), "999");
    }

    #[test]
    fn ages_use_the_largest_unit_that_fits() {
        let now: DateTime<Utc> = "2026-03-11T18:00:00Z".parse().unwrap();
        assert_eq!(ago(now - chrono::Duration::seconds(42), now), "42 s ago");
        assert_eq!(ago(now - chrono::Duration::hours(3), now), "3 h ago");
        assert_eq!(ago(now + chrono::Duration::days(3), now), "in 3 d");
    }
}
