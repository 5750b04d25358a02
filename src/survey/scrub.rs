//! The scrub: every copy and every version read to the last byte, slowly, in the order of names.
//!
//! It goes over the names that any volume or history knows, not over files, so what is missing is
//! found as well. It sleeps a multiple of the time that its last piece of work took, notes where it
//! is every minute, and goes on from there. It changes nothing on any volume.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Checked, CopyState, CopyView, Scope, Survey,
    checked::{Check, Entry},
    scan::survey,
};
use crate::{
    local,
    maif::{PublicKey, Verdict, verify},
    number::{count, plural},
    progress::Task,
    store::{Access, Slot, Store, StoreError, hold},
    volume::{
        ArtifactName, At, Dir, Lane, Level, LockMode, Pending, Pulse, VersionId, VersionKind,
        VolumeError, dir, listing::Stamp,
    },
};

/// Artifacts verified between two rests.
const PIECE: usize = 32;
/// The cursor is saved so often.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// What is scrubbed, and how hard.
#[derive(Debug, Clone, Default)]
pub struct ScrubScope {
    /// From where the last one stopped.
    pub resume: bool,
    /// Only artifacts in which something was found before.
    pub only_errors: bool,
    /// Only what was written since.
    pub since: Option<DateTime<Utc>>,
    /// Rests this many times as long as it worked.
    pub tranquility: u32,
    /// Copies whose file is as it was when it was last read are not read again.
    pub trust_unchanged: bool,
}

/// What a scrub did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ScrubReport {
    /// Names gone over.
    pub artifacts: u64,
    /// Files read to the last byte and found right.
    pub verified: u64,
    /// Copies trusted because their file is unchanged.
    pub trusted: u64,
    /// Copies on volumes that cannot be read: nothing is known of them, and the scrub is not whole.
    pub unread: u64,
    pub bytes: u64,
    /// In words: what is damaged, missing, behind or contested, and where.
    pub found: Vec<String>,
    /// Artifacts that something was found of: a repair of them is what follows.
    pub queued: Vec<ArtifactName>,
    /// Copies that were damaged when they were last read to the last byte, and are right now.
    pub mended: u64,
    /// Whether it came to its end.
    pub finished: bool,
}

impl ScrubReport {
    /// In one sentence.
    pub fn words(&self) -> String {
        format!(
            "{} found, {} queued for repair, {} mended, {} verified{}{}, of {}",
            count(self.found.len() as u64),
            count(self.queued.len() as u64),
            count(self.mended),
            plural(self.verified, "file", "files"),
            match self.trusted {
                0 => String::new(),
                trusted => format!(", {} unchanged and trusted", count(trusted)),
            },
            match self.unread {
                0 => String::new(),
                unread => format!(", {} could not be reached", count(unread)),
            },
            plural(self.artifacts, "artifact", "artifacts"),
        )
    }
}

/// Where a scrub is, and when one last came to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last name gone over; `None` after an end.
    pub after: Option<ArtifactName>,
    /// Whether everything up to there was read, and not only some artifacts or what could be reached.
    #[serde(default)]
    pub whole: bool,
    pub finished_at: Option<DateTime<Utc>>,
}

