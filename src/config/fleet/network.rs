//! How the instances reach each other, and what they prove themselves with: options of `[stheno]`, and the inet server.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Sources, SupvisorsOptions};
use crate::config::ServerAddress;
use crate::config::datatypes::{Datatype, Detection, FleetPlace, FleetSecret};
use crate::config::error::ConfigError;
use crate::config::options::Stheno;
use crate::config::paths;
use crate::config::types::Credentials;

/// How the instances reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The port of streams and of datagrams: that of the inet server, unless `fleet_port` says another.
    pub port: u16,
    /// It is another one, the same for all.
    pub has_own_port: bool,
    /// By what the others reach this instance, where that is not its place in the list.
    pub advertised: Option<FleetPlace>,
    /// Who is asked who else there is.
    pub seeds: Vec<FleetPlace>,
    /// The group, interface and reach by which instances find each other.
    pub group: Option<(SocketAddrV4, Ipv4Addr, u8)>,
    /// The address for datagrams; empty for every interface of IPv4.
    pub bind: String,
    /// What all instances know; `None`: whoever reaches the port may take part.
    pub secret: Option<FleetSecret>,
    /// How soon a silent instance is taken for lost.
    pub detection: Detection,
    /// What this node is called where the machine's id is shown.
    pub node_id: Option<String>,
}

impl Network {
    /// Whether there may be instances of which no list says anything.
    pub fn discovers(&self) -> bool {
        self.group.is_some() || !self.seeds.is_empty()
    }
}

/// The group of the options.
fn group(options: &SupvisorsOptions) -> Option<(SocketAddrV4, Ipv4Addr, u8)> {
    let group = options.multicast_group.as_ref()?.0.parse().ok()?;
    let interface = options.multicast_interface.0.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
    Some((group, interface, u8::try_from(options.multicast_ttl.0).unwrap_or(u8::MAX)))
}

impl Sources<'_> {
    /// Finds it for the inet server of that port. Without a secret it is the server's user and password, as written.
    pub(super) fn network(&self, port: u16, supvisors: &SupvisorsOptions) -> Result<Network, ConfigError> {
        let group = group(supvisors);
        let server = self.servers.iter().find(|server| matches!(server.address, ServerAddress::Inet { .. }));
        let host = server.and_then(|server| match &server.address {
            ServerAddress::Inet { host, .. } => Some(host.clone()),
            ServerAddress::Unix { .. } => None,
        });
        let of_server = server.and_then(|server| server.credentials.as_ref());
        let of_server =
            of_server.map(|Credentials { username, password }| FleetSecret(format!("{username}:{password}")));
        let section = self.document.section("stheno");
        let reader = section.map(|section| self.reader(section));
        let Some(reader) = reader else {
            let (bind, detection) = (host.unwrap_or_default(), Detection::Normal);
            return Ok(Network {
                port,
                has_own_port: false,
                advertised: None,
                seeds: Vec::new(),
                group,
                bind,
                secret: of_server,
                detection,
                node_id: None,
            });
        };
        let options = Stheno::read(&reader)?;
        let from_file = match options.cluster_secret_file.filter(|path| !path.is_empty()) {
            None => None,
            Some(path) => {
                let path = paths::absolute(self.cwd, &self.env.expand_user(&path));
                let wrong = |text: String| reader.error("cluster_secret_file", text);
                let bytes = self.env.read_file(&path).map_err(|error| wrong(format!("{path}: {error}")))?;
                let text = String::from_utf8_lossy(&bytes);
                let line = text.lines().next().unwrap_or_default().trim();
                Some(FleetSecret::parse(line, self.env).map_err(|error| wrong(format!("{path}: {error}")))?)
            }
        };
        Ok(Network {
            port: options.fleet_port.map_or(port, |port| port.0),
            has_own_port: options.fleet_port.is_some_and(|own| own.0 != port),
            advertised: options.fleet_advertise,
            seeds: options.fleet_seeds.0,
            group,
            bind: options.fleet_bind.or(host).unwrap_or_default(),
            secret: options.cluster_secret.or(from_file).or(of_server),
            detection: options.detection,
            node_id: options.node_id.filter(|id| !id.is_empty()),
        })
    }
}
