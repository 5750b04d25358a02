//! The contract of the command line: for every command the exit code and the JSON fields that
//! scripts and outside checks read, on the playground with its planted faults.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::Fixture;

const CONFIG: [&str; 2] = ["--config", "play/maifdeck.toml"];

fn playground() -> Fixture {
    let f = Fixture::empty();
    f.run(&["demo", "play", "--no-console", "--artifacts", "40"])
        .exits(0);
    f
}

fn json(f: &Fixture, code: i32, arguments: &[&str]) -> Value {
    let mut all = CONFIG.to_vec();
    all.push("--json");
    all.extend(arguments);
    let document = f.run(&all).exits(code).json();
    assert_eq!(document["schema"], 1, "{arguments:?}");
    document
}

#[track_caller]
fn has(document: &Value, fields: &[&str]) {
    for field in fields {
        assert!(document.get(field).is_some(), "no {field} in {document}");
    }
}

#[test]
fn looking_gives_the_documented_fields() {
    let f = playground();
    let status = json(&f, 1, &["status"]);
    has(
        &status,
        &[
            "store",
            "config",
            "role",
            "lease",
            "volumes",
            "summary",
            "findings",
            "last_backup",
            "jobs",
        ],
    );
    for finding in status["findings"].as_array().unwrap() {
        has(
            finding,
            &["severity", "kind", "subject", "message", "remedy"],
        );
    }
    let listed = json(&f, 0, &["ls"]);
    has(
        &listed["artifacts"][0],
        &["name", "size", "modified", "partition", "versions", "state"],
    );
    let partitions = json(&f, 1, &["partitions"]);
    has(&partitions, &["placement", "skew", "partitions"]);
    let partition = &partitions["partitions"][0];
    has(
        partition,
        &[
            "name",
            "state",
            "weight",
            "artifacts",
            "bytes",
            "share",
            "expected_share",
            "misplaced",
            "volumes",
        ],
    );
    has(
        &partition["volumes"][0],
        &[
            "label",
            "path",
            "state",
            "artifacts",
            "current_bytes",
            "versions_bytes",
            "trash_bytes",
            "free_bytes",
            "total_bytes",
        ],
    );
    for command in [
        &["replicas"][..],
        &["survey", "--level", "quick"],
        &["survey", "--level", "deep"],
    ] {
        let survey = json(&f, 1, command);
        has(
            &survey,
            &["level", "at", "artifacts", "summary", "findings"],
        );
        for artifact in survey["artifacts"].as_array().unwrap() {
            has(
                artifact,
                &["name", "partition", "state", "reference", "copies"],
            );
            for copy in artifact["copies"].as_array().unwrap() {
                has(copy, &["volume", "state", "checked", "size", "generation"]);
            }
            if !artifact["reference"].is_null() {
                has(&artifact["reference"], &["volume", "generation", "reason"]);
            }
        }
        for state in [
            "lost",
            "unreachable",
            "divergent",
            "corrupt",
            "misplaced",
            "degraded",
            "ok",
        ] {
            assert!(survey["summary"][state].is_u64(), "{state}");
        }
    }
}

