//! From the names of hosts to addresses and back.
//!
//! A static glibc must not use the resolver, which loads libraries that may not fit: it knows numbers, `localhost`
//! and what stands in /etc/hosts.

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

/// The address of a host, which is a number or a name; of a name's addresses the first of IPv4, if it has one. An empty
/// host is every interface of IPv4, and `::` every interface of both kinds, unless the system says otherwise
/// (`net.ipv6.bindv6only`). `None` if there is none.
pub fn resolve(host: &str, port: u16) -> Option<SocketAddr> {
    let address = match host {
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        // A link-local address counts on one interface only, which stands behind it.
        host => match host.split_once('%') {
            Some((address, zone)) => {
                return Some(SocketAddrV6::new(address.parse().ok()?, port, 0, interface(zone)?).into());
            }
            None => host.parse().ok().or_else(|| look_up(host))?,
        },
    };
    Some(SocketAddr::new(address, port))
}

/// The number of an interface that is given by its number or its name.
fn interface(zone: &str) -> Option<u32> {
    let by_name = || {
        let name = CString::new(zone).ok()?;
        // SAFETY: a string that ends with a zero byte.
        Some(unsafe { libc::if_nametoindex(name.as_ptr()) }).filter(|number| *number != 0)
    };
    zone.parse().ok().or_else(by_name)
}

/// The name a server on this host goes by (L-12, X-20), as a URL has it: what /etc/hosts calls its address, else the
/// address itself. An empty host is every interface: then it is the address of this machine's own name.
pub fn server_name(host: &str) -> String {
    let own = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim_end().to_string();
    let host = if host.is_empty() { own() } else { host.to_string() };
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let Some(address) = resolve(&host, 0).map(|address| address.ip()) else { return host };
    name_in_hosts(&hosts, address).unwrap_or_else(|| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    })
}

/// The first name of an address.
fn name_in_hosts(hosts: &str, address: IpAddr) -> Option<String> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let is_it = words.next()?.parse() == Ok(address);
        words.next().filter(|_| is_it).map(str::to_string)
    })
}

/// That of IPv4, which the original listens on, goes before others.
fn prefer_v4(addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    addresses.min_by_key(IpAddr::is_ipv6)
}

#[cfg(not(all(target_env = "gnu", target_feature = "crt-static")))]
fn look_up(host: &str) -> Option<IpAddr> {
    use std::net::ToSocketAddrs;
    prefer_v4((host, 0).to_socket_addrs().ok()?.map(|address| address.ip()))
}

#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
fn look_up(host: &str) -> Option<IpAddr> {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    find_in_hosts(&hosts, host).or((host == "localhost").then_some(Ipv4Addr::LOCALHOST.into()))
}

/// Lines `address name name # comment`.
#[cfg(any(test, all(target_env = "gnu", target_feature = "crt-static")))]
fn find_in_hosts(hosts: &str, host: &str) -> Option<IpAddr> {
    prefer_v4(hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_their_addresses() {
        let rows = [
            ("", Some("0.0.0.0:80")),
            ("localhost", Some("127.0.0.1:80")),
            ("10.1.2.3", Some("10.1.2.3:80")),
            ("::", Some("[::]:80")),
            ("::1", Some("[::1]:80")),
            ("fe80::1%7", Some("[fe80::1%7]:80")),
            ("fe80::1%lo", Some("[fe80::1%1]:80")),
            ("fe80::1%no-such", None),
            ("10.1.2.3%1", None),
            ("no such name", None),
        ];
        for (host, expected) in rows {
            assert_eq!(resolve(host, 80).map(|address| address.to_string()).as_deref(), expected, "{host:?}");
        }
        assert_eq!(server_name("2001:db8::77"), "[2001:db8::77]");
    }

    #[test]
    fn hosts_are_found_in_the_file() {
        let hosts = "# none\n127.0.0.1 localhost\n::1 six both\n10.0.0.7\tweb.example  Web # www\n10.0.0.8 both\n";
        let rows = [
            ("localhost", Some("127.0.0.1")),
            ("web", Some("10.0.0.7")),
            ("web.example", Some("10.0.0.7")),
            ("six", Some("::1")),
            ("both", Some("10.0.0.8")),
            ("www", None),
            ("none", None),
        ];
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (host, expected) in rows {
            assert_eq!(find_in_hosts(hosts, host), expected.map(address), "{host}");
        }
        let rows = [
            ("127.0.0.1", Some("localhost")),
            ("10.0.0.7", Some("web.example")),
            ("10.0.0.9", None),
            ("::1", Some("six")),
            ("::2", None),
        ];
        for (text, expected) in rows {
            assert_eq!(name_in_hosts(hosts, address(text)).as_deref(), expected, "{text}");
        }
    }
}
