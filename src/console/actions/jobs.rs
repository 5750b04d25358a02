//! Jobs: what starts without a plan, and what can be done with one that runs or was interrupted.

use super::{Done, Refusal};
use crate::{
    console::{app::App, backend::JobRequest, keymap::Pane, message::Command, text, theme::Role},
    journal::JobState,
    survey::FindingKind,
    volume::Level,
};

pub(super) fn verify(app: &App, quick: bool) -> Done {
    let request = if app.pane == Pane::Backups {
        let backup = app
            .selected_backup()
            .ok_or("there is no backup to verify")?;
        JobRequest::BackupVerify {
            id: backup.id,
            quick,
        }
    } else {
        JobRequest::VerifyAll {
            level: if quick { Level::Quick } else { Level::Deep },
        }
    };
    Ok(vec![Command::Start(request)])
}

pub(super) fn our_running(app: &App) -> Result<crate::progress::Task, Refusal> {
    let job = app.selected_job().ok_or("no job is selected")?;
    match app.running(&job.id) {
        Some(running) => Ok(running.job.task.clone()),
        None if job.state == JobState::Running => Err(format!(
            "it runs in another process ({}, pid {})",
            text::clean(&job.actor.host),
            job.actor.pid
        )),
        None => Err(format!("it is {}", job.state.word())),
    }
}

pub(super) fn pause(app: &mut App) -> Done {
    let task = our_running(app)?;
    if task.snapshot().paused {
        task.resume();
        app.say(Role::Info, "goes on");
    } else {
        task.pause();
        app.say(Role::Info, "pauses at the next safe point");
    }
    Ok(Vec::new())
}

pub(super) fn cancel(app: &mut App) -> Done {
    our_running(app)?.cancel();
    app.say(
        Role::Info,
        "cancelled at the next safe point; what is done stays done",
    );
    Ok(Vec::new())
}

pub(super) fn resume(app: &App) -> Done {
    let id = if app.pane == Pane::Overview {
        app.selected_finding()
            .filter(|f| f.kind == FindingKind::JobInterrupted)
            .map(|f| f.subject.clone())
            .ok_or("the finding is not an interrupted job")?
    } else {
        let job = app.selected_job().ok_or("no job is selected")?;
        if !job.resumable {
            return Err(format!("it cannot be resumed: it is {}", job.state.word()));
        }
        job.id.clone()
    };
    Ok(vec![Command::Resume(id)])
}

/// `a`: single changes between the jobs, or jobs alone.
pub(super) fn audit(app: &mut App) -> Vec<Command> {
    app.audit = !app.audit;
    app.pending.jobs = true;
    vec![jobs_asked(app)]
}

/// What fills the list.
pub fn jobs_asked(app: &App) -> Command {
    if app.audit {
        Command::Audit
    } else {
        Command::Jobs
    }
}
