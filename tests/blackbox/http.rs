//! Servers: authentication, the page, static files.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use stheno::wire::auth::basic_header;
use stheno::wire::value::Value;

use crate::client::{self, PATIENCE, get_tcp, request};
use crate::daemon::{Daemon, Folder, free_port, is_original, millis_of, wait_for, with_descriptors};

#[test]
fn every_route_asks_for_the_password() {
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "[inet_http_server]\nport=127.0.0.1:{port}\nusername=ann\npassword={{SHA}}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d\n\
         [program:a]\ncommand=sleep 1000\nstartsecs=0\n"
    ));
    daemon.wait_state("a", "RUNNING");
    let right = basic_header("ann", "thepassword");
    let wrong = basic_header("ann", "other");
    let routes = stheno::serve::ROUTES.iter().map(|(path, _, _)| if path.is_empty() { "/nowhere" } else { path });
    let with_more = [
        "/index.html",
        "/index.html?action=stopall",
        "/tail.html?processname=a",
        "/ok.html",
        "/RPC2",
        "/logtail/a",
        "/mainlogtail",
        "/stylesheets/supervisor.css",
    ];
    for target in routes.chain(with_more) {
        for headers in [&[][..], &[("Authorization", wrong.as_str())], &[("Authorization", "Bearer x")]] {
            let answer = get_tcp(port, target, headers).expect("an answer");
            assert_eq!(answer.head.status, 401, "{target} {headers:?}");
            assert_eq!(answer.head.header("WWW-Authenticate"), Some("Basic realm=\"default\""), "{target}");
        }
    }
    let headers = [("Authorization", right.as_str())];
    for (target, status) in [("/ok.html", 200), ("/", 200), ("/RPC2", 400), ("/nowhere", 404)] {
        assert_eq!(get_tcp(port, target, &headers).expect("an answer").head.status, status, "{target}");
    }
    assert_eq!(daemon.state("a"), "RUNNING", "nobody without the password stopped it");
}

