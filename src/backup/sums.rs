//! `SHA256SUMS` as coreutils writes it: `sha256sum -c` in the backup's root checks every file.
//!
//! A name that holds a newline or a backslash is escaped and its line begins with a backslash
//! (coreutils manual, "md5sum invocation"). A carriage return stays as it is: every release reads
//! it so, while only those since 9.0 know `\r`. Reading takes both.

use super::tree::RelPath;
use crate::maif::Digest;

/// One line with its newline.
pub fn line(sha256: Digest, path: &RelPath) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut line = Vec::with_capacity(bytes.len() + 68);
    let escaped = bytes.iter().any(|b| matches!(b, b'\n' | b'\\'));
    if escaped {
        line.push(b'\\');
    }
    line.extend_from_slice(sha256.to_string().as_bytes());
    line.extend_from_slice(b"  ");
    for byte in bytes {
        match byte {
            b'\n' if escaped => line.extend_from_slice(b"\\n"),
            b'\\' if escaped => line.extend_from_slice(b"\\\\"),
            byte => line.push(*byte),
        }
    }
    line.push(b'\n');
    line
}

/// Reads one line, without its newline; `None` when it is not one.
pub fn parse(line: &[u8]) -> Option<(Digest, RelPath)> {
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let digest = std::str::from_utf8(line.get(..64)?).ok()?.parse().ok()?;
    let name = line.get(64..)?;
    // `*` marks binary mode, which other tools write.
    let name = name
        .strip_prefix(b"  ")
        .or_else(|| name.strip_prefix(b" *"))?;
    if !escaped {
        return Some((digest, RelPath::parse(name)?));
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b'\\' => b'\\',
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some((digest, RelPath::parse(&plain)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_written() {
        for name in [
            &b"plain.maif"[..],
            b"a b.maif",
            b"new\nline.maif",
            b"back\\slash.maif",
            b"\\n.maif",
            b"both\\\n\r.maif",
            b"not-utf8-\xff.maif",
            b"p1/versions/x_20260101_000000.000.maif",
        ] {
            let path = RelPath::parse(name).unwrap();
            let written = line(Digest([7; 32]), &path);
            let (text, end) = written.split_at(written.len() - 1);
            assert_eq!(end, b"\n");
            assert!(!text.contains(&b'\n'));
            assert_eq!(parse(text), Some((Digest([7; 32]), path)));
        }
    }

    #[test]
    fn a_path_that_leaves_the_backup_is_no_line() {
        for name in ["../x", "/etc/passwd", "a/../../b", "", "a//b", "./a"] {
            let text = format!("{}  {name}", Digest([0; 32]));
            assert_eq!(parse(text.as_bytes()), None, "{name:?}");
        }
    }
}
