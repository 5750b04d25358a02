//! The grid: partitions × replicas, and what is done to single artifacts.

pub mod config;
pub mod placement;
