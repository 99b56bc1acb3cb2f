//! Stheno: `supervisord` without Python. One thread, one poll loop, one executable.
//!
//! The map, from the ground up; arrows point down only (`tests/layers.rs` scans for it):
//!
//! ```text
//! ROOF  bin/ boot/ reactor/ ctl/ applets/   start-up, the mio loop and every polled descriptor, clients
//! 7     serve/                              connections, routing, authentication, replies that wait
//! 6     rpc/ web/                           the method table and its namespaces; the pages
//! 5     daemon/                             decisions: roster, agenda, event bus, dynamic changes; children, listeners, shutdown
//! 4     sys/ logs/                          system calls (all unsafe is here); log files, rotation, activity log
//! 3     model/                              pure machines: process, event, pool, tick
//! 2     config/                             one row per option; load; expand; difference of two configurations
//! 1     wire/                               bytes to values and back, no I/O
//! 0     state fault namespec clock exit signal id level errno eventtype   names, codes, tiny types
//! ```
//!
//! Words, one sense each:
//!
//! - *program*: a section of the configuration; *process*: one instance of it, whether or not a child runs; *child*: the
//!   running thing of the system, which has a pid; *run*: from the birth of a child to its end, or the life of a daemon
//!   between two restarts, where the daemon is spoken of.
//! - *group*: processes under one name; *pool*: a group of event listeners with its queue.
//! - *turn*: all the work of one wake-up; *deadline*: the moment at which something is due, of the clock that cannot be set.
//! - *event*: what listeners are told, but in `model/process` what happens to a process; *effect*: what a machine wants
//!   done by its owner; *input*: what the reactor hands to the service.
//! - *change*: one value that adds or removes groups or processes; *journal*: the changes made at run time, by meaning.
//! - *capture*: messages between tokens in a child's output; *channel*: one of a child's two outputs.
//! - *sink*: an open log of any kind; a log that is no regular file is a *stream log*.
//! - *fault*: an error that a call answers with; *problem*: an error's cause, in words.
//! - *original*: Supervisor 4.3.0.
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
