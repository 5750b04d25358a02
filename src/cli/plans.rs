//! Commands that make a plan: print it, have it confirmed, apply exactly it.

use std::{
    io::Read,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Context, Exit,
    args::{Confirm, JobsCommand, PartitionsCommand, ReplicasCommand},
    confirm, progress,
};
use crate::{
    apply,
    journal::{JobState, JobView, read},
    plan::{LayoutChange, Plan, Step},
    planner,
    report::{self, stamp},
    store::{Store, StoreError},
    volume::ArtifactName,
};

/// `replicas repair`
pub fn replicas(context: &Context<'_>, command: &ReplicasCommand) -> Result<u8, StoreError> {
    let ReplicasCommand::Repair {
        names,
        level,
        prefer,
        volume,
        accept_older,
        confirm,
    } = command;
    let store = context.open(false)?;
    store.require_same_layout()?;
    let names: Vec<ArtifactName> = names
        .iter()
        .map(|name| context.name(name))
        .collect::<Result<_, _>>()?;
    let wanted = planner::Repair {
        names,
        accept_older: *accept_older,
        prefer: prefer.clone(),
        volume: volume.clone(),
    };
    let plan = planner::repair(&store, (*level).into(), wanted)?;
    carry_out(context, &store, plan, *confirm)
}

/// `partitions add/drain/remove/rebalance`
pub fn partitions(context: &Context<'_>, command: &PartitionsCommand) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let (change, confirm) = match command {
        PartitionsCommand::Add { partition, confirm } => {
            let add = LayoutChange::add(partition).map_err(StoreError::Usage)?;
            (add, confirm)
        }
        PartitionsCommand::Drain { name, confirm } => {
            (LayoutChange::Drain { name: name.clone() }, confirm)
        }
        PartitionsCommand::Remove { name, confirm } => {
            (LayoutChange::Remove { name: name.clone() }, confirm)
        }
        PartitionsCommand::Rebalance { placement, confirm } => {
            let placement = placement.clone();
            (LayoutChange::Rebalance { placement }, confirm)
        }
    };
    let plan = planner::layout::change(&store, change)?;
    carry_out(context, &store, plan, *confirm)
}

/// `config apply`
pub fn apply_config(context: &Context<'_>, confirm: Confirm) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let (store, plan) = planner::layout::apply(&store)?;
    carry_out(context, &store, plan, confirm)
}

/// What `apply` reads of a plan's document.
#[derive(Deserialize)]
struct Saved {
    apply: Plan,
}

/// `apply FILE|-`
pub fn apply(context: &Context<'_>, file: &str, confirm: Confirm) -> Result<u8, StoreError> {
    let unreadable =
        |error: std::io::Error| StoreError::Usage(format!("cannot read the plan {file}: {error}"));
    let text = if file == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        text
    } else {
        std::fs::read_to_string(file).map_err(unreadable)?
    };
    let saved: Saved = serde_json::from_str(&text).map_err(|error| {
        StoreError::Usage(format!(
            "{file} is not a plan made by --dry-run --json: {error}"
        ))
    })?;
    drop(text);
    let store = context.open(false)?;
    carry_out(context, &store, saved.apply, confirm)
}

/// Prints the plan, has it confirmed, applies it.
pub fn carry_out(
    context: &Context<'_>,
    store: &Store,
    plan: Plan,
    confirm: Confirm,
) -> Result<u8, StoreError> {
    if confirm.dry_run && context.output.is_json() {
        context.output.json(PlanDocument {
            apply: Some(&plan),
            ..PlanDocument::of(&plan)
        });
        return Ok(Exit::DONE);
    }
    if confirm.dry_run {
        print_plan(context, &plan);
        return Ok(Exit::DONE);
    }
    if plan.is_empty() {
        print_plan(context, &plan);
        if context.output.is_json() {
            context.output.json(PlanDocument::of(&plan));
        }
        return Ok(left(&plan));
    }
    confirmed(context, store, &plan, confirm)?;
    let plan = Arc::new(plan);
    let job = progress::shown(context, |task| apply::apply(store, &plan, task))?;
    Ok(report_job(context, &job).max(left(&plan)))
}

