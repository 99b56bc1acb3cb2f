//! Replies of the server, in the original's bytes: its header order, its error page.

use super::{ReplyTo, StreamBody, Version};
use crate::wire::decimal::push_decimal;

/// Leave to send a body, for `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A status code with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u16, &'static str);

#[allow(missing_docs)]
impl Status {
    pub const OK: Status = Status(200, "OK");
    pub const MOVED_PERMANENTLY: Status = Status(301, "Moved Permanently");
    pub const NOT_MODIFIED: Status = Status(304, "Not Modified");
    pub const BAD_REQUEST: Status = Status(400, "Bad Request");
    pub const UNAUTHORIZED: Status = Status(401, "Unauthorized");
    pub const FORBIDDEN: Status = Status(403, "Forbidden");
    pub const NOT_FOUND: Status = Status(404, "Not Found");
    pub const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
    pub const LENGTH_REQUIRED: Status = Status(411, "Length Required");
    pub const BODY_TOO_LARGE: Status = Status(413, "Request Entity Too Large");
    pub const UNSUPPORTED_MEDIA_TYPE: Status = Status(415, "Unsupported Media Type");
    pub const HEAD_TOO_LARGE: Status = Status(431, "Request Header Fields Too Large");
    pub const INTERNAL_SERVER_ERROR: Status = Status(500, "Internal Server Error");
    pub const SERVICE_UNAVAILABLE: Status = Status(503, "Service Unavailable");

    pub fn code(self) -> u16 {
        self.0
    }

    /// The words behind it.
    pub fn reason(self) -> &'static str {
        self.1
    }
}

/// A reply on its way into an output buffer. Headers go out in the order they are given; one of [`body`](Reply::body),
/// [`stream`](Reply::stream) and [`no_body`](Reply::no_body) ends it.
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    to: ReplyTo,
    status: Status,
    has_length: bool,
    /// Whether the server closes the connection behind it, whatever the client wants.
    closes: bool,
}

impl<'a> Reply<'a> {
    /// Begins a reply with its status line, `Server` and `Date`, the latter as `format_date` gives it.
    pub fn begin(out: &'a mut Vec<u8>, to: ReplyTo, status: Status, date: &str) -> Reply<'a> {
        // A request without a version gets the oldest that has a status line.
        let version = if to.version == Version::MISSING { Version::V1_0 } else { to.version };
        let line = [b'H', b'T', b'T', b'P', b'/', b'0' + version.major, b'.', b'0' + version.minor, b' '];
        out.extend_from_slice(&line);
        push_decimal(out, i64::from(status.0));
        out.push(b' ');
        out.extend_from_slice(status.1.as_bytes());
        out.extend_from_slice(b"\r\nServer: Medusa/1.12\r\nDate: ");
        out.extend_from_slice(date.as_bytes());
        out.extend_from_slice(b"\r\n");
        Reply { out, to, status, has_length: false, closes: false }
    }

    /// Adds a header. Control characters are dropped: no value may begin a line of its own.
    pub fn header(self, name: &str, value: &str) -> Reply<'a> {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend(value.bytes().filter(|byte| !byte.is_ascii_control()));
        self.out.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn headers(self, headers: &[(&str, &str)]) -> Reply<'a> {
        headers.iter().fold(self, |reply, (name, value)| reply.header(name, value))
    }

    /// Adds `Connection: close`; the caller closes the connection.
    pub fn closing(mut self) -> Reply<'a> {
        self.closes = true;
        self.header("Connection", "close")
    }

    /// Adds `Content-Length` here rather than last.
    pub fn length(mut self, bytes: usize) -> Reply<'a> {
        self.has_length = true;
        self.out.extend_from_slice(b"Content-Length: ");
        push_decimal(self.out, bytes as i64);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Ends the head, with a length, and adds the body.
    pub fn body(self, body: &[u8]) {
        self.body_of(&[body]);
    }

    /// The same for a body in several pieces.
    pub fn body_of(self, pieces: &[&[u8]]) {
        let head_only = self.to.head_only;
        let length = pieces.iter().map(|piece| piece.len()).sum();
        let reply = if self.has_length { self } else { self.length(length) };
        let out = reply.end_of_head(true);
        if !head_only {
            out.reserve(length);
            pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        }
    }

    /// Adds the page of an error behind these headers, and ends the reply. It goes out to HEAD as well, as in
    /// the original, where clients wait for it; the connection must then be closed, see
    /// [`must_close`](Reply::must_close).
    pub fn error_page(self, headers: &[(&str, &str)]) {
        let body = error_body(self.status);
        let mut reply = self.headers(headers).length(body.len()).header("Content-Type", "text/html");
        reply.to.head_only = false;
        reply.body(body.as_bytes());
    }

    /// Ends the head of a reply without a body: 304. As in the original it is chunked, with no chunk but the last.
    pub fn no_body(self) {
        let (out, body) = self.begin_stream();
        body.end(out);
    }

    /// Whether nothing can follow this reply on its connection: the client does not want more, or it is of a form of
    /// the original that a strict client takes for the beginning of the next one.
    pub fn must_close(&self) -> bool {
        let has_no_body = self.to.head_only && self.status != Status::OK;
        !self.to.keep_alive || has_no_body || self.status == Status::NOT_MODIFIED
    }

    /// Ends the head of a body whose length is not known.
    pub fn stream(self) -> StreamBody {
        self.begin_stream().1
    }

    fn begin_stream(self) -> (&'a mut Vec<u8>, StreamBody) {
        let is_chunked = self.to.version >= Version::V1_1;
        let reply = if is_chunked { self.header("Transfer-Encoding", "chunked") } else { self };
        (reply.end_of_head(false), StreamBody { is_chunked })
    }

    /// An old client hears that its wish to keep the connection is granted, which takes a body with an end.
    fn end_of_head(self, has_end: bool) -> &'a mut Vec<u8> {
        if has_end && self.to.keep_alive && !self.closes && self.to.version == Version::V1_0 {
            self.out.extend_from_slice(b"Connection: Keep-Alive\r\n");
        }
        self.out.extend_from_slice(b"\r\n");
        self.out
    }
}

