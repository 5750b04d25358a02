//! A store that exists only in memory, in four states, behind the console's `Backend`: for headless
//! tests and for the example that shows the console.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use maifdeck::{
    backup::{BackupId, BackupState, BackupView, RelPath, Verified},
    console::backend::{
        ApplyError, Backend, Compared, EntryId, HeldArtifact, HistoryEntry, InspectedBlock,
        InspectedEntry, Inspection, JobOutcome, JobRequest, PlanError, RunningJob, StoreInfo,
        Surroundings,
    },
    console::table::Agents,
    journal::{Actor, JobState, JobView},
    maif::Digest,
    plan::{Expected, Intent, Plan, Source, SpaceNeed, Step, Summary},
    progress::Task,
    report::{self, Line, Tone, log::LogLine},
    store::{
        Policy, audit,
        held::HeldLock,
        lease::{Epoch, Holder, LeaseState, LeaseView, Purpose},
    },
    survey::{
        ArtifactState, ArtifactView, Behind, CopyState, CopyView, Finding, FindingKind,
        NewestIntact, PartitionView, Prints, Reason, Reference, Severity, Space, Stamp, StateId,
        Survey, VersionView, VolumeIndex, VolumeState, VolumeView, scrub::Cursor,
    },
    volume::{ArtifactName, Level, VersionId, VersionKind},
};
use tokio::sync::watch;

/// The state that the store is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Empty,
    Healthy,
    Damaged,
    Unreachable,
}

impl Shape {
    pub const ALL: [Self; 4] = [Self::Empty, Self::Healthy, Self::Damaged, Self::Unreachable];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Healthy => "healthy",
            Self::Damaged => "damaged",
            Self::Unreachable => "unreachable",
        }
    }
}

pub fn now() -> DateTime<Utc> {
    "2026-03-12T10:00:00Z".parse().unwrap()
}

fn before(hours: i64) -> DateTime<Utc> {
    now() - chrono::Duration::hours(hours)
}

/// A job that a test holds in its hand.
#[derive(Debug)]
pub struct Held {
    pub task: Task,
    pub done: watch::Sender<Option<JobOutcome>>,
}

#[derive(Debug)]
pub struct FakeBackend {
    pub shape: Shape,
    pub read_only: bool,
    /// Whether jobs run by themselves (the example) or are held by the test.
    pub alive: bool,
    /// Whether inspecting panics.
    pub bomb: bool,
    survey: Arc<Survey>,
    pub jobs: Mutex<Vec<JobView>>,
    pub held: Mutex<Vec<Held>>,
    /// Plans that were applied.
    pub applied: Mutex<Vec<Arc<Plan>>>,
    /// What was compared and pinned.
    pub compared: Mutex<Vec<Compared>>,
    pub pins: Mutex<Vec<(BackupId, bool)>>,
    /// The next plan finds the store changed.
    pub changed: Mutex<bool>,
    /// The lease; taking it over makes it ours, unless `refuses` says why not.
    pub lease: Mutex<LeaseView>,
    pub refuses: Mutex<Option<String>>,
    pub locks: Vec<HeldLock>,
}

impl FakeBackend {
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            read_only: false,
            alive: false,
            bomb: false,
            survey: Arc::new(survey(shape)),
            jobs: Mutex::new(jobs(shape)),
            held: Mutex::default(),
            applied: Mutex::default(),
            compared: Mutex::default(),
            pins: Mutex::default(),
            changed: Mutex::default(),
            lease: Mutex::default(),
            refuses: Mutex::default(),
            locks: Vec::new(),
        }
    }

    fn run(&self, intent: &str, title: String, plan: Option<&Plan>) -> RunningJob {
        let task = Task::new();
        let (sender, done) = watch::channel(None);
        let mut jobs = self.jobs.lock().unwrap();
        let id = format!("20260312_100000.{:03}-c0ffee", jobs.len());
        let total = plan.map_or(240, |p| p.steps.len() as u64);
        let bytes = plan.map_or(4 << 30, |p| p.summary.bytes);
        task.totals(total, bytes);
        task.phase(if plan.is_some() {
            "copying"
        } else {
            "verifying"
        });
        jobs.insert(
            0,
            JobView {
                id: id.clone(),
                plan: plan.map(|p| p.id.to_string()),
                intent: intent.to_owned(),
                title: title.clone(),
                state: JobState::Running,
                actor: actor(),
                started: now(),
                ended: None,
                steps_total: total,
                steps_done: 0,
                steps_failed: 0,
                bytes: 0,
                errors: Vec::new(),
                resumable: false,
                undoable: false,
            },
        );
        if self.alive {
            let task = task.clone();
            std::thread::spawn(move || live(&task, &sender, total, bytes));
        } else {
            self.held.lock().unwrap().push(Held {
                task: task.clone(),
                done: sender,
            });
        }
        RunningJob {
            id,
            title,
            changes: plan.is_some(),
            task,
            done,
        }
    }
}

