//! `lease`: who may write, and taking it over.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Context, Exit,
    args::{Confirm, LeaseCommand},
    child, confirm, plans,
};
use crate::{
    plan::LayoutChange,
    planner,
    store::{
        Store, StoreError,
        lease::{
            Lead, LeaseError, LeaseState, LeaseView, Purpose,
            acquire::{self, Patience},
            gate::LENT,
            model::Watch,
            watch::Observer,
        },
    },
    volume::lock,
};

/// `lease status|hold|move|steal`
pub fn lease(context: &Context<'_>, command: &LeaseCommand) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    match command {
        LeaseCommand::Status { wait } => {
            let view = if *wait {
                observe(&store)
            } else {
                Observer::default().sample(&store)
            };
            Ok(report(context, &view))
        }
        LeaseCommand::Hold { timeout, command } => {
            require_on(&store)?;
            let ttl = store.config().leader.ttl;
            let long = timeout.map_or(ttl * 3, Duration::from_secs);
            let patience = Patience::until(Instant::now() + long);
            let tenure = store.take_lease(Purpose::Hold, patience, &mut Watch::default())?;
            let lead = Lead::of(tenure.clone());
            let lent = lead.lend(&store)?.unwrap_or_default();
            let code = child::run(command, &[(LENT, lent)])?;
            if tenure.look_again() {
                context.output.say(
                    "the lease was taken over meanwhile; what was written since then was refused",
                );
            }
            Ok(code)
        }
        LeaseCommand::Move { volume, confirm } => {
            let volume = volume.clone();
            let plan = planner::layout::change(&store, LayoutChange::MoveLease { volume })?;
            plans::carry_out(context, &store, plan, *confirm)
        }
        LeaseCommand::Steal { kill, confirm } => steal(context, &store, *kill, *confirm),
    }
}

fn require_on(store: &Store) -> Result<(), StoreError> {
    if store.config().leader.enabled {
        Ok(())
    } else {
        Err(LeaseError::Off.into())
    }
}

/// Watches until it is certain: the counter moved, or stood still for a TTL, or nobody has it.
fn observe(store: &Store) -> LeaseView {
    let mut observer = Observer::default();
    let pause = (store.config().leader.ttl / 20).min(Duration::from_millis(200));
    loop {
        let view = observer.sample(store);
        if view.state != LeaseState::Held || view.alive {
            return view;
        }
        thread::sleep(pause);
    }
}

fn steal(
    context: &Context<'_>,
    store: &Store,
    kill: bool,
    confirm: Confirm,
) -> Result<u8, StoreError> {
    require_on(store)?;
    store.require_write()?;
    let view = Observer::default().sample(store);
    let host = match (&view.holder, view.state) {
        (None, LeaseState::Free) => {
            context.output.say("nobody holds the lease");
            return Ok(report(context, &view));
        }
        (None, LeaseState::Unknown) => {
            let problem = view.problem.unwrap_or_default();
            return Err(StoreError::Failed(format!(
                "the lease is unknown: {problem}"
            )));
        }
        (None, _) => lock::host(),
        (Some(holder), _) => {
            context.output.say(&format!(
                "take the lease (epoch {}) from {}; its changes are refused from then on{}",
                view.epoch.unwrap_or_default(),
                holder.words(),
                if kill {
                    ", and what stands inside a commit on this machine is killed"
                } else {
                    ""
                }
            ));
            holder.host.clone()
        }
    };
    if confirm.dry_run {
        return Ok(Exit::DONE);
    }
    if !confirm.yes {
        confirm::typed(&host)?;
    }
    let take = || {
        store.take_lease(
            Purpose::Write,
            Patience::of_a_thief(view.epoch.unwrap_or_default()),
            &mut Watch::default(),
        )
    };
    let tenure = match take() {
        Err(StoreError::Lease(blocked @ LeaseError::Blocked { .. })) if kill => {
            end_blockers(context, store, blocked)?;
            take()?
        }
        taken => taken?,
    };
    let epoch = tenure.epoch();
    // Nobody beats when this process has ended, so it is given back at once.
    drop(tenure);
    context.output.say(&format!(
        "taken as epoch {epoch} and given back: it is free"
    ));
    Ok(report(context, &Observer::default().sample(store)))
}

/// Kills the processes that the kernel says are inside a commit here, and only those.
fn end_blockers(
    context: &Context<'_>,
    store: &Store,
    blocked: LeaseError,
) -> Result<(), StoreError> {
    let pids = acquire::inside(store)?;
    if pids.is_empty() {
        return Err(blocked.into());
    }
    for pid in pids {
        let Some(target) = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        else {
            continue;
        };
        rustix::process::kill_process(target, rustix::process::Signal::KILL)
            .map_err(|error| StoreError::Failed(format!("cannot end process {pid}: {error}")))?;
        context.output.say(&format!("killed process {pid}"));
    }
    Ok(())
}

/// As the contract has it.
pub fn json(view: &LeaseView) -> Value {
    let holder = view.holder.as_ref();
    json!({
        "state": view.state,
        "enabled": view.enabled,
        "holder": holder.map(|h| format!("{}@{}", h.user, h.host)),
        "host": holder.map(|h| &h.host),
        "pid": holder.map(|h| h.pid),
        "epoch": view.epoch,
        "mine": view.mine,
        "observed_seconds": view.observed.as_secs_f64(),
        "since": holder.map(|h| &h.since),
        "operation": holder.map(|h| &h.operation),
        "problem": view.problem,
    })
}

fn report(context: &Context<'_>, view: &LeaseView) -> u8 {
    if context.output.is_json() {
        context.output.json(json(view));
        return Exit::DONE;
    }
    context.output.line(&view.words());
    if let Some(holder) = &view.holder {
        context.output.line(&format!("  {}", holder.words()));
    }
    if view.state == LeaseState::Held && !view.mine {
        context.output.line(&if view.alive {
            "  its counter moves".to_owned()
        } else {
            "  `--wait` watches whether its counter moves".to_owned()
        });
    }
    Exit::DONE
}
