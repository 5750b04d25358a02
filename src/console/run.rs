//! The console at work: one task owns the terminal; engine calls run on detached threads, so that
//! a mount that hangs blocks neither the screen nor the way out.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ratatui::{buffer::Buffer, layout::Rect};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::sleep_until,
};

use super::{
    app::{App, Settings},
    backend::Backend,
    execute::execute,
    input,
    keymap::{Keymap, KeymapError},
    message::{Command, Message, Moment},
    opening::{self, Open},
    rest::Afterwards,
    setup::{self, End, Founder},
    terminal::Terminal,
    theme::{Theme, ThemeName},
    update::{begin, finish, take, update},
    view,
};
use crate::{
    clock::SharedClock,
    report::Zone,
    volume::{ArtifactName, fault},
};

/// `--color`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// Unless `NO_COLOR` is set or the terminal is dumb.
    #[default]
    Auto,
    Always,
    Never,
}

/// `[console]` and the command line.
#[derive(Debug, Clone)]
pub struct Options {
    pub refresh: Duration,
    pub theme: ThemeName,
    pub ascii: bool,
    pub mouse: bool,
    pub bell: bool,
    pub keys: BTreeMap<String, Vec<String>>,
    pub color: Color,
    pub zone: Zone,
    pub clock: SharedClock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(2),
            theme: ThemeName::default(),
            ascii: false,
            mouse: false,
            bell: false,
            keys: BTreeMap::new(),
            color: Color::default(),
            zone: Zone::default(),
            clock: crate::clock::SystemClock::shared(),
        }
    }
}

/// Why the console does not open, or had to close.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error("{0}")]
    Keys(#[from] KeymapError),
    #[error("the console needs a terminal: {0}")]
    Terminal(#[from] io::Error),
    #[error("a part of the engine failed: {0}; see the log")]
    Engine(String),
}

/// Messages that may wait; a stuck screen makes the senders wait, not the memory grow.
const CHANNEL: usize = 256;

/// Opens the console and returns its exit code when the operator leaves: 0, or 129, 130, 143 after
/// hang-up, interruption and termination. The terminal is as before then. The caller should end the
/// process without joining threads: one may be stuck on a dead mount.
pub fn open(backend: Arc<dyn Backend>, options: Options) -> Result<u8, ConsoleError> {
    start(Start::Store(backend), options)
}

/// Takes the terminal over at once and opens the store meanwhile. Returns as [`open`] does.
pub fn open_later(open: Open, options: Options) -> Result<u8, ConsoleError> {
    start(Start::Later(open), options)
}

/// Opens the guided setup, and the console on the store that it made. Returns as [`open`] does.
pub fn open_first(founder: Arc<dyn Founder>, options: Options) -> Result<u8, ConsoleError> {
    start(Start::Setup(founder), options)
}

/// What the terminal is taken over for.
enum Start {
    Store(Arc<dyn Backend>),
    Later(Open),
    Setup(Arc<dyn Founder>),
}

fn start(start: Start, options: Options) -> Result<u8, ConsoleError> {
    let settings = settings(&options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let (sender, mut receiver) = channel(CHANNEL);
    let mut terminal = Terminal::enter(options.mouse, &sender)?;
    input::listen(&sender)?;
    runtime.block_on(async move {
        let theme = settings.theme;
        let end = match start {
            Start::Store(backend) => End::Open(backend, Vec::new()),
            Start::Later(open) => {
                opening::wait(open, theme, &mut terminal, &mut receiver, &sender).await
            }
            Start::Setup(founder) => {
                setup::run(&founder, theme, &mut terminal, &mut receiver, &sender).await
            }
        };
        let (backend, ahead) = match end {
            End::Open(backend, ahead) => (backend, ahead),
            End::Leave(code) => return Ok(code),
            End::Failed(why) => return Err(ConsoleError::Engine(why)),
        };
        let store = backend.store();
        let moment = Moment {
            now: options.clock.now(),
            elapsed: Duration::ZERO,
        };
        let console = Console {
            app: App::new(settings, store, Terminal::size(), moment),
            backend,
            terminal,
            sender,
            clock: options.clock,
            opened: Instant::now(),
            rest: None,
        };
        let (code, left) = console.run(receiver, ahead).await;
        // The terminal is the shell's again by now. Where these words cannot go nobody reads them.
        if !left.is_empty() {
            // A terminal that takes no bytes shall not keep the process either.
            input::end_soon(code.into());
        }
        let mut out = io::stderr().lock();
        for line in left {
            let _ = writeln!(out, "{line}");
        }
        Ok(code)
    })
}

fn settings(options: &Options) -> Result<Settings, ConsoleError> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let colours = match options.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    };
    if colours {
        // The theme decides; the library must not decide again from the environment.
        crossterm::style::force_color_output(true);
    }
    let theme = if colours {
        options.theme
    } else {
        ThemeName::Mono
    };
    Ok(Settings {
        theme: Theme::new(theme, options.ascii),
        keymap: Keymap::remapped(&options.keys)?,
        zone: options.zone,
        refresh: options.refresh.max(Duration::from_millis(200)),
        bell: options.bell,
        multiplexed: set("TMUX") || set("STY"),
    })
}

/// What ends the loop.
enum Flow {
    On,
    Leave(Left),
}

/// The exit code, and what is said on the shell's screen about jobs that were left.
pub(super) type Left = (u8, Vec<String>);

pub(super) struct Console {
    pub(super) app: App,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) terminal: Terminal,
    sender: Sender<Message>,
    clock: SharedClock,
    opened: Instant,
    /// The name on which the selection rests, and when it has rested enough.
    rest: Option<(ArtifactName, Instant)>,
}

