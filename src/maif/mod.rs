//! The MAIF file format.
mod digest;
pub use digest::Digest;
