//! The simulated system: children, files, sockets, and what goes wrong with them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use stheno::config::cmdline::CommandLine;
use stheno::config::{self, Config, Env, FcgiSocket, KillMode, Loader, ResultHandler, SyslogAddress};
use stheno::daemon::Host;
use stheno::daemon::host::{
    Children, Clients, CommandProblem, Errno, Launch, Logs, Network, NotOurs, Remains, Remnant, SetUp, Span,
    SpawnError, Standing, StdinProblem, Trail, Usage,
};
use stheno::id::{Channel, ConnId, LogId, Pid, ProcId, SocketId};
use stheno::logs::LogPlan;
use stheno::logs::syslog::Label;

use crate::agenda::{Agenda, Happening, MS, SECOND};
use crate::children::{Child, Envelope, Listening};
use crate::configuration;
use crate::files::{Files, MAIN_FILE};
use crate::helpers::Helper;
use crate::lines;
use crate::orphans::Orphans;
use crate::random::Random;
use crate::sequences::RULES;

/// How often what goes wrong: once in so many times, 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub pipes: u64,
    pub fork: u64,
    /// kill(2) fails with EPERM.
    pub kill: u64,
    pub log_open: u64,
    pub log_auto: u64,
    pub log_clear: u64,
    pub socket: u64,
    pub stdin: u64,
    pub load: u64,
    pub read: u64,
    pub replace: u64,
    /// Commands are not found, and files tell nothing of themselves.
    pub look: u64,
    pub cgroup: u64,
}

impl Trouble {
    pub fn random(random: &mut Random) -> Trouble {
        let mut rate = |most| if random.one_in(3) { random.between(2, most) } else { 0 };
        Trouble {
            pipes: rate(20),
            fork: rate(20),
            kill: rate(15),
            log_open: rate(20),
            log_auto: rate(10),
            log_clear: rate(10),
            socket: rate(6),
            stdin: rate(10),
            load: rate(6),
            read: rate(10),
            replace: rate(10),
            look: rate(10),
            cgroup: rate(3),
        }
    }
}

/// What the daemon has done to the system, in order.
#[derive(Debug)]
pub enum Did {
    Spawned {
        process: ProcId,
        pid: i32,
        /// The name of its group.
        group: String,
    },
    Killed {
        pid: i32,
        signal: i32,
    },
    /// kill(2) failed with EPERM.
    KillFailed,
    /// An event went to a listener.
    Sent {
        listener: ProcId,
        serial: u64,
        pool_serial: u64,
        content: u64,
    },
    /// The configuration was read.
    Loaded(Box<Config>),
}

pub struct SimHost {
    pub random: Random,
    pub now: u64,
    pub wall_secs: i64,
    pub agenda: Agenda,
    pub trouble: Trouble,
    /// By pid.
    pub children: BTreeMap<i32, Child>,
    /// Hooks and probes, by pid.
    pub helpers: BTreeMap<i32, Helper>,
    /// Questions over the network that are under way, and the number of each.
    pub probes: BTreeMap<ProcId, u64>,
    pub next_probe: u64,
    /// What they leave behind.
    pub orphans: Orphans,
    /// The child whose end is being told, which has been reaped.
    pub reaped: Option<i32>,
    /// There is a /proc, by which what left its group can be found.
    has_proc: bool,
    /// Slots whose pipes are open, and the pid of each.
    pub pipes: BTreeMap<ProcId, i32>,
    /// Logs opened for a child that is not spawned yet.
    opened: Vec<(ProcId, LogId)>,
    /// Open logs: whose each is, and its path.
    pub logs: BTreeMap<LogId, (ProcId, String)>,
    pub sockets: BTreeSet<SocketId>,
    /// Those whose children have said that they are ready, or of whom others said so.
    pub ready: BTreeSet<ProcId>,
    /// Connections given up by the service.
    pub closed: Vec<ConnId>,
    /// Each with the number of lines logged before it.
    pub did: VecDeque<(usize, Did)>,
    /// Calls that changed something; looking does not count.
    pub changes: u64,
    /// The configuration file, as somebody edits it.
    pub file: configuration::File,
    pub files: Files,
    loader: Loader,
    /// Connections that follow a file, and which.
    pub watches: BTreeMap<ConnId, String>,
    /// What goes to other daemons.
    pub network: Wire,
    next_pid: i32,
    next_log: u64,
    next_socket: u64,
    next_auto: u32,
}

