//! Retention: what a policy keeps, held against a second implementation that thinks the other way
//! round, over ten years of backups in a zone whose clocks change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, time::Duration};

use chrono::{
    DateTime, Datelike, Days, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, TimeZone,
    Timelike, Utc,
};
use maifdeck::store::retention::{Policy, Reason, Refused, apply};

/// Berlin since 1996: summer time from the last Sunday of March to that of October, 01:00 UTC.
#[derive(Debug, Clone, Copy)]
struct Berlin;

fn last_sunday(year: i32, month: u32) -> NaiveDateTime {
    let last = NaiveDate::from_ymd_opt(year, month, 31).unwrap();
    let back = u64::from(last.weekday().num_days_from_sunday());
    let day = last.checked_sub_days(Days::new(back)).unwrap();
    day.and_hms_opt(1, 0, 0).unwrap()
}

impl TimeZone for Berlin {
    type Offset = FixedOffset;

    fn from_offset(_: &FixedOffset) -> Self {
        Self
    }

    fn offset_from_local_date(&self, _: &NaiveDate) -> MappedLocalTime<FixedOffset> {
        MappedLocalTime::None
    }

    fn offset_from_local_datetime(&self, _: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
        MappedLocalTime::None
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> FixedOffset {
        self.offset_from_utc_datetime(&utc.and_hms_opt(0, 0, 0).unwrap())
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
        let (from, to) = (last_sunday(utc.year(), 3), last_sunday(utc.year(), 10));
        let summer = from <= *utc && *utc < to;
        FixedOffset::east_opt(if summer { 7200 } else { 3600 }).unwrap()
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn kept(policy: &Policy, times: &[DateTime<Utc>], now: DateTime<Utc>) -> Vec<Vec<Reason>> {
    apply(policy, times, |t| *t, now, &Berlin).unwrap()
}

/// Small numbers, the same ones each run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn policy(&mut self) -> Policy {
        let mut some = |limit| {
            let used = self.below(3) == 0;
            u32::try_from(if used { self.below(limit) } else { 0 }).unwrap()
        };
        Policy {
            keep_last: some(9),
            keep_hourly: some(60),
            keep_daily: some(40),
            keep_weekly: some(30),
            keep_monthly: some(30),
            keep_yearly: some(12),
            keep_within: Duration::from_secs(u64::from(some(200)) * 43_201),
        }
    }
}

/// Ten years of backups: every night, now and then several a day, with gaps of weeks.
fn ten_years(dice: &mut Dice) -> Vec<DateTime<Utc>> {
    let mut at = time("2016-01-01T00:10:00Z");
    let mut times = Vec::new();
    while at < time("2026-01-05T00:00:00Z") {
        times.push(at);
        let minutes = match dice.below(20) {
            0 => 20 + dice.below(90),
            1 => 60 * 24 * dice.below(40),
            2 => 60 * dice.below(30),
            _ => 60 * 23 + dice.below(120),
        };
        at += chrono::Duration::minutes(i64::try_from(minutes + 1).unwrap());
    }
    times
}

/// The naive oracle: names each period as a text, groups all times by it, and takes the greatest
/// of each of the last N groups. `apply` walks once and counts down instead.
fn oracle(policy: &Policy, times: &[DateTime<Utc>], now: DateTime<Utc>) -> Vec<bool> {
    let past: Vec<DateTime<Utc>> = times.iter().copied().filter(|t| *t <= now).collect();
    let mut kept: Vec<DateTime<Utc>> = times.iter().copied().filter(|t| *t > now).collect();
    let formats = [
        (policy.keep_hourly, "%Y-%m-%d %H"),
        (policy.keep_daily, "%Y-%m-%d"),
        (policy.keep_weekly, "%G-W%V"),
        (policy.keep_monthly, "%Y-%m"),
        (policy.keep_yearly, "%Y"),
    ];
    for (count, format) in formats {
        let mut groups: BTreeMap<(DateTime<Utc>, String), DateTime<Utc>> = BTreeMap::new();
        let mut first: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
        for t in &past {
            let local = t.with_timezone(&Berlin);
            let mut label = local.format(format).to_string();
            if format.ends_with("%H") {
                label += &local.format(" %z").to_string();
            }
            let begin = *first.entry(label.clone()).or_insert(*t);
            let newest = groups.entry((begin, label)).or_insert(*t);
            *newest = (*newest).max(*t);
        }
        kept.extend(groups.values().rev().take(count as usize));
    }
    kept.extend(past.iter().rev().take(policy.keep_last as usize));
    let within = chrono::Duration::from_std(policy.keep_within).unwrap();
    kept.extend(past.iter().filter(|t| now - **t < within));
    times.iter().map(|t| kept.contains(t)).collect()
}

#[test]
fn ten_years_of_backups_are_kept_as_a_naive_oracle_says() {
    let mut dice = Dice(7);
    for round in 0..40 {
        let times = ten_years(&mut dice);
        // Now and then some are dated in the future.
        let now = times[times.len() - 1 - usize::try_from(dice.below(4)).unwrap()];
        let policy = dice.policy();
        let wanted = oracle(&policy, &times, now);
        match apply(&policy, &times, |t| *t, now, &Berlin) {
            Ok(reasons) => {
                let found: Vec<bool> = reasons.iter().map(|r| !r.is_empty()).collect();
                assert_eq!(found, wanted, "round {round}: {policy:?}");
            }
            Err(Refused::Empty) => assert_eq!(policy, Policy::default()),
            Err(Refused::RemovesAll) => assert!(!wanted.contains(&true), "{policy:?}"),
        }
    }
}

#[test]
fn another_keep_rule_never_removes_more() {
    let mut dice = Dice(42);
    for _ in 0..300 {
        let mut times: Vec<_> = ten_years(&mut dice);
        times.truncate(1 + usize::try_from(dice.below(200)).unwrap());
        let now = *times.last().unwrap();
        let (a, b) = (dice.policy(), dice.policy());
        let both = Policy {
            keep_last: a.keep_last.max(b.keep_last),
            keep_hourly: a.keep_hourly.max(b.keep_hourly),
            keep_daily: a.keep_daily.max(b.keep_daily),
            keep_weekly: a.keep_weekly.max(b.keep_weekly),
            keep_monthly: a.keep_monthly.max(b.keep_monthly),
            keep_yearly: a.keep_yearly.max(b.keep_yearly),
            keep_within: a.keep_within.max(b.keep_within),
        };
        let Ok(less) = apply(&a, &times, |t| *t, now, &Berlin) else {
            continue;
        };
        let more = kept(&both, &times, now);
        for (less, more) in less.iter().zip(&more) {
            assert!(less.is_empty() || !more.is_empty(), "{a:?} {both:?}");
        }
    }
}

#[test]
fn the_order_in_which_they_are_given_does_not_matter() {
    let mut dice = Dice(3);
    let times = ten_years(&mut dice);
    let now = *times.last().unwrap();
    let policy = Policy {
        keep_daily: 5,
        keep_monthly: 7,
        ..Policy::last(2)
    };
    let mut backwards = times.clone();
    backwards.reverse();
    let mut reasons = kept(&policy, &backwards, now);
    reasons.reverse();
    assert_eq!(reasons, kept(&policy, &times, now));
}

#[test]
fn a_week_belongs_to_the_year_of_its_thursday() {
    // Sunday; Monday and Tuesday of week 2025-W01; the calendar's years differ, the week does not.
    let times = [
        time("2024-12-29T12:00:00Z"),
        time("2024-12-30T12:00:00Z"),
        time("2025-01-05T12:00:00Z"),
    ];
    let policy = Policy {
        keep_weekly: 9,
        ..Policy::default()
    };
    let reasons = kept(&policy, &times, time("2025-02-01T00:00:00Z"));
    assert_eq!(
        reasons,
        [vec![Reason::Weekly(2)], vec![], vec![Reason::Weekly(1)]]
    );
    // The first week of one year and that of another are two.
    let times = [time("2024-01-03T12:00:00Z"), time("2025-01-01T12:00:00Z")];
    let reasons = kept(&policy, &times, time("2025-02-01T00:00:00Z"));
    assert_eq!(reasons, [[Reason::Weekly(2)], [Reason::Weekly(1)]]);
}

#[test]
fn days_are_those_of_the_zone_also_when_its_clocks_change() {
    let daily = Policy {
        keep_daily: 9,
        ..Policy::default()
    };
    let now = time("2026-01-01T00:00:00Z");
    // 2025-10-26 has 25 hours in Berlin: from 22:00Z the day before to 23:00Z.
    let long = [
        time("2025-10-25T21:59:00Z"),
        time("2025-10-25T22:00:00Z"),
        time("2025-10-26T22:59:00Z"),
        time("2025-10-26T23:00:00Z"),
    ];
    assert_eq!(
        kept(&daily, &long, now),
        [
            vec![Reason::Daily(3)],
            vec![],
            vec![Reason::Daily(2)],
            vec![Reason::Daily(1)]
        ]
    );
    // 2025-03-30 has 23: from 23:00Z to 22:00Z.
    let short = [
        time("2025-03-29T23:00:00Z"),
        time("2025-03-30T21:59:00Z"),
        time("2025-03-30T22:00:00Z"),
    ];
    assert_eq!(
        kept(&daily, &short, now),
        [vec![], vec![Reason::Daily(2)], vec![Reason::Daily(1)]]
    );
    // The hour that the clock shows twice is two hours.
    let hourly = Policy {
        keep_hourly: 9,
        ..Policy::default()
    };
    let twice = [time("2025-10-26T00:30:00Z"), time("2025-10-26T01:30:00Z")];
    assert_eq!(twice[0].with_timezone(&Berlin).hour(), 2);
    assert_eq!(twice[1].with_timezone(&Berlin).hour(), 2);
    assert_eq!(
        kept(&hourly, &twice, now),
        [[Reason::Hourly(2)], [Reason::Hourly(1)]]
    );
}

#[test]
fn a_future_date_is_never_the_newest_and_never_removed() {
    let times = [
        time("2026-03-01T00:00:00Z"),
        time("2026-03-02T00:00:00Z"),
        time("2036-01-01T00:00:00Z"),
    ];
    let reasons = kept(&Policy::last(1), &times, time("2026-03-03T00:00:00Z"));
    assert_eq!(
        reasons,
        [vec![], vec![Reason::Last(1)], vec![Reason::Future]]
    );
}

#[test]
fn a_policy_that_is_empty_or_removes_everything_is_refused() {
    let times = [time("2026-03-01T00:00:00Z")];
    let now = time("2026-04-01T00:00:00Z");
    let run = |policy: &Policy| apply(policy, &times, |t| *t, now, &Utc);
    assert_eq!(run(&Policy::default()), Err(Refused::Empty));
    let within = |days: u64| Policy {
        keep_within: Duration::from_secs(days * 86_400),
        ..Policy::default()
    };
    assert_eq!(run(&within(30)), Err(Refused::RemovesAll));
    assert_eq!(run(&within(32)), Ok(vec![vec![Reason::Within]]));
    assert_eq!(
        apply(&within(1), &[], |t: &DateTime<Utc>| *t, now, &Utc),
        Ok(vec![])
    );
}