/// Prints the plan and has it confirmed.
pub fn confirmed(
    context: &Context<'_>,
    store: &Store,
    plan: &Plan,
    confirm: Confirm,
) -> Result<(), StoreError> {
    print_plan(context, plan);
    store.require_write()?;
    apply::require_room(store, plan)?;
    if confirm.yes {
        return Ok(());
    }
    match report::plan::asks(plan) {
        Some(word) => confirm::typed(&word),
        None => confirm::yes(),
    }
}

/// The exit code for what a plan leaves undone.
pub const fn left(plan: &Plan) -> u8 {
    if plan.summary.skipped.is_empty() {
        Exit::DONE
    } else {
        Exit::PARTIAL
    }
}

/// A plan as `--json` prints it.
#[derive(Serialize)]
struct PlanDocument<'a> {
    plan: Value,
    steps: &'a [Step],
    /// What `apply` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    apply: Option<&'a Plan>,
}

impl<'a> PlanDocument<'a> {
    fn of(plan: &'a Plan) -> Self {
        let summary = &plan.summary;
        let kept = summary
            .kept
            .iter()
            .map(|kept| json!({ "what": kept.what, "kept_by": report::kept_by(&kept.reasons) }));
        Self {
            plan: json!({
                "id": plan.id.to_string(),
                "intent": plan.intent.word(),
                "steps": plan.steps.len(),
                "copies": summary.copies,
                "replaces": summary.replaces,
                "archives": summary.archives,
                "removes": summary.removes,
                "added": summary.added,
                "replaced": summary.replaced,
                "same": summary.same,
                "bytes": summary.bytes,
                "space": summary.space,
                "unrecoverable": summary.unrecoverable,
                "skipped": summary.skipped,
                "notes": summary.notes,
                "shares": summary.shares,
                "kept": kept.collect::<Vec<_>>(),
            }),
            steps: &plan.steps,
            apply: None,
        }
    }
}

/// The plan in words, on stderr: stdout is for results.
fn print_plan(context: &Context<'_>, plan: &Plan) {
    let summary = &plan.summary;
    let say = |words: &str| context.output.say(words);
    say(&format!(
        "plan {} · {}: {}, {} written",
        plan.id.short(),
        plan.intent.title(),
        report::plural(plan.steps.len() as u64, "step", "steps"),
        report::size(summary.bytes)
    ));
    say(&format!(
        "  {} made, {} replaced, {} archived first, {} removed",
        report::plural(summary.copies, "copy", "copies"),
        summary.replaces,
        summary.archives,
        summary.removes
    ));
    if let Some(artifacts) = report::plan::artifacts(summary) {
        say(&format!("  {artifacts}"));
    }
    for need in &summary.space {
        say(&format!(
            "  {:<8} needs {:>10} of {} free",
            need.volume,
            report::size(need.needed),
            report::size(need.free)
        ));
    }
    for note in &summary.notes {
        say(&format!("  {note}"));
    }
    for share in &summary.shares {
        say(&format!(
            "  {:<8} {:>8} artifacts before, {:>8} after (even: {})",
            share.partition,
            report::count(share.before),
            report::count(share.after),
            report::percent(share.expected_share)
        ));
    }
    if let Some(warning) = report::plan::warning(plan) {
        say(&format!("  {warning}"));
    }
    for kept in &summary.kept {
        let why = report::kept_by(&kept.reasons).join(", ");
        say(&format!("  kept: {} ({why})", kept.what));
    }
    for gone in &summary.unrecoverable {
        say(&format!("  cannot be brought back afterwards: {gone}"));
    }
    for skipped in &summary.skipped {
        say(&format!("  left as it is: {skipped}"));
    }
}

