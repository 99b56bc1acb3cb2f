//! The real [`Host`]: what the daemon asks for, done with the system.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::rc::Rc;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::children::Children;
use super::clients::Clients;
use super::compressor::Compressor;
use super::datagrams;
use super::helpers::Helpers;
use super::log_total::LogTotal;
use super::token::{Source, Watched};
use crate::clock::{Mono, Now, Wall};
use crate::config::{self, Config, FcgiSocket, Probe, Ready, SyslogAddress, SystemEnv};
use crate::daemon::host::{
    self, CommandProblem, Errno, Files, FromFiles, Host, Launch, Logs, NotOurs, SetUp, Span, SpawnError, Standing,
    StdinProblem, Unmet, Usage,
};
use crate::id::{Channel, ConnId, IdMap, LogId, Pid, ProcId, SocketId};
use crate::logs::child::{self, ChildLog, LogPlan};
use crate::logs::syslog::{Label, Syslog};
use crate::logs::{activity, auto, stream};
use crate::sys::environment::{CStrings, Environment, Pair, ZeroByte};
use crate::sys::remains::Table;
use crate::sys::spawn::{self, How, Pipes, Plan, Setting, Stdin};
use crate::sys::users::{self, Login, RunAs, Switch};
use crate::sys::watch::Watches;
use crate::sys::{
    cgroup, command, errno_of, fd, file, machine, notify, peer, process, random_bytes, resolve, sockets, standard, time,
};

/// Closed logs that wait to be written, 64 KiB of each at most: as many as programs usually are.
const STRANDED_MAX: usize = 64;

/// Time in all that one turn gives to children on the way to their programs when somebody wants to know whether they are
/// there. Nearly all are within half a millisecond. With `startsecs=0` they are asked at once, and without it the order
/// of events, lines and answers would be a matter of luck, where the original's is fixed. One that is held up longer
/// costs this once.
pub(super) const SET_UP_PATIENCE: Duration = Duration::from_millis(4);

/// Syslog daemons that messages are kept for at a time, 64 KiB for each: far more than anybody has.
const SYSLOGS_MAX: usize = 16;

/// The variables of `login_env`.
const OF_LOGIN: [&[u8]; 4] = [b"HOME", b"USER", b"LOGNAME", b"SHELL"];

/// A child's log, and its place in the poll from the first time on that a reader was slow.
struct Log {
    log: ChildLog,
    outlet: (ProcId, Channel),
}

/// The system, with everything of it that is open.
pub struct System {
    pub(super) watched: Watched,
    pub(super) children: Children,
    pub(super) helpers: Helpers,
    pub(super) clients: Clients,
    /// Connections that were closed to make room, which the service has to hear of.
    pub(super) gone: Vec<ConnId>,
    /// Connections that the service has given up.
    pub(super) closed: Vec<ConnId>,
    pub(super) now: Now,
    /// What is left of [`SET_UP_PATIENCE`] in this turn.
    pub(super) patience: Duration,
    /// A configuration has been read since the reactor last looked.
    pub(super) has_loaded: bool,
    /// The process table as it was in this turn, if anybody asked.
    pub(super) table: Option<Table>,
    /// Bytes to listeners and clients since memory was last given back.
    pub(super) moved_bytes: usize,
    logs: IdMap<LogId, Log>,
    /// Channels that are not read while a stream is full.
    paused: BTreeSet<(ProcId, Channel)>,
    /// Logs that are closed and could not be written to the end.
    stranded: Vec<ChildLog>,
    next_log: u64,
    sockets: HashMap<SocketId, OwnedFd>,
    next_socket: u64,
    environment: Environment,
    /// What becoming a user takes: looking it up reads files.
    switches: HashMap<RunAs, Switch>,
    /// The same of what a login would give, by uid.
    logins: HashMap<u32, Option<Login>>,
    /// Clients of syslog daemons, by who listens.
    syslogs: HashMap<SyslogAddress, Syslog>,
    pub(super) compressor: Compressor,
    /// Keeps all logs together within a limit.
    log_total: Option<LogTotal>,
    /// Made when the first client follows a log.
    watches: Option<Watches<ConnId>>,
    /// That of a fleet.
    pub(super) datagrams: Option<UdpSocket>,
}

