//! The console without a terminal: keys in, frames out, engine calls made in line, so that a test
//! always sees it idle.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, FixedOffset, Utc};
use maifdeck::{
    console::{
        app::{App, Settings},
        backend::Backend,
        execute::execute,
        keymap::Keymap,
        keys::Stroke,
        message::{Command, Message, Moment},
        theme::{Theme, ThemeName},
        update::{begin, update},
        view,
    },
    report::Zone,
};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use crate::fixture::{self, FakeBackend, Shape};

pub struct Headless<B = FakeBackend> {
    pub app: App,
    pub backend: Arc<B>,
    /// Commands that were not the engine's, in order.
    pub asked: Vec<Command>,
}

impl Headless {
    pub fn open(shape: Shape, size: (u16, u16)) -> Self {
        Self::with(
            FakeBackend::new(shape),
            Theme::new(ThemeName::Dark, false),
            size,
        )
    }

    pub fn with(backend: FakeBackend, theme: Theme, size: (u16, u16)) -> Self {
        Self::on(backend, theme, size, fixture::now())
    }
}

impl<B: Backend> Headless<B> {
    /// Opens the console on an engine.
    pub fn on(backend: B, theme: Theme, size: (u16, u16), now: DateTime<Utc>) -> Self {
        let settings = Settings {
            theme,
            keymap: Keymap::default(),
            zone: Zone::Fixed(FixedOffset::east_opt(3600).unwrap()),
            refresh: Duration::from_secs(2),
            bell: false,
            multiplexed: true,
        };
        let moment = Moment {
            now,
            elapsed: Duration::ZERO,
        };
        let app = App::new(settings, backend.store(), size, moment);
        let mut console = Self {
            app,
            backend: Arc::new(backend),
            asked: Vec::new(),
        };
        let commands = begin(&mut console.app);
        console.perform(commands);
        console
    }

    pub fn send(&mut self, message: Message) {
        let commands = update(&mut self.app, message);
        self.perform(commands);
    }

    fn perform(&mut self, commands: Vec<Command>) {
        for command in commands {
            let answer = match command {
                Command::Rest(name) => Some(Message::Rested(name)),
                command => {
                    let previous = self.app.seen();
                    let answer = execute(&*self.backend, command.clone(), previous.as_ref());
                    if answer.is_none() {
                        self.asked.push(command);
                    }
                    answer
                }
            };
            if let Some(message) = answer {
                self.send(message);
            }
        }
    }

    /// Presses keys by their names, separated by spaces.
    pub fn press(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            let stroke = Stroke::parse(key).unwrap_or_else(|| panic!("no key: {key}"));
            self.send(Message::Key(stroke.event()));
        }
    }

    /// Types text, key by key.
    pub fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            let name = if c == ' ' {
                "space".to_owned()
            } else {
                c.to_string()
            };
            self.press(&name);
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, elapsed: Duration) {
        let elapsed = self.app.moment.elapsed + elapsed;
        self.send(Message::Tick(Moment {
            now: self.app.moment.now,
            elapsed,
        }));
    }

    pub fn frame(&self) -> Buffer {
        let (columns, rows) = self.app.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
        view::draw(&self.app, &mut buffer);
        buffer
    }

    /// The screen's text, line by line.
    pub fn text(&self) -> String {
        lines(&self.frame()).join("\n")
    }
}

pub fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width.max(1));
    buffer
        .content
        .chunks(width)
        .map(|row| {
            let mut skip = 0;
            let mut line = String::new();
            for cell in row {
                if skip == 0 {
                    line.push_str(cell.symbol());
                    skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).max(1);
                }
                skip -= 1;
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// Text and styles of a screen in two themes, whose text is the same: below each line that has any
/// styles its runs as `column+length letter`, and what the letters mean at the end, dark before mono.
pub fn render(dark: &Buffer, mono: &Buffer) -> String {
    let width = usize::from(dark.area.width.max(1));
    let mut out = String::new();
    let mut legend: Vec<(String, String)> = Vec::new();
    let rows = dark.content.chunks(width).zip(mono.content.chunks(width));
    for ((dark_row, mono_row), line) in rows.zip(lines(dark)) {
        out.push_str(&format!("|{line}\n"));
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for (at, (dark, mono)) in dark_row.iter().zip(mono_row).enumerate() {
            assert_eq!(dark.symbol(), mono.symbol(), "themes change no words");
            let style = (style_words(dark.style()), style_words(mono.style()));
            if style == (String::new(), String::new()) {
                continue;
            }
            let letter = legend.iter().position(|known| *known == style);
            let letter = letter.unwrap_or_else(|| {
                legend.push(style);
                legend.len() - 1
            });
            match runs.last_mut() {
                Some((from, length, same)) if *same == letter && *from + *length == at => {
                    *length += 1
                }
                _ => runs.push((at, 1, letter)),
            }
        }
        if !runs.is_empty() {
            let words: Vec<_> = runs
                .iter()
                .map(|(from, length, style)| format!("{from}+{length}{}", letter(*style)))
                .collect();
            out.push_str(&format!(" {}\n", words.join(" ")));
        }
    }
    for (at, (dark, mono)) in legend.iter().enumerate() {
        out.push_str(&format!("{} {dark} / {mono}\n", letter(at)));
    }
    out
}

fn letter(at: usize) -> char {
    char::from(b'a' + at as u8)
}

fn style_words(style: Style) -> String {
    let mut words = Vec::new();
    if let Some(color) = style.fg.filter(|c| *c != Color::Reset) {
        words.push(format!("{color}").to_lowercase());
    }
    if let Some(color) = style.bg.filter(|c| *c != Color::Reset) {
        words.push(format!("on {color}").to_lowercase());
    }
    for (modifier, word) in [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::REVERSED, "reverse"),
        (Modifier::UNDERLINED, "under"),
    ] {
        if style.add_modifier.contains(modifier) {
            words.push(word.to_owned());
        }
    }
    words.join("-")
}
