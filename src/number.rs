//! Sizes, counts and shares as people read them: one formatter each, for every part of the program.

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// `0 B`, `1023 B`, `1.0 KiB`, `12.3 MiB`, `456 GiB`: at most three digits before the unit.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = to_f64(bytes);
    let mut unit = "B";
    for next in UNITS {
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 99.95 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// A change in size with its sign: `+12.0 KiB`, `-3 B`, `±0`.
pub fn signed_size(change: i64) -> String {
    match change.cmp(&0) {
        std::cmp::Ordering::Greater => format!("+{}", size(change.unsigned_abs())),
        std::cmp::Ordering::Less => format!("-{}", size(change.unsigned_abs())),
        std::cmp::Ordering::Equal => "±0".to_owned(),
    }
}

/// `1,204`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1 copy`, `1,204 copies`: the plural is given because English has too many of them.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A share between 0 and 1 as whole percent; never `100 %` nor `0 %` when it is not quite that.
pub fn percent(share: f64) -> String {
    if share <= 0.0 || share.is_nan() {
        "0 %".to_owned()
    } else if share < 0.01 {
        "<1 %".to_owned()
    } else if share < 1.0 {
        format!("{:.0} %", (share * 100.0).round().min(99.0))
    } else {
        format!("{:.0} %", share * 100.0)
    }
}

/// The fraction that `part` is of `whole`, 0 when there is no whole.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        to_f64(part) / to_f64(whole)
    }
}

/// For shares and bars, where the last bits do not matter.
#[allow(clippy::cast_precision_loss)]
pub fn to_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_at_most_three_digits_before_the_unit() {
        for (bytes, words) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_023_999, "1.0 MiB"),
            (1_500_000, "1.4 MiB"),
            (120 << 30, "120 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), words);
        }
        assert_eq!(signed_size(-2048), "-2.0 KiB");
        assert_eq!(signed_size(i64::MIN), "-8.0 EiB");
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1204), "1,204");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(plural(1, "copy", "copies"), "1 copy");
    }

    #[test]
    fn hundred_percent_means_all() {
        assert_eq!(percent(0.9999), "99 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.001), "<1 %");
        assert_eq!(percent(ratio(3, 0)), "0 %");
    }
}
