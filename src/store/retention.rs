//! Which of many dated things a policy keeps, and why. Pure: times in, reasons out.
//!
//! The policy is the well-known one of restic and borg: the last N, and of each of the last N hours,
//! days, ISO weeks, months and years *that hold one* the newest; besides, everything younger than a
//! span. Rules add up, so another rule never removes more. What is dated in the future is kept, but
//! never counts as the newest: a clock that was wrong once must not push good ones out.

use std::{cmp::Reverse, fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Datelike, Offset, TimeZone, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::{
    config::{BackupConfig, Retention},
    units::parse_duration,
};

/// How many are kept of what. Zero: the rule is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    #[serde(skip_serializing_if = "is_zero")]
    pub keep_last: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub keep_hourly: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub keep_daily: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub keep_weekly: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub keep_monthly: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub keep_yearly: u32,
    #[serde(skip_serializing_if = "Duration::is_zero", with = "seconds")]
    pub keep_within: Duration,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A span as whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(span.as_secs())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

impl Policy {
    pub const fn last(count: u32) -> Self {
        Self {
            keep_last: count,
            keep_hourly: 0,
            keep_daily: 0,
            keep_weekly: 0,
            keep_monthly: 0,
            keep_yearly: 0,
            keep_within: Duration::ZERO,
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// As on a command line: `--keep-last 3 --keep-within 30d`.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("last", self.keep_last),
            ("hourly", self.keep_hourly),
            ("daily", self.keep_daily),
            ("weekly", self.keep_weekly),
            ("monthly", self.keep_monthly),
            ("yearly", self.keep_yearly),
        ];
        let mut flags: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(rule, count)| format!("--keep-{rule} {count}"))
            .collect();
        let seconds = self.keep_within.as_secs();
        if seconds > 0 {
            let (unit, word) = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')]
                .into_iter()
                .find(|(unit, _)| seconds.is_multiple_of(*unit))
                .unwrap_or((1, 's'));
            flags.push(format!("--keep-within {}{word}", seconds / unit));
        }
        f.write_str(&flags.join(" "))
    }
}

/// Not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a number, or rules such as: last 7 daily 14 weekly 8 monthly 12 yearly 5 within 30d")]
pub struct BadPolicy;

/// As it is displayed; dashes and `keep` may be left out, and a number alone is `last`.
impl FromStr for Policy {
    type Err = BadPolicy;

    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        if let Ok(count) = text.trim().parse() {
            return Ok(Self::last(count));
        }
        let mut policy = Self::default();
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            let value = words.next().ok_or(BadPolicy)?;
            let rule = word.trim_start_matches("--").trim_start_matches("keep-");
            let count = match rule {
                "last" => &mut policy.keep_last,
                "hourly" => &mut policy.keep_hourly,
                "daily" => &mut policy.keep_daily,
                "weekly" => &mut policy.keep_weekly,
                "monthly" => &mut policy.keep_monthly,
                "yearly" => &mut policy.keep_yearly,
                "within" => {
                    policy.keep_within = parse_duration(value).ok_or(BadPolicy)?;
                    continue;
                }
                _ => return Err(BadPolicy),
            };
            *count = value.parse().map_err(|_| BadPolicy)?;
        }
        Ok(policy)
    }
}

impl From<&Retention> for Policy {
    fn from(config: &Retention) -> Self {
        Self {
            keep_last: config.keep_last,
            keep_hourly: config.keep_hourly,
            keep_daily: config.keep_daily,
            keep_weekly: config.keep_weekly,
            keep_monthly: config.keep_monthly,
            keep_yearly: config.keep_yearly,
            keep_within: config.keep_within,
        }
    }
}

impl From<&BackupConfig> for Policy {
    fn from(config: &BackupConfig) -> Self {
        Self {
            keep_last: config.keep_last,
            keep_hourly: config.keep_hourly,
            keep_daily: config.keep_daily,
            keep_weekly: config.keep_weekly,
            keep_monthly: config.keep_monthly,
            keep_yearly: config.keep_yearly,
            keep_within: config.keep_within,
        }
    }
}

/// Why something is kept. A number counts from the newest that the rule keeps, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    Last(u32),
    Hourly(u32),
    Daily(u32),
    Weekly(u32),
    Monthly(u32),
    Yearly(u32),
    /// Younger than the span.
    Within,
    /// Dated in the future: for a person to look at.
    Future,
    /// A person said so.
    Pinned,
    /// Not complete: only complete backups count, and the others are for a person to look at.
    NotComplete,
    /// The newest one stays whatever the policy says.
    Newest,
    /// An undo may still need it.
    UndoWindow,
}

/// Why a policy is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "an empty policy would keep nothing; give at least one of --keep-last, --keep-hourly, \
         --keep-daily, --keep-weekly, --keep-monthly, --keep-yearly, --keep-within"
    )]
    Empty,
    #[error("this policy would remove everything; add --keep-last 1")]
    RemovesAll,
}

