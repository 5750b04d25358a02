//! A backup holds what was right, says what it could not take in, and proves what it holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt::Write,
    fs::{self, File},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use chrono::{TimeZone, Utc};
use maifdeck::{
    backup::{self, BackupReport, BackupState, BackupView},
    clock::{Clock, ManualClock, SharedClock},
    maif::{Agent, BlockType, Digest, NewBlock, SigningKey, Sources, json, uuid4, write},
    progress::Task,
    store::{
        Access, Config, Store, StoreError,
        commit::{Condition, PutRequest},
        setup,
    },
    volume::{ArtifactName, dir::rename_new},
};
use sha2::{Digest as _, Sha256};

struct Fixture {
    dir: tempfile::TempDir,
    clock: ManualClock,
    store: Store,
}

impl Fixture {
    /// A store of `partitions` × `replicas`.
    fn new(partitions: usize, replicas: usize) -> Self {
        Self::below(tempfile::tempdir().unwrap(), partitions, replicas)
    }

    fn below(dir: tempfile::TempDir, partitions: usize, replicas: usize) -> Self {
        let mut text = "[backup]\ndirectory = \"backups\"\n".to_owned();
        for p in 1..=partitions {
            let paths: Vec<_> = (1..=replicas).map(|r| format!("\"v/p{p}.{r}\"")).collect();
            let paths = paths.join(", ");
            writeln!(text, "[[partition]]\nname = \"p{p}\"\nreplicas = [{paths}]").unwrap();
        }
        let config = Config::parse(&text, Path::new("maifdeck.toml"), dir.path()).unwrap();
        let clock = ManualClock::at(Utc.with_ymd_and_hms(2026, 3, 11, 9, 15, 0).unwrap());
        setup::mark_all(&config, &clock.shared()).unwrap();
        let store = Store::open(Arc::new(config), clock.shared(), Access::Write);
        Self { dir, clock, store }
    }

    fn clock(&self) -> SharedClock {
        self.clock.shared()
    }

    fn volume(&self, label: &str) -> PathBuf {
        self.dir.path().join("v").join(label)
    }

    fn backups(&self) -> PathBuf {
        self.dir.path().join("backups")
    }

    fn later(&self) {
        self.clock.advance(chrono::Duration::minutes(1));
    }

    fn put(&self, name: &str, text: &str) {
        let source = self.dir.path().join("source.maif");
        artifact(&source, text);
        let sha256 = digest(&source);
        let name = ArtifactName::new(name).unwrap();
        self.store
            .put(PutRequest {
                name: &name,
                source: &source,
                sha256,
                condition: Condition::Always,
                guard: &|_| Ok(()),
            })
            .unwrap();
        self.later();
    }

    fn try_create(&self) -> Result<BackupReport, StoreError> {
        backup::create(&self.store, &self.clock(), &Task::new())
    }

    fn create(&self) -> BackupReport {
        let report = self.try_create().unwrap();
        self.later();
        report
    }

    fn root(&self, report: &BackupReport) -> PathBuf {
        self.backups().join(report.id.directory())
    }

    fn verify(&self, report: &BackupReport, quick: bool) -> backup::VerifyReport {
        backup::verify(
            &self.backups(),
            report.id,
            quick,
            &self.clock(),
            &Task::new(),
        )
        .unwrap()
    }

    fn list(&self) -> Vec<BackupView> {
        backup::list(&self.backups()).unwrap()
    }
}

fn artifact(path: &Path, text: &str) {
    let out = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap();
    let mut now = 1_700_000_000_000_000;
    write(
        &out,
        &Agent::new("tester"),
        &SigningKey::from_seed(&[7; 32]),
        &mut [NewBlock {
            kind: BlockType::TEXT,
            data: &mut text.as_bytes(),
            size: None,
            metadata: json::Value::Object(Vec::new()),
        }],
        &mut Sources {
            clock: &mut || {
                now += 1;
                now
            },
            ids: &mut || uuid4([3; 16]),
        },
    )
    .unwrap();
}

fn digest(path: &Path) -> Digest {
    Digest(Sha256::digest(fs::read(path).unwrap()).into())
}

fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn sha256sum_check(root: &Path) -> bool {
    let output = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", ".maifdeck/SHA256SUMS"])
        .current_dir(root)
        .output()
        .unwrap();
    output.status.success()
}

/// Every file below, relative, without what is ours.
fn tree(root: &Path) -> Vec<String> {
    let mut files: Vec<String> = walkdir::WalkDir::new(root)
        .into_iter()
        .filter_entry(|e| e.file_name() != ".maifdeck")
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file())
        .map(|e| {
            let path = e.path().strip_prefix(root).unwrap();
            path.to_string_lossy().into_owned()
        })
        .collect();
    files.sort();
    files
}

#[test]
fn sha256sum_passes_whatever_the_names_are() {
    let store = Fixture::new(1, 2);
    let names = [
        "plain",
        "with space",
        "new\nline",
        "back\\slash",
        "\\n",
        "carriage\rreturn",
        "مرحبا",
        "📦🦀",
        "-",
        "trailing ",
    ];
    for (number, name) in names.iter().enumerate() {
        for volume in ["p1.1", "p1.2"] {
            let path = store.volume(volume).join(format!("{name}.maif"));
            artifact(&path, &format!("text {number}"));
        }
    }
    let odd = std::os::unix::ffi::OsStrExt::from_bytes(b"not-utf8-\xff.maif");
    for volume in ["p1.1", "p1.2"] {
        let odd: &std::ffi::OsStr = odd;
        artifact(&store.volume(volume).join(odd), "odd");
    }
    let report = store.create();
    assert_eq!(report.state, BackupState::Complete);
    assert_eq!(report.artifacts, names.len() as u64 + 1);
    assert!(sha256sum_check(&store.root(&report)));
    // What coreutils would have written itself, up to the carriage return.
    let sums = fs::read(store.root(&report).join(".maifdeck/SHA256SUMS")).unwrap();
    let needle = b"\\\\n.maif\n";
    assert!(sums.windows(needle.len()).any(|w| w == needle));
    let verified = store.verify(&report, false);
    assert!(verified.ok, "{verified:?}");
    assert_eq!(verified.checked, names.len() as u64 + 2);
    assert!(verified.extra.is_empty(), "{verified:?}");
}

#[test]
fn a_backup_holds_artifacts_once_and_their_histories_and_lies_flat() {
    let store = Fixture::new(1, 3);
    store.put("doc", "one");
    store.put("doc", "two");
    store.put("other", "x");
    let report = store.create();
    let root = store.root(&report);
    let files = tree(&root);
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.contains(&"doc.maif".to_owned()));
    assert!(files.iter().any(|f| f.starts_with("versions/doc_2026")));
    assert_eq!((report.artifacts, report.versions), (2, 1));
    assert_eq!(report.bytes, report.new_bytes);
    assert_eq!(
        fs::read(root.join("doc.maif")).unwrap(),
        fs::read(store.volume("p1.2").join("doc.maif")).unwrap()
    );
    // Never linked to a live volume, on which a sketch may save in place.
    for file in &files {
        assert_eq!(fs::metadata(root.join(file)).unwrap().nlink(), 1);
    }
}

#[test]
fn with_more_partitions_each_has_its_directory() {
    let store = Fixture::new(2, 1);
    for number in 0..8 {
        store.put(&format!("doc{number}"), "text");
    }
    let report = store.create();
    let files = tree(&store.root(&report));
    assert_eq!(files.len(), 8);
    for file in &files {
        let (partition, name) = file.split_once('/').unwrap();
        let source = store.volume(&format!("{partition}.1")).join(name);
        assert!(source.exists(), "{file}");
    }
    assert!(sha256sum_check(&store.root(&report)));
}

