//! Leaving. It asks when jobs are running.

use std::time::Duration;

use crate::console::{
    app::App,
    message::Command,
    widgets::{Dialog, leave::LeaveDialog},
};

/// How long jobs have to come to a safe point when the console leaves.
pub const REST: Duration = Duration::from_millis(1_600);

pub fn quit(app: &mut App) -> Vec<Command> {
    if app.running.is_empty() {
        return vec![Command::Quit {
            code: 0,
            silent: false,
        }];
    }
    app.dialog = Some(Dialog::Leave(LeaveDialog::default()));
    Vec::new()
}
