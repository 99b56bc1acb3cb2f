//! Heads of requests: found, unfolded and read in place, without an allocation.

use super::{Framing, HEAD_BYTES_MAX, HEADERS_MAX, HttpError};
use crate::wire::scan;
use std::str::from_utf8;

/// The version of HTTP in a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The digit before the point.
    pub major: u8,
    /// The digit after it.
    pub minor: u8,
}

impl Version {
    /// A request line without a version.
    pub const MISSING: Version = Version { major: 0, minor: 9 };
    /// HTTP/1.0, which closes after each answer.
    pub const V1_0: Version = Version { major: 1, minor: 0 };
    /// HTTP/1.1, which keeps connections.
    pub const V1_1: Version = Version { major: 1, minor: 1 };

    /// Reads `HTTP/d.d` with one digit each.
    pub(super) fn parse(text: &[u8]) -> Option<Version> {
        match text {
            [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
                Some(Version { major: major - b'0', minor: minor - b'0' })
            }
            _ => None,
        }
    }
}

/// What of a request decides the form of its reply. It outlives the request, for replies that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// The version, which the reply repeats (X-5).
    pub version: Version,
    /// Whether the client wants the connection kept (X-7). A reply may still close it.
    pub keep_alive: bool,
    /// Whether this is HEAD: the reply has no body.
    pub head_only: bool,
}

impl ReplyTo {
    /// For errors in a request whose head could not be read.
    pub const UNREADABLE: ReplyTo = ReplyTo { version: Version::V1_0, keep_alive: false, head_only: false };
}

/// A request's head. Header values are without white space around; of repeated headers the first counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Head<'a> {
    /// The method as sent, upper or lower case.
    pub method: &'a str,
    /// The target as sent: path, query and all.
    pub target: &'a str,
    /// Where the body ends.
    pub framing: Framing,
    /// What decides the form of the reply.
    pub reply_to: ReplyTo,
    /// `Expect: 100-continue`: the client waits for leave to send its body.
    pub expects_continue: bool,
    /// `Host`, or the authority of an absolute target.
    pub host: Option<&'a str>,
    /// `Authorization`: the name and password of whoever asks.
    pub authorization: Option<&'a str>,
    /// `Origin`: from which site a browser was sent here.
    pub origin: Option<&'a str>,
    /// `Referer`: from which page a browser was sent here.
    pub referer: Option<&'a str>,
    /// `Sec-Fetch-Site`: whether that site is ours, by the browser's word.
    pub fetch_site: Option<&'a str>,
    /// `User-Agent`: which program asks.
    pub user_agent: Option<&'a str>,
    /// `Accept`: which types of content it takes.
    pub accept: Option<&'a str>,
    /// `Accept-Language`: which languages its user reads.
    pub accept_language: Option<&'a str>,
    /// `Upgrade-Insecure-Requests`, which only browsers send that open a page.
    pub upgrade_insecure_requests: Option<&'a str>,
    /// `If-Modified-Since`: the date of what it has already.
    pub if_modified_since: Option<&'a str>,
    /// `If-None-Match`: the tag of what it has already.
    pub if_none_match: Option<&'a str>,
    /// `Accept-Encoding`: which compressions it takes.
    pub accept_encoding: Option<&'a str>,
    /// `Last-Event-ID`: the last event of a stream that it has seen.
    pub last_event_id: Option<&'a str>,
    /// `Content-Type`: what its body is.
    #[cfg(feature = "fleet")]
    pub content_type: Option<&'a str>,
    /// `Upgrade`: what it would rather speak, `websocket`.
    pub upgrade: Option<&'a str>,
    /// `Sec-WebSocket-Key`: base64, from which the answer's key is made.
    pub websocket_key: Option<&'a str>,
}

