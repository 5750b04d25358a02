//! The lease in the console: who leads, what is refused meanwhile, taking over, stepping down.

use std::time::Duration;

use maifdeck::{
    console::{
        message::Message,
        theme::{Theme, ThemeName},
        widgets::Dialog,
    },
    store::{
        held::{HeldLock, LockOf},
        lease::{LeaseState, LeaseView},
    },
    survey::{FindingKind, VolumeState},
};

use crate::{
    fixture::{FakeBackend, Shape, held_by, leading, name},
    headless::{Headless, render},
};

fn console_in(lease: LeaseView, theme: ThemeName, size: (u16, u16)) -> Headless {
    let mut backend = FakeBackend::new(Shape::Healthy);
    *backend.lease.get_mut().unwrap() = lease;
    for volume in ["p1.1", "p1.2", "p1.3"] {
        backend.locks.push(HeldLock {
            volume: volume.into(),
            of: LockOf::Artifact(name("report-2026-03")),
            holder: "ops-1 pid 88 since 2026-03-12T09:59:00Z (lock report-2026-03)".to_owned(),
            certain: true,
        });
    }
    Headless::with(backend, Theme::new(theme, false), size)
}

fn console(lease: LeaseView) -> Headless {
    console_in(lease, ThemeName::Dark, (100, 30))
}

/// The lease is otherwise by the next tick.
fn becomes(console: &mut Headless, lease: LeaseView) {
    *console.backend.lease.lock().unwrap() = lease;
    console.tick(Duration::from_secs(1));
}

fn still(seconds: u64) -> LeaseView {
    LeaseView {
        observed: Duration::from_secs(seconds),
        ..held_by("ops-1", 7)
    }
}

fn expired() -> LeaseView {
    LeaseView {
        state: LeaseState::Expired,
        ..still(16)
    }
}

fn blocked() -> LeaseView {
    LeaseView {
        state: LeaseState::Blocked,
        ..held_by("ops-1", 7)
    }
}

fn free() -> LeaseView {
    LeaseView {
        state: LeaseState::Free,
        holder: None,
        ..held_by("", 7)
    }
}

#[test]
fn the_cluster_pane_looks_like_this() {
    for (state, lease) in [
        ("leading", leading(8)),
        ("held", held_by("ops-1", 7)),
        ("still", still(12)),
        ("expired", expired()),
        ("blocked", blocked()),
        ("free", free()),
    ] {
        for size in [(80, 24), (160, 48)] {
            let [dark, mono] = [ThemeName::Dark, ThemeName::Mono].map(|theme| {
                let mut console = console_in(lease.clone(), theme, size);
                console.press("6");
                console.frame()
            });
            let name = format!("lease_{state}_{}x{}", size.0, size.1);
            insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(name, render(&dark, &mono));
            });
        }
    }
}

#[test]
fn who_does_not_lead_changes_nothing_and_is_told_who_does() {
    let mut console = console(held_by("ops-1", 7));
    assert!(console.text().contains("leader ops-1 e7"));
    for keys in ["1 F", "3 F", "4 D", "5 b", "6 m"] {
        console.press(keys);
        let text = console.text();
        let why = "is not possible: not the leader: ops-1 holds the lease, epoch 7";
        assert!(text.contains(why), "{keys}: {text}");
        assert!(console.app.dialog.is_none() && console.app.running.is_empty());
    }
    // Reading changes nothing.
    console.press("3 v");
    assert_eq!(console.app.running.len(), 1);
    // It leads as soon as it is its turn.
    becomes(&mut console, free());
    becomes(&mut console, leading(8));
    let text = console.text();
    assert!(text.contains("the lease is held here, epoch 8") && text.contains("you lead e8"));
    console.press("3 F");
    assert!(matches!(console.app.dialog, Some(Dialog::Plan(_))));
}

#[test]
fn a_leader_that_lives_is_not_taken_from() {
    let mut console = console(held_by("ops-1", 7));
    console.press("6 t");
    assert!(console.app.dialog.is_none());
    assert!(console.text().contains("ops-1 lives: its counter moves"));
    becomes(
        &mut console,
        LeaseView {
            alive: false,
            ..held_by("ops-1", 7)
        },
    );
    console.press("t");
    assert!(console.app.dialog.is_none());
    assert!(
        console.text().contains("not seen yet"),
        "{}",
        console.text()
    );
}

#[test]
fn the_leader_hangs_and_the_operator_takes_over() {
    let mut console = console(held_by("ops-1", 7));
    console.press("6");
    becomes(&mut console, still(12));
    let text = console.text();
    assert!(
        text.contains("still for 12 of 15 s, watched since 03:00"),
        "{text}"
    );
    console.press("t");
    // The safe answer first, nothing for a paste, and the whole word.
    console.press("enter");
    assert!(console.app.dialog.is_none());
    console.press("t");
    console.send(Message::Paste("ops-1".to_owned()));
    console.type_text("ops-");
    console.press("enter");
    assert!(console.text().contains("not there yet"));
    console.type_text("1");
    console.press("enter");
    assert!(console.app.dialog.is_none());
    let text = console.text();
    assert!(text.contains("you lead e8"), "{text}");
    assert!(text.contains("the lease is held here, epoch 8"), "{text}");
    // And gives it back.
    console.press("d");
    assert!(console.text().contains("t takes the lease again"));
    console.tick(Duration::from_secs(1));
    assert!(console.text().contains("nobody: the lease is free"));
    console.press("t");
    assert!(
        console.text().contains("you lead e9"),
        "a free one is not asked about"
    );
}