impl Console {
    async fn run(mut self, mut messages: Receiver<Message>, ahead: Vec<Message>) -> Left {
        let mut commands = begin(&mut self.app);
        for message in ahead {
            commands.extend(update(&mut self.app, message));
        }
        let mut next_tick = Instant::now();
        loop {
            for command in commands.drain(..) {
                if let Flow::Leave(left) = self.perform(command) {
                    return left;
                }
            }
            if self.draw().is_err() {
                return self.hang_up();
            }
            if let Some(retired) = self.app.data.retired.take() {
                // Where no thread is to be had it is freed here.
                let _ = thread::Builder::new().spawn(move || {
                    step_back();
                    drop(retired);
                });
            }
            let rest_at = self.rest.as_ref().map(|(_, at)| *at);
            let wake = rest_at.map_or(next_tick, |at| at.min(next_tick));
            let first = tokio::select! {
                message = messages.recv() => message,
                () = sleep_until(wake.into()) => None,
            };
            commands.extend(first.into_iter().flat_map(|m| take(&mut self.app, m)));
            // Everything that waits is taken in before the screen is drawn once.
            for _ in 0..CHANNEL {
                let Ok(message) = messages.try_recv() else {
                    break;
                };
                commands.extend(take(&mut self.app, message));
            }
            finish(&mut self.app, &mut commands);
            let now = Instant::now();
            if now >= next_tick {
                let moment = Moment {
                    now: self.clock.now(),
                    elapsed: self.opened.elapsed(),
                };
                commands.extend(update(&mut self.app, Message::Tick(moment)));
                next_tick = now + self.tick();
            } else if !self.app.running.is_empty() {
                next_tick = next_tick.min(now + self.tick());
            }
            // In a storm of resizes an event may carry a size that is no longer the terminal's.
            let size = Terminal::size();
            if size != self.app.size {
                commands.extend(update(&mut self.app, Message::Resize(size.0, size.1)));
            }
            if self.rest.as_ref().is_some_and(|(_, at)| *at <= now)
                && let Some((name, _)) = self.rest.take()
            {
                commands.extend(update(&mut self.app, Message::Rested(name)));
            }
        }
    }

    /// Running jobs are sampled four times a second, ages once.
    fn tick(&self) -> Duration {
        if self.app.running.is_empty() {
            self.app.settings.refresh.min(Duration::from_secs(1))
        } else {
            Duration::from_millis(250)
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        if !self.terminal.is_ready() {
            return Ok(());
        }
        let (columns, rows) = self.app.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
        view::draw(&self.app, &mut buffer);
        fault::point("console.draw")?;
        let bytes = self.terminal.draw(buffer)?;
        if bytes > 0 {
            tracing::trace!(bytes, "frame");
        }
        Ok(())
    }

    fn perform(&mut self, command: Command) -> Flow {
        let written = match command {
            Command::Rest(name) => {
                // The same name rests on; another one begins anew.
                if self
                    .rest
                    .as_ref()
                    .is_none_or(|(resting, _)| *resting != name)
                {
                    self.rest = Some((name, Instant::now() + Duration::from_millis(120)));
                }
                Ok(())
            }
            Command::Copy(text) => self.terminal.copy(&text),
            Command::Bell => self.terminal.bell(),
            Command::Redraw => {
                self.terminal.forget_frame();
                Ok(())
            }
            Command::Reenter => self.terminal.resumed(),
            Command::Suspend => self.suspend(),
            Command::Quit { silent: true, .. } => return Flow::Leave(self.hang_up()),
            Command::Quit { code, .. } => {
                return Flow::Leave((code, self.bring_to_rest(Afterwards::Wait)));
            }
            Command::Detach => return Flow::Leave((0, self.bring_to_rest(Afterwards::GoOn))),
            engine => {
                self.call(engine);
                Ok(())
            }
        };
        match written {
            Ok(()) => Flow::On,
            Err(_) => Flow::Leave(self.hang_up()),
        }
    }

    /// An engine call on a thread of its own, never joined.
    fn call(&self, command: Command) {
        let backend = Arc::clone(&self.backend);
        let sender = self.sender.clone();
        // A call that a volume keeps waiting shall not keep an old survey: with a million artifacts
        // there is room for two.
        let previous = match command {
            Command::Refresh(_) | Command::Agents => self.app.seen(),
            _ => None,
        };
        let asked = Some(Box::new(command.clone()));
        let failed = asked.clone();
        let spawned = thread::Builder::new()
            .name("engine call".to_owned())
            .spawn(move || {
                step_back();
                let called = catch_unwind(AssertUnwindSafe(|| {
                    execute(&*backend, command, previous.as_ref())
                }));
                let message =
                    called.unwrap_or_else(|panic| Some(Message::Panicked(asked, words(&*panic))));
                if let Some(message) = message {
                    // The console may have closed meanwhile.
                    let _ = sender.blocking_send(message);
                }
            });
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread for an engine call");
            let message = Message::Panicked(failed, error.to_string());
            drop(self.sender.try_send(message));
        }
    }
}

/// Lets the screen go first: a survey and a scrub keep every processor busy, and a key need not queue
/// with them. Threads that this one starts (the volumes', a job's) are as modest.
pub(super) fn step_back() {
    if let Err(error) = rustix::process::nice(5) {
        tracing::debug!(%error, "a worker keeps its priority");
    }
}

pub(super) fn words(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned())
}
