//! What the filter line means: words that a name must hold (fuzzily), and terms: `state:corrupt`,
//! `partition:p2`, `size:>1M`, `age:<2d`, `agent:…`. All must fit. Made once a keystroke; asking a
//! row allocates nothing.

use chrono::{DateTime, Utc};

use super::table::{REMOVED, Table, UNSUPPORTED, VANISHED, bit};
use crate::survey::{ArtifactState, CopyState, Survey};

/// Better scores come first. Names that begin with the word have the best.
pub const BEST: i32 = 1050;
/// The score of the loosest fit that is still told apart from looser ones.
pub const WORST: i32 = -200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Above,
    Below,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// Bits of artifact states, of copy states, of flags: any of them.
    State(u8, u8, u8),
    /// By partition.
    Home(Vec<bool>),
    Size(Side, u64),
    /// Seconds since 1970: changed after or before.
    Changed(Side, i64),
    Agent(String),
}

/// A filter that can be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    words: Vec<String>,
    terms: Vec<Term>,
    /// What in the line is not understood, and is left out.
    pub problem: Option<String>,
}

impl Filter {
    pub fn parse(line: &str, survey: &Survey, now: DateTime<Utc>) -> Self {
        let mut filter = Self::default();
        for part in line.split_whitespace() {
            let Some((key, value)) = part.split_once(':') else {
                let word = part.to_lowercase();
                // Said twice it asks no more than once.
                if !filter.words.contains(&word) {
                    filter.words.push(word);
                }
                continue;
            };
            if value.is_empty() {
                continue;
            }
            match term(key, value, survey, now) {
                Ok(term) => filter.terms.push(term),
                Err(problem) => filter.problem = Some(problem),
            }
        }
        filter
    }

    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.terms.is_empty()
    }

    /// Whether rows can be ranked by how well they fit.
    pub fn ranks(&self) -> bool {
        !self.words.is_empty()
    }

    /// Whether it cannot be answered before the agents are read.
    pub fn needs_agents(&self) -> bool {
        self.terms.iter().any(|term| matches!(term, Term::Agent(_)))
    }

    /// How well a row fits; `None` when it does not.
    pub fn score(&self, table: &Table, row: u32) -> Option<i32> {
        let at = row as usize;
        for term in &self.terms {
            let fits = match term {
                Term::State(states, copies, flags) => {
                    let state = *table.states.get(at)?;
                    states & 1 << state as u8 != 0
                        || copies & table.copies.get(at)? != 0
                        || flags & table.flags.get(at)? != 0
                }
                Term::Home(homes) => {
                    let home = usize::from(*table.homes.get(at)?);
                    homes.get(home).copied().unwrap_or(false)
                }
                Term::Size(side, bytes) => on(*side, *table.sizes.get(at)?, *bytes),
                Term::Changed(side, time) => on(*side, *table.modified.get(at)?, *time),
                Term::Agent(wanted) => {
                    let names = &table.agents.get()?.names;
                    let agent = names.get(table.agent(row)? as usize)?;
                    agent.contains(wanted.as_str())
                }
            };
            if !fits {
                return None;
            }
        }
        let mut score = 0;
        if !self.words.is_empty() {
            let name = table.name(row);
            for word in &self.words {
                score += fuzzy(name, word)?;
            }
        }
        Some(score.clamp(WORST, BEST))
    }

    /// Whether everything that fits `line` also fitted `before`: then only those rows need be asked
    /// again. Sure only of words: a longer number is not a narrower one.
    pub fn narrows(before: &str, line: &str) -> bool {
        let Some(added) = line.strip_prefix(before) else {
            return false;
        };
        let in_hand = before.split(char::is_whitespace).next_back().unwrap_or("");
        let goes_on = added.split(char::is_whitespace).next().unwrap_or("");
        in_hand.is_empty() || !(in_hand.contains(':') || goes_on.contains(':'))
    }
}

fn on<T: PartialOrd + Copy>(side: Side, value: T, limit: T) -> bool {
    match side {
        Side::Above => value > limit,
        Side::Below => value < limit,
    }
}

fn term(key: &str, value: &str, survey: &Survey, now: DateTime<Utc>) -> Result<Term, String> {
    const KEYS: [&str; 5] = ["state", "partition", "size", "age", "agent"];
    match key {
        "state" => state(&value.to_lowercase()),
        "partition" => {
            let exact = survey.partitions.iter().any(|p| &*p.name == value);
            let fits = |name: &str| name == value || (!exact && name.starts_with(value));
            let homes: Vec<bool> = survey.partitions.iter().map(|p| fits(&p.name)).collect();
            if homes.contains(&true) {
                Ok(Term::Home(homes))
            } else {
                Err(format!("no partition {value}"))
            }
        }
        "size" => {
            let (side, rest) = side(value, Side::Above);
            if rest.is_empty() {
                return Ok(Term::State(u8::MAX, 0, 0));
            }
            let bytes =
                size(rest).ok_or_else(|| format!("not a size: {rest} (64k, 1.5M, 2GiB)"))?;
            Ok(Term::Size(side, bytes))
        }
        "age" => {
            let (side, rest) = side(value, Side::Below);
            if rest.is_empty() {
                return Ok(Term::State(u8::MAX, 0, 0));
            }
            let seconds =
                age(rest).ok_or_else(|| format!("not an age: {rest} (30m, 12h, 2d, 3w)"))?;
            // Younger means changed later.
            let side = match side {
                Side::Above => Side::Below,
                Side::Below => Side::Above,
            };
            Ok(Term::Changed(side, now.timestamp().saturating_sub(seconds)))
        }
        "agent" => Ok(Term::Agent(value.to_lowercase())),
        _ => Err(format!("no filter {key}: (there are {})", KEYS.join(", "))),
    }
}

