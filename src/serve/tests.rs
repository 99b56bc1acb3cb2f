//! Requests through the whole service, over a system made of tables: what is answered to each, and what becomes of connections.

use std::time::Duration;

use super::*;
use crate::rpc::testing::{Tables, World};

const SERVER: &str = "[inet_http_server]\nport=127.0.0.1:9001\n";
const PROGRAM: &str = "[program:p]\ncommand=/bin/p\nautostart=false\nstartsecs=1\n";

struct Served {
    service: Service,
    host: Tables,
    now: Now,
    next: u64,
}

impl Served {
    fn new(text: &str) -> Served {
        let World { mut host, now, .. } = World::new(text);
        let config = host.loader.load(&host.env).unwrap();
        let mut service = Service::new(config, host.loader.clone(), Serials::default());
        service.daemon.begin(now, &mut host).unwrap();
        Served { service, host, now, next: 0 }
    }

    fn connect(&mut self) -> ConnId {
        self.next += 1;
        let conn = ConnId(self.next);
        self.turn(Input::Accepted { conn, server: 0, client: "127.0.0.1:4711".to_string() });
        conn
    }

    fn turn(&mut self, input: Input<'_>) {
        self.service.handle(input, self.now, &mut self.host);
        self.pass(0);
    }

    fn pass(&mut self, seconds: u64) {
        self.now.mono = self.now.mono.after(Duration::from_secs(seconds));
        while self.service.next_deadline(self.now).is_some_and(|at| at <= self.now.mono) {
            self.service.decide(self.now, &mut self.host);
        }
    }

    /// Sends bytes; what is answered to them in the same turn.
    fn send(&mut self, conn: ConnId, bytes: &str) -> String {
        self.turn(Input::Received { conn, bytes: bytes.as_bytes() });
        self.take(conn)
    }

    fn take(&mut self, conn: ConnId) -> String {
        let output = self.service.output(conn).map(std::mem::take).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }

    /// What a request of its own connection is answered.
    fn ask(&mut self, request: &str) -> String {
        let conn = self.connect();
        self.send(conn, request)
    }
}