#[test]
fn what_did_not_change_is_linked_and_what_did_is_copied() {
    let store = Fixture::new(1, 2);
    store.put("same", "one");
    store.put("changes", "one");
    let first = store.create();
    let second = store.create();
    assert_eq!(second.new_bytes, 0);
    assert_eq!(second.bytes, first.bytes);
    let inode = |report: &BackupReport, name: &str| {
        fs::metadata(store.root(report).join(name)).unwrap().ino()
    };
    for name in ["same.maif", "changes.maif"] {
        assert_eq!(inode(&first, name), inode(&second, name));
    }
    store.put("changes", "two");
    let third = store.create();
    assert_eq!(inode(&second, "same.maif"), inode(&third, "same.maif"));
    assert_ne!(
        inode(&second, "changes.maif"),
        inode(&third, "changes.maif")
    );
    assert_eq!(third.versions, 1);
    assert!(third.new_bytes > 0 && third.new_bytes < third.bytes);
    for report in [&first, &second, &third] {
        assert!(store.verify(report, false).ok);
        assert!(sha256sum_check(&store.root(report)));
    }
}

/// Head and tail of a file that is not MAIF say little.
#[test]
fn files_that_are_not_maif_are_compared_by_digest() {
    let store = Fixture::new(1, 1);
    let path = store.volume("p1.1").join("table.maif");
    fs::write(&path, vec![b'x'; 4000]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let first = store.create();
    assert_eq!(first.state, BackupState::Complete);
    let kept = store.root(&first).join("table.maif");
    assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o777, 0o640);
    assert_eq!(store.create().new_bytes, 0);
    flip(&path, 2000);
    let third = store.create();
    assert_eq!(third.new_bytes, 4000);
    assert_eq!(
        digest(&store.root(&third).join("table.maif")),
        digest(&path)
    );
    assert!(store.verify(&third, false).ok);
}

#[test]
fn a_flipped_byte_in_a_backup_is_found_and_not_built_upon() {
    let store = Fixture::new(1, 1);
    store.put(
        "doc",
        "some text that is long enough to be hit in its middle",
    );
    store.put("other", "x");
    let report = store.create();
    let path = store.root(&report).join("doc.maif");
    let middle = fs::metadata(&path).unwrap().len() / 2;
    flip(&path, middle);
    // Size and footer are as they were.
    assert!(store.verify(&report, true).ok);
    assert_eq!(store.list()[0].state, BackupState::Complete);
    let found = store.verify(&report, false);
    assert!(!found.ok);
    assert_eq!(found.damaged, ["doc.maif"]);
    let view = &store.list()[0];
    assert_eq!(view.state, BackupState::Damaged);
    assert!(view.reason.is_some() && view.verified.is_some_and(|v| !v.ok));
    // A quick look does not take that back.
    store.verify(&report, true);
    assert_eq!(store.list()[0].state, BackupState::Damaged);
    let next = store.create();
    assert_eq!(next.new_bytes, next.bytes);
    assert!(store.verify(&next, false).ok);
}

#[test]
fn deleted_truncated_and_added_files_are_told_apart() {
    let store = Fixture::new(1, 1);
    for name in ["a", "b", "c"] {
        store.put(name, name);
    }
    let report = store.create();
    let root = store.root(&report);
    fs::remove_file(root.join("a.maif")).unwrap();
    let file = File::options()
        .write(true)
        .open(root.join("b.maif"))
        .unwrap();
    file.set_len(100).unwrap();
    fs::write(root.join("d.maif"), "x").unwrap();
    for quick in [true, false] {
        let found = store.verify(&report, quick);
        assert!(!found.ok);
        assert_eq!(found.missing, ["a.maif"]);
        assert_eq!(found.damaged, ["b.maif"]);
        assert_eq!(found.extra, ["d.maif"]);
    }
}

#[test]
fn damage_to_the_seal_is_found() {
    for (file, at) in [("backup.json", 300), ("SHA256SUMS", 5), ("SHA256SUMS", 70)] {
        let store = Fixture::new(1, 1);
        store.put("doc", "one");
        let report = store.create();
        let path = store.root(&report).join(".maifdeck").join(file);
        flip(&path, at);
        for quick in [true, false] {
            let found = store.verify(&report, quick);
            assert!(!found.ok, "{file} at {at}: {found:?}");
        }
    }
    let store = Fixture::new(1, 1);
    store.put("doc", "one");
    let report = store.create();
    let manifest = store.root(&report).join(".maifdeck/backup.json");
    let length = fs::metadata(&manifest).unwrap().len();
    let file = File::options().write(true).open(&manifest).unwrap();
    file.set_len(length - 1).unwrap();
    assert_eq!(store.list()[0].state, BackupState::Damaged);
    fs::remove_file(&manifest).unwrap();
    assert_eq!(store.list()[0].state, BackupState::Damaged);
    let found = store.verify(&report, false);
    assert_eq!(found.missing, [".maifdeck/backup.json"]);
}