fn side(value: &str, usual: Side) -> (Side, &str) {
    if let Some(rest) = value.strip_prefix('>') {
        (Side::Above, rest)
    } else if let Some(rest) = value.strip_prefix('<') {
        (Side::Below, rest)
    } else {
        (usual, value)
    }
}

/// All states that begin so: `state:co` is a step on the way to `state:corrupt`.
fn state(value: &str) -> Result<Term, String> {
    const COPIES: [CopyState; 7] = [
        CopyState::Ok,
        CopyState::Missing,
        CopyState::Stale,
        CopyState::Corrupt,
        CopyState::Divergent,
        CopyState::Misplaced,
        CopyState::Unreachable,
    ];
    let states = ArtifactState::ALL
        .into_iter()
        .filter(|state| state.word().starts_with(value))
        .fold(0, |bits, state| bits | 1 << state as u8);
    // An artifact with one good copy is not what `state:ok` asks for.
    let copies = COPIES
        .into_iter()
        .filter(|state| *state != CopyState::Ok && state.word().starts_with(value))
        .fold(0, |bits, state| bits | bit(state));
    let flags = [
        ("removed", REMOVED),
        ("vanished", VANISHED),
        ("unsupported", UNSUPPORTED),
    ]
    .into_iter()
    .filter(|(word, _)| word.starts_with(value))
    .fold(0, |bits, (_, flag)| bits | flag);
    if states == 0 && copies == 0 && flags == 0 {
        return Err(format!("no state {value}"));
    }
    Ok(Term::State(states, copies, flags))
}

/// `64k 1.5M 2GiB`, in powers of 1024 as sizes are shown; `64kB 1.5MB` are thousands.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit = unit.to_ascii_lowercase();
    let (letter, base) = match unit.strip_suffix("ib") {
        Some(letter) => (letter, 1024.0_f64),
        None => match unit.strip_suffix('b') {
            Some(letter) => (letter, 1000.0),
            None => (&*unit, 1024.0),
        },
    };
    let power = ["", "k", "m", "g", "t"].iter().position(|l| *l == letter)?;
    let factor = base.powi(i32::try_from(power).ok()?);
    whole(number * factor)
}

/// `30m 12h 2d 3w`, in seconds.
fn age(text: &str) -> Option<i64> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        "y" => 31_557_600.0,
        _ => return None,
    };
    whole(number * seconds).and_then(|seconds| i64::try_from(seconds).ok())
}

fn split(text: &str) -> Option<(f64, &str)> {
    let digits = text
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked before
fn whole(number: f64) -> Option<u64> {
    (number.is_finite() && (0.0..9e18).contains(&number)).then_some(number as u64)
}

/// How well `word` fits into `name`, both in lower case: the whole word together best, its letters in
/// order else, runs and beginnings of words counting.
fn fuzzy(name: &str, word: &str) -> Option<i32> {
    if !word.is_ascii() {
        return super::text::fuzzy(name, word);
    }
    let (hay, needle) = (name.as_bytes(), word.as_bytes());
    let Some((first, rest)) = needle.split_first() else {
        return Some(0);
    };
    // Together: tried wherever the first letter is.
    let mut from = 0;
    let mut tried: Option<usize> = None;
    while let Some(at) = hay.get(from..)?.iter().position(|b| b == first) {
        let at = from + at;
        tried.get_or_insert(at);
        if hay
            .get(at + 1..)
            .is_some_and(|after| after.starts_with(rest))
        {
            let start = i32::from(at == 0) * 50;
            return Some(1000 + start - i32::try_from(at.min(200)).unwrap_or(200));
        }
        from = at + 1;
    }
    // In order, from the first place on.
    let begin = tried?;
    let mut wanted = needle.iter().peekable();
    let (mut score, mut run) = (-i32::try_from(begin.min(200)).unwrap_or(200), 0);
    let mut before = begin
        .checked_sub(1)
        .and_then(|at| hay.get(at))
        .copied()
        .unwrap_or(b' ');
    for byte in hay.get(begin..)? {
        if wanted.peek() == Some(&byte) {
            wanted.next();
            run += 1;
            score += run * 2 + i32::from(!before.is_ascii_alphanumeric()) * 5;
        } else {
            run = 0;
            score -= 1;
        }
        before = *byte;
    }
    wanted.peek().is_none().then_some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_read_as_they_are_written() {
        for (text, bytes) in [
            ("64", 64),
            ("64k", 65_536),
            ("64KiB", 65_536),
            ("1.5MB", 1_500_000),
            ("2GiB", 2 << 30),
            ("3tb", 3_000_000_000_000),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        assert_eq!(size("1x"), None);
        assert_eq!(age("2d"), Some(172_800));
        assert_eq!(age("soon"), None);
    }

    #[test]
    fn only_words_narrow() {
        for (before, line, narrows) in [
            ("", "r", true),
            ("re", "rep", true),
            ("rep", "rep state:ok", true),
            ("rep", "re", false),
            ("size:>1", "size:>1M", false),
            ("stat", "state:ok", false),
            ("size:>1M ", "size:>1M a", true),
        ] {
            assert_eq!(
                Filter::narrows(before, line),
                narrows,
                "{before:?} {line:?}"
            );
        }
    }

    #[test]
    fn a_word_together_is_better_than_its_letters() {
        let together = fuzzy("my-report", "report").unwrap();
        assert!(fuzzy("report", "report").unwrap() > together);
        assert!(together > fuzzy("r-e-p-o-r-t", "report").unwrap());
        assert_eq!(fuzzy("report", "tropper"), None);
        assert!(fuzzy("契約書-最終版", "約書").is_some());
    }
}
