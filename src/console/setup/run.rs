//! The first run at work, on the console's terminal and with its messages.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use ratatui::{buffer::Buffer, layout::Rect};
use tokio::sync::mpsc::{Receiver, Sender};

use super::{Answer, Ask, Founder, Setup, draw, execute};
use crate::console::{
    Backend,
    canvas::Canvas,
    message::Message,
    run::{step_back, words},
    terminal::Terminal,
    theme::Theme,
};

/// How the first run ended.
pub enum End {
    /// The store, and the keys that were pressed before it was there.
    Open(Arc<dyn Backend>, Vec<Message>),
    Leave(u8),
    /// The engine failed inside; in words.
    Failed(String),
}

/// Asks until there is a store or the operator leaves.
pub async fn run(
    founder: &Arc<dyn Founder>,
    theme: Theme,
    terminal: &mut Terminal,
    messages: &mut Receiver<Message>,
    sender: &Sender<Message>,
) -> End {
    let mut setup = Setup::new(founder.known());
    let mut size = Terminal::size();
    loop {
        if show(&setup, theme, terminal, size).is_err() {
            Terminal::abandon();
            return End::Leave(129);
        }
        let ask = match messages.recv().await {
            Some(Message::Key(event)) => setup.key(event),
            Some(Message::Paste(text)) => {
                setup.paste(&text);
                None
            }
            Some(Message::Resize(columns, rows)) => {
                size = (columns, rows);
                Some(Ask::Redraw)
            }
            Some(Message::Setup(Answer::Opened(Ok(backend)))) => {
                return End::Open(backend, Vec::new());
            }
            Some(Message::Setup(answer)) => setup.answered(answer),
            Some(Message::Panicked(_, what)) => setup.answered(Answer::Opened(Err(format!(
                "a part of the engine failed: {what}; see the log"
            )))),
            Some(Message::Leave(code)) => return End::Leave(code),
            Some(Message::HangUp) | None => {
                Terminal::abandon();
                return End::Leave(129);
            }
            Some(Message::Continued) => {
                if terminal.resumed().is_err() {
                    return End::Leave(129);
                }
                None
            }
            Some(_) => None,
        };
        match ask {
            None => {}
            Some(Ask::Leave) => return End::Leave(0),
            Some(Ask::Redraw) => terminal.forget_frame(),
            Some(Ask::Suspend) => {
                if terminal.suspend().is_err() {
                    return End::Leave(129);
                }
                size = Terminal::size();
            }
            Some(ask) => call(Arc::clone(founder), ask, sender.clone()),
        }
    }
}

fn show(setup: &Setup, theme: Theme, terminal: &mut Terminal, size: (u16, u16)) -> io::Result<()> {
    let screen = Rect::new(0, 0, size.0, size.1);
    let mut buffer = Buffer::empty(screen);
    draw(setup, &mut Canvas::new(&mut buffer, theme), screen);
    terminal.draw(buffer).map(|_| ())
}

/// An engine call on a thread of its own, never joined.
fn call(founder: Arc<dyn Founder>, ask: Ask, sender: Sender<Message>) {
    let failed = sender.clone();
    let spawned = thread::Builder::new()
        .name("setup call".to_owned())
        .spawn(move || {
            step_back();
            let called = catch_unwind(AssertUnwindSafe(|| execute(&*founder, ask)));
            let message = match called {
                Ok(answer) => answer.map(Message::Setup),
                Err(panic) => Some(Message::Panicked(None, words(&*panic))),
            };
            if let Some(message) = message {
                // The console may have closed meanwhile.
                let _ = sender.blocking_send(message);
            }
        });
    if let Err(error) = spawned {
        drop(failed.try_send(Message::Panicked(None, error.to_string())));
    }
}
