//! Room and places, start to end in the console on a real store: a partition more, a partition less,
//! another placement, old versions and trash that are freed, and a scrub whose finds are repaired.

use maifdeck::{
    console::{keymap::Pane, message::Message, table::Seen},
    progress::Task,
    survey::{self, Finding, FindingKind, Severity},
};

use crate::{
    fixture::Shape,
    grounds::{Console, Grounds, spoil},
    headless::Headless,
};

fn names() -> Vec<String> {
    (0..24).map(|n| format!("doc-{n:02}")).collect()
}

fn filled(partitions: usize) -> Grounds {
    let grounds = Grounds::new(partitions, 2);
    for name in names() {
        grounds.put(&name, "words");
    }
    grounds.back_up();
    grounds
}

/// Every artifact is at home, whole, on all replicas, and readable.
fn all_is_well(grounds: &Grounds) {
    let store = grounds.store();
    let scope = survey::Scope {
        level: maifdeck::volume::Level::Deep,
        ..survey::Scope::default()
    };
    let survey = survey::survey(&store, &scope, &Task::new()).unwrap();
    for artifact in &survey.artifacts {
        assert_eq!(
            artifact.state,
            survey::ArtifactState::Ok,
            "{}",
            artifact.name
        );
    }
    assert_eq!(survey.artifacts.len(), names().len());
    for name in names() {
        assert!(store.fetch(&crate::fixture::name(&name)).is_ok(), "{name}");
    }
}

fn add_p3(grounds: &Grounds, console: &mut Console) {
    let place = |label: &str| grounds.volume(label).display().to_string();
    console.press("2 a");
    console.type_text(&format!("p3={},{}", place("p3.1"), place("p3.2")));
    console.done("enter");
    // Moves, bytes, and shares before and after, before anything is done.
    let text = console.sees("add partition p3");
    assert!(
        text.contains("before and after") && text.contains("p3  0 → ") && text.contains("(33 %)"),
        "{text}"
    );
    console.confirm();
}

#[test]
fn a_partition_more_takes_its_share_and_one_less_gives_it_back() {
    let grounds = filled(2);
    let mut console = grounds.console((120, 40));
    console.press("2 r down");
    console.sees("bring artifacts to their homes");
    console.done("down enter");
    console.sees("place artifacts by rendezvous");
    console.confirm();
    console.sees("placement rendezvous");
    all_is_well(&grounds);

    add_p3(&grounds, &mut console);
    console.sees("p3");
    console.sees("nothing critical");
    let shares = console.screen.app.survey().unwrap().partitions.clone();
    assert_eq!(shares.len(), 3);
    assert!(shares[2].artifacts > 0 && shares.iter().all(|p| p.misplaced == 0));
    all_is_well(&grounds);

    console.press("2 end");
    console.done("D");
    console.sees("drain partition p3");
    console.sees("same as: maifdeck partitions drain p3");
    console.sees("Type  p3  and press enter");
    console.confirm();
    console.sees("draining");
    assert_eq!(
        console.screen.app.survey().unwrap().partitions[2].artifacts,
        0
    );
    all_is_well(&grounds);
    // Its histories and trash are empty or gone: it can leave.
    console.press("2 end");
    console.done("D");
    console.sees("remove partition p3");
    console.confirm();
    assert_eq!(console.screen.app.survey().unwrap().partitions.len(), 2);
    all_is_well(&grounds);
}

#[test]
fn old_versions_go_to_the_trash_and_the_trash_is_freed() {
    let grounds = filled(1);
    for round in ["second", "third", "fourth"] {
        for name in names() {
            grounds.put(&name, round);
        }
    }
    let held = |console: &Console| {
        let volumes = &console.screen.app.survey().unwrap().volumes;
        (volumes[0].versions, volumes[0].trash_bytes)
    };
    grounds.hours_pass(24 * 30);
    let mut console = grounds.console((120, 40));
    assert_eq!(held(&console).0, 72);
    console.press("2 P");
    console.sees("prune the versions of all artifacts");
    // A rule that keeps nothing is refused.
    console.press("C-u");
    console.type_text("0");
    console.done("enter");
    console.sees("at least one is kept");
    console.press("C-u");
    console.type_text("1");
    console.done("enter");
    console.sees("prune the versions of all artifacts with");
    console.confirm();
    let (versions, trash) = held(&console);
    assert!(versions < 72 && trash > 0, "{versions} {trash}");

    console.press("2 T");
    console.sees("wait in the trash");
    // Everything, also what undo would need.
    console.done("down down enter");
    console.sees("empty the trash");
    console.confirm();
    assert_eq!(held(&console), (versions, 0));
    all_is_well(&grounds);
}

#[test]
fn what_a_scrub_finds_is_offered_for_repair_and_a_second_one_finds_nothing() {
    let grounds = filled(1);
    spoil(&grounds.copy("p1.2", "doc-07"));
    let mut console = grounds.console((120, 40));
    console.press("3");
    console.done("c");
    // The repair of just that is offered.
    console.sees("repair doc-07");
    console.confirm();
    all_is_well(&grounds);
    console.press("3");
    console.done("c");
    console.sees("0 found");
    console.sees("1 mended");
    console.press("7");
    console.sees("scrub");
}

/// What a full volume's finding offers is what frees something: old versions while the trash is empty.
#[test]
fn a_full_volume_leads_to_what_can_be_freed_and_to_its_partition() {
    let mut console = Headless::open(Shape::Damaged, (110, 40));
    let volume = console.app.survey().unwrap().volumes[5].clone();
    let freed = |trash, versions, console: &mut Headless| {
        let mut survey = console.app.survey().unwrap().clone();
        survey.volumes[5].trash_bytes = trash;
        survey.volumes[5].versions_bytes = versions;
        survey.findings = vec![Finding {
            severity: Severity::Warning,
            kind: FindingKind::VolumeFull,
            subject: volume.label.to_string(),
            message: format!("{} is 97 % full", volume.label),
            remedy: "free room".to_owned(),
        }];
        let seen = Seen::new(survey.into(), None);
        console.send(Message::Survey(Ok(Some(seen))));
        let text = console.text();
        let line = text.lines().find(|line| line.contains("97 % full"));
        line.unwrap_or_default().to_owned()
    };
    for (trash, versions, offered) in [
        (5, 3, "T trash"),
        (0, 3, "P prune"),
        (0, 0, "enter Partitions"),
    ] {
        let line = freed(trash, versions, &mut console);
        assert!(line.contains(offered), "{line}");
    }
    console.press("end enter");
    assert_eq!(console.app.pane, Pane::Partitions);
    let partition = usize::from(volume.partition);
    assert_eq!(console.app.place().list.selected, partition);
}