/// The page of an error, of a redirection and of 401.
pub fn error_body(status: Status) -> String {
    format!(
        "<head>\r\n<title>Error response</title>\r\n</head>\r\n<body>\r\n<h1>Error response</h1>\r\n\
         <p>Error code {}.\r\n<p>Message: {}.\r\n</body>\r\n",
        status.code(),
        status.reason()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sat, 21 Nov 2026 08:58:44 GMT";
    const V1_1: ReplyTo = ReplyTo { version: Version::V1_1, keep_alive: true, head_only: false };
    const V1_0: ReplyTo = ReplyTo { version: Version::V1_0, keep_alive: false, head_only: false };

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn replies_are_the_bytes_of_the_original() {
        let rows: Vec<(&str, String, &str)> = vec![
            (
                "404",
                written(|out| Reply::begin(out, V1_1, Status::NOT_FOUND, DATE).error_page(&[])),
                "HTTP/1.1 404 Not Found\r\nServer: Medusa/1.12\r\nDate: Sat, 21 Nov 2026 08:58:44 GMT\r\nContent-Length: 134\r\nContent-Type: text/html\r\n\r\n\
                 <head>\r\n<title>Error response</title>\r\n</head>\r\n<body>\r\n<h1>Error response</h1>\r\n<p>Error code 404.\r\n<p>Message: Not Found.\r\n</body>\r\n",
            ),
            (
                "401",
                written(|out| {
                    let to = ReplyTo { keep_alive: true, ..V1_0 };
                    let reply = Reply::begin(out, to, Status::UNAUTHORIZED, DATE).closing();
                    reply.error_page(&[("WWW-Authenticate", "Basic realm=\"default\"")]);
                }),
                "HTTP/1.0 401 Unauthorized\r\nServer: Medusa/1.12\r\nDate: Sat, 21 Nov 2026 08:58:44 GMT\r\nConnection: close\r\n\
                 WWW-Authenticate: Basic realm=\"default\"\r\nContent-Length: 137\r\nContent-Type: text/html\r\n\r\n\
                 <head>\r\n<title>Error response</title>\r\n</head>\r\n<body>\r\n<h1>Error response</h1>\r\n<p>Error code 401.\r\n<p>Message: Unauthorized.\r\n</body>\r\n",
            ),
            (
                "1.0, kept",
                written(|out| {
                    let to = ReplyTo { keep_alive: true, ..V1_0 };
                    Reply::begin(out, to, Status::OK, DATE).header("Content-Type", "text/plain").body(b"OK");
                }),
                "HTTP/1.0 200 OK\r\nServer: Medusa/1.12\r\nDate: Sat, 21 Nov 2026 08:58:44 GMT\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nOK",
            ),
            (
                "no version",
                written(|out| {
                    Reply::begin(out, ReplyTo { version: Version::MISSING, ..V1_0 }, Status::OK, "d").body(b"")
                }),
                "HTTP/1.0 200 OK\r\nServer: Medusa/1.12\r\nDate: d\r\nContent-Length: 0\r\n\r\n",
            ),
            (
                "HEAD, version 2.0",
                written(|out| {
                    let to = ReplyTo { version: Version { major: 2, minor: 0 }, keep_alive: true, head_only: true };
                    Reply::begin(out, to, Status::OK, "d").body(b"body");
                }),
                "HTTP/2.0 200 OK\r\nServer: Medusa/1.12\r\nDate: d\r\nContent-Length: 4\r\n\r\n",
            ),
            (
                "stream",
                written(|out| assert!(Reply::begin(out, V1_1, Status::OK, "d").stream().is_chunked)),
                "HTTP/1.1 200 OK\r\nServer: Medusa/1.12\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
            (
                "stream, 1.0",
                written(|out| {
                    let reply = Reply::begin(out, ReplyTo { keep_alive: true, ..V1_0 }, Status::OK, "d");
                    assert!(!reply.stream().is_chunked);
                }),
                "HTTP/1.0 200 OK\r\nServer: Medusa/1.12\r\nDate: d\r\n\r\n",
            ),
            (
                "304",
                written(|out| Reply::begin(out, V1_1, Status::NOT_MODIFIED, "d").no_body()),
                "HTTP/1.1 304 Not Modified\r\nServer: Medusa/1.12\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
            (
                "304, 1.0",
                written(|out| Reply::begin(out, V1_0, Status::NOT_MODIFIED, "d").no_body()),
                "HTTP/1.0 304 Not Modified\r\nServer: Medusa/1.12\r\nDate: d\r\n\r\n",
            ),
            (
                "a value with line breaks",
                written(|out| {
                    Reply::begin(out, V1_0, Status::OK, "d").header("Location", "a\r\nSet-Cookie: b\0").no_body()
                }),
                "HTTP/1.0 200 OK\r\nServer: Medusa/1.12\r\nDate: d\r\nLocation: aSet-Cookie: b\r\n\r\n",
            ),
        ];
        for (name, text, expected) in rows {
            assert_eq!(text, expected, "{name}");
        }
    }
}