/// Does nothing, visibly.
fn live(task: &Task, done: &watch::Sender<Option<JobOutcome>>, items: u64, bytes: u64) {
    const MOMENTS: u64 = 120;
    for moment in 0..MOMENTS {
        std::thread::sleep(Duration::from_millis(100));
        if task.checkpoint().is_err() {
            done.send_replace(Some(JobOutcome {
                state: JobState::Cancelled,
                message: "nothing is half-done".to_owned(),
                errors: Vec::new(),
                then: None,
            }));
            return;
        }
        task.add_bytes(bytes / MOMENTS);
        let share = |at: u64| items * at / MOMENTS;
        task.add_done(share(moment + 1) - share(moment));
        task.add_verified(share(moment + 1) - share(moment));
    }
    done.send_replace(Some(JobOutcome {
        state: JobState::Done,
        message: format!("{items} copied, verified"),
        errors: Vec::new(),
        then: None,
    }));
}

impl Backend for FakeBackend {
    fn store(&self) -> StoreInfo {
        StoreInfo {
            name: "artifacts".to_owned(),
            partitions: 4,
            replicas: 3,
            read_only: self.read_only.then(|| "opened with --read-only".to_owned()),
            host: "ops-2".to_owned(),
            role: "writer".to_owned(),
            backups: Some("/backups".to_owned()),
            keep_backups: Policy {
                keep_daily: 14,
                ..Policy::last(7)
            },
            keep_versions: Policy::default(),
            config: "/etc/maifdeck/maifdeck.toml".to_owned(),
            detaches: true,
        }
    }

    fn refresh(
        &self,
        _visible: &[ArtifactName],
        previous: Option<Arc<Survey>>,
    ) -> Result<Option<Arc<Survey>>, String> {
        Ok(previous.is_none().then(|| Arc::clone(&self.survey)))
    }

    fn backups(&self) -> Result<Vec<BackupView>, String> {
        match self.shape {
            Shape::Empty => Ok(Vec::new()),
            Shape::Unreachable => {
                Err("/backups: no answer for 7 s; is the mount there?".to_owned())
            }
            Shape::Healthy | Shape::Damaged => Ok(backups(self.shape)),
        }
    }

    fn jobs(&self) -> Vec<JobView> {
        self.jobs.lock().unwrap().clone()
    }

    fn changes(&self) -> Vec<JobView> {
        changes(self.shape)
    }

    fn log(&self, id: &str) -> Result<Vec<LogLine>, String> {
        let jobs = self.jobs.lock().unwrap();
        let job = jobs.iter().find(|job| job.id == id);
        Ok(job.map(log).unwrap_or_default())
    }

    fn history(&self, name: &ArtifactName) -> Result<Vec<HistoryEntry>, String> {
        if self.shape == Shape::Unreachable {
            return Err(format!(
                "the history of {name} could not be read: no volume answers"
            ));
        }
        let row = self.survey.find(name).ok_or("no such artifact")?;
        Ok(history(&self.survey, row))
    }

    fn inspect(&self, name: &ArtifactName, version: Option<StateId>) -> Result<Inspection, String> {
        assert!(!self.bomb, "the bomb in the worker went off");
        if self.shape == Shape::Unreachable {
            return Err(format!("{name} could not be read: no volume answers"));
        }
        Ok(inspection(name, version, self.shape))
    }

    fn compare(&self, what: &Compared) -> Result<Vec<Line>, String> {
        self.compared.lock().unwrap().push(what.clone());
        Ok(differences(what))
    }

    fn contents(&self, _backup: BackupId) -> Result<Vec<HeldArtifact>, String> {
        let names = self.survey.artifacts.iter().enumerate();
        Ok(names
            .map(|(row, artifact)| HeldArtifact {
                name: artifact.name.clone(),
                size: (row != 4).then(|| sizes(row, 0)),
                versions: row as u64 % 3,
            })
            .collect())
    }

    fn pin(&self, backup: BackupId, pinned: bool) -> Result<(), String> {
        self.pins.lock().unwrap().push((backup, pinned));
        Ok(())
    }

    fn plan(&self, intent: Intent) -> Result<Arc<Plan>, PlanError> {
        if self.shape == Shape::Unreachable {
            return Err(PlanError::Failed(
                "no quorum: p1.1, p1.2 and p1.3 give no answer".to_owned(),
            ));
        }
        Ok(Arc::new(plan(&self.survey, intent)))
    }

    fn apply(&self, plan: Arc<Plan>) -> Result<RunningJob, ApplyError> {
        if std::mem::take(&mut *self.changed.lock().unwrap()) {
            return Err(ApplyError::Changed(
                "report-2026-02 on p1.2 is not the file that the plan expects".to_owned(),
            ));
        }
        self.applied.lock().unwrap().push(Arc::clone(&plan));
        let title = plan.intent.title();
        Ok(self.run(plan.intent.word(), title, Some(&plan)))
    }

    fn start(&self, request: JobRequest) -> Result<RunningJob, String> {
        let (word, title) = match request {
            JobRequest::BackupCreate => ("backup-create", "create a backup".to_owned()),
            JobRequest::BackupVerify { id, .. } => ("backup-verify", format!("verify backup {id}")),
            JobRequest::Scrub => ("scrub", "scrub".to_owned()),
            JobRequest::VerifyAll { level } => (
                "verify",
                format!("verify the store, level {}", level.word()),
            ),
        };
        Ok(self.run(word, title, None))
    }

