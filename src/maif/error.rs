//! What keeps a file from being read or written; never what is wrong *with* it.

use std::io;

#[derive(Debug, thiserror::Error)]
pub enum MaifError {
    #[error("cannot read the file: {0}")]
    Read(#[source] io::Error),
    #[error("cannot write the file: {0}")]
    Write(#[source] io::Error),
    #[error("cancelled")]
    Cancelled,
    #[error(
        "{size} bytes are too many for one block: a block holds less than 4 GiB with its header \
         and metadata"
    )]
    TooLarge { size: u64 },
    #[error("the source of a block changed while it was read")]
    SourceChanged,
    #[error("the signing key is not usable")]
    BadKey,
    #[error("not a complete MAIF 2.1 file: {0}")]
    NotReadable(String),
}
