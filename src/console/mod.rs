pub mod backend;
pub mod live;
