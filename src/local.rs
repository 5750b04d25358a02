//! What this host remembers beside the store: in `$XDG_STATE_HOME/maifdeck/`, all of it may be
//! deleted at any time.

use std::path::PathBuf;

/// The directory; `None` where the host names no home.
pub fn directory() -> Option<PathBuf> {
    let path = |key: &str| {
        std::env::var_os(key)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    path("XDG_STATE_HOME")
        .or_else(|| path("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("maifdeck"))
}
