//! The protocol explored exhaustively: two hosts, every interleaving of their steps, each of them
//! paused for any time or crashed at any step, one of them coming back, and the number in the lock
//! damaged at any moment. The decisions are the real ones of [`model`]; what
//! is modelled is the world between them: files, one flock, and who does what when.
//!
//! Expiry is modelled as "at any time": a rival may judge wrongly and still nothing breaks.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::model::{
    Beat, Epoch, Sighting, Standing, Watch, may_commit, may_lead, may_sweep, next_epoch,
};

const HOSTS: usize = 2;
/// Epochs explored; each host tries so often that no more can come.
const EPOCHS: usize = 6;
const TRIES: u8 = 2;
const COMMITS: u8 = 1;
/// The hosts are alike: it is enough that one of them comes back.
const LIVES: [u8; HOSTS] = [1, 0];

/// Which of the protocol's rules hold; leaving one out must break something.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each rule is there or not")]
struct Rules {
    /// A commit holds the lock to its last rename.
    hold: bool,
    /// A commit checks the number under the lock.
    check: bool,
    /// A winner leads only over a smaller number.
    compare: bool,
    /// Where the lock has no number, the newest that was won stands for it.
    newest: bool,
    /// A winner waits for commits under way.
    barrier: bool,
}

const REAL: Rules = Rules {
    hold: true,
    check: true,
    compare: true,
    newest: true,
    barrier: true,
};

/// Where a host is in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Idle,
    /// Has looked, is about to link this epoch's file.
    Claim(u8),
    /// Won it, waits for the exclusive lock.
    Barrier(u8),
    /// Holds the lock exclusive.
    Inside(u8),
    /// Has written its number, holds the lock still.
    Written(u8),
    Leader(u8),
    /// Has staged; the gate is next.
    Staged(u8),
    /// Holds the lock shared; the check is next.
    Gate(u8),
    /// Checked; two replicas are to be renamed.
    Checked(u8),
    /// One replica is renamed.
    Half(u8),
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Host {
    at: At,
    tries: u8,
    commits: u8,
    /// How often it comes back after a crash.
    lives: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    hosts: [Host; HOSTS],
    /// Which epochs' files are there.
    won: [bool; EPOCHS],
    in_lock: u8,
    /// Whether the number in the lock will still be damaged.
    damage: bool,
    exclusive: Option<u8>,
    shared: [bool; HOSTS],
    on_volume: u8,
    /// What an observer remembers: who led which epoch, and the last rename's epoch.
    led: [Option<u8>; EPOCHS],
    renamed: u8,
}

fn epoch(number: u8) -> Epoch {
    Epoch(u64::from(number))
}

fn number(epoch: Epoch) -> u8 {
    u8::try_from(epoch.0).unwrap()
}

impl World {
    fn new() -> Self {
        let host = |lives| Host {
            at: At::Idle,
            tries: TRIES,
            commits: COMMITS,
            lives,
        };
        Self {
            hosts: LIVES.map(host),
            won: [false; EPOCHS],
            in_lock: 0,
            damage: true,
            exclusive: None,
            shared: [false; HOSTS],
            on_volume: 0,
            led: [None; EPOCHS],
            renamed: 0,
        }
    }

    fn newest(&self) -> u8 {
        let found = self.won.iter().rposition(|won| *won).unwrap_or(0);
        u8::try_from(found).unwrap()
    }

    fn free_for_shared(&self) -> bool {
        self.exclusive.is_none()
    }

    fn free_for_exclusive(&self) -> bool {
        self.exclusive.is_none() && !self.shared.contains(&true)
    }

