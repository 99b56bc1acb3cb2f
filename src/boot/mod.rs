//! Start-up in order: arguments, configuration, privileges, limits, logs, groups, servers, signals, daemonize,
//! pidfile, run (C-150).

#![forbid(unsafe_code)]

mod about;
mod alone;
mod dispatch;
mod machine;
mod pidfile;
pub mod pidproxy;
pub mod sample_conf;
mod start;

pub use dispatch::main;
