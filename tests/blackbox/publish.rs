//! What a fleet publishes: over WebSocket and ZeroMQ on `event_port`, and as server-sent events (V-505 to V-523, F-75, F-76).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;

use base64::Engine;

use crate::client::PATIENCE;
use crate::daemon::{Daemon, Folder, free_port, is_original, wait_for, with_descriptors};

/// A daemon that publishes, its ports, and two programs of an application.
fn publishing(options: &str, more: &str) -> (Daemon, u16, u16) {
    publishing_with(options, more, |_| {})
}

/// The same, with something done to the command that starts it.
fn publishing_with(options: &str, more: &str, prepare: impl FnOnce(&mut Command)) -> (Daemon, u16, u16) {
    let (port, events) = (free_port(), free_port());
    let program = |name: &str| format!("[program:{name}]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n");
    let config = format!(
        "[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p\n[rpcinterface:supvisors]\n\
         supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\nevent_port={events}\n\
         supvisors_list=<n1>127.0.0.1:{port}\n{options}\n{}{}[group:app]\nprograms=a,b\n{more}",
        program("a"),
        program("b"),
    );
    let daemon = Daemon::start_with(Folder::new(), &config, prepare);
    wait_for("OPERATION", || {
        // A connection may have to go to make room for a child.
        let state = daemon.call("supvisors.get_supvisors_state", &[]).ok()?;
        (state.member("fsm_statename") == Some(&"OPERATION".into())).then_some(())
    });
    (daemon, port, events)
}

/// A reader of a port, which has sent this.
pub struct Reader {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Reader {
    fn new(port: u16, sent: &[u8]) -> Reader {
        Reader::at("127.0.0.1", port, sent)
    }

    fn at(host: &str, port: u16, sent: &[u8]) -> Reader {
        let stream = wait_for("the port", || TcpStream::connect((host, port)).ok());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = Reader { stream, bytes: Vec::new() };
        reader.stream.write_all(sent).unwrap();
        reader
    }

    /// One that has subscribed to events over ZeroMQ.
    #[cfg(feature = "zmq")]
    fn subscribed(port: u16) -> Reader {
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10]) = (0xFF, 0x7F, 3);
        greeting[12..16].copy_from_slice(b"NULL");
        let ready = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB";
        let mut reader = Reader::new(port, &[&greeting[..], ready, b"\0\x06\x01event"].concat());
        assert_eq!(reader.take(64)[..16], [&[0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 1][..], b"NULL"].concat());
        assert_eq!(reader.parts()[0], "\u{5}READY\u{b}Socket-Type\0\0\0\u{3}PUB");
        reader.pings();
        reader
    }

    /// It is there, and known to listen, once it has had an answer; events may come before.
    #[cfg(feature = "zmq")]
    fn pings(&mut self) {
        self.stream.write_all(b"\x04\x08\x04PING\0\0x").unwrap();
        while self.parts()[0] != "\u{4}PONGx" {}
    }

    /// Asks for something over HTTP, with a password if one is given; answers the head.
    fn get(port: u16, path: &str, password: Option<&str>, headers: &str) -> (Reader, String) {
        Reader::get_at("127.0.0.1", port, path, password, headers)
    }

    fn get_at(host: &str, port: u16, path: &str, password: Option<&str>, headers: &str) -> (Reader, String) {
        let password = password.map_or(String::new(), |password| {
            let password = base64::engine::general_purpose::STANDARD.encode(format!("u:{password}"));
            format!("Authorization: Basic {password}\r\n")
        });
        let text = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{password}{headers}\r\n");
        let mut reader = Reader::at(host, port, text.as_bytes());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(reader.take(1)[0]));
        }
        (reader, head)
    }

    fn websocket(port: u16, path: &str, password: Option<&str>) -> (Reader, String) {
        Reader::websocket_at("127.0.0.1", port, path, password)
    }

    pub fn websocket_at(host: &str, port: u16, path: &str, password: Option<&str>) -> (Reader, String) {
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        Reader::get_at(host, port, path, password, upgrade)
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.bytes.len() < count {
            let mut piece = [0; 4096];
            let read = self.stream.read(&mut piece).expect("more");
            assert!(read > 0, "the end, behind {}", String::from_utf8_lossy(&self.bytes));
            self.bytes.extend_from_slice(&piece[..read]);
        }
        self.bytes.drain(..count).collect()
    }

    /// The next frame of the WebSocket: its first byte and payload.
    pub fn frame(&mut self) -> (u8, String) {
        let head = self.take(2);
        let length = match head[1] {
            126 => {
                let more = self.take(2);
                usize::from(u16::from_be_bytes([more[0], more[1]]))
            }
            length => usize::from(length),
        };
        (head[0], String::from_utf8_lossy(&self.take(length)).into_owned())
    }

    /// The next message over ZeroMQ.
    fn parts(&mut self) -> Vec<String> {
        let mut parts = Vec::new();
        loop {
            let flags = self.take(1)[0];
            let length = match flags & 2 {
                0 => usize::from(self.take(1)[0]),
                _ => self.take(8).iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
            };
            parts.push(String::from_utf8_lossy(&self.take(length)).into_owned());
            if flags & 1 == 0 {
                return parts;
            }
        }
    }
}