impl System {
    /// A system whose sources stand in that poll.
    pub fn new(registry: Registry) -> System {
        System {
            watched: Watched::new(registry),
            children: Children::default(),
            helpers: Helpers::default(),
            clients: Clients::default(),
            gone: Vec::new(),
            closed: Vec::new(),
            patience: SET_UP_PATIENCE,
            now: Now { mono: Mono(0), wall: Wall(0) },
            paused: BTreeSet::new(),
            stranded: Vec::new(),
            has_loaded: true,
            table: None,
            moved_bytes: 0,
            logs: IdMap::default(),
            next_log: 0,
            sockets: HashMap::new(),
            next_socket: 0,
            environment: Environment::inherited(),
            switches: HashMap::new(),
            logins: HashMap::new(),
            syslogs: HashMap::new(),
            compressor: Compressor::default(),
            log_total: None,
            watches: None,
            datagrams: None,
        }
    }

    /// Keeps all logs together below so many bytes: those of programs, and our own of that path with so many backups.
    pub fn limit_logs(&mut self, max: u64, own: Option<(&str, u32)>) {
        let mut total = LogTotal::new(max);
        if let Some((path, backups)) = own {
            total.add(path, backups);
        }
        self.log_total = Some(total);
    }

    /// Whether logs are to be looked at, or removed, in the next turn.
    pub(super) fn minds_log_total(&self) -> bool {
        self.log_total.as_ref().is_some_and(LogTotal::is_busy)
    }

