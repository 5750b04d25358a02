//! `demo`: build the playground, and say where it is.

use serde_json::json;

use super::{Context, Exit, args::Demo, shown};
use crate::{
    clock::{Clock, SystemClock},
    demo, report,
    store::{Access, Environment, StoreError},
    volume::At,
};

pub fn demo(context: &Context<'_>, arguments: &Demo) -> Result<u8, StoreError> {
    // Dropped, a temporary directory is removed; kept, it is the user's.
    let temporary = match &arguments.dir {
        Some(_) => None,
        None => Some(
            tempfile::Builder::new()
                .prefix("maifdeck-demo-")
                .tempdir()
                .at("create a directory in", &std::env::temp_dir())?,
        ),
    };
    let directory = match (&arguments.dir, &temporary) {
        (Some(directory), _) => directory.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => return Ok(Exit::FAILED),
    };
    let built = demo::build(
        &demo::Demo {
            directory: directory.clone(),
            artifacts: arguments.artifacts,
            seed: arguments.seed,
        },
        SystemClock.now(),
    )?;
    let opens = !arguments.no_console && !context.output.is_json() && super::console::is_possible();
    if opens {
        let located = Environment {
            explicit: Some(built.config.clone()),
            ..Environment::default()
        }
        .locate(false)?;
        let access = if context.global.read_only {
            Access::ReadOnly
        } else {
            Access::Write
        };
        let place = shown(&built.config);
        let code = super::console::run(context.global, located.config, access, place, None)?;
        if arguments.keep
            && let Some(temporary) = temporary
        {
            context
                .output
                .line(&format!("kept {}", shown(&temporary.keep())));
        }
        return Ok(code);
    }
    if let Some(temporary) = temporary {
        let _ = temporary.keep();
    }
    if context.output.is_json() {
        let planted: Vec<_> = built
            .planted
            .iter()
            .map(|fault| json!({ "subject": fault.subject, "what": fault.what }))
            .collect();
        context.output.json(json!({
            "config": built.config.to_string_lossy(),
            "directory": directory.to_string_lossy(),
            "artifacts": built.artifacts,
            "saves": built.saves,
            "planted": planted,
        }));
        return Ok(Exit::DONE);
    }
    context.output.line(&format!(
        "{}, saved {} times, in {}",
        report::plural(built.artifacts, "artifact", "artifacts"),
        report::count(built.saves),
        shown(&directory)
    ));
    context.output.line("planted:");
    for fault in &built.planted {
        context
            .output
            .line(&format!("  {:<20} {}", fault.subject, fault.what));
    }
    context.output.line(&format!(
        "look at it with: maifdeck --config {} status",
        shown(&built.config)
    ));
    Ok(Exit::DONE)
}