    /// The worlds after one step of this host; `Err` when the step breaks a promise.
    fn steps(&self, host: usize, rules: Rules) -> Result<Vec<Self>, String> {
        let id = u8::try_from(host).unwrap();
        let mut next = Vec::new();
        let to = |at: At| {
            let mut world = *self;
            world.hosts[host].at = at;
            world
        };
        match self.hosts[host].at {
            At::Idle if self.hosts[host].tries > 0 => {
                let traces = [self.newest(), self.in_lock, self.on_volume].map(epoch);
                let mut world = to(At::Claim(number(next_epoch(traces).unwrap())));
                world.hosts[host].tries -= 1;
                next.push(world);
            }
            // A process begins anew, with what the files tell.
            At::Dead if self.hosts[host].lives > 0 => {
                let mut world = to(At::Idle);
                world.hosts[host].lives -= 1;
                next.push(world);
            }
            At::Idle | At::Dead => {}
            // The lock is held exclusive: wait.
            At::Staged(_) if !self.free_for_shared() => {}
            At::Claim(n) => {
                let mut world = to(if self.won[usize::from(n)] {
                    At::Idle
                } else {
                    At::Barrier(n)
                });
                world.won[usize::from(n)] = true;
                next.push(world);
            }
            At::Barrier(n) => {
                if self.free_for_exclusive() || !rules.barrier {
                    let mut world = to(At::Inside(n));
                    world.exclusive = Some(id);
                    next.push(world);
                }
                // Time is up: blocked.
                next.push(to(At::Idle));
            }
            At::Inside(n) => {
                let mut world = *self;
                let newest = if rules.newest { self.newest() } else { 0 };
                let may = may_lead(epoch(n), epoch(self.in_lock), epoch(newest));
                if rules.compare && may.is_err() {
                    world.hosts[host].at = At::Idle;
                    world.exclusive = None;
                } else {
                    if let Some(other) = self.led[usize::from(n)] {
                        return Err(format!("epoch {n} has leaders {other} and {host}"));
                    }
                    world.hosts[host].at = At::Written(n);
                    world.led[usize::from(n)] = Some(id);
                    world.in_lock = n;
                }
                next.push(world);
            }
            At::Written(n) => {
                let mut world = to(At::Leader(n));
                for (old, won) in world.won.iter_mut().enumerate() {
                    if may_sweep(Epoch(old as u64), epoch(n), 1) {
                        *won = false;
                    }
                }
                world.exclusive = None;
                world.hosts[host].commits = COMMITS;
                next.push(world);
            }
            At::Leader(n) => {
                if self.hosts[host].commits > 0 {
                    let mut world = to(At::Staged(n));
                    world.hosts[host].commits -= 1;
                    next.push(world);
                }
                next.push(to(At::Idle));
            }
            At::Staged(n) => {
                let mut world = to(At::Gate(n));
                world.shared[host] = true;
                next.push(world);
            }
            At::Gate(n) => {
                let may = may_commit(epoch(n), epoch(self.in_lock), [epoch(self.on_volume)]);
                let mut world = to(At::Checked(n));
                if may.is_err() && rules.check {
                    world.hosts[host].at = At::Idle;
                    world.shared[host] = false;
                } else {
                    world.on_volume = self.on_volume.max(n);
                    world.shared[host] = rules.hold;
                }
                next.push(world);
            }
            At::Checked(n) | At::Half(n) => {
                if self.renamed > n {
                    return Err(format!(
                        "a rename of epoch {n} follows one of {}",
                        self.renamed
                    ));
                }
                let last = matches!(self.hosts[host].at, At::Half(_));
                let mut world = to(if last { At::Leader(n) } else { At::Half(n) });
                world.renamed = n;
                world.shared[host] &= !last;
                next.push(world);
            }
        }
        Ok(next)
    }

    /// The kernel takes a dead process's locks back.
    fn crash(&self, host: usize) -> Self {
        let mut world = *self;
        world.hosts[host].at = At::Dead;
        world.shared[host] = false;
        if world.exclusive == u8::try_from(host).ok() {
            world.exclusive = None;
        }
        world
    }

    /// The number in the lock is no number any more.
    fn damaged(&self) -> Option<Self> {
        let may = self.damage && self.exclusive.is_none();
        may.then_some(Self {
            in_lock: 0,
            damage: false,
            ..*self
        })
    }

