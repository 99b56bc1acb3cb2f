//! Pure machines: no clock, no system calls; they take values and the time, and return effects.

#![forbid(unsafe_code)]

pub(crate) mod backoff;
pub(crate) mod backpressure;
mod began;
pub(crate) mod counted;
pub(crate) mod dependent;
pub mod event;
pub(crate) mod facts;
#[cfg(feature = "fleet")]
pub mod fleet;
pub(crate) mod gates;
pub(crate) mod health;
pub(crate) mod histogram;
pub(crate) mod history;
pub(crate) mod hook;
mod ladder;
pub mod leftovers;
pub(crate) mod logs;
pub(crate) mod pace;
pub mod pool;
pub mod process;
mod retry;
pub(crate) mod runs;
pub(crate) mod tick;
