//! Every golden file gets the right validity and a class that a strict verifier may give.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs::File, ops::ControlFlow, path::PathBuf};

use maifdeck::maif::{Class, PublicKey, Verification, verify};
use serde_json::Value;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn verdicts() -> Value {
    let text = std::fs::read_to_string(golden().join("verdicts.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn check(slug: &str, trusted: &[PublicKey]) -> Verification {
    let file = File::open(golden().join(format!("{slug}.maif"))).unwrap();
    verify(&file, trusted, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn every_file_gets_the_right_verdict() {
    let verdicts = verdicts();
    let files = verdicts["files"].as_array().unwrap();
    assert_eq!(files.len(), 243);
    let mut wrong = Vec::new();
    for file in files {
        let slug = file["slug"].as_str().unwrap();
        let found = check(slug, &[]);
        let class = found.class.as_str();
        let acceptable = file["expect"]["acceptable"].as_array().unwrap();
        if !acceptable.iter().any(|a| a == class)
            || file["expect"]["valid"] != (found.class == Class::Valid)
        {
            wrong.push(format!(
                "{slug}: {class}, expected {acceptable:?}: {:?}",
                found.problems
            ));
        }
        assert_eq!(file["sha256"], found.sha256.to_string(), "{slug}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_primary_class_is_that_of_the_corpus() {
    let verdicts = verdicts();
    let differing: Vec<String> = verdicts["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|file| {
            let slug = file["slug"].as_str()?;
            let class = check(slug, &[]).class;
            (file["expect"]["class"] != class.as_str()).then(|| format!("{slug}: {class}"))
        })
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn what_valid_files_hold_is_read_right() {
    for file in verdicts()["files"].as_array().unwrap() {
        if file["expect"]["valid"] != true || file["content"].is_null() {
            continue;
        }
        let slug = file["slug"].as_str().unwrap();
        let found = check(slug, &[]);
        let content = &file["content"];
        let types: Vec<String> = found.block_types.iter().map(ToString::to_string).collect();
        assert_eq!(content["block_types"], serde_json::json!(types), "{slug}");
        assert_eq!(content["block_count"], types.len(), "{slug}");
        assert_eq!(
            content["agent_did"],
            serde_json::json!(found.agent_did()),
            "{slug}"
        );
        assert_eq!(
            content["created"],
            found.header.as_ref().unwrap().created,
            "{slug}"
        );
    }
}

#[test]
fn a_key_that_is_not_trusted_is_an_untrusted_signer() {
    let verdicts = verdicts();
    let key = |who: &str| -> PublicKey {
        verdicts["keys"][who]["public_key"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    assert_eq!(
        check("v-base", &[key("alice"), key("bob"), key("carol")]).class,
        Class::Valid
    );
    assert_eq!(
        check(
            "t-forged-resigned",
            &[key("alice"), key("bob"), key("carol")]
        )
        .class,
        Class::UntrustedSigner
    );
    // Damage outranks a foreign key.
    assert_eq!(
        check("t-data-flip", &[key("dave")]).class,
        Class::TamperedBlock
    );
}

/// Section 13: every single bit before the footer, the footer's checksum made to fit again.
#[test]
fn a_flipped_bit_is_found_everywhere_but_in_signed_at() {
    use sha2::{Digest as _, Sha256};
    let mut bytes = std::fs::read(golden().join("v-base.maif")).unwrap();
    let body = bytes.len() - 48;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("signed_at"));
    let signed_at = bytes
        .windows(13)
        .position(|w| w == b"\"signed_at\": ")
        .unwrap();
    let mut file = tempfile::tempfile().unwrap();
    // A stride that is prime to 8 visits every bit position; all bits take too long unoptimised.
    for bit in (0..body * 8).step_by(3) {
        let (at, mask) = (bit / 8, 1u8 << (bit % 8));
        bytes[at] ^= mask;
        let digest = Sha256::digest(&bytes[..body]);
        bytes[body + 12..body + 44].copy_from_slice(&digest);
        {
            use std::io::{Seek, Write};
            file.rewind().unwrap();
            file.write_all(&bytes).unwrap();
        }
        let found = verify(&file, &[], &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(
            found.class != Class::Valid || (signed_at..signed_at + 32).contains(&at),
            "bit {bit} at byte {at} was not noticed"
        );
        bytes[at] ^= mask;
    }
}
