//! Which backups go: the sketches' cleanup, with reasons. Pure.

use chrono::{DateTime, Utc};

use super::model::{Intent, Plan, Step, Summary};
use crate::backup::{BackupState, BackupView};

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PruneRefused {
    #[error("an empty policy would keep nothing; give --keep-last with at least 1")]
    EmptyPolicy,
}

/// Keeps the last `keep_last` complete backups. Pinned ones, ones that are not complete and ones
/// with a future date are never removed here: the first are wanted, the others are for a person to
/// look at, and a wrong clock must not push a good backup out.
pub fn prune_backups(
    backups: &[BackupView],
    store: &str,
    keep_last: u32,
    now: DateTime<Utc>,
) -> Result<Plan, PruneRefused> {
    if keep_last == 0 {
        return Err(PruneRefused::EmptyPolicy);
    }
    let mut complete: Vec<&BackupView> = backups
        .iter()
        .filter(|b| b.state == BackupState::Complete && b.at <= now)
        .collect();
    complete.sort_by_key(|backup| std::cmp::Reverse(backup.id));
    let mut summary = Summary::default();
    let mut steps = Vec::new();
    for backup in complete.into_iter().skip(keep_last as usize) {
        if backup.pinned {
            summary.skipped.push(format!("{} is pinned", backup.id));
            continue;
        }
        summary.removes += 1;
        steps.push(Step::RetireBackup {
            id: backup.id,
            bytes: backup.bytes,
        });
    }
    steps.sort_by_key(|step| match step {
        Step::RetireBackup { id, .. } => Some(*id),
        _ => None,
    });
    let intent = Intent::BackupPrune { keep_last };
    Ok(Plan::new(store.to_owned(), intent, now, steps, summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(day: u32, state: BackupState, pinned: bool) -> BackupView {
        let at: DateTime<Utc> = format!("2026-03-{day:02}T01:00:00Z").parse().unwrap();
        BackupView {
            id: crate::backup::BackupId::at(at),
            at,
            state,
            artifacts: 1,
            versions: 0,
            bytes: 10,
            new_bytes: 10,
            verified: None,
            pinned,
            kept_by: Vec::new(),
            path: "/b".into(),
            reason: None,
        }
    }

    fn removed(backups: &[BackupView], keep: u32) -> Vec<String> {
        let now = "2026-03-20T00:00:00Z".parse().unwrap();
        let plan = prune_backups(backups, "s", keep, now).unwrap();
        plan.steps
            .iter()
            .map(|step| match step {
                Step::RetireBackup { id, .. } => id.to_string(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn only_complete_unpinned_past_backups_are_removed() {
        use BackupState::{Complete, Damaged, Unsealed};
        let backups = [
            backup(1, Complete, true),
            backup(2, Complete, false),
            backup(3, Damaged, false),
            backup(4, Unsealed, false),
            backup(5, Complete, false),
            backup(6, Complete, false),
            backup(25, Complete, false),
        ];
        assert_eq!(removed(&backups, 1), ["20260302_010000", "20260305_010000"]);
        assert_eq!(removed(&backups, 9), Vec::<String>::new());
        let now = "2026-03-20T00:00:00Z".parse().unwrap();
        assert_eq!(
            prune_backups(&backups, "s", 0, now),
            Err(PruneRefused::EmptyPolicy)
        );
    }
}
