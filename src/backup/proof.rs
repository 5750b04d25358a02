//! What the bytes of a file prove while they pass: their digest, and whether they still have the
//! checksum that the file's footer gives.
//!
//! A commit of ours verified its bytes as MAIF, signatures and all, and left its record beside them:
//! where such a record fits, the footer's checksum over every byte before it is proof that they are
//! the same bytes still. Everything else is verified anew.

use std::{fs::File, io, ops::ControlFlow, os::unix::fs::FileExt};

use sha2::{Digest as _, Sha256};

use crate::{
    maif::Digest,
    volume::{Fingerprint, record::TAIL},
};

/// The bytes of one file, in order.
#[derive(Debug)]
pub(super) struct Passing {
    hash: Sha256,
    at: u64,
    /// Where the footer would begin.
    footer: u64,
    checksum: Option<Digest>,
}

impl Passing {
    /// Of a file of `size` bytes.
    pub fn of(size: u64) -> Self {
        Self {
            hash: Sha256::new(),
            at: 0,
            footer: size.saturating_sub(TAIL as u64),
            checksum: None,
        }
    }

    pub fn pass(&mut self, bytes: &[u8]) {
        let ahead = usize::try_from(self.footer - self.at.min(self.footer)).unwrap_or(usize::MAX);
        if self.checksum.is_none()
            && let Some((before, after)) = bytes.split_at_checked(ahead)
        {
            self.hash.update(before);
            self.checksum = Some(Digest(self.hash.clone().finalize().into()));
            self.hash.update(after);
        } else {
            self.hash.update(bytes);
        }
        self.at += bytes.len() as u64;
    }

    /// The digest of the whole, and whether the bytes are those that the footer was written for.
    /// `print` is that of the file, which has a footer.
    pub fn end(self, print: Fingerprint) -> (Digest, bool) {
        let fits = self.at == print.size && self.checksum == Some(print.check);
        (Digest(self.hash.finalize().into()), fits)
    }

    /// Reads a file to its end, unless `each` says stop.
    pub fn read(
        &mut self,
        file: &File,
        each: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read_at(&mut buffer, self.at)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                return Ok(ControlFlow::Continue(()));
            };
            self.pass(piece);
            if each(read as u64).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_over_all_before_the_footer_however_the_bytes_come() {
        let bytes: Vec<u8> = (0..1000u16).map(|n| (n % 251) as u8).collect();
        let sum = |bytes: &[u8]| Digest(Sha256::digest(bytes).into());
        for size in [0, 1, 47, 48, 49, 100, 1000] {
            let bytes = &bytes[..size];
            let footer = size.saturating_sub(TAIL);
            let print = Fingerprint {
                size: size as u64,
                check: sum(&bytes[..footer]),
            };
            for piece in [1, 7, 48, 952, 2000] {
                let mut passing = Passing::of(size as u64);
                bytes.chunks(piece).for_each(|piece| passing.pass(piece));
                let (digest, fits) = passing.end(print);
                assert_eq!(digest, sum(bytes));
                assert_eq!(fits, size > 0, "{size} in pieces of {piece}");
            }
            let mut other = bytes.to_vec();
            if let Some(first) = other.first_mut().filter(|_| size > TAIL) {
                *first ^= 1;
                let mut passing = Passing::of(size as u64);
                passing.pass(&other);
                assert!(!passing.end(print).1);
            }
        }
    }
}
