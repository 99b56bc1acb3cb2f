//! Pure machines: no clock, no system calls; they take values and the time, and return effects.

#![forbid(unsafe_code)]

pub mod backoff;
pub mod backpressure;
mod began;
pub mod counted;
pub mod dependent;
pub mod event;
pub mod gates;
pub mod health;
pub mod histogram;
pub mod history;
pub mod hook;
mod ladder;
pub mod leftovers;
pub mod logs;
pub mod pace;
pub mod pool;
pub mod process;
mod retry;
pub mod runs;
pub mod tick;
