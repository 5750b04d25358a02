//! The questions of the first run and their answers so far. Nothing is written before the last
//! step, and there the focus starts on going back.

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{Answer, Ask, Known};
use crate::{
    console::widgets,
    store::setup::{Draft, Place},
};

/// Partitions and replicas that can be asked for here; more are a matter for an editor.
const MOST: (u16, u16) = (64, 9);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Step {
    #[default]
    Welcome,
    Directories,
    Grid,
    Backups,
    Preview,
    /// The engine is at work; the state waits.
    Working(&'static str),
}

/// Everything that was answered.
#[allow(clippy::struct_excessive_bools)] // independent answers
#[derive(Debug, Clone, Default)]
pub struct Setup {
    pub known: Known,
    pub step: Step,
    /// The line of Welcome, or the field of Grid.
    pub chosen: usize,
    pub typed: String,
    pub places: Vec<Place>,
    pub partitions: u16,
    pub replicas: u16,
    pub rendezvous: bool,
    /// The last key was a digit of the number in the field.
    typing: bool,
    pub backups: Option<Place>,
    /// The configuration as it will be written.
    pub text: String,
    pub file: usize,
    pub scroll: usize,
    /// The last step: the focus is on writing, not on going back.
    pub on_write: bool,
    /// A directory is being looked at.
    pub looking: bool,
    pub error: Option<String>,
}

impl Setup {
    pub fn new(known: Known) -> Self {
        Self {
            known,
            partitions: 1,
            replicas: 1,
            ..Self::default()
        }
    }

    /// Where the configuration will be.
    pub fn target(&self) -> PathBuf {
        let target = self.known.files.get(self.file);
        target.cloned().unwrap_or_default()
    }

    /// The directories of the volumes, by partition. With exactly as many directories as volumes
    /// they are the volumes themselves, and what is in them is adopted; else each partition has a
    /// directory of its own below them.
    pub fn volumes(&self) -> Vec<(String, Vec<PathBuf>)> {
        let (partitions, replicas) = (usize::from(self.partitions), usize::from(self.replicas));
        let places = self.places.len().max(1);
        let themselves = partitions * replicas == self.places.len();
        let at = |number: usize| {
            let place = self.places.get(number % places);
            place.map(|place| place.path.clone()).unwrap_or_default()
        };
        (0..partitions)
            .map(|partition| {
                let name = format!("p{}", partition + 1);
                let directories = (0..replicas)
                    .map(|replica| {
                        if themselves {
                            at(partition * replicas + replica)
                        } else {
                            at(partition + replica).join(&name)
                        }
                    })
                    .collect();
                (name, directories)
            })
            .collect()
    }

    /// Why the grid cannot be so.
    pub fn refusal(&self) -> Option<String> {
        let (replicas, places) = (usize::from(self.replicas), self.places.len());
        (replicas > places).then(|| {
            format!("{replicas} replicas need {replicas} directories; there are {places} (esc goes back)")
        })
    }

    /// What is allowed but should be known.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.replicas == 2 {
            warnings.push(
                "With two replicas a majority is both: while one is away nothing can be written."
                    .to_owned(),
            );
        }
        let mut devices: Vec<_> = self.places.iter().filter_map(|p| p.device).collect();
        devices.sort_unstable();
        devices.dedup();
        if self.replicas > 1 && devices.len() < self.places.len() {
            warnings.push(
                "Some directories are on one file system: when it dies, all copies on it die."
                    .to_owned(),
            );
        }
        warnings
    }

    pub fn draft(&self) -> Draft {
        Draft {
            partitions: self.volumes(),
            placement: if self.rendezvous {
                "rendezvous"
            } else {
                "md5-modulo"
            }
            .to_owned(),
            write_quorum: "majority".to_owned(),
            backups: self.backups.as_ref().map(|place| place.path.clone()),
            leases: false,
        }
    }

    pub fn paste(&mut self, pasted: &str) {
        if matches!(self.step, Step::Directories | Step::Backups) {
            widgets::append(&mut self.typed, pasted);
        }
    }

    pub fn key(&mut self, event: KeyEvent) -> Option<Ask> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        match event.code {
            KeyCode::Char('c') if control => return Some(Ask::Leave),
            KeyCode::Char('l') if control => return Some(Ask::Redraw),
            KeyCode::Char('z') if control => return Some(Ask::Suspend),
            _ => {}
        }
        if self.looking {
            return None;
        }
        self.error = None;
        match self.step {
            Step::Welcome => self.welcome(event),
            Step::Directories => self.directories(event),
            Step::Grid => self.grid(event),
            Step::Backups => self.backups(event),
            Step::Preview => self.preview(event),
            Step::Working(_) => None,
        }
    }

    fn to(&mut self, step: Step) {
        self.step = step;
        self.chosen = 0;
        self.typed.clear();
        self.scroll = 0;
        self.on_write = false;
        self.typing = false;
    }

    /// The answer that was given before can be edited.
    fn back_to_backups(&mut self) {
        self.to(Step::Backups);
        if let Some(place) = self.backups.take() {
            self.typed = place.path.to_string_lossy().into_owned();
        }
    }

    fn welcome(&mut self, event: KeyEvent) -> Option<Ask> {
        match event.code {
            KeyCode::Up | KeyCode::Char('k') | KeyCode::BackTab => {
                self.chosen = self.chosen.saturating_sub(1);
            }
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => {
                self.chosen = (self.chosen + 1).min(2);
            }
            KeyCode::Char('q') | KeyCode::Esc => return Some(Ask::Leave),
            KeyCode::Enter => match self.chosen {
                0 => self.to(Step::Directories),
                1 => {
                    self.step = Step::Working("building the playground");
                    return Some(Ask::Demo);
                }
                _ if self.known.embedded.is_none() => {
                    self.error = Some("neither HOME nor XDG_DATA_HOME is set".to_owned());
                }
                _ => {
                    self.step = Step::Working("making the store");
                    return Some(Ask::Embedded);
                }
            },
            _ => {}
        }
        None
    }

    fn directories(&mut self, event: KeyEvent) -> Option<Ask> {
        match event.code {
            KeyCode::Esc => self.to(Step::Welcome),
            KeyCode::Enter if self.typed.contains(',') => {
                self.error = Some("one directory at a time: enter adds each".to_owned());
            }
            KeyCode::Enter if !self.typed.trim().is_empty() => {
                self.looking = true;
                return Some(Ask::Look(self.typed.trim().to_owned()));
            }
            KeyCode::Enter if self.places.is_empty() => {
                self.error = Some("at least one directory is needed".to_owned());
            }
            KeyCode::Enter => {
                // A copy in every directory is what most want from several.
                let places = u16::try_from(self.places.len()).unwrap_or(1);
                if self.replicas == 1 && self.partitions == 1 {
                    self.replicas = places.min(3);
                }
                self.to(Step::Grid);
            }
            KeyCode::Backspace if self.typed.is_empty() => {
                // The last one comes back to be edited.
                if let Some(last) = self.places.pop() {
                    self.typed = last.path.to_string_lossy().into_owned();
                }
            }
            _ => drop(widgets::edit(&mut self.typed, event)),
        }
        None
    }

    fn grid(&mut self, event: KeyEvent) -> Option<Ask> {
        let by = match event.code {
            KeyCode::Left | KeyCode::Char('-' | 'h') => Some(-1),
            KeyCode::Right | KeyCode::Char('+' | 'l' | ' ') => Some(1),
            _ => None,
        };
        let digit = match event.code {
            KeyCode::Char(c) => c.to_digit(10).and_then(|d| u16::try_from(d).ok()),
            _ => None,
        };
        match event.code {
            KeyCode::Esc => self.to(Step::Directories),
            KeyCode::Up | KeyCode::BackTab | KeyCode::Char('k') => {
                self.chosen = self.chosen.saturating_sub(1);
                self.typing = false;
            }
            KeyCode::Down | KeyCode::Tab | KeyCode::Char('j') => {
                self.chosen = (self.chosen + 1).min(2);
                self.typing = false;
            }
            KeyCode::Enter => {
                self.error = self.refusal();
                if self.error.is_none() {
                    self.back_to_backups();
                }
            }
            _ => {}
        }
        let (number, most) = match self.chosen {
            0 => (&mut self.partitions, MOST.0),
            1 => (&mut self.replicas, MOST.1),
            _ => {
                self.rendezvous ^= by.is_some();
                return None;
            }
        };
        if let Some(by) = by {
            *number = number.saturating_add_signed(by).clamp(1, most);
        }
        if let Some(digit) = digit {
            // The first digit replaces what is there, the next one is joined to it.
            let longer = number.saturating_mul(10).saturating_add(digit);
            let joins = self.typing && longer <= most;
            *number = if joins { longer } else { digit }.clamp(1, most);
        }
        self.typing = digit.is_some();
        None
    }

    fn backups(&mut self, event: KeyEvent) -> Option<Ask> {
        match event.code {
            KeyCode::Esc => self.to(Step::Grid),
            KeyCode::Enter if self.typed.trim().is_empty() => {
                self.backups = None;
                return Some(self.ask_preview());
            }
            KeyCode::Enter => {
                self.looking = true;
                return Some(Ask::Look(self.typed.trim().to_owned()));
            }
            _ => drop(widgets::edit(&mut self.typed, event)),
        }
        None
    }

    fn ask_preview(&mut self) -> Ask {
        self.looking = true;
        Ask::Preview(self.draft(), self.target())
    }

    fn preview(&mut self, event: KeyEvent) -> Option<Ask> {
        let last = self.text.lines().count().saturating_sub(1);
        if let Some(by) = widgets::scroll(event, 8, true) {
            self.scroll = self.scroll.saturating_add_signed(by).min(last);
            return None;
        }
        match event.code {
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => {
                self.on_write = !self.on_write;
            }
            KeyCode::Char('o') if self.known.files.len() > 1 => {
                self.file = (self.file + 1) % self.known.files.len();
                self.on_write = false;
            }
            KeyCode::Enter if self.on_write => {
                self.step = Step::Working("marking the volumes");
                return Some(Ask::Make(self.target(), self.text.clone()));
            }
            KeyCode::Esc | KeyCode::Enter => self.back_to_backups(),
            _ => {}
        }
        None
    }

    /// Takes in what the engine answered; an opened store is the caller's.
    pub fn answered(&mut self, answer: Answer) -> Option<Ask> {
        self.looking = false;
        match answer {
            Answer::Looked(Ok(place)) => return self.looked(place),
            Answer::Previewed(Ok(text)) => {
                self.to(Step::Preview);
                self.text = text;
            }
            Answer::Looked(Err(error)) | Answer::Previewed(Err(error)) => self.error = Some(error),
            Answer::Opened(Ok(_)) => {}
            Answer::Opened(Err(error)) => {
                let step = if self.text.is_empty() {
                    Step::Welcome
                } else {
                    Step::Preview
                };
                self.to(step);
                self.error = Some(error);
            }
        }
        None
    }

    fn looked(&mut self, place: Place) -> Option<Ask> {
        let shown = place.path.display();
        if let Some(owner) = &place.volume_of {
            self.error = Some(format!(
                "{shown} is volume {owner} already: open it with that store's configuration"
            ));
            return None;
        }
        if self.places.iter().any(|known| known.path == place.path) {
            self.error = Some(format!("{shown} is named already"));
            return None;
        }
        if self.step == Step::Backups {
            let inside = self.volumes().into_iter().flat_map(|(_, d)| d);
            if let Some(volume) = inside.into_iter().find(|v| place.path.starts_with(v)) {
                self.error = Some(format!(
                    "backups lie outside the volumes, but {shown} is in {}",
                    volume.display()
                ));
                return None;
            }
            self.backups = Some(place);
            return Some(self.ask_preview());
        }
        self.places.push(place);
        self.typed.clear();
        None
    }
}
