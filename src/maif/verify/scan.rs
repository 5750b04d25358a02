//! Reading a file once, in order, with its digest running along.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

use sha2::{Digest as _, Sha256};

use super::Progress;
use crate::maif::{Digest, MaifError};

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;

pub struct Scan<'a> {
    file: &'a File,
    size: u64,
    at: u64,
    hash: Sha256,
    progress: Progress<'a>,
    /// Read ahead: a small file, whose sections are many, is one read.
    buffer: Vec<u8>,
    /// What of the buffer is read and not passed over yet.
    ahead: Range<usize>,
}

impl<'a> Scan<'a> {
    pub fn open(file: &'a File, progress: Progress<'a>) -> Result<Self, MaifError> {
        let size = file.metadata().map_err(MaifError::Read)?.len();
        Ok(Self {
            file,
            size,
            at: 0,
            hash: Sha256::new(),
            progress,
            buffer: vec![0; usize::try_from(size).unwrap_or(CHUNK).clamp(1, CHUNK)],
            ahead: 0..0,
        })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes from elsewhere, outside the pass; `None` when they are not all there. `length` has
    /// been compared with the file's size by the caller, or is a constant.
    pub fn read_at(&self, at: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        if at
            .checked_add(length as u64)
            .is_none_or(|end| end > self.size)
        {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next `length` bytes of the pass; fewer at the end of the file.
    pub fn take(&mut self, length: usize) -> Result<Vec<u8>, MaifError> {
        let mut bytes = Vec::new();
        self.pass(length as u64, &mut |chunk| bytes.extend_from_slice(chunk))?;
        Ok(bytes)
    }

    /// Passes over `length` bytes, showing them to `each`; fewer at the end of the file.
    pub fn pass(&mut self, length: u64, each: &mut dyn FnMut(&[u8])) -> Result<(), MaifError> {
        let mut left = length.min(self.size.saturating_sub(self.at));
        while left > 0 {
            if self.ahead.is_empty() {
                let read = match self.file.read_at(&mut self.buffer, self.at) {
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(MaifError::Read(error)),
                };
                self.ahead = 0..read;
            }
            let want = usize::try_from(left).unwrap_or(usize::MAX);
            let end = self.ahead.end.min(self.ahead.start.saturating_add(want));
            let chunk = self.buffer.get(self.ahead.start..end).unwrap_or_default();
            if chunk.is_empty() {
                // It was cut while it was read.
                self.size = self.at;
                return Ok(());
            }
            self.ahead.start = end;
            self.hash.update(chunk);
            each(chunk);
            let passed = chunk.len() as u64;
            self.at += passed;
            left -= passed;
            if (self.progress)(passed).is_break() {
                return Err(MaifError::Cancelled);
            }
        }
        Ok(())
    }

    /// Digest of everything passed over so far.
    pub fn digest_so_far(&self) -> Digest {
        Digest(self.hash.clone().finalize().into())
    }

    /// Passes over the rest; digest of the whole file.
    pub fn finish(mut self) -> Result<Digest, MaifError> {
        self.pass(u64::MAX, &mut |_| ())?;
        Ok(self.digest_so_far())
    }
}