impl SimHost {
    /// A system with a configuration; with `is_sequenced` that of a fleet of one.
    pub fn new(is_sequenced: bool, mut random: Random) -> SimHost {
        let trouble = if random.one_in(4) { Trouble::default() } else { Trouble::random(&mut random) };
        let file = configuration::File::new(is_sequenced, &mut random);
        let has_proc = !random.one_in(4);
        let mut files = Files::default();
        files.write("/etc/a.env", b"A=1\n");
        files.write("/etc/bad.env", b"no sign\n");
        let command_line = CommandLine { configuration: Some(MAIN_FILE.to_string()), ..CommandLine::default() };
        let loader = Loader::new("supervisord", command_line, &files);
        let mut host = SimHost {
            random,
            now: 0,
            wall_secs: 0,
            agenda: Agenda::default(),
            trouble,
            children: BTreeMap::new(),
            helpers: BTreeMap::new(),
            probes: BTreeMap::new(),
            next_probe: 0,
            orphans: Orphans::default(),
            reaped: None,
            has_proc,
            pipes: BTreeMap::new(),
            opened: Vec::new(),
            logs: BTreeMap::new(),
            sockets: BTreeSet::new(),
            ready: BTreeSet::new(),
            closed: Vec::new(),
            did: VecDeque::new(),
            changes: 0,
            file,
            files,
            loader,
            watches: BTreeMap::new(),
            network: Wire::default(),
            next_pid: 100,
            next_log: 0,
            next_socket: 0,
            next_auto: 0,
        };
        host.append(configuration::MAIN_LOG, b"the log begins\n");
        host
    }

    /// Reads the configuration as at a start.
    pub fn start(&mut self) -> Config {
        self.files.write(MAIN_FILE, self.file.text().as_bytes());
        if let Some(sequences) = &self.file.sequences {
            self.files.write(RULES, sequences.rules.as_bytes());
        }
        self.files.is_broken = false;
        self.loader.restart(&self.files);
        self.loader.load(&self.files).unwrap_or_else(|error| panic!("{error}\n{}", self.file.text()))
    }

    /// The same of a file with this text.
    pub fn start_with(&mut self, text: &str) -> Config {
        self.files.write(MAIN_FILE, text.as_bytes());
        self.loader.restart(&self.files);
        self.loader.load(&self.files).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// What read it, for the daemon.
    pub fn loader(&self) -> Loader {
        self.loader.clone()
    }

    /// What the files say, for a check; nothing changes.
    pub fn reload(&mut self) -> Config {
        self.files.is_broken = false;
        self.loader.load(&self.files).unwrap_or_else(|error| panic!("{error}\n{}", self.file.text()))
    }

    fn append(&mut self, path: &str, bytes: &[u8]) {
        self.files.append(path, bytes);
        for (conn, watched) in &self.watches {
            if watched == path {
                self.agenda.put(self.now, Happening::FileChanged(*conn));
            }
        }
    }

    fn empty(&mut self, path: &str) {
        self.files.remove(path);
        self.append(path, b"");
    }

    fn log_path(&self, log: LogId) -> String {
        self.logs.get(&log).unwrap_or_else(|| panic!("{log:?} is used and not open")).1.clone()
    }

    fn note(&mut self, did: Did) {
        self.did.push_back((lines::count(), did));
    }

    /// A number that no process had before.
    pub fn new_pid(&mut self) -> i32 {
        self.next_pid += 1;
        self.next_pid
    }

    /// Whether a kind of trouble strikes now.
    pub fn strikes(&mut self, rate: u64) -> bool {
        self.random.one_in(rate)
    }
}

impl Remains for SimHost {
    fn descendants(&mut self, pid: Pid) -> Vec<Remnant> {
        let lives = self.has_proc && self.children.get(&pid.0).is_some_and(|child| !child.is_dead);
        if lives { self.orphans.of_child(pid, self.now) } else { Vec::new() }
    }

