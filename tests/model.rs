//! Judging against a model: whatever happens to three replicas, an acknowledged write is never
//! ordered behind an older one, and what is called right is right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use maifdeck::{
    maif::Digest,
    store::{
        judge::{Condition, Facts, FileFacts, Judgement, Seen, judge},
        state::{ArtifactState, CopyState, Reason, VolumeIndex},
    },
    volume::{Fingerprint, Record, VersionId},
};

const REPLICAS: usize = 3;
const QUORUM: usize = 2;

/// xorshift64*: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(value).unwrap() % below
    }
}

type Content = u32;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Copy {
    content: Content,
    generation: u64,
    /// The record describes the bytes.
    described: bool,
    intact: bool,
}

#[derive(Debug, Clone, Default)]
struct Volume {
    down: bool,
    joining: bool,
    copy: Option<Copy>,
    removal: Option<u64>,
    history: BTreeMap<VersionId, Content>,
}

impl Volume {
    fn seen_generation(&self) -> u64 {
        let copy = self.copy.map(|copy| copy.generation);
        copy.max(self.removal).unwrap_or(0)
    }

    fn archive(&mut self, id: VersionId) {
        self.history
            .extend(self.copy.map(|copy| (id, copy.content)));
    }
}

#[derive(Debug, Clone, Default)]
struct World {
    volumes: [Volume; REPLICAS],
    next: Content,
    /// What was acknowledged last: a content, or a removal.
    newest: Option<Content>,
    generation: u64,
    /// What a write that was cut off may have made current, and its generation.
    maybe: Vec<(u64, Option<Content>)>,
    /// A sketch's save in place, on one volume: the successor as long as it is whole.
    outside: Option<(usize, Content)>,
    /// Two hosts, whose clocks disagree by days.
    clocks: [i64; 2],
    host: usize,
}

fn print(content: Content) -> Fingerprint {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&content.to_be_bytes());
    Fingerprint {
        size: 1000,
        check: Digest(digest),
    }
}

impl World {
    /// What the volumes say; `all`: as if every one were up.
    fn facts(&self, all: bool) -> Vec<Facts> {
        let volumes = self.volumes.iter().enumerate();
        volumes
            .map(|(number, volume)| Facts {
                volume: VolumeIndex(u16::try_from(number).unwrap()),
                seen: match volume.copy {
                    _ if volume.down && !all => Seen::Unreachable,
                    None => Seen::Absent,
                    Some(copy) => Seen::File(FileFacts {
                        fingerprint: print(copy.content),
                        record: (copy.generation > 0).then(|| Record {
                            generation: copy.generation,
                            nonce: 0,
                            fingerprint: if copy.described {
                                print(copy.content)
                            } else {
                                print(u32::MAX)
                            },
                        }),
                        condition: if copy.intact {
                            Condition::Intact
                        } else {
                            Condition::Damaged
                        },
                        sha256: None,
                    }),
                },
                counts: !volume.joining,
                removal: volume
                    .removal
                    .filter(|_| all || !volume.down)
                    .map(|g| Record {
                        generation: g,
                        nonce: 0,
                        fingerprint: print(0),
                    }),
                history: if volume.down && !all {
                    Vec::new()
                } else {
                    volume
                        .history
                        .iter()
                        .map(|(id, content)| (*id, print(*content)))
                        .collect()
                },
            })
            .collect()
    }

    fn up(&self) -> Vec<usize> {
        (0..REPLICAS).filter(|v| !self.volumes[*v].down).collect()
    }

    fn counting_up(&self) -> usize {
        let counts = |v: &&Volume| !v.down && !v.joining;
        self.volumes.iter().filter(counts).count()
    }

    /// A commit: of a new content, or of a removal. `reached`: where it was renamed; all that are
    /// up, unless it is cut off.
    fn commit(&mut self, content: Option<Content>, reached: &[usize], acknowledged: bool) {
        let up = self.up();
        let generation = 1 + up
            .iter()
            .map(|v| self.volumes[*v].seen_generation())
            .max()
            .unwrap_or(0);
        let mut ids = BTreeMap::new();
        for v in reached {
            let id = self.archive_id(*v, &mut ids);
            let volume = &mut self.volumes[*v];
            volume.archive(id);
            volume.copy = content.map(|content| Copy {
                content,
                generation,
                described: true,
                intact: true,
            });
            if content.is_none() {
                volume.removal = Some(generation);
            }
        }
        if acknowledged {
            assert!(
                generation > self.generation,
                "an acknowledged write is behind an older one"
            );
            self.newest = content;
            self.generation = generation;
            // One of the same generation, which this commit could not see, is no older one: a copy
            // beats a removal then, and where faults take the quorum away it may be what is left.
            self.maybe.retain(|(other, _)| *other >= generation);
            self.outside = None;
        } else {
            self.maybe.push((generation, content));
        }
    }

