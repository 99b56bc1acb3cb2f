//! Stheno: `supervisord` without Python. One thread, one poll loop, one executable.
//!
//! The map, from the ground up; arrows point down only (`tests/layers.rs` scans for it):
//!
//! ```text
//! ROOF  bin/ boot/ reactor/ ctl/ applets/   start-up, the mio loop and every polled descriptor, clients
//! 8     serve/                              connections, routing, authentication, replies that wait
//! 7     rpc/ web/                           the method table and its namespaces; the pages
//! 6     fleet/                              sequences and policies over applications, as Supvisors has them
//! 5     daemon/                             decisions: roster, agenda, event bus, dynamic changes; children, listeners, shutdown
//! 4     sys/ logs/                          system calls (all unsafe is here); log files, rotation, activity log
//! 3     model/                              pure machines: process, its ladder and runs, gates, event, pool, tick
//! 2     config/                             one row per option; load; expand; difference of two configurations
//! 1     wire/                               bytes to values and back, no I/O
//! 0     state fault namespec clock exit signal id level errno eventtype sort   names, codes, tiny types
//! ```
//!
//! Words, one sense each:
//!
//! - *program*: a section of the configuration; *process*: one of those it makes, whether or not a child runs; *child*: the
//!   running thing of the system, which has a pid; *run*: from the birth of a child to its end, or the life of a daemon
//!   between two restarts, where the daemon is spoken of.
//! - *helper*: a command that is run beside a child, a hook or a probe; *leftovers*: what a run leaves behind of itself,
//!   each process of which is a *remnant*.
//! - *group*: processes under one name; *pool*: a group of event listeners with its queue; *listener*: an event
//!   listener. A socket that connections come to is a *server*.
//! - *turn*: all the work of one wake-up; *deadline*: the moment at which something is due, of the clock that cannot be
//!   set; *delay*: a duration.
//! - *event*: what listeners are told; *trigger*: what happens to a process or to a member, as its machine takes
//!   it; *effect*: what a
//!   machine wants done by its owner; *transition*: from one state to another; *input*: what the reactor hands to the
//!   service.
//! - *gate*: who waits for whom and for which condition; *wait*: one process before its gates.
//! - *change*: one value that adds or removes groups or processes; *origin*: who asked for it; *definition*: where the
//!   options of a program stand; *journal*: the changes made at run time, by meaning; *audit*: their lines in the log.
//! - *capture*: messages between tokens in a child's output; *channel*: one of a child's two outputs; *outlet*: the
//!   channel of one process; one that is not read for now is *paused*.
//! - *hold*: what a pool does with events until its first listener is ready (`buffer_hold_until_ready`).
//! - *sink*: an open log of any kind; a log that is no regular file is a *stream log*; *feed*: an answer over HTTP
//!   that goes on, of a log, of events or of states.
//! - *site*: a server with who may come in and under which names; *budget*: what a turn does for clients at most.
//! - *fault*: an error that a call answers with; *problem*: an error's cause, in words.
//! - *deferred*: an answer that waits; *claim*: what a call under way has laid hands on, so that no other does.
//! - *client*: who is at the other end of a connection, as it is shown; *asker*: a client and the method that it called.
//! - *instance*: a daemon of a fleet; *member*: one as this one sees it; *peer*: a member that is spoken to, and its number;
//!   *stream*: the connection to a peer over which frames go; *Master*: the one that leads. *application*, *task*: a group and a
//!   process as the whole fleet has them; *record*: what one instance says of a task.
//! - *original*: Supervisor 4.3.0.
//!
//! What is deliberately absent: `daemon` holds no polled descriptor and never asks for the time; nothing below
//! the reactor sleeps; nothing outside `sys` is unsafe; no state lives in a closure or a thread-local.

pub mod clock;
mod errno;
mod eventtype;
pub mod exit;
mod fault;
pub mod id;
#[macro_use]
mod level;
mod namespec;
mod signal;
mod sort;
pub mod state;

pub mod wire;

pub mod config;

pub mod model;

pub mod logs;
mod sys;

pub mod daemon;

#[cfg(feature = "fleet")]
pub mod fleet;

pub mod rpc;
pub mod web;

pub mod serve;

#[cfg(feature = "applets")]
mod applets;
pub mod boot;
#[cfg(feature = "ctl")]
pub mod ctl;
mod reactor;
