//! The client's side: requests written, answers read as they arrive.

use super::head::{keeps_alive, parse_headers, unfold};
use super::{BodyReader, Framing, HEADERS_MAX, HttpError, Version, head_len};
use crate::wire::decimal::push_decimal;

/// Appends a request. `headers` follow `Host`; a body, even an empty one, is preceded by its length.
pub fn write_request(
    out: &mut Vec<u8>,
    method: &str,
    target: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) {
    let mut line = |name: &str, separator: &str, value: &str| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(separator.as_bytes());
        out.extend(value.bytes().filter(|byte| !byte.is_ascii_control()));
        out.extend_from_slice(b"\r\n");
    };
    line(method, " ", &format!("{target} HTTP/1.1"));
    line("Host", ": ", host);
    for (name, value) in headers {
        line(name, ": ", value);
    }
    if let Some(body) = body {
        out.extend_from_slice(b"Content-Length: ");
        push_decimal(out, body.len() as i64);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body.unwrap_or_default());
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The number behind the version, 100 to 999.
    pub status: u16,
    /// The words behind it; may be empty.
    pub reason: String,
    /// All headers in their order; values that are not UTF-8 are decoded lossily.
    pub headers: Vec<(String, String)>,
    /// Whether the server keeps the connection behind this answer.
    pub keep_alive: bool,
    framing: Framing,
}

impl ResponseHead {
    /// The value of the first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads one answer from what arrives. Interim answers (1xx) are passed over.
#[derive(Clone, Debug)]
pub struct ResponseReader {
    /// Whether the request was HEAD: then there is no body, whatever the head says.
    to_head: bool,
    body_bytes_max: u64,
    /// What has arrived of the head.
    buffer: Vec<u8>,
    read: Option<(ResponseHead, BodyReader)>,
}

impl ResponseReader {
    /// A reader for the answer to a request of that method. A body larger than `body_bytes_max` is an error.
    pub fn new(method: &str, body_bytes_max: u64) -> ResponseReader {
        ResponseReader { to_head: method == "HEAD", body_bytes_max, buffer: Vec::new(), read: None }
    }