    /// The id under which a volume's copy is archived: one for one content, greater than all that are
    /// known where a commit can see, whatever this host's clock says.
    fn archive_id(&self, v: usize, ids: &mut BTreeMap<Content, VersionId>) -> VersionId {
        let content = self.volumes[v].copy.map_or(0, |copy| copy.content);
        if let Some(id) = ids.get(&content) {
            return *id;
        }
        let up = self.up().into_iter();
        let known: Vec<VersionId> = up
            .flat_map(|v| self.volumes[v].history.keys().copied())
            .chain(ids.values().copied())
            .collect();
        let now = DateTime::from_timestamp(self.clocks[self.host], 0).unwrap();
        let id = VersionId::after(now, known.iter().copied());
        assert!(known.iter().all(|known| *known < id), "ids go back");
        ids.insert(content, id);
        id
    }

    fn write(&mut self, content: Option<Content>, dice: &mut Dice) {
        let up = self.up();
        let exists = up.iter().any(|v| self.volumes[*v].copy.is_some());
        if self.counting_up() < QUORUM || (content.is_none() && !exists) {
            return;
        }
        if dice.roll(4) == 0 {
            let reached: Vec<usize> = up.into_iter().filter(|_| dice.roll(2) == 0).collect();
            if !reached.is_empty() {
                self.commit(content, &reached, false);
            }
        } else {
            self.commit(content, &up, true);
        }
    }

    /// Whether somebody who counts still holds a trace of the newest acknowledged commit: more
    /// disks lost at once than the quorum can bear lose it, and nobody can know.
    fn is_remembered(&self) -> bool {
        self.volumes
            .iter()
            .any(|volume| !volume.joining && volume.seen_generation() >= self.generation)
    }

    /// Repair as the plan does it: from what is up.
    fn repair(&mut self) {
        let facts = self.facts(false);
        let judgement = judge(&facts, QUORUM);
        let up = self.up();
        if judgement.removed {
            if up.iter().any(|v| self.volumes[*v].copy.is_some()) && self.counting_up() >= QUORUM {
                self.commit(None, &up, true);
            }
        } else if let Some(reference) = &judgement.reference {
            let source = self.volumes[usize::from(reference.volume.0)].copy.unwrap();
            if matches!(reference.reason, Reason::WrittenOutside { .. }) {
                if self.counting_up() >= QUORUM {
                    self.commit(Some(source.content), &up, true);
                }
            } else {
                for (v, state) in judgement.copies.iter().enumerate() {
                    let behind = [CopyState::Missing, CopyState::Stale, CopyState::Corrupt];
                    if behind.contains(state) {
                        self.volumes[v].copy = Some(source);
                    }
                }
            }
        } else if judgement.state != ArtifactState::Lost || !judgement.vanished {
            // Left to the operator; nothing is admitted on the strength of a doubt.
            return;
        }
        let histories: BTreeMap<VersionId, Content> = up
            .iter()
            .flat_map(|v| self.volumes[*v].history.clone())
            .collect();
        let removal = up.iter().filter_map(|v| self.volumes[*v].removal).max();
        // Enough to have seen every acknowledged write: readers and writers overlap.
        let enough = self.counting_up() > REPLICAS - QUORUM;
        for v in up {
            self.volumes[v].history.extend(histories.clone());
            self.volumes[v].removal = self.volumes[v].removal.max(removal);
            if enough {
                self.volumes[v].joining = false;
            }
        }
    }

    fn step(&mut self, dice: &mut Dice) -> String {
        let v = dice.roll(REPLICAS);
        self.host = dice.roll(2);
        for clock in &mut self.clocks {
            *clock += 1;
        }
        match dice.roll(13) {
            0..=3 => {
                self.next += 1;
                self.write(Some(self.next), dice);
                "put".to_owned()
            }
            4 => {
                self.write(None, dice);
                "remove".to_owned()
            }
            5 | 6 => {
                self.volumes[v].down = !self.volumes[v].down;
                format!("volume {v} down: {}", self.volumes[v].down)
            }
            7 => {
                // Sometimes the disk had another life, and what lies there looks newer than all.
                let old = (dice.roll(3) == 0).then(|| Copy {
                    content: u32::MAX - self.next,
                    generation: u64::try_from(dice.roll(40)).unwrap(),
                    described: true,
                    intact: true,
                });
                self.volumes[v] = Volume {
                    joining: true,
                    copy: old,
                    ..Volume::default()
                };
                if !self.is_remembered() {
                    self.forget();
                }
                format!("volume {v} replaced")
            }
            8 => {
                if let Some(copy) = &mut self.volumes[v].copy {
                    copy.intact = false;
                }
                format!("copy {v} damaged")
            }
            12 => {
                let held = self.up().into_iter();
                let held: BTreeSet<Content> = held
                    .flat_map(|v| self.volumes[v].history.values().copied())
                    .collect();
                if held.is_empty() {
                    return "nothing to restore".to_owned();
                }
                let content = held.iter().nth(dice.roll(held.len())).copied();
                self.write(content, dice);
                format!("restore {content:?}")
            }
            9 => {
                self.write_outside(v);
                format!("copy {v} written outside")
            }
            _ => {
                self.repair();
                "repair".to_owned()
            }
        }
    }