#[test]
fn a_damaged_copy_is_never_taken_in_while_another_is_intact() {
    let store = Fixture::new(1, 3);
    store.put(
        "doc",
        "some text that is long enough to be hit in its middle",
    );
    let good = digest(&store.volume("p1.2").join("doc.maif"));
    let path = store.volume("p1.1").join("doc.maif");
    flip(&path, fs::metadata(&path).unwrap().len() / 2);
    let report = store.create();
    assert_eq!(report.state, BackupState::Complete);
    assert_eq!(digest(&store.root(&report).join("doc.maif")), good);
    for label in ["p1.2", "p1.3"] {
        let path = store.volume(label).join("doc.maif");
        flip(&path, fs::metadata(&path).unwrap().len() / 2);
    }
    // Unchanged by its footer: what the backup before has is still right.
    let linked = store.create();
    assert_eq!(linked.new_bytes, 0);
    assert_eq!(digest(&store.root(&linked).join("doc.maif")), good);
    fs::remove_dir_all(store.backups()).unwrap();
    let report = store.create();
    assert_eq!(report.state, BackupState::Partial);
    assert_eq!((report.artifacts, report.skipped.len()), (0, 1));
    assert!(!store.root(&report).join("doc.maif").exists());
}

#[test]
fn divergent_and_lost_artifacts_are_left_out_with_a_reason() {
    let store = Fixture::new(1, 2);
    store.put("fine", "text");
    for (volume, text) in [("p1.1", "one"), ("p1.2", "two")] {
        artifact(&store.volume(volume).join("torn-apart.maif"), text);
        fs::write(store.volume(volume).join("gone.maif"), "MAIF").unwrap();
        let path = store.volume(volume).join("gone.maif");
        artifact(&path, text);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(500).unwrap();
    }
    let report = store.create();
    assert_eq!(report.state, BackupState::Partial);
    assert_eq!(report.artifacts, 1);
    let mut skipped: Vec<String> = report.skipped.iter().map(ToString::to_string).collect();
    skipped.sort();
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    assert!(skipped[0].starts_with("gone: lost"), "{skipped:?}");
    assert!(
        skipped[1].starts_with("torn-apart: divergent"),
        "{skipped:?}"
    );
    let view = &store.list()[0];
    assert_eq!(view.state, BackupState::Partial);
    assert!(view.reason.as_ref().unwrap().contains("1 more"));
    assert!(store.verify(&report, false).ok);
}

#[test]
fn versions_that_only_one_volume_knows_are_kept_even_under_one_id() {
    let store = Fixture::new(1, 2);
    store.put("doc", "current");
    for (volume, text) in [("p1.1", "one"), ("p1.2", "two")] {
        let versions = store.volume(volume).join("versions");
        fs::create_dir_all(&versions).unwrap();
        artifact(&versions.join("doc_20250101_000000.maif"), text);
        artifact(&versions.join("gone_20250101_000000.maif"), "same");
    }
    artifact(
        &store
            .volume("p1.2")
            .join("versions/doc_20250101_000001.maif"),
        "three",
    );
    let report = store.create();
    assert_eq!(report.state, BackupState::Complete);
    assert_eq!(report.versions, 4);
    assert_eq!(
        tree(&store.root(&report)),
        [
            "doc.maif",
            "versions/doc_20250101_000000.001.maif",
            "versions/doc_20250101_000000.maif",
            "versions/doc_20250101_000001.maif",
            "versions/gone_20250101_000000.maif",
        ]
    );
    assert!(store.verify(&report, false).ok);
    assert_eq!(store.create().new_bytes, 0);
}

#[test]
fn removed_artifacts_stay_removed_and_keep_their_history() {
    let store = Fixture::new(1, 2);
    store.put("doc", "text");
    let name = ArtifactName::new("doc").unwrap();
    store.store.remove(&name, &|_| Ok(())).unwrap();
    let report = store.create();
    assert_eq!(report.state, BackupState::Complete);
    assert_eq!((report.artifacts, report.versions), (0, 1));
    let files = tree(&store.root(&report));
    assert!(files.iter().any(|f| f.ends_with(".removed")), "{files:?}");
    assert!(store.verify(&report, false).ok);
}

