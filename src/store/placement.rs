//! Which partition is an artifact's home. An on-disk format: it may never change for a store.

use md5::{Digest as _, Md5};

use crate::volume::ArtifactName;

/// The sketches' placement: the MD5 of the name, read as one big-endian integer, modulo the number
/// of partitions.
pub fn md5_modulo(name: &ArtifactName, partitions: usize) -> usize {
    let Some(count) = u128::try_from(partitions).ok().filter(|count| *count > 0) else {
        return 0;
    };
    let digest: [u8; 16] = Md5::digest(name.as_bytes()).into();
    usize::try_from(u128::from_be_bytes(digest) % count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_modulo_is_that_of_the_sketches() {
        // Printed by Python: int(hashlib.md5(name.encode()).hexdigest(), 16) % 4
        for (name, home) in [
            ("doc-0", 2),
            ("doc-1", 2),
            ("document-001", 3),
            ("héllo", 0),
            ("", 2),
        ] {
            let name = ArtifactName::existing(name.as_bytes()).unwrap();
            assert_eq!(md5_modulo(&name, 4), home, "{name}");
        }
    }
}
