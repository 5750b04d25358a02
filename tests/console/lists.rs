//! Long lists: what the filter line means, the orders, marks.

use std::sync::Arc;

use maifdeck::{
    console::{
        keys::Stroke,
        message::Message,
        table::Seen,
        update::{finish, take},
        widgets::Dialog,
    },
    plan::Intent,
    survey::{ArtifactState, Survey},
};

use crate::{
    fixture::{Shape, name},
    headless::Headless,
};

fn listed(console: &Headless) -> Vec<String> {
    let survey = console.app.data.survey.as_ref().unwrap();
    let rows = console.app.rows().unwrap();
    rows.index
        .iter()
        .map(|row| survey.artifacts[*row as usize].name.to_string())
        .collect()
}

fn filtered(console: &mut Headless, filter: &str) -> Vec<String> {
    console.press("/ C-u");
    console.type_text(filter);
    console.press("enter");
    listed(console)
}

/// With a million rows a letter takes some of its budget: those that come faster share one search.
#[test]
fn letters_that_come_together_are_looked_for_once_and_before_any_other_key() {
    let mut console = Headless::open(Shape::Damaged, (120, 40));
    console.press("3 /");
    let all = listed(&console);
    let letter = |c: &str| Message::Key(Stroke::parse(c).unwrap().event());
    for c in ["r", "e", "p"] {
        assert_eq!(take(&mut console.app, letter(c)), []);
        assert_eq!(listed(&console), all, "nothing was looked for yet");
    }
    finish(&mut console.app, &mut Vec::new());
    let found = listed(&console);
    assert!(found.len() < all.len() && !found.is_empty());
    assert_eq!(console.app.rows().unwrap().filter, "rep");
    // One key at a time finds the same.
    let mut other = Headless::open(Shape::Damaged, (120, 40));
    assert_eq!(filtered_in(&mut other, "rep"), found);
    // The key after the letters sees what they found.
    take(&mut console.app, letter("o"));
    take(&mut console.app, letter("down"));
    assert_eq!(listed(&console), filtered_in(&mut other, "repo"));
    assert!(console.app.place().list.selected < listed(&console).len());
}

fn filtered_in(console: &mut Headless, filter: &str) -> Vec<String> {
    console.press("3");
    filtered(console, filter)
}

#[test]
fn what_is_pasted_into_a_line_by_mistake_ends_somewhere() {
    let mut console = Headless::open(Shape::Damaged, (120, 40));
    console.press("3 /");
    console.send(Message::Paste("a ".repeat(50_000)));
    assert_eq!(console.app.rows().unwrap().filter.len(), 4096);
    console.type_text("b");
    assert_eq!(console.app.rows().unwrap().filter.len(), 4096);
    console.press("C-u a");
    let found = listed(&console);
    assert_eq!(filtered(&mut console, "a a a"), found);
}

#[test]
fn terms_and_words_must_all_fit() {
    let mut console = Headless::open(Shape::Damaged, (120, 40));
    console.press("3");
    let survey = console.app.data.survey.clone().unwrap();
    let expected = |fits: &dyn Fn(&maifdeck::survey::ArtifactView) -> bool| {
        let mut names: Vec<_> = survey
            .artifacts
            .iter()
            .filter(|a| !a.removed && fits(a))
            .map(|a| a.name.to_string())
            .collect();
        names.sort();
        names
    };
    let mut check = |filter: &str, fits: &dyn Fn(&maifdeck::survey::ArtifactView) -> bool| {
        let mut found = filtered(&mut console, filter);
        found.sort();
        let wanted = expected(fits);
        assert!(!wanted.is_empty(), "{filter} proves nothing");
        assert_eq!(found, wanted, "{filter}");
    };
    use maifdeck::survey::CopyState;
    check("state:corrupt", &|a| {
        a.state == ArtifactState::Corrupt || a.copies.iter().any(|c| c.state == CopyState::Corrupt)
    });
    check("state:missing", &|a| {
        a.copies.iter().any(|c| c.state == CopyState::Missing)
    });
    check("partition:p2", &|a| {
        &*survey.partitions[usize::from(a.home)].name == "p2"
    });
    let size =
        |a: &maifdeck::survey::ArtifactView| a.shown_copy().and_then(|c| c.size).unwrap_or(0);
    check("size:>100k", &|a| size(a) > 100 << 10);
    check("size:<1M re", &|a| {
        size(a) < 1 << 20 && {
            let name = a.name.to_string();
            name.find('r').is_some_and(|at| name[at..].contains('e'))
        }
    });
    let now = crate::fixture::now().timestamp();
    let age = |a: &maifdeck::survey::ArtifactView| now - a.shown_copy().map_or(0, |c| c.modified());
    check("age:<2d", &|a| age(a) < 2 * 86_400);
    check("age:>1h state:ok", &|a| {
        age(a) > 3600 && a.state == ArtifactState::Ok
    });
    check("agent:robot", &|a| survey.find(&a.name).unwrap() % 2 == 1);
}

