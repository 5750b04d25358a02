//! The admin console: one task owns the terminal, messages change the state, the view is a pure
//! function of the state. It never touches a file system: all it knows comes through [`Backend`].

mod actions;
mod agents;
pub mod app;
pub mod backend;
pub mod canvas;
mod encode;
pub mod execute;
mod filter;
mod input;
pub mod keymap;
pub mod keys;
mod layout;
mod lease;
pub mod live;
mod marks;
pub mod message;
mod opening;
mod outlet;
mod panes;
mod rest;
pub mod rows;
mod run;
mod running;
pub mod setup;
pub mod table;
mod terminal;
mod text;
pub mod theme;
pub mod update;
pub mod view;
mod when;
pub mod widgets;

pub use backend::Backend;
pub use opening::Open;
pub use run::{Color, ConsoleError, Options, open, open_first, open_later};
