//! Asking on a terminal. Elsewhere nothing is confirmed: exit 3 unless `--yes`.

use std::io::{BufRead, IsTerminal, Write};

use crate::store::StoreError;

/// Asks for a typed word.
pub fn typed(word: &str) -> Result<(), StoreError> {
    ask(&format!("type {word:?} to confirm: "), |answer| {
        answer == word
    })
}

fn ask(prompt: &str, accepts: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    let stdin = std::io::stdin();
    let mut stderr = std::io::stderr();
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(StoreError::NotConfirmed);
    }
    let _ = write!(stderr, "{prompt}");
    let _ = stderr.flush();
    let mut answer = String::new();
    match stdin.lock().read_line(&mut answer) {
        Ok(_) if accepts(answer.trim_end_matches(['\r', '\n'])) => Ok(()),
        _ => Err(StoreError::NotConfirmed),
    }
}

/// Asks for a plain yes.
pub fn yes() -> Result<(), StoreError> {
    ask("go on? [y/N] ", |answer| {
        matches!(answer, "y" | "Y" | "yes")
    })
}
