//! Where a server listens: hosts and ports.

use std::net::Ipv6Addr;

use super::{Datatype, Env};
use crate::wire::pyrepr;

/// `port`, `:port`, `*:port` or `host:port` (C-84), with an address of IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InetAddress {
    /// As [`host`] has it.
    pub host: String,
    /// The port, from 1 to 65535.
    pub port: u16,
}

impl Datatype for InetAddress {
    const KIND: &'static str = "port or host:port";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let Some((before, port)) = text.rsplit_once(':') else {
            // The blank at the end is the original's.
            let port =
                port_number(text, env).map_err(|_| format!("not a valid port number: {} ", pyrepr::text(text)))?;
            return Ok(InetAddress { host: String::new(), port });
        };
        if port.is_empty() {
            return Err("no port number specified in ''".to_string());
        }
        let bad = |reason| format!("bad address {}: {reason}", pyrepr::text(text));
        if text.ends_with(']') {
            return Err(bad("no port follows".to_string()));
        }
        let host = if before == "*" { String::new() } else { host(before).map_err(bad)? };
        Ok(InetAddress { host, port: port_number(port, env)? })
    }
}

/// A TCP port, 1 to 65535.
pub fn port_number(text: &str, env: &dyn Env) -> Result<u16, String> {
    match i64::parse(text, env)? {
        port if port < 1 => Err(format!("{port} is below lower bound (1)")),
        port => u16::try_from(port).map_err(|_| format!("{port} is above upper bound (65535)")),
    }
}

/// A name or an address as it stands before `:port`: in lower case, an address of IPv6 without its brackets. A name is
/// looked up only where it is used. Errors: the reason why it can be neither.
pub fn host(text: &str) -> Result<String, String> {
    let is_byte = |part: &str| part.parse::<u8>().is_ok();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let numbers: Vec<&str> = text.split('.').collect();
    if let Some(inner) = text.strip_prefix('[') {
        let Some(inner) = inner.strip_suffix(']') else { return Err("a bracket is not closed".to_string()) };
        // Behind a link-local address stands its interface.
        let address = inner.split_once('%').map_or(inner, |(address, _)| address);
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok(inner.to_lowercase()),
            Err(_) => Err(format!("{} is not an IPv6 address", pyrepr::text(address))),
        };
    }
    if text.contains([' ', '\t', '/', ']', '[']) {
        return Err(format!("{} is not the name of a host", pyrepr::text(text)));
    }
    if text.contains(':') {
        return Err("an IPv6 address stands in brackets, [::1]:9001".to_string());
    }
    if numbers.len() == 4 && numbers.iter().all(|part| is_number(part)) && !numbers.iter().all(|part| is_byte(part)) {
        return Err(format!("{} is not an IPv4 address", pyrepr::text(text)));
    }
    Ok(text.to_lowercase())
}

/// A host as it stands before `:port`.
pub fn shown_host(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_string() }
}
