//! How the instances reach each other, and what they prove themselves with: options of `[stheno]`, and the inet server.

use super::Sources;
use crate::config::ServerAddress;
use crate::config::datatypes::{Datatype, Detection, FleetSecret};
use crate::config::error::ConfigError;
use crate::config::options::Stheno;
use crate::config::paths;
use crate::config::types::Credentials;

/// How the instances reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The port of the inet server, for streams and for datagrams.
    pub port: u16,
    /// The address for datagrams; empty for every interface of IPv4.
    pub bind: String,
    /// What all instances know; `None`: whoever reaches the port may take part.
    pub secret: Option<FleetSecret>,
    /// How soon a silent instance is taken for lost.
    pub detection: Detection,
    /// What this node is called where the machine's id is shown.
    pub node_id: Option<String>,
}

impl Sources<'_> {
    /// Finds it for the inet server of that port. Without a secret it is the server's user and password, as written.
    pub(super) fn network(&self, port: u16) -> Result<Network, ConfigError> {
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
            return Ok(Network { port, bind, secret: of_server, detection, node_id: None });
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
            port,
            bind: options.fleet_bind.or(host).unwrap_or_default(),
            secret: options.cluster_secret.or(from_file).or(of_server),
            detection: options.detection,
            node_id: options.node_id.filter(|id| !id.is_empty()),
        })
    }
}
