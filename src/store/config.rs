//! `maifdeck.toml`: every key, its default and its bounds.
//!
//! Unknown keys, wrong types and values out of range are errors that name file, line and key.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::units;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    #[default]
    Md5Modulo,
    Rendezvous,
}

impl Placement {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Md5Modulo => "md5-modulo",
            Self::Rendezvous => "rendezvous",
        }
    }
}

/// How many replicas a write needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteQuorum {
    #[default]
    Majority,
    All,
    Count(u16),
}

impl WriteQuorum {
    /// For a partition of `replicas` replicas.
    pub fn of(self, replicas: usize) -> usize {
        match self {
            Self::Majority => replicas / 2 + 1,
            Self::All => replicas,
            Self::Count(count) => usize::from(count),
        }
    }
}

impl fmt::Display for WriteQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Majority => f.write_str("majority"),
            Self::All => f.write_str("all"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl std::str::FromStr for WriteQuorum {
    type Err = ();

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "majority" => Ok(Self::Majority),
            "all" => Ok(Self::All),
            number => number.parse().map(Self::Count).map_err(|_| ()),
        }
    }
}

impl Serialize for WriteQuorum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Majority | Self::All => serializer.collect_str(self),
            Self::Count(count) => serializer.serialize_u16(*count),
        }
    }
}

impl<'de> Deserialize<'de> for WriteQuorum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Word(String),
            Count(u16),
        }
        match Form::deserialize(deserializer) {
            Ok(Form::Count(count)) if count > 0 => Ok(Self::Count(count)),
            Ok(Form::Word(word)) if word == "majority" => Ok(Self::Majority),
            Ok(Form::Word(word)) if word == "all" => Ok(Self::All),
            _ => Err(de::Error::custom(
                "write_quorum is \"majority\", \"all\" or a number greater than half the replicas",
            )),
        }
    }
}

/// Gives each section its defaults where a key is absent.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident : $kind:ty = $default:expr,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $($(#[$doc])* pub $field: $kind,)* }
        impl Default for $name {
            fn default() -> Self { Self { $($field: $default,)* } }
        }
    };
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

section! { StoreConfig {
    name: String = "artifacts".to_owned(),
    placement: Placement = Placement::Md5Modulo,
    write_quorum: WriteQuorum = WriteQuorum::Majority,
    /// Label of the volume where the lease lives; empty: the first.
    control: String = String::new(),
    #[serde(with = "units::duration")]
    volume_timeout: Duration = 5 * SECOND,
    #[serde(with = "units::duration")]
    lock_timeout: Duration = 30 * SECOND,
    #[serde(with = "units::duration")]
    undo_window: Duration = 7 * DAY,
    /// Percent of a volume's file system.
    warn_fill: u8 = 85,
    max_fill: u8 = 90,
}}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionConfig {
    pub name: String,
    #[serde(default = "one")]
    pub weight: f64,
    pub replicas: Vec<PathBuf>,
}

const fn one() -> f64 {
    1.0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    #[default]
    Writer,
    Follower,
}

section! { NodeConfig { role: Role = Role::Writer, } }

section! { LeaderConfig {
    enabled: bool = false,
    #[serde(with = "units::duration")]
    ttl: Duration = 15 * SECOND,
    #[serde(with = "units::duration")]
    barrier_timeout: Duration = 10 * SECOND,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StaleCache {
    #[default]
    Serve,
    Refuse,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    pub directory: PathBuf,
    #[serde(default = "ten_gib", with = "units::size")]
    pub max_size: u64,
    #[serde(default)]
    pub stale: StaleCache,
}

const fn ten_gib() -> u64 {
    10 << 30
}

section! { SignConfig {
    agent: String = "maifdeck".to_owned(),
    /// File with a 32-byte Ed25519 seed in hex; empty: a fresh key each time.
    key: String = String::new(),
    trusted: Vec<String> = Vec::new(),
}}

section! { Retention {
    keep_last: u32 = 0,
    keep_hourly: u32 = 0,
    keep_daily: u32 = 0,
    keep_weekly: u32 = 0,
    keep_monthly: u32 = 0,
    keep_yearly: u32 = 0,
    #[serde(with = "units::duration")]
    keep_within: Duration = Duration::ZERO,
}}

section! { BackupConfig {
    directory: PathBuf = PathBuf::new(),
    history: bool = true,
    #[serde(with = "units::duration")]
    max_age: Duration = 26 * HOUR,
    #[serde(with = "units::duration")]
    verify_every: Duration = 7 * DAY,
    keep_last: u32 = 0,
    keep_hourly: u32 = 0,
    keep_daily: u32 = 0,
    keep_weekly: u32 = 0,
    keep_monthly: u32 = 0,
    keep_yearly: u32 = 0,
    #[serde(with = "units::duration")]
    keep_within: Duration = Duration::ZERO,
}}

section! { ScrubConfig {
    #[serde(with = "units::duration")]
    every: Duration = 30 * DAY,
    tranquility: u32 = 2,
}}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThemeName {
    #[default]
    Dark,
    Light,
    Mono,
    HighContrast,
}

impl ThemeName {
    pub const ALL: [Self; 4] = [Self::Dark, Self::Light, Self::Mono, Self::HighContrast];

    /// As the configuration spells it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
            Self::HighContrast => "high-contrast",
        }
    }
}

