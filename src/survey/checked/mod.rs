//! Which copies were read to the last byte, when, and what was found: remembered on this host from
//! one survey to the next, by volume, name and stamp.
//!
//! A memory, not a proof: bytes can rot under an unchanged stamp. So it is shown as "checked deep,
//! then and then", and a scrub trusts it only when it is told to.

mod run;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io::ErrorKind,
    iter::Peekable,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use run::Merge;

use super::{CopyState, Survey};
use crate::{
    local,
    maif::Digest,
    store::Store,
    volume::{ArtifactName, At, VolumeError, listing::Stamp},
};

/// With more runs than this they are made one.
const MOST: usize = 8;

/// What was found when a copy was read to the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    pub size: u64,
    pub stamp: Stamp,
    /// Seconds since 1970.
    pub at: i64,
    /// `None`: it was damaged.
    pub sha256: Option<Digest>,
}

/// What was found of one artifact's copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: ArtifactName,
    /// By instance of the volume, which is new when a volume is replaced.
    pub copies: Vec<(String, Check)>,
}

/// Everything remembered of one store. The default remembers nothing.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    directory: Option<PathBuf>,
}

impl Checked {
    pub fn of(store: &str) -> Self {
        let directory = local::directory().map(|local| local.join(format!("checked-{store}")));
        Self { directory }
    }

    /// What is other as soon as something more is remembered.
    pub fn state(&self) -> Vec<OsString> {
        self.runs().unwrap_or_else(|error| {
            tracing::warn!(%error, "earlier checks are forgotten");
            Vec::new()
        })
    }

    /// Reads it from the beginning.
    pub fn recall(&self) -> Recall {
        let (_, merge) = self.open().unwrap_or_else(|error| {
            tracing::warn!(%error, "earlier checks are forgotten");
            (Vec::new(), Merge::of(Vec::new()))
        });
        Recall {
            merge: merge.peekable(),
        }
    }

    /// Volumes and names where the last reading found damage.
    pub fn damaged(&self) -> BTreeSet<(String, ArtifactName)> {
        let damaged = |entry: Entry| {
            let Entry { name, copies } = entry;
            let copies = copies.into_iter().filter(|(_, c)| c.sha256.is_none());
            copies.map(move |(volume, _)| (volume, name.clone()))
        };
        self.recall().merge.flat_map(damaged).collect()
    }

    /// Remembers what was found; the entries are in the order of names.
    pub fn remember(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), VolumeError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return Ok(());
        }
        fs::create_dir_all(directory).at("create", directory)?;
        self.write(entries)?;
        let (runs, all) = self.open().at("open", directory)?;
        if runs.len() <= MOST {
            return Ok(());
        }
        self.write(all)?;
        for run in runs {
            let path = directory.join(run);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).at("remove", &path);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Remembers what a survey of level deep found.
    pub fn remember_survey(&self, survey: &Survey, store: &Store) -> Result<(), VolumeError> {
        let slots = store.slots().iter();
        let instances: Vec<Option<&str>> = slots
            .map(|slot| Some(slot.identity.as_ref()?.instance.as_str()))
            .collect();
        self.remember(survey.artifacts.iter().filter_map(|artifact| {
            let copies = artifact.copies.iter().filter_map(|copy| {
                let instance = (*instances.get(usize::from(copy.volume.0))?)?;
                let sha256 = copy.prints.sha256?;
                let check = Check {
                    size: copy.size?,
                    stamp: copy.stamp,
                    at: copy.checked_at,
                    sha256: Some(sha256).filter(|_| copy.state != CopyState::Corrupt),
                };
                (check.at == survey.at.timestamp()).then(|| (instance.to_owned(), check))
            });
            let copies: Vec<_> = copies.collect();
            let name = artifact.name.clone();
            (!copies.is_empty()).then_some(Entry { name, copies })
        }))
    }

    /// Writes one more run.
    fn write(&self, entries: impl Iterator<Item = Entry>) -> Result<(), VolumeError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        let path = directory.join(format!("{now:020}-{}.run", std::process::id()));
        let temporary = path.with_extension("tmp");
        let file = File::create(&temporary).at("create", &temporary)?;
        run::write(file, entries).at("write", &temporary)?;
        fs::rename(&temporary, &path).at("rename to", &path)
    }

    /// The runs that there are, oldest first.
    fn runs(&self) -> std::io::Result<Vec<OsString>> {
        let Some(directory) = &self.directory else {
            return Ok(Vec::new());
        };
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut runs = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            if name.as_encoded_bytes().ends_with(b".run") {
                runs.push(name);
            }
        }
        runs.sort_unstable();
        Ok(runs)
    }

    /// The runs and what is in all of them. Another process may be making them one.
    fn open(&self) -> std::io::Result<(Vec<OsString>, Merge)> {
        let directory = self.directory.clone().unwrap_or_default();
        loop {
            let runs = self.runs()?;
            let files: std::io::Result<Vec<File>> = runs
                .iter()
                .map(|run| File::open(directory.join(run)))
                .collect();
            match files {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                files => return Ok((runs, Merge::of(files?))),
            }
        }
    }
}

