//! The way out to the terminal: a thread of its own writes. A terminal that takes no bytes (a line
//! that stands still, a program that does not read) then blocks neither the keys nor the way out,
//! and one that is slow gets the newest frame next, not every one since.

use std::{
    io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    stdio::stdout,
    termios::{Action, QueueSelector, tcflow, tcflush},
};
use tokio::sync::mpsc::Sender;

use super::message::Message;

/// Cheap to clone; all clones are the same way out.
#[derive(Debug, Clone, Default)]
pub struct Outlet {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    writing: bool,
    /// Somebody has a frame for when all is written.
    wanted: bool,
    /// What the last write failed with: nothing is written any more.
    failed: Option<Errno>,
}

impl Outlet {
    /// Starts the thread, which tells when it is free again for whoever waits for that.
    pub fn open(messages: Sender<Message>) -> io::Result<Self> {
        let outlet = Self::default();
        let own = outlet.clone();
        thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || own.serve(&messages))?;
        Ok(outlet)
    }

    /// Bytes that are to be written after those that wait.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        if let Some(error) = state.failed {
            return Err(error.into());
        }
        state.waiting.extend_from_slice(bytes);
        self.shared.1.notify_all();
        Ok(())
    }

    /// Whether everything was written. If not, `Message::Written` comes when it is.
    pub fn is_free(&self) -> bool {
        let mut state = self.lock();
        state.wanted = state.is_busy();
        !state.wanted
    }

    /// Waits until everything is written, for a while; whether it is.
    pub fn drain(&self, within: Duration) -> bool {
        let waits = |state: &mut State| state.is_busy();
        let waited = self.shared.1.wait_timeout_while(self.lock(), within, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_busy()
    }

    /// Drops what waits, here and in the kernel: a terminal that took nothing for so long need not
    /// have it any more.
    pub fn discard(&self) {
        self.lock().waiting.clear();
        // Where that cannot be done, it is written when the terminal reads again. A write that waits
        // for room is woken by a stop and a start only.
        let _ = tcflush(stdout(), QueueSelector::OFlush);
        let _ = tcflow(stdout(), Action::OOff);
        let _ = tcflow(stdout(), Action::OOn);
    }

    /// The terminal is gone: nothing is written any more.
    pub fn close(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        state.failed = Some(Errno::IO);
    }

    fn serve(&self, messages: &Sender<Message>) {
        let mut state = self.lock();
        loop {
            let idle = |state: &mut State| state.waiting.is_empty();
            let woken = self.shared.1.wait_while(state, idle);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            let bytes = mem::take(&mut state.waiting);
            state.writing = true;
            drop(state);
            let written = write_all(&bytes);
            state = self.lock();
            state.writing = false;
            if let Err(error) = written {
                tracing::warn!(%error, "the terminal cannot be written");
                state.failed.get_or_insert(error);
                state.waiting.clear();
            }
            let wanted = !state.is_busy() && mem::take(&mut state.wanted);
            self.shared.1.notify_all();
            if wanted || state.failed.is_some() {
                // Where the channel is full, whoever empties it draws afterwards.
                drop(messages.try_send(Message::Written));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_busy(&self) -> bool {
        self.writing || !self.waiting.is_empty()
    }
}

fn write_all(mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(stdout(), bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Another program of the same terminal may have made it so.
            Err(Errno::AGAIN) => {
                let out = stdout();
                let mut watched = [PollFd::new(&out, PollFlags::OUT)];
                match poll(&mut watched, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