    fn agents(&self, survey: &Survey) -> Agents {
        // The odd rows are signed by a robot.
        Agents {
            names: vec!["did:key:human".to_owned(), "did:key:robot".to_owned()],
            of_row: (0..survey.artifacts.len() as u32)
                .map(|row| row % 2)
                .collect(),
        }
    }

    fn lease(&self) -> LeaseView {
        self.lease.lock().unwrap().clone()
    }

    fn take_over(&self, from: Option<Epoch>) -> Result<(), String> {
        if let Some(why) = self.refuses.lock().unwrap().clone() {
            return Err(why);
        }
        let mut lease = self.lease.lock().unwrap();
        let epoch = lease.epoch.unwrap_or_default();
        assert!(from.is_none_or(|from| from == epoch), "what was confirmed");
        *lease = leading(epoch.0 + 1);
        Ok(())
    }

    fn step_down(&self) {
        let mut lease = self.lease.lock().unwrap();
        (lease.state, lease.mine) = (LeaseState::Free, false);
    }

    fn surroundings(&self) -> Result<Surroundings, String> {
        Ok(Surroundings {
            locks: self.locks.clone(),
            cache: None,
        })
    }

    fn journal(&self, id: &str) -> Option<String> {
        Some(format!("/volumes/p1.1/.maifdeck/journal/{id}.jsonl"))
    }

    fn resume_job(&self, id: &str) -> Result<RunningJob, String> {
        Ok(self.run("resume", format!("resume {id}"), None))
    }
}

/// A lease that another host holds, since eight hours ago; its counter moves.
pub fn held_by(host: &str, epoch: u64) -> LeaseView {
    LeaseView {
        enabled: true,
        state: LeaseState::Held,
        holder: Some(Holder {
            schema: 1,
            epoch: Epoch(epoch),
            nonce: "5eed5eed".to_owned(),
            user: "ops".to_owned(),
            host: host.to_owned(),
            pid: 4711,
            since: "2026-03-12T02:00:00Z".to_owned(),
            purpose: Purpose::Console,
            operation: "console".to_owned(),
            ttl_ms: 15_000,
        }),
        epoch: Some(Epoch(epoch)),
        count: Some(99),
        alive: true,
        ttl: Duration::from_secs(15),
        watched: Some(before(8)),
        ..LeaseView::default()
    }
}

/// The lease, held here.
pub fn leading(epoch: u64) -> LeaseView {
    LeaseView {
        mine: true,
        ..held_by("ops-2", epoch)
    }
}

fn actor() -> Actor {
    Actor {
        user: "ops".to_owned(),
        host: "ops-1".to_owned(),
        pid: 4711,
        epoch: None,
    }
}

pub fn name(text: &str) -> ArtifactName {
    ArtifactName::existing(text.as_bytes()).unwrap()
}

fn digest(seed: u64) -> Digest {
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (seed
            .wrapping_mul(2_654_435_761)
            .wrapping_add(at as u64 * 97)
            >> 3) as u8;
    }
    Digest(bytes)
}

const NAMES: [&str; 26] = [
    "agent-handbook",
    "audit-2025-q4",
    "audit-2026-q1",
    "billing-run-0311",
    "billing-run-0312",
    "chat-memory-anna",
    "chat-memory-ben",
    "chat-memory-clara",
    "contract-klondike-signed",
    "embedding-set-large-multilingual-v3",
    "incident-1182",
    "incident-1190",
    "knowledge-base",
    "policy-retention",
    "prompt-library",
    "report-2026-01",
    "report-2026-02",
    "report-2026-03",
    "sensor-hall-7",
    "sensor-hall-8",
    "tool-traces-monday",
    "tool-traces-tuesday",
    "training-notes",
    "vision-cache",
    "weather-model-a",
    "契約書-最終版",
];

fn survey(shape: Shape) -> Survey {
    let mut survey = Survey {
        level: Level::Quick,
        at: now(),
        took: Duration::from_millis(180),
        placement: "md5-modulo",
        skew: 1.0,
        scrub: Cursor {
            whole: false,
            after: None,
            finished_at: (shape == Shape::Healthy).then(|| before(76)),
        },
        ..Survey::default()
    };
    for partition in 0..4u16 {
        for replica in 1..=3 {
            survey.volumes.push(volume(partition, replica));
        }
    }
    if shape != Shape::Empty {
        for (row, text) in NAMES.into_iter().enumerate() {
            survey.artifacts.push(artifact(row, name(text)));
        }
        survey.artifacts.sort_by(|a, b| a.name.cmp(&b.name));
        for row in 0..survey.artifacts.len() as u32 {
            for version in 0..row % 6 {
                let at = before(i64::from(version) * 26 + i64::from(row % 5) + 1);
                survey.versions.push(VersionView {
                    artifact: row,
                    id: VersionId::after(at, []),
                    kind: VersionKind::Copy,
                    size: sizes(row as usize, version as usize + 1),
                    written: at.timestamp(),
                    volume: VolumeIndex(row as u16 % 4 * 3),
                    volumes: 3,
                    at_home: 3,
                    stray: None,
                });
            }
        }
    }
    match shape {
        Shape::Empty | Shape::Healthy => {}
        Shape::Damaged => damage(&mut survey),
        Shape::Unreachable => cut_off(&mut survey),
    }
    count(&mut survey, shape);
    survey
}

