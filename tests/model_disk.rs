//! The engine on real directories against a model: 4 × 3 volumes, two hosts whose clocks disagree by
//! days, and one replica of each partition at a time that may be away, exchanged, rotten or behind.
//! With that much wrong and no more, every acknowledged write is read back exactly, at every moment;
//! and when everything is repaired, all copies and all versions are there.
//!
//! `MAIFDECK_SEQUENCES` says how many random sequences are run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{Duration, TimeZone, Utc};
use maifdeck::{
    apply,
    clock::ManualClock,
    journal::{JobState, JobView},
    maif::{Agent, BlockType, Digest, NewBlock, SigningKey, Sources, json, uuid4, write},
    plan::{LayoutChange, Plan},
    planner,
    progress::Task,
    store::{
        Access, Config, Store, StoreError,
        commit::{Condition, PutRequest},
        setup,
    },
    survey::{ArtifactState, Scope, survey},
    volume::{ArtifactName, Level, VersionId, VersionKind},
};
use sha2::{Digest as _, Sha256};

const STEPS: usize = 14;
const NAMES: usize = 5;
const REPLICAS: usize = 3;

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

/// Artifacts to write: a number each, told by the file's digest.
struct Contents {
    files: Vec<PathBuf>,
    digests: Vec<[u8; 32]>,
    place: tempfile::TempDir,
}

impl Contents {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut contents = Self {
            files: Vec::new(),
            digests: Vec::new(),
            place,
        };
        for number in 0..STEPS + NAMES {
            let path = contents.place.path().join(format!("{number}.maif"));
            let mut options = File::options();
            let out = options.read(true).write(true).create_new(true);
            let mut now = 1_700_000_000_000_000;
            write(
                &out.open(&path).unwrap(),
                &Agent::new("tester"),
                &SigningKey::from_seed(&[7; 32]),
                &mut [NewBlock {
                    kind: BlockType::TEXT,
                    data: &mut format!("content {number}").as_bytes(),
                    size: None,
                    metadata: json::Value::Object(Vec::new()),
                }],
                &mut Sources {
                    clock: &mut || {
                        now += 1;
                        now
                    },
                    ids: &mut || uuid4([u8::try_from(number).unwrap(); 16]),
                },
            )
            .unwrap();
            let digest = Sha256::digest(fs::read(&path).unwrap()).into();
            contents.files.push(path);
            contents.digests.push(digest);
        }
        contents
    }

    fn number_of(&self, bytes: &[u8]) -> Option<usize> {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        self.digests.iter().position(|known| *known == digest)
    }
}

/// What the model knows of one artifact.
#[derive(Debug, Clone, Default)]
struct Artifact {
    current: Option<usize>,
    /// Everything that was acknowledged and then replaced.
    earlier: BTreeSet<usize>,
    /// A sketch saved on this replica; nobody else has it yet.
    outside: Option<usize>,
    /// Of the last acknowledged commit.
    generation: u64,
}

impl Artifact {
    /// A later commit has a greater generation, whoever was away and whatever moved.
    fn acknowledge(&mut self, generation: u64) -> bool {
        let is_later = generation > self.generation;
        self.generation = generation;
        is_later
    }
}

/// The replica of a partition with which something is wrong, and whether its directory is away.
#[derive(Debug, Clone, Copy)]
struct Weak {
    replica: usize,
    away: bool,
}

struct World<'a> {
    place: tempfile::TempDir,
    contents: &'a Contents,
    next: usize,
    clocks: [ManualClock; 2],
    artifacts: BTreeMap<ArtifactName, Artifact>,
    weak: BTreeMap<String, Weak>,
    log: Vec<String>,
}

