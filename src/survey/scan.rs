//! Taking a survey: list every volume, look as closely as asked, judge every artifact.
//!
//! Reading only. Level presence costs the listings; copies whose listing is not enough to judge
//! (sizes differ, a removal is involved) are looked at quickly all the same, so that even the
//! cheapest survey never guesses.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::{
    checked::{Check, Checked},
    model::{
        ArtifactState, ArtifactView, CopyState, CopyView, NewestIntact, PartitionView, Reference,
        Space, Stamp, Survey, VersionView, VolumeIndex, VolumeState, VolumeView,
    },
    parts::{Part, Parts},
};
use crate::{
    maif::{PublicKey, verify},
    progress::Task,
    store::{
        Slot, Store, StoreError,
        judge::{Condition, Facts, FileFacts, Seen, judge},
        peek,
    },
    volume::{
        ArtifactName, Dir, Fingerprint, Lane, Level, Listing, Pulse, Record, VersionId,
        VersionKind, VolumeError, dir, listing,
    },
};

/// Names looked at in one call to a volume: so many between two safe points.
const BATCH: usize = 512;

/// What is surveyed.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub level: Level,
    /// Only these artifacts are looked at more closely than by listing; all when empty.
    pub names: Vec<ArtifactName>,
    /// What this host remembers of copies that were read to the last byte.
    pub checked: Checked,
    /// Names that backups know: with no copy and no history left, they have vanished. In
    /// the order of names.
    pub known: Vec<(ArtifactName, Arc<str>)>,
}

/// Surveys the store.
pub fn survey(store: &Store, scope: &Scope, task: &Task) -> Result<Survey, StoreError> {
    survey_again(store, scope, None, task)
}

/// Surveys the store; what a stat shows to be as in `previous` is not looked at again.
pub fn survey_again(
    store: &Store,
    scope: &Scope,
    previous: Option<&Survey>,
    task: &Task,
) -> Result<Survey, StoreError> {
    let began = Instant::now();
    task.phase("listing");
    let mut survey = Survey {
        level: scope.level,
        at: store.clock().now(),
        placement: store.config().store.placement.word(),
        ..Survey::default()
    };
    let listings = list_volumes(store, &mut survey);
    task.checkpoint()?;
    count_volumes(&mut survey, &listings);
    count_work(scope, &listings, task);
    let most = listings.iter().flatten().map(|l| l.copies.len()).max();
    survey.artifacts.reserve(most.unwrap_or(0));
    let previous = previous.filter(|p| is_comparable(p, &survey));
    let mut known = Known {
        previous,
        next: 0,
        judged: None,
    };
    // Part by part, so that what is only needed to judge a row is never held for all of them.
    for part in Parts::of(&listings, &scope.known) {
        let mut rows = merge(store, &part);
        known.mark(&mut rows, task);
        look_closer(store, scope, &mut survey, &mut rows, task)?;
        compare_histories(store, &survey, &mut rows, task)?;
        conclude(store, scope, &mut survey, rows, &mut known);
    }
    distribute(store, &mut survey);
    survey.took = began.elapsed();
    Ok(survey)
}

/// Listings by slot; `None` for a volume that cannot be read.
fn list_volumes(store: &Store, survey: &mut Survey) -> Vec<Option<Listing>> {
    let pending: Vec<_> = store
        .slots()
        .iter()
        .map(|slot| {
            slot.state.is_readable().then(|| {
                slot.volume.start(Lane::Bulk, |dir, pulse| {
                    let listing = listing::list(dir, pulse)?;
                    Ok((listing, space(dir)))
                })
            })
        })
        .collect();
    let mut listings = Vec::new();
    for (slot, pending) in store.slots().iter().zip(pending) {
        let mut view = VolumeView {
            label: Arc::clone(slot.volume.label()),
            partition: u16::try_from(slot.partition).unwrap_or(u16::MAX),
            path: slot.volume.path().to_owned(),
            state: slot.state,
            reason: slot.reason.clone(),
            artifacts: 0,
            current_bytes: 0,
            versions: 0,
            versions_bytes: 0,
            trash_bytes: 0,
            space: None,
            other_files: 0,
        };
        let listing = match pending.map(crate::volume::Pending::wait) {
            None => None,
            Some(Ok((listing, space))) => {
                view.space = space;
                if view.state == VolumeState::Ok && space.is_some_and(|space| space.free == 0) {
                    view.state = VolumeState::Full;
                    view.reason = Some("its file system has no room left".to_owned());
                }
                Some(listing)
            }
            Some(Err(error)) => {
                view.state = VolumeState::Unreachable;
                view.reason = Some(error.to_string());
                None
            }
        };
        survey.volumes.push(view);
        listings.push(listing);
    }
    listings
}

