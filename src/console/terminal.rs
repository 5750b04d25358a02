//! The terminal and its guard: every mode that is set is noted and undone on every way out, a panic
//! included; nothing is written to a terminal that is gone.

use std::{
    io::{self, IsTerminal},
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use crossterm::{
    Command as _, cursor,
    event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture},
    style::ResetColor,
    terminal::{
        self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate,
        EnterAlternateScreen, LeaveAlternateScreen,
    },
};
use ratatui::buffer::Buffer;
use tokio::sync::mpsc::Sender;

use super::{encode::encode, message::Message, outlet::Outlet};

/// How long the terminal may take for what is waiting for it when it is given back, and for the
/// bytes that give it back.
const PATIENCE: Duration = Duration::from_millis(150);

/// A mode that was set and must be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Raw,
    Alternate,
    Cursor,
    Paste,
    Mouse,
}

/// What is set now, in order. Process-wide, because the panic hook must reach it.
static MODES: Mutex<Vec<Mode>> = Mutex::new(Vec::new());
/// Where the bytes that undo it go; the first terminal of the process opens it.
static OUTLET: Mutex<Option<Outlet>> = Mutex::new(None);
/// The thread that owns the terminal: only its panic ends the screen.
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// The screen of this process.
#[derive(Debug)]
pub struct Terminal {
    outlet: Outlet,
    last: Option<Buffer>,
    mouse: bool,
    continued: Arc<AtomicBool>,
}

impl Terminal {
    /// Takes the terminal over. `messages` get to know when a frame that had to wait can be drawn.
    pub fn enter(mouse: bool, messages: &Sender<Message>) -> io::Result<Self> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "standard input and output must be a terminal",
            ));
        }
        let continued = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGCONT, Arc::clone(&continued))?;
        *lock(&OWNER) = Some(thread::current().id());
        HOOK.call_once(install_hook);
        let outlet = Outlet::open(messages.clone())?;
        *lock(&OUTLET) = Some(outlet.clone());
        let terminal = Self {
            outlet,
            last: None,
            mouse,
            continued,
        };
        terminal.set_modes()?;
        Ok(terminal)
    }

    fn set_modes(&self) -> io::Result<()> {
        terminal::enable_raw_mode()?;
        lock(&MODES).push(Mode::Raw);
        let set = |mode: Mode, command: &dyn Fn(&mut String) -> std::fmt::Result| {
            let mut bytes = String::new();
            command(&mut bytes).map_err(io::Error::other)?;
            // Noted first: undoing what was not set does no harm, the other way round does.
            lock(&MODES).push(mode);
            self.outlet.send(bytes.as_bytes())
        };
        set(Mode::Alternate, &|b| EnterAlternateScreen.write_ansi(b))?;
        set(Mode::Cursor, &|b| cursor::Hide.write_ansi(b))?;
        set(Mode::Paste, &|b| EnableBracketedPaste.write_ansi(b))?;
        if self.mouse {
            set(Mode::Mouse, &|b| EnableMouseCapture.write_ansi(b))?;
        }
        Ok(())
    }

    pub fn size() -> (u16, u16) {
        // A serial line or a fresh pseudo-terminal says 0×0.
        rustix::termios::tcgetwinsize(rustix::stdio::stdout())
            .map(|size| (size.ws_col, size.ws_row))
            .ok()
            .filter(|(columns, rows)| *columns > 0 && *rows > 0)
            .unwrap_or((80, 24))
    }

    /// Whether the terminal has taken the last frame; if not, `Message::Written` tells when it has.
    pub fn is_ready(&self) -> bool {
        self.outlet.is_free()
    }

    /// Draws what differs from the last frame, in one synchronized write; nothing when nothing
    /// does, or as long as the terminal takes nothing. Returns the bytes written.
    pub fn draw(&mut self, next: Buffer) -> io::Result<usize> {
        if !self.is_ready() {
            return Ok(0);
        }
        if self.last.as_ref() == Some(&next) {
            return Ok(0);
        }
        let mut bytes = Vec::with_capacity(4096);
        ansi(&mut bytes, |b| BeginSynchronizedUpdate.write_ansi(b));
        let blank = Buffer::empty(next.area);
        let last = match &self.last {
            Some(last) if last.area == next.area => last,
            _ => {
                ansi(&mut bytes, |b| ResetColor.write_ansi(b));
                ansi(&mut bytes, |b| Clear(ClearType::All).write_ansi(b));
                &blank
            }
        };
        bytes.extend_from_slice(encode(last.diff(&next).into_iter()).as_bytes());
        ansi(&mut bytes, |b| EndSynchronizedUpdate.write_ansi(b));
        self.outlet.send(&bytes)?;
        self.last = Some(next);
        Ok(bytes.len())
    }

    /// The next frame is drawn whole.
    pub fn forget_frame(&mut self) {
        self.last = None;
    }

    /// Hands text to the terminal's clipboard by OSC 52. Whether it takes it nobody can know.
    pub fn copy(&self, text: &str) -> io::Result<()> {
        let sequence = format!("\x1b]52;c;{}\x07", base64(text.as_bytes()));
        if std::env::var_os("TMUX").is_some() {
            let passed = format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b"));
            self.outlet.send(passed.as_bytes())?;
        }
        self.outlet.send(sequence.as_bytes())
    }

    pub fn bell(&self) -> io::Result<()> {
        self.outlet.send(b"\x07")
    }

    /// Gives the terminal back, stops the whole process group, and takes the terminal again when
    /// the shell lets it go on.
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        self.continued.store(false, Ordering::SeqCst);
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        // The stop may reach this thread a moment after the call returns. An orphaned group is
        // never stopped and gets no SIGCONT, so this does not wait for ever.
        let sent = Instant::now();
        while !self.continued.load(Ordering::SeqCst) && sent.elapsed() < Duration::from_millis(300)
        {
            thread::sleep(Duration::from_millis(5));
        }
        self.last = None;
        self.set_modes()
    }

    /// After SIGCONT from elsewhere: the shell may have changed the modes.
    pub fn resumed(&mut self) -> io::Result<()> {
        lock(&MODES).clear();
        self.last = None;
        // The library sets no raw mode while it believes that it is set.
        terminal::disable_raw_mode()?;
        self.set_modes()
    }

    /// The terminal is gone: nothing is written to it any more.
    pub fn abandon() {
        lock(&MODES).clear();
        if let Some(outlet) = &*lock(&OUTLET) {
            outlet.close();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
        *lock(&OWNER) = None;
    }
}