/// One key or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Keys {
    One(String),
    Several(Vec<String>),
}

impl Keys {
    pub fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(key) => vec![key.clone()],
            Self::Several(keys) => keys.clone(),
        }
    }
}

section! { ConsoleConfig {
    #[serde(with = "units::duration")]
    refresh: Duration = 2 * SECOND,
    theme: ThemeName = ThemeName::Dark,
    ascii: bool = false,
    mouse: bool = false,
    bell: bool = false,
    keys: BTreeMap<String, Keys> = BTreeMap::new(),
}}

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
                weight: one(),
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

    /// What no type can say. The key is where the problem is shown.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.partition.is_empty() {
            return Err((
                "partition",
                "at least one [[partition]] with a name and replicas is needed".to_owned(),
            ));
        }
        let mut names = std::collections::BTreeSet::new();
        let mut directories = std::collections::BTreeSet::new();
        for partition in &self.partition {
            let name = &partition.name;
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if name.is_empty() || !name.bytes().all(allowed) {
                return Err((
                    "name",
                    format!("a partition's name is made of a-z, 0-9 and '-': {name:?}"),
                ));
            }
            if !names.insert(name) {
                return Err(("name", format!("two partitions are called {name}")));
            }
            if !partition.weight.is_finite() || partition.weight < 0.0 {
                return Err(("weight", format!("the weight of {name} is not 0 or more")));
            }
            if partition.replicas.is_empty() {
                return Err(("replicas", format!("partition {name} has no replica")));
            }
            for replica in &partition.replicas {
                if replica.as_os_str().is_empty() || !directories.insert(replica) {
                    let shown = replica.display();
                    return Err((
                        "replicas",
                        format!("the directory {shown:?} is empty or named twice"),
                    ));
                }
            }
            let replicas = partition.replicas.len();
            let quorum = self.store.write_quorum.of(replicas);
            if quorum * 2 <= replicas || quorum > replicas {
                return Err((
                    "write_quorum",
                    format!(
                        "write_quorum {quorum} does not fit partition {name} with {replicas} \
                         replicas: it must be more than half of them and at most all"
                    ),
                ));
            }
        }
        let control = &self.store.control;
        let known = self.partition.iter().any(|partition| {
            (1..=partition.replicas.len()).any(|n| format!("{}.{n}", partition.name) == *control)
        });
        if !control.is_empty() && !known {
            return Err(("control", format!("control names no volume: {control}")));
        }
        if !(1..=100).contains(&self.store.max_fill) || self.store.warn_fill > 100 {
            return Err(("max_fill", "warn_fill and max_fill are percents".to_owned()));
        }
        if self.store.volume_timeout.is_zero() || self.console.refresh < SECOND / 10 {
            return Err((
                "volume_timeout",
                "volume_timeout must be positive, console.refresh at least 100ms".to_owned(),
            ));
        }
        if self.leader.ttl < SECOND / 10 || self.leader.barrier_timeout.is_zero() {
            return Err((
                "ttl",
                "leader.ttl must be at least 100ms, leader.barrier_timeout positive".to_owned(),
            ));
        }
        if let Some(backup) = &self.backup
            && backup.directory.as_os_str().is_empty()
        {
            return Err(("backup", "[backup] needs a directory".to_owned()));
        }
        for key in &self.sign.trusted {
            if key.len() != 64 || hex::decode(key).is_err() {
                return Err((
                    "trusted",
                    format!("not a public key (64 hexadecimal digits): {key}"),
                ));
            }
        }
        Ok(())
    }
}

fn bad(file: &Path, text: &str, at: usize, problem: String) -> ConfigError {
    ConfigError::Bad {
        file: file.to_owned(),
        line: text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1,
        problem,
    }
}

/// Where a key is first set, so that a problem found later still shows its line.
fn find_key(text: &str, key: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start().trim_start_matches('[');
        if content.starts_with(key) {
            return at;
        }
        at += line.len();
    }
    0
}

/// Turns the parser's words into ours: which key, and for an unknown one the nearest valid key.
fn explain(message: &str, text: &str, at: usize) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field")
        && let Some(unknown) = quoted.next()
    {
        let nearest = quoted
            .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
            .min();
        return match nearest {
            Some((distance, known)) if distance <= unknown.len().div_ceil(2) => {
                format!("unknown key `{unknown}`; did you mean `{known}`?")
            }
            Some((_, known)) => {
                format!("unknown key `{unknown}`; the nearest valid key is `{known}`")
            }
            None => format!("unknown key `{unknown}`"),
        };
    }
    let line = text
        .get(..at)
        .map_or("", |before| before.rsplit('\n').next().unwrap_or(""));
    match line.split_once('=') {
        Some((key, _)) => format!("{}: {message}", key.trim()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
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
