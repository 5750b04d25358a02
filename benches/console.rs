//! What a frame and a message cost with a million artifacts of three copies each: one frame of every
//! pane, the keys that an operator presses most, and a filter being typed. The budget of
//! `console.md`: keys within 16 ms, a keystroke of the filter within 50 ms.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "../tests/support/fixture.rs"]
#[allow(dead_code)]
mod fixture;
#[path = "../tests/support/headless.rs"]
#[allow(dead_code)]
mod headless;

use std::{sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use maifdeck::{
    console::{
        keymap::Pane,
        message::{Message, Moment},
        table::{Seen, Table},
    },
    survey::{ArtifactState, Survey, VersionView},
};

use fixture::{Shape, name};
use headless::Headless;

const ROWS: u32 = 1_000_000;

fn million() -> Survey {
    let console = Headless::open(Shape::Damaged, (120, 36));
    let mut survey = (**console.app.data.survey.as_ref().unwrap()).clone();
    let (ok, spoilt): (Vec<_>, Vec<_>) = survey
        .artifacts
        .iter()
        .filter(|a| !a.removed)
        .cloned()
        .partition(|a| a.state == ArtifactState::Ok);
    let version = survey.versions[0];
    let words = [
        "report", "sensor", "prompt", "training", "invoice", "log", "agent",
    ];
    survey.artifacts = (0..ROWS)
        .map(|number| {
            let pool = if number % 1000 == 7 { &spoilt } else { &ok };
            let mut artifact = pool[number as usize % pool.len()].clone();
            artifact.name = name(&format!("{:07}-{}", number, words[number as usize % 7]));
            artifact.home = (number % 4) as u16;
            for copy in &mut artifact.copies {
                copy.stamp.modified -= i64::from(number) * 1_000_000_000;
                copy.size = copy
                    .size
                    .map(|size| size + u64::from(number) * 7919 % 1_000_003);
            }
            artifact
        })
        .collect();
    survey.versions = (0..ROWS)
        .map(|artifact| VersionView {
            artifact,
            ..version
        })
        .collect();
    survey
}

fn open(seen: &Seen) -> Headless {
    let mut console = Headless::open(Shape::Damaged, (120, 36));
    console.send(Message::Survey(Ok(Some(seen.clone()))));
    console
}

fn frames(c: &mut Criterion, seen: &Seen) {
    let mut group = c.benchmark_group("frame");
    for pane in Pane::ALL {
        let mut console = open(seen);
        console.press(&(pane.index() + 1).to_string());
        group.bench_function(pane.names().0, |b| b.iter(|| console.frame()));
    }
}

fn messages(c: &mut Criterion, seen: &Seen) {
    let mut group = c.benchmark_group("update");
    for (what, pane, before, key) in [
        ("down", "3", "", "j"),
        ("end and top", "3", "", "G g g"),
        ("mark", "3", "", "space"),
        ("mark all", "3", "", "*"),
        ("problems only", "3", "", "o"),
        ("sort", "4", "", "s"),
        ("finding down", "1", "", "j"),
        ("open help", "3", "", "? esc"),
        ("filter, first letter", "3", "/", "r backspace"),
        ("filter, a longer word", "3", "/ r e p", "o backspace"),
        ("filter, loose letters", "3", "/", "0 9 r t C-u"),
        ("filter, a term", "3", "/ s i z e : > 1", "M backspace"),
    ] {
        let mut console = open(seen);
        console.press(pane);
        console.press(before);
        group.bench_function(what, |b| b.iter(|| console.press(key)));
    }
    let mut console = open(seen);
    let moment = console.app.moment;
    group.bench_function("tick", |b| {
        b.iter(|| {
            let elapsed = console.app.moment.elapsed + Duration::from_millis(1);
            console.send(Message::Tick(Moment { elapsed, ..moment }));
        });
    });
    let mut console = open(seen);
    console.press("3 *");
    group.bench_function("a survey, all marked", |b| {
        b.iter(|| console.send(Message::Survey(Ok(Some(seen.clone())))));
    });
    // An artifact more, so that every mark moves; there and back.
    let mut survey = (*seen.survey).clone();
    let mut first = survey.artifacts[0].clone();
    first.name = name("0");
    survey.artifacts.insert(0, first);
    for version in &mut survey.versions {
        version.artifact += 1;
    }
    let more = Seen::new(Arc::new(survey), Some(seen));
    let less = Seen::new(Arc::clone(&seen.survey), Some(&more));
    let mut console = open(&less);
    console.press("3 *");
    console.send(Message::Survey(Ok(Some(more.clone()))));
    group.bench_function("two surveys of other names, all marked", |b| {
        b.iter(|| {
            console.send(Message::Survey(Ok(Some(less.clone()))));
            console.send(Message::Survey(Ok(Some(more.clone()))));
        });
    });
    let jobs = console.app.data.jobs.clone();
    group.bench_function("jobs", |b| {
        b.iter_batched(
            || jobs.clone(),
            |jobs| console.send(Message::Jobs(jobs)),
            BatchSize::SmallInput,
        );
    });
}

fn columns(c: &mut Criterion, seen: &Seen) {
    // Off the screen's thread, once a survey that changed.
    c.bench_function("columns of a survey", |b| {
        b.iter(|| Table::new(&seen.survey, Some(seen)));
    });
}

fn all(c: &mut Criterion) {
    let seen = Seen::new(Arc::new(million()), None);
    frames(c, &seen);
    messages(c, &seen);
    columns(c, &seen);
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots();
    targets = all
}
criterion_main!(benches);