/// The status of a reply; 0 where none has come.
fn status(reply: &str) -> u16 {
    reply.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn call(method: &str, params: &str) -> String {
    let body = format!("<methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>");
    format!("POST /RPC2 HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn start() -> String {
    call("supervisor.startProcess", "<param><value><string>p</string></value></param>")
}

#[test]
fn what_each_request_is_answered() {
    let mut served = Served::new(&format!("{SERVER}{PROGRAM}"));
    let no_call = "POST /RPC2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx";
    let forged = call("supervisor.getState", "").replace("\r\n\r\n", "\r\nSec-Fetch-Site: cross-site\r\n\r\n");
    let rows: &[(&str, u16)] = &[
        ("GET /", 200),
        ("HEAD /", 200),
        ("POST /", 411),
        ("PUT /", 400),
        ("GET /?action=dance", 500),
        ("GET /?action=stop&processname=p\r\nSec-Fetch-Site: cross-site", 403),
        ("GET /tail.html?processname=p", 200),
        ("POST /tail.html", 411),
        ("GET /ok.html", 200),
        ("GET /nothing", 404),
        ("PUT /nothing", 400),
        ("GET /RPC2", 400),
        ("POST /RPC2", 411),
        (no_call, 400),
        (&call("supervisor.getState", ""), 200),
        (&call("no.such", ""), 200),
        (&forged, 403),
        ("GET /logtail/nobody", 404),
        ("POST /mainlogtail", 400),
        ("GET /events", 200),
        ("HEAD /events", 200),
        ("PUT /events", 405),
        ("GET /events?types=NEWS", 400),
        ("GET /events\r\nSec-Fetch-Site: cross-site", 403),
        ("GET /stheno/events", 200),
        ("HEAD /stheno/events", 405),
        ("GET /stheno/log?name=nobody", 404),
        ("PUT /stheno/log", 405),
        // Nothing of this is configured.
        ("GET /metrics", 404),
        ("GET /fleet", 404),
        ("GET /fleet/events", 404),
        ("nonsense", 400),
    ];
    for (request, expected) in rows {
        let whole = match request.contains("\r\n\r\n") {
            true => request.to_string(),
            false => match request.split_once("\r\n") {
                Some((line, headers)) => format!("{line} HTTP/1.1\r\n{headers}\r\n\r\n"),
                None => format!("{request} HTTP/1.1\r\n\r\n"),
            },
        };
        assert_eq!(status(&served.ask(&whole)), *expected, "{request}");
    }
}

#[test]
fn without_the_password_nothing_is_answered() {
    let mut served = Served::new(&format!("{SERVER}username=u\npassword=p\n{PROGRAM}"));
    let get = |header: &str| format!("GET /ok.html HTTP/1.1\r\n{header}\r\n");
    let rows = [("", 401), ("Authorization: Basic dTpw\r\n", 200), ("Authorization: Basic dTpx\r\n", 401)];
    for (header, expected) in rows {
        assert_eq!(status(&served.ask(&get(header))), expected, "{header}");
    }
    // What stands behind a refused request is not looked at.
    let conn = served.connect();
    let both = get("") + &get("Authorization: Basic dTpw\r\n");
    assert_eq!(served.send(conn, &both).matches("HTTP/1.1 ").count(), 1);
}

#[test]
fn requests_come_in_pieces_and_in_rows() {
    let mut served = Served::new(SERVER);
    let ok = "GET /ok.html HTTP/1.1\r\n\r\n";
    let conn = served.connect();
    for at in 1..ok.len() {
        assert_eq!(served.send(conn, &ok[at - 1..at]), "", "after {at} bytes");
    }
    assert_eq!(status(&served.send(conn, "\n")), 200);
    assert_eq!(served.send(conn, &ok.repeat(3)).matches("HTTP/1.1 200").count(), 3);
    assert!(!served.service.closes(conn));
    let last = "GET /ok.html HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(served.send(conn, &format!("{last}{ok}")).matches("HTTP/1.1 200").count(), 1);
    assert!(served.service.closes(conn), "nothing is taken behind the last request");
}

#[test]
fn what_waits_is_answered_before_what_stands_behind_it() {
    let mut served = Served::new(&format!("{SERVER}{PROGRAM}"));
    let conn = served.connect();
    assert_eq!(served.send(conn, &(start() + "GET /ok.html HTTP/1.1\r\n\r\n")), "", "it is STARTING");
    served.pass(2);
    let replies = served.take(conn);
    let (first, second) = (replies.find("<boolean>1</boolean>"), replies.find("OK"));
    assert_eq!(replies.matches("HTTP/1.1 200").count(), 2, "{replies}");
    assert!(first.is_some() && first < replies.rfind("HTTP/1.1") && second.is_some(), "{replies}");
}

#[test]
fn who_hangs_up_is_forgotten_and_what_was_asked_goes_on() {
    let mut served = Served::new(&format!("{SERVER}{PROGRAM}"));
    // A client that waits may only have said that it sends no more; it has its answer, and is closed then.
    let conn = served.connect();
    served.send(conn, &start());
    served.turn(Input::Hangup { conn });
    assert!(served.service.has_connection(conn) && !served.service.closes(conn));
    served.pass(2);
    assert_eq!((status(&served.take(conn)), served.service.closes(conn)), (200, true));
    assert_eq!(served.host.children.len(), 1, "it runs");
    // A feed has nobody to go to.
    let conn = served.connect();
    served.send(conn, "GET /events HTTP/1.1\r\n\r\n");
    served.turn(Input::Hangup { conn });
    assert!(!served.service.has_connection(conn));
    // One that was closed has no answer.
    let conn = served.connect();
    served.send(conn, &call("supervisor.stopAllProcesses", ""));
    served.service.drop_connection(conn, served.now, &mut served.host);
    served.pass(0);
    assert!(!served.service.has_connection(conn) && !served.host.dying.is_empty());
}

#[test]
fn requests_have_their_time() {
    let mut served = Served::new(SERVER);
    let (half, idle, feed) = (served.connect(), served.connect(), served.connect());
    served.send(idle, "GET /ok.html HTTP/1.1\r\n\r\n");
    served.send(feed, "GET /events HTTP/1.1\r\n\r\n");
    served.send(half, "GET /ok.html HTTP/1.1\r\nA: ");
    served.pass(59);
    assert_eq!(served.host.closed, []);
    served.pass(2);
    assert_eq!(served.host.closed, [half], "60 seconds for a request");
    served.pass(24 * 3600);
    assert_eq!(served.host.closed, [half, idle], "a day without any; a feed lasts");
    assert!(served.service.has_connection(feed));
}