impl<'a> World<'a> {
    fn new(contents: &'a Contents, dice: &mut Dice) -> Self {
        // Memory where there is some: what a crash leaves behind is for other tests.
        let shm = Path::new("/dev/shm");
        let place = tempfile::tempdir_in(shm).or_else(|_| tempfile::tempdir());
        let place = place.unwrap();
        let placement = ["md5-modulo", "rendezvous"][dice.roll(2)];
        let mut text =
            format!("[store]\nplacement = \"{placement}\"\nwarn_fill = 100\nmax_fill = 100\n");
        for p in 1..=4 {
            let paths = (1..=REPLICAS).map(|r| format!("\"p{p}.{r}\""));
            let paths: Vec<String> = paths.collect();
            let paths = paths.join(", ");
            writeln!(text, "[[partition]]\nname = \"p{p}\"\nreplicas = [{paths}]").unwrap();
        }
        fs::write(place.path().join("maifdeck.toml"), text).unwrap();
        let start = Utc.with_ymd_and_hms(2026, 3, 11, 9, 15, 0).unwrap();
        let days = i64::try_from(dice.roll(9)).unwrap() - 4;
        let world = Self {
            place,
            contents,
            next: 0,
            clocks: [
                ManualClock::at(start),
                ManualClock::at(start + Duration::days(days)),
            ],
            artifacts: (0..NAMES)
                .map(|n| {
                    (
                        ArtifactName::new(&format!("a{n}")).unwrap(),
                        Artifact::default(),
                    )
                })
                .collect(),
            weak: BTreeMap::new(),
            log: vec![format!("{placement}, clocks {days} days apart")],
        };
        setup::mark_all(&world.config(), &world.clocks[0].shared()).unwrap();
        world
    }

    fn config(&self) -> Config {
        let file = self.place.path().join("maifdeck.toml");
        let text = fs::read_to_string(&file).unwrap();
        let mut config = Config::parse(&text, &file, self.place.path()).unwrap();
        config.file = Some(file);
        config
    }

    /// A host opens the store: one of two.
    fn open(&self, dice: &mut Dice) -> Store {
        for clock in &self.clocks {
            clock.advance(Duration::seconds(1));
        }
        let clock = self.clocks[dice.roll(2)].shared();
        Store::open(Arc::new(self.config()), clock, Access::Write)
    }

    fn directory(&self, partition: &str, replica: usize) -> PathBuf {
        self.place
            .path()
            .join(format!("{partition}.{}", replica + 1))
    }

    fn away(&self, partition: &str, replica: usize) -> PathBuf {
        self.place
            .path()
            .join(format!("away-{partition}.{}", replica + 1))
    }

    fn fail(&self, what: &str) -> ! {
        let kept = self.place.path().display();
        panic!(
            "{what}\n{:#?}\n{:#?}\n{:#?}\n{kept}",
            self.log, self.artifacts, self.weak
        );
    }

    /// The replica of a partition that may be harmed: the one that is weak already, else any that
    /// does not hold the only copy of a sketch's save.
    fn victim(&mut self, store: &Store, dice: &mut Dice) -> Option<(String, usize)> {
        let partition = dice.roll(store.partitions().len());
        let label = store.partitions()[partition].name.clone();
        if let Some(weak) = self.weak.get(&label) {
            return (!weak.away).then_some((label, weak.replica));
        }
        let replica = dice.roll(REPLICAS);
        let only = self.artifacts.iter().any(|(name, artifact)| {
            store.home(name) == partition && artifact.outside == Some(replica)
        });
        // While artifacts move, a copy may be the only one in reach.
        if only || store.is_in_transition() {
            return None;
        }
        let weak = Weak {
            replica,
            away: false,
        };
        self.weak.insert(label.clone(), weak);
        Some((label, replica))
    }

    fn any_name(&self, dice: &mut Dice) -> ArtifactName {
        self.artifacts.keys().nth(dice.roll(NAMES)).unwrap().clone()
    }

    fn put(&mut self, dice: &mut Dice) {
        let (store, name) = (self.open(dice), self.any_name(dice));
        let number = self.next;
        self.next += 1;
        self.log.push(format!("put {name} = {number}"));
        let written = store.put(PutRequest {
            name: &name,
            source: &self.contents.files[number],
            sha256: Digest(self.contents.digests[number]),
            condition: Condition::Always,
            guard: &|_| Ok(()),
        });
        match written {
            Ok(committed) => {
                let artifact = self.artifacts.get_mut(&name).unwrap();
                if !artifact.acknowledge(committed.generation) {
                    self.fail(&format!("put {name}: generation {}", committed.generation));
                }
                let artifact = self.artifacts.get_mut(&name).unwrap();
                let before = artifact.current.replace(number);
                // What only a sketch's replica held is archived there alone until a repair.
                if artifact.outside.take().is_none() {
                    artifact.earlier.extend(before);
                }
            }
            Err(error) => self.fail(&format!("put {name}: {error}")),
        }
    }

