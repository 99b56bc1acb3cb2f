//! The executables, seen from outside: a daemon is started in a folder of its own and driven over its socket, by
//! signals, by `supervisorctl` and through files.
//!
//! Each test holds for Supervisor 4.3.0 too, unless it says where the two part:
//! `STHENO_SUPERVISORD=/path/to/venv/bin/supervisord cargo test --test blackbox` drives that one instead.

mod actor;
mod client;
mod daemon;
mod port;

mod children;
mod command;
mod container_logs;
mod dependent;
mod differences;
mod dynamic;
mod emulated;
mod endings;
mod environment;
mod events;
mod fcgi;
#[cfg(feature = "fleet")]
mod fleet;
mod health;
mod hooks;
#[cfg(feature = "fleet")]
mod hosts;
mod http;
mod idle;
mod leftovers;
mod limits;
mod live;
mod logs;
mod machine;
mod metrics;
mod nobody;
mod order;
mod order_again;
mod peers;
mod pid1;
#[cfg(feature = "fleet")]
mod publish;
mod readiness;
mod real;
mod reload;
#[cfg(feature = "fleet")]
mod rest;
mod shutdown;
mod silent;
mod spawn;
mod stack;
mod startup;
mod states;
mod terminal;
mod traps;
mod watch;
#[cfg(feature = "fleet")]
mod wishes;