/// The type of a frame and the state in it.
fn told(frame: &str) -> String {
    let kind = frame.split('"').nth(1).unwrap_or_default();
    let state = ["\"statename\": \"", "\"state\": "].iter().find_map(|key| frame.split_once(key));
    let state = state.map_or("", |(_, rest)| rest.split(['"', ',', '}']).next().unwrap_or_default());
    format!("{kind} {state}")
}

/// V-505, V-514, V-521: event, process, application at each transition, in this order, each as it was then.
#[test]
fn websocket_readers_see_each_transition() {
    if is_original() {
        return;
    }
    let (mut daemon, _, events) = publishing("event_link=WS", "");
    let (mut reader, head) = Reader::websocket(events, "/event/process/application/nonsense", Some("p"));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    daemon.must("supervisor.startProcess", &["app:a".into()]);
    daemon.must("supervisor.stopProcess", &["app:a".into()]);
    let mut seen = Vec::new();
    for _ in 0..12 {
        let (first, frame) = reader.frame();
        assert_eq!(first, 0x81);
        seen.push(told(&frame));
    }
    let states = [("10", "STARTING"), ("20", "RUNNING"), ("40", "STOPPING"), ("0", "STOPPED")];
    let expected: Vec<String> = states
        .iter()
        .flat_map(|(code, name)| [format!("event {code}"), format!("process {name}"), format!("application {name}")])
        .collect();
    assert_eq!(seen, expected);
    // What is gone is told of, too; a ping is answered; the end is said.
    daemon.must("supervisor.removeProcessGroup", &["app".into()]);
    let seen: Vec<String> = (0..5).map(|_| told(&reader.frame().1)).collect();
    assert_eq!(seen, ["event -1", "process DELETED", "event -1", "process DELETED", "application DELETED"]);
    reader.stream.write_all(&[0x89, 0x81, 0, 0, 0, 0, b'x']).unwrap();
    assert_eq!(reader.frame(), (0x8A, "x".to_string()));
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(reader.frame().0, 0x88);
    daemon.wait_end();
}

/// F-75: a password where the server has one, unless the port is open; another site's page does not read.
#[test]
fn who_may_read_the_event_port() {
    if is_original() {
        return;
    }
    for (more, without) in [("", "401"), ("[stheno]\nopen_event_port=true\n", "101")] {
        let (_daemon, port, events) = publishing("event_link=WS", more);
        for (password, status) in [(None, without), (Some("wrong"), without), (Some("p"), "101")] {
            let (_, head) = Reader::websocket(events, "/all", password);
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{more} {password:?}: {head}");
        }
        for (path, status) in [("/", "400"), ("/RPC2", "400"), ("/index.html", "400")] {
            let (_, head) = Reader::get(events, path, Some("p"), "");
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
        }
        let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n";
        for (origin, status) in [("http://elsewhere", "403"), (&format!("http://127.0.0.1:{port}"), "101")] {
            let (_, head) = Reader::get(events, "/all", Some("p"), &format!("{upgrade}Origin: {origin}\r\n"));
            let status = if more.is_empty() { status } else { "101" };
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{more} {origin}: {head}");
        }
    }
}

/// The same as server-sent events, on the server's own port.
#[test]
fn server_sent_events_of_a_fleet() {
    if is_original() {
        return;
    }
    // Without event_link there is no port, but there is this.
    let (daemon, port, events) = publishing("", "");
    assert!(TcpStream::connect(("127.0.0.1", events)).is_err());
    let (mut reader, head) = Reader::get(port, "/fleet/events?types=application", Some("p"), "");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
    daemon.must("supvisors.start_process", &["CONFIG".into(), "app:b".into()]);
    let mut text = String::new();
    while text.matches("event: application\n").count() < 2 || !text.ends_with("}\n\n\r\n") {
        text.push(char::from(reader.take(1)[0]));
    }
    assert!(text.contains("\"statename\": \"STARTING\"") && text.contains("\"statename\": \"RUNNING\""), "{text}");
    let (_, head) = Reader::get(port, "/fleet/events?types=news", Some("p"), "");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}