#[test]
fn a_server_on_ipv6_is_found_by_its_clients() {
    // A container may have no IPv6.
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().expect("its address").port();
    drop(listener);
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[inet_http_server]\nport=[::1]:{port}\n\
         [program:a]\ncommand=sh -c 'echo hello; exec sleep 1000'\nstartsecs=0\nstdout_logfile=$DIR/a.log\n"
    ));
    daemon.wait_file("a.log", "hello\n");
    let url = format!("http://[::1]:{port}");
    let status = daemon.folder.ctl(&["-s", &url, "status"]);
    assert!(status.status == 0 && status.stdout.contains("RUNNING"), "{status:?}");
    let tail = daemon.folder.ctl(&["-s", &url, "tail", "a"]);
    assert_eq!((tail.status, tail.stdout.as_str()), (0, "hello\n\n"), "{tail:?}");
    // A browser that was given the address.
    let browser = [("User-Agent", "Mozilla/5.0")];
    let mut stream = TcpStream::connect(("::1", port)).expect("a connection");
    let mut request = Vec::new();
    stheno::wire::http::write_request(&mut request, "GET", "/", &format!("[::1]:{port}"), &browser, None);
    stream.write_all(&request).expect("it is sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[test]
fn another_site_cannot_make_a_browser_stop_a_program() {
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("a", "RUNNING");
    let target = "/index.html?action=stopall";
    let status = |headers: &[(&str, &str)]| {
        request(&daemon.folder.path("s.sock"), "GET", target, headers, None).expect("an answer").head.status
    };
    if crate::daemon::is_original() {
        return;
    }
    assert_eq!(status(&[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(status(&[("Origin", "http://evil.example")]), 403);
    assert_eq!(status(&[("Referer", "http://evil.example/page")]), 403);
    assert_eq!(daemon.state("a"), "RUNNING");
    // A script sends none of these.
    assert_eq!(status(&[]), 301);
    daemon.wait_state("a", "STOPPED");
}

const FIREFOX: (&str, &str) = ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0");

/// The whole answer to a GET with exactly these headers.
fn raw_get(mut stream: impl Read + Write, target: &str, headers: &[(&str, &str)]) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream.write_all(format!("GET {target} HTTP/1.0\r\n{headers}\r\n").as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The status in the first line of an answer.
fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn a_browser_has_to_prove_that_our_page_asked() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("a", "RUNNING");
    let target = "/index.html?processname=a&action=stop";
    let ask = |headers: &[(&str, &str)]| {
        let socket = UnixStream::connect(daemon.folder.path("s.sock")).expect("a connection");
        raw_get(socket, target, &[&[FIREFOX, ("Host", "10.0.0.1:9001")], headers].concat())
    };
    // A picture in another site's page, which keeps the browser from saying where it stands.
    let answer = ask(&[("Accept", "image/avif,image/webp,*/*;q=0.8")]);
    assert_eq!(status_of(&answer), "403");
    assert!(answer.contains("nothing shows that a page of this server asked"), "{answer}");
    assert_eq!(daemon.state("a"), "RUNNING");
    assert_eq!(daemon.log_lines("refused:").len(), 1, "{}", daemon.log());
    assert_eq!(status_of(&ask(&[("Referer", "http://10.0.0.1:9001/")])), "301");
    assert_eq!(daemon.state("a"), "STOPPED");
}

#[test]
fn without_a_password_a_browser_reads_under_our_own_names_only() {
    if is_original() {
        return;
    }
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p\n\
         [program:a]\ncommand=sleep 1000\nstartsecs=0\n[stheno]\nhosts=web.example\n"
    ));
    let ask = |host: &str, target: &str, agent| {
        let socket = UnixStream::connect(daemon.folder.path("s.sock")).expect("a connection");
        raw_get(socket, target, &[("Host", host), agent])
    };
    let status = |host: &str, target: &str, agent| status_of(&ask(host, target, agent)).to_owned();
    for target in ["/", "/tail.html?processname=a", "/logtail/a", "/mainlogtail", "/events", "/RPC2", "/ok.html"] {
        assert_eq!(status("evil.example:9001", target, FIREFOX), "403", "{target}");
    }
    for host in ["web.example", "localhost:9001", "127.0.0.1:9001", "[::1]"] {
        assert_eq!(status(host, "/", FIREFOX), "200", "{host}");
    }
    assert_eq!(status("evil.example", "/", ("User-Agent", "curl/8.5.0")), "200", "a script");
    let answer = ask("evil.example:9001", "/", FIREFOX);
    assert!(answer.contains("[stheno] hosts=evil.example,"), "{answer}");
    assert_eq!(daemon.log_lines(": refused: ").len(), 1, "{}", daemon.log());
    // With one, its password tells our pages from others; what changes something is a matter of the origin alone.
    let right = basic_header("u", "p");
    let headers = [FIREFOX, ("Host", "evil.example"), ("Authorization", right.as_str())];
    let tcp = || TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    assert_eq!(status_of(&raw_get(tcp(), "/", &headers)), "200");
    assert_eq!(status_of(&raw_get(tcp(), "/?action=stopall", &headers)), "403");
    let same = [&headers[..], &[("Origin", "http://evil.example")]].concat();
    assert_eq!(status_of(&raw_get(tcp(), "/?action=stopall", &same)), "301");
}

#[test]
fn wrong_passwords_are_slowed_by_address() {
    if is_original() {
        return;
    }
    let port = free_port();
    let daemon = Daemon::start(&format!("[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p\n"));
    let (right, wrong) = (basic_header("u", "p"), basic_header("u", "x"));
    let status =
        |password: &str| get_tcp(port, "/ok.html", &[("Authorization", password)]).expect("an answer").head.status;
    let begun = std::time::Instant::now();
    for _ in 0..12 {
        assert_eq!(status(&wrong), 401);
    }
    assert!(begun.elapsed() >= Duration::from_millis(900), "ten are free, and then it is two a second");
    // Others wait for nothing, the socket file and who has no password to offer: they are answered before the last of several
    // that wait, unless we have been away for longer than these.
    wait_for("others to be answered first", || {
        let mut waiting: Vec<TcpStream> =
            (0..6).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("a connection")).collect();
        for client in &mut waiting {
            write!(client, "GET /ok.html HTTP/1.0\r\nAuthorization: {wrong}\r\n\r\n").expect("a request");
        }
        daemon.must("supervisor.getState", &[]);
        assert_eq!(get_tcp(port, "/ok.html", &[]).expect("an answer").head.status, 401);
        let last = waiting.last_mut().expect("six");
        last.set_nonblocking(true).expect("a socket");
        last.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock).then_some(())
    });
    wait_for("its turn", || (status(&right) == 200).then_some(()));
    let line = wait_for("a line about it", || daemon.log_lines("wrong password").into_iter().next());
    assert!(
        line.starts_with("127.0.0.1:") && line.ends_with(": wrong password once more; this address is slowed"),
        "{line}"
    );
}