    fn remains(&mut self, trail: &Trail<'_>) -> Option<Vec<Remnant>> {
        match (trail.cgroup, &trail.tree) {
            (Some(path), _) => Some(self.orphans.of_cgroup(path, self.now)),
            _ if !self.has_proc => None,
            (None, None) => Some(self.orphans.of_group(trail.group, self.now)),
            (None, Some(tree)) => {
                let mut left = self.orphans.of_child(trail.group, self.now);
                left.retain(|member| !(tree.is_ours)(member.pid));
                Some(left)
            }
        }
    }

    fn is_group_empty(&mut self, group: Pid) -> bool {
        let is_zombie = self.reaped != Some(group.0) && self.children.contains_key(&group.0);
        let is_empty = !is_zombie && self.orphans.of_group(group, self.now).is_empty();
        if is_empty {
            self.orphans.note_empty(group);
        }
        is_empty
    }

    fn signal_remnant(&mut self, member: Remnant, signal: i32) {
        self.changes += 1;
        self.orphans.signal_remnant(member, signal, self.now);
    }

    fn make_cgroup(&mut self, root: Option<&str>, name: &str) -> Result<String, String> {
        self.changes += 1;
        if self.strikes(self.trouble.cgroup) {
            return Err("/sys/fs/cgroup: EROFS".to_string());
        }
        Ok(format!("{}/{name}", root.unwrap_or("/sys/fs/cgroup")))
    }

    fn set_cgroup(&mut self, _: &str, _: &[(String, String)]) -> Result<(), String> {
        Ok(())
    }

    fn kill_cgroup(&mut self, path: &str) {
        self.changes += 1;
        self.orphans.kill_cgroup(path, self.now);
    }

    fn remove_cgroup(&mut self, _: &str) {
        self.changes += 1;
    }
}

impl Children for SimHost {
    fn find_command(&mut self, word: &str, _: Option<&str>) -> Result<String, CommandProblem> {
        if self.strikes(self.trouble.look) {
            return Err(CommandProblem::NoPermission(word.to_string()));
        }
        match word {
            "missing" => Err(CommandProblem::NotFound("missing".to_string())),
            "/bin/locked" => Err(CommandProblem::NotExecutable("/bin/locked".to_string())),
            _ => Ok(word.to_string()),
        }
    }

    fn spawn(&mut self, process: ProcId, launch: &Launch<'_>) -> Result<Pid, SpawnError> {
        assert!(!self.pipes.contains_key(&process), "{process:?} is spawned and has a child already");
        let config::Process { env_files, environment_from_file, .. } = launch.config;
        let has_files = !env_files.0.is_empty() || !environment_from_file.0.is_empty();
        assert_eq!(launch.from_files.is_some(), has_files, "K-7: {process:?} has what its files say");
        if let Some(files) = launch.from_files {
            assert_eq!(files.0.contains_key(b"A".as_slice()), !env_files.0.is_empty(), "K-7: {files:?}");
        }
        self.changes += 1;
        if self.strikes(self.trouble.pipes) {
            return Err(SpawnError::Pipe(*self.random.pick(&[libc::EMFILE, libc::ENFILE])));
        }
        if self.strikes(self.trouble.fork) {
            return Err(SpawnError::Fork(*self.random.pick(&[libc::EAGAIN, libc::ENOMEM])));
        }
        let pid = self.new_pid();
        let listener = handler(&launch.config.command).map(|handler| Listening {
            handler,
            counts_bytes: launch.config.command.ends_with(" bytes"),
            is_ready: false,
            holding: None,
            is_answering: false,
            is_broken: false,
        });
        let set_up_at = match self.random.below(20) {
            0 => self.now + self.random.below(60 * SECOND),
            1..4 => self.now + self.random.below(20 * MS),
            _ => self.now,
        };
        let failure = self.random.one_in(40).then(|| self.random.one_in(2).then(|| "nice".to_string()));
        let (own, rest) = std::mem::take(&mut self.opened).into_iter().partition(|(owner, _)| *owner == process);
        self.opened = rest;
        let logs = Vec::into_iter(own).map(|(_, log)| log).collect();
        let child = Child {
            process,
            set_up_at,
            failure,
            name: launch.config.name.clone(),
            command: launch.config.command.clone(),
            logs,
            is_dead: false,
            heard: Default::default(),
            is_killed: false,
            listener,
        };
        child.begin(pid, set_up_at, &mut self.random, &mut self.agenda);
        self.ready.remove(&process);
        if child.failure.is_none() {
            self.plan_messages(pid, set_up_at, launch.config);
        }
        self.children.insert(pid, child);
        self.pipes.insert(process, pid);
        if launch.config.program.killmode.minds_leftovers() {
            let names = (launch.group, launch.config.name.as_str());
            let is_seen = launch.cgroup.is_some() || self.has_proc && launch.config.program.killmode != KillMode::Group;
            self.orphans.begin(pid, names, launch.cgroup, is_seen, self.now, &mut self.random);
        }
        self.note(Did::Spawned { process, pid, group: launch.group.to_string() });
        Ok(Pid(pid))
    }

