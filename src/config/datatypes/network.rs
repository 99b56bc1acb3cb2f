//! Kinds of text that say how the instances of a fleet reach each other.

use super::{Datatype, Show};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// Bytes that a secret has at least: shorter ones can be guessed from a single recorded message.
const SECRET_BYTES_MIN: usize = 16;

/// `cluster_secret`: what all instances know. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct FleetSecret(pub String);

impl std::fmt::Debug for FleetSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FleetSecret")
    }
}

impl Datatype for FleetSecret {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "text of 16 bytes or more";

    fn parse(text: &str, _: &dyn Env) -> Result<FleetSecret, String> {
        if text.len() < SECRET_BYTES_MIN {
            return Err(format!("a secret has at least {SECRET_BYTES_MIN} bytes, this one has {}", text.len()));
        }
        Ok(FleetSecret(text.to_string()))
    }
}

impl Show for FleetSecret {
    fn shown(&self) -> Value {
        "".into()
    }
}

/// `fleet_port`: the port at which instances reach each other, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetPort(pub u16);

impl Datatype for FleetPort {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "port";

    fn parse(text: &str, _: &dyn Env) -> Result<FleetPort, String> {
        let port = text.parse::<u16>().ok().filter(|port| *port > 0);
        port.map(FleetPort).ok_or_else(|| format!("expected a port of 1 to 65535, not {}", pyrepr::text(text)))
    }
}

impl Show for FleetPort {
    fn shown(&self) -> Value {
        i64::from(self.0).into()
    }
}

/// `fleet_advertise`: a host and maybe a port. IPv6 stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetPlace {
    /// As it was written, in brackets where it is an address of IPv6.
    pub host: String,
    /// The port, if one was given.
    pub port: Option<u16>,
}

impl Datatype for FleetPlace {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "host or host:port";

    fn parse(text: &str, _: &dyn Env) -> Result<FleetPlace, String> {
        let wrong = || format!("expected HOST or HOST:PORT, not {}", pyrepr::text(text));
        let end_of_host = text.find(']').map_or(0, |at| at + 1);
        let (host, port) = match text.get(end_of_host..).and_then(|rest| rest.rfind(':')) {
            None => (text, None),
            Some(at) => {
                let (host, port) = text.split_at(end_of_host + at);
                (host, Some(port[1..].parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?))
            }
        };
        let is_bracketed = host.starts_with('[');
        let is_right = match is_bracketed {
            true => host[1..].strip_suffix(']').is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
            false => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)),
        };
        if is_right { Ok(FleetPlace { host: host.to_string(), port }) } else { Err(wrong()) }
    }
}

impl std::fmt::Display for FleetPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Show for FleetPlace {
    fn shown(&self) -> Value {
        self.to_string().into()
    }
}

/// Places in `fleet_seeds` at most. A name may stand for many hosts.
const SEEDS_MAX: usize = 64;

/// `fleet_seeds`: places that are asked who else there is. `dns:` before a name says that it stands for several, which makes no
/// difference: all addresses of a name are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetSeeds(pub Vec<FleetPlace>);

impl Datatype for FleetSeeds {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "list of places";

    fn parse(text: &str, env: &dyn Env) -> Result<FleetSeeds, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let places = items.map(|item| FleetPlace::parse(item.strip_prefix("dns:").unwrap_or(item), env));
        let places: Vec<FleetPlace> = places.collect::<Result<_, _>>()?;
        if places.len() > SEEDS_MAX {
            return Err(format!("{} places are too many: {SEEDS_MAX} at most", places.len()));
        }
        Ok(FleetSeeds(places))
    }
}

impl Show for FleetSeeds {
    fn shown(&self) -> Value {
        self.0.iter().map(FleetPlace::to_string).collect::<Vec<_>>().join(",").into()
    }
}

words! {
    /// `detection`: how soon an instance that is silent is taken for lost.
    Detection, "normal or fast" {
        /// Within four to six seconds.
        "normal" => Normal,
        /// Within two, where the network loses little.
        "fast" => Fast,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    #[test]
    fn places_and_seeds() {
        let env = Fake::new();
        let of = |text: &str| FleetSeeds::parse(text, &env).map(|seeds| seeds.0);
        let place = |host: &str, port| FleetPlace { host: host.to_string(), port };
        assert_eq!(
            of("a, dns:nodes.example:9001,[fd00::1]:70, [::1] ,10.0.0.1"),
            Ok(vec![
                place("a", None),
                place("nodes.example", Some(9001)),
                place("[fd00::1]", Some(70)),
                place("[::1]", None),
                place("10.0.0.1", None)
            ])
        );
        assert_eq!(of(" "), Ok(vec![]));
        for wrong in ["a b", "a:0", "a:70000", ":1", "dns:", "[::1", "fd00::1", "[a]:1", "a:"] {
            let text = wrong.strip_prefix("dns:").unwrap_or(wrong);
            assert_eq!(of(wrong), Err(format!("expected HOST or HOST:PORT, not '{text}'")), "{wrong}");
        }
        assert_eq!(of(&"a,".repeat(65)), Err("65 places are too many: 64 at most".to_string()));
        assert_eq!(FleetPort::parse("0", &env), Err("expected a port of 1 to 65535, not '0'".to_string()));
    }

    #[test]
    fn secrets_are_long_and_never_shown() {
        let env = Fake::new();
        assert_eq!(FleetSecret::parse("short", &env).unwrap_err(), "a secret has at least 16 bytes, this one has 5");
        let secret = FleetSecret::parse("0123456789abcdef", &env).unwrap();
        assert_eq!((format!("{secret:?}"), secret.shown()), ("FleetSecret".to_string(), "".into()));
    }
}
