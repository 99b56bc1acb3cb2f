//! Requests that another site made a browser send: with the user's credentials, but without the user's wish. Whatever
//! changes something, a page's action or an XML-RPC call, must be refused then; scripts, which send none of these
//! headers, are not concerned.

use crate::wire::http::Head;
use std::net::IpAddr;

/// What our pages may load and where they may send forms: nothing but what is served here, and no inline script.
pub const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'";

/// The headers that protect our pages in browsers. They go to browsers only ([`is_browser`]): everybody else gets the
/// headers of the original and no others.
pub const BROWSER_HEADERS: &[(&str, &str)] = &[
    ("Content-Security-Policy", CONTENT_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
];

/// Whether the client looks like a browser. All of them have called themselves Mozilla for thirty years; over plain
/// HTTP they send no `Sec-Fetch` headers, so these alone do not tell.
pub fn is_browser(head: &Head) -> bool {
    head.fetch_site.is_some() || head.user_agent.is_some_and(|agent| agent.starts_with("Mozilla/"))
}

/// Whether the request came about through another site. `own_hosts` are the names by which this server may be
/// addressed, without ports; an empty list allows any.
///
/// What the browser says of itself (`Sec-Fetch-Site`) counts first, since it is right even behind a proxy that
/// changes `Host`; then `Origin`, then `Referer`.
pub fn is_cross_site(head: &Head, own_hosts: &[String]) -> bool {
    if head.host.is_some_and(|host| is_foreign_host(host, own_hosts)) {
        return true;
    }
    match (head.fetch_site, head.origin.or(head.referer)) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(url)) => !is_same_authority(url, head.host),
        (None, None) => false,
    }
}

/// Whether `Host` is a name that is not ours: the sign of a site that has its own name point to our address, so that
/// the browser takes us for a part of it. That takes a name; an address cannot be pointed anywhere.
fn is_foreign_host(host: &str, own_hosts: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    !own_hosts.is_empty()
        && address.parse::<IpAddr>().is_err()
        && !name.eq_ignore_ascii_case("localhost")
        && !own_hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether a URL, or an origin, names the host and port that the request was sent to. The scheme may differ: it does
/// behind a proxy that ends TLS.
fn is_same_authority(url: &str, host: Option<&str>) -> bool {
    let (Some(host), Some((scheme, rest))) = (host, url.split_once("://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let default_port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let bare = |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    bare(authority) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::parse_head;

    fn with_head<T>(headers: &str, look: impl Fn(&Head) -> T) -> T {
        let mut text = format!("GET /?action=stopall HTTP/1.1\r\n{headers}\r\n").into_bytes();
        look(&parse_head(&mut text).expect("a head"))
    }

    #[test]
    fn who_sent_the_browser() {
        let rows = [
            ("", false),
            ("Host: h:9001\r\n", false),
            ("Host: h:9001\r\nSec-Fetch-Site: same-origin\r\n", false),
            ("Host: h:9001\r\nSec-Fetch-Site: none\r\n", false),
            ("Host: h:9001\r\nSec-Fetch-Site: cross-site\r\n", true),
            ("Host: h:9001\r\nSec-Fetch-Site: same-site\r\n", true),
            ("Host: h:9001\r\nSec-Fetch-Site: cross-site\r\nOrigin: http://h:9001\r\n", true),
            ("Host: upstream\r\nSec-Fetch-Site: same-origin\r\nOrigin: https://public\r\n", false),
            ("Host: h:9001\r\nOrigin: http://h:9001\r\n", false),
            ("Host: h:9001\r\nOrigin: http://H:9001\r\n", false),
            ("Host: h:9001\r\nOrigin: http://h\r\n", true),
            ("Host: h:9001\r\nOrigin: http://evil:9001\r\n", true),
            ("Host: h:9001\r\nOrigin: null\r\n", true),
            ("Host: h\r\nOrigin: http://h:80\r\n", false),
            ("Host: h\r\nOrigin: https://h\r\n", false),
            ("Host: h:443\r\nOrigin: https://h\r\n", false),
            ("Origin: http://h\r\n", true),
            ("Host: h:9001\r\nReferer: http://h:9001/index.html?a=b\r\n", false),
            ("Host: h:9001\r\nReferer: http://evil/?http://h:9001/\r\n", true),
            ("Host: h\r\nReferer: http://h.evil/\r\n", true),
            ("Host: h\r\nReferer: http://h@evil/\r\n", true),
            ("Host: h\r\nReferer:\r\n", true),
        ];
        for (headers, expected) in rows {
            assert_eq!(with_head(headers, |head| is_cross_site(head, &[])), expected, "{headers:?}");
        }
    }

    #[test]
    fn names_that_are_not_ours() {
        let own = ["box.example".to_owned()];
        let rows = [
            ("Host: box.example:9001\r\n", false),
            ("Host: BOX.example\r\n", false),
            ("Host: evil.example:9001\r\n", true),
            ("Host: box.example.evil\r\n", true),
            ("Host: localhost:9001\r\n", false),
            ("Host: 127.0.0.1:9001\r\n", false),
            ("Host: 127.0.0.1.evil\r\n", true),
            ("Host: [::1]:9001\r\n", false),
            ("Host: [::1]\r\n", false),
            ("", false),
        ];
        for (headers, expected) in rows {
            assert_eq!(with_head(headers, |head| is_cross_site(head, &own)), expected, "{headers:?}");
            assert!(!with_head(headers, |head| is_cross_site(head, &[])), "{headers:?}, any name allowed");
        }
    }

    #[test]
    fn browsers() {
        let rows = [
            ("User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n", true),
            ("Sec-Fetch-Site: none\r\n", true),
            ("User-Agent: curl/8.0\r\n", false),
            ("", false),
        ];
        for (headers, expected) in rows {
            assert_eq!(with_head(headers, is_browser), expected, "{headers:?}");
        }
    }
}
