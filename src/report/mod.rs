//! Words for people: sizes, times, reasons, plans. One formatter each, shared by the console and
//! the command line.

mod candidate;
pub mod difference;
pub mod findings;
pub mod json;
pub mod log;
pub mod plan;
pub mod reason;
pub mod retention;
pub mod stamp;
pub mod time;
pub mod when;

pub use crate::number::{self, count, percent, plural, signed_size, size};
pub use candidate::candidate;
pub use difference::{Line, Tone};
pub use plan::{command, step};
pub use reason::reason;
pub use retention::kept_by;
pub use time::{Zone, age, ago, duration};
