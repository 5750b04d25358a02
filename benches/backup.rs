//! Backup and restore beside `cp -a`, `rsync -a --link-dest` and `restic`, where installed, in the
//! same run: `cargo bench --bench backup`.
//!
//! Two stores of one volume, of many small and of few large artifacts; each task by each tool in
//! turn, the order rotated from round to round. The sources are in the page cache for everybody,
//! and everything is synced before a clock starts. maifdeck's figures include making durable and
//! verifying; `cp` and `rsync` do neither, so beside each there is the same with `sync -f` after
//! it. Every measured run is a process of its own; figures are medians of wall-clock seconds.
//!
//! `MAIFDECK_BENCH_SMALL` and `MAIFDECK_BENCH_LARGE` are the numbers of artifacts (default 5,000
//! and 4; with `MAIFDECK_BENCH_FULL=1` 50,000 and 40), `MAIFDECK_BENCH_ROUNDS` that of rounds
//! (default 3). Everything is below `$TMPDIR`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use maifdeck::{
    apply, backup,
    clock::SystemClock,
    plan::RestoreMode,
    planner,
    progress::Task,
    store::{
        Access, Config, Store,
        commit::{Condition, PutRequest},
        prepare::{Input, Prepared, prepare},
        setup,
    },
    volume::ArtifactName,
};

const CHILD: &str = "MAIFDECK_BENCH_CHILD";

fn main() {
    if let Some(task) = env::var_os(CHILD) {
        return child(task.to_str().unwrap());
    }
    let full = env::var_os("MAIFDECK_BENCH_FULL").is_some();
    let number =
        |name: &str, default: usize| env::var(name).map_or(default, |text| text.parse().unwrap());
    let small = number("MAIFDECK_BENCH_SMALL", if full { 50_000 } else { 5_000 });
    let large = number("MAIFDECK_BENCH_LARGE", if full { 40 } else { 4 });
    let rounds = number("MAIFDECK_BENCH_ROUNDS", 3);
    for tool in ["rsync", "restic"] {
        if !installed(tool) {
            println!("{tool}: not installed");
        }
    }
    if small > 0 {
        bench(small, 3_000, rounds);
    }
    if large > 0 {
        bench(large, 64 << 20, rounds);
    }
}

/// Seconds by task and tool.
type Times = BTreeMap<(&'static str, &'static str), Vec<f64>>;
/// The most memory that the engine took for a task, in kB.
type Peaks = BTreeMap<&'static str, u64>;

#[derive(Clone, Copy, PartialEq)]
enum Tool {
    Maifdeck,
    Cp,
    CpSync,
    Rsync,
    RsyncSync,
    Restic,
}

impl Tool {
    const ALL: [Self; 6] = [
        Self::Maifdeck,
        Self::Cp,
        Self::CpSync,
        Self::Rsync,
        Self::RsyncSync,
        Self::Restic,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Maifdeck => "maifdeck",
            Self::Cp => "cp -a",
            Self::CpSync => "cp -a, sync -f",
            Self::Rsync => "rsync",
            Self::RsyncSync => "rsync, sync -f",
            Self::Restic => "restic",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Self::Maifdeck | Self::Cp | Self::CpSync => true,
            Self::Rsync | Self::RsyncSync => installed("rsync"),
            Self::Restic => installed("restic"),
        }
    }
}

fn bench(count: usize, size: usize, rounds: usize) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let store = store(root);
    let names: Vec<ArtifactName> = (0..count)
        .map(|n| ArtifactName::new(&format!("artifact-{n:06}")).unwrap())
        .collect();
    put(&store, &names, size, 0);
    let bytes: u64 = names
        .iter()
        .map(|name| {
            fs::metadata(root.join("a").join(name.file_name()))
                .unwrap()
                .len()
        })
        .sum();
    println!(
        "\n{count} artifacts, {} MiB together, {rounds} rounds",
        bytes >> 20
    );
    let tools: Vec<Tool> = Tool::ALL
        .into_iter()
        .filter(|tool| tool.is_there())
        .collect();
    let mut times = Times::new();
    let mut peaks = Peaks::new();
    for round in 0..rounds {
        let mut run = Round {
            root,
            at: root.join(format!("round-{round}")),
            times: &mut times,
            peaks: &mut peaks,
        };
        fs::create_dir(&run.at).unwrap();
        let _ = fs::remove_dir_all(root.join("backups"));
        let rotated = || tools.iter().cycle().skip(round).take(tools.len()).copied();
        for tool in rotated() {
            run.back_up(tool, "first", 1);
        }
        for tool in rotated() {
            run.back_up(tool, "unchanged", 2);
        }
        // One in a hundred, at least one.
        let few = count.div_ceil(100);
        put(&store, names.get(..few).unwrap(), size, round + 1);
        for tool in rotated() {
            run.back_up(tool, "1 % changed", 3);
        }
        for tool in rotated() {
            run.restore(tool);
        }
        run.restore_store();
        fs::remove_dir_all(&run.at).unwrap();
    }
    show(&times, &peaks, count);
}