#[test]
fn the_next_backup_sweeps_what_a_dead_process_left() {
    let store = Fixture::new(1, 1);
    store.put("doc", "text");
    let staging = store.backups().join(".backup_20260101_000000.partial");
    fs::create_dir_all(staging.join("versions")).unwrap();
    fs::write(staging.join("doc.maif"), "half").unwrap();
    let entries = store
        .backups()
        .join(".backup_20260101_000000.partial.entries");
    fs::write(&entries, "{").unwrap();
    let view = &store.list()[0];
    assert_eq!(view.state, BackupState::Interrupted);
    store.create();
    assert!(!staging.exists() && !entries.exists());
    let left: Vec<_> = fs::read_dir(store.backups())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(store.list().len(), 1);
}

#[test]
fn staging_whose_lock_is_held_is_running_and_is_left_alone() {
    let store = Fixture::new(1, 1);
    store.put("doc", "text");
    let staging = store.backups().join(".backup_20260101_000000.partial");
    fs::create_dir_all(&staging).unwrap();
    let lock = File::create(store.backups().join(".backup_20260101_000000.partial.lock")).unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    assert_eq!(store.list()[0].state, BackupState::Running);
    store.create();
    assert!(staging.exists());
    drop(lock);
    assert_eq!(store.list()[0].state, BackupState::Interrupted);
}

#[test]
fn a_cancelled_backup_leaves_nothing() {
    let store = Fixture::new(1, 1);
    store.put("doc", "text");
    let task = Task::new();
    task.cancel();
    let result = backup::create(&store.store, &store.clock(), &task);
    assert!(matches!(result, Err(StoreError::Cancelled(_))));
    assert!(store.list().is_empty());
}

#[test]
fn cancelling_in_the_middle_of_the_copy_gives_the_room_back() {
    let store = Fixture::new(1, 1);
    for number in 0..300 {
        store.put(&format!("doc{number}"), "text");
    }
    let task = Task::new();
    let result = std::thread::scope(|scope| {
        let run = scope.spawn(|| backup::create(&store.store, &store.clock(), &task));
        while task.snapshot().items_done == 0 {
            std::thread::yield_now();
        }
        assert_eq!(task.snapshot().items_total, 300);
        task.cancel();
        run.join().unwrap()
    });
    assert!(matches!(result, Err(StoreError::Cancelled(_))));
    assert!(store.list().is_empty());
    assert_eq!(tree(&store.backups()), [".backups.lock"]);
}

/// A sketch saves in place: for moments there is half a file, or one that grows while it is read.
#[test]
fn a_file_that_is_written_in_place_meanwhile_is_taken_in_whole_or_not_at_all() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let store = Fixture::new(1, 1);
    let texts = ["a".repeat(3 << 20), "b".repeat(3 << 20)];
    let sources: Vec<Vec<u8>> = texts
        .iter()
        .map(|text| {
            let path = store.dir.path().join("source.maif");
            artifact(&path, text);
            fs::read(path).unwrap()
        })
        .collect();
    let path = store.volume("p1.1").join("doc.maif");
    fs::write(&path, &sources[0]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for source in sources.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                fs::write(&path, source).unwrap();
            }
        });
        for _ in 0..3 {
            let report = store.create();
            if report.artifacts == 1 {
                let kept = fs::read(store.root(&report).join("doc.maif")).unwrap();
                assert!(sources.contains(&kept));
            } else {
                assert_eq!(report.state, BackupState::Partial);
            }
            assert!(store.verify(&report, false).ok);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let report = store.create();
    assert_eq!((report.state, report.artifacts), (BackupState::Complete, 1));
}

