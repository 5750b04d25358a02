//! Is the file whole? Told from its size, its header and its last 48 bytes alone.
//!
//! Section 12's steps 1 to 5: they tell torn, trailing data and malformed apart before anything
//! that the header says is believed.

use super::{
    class::{Class, Problem},
    layout::{FILE_HEADER, FOOTER, FileHeader, Footer, array},
};

/// The outcome of the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Go on; the footer starts at `footer_at`. There may be a problem to report already.
    Whole {
        header: Box<FileHeader>,
        footer_at: u64,
        problem: Option<Problem>,
    },
    /// Nothing more can be said.
    End(Problem),
}

/// Reads a fixed number of bytes at an offset; `None` past the end.
pub type ReadAt<'a> = &'a mut dyn FnMut(u64, usize) -> std::io::Result<Option<Vec<u8>>>;

/// Judges from the first bytes, the size, and whatever `read_at` is asked for.
pub fn shape(head: &[u8], size: u64, read_at: ReadAt<'_>) -> std::io::Result<Shape> {
    let end = |class, message: &str| Ok(Shape::End(Problem::new(class, message)));
    if !head.starts_with(b"MAIF") {
        return if b"MAIF".starts_with(head) {
            end(Class::Torn, "the file ends within its first four bytes")
        } else {
            end(Class::NotMaif, "it does not start with MAIF")
        };
    }
    if head.len() < 8 {
        return end(Class::Torn, "the file ends before its version");
    }
    let version = (
        super::layout::u16_at(head, 4),
        super::layout::u16_at(head, 6),
    );
    if version != (2, 1) {
        let message = format!("its version is {}.{}, not 2.1", version.0, version.1);
        return Ok(Shape::End(Problem::new(Class::UnsupportedVersion, message)));
    }
    if head.len() < FILE_HEADER {
        return end(Class::Torn, "the file ends within its header");
    }
    let header = Box::new(FileHeader::parse(&array(head, 0)));
    let expected = header.expected_size();
    let footer = FOOTER as u64;
    let at = size.saturating_sub(footer);
    let last = read_at(at, FOOTER)?.unwrap_or_default();
    let whole = |footer_at, problem| {
        Ok(Shape::Whole {
            header: header.clone(),
            footer_at,
            problem,
        })
    };
    if expected == Some(size) {
        return if last.iter().all(|b| *b == 0) {
            end(Class::Torn, "the footer was never written")
        } else {
            whole(at, None)
        };
    }
    let inner = match expected.filter(|e| *e < size) {
        Some(e) => read_at(e.saturating_sub(footer), FOOTER)?
            .and_then(|bytes| Footer::parse(&bytes).map(|footer| (e, footer.total_size))),
        None => None,
    };
    if let Some((e, total)) = inner
        && total == e
    {
        let message = format!("{} bytes follow the footer", size - e);
        return whole(e - footer, Some(Problem::new(Class::TrailingData, message)));
    }
    if Footer::parse(&last).is_some_and(|footer| footer.total_size == size) {
        return whole(
            at,
            Some(Problem::new(
                Class::Malformed,
                "the header's counts and offsets contradict the file, whose footer is in place",
            )),
        );
    }
    match (expected, inner) {
        (Some(e), _) if e > size => {
            let message = format!("the file has {size} of {e} bytes");
            Ok(Shape::End(Problem::new(Class::Torn, message)))
        }
        (None, _) => end(
            Class::Torn,
            "the header promises more than any file can hold",
        ),
        (_, Some((e, _))) => {
            let message = format!("{} bytes follow the footer", size - e);
            Ok(Shape::End(Problem::new(Class::TrailingData, message)))
        }
        _ => end(
            Class::Malformed,
            "the header's counts and offsets contradict the file's size",
        ),
    }
}

/// What the first 444 and the last 48 bytes say of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuickLook {
    Complete(Box<FileHeader>),
    Torn,
    /// Not MAIF, or another version.
    Foreign,
    Malformed,
}

/// A quick look from the first (up to) 444 and the last (up to) 48 bytes alone.
pub fn quick(head: &[u8], tail: &[u8], size: u64) -> QuickLook {
    let tail_at = size.saturating_sub(tail.len() as u64);
    let mut read_at =
        |at: u64, length: usize| Ok((at == tail_at && length == tail.len()).then(|| tail.to_vec()));
    match shape(head, size, &mut read_at) {
        Ok(Shape::Whole {
            header,
            problem: None,
            footer_at,
        }) => match Footer::parse(tail) {
            Some(footer) if footer.total_size == footer_at + FOOTER as u64 => {
                QuickLook::Complete(header)
            }
            _ => QuickLook::Malformed,
        },
        Ok(Shape::Whole { .. }) | Err(_) => QuickLook::Malformed,
        Ok(Shape::End(problem)) => match problem.class {
            Class::Torn => QuickLook::Torn,
            Class::NotMaif | Class::UnsupportedVersion => QuickLook::Foreign,
            _ => QuickLook::Malformed,
        },
    }
}