fn space(dir: &Dir) -> Option<Space> {
    let stats = fs2::statvfs(dir.path()).ok()?;
    Some(Space {
        free: stats.available_space(),
        total: stats.total_space(),
    })
}

fn count_volumes(survey: &mut Survey, listings: &[Option<Listing>]) {
    for (view, listing) in survey.volumes.iter_mut().zip(listings) {
        let Some(listing) = listing else { continue };
        view.artifacts = listing.copies.len() as u64;
        view.current_bytes = listing.copies.iter().map(|c| c.size).sum();
        view.versions = listing.versions.len() as u64;
        view.versions_bytes = listing.versions.iter().map(|v| v.size).sum();
        view.trash_bytes = listing.trash_bytes;
        view.other_files = listing.other_count;
    }
}

/// One copy while the survey is being made.
#[derive(Debug, Clone, Copy)]
struct Draft {
    volume: VolumeIndex,
    size: u64,
    stamp: Stamp,
    facts: Option<FileFacts>,
    /// What an earlier reading of every byte found, the file being the same since.
    earlier: Option<Check>,
}

/// A removal in a volume's history, and its record once it has been read.
#[derive(Debug, Clone, Copy)]
struct Removal {
    volume: VolumeIndex,
    id: VersionId,
    record: Option<Record>,
}

/// One artifact while the survey is being made.
#[derive(Debug, Default)]
struct Row {
    home: usize,
    copies: Vec<Draft>,
    misplaced: Vec<Draft>,
    /// The newest removal of each volume's history.
    removals: Vec<Removal>,
    versions: Vec<VersionView>,
    /// What the versions on each volume hold; read where copies disagree.
    prints: Vec<(VolumeIndex, Vec<Fingerprint>)>,
    /// Volumes where the file is there but cannot be read.
    unreadable: Vec<VolumeIndex>,
    backup: Option<Arc<str>>,
    level: Level,
    /// Where the survey before has it, unchanged.
    known: Option<usize>,
}

type Rows = BTreeMap<ArtifactName, Row>;

fn index(position: usize) -> VolumeIndex {
    VolumeIndex(u16::try_from(position).unwrap_or(u16::MAX))
}

/// The row of a name, made when it is new.
fn row<'a>(store: &Store, rows: &'a mut Rows, name: &ArtifactName) -> &'a mut Row {
    // Looked up first, so that a name is cloned once and not once a replica.
    if !rows.contains_key(name) {
        let row = Row {
            home: store.home(name),
            level: Level::Presence,
            ..Row::default()
        };
        rows.insert(name.clone(), row);
    }
    rows.entry(name.clone()).or_default()
}

fn merge(store: &Store, part: &Part<'_>) -> Rows {
    let mut rows = Rows::new();
    for (position, ((copies, versions), slot)) in part.listed.iter().zip(store.slots()).enumerate()
    {
        let volume = index(position);
        for copy in *copies {
            let row = row(store, &mut rows, &copy.name);
            let draft = Draft {
                volume,
                size: copy.size,
                stamp: copy.stamp,
                facts: None,
                earlier: None,
            };
            if row.home == slot.partition {
                row.copies.push(draft);
            } else {
                row.misplaced.push(draft);
            }
        }
        for version in *versions {
            let row = row(store, &mut rows, &version.name);
            // Newest first within a name, so the first one of a volume is its newest.
            if version.kind == VersionKind::Removal
                && row.removals.last().is_none_or(|last| last.volume != volume)
            {
                row.removals.push(Removal {
                    volume,
                    id: version.id,
                    record: None,
                });
            }
            let known = row
                .versions
                .iter_mut()
                .find(|v| v.id == version.id && v.kind == version.kind);
            match known {
                Some(known) => known.volumes += 1,
                None => row.versions.push(VersionView {
                    artifact: 0,
                    id: version.id,
                    kind: version.kind,
                    size: version.size,
                    written: version.modified,
                    volume,
                    volumes: 1,
                }),
            }
        }
    }
    for (name, backup) in part.known {
        row(store, &mut rows, name).backup = Some(Arc::clone(backup));
    }
    for row in rows.values_mut() {
        row.versions
            .sort_unstable_by_key(|v| std::cmp::Reverse((v.id, v.kind)));
    }
    rows
}