pub fn job_json(job: &JobView) -> Value {
    json!({
        "id": job.id,
        "plan": job.plan,
        "intent": job.intent,
        "title": job.title,
        "state": job.state,
        "actor": job.actor,
        "started": stamp::rfc3339(job.started),
        "ended": job.ended.map(stamp::rfc3339),
        "steps_total": job.steps_total,
        "steps_done": job.steps_done,
        "steps_failed": job.steps_failed,
        "bytes": job.bytes,
        "seconds": apply::took(job).as_secs_f64(),
        "errors": job.errors,
        "resumable": job.resumable,
        "undo": job.undoable,
    })
}

/// Prints what became of a job; its exit code.
pub fn report_job(context: &Context<'_>, job: &JobView) -> u8 {
    print_job(context, job);
    match job.state {
        JobState::Done => Exit::DONE,
        JobState::Failed => Exit::FAILED,
        _ => Exit::PARTIAL,
    }
}

fn print_job(context: &Context<'_>, job: &JobView) {
    if context.output.is_json() {
        context.output.json(json!({ "job": job_json(job) }));
    } else {
        context.output.line(&format!(
            "{} {}: {} of {} steps, {} written (job {})",
            job.title,
            job.state.word(),
            job.steps_done,
            job.steps_total,
            report::size(job.bytes),
            job.id
        ));
        for error in &job.errors {
            context.output.line(&format!("  {error}"));
        }
    }
}

/// The store as it is once whoever ran the job has ended.
fn after_another(store: &Store, id: &str) -> Result<Store, StoreError> {
    /// A console that leaves ends within two seconds.
    const PATIENCE: Duration = Duration::from_secs(10);
    let began = Instant::now();
    while read::view(store, id)?.state == JobState::Running && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(store.reopened())
}

/// `jobs` and what is done with them
pub fn jobs(context: &Context<'_>, command: Option<&JobsCommand>) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    match command {
        None => {
            let jobs: Vec<JobView> = read::list(&store);
            if context.output.is_json() {
                let jobs: Vec<Value> = jobs.iter().map(job_json).collect();
                context.output.json(json!({ "jobs": jobs }));
                return Ok(Exit::DONE);
            }
            for job in &jobs {
                context.output.line(&format!(
                    "{}  {:<11} {:<40} {}/{}  {}@{}",
                    job.id,
                    job.state.word(),
                    job.title,
                    job.steps_done,
                    job.steps_total,
                    job.actor.user,
                    job.actor.host
                ));
            }
            context
                .output
                .say(&report::plural(jobs.len() as u64, "job", "jobs"));
            Ok(Exit::DONE)
        }
        Some(JobsCommand::Show { id }) => {
            let job = read::view(&store, id)?;
            print_job(context, &job);
            if !context.output.is_json() {
                for line in report::log::log(&store, id)?.iter().rev() {
                    let at = line.at.map_or_else(String::new, report::stamp::rfc3339);
                    let words = crate::volume::name::escape(line.words.as_bytes());
                    context.output.line(&format!("  {at:<20}  {words}"));
                }
            }
            Ok(Exit::DONE)
        }
        Some(JobsCommand::Resume {
            id,
            after_another: waits,
            ..
        }) => {
            let store = if *waits {
                after_another(&store, id)?
            } else {
                store
            };
            let job = progress::shown(context, |task| apply::resume(&store, id)?.run(task))?;
            Ok(report_job(context, &job))
        }
        Some(JobsCommand::Undo { id, confirm }) => {
            let plan = planner::undo(&store, id)?;
            carry_out(context, &store, plan, *confirm)
        }
        Some(JobsCommand::Cancel { id }) => {
            let job = apply::cancel(&store, id)?;
            if job.state == JobState::Running {
                context
                    .output
                    .say("asked to stop; it ends at its next safe point");
            }
            print_job(context, &job);
            Ok(Exit::DONE)
        }
    }
}
