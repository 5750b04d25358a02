//! What comes from outside: keys from a thread that blocks in `event::read()`, the loss of the
//! terminal from a thread in `poll(2)` that waits for nothing else, and signals.

use std::{io, os::fd::AsFd, process, thread, time::Duration};

use crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::{
    consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGWINCH},
    iterator::Signals,
};
use tokio::sync::mpsc::Sender;

use super::{message::Message, terminal::Terminal};

/// When the screen's own thread has not left by then, whatever holds it, this ends the process all
/// the same.
const GRACE: Duration = Duration::from_secs(2);

pub fn listen(messages: &Sender<Message>) -> io::Result<()> {
    let keys = messages.clone();
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || read_keys(&keys))?;
    let hang_up = messages.clone();
    thread::Builder::new()
        .name("hang-up".to_owned())
        .spawn(move || {
            if wait_for_hang_up() {
                leave(&hang_up, Message::HangUp, 129);
            }
        })?;
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGCONT, SIGWINCH])?;
    let sender = messages.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                match signal {
                    SIGTERM => leave(&sender, Message::Leave(143), 143),
                    // `kill -HUP` leaves the terminal alive: then it is restored.
                    SIGHUP if is_hung_up() => leave(&sender, Message::HangUp, 129),
                    SIGHUP => leave(&sender, Message::Leave(129), 129),
                    SIGINT => leave(&sender, Message::Leave(130), 130),
                    SIGWINCH => {
                        let (columns, rows) = Terminal::size();
                        drop(sender.try_send(Message::Resize(columns, rows)));
                    }
                    // The bounded channel may be full of keys; a redraw more or less is no loss.
                    _ => drop(sender.try_send(Message::Continued)),
                }
            }
        })?;
    Ok(())
}

fn read_keys(messages: &Sender<Message>) {
    loop {
        let message = match event::read() {
            Ok(Event::Key(key)) => Message::Key(key),
            Ok(Event::Paste(text)) => Message::Paste(text),
            Ok(Event::Mouse(mouse)) => Message::Mouse(mouse),
            // The signal tells, even while half a sequence is waited for.
            Ok(Event::Resize(..) | Event::FocusGained | Event::FocusLost) => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!(%error, "the terminal cannot be read");
                leave(messages, Message::HangUp, 129);
                return;
            }
        };
        if messages.blocking_send(message).is_err() {
            return;
        }
    }
}

/// True when the terminal hung up.
fn wait_for_hang_up() -> bool {
    let stdin = io::stdin();
    loop {
        let tty = stdin.as_fd();
        let mut watched = [PollFd::new(&tty, PollFlags::empty())];
        match poll(&mut watched, None) {
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::warn!(%error, "the terminal cannot be watched for a hang-up");
                return false;
            }
        }
    }
}

/// Whether the terminal is gone by now.
fn is_hung_up() -> bool {
    let stdin = io::stdin();
    let tty = stdin.as_fd();
    let mut watched = [PollFd::new(&tty, PollFlags::empty())];
    let at_once = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    !matches!(poll(&mut watched, Some(&at_once)), Ok(0))
}

/// Tells the screen's thread to leave, and leaves by itself when that does not happen.
fn leave(messages: &Sender<Message>, message: Message, code: i32) {
    end_soon(code);
    drop(messages.try_send(message));
}

/// Ends the process with this code if it does not end by itself.
pub fn end_soon(code: i32) {
    let spawned = thread::Builder::new()
        .name("leave".to_owned())
        .spawn(move || {
            thread::sleep(GRACE);
            process::exit(code);
        });
    if spawned.is_err() {
        process::exit(code);
    }
}
