//! Which partition is an artifact's home. An on-disk format: it may never change for a store.
//!
//! `md5-modulo` is the sketches': MD5 of the name modulo the number of partitions, in layout order.
//! `rendezvous` is ours: every partition draws a number for the name, the smallest wins, so that a
//! new partition takes its share from all others and nothing else moves. It keys by the
//! partitions' stable ids and honours weights. Integers only: no platform may round differently.

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::config::Placement;
use crate::volume::ArtifactName;

/// A partition as placement sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    /// Its place in the configuration.
    index: usize,
    id: String,
    /// In millionths.
    weight: u128,
}

/// The partitions that artifacts are placed on: all but those being drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Homes {
    placement: Placement,
    candidates: Vec<Candidate>,
}

impl Homes {
    /// `partitions`: stable id and weight of each, in layout order. One with weight 0 is drained.
    pub fn new<'a>(
        placement: Placement,
        partitions: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Self {
        let candidates = partitions
            .into_iter()
            .enumerate()
            .map(|(index, (id, weight))| Candidate {
                index,
                id: id.to_owned(),
                weight: millionths(weight),
            })
            .filter(|candidate| candidate.weight > 0)
            .collect();
        Self {
            placement,
            candidates,
        }
    }

    /// Index of the artifact's home partition.
    pub fn of(&self, name: &ArtifactName) -> usize {
        let winner = match self.placement {
            Placement::Md5Modulo => self.candidates.get(md5_modulo(name, self.candidates.len())),
            Placement::Rendezvous => self.candidates.iter().min_by(|a, b| {
                // cost ÷ weight, compared without dividing
                let left = cost(&a.id, name) * b.weight;
                let right = cost(&b.id, name) * a.weight;
                left.cmp(&right).then_with(|| a.id.cmp(&b.id))
            }),
        };
        winner.map_or(0, |winner| winner.index)
    }

    /// The share of the artifacts that each of `partitions` partitions should have.
    pub fn shares(&self, partitions: usize) -> Vec<f64> {
        let weight = |candidate: &Candidate| match self.placement {
            Placement::Md5Modulo => 1,
            Placement::Rendezvous => candidate.weight,
        };
        let total: u128 = self.candidates.iter().map(weight).sum();
        let mut shares = vec![0.0; partitions];
        for candidate in &self.candidates {
            if let Some(share) = shares.get_mut(candidate.index) {
                *share = ratio(weight(candidate), total);
            }
        }
        shares
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "weights are small; shares are shown"
)]
fn ratio(part: u128, whole: u128) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the configuration allows 0 to 1,000,000"
)]
fn millionths(weight: f64) -> u128 {
    (weight * 1e6).round().clamp(0.0, 1e12) as u128
}

/// The sketches' placement: the MD5 of the name, read as one big-endian integer, modulo the number
/// of partitions.
pub fn md5_modulo(name: &ArtifactName, partitions: usize) -> usize {
    let Some(count) = u128::try_from(partitions).ok().filter(|count| *count > 0) else {
        return 0;
    };
    let digest: [u8; 16] = Md5::digest(name.as_bytes()).into();
    usize::try_from(u128::from_be_bytes(digest) % count).unwrap_or(0)
}

/// What a partition draws for a name: −log₂ of a uniform number in (0, 1], in units of 2⁻³². The
/// smallest draw divided by the weight wins ("weighted rendezvous hashing").
fn cost(id: &str, name: &ArtifactName) -> u128 {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(id.as_bytes())
        .chain_update([0])
        .chain_update(name.as_bytes())
        .finalize()
        .into();
    let first = digest.first_chunk().copied().unwrap_or_default();
    minus_log2(u64::from_be_bytes(first))
}

