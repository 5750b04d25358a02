//! The founder of real stores: the same engine functions as `init` and `demo`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Founder, Known};
use crate::{
    clock::SharedClock,
    console::{Backend, live::Live},
    demo::{self, Demo},
    store::{
        Access, Config, Environment, Store, StoreError, config,
        setup::{self, Draft, Place},
    },
    volume::At,
};

/// Makes stores in the process's surroundings.
#[derive(Debug)]
pub struct LiveFounder {
    environment: Environment,
    searched: Vec<String>,
    clock: SharedClock,
    /// Artifacts and seed of the playground.
    playground: (u32, u64),
    /// The playground's directory.
    temporary: Mutex<Option<tempfile::TempDir>>,
}

impl LiveFounder {
    /// `searched`: where no configuration was found.
    pub fn new(
        environment: Environment,
        searched: Vec<String>,
        clock: SharedClock,
        playground: (u32, u64),
    ) -> Self {
        Self {
            environment,
            searched,
            clock,
            playground,
            temporary: Mutex::default(),
        }
    }

    /// Removes the playground, if one was built. An engine call that is never joined may still hold
    /// this value, so its end cannot be waited for.
    pub fn clear(&self) {
        let temporary = self
            .temporary
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(temporary);
    }

    fn open(&self, config: Config, shown: String) -> Arc<dyn Backend> {
        let store = Store::open(Arc::new(config), self.clock.clone(), Access::Write);
        Arc::new(Live::new(store, shown))
    }

    fn build(&self) -> Result<Arc<dyn Backend>, StoreError> {
        let temporary = tempfile::Builder::new()
            .prefix("maifdeck-demo-")
            .tempdir()
            .at("create a directory in", &std::env::temp_dir())?;
        let (artifacts, seed) = self.playground;
        let asked = Demo {
            directory: temporary.path().to_owned(),
            artifacts,
            seed,
        };
        // Held before it is filled: leaving meanwhile removes it too.
        *self
            .temporary
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(temporary);
        let built = demo::build(&asked, self.clock.now())?;
        let shown = built.config.display().to_string();
        Ok(self.open(Config::read(&built.config)?, shown))
    }
}

impl Founder for LiveFounder {
    fn known(&self) -> Known {
        let here = std::path::absolute(config::FILE).unwrap_or_else(|_| config::FILE.into());
        let home = self
            .environment
            .config_home
            .as_ref()
            .map(|home| home.join("maifdeck").join(config::FILE));
        Known {
            searched: self.searched.clone(),
            files: std::iter::once(here).chain(home).collect(),
            embedded: self.environment.embedded_data(),
        }
    }

    fn look(&self, typed: &str) -> Result<Place, String> {
        let home = || std::env::var_os("HOME").map(PathBuf::from);
        let path = match (typed.strip_prefix("~/"), home()) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(typed),
        };
        setup::look(&path).map_err(|error| words(&error))
    }

    fn preview(&self, draft: &Draft, file: &Path) -> Result<String, String> {
        let checked = || -> Result<String, StoreError> {
            let text = draft.text()?;
            Config::parse(&text, file, file.parent().unwrap_or(Path::new("/")))?;
            Ok(text)
        };
        checked().map_err(|error| words(&error))
    }

    fn make(&self, file: &Path, text: &str) -> Result<Arc<dyn Backend>, String> {
        let made = setup::make(file, text, &self.clock).map_err(|error| words(&error))?;
        Ok(self.open(made.config, made.file.display().to_string()))
    }

    fn demo(&self) -> Result<Arc<dyn Backend>, String> {
        self.build().map_err(|error| words(&error))
    }

    fn embedded(&self) -> Result<Arc<dyn Backend>, String> {
        let data = self
            .environment
            .embedded_data()
            .ok_or("neither HOME nor XDG_DATA_HOME is set")?;
        let config = Config::embedded(&data);
        setup::mark_all(&config, &self.clock).map_err(|error| words(&error))?;
        Ok(self.open(config, "the embedded default".to_owned()))
    }
}

fn words(error: &StoreError) -> String {
    error
        .hint()
        .map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}