    fn set_up(&mut self, process: ProcId) -> SetUp {
        let Some(pid) = self.pipes.get(&process).copied() else { panic!("{process:?} has no child") };
        let Some(child) = self.children.get(&pid) else { return SetUp::Done };
        match &child.failure {
            _ if self.now < child.set_up_at && !child.is_dead => {
                self.agenda.put(child.set_up_at, Happening::SetUp { pid });
                SetUp::UnderWay
            }
            Some(option) if self.now >= child.set_up_at => SetUp::Failed(option.clone(), Errno(libc::EACCES)),
            _ => SetUp::Done,
        }
    }

    fn make_room(&mut self, _: usize) -> bool {
        self.random.one_in(2)
    }

    fn kill(&mut self, pid: Pid, signal: i32, group: bool) -> Result<(), Errno> {
        self.changes += 1;
        if let Some(helper) = self.helpers.get_mut(&pid.0) {
            helper.take_signal(pid.0, signal, self.now, &mut self.agenda);
            return Ok(());
        }
        if group {
            self.orphans.signal_group(pid, signal, self.now);
            // The rest of the group of one that has ended.
            if self.children.get(&pid.0).is_none_or(|child| child.is_dead) {
                return Ok(());
            }
        }
        let Some(child) = self.children.get_mut(&pid.0) else { panic!("{pid:?} is signalled and was reaped before") };
        if child.is_dead {
            self.note(Did::Killed { pid: pid.0, signal });
            return if self.random.one_in(2) { Err(Errno(libc::ESRCH)) } else { Ok(()) };
        }
        if self.random.one_in(self.trouble.kill) {
            self.note(Did::KillFailed);
            return Err(Errno(libc::EPERM));
        }
        child.take_signal(pid.0, signal, self.now, &mut self.random, &mut self.agenda);
        self.note(Did::Killed { pid: pid.0, signal });
        Ok(())
    }

    fn write_stdin(&mut self, process: ProcId, bytes: &[u8]) -> Result<(), StdinProblem> {
        let Some(pid) = self.pipes.get(&process).copied() else { return Err(StdinProblem::Closed) };
        self.changes += 1;
        if self.strikes(self.trouble.stdin) {
            return Err(*self.random.pick(&[StdinProblem::Closed, StdinProblem::Full]));
        }
        let Some(child) = self.children.get_mut(&pid) else { return Err(StdinProblem::Closed) };
        let counts_bytes = child.listener.as_ref().is_some_and(|listener| listener.counts_bytes);
        if let Some(event) = Envelope::read(bytes, counts_bytes) {
            child.take_event(pid, &event, self.now, &mut self.random, &mut self.agenda);
            self.note(Did::Sent {
                listener: process,
                serial: event.serial,
                pool_serial: event.pool_serial,
                content: content(&event),
            });
        }
        Ok(())
    }

    fn close_child(&mut self, process: ProcId) {
        // A process that is removed has nothing to close most of the time.
        if self.pipes.remove(&process).is_some() {
            self.changes += 1;
        }
    }

    fn usage(&mut self, _: Pid) -> Option<Usage> {
        self.random.one_in(2).then_some(Usage { cpu_ms: 1, rss_bytes: 4096 })
    }

