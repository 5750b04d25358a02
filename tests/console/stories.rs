//! What an operator comes for, start to end without leaving the console, on a real store.

use std::fs;

use crate::grounds::{Grounds, spoil};

/// The disk of p2.2 died and was replaced by an empty one.
#[test]
fn a_replaced_disk_is_marked_repaired_and_counts_again() {
    let grounds = Grounds::new(2, 3);
    for n in 0..6 {
        grounds.put(&format!("doc-{n}"), "words");
    }
    grounds.back_up();
    let there = |label: &str| {
        let mut names: Vec<_> = fs::read_dir(grounds.volume(label))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.as_encoded_bytes().ends_with(b".maif"))
            .collect();
        names.sort();
        names
    };
    let wanted = there("p2.1");
    assert!(!wanted.is_empty());
    fs::remove_dir_all(grounds.volume("p2.2")).unwrap();
    fs::create_dir(grounds.volume("p2.2")).unwrap();

    let mut console = grounds.console((110, 36));
    console.sees("1 critical");
    console.sees("p2.2 is unmarked");
    console.sees("m mark volume");
    console.press("m");
    console.sees("holds 0 artifacts");
    console.sees("Type  p2.2");
    console.type_text("p2.2");
    console.done("enter");
    // Marked: it joins, and the repair that it waits for is offered at once.
    console.sees("repair volume p2.2");
    console.press("esc 6");
    console.sees("joining");
    console.press("1");
    console.sees("f fix");
    console.done("f");
    console.sees("repair volume p2.2");
    console.confirm();
    console.sees(&format!("{} copied, verified", wanted.len()));
    console.sees("nothing needs you");
    console.press("6");
    console.sees_no("joining");
    assert_eq!(there("p2.2"), wanted);
}

/// Someone spoiled an artifact; yesterday's is wanted back.
#[test]
fn what_was_current_yesterday_is_restored_and_undone() {
    let grounds = Grounds::new(1, 3);
    grounds.put("plan", "good words");
    grounds.hours_pass(24);
    grounds.put("plan", "spoiled words");
    grounds.back_up();

    let mut console = grounds.console((120, 36));
    console.press("4");
    console.sees("current from");
    // Yesterday 18:00 the first one was current.
    console.press("R");
    console.sees("as it was at");
    console.press("C-u");
    console.type_text("yesterday 18:00");
    console.done("enter");
    console.sees("restore plan");
    console.sees("Type  plan");
    console.confirm();
    assert!(grounds.text("plan").contains("good words"));
    console.press("4");
    let Some(history) = &console.screen.app.data.history else {
        panic!("no history:\n{}", console.screen.text())
    };
    assert_eq!(
        history.entries.as_ref().unwrap().len(),
        3,
        "the spoiled one is kept"
    );
    console.press("7");
    console.sees("restore plan");
    console.done("u");
    console.sees("undo");
    console.confirm();
    assert!(grounds.text("plan").contains("spoiled words"));
}

/// Is last night's backup good?
#[test]
fn a_backup_is_verified_and_damage_in_it_is_named_with_where_good_bytes_are() {
    let grounds = Grounds::new(1, 2);
    for name in ["ledger", "orders"] {
        grounds.put(name, "words");
    }
    let report = grounds.back_up();
    grounds.hours_pass(9);

    let mut console = grounds.console((130, 36));
    console.press("5");
    console.sees("never; v verifies");
    console.done("v");
    console.sees("complete");
    console.sees("verified 100 % just now");
    console.sees("all good");

    spoil(&grounds.backup_root(&report).join("ledger.maif"));
    grounds.hours_pass(1);
    console.done("v");
    console.sees("ledger.maif is damaged; good: the current copy");
    console.press("7");
    console.sees("ledger.maif is damaged; good: the current copy");
    console.sees_no("orders.maif is damaged");
    console.press("1");
    console.sees("is damaged");
    console.sees("1 critical");
}

