//! The grid: partitions × replicas, and what is done to single artifacts.

pub mod audit;
pub mod batch;
pub mod cache;
pub mod candidate;
mod change;
pub mod commit;
pub mod config;
pub mod edit;
pub mod error;
pub mod fetch;
pub mod grid;
pub mod held;
pub mod hold;
pub mod judge;
pub mod layout;
pub mod lease;
pub mod locate;
pub mod mark;
pub mod peek;
pub mod placement;
pub mod prepare;
pub mod relocate;
mod removal;
pub mod retention;
pub mod setup;
pub mod slot;
pub mod state;
pub mod transfer;
pub mod units;
mod watermark;

pub use config::{Config, ConfigError};
pub use error::StoreError;
pub use grid::{Access, Store};
pub use locate::{Environment, Located};
pub use retention::Policy;
pub use slot::Slot;
