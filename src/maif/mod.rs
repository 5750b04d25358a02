//! The MAIF file format.
mod digest;
pub use digest::Digest;

/// Placeholder until the format lands.
#[derive(Debug, thiserror::Error)]
#[error("maif")]
pub struct MaifError;