fn sizes(row: usize, version: usize) -> u64 {
    (row as u64 * 7919 % 97 + 3) * 13_337 * (40 - version as u64 * (row as u64 % 3 + 1) * 2) / 40
}

fn volume(partition: u16, replica: u16) -> VolumeView {
    VolumeView {
        label: format!("p{}.{replica}", partition + 1).into(),
        partition,
        path: PathBuf::from(format!(
            "/data/{}/p{}",
            ["a", "b", "c"][usize::from(replica) - 1],
            partition + 1
        )),
        state: VolumeState::Ok,
        reason: None,
        artifacts: 0,
        current_bytes: 0,
        versions: 0,
        versions_bytes: 0,
        trash_bytes: 0,
        space: Some(Space {
            device: u64::from(partition) * 3 + u64::from(replica),
            free: (420 - u64::from(partition) * 60 - u64::from(replica) * 11) << 30,
            total: 500 << 30,
        }),
        other_files: 0,
    }
}

fn artifact(row: usize, name: ArtifactName) -> ArtifactView {
    let home = row as u16 * 7 % 4;
    let generation = Some(row as u64 % 9 + 1);
    let prints = Arc::new(Prints {
        check: Some(digest(row as u64)),
        sha256: Some(digest(row as u64 + 100)),
    });
    let copies = (0..3u16)
        .map(|replica| CopyView {
            volume: VolumeIndex(home * 3 + replica),
            state: CopyState::Ok,
            checked: if row.is_multiple_of(4) {
                Level::Deep
            } else {
                Level::Quick
            },
            checked_at: before(2 + row as i64 % 30).timestamp(),
            size: Some(sizes(row, 0)),
            generation,
            prints: Arc::clone(&prints),
            stamp: Stamp {
                modified: before(row as i64 % 200).timestamp() * 1_000_000_000,
                ..Stamp::default()
            },
        })
        .collect();
    ArtifactView {
        name,
        home,
        state: ArtifactState::Ok,
        removed: false,
        vanished: false,
        unsupported: false,
        reference: Some(Arc::new(Reference {
            volume: VolumeIndex(home * 3),
            generation,
            reason: Reason::AllAgree,
        })),
        newest_intact: None,
        copies,
    }
}

fn change(survey: &mut Survey, text: &str, with: impl FnOnce(&mut ArtifactView)) {
    let row = survey.find(&name(text)).unwrap();
    with(&mut survey.artifacts[row]);
}

