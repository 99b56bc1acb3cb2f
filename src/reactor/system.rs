//! The real [`Host`]: what the daemon asks for, done with the system.

mod launch;
mod logs;

use std::collections::{BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::net::SocketAddr;
#[cfg(feature = "fleet")]
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::children::Children;
use super::clients::Clients;
use super::compressor::Compressor;
use super::datagrams::Datagrams;
use super::helpers::Helpers;
use super::log_total::LogTotal;
use super::token::{Source, Watched};
use crate::clock::{Mono, Now, Wall};
use crate::config::{self, Config, SyslogAddress, SystemEnv};
use crate::daemon::host::{self, Errno, Files, Host, NotOurs, Span, Standing, Unmet};
use crate::id::{Channel, ConnId, IdMap, LogId, ProcId, SocketId};
use crate::logs::child::{self, ChildLog};
use crate::logs::syslog::Syslog;
use crate::logs::{activity, stream};
use crate::sys::environment::Environment;
use crate::sys::remains::Table;
use crate::sys::users::{Login, RunAs, Switch};
use crate::sys::watch::Watches;
use crate::sys::{errno_of, file, machine, random_bytes, resolve, time};

/// Time in all that one turn gives to children on the way to their programs when somebody wants to know whether they are
/// there. Nearly all are within half a millisecond. With `startsecs=0` they are asked at once, and without it the order
/// of events, lines and answers would be a matter of luck, where the original's is fixed. One that is held up longer
/// costs this once.
pub(super) const SET_UP_PATIENCE: Duration = Duration::from_millis(4);

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
    pub(super) datagrams: Datagrams,
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
            datagrams: Datagrams::default(),
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

    /// The end of a run: what no log and no syslog daemon has taken until now is tried once more, and counted if it is lost.
    pub(super) fn tell_losses(&mut self) {
        let open = std::mem::take(&mut self.logs).into_values().map(|log| log.log);
        for mut log in std::mem::take(&mut self.stranded).into_iter().chain(open) {
            if !log.write_rest() {
                log.give_up();
            }
        }
        for syslog in self.syslogs.values_mut() {
            tell_lost_messages(syslog.end());
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
}

fn tell_lost_messages(lost: u64) {
    if lost > 0 {
        activity!(Warn, "{lost} messages for syslog were lost");
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno(errno_of(&error))
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
        self.datagrams.open(address, &mut self.watched).map_err(errno)
    }

    fn send_datagram(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.datagrams.send(to, bytes);
    }

    #[cfg(feature = "fleet")]
    fn join_group(&mut self, group: SocketAddrV4, interface: Ipv4Addr, ttl: u8) -> Result<(), Errno> {
        self.datagrams.join(group, interface, ttl, &mut self.watched).map_err(errno)
    }

    #[cfg(feature = "fleet")]
    fn tell_group(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.datagrams.tell_group(bytes).map_err(errno)
    }

    #[cfg(feature = "fleet")]
    fn ask_name_server(&mut self, server: SocketAddr, bytes: &[u8]) {
        self.datagrams.ask(server, bytes, &mut self.watched);
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
