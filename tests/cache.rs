//! The follower's cache, against everything that the sketches' cache gets wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use support::{Fixture, Run};

/// A 1×1 store with a cache; more lines for its section.
fn cached(more: &str) -> Fixture {
    let f = Fixture::grid(1, 1);
    let path = f.path("maifdeck.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        path,
        format!("{text}\n[cache]\ndirectory = \"cache\"\n{more}\n"),
    )
    .unwrap();
    f
}

/// Where the answer came from, and its text.
fn get(f: &Fixture, name: &str) -> (Value, String) {
    let out = f.path("out");
    let out = out.to_str().unwrap();
    let got = f.run(&["get", name, "-o", out, "--json"]).exits(0).json();
    let looked = f.run(&["inspect", out, "--text", "--json"]).exits(0).json();
    (got, looked["texts"][0].as_str().unwrap().to_owned())
}

/// Gets it and checks whether the cache answered.
#[track_caller]
fn expect(f: &Fixture, name: &str, text: &str, from_cache: bool) {
    let (got, found) = get(f, name);
    assert_eq!(found, text);
    assert_eq!(got["cached"], from_cache, "{got}");
    assert_eq!(got["stale"], false);
}

fn remote(f: &Fixture) -> PathBuf {
    f.path("a/p1/doc.maif")
}

fn entry(f: &Fixture, name: &str) -> PathBuf {
    let key = fs::read_dir(f.path("cache")).unwrap().next().unwrap();
    key.unwrap().path().join(format!("{name}.maif"))
}

fn status(f: &Fixture) -> (u64, u64) {
    let status = f.run(&["cache", "status", "--json"]).exits(0).json();
    (
        status["entries"].as_u64().unwrap(),
        status["bytes"].as_u64().unwrap(),
    )
}

#[test]
fn what_the_store_holds_now_is_answered_from_the_cache() {
    let f = cached("");
    f.run(&["put", "doc", "--text", "one"]).exits(0);
    expect(&f, "doc", "one", false);
    expect(&f, "doc", "one", true);
    f.run(&["put", "doc", "--text", "two"]).exits(0);
    expect(&f, "doc", "two", false);
    expect(&f, "doc", "two", true);
    assert_eq!(status(&f).0, 1);
}

#[test]
fn a_store_rolled_back_to_an_older_file_is_believed() {
    let f = cached("");
    f.run(&["put", "doc", "--text", "old"]).exits(0);
    let old = fs::read(remote(&f)).unwrap();
    f.run(&["put", "doc", "--text", "new"]).exits(0);
    expect(&f, "doc", "new", false);
    fs::write(remote(&f), old).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(86_400);
    fs::File::options()
        .append(true)
        .open(remote(&f))
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    expect(&f, "doc", "old", false);
    expect(&f, "doc", "old", true);
}

#[test]
fn a_file_replaced_within_the_second_by_one_of_its_size_is_noticed() {
    let f = cached("");
    f.run(&["put", "doc", "--text", "aaa"]).exits(0);
    let (time, size) = {
        let metadata = fs::metadata(remote(&f)).unwrap();
        (metadata.modified().unwrap(), metadata.len())
    };
    expect(&f, "doc", "aaa", false);
    f.run(&["put", "doc", "--text", "bbb"]).exits(0);
    assert_eq!(fs::metadata(remote(&f)).unwrap().len(), size);
    fs::File::options()
        .append(true)
        .open(remote(&f))
        .unwrap()
        .set_modified(time)
        .unwrap();
    expect(&f, "doc", "bbb", false);
}

#[test]
fn what_was_deleted_is_not_served() {
    let f = cached("");
    for name in ["doc", "removed"] {
        f.run(&["put", name, "--text", "x"]).exits(0);
        expect(&f, name, "x", false);
    }
    fs::remove_file(remote(&f)).unwrap();
    f.run(&["rm", "removed", "--yes"]).exits(0);
    for name in ["doc", "removed"] {
        f.run(&["get", name]).exits(5);
        assert!(!entry(&f, name).exists(), "{name} is forgotten");
    }
}

#[test]
fn an_unreachable_store_is_answered_for_and_said_to_be_stale_or_refused() {
    let f = cached("");
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    expect(&f, "doc", "x", false);
    fs::rename(f.path("a"), f.path("away")).unwrap();
    let (got, text) = get(&f, "doc");
    assert_eq!(text, "x");
    assert_eq!(got["stale"], true);
    let words = f.run(&["get", "doc"]).exits(0);
    assert!(words.stderr.starts_with("stale: "), "{words:?}");
    // What was never cached cannot be served.
    assert_ne!(f.run(&["get", "other"]).code, Some(0));
    // An unmounted mount point is no empty store.
    fs::create_dir_all(f.path("a/p1")).unwrap();
    assert_eq!(get(&f, "doc").0["stale"], true);
    f.configure("cache", "stale = \"refuse\"");
    assert_ne!(f.run(&["get", "doc"]).code, Some(0));
    fs::remove_dir_all(f.path("a")).unwrap();
    fs::rename(f.path("away"), f.path("a")).unwrap();
    expect(&f, "doc", "x", true);
}