    /// Removes logs if there may be too much of them.
    pub(super) fn mind_log_total(&mut self) {
        let Some(total) = self.log_total.as_mut() else { return };
        total.count(activity::take_written());
        if !total.is_busy() {
            return;
        }
        let logs = &mut self.logs;
        let emptied = total.work(&mut |path| {
            match logs.values_mut().find(|open| open.log.path() == path) {
                Some(open) => open.log.begin_anew(),
                None if activity::is_at(path) => activity::begin_anew(),
                // Of a program that does not run.
                None => OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(0)),
            }
        });
        for path in emptied {
            activity!(Warn, "log_total_max: {path} begins anew, for there are no older logs to be removed");
        }
    }

    /// Connections whose followed file has changed.
    pub(super) fn changed_files(&mut self) -> BTreeSet<ConnId> {
        self.watches.as_mut().map(Watches::changed).unwrap_or_default()
    }

    /// Streams that logs go to take more: what waits is written, and children whose output was paused are read again.
    pub(super) fn flush_streams(&mut self, unfinished: &mut Vec<Source>) {
        for (path, lost) in stream::flush() {
            child::tell_slow(&path, lost);
        }
        if !self.paused.is_empty() && stream::pending().is_empty() {
            let paused = std::mem::take(&mut self.paused).into_iter();
            unfinished.extend(paused.map(|(id, channel)| Source::Output(id, channel)));
        }
    }

    /// Whether a channel is not to be read: its log takes no more and may lose nothing.
    pub(super) fn is_paused(&self, id: ProcId, channel: Channel) -> bool {
        !self.paused.is_empty() && self.paused.contains(&(id, channel))
    }

    fn plan<'a>(&mut self, launch: &Launch<'_>, stdin: Stdin<'a>) -> Result<Plan<'a>, &'static str> {
        let config::Process { program, directory, .. } = launch.config;
        let (user, groups) = (program.user.as_ref(), program.groups.as_ref().map(|groups| Rc::clone(&groups.ids)));
        let switch = match (user, &groups) {
            (None, None) => Switch::Keep,
            _ => {
                let (uid, gid) = (user.map(|user| user.uid), user.and_then(|user| user.gid));
                let target = RunAs { uid, gid, groups };
                self.switches.entry(target).or_insert_with_key(Switch::to).clone()
            }
        };
        let directory = directory.as_deref().map(CString::new).transpose();
        let mut settings = spawn::settings(program);
        if let Some(cgroup) = launch.cgroup {
            settings.insert(0, in_cgroup(cgroup).map_err(|_| "cgroup")?);
        }
        Ok(Plan {
            path: CString::new(launch.path).map_err(|_| "command")?,
            argv: CStrings::from_words(launch.argv).map_err(|_| "command")?,
            environment: self.environment_of(launch).map_err(|_| "environment")?,
            stdin,
            redirect_stderr: program.redirect_stderr,
            settings,
            switch,
            no_new_privs: program.no_new_privs,
            deathsig: None,
            directory: directory.map_err(|_| "directory")?,
            umask: program.umask.map(|umask| umask.0),
            extra: None,
            names_pid: false,
        })
    }

    /// The whole environment of a child (P-58). With environment files, ours is the last word (K-7).
    fn environment_of(&mut self, launch: &Launch<'_>) -> Result<CStrings, ZeroByte> {
        fn text<'a>((key, value): (&'a str, &'a str)) -> Pair<'a> {
            (key.as_bytes(), value.as_bytes())
        }
        let config::Process { name, program, environment, own_environment, .. } = launch.config;
        let url = program.serverurl.url.as_deref().filter(|url| !url.is_empty());
        let mut ours: Vec<Pair> = vec![text(("SUPERVISOR_ENABLED", "1"))];
        ours.extend(url.map(|url| text(("SUPERVISOR_SERVER_URL", url))));
        ours.push(text(("SUPERVISOR_PROCESS_NAME", name)));
        ours.push(text(("SUPERVISOR_GROUP_NAME", launch.group)));
        ours.extend(launch.variables.iter().map(|(key, value)| text((key, value))));
        let configured = environment.iter().map(|(key, value)| text((key, value)));
        let pairs: Vec<Pair> = match launch.from_files {
            None => ours.into_iter().chain(configured).collect(),
            Some(FromFiles(files)) => {
                let files = files.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
                let own = own_environment.iter().map(|(key, value)| text((key, value)));
                configured.chain(files).chain(own).chain(ours).collect()
            }
        };
        let is_inherited = |key: &[u8]| program.environment_inherit.has(key);
        if !program.login_env {
            return self.environment.overlaid(is_inherited, &pairs);
        }
        let uid = program.user.as_ref().map_or_else(users::current_uid, |user| user.uid);
        let login = self.logins.entry(uid).or_insert_with(|| users::login(uid));
        // Whoever has no entry finds no name of somebody else, either.
        let of_login: Vec<(&str, &str)> = match login {
            Some(Login { name, home, shell }) => {
                vec![("HOME", home), ("USER", name), ("LOGNAME", name), ("SHELL", shell)]
            }
            None => vec![("HOME", "/")],
        };
        let pairs: Vec<Pair> = of_login.into_iter().map(text).chain(pairs).collect();
        self.environment.overlaid(|key| is_inherited(key) && !OF_LOGIN.contains(&key), &pairs)
    }

    /// The notify socket of a child to be, and its address.
    fn open_notify(&self, launch: &Launch<'_>) -> std::io::Result<Option<notify::Socket>> {
        let program = &launch.config.program;
        if launch.config.ready != Ready::Notify && program.watchdog_sec.0.is_zero() {
            return Ok(None);
        }
        let name = format!("{}-{}.notify", launch.group, launch.config.name).replace('/', "_");
        let path = program.notify_dir.as_ref().map(|directory| format!("{}/{name}", directory.0));
        let made = notify::open(path.as_deref())?;
        if let Some((path, user)) = path.zip(program.user.as_ref()) {
            std::os::unix::fs::chown(path, Some(user.uid), None)?;
        }
        Ok(Some(made))
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno(errno_of(&error))
}

