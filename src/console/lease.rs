//! The lease in the console's words: for the header, for refusals, for the Cluster pane. Seconds are
//! told only while they matter, so that a healthy console stays as it is.

use super::theme::Role;
use crate::{
    report::Zone,
    store::lease::{LeaseState, LeaseView},
};

/// Who leads: `leader ops-1 e7`.
pub fn header(lease: &LeaseView) -> (String, Role) {
    if !lease.enabled {
        return (lease.words(), Role::Dim);
    }
    let epoch = lease.epoch.unwrap_or_default();
    let leader = format!("leader {} e{epoch}", lease.host());
    match lease.state {
        LeaseState::Held if lease.mine => (format!("you lead e{epoch}"), Role::Good),
        LeaseState::Held if lease.is_still() => (format!("{leader} still"), Role::Warning),
        LeaseState::Held => (leader, Role::Dim),
        LeaseState::Expired => (format!("{leader} gone"), Role::Warning),
        LeaseState::Blocked => (format!("{leader} blocks"), Role::Critical),
        LeaseState::Free => ("no leader".to_owned(), Role::Dim),
        LeaseState::Unknown => match lease.problem {
            Some(_) => ("leader unknown".to_owned(), Role::Warning),
            None => (String::new(), Role::Dim),
        },
    }
}

/// Why this console may change nothing now.
pub fn refusal(lease: &LeaseView) -> Option<String> {
    let holds = || {
        let epoch = lease.epoch.unwrap_or_default();
        format!(
            "not the leader: {} holds the lease, epoch {epoch}",
            lease.host()
        )
    };
    match lease.state {
        _ if !lease.enabled || lease.mine => None,
        LeaseState::Held => Some(holds()),
        LeaseState::Expired => Some(format!("{}, and shows no life", holds())),
        LeaseState::Blocked => Some(format!("not the leader: the lease is {}", lease.words())),
        LeaseState::Free => None,
        LeaseState::Unknown => {
            let problem = lease.problem.as_ref()?;
            Some(format!("nobody knows who leads: {problem}"))
        }
    }
}

/// What became of the holder's counter: `still for 12 of 15 s, watched since 02:13`.
pub fn counter(lease: &LeaseView, zone: Zone) -> (String, Role) {
    if lease.mine {
        return ("moves: this console keeps it".to_owned(), Role::Good);
    }
    let since = lease.watched.map_or_else(String::new, |since| {
        format!(", watched since {}", zone.format(since, "%H:%M"))
    });
    let (words, role) = match lease.state {
        LeaseState::Expired => (
            format!("still for more than {} s", lease.ttl.as_secs()),
            Role::Warning,
        ),
        LeaseState::Held if lease.is_still() => (
            format!(
                "still for {} of {} s",
                lease.observed.as_secs(),
                lease.ttl.as_secs()
            ),
            Role::Warning,
        ),
        LeaseState::Held if lease.alive => ("moves".to_owned(), Role::Good),
        LeaseState::Held => ("not yet seen to move".to_owned(), Role::Dim),
        LeaseState::Blocked => ("ended by a rival that could not pass".to_owned(), Role::Dim),
        LeaseState::Free | LeaseState::Unknown => return (String::new(), Role::Dim),
    };
    (format!("{words}{since}"), role)
}

/// The word that is typed to take the lease from its holder: its host, as a plan asks for a name.
pub fn word(lease: &LeaseView) -> String {
    let Some(holder) = &lease.holder else {
        return "nobody".to_owned();
    };
    let host = &holder.host;
    if (1..=24).contains(&host.len()) && host.bytes().all(|b| b.is_ascii_graphic()) {
        host.clone()
    } else {
        holder.nonce.chars().take(6).collect()
    }
}