/// Whether rows of one survey can stand for rows of the other: the same volumes in the same states,
/// looked at as closely.
fn is_comparable(previous: &Survey, survey: &Survey) -> bool {
    let volumes = |survey: &Survey| -> Vec<_> {
        let views = survey.volumes.iter();
        views.map(|v| (Arc::clone(&v.label), v.state)).collect()
    };
    previous.level >= survey.level && volumes(previous) == volumes(survey)
}

/// The survey before, for rows in which nothing can have changed since.
struct Known<'a> {
    previous: Option<&'a Survey>,
    /// Names come in order here and there: everything before this row has been passed.
    next: usize,
    /// The reference that was judged last: most artifacts have the same, and share it.
    judged: Option<Arc<Reference>>,
}

impl<'a> Known<'a> {
    /// The row of the survey before.
    fn view(&self, row: usize) -> Option<&'a ArtifactView> {
        self.previous?.artifacts.get(row)
    }

    /// The reference, shared with the artifact before when that has the same.
    fn shared(&mut self, found: Reference) -> Arc<Reference> {
        let same = self.judged.take().filter(|last| **last == found);
        let shared = same.unwrap_or_else(|| Arc::new(found));
        self.judged = Some(Arc::clone(&shared));
        shared
    }

    /// Finds the rows that are as they were.
    fn mark(&mut self, rows: &mut Rows, task: &Task) {
        let Some(previous) = self.previous else {
            return;
        };
        let mut same = 0;
        for (name, row) in rows {
            let passed = |artifact: &ArtifactView| artifact.name < *name;
            while previous.artifacts.get(self.next).is_some_and(passed) {
                self.next += 1;
            }
            let found = previous.artifacts.get(self.next);
            if found.is_some_and(|artifact| {
                artifact.name == *name && is_as_before(previous, self.next, artifact, row)
            }) {
                row.known = Some(self.next);
                same += copies_of(row);
            }
        }
        task.add_done(same);
    }
}

/// Whether nothing can have changed since `previous`, whose row `number` it was.
fn is_as_before(previous: &Survey, number: usize, artifact: &ArtifactView, row: &Row) -> bool {
    let at = previous.at.timestamp();
    let copy_is_same = |draft: &Draft| {
        draft.stamp.is_settled(at)
            && artifact.copies.iter().any(|copy| {
                copy.volume == draft.volume
                    && copy.size == Some(draft.size)
                    && copy.stamp == draft.stamp
                    // One that could not be read may be readable now.
                    && copy.check.is_some()
            })
    };
    let version_is_same = |a: &VersionView, b: &VersionView| {
        (a.id, a.kind, a.size, a.volumes) == (b.id, b.kind, b.size, b.volumes)
    };
    let there = artifact.copies.iter().filter(|copy| copy.size.is_some());
    let history = previous.history(number);
    usize::from(artifact.home) == row.home
        && there.count() as u64 == copies_of(row)
        && row.copies.iter().chain(&row.misplaced).all(copy_is_same)
        && history.len() == row.versions.len()
        && history
            .iter()
            .zip(&row.versions)
            .all(|(a, b)| version_is_same(a, b))
}

fn copies_of(row: &Row) -> u64 {
    (row.copies.len() + row.misplaced.len()) as u64
}

/// Tells how much there is to look at.
fn count_work(scope: &Scope, listings: &[Option<Listing>], task: &Task) {
    let (mut items, mut bytes) = (0, 0);
    if scope.level > Level::Presence {
        let copies = listings.iter().flatten().flat_map(|l| &l.copies);
        for copy in copies.filter(|copy| is_meant(scope, &copy.name)) {
            items += 1;
            bytes += copy.size;
        }
    }
    if scope.level < Level::Deep {
        bytes = 0;
    }
    task.totals(items, bytes);
    task.phase(if scope.level == Level::Deep {
        "verifying"
    } else {
        "looking"
    });
}

/// Whether a name is to be looked at as closely as the scope says.
fn is_meant(scope: &Scope, name: &ArtifactName) -> bool {
    scope.names.is_empty() || scope.names.binary_search(name).is_ok()
}