impl host::Children for System {
    fn find_command(&mut self, word: &str, path: Option<&str>) -> Result<String, CommandProblem> {
        let own = self.environment.get("PATH").and_then(|path| path.to_str());
        let found = command::find(word, path.or(own))?;
        Ok(found.to_string_lossy().into_owned())
    }

    fn spawn(&mut self, id: ProcId, launch: &Launch<'_>) -> Result<Pid, SpawnError> {
        let socket = launch.socket.and_then(|socket| self.sockets.get(&socket)).map(|fd| fd.try_clone());
        let shared = socket.transpose().map_err(|error| SpawnError::Pipe(errno_of(&error)))?;
        let stdin = match &shared {
            Some(fd) => Stdin::Shared(fd.as_fd()),
            None if launch.config.program.is_main => Stdin::Ours,
            None => Stdin::Pipe,
        };
        let pipe = |error: std::io::Error| SpawnError::Pipe(errno_of(&error));
        let notify = self.open_notify(launch).map_err(pipe)?;
        let descriptor = launch.config.ready.descriptor();
        let ready = descriptor.map(|number| Ok((fd::pipe()?, number))).transpose().map_err(pipe)?;
        let launch = &with_variables(launch, notify.as_ref().map(|socket| socket.address.as_str()));
        let mut plan = self.plan(launch, stdin).map_err(SpawnError::ZeroByte)?;
        plan.extra = ready.as_ref().map(|(pipe, number)| (pipe.write.as_fd(), *number));
        plan.deathsig = launch.config.program.deathsig.map(|signal| signal.0);
        plan.names_pid = !launch.config.program.watchdog_sec.0.is_zero();
        let pipes = Pipes::open(&plan)?;
        let watched = Children::watch(id, &pipes, &mut self.watched);
        let tokens = watched.map_err(|error| SpawnError::Pipe(errno_of(&error)))?;
        let spawned = match spawn::spawn(&plan, pipes) {
            Ok(spawned) => spawned,
            Err(error) => {
                tokens.forget(&mut self.watched);
                return Err(error);
            }
        };
        let pid = spawned.pid;
        self.children.add(id, spawned, tokens);
        if let Some(socket) = notify {
            let added = self.helpers.add_notify(id, socket, &mut self.watched);
            added.unwrap_or_else(|error| activity!(Error, "cannot hear of {}: {error}", launch.config.name));
        }
        if let Some((pipe, _)) = ready {
            let added =
                fd::set_nonblocking(&pipe.read).and_then(|()| self.helpers.add_ready(id, pipe.read, &mut self.watched));
            added.unwrap_or_else(|error| activity!(Error, "cannot hear of {}: {error}", launch.config.name));
        }
        Ok(pid)
    }

    fn set_up(&mut self, id: ProcId) -> SetUp {
        self.children.set_up(id, &mut self.patience, &mut self.watched)
    }

    fn make_room(&mut self, descriptors: usize) -> bool {
        let gone = self.clients.make_room(descriptors, &mut self.watched);
        let made = !gone.is_empty();
        if made {
            activity!(Warn, "too many open files: {} connections were closed to make room for a child", gone.len());
        }
        self.gone.extend(gone);
        made
    }

    fn kill(&mut self, pid: Pid, signal: i32, group: bool) -> Result<(), Errno> {
        let sent = if group { process::kill_group(pid, signal) } else { process::kill(pid, signal) };
        sent.map_err(Errno)
    }

    fn write_stdin(&mut self, process: ProcId, bytes: &[u8]) -> Result<(), StdinProblem> {
        self.moved_bytes += bytes.len();
        self.children.write(process, bytes, &mut self.watched)
    }

    fn close_child(&mut self, process: ProcId) {
        self.children.remove(process, &mut self.watched);
        self.helpers.close_child(process, &mut self.watched);
    }

    fn usage(&mut self, pid: Pid) -> Option<Usage> {
        peer::usage(pid)
    }

