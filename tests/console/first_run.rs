//! The first run, key by key, on the real founder in a temporary directory.

use maifdeck::{
    clock::SystemClock,
    console::{
        canvas::Canvas,
        keys::Stroke,
        setup::{Answer, Ask, Founder, LiveFounder, Setup, Step, draw, execute},
        theme::{Theme, ThemeName},
    },
    store::Environment,
};
use ratatui::{buffer::Buffer, layout::Rect};
use std::path::Path;

struct FirstRun {
    setup: Setup,
    founder: LiveFounder,
    opened: bool,
    left: bool,
}

impl FirstRun {
    fn open(below: &Path) -> Self {
        let environment = Environment {
            config_home: Some(below.join("config")),
            data_home: Some(below.join("data")),
            ..Environment::default()
        };
        let searched = vec!["maifdeck.toml".to_owned()];
        let founder = LiveFounder::new(environment, searched, SystemClock::shared(), (4, 1));
        Self {
            setup: Setup::new(founder.known()),
            founder,
            opened: false,
            left: false,
        }
    }

    fn press(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            let mut ask = self.setup.key(Stroke::parse(key).unwrap().event());
            while let Some(asked) = ask.take() {
                self.left |= asked == Ask::Leave;
                match execute(&self.founder, asked) {
                    Some(Answer::Opened(Ok(_))) => self.opened = true,
                    Some(answer) => ask = self.setup.answered(answer),
                    None => {}
                }
            }
        }
    }

    fn path(&mut self, path: &Path) {
        self.setup.paste(path.to_str().unwrap());
        self.press("enter");
    }

    fn text(&self, columns: u16, rows: u16) -> String {
        let screen = Rect::new(0, 0, columns, rows);
        let mut buffer = Buffer::empty(screen);
        let theme = Theme::new(ThemeName::Dark, false);
        draw(&self.setup, &mut Canvas::new(&mut buffer, theme), screen);
        crate::headless::lines(&buffer).join("\n")
    }
}

fn tree(below: &Path) -> usize {
    walkdir::WalkDir::new(below)
        .min_depth(1)
        .into_iter()
        .count()
}

#[test]
fn directories_grid_backups_and_a_preview_make_a_store() {
    let temporary = tempfile::tempdir().unwrap();
    let below = temporary.path();
    let mut run = FirstRun::open(below);
    assert!(run.text(80, 24).contains("No configuration was found"));
    run.press("enter enter");
    assert!(
        run.text(80, 24)
            .contains("at least one directory is needed")
    );
    // A list, as the command line takes it, is not taken for one odd name.
    run.path(&below.join("a,b"));
    assert!(run.text(80, 24).contains("one directory at a time"));
    run.press("C-u");
    for disk in ["a", "b", "c"] {
        run.path(&below.join(disk));
    }
    run.path(&below.join("a"));
    assert!(
        run.text(120, 30).contains("named already"),
        "{}",
        run.text(120, 30)
    );
    run.press("C-u enter");
    assert_eq!(run.setup.step, Step::Grid);
    assert_eq!((run.setup.partitions, run.setup.replicas), (1, 3));
    run.press("2");
    let text = run.text(120, 30);
    assert!(text.contains("p2.3") && text.contains("b/p1"), "{text}");
    run.press("down 4 enter");
    assert!(run.text(120, 30).contains("4 replicas need 4 directories"));
    run.press("left enter");
    run.path(&below.join("a/p1/backups"));
    assert!(run.text(120, 30).contains("outside the volumes"));
    run.press("C-u");
    run.path(&below.join("backups"));
    assert_eq!(run.setup.step, Step::Preview);
    let text = run.text(120, 40);
    assert!(
        text.contains("replicas = [") && text.contains("6 volumes are marked"),
        "{text}"
    );
    assert_eq!(
        tree(below),
        0,
        "nothing was written before it was confirmed"
    );
    run.press("enter");
    assert_eq!(
        run.setup.step,
        Step::Backups,
        "the focus starts on going back"
    );
    run.press("enter o tab enter");
    assert!(run.opened, "{}", run.text(120, 40));
    let file = below.join("config/maifdeck/maifdeck.toml");
    assert!(file.is_file());
    assert!(below.join("b/p1/.maifdeck/volume.toml").is_file());
    // The same once more is refused: the configuration exists, the directories are volumes.
    let before = tree(below);
    let mut again = FirstRun::open(below);
    again.press("enter");
    again.path(&below.join("a/p1"));
    assert!(
        again.text(120, 30).contains("already"),
        "{}",
        again.text(120, 30)
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let error = again.founder.make(&file, &text).err().unwrap();
    assert!(error.contains("never written over"), "{error}");
    assert_eq!(tree(below), before);
}

#[test]
fn the_playground_and_the_embedded_default_are_one_key_away() {
    let temporary = tempfile::tempdir().unwrap();
    let mut run = FirstRun::open(temporary.path());
    run.press("down enter");
    assert!(run.opened, "{}", run.text(100, 30));
    run.founder.clear();
    let mut run = FirstRun::open(temporary.path());
    run.press("down down enter");
    assert!(run.opened, "{}", run.text(100, 30));
    assert!(temporary.path().join("data/maifdeck/store").is_dir());
    let mut run = FirstRun::open(temporary.path());
    run.press("q");
    assert!(run.left);
}

#[test]
fn the_first_run_draws_at_any_size() {
    let temporary = tempfile::tempdir().unwrap();
    for keys in ["", "enter", "enter x", "down"] {
        let mut run = FirstRun::open(temporary.path());
        run.press(keys);
        for (columns, rows) in [(1, 1), (3, 2), (20, 5), (80, 24), (300, 80)] {
            run.text(columns, rows);
        }
    }
}
