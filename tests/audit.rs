//! Who changed what: single changes and jobs, told by `jobs --audit`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use serde_json::Value;
use support::Fixture;

fn audit(f: &Fixture, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["jobs", "--audit", "--json"];
    arguments.extend(more);
    let document = f.run(&arguments).exits(0).json();
    document["audit"].as_array().unwrap().clone()
}

#[test]
fn single_changes_and_jobs_are_told_with_who_what_when_and_how_it_ended() {
    let f = Fixture::empty();
    f.init(&["--leases", "--partition", "p1=a,b,c"]);
    f.command(&["put", "doc", "--text", "one"])
        .env("USER", "ada")
        .env("MAIFDECK_HOST", "ops-1")
        .output()
        .unwrap();
    f.run(&["put", "doc", "--text", "x", "--if-generation", "9"])
        .exits(3);
    f.run(&["put", "other", "--text", "two"]).exits(0);
    fs::remove_file(f.path("b/doc.maif")).unwrap();
    f.run(&["replicas", "repair", "--yes"]).exits(0);
    f.run(&["rm", "doc", "--yes"]).exits(0);

    let all = audit(&f, &[]);
    let intents: Vec<&str> = all.iter().map(|e| e["intent"].as_str().unwrap()).collect();
    assert_eq!(intents, ["remove", "repair", "put", "put"], "{all:#?}");
    let first = all.last().unwrap();
    assert_eq!(
        (
            &first["user"],
            &first["host"],
            &first["epoch"],
            &first["result"]
        ),
        (&"ada".into(), &"ops-1".into(), &1.into(), &"done".into())
    );
    assert!(all[1]["plan"].is_string() && all[1]["epoch"].is_number());
    assert_eq!(audit(&f, &["doc"]).len(), 3);
    assert_eq!(audit(&f, &["--since", "2020-01-01"]).len(), 4);
    assert_eq!(audit(&f, &["--since", "0s"]).len(), 0);
    f.run(&["jobs", "--audit", "--since", "long ago"]).exits(2);
    f.run(&["jobs", "doc"]).exits(2);
    let words = f.run(&["jobs", "--audit", "doc"]).exits(0).text();
    assert!(words.contains("ada@ops-1 pid"), "{words}");
}

