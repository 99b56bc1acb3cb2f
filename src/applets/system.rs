//! The real world of the applets.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::clock::Wall;
use crate::ctl::client::Client;
use crate::ctl::error::Error;
use crate::ctl::transport::{Server, addresses};
use crate::wire::http::{HttpError, ResponseReader, write_request};
use crate::wire::value::Value;

use super::letter::Letter;
use super::smtp;
use super::url::Url;
use super::world::{Answer, CallError, GetError, Memory, World, io_text};

/// Bytes of a body that httpok takes. A page that is larger fails the check: it is no health check any more.
const PAGE_BYTES_MAX: u64 = 16 << 20;
/// Bytes of a shell command's output that are kept for a mail.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// How long an SMTP server may take for one reply; RFC 5321 asks for five minutes.
const SMTP_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of an answer that is no HTTP that may be shown, and a little more.
const STATUS_BYTES_MAX: usize = 1024;
/// Bytes asked for at once.
const READ_BYTES: usize = 64 << 10;

/// The system, and the daemon that started us.
pub struct System {
    server: Server,
}

impl System {
    /// From SUPERVISOR_SERVER_URL, SUPERVISOR_USERNAME and SUPERVISOR_PASSWORD; `None` without the first.
    pub fn from_environment() -> Option<System> {
        let url = std::env::var("SUPERVISOR_SERVER_URL").ok()?;
        let get = |name| std::env::var(name).ok();
        // Without a name there is nobody to log in; a password may be empty.
        let username = get("SUPERVISOR_USERNAME").filter(|username| !username.is_empty());
        let password = Some(get("SUPERVISOR_PASSWORD").unwrap_or_default());
        Some(System { server: Server { url, username, password } })
    }
}

/// As Python shows it.
fn call_error(method: &str, error: Error) -> CallError {
    CallError::Other(match error {
        Error::Fault { code, text } => return CallError::Fault { code, text },
        // The address is this one whatever the server's is.
        Error::Status { code, reason } => format!("<ProtocolError for 127.0.0.1/RPC2: {code} {reason}>"),
        Error::Io { error, .. } => io_text(&error),
        Error::BadAnswer(what) => format!("the answer to {method} cannot be read: {what}"),
        other => other.text(),
    })
}

impl World for System {
    fn say(&mut self, text: &str) {
        // Without standard error there is nobody to tell.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        // A connection of its own for each call: between two events the daemon would close an idle one.
        Client::default().call(&self.server, method, params).map_err(|error| call_error(method, error))
    }

    fn now(&mut self) -> Wall {
        crate::sys::time::now().wall
    }

    fn pause(&mut self, span: Duration) {
        std::thread::sleep(span);
    }

    fn shell(&mut self, command: &str, input: &str) -> String {
        run_shell(command, input).unwrap_or_else(|error| {
            self.say(&format!("{command}: {}\n", io_text(&error)));
            String::new()
        })
    }

    fn get(&mut self, url: &Url, timeout: Duration) -> Result<Answer, GetError> {
        let deadline = Instant::now() + timeout;
        let failed = |error: io::Error| GetError {
            refused: error.kind() == io::ErrorKind::ConnectionRefused,
            text: io_text(&error),
        };
        let stream = connect(&url.host, url.port, deadline).map_err(failed)?;
        let mut request = Vec::new();
        // The connection is not used again, and some servers end a body by closing it.
        let headers = [("Accept-Encoding", "identity"), ("User-Agent", "httpok"), ("Connection", "close")];
        write_request(&mut request, "GET", &url.target, &host_header(url), &headers, None);
        exchange(stream, &request, deadline).map_err(failed)
    }

    fn submit(&mut self, letter: &Letter<'_>) -> Result<(), String> {
        let deadline = Instant::now() + SMTP_TIMEOUT;
        let converse = || -> io::Result<Result<(), String>> {
            let mut stream = connect(&letter.server.host, letter.server.port, deadline)?;
            stream.set_read_timeout(Some(SMTP_TIMEOUT))?;
            stream.set_write_timeout(Some(SMTP_TIMEOUT))?;
            let mut input = BufReader::new(stream.try_clone()?);
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let name = if name.trim().is_empty() { "localhost" } else { name.trim() };
            Ok(smtp::converse(&mut input, &mut stream, letter, name))
        };
        converse().map_err(|error| io_text(&error))?
    }