#[test]
fn the_page_shows_programs_and_obeys() {
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("a", "RUNNING");
    let get = |target: &str| request(&daemon.folder.path("s.sock"), "GET", target, &[], None).expect("an answer");
    let page = get("/");
    assert_eq!((page.head.status, page.head.header("Content-Type")), (200, Some("text/html;charset=utf-8")));
    assert!(page.text().contains("statusrunning"), "{}", page.text());
    assert!(page.text().contains("tail.html?processname=a"), "{}", page.text());

    let action = get("/index.html?processname=a&action=stop");
    assert_eq!((action.head.status, daemon.state("a").as_str()), (301, "STOPPED"));
    assert_eq!(action.head.header("Location"), Some("http://localhost/?message=Process%20a%20stopped"));
    assert_eq!(get("/ok.html").text(), "OK");
}

#[test]
fn bodies_that_are_no_calls_are_refused() {
    let daemon = Daemon::start("");
    let socket = daemon.folder.path("s.sock");
    let status = |method: &str, target: &str, headers: &[(&str, &str)], body: Option<&[u8]>| {
        request(&socket, method, target, headers, body).expect("an answer").head.status
    };
    assert_eq!(status("POST", "/RPC2", &[], Some(b"<methodCall>")), 400);
    assert_eq!(status("POST", "/RPC2", &[], Some(b"not xml")), 400);
    assert_eq!(status("POST", "/RPC2", &[], None), 411);
    assert_eq!(status("GET", "/RPC2", &[], None), 400);
    assert_eq!(status("GET", "/logtail/nosuch", &[], None), 404);
    let call = b"<?xml version='1.0'?><methodCall><methodName>supervisor.getState</methodName></methodCall>";
    assert_eq!(status("POST", "/RPC2/anything", &[], Some(call)), 200);
}

#[test]
fn a_refused_client_may_finish_its_request() {
    let port = free_port();
    let _daemon = Daemon::start(&format!("[inet_http_server]\nport=127.0.0.1:{port}\nusername=ann\npassword=x\n"));
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(b"POST /RPC2 HTTP/1.1\r\nContent-Length: 10\r\n\r\n").expect("the head is sent");
    let mut answer = [0; 8192];
    let length = client.read(&mut answer).expect("the answer to the head");
    assert!(answer[..length].starts_with(b"HTTP/1.1 401 Unauthorized\r\n"));
    let begun = std::time::Instant::now();
    for _ in 0..10 {
        // Five seconds are waited for it.
        assert!(client.write_all(b"x").is_ok() || begun.elapsed() > Duration::from_secs(5), "the rest is taken");
    }
}

