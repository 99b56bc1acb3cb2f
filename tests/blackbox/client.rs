//! Requests over a socket, one connection each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use stheno::wire::http::{ResponseHead, ResponseReader, write_request};
use stheno::wire::value::Value;
use stheno::wire::xmlrpc::{decode_response, encode_call};

use crate::daemon::is_original;

/// How long an answer may be silent: calls that wait for a process take a few seconds, on a loaded machine more.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// After this long without a byte there is no answer of the original's.
const SILENCE: Duration = Duration::from_secs(2);

/// The largest answer that a test asks for.
const BODY_BYTES_MAX: u64 = 16 << 20;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub head: ResponseHead,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Calls an XML-RPC method. An `Err` is a fault, or -1 and the trouble with the connection.
pub fn call(socket: &Path, method: &str, params: &[Value]) -> Result<Value, (i64, String)> {
    let answer = request(socket, "POST", "/RPC2", &[], Some(&encode_call(method, params)))?;
    if answer.head.status != 200 {
        return Err((-1, format!("status {}", answer.head.status)));
    }
    decode_response(&answer.body).map_err(|error| (-1, format!("{error:?}")))?
}

/// One request over a unix socket.
pub fn request(
    socket: &Path,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Answer, (i64, String)> {
    let stream = UnixStream::connect(socket).map_err(|error| (-1, error.to_string()))?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    exchange(stream, method, target, headers, body)
}

/// One GET over TCP.
pub fn get_tcp(port: u16, target: &str, headers: &[(&str, &str)]) -> Result<Answer, (i64, String)> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| (-1, error.to_string()))?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    exchange(stream, "GET", target, headers, None)
}

fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Answer, (i64, String)> {
    let trouble = |error: &dyn std::fmt::Display| (-1, error.to_string());
    let mut out = Vec::new();
    write_request(&mut out, method, target, "localhost", headers, body);
    stream.write_all(&out).map_err(|error| trouble(&error))?;
    let (mut reader, mut body, mut piece) = (ResponseReader::new(method, BODY_BYTES_MAX), Vec::new(), [0; 8192]);
    while !reader.is_done() {
        match stream.read(&mut piece) {
            Ok(0) => {
                reader.end().map_err(|error| (-1, format!("{error:?}")))?;
                break;
            }
            Ok(n) => drop(reader.feed(&piece[..n], &mut body).map_err(|error| (-1, format!("{error:?}")))?),
            Err(error) => return Err(trouble(&error)),
        }
    }
    let head = reader.head().cloned().ok_or((-1, "no answer".to_string()))?;
    Ok(Answer { head, body })
}

/// Sends bytes as they are and returns the first line of the answer; `closed` or `silence` if there is none.
pub fn first_line(socket: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).expect("a connection");
    // Silence is what the original has to offer; ours answers, however long this is.
    let silence = if is_original() { SILENCE } else { PATIENCE };
    stream.set_read_timeout(Some(silence)).expect("a timeout");
    stream.write_all(request).expect("the request is sent");
    let mut answer = Vec::new();
    let mut piece = [0; 8192];
    while !answer.contains(&b'\n') {
        match stream.read(&mut piece) {
            Ok(0) => return "closed".into(),
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(_) => return "silence".into(),
        }
    }
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_string()
}
