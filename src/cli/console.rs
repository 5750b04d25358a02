//! Opening the console on a store.

use std::{io::IsTerminal, path::Path, sync::Arc};

use super::{
    Context,
    args::{Color, Global},
};
use crate::{
    clock::SystemClock,
    console::{
        self, Backend, Options,
        live::{Live, Successor},
        setup::{Founder, LiveFounder},
    },
    demo::Demo,
    store::{Access, Config, ConfigError, Store, StoreError, config::ConsoleConfig},
};

/// `maifdeck` without a command.
pub fn open(context: &Context<'_>) -> Result<u8, StoreError> {
    let located = match context.environment().locate(false) {
        // Someone who sits before it can be asked; a script gets the places that were searched.
        Err(ConfigError::None { searched }) if is_possible() && !context.global.read_only => {
            return first_run(context, searched);
        }
        located => located?,
    };
    let shown = located
        .file
        .as_deref()
        .map_or_else(|| "the embedded default".to_owned(), super::shown);
    let access = if context.global.read_only {
        Access::ReadOnly
    } else {
        Access::Write
    };
    let successor = successor(context.global, located.file.as_deref());
    run(
        context.global,
        located.config,
        access,
        shown,
        Some(successor),
    )
}

/// How a job goes on that is left running: on the same store, with the console's log.
fn successor(global: &Global, config: Option<&Path>) -> Successor {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let log = super::log::path(global, true);
    let mut arguments = Vec::new();
    for (option, path) in [("--config", config), ("--log-file", log.as_deref())] {
        if let Some(path) = path {
            arguments.extend([option.into(), absolute(path).into_os_string()]);
        }
    }
    Successor { arguments }
}

/// No store is configured: the guided setup.
fn first_run(context: &Context<'_>, searched: Vec<String>) -> Result<u8, StoreError> {
    let _log = super::log::start(context.global, true)?;
    let founder = Arc::new(LiveFounder::new(
        context.environment(),
        searched,
        SystemClock::shared(),
        (Demo::ARTIFACTS, Demo::SEED),
    ));
    let options = options(&ConsoleConfig::default(), context.global);
    // The playground's directory goes when the founder does, on every way out.
    let code = console::open_first(Arc::clone(&founder) as Arc<dyn Founder>, options);
    founder.clear();
    code.map_err(|error| StoreError::Usage(error.to_string()))
}

/// Whether there is a terminal to open it on.
pub fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Opens it on the store of this configuration; `shown` is where that came from, and `successor` goes
/// on with jobs that are left running.
pub fn run(
    global: &Global,
    config: Config,
    access: Access,
    shown: String,
    successor: Option<Successor>,
) -> Result<u8, StoreError> {
    if !is_possible() {
        return Err(StoreError::Usage(
            "the console needs a terminal; `maifdeck status` says the same in words".to_owned(),
        ));
    }
    let _log = super::log::start(global, true)?;
    let options = options(&config.console, global);
    // A volume that hangs keeps the store from opening until its deadline, but not the screen.
    let open = move || -> Arc<dyn Backend> {
        let store = Store::open(Arc::new(config), SystemClock::shared(), access);
        let live = Live::new(store, shown);
        Arc::new(match successor {
            Some(successor) => live.succeeded_by(successor),
            None => live,
        })
    };
    console::open_later(Box::new(open), options)
        .map_err(|error| StoreError::Usage(error.to_string()))
}

fn options(config: &ConsoleConfig, global: &Global) -> Options {
    Options {
        refresh: config.refresh,
        theme: config.theme,
        ascii: config.ascii || global.ascii,
        mouse: config.mouse,
        bell: config.bell,
        keys: config
            .keys
            .iter()
            .map(|(action, keys)| (action.clone(), keys.to_vec()))
            .collect(),
        color: match global.color {
            Color::Auto => console::Color::Auto,
            Color::Always => console::Color::Always,
            Color::Never => console::Color::Never,
        },
        clock: SystemClock::shared(),
        ..Options::default()
    }
}
