//! Where results and words go, and what the exit codes mean.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::json;

use super::args::Global;
use crate::store::StoreError;

/// Exit codes of the contract.
pub struct Exit;

impl Exit {
    pub const DONE: u8 = 0;
    /// Done; findings of severity warning or worse.
    pub const FINDINGS: u8 = 1;
    /// Bad usage or configuration; no store.
    pub const USAGE: u8 = 2;
    /// Refused.
    pub const REFUSED: u8 = 3;
    /// Done in part.
    pub const PARTIAL: u8 = 4;
    /// Could not be done.
    pub const FAILED: u8 = 5;
    pub const INTERRUPTED: u8 = 130;

    pub const fn of(error: &StoreError) -> u8 {
        match error {
            StoreError::Config(_) | StoreError::Name(_) | StoreError::Usage(_) => Self::USAGE,
            StoreError::ReadOnly { .. }
            | StoreError::NotUsable { .. }
            | StoreError::LayoutDiffers(_)
            | StoreError::Locked { .. }
            | StoreError::Lease(_)
            | StoreError::Changed(_)
            | StoreError::NotConfirmed
            | StoreError::Generation { .. } => Self::REFUSED,
            StoreError::OutcomeUnknown { .. } => Self::PARTIAL,
            StoreError::Cancelled(_) => Self::INTERRUPTED,
            StoreError::Volume(_)
            | StoreError::Maif(_)
            | StoreError::NoQuorum { .. }
            | StoreError::OutOfReach(_)
            | StoreError::NoRoom { .. }
            | StoreError::NotFound { .. }
            | StoreError::NoIntactCopy { .. }
            | StoreError::Damaged { .. }
            | StoreError::Failed(_) => Self::FAILED,
        }
    }
}

/// Results to stdout, as words or as JSON; words about them to stderr.
#[derive(Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub const fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
        }
    }

    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// One document, on one line; `schema` is added in front.
    #[expect(
        clippy::unused_self,
        reason = "a method beside `line`, so that callers read alike"
    )]
    pub fn json(&self, document: impl Serialize) {
        #[derive(Serialize)]
        struct Versioned<D> {
            schema: u8,
            #[serde(flatten)]
            document: D,
        }
        let document = Versioned {
            schema: 1,
            document,
        };
        // Written as it is made: that of a plan or a survey is long.
        let mut out = BufWriter::new(io::stdout().lock());
        match serde_json::to_writer(&mut out, &document) {
            Err(error) if !error.is_io() => {
                let _ = writeln!(io::stderr(), "maifdeck: cannot write JSON: {error}");
                std::process::exit(i32::from(Exit::FAILED));
            }
            written => {
                let written = written.map_err(io::Error::from);
                let written = written.and_then(|()| writeln!(out));
                seen_enough(&written.and_then(|()| out.flush()));
            }
        }
    }

    /// One line of results.
    #[expect(
        clippy::unused_self,
        reason = "a method beside `json`, so that callers read alike"
    )]
    pub fn line(&self, line: &str) {
        seen_enough(&writeln!(io::stdout().lock(), "{line}"));
    }

    /// Words about the result.
    pub fn say(&self, words: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{words}");
        }
    }

    /// Reports an error; its exit code.
    pub fn error(&self, error: &StoreError) -> u8 {
        let hint = error.hint();
        if self.json {
            self.json(json!({
                "error": {
                    "kind": error.kind(),
                    "message": error.to_string(),
                    "hint": hint,
                }
            }));
        }
        let mut stderr = io::stderr();
        let _ = writeln!(stderr, "maifdeck: {error}");
        if let Some(hint) = hint {
            let _ = writeln!(stderr, "  {hint}");
        }
        Exit::of(error)
    }
}

/// A reader that closed the pipe has seen enough; that is no failure of ours.
fn seen_enough(written: &io::Result<()>) {
    if written.is_err() {
        std::process::exit(0);
    }
}