    fn memory(&mut self, pid: Option<i64>) -> Vec<Memory> {
        let of = |pid: i64| read_memory(pid, &std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?);
        if let Some(pid) = pid {
            return of(pid).into_iter().collect();
        }
        let Ok(entries) = std::fs::read_dir("/proc") else { return vec![] };
        entries.flatten().filter_map(|entry| of(entry.file_name().to_str()?.parse().ok()?)).collect()
    }
}

/// Reads `/proc/<pid>/status`. A process without memory of its own (a zombie) has no VmRSS.
fn read_memory(pid: i64, status: &str) -> Option<Memory> {
    let number = |key: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let parent = i64::try_from(number("PPid")?).ok()?;
    Some(Memory { pid, parent, rss_bytes: number("VmRSS").unwrap_or(0) * 1024 })
}

/// Connects to the first address that takes it.
fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "[Errno -2] Name or service not known");
    for address in addresses(host, port) {
        match TcpStream::connect_timeout(&address, remaining(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The time left; an error when there is none.
fn remaining(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// Writes a request and reads the answer, all before the deadline. What is wrong with the answer is told in Python's
/// words, which end up in mail.
fn exchange(mut stream: TcpStream, request: &[u8], deadline: Instant) -> io::Result<Answer> {
    stream.set_write_timeout(Some(remaining(deadline)?))?;
    stream.write_all(request)?;
    let mut reader = ResponseReader::new("GET", PAGE_BYTES_MAX);
    let (mut body, mut chunk, mut line) = (Vec::new(), vec![0; READ_BYTES], Vec::new());
    while !reader.is_done() {
        // What is left of the time, anew for each wait: a server that trickles must not outlast it.
        stream.set_read_timeout(Some(remaining(deadline)?))?;
        match stream.read(&mut chunk) {
            Ok(0) => {
                reader.end().map_err(|error| broken(&error, &reader, &body, &line))?;
                break;
            }
            Ok(count) => {
                if reader.head().is_none() && line.len() < STATUS_BYTES_MAX {
                    line.extend_from_slice(&chunk[..count]);
                }
                let fed = reader.feed(&chunk[..count], &mut body);
                fed.map_err(|error| broken(&error, &reader, &body, &line))?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let head = reader.head().ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok(Answer { status: head.status, reason: head.reason.clone(), body })
}

/// Why an answer cannot be used, as Python's http.client says it; `start` is what came until the head was whole.
fn broken(error: &HttpError, reader: &ResponseReader, body: &[u8], start: &[u8]) -> io::Error {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = match (reader.head(), error) {
        (None, _) if start.is_empty() => "Remote end closed connection without response".to_string(),
        (None, _) if !line.starts_with(b"HTTP/") => String::from_utf8_lossy(line).trim_end().to_string(),
        (Some(head), HttpError::Truncated) => {
            let length = head.header("Content-Length").and_then(|length| length.trim().parse::<usize>().ok());
            let missing =
                length.map_or(String::new(), |length| format!(", {} more expected", length.saturating_sub(body.len())));
            format!("IncompleteRead({} bytes read{missing})", body.len())
        }
        _ => error.to_string(),
    };
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// `host`, or `host:port` where the port is not 80.
fn host_header(url: &Url) -> String {
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    if url.port == 80 { host } else { format!("{host}:{}", url.port) }
}

/// Runs a command line with `input` on its standard input; its standard output. Standard error is ours.
fn run_shell(command: &str, input: &str) -> io::Result<String> {
    let mut child =
        Command::new("/bin/sh").args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input is its own affair. Nor is one expected that prints more than a pipe
        // holds before it has read all: mail commands print nothing, and gcore is given no input.
        let _ = stdin.write_all(input.as_bytes());
    }
    let mut printed = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = stdout.take(OUTPUT_BYTES_MAX);
        stdout.read_to_end(&mut printed)?;
        // What is beyond is read and dropped: a full pipe would hold the command up.
        io::copy(&mut stdout.into_inner(), &mut io::sink())?;
    }
    child.wait()?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_process() {
        let status = "Name:\tcat\nPid:\t7\nPPid:\t3\nVmPeak:\t 9 kB\nVmRSS:\t     668 kB\nThreads:\t1\n";
        assert_eq!(read_memory(7, status), Some(Memory { pid: 7, parent: 3, rss_bytes: 684_032 }));
        assert_eq!(read_memory(7, "PPid:\t3\n"), Some(Memory { pid: 7, parent: 3, rss_bytes: 0 }));
        assert_eq!(read_memory(7, ""), None);
    }

    #[test]
    fn shell_commands() {
        assert_eq!(run_shell("cat; printf x", "in\n").unwrap(), "in\nx");
        assert_eq!(run_shell("exit 3", "ignored").unwrap(), "");
    }

    /// Reads one request from a connection: its head and, by Content-Length, its body.
    fn request(stream: &mut (impl Read + Write)) -> String {
        let mut seen = Vec::new();
        let mut byte = [0];
        loop {
            let text = String::from_utf8_lossy(&seen);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
                if body.len() == length.parse::<usize>().unwrap() {
                    return text.into_owned();
                }
            }
            stream.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
    }

    /// A server for one connection that answers with these bytes, and what it was asked.
    fn serve_once(answer: &'static str) -> (u16, std::thread::JoinHandle<String>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let seen = request(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
            seen
        });
        (port, thread)
    }

    fn system(url: &str) -> System {
        let text = |text: &str| Some(text.to_string());
        System { server: Server { url: url.to_string(), username: text("u"), password: text("p") } }
    }

    #[test]
    fn gets_pages() {
        let rows = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Ok((200, "OK", "hi"))),
            ("HTTP/1.1 404 Not There\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", {
                Ok((404, "Not There", "hi"))
            }),
            ("HTTP/1.0 200 OK\r\n\r\nuntil the end", Ok((200, "OK", "until the end"))),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nhi",
                Err("IncompleteRead(2 bytes read, 198 more expected)"),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", Err("IncompleteRead(2 bytes read)")),
            ("", Err("Remote end closed connection without response")),
            ("what is this\r\nand that\r\n", Err("what is this")),
            ("no line at all", Err("no line at all")),
            ("HTTP/1.1 200 OK\r\nContent-", Err("connection closed in the middle of a message")),
        ];
        for (answer, expected) in rows {
            let (port, server) = serve_once(answer);
            let url = Url::parse(&format!("http://127.0.0.1:{port}/a?b")).unwrap();
            let got = system("").get(&url, Duration::from_secs(10));
            let seen = server.join().unwrap();
            assert!(seen.starts_with("GET /a?b HTTP/1.1\r\n") && seen.contains("User-Agent: httpok\r\n"), "{seen}");
            let got = got.map(|page| (page.status, page.reason, String::from_utf8(page.body).unwrap()));
            let expected = expected.map(|(status, reason, body)| (status, reason.to_string(), body.to_string()));
            assert_eq!(got.map_err(|error| error.text), expected.map_err(str::to_string), "{answer:?}");
        }
    }

    #[test]
    fn a_silent_or_absent_server_is_an_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let error = system("").get(&url, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error, GetError { refused: false, text: "timed out".to_string() });
        // Nobody listens on the first port; one that was just given back may be another test's by now.
        let url = Url::parse("http://127.0.0.1:1/").unwrap();
        let error = system("").get(&url, Duration::from_secs(10)).unwrap_err();
        assert_eq!(error, GetError { refused: true, text: "[Errno 111] Connection refused".to_string() });
        // A label of a name has at most 63 characters, so no server is asked for this one.
        let url = Url::parse(&format!("http://{}/", "x".repeat(64))).unwrap();
        let error = system("").get(&url, Duration::from_secs(10)).unwrap_err();
        assert_eq!(error, GetError { refused: false, text: "[Errno -2] Name or service not known".to_string() });
    }

    #[test]
    fn calls_over_tcp() {
        let value = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 110\r\n\r\n\
                     <?xml version='1.0'?><methodResponse><params><param><value><int>1</int></value></param></params></methodResponse>";
        let value: &'static str =
            Box::leak(value.replace("110", &value.split("\r\n\r\n").nth(1).unwrap().len().to_string()).into());
        let rows = [
            (value, Ok(Value::Int(1))),
            (
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
                Err("<ProtocolError for 127.0.0.1/RPC2: 401 Unauthorized>"),
            ),
        ];
        for (answer, expected) in rows {
            let (port, server) = serve_once(answer);
            let url = format!("http://127.0.0.1:{port}");
            let got = system(&url).call("a.b", &[Value::from("x")]);
            let seen = server.join().unwrap();
            assert!(
                seen.starts_with("POST /RPC2 HTTP/1.1\r\n") && seen.contains("\r\nAuthorization: Basic dTpw\r\n"),
                "{seen}"
            );
            assert!(seen.contains("<methodName>a.b</methodName>"), "{seen}");
            assert_eq!(got.map_err(|error| error.to_string()), expected.map_err(str::to_string));
        }
    }

    /// A whole applet between a stream of events and a daemon on a unix socket.
    #[test]
    fn memmon_restarts_us() {
        use crate::applets::{listener, memmon};
        use crate::wire::xmlrpc::{decode_call, write_fault, write_response};

        let path = std::env::temp_dir().join(format!("stheno-applets-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let daemon = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let pid = i64::from(std::process::id());
        let server = std::thread::spawn(move || {
            let mut methods = Vec::new();
            // getAllProcessInfo, getProcessInfo, stopProcess, startProcess
            for _ in 0..4 {
                let mut stream = daemon.accept().unwrap().0;
                let text = request(&mut stream);
                let call = decode_call(text.split_once("\r\n\r\n").unwrap().1.as_bytes()).unwrap();
                let mut answer = Vec::new();
                let info = Value::Struct(vec![
                    ("name".into(), Value::from("us")),
                    ("group".into(), Value::from("g")),
                    ("pid".into(), Value::Int(pid)),
                    ("state".into(), Value::Int(20)),
                    ("now".into(), Value::Int(20)),
                    ("start".into(), Value::Int(10)),
                ]);
                match call.method.as_str() {
                    "supervisor.getAllProcessInfo" => write_response(&mut answer, &Value::Array(vec![info])),
                    "supervisor.getProcessInfo" => write_response(&mut answer, &info),
                    "supervisor.stopProcess" => write_response(&mut answer, &Value::Bool(true)),
                    _ => write_fault(&mut answer, 60, "ALREADY_STARTED: g:us"),
                }
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
                stream.write_all(&[head.as_bytes(), &answer].concat()).unwrap();
                methods.push(call.method);
            }
            methods
        });

        let mut applet = memmon::from_args(&["-c".to_string(), "-a".to_string(), "1".to_string()]).unwrap();
        let mut world = system(&format!("unix://{}", path.display()));
        let events = b"ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:TICK_60 len:7\nwhen:60";
        let mut output = Vec::new();
        let exit = listener::serve(&mut &events[..], &mut output, &mut applet, &mut world).unwrap_err();
        std::fs::remove_file(&path).unwrap();

        let expected = "Failed to start process g:us after stopping it, exiting: <Fault 60: 'ALREADY_STARTED: g:us'>\n";
        assert_eq!((exit.code, exit.stderr.as_str()), (1, expected));
        assert_eq!(output, b"READY\n");
        let methods = ["getAllProcessInfo", "getProcessInfo", "stopProcess", "startProcess"];
        assert_eq!(server.join().unwrap(), methods.map(|name| format!("supervisor.{name}")));
    }
}
