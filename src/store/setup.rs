//! A new store: what `init` and the console's guided setup share. A [`Draft`] becomes the text of a
//! configuration, is checked as any configuration is, and only then are volumes marked and the file
//! written: never over one that exists.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{Config, StoreError, layout, lease::LeaseError, slot};
use crate::{
    clock::SharedClock,
    volume::{At, Identity, Lane, Membership, Watermark, dir, identity, mount},
};

/// What a new store shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Names, each with the directories of its replicas.
    pub partitions: Vec<(String, Vec<PathBuf>)>,
    pub placement: String,
    /// `majority`, `all` or a number.
    pub write_quorum: String,
    pub backups: Option<PathBuf>,
    /// Whether several hosts write, one at a time.
    pub leases: bool,
}

/// A store that was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The configuration, absolute.
    pub file: PathBuf,
    pub config: Config,
    /// The store's id.
    pub store: String,
}

impl Draft {
    /// The text of the configuration, with absolute directories.
    pub fn text(&self) -> Result<String, StoreError> {
        let quorum = match self.write_quorum.parse::<u16>() {
            Ok(number) => number.to_string(),
            Err(_) => quote(&self.write_quorum),
        };
        let mut text = format!(
            "# Every key with its default: `maifdeck config show --defaults`.\n\n[store]\nplacement = {}\nwrite_quorum = {quorum}\n",
            quote(&self.placement)
        );
        if self.leases {
            text.push_str("\n[leader]\nenabled = true\n");
        }
        for (name, directories) in &self.partitions {
            let directories: Vec<String> = directories
                .iter()
                .map(|directory| absolute(directory))
                .collect::<Result<_, _>>()?;
            let _ = write!(
                text,
                "\n[[partition]]\nname = {}\nreplicas = [{}]\n",
                quote(name),
                directories.join(", ")
            );
        }
        if let Some(backups) = &self.backups {
            let _ = write!(text, "\n[backup]\ndirectory = {}\n", absolute(backups)?);
        }
        Ok(text)
    }
}

/// Marks the volumes of the configuration in `text` and writes it to `file`. What lies in the
/// directories is adopted: nothing is moved.
pub fn make(file: &Path, text: &str, clock: &SharedClock) -> Result<Made, StoreError> {
    let file = std::path::absolute(file).at("find", file)?;
    if file.exists() {
        return Err(occupied(&file));
    }
    let base = file.parent().unwrap_or(Path::new("/"));
    let config = Config::parse(text, &file, base)?;
    if config.leader.enabled {
        require_trust(&config)?;
    }
    let store = mark_all(&config, clock)?;
    fs::create_dir_all(base).at("create", base)?;
    let staged = {
        let mut name = file.clone().into_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        PathBuf::from(name)
    };
    let written = (|| {
        let mut out = fs::File::create_new(&staged).at("create", &staged)?;
        std::io::Write::write_all(&mut out, text.as_bytes()).at("write", &staged)?;
        out.sync_all().at("sync", &staged)?;
        // One that appeared meanwhile is not replaced.
        match dir::rename_new(&staged, &file) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(occupied(&file)),
            renamed => Ok(renamed.at("rename to", &file)?),
        }?;
        Ok(dir::sync_directory(base)?)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&staged);
    }
    written.map(|()| Made {
        file,
        config,
        store,
    })
}

/// Refuses leases where the control volume will be on a file system whose locks bind one host.
fn require_trust(config: &Config) -> Result<(), StoreError> {
    let mut volumes = slot::volumes(config).into_iter();
    let Some((_, control)) = volumes.find(|(_, v)| **v.label() == *config.store.control) else {
        return Ok(());
    };
    let path = control.path();
    let there = path.ancestors().find(|above| above.exists());
    match there.and_then(mount::of).and_then(|mount| mount.distrust()) {
        None => Ok(()),
        Some(reason) => Err(LeaseError::Untrusted {
            path: path.display().to_string(),
            reason,
        }
        .into()),
    }
}

