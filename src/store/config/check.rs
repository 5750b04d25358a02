//! What the types of a configuration cannot say.

use super::{Config, sections::SECOND};

impl Config {
    /// What no type can say. The key is where the problem is shown.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.partition.is_empty() {
            return Err((
                "partition",
                "at least one [[partition]] with a name and replicas is needed".to_owned(),
            ));
        }
        let mut names = std::collections::BTreeSet::new();
        let mut directories = std::collections::BTreeSet::new();
        for partition in &self.partition {
            let name = &partition.name;
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if name.is_empty() || !name.bytes().all(allowed) {
                return Err((
                    "name",
                    format!("a partition's name is made of a-z, 0-9 and '-': {name:?}"),
                ));
            }
            if !names.insert(name) {
                return Err(("name", format!("two partitions are called {name}")));
            }
            if !partition.weight.is_finite() || partition.weight < 0.0 {
                return Err(("weight", format!("the weight of {name} is not 0 or more")));
            }
            if partition.replicas.is_empty() {
                return Err(("replicas", format!("partition {name} has no replica")));
            }
            for replica in &partition.replicas {
                if replica.as_os_str().is_empty() || !directories.insert(replica) {
                    let shown = replica.display();
                    return Err((
                        "replicas",
                        format!("the directory {shown:?} is empty or named twice"),
                    ));
                }
            }
            let replicas = partition.replicas.len();
            let quorum = self.store.write_quorum.of(replicas);
            if quorum * 2 <= replicas || quorum > replicas {
                return Err((
                    "write_quorum",
                    format!(
                        "write_quorum {quorum} does not fit partition {name} with {replicas} \
                         replicas: it must be more than half of them and at most all"
                    ),
                ));
            }
        }
        let control = &self.store.control;
        let known = self.partition.iter().any(|partition| {
            (1..=partition.replicas.len()).any(|n| format!("{}.{n}", partition.name) == *control)
        });
        if !control.is_empty() && !known {
            return Err(("control", format!("control names no volume: {control}")));
        }
        if !(1..=100).contains(&self.store.max_fill) || self.store.warn_fill > 100 {
            return Err(("max_fill", "warn_fill and max_fill are percents".to_owned()));
        }
        if self.store.volume_timeout.is_zero() || self.console.refresh < SECOND / 10 {
            return Err((
                "volume_timeout",
                "volume_timeout must be positive, console.refresh at least 100ms".to_owned(),
            ));
        }
        if self.leader.ttl < SECOND / 10 || self.leader.barrier_timeout.is_zero() {
            return Err((
                "ttl",
                "leader.ttl must be at least 100ms, leader.barrier_timeout positive".to_owned(),
            ));
        }
        if let Some(backup) = &self.backup
            && backup.directory.as_os_str().is_empty()
        {
            return Err(("backup", "[backup] needs a directory".to_owned()));
        }
        for key in &self.sign.trusted {
            if key.len() != 64 || hex::decode(key).is_err() {
                return Err((
                    "trusted",
                    format!("not a public key (64 hexadecimal digits): {key}"),
                ));
            }
        }
        Ok(())
    }
}