/// −log₂((x + 1) ÷ 2⁶⁴) in units of 2⁻³², by repeated squaring.
fn minus_log2(x: u64) -> u128 {
    const BITS: u32 = 32;
    let value = u128::from(x) + 1;
    let whole = value.ilog2();
    // The mantissa in [1, 2) with 63 binary places.
    let mut mantissa = if whole >= 63 {
        value >> (whole - 63)
    } else {
        value << (63 - whole)
    };
    let mut log = u128::from(whole);
    for _ in 0..BITS {
        mantissa = (mantissa * mantissa) >> 63;
        log <<= 1;
        if mantissa >> 64 != 0 {
            log |= 1;
            mantissa >>= 1;
        }
    }
    (64u128 << BITS) - log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ArtifactName {
        ArtifactName::existing(text.as_bytes()).unwrap()
    }

    fn rendezvous(ids: &[(&str, f64)]) -> Homes {
        Homes::new(Placement::Rendezvous, ids.iter().copied())
    }

    fn names() -> impl Iterator<Item = ArtifactName> {
        (0..100_000).map(|n| name(&format!("artifact-{n}")))
    }

    #[test]
    fn md5_modulo_is_that_of_python_for_any_name() {
        let vectors = include_str!("../../tests/data/md5_modulo.tsv");
        let mut checked = 0;
        for line in vectors.lines() {
            let mut words = line.split('\t');
            let bytes = hex::decode(words.next().unwrap()).unwrap();
            let name = ArtifactName::existing(&bytes).unwrap();
            for (partitions, home) in [3, 4, 7, 16].into_iter().zip(words) {
                assert_eq!(md5_modulo(&name, partitions).to_string(), home, "{name}");
            }
            checked += 1;
        }
        assert_eq!(checked, 10_000);
    }

    #[test]
    fn a_drained_partition_is_no_home_under_either_placement() {
        for placement in [Placement::Md5Modulo, Placement::Rendezvous] {
            let homes = Homes::new(placement, [("a", 1.0), ("b", 0.0), ("c", 1.0)]);
            assert!(names().take(1000).all(|name| homes.of(&name) != 1));
            assert_eq!(homes.shares(3), [0.5, 0.0, 0.5]);
        }
    }

    #[test]
    fn rendezvous_never_changes() {
        // Frozen: these homes are where artifacts of real stores lie.
        let homes = rendezvous(&[("alpha", 1.0), ("beta", 1.0), ("gamma", 2.5)]);
        let placed: Vec<usize> = ["", "doc", "doc_2", "héllo", "artifact-000017", "报告"]
            .iter()
            .map(|text| homes.of(&name(text)))
            .collect();
        assert_eq!(placed, FROZEN);
        assert_eq!(minus_log2(u64::MAX), 0);
        assert_eq!(minus_log2(u64::MAX / 2), 1 << 32);
        assert_eq!(minus_log2(0), 64 << 32);
    }

    const FROZEN: [usize; 6] = [2, 1, 2, 1, 0, 0];

    #[test]
    fn a_new_partition_takes_its_share_and_nothing_else_moves() {
        let three = rendezvous(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
        let four = rendezvous(&[("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)]);
        let mut counts = [0u32; 4];
        let mut moved = 0u32;
        for name in names() {
            let (before, after) = (three.of(&name), four.of(&name));
            counts[after] += 1;
            if before != after {
                assert_eq!(after, 3, "{name} moved between old partitions");
                moved += 1;
            }
        }
        assert!((24_000..=26_000).contains(&moved), "{moved}");
        let largest = *counts.iter().max().unwrap();
        assert!(f64::from(largest) / 25_000.0 <= 1.02, "{counts:?}");
    }

    #[test]
    fn removing_a_partition_moves_only_its_own() {
        let before = rendezvous(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
        let after = rendezvous(&[("a", 1.0), ("b", 0.0), ("c", 1.0)]);
        for name in names() {
            let home = before.of(&name);
            assert!(home == 1 || after.of(&name) == home, "{name}");
        }
    }

    #[test]
    fn weights_are_honoured() {
        let homes = rendezvous(&[("a", 1.0), ("b", 3.0)]);
        let heavy = names().filter(|name| homes.of(name) == 1).count();
        assert!((74_000..=76_000).contains(&heavy), "{heavy}");
    }
}