/// What a directory is that shall become a volume, or the place of some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    /// False: it will be created.
    pub exists: bool,
    /// Artifacts in it, which would be adopted; counted up to a thousand.
    pub artifacts: usize,
    /// It is a volume already: of which store.
    pub volume_of: Option<String>,
    /// Free bytes of its file system, where that can be asked.
    pub free: Option<u64>,
    /// Tells whether two places are the same file system.
    pub device: Option<u64>,
}

/// Looks at a directory without changing anything.
pub fn look(path: &Path) -> Result<Place, StoreError> {
    let path = std::path::absolute(path).at("find", path)?;
    if path.to_str().is_none() {
        return Err(StoreError::Usage(format!(
            "{} is not UTF-8; a configuration cannot name it",
            path.display()
        )));
    }
    // A directory that will be made is on the file system of the nearest one that is there.
    let there = path.ancestors().find(|above| above.exists());
    let device = there.and_then(|there| fs::metadata(there).ok().map(|m| m.dev()));
    let free = there.and_then(|there| fs2::available_space(there).ok());
    let exists = path.exists();
    let mut place = Place {
        exists,
        artifacts: 0,
        volume_of: None,
        free,
        device,
        path,
    };
    if !exists {
        return Ok(place);
    }
    if !place.path.is_dir() {
        return Err(StoreError::Usage(format!(
            "{} is not a directory",
            place.path.display()
        )));
    }
    place.artifacts = fs::read_dir(&place.path)
        .at("list", &place.path)?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "maif"))
        .take(1000)
        .count();
    place.volume_of = Identity::read(&dir::Dir::new(place.path.clone()))?
        .map(|identity| format!("{} of {}", identity.label, identity.store_name));
    Ok(place)
}

fn occupied(file: &Path) -> StoreError {
    StoreError::Usage(format!(
        "{} exists already; a configuration is never written over",
        file.display()
    ))
}

fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn absolute(path: &Path) -> Result<String, StoreError> {
    let absolute = std::path::absolute(path).at("find", path)?;
    let text = absolute.to_str().ok_or_else(|| {
        StoreError::Usage(format!(
            "{} is not UTF-8; a configuration cannot name it",
            path.display()
        ))
    })?;
    Ok(quote(text))
}

/// Marks every volume of a new store. Existing files stay as they are: adopting moves nothing.
///
/// Refuses a directory that carries a mark already; `init` of the same configuration after a
/// crash goes on where it was, because marks of this run are recognised by the store's id.
pub fn mark_all(config: &Config, clock: &SharedClock) -> Result<String, StoreError> {
    let volumes = slot::volumes(config);
    let mut places = BTreeMap::new();
    for (_, volume) in &volumes {
        fs::create_dir_all(volume.path()).at("create", volume.path())?;
        let marks = volume.run(Lane::Short, |dir, _| slot::read_identity(dir))?;
        if let Some(identity) = marks.identity {
            return Err(StoreError::Usage(format!(
                "{} is already volume {} of the store {}; use its configuration",
                volume.path().display(),
                identity.label,
                identity.store_name
            )));
        }
        if let Some(other) = places.insert(marks.place, volume.label().clone()) {
            return Err(StoreError::Usage(format!(
                "{} and {other} are one directory: {}",
                volume.label(),
                volume.path().display()
            )));
        }
    }
    let store = identity::new_id()?;
    let ids: Vec<String> = config
        .partition
        .iter()
        .map(|_| identity::new_id())
        .collect::<Result<_, _>>()?;
    let layout = layout::of(config, 1, &ids);
    let labels = volumes.iter().map(|(_, v)| (v.label().to_string(), 1));
    let watermark = Watermark {
        number: 1,
        at: clock.now().timestamp(),
        others: labels.collect(),
    };
    for (_, volume) in &volumes {
        let identity = Identity {
            schema: 1,
            store: store.clone(),
            store_name: config.store.name.clone(),
            label: volume.label().to_string(),
            instance: identity::new_id()?,
            state: Membership::Active,
            marked_at: identity::stamp(clock.now()),
            mount_point: false,
            watermark: watermark.clone(),
            layout: layout.clone(),
            probe: None,
        };
        volume.run(Lane::Short, move |dir, _| identity.mark(dir))?;
    }
    Ok(store)
}
