//! Where artifacts live and what takes room: partitions that come and go, the placement, the trash,
//! old versions. All of them ask for a plan; nothing changes here.

use super::{
    Done,
    plans::{ask, plan},
};
use crate::{
    console::{
        app::App,
        keymap::Action,
        widgets::{
            Dialog,
            choice::{Choice, Follow},
            prompt::Asked,
        },
    },
    plan::{Intent, LayoutChange},
    report::{count, percent, size},
    survey::{PartitionView, Survey, VolumeView},
};

/// Actions of the Partitions pane.
pub(super) fn change(app: &mut App, action: Action) -> Done {
    match action {
        Action::AddPartition => {
            ask(
                app,
                Asked::Partition,
                "add a partition".to_owned(),
                "NAME=DIRECTORY,DIRECTORY…: one directory for each replica",
                "",
            );
            Ok(Vec::new())
        }
        Action::Drain => {
            let partition = selected(app)?;
            let name = partition.name.to_string();
            // Drained to its end, it can leave.
            let empty = partition.artifacts == 0 && partition.misplaced == 0;
            let change = if partition.draining && empty {
                LayoutChange::Remove { name }
            } else {
                LayoutChange::Drain { name }
            };
            Ok(plan(app, Intent::Layout { change }))
        }
        Action::Rebalance => rebalance(app),
        Action::EmptyTrash => empty_trash(app),
        _ => Ok(Vec::new()),
    }
}

fn looked(app: &App) -> Result<&Survey, &'static str> {
    app.survey().ok_or("the store was not looked at yet")
}

fn selected(app: &App) -> Result<&PartitionView, &'static str> {
    let partitions = &looked(app)?.partitions;
    partitions
        .get(app.place().list.selected)
        .ok_or("no partition is selected")
}

fn choose(app: &mut App, title: &str, words: Vec<String>, options: Vec<(String, String, Follow)>) {
    let cancel = (
        "Cancel".to_owned(),
        "nothing is changed".to_owned(),
        Follow::Stay,
    );
    app.dialog = Some(Dialog::Choice(Choice {
        title: title.to_owned(),
        words,
        options: std::iter::once(cancel).chain(options).collect(),
        selected: 0,
    }));
}

fn rebalance(app: &mut App) -> Done {
    let survey = looked(app)?;
    let misplaced: u64 = survey.partitions.iter().map(|p| p.misplaced).sum();
    let (other, means) = if survey.placement == "rendezvous" {
        (
            "md5-modulo",
            "as the sketches place; adding a partition then moves nearly everything",
        )
    } else {
        (
            "rendezvous",
            "adding a partition then moves only its share; the sketches do not know it",
        )
    };
    let words = vec![format!(
        "Placement is {}, the largest share is {:.2} times the even one, {} misplaced.",
        survey.placement,
        survey.skew,
        count(misplaced)
    )];
    let to = |placement: Option<&str>| {
        Follow::Plan(Intent::Layout {
            change: LayoutChange::Rebalance {
                placement: placement.map(ToOwned::to_owned),
            },
        })
    };
    let options = vec![
        (
            "bring artifacts to their homes".to_owned(),
            "also ends a change of the layout that was cut off".to_owned(),
            to(None),
        ),
        (
            format!("place by {other} from now on"),
            means.to_owned(),
            to(Some(other)),
        ),
    ];
    choose(app, "rebalance", words, options);
    Ok(Vec::new())
}

fn empty_trash(app: &mut App) -> Done {
    let survey = looked(app)?;
    let mut volumes: Vec<&VolumeView> = survey
        .volumes
        .iter()
        .filter(|v| v.trash_bytes > 0)
        .collect();
    if volumes.is_empty() {
        return Err("nothing waits in the trash".to_owned());
    }
    volumes.sort_by_key(|volume| std::cmp::Reverse(volume.trash_bytes));
    let total: u64 = volumes.iter().map(|volume| volume.trash_bytes).sum();
    let most: Vec<String> = volumes
        .iter()
        .take(4)
        .map(|volume| {
            let room = volume.space.map(|space| space.used_share());
            let room = room.map_or_else(String::new, |share| format!(" ({} full)", percent(share)));
            format!("{} {}{room}", volume.label, size(volume.trash_bytes))
        })
        .collect();
    let words = vec![format!(
        "{} wait in the trash: {}.",
        size(total),
        most.join(", ")
    )];
    let free = |all| Follow::Plan(Intent::EmptyTrash { all });
    let options = vec![
        (
            "free what has waited for the undo window".to_owned(),
            "every job younger than that can still be undone".to_owned(),
            free(false),
        ),
        (
            "free everything".to_owned(),
            "what is freed cannot be brought back by undo".to_owned(),
            free(true),
        ),
    ];
    choose(app, "empty the trash", words, options);
    Ok(Vec::new())
}
