//! The status pages and the static files: from plain data to bytes.
//!
//! [`action`] understands what a form asks for and words what came of it, [`page`] renders, [`files`] holds what is
//! embedded, [`guard`] recognises requests that another site made a browser send. Who calls them, and when an action
//! is done, is decided elsewhere.

#![forbid(unsafe_code)]

pub(crate) mod action;
pub mod files;
#[cfg(feature = "fleet")]
pub(crate) mod fleet;
pub(crate) mod guard;
pub(crate) mod live;
pub(crate) mod metrics;
pub(crate) mod page;