    fn fcgi_open(&mut self, _: &FcgiSocket) -> Result<SocketId, String> {
        self.changes += 1;
        if self.strikes(self.trouble.socket) {
            return Err("[Errno 98] Address already in use".to_string());
        }
        self.next_socket += 1;
        self.sockets.insert(SocketId(self.next_socket));
        Ok(SocketId(self.next_socket))
    }

    fn fcgi_close(&mut self, socket: SocketId) {
        self.changes += 1;
        assert!(self.sockets.remove(&socket), "{socket:?} is closed and not open");
    }
}

impl Logs for SimHost {
    fn log_open(&mut self, plan: &LogPlan<'_>) -> Result<LogId, Errno> {
        let path = plan.path;
        self.changes += 1;
        if self.strikes(self.trouble.log_open) {
            return Err(Errno(*self.random.pick(&[libc::EMFILE, libc::EISDIR, libc::EACCES])));
        }
        self.next_log += 1;
        self.logs.insert(LogId(self.next_log), (plan.outlet.0, path.to_string()));
        self.opened.push((plan.outlet.0, LogId(self.next_log)));
        self.append(path, b"");
        Ok(LogId(self.next_log))
    }

    fn log_write(&mut self, log: LogId, bytes: &[u8]) {
        self.changes += 1;
        let path = self.log_path(log);
        self.append(&path, bytes);
    }

    fn log_was_interrupted(&mut self, _: LogId) -> bool {
        false
    }

    fn log_reopen(&mut self, log: LogId) {
        self.changes += 1;
        self.log_path(log);
    }

    fn log_clear(&mut self, log: LogId) -> Result<(), Errno> {
        self.changes += 1;
        let path = self.log_path(log);
        if self.strikes(self.trouble.log_clear) {
            return Err(Errno(libc::EACCES));
        }
        self.empty(&path);
        Ok(())
    }

    fn log_rotate(&mut self, log: LogId) -> bool {
        let path = self.log_path(log);
        self.empty(&path);
        true
    }

    fn log_close(&mut self, log: LogId) {
        self.changes += 1;
        self.log_path(log);
        self.logs.remove(&log);
        self.opened.retain(|(_, other)| *other != log);
    }

    fn log_make_auto(&mut self, dir: &str, process: &str, channel: Channel, _: &str) -> Result<String, Errno> {
        self.changes += 1;
        if self.strikes(self.trouble.log_auto) {
            return Err(Errno(libc::ENOSPC));
        }
        self.next_auto += 1;
        let path = format!("{dir}/{process}-{}-{}.log", channel.name(), self.next_auto);
        self.append(&path, b"");
        Ok(path)
    }

    fn print(&mut self, bytes: &[u8]) {
        self.changes += 1;
        assert!(bytes.ends_with(b"\n"), "only whole lines are printed");
    }

    fn syslog(&mut self, _: &SyslogAddress, _: &Label<'_>, _: &str, _: &[u8]) {
        self.changes += 1;
    }

    fn activity_reopen(&mut self) {
        self.changes += 1;
    }

    fn activity_rotate(&mut self) {}

    fn activity_clear(&mut self) -> Result<(), Errno> {
        self.changes += 1;
        if self.strikes(self.trouble.log_clear) {
            return Err(Errno(libc::EACCES));
        }
        self.empty(configuration::MAIN_LOG);
        Ok(())
    }
}

impl stheno::daemon::host::Files for SimHost {
    fn file_exists(&mut self, path: &str) -> bool {
        self.files.get(path).is_some()
    }

    fn file_size(&mut self, path: &str) -> Result<u64, Errno> {
        if self.strikes(self.trouble.look) {
            return Err(Errno(libc::EIO));
        }
        self.files.get(path).map(|bytes| bytes.len() as u64).ok_or(Errno(libc::ENOENT))
    }

