//! The log: to a file, never to the screen.

use std::{fs, path::PathBuf};

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use super::args::Global;
use crate::{local, store::StoreError, volume::At};

/// Where the log goes.
pub fn path(global: &Global, console: bool) -> Option<PathBuf> {
    global.log_file.clone().or_else(|| {
        let directory = local::directory().filter(|_| console)?;
        Some(directory.join("maifdeck.log"))
    })
}

/// Starts logging to `--log-file`; the console logs to the state directory even without it. What
/// is returned flushes the log when it is dropped.
pub fn start(global: &Global, console: bool) -> Result<Option<WorkerGuard>, StoreError> {
    let Some(path) = path(global, console) else {
        return Ok(None);
    };
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        fs::create_dir_all(parent).at("create", parent)?;
    }
    let file = fs::File::options()
        .append(true)
        .create(true)
        .open(&path)
        .at("open the log", &path)?;
    let (writer, guard) = tracing_appender::non_blocking(file);
    let level = match global.verbose {
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(writer)
        .with_ansi(false)
        .try_init();
    if let Err(error) = started {
        return Err(StoreError::Failed(format!("cannot start the log: {error}")));
    }
    Ok(Some(guard))
}
