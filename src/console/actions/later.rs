//! What stands at the end of a mishap: undoing a job, giving a volume its new disk.

use super::{Done, plans::plan};
use crate::{
    console::{app::App, keymap::Pane},
    plan::Intent,
    survey::{FindingKind, VolumeState},
};

/// `u`: a plan that puts back what a job replaced.
pub(super) fn undo(app: &mut App) -> Done {
    let job = if app.pane == Pane::Overview {
        app.selected_finding()
            .filter(|finding| finding.kind == FindingKind::JobInterrupted)
            .map(|finding| finding.subject.clone())
            .ok_or("the finding is not an interrupted job")?
    } else {
        let job = app.selected_job().ok_or("no job is selected")?;
        if !job.undoable {
            return Err(format!(
                "nothing of it can be undone: it is {}",
                job.state.word()
            ));
        }
        job.id.clone()
    };
    Ok(plan(app, Intent::Undo { job }))
}

/// `m`: the first mark of a volume, or a new disk in its place.
pub(super) fn mark_volume(app: &mut App) -> Done {
    let survey = app.survey().ok_or("the store was not looked at yet")?;
    let at = app.place().list.selected;
    let view = match app.pane {
        Pane::Cluster => survey.volumes.get(at),
        Pane::Overview => {
            let subject = app.selected_finding().map(|finding| &finding.subject);
            let subject = subject.ok_or("nothing is selected")?;
            let mut volumes = survey.volumes.iter();
            volumes.find(|volume| *volume.label == **subject)
        }
        _ => {
            // The partition's volume that waits for it.
            let mut volumes = survey.volumes.iter();
            volumes.find(|volume| {
                usize::from(volume.partition) == at && volume.state != VolumeState::Ok
            })
        }
    };
    let view = view.ok_or("select a volume (Cluster), or the finding about one")?;
    let replace = match view.state {
        VolumeState::Unmarked => false,
        VolumeState::Ok | VolumeState::Full | VolumeState::ReadOnly => {
            return Err(format!(
                "{} is {}; another directory takes its place with: maifdeck volume replace",
                view.label,
                view.state.word()
            ));
        }
        VolumeState::Joining => {
            return Err(format!("{} joins already; repair it", view.label));
        }
        VolumeState::Foreign | VolumeState::Unreachable => true,
    };
    let volume = view.label.to_string();
    let intent = Intent::MarkVolume {
        volume,
        replace,
        directory: None,
    };
    Ok(plan(app, intent))
}
