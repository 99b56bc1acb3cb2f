//! The server sections, as far as their connections need them: who may ask, and by which names.

use crate::config::{Config, Credentials, Server, ServerAddress};
use crate::sys::sockets;
use crate::web::guard;
use crate::wire::auth;
use crate::wire::http::Head;

/// Connections at one time. Beyond it one of the same server makes room for a new one.
pub(super) const CONNECTIONS_MAX: usize = 512;

/// What a server on a unix socket has for a name.
pub const UNIX_SERVER_NAME: &str = "<unix domain socket>";

/// Connections that a socket file always has room for.
const UNIX_SLOTS: usize = 64;

/// Connections that a port always has room for.
const INET_SLOTS: usize = 32;

/// A server section.
struct Site {
    credentials: Option<Credentials>,
    address: ServerAddress,
}

/// All server sections, in their order.
pub(super) struct Sites {
    sites: Vec<Site>,
    /// Names under which browsers may address us (DESIGN: a foreign `Host` changes nothing).
    own_hosts: Vec<String>,
}

impl Sites {
    /// Those of a configuration.
    pub(super) fn new(config: &Config) -> Sites {
        Sites { sites: config.servers.iter().map(Site::of).collect(), own_hosts: own_hosts(config) }
    }

    /// Whether a request may pass a server's authentication.
    pub(super) fn is_authorized(&self, server: usize, head: &Head<'_>) -> bool {
        let credentials = self.sites.get(server).and_then(|site| site.credentials.as_ref());
        credentials
            .is_none_or(|expected| auth::is_authorized(head.authorization, &expected.username, &expected.password))
    }

    /// Whether a browser was made to send this by another site. Only browsers are held to our own names: scripts may
    /// call us what they like.
    pub(super) fn is_cross_site(&self, head: &Head<'_>) -> bool {
        let names: &[String] = if guard::is_browser(head) { &self.own_hosts } else { &[] };
        guard::is_cross_site(head, names)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sites.len()
    }

    /// Connections that a server always has room for, however many the others have. An administrator's way in is the
    /// socket file: what the network does must not close it.
    pub(super) fn slots(&self, server: usize) -> usize {
        let most = CONNECTIONS_MAX / (2 * self.sites.len().max(1));
        most.min(if self.is_unix(server) { UNIX_SLOTS } else { INET_SLOTS })
    }

    /// Whether a server is a socket file.
    pub(super) fn is_unix(&self, server: usize) -> bool {
        self.sites.get(server).is_some_and(|site| matches!(site.address, ServerAddress::Unix { .. }))
    }

    /// The name a server goes by, and its port (L-12). Redirections need them, which are too rare to remember it.
    pub(super) fn name_and_port(&self, server: usize) -> (String, String) {
        match self.sites.get(server).map(|site| &site.address) {
            Some(ServerAddress::Inet { host, port }) => (sockets::server_name(host), port.to_string()),
            Some(ServerAddress::Unix { path, .. }) => (UNIX_SERVER_NAME.to_string(), path.clone()),
            None => Default::default(),
        }
    }
}

impl Site {
    fn of(server: &Server) -> Site {
        Site { credentials: server.credentials.clone(), address: server.address.clone() }
    }
}

/// The names of this machine: as configured for its servers, as the system has it, and what `[stheno] hosts` adds.
fn own_hosts(config: &Config) -> Vec<String> {
    let servers = config.servers.iter().filter_map(|server| match &server.address {
        ServerAddress::Inet { host, .. } if !host.is_empty() => Some(host.clone()),
        _ => None,
    });
    let more = config.stheno.iter().flat_map(|stheno| stheno.hosts.0.iter().cloned());
    servers.chain([config.hostname.clone()]).chain(more).collect()
}
