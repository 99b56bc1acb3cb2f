//! The server sections, as far as their connections need them: who may ask, and by which names.

use crate::config::{Config, Credentials, Server, ServerAddress};
use crate::sys::resolve;
use crate::web::guard::{self, HostNames, Refusal};
use crate::wire::auth;
use crate::wire::http::Head;

/// Connections that there may be however few descriptors there are: an administrator has to have a way in.
const CONNECTIONS_LEAST: usize = 16;

/// Descriptors that the daemon has for itself: its poll, signals, logs, servers, files that are read.
const OWN_DESCRIPTORS: usize = 48;

/// Descriptors that a process may take: three pipes, two logs, and one that tells how far its child has come.
const PROCESS_DESCRIPTORS: usize = 6;

/// What a server on a unix socket has for a name.
pub const UNIX_SERVER_NAME: &str = "<unix domain socket>";

/// Connections that a socket file always has room for.
const UNIX_SLOTS: usize = 64;

/// Connections that a port always has room for.
const INET_SLOTS: usize = 32;

/// What is spoken at a server; without a fleet there is nothing but HTTP.
#[cfg(feature = "fleet")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// HTTP, with all that is here.
    Http,
    /// WebSocket alone: a request that does not ask for it is refused.
    WebSocket,
    /// ZeroMQ's ZMTP 3, of which we are a publisher.
    Zmq,
    /// What instances of a fleet say to each other, alone.
    Fleet,
}

struct Site {
    #[cfg(feature = "fleet")]
    speech: Speech,
    credentials: Option<Credentials>,
    address: ServerAddress,
}

/// All server sections, in their order.
pub(super) struct Sites {
    sites: Vec<Site>,
    /// Names under which browsers may address those without a password.
    names: HostNames,
    /// How many descriptors we may have open.
    descriptors: usize,
    /// How many of them are not for clients, as `minfds` has it.
    kept: usize,
    /// Connections at one time, as configured. Beyond it one of the same server makes room for a new one.
    connections: usize,
    /// Bytes of a request's body.
    body_bytes: u64,
}

impl Sites {
    /// Those of a configuration.
    pub(super) fn new(config: &Config) -> Sites {
        Sites {
            sites: config.servers.iter().map(Site::of).chain(of_fleet(config)).collect(),
            names: names(config),
            descriptors: usize::MAX,
            kept: usize::try_from(config.supervisord.minfds).unwrap_or(0),
            connections: config.supervisord.http_connections_max.0,
            body_bytes: config.supervisord.http_body_max.0,
        }
    }

    /// Most bytes of a request's body.
    pub(super) fn body_bytes_max(&self) -> u64 {
        self.body_bytes
    }

    /// From now on no more than so many descriptors may be open.
    pub(super) fn limit_descriptors(&mut self, descriptors: usize) {
        self.descriptors = descriptors;
    }

    /// How many connections there may be beside so many processes and streams to other instances: these must never go without.
    /// Of what they leave, clients get what is beyond `minfds`; where that is all there is, as by default, a quarter.
    pub(super) fn connections_max(&self, processes: usize, streams: usize) -> usize {
        let left = self.descriptors.saturating_sub(OWN_DESCRIPTORS + PROCESS_DESCRIPTORS * processes + streams);
        let beyond = self.descriptors.saturating_sub(self.kept).max(self.descriptors / 4);
        left.min(beyond).max(CONNECTIONS_LEAST).min(self.connections)
    }

    /// Whether a server asks for a password.
    pub(super) fn has_password(&self, server: usize) -> bool {
        self.sites.get(server).is_some_and(|site| site.credentials.is_some())
    }

    /// Whether a request may pass a server's authentication.
    pub(super) fn is_authorized(&self, server: usize, head: &Head<'_>) -> bool {
        let credentials = self.sites.get(server).and_then(|site| site.credentials.as_ref());
        credentials
            .is_none_or(|expected| auth::is_authorized(head.authorization, &expected.username, &expected.password))
    }