#[test]
fn what_stands_around_the_store_gives_the_documented_fields() {
    let f = playground();
    let volumes = json(&f, 1, &["volume", "list"]);
    has(&volumes["volumes"][0], &["label", "path", "state"]);
    let lease = json(&f, 0, &["lease", "status"]);
    has(
        &lease,
        &[
            "state",
            "holder",
            "host",
            "pid",
            "epoch",
            "mine",
            "observed_seconds",
        ],
    );
    has(&json(&f, 0, &["trash", "list"]), &["trash"]);
    has(&json(&f, 0, &["jobs"]), &["jobs"]);
    has(&json(&f, 0, &["jobs", "--audit"]), &["audit"]);
    json(&f, 0, &["config", "check"]);
    json(&f, 0, &["config", "show"]);
    for words in [
        &["completions", "bash"][..],
        &["man"],
        &["config", "show", "--defaults"],
        &["help", "lease"],
    ] {
        assert!(!f.run(words).exits(0).stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn artifacts_versions_and_plans_give_the_documented_fields() {
    let f = playground();
    let put = json(&f, 0, &["put", "new", "--text", "one"]);
    has(&put, &["name", "generation", "version", "copies"]);
    has(&put["copies"][0], &["volume", "state"]);
    json(&f, 0, &["put", "new", "--text", "two"]);
    let versions = json(&f, 0, &["versions", "new"]);
    has(&versions, &["name", "current", "versions"]);
    has(
        &versions["versions"][0],
        &[
            "id",
            "written",
            "current_from",
            "current_until",
            "size",
            "sha256",
            "agent_did",
            "blocks",
            "kept_by",
            "backups",
        ],
    );
    let id = versions["versions"][0]["id"].as_str().unwrap().to_owned();
    let inspected = json(&f, 0, &["inspect", "new", "--text"]);
    has(
        &inspected,
        &[
            "path",
            "format",
            "agent_did",
            "created",
            "modified",
            "signer",
            "blocks",
            "texts",
            "provenance",
            "verdict",
            "class",
        ],
    );
    has(
        &inspected["blocks"][0],
        &["type", "size", "content_hash", "metadata"],
    );
    has(
        &inspected["provenance"][0],
        &["action", "agent_id", "timestamp"],
    );
    json(&f, 0, &["versions", "diff", "new", &id]);

    let plan = json(&f, 0, &["versions", "restore", "new", &id, "--dry-run"]);
    has(&plan, &["plan", "steps"]);
    has(
        &plan["plan"],
        &[
            "id",
            "intent",
            "steps",
            "copies",
            "replaces",
            "archives",
            "removes",
            "bytes",
            "space",
            "unrecoverable",
        ],
    );
    std::fs::write(f.path("plan.json"), plan.to_string()).unwrap();
    // Not confirmed; then exactly that plan; then the store has moved on, and the step is done.
    json(&f, 3, &["apply", "plan.json"]);
    let job = json(&f, 0, &["apply", "plan.json", "--yes"]);
    has(
        &job["job"],
        &[
            "id",
            "plan",
            "intent",
            "state",
            "steps_done",
            "steps_failed",
            "bytes",
            "seconds",
            "errors",
            "undo",
        ],
    );
    assert_eq!(job["job"]["plan"], plan["plan"]["id"]);
    json(&f, 0, &["put", "new", "--text", "three"]);
    json(&f, 5, &["apply", "plan.json", "--yes"]);

    has(
        &json(&f, 0, &["rm", "new", "--yes"]),
        &["name", "generation", "version", "copies"],
    );
    json(&f, 5, &["get", "new"]);
    let error = json(&f, 5, &["versions", "no-such-artifact"]);
    has(&error["error"], &["kind", "message", "hint"]);
}

#[test]
fn backups_give_the_documented_fields() {
    let f = playground();
    // One artifact of the playground is lost, so a backup of it is partial.
    let made = json(&f, 4, &["backup", "create"]);
    has(&made["job"], &["id", "state", "steps_done", "errors"]);
    has(&made["backup"], &["id", "state"]);
    let listed = json(&f, 0, &["backup", "list"]);
    for backup in listed["backups"].as_array().unwrap() {
        has(
            backup,
            &[
                "id",
                "at",
                "state",
                "artifacts",
                "bytes",
                "new_bytes",
                "verified",
                "pinned",
                "kept_by",
            ],
        );
    }
    let verified = json(&f, 0, &["backup", "verify", "latest"]);
    has(
        &verified,
        &["id", "ok", "checked", "damaged", "missing", "extra"],
    );
    let verified = json(&f, 0, &["backup", "verify", "latest", "--quick"]);
    assert_eq!(verified["ok"], true);
    json(&f, 3, &["backup", "restore", "latest"]);
    json(&f, 0, &["backup", "restore", "latest", "--dry-run"]);
    json(&f, 3, &["backup", "prune", "--keep-last", "1"]);
    json(&f, 2, &["backup", "prune", "--keep-last", "0"]);
    json(&f, 5, &["backup", "verify", "20200101_000000"]);
    json(&f, 0, &["backup", "diff", "latest"]);
    json(&f, 0, &["backup", "pin", "latest"]);
    json(&f, 0, &["backup", "unpin", "latest"]);
}

#[test]
fn verify_gives_one_line_a_file() {
    let f = Fixture::grid(1, 1);
    f.run(&["put", "doc", "--text", "héllo"]).exits(0);
    std::fs::write(f.path("bad.maif"), b"MAIF").unwrap();
    let good = f.path("a/p1/doc.maif");
    let run = f.run(&[
        "verify",
        "--json",
        "--text",
        good.to_str().unwrap(),
        "bad.maif",
    ]);
    let run = run.exits(1);
    let lines: Vec<Value> = run
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        has(
            line,
            &[
                "path",
                "verdict",
                "class",
                "errors",
                "sha256",
                "agent_did",
                "block_count",
                "block_types",
                "format",
            ],
        );
    }
    assert_eq!(lines[0]["verdict"], "intact");
    assert_eq!(lines[0]["class"], "valid");
    assert_eq!(lines[0]["texts"][0], "héllo");
    assert_eq!(lines[1]["verdict"], "damaged");
}
