//! Selection, refusals, leaving, time, and the words that are made from the key table.

use std::time::Duration;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use maifdeck::{
    console::{
        backend::JobOutcome,
        keymap::{Keymap, Pane, TABLE},
        message::{Command, Message, Moment},
        theme::{Theme, ThemeName},
        update::update,
        widgets::Dialog,
    },
    journal::JobState,
    plan::Intent,
};

use crate::{
    fixture::{FakeBackend, Shape, name},
    headless::Headless,
};

#[test]
fn keys_and_names_lead_to_every_pane() {
    let mut console = Headless::open(Shape::Healthy, (80, 24));
    for (at, pane) in Pane::ALL.into_iter().enumerate() {
        console.press(&(at + 1).to_string());
        assert_eq!(console.app.pane, pane);
        assert!(console.text().contains(pane.names().0) || console.text().contains(pane.names().1));
    }
    console.press("]");
    assert_eq!(console.app.pane, Pane::Overview);
    console.press("[");
    assert_eq!(console.app.pane, Pane::Jobs);
}

#[test]
fn the_selection_follows_the_artifact_and_not_the_row() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("4 j j j j j");
    let selected = console.app.selected_artifact().unwrap().name.clone();
    let mut survey = (**console.app.data.survey.as_ref().unwrap()).clone();
    survey.artifacts.drain(0..2);
    console.send(Message::Survey(Ok(Some(survey.into()))));
    assert_eq!(console.app.selected_artifact().unwrap().name, selected);
}

#[test]
fn the_cursor_stays_on_the_first_finding_until_it_is_moved() {
    let console = Headless::open(Shape::Damaged, (100, 30));
    assert_eq!(console.app.place().list.selected, 0);
    assert!(
        console
            .app
            .selected_finding()
            .unwrap()
            .message
            .contains("interrupted")
    );
}

#[test]
fn filtering_is_fuzzy_and_escape_takes_it_away() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("4 / r p t 0 3");
    let text = console.text();
    assert!(
        text.contains("report-2026-03") && !text.contains("sensor-hall"),
        "{text}"
    );
    console.press("enter");
    assert_eq!(
        console.app.selected_artifact().unwrap().name,
        name("report-2026-03")
    );
    console.press("esc");
    assert_eq!(console.app.versions.index.len(), 26);
    assert_eq!(
        console.app.selected_artifact().unwrap().name,
        name("report-2026-03")
    );
}

#[test]
fn a_read_only_console_says_so_and_changes_nothing() {
    let mut backend = FakeBackend::new(Shape::Damaged);
    backend.read_only = true;
    let mut console = Headless::with(backend, Theme::new(ThemeName::Dark, false), (80, 24));
    assert!(console.text().contains("read-only"));
    for entry in TABLE.iter().filter(|entry| entry.changes) {
        for pane in Pane::ALL.into_iter().filter(|pane| entry.panes.has(*pane)) {
            console.press(&(pane.index() + 1).to_string());
            let key = console.app.settings.keymap.key(entry.action);
            console.press(&key);
            assert!(console.app.dialog.is_none(), "{}", entry.name);
            assert!(
                console.text().contains("opened with --read-only"),
                "{}",
                entry.name
            );
        }
    }
    assert!(console.app.running.is_empty());
}

#[test]
fn a_key_that_fits_nothing_says_why() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    for (keys, words) in [
        ("1 m", "select a volume"),
        ("6 t", "no lease to take over"),
        ("3 j O", "no older intact copy"),
        ("3 j p esc", ""),
        ("1 f", "press r"),
    ] {
        console.press("esc esc");
        console.press(keys);
        assert!(console.text().contains(words), "{keys}: {}", console.text());
    }
}

#[test]
fn a_finding_leads_to_its_subject() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    console.press("j j j enter");
    assert_eq!(console.app.pane, Pane::Replicas);
    assert_eq!(
        console.app.selected_artifact().unwrap().name,
        name("prompt-library")
    );
    console.press("1 f");
    console.press("1 j f");
    let Some(Dialog::Plan(dialog)) = &console.app.dialog else {
        panic!("no plan")
    };
    assert_eq!(
        dialog.plan.steps.len(),
        1,
        "the finding's artifact and no other"
    );
}

#[test]
fn the_version_that_was_current_at_a_time_is_found() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("4 j j j @ C-u");
    console.type_text("nonsense");
    console.press("enter");
    assert!(console.text().contains("not a time"), "{}", console.text());
    console.press("C-u");
    console.type_text("yesterday 06:00");
    console.press("enter");
    let entry = console.app.selected_entry().unwrap();
    let time: chrono::DateTime<chrono::Utc> = "2026-03-11T05:00:00Z".parse().unwrap();
    assert!(entry.current_from.unwrap() <= time && time < entry.current_until.unwrap());
    console.press("R");
    assert!(matches!(console.app.dialog, Some(Dialog::Plan(_))));
}

