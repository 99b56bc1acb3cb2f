//! A system made of tables, for the tests of the daemon and of what stands on it. Children live until they are signalled;
//! time stands still until it is moved.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::change::{Change, Origin};
use super::host::{
    Children, Clients, CommandProblem, Errno, Files, Helpers, Launch, Logs, Network, NotOurs, Remains, Remnant, SetUp,
    Span, SpawnError, Standing, StdinProblem, Trail, Unmet, Usage,
};
use super::{Daemon, Host};
use crate::clock::{Mono, Now, Wall};
use crate::config::fake::Fake;
use crate::config::{Config, Env, FcgiAddress, FcgiSocket, Loader, Probe, SyslogAddress};
use crate::exit::ExitStatus;
use crate::id::{Channel, ConnId, LogId, Pid, ProcId, SocketId};
use crate::logs::LogPlan;
use crate::logs::syslog::Label;
use crate::model::event::Serials;
use crate::model::process::RESTART_FLOOR;

pub struct Tables {
    pub env: Fake,
    pub loader: Loader,
    /// Children that live, by pid, and their command lines.
    pub children: BTreeMap<i32, String>,
    /// Children that a signal ended and that are not yet reaped.
    pub dying: Vec<i32>,
    /// What is said when the machine is to be ended.
    pub machine: Result<(), NotOurs>,
    /// Children do not end when they are signalled.
    pub is_deaf: bool,
    /// They do not unless it is by SIGKILL.
    pub is_stubborn: bool,
    /// Signals that were sent: the command line of the child, and which.
    pub signals: Vec<(String, i32)>,
    /// Why the next children cannot be made, one after another.
    pub refusals: Vec<SpawnError>,
    /// What is found of a run that has ended.
    pub left: Vec<Remnant>,
    /// Remnants that were signalled, each by which.
    pub told: Vec<(i32, i32)>,
    /// Bytes that each child uses.
    pub memory: u64,
    /// What is answered to the next probes, the last one first; all is well once they are used up.
    pub answers: Vec<Result<(), String>>,
    pub open_logs: usize,
    pub auto_logs: usize,
    /// Files cannot be written.
    pub is_full: bool,
    pub replaced: usize,
    /// Where connections were made to.
    pub connected: Vec<SocketAddr>,
    /// Connections that were closed.
    pub closed: Vec<ConnId>,
    /// Datagrams that were sent.
    pub datagrams: Vec<(SocketAddr, Vec<u8>)>,
    randoms: u8,
    next_pid: i32,
}

impl Tables {
    /// A system with a configuration and other files, and what is read of it.
    pub fn new(text: &str, files: &[(&str, &str)]) -> (Tables, Config) {
        let mut env = Fake::new();
        files.iter().for_each(|(path, text)| env.write(path, text));
        let loader = env.loader(text);
        let mut host = Tables {
            env,
            loader,
            children: BTreeMap::new(),
            dying: Vec::new(),
            machine: Err(NotOurs::NotInit),
            is_deaf: false,
            is_stubborn: false,
            signals: Vec::new(),
            refusals: Vec::new(),
            left: Vec::new(),
            told: Vec::new(),
            memory: 0,
            answers: Vec::new(),
            open_logs: 0,
            auto_logs: 0,
            is_full: false,
            replaced: 0,
            connected: Vec::new(),
            closed: Vec::new(),
            datagrams: Vec::new(),
            randoms: 0,
            next_pid: 100,
        };
        let config = host.loader.load(&host.env).unwrap();
        (host, config)
    }

    /// One turn: exits, then deadlines.
    pub fn turn(&mut self, daemon: &mut Daemon, now: Now) {
        for pid in std::mem::take(&mut self.dying) {
            self.exit(pid, ExitStatus::Signal { number: libc::SIGTERM, core: false }, daemon, now);
        }
        while daemon.next_deadline(now).is_some_and(|at| at <= now.mono) {
            daemon.deadlines(now, self);
            daemon.shutdown_step(now, self);
        }
    }