    fn file_read(&mut self, path: &str, span: Span) -> Result<Vec<u8>, Errno> {
        if self.strikes(self.trouble.read) {
            return Err(Errno(libc::EIO));
        }
        let bytes = self.files.get(path).ok_or(Errno(libc::ENOENT))?;
        let start = (span.offset as usize).min(bytes.len());
        let end = start.saturating_add(span.length as usize).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    fn file_identity(&mut self, path: &str) -> Option<(u64, u64)> {
        let is_told = !self.strikes(self.trouble.look);
        self.files.inode(path).filter(|_| is_told).map(|inode| (1, inode))
    }

    fn file_modified(&mut self, path: &str) -> Option<i64> {
        self.files.get(path).map(|_| self.wall_secs)
    }

    fn file_replace(&mut self, path: &str, content: &[u8]) -> Result<(), Errno> {
        self.changes += 1;
        if self.strikes(self.trouble.replace) {
            return Err(Errno(libc::ENOSPC));
        }
        self.files.write(path, content);
        Ok(())
    }
}

/// What the host hands to a network, where there is one.
#[derive(Default)]
pub struct Wire {
    pub is_there: bool,
    pub datagrams: Vec<(SocketAddr, Vec<u8>)>,
    /// Connections that were begun, and where to.
    pub connects: Vec<(ConnId, SocketAddr)>,
    begun: u64,
}

impl Network for SimHost {
    fn resolve(&mut self, host: &str, port: u16) -> Option<SocketAddr> {
        Some(SocketAddr::new(host.parse().ok()?, port))
    }

    fn random(&mut self) -> [u8; 32] {
        self.changes += 1;
        std::array::from_fn(|_| self.random.below(256) as u8)
    }

    fn connect(&mut self, address: SocketAddr) -> Result<ConnId, Errno> {
        if !self.network.is_there {
            return Err(Errno(libc::ENETUNREACH));
        }
        self.network.begun += 1;
        let conn = ConnId(self.network.begun);
        self.network.connects.push((conn, address));
        Ok(conn)
    }

    fn open_datagrams(&mut self, _: SocketAddr) -> Result<(), Errno> {
        if self.network.is_there { Ok(()) } else { Err(Errno(libc::EADDRNOTAVAIL)) }
    }

    fn send_datagram(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.network.datagrams.push((to, bytes.to_vec()));
    }
}

impl Clients for SimHost {
    fn rank_connection(&mut self, _: ConnId, _: Standing) {}

    fn watch_file(&mut self, conn: ConnId, path: &str) {
        self.changes += 1;
        self.watches.insert(conn, path.to_string());
    }

    fn unwatch_file(&mut self, conn: ConnId) {
        self.changes += 1;
        self.watches.remove(&conn);
    }

    fn close_connection(&mut self, conn: ConnId) {
        self.changes += 1;
        self.closed.push(conn);
    }
}

impl Host for SimHost {
    fn env(&mut self) -> &dyn Env {
        self.files.is_broken = self.strikes(self.trouble.load);
        &self.files
    }

    fn try_next(&mut self, _: &Config) -> Result<(), stheno::daemon::host::Unmet> {
        Ok(())
    }

    fn has_loaded(&mut self, config: Option<&Config>) {
        self.changes += 1;
        if let Some(config) = config {
            self.note(Did::Loaded(Box::new(config.clone())));
        }
    }

    fn claim_machine(&mut self) -> Result<(), NotOurs> {
        Err(NotOurs::NotInit)
    }

    fn utc_offset(&mut self, _: i64) -> i64 {
        0
    }

    fn own_pid(&mut self) -> i32 {
        1
    }

    fn local_short(&mut self, _: i64) -> String {
        "Nov 21 02:55 AM".to_string()
    }

    fn local_ctime(&mut self, _: i64) -> String {
        "Sat Nov 21 02:58:33 2026".to_string()
    }
}

/// The result handler of the pool that a listener belongs to; `None` for other children.
fn handler(command: &str) -> Option<ResultHandler> {
    match command.split(' ').nth(1)? {
        "supervisor.dispatchers:default_handler" => Some(ResultHandler::Default),
        "supervisor_twiddler.resulthandler:stdin_write_handler" => Some(ResultHandler::StdinWrite),
        "supervisor_stdout:event_handler" => Some(ResultHandler::Stdout),
        _ => None,
    }
}

/// A number that stands for what an event says.
fn content(event: &Envelope<'_>) -> u64 {
    let bytes = event.pool.bytes().chain(event.name.bytes()).chain(event.payload.iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
