//! Log files, rotation, streams as log targets, the activity log, syslog.
//!
//! A path is opened as a [`sink::Sink`]: a rotating file, or, if something else than a regular file is there, a
//! stream that never waits. [`child::ChildLog`] is a sink that reports its own troubles to the activity log;
//! [`activity`] is where the whole program's messages go, through the `log` facade.

#![forbid(unsafe_code)]

pub(crate) mod activity;
pub(crate) mod auto;
pub(crate) mod child;
pub(crate) mod file;
pub mod sink;
pub(crate) mod stream;
pub mod syslog;

pub use child::{ChildLog, LogPlan};
