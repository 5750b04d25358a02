//! Leaving. It asks when jobs are running.

use std::time::Duration;

use crate::{
    console::{
        app::App,
        message::Command,
        text,
        widgets::{
            Dialog,
            choice::{Choice, Follow},
        },
    },
    progress::Snapshot,
    report,
};

/// How long jobs have to come to a safe point when the console leaves.
pub const REST: Duration = Duration::from_millis(1_700);

/// Leaving asks when jobs are running.
pub fn quit(app: &mut App) -> Vec<Command> {
    let leave = |rest| Command::Quit {
        code: 0,
        rest,
        silent: false,
    };
    if app.running.is_empty() {
        return vec![leave(false)];
    }
    let words = app
        .running
        .iter()
        .map(|running| {
            let Snapshot {
                items_done,
                items_total,
                ..
            } = running.now;
            format!(
                "{}: {} of {}",
                text::clean(&running.job.title),
                report::count(items_done),
                report::count(items_total)
            )
        })
        .collect();
    app.dialog = Some(Dialog::Choice(Choice {
        title: report::plural(
            app.running.len() as u64,
            "job is running",
            "jobs are running",
        ),
        words,
        options: vec![
            (
                "Stay".to_owned(),
                "the console stays open".to_owned(),
                Follow::Stay,
            ),
            (
                "Pause and quit".to_owned(),
                "stop at a safe point within 2 s; resume with r at the next start".to_owned(),
                Follow::Do(leave(true)),
            ),
            (
                "Quit now".to_owned(),
                "the step in hand is left as after a crash; resume takes it up again".to_owned(),
                Follow::Do(leave(false)),
            ),
        ],
        selected: 0,
    }));
    Vec::new()
}
