//! A configuration, resolved: typed, expanded, users looked up, numprocs unrolled.
//!
//! These are the shapes that the rest of the program works with; how they come out of a file is the business of
//! this module's siblings. Immutable once made; shared through `Rc` between the configured and the active groups.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use super::datatypes::shown_host;
use super::options::{
    FcgiOptions, GroupOptions, ListenerOptions, LogOptions, OutputOptions, Process, Program, Supervisord,
};
pub use super::values::{Autorestart, Owner, Revision, ServerUrl, UnknownAction, User};
use crate::id::Channel;

/// The `logfile` of `[supervisord]` that is no path.
pub(super) const SYSLOG: &str = "syslog";

/// One HTTP server section.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The section's name, `inet_http_server` (L-11).
    pub section: String,
    pub(crate) address: ServerAddress,
    /// Basic authentication; `None` lets everybody in (C-100).
    pub credentials: Option<Credentials>,
}

/// Where an HTTP server listens.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerAddress {
    /// `[inet_http_server]`: TCP on one address and port.
    Inet {
        /// Lower-case, without brackets; empty for every interface of IPv4.
        host: String,
        /// The port, from 1 to 65535.
        port: u16,
    },
    /// `[unix_http_server]`: a socket in the file system.
    Unix {
        /// The path of its file, absolute.
        path: String,
        /// Its mode, 0o700 by default.
        mode: u32,
        /// uid and gid; `None` gid leaves the group.
        owner: Option<Owner>,
    },
}

impl ServerAddress {
    /// Whether it is that port of TCP, of whatever address.
    pub fn has_port(&self, number: u16) -> bool {
        matches!(self, ServerAddress::Inet { port, .. } if *port == number)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerAddress::Inet { host, port } if host.is_empty() => write!(f, "*:{port}"),
            ServerAddress::Inet { host, port } => write!(f, "{}:{port}", shown_host(host)),
            ServerAddress::Unix { path, .. } => f.write_str(path),
        }
    }
}

/// What a client must present.
#[derive(Clone, Debug, PartialEq)]
pub struct Credentials {
    /// The name that clients give; it is never empty.
    pub username: String,
    /// Clear, or `{SHA}` and 40 lower-case hex digits (C-99).
    pub password: String,
}

/// `[rpcinterface:NAMESPACE]` (C-118 to C-122).
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// The part of the section's name after the colon.
    pub namespace: String,
    /// Which interface its factory stands for.
    pub kind: InterfaceKind,
    /// `whitelist`, where the kind takes one; empty allows everything.
    pub whitelist: Vec<String>,
    /// Names of options that its factory does not take: it cannot be made (C-120).
    pub unexpected: Vec<String>,
}

/// The interfaces whose factories are known (C-119).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum InterfaceKind {
    Main,
    Twiddler,
    Loader,
    Grace,
    Cache,
    #[cfg(feature = "fleet")]
    Supvisors,
}

/// A group of processes, configured.
#[derive(Clone, Debug)]
pub struct Group {
    /// The name of its section, without what is before the colon.
    pub name: String,
    /// The load that it came of.
    pub revision: Revision,
    /// Its priority; listener pools have -1 by default.
    pub priority: i64,
    /// What kind of group it is.
    pub kind: GroupKind,
    /// Its options, if it has a section `[group:x]`.
    pub options: Option<Rc<GroupOptions>>,
    /// Ascending by (priority, name).
    pub processes: Vec<Rc<Process>>,
}

/// The kinds of groups.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupKind {
    /// Programs, of `[program:x]` or `[group:x]`.
    Programs,
    /// A pool of listeners, `[eventlistener:x]`.
    Listener(Listener),
    /// Programs behind one socket, `[fcgi-program:x]`.
    Fcgi(Fcgi),
}

/// What an event listener pool adds (C-116): its options, and what was made of some of them.
#[derive(Clone, Debug)]
pub struct Listener {
    /// As the section has them.
    pub options: ListenerOptions,
    /// Events the queue holds; at least 1.
    pub buffer_size: usize,
    /// Canonical (upper-case) event type names, in file order, without exact duplicates.
    pub events: Vec<String>,
    /// How results are judged.
    pub result_handler: ResultHandler,
}

/// The result handlers whose names are known (C-119).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultHandler {
    /// The original's own, `supervisor.dispatchers:default_handler` (E-47).
    Default,
    /// `supervisor_twiddler.resulthandler:stdin_write_handler` and grace's (E-48).
    StdinWrite,
    /// `supervisor_stdout:event_handler`: prints the result on our stdout.
    Stdout,
}

/// What an fcgi-program adds (C-115): its options, and the socket that was made of some of them.
#[derive(Clone, Debug)]
pub struct Fcgi {
    /// As the section has them.
    pub options: FcgiOptions,
    /// What its processes find as their standard input.
    pub socket: FcgiSocket,
}

/// A socket that the processes of a group share.
#[derive(Clone, Debug)]
pub struct FcgiSocket {
    /// `unix:///path` or `tcp://host:port`, as messages show it.
    pub url: String,
    pub(crate) address: FcgiAddress,
    /// Listen backlog; `None` is the system's maximum.
    pub backlog: Option<u32>,
}

/// Where a FastCGI socket is bound.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum FcgiAddress {
    Unix { path: String, owner: Option<Owner>, mode: u32 },
    Tcp { host: String, port: u16 },
}

impl Supervisord {
    /// The path of the activity log, absolute; `None` if it goes to syslog.
    pub fn activity_log(&self) -> Option<&str> {
        Some(self.logfile.0.as_str()).filter(|path| *path != SYSLOG)
    }

    /// Where AUTO logs are made, absolute.
    pub fn auto_log_directory(&self) -> &str {
        // The loader has put in what the system names.
        self.childlogdir.as_ref().map_or("/tmp", |directory| &directory.0)
    }
}

impl Program {
    /// Whether SIGKILL goes to the whole process group.
    pub fn kills_group(&self) -> bool {
        self.killasgroup || self.killmode.minds_leftovers()
    }

    /// What is done with the output of a channel.
    pub fn output(&self, channel: Channel) -> &OutputOptions {
        match channel {
            Channel::Stdout => &self.stdout,
            Channel::Stderr => &self.stderr,
        }
    }
}

impl Process {
    /// Where the output of a channel is kept.
    pub fn log(&self, channel: Channel) -> &LogOptions {
        match channel {
            Channel::Stdout => &self.stdout,
            Channel::Stderr => &self.stderr,
        }
    }

    /// The same, to be changed.
    pub fn log_mut(&mut self, channel: Channel) -> &mut LogOptions {
        match channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        }
    }
}

impl Group {
    /// Its processes by name.
    pub fn by_name(&self) -> HashMap<&str, &Rc<Process>> {
        self.processes.iter().map(|process| (process.name.as_str(), process)).collect()
    }

    /// Whether this active group is the very one that is configured.
    pub fn is_the(&self, configured: &Group) -> bool {
        self.name == configured.name && self.revision == configured.revision
    }
}
