//! The console without a terminal: every pane in every state at two sizes as snapshots of text and
//! styles, and the rules of confirmation, selection, leaving and time.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

#[path = "console/audit.rs"]
mod audit;
#[path = "console/cluster.rs"]
mod cluster;
#[path = "console/confirm.rs"]
mod confirm;
#[path = "console/first_run.rs"]
mod first_run;
#[path = "support/fixture.rs"]
mod fixture;
#[path = "console/grounds.rs"]
mod grounds;
#[path = "support/headless.rs"]
mod headless;
#[path = "console/history.rs"]
mod history;
#[path = "console/lists.rs"]
mod lists;
#[path = "console/panes.rs"]
mod panes;
#[path = "console/rules.rs"]
mod rules;
#[path = "console/space.rs"]
mod space;
#[path = "console/stories.rs"]
mod stories;