/// Undoes what is set, last first. Errors have nowhere to go: the terminal may be gone, or take no
/// bytes; then what was drawn last is dropped for these few, which it gets when it reads again.
fn restore() {
    let modes = std::mem::take(&mut *lock(&MODES));
    let mut bytes = Vec::new();
    if !modes.is_empty() {
        ansi(&mut bytes, |b| EndSynchronizedUpdate.write_ansi(b));
        ansi(&mut bytes, |b| ResetColor.write_ansi(b));
    }
    for mode in modes.iter().rev() {
        match mode {
            Mode::Raw => {}
            Mode::Alternate => ansi(&mut bytes, |b| LeaveAlternateScreen.write_ansi(b)),
            Mode::Cursor => ansi(&mut bytes, |b| cursor::Show.write_ansi(b)),
            Mode::Paste => ansi(&mut bytes, |b| DisableBracketedPaste.write_ansi(b)),
            Mode::Mouse => ansi(&mut bytes, |b| DisableMouseCapture.write_ansi(b)),
        }
    }
    if let Some(outlet) = lock(&OUTLET).clone().filter(|_| !bytes.is_empty()) {
        if !outlet.drain(PATIENCE) {
            outlet.discard();
        }
        let _ = outlet.send(&bytes);
        outlet.drain(PATIENCE);
    }
    if modes.contains(&Mode::Raw) {
        let _ = terminal::disable_raw_mode();
    }
}

/// A panic of the owner restores the terminal and then speaks; one of a worker is only logged.
fn install_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let owner = OWNER.try_lock().map(|owner| *owner);
        match owner {
            Ok(Some(owner)) if owner != thread::current().id() => {
                tracing::error!(panic = %info, "a worker panicked");
            }
            Ok(Some(_)) => {
                tracing::error!(panic = %info, "the console panicked");
                restore();
                previous(info);
            }
            _ => previous(info),
        }
    }));
}

fn ansi(bytes: &mut Vec<u8>, command: impl FnOnce(&mut String) -> std::fmt::Result) {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = command(&mut text);
    bytes.extend_from_slice(text.as_bytes());
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        for digit in 0..4 {
            if digit <= chunk.len() {
                let six = bits >> (18 - 6 * digit) & 63;
                let letter = ALPHABET.get(six as usize).copied().unwrap_or(b'A');
                text.push(char::from(letter));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