    /// A sketch saves in place, over a copy that is the newest: then it is the successor.
    fn write_outside(&mut self, v: usize) {
        let newest = self.right();
        let unique = self.maybe.is_empty()
            && self.outside.is_none()
            && self.volumes.iter().all(|v| !v.down && !v.joining);
        let volume = &mut self.volumes[v];
        let Some(copy) = &mut volume.copy else { return };
        let is_newest = copy.described && copy.intact && Some(copy.content) == newest;
        if !is_newest || !unique {
            return;
        }
        self.next += 1;
        // The sketch archives too, by its own clock.
        let known = volume.history.keys().copied();
        let now = DateTime::from_timestamp(self.clocks[self.host], 0).unwrap();
        let id = VersionId::after(now, known);
        volume.history.insert(id, copy.content);
        copy.content = self.next;
        copy.described = false;
        self.outside = Some((v, self.next));
    }

    /// What is right now.
    fn right(&self) -> Option<Content> {
        let saved = self.outside.filter(|(v, content)| {
            let volume = &self.volumes[*v];
            let whole = |copy: Copy| copy.intact && copy.content == *content;
            !volume.joining && volume.copy.is_some_and(whole)
        });
        saved.map(|(_, content)| content).or(self.newest)
    }

    /// No volume knows the newest write any more: nobody could.
    fn forget(&mut self) {
        let best = self
            .volumes
            .iter()
            .filter(|volume| !volume.joining)
            .max_by_key(|volume| volume.seen_generation());
        self.generation = best.map_or(0, Volume::seen_generation);
        self.newest = best.and_then(|best| best.copy).map(|copy| copy.content);
        let others = self.volumes.iter().filter_map(|v| v.copy);
        self.maybe = others
            .map(|copy| (copy.generation, Some(copy.content)))
            .chain([(self.generation, None)])
            .collect();
    }

    /// With every volume up, what is called right is what was acknowledged last, or what a write
    /// that was cut off made of it.
    fn check(&self, log: &[String]) {
        let facts = self.facts(true);
        let judgement = judge(&facts, QUORUM);
        let allowed = |content: Option<Content>| {
            content == self.right() || self.maybe.iter().any(|(_, maybe)| *maybe == content)
        };
        let words = || format!("{log:#?}\n{self:#?}\n{judgement:#?}");
        if let Some(reference) = &judgement.reference {
            let copy = self.volumes[usize::from(reference.volume.0)].copy.unwrap();
            assert!(copy.intact, "a damaged copy is the reference: {}", words());
            assert!(
                allowed(Some(copy.content)),
                "an older copy is the reference: {}",
                words()
            );
        } else if judgement.removed {
            assert!(
                allowed(None),
                "what was written is called removed: {}",
                words()
            );
        } else if self.maybe.is_empty() && self.right().is_some() {
            // No reference: then no intact copy of it exists that counts.
            let held = self.volumes.iter().any(|volume| {
                // An older copy of the same bytes, from before a restore, is an older copy.
                let right = |copy: Copy| {
                    let is_newest = copy.generation >= self.generation;
                    copy.intact && is_newest && Some(copy.content) == self.right()
                };
                !volume.joining && volume.copy.is_some_and(right)
            });
            assert!(
                !held || Self::is_contested(&judgement),
                "the right copy is overlooked: {}",
                words()
            );
        }
    }

    fn is_contested(judgement: &Judgement) -> bool {
        judgement.state == ArtifactState::Divergent
    }
}

#[test]
fn no_acknowledged_write_is_ever_ordered_behind_an_older_one() {
    for seed in 1..=120_000u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut world = World::default();
        let days = i64::try_from(dice.roll(9)).unwrap() - 4;
        let start = 1_773_220_500;
        world.clocks = [start, start + days * 86_400];
        let mut log = Vec::new();
        for _ in 0..12 {
            log.push(world.step(&mut dice));
            world.check(&log);
        }
    }
}