    fn fcgi_open(&mut self, socket: &FcgiSocket) -> Result<SocketId, String> {
        let fd = sockets::listen_fcgi(socket)?;
        let id = SocketId(self.next_socket);
        self.next_socket += 1;
        self.sockets.insert(id, fd);
        Ok(id)
    }

    fn fcgi_close(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
    }
}

/// The first thing that a child does is to move into its cgroup.
fn in_cgroup(path: &str) -> Result<Setting, std::ffi::NulError> {
    let path = CString::new(format!("{path}/{}", cgroup::PROCESSES))?;
    Ok(Setting { option: "killmode", how: How::Write { path, text: b"0".to_vec() } })
}

/// What a child finds about its readiness and its watchdog.
fn with_variables<'a>(launch: &Launch<'a>, notify: Option<&str>) -> Launch<'a> {
    let config = launch.config;
    let mut variables = launch.variables.clone();
    variables.extend(notify.map(|address| ("NOTIFY_SOCKET", address.to_string())));
    let period = config.program.watchdog_sec.0;
    if !period.is_zero() {
        variables.push(("WATCHDOG_USEC", period.as_micros().to_string()));
    }
    if let (Ready::FdIn(name), Some(number)) = (&config.ready, config.ready.descriptor()) {
        variables.push((name, number.to_string()));
    }
    Launch { variables, ..*launch }
}

impl host::Helpers for System {
    fn spawn_helper(&mut self, launch: &Launch<'_>) -> Result<Pid, SpawnError> {
        let pipe = |error: std::io::Error| SpawnError::Pipe(errno_of(&error));
        let null = standard::null().map_err(pipe)?;
        let null = fd::duplicate(null.as_fd()).map_err(pipe)?;
        let mut plan = self.plan(launch, Stdin::Shared(null.as_fd())).map_err(SpawnError::ZeroByte)?;
        plan.redirect_stderr = true;
        let pipes = Pipes::open(&plan)?;
        let spawned = spawn::spawn(&plan, pipes)?;
        if let Err(error) = self.helpers.add_output(spawned.pid, spawned.stdout, &mut self.watched) {
            activity!(Error, "cannot read what a hook or probe writes: {error}");
        }
        Ok(spawned.pid)
    }

    fn close_helper(&mut self, pid: Pid) {
        self.helpers.close_output(pid, &mut self.watched);
    }

    fn begin_probe(&mut self, process: ProcId, probe: &Probe) -> Option<Result<(), String>> {
        self.helpers.begin_probe(process, probe, &mut self.watched)
    }

    fn end_probe(&mut self, process: ProcId) {
        self.helpers.end_probe(process, &mut self.watched);
    }

    fn process_group(&mut self, pid: Pid) -> Option<Pid> {
        process::group_of(pid)
    }

    fn is_our_child(&mut self, pid: Pid) -> bool {
        peer::parent(pid) == i32::try_from(std::process::id()).ok().map(Pid)
    }

    fn memory(&mut self, pid: Pid, tree: bool) -> Option<u64> {
        if tree { peer::tree_memory(pid) } else { peer::usage(pid).map(|usage| usage.rss_bytes) }
    }
}

impl Logs for System {
    fn log_open(&mut self, plan: &LogPlan<'_>) -> Result<LogId, Errno> {
        let stranded = self.stranded.iter().position(|log| log.path() == plan.path);
        let log = match stranded {
            Some(at) => {
                let mut log = self.stranded.swap_remove(at);
                log.adopt(plan);
                log
            }
            None => ChildLog::open(plan).map_err(errno)?,
        };
        if let Some(total) = self.log_total.as_mut().filter(|_| log.is_file()) {
            total.add(plan.path, plan.backups);
        }
        let id = LogId(self.next_log);
        self.next_log += 1;
        self.logs.insert(id, Log { log, outlet: plan.outlet });
        Ok(id)
    }