    /// Takes what arrived and appends what it contains of the body to `body`. Answers how many bytes were used: those
    /// behind the answer belong to the next one, or nobody asked for them.
    pub fn feed(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, HttpError> {
        if let Some((_, reader)) = &mut self.read {
            return reader.read(input, body).map(|progress| progress.used);
        }
        let mut searched = self.buffer.len();
        self.buffer.extend_from_slice(input);
        while let Some(len) = head_len(&self.buffer, searched)? {
            let head = parse_response(&mut self.buffer[..len], self.to_head)?;
            let rest = self.buffer.split_off(len);
            self.buffer = rest;
            searched = 0;
            if head.status >= 200 {
                let mut reader = BodyReader::new(head.framing, self.body_bytes_max)?;
                // What is behind a head came with this input: the head was not whole before.
                let rest = std::mem::take(&mut self.buffer);
                let behind = rest.len() - reader.read(&rest, body)?.used;
                self.read = Some((head, reader));
                return Ok(input.len() - behind);
            }
        }
        Ok(input.len())
    }

    /// The head, once it has arrived.
    pub fn head(&self) -> Option<&ResponseHead> {
        self.read.as_ref().map(|(head, _)| head)
    }

    /// Whether the answer is whole. One without a length is whole only with the end of the connection.
    pub fn is_done(&self) -> bool {
        self.read.as_ref().is_some_and(|(_, reader)| reader.is_done())
    }

    /// The connection has ended: is the answer whole?
    pub fn end(&self) -> Result<(), HttpError> {
        self.read.as_ref().map_or(Err(HttpError::Truncated), |(_, reader)| reader.end())
    }
}

fn parse_response(head: &mut [u8], to_head: bool) -> Result<ResponseHead, HttpError> {
    unfold(head)?;
    let empty = head.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count();
    let head = &head[empty..];
    let line_end = head.iter().position(|&byte| byte == b'\r').ok_or(HttpError::BadLine)?;
    let (version, status, reason) = status_line(&head[..line_end])?;

    let mut framing = Framing::None;
    let mut keep_alive = version >= Version::V1_1;
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let headers = parse_headers(&head[line_end + 2..], &mut headers)?;
    for header in headers {
        if header.name.eq_ignore_ascii_case("Content-Length") {
            framing.set_length(header.value)?;
        } else if header.name.eq_ignore_ascii_case("Transfer-Encoding") {
            framing.set_encoding(header.value)?;
        } else if header.name.eq_ignore_ascii_case("Connection") {
            keep_alive = keeps_alive(version, keep_alive, header.value);
        }
    }
    if to_head || status < 200 || status == 204 || status == 304 {
        framing = Framing::None;
    } else if framing == Framing::None {
        framing = Framing::UntilClose;
        keep_alive = false;
    }
    let headers = headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    Ok(ResponseHead { status, reason, headers, keep_alive, framing })
}

/// Splits `HTTP/d.d code reason`.
fn status_line(line: &[u8]) -> Result<(Version, u16, String), HttpError> {
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let version = words.next().and_then(Version::parse).ok_or(HttpError::BadLine)?;
    let status = match words.next() {
        Some(&[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']) => {
            [a, b, c].iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'))
        }
        _ => return Err(HttpError::BadLine),
    };
    let reason = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    Ok((version, status, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an answer whole, byte by byte, and with bytes behind it.
    fn read(method: &str, text: &str, closes: bool) -> Result<String, HttpError> {
        let whole = read_once(method, text.as_bytes(), text.len().max(1), closes);
        assert_eq!(read_once(method, text.as_bytes(), 1, closes), whole, "byte by byte: {text:?}");
        if !closes && whole.as_ref().is_ok_and(|text| text != "unfinished") {
            let more = format!("{text}HTTP/1.1 200 OK\r\n\r\n");
            assert_eq!(read_once(method, more.as_bytes(), more.len(), false), whole, "with more: {text:?}");
        }
        whole
    }

    fn read_once(method: &str, text: &[u8], step: usize, closes: bool) -> Result<String, HttpError> {
        let mut reader = ResponseReader::new(method, 20);
        let mut body = Vec::new();
        for piece in text.chunks(step) {
            reader.feed(piece, &mut body)?;
        }
        if closes {
            reader.end()?;
        } else if !reader.is_done() {
            return Ok("unfinished".to_owned());
        }
        let head = reader.head().expect("an answer that is whole has a head");
        let keep = if head.keep_alive { "keep" } else { "close" };
        Ok(format!("{} {:?} {keep} {}", head.status, head.reason, String::from_utf8_lossy(&body)))
    }

    #[test]
    fn answers() {
        let rows: &[(&str, &str, bool, Result<&str, HttpError>)] = &[
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, Ok("200 \"OK\" keep abc")),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", false, Ok("unfinished")),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true, Err(HttpError::Truncated)),
            ("GET", "HTTP/1.1 200\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false, Ok("200 \"\" close ")),
            ("GET", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", false, Ok("404 \"Not Found\" keep ")),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                false,
                Ok("200 \"OK\" keep abc"),
            ),
            ("GET", "HTTP/1.0 200 OK\r\n\r\nabc", true, Ok("200 \"OK\" close abc")),
            ("GET", "HTTP/1.1 200 OK\r\n\r\nabc", true, Ok("200 \"OK\" close abc")),
            ("GET", "HTTP/1.1 200 OK\r\n\r\nabc", false, Ok("unfinished")),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, Ok("200 \"OK\" keep ")),
            ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", false, Ok("304 \"Not Modified\" keep ")),
            (
                "GET",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
                false,
                Ok("200 \"OK\" keep a"),
            ),
            (
                "GET",
                "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na",
                false,
                Ok("200 \"OK\" keep a"),
            ),
            ("GET", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\na", false, Ok("200 \"OK\" keep a")),
            ("GET", "", true, Err(HttpError::Truncated)),
            ("GET", "HTTP/1.1 200 OK\r\nContent", true, Err(HttpError::Truncated)),
            ("GET", "SSH-2.0-OpenSSH\r\n\r\n", false, Err(HttpError::BadLine)),
            ("GET", "HTTP/1.1 20 OK\r\n\r\n", false, Err(HttpError::BadLine)),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false, Err(HttpError::BadLength)),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n", false, Err(HttpError::BodyTooLarge)),
        ];
        for (method, text, closes, expected) in rows {
            assert_eq!(read(method, text, *closes), expected.map(str::to_owned), "{method} {text:?} closes={closes}");
        }
    }

    #[test]
    fn headers_are_kept_and_found_in_any_case() {
        let mut reader = ResponseReader::new("GET", 0);
        reader.feed(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nX: 1\r\n\r\n", &mut Vec::new()).expect("an answer");
        let head = reader.head().expect("a head");
        assert_eq!(
            (head.header("www-authenticate"), head.header("x"), head.header("y")),
            (Some("Basic"), Some("1"), None)
        );
    }

    #[test]
    fn requests() {
        let mut out = Vec::new();
        write_request(
            &mut out,
            "POST",
            "/RPC2",
            "localhost",
            &[("Accept", "text/xml"), ("X", "a\r\nb")],
            Some(b"<x/>"),
        );
        write_request(&mut out, "GET", "/logtail/a", "h:1", &[], None);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nAccept: text/xml\r\nX: ab\r\nContent-Length: 4\r\n\r\n<x/>\
             GET /logtail/a HTTP/1.1\r\nHost: h:1\r\n\r\n"
        );
    }
}
