//! Opening the console on a store.

use std::{io::IsTerminal, sync::Arc};

use super::{
    Context,
    args::{Color, Global},
};
use crate::{
    clock::SystemClock,
    console::{self, Options, live::Live},
    store::{Store, StoreError, config::ConsoleConfig},
};

/// `maifdeck` without a command.
pub fn open(context: &Context<'_>) -> Result<u8, StoreError> {
    let store = context.open(false)?;
    let file = context.environment().locate(false)?.file.map_or_else(
        || "the embedded default".to_owned(),
        |file| super::shown(&file),
    );
    run(context.global, store, file)
}

/// Whether there is a terminal to open it on.
pub fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Opens it on this store.
pub fn run(global: &Global, store: Store, config: String) -> Result<u8, StoreError> {
    if !is_possible() {
        return Err(StoreError::Usage(
            "the console needs a terminal; `maifdeck status` says the same in words".to_owned(),
        ));
    }
    let _log = super::log::start(global, true)?;
    let options = options(&store.config().console, global.color);
    let backend = Arc::new(Live::new(store, config));
    console::open(backend, options).map_err(|error| StoreError::Usage(error.to_string()))
}

fn options(config: &ConsoleConfig, color: Color) -> Options {
    Options {
        refresh: config.refresh,
        theme: config.theme,
        ascii: config.ascii,
        mouse: config.mouse,
        bell: config.bell,
        keys: config
            .keys
            .iter()
            .map(|(action, keys)| (action.clone(), keys.to_vec()))
            .collect(),
        color: match color {
            Color::Auto => console::Color::Auto,
            Color::Always => console::Color::Always,
            Color::Never => console::Color::Never,
        },
        clock: SystemClock::shared(),
        ..Options::default()
    }
}
