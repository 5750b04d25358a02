//! The first run: no configuration was found, so the console asks what the store shall be: the
//! directories, partitions × replicas, backups; shows the configuration that this makes, and has it
//! written and the volumes marked. Or it opens the playground, or the embedded default.
//!
//! Like the rest of the console it is a state that messages change and a view of that state; what
//! touches a file system is behind [`Founder`].

mod draw;
mod live;
mod run;
mod state;

use std::{path::PathBuf, sync::Arc};

pub use draw::draw;
pub use live::LiveFounder;
pub(super) use run::{End, run};
pub use state::{Setup, Step};

use super::Backend;
use crate::store::setup::{Draft, Place};

/// What is known before anything is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Where a configuration was looked for.
    pub searched: Vec<String>,
    /// Where one can be written; the first is proposed.
    pub files: Vec<PathBuf>,
    /// Where the embedded default would be.
    pub embedded: Option<PathBuf>,
}

/// The engine, as the first run sees it. Every call may block and is made on a thread of its own.
/// Errors arrive as words for people.
pub trait Founder: Send + Sync + 'static {
    fn known(&self) -> Known;

    /// Looks at a directory, changing nothing. `~/` is the operator's home.
    fn look(&self, typed: &str) -> Result<Place, String>;

    /// The configuration that a draft makes, checked.
    fn preview(&self, draft: &Draft, file: &std::path::Path) -> Result<String, String>;

    /// Writes exactly this text to `file`, marks the volumes, opens the store.
    fn make(&self, file: &std::path::Path, text: &str) -> Result<Arc<dyn Backend>, String>;

    /// Builds the playground in a temporary directory and opens it.
    fn demo(&self) -> Result<Arc<dyn Backend>, String>;

    /// Makes the store of one directory and opens it.
    fn embedded(&self) -> Result<Arc<dyn Backend>, String>;
}

/// What the state wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    Look(String),
    Preview(Draft, PathBuf),
    Make(PathBuf, String),
    Demo,
    Embedded,
    Redraw,
    Suspend,
    Leave,
}

/// What came of it.
pub enum Answer {
    Looked(Result<Place, String>),
    Previewed(Result<String, String>),
    /// The store is there and open.
    Opened(Result<Arc<dyn Backend>, String>),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Looked(looked) => f.debug_tuple("Looked").field(looked).finish(),
            Self::Previewed(text) => f.debug_tuple("Previewed").field(text).finish(),
            Self::Opened(opened) => {
                let opened = opened.as_ref().map(|_| "a store");
                f.debug_tuple("Opened").field(&opened).finish()
            }
        }
    }
}

/// Makes an engine call. `None` for what is the terminal's.
pub fn execute(founder: &dyn Founder, ask: Ask) -> Option<Answer> {
    Some(match ask {
        Ask::Look(typed) => Answer::Looked(founder.look(&typed)),
        Ask::Preview(draft, file) => Answer::Previewed(founder.preview(&draft, &file)),
        Ask::Make(file, text) => Answer::Opened(founder.make(&file, &text)),
        Ask::Demo => Answer::Opened(founder.demo()),
        Ask::Embedded => Answer::Opened(founder.embedded()),
        Ask::Redraw | Ask::Suspend | Ask::Leave => return None,
    })
}
