//! One writer: the lease, its epochs and the gate that every commit passes.
//!
//! Whoever wins epoch N may write until somebody wins a greater one. [`model`] decides, [`file`]
//! reads and writes, [`acquire`] wins an epoch, [`holder`] keeps it, [`gate`] stands before each
//! commit, [`watch`] tells how things are, [`keeper`] does all of that for a console.

pub mod acquire;
pub mod error;
pub mod file;
pub mod gate;
pub mod holder;
pub mod keeper;
pub mod model;
#[cfg(test)]
mod model_tests;
pub mod watch;

pub use error::LeaseError;
pub use gate::{Announced, Commit, Lead, Seat};
pub use holder::{Holder, Purpose};
pub use keeper::Keeper;
pub use model::Epoch;
pub use watch::{LeaseState, LeaseView};