/// A reading of what is remembered, in the order of names.
#[derive(Debug)]
pub struct Recall {
    merge: Peekable<Merge>,
}

impl Recall {
    /// What is remembered of an artifact. Whoever asks asks in the order of names.
    pub fn of(&mut self, name: &ArtifactName) -> Option<Entry> {
        while self.merge.next_if(|entry| entry.name < *name).is_some() {}
        self.merge.next_if(|entry| entry.name == *name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(number: usize) -> ArtifactName {
        ArtifactName::new(&format!("artifact-{number:02}")).unwrap()
    }

    fn check(at: i64, good: bool) -> Check {
        Check {
            size: 3000,
            stamp: Stamp::default(),
            at,
            sha256: good.then(Digest::default),
        }
    }

    fn entry(number: usize, volume: &str, check: Check) -> Entry {
        Entry {
            name: name(number),
            copies: vec![(volume.to_owned(), check)],
        }
    }

    fn memory() -> (tempfile::TempDir, Checked) {
        let directory = tempfile::tempdir().unwrap();
        let checked = Checked {
            directory: Some(directory.path().join("checked")),
        };
        (directory, checked)
    }

    #[test]
    fn what_was_found_last_counts_however_many_runs_there_are() {
        let (_directory, checked) = memory();
        for at in 0..50_u8 {
            let before = checked.state();
            let found = [
                entry(usize::from(at), "a", check(1, true)),
                // The same one over and over, good and damaged in turns, and once in a second with
                // the one before.
                entry(90, "b", check(i64::from(at) / 2, at % 2 == 0)),
            ];
            checked.remember(found).unwrap();
            assert_ne!(checked.state(), before);
            assert!(checked.state().len() <= MOST);
        }
        let mut recall = checked.recall();
        for number in 0..50 {
            assert_eq!(
                recall.of(&name(number)),
                Some(entry(number, "a", check(1, true)))
            );
        }
        // Names that nobody asked for are passed.
        assert_eq!(recall.of(&name(70)), None);
        assert_eq!(recall.of(&name(90)), Some(entry(90, "b", check(24, false))));
        assert_eq!(
            checked.damaged(),
            BTreeSet::from([("b".to_owned(), name(90))])
        );
    }

    #[test]
    fn copies_on_several_volumes_are_remembered_apart() {
        let (_directory, checked) = memory();
        checked.remember([entry(1, "a", check(5, true))]).unwrap();
        checked.remember([entry(1, "b", check(4, false))]).unwrap();
        let both = vec![
            ("a".to_owned(), check(5, true)),
            ("b".to_owned(), check(4, false)),
        ];
        assert_eq!(checked.recall().of(&name(1)).unwrap().copies, both);
    }

    #[test]
    fn a_damaged_memory_is_forgotten_from_where_it_is_damaged() {
        let (_directory, checked) = memory();
        let found = (0..100).map(|number| entry(number, "a", check(1, true)));
        checked.remember(found).unwrap();
        let run = checked.runs().unwrap().pop().unwrap();
        let path = checked.directory.clone().unwrap().join(run);
        let whole = fs::read(&path).unwrap();
        for (length, more) in [(0, 0), (3, 0), (whole.len() / 2, 0), (whole.len(), 7)] {
            let mut bytes = whole.get(..length).unwrap().to_vec();
            bytes.resize(length + more, 0xff);
            fs::write(&path, bytes).unwrap();
            let mut recall = checked.recall();
            let known = (0..100).filter(|n| recall.of(&name(*n)).is_some()).count();
            let expected = [(0, 0), (3, 0), (whole.len(), 100)];
            match expected.iter().find(|(at, _)| *at == length) {
                Some((_, expected)) => assert_eq!(known, *expected),
                None => assert!((30..70).contains(&known), "{known}"),
            }
        }
    }
}
