//! Why a backup or a version is kept, in words.

use crate::store::retention::Reason;

/// `last 2`, `weekly 1`, `pinned`: the number counts from the newest that the rule keeps.
pub fn reason(reason: Reason) -> String {
    let (rule, number) = match reason {
        Reason::Last(n) => ("last", n),
        Reason::Hourly(n) => ("hourly", n),
        Reason::Daily(n) => ("daily", n),
        Reason::Weekly(n) => ("weekly", n),
        Reason::Monthly(n) => ("monthly", n),
        Reason::Yearly(n) => ("yearly", n),
        Reason::Within => return "within".to_owned(),
        Reason::Future => return "dated in the future".to_owned(),
        Reason::Pinned => return "pinned".to_owned(),
        Reason::NotComplete => return "not complete".to_owned(),
        Reason::Newest => return "newest".to_owned(),
        Reason::UndoWindow => return "undo window".to_owned(),
    };
    format!("{rule} {number}")
}

/// Each reason in words, as JSON documents and lists give them.
pub fn kept_by(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().copied().map(reason).collect()
}