#[test]
fn help_and_palette_list_every_action() {
    let mut console = Headless::open(Shape::Healthy, (120, 80));
    console.press("?");
    let help = console.text();
    for entry in TABLE {
        assert!(help.contains(entry.name), "help: {}", entry.name);
    }
    console.press("esc");
    for entry in TABLE {
        console.press(":");
        console.type_text(entry.name);
        assert!(
            console
                .text()
                .lines()
                .any(|l| l.contains(entry.help.split(';').next().unwrap_or(""))
                    || l.contains(entry.name)),
            "palette: {}",
            entry.name
        );
        console.press("esc");
    }
}

#[test]
fn the_palette_says_what_cannot_be_done_and_why() {
    let mut backend = FakeBackend::new(Shape::Damaged);
    backend.read_only = true;
    let theme = Theme::new(ThemeName::Dark, false);
    let mut console = Headless::with(backend, theme, (80, 24));
    console.press("3 : f i x");
    assert!(
        console.text().contains("fix is not possible: "),
        "{}",
        console.text()
    );
    // Of two that fit, what this pane has comes first; what is elsewhere says where.
    console.press("esc 2 : r e b a l");
    assert!(console.text().contains("bring artifacts to their homes"));
    console.press("esc 1 : r e b a l");
    assert!(
        console.text().contains("rebalance works in"),
        "{}",
        console.text()
    );
}

#[test]
fn no_line_of_the_help_is_cut_and_it_scrolls_without_a_dead_key() {
    let mut console = Headless::open(Shape::Damaged, (80, 24));
    for pane in Pane::ALL {
        console.press(&format!("{} ?", pane.index() + 1));
        let first = console.text();
        assert!(!first.contains("… │"), "{first}");
        for _ in 0..40 {
            console.press("pagedown");
        }
        let last = console.text();
        assert!(!last.contains("more   esc"), "{last}");
        assert!(
            last.contains("leave the console") || last.contains("other panes"),
            "{last}"
        );
        console.press("up");
        assert_ne!(console.text(), last, "the first key up moves");
        console.press("esc");
    }
}

#[test]
fn the_footer_names_resuming_only_where_something_can_be_resumed() {
    let mut console = Headless::open(Shape::Damaged, (80, 24));
    console.press("1 home");
    assert!(console.text().contains("r resume"), "{}", console.text());
    console.press("down down");
    let footer = console.text().lines().last().unwrap_or_default().to_owned();
    assert!(!footer.contains("resume"), "{footer}");
}

#[test]
fn the_palette_does_what_the_key_does() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press(": c l u s t e r enter");
    assert_eq!(console.app.pane, Pane::Cluster);
}

#[test]
fn leaving_asks_only_when_jobs_run() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("q");
    assert_eq!(
        console.asked,
        [Command::Quit {
            code: 0,
            silent: false
        }]
    );
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("b C-c");
    assert!(matches!(console.app.dialog, Some(Dialog::Leave(_))));
    console.press("enter");
    assert!(console.asked.is_empty(), "the first choice is to stay");
    console.press("q down enter");
    assert_eq!(
        console.asked,
        [Command::Quit {
            code: 0,
            silent: false
        }]
    );
}

#[test]
fn a_plan_can_go_on_without_the_console_where_its_store_stays() {
    let begun = || {
        let mut console = Headless::open(Shape::Damaged, (100, 30));
        console.press("F");
        console.tick(Duration::from_millis(300));
        if let Some(Dialog::Plan(_)) = console.app.dialog {
            console.press("tab enter");
        }
        assert!(console.app.is_changing(), "{}", console.text());
        console
    };
    let mut console = begun();
    console.press("q");
    assert!(console.text().contains("Continue detached"));
    console.press("down down down enter");
    assert_eq!(console.asked, [Command::Detach]);
    // The playground goes with the console.
    let mut console = begun();
    console.app.store.detaches = false;
    console.press("q");
    assert!(!console.text().contains("Continue detached"));
    // A backup has no journal to go on from.
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("b q");
    assert!(!console.text().contains("Continue detached"));
}

