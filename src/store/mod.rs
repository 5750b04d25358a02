//! The grid: partitions × replicas, and what is done to single artifacts.

pub mod audit;
pub mod cache;
pub mod commit;
pub mod config;
pub mod error;
pub mod fetch;
pub mod grid;
pub mod held;
pub mod hold;
pub mod judge;
pub mod lease;
pub mod peek;
pub mod placement;
pub mod prepare;
pub mod state;

pub use config::{Config, ConfigError, Environment};
pub use error::StoreError;
pub use grid::{Access, Slot, Store};
