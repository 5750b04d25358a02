//! Before the first look: opening a store asks every volume who it is, and one that hangs is waited
//! for until its deadline. The screen is there meanwhile, and so is the way out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::{buffer::Buffer, layout::Rect};
use tokio::{
    sync::mpsc::{Receiver, Sender},
    time::timeout,
};

use super::{
    Backend,
    canvas::Canvas,
    message::Message,
    run::{step_back, words},
    setup::{Answer, End},
    terminal::Terminal,
    theme::{Role, Theme},
};

/// Opens the engine; may block for as long as a volume's deadline.
pub type Open = Box<dyn FnOnce() -> Arc<dyn Backend> + Send>;

/// A store that opens sooner is shown without a word about it.
const AT_ONCE: Duration = Duration::from_millis(60);

/// Waits for the store, or for the operator to leave.
pub(super) async fn wait(
    open: Open,
    theme: Theme,
    terminal: &mut Terminal,
    messages: &mut Receiver<Message>,
    sender: &Sender<Message>,
) -> End {
    let answers = sender.clone();
    let spawned = thread::Builder::new()
        .name("opening".to_owned())
        .spawn(move || {
            step_back();
            let opened = catch_unwind(AssertUnwindSafe(open)).map_err(|panic| words(&*panic));
            // The console may have closed meanwhile.
            let _ = answers.blocking_send(Message::Setup(Answer::Opened(opened)));
        });
    if let Err(error) = spawned {
        return End::Failed(error.to_string());
    }
    let mut patience = AT_ONCE;
    // What is typed ahead is meant for the console.
    let mut ahead = Vec::new();
    loop {
        match timeout(patience, messages.recv()).await {
            Ok(Some(Message::Setup(Answer::Opened(Ok(backend))))) => {
                return End::Open(backend, ahead);
            }
            Ok(Some(Message::Setup(Answer::Opened(Err(why))))) => return End::Failed(why),
            Ok(Some(Message::Key(key))) => {
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                match key.code {
                    KeyCode::Char('c') if control => return End::Leave(0),
                    KeyCode::Char('q') | KeyCode::Esc => return End::Leave(0),
                    _ => ahead.push(Message::Key(key)),
                }
            }
            Ok(Some(Message::Leave(code))) => return End::Leave(code),
            Ok(Some(Message::HangUp) | None) => {
                Terminal::abandon();
                return End::Leave(129);
            }
            Ok(Some(Message::Resize(..))) => terminal.forget_frame(),
            Ok(Some(Message::Continued)) => {
                if terminal.resumed().is_err() {
                    return End::Leave(129);
                }
            }
            Ok(Some(_)) => {}
            // Nothing is drawn before this: most stores are there by now.
            Err(_) => patience = Duration::from_secs(3600),
        }
        if patience > AT_ONCE && show(theme, terminal).is_err() {
            Terminal::abandon();
            return End::Leave(129);
        }
    }
}

fn show(theme: Theme, terminal: &mut Terminal) -> std::io::Result<()> {
    let (columns, rows) = Terminal::size();
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    let mut canvas = Canvas::new(&mut buffer, theme);
    canvas.put(1, 0, columns, "maifdeck", Role::Title);
    let lines = [
        "opening the store: asking every volume who it is",
        "One that gives no answer is waited for (store.volume_timeout).",
        "q leaves",
    ];
    for (y, line) in (2..).zip(lines) {
        canvas.put(1, y, columns.saturating_sub(1), line, Role::Dim);
    }
    terminal.draw(buffer).map(|_| ())
}
