//! Who the instances are, and which of them this one is (V-16 to V-19).

use std::net::IpAddr;

use super::Problem;
use crate::config::datatypes::FleetPlace;
use crate::config::env::{Env, Nic};

/// An instance of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What all instances know it by: `host:port`.
    pub identifier: String,
    /// Its short name in commands and on pages.
    pub nick: String,
    /// Its host, as it was written.
    pub host: String,
    /// The port of its HTTP server.
    pub port: u16,
}

/// All instances, and the place of this one among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// In the order of the list.
    pub all: Vec<Instance>,
    /// Which is this one.
    pub own: usize,
}

/// The nick that counts as none: it is that of every daemon of which nothing is said.
const NO_NICK: &str = "supervisor";

impl Instances {
    /// The instance that this daemon is, if it is in the list.
    pub fn own(&self) -> Option<&Instance> {
        self.all.get(self.own)
    }

    /// Makes out who is who. `port` is that of our own server, `identifier` the daemon's own.
    pub(super) fn find(
        list: &[String],
        port: u16,
        identifier: &str,
        advertised: Option<&FleetPlace>,
        env: &dyn Env,
        problems: &mut Vec<Problem>,
    ) -> Result<Instances, String> {
        if list.is_empty() {
            let host = advertised.map_or_else(|| env.hostname(), |place| place.host.clone());
            let place = format!("{host}:{}", advertised.and_then(|place| place.port).unwrap_or(port));
            let own =
                Instance::parse(&format!("<{identifier}>{place}"), port).or_else(|_| Instance::parse(&place, port))?;
            return Ok(Instances { all: vec![own], own: 0 });
        }
        let mut all: Vec<Instance> = Vec::new();
        for item in list {
            let instance = Instance::parse(item, port)?;
            match all.iter().find(|known| known.identifier == instance.identifier || known.nick == instance.nick) {
                None => all.push(instance),
                Some(known) if *known == instance => {}
                Some(known) => {
                    let text = format!("supvisors_list: {item} is left out, for it looks like {}", known.identifier);
                    problems.push(Problem::warning(text));
                }
            }
        }
        let (nics, hosts) = (env.nics(), super::hosts_file(env));
        let places = |is_it: &dyn Fn(&Instance) -> bool| -> Vec<usize> {
            all.iter().enumerate().filter(|(_, one)| is_it(one)).map(|(place, _)| place).collect()
        };
        let is_advertised = |one: &Instance| {
            advertised.is_some_and(|place| place.host == one.host && place.port.unwrap_or(port) == one.port)
        };
        let mut own = places(&is_advertised);
        if own.is_empty() {
            own = places(&|one| one.is_here(port, &nics, &hosts, env));
        }
        if own.is_empty() {
            // A name that only a name server knows, which nobody can wait for here.
            let is_unknown = |one: &Instance| one.port == port && address_of(&one.host, &hosts).is_none();
            own = places(&is_unknown);
        }
        match own[..] {
            [] => Err("could not find the Supvisors in supvisors_list".to_string()),
            [own] => {
                let nick = all.get(own).map_or("", |one| &one.nick);
                if identifier != NO_NICK && identifier != nick {
                    problems.push(Problem::warning(format!(
                        "the identifier {identifier} of [supervisord] is not the nick {nick}"
                    )));
                }
                Ok(Instances { all, own })
            }
            _ => {
                let candidates = own.iter().filter_map(|place| all.get(*place));
                let names: Vec<String> = candidates.map(|one| format!("'{}'", one.identifier)).collect();
                Err(format!("multiple candidates for the Supvisors identifiers=[{}]", names.join(", ")))
            }
        }
    }
}

impl Instance {
    /// One that says of itself who it is; `None` if nobody can be called so.
    pub fn named(identifier: &str, nick: &str) -> Option<Instance> {
        // Its port was not checked by those who had it in no list.
        let (host, port) = identifier.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let is_right = is_host(host) && (nick == identifier || (!nick.is_empty() && nick.chars().all(is_of_nick)));
        let (identifier, nick) = (identifier.to_string(), nick.to_string());
        is_right.then(|| Instance { identifier, nick, host: host.to_string(), port })
    }

