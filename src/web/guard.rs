//! Requests that another site made a browser send: with the user's credentials, but without the user's wish. Whatever
//! changes something, a page's action or an XML-RPC call, must be refused then; scripts, which send none of these
//! headers, are not concerned.

use std::fmt;
use std::net::IpAddr;

use crate::wire::http::Head;

/// What our pages may load and where they may send forms: nothing but what is served here, and no inline script.
pub const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'";

/// The headers that protect our pages in browsers. They go to browsers only ([`is_browser`]): everybody else gets the
/// headers of the original and no others.
pub const BROWSER_HEADERS: &[(&str, &str)] = &[
    ("Content-Security-Policy", CONTENT_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
];

/// `Accept` of Java's own client, which asks for pages and pictures as no browser does.
const ACCEPT_OF_JAVA: &str = "text/html, image/gif, image/jpeg,";

/// Characters of a name that are shown: no name has more.
const NAME_CHARS_MAX: usize = 253;

/// Scripts that call themselves Mozilla all the same.
const AGENTS_OF_SCRIPTS: &[&str] = &["PowerShell/"];

/// Why a browser is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// Another site sent it, or nothing says that none did.
    OtherSite,
    /// It takes us for a host of this name, which is none of ours.
    ForeignHost(&'a str),
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::OtherSite => write!(
                f,
                "refused: nothing shows that a page of this server asked for this, and another site may have. Use the \
                 buttons of the status page, with a browser that sends Origin or Referer."
            ),
            Refusal::ForeignHost(name) => {
                let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
                write!(
                    f,
                    "refused: this server has no password and does not know itself as {name}. If that is one of its names, \
                 add it to the configuration, [stheno] hosts={name}, or ask for a password."
                )
            }
        }
    }
}

/// Whether the client looks like a browser. All of them have called themselves Mozilla for thirty years and say which
/// languages they read; over plain HTTP they send no `Sec-Fetch` headers, so these alone do not tell. A page cannot
/// change what its browser calls itself.
pub fn is_browser(head: &Head) -> bool {
    let is_script = |agent: &str| AGENTS_OF_SCRIPTS.iter().any(|script| agent.contains(script));
    let is_mozilla = |agent: &str| agent.starts_with("Mozilla/") && !is_script(agent);
    let takes_pages = |accept: &str| {
        !accept.starts_with(ACCEPT_OF_JAVA) && (accept.contains("text/html") || accept.starts_with("image/"))
    };
    head.fetch_site.is_some()
        || head.user_agent.is_some_and(is_mozilla)
        || head.upgrade_insecure_requests.is_some()
        // The client built into Node says that it reads any.
        || head.accept_language.is_some_and(|languages| languages != "*")
        || head.accept.is_some_and(takes_pages)
}

/// Whether a request that only reads came about through another site, as far as the browser says so.
///
/// What the browser says of itself (`Sec-Fetch-Site`) counts first, since it is right even behind a proxy that
/// changes `Host`; then `Origin`, then `Referer`.
pub fn is_cross_site(head: &Head) -> bool {
    match (head.fetch_site, head.origin.or(head.referer)) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(url)) => !is_same_authority(url, head.host),
        (None, None) => false,
    }
}

/// For the events of a fleet: whether a page of another host asks, as far as the browser says so; another port of the same host may.
#[cfg(any(feature = "fleet", test))]
pub fn is_other_host(head: &Head) -> bool {
    let name = |authority: &str| match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.to_ascii_lowercase(),
        _ => authority.to_ascii_lowercase(),
    };
    let Some(origin) = head.origin else { return head.fetch_site == Some("cross-site") };
    let page = origin.split_once("://").map(|(_, authority)| name(authority));
    page.is_none() || page != head.host.map(name)
}

/// Whether a request that changes something is to be refused: a browser has to prove that it comes from our own page.
/// A link in another site's page needs no script, and a policy in that page keeps the browser from naming it.
pub fn may_be_forged(head: &Head) -> bool {
    let has_proof = head.fetch_site.or(head.origin).or(head.referer).is_some();
    is_cross_site(head) || (!has_proof && is_browser(head))
}

/// The names by which a server may be addressed.
#[derive(Debug, Default)]
pub struct HostNames {
    names: Vec<String>,
    /// First label of the machine's name: `box` is also `box.example`.
    first_label: Option<String>,
}

impl HostNames {
    /// Names as configured, and that of the machine.
    pub fn new(names: impl Iterator<Item = String>, hostname: &str) -> HostNames {
        let label = first_label(hostname);
        // With these every site could name itself after us.
        let is_own = !label.is_empty() && !label.eq_ignore_ascii_case("localhost") && label.parse::<u32>().is_err();
        HostNames { names: names.chain([hostname.to_owned()]).collect(), first_label: is_own.then(|| label.to_owned()) }
    }

    /// The name in `Host`, if it is none of ours: the sign of a site that has its own name point to our address, so that
    /// the browser takes us for a part of it. That takes a name; an address cannot be pointed anywhere.
    pub fn foreign<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let is_own = address.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
            || self.first_label.as_ref().is_some_and(|label| label.eq_ignore_ascii_case(first_label(name)));
        (!is_own).then_some(name)
    }
}

