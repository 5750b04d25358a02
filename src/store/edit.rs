//! Changing single keys of a configuration file; comments and order stay as its owner wrote them.

use std::path::{Path, PathBuf};

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::{
    config::{Config, Placement},
    error::StoreError,
};
use crate::volume::At;

/// A configuration file that is being changed.
#[derive(Debug)]
pub struct Edit {
    file: PathBuf,
    document: DocumentMut,
}

impl Edit {
    /// The file of a configuration; the embedded default has none.
    pub fn of(config: &Config) -> Result<Self, StoreError> {
        let file = config.file.clone().ok_or_else(|| {
            StoreError::Usage(
                "the embedded default has one partition and no file; make a configuration with \
                 `maifdeck init` first"
                    .to_owned(),
            )
        })?;
        let text = std::fs::read_to_string(&file).at("read", &file)?;
        let document = text.parse().map_err(|error| {
            StoreError::Failed(format!("cannot change {}: {error}", file.display()))
        })?;
        Ok(Self { file, document })
    }

    fn partitions(&mut self) -> Result<&mut ArrayOfTables, StoreError> {
        let file = self.file.display().to_string();
        self.document
            .get_mut("partition")
            .and_then(Item::as_array_of_tables_mut)
            .ok_or_else(|| {
                StoreError::Usage(format!(
                    "{file} does not list its partitions as [[partition]]; change it by hand"
                ))
            })
    }

    fn partition(&mut self, name: &str) -> Result<&mut Table, StoreError> {
        let what = name.to_owned();
        self.partitions()?
            .iter_mut()
            .find(|table| table.get("name").and_then(Item::as_str) == Some(name))
            .ok_or(StoreError::NotFound {
                kind: "partition",
                what,
            })
    }

    /// Another directory for a replica, counted from 1.
    pub fn set_replica(
        &mut self,
        partition: &str,
        replica: usize,
        directory: &Path,
    ) -> Result<(), StoreError> {
        let directory = text_of(directory)?;
        let place = self
            .partition(partition)?
            .get_mut("replicas")
            .and_then(Item::as_array_mut)
            .and_then(|replicas| replicas.get_mut(replica.checked_sub(1)?));
        match place {
            Some(place) => {
                *place = directory.into();
                Ok(())
            }
            None => Err(StoreError::NotFound {
                kind: "volume",
                what: format!("{partition}.{replica}"),
            }),
        }
    }

    /// A new partition at the end.
    pub fn add_partition(&mut self, name: &str, directories: &[PathBuf]) -> Result<(), StoreError> {
        let mut table = Table::new();
        let mut replicas = Array::new();
        for directory in directories {
            replicas.push(text_of(directory)?);
        }
        table.insert("name", value(name));
        table.insert("replicas", value(replicas));
        self.partitions()?.push(table);
        Ok(())
    }

    pub fn remove_partition(&mut self, name: &str) -> Result<(), StoreError> {
        let partitions = self.partitions()?;
        let at = partitions
            .iter()
            .position(|table| table.get("name").and_then(Item::as_str) == Some(name));
        match at {
            Some(at) => {
                partitions.remove(at);
                Ok(())
            }
            None => Err(StoreError::NotFound {
                kind: "partition",
                what: name.to_owned(),
            }),
        }
    }

    pub fn set_weight(&mut self, partition: &str, weight: f64) -> Result<(), StoreError> {
        self.partition(partition)?.insert("weight", value(weight));
        Ok(())
    }

    pub fn set_placement(&mut self, placement: Placement) {
        let store = self
            .document
            .entry("store")
            .or_insert_with(|| Item::Table(Table::new()));
        if let Some(store) = store.as_table_like_mut() {
            store.insert("placement", value(placement.word()));
        }
    }

    /// The lease's volume must be one that stays.
    pub fn set_control(&mut self, label: &str) {
        let store = self
            .document
            .entry("store")
            .or_insert_with(|| Item::Table(Table::new()));
        if let Some(store) = store.as_table_like_mut() {
            store.insert("control", value(label));
        }
    }

    /// The changed text, and the configuration that it makes.
    pub fn finish(self) -> Result<(String, Config), StoreError> {
        let text = self.document.to_string();
        let config = parse(&text, &self.file)?;
        Ok((text, config))
    }
}

/// Reads a configuration text as if `file` held it.
pub fn parse(text: &str, file: &Path) -> Result<Config, StoreError> {
    let base = file.parent().unwrap_or(Path::new("/"));
    let mut config = Config::parse(text, file, base)?;
    config.file = Some(file.to_owned());
    Ok(config)
}

/// The configuration as its file says it now; `None` when that is what it was.
pub fn changed(config: &Config) -> Result<Option<Config>, StoreError> {
    let Some(file) = &config.file else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| StoreError::Usage(format!("cannot read {}: {error}", file.display())))?;
    let now = parse(&text, file)?;
    Ok((now != *config).then_some(now))
}

/// Replaces a configuration file in one step.
pub fn write(file: &Path, text: &str) -> Result<(), StoreError> {
    let temporary = || {
        let mut name = file.to_owned().into_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        PathBuf::from(name)
    };
    Ok(crate::volume::dir::write_durably(
        file,
        text.as_bytes(),
        temporary,
    )?)
}

fn text_of(directory: &Path) -> Result<String, StoreError> {
    let absolute = std::path::absolute(directory).at("find", directory)?;
    absolute.to_str().map(ToOwned::to_owned).ok_or_else(|| {
        StoreError::Usage(format!(
            "{} is not UTF-8; a configuration cannot name it",
            directory.display()
        ))
    })
}