/// F-76: a subscriber gets two parts of what it subscribes to; one that is none is let go.
#[cfg(feature = "zmq")]
#[test]
fn zeromq_subscribers_get_what_they_ask_for() {
    if is_original() {
        return;
    }
    let (daemon, _, events) = publishing("event_link=ZMQ", "");
    let mut reader = Reader::subscribed(events);
    daemon.must("supervisor.startProcess", &["app:a".into()]);
    for state in ["10", "20"] {
        let parts = reader.parts();
        assert_eq!((parts.len(), parts[0].as_str()), (2, "event"));
        assert!(parts[1].contains(&format!("\"state\": {state}, ")), "{parts:?}");
    }
    let mut stranger = Reader::new(events, b"GET / HTTP/1.1\r\n\r\n");
    let mut rest = Vec::new();
    assert!(stranger.stream.read_to_end(&mut rest).is_ok() && rest.len() == 64, "{rest:?}");
}

/// F-76: those who connect and say nothing hold the places of no subscribers.
#[cfg(feature = "zmq")]
#[test]
fn silent_strangers_lock_no_subscriber_out() {
    if is_original() {
        return;
    }
    let (_daemon, _, events) = publishing("event_link=ZMQ", "[supervisord]\nhttp_connections_max=16\n");
    let mut first = Reader::subscribed(events);
    let strangers: Vec<_> = (0..20).map(|_| Reader::new(events, b"")).collect();
    Reader::subscribed(events);
    first.pings();
    drop(strangers);
}

/// F-76: a subscriber is none of the silent clients that make room when no descriptor is left.
#[cfg(feature = "zmq")]
#[test]
fn clients_that_ask_for_nothing_take_no_place_of_a_subscriber() {
    if is_original() {
        return;
    }
    let many = "[supervisord]\nminfds=64\n[program:p]\ncommand=/bin/cat\nprocess_name=%(process_num)d\nnumprocs=13\n\
                startsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n";
    let (daemon, _, events) = publishing_with("event_link=ZMQ", many, with_descriptors(64));
    daemon.wait_state("p:12", "RUNNING");
    let mut subscriber = Reader::subscribed(events);
    let socket = daemon.folder.path("s.sock");
    let clients: Vec<_> = (0..30).map(|_| UnixStream::connect(&socket).expect("a place")).collect();
    for _ in 0..3 {
        assert_eq!(daemon.folder.ctl(&["pid"]).status, 0);
    }
    subscriber.pings();
    drop(clients);
}

/// V-515, V-516, V-530: figures of the host and of processes while somebody reads them, over what they were told to cover.
#[test]
fn statistics_come_while_somebody_reads_them() {
    if is_original() {
        return;
    }
    let (daemon, port, _) = publishing("stats_collecting_period=1\nstats_periods=1,2", "");
    daemon.must("supervisor.startProcess", &["app:a".into()]);
    let (mut reader, _) = Reader::get(port, "/fleet/events?types=hstats,pstats", Some("p"), "");
    let mut text = String::new();
    let mut until = |part: &str| {
        while !text.contains(part) {
            text.push(char::from(reader.take(1)[0]));
        }
        let (before, rest) =
            text.split_once(part).map(|(before, rest)| (before.to_string(), rest.to_string())).unwrap();
        text = rest;
        before
    };
    for is_first in [true, false] {
        until("event: hstats\ndata: ");
        let body = until("}\n");
        for key in ["identifier", "period", "cpu", "mem", "net_io", "disk_io", "disk_usage", "now_monotonic"] {
            assert!(body.contains(&format!("\"{key}\": ")), "{key}: {body}");
        }
        assert!(body.contains("\"target_period\": 1.0"), "{body}");
        if is_first {
            until("\"namespec\": \"supervisord\", ");
            let pid = format!("\"pid\": {}", daemon.pid_of("app:a"));
            until("\"namespec\": \"app:a\", ");
            let body = until("}\n");
            assert!(body.contains(&pid) && body.contains("\"cpu\": ") && body.contains("\"mem\": "), "{body}");
        }
    }
    until("\"target_period\": 2.0");
    daemon.must("supvisors.enable_host_statistics", &[false.into()]);
    daemon.must("supvisors.enable_process_statistics", &[false.into()]);
    let status = daemon.must("supvisors.get_statistics_status", &[]);
    assert_eq!(status.member("host_stats"), Some(&false.into()));
}

/// Whoever reaches the port for ZeroMQ is a reader: they leave streams to those who have a password.
#[test]
fn readers_leave_streams_to_others() {
    if is_original() {
        return;
    }
    let (_daemon, port, events) = publishing("event_link=ZMQ", "[supervisord]\nhttp_connections_max=32\n");
    // Of sixteen streams. Who says nothing makes room, the oldest first.
    let mut readers: Vec<Reader> = (0..20).map(|_| Reader::new(events, b"")).collect();
    assert_eq!(readers[19].take(10)[9], 0x7f, "greeted");
    let (_, head) = Reader::get(port, "/events", Some("p"), "");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(readers[0].stream.read_to_end(&mut Vec::new()).is_ok(), "too many are closed");
}