    /// Reads an item of the list (V-16, V-17).
    fn parse(item: &str, own_port: u16) -> Result<Instance, String> {
        let wrong = || format!("could not define a Supvisors identification from \"{item}\"");
        let (nick, address) = match item.strip_prefix('<') {
            Some(rest) => rest.split_once('>').map(|(nick, address)| (Some(nick), address)).ok_or_else(wrong)?,
            None => (None, item),
        };
        if nick.is_some_and(|nick| nick.is_empty() || !nick.chars().all(is_of_nick)) {
            return Err(wrong());
        }
        // An address of IPv6 without a port ends with its bracket.
        let (host, port) = match address.rsplit_once(':').filter(|_| !address.ends_with(']')) {
            Some((host, digits)) => {
                let is_port = matches!(digits.len(), 4 | 5) && digits.chars().all(|c| c.is_ascii_digit());
                let port = digits.parse::<u16>().ok().filter(|_| is_port).ok_or_else(wrong)?;
                (host, Some(port))
            }
            None => (address, None),
        };
        if !is_host(host) {
            return Err(wrong());
        }
        let identifier = format!("{host}:{}", port.unwrap_or(own_port));
        let nick = nick.filter(|nick| *nick != NO_NICK).map(str::to_string);
        let nick = nick.unwrap_or_else(|| if port.is_some() { identifier.clone() } else { host.to_string() });
        Ok(Instance { identifier, nick, host: host.to_string(), port: port.unwrap_or(own_port) })
    }

    /// Whether it is this one: its host is one of our names or addresses, its port that of our server.
    fn is_here(&self, port: u16, nics: &[Nic], hosts: &str, env: &dyn Env) -> bool {
        let is_our_host = || {
            self.host == env.hostname()
                || match address_of(&self.host, hosts) {
                    Some(IpAddr::V4(address)) => address.is_loopback() || nics.iter().any(|nic| nic.address == address),
                    Some(IpAddr::V6(address)) => address.is_loopback() || is_ours(address, env),
                    None => false,
                }
        };
        self.port == port && is_our_host()
    }
}

fn is_of_nick(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.:-".contains(c)
}

fn is_host(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "_.-:[]".contains(c))
}

/// Whether an address of IPv6 is one of this host's: lines of 32 hexadecimal digits, and more.
fn is_ours(address: std::net::Ipv6Addr, env: &dyn Env) -> bool {
    let text = env.read_file("/proc/net/if_inet6").unwrap_or_default();
    let wanted = format!("{:032x}", address.to_bits());
    String::from_utf8_lossy(&text).lines().any(|line| line.split_whitespace().next() == Some(wanted.as_str()))
}

/// The address of a host that is a number or stands in `/etc/hosts`.
fn address_of(host: &str, hosts: &str) -> Option<IpAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let in_hosts = || {
        hosts.lines().find_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
    };
    host.parse().ok().or_else(in_hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    fn names(list: &[&str], identifier: &str) -> Result<(Vec<String>, usize, usize), String> {
        let list: Vec<String> = list.iter().map(|item| item.to_string()).collect();
        let mut problems = Vec::new();
        let found = Instances::find(&list, 61000, identifier, None, &Fake::new(), &mut problems)?;
        let names = found.all.iter().map(|one| format!("{}={}", one.nick, one.identifier)).collect();
        Ok((names, found.own, problems.len()))
    }

    #[test]
    fn nicks_and_identifiers() {
        type Row<'r> = (&'r [&'r str], &'r str, &'r [&'r str], usize, usize);
        let rows: &[Row] = &[
            (&[], "n1", &["n1=box:61000"], 0, 0),
            (&[], "supervisor", &["box:61000=box:61000"], 0, 0),
            (&["<n1>10.0.0.1:61000", "<n2>10.0.0.2:61002"], "n1", &["n1=10.0.0.1:61000", "n2=10.0.0.2:61002"], 0, 0),
            (&["<n1>other:6100", "box"], "supervisor", &["n1=other:6100", "box=box:61000"], 1, 0),
            (&["box:61000", "box:61000"], "x", &["box:61000=box:61000"], 0, 1),
            (&["<a>box", "<a>other:6200"], "a", &["a=box:61000"], 0, 1),
            (&["<supervisor>127.0.0.1:61000"], "supervisor", &["127.0.0.1:61000=127.0.0.1:61000"], 0, 0),
        ];
        for (list, identifier, expected, own, problems) in rows {
            let expected: Vec<String> = expected.iter().map(|name| name.to_string()).collect();
            assert_eq!(names(list, identifier), Ok((expected, *own, *problems)), "{list:?}");
        }
    }

    #[test]
    fn lists_that_are_refused() {
        let rows: &[(&[&str], &str)] = &[
            (&["<n1>10.0.0.9:61000"], "could not find the Supvisors in supvisors_list"),
            (&["box:61002"], "could not find the Supvisors in supvisors_list"),
            (
                &["<a>box:61000", "<b>10.0.0.1:61000"],
                "multiple candidates for the Supvisors identifiers=['box:61000', '10.0.0.1:61000']",
            ),
            (&["box:80"], "could not define a Supvisors identification from \"box:80\""),
            (&["<>box"], "could not define a Supvisors identification from \"<>box\""),
            (&["<a b>box"], "could not define a Supvisors identification from \"<a b>box\""),
        ];
        for (list, expected) in rows {
            assert_eq!(names(list, "supervisor"), Err(expected.to_string()), "{list:?}");
        }
    }
}
