//! maifdeck: a storage engine for stores of MAIF artifacts, and the console that operates it.
//!
//! Everything is one loop: volumes are *surveyed*, a survey and an intent make a *plan*, and a
//! confirmed plan is *applied* to the volumes. A module imports only from those listed above it.

pub mod clock;
pub mod maif;
