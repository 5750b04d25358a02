//! The MAIF file format.
