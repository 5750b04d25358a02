//! Times as an operator types them: `18:00`, `yesterday 18:00`, `2026-03-11 18:00`, in the zone in
//! which times are shown.

use chrono::{DateTime, Days, Local, NaiveDate, NaiveTime, TimeZone, Utc};

use super::Zone;

pub fn parse(text: &str, now: DateTime<Utc>, zone: Zone) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let today: NaiveDate = zone.format(now, "%F").parse().ok()?;
    let (day, rest) = match text.split_once([' ', 'T']) {
        Some(("yesterday", rest)) => (today.checked_sub_days(Days::new(1))?, rest),
        Some(("today", rest)) => (today, rest),
        Some((day, rest)) => (day.parse().ok()?, rest),
        None if text == "yesterday" => (today.checked_sub_days(Days::new(1))?, "23:59:59"),
        None if text.contains(':') => (today, text),
        None => (text.parse().ok()?, "23:59:59"),
    };
    let time = NaiveTime::parse_from_str(rest.trim(), "%H:%M:%S")
        .or_else(|_| NaiveTime::parse_from_str(rest.trim(), "%H:%M"))
        .ok()?;
    let local = day.and_time(time);
    // An hour that clocks pass twice: the earlier one.
    match zone {
        Zone::Local => Local
            .from_local_datetime(&local)
            .earliest()
            .map(|t| t.to_utc()),
        Zone::Fixed(zone) => zone
            .from_local_datetime(&local)
            .earliest()
            .map(|t| t.to_utc()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    #[test]
    fn times_are_read_in_the_zone_that_is_shown() {
        let zone = Zone::Fixed(FixedOffset::east_opt(3600).unwrap());
        let now = "2026-03-12T10:00:00Z".parse().unwrap();
        for (text, utc) in [
            ("18:00", "2026-03-12T17:00:00Z"),
            ("yesterday 18:00", "2026-03-11T17:00:00Z"),
            ("2026-03-01 00:30", "2026-02-28T23:30:00Z"),
            ("2026-03-01T18:00", "2026-03-01T17:00:00Z"),
            ("2026-03-01T18:00:00Z", "2026-03-01T18:00:00Z"),
        ] {
            assert_eq!(parse(text, now, zone), Some(utc.parse().unwrap()), "{text}");
        }
        assert_eq!(parse("soon", now, zone), None);
    }
}
