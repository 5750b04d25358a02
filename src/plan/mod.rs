//! Survey × intent → plan. Planning is pure: it reads a survey and touches no file.

mod homecoming;
mod intent;
mod mark;
mod model;
mod prune;
mod prune_versions;
mod rebalance;
mod remove;
mod repair;
mod restore;
mod restore_backup;
mod step;
mod trash;
mod undo;

pub use intent::{Intent, LayoutChange, RestoreMode};
pub use mark::mark_volume;
pub use model::{Forecast, Kept, Plan, PlanId, SpaceNeed, Summary};
pub use prune::{PruneChoice, backups_kept, prune_backups};
pub use prune_versions::{VersionsChoice, prune_versions};
pub use rebalance::{Next, RebalanceRefused, Room, Target, rebalance};
pub use remove::remove;
pub use repair::{Choice, repair};
pub use restore::{VersionFacts, restore_version};
pub use restore_backup::{RestoreChoice, RestoreRefused, restore_backup};
pub use step::{Expectations, Expected, Source, Step};
pub use trash::empty_trash;
pub use undo::{InTrash, Known, KnownVersion, KnownVersions, touched, undo};
