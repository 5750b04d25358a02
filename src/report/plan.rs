//! Plans and steps in words, and the command that does the same.

use std::time::Duration;

use crate::{
    plan::{Intent, LayoutChange, Plan, RestoreMode, Source, Step, Summary},
    report::number::{count, plural, size},
    volume::{ArtifactName, Layout},
};

/// The command line that makes the same plan. Names are quoted for a shell.
pub fn command(intent: &Intent) -> String {
    let mut words = vec!["maifdeck".to_owned()];
    let mut push = |word: &str| words.push(word.to_owned());
    match intent {
        Intent::BackupRestore {
            backup,
            mode,
            names,
        } => {
            push("backup restore");
            push(&backup.to_string());
            for name in names {
                push(&shell(name));
            }
            if *mode == RestoreMode::Merge {
                push("--mode merge");
            }
        }
        Intent::VersionRestore {
            name,
            version,
            aside,
        } => {
            push("versions restore");
            push(&shell(name));
            push(&version.to_string());
            if let Some(aside) = aside {
                push("--as");
                push(&shell(aside));
            }
        }
        Intent::Repair {
            names,
            accept_older,
            prefer,
            volume,
        } => {
            push("replicas repair");
            for name in names {
                push(&shell(name));
            }
            for (flag, volume) in [("--prefer", prefer), ("--volume", volume)] {
                if let Some(volume) = volume {
                    push(flag);
                    push(volume);
                }
            }
            if *accept_older {
                push("--accept-older");
            }
        }
        Intent::Remove { names } => {
            push("rm");
            for name in names {
                push(&shell(name));
            }
        }
        Intent::VersionsPrune { names, policy } => {
            push("versions prune");
            for name in names {
                push(&shell(name));
            }
            push(&policy.to_string());
        }
        Intent::BackupPrune { policy } => {
            push("backup prune");
            push(&policy.to_string());
        }
        Intent::Layout { change } => push(&layout(change)),
        Intent::MarkVolume {
            volume,
            replace,
            directory,
        } => {
            push(if *replace {
                "volume replace"
            } else {
                "volume mark"
            });
            push(volume);
            if let Some(directory) = directory {
                push(&quoted(&directory.display().to_string()));
            }
        }
        Intent::EmptyTrash { all } => {
            push("trash empty");
            if *all {
                push("--all");
            }
        }
        Intent::Undo { job } => {
            push("jobs undo");
            push(job);
        }
    }
    words.join(" ")
}

/// One step as a line: `copy  report  p2.2 → p2.1  1.2 MiB`.
pub fn step(step: &Step) -> String {
    match step {
        Step::Put {
            name,
            source,
            size: bytes,
            ..
        } => format!("put      {name}  from {}  {}", origin(source), size(*bytes)),
        Step::Copy {
            name,
            from,
            to,
            size: bytes,
            ..
        } => format!("copy     {name}  {from} → {to}  {}", size(*bytes)),
        Step::Version {
            name,
            id,
            removal,
            to,
            size: bytes,
            ..
        } => {
            let what = if *removal { "removal" } else { "version" };
            format!("{what:<8} {name}  {id} → {to}  {}", size(*bytes))
        }
        Step::MendVersion {
            name,
            id,
            from,
            to,
            size: bytes,
        } => format!("mend     {name}  {id}  {from} → {to}  {}", size(*bytes)),
        Step::Move {
            name,
            from,
            to,
            bytes,
        } => format!("move     {name}  {from} → {to}  {}", size(*bytes)),
        Step::Remove { name, .. } => format!("remove   {name}  (archived first)"),
        Step::TrashVersions { name, ids, bytes } => {
            let count = plural(ids.len() as u64, "version", "versions");
            format!("trash    {name}  {count}  {}", size(*bytes))
        }
        Step::RetireBackup { id, bytes } => {
            format!("retire   backup {id}  {}", size(*bytes))
        }
        Step::ReturnVersions { name, ids, .. } => {
            let count = plural(ids.len() as u64, "version", "versions");
            format!("return   {name}  {count}")
        }
        Step::ReturnBackup { id, .. } => format!("return   backup {id}"),
        Step::Admit { volume, .. } => format!("admit    {volume}  (leaves joining)"),
        Step::Mark {
            volume, directory, ..
        } => {
            let place = directory
                .as_ref()
                .map(|path| format!("  {}", path.display()));
            format!("mark     {volume}{}", place.unwrap_or_default())
        }
        Step::Layout { layout, .. } => format!(
            "layout   number {}: {} by {}",
            layout.number,
            plural(layout.partition.len() as u64, "partition", "partitions"),
            layout.placement
        ),
        Step::Seal => "seal     the layout: nothing is left to move".to_owned(),
        Step::FreeTrash {
            volume,
            job,
            bytes: freed,
        } => format!("free     trash of {job} on {volume}  {}", size(*freed)),
    }
}

