//! What each action does. One that cannot be done says why. This file decides which function an
//! action is; the files below it hold them by idea.

mod clipboard;
mod findings;
mod jobs;
mod later;
mod lease;
mod listing;
mod marking;
mod movement;
mod plans;
mod show;
mod space;

use super::{
    app::{App, Focus},
    keymap::{self, Action, Entry, Pane},
    message::Command,
    theme::Role,
    update,
    widgets::{Dialog, help::HelpDialog, palette::PaletteDialog},
};

use crate::{survey::FindingKind, volume::ArtifactName};

pub use clipboard::sent;
pub use findings::{finding_pane, remedy};
pub use jobs::jobs_asked;
pub use movement::{go, has_detail};
pub use plans::{as_of, plan};

/// Why an action is not done, for the footer.
type Refusal = String;
type Done = Result<Vec<Command>, Refusal>;

pub fn perform(app: &mut App, action: Action) -> Vec<Command> {
    let refused = keymap::find(action).and_then(|entry| refusal(app, entry));
    let done = match refused {
        Some(why) => Err(why),
        None => dispatch(app, action),
    };
    match done {
        Ok(commands) => commands,
        Err(why) => {
            app.say(Role::Warning, why);
            Vec::new()
        }
    }
}

/// Whether there is anything here that the action could be about: the footer names no other.
pub fn has_object(app: &App, action: Action) -> bool {
    let finding = || app.selected_finding().map(|finding| finding.kind);
    match action {
        Action::Resume | Action::Undo if app.pane == Pane::Overview => {
            finding() == Some(FindingKind::JobInterrupted)
        }
        _ => true,
    }
}

/// Why an action is not to be had in this pane, or not now.
pub fn refusal(app: &App, entry: &Entry) -> Option<String> {
    if !entry.panes.has(app.pane) {
        let places: Vec<_> = Pane::ALL
            .into_iter()
            .filter(|pane| entry.panes.has(*pane))
            .map(|pane| pane.names().0)
            .collect();
        return Some(format!("{} works in {}", entry.name, places.join(", ")));
    }
    let refused = entry.changes.then(|| app.refusal_of(entry.action));
    let why = refused.flatten()?;
    Some(format!("{} is not possible: {why}", entry.name))
}

fn dispatch(app: &mut App, action: Action) -> Done {
    let lines = movement::page(app);
    match action {
        Action::Up => movement::step(app, -1),
        Action::Down => movement::step(app, 1),
        Action::PageUp => movement::step(app, -lines),
        Action::PageDown => movement::step(app, lines),
        Action::Top => movement::step(app, isize::MIN / 2),
        Action::Bottom => movement::step(app, isize::MAX / 2),
        Action::Open => return movement::open(app),
        Action::Back => movement::back(app),
        Action::NextFocus | Action::PreviousFocus => {
            app.focus = match app.focus {
                Focus::List if has_detail(app) => Focus::Detail,
                Focus::List | Focus::Detail => Focus::List,
            };
        }
        Action::NextPane => movement::go_by(app, 1),
        Action::PreviousPane => movement::go_by(app, 6),
        Action::Go(pane) => go(app, pane),
        Action::Filter => {
            app.filtering = true;
            app.focus = Focus::List;
        }
        Action::ProblemsOnly => listing::problems_only(app),
        Action::Inspect => return show::inspect(app),
        Action::Diff => return show::diff(app),
        Action::Changes => return show::changes(app),
        Action::Mark => marking::toggle(app)?,
        Action::MarkDown => marking::extend(app, 1)?,
        Action::MarkUp => marking::extend(app, -1)?,
        Action::MarkRange => marking::range(app)?,
        Action::MarkFiltered => marking::all(app)?,
        Action::UnmarkAll => marking::none(app),
        Action::Sort => listing::sort(app),
        Action::SortReverse => listing::reverse(app),
        Action::Copy => return clipboard::copy(app),
        Action::CopyMenu => return clipboard::menu(app),
        Action::Refresh => {
            if app.pending.refresh {
                return Err("already looking".to_owned());
            }
            app.pending.next_refresh = app.moment.elapsed;
            app.pending.next_backups = app.moment.elapsed;
            return Ok(update::update(
                app,
                super::message::Message::Tick(app.moment),
            ));
        }
        Action::Audit => return Ok(jobs::audit(app)),
        Action::Help => app.dialog = Some(Dialog::Help(HelpDialog::default())),
        Action::Palette => app.dialog = Some(Dialog::Palette(PaletteDialog::default())),
        Action::Redraw => return Ok(vec![Command::Redraw]),
        Action::Suspend => return Ok(vec![Command::Suspend]),
        Action::Quit => return Ok(update::quit(app)),
        other => return plans::change(app, other),
    }
    update::remember(app);
    Ok(Vec::new())
}

fn marked_or_selected(app: &App) -> Result<Vec<ArtifactName>, Refusal> {
    if let Some(survey) = app.survey().filter(|_| !app.marks.is_empty()) {
        return Ok(app.marks.names(survey));
    }
    app.selected_artifact()
        .map(|a| vec![a.name.clone()])
        .ok_or_else(|| "nothing is selected".to_owned())
}