impl Cursor {
    pub fn load(store: &str) -> Self {
        let path = local::directory().map(|d| d.join(format!("scrub-{store}.json")));
        path.and_then(|path| fs::read(path).ok())
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    fn save(&self, store: &str) -> Result<(), StoreError> {
        let Some(directory) = local::directory() else {
            return Ok(());
        };
        fs::create_dir_all(&directory).at("create", &directory)?;
        let path = directory.join(format!("scrub-{store}.json"));
        let text = serde_json::to_vec(self)
            .map_err(|error| StoreError::Failed(format!("cannot save the cursor: {error}")))?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        Ok(dir::write_durably(&path, &text, || temporary)?)
    }
}

/// Scrubs the store. Cancelled, it can be resumed from where it stopped.
///
/// It goes over what `seen` knows, a survey that was just made, or makes one.
pub fn scrub(
    store: &Store,
    scope: &ScrubScope,
    seen: Option<Arc<Survey>>,
    task: &Task,
) -> Result<ScrubReport, StoreError> {
    let id = store.id().unwrap_or_default().to_owned();
    let checked = Checked::of(&id);
    let survey = if let Some(seen) = seen {
        seen
    } else {
        let quick = Scope {
            level: Level::Quick,
            checked: checked.clone(),
            ..Scope::default()
        };
        Arc::new(survey(store, &quick, task)?)
    };
    let mut cursor = Cursor::load(&id);
    if !scope.resume {
        cursor.after = None;
    }
    let selects = scope.only_errors || scope.since.is_some();
    // What an earlier scrub left out before the cursor stays unread when it is resumed.
    cursor.whole = !selects && (cursor.after.is_none() || cursor.whole);
    let mut work = Scrub {
        store,
        scope,
        task,
        survey: &survey,
        trusted: store.trusted()?.into(),
        damaged: checked.damaged(),
        read: Vec::new(),
        report: ScrubReport::default(),
    };
    let rows = work.rows(&cursor);
    work.name_unreadable(&rows);
    cursor.whole &= work.report.unread == 0;
    task.totals(rows.len() as u64, work.bytes(&rows));
    task.phase("scrubbing");
    let mut saved = Instant::now();
    for piece in rows.chunks(PIECE) {
        let began = Instant::now();
        let result = task
            .checkpoint()
            .map_err(StoreError::from)
            .and_then(|()| work.piece(piece));
        let last = piece.last().and_then(|row| survey.artifacts.get(*row));
        if let Err(error) = result {
            cursor.save(&id)?;
            checked.remember(work.read)?;
            return match error {
                StoreError::Cancelled(_) => Ok(work.report),
                error => Err(error),
            };
        }
        cursor.after = last.map(|artifact| artifact.name.clone());
        if saved.elapsed() >= SAVE_EVERY {
            saved = Instant::now();
            cursor.save(&id)?;
            checked.remember(std::mem::take(&mut work.read))?;
        }
        task.sleep(began.elapsed() * scope.tranquility);
    }
    work.report.finished = true;
    cursor = Cursor {
        after: None,
        finished_at: if cursor.whole {
            Some(store.clock().now())
        } else {
            cursor.finished_at
        },
        whole: false,
    };
    cursor.save(&id)?;
    checked.remember(std::mem::take(&mut work.read))?;
    task.flush();
    Ok(work.report)
}

struct Scrub<'a> {
    store: &'a Store,
    scope: &'a ScrubScope,
    task: &'a Task,
    survey: &'a Survey,
    trusted: Arc<[PublicKey]>,
    /// Volumes and names where an earlier reading found damage.
    damaged: BTreeSet<(String, ArtifactName)>,
    /// What was read and is not remembered yet, in the order of names.
    read: Vec<Entry>,
    report: ScrubReport,
}

/// What reading one file gave: its digest when it is intact.
type Read = Result<(u64, Option<crate::maif::Digest>, String), VolumeError>;