/// The length of the head at the front of `buf`, with empty lines before it and the blank line behind (X-4), or None
/// while its end is not there. `searched` bytes at the front are known to be too short: what was there last time.
/// Only CRLF CRLF ends a head, as in the original.
pub fn head_len(buf: &[u8], searched: usize) -> Result<Option<usize>, HttpError> {
    let start = leading_empty_lines(buf);
    // The end may have begun in what was searched before.
    let from = start.max(searched.saturating_sub(3)).min(buf.len());
    let found = end_of_head(&buf[from..]).map(|at| from + at + 4);
    if found.unwrap_or(buf.len()) > HEAD_BYTES_MAX {
        return Err(HttpError::HeadTooLarge);
    }
    Ok(found)
}

/// The place of the first CRLF CRLF.
fn end_of_head(buf: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += scan::position(&buf[at..], |byte| byte == b'\r')?;
        if buf[at..].starts_with(b"\r\n\r\n") {
            return Some(at);
        }
        at += 1;
    }
}

fn leading_empty_lines(buf: &[u8]) -> usize {
    buf.chunks(2).take_while(|pair| *pair == b"\r\n").count() * 2
}

/// Reads a head of the length that [`head_len`] found. Folded headers are joined in place, with blanks.
pub fn parse_head(head: &mut [u8]) -> Result<Head<'_>, HttpError> {
    unfold(head)?;
    let head = &head[leading_empty_lines(head)..];
    let line_end = scan::position(head, |byte| byte == b'\r').ok_or(HttpError::BadLine)?;
    let (method, target, version) = request_line(&head[..line_end])?;
    let (target, authority) = split_authority(target);

    let mut parsed = Head {
        method,
        target,
        framing: Framing::None,
        reply_to: ReplyTo { version, keep_alive: version >= Version::V1_1, head_only: method == "HEAD" },
        expects_continue: false,
        host: authority,
        authorization: None,
        origin: None,
        referer: None,
        fetch_site: None,
        user_agent: None,
        accept: None,
        accept_language: None,
        upgrade_insecure_requests: None,
        if_modified_since: None,
        if_none_match: None,
        accept_encoding: None,
        last_event_id: None,
        #[cfg(feature = "fleet")]
        content_type: None,
        upgrade: None,
        websocket_key: None,
    };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    for header in parse_headers(&head[line_end + 2..], &mut headers)? {
        parsed.take(header.name, header.value)?;
    }
    Ok(parsed)
}

/// What decides the form of the reply to a head that cannot be read: its first line, if at least that is in order.
pub fn reply_to_unreadable(head: &[u8]) -> ReplyTo {
    let head = &head[leading_empty_lines(head)..];
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let version = request_line(line).map(|(_, _, version)| version);
    version.map_or(ReplyTo::UNREADABLE, |version| ReplyTo { version, ..ReplyTo::UNREADABLE })
}

/// Reads the lines between the first line and the blank one.
pub(super) fn parse_headers<'h, 'a>(
    lines: &'a [u8],
    headers: &'h mut [httparse::Header<'a>; HEADERS_MAX],
) -> Result<&'h [httparse::Header<'a>], HttpError> {
    match httparse::parse_headers(lines, headers) {
        Ok(httparse::Status::Complete((_, headers))) => Ok(headers),
        Err(httparse::Error::TooManyHeaders) => Err(HttpError::HeadTooLarge),
        _ => Err(HttpError::BadHeader),
    }
}