/// What one volume is asked about one name.
#[derive(Debug, Clone)]
struct Question {
    name: ArtifactName,
    removal: Option<VersionId>,
}

/// What it answered.
#[derive(Debug, Clone, Copy)]
struct Answer {
    file: Option<Result<FileFacts, Unreadable>>,
    removal: Option<Record>,
}

/// The file is there, but its bytes cannot be had.
#[derive(Debug, Clone, Copy)]
struct Unreadable;

fn look_closer(
    store: &Store,
    scope: &Scope,
    survey: &mut Survey,
    rows: &mut Rows,
    task: &Task,
) -> Result<(), StoreError> {
    let trusted: Arc<[PublicKey]> = store
        .config()
        .sign
        .trusted
        .iter()
        .filter_map(|key| key.parse().ok())
        .collect();
    let wanted = |name: &ArtifactName, row: &Row| {
        let level = if is_meant(scope, name) {
            scope.level
        } else {
            Level::Presence
        };
        if level == Level::Presence && !is_plain(row) {
            Level::Quick
        } else {
            level
        }
    };
    let mut names = Vec::new();
    for (name, row) in rows.iter_mut() {
        row.level = wanted(name, row);
        if row.level > Level::Presence && row.known.is_none() {
            names.push(name.clone());
        }
    }
    for batch in names.chunks(BATCH) {
        task.checkpoint()?;
        let asked: Vec<_> = store
            .slots()
            .iter()
            .enumerate()
            .map(|(position, slot)| ask(position, slot, survey, batch, rows, &trusted, task))
            .collect();
        for (position, asked) in asked.into_iter().enumerate() {
            let Some((questions, pending)) = asked else {
                continue;
            };
            match pending.wait() {
                Ok(answers) => {
                    for (question, answer) in questions.iter().zip(answers) {
                        if let Some(row) = rows.get_mut(&question.name) {
                            note(row, index(position), answer);
                        }
                    }
                }
                Err(VolumeError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => {
                    if let Some(view) = survey.volumes.get_mut(position) {
                        view.state = VolumeState::Unreachable;
                        view.reason = Some(error.to_string());
                    }
                }
            }
        }
    }
    Ok(())
}

/// Whether a listing is enough to judge it: all copies there and of one size, nothing removed.
fn is_plain(row: &Row) -> bool {
    let mut sizes = row.copies.iter().map(|copy| copy.size);
    let first = sizes.next();
    row.removals.is_empty() && sizes.all(|size| Some(size) == first)
}

type Asked = (Vec<Question>, crate::volume::Pending<Vec<Answer>>);

/// Sends a volume the names of a batch that it has something about.
fn ask(
    position: usize,
    slot: &Slot,
    survey: &Survey,
    batch: &[ArtifactName],
    rows: &Rows,
    trusted: &Arc<[PublicKey]>,
    task: &Task,
) -> Option<Asked> {
    let volume = index(position);
    if !survey.volume(volume)?.state.is_readable() {
        return None;
    }
    let questions: Vec<(Question, bool)> = batch
        .iter()
        .filter_map(|name| {
            let row = rows.get(name)?;
            let here = |drafts: &[Draft]| drafts.iter().any(|d| d.volume == volume);
            let removal = row.removals.iter().find(|r| r.volume == volume);
            let removal = removal.map(|removal| removal.id);
            (removal.is_some() || here(&row.copies) || here(&row.misplaced)).then(|| {
                let question = Question {
                    name: name.clone(),
                    removal,
                };
                (question, row.level == Level::Deep)
            })
        })
        .collect();
    if questions.is_empty() {
        return None;
    }
    let sent = questions.clone();
    let trusted = Arc::clone(trusted);
    let task = task.clone();
    let pending = slot.volume.start(Lane::Bulk, move |dir, pulse| {
        sent.iter()
            .map(|(question, deep)| {
                let answer = Answer {
                    file: look(dir, &question.name, *deep, &trusted, pulse, &task)?,
                    removal: question
                        .removal
                        .and_then(|id| dir.removal(&question.name, id)),
                };
                task.add_done(1);
                pulse.beat();
                Ok(answer)
            })
            .collect()
    });
    Some((questions.into_iter().map(|q| q.0).collect(), pending))
}

/// Looks at one copy, quickly or deeply. `Err` only for what concerns the whole volume.
fn look(
    dir: &Dir,
    name: &ArtifactName,
    deep: bool,
    trusted: &[PublicKey],
    pulse: &Pulse,
    task: &Task,
) -> Result<Option<Result<FileFacts, Unreadable>>, VolumeError> {
    let found = match dir.look(name) {
        Ok(None) => return Ok(None),
        Ok(Some(found)) => found,
        Err(error) => {
            tracing::warn!(%error, "a copy cannot be read");
            return Ok(Some(Err(Unreadable)));
        }
    };
    let mut facts = peek::file_facts(dir, name, &found, trusted, pulse);
    if deep {
        let path = dir.copy_path(name);
        let verified = dir::open(&path).map_err(|_| Unreadable).and_then(|file| {
            verify(&file, trusted, &mut |bytes| {
                pulse.beat();
                task.tick(bytes)
            })
            .map_err(|_| Unreadable)
        });
        match verified {
            Ok(verification) => {
                facts.sha256 = Some(verification.sha256);
                facts.condition = peek::condition_by(verification.verdict());
                if facts.condition == Condition::Intact {
                    task.add_verified(1);
                }
            }
            Err(Unreadable) if task.snapshot().cancelled => {
                return Err(VolumeError::Cancelled(crate::progress::Cancelled));
            }
            Err(Unreadable) => return Ok(Some(Err(Unreadable))),
        }
    }
    Ok(Some(Ok(facts)))
}

/// Reads what the histories hold of artifacts whose copies differ: they tell who is behind.
fn compare_histories(
    store: &Store,
    survey: &Survey,
    rows: &mut Rows,
    task: &Task,
) -> Result<(), StoreError> {
    let contested: Vec<ArtifactName> = rows
        .iter()
        .filter(|(_, row)| row.level > Level::Presence && row.known.is_none() && disagree(row))
        .map(|(name, _)| name.clone())
        .collect();
    for batch in contested.chunks(BATCH) {
        task.checkpoint()?;
        let asked: Vec<(ArtifactName, Vec<VersionId>)> = batch
            .iter()
            .filter_map(|name| {
                let versions = &rows.get(name)?.versions;
                let copies = versions.iter().filter(|v| v.kind == VersionKind::Copy);
                Some((name.clone(), copies.map(|v| v.id).collect()))
            })
            .collect();
        let asked: Arc<[_]> = asked.into();
        let pending: Vec<_> = store
            .slots()
            .iter()
            .zip(&survey.volumes)
            .map(|(slot, view)| {
                let asked = Arc::clone(&asked);
                view.state.is_readable().then(|| {
                    slot.volume.start(Lane::Bulk, move |dir, pulse| {
                        let prints = |(name, ids): &(ArtifactName, Vec<VersionId>)| {
                            pulse.beat();
                            // One that is not here, or cannot be read, proves nothing.
                            let looks = ids.iter().map(|id| dir.look_at_version(name, *id));
                            looks.filter_map(Result::ok).collect::<Vec<_>>()
                        };
                        Ok(asked.iter().map(prints).collect::<Vec<_>>())
                    })
                })
            })
            .collect();
        for (position, pending) in pending.into_iter().enumerate() {
            // A history that cannot be read leaves the copies contested.
            let answers = pending.and_then(|p| p.wait().ok()).unwrap_or_default();
            for ((name, _), prints) in asked.iter().zip(answers) {
                if let Some(row) = rows.get_mut(name).filter(|_| !prints.is_empty()) {
                    row.prints.push((index(position), prints));
                }
            }
        }
    }
    Ok(())
}

/// Whether copies at home are known to hold different bytes.
fn disagree(row: &Row) -> bool {
    let mut prints = row.copies.iter().filter_map(|d| Some(d.facts?.fingerprint));
    let first = prints.next();
    prints.any(|print| Some(print) != first)
}

fn note(row: &mut Row, volume: VolumeIndex, answer: Answer) {
    match answer.file {
        Some(Ok(facts)) => {
            for draft in row.copies.iter_mut().chain(&mut row.misplaced) {
                if draft.volume == volume {
                    draft.size = facts.fingerprint.size;
                    draft.facts = Some(facts);
                }
            }
        }
        Some(Err(Unreadable)) => row.unreadable.push(volume),
        // Gone since it was listed.
        None => {
            row.copies.retain(|draft| draft.volume != volume);
            row.misplaced.retain(|draft| draft.volume != volume);
        }
    }
    for removal in &mut row.removals {
        if removal.volume == volume {
            removal.record = answer.removal;
        }
    }
}

/// Recalls what earlier readings of every byte found of files that are the same since.
fn recall(store: &Store, scope: &Scope, rows: &mut Rows) {
    if scope.checked.is_empty() {
        return;
    }
    let instances: Vec<Option<&str>> = store
        .slots()
        .iter()
        .map(|slot| Some(slot.identity.as_ref()?.instance.as_str()))
        .collect();
    for (name, row) in rows {
        for draft in row.copies.iter_mut().chain(&mut row.misplaced) {
            let instance = instances
                .get(usize::from(draft.volume.0))
                .copied()
                .flatten();
            draft.earlier = instance.and_then(|instance| {
                let known = &scope.checked;
                known.get(instance, name, draft.size, draft.stamp)
            });
            let read_now = draft.facts.is_some_and(|facts| facts.sha256.is_some());
            let damaged = draft.earlier.is_some_and(|check| check.sha256.is_none());
            if damaged && !read_now {
                match &mut draft.facts {
                    Some(facts) => facts.condition = Condition::Damaged,
                    None => row.unreadable.push(draft.volume),
                }
            }
        }
    }
}

/// Judges every row and makes the survey's arrays.
fn conclude(
    store: &Store,
    scope: &Scope,
    survey: &mut Survey,
    mut rows: Rows,
    known: &mut Known<'_>,
) {
    recall(store, scope, &mut rows);
    let at = survey.at.timestamp();
    for (name, row) in rows {
        if let Some(view) = row.known.and_then(|at| known.view(at)) {
            let artifact = u32::try_from(survey.artifacts.len()).unwrap_or(u32::MAX);
            survey.artifacts.push(view.clone());
            let versions = row.versions.into_iter();
            survey.versions.extend(versions.map(|version| VersionView {
                artifact,
                ..version
            }));
            continue;
        }
        let replicas: Vec<(VolumeIndex, &Slot)> = store
            .slots()
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.partition == row.home)
            .map(|(position, slot)| (index(position), slot))
            .collect();
        let quorum = store.config().store.write_quorum.of(replicas.len());
        let facts: Vec<Facts> = replicas
            .iter()
            .map(|(volume, slot)| facts_of(survey, &row, *volume, slot))
            .collect();
        let judgement = judge(&facts, quorum);
        let artifact = u32::try_from(survey.artifacts.len()).unwrap_or(u32::MAX);
        let mut copies: Vec<CopyView> = facts
            .iter()
            .zip(&judgement.copies)
            .map(|(fact, state)| {
                let draft = row.copies.iter().find(|d| d.volume == fact.volume);
                view(fact.volume, *state, draft, row.level, at)
            })
            .collect();
        copies.extend(row.misplaced.iter().map(|draft| {
            view(
                draft.volume,
                CopyState::Misplaced,
                Some(draft),
                row.level,
                at,
            )
        }));
        let misplaced = !row.misplaced.is_empty();
        let only_misplaced = misplaced && judgement.vanished;
        let state = if only_misplaced || (misplaced && judgement.state > ArtifactState::Misplaced) {
            ArtifactState::Misplaced
        } else {
            judgement.state
        };
        let versions = row.versions;
        let newest_intact = judgement
            .newest_intact
            .or_else(|| older(&versions, row.backup.as_deref(), state));
        survey
            .versions
            .extend(versions.into_iter().map(|version| VersionView {
                artifact,
                ..version
            }));
        survey.artifacts.push(ArtifactView {
            name,
            home: u16::try_from(row.home).unwrap_or(u16::MAX),
            state,
            removed: judgement.removed && !misplaced,
            vanished: judgement.vanished && !misplaced,
            unsupported: judgement.unsupported,
            reference: judgement.reference.map(|found| known.shared(found)),
            newest_intact: newest_intact.map(Box::new),
            copies: copies.into(),
        });
    }
}