    fn log_write(&mut self, id: LogId, bytes: &[u8]) {
        let Some(Log { log, outlet }) = self.logs.get_mut(&id) else { return };
        if let Some(total) = &mut self.log_total {
            total.count(bytes.len() as u64);
        }
        if log.write(bytes, self.now.mono) {
            if log.is_full() {
                self.paused.insert(*outlet);
            }
            self.compressor.mind(log);
        }
    }

    fn log_was_interrupted(&mut self, id: LogId) -> bool {
        self.logs.get(&id).is_some_and(|log| log.log.was_interrupted())
    }

    fn log_reopen(&mut self, id: LogId) {
        if let Some(log) = self.logs.get_mut(&id) {
            log.log.reopen();
        }
    }

    fn log_clear(&mut self, id: LogId) -> Result<(), Errno> {
        self.logs.get_mut(&id).map_or(Ok(()), |log| log.log.clear().map_err(errno))
    }

    fn log_rotate(&mut self, id: LogId) -> bool {
        let Some(Log { log, .. }) = self.logs.get_mut(&id) else { return false };
        let is_begun = log.rotate();
        self.compressor.mind(log);
        is_begun
    }

    fn log_close(&mut self, id: LogId) {
        let Some(Log { mut log, outlet }) = self.logs.remove(&id) else { return };
        self.paused.remove(&outlet);
        if !log.write_rest() {
            // The next run goes on with it.
            if self.stranded.len() >= STRANDED_MAX {
                self.stranded.remove(0).give_up();
            }
            self.stranded.push(log);
        }
    }

    fn log_make_auto(
        &mut self,
        directory: &str,
        process: &str,
        channel: Channel,
        identifier: &str,
    ) -> Result<String, Errno> {
        auto::create(directory, process, channel, identifier).map_err(errno)
    }

    fn print(&mut self, bytes: &[u8]) {
        // Nothing may wait for whoever reads our stdout: what does not go out at once is dropped.
        let stdout = std::io::stdout();
        if fd::is_writable_now(stdout.as_fd()) {
            let _ = fd::write(stdout.as_fd(), bytes);
        }
    }

    fn syslog(&mut self, address: &SyslogAddress, label: &Label<'_>, process: &str, chunk: &[u8]) {
        if !self.syslogs.contains_key(address) {
            if self.syslogs.len() >= SYSLOGS_MAX {
                // Those of an earlier configuration go, and if need be what they could not send.
                self.syslogs.retain(|_, syslog| !syslog.is_idle());
            }
            if self.syslogs.len() >= SYSLOGS_MAX {
                self.syslogs.clear();
            }
            self.syslogs.insert(address.clone(), Syslog::new(address));
        }
        let Some(syslog) = self.syslogs.get_mut(address) else { return };
        syslog.send_output(self.now, label, process, chunk);
        let lost = syslog.take_lost();
        if lost > 0 {
            activity!(Warn, "{lost} messages for syslog were lost");
        }
    }

    fn activity_reopen(&mut self) {
        activity::reopen();
    }

    fn activity_rotate(&mut self) {
        activity::rotate();
    }

    fn activity_clear(&mut self) -> Result<(), Errno> {
        activity::clear().map_err(errno)
    }
}

impl Files for System {
    fn file_exists(&mut self, path: &str) -> bool {
        std::fs::metadata(path).is_ok()
    }

    fn file_size(&mut self, path: &str) -> Result<u64, Errno> {
        std::fs::metadata(path).map(|data| data.len()).map_err(errno)
    }

    fn used(&mut self, path: &str) -> Option<f64> {
        crate::sys::partition::used(path)
    }

