//! Reading one artifact: the bytes of a copy that verified, never of one that did not.
//!
//! Readers take no lock. When no copy is whole, a sketch may just be saving the only one in place:
//! then they are read once more under the shared lock.

use std::{
    fs::{self, File},
    io::{Seek, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{
    error::StoreError,
    grid::Store,
    hold,
    judge::{Condition, Facts, Judgement, Seen, judge},
    peek,
    slot::Slot,
    state::{ArtifactState, CopyState, VolumeIndex},
};
use crate::{
    maif::{Digest, PublicKey, Verdict, Verification, verify},
    volume::{ArtifactName, At, Fingerprint, Lane, LockMode, VersionId, VersionKind, dir},
};

/// Verified bytes, and where they came from.
#[derive(Debug)]
pub struct Fetched {
    /// Nobody writes to it: a copy without a name, of which a crash leaves nothing, or a file of a
    /// sealed backup.
    pub file: File,
    pub verification: Verification,
    /// The volume's label, `cache`, or which backup.
    pub volume: String,
    /// The file whose bytes they are.
    pub path: PathBuf,
}

impl Fetched {
    /// Writes the bytes, all of them, wherever the file was read to before.
    pub fn copy_to(&self, out: &mut dyn Write) -> std::io::Result<u64> {
        let mut file = &self.file;
        file.rewind()?;
        std::io::copy(&mut file, out)
    }
}

impl Store {
    /// Judges one artifact on its home, at level quick.
    pub fn judge(&self, name: &ArtifactName) -> (Vec<Facts>, Judgement) {
        self.judge_in(self.home(name), name)
    }

    pub(super) fn judge_in(
        &self,
        partition: usize,
        name: &ArtifactName,
    ) -> (Vec<Facts>, Judgement) {
        let slots: Vec<(VolumeIndex, &Slot)> = self
            .slots()
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.partition == partition)
            .map(|(n, slot)| (VolumeIndex(u16::try_from(n).unwrap_or(u16::MAX)), slot))
            .collect();
        // Keys that do not parse were refused with the configuration.
        let trusted = self.trusted().unwrap_or_default().into();
        let facts = peek::facts(&slots, name, &trusted);
        let quorum = self.config().store.write_quorum.of(slots.len());
        let judgement = judge(&facts, quorum);
        (facts, judgement)
    }

    /// The current copy.
    pub fn fetch(&self, name: &ArtifactName) -> Result<Fetched, StoreError> {
        self.require_same_layout()?;
        let home = self.home(name);
        let of_home = |slot: &&Slot| slot.partition == home && slot.is_writable();
        let slots: Vec<&Slot> = self.slots().iter().filter(of_home).collect();
        self.reading(&slots, name, || self.fetch_newest(name))
    }

    /// The copy on one volume, whatever the others hold.
    pub fn fetch_from(&self, name: &ArtifactName, label: &str) -> Result<Fetched, StoreError> {
        let slot = self.slot(label).ok_or_else(|| StoreError::NotFound {
            kind: "volume",
            what: label.to_owned(),
        })?;
        self.reading(&[slot], name, || self.fetch_copy(slot, name))
    }

    /// Reads without a lock; what was not whole, once more when no one is saving.
    fn reading(
        &self,
        slots: &[&Slot],
        name: &ArtifactName,
        read: impl Fn() -> Result<Fetched, StoreError>,
    ) -> Result<Fetched, StoreError> {
        match read() {
            Err(StoreError::NoIntactCopy { .. } | StoreError::Damaged { .. })
                if self.require_write().is_ok() =>
            {
                let _held = hold::hold_name(self, slots, name, LockMode::Shared)?;
                read()
            }
            result => result,
        }
    }

    fn fetch_newest(&self, name: &ArtifactName) -> Result<Fetched, StoreError> {
        let (facts, judgement) = self.judge(name);
        if !judgement.vanished {
            return self.fetch_judged(name, facts, judgement);
        }
        // Home knows neither a copy nor a removal: it may still lie where it was placed before.
        let home = self.home(name);
        for partition in (0..self.partitions().len()).filter(|p| *p != home) {
            let (facts, judgement) = self.judge_in(partition, name);
            if judgement.reference.is_some() {
                return self.fetch_judged(name, facts, judgement);
            }
        }
        Err(StoreError::NotFound {
            kind: "artifact",
            what: name.to_string(),
        })
    }

    /// Reads the copy that was judged right, else one that agrees with it. Those that turn out
    /// damaged were judged by too quick a look (a footer that passed for a save by another program,
    /// say): the rest is judged again.
    fn fetch_judged(
        &self,
        name: &ArtifactName,
        mut facts: Vec<Facts>,
        mut judgement: Judgement,
    ) -> Result<Fetched, StoreError> {
        let quorum = self.config().store.write_quorum.of(facts.len());
        let mut why: Vec<String> = Vec::new();
        while let Some(reference) = judgement.reference.take() {
            let agree = |at: &usize| judgement.copies.get(*at) == Some(&CopyState::Ok);
            let mut order: Vec<usize> = (0..facts.len()).filter(agree).collect();
            order.sort_by_key(|at| facts.get(*at).map(|f| f.volume != reference.volume));
            for fact in order {
                let Some(fact) = facts.get_mut(fact) else {
                    continue;
                };
                let Some(slot) = self.slots().get(usize::from(fact.volume.0)) else {
                    continue;
                };
                match self.fetch_copy(slot, name) {
                    Ok(fetched) => return Ok(fetched),
                    Err(error) => why.push(format!("{}: {error}", slot.label())),
                }
                if let Seen::File(file) = &mut fact.seen {
                    file.condition = Condition::Damaged;
                }
            }
            judgement = judge(&facts, quorum);
        }
        Err(self.no_copy(name, &facts, &judgement, why))
    }

    /// Why there is nothing to read.
    fn no_copy(
        &self,
        name: &ArtifactName,
        facts: &[Facts],
        judgement: &Judgement,
        mut why: Vec<String>,
    ) -> StoreError {
        if judgement.removed {
            return StoreError::NotFound {
                kind: "artifact",
                what: format!("{name} (it was removed; its versions are kept)"),
            };
        }
        match judgement.state {
            ArtifactState::Divergent => why.push(
                "its copies contradict each other, and nothing says which is right".to_owned(),
            ),
            ArtifactState::Unreachable => {
                let blocked = facts.iter().find(|f| f.seen == Seen::Unreachable);
                let slot = blocked.and_then(|f| self.slots().get(usize::from(f.volume.0)));
                match slot {
                    // Its newest generation is damaged where it could be read.
                    Some(slot) if facts.iter().any(|f| matches!(f.seen, Seen::File(_))) => {
                        let reason = slot.reason.as_deref().unwrap_or_default();
                        why.push(format!(
                            "{}, which may hold one, is {}: {reason}",
                            slot.label(),
                            slot.state.word()
                        ));
                    }
                    Some(slot) => return slot.not_usable(),
                    None => why.push("no volume answers".to_owned()),
                }
            }
            _ if why.is_empty() => why.push("none of its newest generation is whole".to_owned()),
            _ => {}
        }
        StoreError::NoIntactCopy {
            name: name.clone(),
            why: why.join("; "),
        }
    }

    /// A version, from any replica where it is intact.
    pub fn fetch_version(&self, name: &ArtifactName, id: VersionId) -> Result<Fetched, StoreError> {
        let mut why = Vec::new();
        for slot in self.slots().iter().filter(|slot| slot.state.is_readable()) {
            let owned = name.clone();
            let path =
                slot.volume
                    .path()
                    .join(dir::VERSIONS)
                    .join(crate::volume::version::file_name(
                        &owned,
                        id,
                        VersionKind::Copy,
                    ));
            match self.fetch_file(slot, path) {
                Ok(fetched) if fetched.verification.verdict() == Verdict::Intact => {
                    return Ok(fetched);
                }
                Ok(fetched) => why.push(problem(slot, &fetched.verification)),
                Err(StoreError::Volume(error)) if error.is_not_found() => {}
                Err(error) => why.push(error.to_string()),
            }
        }
        if why.is_empty() {
            return Err(StoreError::NotFound {
                kind: "version",
                what: format!("{id} of {name}"),
            });
        }
        Err(StoreError::NoIntactCopy {
            name: name.clone(),
            why: why.join("; "),
        })
    }

    fn fetch_copy(&self, slot: &Slot, name: &ArtifactName) -> Result<Fetched, StoreError> {
        let path = slot.volume.path().join(name.file_name());
        let fetched = self.fetch_file(slot, path)?;
        if fetched.verification.verdict() == Verdict::Intact {
            return Ok(fetched);
        }
        Err(StoreError::Damaged {
            what: format!("{} on {}", name, slot.label()),
            class: fetched.verification.class.to_string(),
            problem: fetched.verification.problem().to_owned(),
        })
    }

    /// Copies a file of a volume to a temporary one, then verifies what arrived.
    fn fetch_file(&self, slot: &Slot, path: PathBuf) -> Result<Fetched, StoreError> {
        let file = scratch()?;
        let mut target = file.try_clone().at("open a copy of", &path)?;
        let from = path.clone();
        let copied = slot.volume.run(Lane::Bulk, move |_, pulse| {
            let mut source = dir::open(&from).at("open", &from)?;
            let mut buffer = vec![0; 256 * 1024];
            loop {
                let read = std::io::Read::read(&mut source, &mut buffer).at("read", &from)?;
                let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
                    return Ok(());
                };
                target.write_all(chunk).at("write a copy of", &from)?;
                pulse.beat();
            }
        });
        copied?;
        let verification = verify(&file, &self.trusted()?, &mut |_| ControlFlow::Continue(()))?;
        Ok(Fetched {
            file,
            verification,
            volume: slot.label().to_owned(),
            path,
        })
    }

    /// The keys that the configuration trusts.
    pub fn trusted(&self) -> Result<Vec<PublicKey>, StoreError> {
        self.config()
            .sign
            .trusted
            .iter()
            .map(|key| {
                key.parse()
                    .map_err(|error| StoreError::Usage(format!("sign.trusted: {key}: {error}")))
            })
            .collect()
    }

    /// Verifies a source and makes sure that it is the one that was planned.
    pub fn verified(&self, path: &Path, wanted: Fingerprint) -> Result<Digest, StoreError> {
        let file = dir::open(path).at("open", path)?;
        let (found, ..) = Fingerprint::read(&file).at("read", path)?;
        if found != wanted {
            return Err(StoreError::Changed(format!(
                "{} changed since planned",
                path.display()
            )));
        }
        let verification = verify(&file, &self.trusted()?, &mut |_| ControlFlow::Continue(()))?;
        match verification.verdict() {
            // What is not MAIF cannot be verified; it is copied as it is, digest and all.
            Verdict::Intact | Verdict::Unsupported => Ok(verification.sha256),
            Verdict::Damaged => Err(StoreError::Damaged {
                what: path.display().to_string(),
                class: verification.class.to_string(),
                problem: verification.problem().to_owned(),
            }),
        }
    }

    /// The first of these volumes that has a version whole, and its digest.
    pub fn whole_version<'s>(
        &self,
        slots: impl Iterator<Item = &'s Slot>,
        name: &ArtifactName,
        id: VersionId,
    ) -> Option<(&'s Slot, Digest)> {
        let mut slots = slots;
        slots.find_map(|slot| {
            let found = self.verify_version(slot, name, id).ok()?;
            // What is not MAIF is as whole as anybody can know.
            (found.verdict() != Verdict::Damaged).then_some((slot, found.sha256))
        })
    }

    /// Verifies a file of a volume where it lies, without copying it.
    pub fn verify_version(
        &self,
        slot: &Slot,
        name: &ArtifactName,
        id: VersionId,
    ) -> Result<Verification, StoreError> {
        let trusted = self.trusted()?;
        let name = name.clone();
        let verified = slot.volume.run(Lane::Bulk, move |dir, pulse| {
            let path = dir.version_path(&name, id, VersionKind::Copy);
            let file = dir::open(&path).at("open", &path)?;
            Ok(verify(&file, &trusted, &mut |_| {
                pulse.beat();
                ControlFlow::Continue(())
            }))
        })?;
        Ok(verified?)
    }
}