/// Where older bytes of a lost artifact are, when no copy has any.
fn older(
    versions: &[VersionView],
    backup: Option<&str>,
    state: ArtifactState,
) -> Option<NewestIntact> {
    if state != ArtifactState::Lost {
        return None;
    }
    versions
        .iter()
        .find(|version| version.kind == VersionKind::Copy)
        .map(|version| NewestIntact::Version {
            volume: version.volume,
            id: version.id,
        })
        .or_else(|| backup.map(|id| NewestIntact::Backup { id: id.to_owned() }))
}

fn facts_of(survey: &Survey, row: &Row, volume: VolumeIndex, slot: &Slot) -> Facts {
    let reachable = survey
        .volume(volume)
        .is_some_and(|view| view.state.is_readable());
    let draft = row.copies.iter().find(|draft| draft.volume == volume);
    let seen = match draft {
        _ if !reachable => Seen::Unreachable,
        None => Seen::Absent,
        Some(draft) => Seen::File(draft.facts.unwrap_or(FileFacts {
            // Known by its listing only: nothing wrong is known of it.
            fingerprint: Fingerprint {
                size: draft.size,
                check: crate::maif::Digest::default(),
            },
            record: None,
            condition: if row.unreadable.contains(&volume) {
                Condition::Damaged
            } else {
                Condition::Intact
            },
            sha256: None,
        })),
    };
    Facts {
        volume,
        seen,
        counts: slot.counts(),
        removal: row
            .removals
            .iter()
            .find(|removal| removal.volume == volume)
            .and_then(|removal| removal.record),
        history: row
            .prints
            .iter()
            .find(|(v, _)| *v == volume)
            .map(|(_, prints)| prints.clone())
            .unwrap_or_default(),
    }
}

