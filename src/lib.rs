//! maifdeck: a storage engine for stores of MAIF artifacts, and the console that operates it.
//!
//! Everything is one loop: volumes are *surveyed*, a survey and an intent make a *plan*, and a
//! confirmed plan is *applied* to the volumes. The engine (`maif` to `apply`) is synchronous and
//! never knows a terminal; the console and the command line drive the same functions.

pub mod apply;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod console;
pub mod demo;
pub mod journal;
pub mod local;
pub mod maif;
pub mod number;
pub mod plan;
pub mod planner;
pub mod progress;
pub mod report;
pub mod store;
pub mod survey;
pub mod volume;
