//! Engine calls: a command in, its answer out. Runs on worker threads, and in tests in line.

use std::sync::Arc;

use super::{
    backend::Backend,
    message::{Command, Message},
    table::Seen,
};

/// Makes the call. `None` for commands that are not the engine's.
pub fn execute(
    backend: &dyn Backend,
    command: Command,
    previous: Option<&Seen>,
) -> Option<Message> {
    Some(match command {
        Command::Refresh(visible) => {
            let before = previous.map(|seen| Arc::clone(&seen.survey));
            let looked = backend.refresh(&visible, before);
            Message::Survey(looked.map(|new| new.map(|survey| Seen::new(survey, previous))))
        }
        Command::Agents => {
            let seen = previous?;
            Message::Agents(Arc::clone(&seen.table), backend.agents(&seen.survey))
        }
        Command::Backups => Message::Backups(backend.backups()),
        Command::Jobs => Message::Jobs(backend.jobs()),
        Command::Audit => {
            let mut jobs = backend.jobs();
            jobs.extend(backend.changes());
            jobs.sort_by_key(|job| std::cmp::Reverse(job.started));
            Message::Jobs(jobs)
        }
        Command::Log(id) => {
            let lines = backend.log(&id);
            Message::Log(id, lines)
        }
        Command::Lease => Message::Lease(backend.lease()),
        Command::Surroundings => Message::Surroundings(backend.surroundings()),
        Command::TakeOver(ticket, from) => Message::TookOver(ticket, backend.take_over(from)),
        Command::StepDown => {
            backend.step_down();
            Message::Lease(backend.lease())
        }
        Command::History(name) => {
            let entries = backend.history(&name);
            Message::History(name, entries)
        }
        Command::Inspect(ticket, name, version) => {
            Message::Inspected(ticket, backend.inspect(&name, version))
        }
        Command::Compare(ticket, what) => Message::Compared(ticket, backend.compare(&what)),
        Command::Contents(ticket, id) => Message::Contents(ticket, backend.contents(id)),
        Command::Pin(id, pinned) => Message::Pinned(id, pinned, backend.pin(id, pinned)),
        Command::Plan(ticket, intent) => Message::Planned(ticket, backend.plan(intent)),
        Command::Apply(ticket, plan) => Message::Applied(ticket, backend.apply(plan)),
        Command::Start(request) => Message::Started(backend.start(request)),
        Command::Resume(id) => Message::Started(backend.resume_job(&id)),
        Command::Rest(_)
        | Command::Copy(_)
        | Command::Bell
        | Command::Redraw
        | Command::Reenter
        | Command::Suspend
        | Command::Quit { .. }
        | Command::Detach => return None,
    })
}