struct Round<'a> {
    root: &'a Path,
    /// Where the other tools keep their backups.
    at: PathBuf,
    times: &'a mut Times,
    peaks: &'a mut Peaks,
}

impl Round<'_> {
    fn back_up(&mut self, tool: Tool, task: &'static str, number: usize) {
        let source = self.root.join("a");
        let dir = |what: &str, number: usize| self.at.join(format!("{what}-{number}"));
        let commands = match tool {
            Tool::Maifdeck => vec![self.own("backup")],
            // It has no notion of "unchanged".
            Tool::Cp | Tool::CpSync if number > 1 => return,
            Tool::Cp => vec![cp(&source, &dir("cp", number))],
            Tool::CpSync => {
                let to = dir("cp-sync", number);
                vec![cp(&source, &to), sync(&self.at)]
            }
            Tool::Rsync | Tool::RsyncSync => {
                let what = tool.word().replace(", ", "-").replace(' ', "");
                let to = dir(&what, number);
                let base = dir(&what, number - 1);
                let copy = rsync(&source, &to, (number > 1).then_some(&*base));
                if tool == Tool::Rsync {
                    vec![copy]
                } else {
                    vec![copy, sync(&self.at)]
                }
            }
            Tool::Restic => {
                if number == 1 {
                    run(&mut self.restic(&["init"]));
                }
                let mut backup = self.restic(&["backup", "."]);
                backup.current_dir(&source);
                vec![backup]
            }
        };
        self.timed(task, tool.word(), commands);
    }

    fn restore(&mut self, tool: Tool) {
        let to = self.at.join("restored");
        let source = self.at.join("rsync-3");
        let source = if source.exists() {
            source
        } else {
            self.root.join("a")
        };
        let commands = match tool {
            Tool::Maifdeck => vec![self.own("extract")],
            Tool::Cp => vec![cp(&source, &to)],
            Tool::CpSync => vec![cp(&source, &to), sync(&self.at)],
            Tool::Rsync => vec![rsync(&source, &to, None)],
            Tool::RsyncSync => vec![rsync(&source, &to, None), sync(&self.at)],
            Tool::Restic => {
                let to = to.to_str().unwrap();
                vec![self.restic(&["restore", "latest", "--target", to])]
            }
        };
        self.timed("restore --to", tool.word(), commands);
        let _ = fs::remove_dir_all(&to);
    }

    /// Into the store itself, from which everything was lost: planned, journalled, each artifact a
    /// commit, read back.
    fn restore_store(&mut self) {
        let (volume, lost) = (self.root.join("a"), self.at.join("lost"));
        fs::create_dir(&lost).unwrap();
        for entry in fs::read_dir(&volume).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "maif") || path.ends_with("versions") {
                fs::rename(&path, lost.join(path.file_name().unwrap())).unwrap();
            }
        }
        let own = self.own("restore");
        self.timed("restore into the store", "maifdeck", vec![own]);
    }

    /// This program, doing one thing.
    fn own(&self, task: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(CHILD, task).current_dir(self.root);
        command.env("MAIFDECK_BENCH_TO", self.at.join("restored"));
        command
    }

    fn restic(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command
            .args(["--quiet", "--repo"])
            .arg(self.at.join("restic"))
            .arg("--cache-dir")
            .arg(self.at.join("restic-cache"))
            .args(arguments)
            .env("RESTIC_PASSWORD", "x");
        command
    }

    fn timed(&mut self, task: &'static str, tool: &'static str, commands: Vec<Command>) {
        run(&mut Command::new("sync"));
        let began = Instant::now();
        for mut command in commands {
            let output = run(&mut command);
            if let Ok(peak) = output.trim().parse::<u64>() {
                let most = self.peaks.entry(task).or_default();
                *most = peak.max(*most);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        self.times.entry((task, tool)).or_default().push(seconds);
    }
}

fn show(times: &Times, peaks: &Peaks, count: usize) {
    let median = |task: &'static str, tool: &'static str| -> Option<f64> {
        let mut times = times.get(&(task, tool))?.clone();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    };
    let tasks = [
        "first",
        "unchanged",
        "1 % changed",
        "restore --to",
        "restore into the store",
    ];
    for task in tasks {
        println!("{task}");
        for tool in Tool::ALL.map(Tool::word) {
            if let Some(seconds) = median(task, tool) {
                println!("  {seconds:8.3} s  {tool}");
            }
        }
    }
    let ratio = |words: &str, task, aim: f64, others: &[&'static str]| {
        let own = median(task, "maifdeck");
        let other = others
            .iter()
            .filter_map(|other| Some((median(task, other)?, *other)))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        if let (Some(own), Some((other, name))) = (own, other) {
            println!("  {words}: {:.2} × {name} (aim {aim})", own / other);
        }
    };
    println!("aims");
    ratio("first", "first", 0.6, &["cp -a", "rsync", "restic"]);
    let durable = ["cp -a, sync -f", "rsync, sync -f", "restic"];
    ratio("first, durable as well", "first", 0.6, &durable);
    ratio("unchanged", "unchanged", 0.5, &["rsync"]);
    ratio(
        "unchanged, durable as well",
        "unchanged",
        0.5,
        &["rsync, sync -f"],
    );
    ratio("restore", "restore --to", 0.8, &["cp -a"]);
    ratio(
        "restore, durable as well",
        "restore --to",
        0.8,
        &["cp -a, sync -f"],
    );
    let allowed = (200 * count as u64 + (64 << 20)) >> 10;
    for (task, peak) in peaks {
        println!("  memory, {task}: {peak} kB (aim {allowed} kB)");
    }
}

/// One measured run of the engine; prints the peak of its memory in kB.
fn child(task: &str) {
    let store = open(Path::new("."));
    match task {
        "backup" => {
            let report = backup::create(&store, store.clock(), &Task::new()).unwrap();
            assert!(report.skipped.is_empty());
        }
        "extract" => {
            let id = planner::find(&store, "latest").unwrap().id;
            let directory = &planner::configured(&store).unwrap().directory;
            let to = PathBuf::from(env::var_os("MAIFDECK_BENCH_TO").unwrap());
            let report = backup::extract(directory, id, &[], &to, &Task::new()).unwrap();
            assert!(report.damaged.is_empty() && report.missing.is_empty());
        }
        _ => {
            let mode = RestoreMode::Exact;
            let plan = planner::backup(&store, "latest", Vec::new(), mode, 100).unwrap();
            let job = apply::apply(&store, &Arc::new(plan), &Task::new()).unwrap();
            assert_eq!(job.steps_failed, 0, "{:?}", job.errors);
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let digits = line.map(|line| {
        line.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    });
    println!("{}", digits.unwrap_or_default());
}

fn config(root: &Path) -> Config {
    let text =
        "[[partition]]\nname = \"p1\"\nreplicas = [\"a\"]\n[backup]\ndirectory = \"backups\"\n";
    let root = std::path::absolute(root).unwrap();
    Config::parse(text, &root.join("maifdeck.toml"), &root).unwrap()
}

fn open(root: &Path) -> Store {
    Store::open(Arc::new(config(root)), SystemClock::shared(), Access::Write)
}

fn store(root: &Path) -> Store {
    setup::mark_all(&config(root), &SystemClock::shared()).unwrap();
    open(root)
}

fn put(store: &Store, names: &[ArtifactName], size: usize, seed: usize) {
    for (batch, names) in names.chunks(64).enumerate() {
        let prepared: Vec<Prepared> = (0..names.len())
            .map(|n| made(store, size, (seed << 32) + batch * 64 + n))
            .collect();
        let requests = names
            .iter()
            .zip(&prepared)
            .map(|(name, prepared)| PutRequest {
                name,
                source: prepared.file.path(),
                sha256: prepared.sha256,
                condition: Condition::Always,
                guard: &|_| Ok(()),
            })
            .collect();
        for result in store.put_all(requests) {
            result.unwrap();
        }
    }
}

/// An artifact of about this size that nothing compresses.
fn made(store: &Store, size: usize, seed: usize) -> Prepared {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let text: String = (0..size.saturating_sub(1_000).max(16))
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'0' + (state % 75) as u8)
        })
        .collect();
    let texts = [text];
    let sign = &store.config().sign;
    prepare(Input::Texts(&texts), sign, store.clock().as_ref()).unwrap()
}

fn cp(from: &Path, to: &Path) -> Command {
    let mut command = Command::new("cp");
    command.arg("-a").arg(from).arg(to);
    command
}

fn rsync(from: &Path, to: &Path, base: Option<&Path>) -> Command {
    let mut command = Command::new("rsync");
    command.arg("-a");
    if let Some(base) = base {
        command.arg(format!("--link-dest={}", base.display()));
    }
    command.arg(format!("{}/", from.display())).arg(to);
    command
}

/// Makes everything on the file system durable.
fn sync(at: &Path) -> Command {
    let mut command = Command::new("sync");
    command.arg("-f").arg(at);
    command
}

fn installed(tool: &str) -> bool {
    let mut command = Command::new(tool);
    let version = if tool == "restic" {
        "version"
    } else {
        "--version"
    };
    command
        .arg(version)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