#[test]
fn the_audit_is_the_union_over_volumes_and_a_failure_to_write_it_fails_nothing() {
    let f = Fixture::grid(1, 3);
    f.run(&["put", "doc", "--text", "one"]).exits(0);
    fs::rename(f.path("a"), f.path("away")).unwrap();
    f.run(&["put", "doc", "--text", "two"]).exits(4);
    fs::rename(f.path("away"), f.path("a")).unwrap();
    let all = audit(&f, &["doc"]);
    let results: Vec<&str> = all.iter().map(|e| e["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["partial", "done"]);
    // A line that a crash cut is left out; a journal that cannot be written stops nobody.
    let path = f.path("a/p1/.maifdeck/journal/audit.ndjson");
    fs::write(&path, "{\"at\":").unwrap();
    assert_eq!(audit(&f, &[]).len(), 1);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    f.run(&["replicas", "repair", "--yes"]).code.unwrap();
    f.run(&["put", "doc", "--text", "three"]).exits(0);
}

#[test]
fn what_was_refused_at_once_is_no_change_and_what_was_tried_is_told_with_its_epoch() {
    let f = Fixture::empty();
    f.init(&["--leases", "--partition", "p1=a,b,c"]);
    let us = env!("CARGO_BIN_EXE_maifdeck");
    // Held elsewhere: nothing was tried.
    let script = format!("MAIFDECK_LEASE= {us} put doc --text x");
    f.run(&["lease", "hold", "--", "sh", "-c", &script])
        .exits(3);
    assert_eq!(audit(&f, &[]), [] as [Value; 0]);
    // Staged, and kept from being seen by another leader.
    let script = format!("{us} lease steal --yes; {us} put doc --text x");
    let steal = script.replacen(us, &format!("MAIFDECK_LEASE= {us}"), 1);
    let held = f.run(&["lease", "hold", "--", "sh", "-c", &steal]);
    held.exits(3);
    f.command(&["put", "doc", "--text", "x"])
        .env("MAIFDECK_FAULT", "stage.written=eio@1")
        .output()
        .unwrap();
    let all = audit(&f, &["doc"]);
    assert!(!all.is_empty());
    for entry in &all {
        assert!(entry["epoch"].is_number(), "{entry:#}");
    }
}

#[test]
fn a_line_that_a_crash_cut_takes_no_later_one_with_it() {
    let f = Fixture::grid(1, 1);
    f.run(&["put", "doc", "--text", "one"]).exits(0);
    let path = f.path("a/p1/.maifdeck/journal/audit.ndjson");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{}", &whole[..40])).unwrap();
    f.run(&["put", "doc", "--text", "two"]).exits(0);
    assert_eq!(audit(&f, &[]).len(), 2);
}

#[test]
fn who_went_on_with_a_job_is_told_beside_who_began_it_also_after_a_cut_line() {
    let f = Fixture::grid(1, 3);
    for name in ["one", "two"] {
        f.run(&["put", name, "--text", "x"]).exits(0);
        fs::remove_file(f.path(&format!("b/p1/{name}.maif"))).unwrap();
    }
    f.command(&["replicas", "repair", "--yes"])
        .env("USER", "ada")
        .env("MAIFDECK_FAULT", "apply.batch-done=kill")
        .output()
        .unwrap();
    let id = f.run(&["jobs", "--json"]).json()["jobs"][0]["id"].clone();
    let id = id.as_str().unwrap();
    let journal = f.path(&format!("a/p1/.maifdeck/journal/{id}.jsonl"));
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{text}{{\"step\":{{\"num")).unwrap();
    f.command(&["jobs", "resume", id])
        .env("USER", "grace")
        .output()
        .unwrap();
    let told: Vec<(String, String, String)> = audit(&f, &["one"])
        .iter()
        .map(|row| ["user", "intent", "result"].map(|key| row[key].as_str().unwrap().to_owned()))
        .map(|[user, intent, result]| (user, intent, result))
        .filter(|(_, intent, _)| intent != "put")
        .collect();
    let row = |user: &str, intent: &str, result: &str| {
        (user.to_owned(), intent.to_owned(), result.to_owned())
    };
    assert_eq!(
        told,
        [
            row("grace", "resume", "done"),
            row("ada", "repair", "interrupted")
        ]
    );
}

/// What the console shows of it.
#[test]
fn the_log_of_a_job_tells_who_what_and_how_it_ended() {
    use maifdeck::{
        clock::SystemClock,
        console::{backend::Backend, live::Live},
        store::{Access, Config, Store},
    };
    let f = Fixture::empty();
    f.init(&["--leases", "--partition", "p1=a,b,c"]);
    f.configure("leader", "ttl = \"500ms\"");
    for name in ["one", "two"] {
        f.run(&["put", name, "--text", "x"]).exits(0);
        fs::remove_file(f.path(&format!("b/{name}.maif"))).unwrap();
    }
    f.command(&["replicas", "repair", "--yes"])
        .env("USER", "ada")
        .env("MAIFDECK_HOST", "ops-1")
        .env("MAIFDECK_FAULT", "apply.batch-done=kill")
        .output()
        .unwrap();
    let id = f.run(&["jobs", "--json"]).json()["jobs"][0]["id"].clone();
    let id = id.as_str().unwrap();
    f.run(&["jobs", "resume", id]).exits(0);
    let config = Config::read(&f.path("maifdeck.toml")).unwrap();
    let store = Store::open(config.into(), SystemClock::shared(), Access::ReadOnly);
    let live = Live::new(store, "maifdeck.toml".to_owned());
    let log = live.log(id).unwrap();
    let words: Vec<&str> = log.iter().map(|line| &*line.words).collect();
    assert!(words[0].starts_with("done, "), "{words:?}");
    assert!(
        words[1].contains("copy     ") && words[1].ends_with("was so already"),
        "{words:?}"
    );
    assert!(words[3].starts_with("resumed by "), "{words:?}");
    let last = words.last().unwrap();
    assert!(last.starts_with("begun by ada@ops-1, pid ") && last.contains("epoch 3, 2 steps"));
    let shown = f.run(&["jobs", "show", id]).exits(0).text();
    assert!(shown.contains("begun by ada@ops-1"), "{shown}");
    // Single changes, newest first.
    let changes = live.changes();
    let titles: Vec<&str> = changes.iter().map(|change| &*change.title).collect();
    assert_eq!(titles, ["put two, generation 1", "put one, generation 1"]);
    assert_eq!(changes[0].actor.epoch, Some(2));
}
