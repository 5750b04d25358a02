//! Which artifacts are marked. Bits by row, so that marking a million is one stroke; rows are only
//! meant within one set of names, and marks follow the artifacts when those change.

use super::table::{Moved, Seen};
use crate::{survey::Survey, volume::ArtifactName};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    bits: Vec<u64>,
    count: usize,
}

const fn place(row: u32) -> (usize, u64) {
    (row as usize / 64, 1 << (row % 64))
}

impl Marks {
    pub const fn len(&self) -> usize {
        self.count
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn contains(&self, row: u32) -> bool {
        let (word, bit) = place(row);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn insert(&mut self, row: u32) {
        let (word, bit) = place(row);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if let Some(bits) = self.bits.get_mut(word) {
            self.count += usize::from(*bits & bit == 0);
            *bits |= bit;
        }
    }

    pub fn remove(&mut self, row: u32) {
        let (word, bit) = place(row);
        if let Some(bits) = self.bits.get_mut(word) {
            self.count -= usize::from(*bits & bit != 0);
            *bits &= !bit;
        }
    }

    pub fn toggle(&mut self, row: u32) {
        if self.contains(row) {
            self.remove(row);
        } else {
            self.insert(row);
        }
    }

    /// Marked rows in order.
    fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.bits).flat_map(|(word, bits): (u32, &u64)| {
            let bits = *bits;
            (0..64)
                .filter(move |bit| bits & (1 << bit) != 0)
                .map(move |bit| word * 64 + bit)
        })
    }

    pub fn names(&self, survey: &Survey) -> Vec<ArtifactName> {
        self.rows()
            .filter_map(|row| survey.artifacts.get(row as usize))
            .map(|artifact| artifact.name.clone())
            .collect()
    }

    /// After a look: marks stay on their artifacts, and go with those that are no longer there.
    pub fn follow(&mut self, before: &Seen, after: &Seen) {
        if self.is_empty() || before.table.generation == after.table.generation {
            return;
        }
        let made;
        let known = after.table.moved.as_ref();
        let moved = if let Some(moved) = known.filter(|moved| moved.is_from(&before.table)) {
            moved
        } else {
            made = Moved::of(before, &after.survey);
            &made
        };
        let marked = std::mem::take(self);
        for row in marked.rows().filter_map(|row| moved.row(row)) {
            self.insert(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_bits() {
        let mut marks = Marks::default();
        for row in [0, 63, 64, 1_000_000, 64] {
            marks.insert(row);
        }
        assert_eq!(marks.len(), 4);
        marks.toggle(63);
        marks.remove(5);
        assert_eq!(marks.rows().collect::<Vec<_>>(), [0, 64, 1_000_000]);
        assert_eq!(marks.len(), 3);
    }
}