#[test]
fn the_sketches_backups_are_listed_and_verified_as_they_are() {
    let store = Fixture::new(1, 1);
    store.put("doc", "one");
    store.put("doc", "two");
    fs::create_dir(store.backups()).unwrap();
    let root = store.backups().join("backup_20250601_120000");
    let copied = Command::new("cp")
        .arg("-a")
        .args([&store.volume("p1.1"), &root])
        .status()
        .unwrap();
    assert!(copied.success());
    let report = store.create();
    let views = store.list();
    assert_eq!(views.len(), 2);
    assert_eq!(views[0].state, BackupState::Unsealed);
    assert_eq!((views[0].artifacts, views[0].versions), (1, 1));
    assert_eq!(views[1].id, report.id);
    assert_eq!(report.new_bytes, report.bytes);
    let verify = |id| backup::verify(&store.backups(), id, false, &store.clock(), &Task::new());
    let found = verify(views[0].id).unwrap();
    assert!(found.ok && found.checked == 2, "{found:?}");
    let before = tree(&root);
    flip(&root.join("doc.maif"), 600);
    let found = verify(views[0].id).unwrap();
    assert_eq!(found.damaged, ["doc.maif"]);
    assert_eq!(tree(&root), before);
    assert!(!root.join(".maifdeck/verified.json").exists());
}

#[test]
fn two_backups_in_one_second_do_not_collide() {
    let store = Fixture::new(1, 1);
    store.put("doc", "text");
    let first = store.try_create().unwrap();
    // A sketch in the same second (and the next one).
    let sketch = first.id.next();
    fs::create_dir(store.backups().join(sketch.directory())).unwrap();
    let second = store.try_create().unwrap();
    assert_eq!(second.id, sketch.next());
    assert!(store.verify(&first, false).ok && store.verify(&second, false).ok);
    let views = store.list();
    assert_eq!(views.len(), 3);
    assert_eq!(views[2].state, BackupState::Complete);
    assert_eq!(views[2].at, store.clock.now());
}

#[test]
fn two_backups_at_once_are_made_one_after_the_other() {
    let store = Fixture::new(1, 1);
    for number in 0..20 {
        store.put(&format!("doc{number}"), "text");
    }
    std::thread::scope(|scope| {
        let first = scope.spawn(|| store.try_create().unwrap());
        let second = scope.spawn(|| store.try_create().unwrap());
        assert_ne!(first.join().unwrap().id, second.join().unwrap().id);
    });
    let states: Vec<_> = store.list().iter().map(|view| view.state).collect();
    assert_eq!(states, [BackupState::Complete; 2]);
}

#[test]
fn a_partition_that_cannot_be_read_makes_the_backup_partial() {
    let mut store = Fixture::new(2, 1);
    for number in 0..8 {
        store.put(&format!("doc{number}"), "text");
    }
    // As an unmounted directory looks.
    rename_new(&store.volume("p2.1"), &store.dir.path().join("away")).unwrap();
    fs::create_dir(store.volume("p2.1")).unwrap();
    store.store = store.store.reopened();
    let report = store.create();
    assert_eq!(report.state, BackupState::Partial);
    assert_eq!(report.skipped[0].name, None);
    assert_eq!(report.skipped[0].partition, "p2");
    assert!(report.artifacts > 0 && report.artifacts < 8);
}

#[test]
fn a_read_only_process_makes_no_backup() {
    let store = Fixture::new(1, 1);
    let config = Arc::new(store.store.config().clone());
    let reader = Store::open(config, store.clock(), Access::ReadOnly);
    let result = backup::create(&reader, &store.clock(), &Task::new());
    assert!(matches!(result, Err(StoreError::ReadOnly { .. })));
    assert!(!store.backups().exists());
}

#[test]
fn a_file_with_as_many_names_as_can_be_is_copied() {
    let store = Fixture::new(1, 1);
    store.put("doc", "text");
    let first = store.create();
    let (kept, names) = (
        store.root(&first).join("doc.maif"),
        store.dir.path().join("names"),
    );
    fs::create_dir(&names).unwrap();
    // ext4 allows 65,000; others many more.
    let full = (0..65_001).any(|n| fs::hard_link(&kept, names.join(n.to_string())).is_err());
    if !full {
        println!("skipped: this file system has no limit within reach");
        return;
    }
    let second = store.create();
    assert_eq!(second.state, BackupState::Complete);
    assert_eq!(second.new_bytes, second.bytes);
    assert!(store.verify(&second, false).ok);
    // The next one has a file with room for more names.
    assert_eq!(store.create().new_bytes, 0);
}