fn damage(survey: &mut Survey) {
    change(survey, "report-2026-02", |a| {
        a.state = ArtifactState::Degraded;
        a.copies[1].state = CopyState::Stale;
        a.copies[1].generation = Some(6);
        let (ahead, behind) = (a.copies[0].volume, a.copies[1].volume);
        a.copies[0].generation = Some(7);
        a.reference = Some(Arc::new(Reference {
            volume: ahead,
            generation: Some(7),
            reason: Reason::Newest {
                generation: 7,
                behind: vec![Behind {
                    volume: behind,
                    generation: 6,
                    archived: None,
                }],
            },
        }));
    });
    change(survey, "incident-1182", |a| {
        a.state = ArtifactState::Corrupt;
        a.copies[0].state = CopyState::Corrupt;
        let (good, bad) = (a.copies[1].volume, a.copies[0].volume);
        a.reference = Some(Arc::new(Reference {
            volume: good,
            generation: a.copies[1].generation,
            reason: Reason::Intact { damaged: vec![bad] },
        }));
    });
    change(survey, "prompt-library", |a| {
        a.state = ArtifactState::Divergent;
        for (copy, seed) in a.copies.iter_mut().zip([1, 2, 3]) {
            copy.state = CopyState::Divergent;
            Arc::make_mut(&mut copy.prints).check = Some(digest(seed));
        }
        a.reference = None;
    });
    change(survey, "training-notes", |a| {
        a.state = ArtifactState::Lost;
        for copy in &mut a.copies {
            copy.state = CopyState::Corrupt;
        }
        a.reference = None;
        a.newest_intact = Some(Box::new(NewestIntact::Version {
            volume: a.copies[1].volume,
            id: "20260310_091500.250".parse().unwrap(),
        }));
    });
    change(survey, "vision-cache", |a| {
        a.state = ArtifactState::Degraded;
        a.copies[2].state = CopyState::Missing;
        a.copies[2].size = None;
        a.copies[2].generation = None;
    });
    change(survey, "weather-model-a", |a| {
        a.state = ArtifactState::Misplaced;
        let mut stray = a.copies[0].clone();
        stray.volume = VolumeIndex((a.home + 1) % 4 * 3);
        stray.state = CopyState::Misplaced;
        let mut copies = a.copies.to_vec();
        copies.push(stray);
        a.copies = copies.into();
    });
    change(survey, "audit-2025-q4", |a| a.removed = true);
    let odd = ArtifactName::existing(b"odd-\xff-na\x1bme").unwrap();
    let row = survey.artifacts.iter().position(|a| a.name > odd).unwrap();
    survey.artifacts.insert(row, artifact(5, odd));
    for version in &mut survey.versions {
        if version.artifact as usize >= row {
            version.artifact += 1;
        }
    }
    survey.volumes[7].state = VolumeState::Unmarked;
    survey.volumes[7].reason = Some(
        "/data/b/p3 has no mark of this store: is the file system mounted? maifdeck volume mark p3.2"
            .to_owned(),
    );
    for artifact in survey.artifacts.iter_mut().filter(|a| a.home == 2) {
        artifact.copies[1].state = CopyState::Unreachable;
        artifact.copies[1].checked_at = 0;
        artifact.copies[1].size = None;
        artifact.state = artifact.state.min(ArtifactState::Degraded);
    }
    survey.volumes[9].state = VolumeState::Full;
    survey.volumes[9].space = Some(Space {
        device: 99,
        free: 12 << 30,
        total: 500 << 30,
    });
    survey.volumes[9].reason = Some("98 % full; max_fill is 90 %".to_owned());
    survey.findings = vec![
        finding(
            Severity::Critical,
            FindingKind::VolumeUnmarked,
            "p3.2",
            "p3.2 is unmarked: /data/b/p3 has no mark of this store; 6 artifacts have two copies left",
            "mount the file system, or mark the new disk: maifdeck volume mark p3.2",
        ),
        finding(
            Severity::Critical,
            FindingKind::Lost,
            "training-notes",
            "training-notes: no intact copy of the newest generation; version 20260310_091500.250 on p2.2 is intact",
            "go back to it: maifdeck replicas repair training-notes --accept-older",
        ),
        finding(
            Severity::Critical,
            FindingKind::Divergent,
            "prompt-library",
            "prompt-library: three copies of generation 6 with different bytes, none on a quorum",
            "inspect the copies and say which is right: maifdeck replicas repair prompt-library --prefer VOLUME",
        ),
        finding(
            Severity::Critical,
            FindingKind::Corrupt,
            "incident-1182",
            "incident-1182 on p3.1 is corrupt (tampered-block); p3.2 is intact",
            "maifdeck replicas repair incident-1182",
        ),
        finding(
            Severity::Warning,
            FindingKind::Stale,
            "report-2026-02",
            "report-2026-02 on p1.2 is behind: generation 6 of 7",
            "maifdeck replicas repair report-2026-02",
        ),
        finding(
            Severity::Warning,
            FindingKind::VolumeFull,
            "p4.1",
            "p4.1 is 98 % full; 1.2 GiB can be freed from its trash",
            "maifdeck trash empty, prune old versions, or add a partition",
        ),
        finding(
            Severity::Warning,
            FindingKind::BackupDamaged,
            "20260311_020000",
            "backup 20260311_020000 is damaged: 2 of 24 files do not match",
            "make a new one; the backup before it is whole",
        ),
        finding(
            Severity::Info,
            FindingKind::Misplaced,
            "weather-model-a",
            "1 artifact has a copy away from its home",
            "maifdeck partitions rebalance",
        ),
    ];
}

fn cut_off(survey: &mut Survey) {
    for volume in &mut survey.volumes {
        volume.state = VolumeState::Unreachable;
        volume.space = None;
        volume.reason = Some(format!("{}: no answer for 7 s", volume.path.display()));
        survey.findings.push(finding(
            Severity::Critical,
            FindingKind::VolumeUnreachable,
            &volume.label,
            &format!(
                "{} is unreachable: {} gives no answer for 7 s",
                volume.label,
                volume.path.display()
            ),
            "look at the mount; the volume gets no work until it answers",
        ));
    }
    for artifact in &mut survey.artifacts {
        artifact.state = ArtifactState::Unreachable;
        artifact.reference = None;
        for copy in &mut artifact.copies {
            copy.state = CopyState::Unreachable;
            copy.checked = Level::None;
            copy.checked_at = 0;
            copy.size = None;
            copy.generation = None;
        }
    }
}