/// A corrupt copy: found from Overview, why, repaired, ok.
#[test]
fn a_corrupt_copy_is_followed_from_overview_explained_and_repaired() {
    let grounds = Grounds::new(1, 3);
    for name in ["ledger", "orders", "plan"] {
        grounds.put(name, "words");
    }
    grounds.back_up();
    spoil(&grounds.copy("p1.2", "orders"));

    let mut console = grounds.console((110, 36));
    console.sees("nothing critical");
    console.done("v");
    console.sees("orders is damaged on p1.2");
    console.sees("1 critical");
    console.press("1 home enter");
    // The matrix with the cursor on it: which copy is right and why.
    let text = console.sees("p1.2 of the same generation is not");
    assert!(text.contains("corrupt"), "{text}");
    console.done("f");
    console.sees("repair orders");
    console.confirm();
    console.sees("nothing critical");
    console.sees("all copies hold the same bytes");
    console.press("o");
    console.sees("no artifact has a problem");
}

/// Three of many, from a backup; and back.
#[test]
fn three_marked_artifacts_are_restored_from_a_backup_and_undone() {
    let grounds = Grounds::new(2, 2);
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        grounds.put(name, "at first");
    }
    grounds.back_up();
    grounds.hours_pass(1);
    for name in names {
        grounds.put(name, "later on");
    }

    let mut console = grounds.console((110, 36));
    console.press("4 home space space space");
    console.sees("3 marked");
    console.press("5");
    console.done("R");
    console.sees("restore 3 artifacts");
    console.confirm();
    for name in names {
        let expected = if name < "d" { "at first" } else { "later on" };
        assert!(grounds.text(name).contains(expected), "{name}");
    }
    console.press("7 home");
    console.done("u");
    console.confirm();
    for name in names {
        assert!(grounds.text(name).contains("later on"), "{name}");
    }
}

/// No copy of the newest generation is intact: found from Overview, brought back from the history by
/// the key that stands beside it, and undone.
#[test]
fn a_lost_artifact_is_brought_back_from_its_history_by_the_key_beside_its_finding() {
    let grounds = Grounds::new(1, 2);
    grounds.put("ledger", "first words");
    grounds.put("ledger", "later words");
    grounds.put("orders", "words");
    grounds.back_up();
    for label in ["p1.1", "p1.2"] {
        spoil(&grounds.copy(label, "ledger"));
    }

    let mut console = grounds.console((110, 36));
    console.done("v");
    console.sees("ledger has no intact copy");
    console.press("1 home");
    console.sees("O bring back");
    console.done("O");
    // On the way the artifact is seen in Replicas.
    console.sees("restore ledger to version");
    console.press("esc");
    console.sees("O brings that one back");
    console.done("O");
    console.confirm();
    assert!(grounds.text("ledger").contains("first words"));
    console.press("1");
    console.sees("nothing critical");
}

/// Two copies contradict each other: from Overview they are compared, and only then one is chosen.
#[test]
fn a_divergent_artifact_is_compared_before_a_copy_is_chosen() {
    let grounds = Grounds::new(1, 3);
    for name in ["plan", "one", "other"] {
        grounds.put(name, &format!("words of {name}"));
    }
    grounds.back_up();
    for (label, source) in [("p1.1", "one"), ("p1.2", "other")] {
        let bytes = fs::read(grounds.copy(label, source)).unwrap();
        fs::write(grounds.copy(label, "plan"), bytes).unwrap();
    }

    let mut console = grounds.console((110, 36));
    console.sees("hold different bytes");
    console.press("home");
    console.sees("p choose copy");
    console.done("p");
    console.sees("how its copies differ");
    console.sees("words of other");
    console.done("p");
    console.sees("which copy of plan is right?");
    console.press("down down");
    console.done("enter");
    console.sees("taking the copy on p1.2");
    console.sees("same as: maifdeck replicas repair plan --prefer p1.2");
    console.confirm();
    assert!(grounds.text("plan").contains("words of other"));
    console.press("1");
    console.sees("nothing critical");
}