    fn remove(&mut self, dice: &mut Dice) {
        let (store, name) = (self.open(dice), self.any_name(dice));
        self.log.push(format!("remove {name}"));
        let removed = store.remove(&name, &|_| Ok(()));
        let artifact = self.artifacts.get_mut(&name).unwrap();
        match (removed, artifact.current) {
            (Ok(committed), Some(before)) => {
                if !artifact.acknowledge(committed.generation) {
                    self.fail(&format!("rm {name}: generation {}", committed.generation));
                }
                let artifact = self.artifacts.get_mut(&name).unwrap();
                artifact.current = None;
                if artifact.outside.take().is_none() {
                    artifact.earlier.insert(before);
                }
            }
            (Err(StoreError::NotFound { .. }), None) => {}
            (result, _) => self.fail(&format!("remove {name}: {result:?}")),
        }
    }

    fn restore(&mut self, dice: &mut Dice) {
        let (store, name) = (self.open(dice), self.any_name(dice));
        let Some((id, number)) = self.versions(&store, &name).into_iter().next() else {
            return;
        };
        self.log.push(format!("restore {name} to {id} = {number}"));
        let plan = planner::version(&store, &name, id, None);
        let plan = plan.unwrap_or_else(|error| self.fail(&error.to_string()));
        let done = self.run(&store, &plan);
        if plan.is_empty() {
            return;
        }
        let artifact = self.artifacts.get_mut(&name).unwrap();
        if done.state != JobState::Done {
            self.fail(&format!("{done:?}"));
        }
        let before = artifact.current.replace(number);
        if artifact.outside.take().is_none() {
            artifact.earlier.extend(before);
        }
    }

    /// What the histories hold that are in reach, by id.
    fn versions(&self, store: &Store, name: &ArtifactName) -> BTreeMap<VersionId, usize> {
        let scope = Scope {
            names: vec![name.clone()],
            ..Scope::default()
        };
        let survey = survey(store, &scope, &Task::new()).unwrap();
        let Some(row) = survey.find(name) else {
            return BTreeMap::new();
        };
        let copies = survey.history(row).iter();
        let copies = copies.filter(|version| version.kind == VersionKind::Copy);
        copies
            .filter_map(|version| {
                let fetched = store.fetch_version(name, version.id).ok()?;
                let mut bytes = Vec::new();
                fetched.copy_to(&mut bytes).unwrap();
                Some((version.id, self.contents.number_of(&bytes)?))
            })
            .collect()
    }

    fn run(&self, store: &Store, plan: &Plan) -> JobView {
        apply::apply(store, &Arc::new(plan.clone()), &Task::new())
            .unwrap_or_else(|error| self.fail(&format!("{}: {error}", plan.intent.title())))
    }

    /// A replica goes away, comes back, is exchanged, rots.
    fn harm(&mut self, dice: &mut Dice) {
        let store = self.open(dice);
        let Some((partition, replica)) = self.victim(&store, dice) else {
            return;
        };
        let directory = self.directory(&partition, replica);
        match dice.roll(4) {
            0 | 1 => {
                self.log
                    .push(format!("{partition}.{} goes away", replica + 1));
                fs::rename(&directory, self.away(&partition, replica)).unwrap();
                self.weak.get_mut(&partition).unwrap().away = true;
            }
            2 => {
                self.log
                    .push(format!("{partition}.{} is exchanged", replica + 1));
                fs::remove_dir_all(&directory).unwrap();
                fs::create_dir(&directory).unwrap();
                // Unmarked it stays unused; sometimes nobody marks it for a while.
                if dice.roll(3) > 0 {
                    self.mark(&partition, replica, dice);
                }
            }
            _ => {
                let copies = fs::read_dir(&directory).unwrap();
                let mut copies: Vec<PathBuf> = copies
                    .map(|entry| entry.unwrap().path())
                    .filter(|path| path.extension().is_some_and(|e| e == "maif"))
                    .collect();
                copies.sort();
                if copies.is_empty() {
                    return;
                }
                let path = &copies[dice.roll(copies.len())];
                let mut bytes = fs::read(path).unwrap();
                let at = dice.roll(bytes.len());
                bytes[at] ^= 1 << dice.roll(8);
                fs::write(path, bytes).unwrap();
                self.log
                    .push(format!("byte {at} of {} flips", path.display()));
            }
        }
    }

