//! How long the engine takes for a store of many small artifacts, beside `cp -a` and `rsync` in
//! the same run: `cargo bench --bench store -- [ARTIFACTS]` (default 5,000 on 1×3 volumes).
//!
//! Everything runs on real files below `$TMPDIR`; figures are wall-clock seconds of one run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
};

use maifdeck::{
    apply, backup,
    clock::SystemClock,
    plan::{Plan, RestoreMode},
    planner,
    progress::Task,
    store::{
        Access, Config, Store,
        commit::{Condition, PutRequest},
        lease::Keeper,
        prepare::{Input, Prepared, prepare},
        setup,
    },
    survey::{self, Scope, Survey},
    volume::{ArtifactName, Level},
};

fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(5_000);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let store = store(root);
    let names: Vec<ArtifactName> = (0..count)
        .map(|n| ArtifactName::new(&format!("artifact-{n:06}")).unwrap())
        .collect();
    println!("{count} artifacts of about 3 kB on 1×3 volumes");
    timed("make, sign and put, in batches", || put(&store, &names, 0));
    one_by_one(&store, &names);
    leases(root);

    let quick = timed("survey, quick", || look(&store, Level::Quick, None));
    timed("survey again, nothing changed", || {
        look(&store, Level::Quick, Some(&quick))
    });
    timed("survey, deep", || look(&store, Level::Deep, None));

    timed("backup, first", || back_up(&store));
    std::thread::sleep(std::time::Duration::from_secs(1));
    timed("backup, unchanged", || back_up(&store));
    put(&store, names.get(..count / 100).unwrap(), 1);
    timed("backup, 1 % changed", || back_up(&store));
    let volume = root.join("a");
    timed("cp -a of one volume", || {
        run(Command::new("cp")
            .arg("-a")
            .arg(&volume)
            .arg(root.join("cp")));
    });
    if Command::new("rsync").arg("--version").output().is_ok() {
        let rsync = |to: &str, base: &str| {
            let base = format!("--link-dest={}", root.join(base).display());
            run(Command::new("rsync")
                .args(["-a", &base])
                .arg(format!("{}/", volume.display()))
                .arg(root.join(to)));
        };
        timed("rsync -a, first", || rsync("rsync-1", "none"));
        timed("rsync -a --link-dest, unchanged", || {
            rsync("rsync-2", "rsync-1");
        });
    }

    lose(&root.join("b"));
    let plan = timed("plan the repair of a lost replica", || {
        planner::repair(&store, Level::Quick, planner::Repair::default()).unwrap()
    });
    timed("repair a lost replica", || run_plan(&store, plan));
    for volume in ["a", "b", "c"] {
        lose(&root.join(volume));
    }
    let restore = RestoreMode::Exact;
    let plan = timed("plan a restore of everything", || {
        planner::backup(&store, "latest", Vec::new(), restore, 100).unwrap()
    });
    timed("restore everything, to three volumes", || {
        run_plan(&store, plan);
    });
    println!("peak memory of this process: {}", peak());
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    println!("{:8.2} s  {what}", began.elapsed().as_secs_f64());
    result
}

fn store(root: &Path) -> Store {
    store_with(root, false)
}

fn store_with(root: &Path, leases: bool) -> Store {
    let text = format!(
        "[leader]\nenabled = {leases}\n[[partition]]\nname = \"p1\"\nreplicas = [\"a\", \"b\", \"c\"]\n[backup]\ndirectory = \"backups\"\n"
    );
    let config = Config::parse(&text, &root.join("maifdeck.toml"), root).unwrap();
    let clock = SystemClock::shared();
    setup::mark_all(&config, &clock).unwrap();
    Store::open(Arc::new(config), clock, Access::Write)
}

fn made(store: &Store, count: usize, first: usize) -> Vec<Prepared> {
    (first..first + count)
        .map(|n| {
            let texts = [format!("{n} {}", "lorem ipsum ".repeat(100))];
            let sign = &store.config().sign;
            prepare(Input::Texts(&texts), sign, store.clock().as_ref()).unwrap()
        })
        .collect()
}

/// Made a batch at a time: each prepared artifact holds a file open.
fn put(store: &Store, names: &[ArtifactName], seed: usize) {
    for (batch, names) in names.chunks(64).enumerate() {
        let prepared = made(store, names.len(), (seed << 32) + batch * 64);
        let requests = names
            .iter()
            .zip(&prepared)
            .map(|(name, prepared)| request(name, prepared))
            .collect();
        for result in store.put_all(requests) {
            result.unwrap();
        }
    }
}

fn request<'a>(name: &'a ArtifactName, prepared: &'a Prepared) -> PutRequest<'a> {
    PutRequest {
        name,
        source: prepared.file.path(),
        sha256: prepared.sha256,
        condition: Condition::Always,
        guard: &|_| Ok(()),
    }
}

fn one_by_one(store: &Store, names: &[ArtifactName]) {
    let few = names.len().min(50);
    let prepared = made(store, few, 2 << 32);
    timed("50 puts, one by one", || {
        for (name, prepared) in names.iter().zip(&prepared) {
            store.put(request(name, prepared)).unwrap();
        }
    });
}

/// What leases cost one change: under a lease that is held, and when each takes its own. Median of
/// many, in turns, so that the disk's moods meet all alike.
fn leases(root: &Path) {
    let [without, held, own] = ["without", "held", "own"].map(|name| {
        let root = root.join(name);
        fs::create_dir(&root).unwrap();
        store_with(&root, name != "without")
    });
    let keeper = Keeper::open(&held, true);
    while !keeper.status().mine {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let mut took = [Vec::new(), Vec::new(), Vec::new()];
    for n in 0..300 {
        let name = ArtifactName::new(&format!("artifact-{n}")).unwrap();
        let prepared = made(&without, 1, n);
        let prepared = prepared.first().unwrap();
        for (store, took) in [&without, &held, &own].into_iter().zip(&mut took) {
            let began = Instant::now();
            store.put(request(&name, prepared)).unwrap();
            took.push(began.elapsed());
        }
    }
    let [without, held, own] = took.map(|mut took| {
        took.sort();
        took.get(took.len() / 2).unwrap().as_secs_f64() * 1000.0
    });
    println!(
        "{without:8.2} ms  a put without leases; {held:.2} ms ({:.2} ×) under a held one, \
         {own:.2} ms ({:.2} ×) with one of its own",
        held / without,
        own / without
    );
}

fn look(store: &Store, level: Level, previous: Option<&Survey>) -> Survey {
    let scope = Scope {
        level,
        ..Scope::default()
    };
    let survey = survey::survey_again(store, &scope, previous, &Task::new()).unwrap();
    assert!(
        survey
            .artifacts
            .iter()
            .all(|a| a.state == survey::ArtifactState::Ok)
    );
    survey
}

fn back_up(store: &Store) {
    let report = backup::create(store, store.clock(), &Task::new()).unwrap();
    assert!(report.skipped.is_empty());
}

fn run_plan(store: &Store, plan: Plan) {
    let job = apply::apply(store, &Arc::new(plan), &Task::new()).unwrap();
    assert_eq!(job.steps_failed, 0, "{:?}", job.errors);
}

/// Takes all artifacts of a volume out of the store. Renamed, not deleted: after many deletions
/// some file systems are slow to create files, whoever creates them.
fn lose(volume: &Path) {
    let to = volume.with_extension(format!("{:?}", Instant::now()));
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(volume).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name == "versions" || path.extension().is_some_and(|e| e == "maif") {
            fs::rename(&path, to.join(name)).unwrap();
        }
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success());
}

fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("unknown").to_owned()
}
