//! Taking the lease over, and giving it back.

use super::{Done, Refusal};
use crate::{
    console::{
        app::App,
        keymap::Action,
        message::Command,
        theme::Role,
        widgets::{Dialog, takeover::TakeOver},
    },
    store::lease::{LeaseState, LeaseView},
};

fn enabled(app: &App) -> Result<&LeaseView, Refusal> {
    let lease = app.lease().filter(|lease| lease.enabled);
    lease.ok_or_else(|| "there is no lease to take over: leases are off".to_owned())
}

/// `t`: a free lease at once; from a holder only when its counter stands still, and its host typed.
pub(super) fn take_over(app: &mut App) -> Done {
    let lease = enabled(app)?;
    let host = lease.host();
    match lease.state {
        LeaseState::Held if lease.mine => {
            return Err("the lease is held here already".to_owned());
        }
        LeaseState::Held if !lease.is_still() => {
            return Err(if lease.alive {
                format!(
                    "{host} lives: its counter moves (maifdeck lease steal takes it all the same)"
                )
            } else {
                format!("wait a moment: whether the counter of {host} moves is not seen yet")
            });
        }
        LeaseState::Free => {
            let ticket = app.ticket();
            return Ok(vec![Command::TakeOver(ticket, None)]);
        }
        LeaseState::Unknown => {
            let problem = lease.problem.as_deref().unwrap_or("nobody has looked yet");
            return Err(format!("the lease is unknown: {problem}"));
        }
        LeaseState::Held | LeaseState::Expired | LeaseState::Blocked => {}
    }
    app.dialog = Some(Dialog::TakeOver(TakeOver::new(lease)));
    Ok(Vec::new())
}

/// `d`: others may lead.
pub(super) fn step_down(app: &mut App) -> Done {
    if !enabled(app)?.mine {
        return Err("the lease is not held here".to_owned());
    }
    if app.is_changing() {
        return Err("a job runs under it: pause and cancel it, or let it end".to_owned());
    }
    let key = app.settings.keymap.key(Action::TakeOver);
    app.say(
        Role::Info,
        format!("stepped down; {key} takes the lease again"),
    );
    Ok(vec![Command::StepDown])
}