fn view(
    volume: VolumeIndex,
    state: CopyState,
    draft: Option<&Draft>,
    level: Level,
    at: i64,
) -> CopyView {
    let facts = draft.and_then(|draft| draft.facts);
    let checked = match (draft, facts) {
        (None, _) if state == CopyState::Unreachable => Level::None,
        (_, None) => Level::Presence,
        (_, Some(_)) => level,
    };
    let earlier = draft
        .and_then(|draft| draft.earlier)
        .filter(|_| checked < Level::Deep);
    CopyView {
        volume,
        state,
        checked: earlier.map_or(checked, |_| Level::Deep),
        checked_at: match earlier {
            Some(check) => check.at,
            None if checked == Level::None => 0,
            None => at,
        },
        size: draft.map(|draft| draft.size),
        modified: draft.map_or(0, |draft| draft.stamp.modified_seconds()),
        stamp: draft.map_or_else(Stamp::default, |draft| draft.stamp),
        generation: facts.and_then(|facts| {
            facts
                .record
                .filter(|record| record.describes(&facts.fingerprint))
                .map(|record| record.generation)
        }),
        check: facts.map(|facts| facts.fingerprint.check),
        sha256: facts
            .and_then(|facts| facts.sha256)
            .or_else(|| earlier.and_then(|check| check.sha256)),
    }
}