#[test]
fn what_a_strict_client_takes_for_the_next_answer_is_the_last() {
    let daemon = Daemon::start("");
    let rows = [
        ("HEAD /nowhere HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found", "</body>\r\n"),
        (
            "GET /images/icon.png HTTP/1.1\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n",
            "HTTP/1.1 304 Not Modified",
            "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ];
    if crate::daemon::is_original() {
        return;
    }
    for (request, begins, ends) in rows {
        let mut client = UnixStream::connect(daemon.folder.path("s.sock")).expect("a connection");
        client.write_all(request.repeat(2).as_bytes()).expect("two requests are sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("the connection ends");
        assert!(answer.starts_with(begins) && answer.ends_with(ends), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

#[test]
fn the_event_stream_says_why_it_refuses() {
    if crate::daemon::is_original() {
        return;
    }
    let daemon = Daemon::start("");
    let socket = daemon.folder.path("s.sock");
    let ask = |method: &str, target: &str, headers: &[(&str, &str)]| {
        request(&socket, method, target, headers, None).expect("an answer")
    };
    let post = ask("POST", "/events", &[("Content-Length", "0")]);
    assert_eq!((post.head.status, post.head.header("Allow")), (405, Some("GET, HEAD")));
    let head = ask("HEAD", "/events", &[]);
    assert_eq!((head.head.status, head.head.header("Content-Type")), (200, Some("text/event-stream")));
    let unknown = ask("GET", "/events?types=TICK_5,%20nonsense", &[]);
    assert_eq!((unknown.head.status, unknown.text().as_str()), (400, "unknown event type: nonsense\n"));
    let foreign = ask("GET", "/events", &[("Sec-Fetch-Site", "cross-site")]);
    assert_eq!(foreign.head.status, 403);
}

#[test]
fn the_event_stream_ends_properly_with_the_run() {
    if crate::daemon::is_original() {
        return;
    }
    let mut daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("a", "RUNNING");
    let mut client = UnixStream::connect(daemon.folder.path("s.sock")).expect("a connection");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the request is sent");
    let mut answer = [0; 4096];
    let length = client.read(&mut answer).expect("the head");
    assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK\r\n"));
    daemon.must("supervisor.shutdown", &[]);
    let mut rest = String::new();
    client.read_to_string(&mut rest).expect("the connection ends");
    assert!(rest.contains("event: SUPERVISOR_STATE_CHANGE_STOPPING\n"), "{rest}");
    assert!(rest.contains("event: PROCESS_STATE_STOPPED\n"), "{rest}");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "the last chunk: {rest}");
    assert_eq!(daemon.wait_end(), 0);
}

#[test]
fn a_stream_that_was_slow_is_told_at_once_what_it_lost() {
    if crate::daemon::is_original() {
        return;
    }
    let daemon = Daemon::start("");
    let mut client = UnixStream::connect(daemon.folder.path("s.sock")).expect("a connection");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(b"GET /events?types=REMOTE_COMMUNICATION HTTP/1.0\r\n\r\n").expect("the request is sent");
    let mut piece = vec![0; 1 << 16];
    let length = client.read(&mut piece).expect("the head");
    assert!(piece[..length].starts_with(b"HTTP/1.0 200 OK\r\n"));
    // More than the socket and the stream's own buffer take while nobody reads.
    let data = "x".repeat(100_000);
    for _ in 0..20 {
        daemon.must("supervisor.sendRemoteCommEvent", &["t".into(), data.clone().into()]);
    }
    // Nothing happens any more; reading alone brings the notice.
    let (mut text, notice) = (String::new(), "event: dropped\ndata: ");
    // It is the last to come, and where a piece ends is a matter of chance.
    while !text.rfind(notice).is_some_and(|at| text[at..].ends_with("\n\n")) {
        let length = client.read(&mut piece).expect("the stream goes on");
        assert!(length > 0, "the stream ended");
        text.push_str(std::str::from_utf8(&piece[..length]).expect("plain text"));
    }
    let count = text.matches("id: ").count();
    let dropped = text.rsplit("event: dropped\ndata: ").next().expect("a number").trim();
    assert_eq!(dropped.parse::<usize>().ok().map(|dropped| dropped + count), Some(20), "{dropped} and {count}");
}

#[test]
fn requests_are_logged_at_level_trace() {
    let daemon = Daemon::start("[supervisord]\nloglevel=trace\n");
    let socket = daemon.folder.path("s.sock");
    request(&socket, "GET", "/ok.html?x=y", &[], None).expect("an answer");
    let line = wait_for("the request in the log", || daemon.log_lines("ok.html").pop());
    assert!(line.starts_with("localhost:0 - - ["), "{line}");
    assert!(line.ends_with("] \"GET /ok.html?x=y HTTP/1.1\" 200 124"), "{line}");
    assert!(daemon.log().contains("\n\tHostname: <unix domain socket>\n"));
}

#[test]
fn streams_leave_room_for_others() {
    if crate::daemon::is_original() {
        return;
    }
    // Enough for all connections that there may be.
    let daemon = Daemon::start_with(Folder::new(), "", with_descriptors(1600));
    let socket = daemon.folder.path("s.sock");
    let open = |target: &str| {
        let mut client = UnixStream::connect(&socket).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        client.write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).expect("it is sent");
        let mut answer = [0; 1024];
        let length = client.read(&mut answer).expect("an answer");
        (String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or("").to_string(), client)
    };
    let streams: Vec<_> = (0..256).map(|_| open("/events?types=TICK_3600")).collect();
    assert!(streams.iter().all(|(status, _)| status == "HTTP/1.1 200 OK"));
    for target in ["/events", "/mainlogtail"] {
        assert_eq!(open(target).0, "HTTP/1.1 503 Service Unavailable", "{target}");
    }
    daemon.must("supervisor.getState", &[]);
    drop(streams);
    wait_for("room for a stream", || (open("/mainlogtail").0 == "HTTP/1.1 200 OK").then_some(()));
}

#[test]
fn a_client_that_says_all_and_ends_is_answered_and_closed() {
    let port = free_port();
    let _daemon = Daemon::start(&format!("[inet_http_server]\nport=127.0.0.1:{port}\n"));
    for _ in 0..20 {
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        client.write_all(b"GET /ok.html HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
        client.shutdown(std::net::Shutdown::Write).expect("no more");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("the end of the connection");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

/// The soft limit of open files of a process; answers what it was.
fn limit_files(pid: i32, soft: libc::rlim_t) -> libc::rlim_t {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both pointers are to live structures, or null, which means that nothing is set.
    unsafe {
        assert_eq!(libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut before), 0);
        let new = libc::rlimit { rlim_cur: soft, ..before };
        assert_eq!(libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const new, std::ptr::null_mut()), 0);
    }
    before.rlim_cur
}

#[test]
fn a_client_waits_out_that_there_are_no_descriptors() {
    if is_original() {
        // It looks again at every turn, without a pause.
        return;
    }
    let daemon = Daemon::start("");
    let pid = daemon.pid().as_raw();
    let before = limit_files(pid, 3);
    let mut client = UnixStream::connect(daemon.folder.path("s.sock")).expect("a place in the backlog");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.write_all(b"GET /ok.html HTTP/1.0\r\n\r\n").expect("a request");
    let tries = wait_for("further tries", || {
        let log = daemon.log();
        let lines = log.lines().filter(|line| line.contains("cannot accept a client"));
        Some(lines.map(millis_of).collect::<Vec<_>>()).filter(|tries| tries.len() >= 4)
    });
    assert!(tries[3] - tries[0] >= 100, "it is tried again after pauses that grow: {tries:?}");
    limit_files(pid, before);
    // Nobody else comes that could have the server looked at.
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains(" 200 "), "{answer}");
}

#[test]
fn head_is_answered_without_a_body_and_does_nothing() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("a", "RUNNING");
    for target in ["/", "/index.html", "/tail.html?processname=a", "/ok.html", "/?action=stopall"] {
        let socket = || UnixStream::connect(daemon.folder.path("s.sock")).expect("a connection");
        let mut stream = socket();
        stream.write_all(format!("HEAD {target} HTTP/1.0\r\n\r\n").as_bytes()).expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.0 200 OK") && answer.ends_with("\r\n\r\n"), "{target}: {answer}");
        let length = |answer: &str| {
            answer.split("Content-Length: ").nth(1).and_then(|rest| rest.lines().next().map(str::to_owned))
        };
        if !target.contains("action") {
            assert_eq!(length(&answer), length(&raw_get(socket(), target, &[])), "{target}");
        }
    }
    assert_eq!(daemon.state("a"), "RUNNING");
}

/// K-9: what clients may take is bounded, and where memory is short it is their connections that go, not the daemon.
#[test]
fn clients_are_bounded_and_memory_may_be_short() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[supervisord]\nhttp_body_max=2MB\nhttp_connections_max=3\n[program:a]\ncommand=sleep 1000\nstartsecs=0\n",
    );
    daemon.wait_state("a", "RUNNING");
    let socket = daemon.folder.path("s.sock");
    let call = |bytes: usize| {
        let params = ["a".into(), "x".repeat(bytes).into()];
        client::call(&socket, "supervisor.sendProcessStdin", &params)
    };
    assert_eq!(call(1_500_000), Ok(Value::Bool(true)), "larger than by default");
    assert!(call(2_200_000).is_err());
    // The oldest make room.
    let idle: Vec<_> = (0..5).map(|_| UnixStream::connect(&socket).expect("a connection")).collect();
    daemon.must("supervisor.getState", &[]);
    let mut gone = 0;
    for mut client in idle {
        client.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        gone += usize::from(matches!(client.read(&mut [0; 1]), Ok(0)));
    }
    assert!(gone >= 3, "{gone}");
    let pid = daemon.pid().as_raw();
    for left in [8 << 20, 4 << 20] {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let taken = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
        let taken: u64 = taken.trim().trim_end_matches(" kB").parse().expect("a number");
        let limit = format!("--as={}:", (taken << 10) + left);
        let limited = std::process::Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status();
        assert!(limited.expect("prlimit").success());
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let socket = socket.clone();
                std::thread::spawn(move || {
                    let values = "<value/>".repeat(110_000);
                    let many = format!(
                        "<?xml version=\"1.0\"?><methodCall><methodName>system.multicall</methodName><params><param><value>\
                         <array><data>{values}</data></array></value></param></params></methodCall>"
                    );
                    let text = ["a".into(), "x".repeat(900_000).into()];
                    let _ = client::call(&socket, "supervisor.sendProcessStdin", &text);
                    let _ = request(&socket, "POST", "/RPC2", &[("Content-Type", "text/xml")], Some(many.as_bytes()));
                })
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().expect("it ends"));
        // What they took may not be given back at once.
        wait_for("an answer", || daemon.call("supervisor.getState", &[]).ok());
    }
    assert_eq!(daemon.state("a"), "RUNNING");
}

