//! A real store in a temporary directory with the console on it: the real engine, a clock that the
//! test holds, and no terminal. Nothing sleeps: what runs is waited for.

use std::{
    fmt::Write as _,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, TimeZone, Utc};
use maifdeck::{
    backup::{self, BackupReport},
    clock::{Clock, ManualClock},
    console::{
        live::Live,
        theme::{Theme, ThemeName},
        widgets::Dialog,
    },
    maif::{Agent, BlockType, Digest, NewBlock, SigningKey, Sources, json, uuid4, write},
    progress::Task,
    store::{
        Access, Config, Store,
        commit::{Condition, PutRequest},
        setup,
    },
    volume::ArtifactName,
};
use sha2::{Digest as _, Sha256};

use crate::{fixture::name, headless::Headless};

pub struct Grounds {
    directory: tempfile::TempDir,
    pub clock: ManualClock,
    store: Store,
}

impl Grounds {
    /// A store of `partitions` × `replicas` on 11 March, 10:15 where its times are shown.
    pub fn new(partitions: usize, replicas: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // How full the machine is that runs the tests is no finding of theirs.
        let mut text =
            "[store]\nwarn_fill = 100\nmax_fill = 100\n[backup]\ndirectory = \"backups\"\n"
                .to_owned();
        for p in 1..=partitions {
            let paths: Vec<_> = (1..=replicas).map(|r| format!("\"p{p}.{r}\"")).collect();
            let paths = paths.join(", ");
            writeln!(text, "[[partition]]\nname = \"p{p}\"\nreplicas = [{paths}]").unwrap();
        }
        let file = directory.path().join("maifdeck.toml");
        std::fs::write(&file, &text).unwrap();
        let mut config = Config::parse(&text, &file, directory.path()).unwrap();
        config.file = Some(file);
        let clock = ManualClock::at(Utc.with_ymd_and_hms(2026, 3, 11, 9, 15, 0).unwrap());
        setup::mark_all(&config, &clock.shared()).unwrap();
        let store = Store::open(Arc::new(config), clock.shared(), Access::Write);
        Self {
            directory,
            clock,
            store,
        }
    }

    /// The store by the configuration as it is now.
    pub fn store(&self) -> Store {
        let file = self.directory.path().join("maifdeck.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let config = Config::parse(&text, &file, self.directory.path()).unwrap();
        Store::open(Arc::new(config), self.clock.shared(), Access::Write)
    }

    pub fn volume(&self, label: &str) -> PathBuf {
        self.directory.path().join(label)
    }

    pub fn copy(&self, label: &str, artifact: &str) -> PathBuf {
        self.volume(label).join(format!("{artifact}.maif"))
    }

    pub fn backup_root(&self, report: &BackupReport) -> PathBuf {
        let below = self.directory.path().join("backups");
        below.join(report.id.directory())
    }

    pub fn hours_pass(&self, hours: i64) -> DateTime<Utc> {
        self.clock.advance(chrono::Duration::hours(hours));
        self.clock.now()
    }

    pub fn put(&self, artifact: &str, text: &str) {
        let source = self.directory.path().join("source.maif");
        let out = File::create_new(&source).unwrap();
        drop(out);
        let out = File::options()
            .read(true)
            .write(true)
            .open(&source)
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
        let sha256: [u8; 32] = Sha256::digest(std::fs::read(&source).unwrap()).into();
        let name: ArtifactName = name(artifact);
        self.store
            .put(PutRequest {
                name: &name,
                source: &source,
                sha256: Digest(sha256),
                condition: Condition::Always,
                guard: &|_| Ok(()),
            })
            .unwrap();
        std::fs::remove_file(source).unwrap();
        // The machine's clock is not the store's.
        let now = self.clock.now().into();
        for slot in self.store.slots() {
            let path = self.copy(slot.label(), artifact);
            if let Ok(file) = File::options().write(true).open(path) {
                file.set_modified(now).unwrap();
            }
        }
        self.clock.advance(chrono::Duration::minutes(1));
    }

    pub fn back_up(&self) -> BackupReport {
        let report = backup::create(&self.store, &self.clock.shared(), &Task::new()).unwrap();
        self.clock.advance(chrono::Duration::minutes(1));
        report
    }

    /// The current text of an artifact, from a copy that verified.
    pub fn text(&self, artifact: &str) -> String {
        let fetched = self.store.reopened().fetch(&name(artifact)).unwrap();
        let mut bytes = Vec::new();
        fetched.copy_to(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The console on it, opened and idle.
    pub fn console(&self, size: (u16, u16)) -> Console {
        let config = Arc::new(self.store.config().clone());
        let store = Store::open(config, self.clock.shared(), Access::Write);
        let live = Live::new(store, "maifdeck.toml".to_owned());
        let theme = Theme::new(ThemeName::Dark, false);
        let mut console = Console {
            screen: Headless::on(live, theme, size, self.clock.now()),
            clock: self.clock.clone(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        };
        console.idle();
        console
    }
}

/// The console on a real store.
pub struct Console {
    pub screen: Headless<Live>,
    clock: ManualClock,
    runtime: tokio::runtime::Runtime,
}

impl Console {
    /// Waits for everything that runs, and lets the screen see what came of it.
    pub fn idle(&mut self) {
        loop {
            let running = self.screen.app.running.iter();
            let ends: Vec<_> = running.map(|running| running.job.done.clone()).collect();
            for mut end in ends {
                // A worker that died without a word has ended too.
                let _ = self.runtime.block_on(end.wait_for(Option::is_some));
            }
            self.screen.app.moment.now = self.clock.now();
            self.screen.tick(self.screen.app.settings.refresh * 5);
            if self.screen.app.running.is_empty() {
                return;
            }
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.screen.press(keys);
    }

    /// Presses keys, and waits for what they set off.
    pub fn done(&mut self, keys: &str) {
        self.press(keys);
        self.idle();
    }

    pub fn type_text(&mut self, text: &str) {
        self.screen.type_text(text);
    }

    /// Fails with the screen when the words are not on it.
    #[track_caller]
    pub fn sees(&self, words: &str) -> String {
        let text = self.screen.text();
        assert!(text.contains(words), "{words:?} is not shown:\n{text}");
        text
    }

    #[track_caller]
    pub fn sees_no(&self, words: &str) {
        let text = self.screen.text();
        assert!(!text.contains(words), "{words:?} is shown:\n{text}");
    }

    /// Confirms the plan that is shown as it asks for it: typing its word, or with Tab and Enter.
    #[track_caller]
    pub fn confirm(&mut self) {
        let Some(Dialog::Plan(dialog)) = &self.screen.app.dialog else {
            panic!("no plan is open:\n{}", self.screen.text());
        };
        let plan = std::sync::Arc::clone(&dialog.plan);
        self.sees(&format!("plan {}", plan.id.short()));
        if plan.is_destructive() {
            self.type_text(&plan.confirmation_word());
            self.press("enter");
        } else {
            self.press("tab enter");
        }
        self.idle();
    }
}

/// Damages a byte in the middle of a file, in place.
pub fn spoil(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    // In the first block's text: behind the file's header and the block's.
    let at = 444 + 372;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}
