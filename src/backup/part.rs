//! Which part of a backup a verification checks, so that small regular runs get round to all of it.
//!
//! A file's place among the hundred parts is a digest of its path: it stays when other files come
//! and go, and each part is as good a sample as any other.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::{
    model::{Round, Verified},
    tree::{RelPath, VERIFIED},
};
use crate::volume::Level;

/// A share of a backup, in percent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    from: u8,
    percent: u8,
    round: Round,
    before: Option<Verified>,
}

impl Part {
    /// The part whose turn it is.
    pub fn next(root: &Path, percent: u8, level: Level, at: DateTime<Utc>) -> Self {
        // Without a readable result nothing is known; the round begins anew.
        let before = fs::read(root.join(VERIFIED))
            .ok()
            .and_then(|text| serde_json::from_slice::<Verified>(&text).ok());
        let percent = percent.clamp(1, 100);
        let fresh = Round {
            begun: at,
            level,
            next: 0,
        };
        let round = before
            .and_then(|before| before.round)
            .filter(|round| percent < 100 && round.level == level && round.next < 100)
            .unwrap_or(fresh);
        Self {
            from: round.next,
            percent,
            round,
            before,
        }
    }

    pub fn holds(&self, path: &RelPath) -> bool {
        if self.percent == 100 {
            return true;
        }
        let digest = Sha256::digest(path.as_bytes());
        let number = digest
            .iter()
            .take(4)
            .fold(0, |n, b| (n << 8) | u32::from(*b));
        let place = number % 100;
        (u32::from(self.from)..u32::from(self.from) + u32::from(self.percent)).contains(&place)
    }

    /// What is to be remembered after this part was checked.
    pub fn result(&self, level: Level, at: DateTime<Utc>, ok: bool) -> Verified {
        let reached = self.from.saturating_add(self.percent);
        let finished = reached >= 100;
        let whole_before = self.before.and_then(|before| before.whole());
        let now = Verified {
            at,
            level,
            percent: self.percent,
            ok,
            whole_at: if finished {
                Some(self.round.begun)
            } else {
                whole_before
            },
            round: (!finished).then_some(Round {
                next: reached,
                ..self.round
            }),
        };
        match self.before {
            // What was found damaged is not taken back by a look at another part, nor by a less
            // thorough one.
            Some(before) if !before.ok && ok && (self.percent < 100 || before.level > level) => {
                Verified {
                    round: now.round,
                    ..before
                }
            }
            _ => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successive_parts_cover_everything_once_a_round() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(".maifdeck")).unwrap();
        let paths: Vec<RelPath> = (0..500)
            .map(|n| RelPath::parse(format!("{n}.maif").as_bytes()).unwrap())
            .collect();
        let mut checked = vec![0; paths.len()];
        let mut last = None;
        for run in 0..4 {
            let at = DateTime::from_timestamp(run * 60, 0).unwrap();
            let part = Part::next(root.path(), 30, Level::Deep, at);
            for (path, count) in paths.iter().zip(&mut checked) {
                *count += u32::from(part.holds(path));
            }
            let result = part.result(Level::Deep, at, true);
            let text = serde_json::to_vec(&result).unwrap();
            fs::write(root.path().join(VERIFIED), text).unwrap();
            last = Some(result);
            assert_eq!(result.whole().is_some(), run == 3);
        }
        assert!(checked.iter().all(|count| *count == 1), "{checked:?}");
        let last = last.unwrap();
        assert_eq!(last.round, None);
        assert_eq!(last.whole(), DateTime::from_timestamp(0, 0));
    }

    #[test]
    fn damage_is_not_taken_back_by_a_look_at_another_part() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(".maifdeck")).unwrap();
        let at = DateTime::UNIX_EPOCH;
        let keep = |result: Verified| {
            let text = serde_json::to_vec(&result).unwrap();
            fs::write(root.path().join(VERIFIED), text).unwrap();
            result
        };
        let run = |percent, level, ok| {
            keep(Part::next(root.path(), percent, level, at).result(level, at, ok))
        };
        assert!(!run(20, Level::Deep, false).ok);
        assert!(!run(20, Level::Deep, true).ok);
        assert!(!run(100, Level::Quick, true).ok);
        assert!(run(100, Level::Deep, true).ok);
    }
}