    /// Why a browser may not even read: it takes us for part of a site that is none of ours. Scripts may call us what
    /// they like; and with a password any name will do, for a browser sends it to no name that it was not given for.
    pub(super) fn refusal<'a>(&self, server: usize, head: &Head<'a>) -> Option<Refusal<'a>> {
        if self.has_password(server) || !guard::is_browser(head) {
            return None;
        }
        head.host.and_then(|host| self.names.foreign(host)).map(Refusal::ForeignHost)
    }

    /// What is spoken at a server.
    #[cfg(feature = "fleet")]
    pub(super) fn speaks(&self, server: usize) -> Speech {
        self.sites.get(server).map_or(Speech::Http, |site| site.speech)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sites.len()
    }

    /// Connections that a server always has room for, however many the others have. An administrator's way in is the
    /// socket file: what the network does must not close it.
    pub(super) fn slots(&self, server: usize, connections_max: usize) -> usize {
        let most = connections_max / (2 * self.sites.len().max(1));
        most.min(if self.is_unix(server) { UNIX_SLOTS } else { INET_SLOTS })
    }

    /// Whether a server is a socket file.
    pub(super) fn is_unix(&self, server: usize) -> bool {
        self.sites.get(server).is_some_and(|site| matches!(site.address, ServerAddress::Unix { .. }))
    }

    /// The name a server goes by, and its port (L-12). Redirections need them, which are too rare to remember it.
    pub(super) fn name_and_port(&self, server: usize) -> (String, String) {
        match self.sites.get(server).map(|site| &site.address) {
            Some(ServerAddress::Inet { host, port }) => (resolve::server_name(host), port.to_string()),
            Some(ServerAddress::Unix { path, .. }) => (UNIX_SERVER_NAME.to_string(), path.clone()),
            None => Default::default(),
        }
    }
}

impl Site {
    /// One that speaks HTTP.
    fn of(server: &Server) -> Site {
        Site {
            #[cfg(feature = "fleet")]
            speech: Speech::Http,
            credentials: server.credentials.clone(),
            address: server.address.clone(),
        }
    }
}

/// The servers of a fleet, behind the others: of its instances, and of its events.
#[cfg(feature = "fleet")]
fn of_fleet(config: &Config) -> Vec<Site> {
    let instances = config.fleet_server().map(|server| Site { speech: Speech::Fleet, ..Site::of(&server) });
    let events = config.event_server().map(|(server, link)| {
        let is_zmq = link == crate::config::fleet::EventLink::Zmq;
        Site { speech: if is_zmq { Speech::Zmq } else { Speech::WebSocket }, ..Site::of(&server) }
    });
    instances.into_iter().chain(events).collect()
}

#[cfg(not(feature = "fleet"))]
fn of_fleet(_: &Config) -> Option<Site> {
    None
}

/// The names of this machine: as configured for its servers, as the system has it, and what `[stheno] hosts` adds.
fn names(config: &Config) -> HostNames {
    let servers = config.servers.iter().filter_map(|server| match &server.address {
        ServerAddress::Inet { host, .. } if !host.is_empty() => Some(host.clone()),
        _ => None,
    });
    let more = config.stheno.iter().flat_map(|stheno| stheno.hosts.0.iter().cloned());
    HostNames::new(servers.chain(more), &config.hostname)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_go_before_clients() {
        let rows = [
            // descriptors, minfds, processes, streams: connections
            (usize::MAX, 1024, 10_000, 0, 512),
            (1 << 20, 1024, 100, 0, 512),
            (4096, 1024, 100, 0, 512),
            (4096, 4096, 0, 0, 512),
            (1024, 1024, 20, 0, 256),
            (1024, 512, 20, 0, 512),
            (1024, 1024, 105, 0, 256),
            (1024, 1024, 140, 0, 136),
            (1024, 1024, 140, 100, 36),
            (1024, 1024, 200, 0, 16),
            (64, 16, 0, 0, 16),
        ];
        for (descriptors, kept, processes, streams, expected) in rows {
            let sites = Sites {
                sites: Vec::new(),
                names: HostNames::default(),
                descriptors,
                kept,
                connections: 512,
                body_bytes: 1 << 20,
            };
            let found = sites.connections_max(processes, streams);
            assert_eq!(found, expected, "{descriptors} {kept} {processes} {streams}");
        }
    }
}