#[test]
fn the_question_of_leaving_follows_the_jobs() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("b b q");
    assert!(
        console.text().contains("2 jobs are running"),
        "{}",
        console.text()
    );
    for left in ["1 job is running", ""] {
        let held = console.backend.held.lock().unwrap().pop().unwrap();
        held.done.send_replace(Some(JobOutcome {
            state: JobState::Done,
            message: "26 artifacts".to_owned(),
            errors: Vec::new(),
            then: None,
        }));
        console.tick(Duration::from_millis(300));
        assert!(console.text().contains(left), "{}", console.text());
    }
    assert!(console.app.dialog.is_none(), "nothing is left to ask");
    assert!(console.text().contains("26 artifacts"));
    assert!(console.asked.is_empty(), "and nobody left");
}

#[test]
fn a_hang_up_leaves_without_a_word_and_a_signal_with_its_code() {
    for (message, code, silent) in [
        (Message::HangUp, 129, true),
        (Message::Leave(143), 143, false),
        (Message::Leave(130), 130, false),
    ] {
        let mut console = Headless::open(Shape::Healthy, (100, 30));
        console.press("5 R");
        console.send(message);
        assert_eq!(console.asked, [Command::Quit { code, silent }]);
    }
}

#[test]
fn a_job_shows_its_progress_and_its_end() {
    let mut console = Headless::open(Shape::Damaged, (120, 30));
    console.press("3 F tab enter");
    let held = console.backend.held.lock().unwrap().pop().unwrap();
    held.task.add_bytes(2_000_000);
    held.task.add_done(2);
    console.tick(Duration::from_millis(300));
    assert!(console.text().contains("copying"), "{}", console.text());
    console.press("7 p");
    assert!(held.task.snapshot().paused);
    console.press("p x");
    assert!(held.task.snapshot().cancelled && !held.task.snapshot().paused);
    held.done.send_replace(Some(JobOutcome {
        state: JobState::Cancelled,
        message: "2 of 9 copied".to_owned(),
        errors: Vec::new(),
        then: None,
    }));
    console.tick(Duration::from_millis(300));
    assert!(
        console.text().contains("cancelled, 2 of 9 copied"),
        "{}",
        console.text()
    );
    assert!(console.app.running.is_empty());
}

/// What a job leads to opens for who waits for it; who went on working gets a word and no dialog, and a
/// long word is not cut.
#[test]
fn what_follows_a_job_takes_no_key_from_who_went_on_working() {
    for (keys, opens) in [("", true), ("3 down", false)] {
        let mut console = Headless::open(Shape::Damaged, (80, 24));
        console.press("1 c");
        let held = console.backend.held.lock().unwrap().pop().unwrap();
        console.tick(Duration::from_millis(300));
        console.press(keys);
        held.done.send_replace(Some(JobOutcome {
            state: JobState::Partial,
            message: "2 found, 2 queued for repair, 0 mended, 318 files verified".to_owned(),
            errors: Vec::new(),
            then: Some(Intent::Repair {
                names: Vec::new(),
                accept_older: false,
                prefer: None,
                volume: None,
            }),
        }));
        console.tick(Duration::from_millis(300));
        assert_eq!(console.app.dialog.is_some(), opens);
        if !opens {
            let text = console.text();
            assert!(text.contains("2 queued for repair"), "{text}");
            assert!(text.contains("F in Overview repairs"), "{text}");
        }
    }
}

#[test]
fn a_worker_that_died_is_told() {
    let mut console = Headless::open(Shape::Damaged, (120, 30));
    console.press("b");
    drop(console.backend.held.lock().unwrap().pop());
    console.tick(Duration::from_millis(300));
    assert!(
        console.text().contains("its worker failed"),
        "{}",
        console.text()
    );
    assert!(console.app.running.is_empty());
}

#[test]
fn refreshes_never_overlap_and_rest_while_a_plan_runs() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    let mut at = Duration::ZERO;
    let mut tick = |app: &mut maifdeck::console::app::App| {
        at += Duration::from_secs(2);
        let moment = Moment {
            now: app.moment.now,
            elapsed: at,
        };
        update(app, Message::Tick(moment))
    };
    let refreshes = |commands: &[Command]| {
        commands
            .iter()
            .filter(|c| matches!(c, Command::Refresh(_)))
            .count()
    };
    assert_eq!(refreshes(&tick(&mut console.app)), 1);
    assert_eq!(
        refreshes(&tick(&mut console.app)),
        0,
        "the first has not answered"
    );
    console.send(Message::Survey(Ok(None)));
    assert_eq!(refreshes(&tick(&mut console.app)), 1);
    console.send(Message::Survey(Ok(None)));
    console.press("3 F tab enter");
    assert_eq!(refreshes(&tick(&mut console.app)), 0, "a plan runs");
}

