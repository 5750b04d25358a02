//! `maifdeck.toml`: every key, its default and its bounds.
//!
//! Unknown keys, wrong types and values out of range are errors that name file, line and key.

mod check;
mod explain;
mod sections;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use explain::{bad, explain, find_key};
pub use sections::*;
use serde::{Deserialize, Serialize};

/// The file name looked for in directories.
pub const FILE: &str = "maifdeck.toml";

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{file}:{line}: {problem}", file = file.display())]
    Bad {
        file: PathBuf,
        line: usize,
        problem: String,
    },
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("no store is configured here; looked for {}", searched.join(", "))]
    None { searched: Vec<String> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub store: StoreConfig,
    #[serde(default)]
    pub partition: Vec<PartitionConfig>,
    #[serde(default)]
    pub node: NodeConfig,
    #[serde(default)]
    pub leader: LeaderConfig,
    pub cache: Option<CacheConfig>,
    #[serde(default)]
    pub sign: SignConfig,
    #[serde(default)]
    pub versions: Retention,
    pub backup: Option<BackupConfig>,
    #[serde(default)]
    pub scrub: ScrubConfig,
    #[serde(default)]
    pub console: ConsoleConfig,
    /// Where it was read from; `None`: the embedded default.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads and checks a file. Relative directories are below the file's own.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = absolute.parent().unwrap_or(Path::new("/"));
        let mut config = Self::parse(&text, path, base)?;
        config.file = Some(absolute);
        Ok(config)
    }

    /// Parses text that came from `file`.
    pub fn parse(text: &str, file: &Path, base: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            bad(file, text, at, explain(error.message(), text, at))
        })?;
        config
            .check()
            .map_err(|(key, problem)| bad(file, text, find_key(text, key), problem))?;
        for partition in &mut config.partition {
            for replica in &mut partition.replicas {
                *replica = base.join(&*replica);
            }
        }
        if let Some(backup) = &mut config.backup {
            backup.directory = base.join(&backup.directory);
        }
        if let Some(cache) = &mut config.cache {
            cache.directory = base.join(&cache.directory);
        }
        if config.store.control.is_empty()
            && let Some(first) = config.partition.first()
        {
            config.store.control = format!("{}.1", first.name);
        }
        Ok(config)
    }

    /// Every key in effect, as a configuration file.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// A store of one directory, with defaults for everything else.
    pub fn embedded(data: &Path) -> Self {
        let mut config = Self {
            store: StoreConfig::default(),
            partition: vec![PartitionConfig {
                name: "p1".to_owned(),
                weight: sections::one(),
                replicas: vec![data.join("store")],
            }],
            node: NodeConfig::default(),
            leader: LeaderConfig::default(),
            cache: None,
            sign: SignConfig::default(),
            versions: Retention::default(),
            backup: Some(BackupConfig {
                directory: data.join("backups"),
                ..BackupConfig::default()
            }),
            scrub: ScrubConfig::default(),
            console: ConsoleConfig::default(),
            file: None,
        };
        "p1.1".clone_into(&mut config.store.control);
        config
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("maifdeck.toml"), Path::new("/base"))
            .map_err(|error| error.to_string())
    }

    const LEAST: &str = "[[partition]]\nname = \"p1\"\nreplicas = [\"a\", \"/b\"]\n";

    #[test]
    fn the_documented_defaults_hold() {
        let config = parse(LEAST).unwrap();
        assert_eq!(config.store.volume_timeout, Duration::from_secs(5));
        assert_eq!(config.store.control, "p1.1");
        assert_eq!(
            config.partition[0].replicas,
            [PathBuf::from("/base/a"), PathBuf::from("/b")]
        );
        assert!(config.backup.is_none());
    }

    #[test]
    fn errors_name_line_key_and_the_nearest_valid_key() {
        let error = parse(&format!("[store]\nvolume_timout = \"5s\"\n{LEAST}")).unwrap_err();
        assert_eq!(
            error,
            "maifdeck.toml:2: unknown key `volume_timout`; did you mean `volume_timeout`?"
        );
        let error = parse(&format!("[store]\nlock_timeout = \"5 parsecs\"\n{LEAST}")).unwrap_err();
        assert!(
            error.starts_with("maifdeck.toml:2: lock_timeout: not a duration"),
            "{error}"
        );
        let error = parse(&format!("[store]\nwarn_fill = \"x\"\n{LEAST}")).unwrap_err();
        assert!(error.starts_with("maifdeck.toml:2: warn_fill: "), "{error}");
        let error = parse("[store]\nname = \"x\"\n").unwrap_err();
        assert!(error.contains("at least one [[partition]]"), "{error}");
    }

    #[test]
    fn a_quorum_of_half_the_replicas_is_refused() {
        let text = format!("[store]\nwrite_quorum = 1\n{LEAST}");
        let error = parse(&text).unwrap_err();
        assert!(
            error.starts_with("maifdeck.toml:2: write_quorum 1 does not fit"),
            "{error}"
        );
        assert!(parse(&format!("[store]\nwrite_quorum = 2\n{LEAST}")).is_ok());
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same_configuration() {
        let text = format!(
            "[store]\nundo_window = \"36h\"\n[backup]\ndirectory = \"b\"\nkeep_last = 3\n[cache]\ndirectory = \"c\"\nmax_size = \"1536MiB\"\n[console.keys]\nquit = [\"q\", \"x\"]\n{LEAST}"
        );
        let config = parse(&text).unwrap();
        let shown = config.to_toml().unwrap();
        assert!(shown.contains("undo_window = \"36h\""), "{shown}");
        assert!(shown.contains("max_size = \"1536MiB\""), "{shown}");
        assert_eq!(parse(&shown).unwrap().to_toml().unwrap(), shown);
    }
}