fn finding(
    severity: Severity,
    kind: FindingKind,
    subject: &str,
    message: &str,
    remedy: &str,
) -> Finding {
    Finding {
        severity,
        kind,
        subject: subject.to_owned(),
        message: message.to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// Fills in what follows from the artifacts.
fn count(survey: &mut Survey, shape: Shape) {
    let total = survey
        .artifacts
        .iter()
        .filter(|a| !a.removed)
        .count()
        .max(1) as f64;
    for partition in 0..4u16 {
        let here: Vec<_> = survey
            .artifacts
            .iter()
            .filter(|a| a.home == partition && !a.removed)
            .collect();
        let bytes: u64 = here.iter().filter_map(|a| a.shown_copy()?.size).sum();
        survey.partitions.push(PartitionView {
            name: format!("p{}", partition + 1).into(),
            weight: 1.0,
            draining: false,
            artifacts: here.len() as u64,
            bytes,
            misplaced: u64::from(shape == Shape::Damaged && partition == 1),
            share: if shape == Shape::Empty {
                0.0
            } else {
                here.len() as f64 / total
            },
            expected_share: 0.25,
        });
        for volume in survey
            .volumes
            .iter_mut()
            .filter(|v| v.partition == partition)
        {
            if volume.state.is_readable() {
                volume.artifacts = here.len() as u64;
                volume.current_bytes = bytes;
                volume.versions_bytes = bytes * 3;
                volume.trash_bytes = match volume.state {
                    VolumeState::Full => 1_288_490_189,
                    _ => bytes / 5,
                };
            }
        }
    }
    survey.skew = survey
        .partitions
        .iter()
        .map(|p| p.share / 0.25)
        .fold(1.0, f64::max);
}

fn backups(shape: Shape) -> Vec<BackupView> {
    (0..9)
        .map(|night: i64| {
            let at = before(32 + (8 - night) * 24 - 24);
            let damaged = shape == Shape::Damaged && night == 8;
            let bytes = (18 << 20) + night as u64 * 350_000;
            BackupView {
                id: BackupId::at(at),
                at,
                state: match night {
                    _ if damaged => BackupState::Damaged,
                    0 => BackupState::Unsealed,
                    3 => BackupState::Partial,
                    _ => BackupState::Complete,
                },
                artifacts: 24,
                versions: 60 + night as u64,
                bytes,
                new_bytes: bytes / 30,
                verified: (night > 4).then(|| Verified {
                    at: at + chrono::Duration::hours(2),
                    level: Level::Deep,
                    percent: if night == 6 { 20 } else { 100 },
                    ok: !damaged,
                    ..Verified::default()
                }),
                pinned: night == 1,
                kept_by: if night > 5 {
                    vec!["last 3".to_owned()]
                } else {
                    vec!["daily".to_owned()]
                },
                path: PathBuf::from(format!("/backups/{}", BackupId::at(at).directory())),
                reason: match night {
                    _ if damaged => Some("2 files do not match their digest".to_owned()),
                    3 => Some("1 artifact could not be read".to_owned()),
                    _ => None,
                },
            }
        })
        .collect()
}

/// Single changes between the jobs.
fn changes(shape: Shape) -> Vec<JobView> {
    let change = |name: &str, minutes: i64, result, problem: Option<&str>| {
        report::log::single(audit::Entry {
            at: now() - chrono::Duration::minutes(minutes),
            user: "ada".to_owned(),
            host: "ops-2".to_owned(),
            pid: 88,
            epoch: Some(6),
            intent: "put".to_owned(),
            name: name.to_owned(),
            generation: Some(4),
            result,
            problem: problem.map(ToOwned::to_owned),
        })
    };
    match shape {
        Shape::Empty | Shape::Unreachable => Vec::new(),
        Shape::Healthy | Shape::Damaged => vec![
            change("report-2026-03", 5, audit::Outcome::Done, None),
            change(
                "sensor-hall",
                600,
                audit::Outcome::Failed,
                Some("no quorum: p1.2 and p1.3 give no answer"),
            ),
        ],
    }
}

fn log(job: &JobView) -> Vec<LogLine> {
    let line = |at, words: String, failed| LogLine { at, words, failed };
    let ended = job.ended.map(|at| {
        line(
            Some(at),
            format!("{}, 10 MB written", job.state.word()),
            false,
        )
    });
    let failed = job
        .errors
        .iter()
        .map(|error| line(None, error.clone(), true));
    let copied = line(
        None,
        "copy     training-notes  p1.1 to p1.2  done".to_owned(),
        false,
    );
    let begun = format!("begun by {}, 12 steps", report::log::who(&job.actor));
    let rest = [copied, line(Some(job.started), begun, false)];
    ended.into_iter().chain(failed).chain(rest).collect()
}

fn jobs(shape: Shape) -> Vec<JobView> {
    let job = |id: &str, title: &str, state, hours: i64, done: u64| JobView {
        id: id.to_owned(),
        plan: Some(digest(done).to_string()),
        intent: "repair".to_owned(),
        title: title.to_owned(),
        state,
        actor: actor(),
        started: before(hours),
        ended: (state != JobState::Interrupted)
            .then(|| before(hours) + chrono::Duration::seconds(70)),
        steps_total: 12,
        steps_done: done,
        steps_failed: u64::from(state == JobState::Partial),
        bytes: done * 900_000,
        errors: if state == JobState::Partial {
            vec!["p4.1: no space left on device; free some and resume".to_owned()]
        } else {
            Vec::new()
        },
        resumable: matches!(state, JobState::Interrupted | JobState::Partial),
        undoable: state == JobState::Done,
    };
    match shape {
        Shape::Empty | Shape::Unreachable => Vec::new(),
        Shape::Healthy => vec![
            job(
                "20260312_020000.000-a1b2c3",
                "create backup 20260312_020000",
                JobState::Done,
                8,
                12,
            ),
            job(
                "20260310_140000.000-d4e5f6",
                "repair everything that differs",
                JobState::Done,
                44,
                12,
            ),
        ],
        Shape::Damaged => vec![
            job(
                "20260312_094000.120-77aa01",
                "repair p1",
                JobState::Interrupted,
                0,
                5,
            ),
            job(
                "20260312_020000.000-a1b2c3",
                "create backup 20260312_020000",
                JobState::Done,
                8,
                12,
            ),
            job(
                "20260311_160000.000-b0b0b0",
                "repair everything that differs",
                JobState::Partial,
                18,
                11,
            ),
            job(
                "20260310_140000.000-d4e5f6",
                "restore report-2026-01",
                JobState::Cancelled,
                44,
                3,
            ),
        ],
    }
}

fn history(survey: &Survey, row: usize) -> Vec<HistoryEntry> {
    let artifact = &survey.artifacts[row];
    let versions = survey.history(row);
    let volume = |replica: u16| format!("p{}.{replica}", artifact.home + 1);
    let entry = |id| HistoryEntry {
        id,
        current_from: None,
        current_until: None,
        written: before(300),
        size: 0,
        change: None,
        sha256: None,
        agent: None,
        blocks: None,
        intact: None,
        volume: Some(volume(1)),
        copies: (3, 3),
        backups: Vec::new(),
        kept_by: Vec::new(),
        same_as: None,
        also: 0,
    };
    let mut entries = Vec::new();
    if artifact.removed {
        let removal = VersionId::after(before(1), []);
        entries.push(HistoryEntry {
            current_from: Some(before(1)),
            ..entry(EntryId::Removed(StateId::Version(removal)))
        });
    } else {
        entries.push(HistoryEntry {
            current_from: versions.first().map(|v| v.id.time()),
            size: artifact.shown_copy().and_then(|c| c.size).unwrap_or(0),
            sha256: Some(digest(row as u64)),
            agent: Some("did:maif:ops-1".to_owned()),
            blocks: Some(3),
            intact: Some(true),
            ..entry(EntryId::Current)
        });
    }
    for (at, version) in versions.iter().enumerate() {
        entries.push(HistoryEntry {
            current_from: versions
                .get(at + 1)
                .map(|v| v.id.time())
                .or_else(|| Some(before(180))),
            current_until: Some(version.id.time()),
            size: version.size,
            sha256: Some(digest(row as u64 * 10 + at as u64)),
            agent: Some("did:maif:writer-agent".to_owned()),
            blocks: Some(2),
            intact: Some(at != 3),
            copies: (if at == 2 { 2 } else { 3 }, 3),
            backups: (0..at as i64 % 3)
                .map(|n| BackupId::at(before(32 + 24 * n)))
                .collect(),
            kept_by: if at == 0 {
                vec!["last 1".to_owned(), "newest".to_owned()]
            } else {
                vec!["daily 2".to_owned()]
            },
            same_as: (at == 2).then(|| "current".to_owned()),
            also: usize::from(at == 1),
            ..entry(EntryId::Earlier(StateId::Version(version.id)))
        });
    }
    if versions.len() > 2 {
        // Overwritten by a sketch without being archived; a backup saw it.
        let backup = BackupId::at(before(200));
        entries.push(HistoryEntry {
            current_from: Some(before(230)),
            current_until: Some(before(190)),
            size: 41_000,
            sha256: Some(digest(4711)),
            volume: None,
            copies: (0, 3),
            backups: vec![backup],
            ..entry(EntryId::Earlier(StateId::Backup(backup)))
        });
    }
    for at in 0..entries.len() {
        entries[at].change = entries
            .get(at + 1)
            .map(|older| entries[at].size as i64 - older.size as i64);
    }
    entries
}

fn line(tone: Tone, text: &str) -> Line {
    Line {
        tone,
        text: text.to_owned(),
    }
}

fn differences(what: &Compared) -> Vec<Line> {
    match what {
        Compared::States { a: None, .. } => Vec::new(),
        Compared::States { .. } | Compared::Copies { .. } => vec![
            line(
                Tone::Changed,
                "header modified: 2026-03-10T08:00:00Z → 2026-03-11T17:02:13Z",
            ),
            line(
                Tone::Changed,
                "changed  block 0 → 0  TEXT  1.2 KiB → 1.3 KiB",
            ),
            line(
                Tone::Changed,
                "    metadata title: \"Incident 1182\" → \"Incident 1182, closed\"",
            ),
            line(Tone::Dim, "    @@ -1,3 +1,3 @@"),
            line(Tone::Plain, "     At 02:13 the second pump stopped."),
            line(Tone::Removed, "    -Somebody was hurt."),
            line(Tone::Added, "    +Nobody was hurt."),
            line(Tone::Dim, "same     block 1 → 1  EMBD  12.0 KiB → 12.0 KiB"),
            line(
                Tone::Added,
                "provenance + 2026-03-11T17:02:13Z  finalize  did:maif:ops-1",
            ),
        ],
        Compared::Backup(id) => vec![
            line(Tone::Added, "added    incident-1190  48.2 KiB"),
            line(Tone::Removed, "removed  chat-memory-anna  12.0 KiB"),
            line(
                Tone::Head,
                &format!("from {id} to the store now: 1 added, 1 removed"),
            ),
        ],
    }
}

fn inspection(name: &ArtifactName, version: Option<StateId>, shape: Shape) -> Inspection {
    let damaged = shape == Shape::Damaged && name.as_str() == Some("incident-1182");
    let field = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    Inspection {
        name: name.to_string(),
        what: version.map_or_else(
            || "current copy on p2.1".to_owned(),
            |id| format!("version {id} on p2.1"),
        ),
        path: format!("/data/a/p2/{name}.maif"),
        size: 48_213,
        header: vec![
            field("format", "MAIF 2.1"),
            field("agent", "did:maif:writer-agent"),
            field("created", "2026-03-01 09:15:00 +01:00"),
            field("modified", "2026-03-11 18:02:13 +01:00"),
            field("merkle root", &digest(7).to_string()),
        ],
        blocks: vec![
            InspectedBlock {
                kind: "TEXT".to_owned(),
                size: 1_204,
                hash: digest(1).to_string(),
                metadata: r#"{"title":"Incident 1182","lang":"en"}"#.to_owned(),
                preview: Some(
                    "At 02:13 the second pump stopped.\nNobody was hurt.\nSee hall 7.".to_owned(),
                ),
                fault: damaged.then(|| "content does not match its hash".to_owned()),
            },
            InspectedBlock {
                kind: "EMBD".to_owned(),
                size: 12_288,
                hash: digest(2).to_string(),
                metadata: r#"{"model":"multilingual-v3","dimensions":1536}"#.to_owned(),
                preview: None,
                fault: None,
            },
        ],
        provenance: vec![
            InspectedEntry {
                action: "create".to_owned(),
                agent: "did:maif:writer-agent".to_owned(),
                at: Some(before(200)),
                fault: None,
            },
            InspectedEntry {
                action: "finalize".to_owned(),
                agent: "did:maif:writer-agent".to_owned(),
                at: Some(before(16)),
                fault: None,
            },
        ],
        signer: Some("8f2a…41c0 (Ed25519, in the file)".to_owned()),
        verdict: if damaged { "damaged" } else { "intact" }.to_owned(),
        class: if damaged { "tampered-block" } else { "valid" }.to_owned(),
        errors: if damaged {
            vec!["block 1: content does not match its hash".to_owned()]
        } else {
            Vec::new()
        },
        checked: [
            "layout",
            "hashes",
            "signatures",
            "merkle root",
            "provenance",
            "index",
            "footer",
        ]
        .map(ToOwned::to_owned)
        .to_vec(),
    }
}

fn plan(survey: &Survey, intent: Intent) -> Plan {
    let space = |needed| {
        ["p1.1", "p1.2", "p2.1"]
            .map(|volume| SpaceNeed {
                volume: volume.to_owned(),
                needed,
                free: 380 << 30,
            })
            .to_vec()
    };
    let copy = |name: &ArtifactName| Step::Copy {
        name: name.clone(),
        from: "p1.1".to_owned(),
        to: "p1.2".to_owned(),
        size: 812_000,
        check: digest(3),
        expect: Expected::Absent,
    };
    let mut summary = Summary {
        space: space(2_400_000),
        ..Summary::default()
    };
    let steps: Vec<Step> = match &intent {
        Intent::Repair { names, .. } => {
            let all: Vec<_> = survey
                .artifacts
                .iter()
                .filter(|a| a.state != ArtifactState::Ok)
                .map(|a| a.name.clone())
                .collect();
            let names = if names.is_empty() { &all } else { names };
            summary.skipped =
                vec!["prompt-library: divergent, only you can say which copy is right".to_owned()];
            names.iter().map(copy).collect()
        }
        Intent::VersionRestore { name, version, .. } => vec![Step::Put {
            name: name.clone(),
            source: match version {
                StateId::Version(id) => Source::Version {
                    volume: "p1.1".to_owned(),
                    name: name.clone(),
                    id: *id,
                },
                StateId::Backup(id) => Source::Backup {
                    id: *id,
                    path: RelPath::parse(b"p1/x.maif").unwrap(),
                    sha256: None,
                },
            },
            size: 812_000,
            check: digest(4),
            expect: Vec::new(),
            was: Expected::Anything,
        }],
        Intent::BackupRestore { backup, .. } => {
            summary.removes = 1;
            summary.same = 20;
            survey
                .artifacts
                .iter()
                .take(5)
                .map(|a| Step::Put {
                    name: a.name.clone(),
                    source: Source::Backup {
                        id: *backup,
                        path: RelPath::parse(b"p1/x.maif").unwrap(),
                        sha256: None,
                    },
                    size: 700_000,
                    check: digest(5),
                    expect: Vec::new(),
                    was: Expected::Anything,
                })
                .chain([Step::Remove {
                    name: name("weather-model-a"),
                    expect: Vec::new(),
                    was: Expected::Anything,
                }])
                .collect()
        }
        Intent::Remove { names } => names
            .iter()
            .map(|name| Step::Remove {
                name: name.clone(),
                expect: Vec::new(),
                was: Expected::Anything,
            })
            .collect(),
        Intent::Undo { .. }
        | Intent::VersionsPrune { .. }
        | Intent::EmptyTrash { .. }
        | Intent::Layout { .. }
        | Intent::MarkVolume { .. } => Vec::new(),
        Intent::BackupPrune { .. } => {
            summary.unrecoverable =
                vec!["training-notes as of 20260304_020000, in no other backup".to_owned()];
            backups(Shape::Healthy)
                .iter()
                .take(3)
                .map(|b| Step::RetireBackup {
                    id: b.id,
                    bytes: b.bytes,
                })
                .collect()
        }
    };
    summary.copies = steps.len() as u64 * 3;
    summary.replaces = steps.len() as u64;
    summary.archives = steps.len() as u64;
    summary.bytes = steps.len() as u64 * 812_000;
    Plan::new("artifacts".to_owned(), intent, now(), steps, summary)
}
