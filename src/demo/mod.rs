//! The playground: a store that looks like one that agents have written to for weeks, with one
//! fault of each kind planted in it.
//!
//! Everything but the faults is made through the engine, with a clock from outside, so the
//! playground is also a test of it.

mod content;
mod faults;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, Duration, Utc};

pub use faults::Planted;

use crate::{
    backup,
    clock::ManualClock,
    maif::Digest,
    progress::Task,
    store::{
        Access, Config, Store, StoreError,
        commit::{Condition, PutRequest},
        config, setup,
    },
    volume::{ArtifactName, At},
};

/// Partitions and replicas.
const GRID: (usize, usize) = (4, 3);
/// Threads that save: what they wait for is the disk.
const SAVERS: usize = 8;

/// What its configuration begins with. How full the host's disk is is none of the planted faults,
/// and mending them shall work there all the same.
const CONFIGURATION: &str = r#"# A playground made by `maifdeck demo`.

[store]
name = "demo"
volume_timeout = "2s"
warn_fill = 100
max_fill = 100
"#;

/// What to build.
#[derive(Debug, Clone)]
pub struct Demo {
    pub directory: PathBuf,
    pub artifacts: u32,
    pub seed: u64,
}

impl Demo {
    /// What is built unless more is asked for.
    pub const ARTIFACTS: u32 = 120;
    pub const SEED: u64 = 1;
}

/// What was built.
#[derive(Debug)]
pub struct Built {
    pub config: PathBuf,
    pub artifacts: u64,
    pub saves: u64,
    pub planted: Vec<Planted>,
}

/// Builds the playground in an empty or new directory. History ends at `now`.
pub fn build(demo: &Demo, now: DateTime<Utc>) -> Result<Built, StoreError> {
    fs::create_dir_all(&demo.directory).at("create", &demo.directory)?;
    let occupied = fs::read_dir(&demo.directory)
        .at("list", &demo.directory)?
        .next()
        .is_some();
    if occupied {
        return Err(StoreError::Usage(format!(
            "{} is not empty; a playground needs a directory of its own",
            demo.directory.display()
        )));
    }
    let directory = std::path::absolute(&demo.directory).at("find", &demo.directory)?;
    let file = directory.join(config::FILE);
    let text = configuration(&directory)?;
    let config = Config::parse(&text, &file, &directory)?;
    let begin = ManualClock::at(now - Duration::weeks(6));
    setup::mark_all(&config, &begin.shared())?;
    fs::write(&file, &text).at("write", &file)?;
    let config = Arc::new(config);
    let plans = content::plan(demo.artifacts, demo.seed, now);
    let mut saves = 0;
    let mut since = DateTime::<Utc>::UNIX_EPOCH;
    // Backups happen between the saves, as they do in life.
    for days_ago in [21, 7, 1] {
        let until = now - Duration::days(days_ago);
        saves += save_all(&config, &plans, since, until)?;
        back_up(&config, until, days_ago == 7)?;
        since = until;
    }
    saves += save_all(&config, &plans, since, now)?;
    let store = Store::open(Arc::clone(&config), begin.shared(), Access::Write);
    let planted = faults::plant(&store, &plans, now)?;
    Ok(Built {
        config: file,
        artifacts: plans.len() as u64,
        saves,
        planted,
    })
}

fn configuration(directory: &Path) -> Result<String, StoreError> {
    use std::fmt::Write as _;
    let quote = |path: PathBuf| -> Result<String, StoreError> {
        path.to_str()
            .map(|text| toml::Value::String(text.to_owned()).to_string())
            .ok_or_else(|| {
                StoreError::Usage("a playground needs a directory whose name is UTF-8".to_owned())
            })
    };
    let mut text = CONFIGURATION.to_owned();
    for partition in 1..=GRID.0 {
        let replicas: Vec<String> = (b'a'..)
            .take(GRID.1)
            .map(|disk| {
                let disk = format!("disk-{}", char::from(disk));
                quote(directory.join(disk).join(format!("p{partition}")))
            })
            .collect::<Result<_, _>>()?;
        let _ = write!(
            text,
            "\n[[partition]]\nname = \"p{partition}\"\nreplicas = [{}]\n",
            replicas.join(", ")
        );
    }
    let _ = write!(
        text,
        "\n[backup]\ndirectory = {}\n",
        quote(directory.join("backups"))?
    );
    Ok(text)
}

/// Saves every artifact's history, oldest first, several artifacts at a time.
fn save_all(
    config: &Arc<Config>,
    plans: &[content::ArtifactPlan],
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let share = plans.len().div_ceil(SAVERS).max(1);
    std::thread::scope(|scope| {
        let savers: Vec<_> = plans
            .chunks(share)
            .map(|plans| scope.spawn(move || save_some(config, plans, since, until)))
            .collect();
        let mut total = 0;
        for saver in savers {
            total += saver
                .join()
                .map_err(|_| StoreError::Failed("a saving thread failed".to_owned()))??;
        }
        Ok(total)
    })
}

fn save_some(
    config: &Arc<Config>,
    plans: &[content::ArtifactPlan],
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let mut saves = 0;
    for plan in plans {
        for (revision, at) in plan.saved_at.iter().enumerate() {
            if *at <= since || *at > until {
                continue;
            }
            let clock = ManualClock::at(*at);
            let store = Store::open(Arc::clone(config), clock.shared(), Access::Write);
            let (file, sha256) = plan.write(revision, *at)?;
            save(&store, &plan.name, file.path(), sha256, *at)?;
            saves += 1;
        }
    }
    Ok(saves)
}

fn back_up(config: &Arc<Config>, at: DateTime<Utc>, verify: bool) -> Result<(), StoreError> {
    let clock = ManualClock::at(at).shared();
    let store = Store::open(Arc::clone(config), clock.clone(), Access::Write);
    let report = backup::create(&store, &clock, &Task::new())?;
    if verify && let Some(backups) = &config.backup {
        backup::verify(&backups.directory, report.id, false, &clock, &Task::new())?;
    }
    Ok(())
}

/// Saves through the engine, then sets the file's time to the moment it pretends to be.
fn save(
    store: &Store,
    name: &ArtifactName,
    file: &Path,
    sha256: Digest,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    store.put(PutRequest {
        name,
        source: file,
        sha256,
        condition: Condition::Always,
        guard: &|_| Ok(()),
    })?;
    for slot in store.replicas(store.home(name)) {
        let path = slot.volume.path().join(name.file_name());
        set_time(&path, at)?;
    }
    Ok(())
}

fn set_time(path: &Path, at: DateTime<Utc>) -> Result<(), StoreError> {
    fs::File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(at.into()))
        .at("set the time of", path)?;
    Ok(())
}