#[test]
fn what_a_filter_does_not_understand_is_told() {
    let mut console = Headless::open(Shape::Healthy, (120, 40));
    console.press("4");
    for (filter, words) in [
        ("stat:ok", "no filter stat:"),
        ("state:spoilt", "no state spoilt"),
        ("partition:p9", "no partition p9"),
        ("size:>much", "not a size"),
        ("age:<old", "not an age"),
    ] {
        filtered(&mut console, filter);
        assert!(
            console.text().contains(words),
            "{filter}: {}",
            console.text()
        );
    }
}

#[test]
fn a_filter_typed_key_by_key_is_the_filter_at_once() {
    for filter in [
        "rpt 03",
        "a state:ok",
        "state:o re",
        "re size:>1k p",
        "契約",
    ] {
        let mut typed = Headless::open(Shape::Damaged, (120, 40));
        typed.press("4");
        let step_by_step = filtered(&mut typed, filter);
        let mut pasted = Headless::open(Shape::Damaged, (120, 40));
        pasted.press("4 /");
        pasted.send(Message::Paste(filter.to_owned()));
        assert_eq!(step_by_step, listed(&pasted), "{filter}");
    }
}

#[test]
fn sorting_goes_round_and_turns_round() {
    let mut console = Headless::open(Shape::Damaged, (120, 40));
    console.press("4 j j");
    let selected = console.app.selected_artifact().unwrap().name.clone();
    let by_name = listed(&console);
    console.press("s");
    assert!(console.text().contains("sorted by state, worst first"));
    let survey = console.app.data.survey.clone().unwrap();
    let size = |name: &String| {
        let row = survey.find(&crate::fixture::name(name)).unwrap();
        survey.artifacts[row]
            .shown_copy()
            .and_then(|c| c.size)
            .unwrap_or(0)
    };
    console.press("s");
    let sizes: Vec<_> = listed(&console)
        .iter()
        .filter(|n| !n.contains("odd"))
        .map(size)
        .collect();
    assert!(sizes.windows(2).all(|w| w[0] >= w[1]), "{sizes:?}");
    assert!(console.text().contains("by size"));
    console.press("S");
    let sizes: Vec<_> = listed(&console)
        .iter()
        .filter(|n| !n.contains("odd"))
        .map(size)
        .collect();
    assert!(sizes.windows(2).all(|w| w[0] <= w[1]), "{sizes:?}");
    console.press("s s");
    assert_eq!(listed(&console), by_name);
    assert_eq!(console.app.selected_artifact().unwrap().name, selected);
}

#[test]
fn marks_are_for_repair_removal_and_restore() {
    let mut console = Headless::open(Shape::Damaged, (120, 40));
    console.press("3 /");
    console.type_text("re");
    console.press("enter *");
    let marked = listed(&console);
    assert!(marked.len() > 1);
    assert!(
        console
            .text()
            .contains(&format!("{} artifacts are marked", marked.len()))
    );
    let names = |console: &Headless| match &console.app.dialog {
        Some(Dialog::Plan(dialog)) => match dialog.plan.intent.clone() {
            Intent::Repair { names, .. }
            | Intent::Remove { names }
            | Intent::BackupRestore { names, .. } => {
                let mut names: Vec<_> = names.iter().map(ToString::to_string).collect();
                names.sort();
                names
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let mut wanted = marked.clone();
    wanted.sort();
    for keys in ["f", "esc D", "esc 5 R"] {
        console.press(keys);
        assert_eq!(names(&console), wanted, "{keys}");
    }
    console.press("esc 3 *");
    assert!(console.app.marks.is_empty(), "the same key takes them away");
}

#[test]
fn a_range_is_marked_from_end_to_end() {
    let mut console = Headless::open(Shape::Healthy, (120, 40));
    console.press("4 j space j j M-space");
    assert_eq!(console.app.marks.len(), 4);
    console.press("U");
    assert_eq!(console.app.marks.len(), 0);
    console.press("M-space");
    assert!(console.text().contains("mark one end first"));
    console.press("g g J J");
    assert_eq!(console.app.marks.len(), 3);
    assert!(console.text().contains("3 marked"), "{}", console.text());
}

#[test]
fn marks_follow_their_artifacts() {
    // As the worker makes it, beside the survey before, and from a survey that nobody compared.
    for compared in [true, false] {
        let mut console = Headless::open(Shape::Healthy, (120, 40));
        console.press("4 j space j j space");
        let names = |console: &Headless| {
            let marks = &console.app.marks;
            marks.names(console.app.data.survey.as_ref().unwrap())
        };
        let see = |console: &mut Headless, survey: &Survey| {
            let before = console.app.seen().filter(|_| compared);
            let seen = Seen::new(Arc::new(survey.clone()), before.as_ref());
            assert_eq!(seen.table.moved.is_some(), compared);
            console.send(Message::Survey(Ok(Some(seen))));
        };
        let before = names(&console);
        let mut survey = (**console.app.data.survey.as_ref().unwrap()).clone();
        survey.versions.clear();
        survey.artifacts.remove(0);
        see(&mut console, &survey);
        assert_eq!(names(&console), before);
        // What is gone is not marked any more, and what is new neither.
        survey.artifacts.retain(|a| a.name != before[0]);
        let mut new = survey.artifacts[0].clone();
        new.name = name("0");
        survey.artifacts.insert(0, new);
        see(&mut console, &survey);
        assert_eq!(names(&console), before[1..]);
        assert_eq!(console.app.marks.len(), 1);
    }
}