impl<'a> Head<'a> {
    /// Takes over one header, if it is one that matters here.
    fn take(&mut self, name: &str, value: &'a [u8]) -> Result<(), HttpError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // Most headers of browsers matter to nobody; the length sorts them out before names are compared.
        let field = match name.len() {
            4 if is("Host") => &mut self.host,
            13 if is("Authorization") => &mut self.authorization,
            6 if is("Origin") => &mut self.origin,
            7 if is("Referer") => &mut self.referer,
            14 if is("Sec-Fetch-Site") => &mut self.fetch_site,
            10 if is("User-Agent") => &mut self.user_agent,
            6 if is("Accept") => &mut self.accept,
            15 if is("Accept-Language") => &mut self.accept_language,
            25 if is("Upgrade-Insecure-Requests") => &mut self.upgrade_insecure_requests,
            17 if is("If-Modified-Since") => &mut self.if_modified_since,
            13 if is("If-None-Match") => &mut self.if_none_match,
            15 if is("Accept-Encoding") => &mut self.accept_encoding,
            13 if is("Last-Event-ID") => &mut self.last_event_id,
            #[cfg(feature = "fleet")]
            12 if is("Content-Type") => &mut self.content_type,
            7 if is("Upgrade") => &mut self.upgrade,
            17 if is("Sec-WebSocket-Key") => &mut self.websocket_key,
            14 if is("Content-Length") => return self.framing.set_length(value),
            17 if is("Transfer-Encoding") => return self.framing.set_encoding(value),
            10 if is("Connection") => {
                self.reply_to.keep_alive = keeps_alive(self.reply_to.version, self.reply_to.keep_alive, value);
                return Ok(());
            }
            6 if is("Expect") => {
                self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
                return Ok(());
            }
            _ => return Ok(()),
        };
        if field.is_none() {
            *field = Some(from_utf8(value).map_err(|_| HttpError::BadHeader)?.trim_ascii());
        }
        Ok(())
    }
}

/// Whether a connection stays, after a `Connection` header (X-7). Without a version it never does.
pub(super) fn keeps_alive(version: Version, so_far: bool, value: &[u8]) -> bool {
    let has =
        |token: &[u8]| value.split(|&byte| byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token));
    if has(b"close") { false } else { so_far || (version == Version::V1_0 && has(b"keep-alive")) }
}

/// Replaces the line breaks of folded headers by blanks, and refuses bare CR and LF: what one program takes for the
/// end of a line another may not, and what is in between is then read as two different requests.
pub(super) fn unfold(head: &mut [u8]) -> Result<(), HttpError> {
    let mut at = 0;
    while let Some(found) = scan::position(&head[at..], |byte| byte == b'\r' || byte == b'\n') {
        at += found;
        match head[at..] {
            [b'\r', b'\n', b' ' | b'\t', ..] => head[at..at + 3].fill(b' '),
            [b'\r', b'\n', ..] => {}
            _ => return Err(HttpError::BadHeader),
        }
        at += 2;
    }
    Ok(())
}

/// Splits `METHOD target[ HTTP/d.d]`.
fn request_line(line: &[u8]) -> Result<(&str, &str, Version), HttpError> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), version, None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(HttpError::BadLine);
    };
    let version = match version {
        None => Version::MISSING,
        Some(text) => Version::parse(text).ok_or(HttpError::BadLine)?,
    };
    let readable = !method.is_empty()
        && method.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !target.is_empty()
        && scan::position(target, |byte| byte <= b' ' || byte == 0x7f).is_none();
    match (from_utf8(method), from_utf8(target)) {
        (Ok(method), Ok(target)) if readable => Ok((method, target, version)),
        _ => Err(HttpError::BadLine),
    }
}

/// Cuts `http://host:port` off an absolute target, which goes to proxies and must be understood by servers.
fn split_authority(target: &str) -> (&str, Option<&str>) {
    const SCHEME: &str = "http://";
    match target.get(..SCHEME.len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => {
            let rest = &target[SCHEME.len()..];
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let path = if rest[end..].starts_with('/') { &rest[end..] } else { "/" };
            (path, Some(&rest[..end]))
        }
        _ => (target, None),
    }
}