fn layout(change: &LayoutChange) -> String {
    match change {
        LayoutChange::Add { name, directories } => {
            let directories: Vec<String> = directories
                .iter()
                .map(|directory| directory.display().to_string())
                .collect();
            format!(
                "partitions add {}",
                quoted(&format!("{name}={}", directories.join(",")))
            )
        }
        LayoutChange::Drain { name } => format!("partitions drain {name}"),
        LayoutChange::Remove { name } => format!("partitions remove {name}"),
        LayoutChange::Rebalance { placement: None } => "partitions rebalance".to_owned(),
        LayoutChange::Rebalance {
            placement: Some(placement),
        } => format!("partitions rebalance --placement {placement}"),
        LayoutChange::MoveLease { volume } => format!("lease move {volume}"),
        LayoutChange::Apply => "config apply".to_owned(),
    }
}

/// What a plan that changes where artifacts lie means for others on the same directories.
pub fn warning(plan: &Plan) -> Option<&'static str> {
    let Intent::Layout { change } = &plan.intent else {
        return None;
    };
    let moves = |step: &Step| matches!(step, Step::Move { .. });
    // Also while there is nothing to move: what is saved next lies elsewhere.
    let changes_homes = match change {
        LayoutChange::Add { .. } | LayoutChange::Drain { .. } => true,
        LayoutChange::Rebalance { placement } => placement.is_some(),
        _ => plan.steps.iter().any(moves),
    };
    let layout = plan.steps.iter().find_map(|step| match step {
        Step::Layout { layout, .. } => Some(layout),
        _ => None,
    });
    let layout = layout.filter(|_| changes_homes)?;
    Some(if layout.placement == "md5-modulo" {
        "Python programs that place by the old N must be stopped"
    } else {
        "Python programs that place by md5 modulo N do not find what is placed by rendezvous"
    })
}

/// How many partitions take artifacts, where that decides every home.
pub fn placement_notes(before: Option<&Layout>, after: &Layout) -> Vec<String> {
    let n = |layout: &Layout| {
        let taking = layout.partition.iter().filter(|p| p.weight > 0.0);
        (layout.placement == "md5-modulo").then(|| taking.count())
    };
    match (before.and_then(n), n(after)) {
        (Some(old), Some(new)) if old != new => vec![format!(
            "under md5-modulo this changes N from {old} to {new}: most artifacts move"
        )],
        (None, Some(new)) => vec![format!("md5-modulo places by N = {new}")],
        _ => Vec::new(),
    }
}

/// About how long it takes: disks that are not the best, and many small files.
pub fn expected(plan: &Plan) -> Duration {
    const BYTES: u64 = 100 << 20;
    const STEPS: u64 = 1_000;
    Duration::from_secs(plan.summary.bytes / BYTES + plan.steps.len() as u64 / STEPS)
}

/// Whether confirming asks for a typed word, and which: the same words in console and command
/// line.
pub fn asks(plan: &Plan) -> Option<String> {
    plan.is_destructive().then(|| plan.confirmation_word())
}

fn origin(source: &Source) -> String {
    match source {
        Source::Copy { volume } => format!("the copy on {volume}"),
        Source::Version { volume, id, .. } => format!("version {id} on {volume}"),
        Source::Backup { id, .. } => format!("backup {id}"),
    }
}

/// What becomes of artifacts, of a plan that brings earlier states back.
pub fn artifacts(summary: &Summary) -> Option<String> {
    let Summary {
        added,
        replaced,
        same,
        removes,
        ..
    } = summary;
    (*added > 0 || *replaced > 0).then(|| {
        format!(
            "{} added, {} replaced, {} the same, {} removed",
            plural(*added, "artifact", "artifacts"),
            count(*replaced),
            count(*same),
            count(*removes)
        )
    })
}

/// A name as a word for a POSIX shell.
fn shell(name: &ArtifactName) -> String {
    let Some(text) = name.as_str() else {
        return format!("--name-hex {}", hex::encode(name.as_bytes()));
    };
    if text.chars().any(char::is_control) {
        return format!("--name-hex {}", hex::encode(name.as_bytes()));
    }
    quoted(text)
}

/// Text as a word for a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.,:@%+=/".contains(&b));
    if plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_survives_a_shell() {
        let repair = |name: &str| {
            command(&Intent::Repair {
                names: vec![ArtifactName::existing(name.as_bytes()).unwrap()],
                accept_older: false,
                prefer: Some("p1.2".to_owned()),
                volume: None,
            })
        };
        assert_eq!(repair("doc"), "maifdeck replicas repair doc --prefer p1.2");
        assert_eq!(
            repair("it's $HOME"),
            r"maifdeck replicas repair 'it'\''s $HOME' --prefer p1.2"
        );
        assert!(repair("a\nb").contains("--name-hex 610a62"));
    }
}
