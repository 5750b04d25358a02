//! Which block of one file is which of the other. Pure.

use std::collections::{HashMap, VecDeque};

use crate::maif::layout::BlockType;

/// What a block is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Facts {
    pub kind: BlockType,
    pub content: [u8; 32],
    pub id: [u8; 16],
}

/// Two blocks that are one, by their places, or a block that the other file does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    pub a: Option<usize>,
    pub b: Option<usize>,
    /// Others that are in both files have overtaken it.
    pub moved: bool,
}

/// Pairs the blocks: in the order of `b`, those that only `a` has last.
pub fn pair(a: &[Facts], b: &[Facts]) -> Vec<Pair> {
    let mut partner: Vec<Option<usize>> = vec![None; b.len()];
    let mut taken = vec![false; a.len()];
    // Most certain first: the same bytes, then the same id, then the next one of its kind.
    match_by(a, b, &mut partner, &mut taken, |f| (f.kind, f.content));
    match_by(a, b, &mut partner, &mut taken, |f| (f.kind, f.id));
    match_by(a, b, &mut partner, &mut taken, |f| f.kind);
    let stay = in_order(&partner);
    let mut pairs: Vec<Pair> = partner
        .iter()
        .zip(stay)
        .enumerate()
        .map(|(place, (a, stays))| Pair {
            a: *a,
            b: Some(place),
            moved: a.is_some() && !stays,
        })
        .collect();
    let alone = taken.iter().enumerate().filter(|(_, taken)| !**taken);
    pairs.extend(alone.map(|(place, _)| Pair {
        a: Some(place),
        b: None,
        moved: false,
    }));
    pairs
}

/// Pairs what is left by a key, the first with the first.
fn match_by<K: Eq + std::hash::Hash>(
    a: &[Facts],
    b: &[Facts],
    partner: &mut [Option<usize>],
    taken: &mut [bool],
    key: impl Fn(&Facts) -> K,
) {
    let mut waiting: HashMap<K, VecDeque<usize>> = HashMap::new();
    for (place, facts) in a.iter().enumerate() {
        if taken.get(place) == Some(&false) {
            waiting.entry(key(facts)).or_default().push_back(place);
        }
    }
    for (facts, partner) in b.iter().zip(partner.iter_mut()) {
        if partner.is_some() {
            continue;
        }
        let found = waiting.get_mut(&key(facts)).and_then(VecDeque::pop_front);
        if let Some(place) = found {
            *partner = Some(place);
            if let Some(taken) = taken.get_mut(place) {
                *taken = true;
            }
        }
    }
}

/// Which of the partners form the longest rising sequence: they stayed, the others moved.
fn in_order(partner: &[Option<usize>]) -> Vec<bool> {
    // Patience: `ends` holds, for each length, where the rising sequence with the smallest end ends.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; partner.len()];
    for (place, a) in partner.iter().enumerate() {
        let Some(a) = *a else { continue };
        let length = ends.partition_point(|(end, _)| *end < a);
        if let (Some(slot), Some((_, previous))) = (
            before.get_mut(place),
            length.checked_sub(1).and_then(|at| ends.get(at)),
        ) {
            *slot = Some(*previous);
        }
        match ends.get_mut(length) {
            Some(end) => *end = (a, place),
            None => ends.push((a, place)),
        }
    }
    let mut stay = vec![false; partner.len()];
    let mut at = ends.last().map(|(_, place)| *place);
    while let Some(place) = at {
        if let Some(stay) = stay.get_mut(place) {
            *stay = true;
        }
        at = before.get(place).copied().flatten();
    }
    stay
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: u8, id: u8) -> Facts {
        Facts {
            kind: BlockType::TEXT,
            content: [content; 32],
            id: [id; 16],
        }
    }

    fn shown(a: &[Facts], b: &[Facts]) -> Vec<(Option<usize>, Option<usize>, bool)> {
        let all = pair(a, b);
        all.iter().map(|p| (p.a, p.b, p.moved)).collect()
    }

    #[test]
    fn content_wins_over_id_and_id_over_order() {
        let a = [text(1, 1), text(2, 2), text(3, 3)];
        // The second was rewritten under its id, the third went, a new one came in front.
        let b = [text(9, 2), text(1, 7)];
        assert_eq!(
            shown(&a, &b),
            [
                (Some(1), Some(0), true),
                (Some(0), Some(1), false),
                (Some(2), None, false)
            ]
        );
    }

    #[test]
    fn only_the_block_that_was_overtaken_is_called_moved() {
        let a = [text(1, 0), text(2, 0), text(3, 0), text(4, 0)];
        let b = [text(4, 0), text(1, 0), text(2, 0), text(3, 0)];
        let moved: Vec<bool> = pair(&a, &b).iter().map(|p| p.moved).collect();
        assert_eq!(moved, [true, false, false, false]);
    }

    #[test]
    fn blocks_of_another_kind_are_never_one() {
        let image = Facts {
            kind: BlockType::IMAGE,
            ..text(1, 1)
        };
        assert_eq!(
            shown(&[text(1, 1)], &[image]),
            [(None, Some(0), false), (Some(0), None, false)]
        );
    }

    #[test]
    fn equal_blocks_are_paired_one_to_one() {
        let a = [text(1, 1), text(1, 2)];
        let b = [text(1, 3), text(1, 4), text(1, 5)];
        assert_eq!(
            shown(&a, &b),
            [
                (Some(0), Some(0), false),
                (Some(1), Some(1), false),
                (None, Some(2), false)
            ]
        );
    }
}
