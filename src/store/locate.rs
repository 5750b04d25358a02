//! Where the configuration is looked for.

use std::path::{Path, PathBuf};

use super::config::{Config, ConfigError, FILE};

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub struct Located {
    pub config: Config,
    /// `None`: the embedded default.
    pub file: Option<PathBuf>,
}

/// What the search may look at, from outside so that tests can hold it.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub explicit: Option<PathBuf>,
    pub maifdeck_config: Option<PathBuf>,
    pub config_home: Option<PathBuf>,
    pub data_home: Option<PathBuf>,
}

impl Environment {
    /// From the process's environment.
    pub fn from_process(explicit: Option<PathBuf>) -> Self {
        let path = |key: &str| {
            std::env::var_os(key)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = path("HOME");
        let below = |rest: &str| home.as_ref().map(|home| home.join(rest));
        Self {
            explicit,
            maifdeck_config: path("MAIFDECK_CONFIG"),
            config_home: path("XDG_CONFIG_HOME").or_else(|| below(".config")),
            data_home: path("XDG_DATA_HOME").or_else(|| below(".local/share")),
        }
    }

    /// Directory of the embedded default store.
    pub fn embedded_data(&self) -> Option<PathBuf> {
        self.data_home.as_ref().map(|home| home.join("maifdeck"))
    }

    /// Finds the configuration. A file that is named must exist; the embedded default is used when
    /// its store is there, or when `create` allows to make it.
    pub fn locate(&self, create: bool) -> Result<Located, ConfigError> {
        if let Some(named) = self.explicit.as_ref().or(self.maifdeck_config.as_ref()) {
            return Ok(Located {
                config: Config::read(named)?,
                file: Some(named.clone()),
            });
        }
        let mut searched = Vec::new();
        let candidates = [
            Some(PathBuf::from(FILE)),
            self.config_home
                .as_ref()
                .map(|home| home.join("maifdeck").join(FILE)),
            Some(Path::new("/etc/maifdeck").join(FILE)),
        ];
        for candidate in candidates.into_iter().flatten() {
            if candidate.exists() {
                return Ok(Located {
                    config: Config::read(&candidate)?,
                    file: Some(candidate),
                });
            }
            searched.push(candidate.display().to_string());
        }
        if let Some(data) = self.embedded_data() {
            if create || data.join("store").is_dir() {
                return Ok(Located {
                    config: Config::embedded(&data),
                    file: None,
                });
            }
            searched.push(format!("{}/store", data.display()));
        }
        Err(ConfigError::None { searched })
    }
}
