//! Problems of a configuration in words that name the line, the key and the remedy.

use std::path::Path;

use super::ConfigError;

pub(super) fn bad(file: &Path, text: &str, at: usize, problem: String) -> ConfigError {
    ConfigError::Bad {
        file: file.to_owned(),
        line: text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1,
        problem,
    }
}

/// Where a key is first set, so that a problem found later still shows its line.
pub(super) fn find_key(text: &str, key: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start().trim_start_matches('[');
        if content.starts_with(key) {
            return at;
        }
        at += line.len();
    }
    0
}

/// Turns the parser's words into ours: which key, and for an unknown one the nearest valid key.
pub(super) fn explain(message: &str, text: &str, at: usize) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field")
        && let Some(unknown) = quoted.next()
    {
        let nearest = quoted
            .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
            .min();
        return match nearest {
            Some((distance, known)) if distance <= unknown.len().div_ceil(2) => {
                format!("unknown key `{unknown}`; did you mean `{known}`?")
            }
            Some((_, known)) => {
                format!("unknown key `{unknown}`; the nearest valid key is `{known}`")
            }
            None => format!("unknown key `{unknown}`"),
        };
    }
    let line = text
        .get(..at)
        .map_or("", |before| before.rsplit('\n').next().unwrap_or(""));
    match line.split_once('=') {
        Some((key, _)) => format!("{}: {message}", key.trim()),
        None => message.to_owned(),
    }
}
