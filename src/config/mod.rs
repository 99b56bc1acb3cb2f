//! The configuration: one row per option, loading, expansion, and the difference of two configurations.

#![forbid(unsafe_code)]

pub mod diff;
pub mod types;

pub use types::*;
