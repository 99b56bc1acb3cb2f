//! The one seam to the operating system, in parts by who uses them. The reactor implements it for real, the simulation
//! on virtual time.
//!
//! Nothing here blocks, and nothing here decides. Methods return plain values; what happens later (output, exits,
//! writability) comes back as inputs of a later turn.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::config::{self, Config, Env, FcgiSocket, Probe, SyslogAddress};
use crate::id::{Channel, ConnId, LogId, Pid, ProcId, SocketId};
use crate::logs::LogPlan;
use crate::logs::syslog::Label;
use crate::wire::envfile::Variables;

pub use crate::sys::command::CommandProblem;
pub use crate::sys::machine::NotOurs;
pub use crate::sys::peer::Usage;
pub use crate::sys::remains::{REMNANTS_MAX, Remnant};
pub use crate::sys::spawn::SpawnError;

/// An error number of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl std::fmt::Display for Errno {
    /// Its symbolic name, `ENOENT`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::errno::name(self.0))
    }
}

/// What to spawn: everything that differs from one child to the next.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The configuration: directory, umask, user, environment, redirect_stderr.
    pub config: &'a config::Process,
    /// The name of its group, SUPERVISOR_GROUP_NAME.
    pub group: &'a str,
    /// What is executed, as found.
    pub path: &'a str,
    /// The words of the command, the program first.
    pub argv: &'a [String],
    /// The shared listening socket that becomes descriptor 0.
    pub socket: Option<SocketId>,
    /// Variables beyond those that every child has.
    pub variables: Vec<(&'a str, String)>,
    /// What the environment files say; `None` if there are none.
    pub from_files: Option<&'a FromFiles>,
    /// The cgroup that it begins in, `None` for ours.
    pub cgroup: Option<&'a str>,
}

/// Variables from environment files (K-7). They may be secrets: nothing that is printed shows them.
#[derive(Default)]
pub struct FromFiles(pub Variables);

impl std::fmt::Debug for FromFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} variables", self.0.len())
    }
}

/// Where what a run leaves behind is looked for.
pub struct Trail<'a> {
    /// The number of its child, and so of its process group.
    pub group: Pid,
    /// What left the group is meant, too.
    pub tree: Option<Tree<'a>>,
    /// A cgroup, which tells all, in place of both.
    pub cgroup: Option<&'a str>,
}

/// What belongs to a run beyond its group.
pub struct Tree<'a> {
    /// Processes that were seen below its child.
    pub known: &'a [Remnant],
    /// The names of its group and process, which those that we adopted have in their environment.
    pub names: (&'a str, &'a str),
    /// Whether a child of ours is something else.
    pub is_ours: &'a dyn Fn(Pid) -> bool,
}

/// How far a child came on the way to its program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetUp {
    /// It is on its way; an input tells when it is worth asking again.
    UnderWay,
    /// Its program runs: execve has succeeded.
    Done,
    /// It failed, and ends: the option that could not be met, if it was one, and why.
    Failed(Option<String>, Errno),
}

/// Why bytes could not be queued for a child's stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdinProblem {
    /// The child closed it, or there is none (fcgi): NO_FILE for a client.
    Closed,
    /// The bounded buffer is full.
    Full,
}

/// A slice of a file, for the log-reading calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The place of its first byte in the file.
    pub offset: u64,
    /// How many bytes of it are wanted.
    pub length: u64,
}

/// How well a client's connection may claim to be kept when there is no room for all: who comes first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has sent no request that it may send.
    Unproven,
    /// Nothing of it is under way.
    Idle,
    /// It does not read its answers, or does not end its request.
    Busy,
    /// It waits for what it has asked for, or follows something.
    Served,
}