/// What became of one call says nothing of the others.
#[test]
fn a_worker_that_panics_lets_the_other_calls_be_waited_for() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    let app = &mut console.app;
    app.pending.refresh = true;
    app.pending.jobs = true;
    let panicked = |command| Message::Panicked(Some(Box::new(command)), "a fault".to_owned());
    update(app, panicked(Command::Jobs));
    assert!(app.pending.refresh && !app.pending.jobs);
    let later = app.moment.elapsed + Duration::from_secs(60);
    let commands = update(
        app,
        Message::Tick(Moment {
            now: app.moment.now,
            elapsed: later,
        }),
    );
    let refresh = |command: &Command| matches!(command, Command::Refresh(_));
    assert!(!commands.iter().any(refresh), "it would overlap");
    // Its own failure lets it be made again, after a while.
    update(app, panicked(Command::Refresh(Vec::new())));
    assert!(!app.pending.refresh && app.pending.next_refresh > later);
    assert!(app.data.survey_error.is_some(), "what is shown is old");
    // What only one pane shows is not asked for again and again.
    app.pane = Pane::Cluster;
    app.data.surroundings = None;
    assert_eq!(update(app, panicked(Command::Surroundings)), []);
    assert!(app.data.surroundings.is_some());
}

#[test]
fn old_data_is_not_called_live() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    assert!(console.text().contains("live"));
    console.app.pending.refresh = true;
    console.tick(Duration::from_secs(12));
    assert!(
        console.text().contains("seen 10 s ago"),
        "{}",
        console.text()
    );
    console.send(Message::Survey(Err("p1.1: no answer for 7 s".to_owned())));
    assert!(console.text().contains("no answer"), "{}", console.text());
    assert!(console.text().contains("1 critical"));
}

#[test]
fn what_happens_by_itself_is_told_and_takes_no_key() {
    let mut console = Headless::open(Shape::Healthy, (140, 30));
    console.app.settings.bell = true;
    assert!(
        console.app.events.is_empty(),
        "what is there at first is no news"
    );
    let healthy = (**console.app.data.survey.as_ref().unwrap()).clone();
    let mut lost = healthy.clone();
    lost.volumes[4].state = maifdeck::survey::VolumeState::Unreachable;
    lost.volumes[4].reason = Some("no answer for 7 s: /volumes/p2.2; check the mount".to_owned());
    lost.findings.push(maifdeck::survey::Finding {
        severity: maifdeck::survey::Severity::Critical,
        kind: maifdeck::survey::FindingKind::Corrupt,
        subject: "agent-handbook".to_owned(),
        message: "a copy is corrupt".to_owned(),
        remedy: "repair it".to_owned(),
    });
    console.press("4 /");
    console.send(Message::Survey(Ok(Some(lost.clone().into()))));
    assert!(
        console.text().contains("no answer for 7 s"),
        "{}",
        console.text()
    );
    assert_eq!(console.asked, [Command::Bell], "one bell for all of it");
    // Keys still go where they went, and the news stays through them.
    console.press("r e enter");
    assert_eq!(console.app.rows().unwrap().filter, "re");
    assert!(console.text().contains("no answer for 7 s"));
    console.send(Message::Survey(Ok(Some(lost.into()))));
    console.tick(Duration::from_secs(9));
    assert!(
        console
            .text()
            .contains("new finding: agent-handbook: a copy is corrupt"),
        "{}",
        console.text()
    );
    // News of a finding goes with the finding.
    console.send(Message::Survey(Ok(Some(healthy.into()))));
    assert!(console.text().contains("is back"), "{}", console.text());
    console.tick(Duration::from_secs(9));
    assert!(console.app.events.is_empty());
}

#[test]
fn ages_go_in_steps() {
    let mut console = Headless::open(Shape::Healthy, (120, 40));
    console.press("3");
    let mut frames = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let moment = Moment {
            now: console.app.moment.now + chrono::Duration::seconds(2),
            elapsed: console.app.moment.elapsed + Duration::from_secs(2),
        };
        console.send(Message::Tick(moment));
        frames.insert(console.text());
    }
    assert!(frames.len() <= 4, "{} frames in 400 s", frames.len());
}

#[test]
fn an_idle_console_draws_the_same_frame() {
    let mut console = Headless::open(Shape::Damaged, (100, 30));
    console.tick(Duration::from_secs(2));
    let first = console.frame();
    for _ in 0..5 {
        console.tick(Duration::from_secs(2));
    }
    assert_eq!(first, console.frame());
}

#[test]
fn copying_shows_the_text() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    console.press("4 y");
    assert_eq!(console.asked, [Command::Copy("agent-handbook".to_owned())]);
    assert!(
        console
            .text()
            .contains("sent to the terminal: agent-handbook")
    );
}

