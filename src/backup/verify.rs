//! Verifying a backup: quick (manifest, sizes, footers) or full (every byte, as MAIF and against
//! `SHA256SUMS`).
//!
//! The result is kept beside the seal when that can be written. A sketch's backup has no seal;
//! its files are verified as MAIF alone and nothing is written into it.
//! A part of it can be checked at a time; successive runs check different parts.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use rayon::iter::{ParallelBridge, ParallelIterator};

use super::{
    copy::{plain, verify_file},
    manifest::{self, Entry},
    model::BackupId,
    part::Part,
    sums,
    tree::{self, MANIFEST, RelPath, SUMS, VERIFIED},
};
use crate::{
    clock::SharedClock,
    maif::{Digest, QuickLook, Verdict, quick},
    progress::Task,
    store::StoreError,
    volume::{At, Fingerprint, Lane, Level, Pulse, VolumeError, dir},
};

/// What verifying a backup found. Paths are relative to its root.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct VerifyReport {
    /// Nothing is damaged and nothing missing.
    pub ok: bool,
    /// Files looked at.
    pub checked: u64,
    pub damaged: Vec<String>,
    pub missing: Vec<String>,
    /// Files that were not sealed; they harm nothing, but `cp` would restore them.
    pub extra: Vec<String>,
}

/// Verifies the backup `id` in the backups directory.
pub fn verify(
    directory: &Path,
    id: BackupId,
    quick: bool,
    clock: &SharedClock,
    task: &Task,
) -> Result<VerifyReport, StoreError> {
    verify_part(directory, id, quick, 100, clock, task)
}

/// Verifies so many percent of it, another part each time; its seal and that every file is there
/// always. A backup without a seal cannot remember which part was checked.
pub fn verify_part(
    directory: &Path,
    id: BackupId,
    quick: bool,
    percent: u8,
    clock: &SharedClock,
    task: &Task,
) -> Result<VerifyReport, StoreError> {
    let level = if quick { Level::Quick } else { Level::Deep };
    let root = directory.join(id.directory());
    let (task, at) = (task.clone(), clock.now());
    let not_found = || StoreError::NotFound {
        kind: "backup",
        what: id.to_string(),
    };
    tree::open(directory)
        .run(Lane::Bulk, move |_, pulse| {
            if !root.is_dir() {
                return Ok(None);
            }
            if percent < 100 && !tree::is_sealed(&root) {
                return Err(VolumeError::Bad {
                    path: root,
                    problem:
                        "it has no seal in which parts could be remembered; verify all of it, \
                              or `maifdeck backup seal` it first"
                            .to_owned(),
                });
            }
            let check = Check {
                part: Part::next(&root, percent, level, at),
                root,
                level,
                at,
                task: &task,
                pulse,
            };
            check.run().map(Some)
        })
        .map_err(|error| plain(error.into()))?
        .ok_or_else(not_found)
}

/// What is known of a sealed file.
#[derive(Debug, Default)]
struct Sealed {
    /// From `SHA256SUMS`.
    sha256: Option<Digest>,
    /// From the manifest: digest and fingerprint.
    entry: Option<(Digest, Fingerprint)>,
}

struct Check<'a> {
    root: PathBuf,
    level: Level,
    part: Part,
    at: DateTime<Utc>,
    task: &'a Task,
    pulse: &'a Pulse,
}

