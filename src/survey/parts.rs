//! The listings of all volumes, a stretch of names at a time, so that a survey need not hold for all
//! artifacts what it only needs to judge each.

use std::sync::Arc;

use crate::volume::{
    ArtifactName, Listing,
    listing::{CopyEntry, VersionEntry},
};

/// About so many names are judged at a time.
const PART: usize = 4096;
/// What every volume lists of the names that come next.
pub(super) struct Part<'a> {
    /// Copies and versions by volume.
    pub listed: Vec<(&'a [CopyEntry], &'a [VersionEntry])>,
    pub known: &'a [(ArtifactName, Arc<str>)],
}

/// The listings, names by names.
pub(super) struct Parts<'a> {
    rest: Part<'a>,
}

impl<'a> Parts<'a> {
    /// All are in the order of names.
    pub fn of(listings: &'a [Option<Listing>], known: &'a [(ArtifactName, Arc<str>)]) -> Self {
        let listed = |listing: &'a Option<Listing>| match listing {
            Some(listing) => (listing.copies.as_slice(), listing.versions.as_slice()),
            None => Default::default(),
        };
        Self {
            rest: Part {
                listed: listings.iter().map(listed).collect(),
                known,
            },
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let rest = &mut self.rest;
        let listed = || rest.listed.iter();
        let nothing = listed().all(|(copies, versions)| copies.is_empty() && versions.is_empty());
        if nothing && rest.known.is_empty() {
            return None;
        }
        // The first name that fills the part for any of them ends it for all.
        let last = listed()
            .flat_map(|(copies, versions)| {
                let copy = copies.get(PART).map(|copy| &copy.name);
                [copy, versions.get(PART).map(|version| &version.name)]
            })
            .chain([rest.known.get(PART).map(|(name, _)| name)])
            .flatten()
            .min();
        Some(Part {
            listed: rest
                .listed
                .iter_mut()
                .map(|(copies, versions)| {
                    let copies = take_until(copies, last, |copy| &copy.name);
                    (copies, take_until(versions, last, |version| &version.name))
                })
                .collect(),
            known: take_until(&mut rest.known, last, |(name, _)| name),
        })
    }
}

/// Takes the beginning of a list, up to and with a name.
fn take_until<'a, T>(
    list: &mut &'a [T],
    until: Option<&ArtifactName>,
    name: impl Fn(&T) -> &ArtifactName,
) -> &'a [T] {
    let end = match until {
        Some(until) => list.partition_point(|entry| name(entry) <= until),
        None => list.len(),
    };
    let (taken, rest) = list.split_at(end);
    *list = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::listing::Stamp;

    fn listing(names: impl Iterator<Item = usize>) -> Listing {
        let copies = names.map(|number| CopyEntry {
            name: ArtifactName::existing(format!("{number:06}").as_bytes()).unwrap(),
            size: 1,
            stamp: Stamp::default(),
        });
        Listing {
            copies: copies.collect(),
            ..Listing::default()
        }
    }

    #[test]
    fn every_name_is_in_one_part_with_all_its_copies() {
        let listings = [
            Some(listing(0..10_000)),
            None,
            Some(listing((0..30_000).step_by(3))),
            Some(listing(29_990..40_000)),
        ];
        let mut before: Option<ArtifactName> = None;
        let mut counted = [0, 0, 0, 0];
        for part in Parts::of(&listings, &[]) {
            let mut names: Vec<_> = Vec::new();
            for (count, (copies, _)) in counted.iter_mut().zip(&part.listed) {
                *count += copies.len();
                names.extend(copies.iter().map(|copy| copy.name.clone()));
            }
            names.sort();
            assert!(!names.is_empty() && names.len() <= (PART + 1) * listings.len());
            assert!(before < names.first().cloned(), "in order, and none twice");
            before = names.last().cloned();
        }
        assert_eq!(counted, [10_000, 0, 10_000, 10_010]);
    }
}
