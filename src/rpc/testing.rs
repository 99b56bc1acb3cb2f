//! A daemon over a system made of tables, for the tests of calls. Children live until they are signalled; time stands
//! still until it is moved.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::budget::Budget;
#[cfg(feature = "fleet")]
use super::fleet::publish::{Message, messages};
use super::{Answer, Context, Deferred, Done, Extensions, Outcome, Registry, call};
use crate::clock::{Mono, Now, Wall};
use crate::config::fake::Fake;
use crate::config::{Config, Env, FcgiAddress, FcgiSocket, Loader, Probe, SyslogAddress};
use crate::daemon::host::{
    Children, Clients, CommandProblem, Errno, Files, Helpers, Launch, Logs, Network, NotOurs, Remains, Remnant, SetUp,
    Span, SpawnError, Standing, StdinProblem, Trail, Usage,
};
use crate::daemon::{Daemon, Host};
use crate::exit::ExitStatus;
use crate::id::{Channel, ConnId, LogId, Pid, ProcId, SocketId};
use crate::logs::LogPlan;
use crate::logs::syslog::Label;
use crate::model::event::Serials;
use crate::wire::value::Value;
use crate::wire::xmlrpc::{RESPONSE_BEGIN, RESPONSE_END, decode_response};

pub struct Tables {
    pub env: Fake,
    pub loader: Loader,
    /// Children that live, by pid, and their command lines.
    pub children: BTreeMap<i32, String>,
    /// Children that a signal ended and that are not yet reaped.
    pub dying: Vec<i32>,
    /// What is said when the machine is to be ended.
    pub machine: Result<(), NotOurs>,
    pub is_deaf: bool,
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

impl Helpers for Tables {
    fn spawn_helper(&mut self, _: &Launch<'_>) -> Result<Pid, SpawnError> {
        Err(SpawnError::Fork(libc::EAGAIN))
    }
    fn close_helper(&mut self, _: Pid) {}
    fn begin_probe(&mut self, _: ProcId, _: &Probe) -> Option<Result<(), String>> {
        Some(Ok(()))
    }
    fn end_probe(&mut self, _: ProcId) {}
    fn process_group(&mut self, pid: Pid) -> Option<Pid> {
        Some(pid)
    }
    fn is_our_child(&mut self, _: Pid) -> bool {
        false
    }
    fn memory(&mut self, _: Pid, _: bool) -> Option<u64> {
        None
    }
}

impl Remains for Tables {
    fn descendants(&mut self, _: Pid) -> Vec<Remnant> {
        Vec::new()
    }
    fn remains(&mut self, _: &Trail<'_>) -> Option<Vec<Remnant>> {
        Some(Vec::new())
    }
    fn is_group_empty(&mut self, _: Pid) -> bool {
        true
    }
    fn signal_remnant(&mut self, _: Remnant, _: i32) {}
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
    fn kill(&mut self, pid: Pid, _: i32, _: bool) -> Result<(), Errno> {
        if !self.is_deaf {
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
    fn try_next(&mut self, _: &Config) -> Result<(), crate::daemon::host::Unmet> {
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

/// A daemon, its system and its clock.
pub struct World {
    pub host: Tables,
    pub daemon: Daemon,
    pub registry: Registry,
    pub extensions: Extensions,
    pub now: Now,
}

const INTERFACES: &str = "[rpcinterface:supervisor]\n\
    supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
    [rpcinterface:twiddler]\n\
    supervisor.rpcinterface_factory=supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface\n\
    [rpcinterface:loader]\nsupervisor.rpcinterface_factory=supervisor_loader.rpcinterface:make_loader_rpcinterface\n\
    [rpcinterface:grace]\nsupervisor.rpcinterface_factory=supervisor_grace.rpcinterface:make_grace_rpcinterface\n\
    [rpcinterface:cache]\nsupervisor.rpcinterface_factory=supervisor_cache.rpcinterface:make_cache_rpcinterface\n";

/// `[stheno]` where calls may change things, and changes are kept.
pub const KEPT: &str = "[stheno]\nmutation=true\ndynamic_conf=/tmp/dyn.conf\n";

/// The path in [`KEPT`].
pub const PATH: &str = "/tmp/dyn.conf";

fn whole(text: &str) -> String {
    format!("[supervisord]\n{INTERFACES}{text}")
}

impl World {
    /// A daemon with all interfaces and this configuration.
    pub fn new(text: &str) -> World {
        World::with_files(text, &[])
    }

    /// The same, and these files are there.
    pub fn with_files(text: &str, files: &[(&str, &str)]) -> World {
        let mut env = Fake::new();
        files.iter().for_each(|(path, text)| env.write(path, text));
        let loader = env.loader(&whole(text));
        let mut host = Tables {
            env,
            loader,
            children: BTreeMap::new(),
            dying: Vec::new(),
            machine: Err(NotOurs::NotInit),
            is_deaf: false,
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
        let now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000_000) };
        let mut world = World {
            registry: Registry::new(&config),
            extensions: Extensions::default(),
            daemon: Daemon::new(config, host.loader.clone(), Serials::default()),
            host,
            now,
        };
        world.daemon.begin(world.now, &mut world.host).unwrap();
        world.turn();
        world
    }

    /// Writes another configuration, which nobody has read yet.
    pub fn write(&mut self, text: &str) {
        self.host.env.write("F", whole(text));
    }

    /// As after `kill -9` and a new start.
    pub fn restart(&mut self) {
        self.host.children.clear();
        self.host.dying.clear();
        self.host.open_logs = 0;
        self.host.loader.restart(&self.host.env);
        let config = self.host.loader.load(&self.host.env).unwrap();
        self.registry = Registry::new(&config);
        self.extensions = Extensions::default();
        self.daemon = Daemon::new(config, self.host.loader.clone(), Serials::default());
        self.daemon.begin(self.now, &mut self.host).unwrap();
        self.turn();
    }

    /// Lets time pass, and a turn of the loop after it.
    pub fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono.after(time);
        self.turn();
    }

    /// One turn: exits, then deadlines.
    pub fn turn(&mut self) {
        for pid in std::mem::take(&mut self.host.dying) {
            if self.host.children.remove(&pid).is_some() {
                let status = ExitStatus::Signal { number: libc::SIGTERM, core: false };
                self.daemon.exited(Pid(pid), status, self.now, &mut self.host);
            }
        }
        while self.daemon.next_deadline(self.now).is_some_and(|at| at <= self.now.mono) {
            self.daemon.deadlines(self.now, &mut self.host);
        }
    }

    fn in_context<R>(&mut self, method: &str, work: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let World { host, daemon, registry, extensions, now } = self;
        let budget = &mut Budget::default();
        work(&mut Context { daemon, host, now: *now, registry, extensions, client: "uid 0", method, budget })
    }

    /// Makes a call up to its first wait.
    pub fn begin(&mut self, method: &str, params: &[Value]) -> Result<Outcome, String> {
        self.in_context(method, |context| call(context, method, params).map_err(|fault| fault.to_string()))
    }

    /// Asks a call that waits.
    pub fn poll(&mut self, deferred: &mut Deferred, method: &str) -> Option<Result<Value, String>> {
        self.in_context(method, |context| deferred.poll(context)).map(finish)
    }

    /// What has been published since the last look.
    #[cfg(feature = "fleet")]
    pub fn published(&mut self) -> Vec<Message> {
        self.in_context("", |context| messages(context).0)
    }

    /// Asks it no more.
    pub fn give_up(&mut self, mut deferred: Deferred, method: &str) {
        self.in_context(method, |context| deferred.give_up(context));
    }

    /// Makes a call and lets a few seconds pass until it is answered.
    pub fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, String> {
        let mut deferred = match self.begin(method, params)? {
            Outcome::Now(answer) => return finish(Ok(answer)),
            Outcome::Deferred(deferred) => deferred,
        };
        for _ in 0..100 {
            self.pass(Duration::from_secs(2));
            if let Some(done) = self.poll(&mut deferred, method) {
                return done;
            }
        }
        panic!("{method} is never answered");
    }

    /// A call that must succeed.
    pub fn ok(&mut self, method: &str, params: &[Value]) -> Value {
        let answer = self.call(method, params);
        self.turn();
        answer.unwrap_or_else(|fault| panic!("{method}{params:?}: {fault}"))
    }

    /// Active groups: name, priority, processes.
    pub fn groups(&self) -> Vec<String> {
        let describe = |group: &crate::daemon::Group| {
            let names: Vec<_> = group.processes.iter().filter_map(|id| self.daemon.roster.process(*id)).collect();
            let names: Vec<_> = names.iter().map(|process| process.config.name.as_str()).collect();
            format!("{} {}: {}", group.name(), group.config.priority, names.join(" ")).trim_end().to_string()
        };
        let mut groups: Vec<String> = self.daemon.roster.groups().map(|(_, group)| describe(group)).collect();
        groups.sort();
        groups
    }

    /// Whether a fresh start would yield exactly what is active.
    pub fn assert_survives(&mut self, what: &str) {
        let configured = self.host.loader.load(&self.host.env).unwrap();
        let active: Vec<_> = self.daemon.roster.groups().map(|(_, group)| group.config.clone()).collect();
        let difference = crate::config::difference(active.iter(), &configured.groups);
        let text = self.daemon.dynamic.text();
        assert_eq!(difference, Default::default(), "{what}: {:?}\n{text:?}", self.groups());
        assert!(configured.warnings.is_empty(), "{what}: {:?}", configured.warnings);
    }
}

fn finish(done: Done) -> Result<Value, String> {
    match done {
        Ok(Answer::Value(value)) => Ok(value),
        Ok(Answer::Xml(xml)) => {
            let whole = [RESPONSE_BEGIN.as_bytes(), &xml, RESPONSE_END.as_bytes()].concat();
            decode_response(&whole).expect("XML-RPC").map_err(|(_, text)| text)
        }
        Ok(Answer::Log(_) | Answer::CutCharacter) => Ok(Value::Nil),
        Err(fault) => Err(fault.to_string()),
    }
}

/// A struct of strings.
pub fn options(pairs: &[(&'static str, &str)]) -> Value {
    Value::Struct(pairs.iter().map(|(name, text)| ((*name).into(), Value::from(text.to_string()))).collect())
}

macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::wire::value::Value::from($value)),*] };
}
pub(super) use params;