#[test]
fn a_damaged_entry_is_fetched_again_and_never_served() {
    let f = cached("");
    f.run(&["put", "doc", "--text", "right"]).exits(0);
    expect(&f, "doc", "right", false);
    let path = entry(&f, "doc");
    // A flip that size and footer do not show.
    let mut bytes = fs::read(&path).unwrap();
    bytes[444 + 372] ^= 1;
    fs::write(&path, &bytes).unwrap();
    expect(&f, "doc", "right", false);
    expect(&f, "doc", "right", true);
    // Nor when there is nothing else to serve.
    fs::write(&path, &bytes).unwrap();
    fs::rename(f.path("a"), f.path("away")).unwrap();
    assert_ne!(f.run(&["get", "doc"]).code, Some(0));
}

#[test]
fn what_was_used_longest_ago_makes_room() {
    let f = cached("");
    let text = "x".repeat(20_000);
    for name in ["a", "b", "c"] {
        f.run(&["put", name, "--text", &text]).exits(0);
    }
    f.configure("cache", "max_size = \"50KiB\"");
    for name in ["a", "b", "a", "c"] {
        get(&f, name);
    }
    assert_eq!(status(&f).0, 2);
    assert!(entry(&f, "a").exists() && entry(&f, "c").exists());
    // What is larger than the cache passes by.
    f.run(&["put", "big", "--text", &"x".repeat(60_000)])
        .exits(0);
    expect(&f, "big", &"x".repeat(60_000), false);
    assert_eq!(status(&f).0, 2);
}

#[test]
fn the_cache_is_refreshed_invalidated_and_cleared() {
    let f = cached("");
    for name in ["a", "b"] {
        f.run(&["put", name, "--text", "x"]).exits(0);
        f.run(&["cache", "refresh", name]).exits(0);
    }
    expect(&f, "a", "x", true);
    let gone = f.run(&["cache", "invalidate", "a", "--json"]).exits(0);
    assert_eq!(gone.json()["invalidated"], true);
    expect(&f, "a", "x", false);
    assert_eq!(f.run(&["cache", "get", "b"]).exits(0).stdout[..4], *b"MAIF");
    f.run(&["cache", "clear"]).exits(0);
    assert_eq!(status(&f), (0, 0));
    assert_eq!(Fixture::grid(1, 1).run(&["cache", "status"]).code, Some(2));
}

#[test]
fn processes_share_one_cache() {
    let f = cached("max_size = \"60KiB\"");
    let names = ["a", "b", "c", "d"];
    for name in names {
        f.run(&["put", name, "--text", &"x".repeat(20_000)])
            .exits(0);
    }
    let readers: Vec<Child> = (0..12)
        .map(|n| {
            f.command(&["get", names[n % names.len()]])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for reader in readers {
        let got: Run = reader.wait_with_output().unwrap().into();
        assert_eq!(got.exits(0).stdout[..4], *b"MAIF");
    }
    let (entries, bytes) = status(&f);
    assert!(entries >= 1 && bytes <= 60 * 1024, "{entries} {bytes}");
}

#[test]
fn a_successor_that_is_too_large_leaves_no_older_entry_to_be_served() {
    let f = cached("max_size = \"20KiB\"");
    f.run(&["put", "doc", "--text", "small"]).exits(0);
    expect(&f, "doc", "small", false);
    let large = "x".repeat(60_000);
    f.run(&["put", "doc", "--text", &large]).exits(0);
    expect(&f, "doc", &large, false);
    assert_eq!(status(&f).0, 0);
    fs::rename(f.path("a"), f.path("away")).unwrap();
    assert_ne!(f.run(&["get", "doc"]).code, Some(0));
}

#[test]
fn a_cache_that_cannot_be_used_is_a_slow_cache_and_no_reason_to_fail() {
    let f = cached("");
    f.run(&["put", "doc", "--text", "x"]).exits(0);
    // No directory at all, and one that cannot be made.
    fs::write(f.path("cache"), "not a directory").unwrap();
    expect(&f, "doc", "x", false);
    expect(&f, "doc", "x", false);
    assert_ne!(f.run(&["cache", "refresh", "doc"]).code, Some(0));
    fs::remove_file(f.path("cache")).unwrap();
    assert_eq!(status(&f), (0, 0));
    expect(&f, "doc", "x", false);
    // What stands where the entry should be is not an entry.
    let path = entry(&f, "doc");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    expect(&f, "doc", "x", false);
}

#[test]
fn odd_names_are_cached_like_others_and_versions_pass_by() {
    let f = cached("");
    f.run(&["put", "doc", "--text", "one"]).exits(0);
    let odd = std::os::unix::ffi::OsStringExt::from_vec(b"odd-\xff .maif".to_vec());
    let odd: std::ffi::OsString = odd;
    fs::copy(remote(&f), f.path("a/p1").join(odd)).unwrap();
    let name = hex::encode(b"odd-\xff ");
    let out = f.path("out");
    for cached in [false, true] {
        let arguments = [
            "--name-hex",
            "get",
            &name,
            "-o",
            out.to_str().unwrap(),
            "--json",
        ];
        let got = f.run(&arguments).exits(0).json();
        assert_eq!(got["cached"], cached, "{got}");
    }
    expect(&f, "doc", "one", false);
    f.run(&["put", "doc", "--text", "two"]).exits(0);
    let history = f.run(&["versions", "doc", "--json"]).exits(0).json();
    let id = history["versions"][0]["id"].as_str().unwrap();
    let arguments = [
        "get",
        "doc",
        "--version",
        id,
        "-o",
        out.to_str().unwrap(),
        "--json",
    ];
    assert_eq!(f.run(&arguments).exits(0).json()["cached"], false);
}