    /// A child ends by itself.
    pub fn exit(&mut self, pid: i32, status: ExitStatus, daemon: &mut Daemon, now: Now) {
        if self.children.remove(&pid).is_some() {
            if daemon.minds_leftovers() {
                daemon.before_reaping(Pid(pid), now, self);
            }
            daemon.exited(Pid(pid), status, now, self);
        }
    }
}

impl Helpers for Tables {
    fn spawn_helper(&mut self, _: &Launch<'_>) -> Result<Pid, SpawnError> {
        Err(SpawnError::Fork(libc::EAGAIN))
    }
    fn close_helper(&mut self, _: Pid) {}
    fn begin_probe(&mut self, _: ProcId, _: &Probe) -> Option<Result<(), String>> {
        Some(self.answers.pop().unwrap_or(Ok(())))
    }
    fn end_probe(&mut self, _: ProcId) {}
    fn process_group(&mut self, pid: Pid) -> Option<Pid> {
        Some(pid)
    }
    fn is_our_child(&mut self, _: Pid) -> bool {
        false
    }
    fn memory(&mut self, _: Pid, _: bool) -> Option<u64> {
        Some(self.memory)
    }
}

impl Remains for Tables {
    fn descendants(&mut self, _: Pid) -> Vec<Remnant> {
        Vec::new()
    }
    fn remains(&mut self, _: &Trail<'_>) -> Option<Vec<Remnant>> {
        Some(self.left.clone())
    }
    fn is_group_empty(&mut self, _: Pid) -> bool {
        self.left.is_empty()
    }
    fn signal_remnant(&mut self, remnant: Remnant, signal: i32) {
        self.told.push((remnant.pid.0, signal));
    }
    fn make_cgroup(&mut self, _: Option<&str>, _: &str) -> Result<String, String> {
        Err("none".to_string())
    }
    fn set_cgroup(&mut self, _: &str, _: &[(String, String)]) -> Result<(), String> {
        Ok(())
    }
    fn kill_cgroup(&mut self, _: &str) {}
    fn remove_cgroup(&mut self, _: &str) {}
}

impl Children for Tables {
    fn find_command(&mut self, word: &str, _: Option<&str>) -> Result<String, CommandProblem> {
        if word.starts_with("/nowhere/") {
            return Err(CommandProblem::NotFound(word.to_string()));
        }
        Ok(word.to_string())
    }
    fn spawn(&mut self, _: ProcId, launch: &Launch<'_>) -> Result<Pid, SpawnError> {
        if let Some(refusal) = self.refusals.pop() {
            return Err(refusal);
        }
        self.next_pid += 1;
        self.children.insert(self.next_pid, launch.argv.join(" "));
        Ok(Pid(self.next_pid))
    }
    fn set_up(&mut self, _: ProcId) -> SetUp {
        SetUp::Done
    }
    fn make_room(&mut self, _: usize) -> bool {
        false
    }
    fn kill(&mut self, pid: Pid, signal: i32, _: bool) -> Result<(), Errno> {
        self.signals.push((self.children.get(&pid.0).cloned().unwrap_or_default(), signal));
        if !self.is_deaf && (!self.is_stubborn || signal == libc::SIGKILL) {
            self.dying.push(pid.0);
        }
        Ok(())
    }
    fn write_stdin(&mut self, _: ProcId, _: &[u8]) -> Result<(), StdinProblem> {
        Ok(())
    }
    fn close_child(&mut self, _: ProcId) {}
    fn usage(&mut self, _: Pid) -> Option<Usage> {
        Some(Usage { cpu_ms: 1500, rss_bytes: 4096 })
    }
    fn fcgi_open(&mut self, socket: &FcgiSocket) -> Result<SocketId, String> {
        let directory = match &socket.address {
            FcgiAddress::Unix { path, .. } => path.rsplit_once('/').map_or("/", |(directory, _)| directory),
            FcgiAddress::Tcp { .. } => "/",
        };
        if !self.env.is_dir(directory) {
            return Err("no such directory".to_string());
        }
        Ok(SocketId(1))
    }
    fn fcgi_close(&mut self, _: SocketId) {}
}