#[test]
fn what_lies_on_another_device_is_copied() {
    let store = Fixture::new(1, 1);
    store.put("doc", "text");
    let first = store.root(&store.create());
    let bind = |arguments: &[&str]| {
        let run = Command::new(arguments[0])
            .args(&arguments[1..])
            .arg(&first)
            .output();
        run.is_ok_and(|output| output.status.success())
    };
    // No link leads from one mount to another, be it of the same directory.
    if !bind(&["mount", "--bind", first.to_str().unwrap()]) {
        println!("skipped: nothing can be mounted");
        return;
    }
    let second = store.try_create();
    assert!(bind(&["umount"]));
    let second = second.unwrap();
    assert_eq!(
        (second.state, second.new_bytes),
        (BackupState::Complete, second.bytes)
    );
    assert!(store.verify(&second, false).ok);
}

/// Else a file whose mode differs between replicas would be copied again each time one is away.
#[test]
fn of_replicas_that_agree_the_one_of_last_time_is_read() {
    let mut store = Fixture::new(1, 2);
    store.put("doc", "text");
    let mode = |label: &str, mode: u32| {
        let path = store.volume(label).join("doc.maif");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("p1.1", 0o640);
    mode("p1.2", 0o600);
    let (here, away) = (store.volume("p1.1"), store.volume("away"));
    fs::rename(&here, &away).unwrap();
    store.store = store.store.reopened();
    let first = store.create();
    let kept = store.root(&first).join("doc.maif");
    assert_eq!(fs::metadata(kept).unwrap().mode() & 0o777, 0o600);
    fs::rename(&away, &here).unwrap();
    store.store = store.store.reopened();
    assert_eq!(store.create().new_bytes, 0);
}

/// A file system of its own that can clone, unmounted in the end.
struct Cloning(PathBuf);

impl Cloning {
    fn mount(directory: &Path) -> Option<Self> {
        let (image, at) = (directory.join("image"), directory.join("mounted"));
        File::create(&image).unwrap().set_len(160 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        let done = |program: &str, arguments: &[&Path]| {
            let run = Command::new(program).args(arguments).output();
            run.is_ok_and(|output| output.status.success())
        };
        let mounted = done("mkfs.btrfs", &[Path::new("-q"), &image])
            && done("mount", &[Path::new("-o"), Path::new("loop"), &image, &at]);
        if !mounted {
            println!("skipped: no file system that clones can be mounted");
        }
        mounted.then_some(Self(at))
    }
}

impl Drop for Cloning {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_large_file_shares_its_blocks_with_the_source_where_that_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mounted) = Cloning::mount(directory.path()) else {
        return;
    };
    let store = Fixture::below(tempfile::tempdir_in(&mounted.0).unwrap(), 1, 1);
    store.put("large", &"x".repeat(900_000));
    store.put("small", "text");
    let table = store.volume("p1.1").join("table.maif");
    fs::write(&table, vec![b'x'; 700_000]).unwrap();
    let report = store.create();
    assert_eq!(report.state, BackupState::Complete, "{report:?}");
    assert!(store.verify(&report, false).ok);
    assert!(sha256sum_check(&store.root(&report)));
    for name in ["large.maif", "table.maif"] {
        let path = store.root(&report).join(name);
        let source = store.volume("p1.1").join(name);
        assert_eq!(digest(&path), digest(&source));
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
        let extents = Command::new("filefrag").arg("-v").arg(&path).output();
        let extents = String::from_utf8(extents.unwrap().stdout).unwrap();
        assert!(extents.contains("shared"), "{extents}");
    }
    // A save in place of the source leaves the backup as it was.
    let kept = digest(&store.root(&report).join("table.maif"));
    fs::write(&table, vec![b'y'; 700_000]).unwrap();
    assert_eq!(digest(&store.root(&report).join("table.maif")), kept);
    // Damage is seen in a clone too.
    let large = store.volume("p1.1").join("large.maif");
    flip(&large, 450_000);
    fs::remove_dir_all(store.backups()).unwrap();
    assert_eq!(store.create().state, BackupState::Partial);
}
