//! Stores of many artifacts in little time and room: one artifact under many names.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path};

use crate::support::Fixture;

/// File systems allow so many names of one file at least.
const LINKS: u32 = 50_000;

/// A grid whose first partition holds `artifacts` and a few more.
pub fn store(partitions: usize, replicas: usize, artifacts: u32) -> Fixture {
    let f = Fixture::grid(partitions, replicas);
    let disks = || {
        (b'a'..)
            .take(replicas)
            .map(|disk| format!("{}/p1", char::from(disk)))
    };
    for first in (0..artifacts).step_by(LINKS as usize) {
        let model = format!("model-{first}");
        f.run(&["put", &model, "--text", "words"]).exits(0);
        for disk in disks() {
            let volume = f.path(&disk);
            let from = volume.join(format!("{model}.maif"));
            for number in first..artifacts.min(first + LINKS) {
                fs::hard_link(&from, volume.join(format!("artifact-{number:07}.maif"))).unwrap();
            }
        }
    }
    f.run(&["backup", "list"]).exits(0);
    f
}

/// Takes all copies away, and leaves the mark.
pub fn empty(volume: &Path) {
    for entry in fs::read_dir(volume).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "maif")
        {
            fs::remove_file(path).unwrap();
        }
    }
}