impl Scrub<'_> {
    /// The rows to go over, in the order of names.
    fn rows(&self, cursor: &Cursor) -> Vec<usize> {
        let since = self.scope.since.map_or(i64::MIN, |since| since.timestamp());
        let rows = self.survey.artifacts.iter().enumerate();
        rows.filter(|(_, artifact)| {
            cursor
                .after
                .as_ref()
                .is_none_or(|after| artifact.name > *after)
        })
        .filter(|(_, artifact)| {
            !self.scope.only_errors
                || artifact
                    .copies
                    .iter()
                    .any(|copy| copy.state != CopyState::Ok)
        })
        .filter(|(row, artifact)| {
            let copies = artifact.copies.iter().map(CopyView::modified);
            let versions = self.survey.history(*row).iter();
            copies
                .chain(versions.map(|version| version.id.time().timestamp()))
                .any(|time| time >= since)
        })
        .map(|(row, _)| row)
        .collect()
    }

    /// Tells of the copies on volumes that cannot be read, a line a volume.
    fn name_unreadable(&mut self, rows: &[usize]) {
        let artifacts = rows
            .iter()
            .filter_map(|row| self.survey.artifacts.get(*row));
        let mut unread = BTreeMap::<usize, u64>::new();
        for copy in artifacts
            .filter(|a| !a.removed)
            .flat_map(|a| a.copies.iter())
        {
            if copy.state == CopyState::Unreachable {
                *unread.entry(usize::from(copy.volume.0)).or_default() += 1;
            }
        }
        for (position, count) in unread {
            self.report.unread += count;
            let volume = self.survey.volumes.get(position);
            self.report.found.push(format!(
                "{} on {} could not be read: the volume is {}",
                plural(count, "copy", "copies"),
                volume.map_or("?", |volume| &volume.label),
                volume.map_or("away", |volume| volume.state.word())
            ));
        }
    }

    fn bytes(&self, rows: &[usize]) -> u64 {
        rows.iter()
            .filter_map(|row| {
                let artifact = self.survey.artifacts.get(*row)?;
                let copies: u64 = artifact.copies.iter().filter_map(|copy| copy.size).sum();
                let versions = self.survey.history(*row).iter();
                let versions: u64 = versions.map(|v| v.size * u64::from(v.volumes)).sum();
                Some(copies + versions)
            })
            .sum()
    }

    fn piece(&mut self, rows: &[usize]) -> Result<(), StoreError> {
        let mut asked: Vec<(usize, &Slot, Option<VersionId>, Pending<Read>)> = Vec::new();
        for row in rows {
            let Some(artifact) = self.survey.artifacts.get(*row) else {
                continue;
            };
            self.report.artifacts += 1;
            for copy in &artifact.copies {
                let Some(slot) = self.store.slots().get(usize::from(copy.volume.0)) else {
                    continue;
                };
                match copy.state {
                    CopyState::Unreachable => {}
                    CopyState::Missing => {
                        let what = format!("{} is missing on {}", artifact.name, slot.label());
                        self.find(&artifact.name, what);
                    }
                    _ if self.is_trusted(copy) => {
                        self.report.trusted += 1;
                    }
                    state => {
                        if matches!(state, CopyState::Stale | CopyState::Divergent) {
                            let what = format!(
                                "{} is {} on {}",
                                artifact.name,
                                state.word(),
                                slot.label()
                            );
                            self.find(&artifact.name, what);
                        }
                        let pending = self.read(slot, &artifact.name, None);
                        asked.push((*row, slot, None, pending));
                    }
                }
            }
            let ids: BTreeSet<VersionId> = self
                .survey
                .history(*row)
                .iter()
                .filter(|version| version.kind == VersionKind::Copy)
                .map(|version| version.id)
                .collect();
            let readable = self.store.slots().iter().filter(|s| s.state.is_readable());
            for slot in readable {
                for id in &ids {
                    let pending = self.read(slot, &artifact.name, Some(*id));
                    asked.push((*row, slot, Some(*id), pending));
                }
            }
        }
        for (row, slot, version, pending) in asked {
            let Some(artifact) = self.survey.artifacts.get(row) else {
                continue;
            };
            self.heard(slot, &artifact.name, row, version, pending.wait())?;
        }
        self.task.add_done(rows.len() as u64);
        Ok(())
    }

    fn is_trusted(&self, copy: &CopyView) -> bool {
        self.scope.trust_unchanged
            && copy.checked == Level::Deep
            && copy.state != CopyState::Corrupt
    }

    fn read(&self, slot: &Slot, name: &ArtifactName, version: Option<VersionId>) -> Pending<Read> {
        let (name, trusted) = (name.clone(), Arc::clone(&self.trusted));
        let task = self.task.clone();
        slot.volume.start(Lane::Bulk, move |dir, pulse| {
            Ok(read_to_the_end(dir, &name, version, &trusted, pulse, &task))
        })
    }

    fn heard(
        &mut self,
        slot: &Slot,
        name: &ArtifactName,
        row: usize,
        version: Option<VersionId>,
        answer: Result<Read, VolumeError>,
    ) -> Result<(), StoreError> {
        let what = version.map_or_else(|| name.to_string(), |id| format!("version {id} of {name}"));
        let answer = match answer {
            Ok(Ok((_, None, _)) | Err(_)) if version.is_none() => self.read_again(slot, name),
            answer => answer,
        };
        match answer {
            Ok(Err(VolumeError::Cancelled(cancelled))) => return Err(cancelled.into()),
            // A version is on the volumes that have it; which should is for a repair to say.
            Ok(Err(error)) if version.is_some() && error.is_not_found() => {}
            Ok(Err(error)) if error.is_not_found() && !self.is_missing(slot, name) => {}
            Ok(Err(error)) | Err(error) => {
                self.find(name, format!("{what} on {}: {error}", slot.label()));
            }
            Ok(Ok((bytes, sha256, problem))) => {
                self.report.bytes += bytes;
                if sha256.is_some() {
                    self.report.verified += 1;
                    self.task.add_verified(1);
                } else {
                    self.find(
                        name,
                        format!("{what} on {} is damaged: {problem}", slot.label()),
                    );
                }
                if version.is_none() {
                    self.remember(slot, name, row, sha256);
                }
            }
        }
        Ok(())
    }

    /// Reads a copy once more, when nobody is writing it: a sketch may have been saving it in place.
    fn read_again(&self, slot: &Slot, name: &ArtifactName) -> Result<Read, VolumeError> {
        let mode = LockMode::Shared;
        let held = (self.store.access() == Access::Write && !self.task.snapshot().cancelled)
            .then(|| hold::hold_name(self.store, &[slot], name, mode));
        if let Some(Err(error)) = &held {
            tracing::warn!(%error, %name, "read again without its lock");
        }
        self.read(slot, name, None).wait()
    }

    /// Whether a volume should hold a copy that is not there; not after a removal or a move.
    fn is_missing(&self, slot: &Slot, name: &ArtifactName) -> bool {
        let (facts, judgement) = self.store.judge(name);
        facts.iter().zip(&judgement.copies).any(|(facts, state)| {
            let here = self.store.slots().get(usize::from(facts.volume.0));
            *state == CopyState::Missing && here.is_some_and(|here| here.label() == slot.label())
        })
    }

    fn remember(
        &mut self,
        slot: &Slot,
        name: &ArtifactName,
        row: usize,
        sha256: Option<crate::maif::Digest>,
    ) {
        let slots = self.store.slots().iter();
        let position = slots
            .clone()
            .position(|other| other.label() == slot.label());
        let copy = self.survey.artifacts.get(row).and_then(|artifact| {
            let mut copies = artifact.copies.iter();
            copies.find(|copy| Some(usize::from(copy.volume.0)) == position)
        });
        let (Some(copy), Some(identity)) = (copy, slot.identity.as_ref()) else {
            return;
        };
        let Some(size) = copy.size.filter(|_| copy.stamp != Stamp::default()) else {
            return;
        };
        let check = Check {
            size,
            stamp: copy.stamp,
            at: self.store.clock().now().timestamp(),
            sha256,
        };
        let was_damaged = self
            .damaged
            .remove(&(identity.instance.clone(), name.clone()));
        self.report.mended += u64::from(was_damaged && sha256.is_some());
        let found = (identity.instance.clone(), check);
        match self.read.last_mut().filter(|entry| entry.name == *name) {
            Some(entry) => entry.copies.push(found),
            None => self.read.push(Entry {
                name: name.clone(),
                copies: vec![found],
            }),
        }
    }

    fn find(&mut self, name: &ArtifactName, what: String) {
        self.task.add_failed(1);
        // Names come in order.
        if self.report.queued.last() != Some(name) {
            self.report.queued.push(name.clone());
        }
        self.report.found.push(what);
    }
}

/// Reads one file; its size, its digest unless it is damaged, and what is wrong.
fn read_to_the_end(
    dir: &Dir,
    name: &ArtifactName,
    version: Option<VersionId>,
    trusted: &[PublicKey],
    pulse: &Pulse,
    task: &Task,
) -> Read {
    let path = match version {
        Some(id) => dir.version_path(name, id, VersionKind::Copy),
        None => dir.copy_path(name),
    };
    let file = dir::open(&path).at("open", &path)?;
    let verified = verify(&file, trusted, &mut |bytes| {
        pulse.beat();
        task.tick(bytes)
    });
    match verified {
        Ok(found) if found.verdict() == Verdict::Damaged => {
            let problem = format!("{}: {}", found.class, found.problem());
            Ok((found.size, None, problem))
        }
        Ok(found) => Ok((found.size, Some(found.sha256), String::new())),
        Err(_) if task.snapshot().cancelled => {
            Err(VolumeError::Cancelled(crate::progress::Cancelled))
        }
        Err(error) => Err(VolumeError::Bad {
            path,
            problem: error.to_string(),
        }),
    }
}
