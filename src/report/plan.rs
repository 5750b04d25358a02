//! Plans and steps in words, and the command that does the same.

use crate::{
    plan::{Intent, Plan, RestoreMode, Source, Step},
    report::number::{plural, size},
    volume::ArtifactName,
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
        } => {
            push("replicas repair");
            for name in names {
                push(&shell(name));
            }
            if let Some(volume) = prefer {
                push("--prefer");
                push(volume);
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
        Step::Discard { name, from, .. } => {
            format!("discard  {name}  on {from} (to the trash; its home holds it)")
        }
        Step::Remove { name, .. } => format!("remove   {name}  (archived first)"),
        Step::TrashVersions { name, ids, bytes } => {
            let count = plural(ids.len() as u64, "version", "versions");
            format!("trash    {name}  {count}  {}", size(*bytes))
        }
        Step::RetireBackup { id, bytes } => {
            format!("retire   backup {id}  {}", size(*bytes))
        }
        Step::Admit { volume } => format!("admit    {volume}  (leaves joining)"),
    }
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

/// A name as a word for a POSIX shell.
fn shell(name: &ArtifactName) -> String {
    let Some(text) = name.as_str() else {
        return format!("--name-hex {}", hex::encode(name.as_bytes()));
    };
    let plain = !text.is_empty()
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.,:@%+=".contains(&b));
    if plain {
        text.to_owned()
    } else if text.chars().any(char::is_control) {
        format!("--name-hex {}", hex::encode(name.as_bytes()))
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
