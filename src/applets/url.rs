//! The URLs that httpok takes.

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub text: String,
    /// Name or address, without brackets.
    pub host: String,
    /// 80 if not given.
    pub port: u16,
    /// Path and query, starting with a slash.
    pub target: String,
}

impl Url {
    /// Reads an absolute URL. Errors are sentences for whoever wrote it.
    pub fn parse(text: &str) -> Result<Url, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("Bad scheme in {text}"))?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err(format!("https is not supported, only http: {text}")),
            other => return Err(format!("Bad scheme {other}")),
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None | Some("") => 80,
            Some(port) => port.parse().map_err(|_| format!("Bad port {port} in {text}"))?,
        };
        if host.is_empty() || host.contains('@') {
            return Err(format!("Bad host in {text}"));
        }
        let target = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
        Ok(Url { text: text.to_string(), host: host.to_string(), port, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        type Parts = Result<(&'static str, u16, &'static str), &'static str>;
        let rows: &[(&str, Parts)] = &[
            ("http://h", Ok(("h", 80, "/"))),
            ("HTTP://h:8080/a/b?c=d#e", Ok(("h", 8080, "/a/b?c=d"))),
            ("http://h?x", Ok(("h", 80, "/?x"))),
            ("http://[::1]:81/", Ok(("::1", 81, "/"))),
            ("https://h", Err("https is not supported, only http: https://h")),
            ("ftp://h", Err("Bad scheme ftp")),
            ("h:80", Err("Bad scheme in h:80")),
            ("http://h:x", Err("Bad port x in http://h:x")),
            ("http://", Err("Bad host in http://")),
        ];
        for (text, expected) in rows {
            let url = Url::parse(text);
            let got = url.as_ref().map(|url| (url.host.as_str(), url.port, url.target.as_str()));
            assert_eq!(got.map_err(String::as_str), *expected, "{text}");
        }
    }
}
