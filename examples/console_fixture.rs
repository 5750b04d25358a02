//! Opens the console on a store that exists only in memory, to look at it:
//! `cargo run --example console_fixture -- damaged [--light|--mono|--high-contrast] [--ascii]
//! [--read-only]`

#![allow(clippy::unwrap_used, clippy::pedantic, clippy::indexing_slicing)]

#[path = "../tests/support/fixture.rs"]
#[allow(dead_code)]
mod fixture;

use std::{process::ExitCode, sync::Arc};

use chrono::FixedOffset;
use fixture::{FakeBackend, Shape};
use maifdeck::{
    clock::ManualClock,
    console::{Options, open, theme::ThemeName},
    report::Zone,
};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let shape = Shape::ALL
        .into_iter()
        .find(|shape| has(shape.word()))
        .unwrap_or(Shape::Damaged);
    let mut backend = FakeBackend::new(shape);
    backend.alive = true;
    backend.read_only = has("--read-only");
    let theme = ThemeName::ALL
        .into_iter()
        .find(|theme| has(&format!("--{}", theme.word())))
        .unwrap_or_default();
    let options = Options {
        theme,
        ascii: has("--ascii"),
        mouse: has("--mouse"),
        zone: Zone::Fixed(FixedOffset::east_opt(3600).unwrap()),
        clock: ManualClock::at(fixture::now()).shared(),
        ..Options::default()
    };
    match open(Arc::new(backend), options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
