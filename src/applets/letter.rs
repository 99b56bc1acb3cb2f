//! What is handed to an SMTP server, and which.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    /// 25 if not given.
    pub port: u16,
    /// User name and password, if one is to log in.
    pub login: Option<(String, String)>,
}

impl Server {
    /// Reads `host[:port]` as a mail server; the port is 25 without one.
    pub fn parse(text: &str, login: Option<(String, String)>) -> Option<Server> {
        let (host, port) = match text.split_once(':') {
            // More than one colon is an IPv6 address.
            Some((host, port)) if !port.contains(':') => (host, port.parse().ok()?),
            _ => (text, 25),
        };
        (!host.is_empty()).then(|| Server { host: host.to_string(), port, login })
    }
}

/// What is handed over.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    pub server: &'a Server,
    pub from: &'a str,
    pub to: &'a [String],
    /// Headers and body, lines ending in `\n`.
    pub text: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let rows = [
            ("h", Some(("h", 25))),
            ("h:587", Some(("h", 587))),
            ("::1", Some(("::1", 25))),
            ("h:x", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let server = Server::parse(text, None);
            assert_eq!(server.as_ref().map(|server| (server.host.as_str(), server.port)), expected, "{text}");
        }
    }
}
