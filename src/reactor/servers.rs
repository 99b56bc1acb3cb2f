//! Opening the HTTP servers, trying whether those of another configuration could be opened, and opening late what could not be.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::clients::ListenSocket;
use super::{Reactor, System};
use crate::clock::{Mono, Now, earliest};
use crate::config::{Config, LogFile, Server, ServerAddress};
use crate::daemon::host::Unmet;
use crate::errno;
use crate::logs::activity;
use crate::logs::sink::Sink;
use crate::sys::sockets::{self, ListenError};
use crate::sys::{holder, resolve, users};

/// The pause before the second attempt, and the longest: an attempt may take as long as looking up a name does, and whoever
/// took the place may keep it for ever.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A server that could not listen.
pub(super) struct Vacancy {
    server: Server,
    /// Where it is to listen: its host is looked up but once, for that may take its time.
    address: ServerAddress,
    /// Its place among the servers.
    place: usize,
    pause: Duration,
    next: Mono,
}

/// Servers that could not listen when their run began.
#[derive(Default)]
pub(super) struct Vacancies {
    vacant: Vec<Vacancy>,
    /// Socket files of those that listen by now.
    pub(super) filled: Vec<String>,
}

impl Vacancies {
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.vacant.iter().fold(None, |first, vacancy| earliest(&[first, Some(vacancy.next)]))
    }
}

impl Reactor {
    /// Opens a server; their order is that of the configuration. One that cannot listen keeps its place.
    pub fn listen(&mut self, server: &Server) -> Result<(), ListenError> {
        let place = self.system.clients.add_server(server.address.clone());
        self.open_server(place, &server.address)
    }

    /// The server that could not listen just now is tried again, with growing pauses, until it does.
    pub fn listen_later(&mut self, server: &Server, now: Now) {
        let place = self.system.clients.last_server();
        let mut address = server.address.clone();
        if let ServerAddress::Inet { host, port } = &mut address
            && let Some(found) = resolve::resolve(host, *port)
        {
            *host = found.ip().to_string();
        }
        let (server, next) = (server.clone(), now.mono.after(FIRST_PAUSE));
        self.vacancies.vacant.push(Vacancy { server, address, place, pause: FIRST_PAUSE, next });
    }

    fn open_server(&mut self, place: usize, address: &ServerAddress) -> Result<(), ListenError> {
        let listener = match address {
            ServerAddress::Inet { host, port } => {
                ListenSocket::Tcp(mio::net::TcpListener::from_std(sockets::listen_inet(host, *port)?))
            }
            ServerAddress::Unix { path, mode, owner } => {
                ListenSocket::Unix(mio::net::UnixListener::from_std(sockets::listen_unix(path, *mode, *owner)?))
            }
        };
        Ok(self.system.clients.listen(place, listener, &mut self.system.watched)?)
    }

    /// Tries those again whose pause is over.
    pub(super) fn fill_vacancies(&mut self, now: Now) {
        for mut vacancy in std::mem::take(&mut self.vacancies.vacant) {
            if now.mono >= vacancy.next {
                if self.open_server(vacancy.place, &vacancy.address).is_ok() {
                    let Server { section, address, credentials } = &vacancy.server;
                    activity!(Info, "Server '{section}' listens at {address} now");
                    if credentials.is_none() {
                        activity!(Critical, "Server '{section}' running without any HTTP authentication checking");
                    }
                    if let ServerAddress::Unix { path, .. } = address {
                        self.vacancies.filled.push(path.clone());
                    }
                    continue;
                }
                vacancy.pause = (vacancy.pause * 2).min(LONGEST_PAUSE);
                vacancy.next = now.mono.after(vacancy.pause);
            }
            self.vacancies.vacant.push(vacancy);
        }
    }
}

impl System {
    /// What the next run needs and would not get, as far as that can be tried beside this one: nothing is left behind, and
    /// nobody is disturbed.
    pub(super) fn try_next(&self, next: &Config) -> Result<(), Unmet> {
        let unmet = |section: &str, option, reason| Unmet { section: section.to_string(), option, reason };
        let options = &next.supervisord;
        if let Some(account) = &options.account {
            users::may_become(account.uid, account.gid).map_err(|reason| unmet("supervisord", "user", reason))?;
        }
        if let Some(path) = options.activity_log().filter(|path| !activity::is_at(path)) {
            Sink::try_open(path).map_err(|error| {
                unmet("supervisord", "logfile", format!("could not open the log file {path}: {error}"))
            })?;
        }
        for server in &next.servers {
            let option = if matches!(server.address, ServerAddress::Unix { .. }) { "file" } else { "port" };
            let reason = |error| cannot_listen(server, &error).replace('\n', " ");
            self.try_server(&server.address).map_err(|error| unmet(&server.section, option, reason(error)))?;
        }
        for process in next.groups.iter().flat_map(|group| &group.processes) {
            for (key, log) in [("stdout_logfile", &process.stdout.logfile), ("stderr_logfile", &process.stderr.logfile)]
            {
                if let LogFile::Path(path) = log
                    && std::fs::metadata(path).is_ok_and(|entry| entry.is_dir())
                {
                    let section = format!("program:{}", process.program.name);
                    return Err(unmet(&section, key, format!("{key} of {} is a directory: {path}", process.name)));
                }
            }
        }
        Ok(())
    }

    fn try_server(&self, address: &ServerAddress) -> Result<(), ListenError> {
        match address {
            ServerAddress::Inet { host, port } => match sockets::try_inet(host, *port) {
                // It will be free when this run is over.
                Err(ListenError::InUse) if self.clients.servers().any(|ours| ours.has_port(*port)) => Ok(()),
                tried => tried,
            },
            ServerAddress::Unix { path, mode, owner } => {
                let identity = |path: &str| std::fs::metadata(path).map(|entry| (entry.dev(), entry.ino())).ok();
                let there = identity(path);
                let is_ours = self.clients.servers().any(|ours| match ours {
                    ServerAddress::Unix { path: own, .. } => own == path || there.is_some() && identity(own) == there,
                    ServerAddress::Inet { .. } => false,
                });
                sockets::try_unix(path, *mode, *owner, is_ours)
            }
        }
    }
}

/// What the user is told when a server cannot listen: the original's sentence, and where and why.
pub fn cannot_listen(server: &Server, error: &ListenError) -> String {
    let place = format!("{} of [{}]", server.address, server.section);
    let reason = match error {
        ListenError::InUse => match std::io::stderr().is_terminal().then(|| holder::of(&server.address)).flatten() {
            Some(holder) => format!("{holder} listens there"),
            None => "somebody else listens there".to_string(),
        },
        ListenError::UnknownHost => "it is no address, and no name that is known here".to_string(),
        ListenError::System(number) => errno::text(*number),
        ListenError::Chown { .. } => return error.to_string(),
    };
    match error {
        ListenError::InUse => format!("{error}\n{place}: {reason}"),
        _ => format!("{error} at {place}: {reason}"),
    }
}