#[test]
fn the_copy_menu_has_path_digest_and_command() {
    let mut console = Headless::open(Shape::Healthy, (120, 40));
    for (keys, texts) in [
        (
            "4 j tab j Y",
            &["id", "digest", "maifdeck versions restore audit-2025-q4"][..],
        ),
        ("3 Y", &["path", ".maif", "maifdeck replicas repair"]),
        (
            "5 Y",
            &["maifdeck backup verify", "maifdeck backup restore"],
        ),
        ("6 Y", &["label", "path"]),
    ] {
        console.press("esc esc");
        console.press(keys);
        for text in texts {
            assert!(
                console.text().contains(text),
                "{keys} {text}: {}",
                console.text()
            );
        }
    }
    console.press("esc 3 Y down");
    let Some(Dialog::Choice(choice)) = &console.app.dialog else {
        panic!("no menu")
    };
    let (_, shown, _) = choice.options[1].clone();
    console.press("enter");
    assert_eq!(console.asked, [Command::Copy(shown.clone())]);
    assert!(
        console
            .text()
            .contains(&format!("sent to the terminal: {}", &shown[..30]))
    );
}

#[test]
fn nothing_hidden_reaches_the_screen() {
    let mut console = Headless::open(Shape::Damaged, (160, 48));
    console.press("3");
    assert!(console.text().contains("odd-\\xff-na\\u{1b}me"));
}

#[test]
fn a_million_rows_cost_what_the_visible_ones_cost() {
    let mut console = Headless::open(Shape::Healthy, (100, 30));
    let mut survey = (**console.app.data.survey.as_ref().unwrap()).clone();
    let model = survey.artifacts[0].clone();
    survey.versions.clear();
    survey.artifacts = (0..1_000_000)
        .map(|number| {
            let mut artifact = model.clone();
            artifact.name = name(&format!("artifact-{number:07}"));
            artifact
        })
        .collect();
    console.app.data.survey = None;
    console.send(Message::Survey(Ok(Some(survey.into()))));
    console.press("3 G");
    assert!(console.text().contains("artifact-0999999"));
    // A frame that touched every row would take seconds here; this one takes milliseconds.
    let began = std::time::Instant::now();
    for _ in 0..20 {
        console.press("up");
        console.frame();
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

/// Keys are data: another key is in the footer, the help and the palette, and does the same.
#[test]
fn a_remapped_key_is_shown_everywhere_and_works() {
    let keys = [("fix".to_owned(), vec!["e".to_owned()])];
    let mut console = Headless::open(Shape::Damaged, (120, 30));
    console.app.settings.keymap = Keymap::remapped(&keys.into()).unwrap();
    console.press("3 j j");
    let text = console.text();
    assert!(text.contains("e fix") && !text.contains("f fix"), "{text}");
    assert!(text.contains("e repairs it"), "{text}");
    console.press("?");
    console.type_text("repair the finding");
    let help = console.text();
    assert!(help.contains("│ e             fix"), "{help}");
    console.press("esc :");
    console.type_text("fix");
    let palette = console.text();
    let line = palette
        .lines()
        .find(|line| line.contains("  fix "))
        .unwrap();
    assert!(line.trim_end_matches(['│', ' ']).ends_with(" e"), "{line}");
    console.press("esc f");
    assert!(console.app.dialog.is_none(), "the old key means nothing");
    console.press("e");
    assert!(matches!(console.app.dialog, Some(Dialog::Plan(_))));
}

#[test]
fn the_mouse_selects_tabs_and_rows_and_scrolls() {
    let mut console = Headless::open(Shape::Damaged, (80, 24));
    let mut mouse = |kind, column, row| {
        console.send(Message::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        }));
        (console.app.pane, console.app.place().list.selected)
    };
    let click = MouseEventKind::Down(MouseButton::Left);
    assert_eq!(mouse(click, 30, 1), (Pane::Replicas, 0));
    assert_eq!(mouse(click, 10, 6), (Pane::Replicas, 2));
    let (_, down) = mouse(MouseEventKind::ScrollDown, 10, 6);
    assert!(down > 2);
    assert!(mouse(MouseEventKind::ScrollUp, 10, 6).1 < down);
}

/// What a backup's restore would be about is told where it is pressed.
#[test]
fn marks_are_told_in_backups_too() {
    let mut console = Headless::open(Shape::Healthy, (80, 24));
    console.press("4 space space 5");
    assert!(console.text().contains("2 marked"), "{}", console.text());
}
