//! The sections of `maifdeck.toml`: every key with its type and its default.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::store::units;

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

pub(super) const SECOND: Duration = Duration::from_secs(1);
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

pub(super) const fn one() -> f64 {
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
