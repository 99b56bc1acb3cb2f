//! Start-up in order: arguments, configuration, limits, privileges, logs, sockets, daemonize, pidfile, run.

#![forbid(unsafe_code)]

pub mod pidproxy;
pub mod sample_conf;
