//! Times for programs: RFC 3339, UTC.

use chrono::{DateTime, SecondsFormat, Utc};

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