#[test]
fn a_leader_inside_a_commit_is_named_with_its_process() {
    let mut console = console(still(12));
    *console.backend.refuses.lock().unwrap() =
        Some("the lease is blocked: ops-1 pid 4711 is inside a commit".to_owned());
    console.press("6 t");
    console.type_text("ops-1");
    console.press("enter");
    assert!(console.text().contains("ops-1 pid 4711 is inside a commit"));
    console.press("enter");
    becomes(&mut console, blocked());
    let text = console.text();
    assert!(text.contains("end pid 4711 on ops-1"), "{text}");
    console.press("1");
    let finding = console.app.selected_finding().unwrap();
    assert_eq!(finding.kind, FindingKind::LeaseBlocked);
    console.press("enter");
    assert!(console.text().contains("maifdeck lease steal --kill"));
    // Its process ended: the same key again.
    *console.backend.refuses.lock().unwrap() = None;
    console.press("t");
    console.type_text("ops-1");
    console.press("enter");
    assert!(console.text().contains("you lead e8"));
    assert!(
        console
            .app
            .data
            .findings
            .iter()
            .all(|f| f.kind != FindingKind::LeaseBlocked)
    );
}

#[test]
fn an_expired_lease_is_a_finding_and_one_that_is_lost_is_told() {
    let mut console = console(leading(7));
    becomes(&mut console, held_by("ops-1", 8));
    let text = console.text();
    assert!(
        text.contains("leads no longer: the lease is held by ops-1, epoch 8"),
        "{text}"
    );
    becomes(&mut console, expired());
    let kinds: Vec<_> = console.app.data.findings.iter().map(|f| f.kind).collect();
    assert!(kinds.contains(&FindingKind::LeaseExpired));
}

#[test]
fn a_lease_that_is_lost_with_its_volume_is_a_finding_and_keeps_nobody_from_marking_a_new_disk() {
    let mut backend = FakeBackend::new(Shape::Damaged);
    *backend.lease.get_mut().unwrap() = LeaseView::unknown(Some("p1.1 is unmarked".to_owned()));
    let mut console = Headless::with(backend, Theme::new(ThemeName::Dark, false), (100, 30));
    let findings = &console.app.data.findings;
    let finding = findings
        .iter()
        .find(|f| f.kind == FindingKind::LeaseUnknown);
    assert!(finding.unwrap().message.contains("no host can write"));
    console.press("3 F");
    assert!(console.text().contains("nobody knows who leads"));
    console.press("6");
    let volumes = &console.app.survey().unwrap().volumes;
    let states: Vec<_> = volumes.iter().map(|v| v.state).collect();
    let unmarked = states
        .iter()
        .position(|s| *s == VolumeState::Unmarked)
        .unwrap();
    for _ in 0..unmarked {
        console.press("j");
    }
    console.press("m");
    assert!(
        !console.text().contains("nobody knows who leads"),
        "{}",
        console.text()
    );
    assert!(console.app.dialog.is_some());
}

#[test]
fn a_job_that_runs_keeps_the_lease() {
    let mut backend = FakeBackend::new(Shape::Damaged);
    *backend.lease.get_mut().unwrap() = leading(7);
    let mut console = Headless::with(backend, Theme::new(ThemeName::Dark, false), (100, 30));
    console.press("3 F tab enter");
    assert_eq!(console.app.running.len(), 1);
    console.press("6 d");
    assert!(
        console.text().contains("a job runs under it"),
        "{}",
        console.text()
    );
    assert!(console.app.lease().unwrap().mine);
}

#[test]
fn a_healthy_lease_changes_nothing_on_the_screen() {
    for lease in [leading(7), held_by("ops-1", 7), LeaseView::default()] {
        let mut console = console(lease.clone());
        console.press("6");
        let before = console.frame();
        for tick in 1..4 {
            let beaten = LeaseView {
                count: lease.count.map(|count| count + tick),
                observed: Duration::from_millis(400 * tick),
                ..lease.clone()
            };
            becomes(&mut console, beaten);
            assert_eq!(console.frame(), before);
        }
    }
}

#[test]
fn a_host_whose_name_cannot_be_typed_is_confirmed_by_a_short_id() {
    let mut odd = still(12);
    let holder = odd.holder.as_mut().unwrap();
    holder.host = "a-host-with-a-name-that-is-too-long".to_owned();
    let mut console = console(odd);
    console.press("6 t");
    assert!(
        console.text().contains("Type  5eed5e "),
        "{}",
        console.text()
    );
}

#[test]
fn a_read_only_console_never_leads() {
    let mut backend = FakeBackend::new(Shape::Healthy);
    backend.read_only = true;
    *backend.lease.get_mut().unwrap() = still(12);
    let mut console = Headless::with(backend, Theme::new(ThemeName::Dark, false), (100, 30));
    console.press("6 t");
    assert!(console.app.dialog.is_none());
    assert!(console.text().contains("opened with --read-only"));
}