/// The path of a target, still quoted, and its query without the question mark. Parameters behind `;` and a fragment
/// are dropped.
pub fn split_target(target: &str) -> (&str, &str) {
    let target = target.split('#').next().unwrap_or("");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (path.split(';').next().unwrap_or(""), query)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a head as a server would that receives it whole, byte by byte, and with the next request behind it.
    fn read(text: &[u8]) -> Result<Option<(usize, String)>, HttpError> {
        let whole = read_once(text, text.len().max(1));
        assert_eq!(read_once(text, 1), whole, "byte by byte: {:?}", String::from_utf8_lossy(text));
        if let Ok(Some(_)) = whole {
            let more = [text, b"\r\nGET /next HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(read_once(&more, more.len()), whole, "with more: {:?}", String::from_utf8_lossy(text));
        }
        whole
    }

    fn read_once(text: &[u8], step: usize) -> Result<Option<(usize, String)>, HttpError> {
        let mut buf = Vec::new();
        for piece in text.chunks(step) {
            let searched = buf.len();
            buf.extend_from_slice(piece);
            if let Some(len) = head_len(&buf, searched)? {
                return parse_head(&mut buf[..len]).map(|head| Some((len, describe(&head))));
            }
        }
        Ok(None)
    }

    fn describe(head: &Head) -> String {
        let ReplyTo { version, keep_alive, .. } = head.reply_to;
        let mut text = format!("{} {} {}.{}", head.method, head.target, version.major, version.minor);
        text += if keep_alive { " keep" } else { " close" };
        match head.framing {
            Framing::None => {}
            Framing::Length(length) => text += &format!(" length={length}"),
            other => text += &format!(" {other:?}"),
        }
        if head.expects_continue {
            text += " continue";
        }
        let fields = [
            ("host", head.host),
            ("authorization", head.authorization),
            ("origin", head.origin),
            ("referer", head.referer),
            ("fetch-site", head.fetch_site),
            ("user-agent", head.user_agent),
            ("accept", head.accept),
            ("accept-language", head.accept_language),
            ("upgrade-insecure-requests", head.upgrade_insecure_requests),
            ("since", head.if_modified_since),
            ("none-match", head.if_none_match),
            ("accept-encoding", head.accept_encoding),
            ("last-event-id", head.last_event_id),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                text += &format!(" {name}={value}");
            }
        }
        text
    }

    #[test]
    fn heads() {
        let rows: &[(&str, &str)] = &[
            ("GET / HTTP/1.1\r\n\r\n", "GET / 1.1 keep"),
            ("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 close"),
            ("GET / HTTP/2.0\r\n\r\n", "GET / 2.0 keep"),
            ("GET /\r\n\r\n", "GET / 0.9 close"),
            ("GET /\r\nConnection: keep-alive\r\n\r\n", "GET / 0.9 close"),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / 1.1 keep"),
            ("get /a?b#c HTTP/1.1\r\nHOST:  h:1  \r\n\r\n", "get /a?b#c 1.1 keep host=h:1"),
            ("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", "GET / 1.1 close"),
            ("GET / HTTP/1.1\r\nConnection: TE, close\r\n\r\n", "GET / 1.1 close"),
            ("GET / HTTP/1.1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", "GET / 1.1 close"),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0 keep"),
            ("POST /RPC2 HTTP/1.1\r\ncontent-length:5\r\n\r\n", "POST /RPC2 1.1 keep length=5"),
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "POST / 1.1 keep length=5"),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", "POST / 1.1 keep Chunked"),
            (
                "POST / HTTP/1.1\r\nContent-Length: 300000\r\nExpect: 100-Continue\r\n\r\n",
                "POST / 1.1 keep length=300000 continue",
            ),
            ("GET http://h:1/a?b HTTP/1.1\r\nHost: other\r\n\r\n", "GET /a?b 1.1 keep host=h:1"),
            ("GET HTTP://h HTTP/1.1\r\n\r\n", "GET / 1.1 keep host=h"),
            ("OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS * 1.1 keep"),
            (
                "GET / HTTP/1.1\r\nOrigin: o\r\nReferer: r\r\nSec-Fetch-Site: none\r\nUser-Agent: u\r\nIf-Modified-Since: d\r\nAuthorization: Basic YQ==\r\n\r\n",
                "GET / 1.1 keep authorization=Basic YQ== origin=o referer=r fetch-site=none user-agent=u since=d",
            ),
            (
                "GET / HTTP/1.1\r\nAuthorization: Basic\r\n  YQ==\r\nHost: h\r\n\r\n",
                "GET / 1.1 keep host=h authorization=Basic    YQ==",
            ),
            ("GET / HTTP/1.1\r\nReferer: a\r\n\tb\r\n\r\n", "GET / 1.1 keep referer=a   b"),
            ("GET / HTTP/1.1\r\nX-Other: \u{e9}\r\nHost: a\r\nHost: b\r\n\r\n", "GET / 1.1 keep host=a"),
            ("GET /é HTTP/1.1\r\n\r\n", "GET /é 1.1 keep"),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text.as_bytes()), Ok(Some((text.len(), (*expected).to_owned()))), "{text:?}");
        }
    }

    #[test]
    fn refused() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        let rows: &[(&[u8], HttpError)] = &[
            (b"GARBAGE\r\n\r\n", HttpError::BadLine),
            (b"GET / FOO\r\n\r\n", HttpError::BadLine),
            (b"GET / HTTP/1.1.1\r\n\r\n", HttpError::BadLine),
            (b"GET / http/1.1\r\n\r\n", HttpError::BadLine),
            (b"GET  / HTTP/1.1\r\n\r\n", HttpError::BadLine),
            (b"GET / HTTP/1.1 \r\n\r\n", HttpError::BadLine),
            (b" GET / HTTP/1.1\r\n\r\n", HttpError::BadLine),
            (b"G\xffT / HTTP/1.1\r\n\r\n", HttpError::BadLine),
            (b"GET /\xff HTTP/1.1\r\n\r\n", HttpError::BadLine),
            (b"GET /\0 HTTP/1.1\r\n\r\n", HttpError::BadLine),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", HttpError::BadHeader),
            (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", HttpError::BadHeader),
            (b"GET / HTTP/1.1\nHost: x\r\n\r\n", HttpError::BadHeader),
            (b"GET / HTTP/1.1\r\nA: b\nHost: x\r\n\r\n", HttpError::BadHeader),
            (b"GET / HTTP/1.1\r\nA: b\rHost: x\r\n\r\n", HttpError::BadHeader),
            (b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", HttpError::BadHeader),
            (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", HttpError::BadLength),
            (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", HttpError::BadLength),
            (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", HttpError::BadLength),
            (b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", HttpError::BadLength),
            (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", HttpError::BadLength),
            (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", HttpError::BadLength),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", HttpError::BadEncoding),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", HttpError::BadEncoding),
            (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", HttpError::BadEncoding),
            (many.as_bytes(), HttpError::HeadTooLarge),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text), Err(*expected), "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_head_without_end_is_awaited_up_to_the_bound() {
        for text in ["", "\r", "\r\n", "\r\n\r\n", "GET", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\n\n"] {
            assert_eq!(read(text.as_bytes()), Ok(None), "{text:?}");
        }
        assert_eq!(head_len(&[b'a'; HEAD_BYTES_MAX], 0), Ok(None));
        assert_eq!(head_len(&[b'a'; HEAD_BYTES_MAX + 1], 0), Err(HttpError::HeadTooLarge));
    }

    #[test]
    fn replies_to_unreadable_heads_have_their_version() {
        let rows: &[(&[u8], Version)] = &[
            (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", Version::V1_1),
            (b"\r\nPOST / HTTP/2.0\r\nno colon\r\n\r\n", Version { major: 2, minor: 0 }),
            (b"POST / FOO\r\n\r\n", Version::V1_0),
            (b"", Version::V1_0),
        ];
        for (text, version) in rows {
            assert_eq!(reply_to_unreadable(text).version, *version, "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn targets() {
        let rows = [
            ("/", "/", ""),
            ("/a/b?c=d?e", "/a/b", "c=d?e"),
            ("/a;p?c#f", "/a", "c"),
            ("/a#f?c", "/a", ""),
            ("*", "*", ""),
            ("?q", "", "q"),
        ];
        for (target, path, query) in rows {
            assert_eq!(split_target(target), (path, query), "{target}");
        }
    }
}
