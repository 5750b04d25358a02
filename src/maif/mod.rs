//! Secure MAIF 2.1, byte by byte: reading, strict verification, writing. Knows nothing else.

pub mod class;
pub mod diff;
mod digest;
mod error;
pub mod json;
pub mod layout;
pub mod read;
pub mod shape;
pub mod verify;
pub mod write;

pub use class::{Class, Problem, Verdict};
pub use diff::diff;
pub use digest::Digest;
pub use error::MaifError;
pub use layout::{BlockHeader, BlockType, FileHeader};
pub use read::{BlockInfo, ProvenanceEntry, Reader};
pub use shape::{QuickLook, quick};
pub use verify::{PublicKey, Signer, Verification, verify};
pub use write::{Agent, NewBlock, SigningKey, Sources, uuid4, write};