    fn file_read(&mut self, path: &str, span: Span) -> Result<Vec<u8>, Errno> {
        if span.length == 0 {
            return Ok(Vec::new());
        }
        // Opening a pipe, and reading from one or from a terminal, could block for ever.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(errno)?;
        if !file.metadata().map_err(errno)?.is_file() {
            return Err(Errno(libc::ESPIPE));
        }
        let mut bytes = vec![0; usize::try_from(span.length).unwrap_or(usize::MAX)];
        let mut have = 0;
        while have < bytes.len() {
            match file.read_at(&mut bytes[have..], span.offset + have as u64) {
                Ok(0) => break,
                Ok(more) => have += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(errno(error)),
            }
        }
        bytes.truncate(have);
        Ok(bytes)
    }

    fn file_identity(&mut self, path: &str) -> Option<(u64, u64)> {
        std::fs::metadata(path).ok().map(|data| (data.dev(), data.ino()))
    }

    fn file_modified(&mut self, path: &str) -> Option<i64> {
        std::fs::metadata(path).ok().map(|data| data.mtime())
    }

    fn make_directory(&mut self, path: &str) {
        // What keeps it from being made keeps the file from being written, which is told.
        let _ = std::fs::create_dir_all(path);
    }

    fn file_replace(&mut self, path: &str, content: &[u8]) -> Result<(), Errno> {
        file::replace(path, content, 0o600).map_err(errno)
    }
}

impl host::Clients for System {
    fn rank_connection(&mut self, conn: ConnId, standing: Standing) {
        self.clients.rank(conn, standing);
    }

    fn watch_file(&mut self, conn: ConnId, path: &str) {
        if self.watches.is_none() {
            let made = Watches::new().and_then(|watches| {
                let fd = watches.as_fd().as_raw_fd();
                // It is never closed, and so its token stays.
                let mut token = None;
                self.watched.watch(&mut SourceFd(&fd), &mut token, Source::Watches, Interest::READABLE)?;
                Ok(watches)
            });
            match made {
                Ok(watches) => self.watches = Some(watches),
                Err(error) => activity!(Error, "cannot watch files, so followed logs stand still: {error}"),
            }
        }
        if let Some(watches) = &mut self.watches {
            watches.watch(conn, path);
        }
    }

    fn unwatch_file(&mut self, conn: ConnId) {
        if let Some(watches) = &mut self.watches {
            watches.forget(conn);
        }
    }

    fn close_connection(&mut self, conn: ConnId) {
        self.closed.push(conn);
    }
}

impl host::Network for System {
    fn resolve(&mut self, host: &str, port: u16) -> Option<SocketAddr> {
        resolve::resolve(host, port)
    }

    fn random(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        if let Err(error) = random_bytes(&mut bytes) {
            activity!(Error, "the system has no random numbers: {error}");
        }
        bytes
    }

    fn connect(&mut self, address: SocketAddr) -> Result<ConnId, Errno> {
        self.clients.connect(address, &mut self.watched).map_err(errno)
    }

    fn open_datagrams(&mut self, address: SocketAddr) -> Result<(), Errno> {
        self.datagrams = Some(datagrams::open(address, &mut self.watched).map_err(errno)?);
        Ok(())
    }

    fn send_datagram(&mut self, to: SocketAddr, bytes: &[u8]) {
        if let Some(socket) = &self.datagrams {
            let _ = socket.send_to(bytes, to);
        }
    }
}

impl Host for System {
    fn env(&mut self) -> &dyn config::Env {
        &SystemEnv
    }

    fn has_loaded(&mut self, _: Option<&Config>) {
        self.has_loaded = true;
    }

    fn try_next(&mut self, next: &Config) -> Result<(), Unmet> {
        System::try_next(self, next)
    }

    fn claim_machine(&mut self) -> Result<(), NotOurs> {
        machine::claim().map(drop)
    }

    fn utc_offset(&mut self, wall_secs: i64) -> i64 {
        time::local(wall_secs).offset_secs
    }

    fn own_pid(&mut self) -> i32 {
        std::process::id() as i32
    }

    fn local_short(&mut self, wall_secs: i64) -> String {
        time::stop_time(wall_secs)
    }

    fn local_ctime(&mut self, wall_secs: i64) -> String {
        time::ctime(wall_secs)
    }
}
