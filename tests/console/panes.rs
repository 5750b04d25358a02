//! What every pane looks like, and that any size draws.

use maifdeck::console::{
    keymap::Pane,
    theme::{Theme, ThemeName},
};
use ratatui::style::Color;

use crate::{
    fixture::{FakeBackend, Shape},
    headless::{Headless, render},
};

fn key(pane: Pane) -> String {
    (pane.index() + 1).to_string()
}

const THEMES: [ThemeName; 2] = [ThemeName::Dark, ThemeName::Mono];

/// The screen after these keys in both themes, against the file.
fn check(name: &str, shape: Shape, read_only: bool, size: (u16, u16), keys: &str) {
    let [dark, mono] = THEMES.map(|theme| {
        let mut backend = FakeBackend::new(shape);
        backend.read_only = read_only;
        let mut console = Headless::with(backend, Theme::new(theme, false), size);
        console.press(keys);
        console.frame()
    });
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, render(&dark, &mono));
    });
}

#[test]
fn every_pane_in_every_state_at_two_sizes_in_two_themes() {
    let states = Shape::ALL
        .map(|shape| (shape, false, shape.word()))
        .into_iter()
        .chain([(Shape::Damaged, true, "readonly")]);
    for (shape, read_only, word) in states {
        for (columns, rows) in [(80, 24), (160, 48)] {
            for pane in Pane::ALL {
                let name = pane.names().0.to_lowercase();
                let name = format!("{name}_{word}_{columns}x{rows}");
                check(&name, shape, read_only, (columns, rows), &key(pane));
            }
        }
    }
}

#[test]
fn the_dialogs_look_like_this() {
    for (name, keys) in [
        ("dialog_repair", "3 F"),
        ("dialog_restore", "5 R"),
        ("dialog_prune", "5 P enter"),
        ("dialog_inspect", "3 j j i"),
        ("dialog_help", "3 ?"),
        ("dialog_palette", ": b a c k"),
        ("dialog_copies", "3 j p"),
        ("dialog_prefer", "3 j p p"),
        ("dialog_leave", "b b q"),
        ("dialog_copy", "3 Y"),
        ("dialog_diff", "4 j j j j j tab j d"),
        ("dialog_browse", "5 enter space"),
    ] {
        check(name, Shape::Damaged, false, (80, 24), keys);
    }
}

#[test]
fn any_size_draws_every_pane_and_dialog() {
    for size in [
        (1, 1),
        (2, 3),
        (5, 2),
        (20, 5),
        (33, 9),
        (79, 13),
        (300, 80),
        (1, 80),
        (300, 1),
    ] {
        for shape in Shape::ALL {
            let mut console = Headless::open(shape, size);
            for keys in [
                "",
                "F",
                "esc ?",
                "esc :",
                "esc / a b",
                "esc i",
                "esc j R",
                "esc A",
                "esc @",
                "esc P",
                "esc d",
                "esc c",
                "esc enter",
                "esc q",
            ] {
                for pane in Pane::ALL {
                    console.press("esc esc");
                    console.press(&key(pane));
                    console.press(keys);
                    console.press("down tab pagedown");
                    console.frame();
                    console.press("esc esc");
                }
            }
        }
    }
}

#[test]
fn a_resize_keeps_the_selection_in_sight() {
    let mut console = Headless::open(Shape::Healthy, (160, 48));
    console.press("4 G");
    let name = "契約書-最終版";
    for size in [(80, 24), (1, 1), (80, 24)] {
        console.send(maifdeck::console::message::Message::Resize(size.0, size.1));
        console.frame();
    }
    assert!(console.text().contains(name), "{}", console.text());
}

#[test]
fn the_monochrome_theme_has_no_colour_and_still_shows_the_selection() {
    let theme = Theme::new(ThemeName::Mono, true);
    let mut console = Headless::with(FakeBackend::new(Shape::Damaged), theme, (80, 24));
    for pane in Pane::ALL {
        console.press(&key(pane));
        let frame = console.frame();
        assert!(
            frame
                .content
                .iter()
                .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
        );
        assert!(frame.content.iter().any(|cell| {
            cell.style()
                .add_modifier
                .contains(ratatui::style::Modifier::REVERSED)
        }));
    }
}

#[test]
fn ascii_glyphs_are_ascii() {
    let theme = Theme::new(ThemeName::Dark, true);
    let mut console = Headless::with(FakeBackend::new(Shape::Damaged), theme, (120, 40));
    for pane in Pane::ALL {
        console.press("esc esc");
        console.press(&key(pane));
        let text = console.text();
        // Names are what they are.
        for line in text.lines().filter(|line| !line.contains('契')) {
            assert!(line.is_ascii(), "{line}");
        }
    }
}

/// On a window as narrow as a phone's what has no room is left out: 4 of 4.2 MiB is another figure.
#[test]
fn no_figure_is_cut_half_on_a_narrow_screen() {
    for columns in 40..80 {
        let mut console = Headless::open(Shape::Damaged, (columns, 20));
        for pane in [Pane::Partitions, Pane::Backups] {
            console.press(&key(pane));
            let text = console.text();
            let list = text.lines().skip(3).take(6);
            for line in list {
                let digits = line.split('…').next().unwrap_or_default();
                let half = line.contains('…') && digits.ends_with(|c: char| c.is_ascii_digit());
                assert!(!half, "{columns}: {line}");
            }
        }
    }
}
