//! Keys whose engine is not there yet: each says why nothing happens and what can be done instead.
//! When an engine function arrives, its refusal here becomes a plan or a dialog.

use super::Done;
use crate::console::app::App;

/// `u`: a plan that puts back what a job replaced.
pub(super) fn undo() -> Done {
    Err("undo is not built in yet; what was replaced is in Versions (R restores it)".to_owned())
}

/// `m`: the first mark of a volume, or another directory in its place.
pub(super) fn mark_volume() -> Done {
    Err("marking volumes is not built in yet: maifdeck volume mark".to_owned())
}

/// `t`: the lease of a leader that stands still.
pub(super) fn take_over(app: &App) -> Done {
    Err(format!(
        "there is no lease to take over: {}",
        app.store.lease
    ))
}