/// Counts artifacts by partition, each once.
#[expect(
    clippy::cast_precision_loss,
    reason = "shares are shown with one decimal"
)]
fn distribute(store: &Store, survey: &mut Survey) {
    let partitions = store.partitions();
    let expected = store.homes().shares(partitions.len());
    let mut views: Vec<PartitionView> = partitions
        .iter()
        .zip(expected)
        .map(|(partition, expected_share)| PartitionView {
            name: partition.name.as_str().into(),
            weight: partition.weight,
            draining: partition.weight == 0.0,
            artifacts: 0,
            bytes: 0,
            misplaced: 0,
            share: 0.0,
            expected_share,
        })
        .collect();
    let mut total = 0u64;
    for artifact in survey.artifacts.iter().filter(|a| !a.removed) {
        if let Some(view) = views.get_mut(usize::from(artifact.home)) {
            view.artifacts += 1;
            view.bytes += artifact.shown_copy().and_then(|c| c.size).unwrap_or(0);
            total += 1;
        }
        let mut places: Vec<u16> = artifact
            .copies
            .iter()
            .filter(|copy| copy.state == CopyState::Misplaced)
            .filter_map(|copy| Some(survey.volumes.get(usize::from(copy.volume.0))?.partition))
            .collect();
        places.dedup();
        for place in places {
            if let Some(view) = views.get_mut(usize::from(place)) {
                view.misplaced += 1;
            }
        }
    }
    survey.skew = 0.0;
    for view in &mut views {
        if total > 0 {
            view.share = view.artifacts as f64 / total as f64;
        }
        if view.expected_share > 0.0 {
            survey.skew = survey.skew.max(view.share / view.expected_share);
        }
    }
    survey.partitions = views;
}
