//! The playground: what was planted is what is found, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use support::Fixture;

#[test]
fn every_planted_fault_is_found_and_nothing_else() {
    let f = Fixture::empty();
    let built = f
        .run(&[
            "demo",
            "play",
            "--artifacts",
            "60",
            "--no-console",
            "--json",
        ])
        .exits(0)
        .json();
    let subject = |what: &str| -> String {
        built["planted"]
            .as_array()
            .unwrap()
            .iter()
            .find(|p| p["what"].as_str().unwrap().contains(what))
            .unwrap_or_else(|| panic!("{what} was not planted"))["subject"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let config = f.path("play/maifdeck.toml");
    let run = f.run(&[
        "--config",
        config.to_str().unwrap(),
        "survey",
        "--level",
        "deep",
        "--json",
    ]);
    let survey = run.exits(1).json();
    let states: BTreeMap<String, String> = survey["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| {
            (
                a["name"].as_str().unwrap().to_owned(),
                a["state"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    for (what, state) in [
        ("flipped bit", "corrupt"),
        ("no copy", "degraded"),
        ("older copy", "degraded"),
        ("two contents", "divergent"),
        ("torn copy", "corrupt"),
        ("misplaced", "misplaced"),
        ("no intact copy", "lost"),
        ("not MAIF", "ok"),
        ("not UTF-8", "ok"),
    ] {
        assert_eq!(states[&subject(what)], state, "{what}");
    }
    let planted: Vec<&str> = built["planted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["subject"].as_str().unwrap())
        .collect();
    let gone = subject("unmarked");
    for artifact in survey["artifacts"].as_array().unwrap() {
        let name = artifact["name"].as_str().unwrap();
        let on_lost_volume = artifact["copies"]
            .as_array()
            .unwrap()
            .iter()
            .any(|copy| copy["volume"] == gone.as_str());
        let expected = if on_lost_volume { "degraded" } else { "ok" };
        assert!(
            planted.contains(&name) || artifact["state"] == expected,
            "{artifact}"
        );
    }
}