/// The reasons to keep each item, in the items' order; none: the policy lets it go. `zone` is where
/// hours, days and years begin. Of items with the same time the first counts as the newer.
pub fn apply<T, Z: TimeZone>(
    policy: &Policy,
    items: &[T],
    time: impl Fn(&T) -> DateTime<Utc>,
    now: DateTime<Utc>,
    zone: &Z,
) -> Result<Vec<Vec<Reason>>, Refused> {
    if policy.is_empty() {
        return Err(Refused::Empty);
    }
    let kept = reasons(
        policy,
        &items.iter().map(time).collect::<Vec<_>>(),
        now,
        zone,
    );
    if !items.is_empty() && kept.iter().all(Vec::is_empty) {
        return Err(Refused::RemovesAll);
    }
    Ok(kept)
}

/// The same for the history of one artifact: besides, its newest version stays, and what is younger
/// than `window`, which an undo may need.
pub fn apply_to_history<T, Z: TimeZone>(
    policy: &Policy,
    items: &[T],
    time: impl Fn(&T) -> DateTime<Utc>,
    window: Duration,
    now: DateTime<Utc>,
    zone: &Z,
) -> Result<Vec<Vec<Reason>>, Refused> {
    if policy.is_empty() {
        return Err(Refused::Empty);
    }
    let times: Vec<DateTime<Utc>> = items.iter().map(time).collect();
    let mut kept = reasons(policy, &times, now, zone);
    let newest = times.iter().max().copied();
    for (time, reasons) in times.iter().zip(&mut kept) {
        if Some(*time) == newest {
            reasons.push(Reason::Newest);
        }
        if *time <= now && (now - *time).to_std().unwrap_or_default() < window {
            reasons.push(Reason::UndoWindow);
        }
    }
    Ok(kept)
}

fn reasons<Z: TimeZone>(
    policy: &Policy,
    times: &[DateTime<Utc>],
    now: DateTime<Utc>,
    zone: &Z,
) -> Vec<Vec<Reason>> {
    let mut newest_first: Vec<(usize, DateTime<Utc>)> = times.iter().copied().enumerate().collect();
    newest_first.sort_by_key(|(_, time)| Reverse(*time));
    let mut rules = rules(policy, zone);
    let mut kept = vec![Vec::new(); times.len()];
    for (position, time) in newest_first {
        let Some(reasons) = kept.get_mut(position) else {
            continue;
        };
        if time > now {
            reasons.push(Reason::Future);
            continue;
        }
        for rule in &mut rules {
            reasons.extend(rule.keeps(time));
        }
        let age = (now - time).to_std().unwrap_or_default();
        if age < policy.keep_within {
            reasons.push(Reason::Within);
        }
    }
    kept
}

/// One period's number; equal for two times exactly when they lie in the same period.
type Period = (i32, u32, u32, i32);

/// A rule that keeps the newest of each period, and how much of it is used up.
struct Rule<'a> {
    left: u32,
    used: u32,
    latest: Option<Period>,
    /// `None`: each item is a period of its own.
    period: Option<Box<dyn Fn(DateTime<Utc>) -> Period + 'a>>,
    reason: fn(u32) -> Reason,
}

/// The rules that a policy may use.
fn rules<'a, Z: TimeZone>(policy: &Policy, zone: &'a Z) -> Vec<Rule<'a>> {
    let wall = |time: DateTime<Utc>| time.with_timezone(zone);
    let rule = |left, reason, period| Rule {
        left,
        used: 0,
        latest: None,
        period,
        reason,
    };
    let by = |period: fn(&DateTime<Z>) -> Period| -> Option<Box<dyn Fn(_) -> _ + 'a>> {
        Some(Box::new(move |time| period(&wall(time))))
    };
    vec![
        rule(policy.keep_last, Reason::Last, None),
        // An hour that the clock shows twice is two hours: their offsets differ.
        rule(
            policy.keep_hourly,
            Reason::Hourly,
            by(|t| {
                let offset = t.offset().fix().local_minus_utc();
                (t.year(), t.ordinal(), t.hour(), offset)
            }),
        ),
        rule(
            policy.keep_daily,
            Reason::Daily,
            by(|t| (t.year(), t.ordinal(), 0, 0)),
        ),
        // The week's own year: 2024-12-30 lies in the first week of 2025.
        rule(
            policy.keep_weekly,
            Reason::Weekly,
            by(|t| (t.iso_week().year(), t.iso_week().week(), 0, 0)),
        ),
        rule(
            policy.keep_monthly,
            Reason::Monthly,
            by(|t| (t.year(), t.month(), 0, 0)),
        ),
        rule(
            policy.keep_yearly,
            Reason::Yearly,
            by(|t| (t.year(), 0, 0, 0)),
        ),
    ]
}

impl Rule<'_> {
    /// Asked from the newest to the oldest.
    fn keeps(&mut self, time: DateTime<Utc>) -> Option<Reason> {
        if self.left == 0 {
            return None;
        }
        if let Some(period) = &self.period {
            let period = period(time);
            if self.latest == Some(period) {
                return None;
            }
            self.latest = Some(period);
        }
        self.left -= 1;
        self.used += 1;
        Some((self.reason)(self.used))
    }
}
