//! What lies in a directory that is to become a volume, in words.

use super::{plural, size};
use crate::store::candidate::Candidate;

/// A line each: where, on what, with which contents.
pub fn candidate(candidate: &Candidate) -> Vec<String> {
    let mut lines = vec![
        format!("volume {} at {}", candidate.label, candidate.path.display()),
        format!(
            "{} on {}{}, {} free of {}",
            candidate.file_system,
            candidate.device,
            if candidate.mount_point {
                ", mounted here"
            } else {
                ""
            },
            size(candidate.free_bytes),
            size(candidate.total_bytes)
        ),
        format!(
            "holds {}, {}, {}",
            plural(candidate.artifacts, "artifact", "artifacts"),
            plural(candidate.versions, "version", "versions"),
            plural(candidate.other_files, "other file", "other files"),
        ),
    ];
    if let Some(mark) = &candidate.marked_as {
        lines.push(format!("marked as {mark}"));
    }
    lines
}