impl Check<'_> {
    fn run(&self) -> Result<VerifyReport, VolumeError> {
        let mut report = VerifyReport::default();
        self.task.phase("verifying");
        let is_sealed = tree::is_sealed(&self.root);
        if is_sealed {
            let mut files = self.seal(&mut report)?;
            let (mut items, mut bytes) = (0, 0);
            for (_, file) in files.iter().filter(|(path, _)| self.part.holds(path)) {
                items += 1;
                bytes += file.entry.map_or(0, |(_, print)| print.size);
            }
            self.task.totals(items, bytes);
            let mut extra = Vec::new();
            let walked = tree::files(&self.root, self.pulse).filter_map(|found| {
                let path = match found {
                    Ok((path, _)) => path,
                    Err(error) => return Some(Err(error)),
                };
                let relative = self.relative(&path)?;
                let Some(sealed) = files.remove(&relative) else {
                    extra.push(relative.json());
                    return None;
                };
                let here = self.part.holds(&relative);
                here.then_some(Ok((path, relative, sealed)))
            });
            // Signatures cost more than reading: each processor takes its share.
            let found = self.task.side_by_side(|| {
                let checked = walked.par_bridge().map(|found| {
                    let (path, relative, sealed) = found?;
                    Ok((self.file(&path, &sealed)?, relative))
                });
                let damaged = |(sound, relative): (bool, RelPath)| {
                    (
                        1,
                        if sound {
                            Vec::new()
                        } else {
                            vec![relative.json()]
                        },
                    )
                };
                checked
                    .map(|checked: Result<_, VolumeError>| checked.map(damaged))
                    .try_reduce(Default::default, |mut a, b| {
                        a.1.extend(b.1);
                        Ok((a.0 + b.0, a.1))
                    })
            })?;
            report.checked += found.0;
            report.damaged.extend(found.1);
            report.extra = extra;
            // The manifest is no file of the tree, but it is under the digests.
            if let Some(manifest) = RelPath::parse(MANIFEST.as_bytes()) {
                files.remove(&manifest);
            }
            report.missing.extend(files.keys().map(RelPath::json));
        } else {
            self.unsealed(&mut report)?;
        }
        for list in [&mut report.damaged, &mut report.missing, &mut report.extra] {
            list.sort_unstable();
            list.dedup();
        }
        report.ok = report.damaged.is_empty() && report.missing.is_empty();
        if is_sealed {
            self.keep(report.ok);
        }
        self.task.flush();
        Ok(report)
    }

    fn relative(&self, path: &Path) -> Option<RelPath> {
        RelPath::parse(path.strip_prefix(&self.root).ok()?.as_os_str().as_bytes())
    }

    /// Reads both halves of the seal and holds them against each other.
    fn seal(&self, report: &mut VerifyReport) -> Result<HashMap<RelPath, Sealed>, VolumeError> {
        let mut files: HashMap<RelPath, Sealed> = HashMap::new();
        let mut known = 0u64;
        let manifest = manifest::read_entries(&self.root, self.pulse, &mut |entry: Entry| {
            self.task.checkpoint()?;
            known += u64::from(entry.version.is_none());
            let sealed = files.entry(entry.path.clone()).or_default();
            sealed.entry = Some((entry.sha256, entry.fingerprint()));
            Ok(())
        });
        let manifest_ok = match manifest {
            Ok(header) => header.artifacts == known,
            Err(VolumeError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) if error.is_not_found() => {
                report.missing.push(MANIFEST.to_owned());
                true
            }
            Err(_) => false,
        };
        let mut manifest_sum = None;
        match self.sums(&mut |path, sha256| {
            if path.as_bytes() == MANIFEST.as_bytes() {
                manifest_sum = Some(sha256);
            } else {
                files.entry(path).or_default().sha256 = Some(sha256);
            }
        }) {
            Ok(true) => {}
            Err(error) if error.is_not_found() => report.missing.push(SUMS.to_owned()),
            Ok(false) | Err(_) => report.damaged.push(SUMS.to_owned()),
        }
        let path = self.root.join(MANIFEST);
        let sum_differs = match (manifest_sum, self.digest(&path)) {
            (Some(expected), Some(found)) => expected != found,
            _ => false,
        };
        if !manifest_ok || sum_differs {
            report.damaged.push(MANIFEST.to_owned());
        }
        // Two digests for one file, or one only: with the manifest's own digest in order it is
        // SHA256SUMS that was changed.
        let contradict = files.values().any(|file| match (file.sha256, file.entry) {
            (Some(a), Some((b, _))) => a != b,
            _ => true,
        });
        let blamed = !report.damaged.is_empty() || !report.missing.is_empty();
        if contradict && !blamed {
            report.damaged.push(SUMS.to_owned());
        }
        report.checked += 1;
        Ok(files)
    }

    /// Reads `SHA256SUMS`; `false` when a line of it makes no sense.
    fn sums(&self, each: &mut dyn FnMut(RelPath, Digest)) -> Result<bool, VolumeError> {
        let path = self.root.join(SUMS);
        let mut reader = BufReader::new(dir::open(&path).at("open", &path)?);
        let (mut line, mut sound) = (Vec::new(), true);
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).at("read", &path)? == 0 {
                return Ok(sound);
            }
            self.pulse.beat();
            match line.strip_suffix(b"\n").and_then(sums::parse) {
                Some((sha256, path)) => each(path, sha256),
                None => sound = false,
            }
        }
    }

    fn digest(&self, path: &Path) -> Option<Digest> {
        let file = dir::open(path).ok()?;
        let found = verify_file(&file, path, self.task, self.pulse).ok()?;
        Some(found.sha256)
    }

    /// Whether one sealed file is as sealed.
    fn file(&self, path: &Path, sealed: &Sealed) -> Result<bool, VolumeError> {
        self.task.checkpoint()?;
        let sound = match self.level {
            Level::Deep => self.deep(path, sealed),
            _ => Ok(looks_right(path, sealed)),
        };
        let sound = match sound {
            // A file that cannot be read cannot be restored.
            Err(VolumeError::Io { .. } | VolumeError::Bad { .. }) => false,
            sound => sound?,
        };
        if sound {
            self.task.add_verified(1);
        } else {
            self.task.add_failed(1);
        }
        self.task.add_done(1);
        Ok(sound)
    }

    fn deep(&self, path: &Path, sealed: &Sealed) -> Result<bool, VolumeError> {
        let file = dir::open(path).at("open", path)?;
        let found = verify_file(&file, path, self.task, self.pulse)?;
        self.task.add_bytes(found.size);
        let as_sealed = |expected: Option<Digest>| expected.is_none_or(|e| e == found.sha256);
        // When the halves of the seal contradict each other, either may be right about the file.
        let entry = sealed.entry.map(|(sha256, _)| sha256);
        let right = (sealed.sha256.is_some() && as_sealed(sealed.sha256))
            || (entry.is_some() && as_sealed(entry));
        Ok(right && found.verdict() != Verdict::Damaged)
    }

    /// Without a seal only the files themselves can tell.
    fn unsealed(&self, report: &mut VerifyReport) -> Result<(), VolumeError> {
        for found in tree::files(&self.root, self.pulse) {
            let (path, _) = found?;
            self.task.checkpoint()?;
            if path.extension().is_none_or(|extension| extension != "maif") {
                continue;
            }
            let sound = match self.level {
                Level::Deep => dir::open(&path).at("open", &path).and_then(|file| {
                    let found = verify_file(&file, &path, self.task, self.pulse)?;
                    self.task.add_bytes(found.size);
                    Ok(found.verdict() != Verdict::Damaged)
                }),
                _ => Ok(is_whole(&path)),
            };
            match sound {
                Ok(true) => {}
                Err(VolumeError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Ok(false) | Err(_) => {
                    report
                        .damaged
                        .extend(self.relative(&path).map(|p| p.json()));
                }
            }
            report.checked += 1;
            self.task.add_done(1);
        }
        Ok(())
    }

    /// Keeps the result beside the seal. A backup on a read-only medium is verified all the same.
    fn keep(&self, ok: bool) {
        let path = self.root.join(VERIFIED);
        let verified = self.part.result(self.level, self.at, ok);
        let temporary = self.root.join(format!("{VERIFIED}.{}", std::process::id()));
        let written = serde_json::to_vec(&verified)
            .map_err(|error| VolumeError::Bad {
                path: path.clone(),
                problem: error.to_string(),
            })
            .and_then(|text| dir::write_durably(&path, &text, || temporary));
        if let Err(error) = written {
            tracing::info!(%error, "the verification's result is not kept");
        }
    }
}

/// Size and footer are those of the manifest.
fn looks_right(path: &Path, sealed: &Sealed) -> bool {
    let Ok(file) = dir::open(path) else {
        return false;
    };
    Fingerprint::read(&file).is_ok_and(|(print, ..)| sealed.entry.is_none_or(|(_, e)| e == print))
}

/// A quick look at a file that no manifest describes.
fn is_whole(path: &Path) -> bool {
    let Ok(file) = dir::open(path) else {
        return false;
    };
    Fingerprint::read(&file).is_ok_and(|(print, head, tail)| {
        !matches!(
            quick(&head, &tail, print.size),
            QuickLook::Torn | QuickLook::Malformed
        )
    })
}
