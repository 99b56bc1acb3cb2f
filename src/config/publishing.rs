//! Where what happens in a fleet is published (V-505, V-506), and where its instances are reached if not at the server.

use super::fleet::EventLink;
use super::loaded::Config;
use super::types::{Server, ServerAddress};

impl Config {
    /// The server of `fleet_port`, at which nothing but the other instances of a fleet is let in; `None` if these come to the
    /// port of the server.
    pub fn fleet_server(&self) -> Option<Server> {
        let supvisors = self.fleet.as_ref()?.supvisors.as_ref()?;
        let network = &supvisors.network;
        let is_alone = supvisors.instances.all.len() == 1 && !network.discovers();
        if !network.has_own_port || is_alone {
            return None;
        }
        let address = ServerAddress::Inet { host: network.bind.clone(), port: network.port };
        Some(Server { section: format!("rpcinterface:{}", supvisors.namespace), address, credentials: None })
    }

    /// The server of `event_port`, and what is spoken there; `None` if nothing is published.
    ///
    /// It listens where the first server of a port does, and asks for the same password, but over ZeroMQ, which has no way to
    /// ask, and where `[stheno] open_event_port` says that its clients cannot answer.
    pub fn event_server(&self) -> Option<(Server, EventLink)> {
        let supvisors = self.fleet.as_ref()?.supvisors.as_ref()?;
        let options = &supvisors.options;
        let link = options.event_link;
        if link == EventLink::None || (link == EventLink::Zmq && cfg!(not(feature = "zmq"))) {
            return None;
        }
        let (host, own, credentials) = self.servers.iter().find_map(|server| match &server.address {
            ServerAddress::Inet { host, port } => Some((host.clone(), *port, server.credentials.clone())),
            ServerAddress::Unix { .. } => None,
        })?;
        let wished = options.event_port.map(|port| port.0).and_then(|port| u16::try_from(port).ok());
        let port = wished.or(own.checked_add(1))?;
        let is_open = self.stheno.as_ref().is_some_and(|stheno| stheno.open_event_port);
        let credentials = credentials.filter(|_| link == EventLink::Ws && !is_open);
        let section = format!("rpcinterface:{}", supvisors.namespace);
        Some((Server { section, address: ServerAddress::Inet { host, port }, credentials }, link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    #[test]
    fn where_it_listens_and_for_whom() {
        let rows = [
            ("", "", None),
            ("event_link=NONE\nevent_port=7", "", None),
            ("event_link=WS", "", Some((9002, EventLink::Ws, true))),
            ("event_link=ws\nevent_port=7000", "", Some((7000, EventLink::Ws, true))),
            ("event_link=WS", "[stheno]\nopen_event_port=true\n", Some((9002, EventLink::Ws, false))),
            #[cfg(feature = "zmq")]
            ("event_link=ZMQ", "", Some((9002, EventLink::Zmq, false))),
        ];
        for (options, more, expected) in rows {
            let mut env = Fake::new();
            let text = format!(
                "[supervisord]\n[inet_http_server]\nport=127.0.0.1:9001\nusername=u\npassword=p\n[rpcinterface:s]\n\
                 supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n{options}\n{more}"
            );
            let config = env.load(&text).unwrap();
            let found = config.event_server().map(|(server, link)| {
                let ServerAddress::Inet { host, port } = server.address else { panic!("{options}") };
                assert_eq!((host.as_str(), server.section.as_str()), ("127.0.0.1", "rpcinterface:s"));
                (port, link, server.credentials.is_some())
            });
            assert_eq!(found, expected, "{options} {more}");
        }
    }
}