    fn mark(&mut self, partition: &str, replica: usize, dice: &mut Dice) {
        let label = format!("{partition}.{}", replica + 1);
        let store = self.open(dice);
        self.log.push(format!("{label} is marked"));
        let plan = planner::mark(&store, &label, false, None);
        let plan = plan.unwrap_or_else(|error| self.fail(&error.to_string()));
        self.run(&store, &plan);
    }

    fn come_back(&mut self, dice: &mut Dice) {
        let partitions: Vec<String> = self.weak.keys().cloned().collect();
        if partitions.is_empty() {
            return;
        }
        let partition = &partitions[dice.roll(partitions.len())];
        let weak = self.weak[partition];
        let directory = self.directory(partition, weak.replica);
        if weak.away {
            self.log
                .push(format!("{partition}.{} comes back", weak.replica + 1));
            fs::rename(self.away(partition, weak.replica), &directory).unwrap();
            self.weak.get_mut(partition).unwrap().away = false;
        } else if !directory.join(".maifdeck/volume.toml").exists() {
            self.mark(partition, weak.replica, dice);
        }
    }

    /// A sketch archives and saves in place, on a replica with which nothing is wrong.
    fn write_outside(&mut self, dice: &mut Dice) {
        let (store, name) = (self.open(dice), self.any_name(dice));
        let partition = store.partitions()[store.home(&name)].name.clone();
        let replica = dice.roll(REPLICAS);
        let is_weak = self
            .weak
            .get(&partition)
            .is_some_and(|weak| weak.replica == replica);
        let artifact = &self.artifacts[&name];
        let path = self
            .directory(&partition, replica)
            .join(format!("{name}.maif"));
        if is_weak || artifact.current.is_none() || artifact.outside.is_some() || !path.exists() {
            return;
        }
        let number = self.next;
        self.next += 1;
        self.log.push(format!(
            "a sketch saves {name} = {number} on {partition}.{}",
            replica + 1
        ));
        let stamp = 20_260_311_000_000 + number;
        let (day, time) = (stamp / 1_000_000, stamp % 1_000_000);
        let archived = format!("versions/{name}_{day}_{time:06}.maif");
        let directory = path.parent().unwrap();
        fs::create_dir_all(directory.join("versions")).unwrap();
        fs::copy(&path, directory.join(archived)).unwrap();
        fs::write(&path, fs::read(&self.contents.files[number]).unwrap()).unwrap();
        let artifact = self.artifacts.get_mut(&name).unwrap();
        artifact.earlier.extend(artifact.current.replace(number));
        artifact.outside = Some(replica);
    }

    fn repair(&mut self, dice: &mut Dice) {
        let store = self.open(dice);
        self.log.push("repair".to_owned());
        let plan = planner::repair(&store, Level::Deep, planner::Repair::default());
        let plan = plan.unwrap_or_else(|error| self.fail(&error.to_string()));
        if !plan.is_empty() {
            self.run(&store, &plan);
        }
        // What was in reach is equal now.
        let unmarked = |place: &Self, partition: &str, replica| {
            let directory = place.directory(partition, replica);
            !directory.join(".maifdeck/volume.toml").exists()
        };
        let kept: BTreeMap<String, Weak> = self
            .weak
            .iter()
            .filter(|(partition, weak)| weak.away || unmarked(self, partition, weak.replica))
            .map(|(partition, weak)| (partition.clone(), *weak))
            .collect();
        self.weak = kept;
        for artifact in self.artifacts.values_mut() {
            artifact.outside = None;
        }
    }

