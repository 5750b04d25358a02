//! Makes the README's pictures: runs the real binary on a playground in a pseudo-terminal, presses
//! keys, and writes what the screen shows as SVG.
//!
//!     cargo build && cargo run --example pictures [-- DIR]

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::{
    fmt::Write as _,
    io::{Read, Write},
    num::NonZero,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const ROWS: u16 = 34;
const COLUMNS: u16 = 120;

/// Name, keys, and words that must be on the screen before the picture is taken.
const PICTURES: [(&str, &str, &str); 8] = [
    ("overview", "1", "findings"),
    ("partitions", "2", "against even"),
    ("replicas", "3j", "divergent"),
    ("versions", "4\tj", "current from"),
    ("backups", "5", "last 30 days"),
    ("cluster", "6", "this node"),
    ("plan", "\u{1b}1F", "Cancel"),
    ("jobs", "\u{1b}1ggjjf\t\r7", "done"),
];

fn main() {
    let assets = std::env::args()
        .nth(1)
        .map_or_else(|| "assets".into(), PathBuf::from);
    let here = std::env::current_exe().unwrap();
    let binary = here.parent().unwrap().with_file_name("maifdeck");
    // A short name, since paths are in the pictures; it must not be there yet.
    let directory = std::env::temp_dir().join("maifdeck");
    std::fs::create_dir(&directory).unwrap();
    let run = |arguments: &[&str]| {
        let done = Command::new(&binary)
            .args(arguments)
            .current_dir(&directory)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    run(&["demo", "demo", "--no-console"]);
    let mut session = Session::open(&binary, &directory, &["--config", "demo/maifdeck.toml"]);
    session.until("findings");
    for (name, keys, words) in PICTURES {
        for key in keys.chars() {
            session.press(key);
        }
        session.until(words);
        session.save(&assets, name);
    }
    session.press('q');
    let mut session = Session::open(&binary, &directory, &[]);
    session.until("first run");
    session.save(&assets, "first-run");
    session.press('q');
    std::fs::remove_dir_all(&directory).unwrap();
}

struct Session {
    writer: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// Closing it hangs the console up.
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Session {
    fn open(binary: &Path, directory: &Path, arguments: &[&str]) -> Self {
        let size = PtySize {
            rows: ROWS,
            cols: COLUMNS,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(binary);
        command.args(arguments);
        command.cwd(directory);
        command.env("TERM", "xterm-256color");
        command.env("HOME", "/home/ops");
        command.env("XDG_STATE_HOME", directory);
        for name in [
            "NO_COLOR",
            "MAIFDECK_CONFIG",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "TMUX",
        ] {
            command.env_remove(name);
        }
        pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        let cells = |n| NonZero::new(n).unwrap();
        Self {
            writer: pair.master.take_writer().unwrap(),
            output,
            screen: vt100::Parser::new(cells(ROWS), cells(COLUMNS), 0),
            _master: pair.master,
        }
    }

    fn press(&mut self, key: char) {
        write!(self.writer, "{key}").unwrap();
        self.calm();
    }

    /// Takes in what comes until nothing does for a moment.
    fn calm(&mut self) {
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(400)) {
            self.screen.process(&bytes);
        }
    }

    fn until(&mut self, words: &str) {
        for _ in 0..100 {
            self.calm();
            if self.screen.screen().contents().contains(words) {
                return;
            }
        }
        panic!("never seen: {words}\n{}", self.screen.screen().contents());
    }

    fn save(&self, assets: &Path, name: &str) {
        let path = assets.join(format!("console-{name}.svg"));
        std::fs::write(&path, svg(self.screen.screen())).unwrap();
        println!("{}", path.display());
    }
}

/// The sixteen colours on a dark ground.
const COLOURS: [&str; 16] = [
    "#1d1f21", "#cc6666", "#8fbf5f", "#e0b050", "#6699cc", "#b294bb", "#5fb3b3", "#c5c8c6",
    "#6b6f73", "#ff7b7b", "#b5e07a", "#ffd680", "#8ab8ff", "#d7afff", "#86e1e1", "#ffffff",
];
const GROUND: &str = "#16181a";
const INK: &str = "#d0d2d0";
/// A cell in hundredths of a pixel, since characters are not whole pixels wide.
const CELL: (u32, u32) = (843, 1900);

fn pixels(cells: u32, cell: u32) -> String {
    format!("{}.{:02}", cells * cell / 100, cells * cell % 100)
}

#[derive(PartialEq, Clone)]
struct Style {
    ink: &'static str,
    ground: &'static str,
    bold: bool,
    dim: bool,
    underlined: bool,
}

fn style(cell: &vt100::Cell) -> Style {
    let colour = |colour, otherwise| match colour {
        vt100::Color::Idx(index) => COLOURS[usize::from(index % 16)],
        vt100::Color::Default | vt100::Color::Rgb(..) => otherwise,
    };
    let mut style = Style {
        ink: colour(cell.fgcolor(), INK),
        ground: colour(cell.bgcolor(), GROUND),
        bold: cell.bold(),
        dim: cell.dim(),
        underlined: cell.underline(),
    };
    if cell.inverse() {
        std::mem::swap(&mut style.ink, &mut style.ground);
    }
    style
}

fn svg(screen: &vt100::Screen) -> String {
    let (width, height) = (
        u32::from(COLUMNS) * CELL.0 / 100 + 16,
        u32::from(ROWS) * CELL.1 / 100 + 16,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"-8 -8 {width} {height}\">\n\
         <rect x=\"-8\" y=\"-8\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{GROUND}\"/>\n\
         <g font-family=\"DejaVu Sans Mono,Menlo,Consolas,monospace\" font-size=\"14\" xml:space=\"preserve\">\n"
    );
    for row in 0..ROWS {
        let mut column = 0;
        while column < COLUMNS {
            let first = screen.cell(row, column).unwrap();
            let look = style(first);
            let from = column;
            let mut text = String::new();
            while let Some(cell) = screen.cell(row, column).filter(|_| column < COLUMNS) {
                if style(cell) != look {
                    break;
                }
                if !cell.is_wide_continuation() {
                    text.push_str(if cell.has_contents() {
                        cell.contents()
                    } else {
                        " "
                    });
                }
                column += 1;
            }
            run(
                &mut out,
                u32::from(row),
                u32::from(from),
                u32::from(column - from),
                &look,
                &text,
            );
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// A run of cells in one style.
fn run(out: &mut String, row: u32, from: u32, cells: u32, look: &Style, text: &str) {
    let (x, y) = (pixels(from, CELL.0), pixels(row, CELL.1));
    let (width, height) = (pixels(cells, CELL.0), pixels(1, CELL.1));
    if look.ground != GROUND {
        writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{}\"/>",
            look.ground
        )
        .unwrap();
    }
    if text.trim().is_empty() && !look.underlined {
        return;
    }
    // Spaces at the ends cost bytes and show nothing, but where they are underlined.
    let (text, from, cells) = if look.underlined {
        (text, from, cells)
    } else {
        let cut = text.trim_start_matches(' ');
        let front = (text.len() - cut.len()) as u32;
        let back = (cut.len() - cut.trim_end_matches(' ').len()) as u32;
        (
            cut.trim_end_matches(' '),
            from + front,
            cells - front - back,
        )
    };
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let mut more = String::new();
    if look.bold {
        more.push_str(" font-weight=\"bold\"");
    }
    if look.dim {
        more.push_str(" opacity=\"0.7\"");
    }
    if look.underlined {
        more.push_str(" text-decoration=\"underline\"");
    }
    let baseline = (row * CELL.1 + 1420) as f32 / 100.0;
    writeln!(
        out,
        "<text x=\"{}\" y=\"{baseline}\" textLength=\"{}\" fill=\"{}\"{more}>{text}</text>",
        pixels(from, CELL.0),
        pixels(cells, CELL.0),
        look.ink
    )
    .unwrap();
}
