//! Nothing runs that was not confirmed, and what runs is what was shown.

use maifdeck::console::{message::Message, widgets::Dialog};

use crate::{fixture::Shape, headless::Headless};

fn applied(console: &Headless) -> usize {
    console.backend.applied.lock().unwrap().len()
}

fn word(console: &Headless) -> String {
    match &console.app.dialog {
        Some(Dialog::Plan(dialog)) => dialog.plan.confirmation_word(),
        other => panic!("no plan is open: {other:?}"),
    }
}

#[test]
fn enter_on_a_fresh_plan_cancels_it() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    for keys in ["3 F", "5 R"] {
        console.press(keys);
        assert!(matches!(console.app.dialog, Some(Dialog::Plan(_))));
        console.press("enter");
        assert!(console.app.dialog.is_none());
    }
    assert_eq!(applied(&console), 0);
}

#[test]
fn a_harmless_plan_needs_tab_and_enter() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    console.press("3 F y space q");
    assert!(console.app.dialog.is_some());
    console.press("tab enter");
    assert_eq!(applied(&console), 1);
    assert!(console.app.dialog.is_none());
    assert_eq!(console.app.running.len(), 1);
}

#[test]
fn a_destructive_plan_needs_its_word_typed() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("4 j j j enter j R");
    let word = word(&console);
    console.press("tab enter");
    assert_eq!(applied(&console), 0, "without the word");
    console.type_text(&word[..word.len() - 1]);
    console.press("enter");
    assert_eq!(applied(&console), 0, "with a part of the word");
    console.type_text(&word[word.len() - 1..]);
    console.press("enter");
    assert_eq!(applied(&console), 1);
    assert!(console.app.dialog.is_none());
}

#[test]
fn pasting_the_word_does_not_count() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("5 R");
    let word = word(&console);
    console.send(Message::Paste(word.clone()));
    console.press("tab enter");
    assert_eq!(applied(&console), 0);
    assert!(console.text().contains("the word is not there yet"));
    console.send(Message::Paste(word));
    assert!(console.text().contains("pasting does not count"));
}

#[test]
fn a_dialog_hides_all_global_keys() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("5 R 1 q ? : b v");
    assert!(matches!(console.app.dialog, Some(Dialog::Plan(_))));
    assert_eq!(console.app.pane, maifdeck::console::keymap::Pane::Backups);
    assert!(console.app.running.is_empty());
    console.press("C-c");
    assert!(console.app.dialog.is_none());
    assert!(
        console.asked.is_empty(),
        "C-c closes the dialog and no more"
    );
}

#[test]
fn a_store_that_moved_is_said_and_a_new_plan_offered() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    *console.backend.changed.lock().unwrap() = true;
    console.press("3 F tab enter");
    assert_eq!(applied(&console), 0);
    assert!(
        console.text().contains("no longer as this plan expects"),
        "{}",
        console.text()
    );
    console.press("enter");
    assert!(!console.text().contains("no longer as this plan expects"));
    console.press("tab enter");
    assert_eq!(applied(&console), 1);
}

#[test]
fn what_runs_is_the_plan_that_was_shown() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    console.press("3 F");
    let Some(Dialog::Plan(dialog)) = &console.app.dialog else {
        panic!("no plan")
    };
    let shown = dialog.plan.id;
    assert!(console.text().contains(&shown.short()));
    console.press("tab enter");
    assert_eq!(console.backend.applied.lock().unwrap()[0].id, shown);
}

#[test]
fn the_plan_shows_what_cannot_be_brought_back_even_on_a_small_screen() {
    let mut console = Headless::open(Shape::Healthy, (80, 24));
    console.press("5 P enter");
    let text = console.text();
    assert!(
        text.contains("cannot be brought back afterwards (1)"),
        "{text}"
    );
    assert!(text.contains("in no other backup"), "{text}");
    assert!(
        text.contains("maifdeck backup prune --keep-last 7"),
        "{text}"
    );
    assert!(text.contains("[ Cancel ]"), "{text}");
}

/// At the end of the steps one key up shows another line at once.
#[test]
fn steps_scroll_without_a_dead_key() {
    let mut console = Headless::open(Shape::Healthy, (80, 18));
    console.press("5 R end");
    let at_the_end = console.text();
    assert!(at_the_end.contains("up/down scroll"), "{at_the_end}");
    console.press("down");
    assert_eq!(console.text(), at_the_end);
    console.press("up");
    assert_ne!(console.text(), at_the_end);
}

/// What does not fit of a plan's beginning is scrolled to: nothing of it is out of reach.
#[test]
fn every_line_of_a_plan_is_within_reach_on_a_small_screen() {
    let mut console = Headless::open(Shape::Damaged, (80, 14));
    console.press("5 R");
    let Some(Dialog::Plan(dialog)) = &console.app.dialog else {
        panic!("no plan")
    };
    let plan = std::sync::Arc::clone(&dialog.plan);
    let mut all = String::new();
    let mut before = String::new();
    while console.text() != before {
        before = console.text();
        all.push_str(&before);
        console.press("down");
    }
    for need in &plan.summary.space {
        assert!(all.contains(&need.volume.to_string()), "{all}");
    }
    for step in &plan.steps {
        let line = maifdeck::report::step(step);
        assert!(all.contains(line.trim()), "{line}:\n{all}");
    }
    assert!(all.contains("same as: "), "{all}");
}
