//! Stheno: `supervisord` without Python. One thread, one poll loop, one executable.
//!
//! The map, from the ground up; arrows point down only (`tests/layers.rs` scans for it):
//!
//! ```text
//! ROOF  bin/ boot/ reactor/ ctl/ applets/   start-up, the mio loop and every polled descriptor, clients
//! 7     serve/                              connections, routing, authentication, replies that wait
//! 6     rpc/ web/                           the method table and its namespaces; the pages
//! 5     daemon/                             decisions: groups, children, listeners, events, mutation, shutdown
//! 4     sys/ logs/                          system calls (all unsafe is here); log files, rotation, activity log
//! 3     model/                              pure machines: process, event, pool, tick
//! 2     config/                             one row per option; load; expand; difference of two configurations
//! 1     wire/                               bytes to values and back, no I/O
//! 0     state fault namespec clock exit signal id level errno eventtype   names, codes, tiny types
//! ```
//!
//! What is deliberately absent: `daemon` holds no polled descriptor and never asks for the time; nothing below
//! the reactor sleeps; nothing outside `sys` is unsafe; no state lives in a closure or a thread-local.

pub mod clock;
pub mod errno;
pub mod eventtype;
pub mod exit;
pub mod fault;
pub mod id;
#[macro_use]
pub mod level;
pub mod namespec;
pub mod signal;
pub mod state;

pub mod wire;

pub mod config;

pub mod model;

pub mod logs;
pub mod sys;

pub mod daemon;

pub mod rpc;
pub mod web;

pub mod serve;

#[cfg(feature = "applets")]
pub mod applets;
pub mod boot;
#[cfg(feature = "ctl")]
pub mod ctl;
pub mod reactor;