impl Logs for Tables {
    fn log_open(&mut self, _: &LogPlan<'_>) -> Result<LogId, Errno> {
        self.open_logs += 1;
        Ok(LogId(self.open_logs as u64))
    }
    fn log_write(&mut self, _: LogId, _: &[u8]) {}
    fn log_was_interrupted(&mut self, _: LogId) -> bool {
        false
    }
    fn log_reopen(&mut self, _: LogId) {}
    fn log_clear(&mut self, _: LogId) -> Result<(), Errno> {
        Ok(())
    }
    fn log_rotate(&mut self, _: LogId) -> bool {
        true
    }
    fn log_close(&mut self, _: LogId) {
        self.open_logs -= 1;
    }
    fn log_make_auto(&mut self, _: &str, process: &str, channel: Channel, _: &str) -> Result<String, Errno> {
        self.auto_logs += 1;
        Ok(format!("/tmp/{process}-{}.log", channel.name()))
    }
    fn print(&mut self, _: &[u8]) {}
    fn syslog(&mut self, _: &SyslogAddress, _: &Label<'_>, _: &str, _: &[u8]) {}
    fn activity_reopen(&mut self) {}
    fn activity_rotate(&mut self) {}
    fn activity_clear(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

impl Files for Tables {
    fn file_exists(&mut self, path: &str) -> bool {
        self.env.exists(path)
    }
    fn file_size(&mut self, path: &str) -> Result<u64, Errno> {
        self.env.files.get(path).map(|bytes| bytes.len() as u64).ok_or(Errno(libc::ENOENT))
    }
    fn file_read(&mut self, path: &str, span: Span) -> Result<Vec<u8>, Errno> {
        let bytes = self.env.files.get(path).ok_or(Errno(libc::ENOENT))?;
        Ok(bytes.iter().skip(span.offset as usize).take(span.length as usize).copied().collect())
    }
    fn file_identity(&mut self, _: &str) -> Option<(u64, u64)> {
        None
    }
    fn file_modified(&mut self, _: &str) -> Option<i64> {
        None
    }
    fn file_replace(&mut self, path: &str, content: &[u8]) -> Result<(), Errno> {
        if self.is_full {
            return Err(Errno(libc::ENOSPC));
        }
        self.replaced += 1;
        self.env.write(path, content);
        Ok(())
    }
}

impl Network for Tables {
    fn resolve(&mut self, host: &str, port: u16) -> Option<SocketAddr> {
        Some(SocketAddr::new(host.parse().ok()?, port))
    }
    fn random(&mut self) -> [u8; 32] {
        self.randoms += 1;
        [self.randoms; 32]
    }
    fn connect(&mut self, address: SocketAddr) -> Result<ConnId, Errno> {
        self.connected.push(address);
        Ok(ConnId(1_000 + self.connected.len() as u64))
    }
    fn open_datagrams(&mut self, _: SocketAddr) -> Result<(), Errno> {
        Ok(())
    }
    fn send_datagram(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.datagrams.push((to, bytes.to_vec()));
    }
}

impl Clients for Tables {
    fn rank_connection(&mut self, _: ConnId, _: Standing) {}
    fn watch_file(&mut self, _: ConnId, _: &str) {}
    fn unwatch_file(&mut self, _: ConnId) {}
    fn close_connection(&mut self, conn: ConnId) {
        self.closed.push(conn);
    }
}

impl Host for Tables {
    fn env(&mut self) -> &dyn Env {
        &self.env
    }
    fn has_loaded(&mut self, _: Option<&Config>) {}
    fn try_next(&mut self, _: &Config) -> Result<(), Unmet> {
        Ok(())
    }
    fn claim_machine(&mut self) -> Result<(), NotOurs> {
        self.machine
    }
    fn utc_offset(&mut self, _: i64) -> i64 {
        0
    }
    fn own_pid(&mut self) -> i32 {
        1
    }
    fn local_short(&mut self, _: i64) -> String {
        String::new()
    }
    fn local_ctime(&mut self, _: i64) -> String {
        String::new()
    }
}

/// When tests begin.
pub const NOW: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000_000) };

/// A daemon, its system and its clock.
pub struct World {
    pub host: Tables,
    pub daemon: Daemon,
    pub now: Now,
}

impl World {
    /// A daemon that has begun with these sections.
    pub fn new(text: &str) -> World {
        let (mut host, config) = Tables::new(&format!("[supervisord]\n{text}"), &[]);
        let mut daemon = Daemon::new(config, host.loader.clone(), Serials::default());
        daemon.begin(NOW, &mut host).unwrap();
        let mut world = World { host, daemon, now: NOW };
        world.turn();
        world
    }

