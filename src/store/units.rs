//! Durations and sizes as the configuration writes them: `500ms 2s 15m 26h 7d`, `64KiB 10GiB`.

use std::time::Duration;

/// `500ms 2s 15m 26h 7d`
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    number.checked_mul(millis).map(Duration::from_millis)
}

/// In milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// `64KiB 10GiB 512B`
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    if unit.is_empty() {
        return number.parse().ok();
    }
    let shift = SHIFTS.iter().find(|(name, _)| *name == unit)?.1;
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

const SHIFTS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

/// For serde: a duration with its unit.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let whole = |(_, unit): &&(&str, u64)| millis.is_multiple_of(*unit);
        let (name, unit) = match super::UNITS.iter().find(whole) {
            Some(found) if millis > 0 => *found,
            _ => ("s", 1000),
        };
        serializer.collect_str(&format_args!("{}{name}", millis / unit))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "not a duration such as 500ms, 2s, 15m, 26h, 7d: {text:?}"
            ))
        })
    }
}

/// For serde: a size with its unit.
pub mod size {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(size: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = |(_, shift): &&(&str, u32)| size.trailing_zeros() >= *shift;
        let (name, shift) = match super::SHIFTS.iter().find(whole) {
            Some(found) if *size > 0 => *found,
            _ => ("B", 0),
        };
        serializer.collect_str(&format_args!("{}{name}", size >> shift))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_size(&text)
            .ok_or_else(|| de::Error::custom(format!("not a size such as 64KiB, 10GiB: {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(parse_duration("26h"), Some(Duration::from_secs(93_600)));
        assert_eq!(parse_duration("26"), None);
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("1GB"), None);
    }
}