/// Children, the pipes to them and the sockets that they share.
pub trait Children {
    /// Finds the file of a command word along `path` (the program's PATH, if its environment sets one) (P-33).
    fn find_command(&mut self, word: &str, path: Option<&str>) -> Result<String, CommandProblem>;
    /// Makes the pipes and the process; its output and exit arrive as inputs with this id.
    fn spawn(&mut self, process: ProcId, launch: &Launch<'_>) -> Result<Pid, SpawnError>;
    /// How far a child came on the way to its program.
    fn set_up(&mut self, process: ProcId) -> SetUp;
    /// Closes connections of clients, who can come again, for so many descriptors, by their standing; false if there
    /// are none.
    fn make_room(&mut self, descriptors: usize) -> bool;
    /// Sends a signal to a child or to its process group.
    fn kill(&mut self, pid: Pid, signal: i32, group: bool) -> Result<(), Errno>;
    /// Queues bytes for a child's stdin, in one piece; a bounded buffer holds what the pipe does not take.
    fn write_stdin(&mut self, process: ProcId, bytes: &[u8]) -> Result<(), StdinProblem>;
    /// Forgets a reaped child's pipes.
    fn close_child(&mut self, process: ProcId);
    /// CPU time and memory of a child.
    fn usage(&mut self, pid: Pid) -> Option<Usage>;
    /// Binds a FastCGI socket; the error is the reason for the message.
    fn fcgi_open(&mut self, socket: &FcgiSocket) -> Result<SocketId, String>;
    /// Closes the socket of a FastCGI group; nobody spawns with it any more.
    fn fcgi_close(&mut self, socket: SocketId);
}

/// What is run and asked beside children: hooks, probes. Each process has one of them at a time.
pub trait Helpers {
    /// Runs a command in the place of a child's, with /dev/null for its stdin and one pipe for all that it writes; its
    /// output and exit arrive as inputs with its pid.
    fn spawn_helper(&mut self, launch: &Launch<'_>) -> Result<Pid, SpawnError>;
    /// Forgets the pipe of a helper that was reaped.
    fn close_helper(&mut self, pid: Pid);
    /// Asks a question of the network kind; `None` while the answer is on its way, which then is an input.
    fn begin_probe(&mut self, process: ProcId, probe: &Probe) -> Option<Result<(), String>>;
    /// Nobody waits for the answer any more.
    fn end_probe(&mut self, process: ProcId);
    /// The process group of a process; `None` if it is gone.
    fn process_group(&mut self, pid: Pid) -> Option<Pid>;
    /// Whether a process is a child of ours, started or adopted.
    fn is_our_child(&mut self, pid: Pid) -> bool;
    /// Resident memory of a process, or of the tree from it on down, in bytes.
    fn memory(&mut self, pid: Pid, tree: bool) -> Option<u64>;
}

/// What a configuration needs of the system and would not get.
#[derive(Debug)]
pub struct Unmet {
    /// The section that needs it.
    pub section: String,
    /// The option of it that says so.
    pub option: &'static str,
    /// Why there is none, in words for the log.
    pub reason: String,
}

/// What children leave behind when they end.
pub trait Remains {
    /// The processes below one, whatever groups they are in; as many as can be told.
    fn descendants(&mut self, pid: Pid) -> Vec<Remnant>;
    /// What there is of a run besides its child itself, as it was at some moment of this turn; `None` if that cannot be
    /// known.
    fn remains(&mut self, trail: &Trail<'_>) -> Option<Vec<Remnant>>;
    /// Whether nobody is in a group any more.
    fn is_group_empty(&mut self, group: Pid) -> bool;
    /// Signals a process if it is still there.
    fn signal_remnant(&mut self, member: Remnant, signal: i32);
    /// Makes a cgroup for a child, below this directory or our own cgroup; answers its path, or what is wrong.
    fn make_cgroup(&mut self, root: Option<&str>, name: &str) -> Result<String, String>;
    /// Writes values into files of a cgroup; the error is what is wrong.
    fn set_cgroup(&mut self, path: &str, values: &[(String, String)]) -> Result<(), String>;
    /// Kills all that is in a cgroup.
    fn kill_cgroup(&mut self, path: &str);
    /// Removes an empty cgroup; one that is not stays.
    fn remove_cgroup(&mut self, path: &str);
}

/// Where output and messages go: logs of children, the activity log, our own stdout, syslog.
pub trait Logs {
    /// Opens a child's log for appending.
    fn log_open(&mut self, plan: &LogPlan<'_>) -> Result<LogId, Errno>;
    /// Appends, rotating as configured; never fails towards the caller.
    fn log_write(&mut self, log: LogId, bytes: &[u8]);
    /// Whether something else was written to the same place behind the line that this log has begun.
    fn log_was_interrupted(&mut self, log: LogId) -> bool;
    /// Closes and opens again under the same name (L-60).
    fn log_reopen(&mut self, log: LogId);
    /// Removes the file and starts a new one (L-62).
    fn log_clear(&mut self, log: LogId) -> Result<(), Errno>;
    /// Begins a new file, unless it is empty, and keeps the old one as a backup. Whether that is done; a log that is rotated
    /// between lines only does it at the end of the line.
    fn log_rotate(&mut self, log: LogId) -> bool;
    /// Closes a log; what could not be written yet goes on waiting for its disk.
    fn log_close(&mut self, log: LogId);
    /// Makes an empty AUTO log and returns its path (L-40).
    fn log_make_auto(
        &mut self,
        directory: &str,
        process: &str,
        channel: Channel,
        identifier: &str,
    ) -> Result<String, Errno>;
    /// Writes whole lines on our own stdout; what cannot be written at once is dropped.
    fn print(&mut self, bytes: &[u8]);
    /// Sends each line of a chunk of a child's output to syslog (L-33).
    fn syslog(&mut self, address: &SyslogAddress, label: &Label<'_>, process: &str, chunk: &[u8]);
    /// Closes and opens the activity log (L-60).
    fn activity_reopen(&mut self);
    /// Begins a new activity log, and keeps the old one as a backup.
    fn activity_rotate(&mut self);
    /// Removes the activity log and starts a new one (L-61).
    fn activity_clear(&mut self) -> Result<(), Errno>;
}

/// Files that are read or replaced as a whole.
pub trait Files {
    /// How much of what is mounted there is used, in percent; `None` where nobody can say.
    fn used(&mut self, path: &str) -> Option<f64> {
        let _ = path;
        None
    }
    /// Whether there is a regular file (or anything else that can be read) of that name.
    fn file_exists(&mut self, path: &str) -> bool;
    /// Size of a file in bytes.
    fn file_size(&mut self, path: &str) -> Result<u64, Errno>;
    /// Reads at most `span.length` bytes; fewer at the end of the file.
    fn file_read(&mut self, path: &str, span: Span) -> Result<Vec<u8>, Errno>;
    /// Identity of a file (device and inode), to notice rotation.
    fn file_identity(&mut self, path: &str) -> Option<(u64, u64)>;
    /// When a file was last changed, seconds since the epoch.
    fn file_modified(&mut self, path: &str) -> Option<i64>;
    /// Makes a directory and those above it; one that cannot be made shows when a file is to be in it.
    fn make_directory(&mut self, _path: &str) {}
    /// Replaces a file's content atomically and durably.
    fn file_replace(&mut self, path: &str, content: &[u8]) -> Result<(), Errno>;
}

/// What clients' connections need beyond bytes.
pub trait Clients {
    /// Watches a file for a connection that follows it, in place of what it followed before; changes arrive as inputs.
    fn watch_file(&mut self, conn: ConnId, path: &str);
    /// The connection follows nothing any more.
    fn unwatch_file(&mut self, conn: ConnId);
    /// A connection has another standing, which begins as [`Standing::Unproven`].
    fn rank_connection(&mut self, conn: ConnId, standing: Standing);
    /// Ends a client's connection once its output is written.
    fn close_connection(&mut self, conn: ConnId);
}

/// What an instance of a fleet reaches the others by.
pub trait Network {
    /// The address of a host, which is a number or a name. It may take as long as name servers do: not for a turn.
    fn resolve(&mut self, host: &str, port: u16) -> Option<SocketAddr>;
    /// Bytes of chance, which nobody can foresee.
    fn random(&mut self) -> [u8; 32];
    /// Begins to connect; what comes of it are inputs of the connection, as of those that clients make.
    fn connect(&mut self, address: SocketAddr) -> Result<ConnId, Errno>;
    /// Takes datagrams at that address from now on; they are inputs.
    fn open_datagrams(&mut self, address: SocketAddr) -> Result<(), Errno>;
    /// Sends one, if that can be done at once: nobody relies on datagrams.
    fn send_datagram(&mut self, to: SocketAddr, bytes: &[u8]);
    /// Takes what is said to a group of hosts from now on, as datagrams; what is said to it goes out at that interface, or
    /// where the system sends it, and passes so many routers less one.
    fn join_group(&mut self, _: SocketAddrV4, _interface: Ipv4Addr, _ttl: u8) -> Result<(), Errno> {
        Err(Errno(libc::EOPNOTSUPP))
    }
    /// Says something to that group.
    fn tell_group(&mut self, _bytes: &[u8]) -> Result<(), Errno> {
        Err(Errno(libc::EOPNOTSUPP))
    }
    /// Asks a name server; its answer is an input, if there is one.
    fn ask_name_server(&mut self, _server: SocketAddr, _bytes: &[u8]) {}
}

/// What the daemon asks of the operating system: all of that, and a few facts.
pub trait Host: Children + Helpers + Remains + Logs + Files + Clients + Network {
    /// The system, as far as the configuration looks at it.
    fn env(&mut self) -> &dyn Env;
    /// The configuration was read anew, in vain if that is `None`: what reading took is free again.
    fn has_loaded(&mut self, config: Option<&Config>);
    /// Whether the next run could have what this configuration needs of the system. Nothing is changed.
    fn try_next(&mut self, next: &Config) -> Result<(), Unmet>;
    /// Whether the machine is ours to end, as PID 1; if so, Ctrl-Alt-Del is a signal to us from now on.
    fn claim_machine(&mut self) -> Result<(), NotOurs>;
    /// The pid of the daemon itself.
    fn own_pid(&mut self) -> i32;
    /// Seconds that local time is ahead of UTC at a moment.
    fn utc_offset(&mut self, wall_secs: i64) -> i64;
    /// `%b %d %I:%M %p` of a moment in local time (P-90).
    fn local_short(&mut self, wall_secs: i64) -> String;
    /// `Sat Nov 21 02:58:33 2026` of a moment in local time.
    fn local_ctime(&mut self, wall_secs: i64) -> String;
}