/// A call in a layout that neither Supervisor nor Python's library writes is decoded in pieces, and answered as any other.
#[test]
fn a_long_call_of_an_unusual_layout_holds_nobody_up() {
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("a", "RUNNING");
    let socket = daemon.folder.path("s.sock");
    let one = "<value><struct><member><name>methodName</name><value><string>supervisor.getState</string></value></member>\
               </struct></value>";
    let usual = format!(
        "<?xml version='1.0'?><methodCall><methodName>system.multicall</methodName><params><param><value><array><data>{}\
         </data></array></value></param></params></methodCall>",
        one.repeat(2000)
    );
    let ask = |body: &str| request(&socket, "POST", "/RPC2", &[], Some(body.as_bytes())).expect("an answer");
    let unusual = usual.replacen("?>", " ?><!-- by hand -->", 1);
    let (expected, answer) = (ask(&usual), ask(&unusual));
    assert_eq!((expected.head.status, answer.head.status), (200, 200));
    assert_eq!(expected.body, answer.body);
    for broken in [unusual.replace("</methodCall>", ""), unusual.replacen("<data>", "<date>", 1)] {
        assert_eq!(ask(&broken).head.status, 400);
    }
    // One that does not wait for the answer, and one that sends no more.
    let head = format!("POST /RPC2 HTTP/1.1\r\nContent-Length: {}\r\n\r\n", unusual.len());
    let bytes = [head.as_bytes(), unusual.as_bytes()].concat();
    let connect = || UnixStream::connect(&socket).expect("a connection");
    connect().write_all(&bytes).expect("room");
    let mut client = connect();
    client.write_all(&bytes).expect("room");
    client.shutdown(std::net::Shutdown::Write).expect("a socket");
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).expect("answers");
    assert_eq!(String::from_utf8_lossy(&answers).matches("<methodResponse>").count(), 1);
    assert_eq!(daemon.state("a"), "RUNNING");
}