    /// Whether this host, alone and with tries left, gets a commit through.
    fn can_write(&self, host: usize) -> bool {
        // It starts afresh, without the locks of its former life.
        let mut world = self.crash(host);
        world.hosts[host] = Host {
            at: At::Idle,
            tries: 1,
            commits: COMMITS,
            lives: 0,
        };
        // Nobody ever wins more than there is room for in the model.
        for _ in 0..12 {
            let Some(next) = world.steps(host, REAL).unwrap().into_iter().next() else {
                break;
            };
            if matches!(next.hosts[host].at, At::Half(_)) {
                return true;
            }
            world = next;
        }
        false
    }
}

/// Every reachable world, or the first broken promise.
fn explore(rules: Rules) -> Result<HashSet<World>, String> {
    let mut seen = HashSet::from([World::new()]);
    let mut left = vec![World::new()];
    while let Some(world) = left.pop() {
        for host in 0..HOSTS {
            let mut after = world.steps(host, rules)?;
            if world.hosts[host].at != At::Dead {
                after.push(world.crash(host));
            }
            for next in after.into_iter().chain(world.damaged()) {
                if seen.insert(next) {
                    left.push(next);
                }
            }
        }
    }
    Ok(seen)
}

#[test]
fn no_interleaving_pause_or_crash_makes_two_leaders_or_a_late_rename() {
    let worlds = explore(REAL).unwrap();
    println!("{} worlds", worlds.len());
    assert!(worlds.len() > 100_000, "only {} worlds", worlds.len());
    // From each of them, once one host is dead, the other can write.
    for world in &worlds {
        if usize::from(world.newest().max(world.in_lock)) + 1 < EPOCHS {
            assert!(world.crash(0).can_write(1), "{world:#?}");
        }
    }
}

#[test]
fn without_any_of_its_rules_the_protocol_breaks() {
    for broken in [
        Rules {
            hold: false,
            ..REAL
        },
        Rules {
            check: false,
            ..REAL
        },
        Rules {
            compare: false,
            ..REAL
        },
        Rules {
            newest: false,
            ..REAL
        },
        Rules {
            barrier: false,
            ..REAL
        },
    ] {
        assert!(explore(broken).is_err(), "{broken:?} breaks nothing");
    }
}

#[test]
fn a_counter_expires_only_before_ones_own_eyes() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let ttl = Duration::from_millis(100);
    let mut watch = Watch::default();
    let mut see = |epoch, beat, began, ended| {
        let sighting = Sighting {
            epoch: Some(Epoch(epoch)),
            beat,
        };
        watch.see(sighting, at(began), at(ended), ttl)
    };
    let (unsure, alive) = (
        Standing::Held { alive: false },
        Standing::Held { alive: true },
    );
    assert_eq!(see(1, Beat::Count(7), 0, 50), unsure);
    assert_eq!(
        see(1, Beat::Count(7), 149, 160),
        unsure,
        "it was read at 50"
    );
    assert_eq!(see(1, Beat::Count(8), 151, 152), alive);
    assert_eq!(see(1, Beat::Count(8), 251, 252), alive);
    assert_eq!(see(2, Beat::Count(8), 253, 254), unsure, "another holder");
    assert_eq!(see(2, Beat::Count(8), 354, 355), Standing::Expired);
    assert_eq!(see(2, Beat::Released, 356, 357), Standing::Free);
    assert_eq!(see(3, Beat::Silent, 358, 359), unsure);
    assert_eq!(see(3, Beat::Silent, 459, 460), Standing::Expired);
}

#[test]
fn an_epochs_digits_are_read_back_and_nothing_else_is() {
    for n in [0, 7, u64::MAX] {
        assert_eq!(Epoch::parse(&Epoch(n).digits()), Some(Epoch(n)));
    }
    for text in ["", "7", "0000000000000000000x", "000000000000000000007"] {
        assert_eq!(Epoch::parse(text), None);
    }
}