    /// One turn: exits, deadlines, and a step of the end, if it has begun.
    pub fn turn(&mut self) {
        self.host.turn(&mut self.daemon, self.now);
        self.daemon.shutdown_step(self.now, &mut self.host);
    }

    /// Lets time pass, and a turn after it.
    pub fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono.after(time);
        self.turn();
    }

    /// The process of that name, `group:process` where it is not the only one of its group.
    pub fn id(&self, name: &str) -> ProcId {
        self.daemon.roster.find_process(name).unwrap()
    }

    /// A child ends by itself, and so much time passes that it may be started again.
    pub fn exit(&mut self, name: &str, status: ExitStatus) {
        let pid = self.daemon.roster.process(self.id(name)).and_then(|process| process.machine.pid()).unwrap();
        self.host.exit(pid.0, status, &mut self.daemon, self.now);
        self.turn();
        self.pass(RESTART_FLOOR);
    }

    /// Processes and their states, `a RUNNING b STOPPED`, in the order of their names.
    pub fn states(&self) -> String {
        let all = self.daemon.roster.processes_by_name();
        let one = |process: &super::Proc| format!("{} {}", process.config.name, process.machine.state().name());
        all.map(|(_, _, process)| one(process)).collect::<Vec<_>>().join(" ")
    }

    /// Signals since the last call, `a TERM b KILL`; the command of a program is its name.
    pub fn signals(&mut self) -> String {
        let all = std::mem::take(&mut self.host.signals).into_iter();
        let one = |(command, signal): (String, i32)| format!("{command} {}", &crate::signal::name(signal)[3..]);
        all.map(one).collect::<Vec<_>>().join(" ")
    }

    /// Makes a change, as a call would. Errors: the text of the fault.
    pub fn change(&mut self, change: &Change) -> Result<(), String> {
        let origin = Origin { client: "test".to_string(), method: "test".to_string() };
        let done = self.daemon.apply(change, &origin, self.now, &mut self.host);
        done.map_err(|fault| fault.to_string())
    }
}

/// Active groups: name, priority, processes.
pub fn groups(daemon: &Daemon) -> Vec<String> {
    let describe = |group: &super::Group| {
        let names: Vec<_> = group.processes.iter().filter_map(|id| daemon.roster.process(*id)).collect();
        let names: Vec<_> = names.iter().map(|process| process.config.name.as_str()).collect();
        format!("{} {}: {}", group.name(), group.config.priority, names.join(" ")).trim_end().to_string()
    };
    let mut groups: Vec<String> = daemon.roster.groups().map(|(_, group)| describe(group)).collect();
    groups.sort();
    groups
}

/// Whether a fresh start would yield exactly what is active.
pub fn assert_survives(daemon: &Daemon, host: &mut Tables, what: &str) {
    let configured = host.loader.load(&host.env).unwrap();
    let active: Vec<_> = daemon.roster.groups().map(|(_, group)| group.config.clone()).collect();
    let difference = crate::config::difference(active.iter(), &configured.groups);
    let text = daemon.dynamic.text();
    assert_eq!(difference, Default::default(), "{what}: {:?}\n{text:?}", groups(daemon));
    assert!(configured.warnings.is_empty(), "{what}: {:?}", configured.warnings);
}
