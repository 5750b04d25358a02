//! A block larger than memory: written and verified in bounded space.
//!
//! One test only, so that nothing else in the process moves the mark of most memory used.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs::File, io::Read, ops::ControlFlow};

use maifdeck::maif::{
    Agent, BlockType, Class, MaifError, NewBlock, SigningKey, Sources, json, verify, write,
};

/// Gives `left` bytes without storing them.
struct Zeros {
    left: u64,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let give = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        buffer[..give].fill(0);
        self.left -= give as u64;
        Ok(give)
    }
}

fn write_zeros(out: &File, length: u64, size: Option<u64>) -> Result<(), MaifError> {
    let mut now = 1;
    write(
        out,
        &Agent::new("tester"),
        &SigningKey::from_seed(&[7; 32]),
        &mut [NewBlock {
            kind: BlockType::BINARY,
            data: &mut Zeros { left: length },
            size,
            metadata: json::Value::Object(Vec::new()),
        }],
        &mut Sources {
            clock: &mut || {
                now += 1;
                now
            },
            ids: &mut || maifdeck::maif::uuid4([3; 16]),
        },
    )
}

/// High-water mark of resident memory, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_block_of_3_gib_is_written_and_verified_within_64_mib() {
    let out = tempfile::tempfile().unwrap();
    write_zeros(&out, 3 << 30, None).unwrap();
    let mut seen = 0;
    let found = verify(&out, &[], &mut |bytes| {
        seen += bytes;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(found.class, Class::Valid, "{:?}", found.problems);
    assert_eq!(seen, found.size);
    assert!(peak_memory() < 64 << 10, "{} KiB", peak_memory());
}