fn problem(slot: &Slot, verification: &Verification) -> String {
    format!(
        "{}: {}: {}",
        slot.label(),
        verification.class,
        verification.problem()
    )
}

/// An empty temporary file on this machine.
pub fn spool() -> Result<NamedTempFile, StoreError> {
    Ok(NamedTempFile::new().at("create a temporary file in", &std::env::temp_dir())?)
}

/// One without a name.
pub(super) fn scratch() -> Result<File, StoreError> {
    Ok(tempfile::tempfile().at("create a temporary file in", &std::env::temp_dir())?)
}

/// Writes verified bytes to a file of the user's, in one step. What is there and no regular file (a
/// device, a pipe) is written to, never replaced.
pub fn deliver(fetched: &Fetched, to: &Path) -> Result<(), StoreError> {
    if fs::metadata(to).is_ok_and(|there| !there.is_file()) {
        let mut target = File::options().write(true).open(to).at("open", to)?;
        fetched.copy_to(&mut target).at("write", to)?;
        return Ok(());
    }
    let parent = to
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut target = NamedTempFile::new_in(parent).at("create a file in", parent)?;
    fetched.copy_to(&mut target).at("write", to)?;
    target.as_file().sync_all().at("sync", to)?;
    // A temporary file is private; what the user asked for has the usual mode.
    fs::set_permissions(
        target.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .at("set the mode of", to)?;
    target
        .persist(to)
        .map_err(|error| error.error)
        .at("rename to", to)?;
    Ok(())
}