fn first_label(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
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
            assert_eq!(with_head(headers, is_cross_site), expected, "{headers:?}");
        }
    }

    #[test]
    fn what_changes_something_needs_proof_from_a_browser() {
        const MOZILLA: &str = "Host: h:9001\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0\r\n";
        let rows = [
            ("", true),
            ("Referer: http://h:9001/\r\n", false),
            ("Origin: http://h:9001\r\n", false),
            ("Sec-Fetch-Site: same-origin\r\n", false),
            ("Sec-Fetch-Site: none\r\n", false),
            ("Sec-Fetch-Site: cross-site\r\n", true),
            ("Origin: null\r\n", true),
            ("Referer: http://evil/\r\n", true),
        ];
        for (headers, expected) in rows {
            assert_eq!(with_head(&format!("{MOZILLA}{headers}"), may_be_forged), expected, "{headers:?}");
        }
        assert!(!with_head("Host: h:9001\r\nUser-Agent: curl/8.0\r\n", may_be_forged), "a script");
    }

    #[test]
    fn names_that_are_not_ours() {
        let names = HostNames::new(["web.example".to_owned()].into_iter(), "box.lan");
        let rows = [
            ("web.example:9001", None),
            ("WEB.example", None),
            ("web.example.", None),
            ("box", None),
            ("box.lan:9001", None),
            ("Box.other.example", None),
            ("boxes.lan", Some("boxes.lan")),
            ("web", Some("web")),
            ("web.example.evil:80", Some("web.example.evil")),
            ("evil.example:9001", Some("evil.example")),
            ("localhost:9001", None),
            ("localhost.evil", Some("localhost.evil")),
            ("127.0.0.1:9001", None),
            ("127.0.0.1.evil", Some("127.0.0.1.evil")),
            ("[::1]:9001", None),
            ("[::1]", None),
            ("", Some("")),
        ];
        for (host, expected) in rows {
            assert_eq!(names.foreign(host), expected, "{host:?}");
        }
        for hostname in ["localhost", "localhost.localdomain", "127.0.0.1", ""] {
            let names = HostNames::new([].into_iter(), hostname);
            for host in ["localhost.evil", "127.evil", "evil", ".evil"] {
                assert_eq!(names.foreign(host), Some(host), "on {hostname:?}");
            }
        }
    }

    #[test]
    fn browsers() {
        let rows = [
            ("Firefox", "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0\r\n", true),
            ("a picture", "Accept: image/avif,image/webp,*/*;q=0.8\r\n", true),
            ("a page", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n", true),
            ("a script of a page", "Accept: */*\r\nAccept-Language: de,en-US;q=0.7\r\n", true),
            ("a click", "Upgrade-Insecure-Requests: 1\r\n", true),
            ("https or loopback", "Sec-Fetch-Site: none\r\n", true),
            ("w3m", "User-Agent: w3m/0.5\r\nAccept: text/html, text/*;q=0.5, image/*\r\nAccept-Language: en\r\n", true),
            ("nothing", "", false),
            ("curl", "User-Agent: curl/8.5.0\r\nAccept: */*\r\n", false),
            ("wget", "User-Agent: Wget/1.21.4\r\nAccept: */*\r\nAccept-Encoding: identity\r\n", false),
            (
                "requests",
                "User-Agent: python-requests/2.32\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n",
                false,
            ),
            ("urllib", "Accept-Encoding: identity\r\nUser-Agent: Python-urllib/3.12\r\n", false),
            ("xmlrpc.client", "User-Agent: Python-xmlrpc/3.12\r\nContent-Type: text/xml\r\n", false),
            ("Go", "User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n", false),
            ("Perl", "TE: deflate,gzip;q=0.3\r\nUser-Agent: libwww-perl/6.72\r\n", false),
            ("PHP", "User-Agent: PHP\r\n", false),
            ("Guzzle", "User-Agent: GuzzleHttp/7\r\n", false),
            ("Ruby", "Accept-Encoding: gzip;q=1.0,deflate;q=0.6\r\nAccept: */*\r\nUser-Agent: Ruby\r\n", false),
            (
                "Java",
                "User-Agent: Java/1.8.0\r\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\n",
                false,
            ),
            (
                "Apache",
                "User-Agent: Apache XML RPC 3.0\r\nAccept: text/html, image/gif, image/jpeg, */*; q=0.2\r\n",
                false,
            ),
            ("Node", "Accept: */*\r\nAccept-Language: *\r\nSec-Fetch-Mode: cors\r\nUser-Agent: node\r\n", false),
            ("PowerShell", "User-Agent: Mozilla/5.0 (Windows NT 10.0; en-US) PowerShell/7.4\r\n", false),
        ];
        for (name, headers, expected) in rows {
            assert_eq!(with_head(headers, is_browser), expected, "{name}");
        }
    }
}
