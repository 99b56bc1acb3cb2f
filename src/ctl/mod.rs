//! supervisorctl.

#![forbid(unsafe_code)]

mod columns;
mod error;
mod pattern;
