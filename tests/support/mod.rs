//! A store in a temporary directory, and the real binary run on it.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// How a run of the binary ended.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// For the message of a test that failed: what was printed, as text.
impl std::fmt::Debug for Run {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stderr, .. } = self;
        let stdout = self.text();
        write!(
            out,
            "exit {code:?}\n── stdout\n{stdout}\n── stderr\n{stderr}"
        )
    }
}

impl Run {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Fails unless the exit code is this.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A temporary directory with a configuration.
pub struct Fixture {
    pub directory: tempfile::TempDir,
}

impl Fixture {
    pub fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A grid marked by `init`: volumes are `<disk>/<partition>`, disks a, b, c …
    pub fn grid(partitions: usize, replicas: usize) -> Self {
        let fixture = Self::empty();
        let mut arguments = vec!["--backups".to_owned(), "backups".to_owned()];
        for p in 1..=partitions {
            let directories: Vec<String> = (b'a'..)
                .take(replicas)
                .map(|disk| format!("{}/p{p}", char::from(disk)))
                .collect();
            arguments.push("--partition".to_owned());
            arguments.push(format!("p{p}={}", directories.join(",")));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        fixture.init(&arguments);
        fixture
    }

    /// `init`. How full the machine is that runs the tests is no finding of theirs.
    #[track_caller]
    pub fn init(&self, arguments: &[&str]) {
        let arguments: Vec<&str> = [&["init"], arguments].concat();
        self.run(&arguments).exits(0);
        self.configure("store", "warn_fill = 100\nmax_fill = 100");
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maifdeck"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("MAIFDECK_CONFIG")
            .env_remove("XDG_STATE_HOME")
            .env("HOME", self.directory.path())
            .env("XDG_CONFIG_HOME", self.path("config-home"))
            .env("XDG_DATA_HOME", self.path("data-home"))
            .stdin(std::process::Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().unwrap().into()
    }

    /// The same store in another place.
    pub fn copied(&self) -> Self {
        let other = Self::empty();
        let copied = Command::new("cp")
            .args(["-a", "--"])
            .arg(self.path("."))
            .arg(other.directory.path())
            .status();
        assert!(copied.unwrap().success());
        let config = other.path("maifdeck.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let root = |fixture: &Self| fixture.directory.path().to_str().unwrap().to_owned();
        std::fs::write(config, text.replace(&root(self), &root(&other))).unwrap();
        other
    }

    /// How often a command passes each named failure point when nothing fails.
    pub fn passes(&self, command: &[&str]) -> BTreeMap<String, usize> {
        let log = self.path("points");
        let run = self
            .command(command)
            .env("MAIFDECK_FAULT_LOG", &log)
            .output();
        Run::from(run.unwrap()).exits(0);
        let mut points = BTreeMap::new();
        for point in std::fs::read_to_string(&log).unwrap().lines() {
            *points.entry(point.to_owned()).or_default() += 1;
        }
        std::fs::remove_file(&log).unwrap();
        points
    }

    /// Appends to a section of the configuration.
    pub fn configure(&self, section: &str, line: &str) {
        let path = self.path("maifdeck.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let header = format!("[{section}]\n");
        assert!(text.contains(&header));
        std::fs::write(&path, text.replace(&header, &format!("{header}{line}\n"))).unwrap();
    }
}

/// Every file below a directory and its bytes; lock files and our own directory left out.
pub fn files(below: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    tree(below)
        .into_iter()
        .filter(|(path, _)| {
            !path.components().any(|c| c.as_os_str() == ".maifdeck")
                && path.extension().is_none_or(|e| e != "lock")
        })
        .collect()
}

/// Every file below a directory and its bytes.
pub fn tree(below: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(below)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(below).unwrap().to_owned();
            (path, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}
