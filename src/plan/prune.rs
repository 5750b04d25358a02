//! Which backups go: a retention policy, with reasons. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};

use super::{Intent, Kept, Plan, Step, Summary};
use crate::{
    backup::{BackupState, BackupView},
    store::{
        Policy,
        retention::{self, Reason, Refused},
    },
};

/// Why each backup is kept, in the order given; no reason: the policy lets it go. Only complete
/// backups count. Pinned ones, ones that are not complete and ones with a future date are never
/// let go: the first are wanted, the others are for a person to look at.
pub fn backups_kept<Z: TimeZone>(
    backups: &[BackupView],
    policy: &Policy,
    now: DateTime<Utc>,
    zone: &Z,
) -> Result<Vec<Vec<Reason>>, Refused> {
    let is_complete = |backup: &&BackupView| backup.state == BackupState::Complete;
    let complete: Vec<&BackupView> = backups.iter().filter(is_complete).collect();
    let mut by_policy = retention::apply(policy, &complete, |b| b.at, now, zone)?.into_iter();
    Ok(backups
        .iter()
        .map(|backup| {
            let mut reasons = if is_complete(&backup) {
                by_policy.next().unwrap_or_default()
            } else {
                vec![Reason::NotComplete]
            };
            if backup.pinned {
                reasons.push(Reason::Pinned);
            }
            reasons
        })
        .collect())
}

/// What a prune is planned with, beside the backups.
#[derive(Debug, Clone, Copy)]
pub struct PruneChoice<'a> {
    pub store: &'a str,
    pub policy: Policy,
    /// How long a retired backup can be brought back.
    pub undo_window: Duration,
}

/// Plans to retire what the policy lets go.
pub fn prune_backups<Z: TimeZone>(
    backups: &[BackupView],
    choice: PruneChoice<'_>,
    now: DateTime<Utc>,
    zone: &Z,
) -> Result<Plan, Refused> {
    let kept = backups_kept(backups, &choice.policy, now, zone)?;
    let until = chrono::Duration::from_std(choice.undo_window)
        .ok()
        .and_then(|window| now.checked_add_signed(window))
        .map_or_else(String::new, |until| {
            format!(" after {}", until.format("%Y-%m-%d %H:%M UTC"))
        });
    let mut summary = Summary::default();
    let mut steps = Vec::new();
    for (backup, reasons) in backups.iter().zip(kept) {
        if !reasons.is_empty() {
            summary.kept.push(Kept {
                what: backup.id.to_string(),
                reasons,
            });
            continue;
        }
        summary.removes += 1;
        let gone = format!("backup {}{until}", backup.id);
        summary.unrecoverable.push(gone);
        steps.push(Step::RetireBackup {
            id: backup.id,
            bytes: backup.bytes,
        });
    }
    let intent = Intent::BackupPrune {
        policy: choice.policy,
    };
    Ok(Plan::new(
        choice.store.to_owned(),
        intent,
        now,
        steps,
        summary,
    ))
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

    fn plan(backups: &[BackupView], policy: Policy) -> Result<Plan, Refused> {
        let choice = PruneChoice {
            store: "s",
            policy,
            undo_window: Duration::from_secs(86_400),
        };
        let now = "2026-03-20T00:00:00Z".parse().unwrap();
        prune_backups(backups, choice, now, &Utc)
    }

    fn removed(backups: &[BackupView], policy: Policy) -> Vec<String> {
        plan(backups, policy)
            .unwrap()
            .steps
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
        assert_eq!(removed(&backups, Policy::last(2)), ["20260302_010000"]);
        assert_eq!(removed(&backups, Policy::last(9)), [""; 0]);
        let kept: Vec<_> = plan(&backups, Policy::last(2))
            .unwrap()
            .summary
            .kept
            .into_iter()
            .map(|kept| kept.reasons)
            .collect();
        assert_eq!(
            kept,
            [
                vec![Reason::Pinned],
                vec![Reason::NotComplete],
                vec![Reason::NotComplete],
                vec![Reason::Last(2)],
                vec![Reason::Last(1)],
                vec![Reason::Future],
            ]
        );
    }

    #[test]
    fn an_empty_policy_is_refused() {
        let backups = [backup(1, BackupState::Complete, false)];
        assert_eq!(plan(&backups, Policy::default()), Err(Refused::Empty));
    }

    #[test]
    fn the_intent_reads_back_and_its_command_names_every_rule() {
        let backups = [backup(1, BackupState::Complete, false)];
        let policy = Policy {
            keep_weekly: 4,
            keep_within: Duration::from_secs(2 * 86_400),
            ..Policy::last(3)
        };
        let plan = plan(&backups, policy).unwrap();
        let text = serde_json::to_string(&plan).unwrap();
        let again: Plan = serde_json::from_str(&text).unwrap();
        assert_eq!(again, plan);
        assert!(again.is_genuine());
        assert_eq!(
            crate::report::command(&plan.intent),
            "maifdeck backup prune --keep-last 3 --keep-weekly 4 --keep-within 2d"
        );
    }
}