    /// Another partition, one less, another placement; a change that was left open goes on.
    fn relayout(&mut self, dice: &mut Dice) {
        let store = self.open(dice);
        let existing: Vec<String> = store.partitions().iter().map(|p| p.name.clone()).collect();
        let change = if store.is_in_transition() {
            LayoutChange::Rebalance { placement: None }
        } else {
            match dice.roll(3) {
                0 if !existing.contains(&"p5".to_owned()) => LayoutChange::Add {
                    name: "p5".to_owned(),
                    directories: (0..REPLICAS).map(|r| self.directory("p5", r)).collect(),
                },
                1 => LayoutChange::Drain {
                    name: existing[dice.roll(existing.len())].clone(),
                },
                _ => LayoutChange::Rebalance {
                    placement: Some(["md5-modulo", "rendezvous"][dice.roll(2)].to_owned()),
                },
            }
        };
        self.log.push(change.title());
        match planner::layout::change(&store, change) {
            Ok(plan) if plan.is_empty() => {}
            Ok(plan) => {
                let job = self.run(&store, &plan);
                self.log.push(format!("{:?} {:?}", job.state, job.errors));
                let after = self.open(dice);
                let place = |store: &Store, name| store.partitions()[store.home(name)].name.clone();
                for (name, artifact) in &mut self.artifacts {
                    // A sketch's save moves like any other copy.
                    if place(&store, name) != place(&after, name) {
                        artifact.outside = None;
                    }
                }
            }
            // The last partition that takes artifacts, or volumes of an older layout.
            Err(StoreError::Usage(why) | StoreError::Changed(why)) => self.log.push(why),
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// Every artifact is read back exactly, by whoever asks.
    fn check(&self, dice: &mut Dice) {
        let store = self.open(dice);
        for (name, artifact) in &self.artifacts {
            let read = store.fetch(name).map(|fetched| {
                let mut bytes = Vec::new();
                fetched.copy_to(&mut bytes).unwrap();
                self.contents.number_of(&bytes)
            });
            match (read, artifact.current) {
                (Ok(Some(number)), Some(current)) if number == current => {}
                (Err(_), None) => {}
                (found, wanted) => {
                    self.fail(&format!("{name} should be {wanted:?}, found {found:?}"));
                }
            }
        }
    }

    /// Everything comes back, is repaired and brought home: then all is there, everywhere.
    fn settle(&mut self, dice: &mut Dice) {
        for _ in 0..3 {
            for _ in 0..8 {
                self.come_back(dice);
            }
            if self.open(dice).is_in_transition() {
                self.relayout(dice);
            }
            self.repair(dice);
        }
        let store = self.open(dice);
        if store.is_in_transition() {
            self.fail("the change of the layout never ends");
        }
        let scope = Scope {
            level: Level::Deep,
            ..Scope::default()
        };
        let survey = survey(&store, &scope, &Task::new()).unwrap();
        for artifact in &survey.artifacts {
            if artifact.state != ArtifactState::Ok {
                self.fail(&format!(
                    "{} is {:?}: {artifact:#?}",
                    artifact.name, artifact.state
                ));
            }
        }
        for (name, artifact) in &self.artifacts {
            let held: BTreeSet<usize> = self.versions(&store, name).into_values().collect();
            if let Some(lost) = artifact
                .earlier
                .iter()
                .find(|number| !held.contains(number) && artifact.current != Some(**number))
            {
                self.fail(&format!(
                    "content {lost} of {name} is in no history: {held:?}"
                ));
            }
        }
    }

    fn step(&mut self, dice: &mut Dice) {
        match dice.roll(16) {
            0..=4 => self.put(dice),
            5 => self.remove(dice),
            6 => self.restore(dice),
            7..=9 => self.harm(dice),
            10 | 11 => self.come_back(dice),
            12 => self.write_outside(dice),
            13 | 14 => self.repair(dice),
            _ => self.relayout(dice),
        }
    }
}

#[test]
fn whatever_happens_to_one_replica_of_each_partition_nothing_acknowledged_is_lost() {
    let sequences = std::env::var("MAIFDECK_SEQUENCES").map_or(1_000, |n| n.parse().unwrap());
    let only: Option<u64> = std::env::var("MAIFDECK_SEED")
        .ok()
        .map(|n| n.parse().unwrap());
    let contents = Contents::new();
    let next = AtomicU64::new(1);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed > sequences {
                            return;
                        }
                        if only.is_none_or(|only| only == seed) {
                            sequence(&contents, seed);
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

fn sequence(contents: &Contents, seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut world = World::new(contents, &mut dice);
    world.log.push(format!("seed {seed}"));
    for _ in 0..STEPS {
        world.step(&mut dice);
        world.check(&mut dice);
    }
    world.settle(&mut dice);
    world.check(&mut dice);
}
