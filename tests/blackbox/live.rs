//! The stream of a page that is open, and parts of logs.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::client::{Answer, PATIENCE, request};
use crate::daemon::{Daemon, is_original, wait_for};

/// A stream, read message by message.
struct Stream {
    socket: UnixStream,
    text: String,
}

impl Stream {
    fn open(daemon: &Daemon, known: Option<&str>) -> Stream {
        let mut socket = UnixStream::connect(daemon.folder.path("s.sock")).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let known = known.map_or(String::new(), |known| format!("Last-Event-ID: {known}\r\n"));
        socket.write_all(format!("GET /stheno/events HTTP/1.0\r\n{known}\r\n").as_bytes()).expect("it is sent");
        let mut stream = Stream { socket, text: String::new() };
        let head = stream.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.0 200 OK") && head.contains("text/event-stream"), "{head}");
        stream
    }

    fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.text.find(end) {
                let rest = self.text.split_off(at + end.len());
                return std::mem::replace(&mut self.text, rest);
            }
            let mut piece = [0; 4096];
            let count = self.socket.read(&mut piece).expect("more of the stream");
            assert!(count > 0, "the stream has ended behind {}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    }

    /// The next message of that kind; others are passed over.
    fn next(&mut self, event: &str) -> String {
        let line = format!("event: {event}\n");
        wait_for(&line, || Some(self.until("\n\n")).filter(|message| message.contains(&line)))
    }
}

fn id_of(message: &str) -> String {
    message.strip_prefix("id: ").and_then(|rest| rest.lines().next()).expect("an id").to_string()
}

const A: &str = "[program:a]\ncommand=sleep 1000\nstartsecs=0\n[program:b]\ncommand=sleep 1000\nautostart=false\n";

#[test]
fn a_snapshot_then_what_changes_at_once_then_figures() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(A);
    daemon.wait_state("a", "RUNNING");
    let mut stream = Stream::open(&daemon, None);
    assert!(stream.next("begin").contains("\"identifier\":\"supervisor\""));
    let rows = stream.next("rows");
    assert!(rows.contains("\"n\":\"a\",\"p\":\"a\",\"s\":\"RUNNING\"") && rows.contains("\"s\":\"STOPPED\""), "{rows}");
    let end = stream.next("end");
    assert!(stream.next("figures").contains("\"f\":[["));
    daemon.must("supervisor.stopProcess", &["a".into()]);
    wait_for("a to be shown as stopped", || stream.next("change").contains("\"s\":\"STOPPED\"").then_some(()));
    daemon.must("supervisor.removeProcessGroup", &["b".into()]);
    assert!(stream.next("change").contains("\"gone\":[1]"));

    // Who comes back is told what it has missed, and nothing else.
    let mut again = Stream::open(&daemon, Some(&id_of(&end)));
    let first = again.until("\n\n");
    assert!(first.contains("event: change\n") && first.contains("\"gone\":[1]"), "{first}");
    assert!(first.contains("\"s\":\"STOPPED\""), "{first}");
    for unknown in ["0-1", "nonsense", &format!("{}9999", id_of(&end))] {
        assert!(Stream::open(&daemon, Some(unknown)).until("\n\n").contains("event: begin"), "{unknown}");
    }
}

#[test]
fn whether_the_files_are_as_they_were_read_is_told() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!("{A}[include]\nfiles=more/*.conf\n"));
    let mut stream = Stream::open(&daemon, None);
    assert!(stream.next("files").contains("{\"changed\":false}"));
    let file = daemon.folder.path("supervisord.conf");
    let text = std::fs::read_to_string(&file).expect("its file");
    // In one step each, for who looks half way through would be told of two changes.
    let write = |name: &str, text: &str| {
        daemon.folder.write("written", text);
        std::fs::rename(daemon.folder.path("written"), daemon.folder.path(name)).expect("it is written");
    };
    for more in ["; one\n", "; one\n; two\n"] {
        write("supervisord.conf", &format!("{text}{more}"));
        assert!(stream.next("files").contains("{\"changed\":true}"), "each change is told of");
    }
    daemon.must("supervisor.reloadConfig", &[]);
    assert!(stream.next("files").contains("{\"changed\":false}"), "they were read anew");
    std::fs::create_dir(daemon.folder.path("more")).expect("a folder");
    write("more/x.conf", "[program:x]\ncommand=x\n");
    assert!(stream.next("files").contains("{\"changed\":true}"), "what would be included is new");
}

#[test]
fn who_comes_as_the_257th_is_told_so() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(A);
    let streams: Vec<Stream> = (0..256).map(|_| Stream::open(&daemon, None)).collect();
    let answer = request(&daemon.folder.path("s.sock"), "GET", "/stheno/events", &[], None).expect("an answer");
    assert_eq!(answer.head.status, 503);
    assert_eq!(answer.text(), "256 streams of events and logs are open already\n");
    drop(streams);
    wait_for("room", || {
        let mut socket = UnixStream::connect(daemon.folder.path("s.sock")).ok()?;
        socket.write_all(b"GET /stheno/events HTTP/1.0\r\n\r\n").ok()?;
        let mut status = [0; 12];
        socket.read_exact(&mut status).ok()?;
        status.ends_with(b"200").then_some(())
    });
}

#[test]
fn a_page_of_another_site_gets_no_stream_and_no_log() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(A);
    for target in ["/stheno/events", "/stheno/log?name=a"] {
        let headers = [("Sec-Fetch-Site", "cross-site")];
        let answer = request(&daemon.folder.path("s.sock"), "GET", target, &headers, None).expect("an answer");
        assert_eq!(answer.head.status, 403, "{target}");
    }
}

#[test]
fn logs_are_read_on_from_where_one_was() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'printf 0123456789; printf oops >&2; sleep 1000'\nstartsecs=0\n\
         stdout_logfile=$DIR/a.log\nstderr_logfile=$DIR/a.err\n",
    );
    daemon.wait_file("a.log", "0123456789");
    daemon.wait_file("a.err", "oops");
    let get = |query: &str| -> Answer {
        let target = format!("/stheno/log?{query}");
        request(&daemon.folder.path("s.sock"), "GET", &target, &[], None).expect("an answer")
    };
    let place = |answer: &Answer| answer.head.header("Stheno-Log").expect("a place").to_string();
    let all = get("name=a");
    let id = place(&all).split_once(' ').expect("words").0.to_string();
    assert_eq!((all.text(), place(&all)), ("0123456789".to_string(), format!("{id} from=0 to=10 size=10")));
    // Query, what is read, from where.
    let rows = [
        (format!("name=a&from=4&{id}"), "456789", "from=4 to=10"),
        (format!("name=a&from=4&bytes=2&{id}"), "45", "from=4 to=6"),
        (format!("name=a&from=4&bytes=2&skip=1&{id}"), "89", "from=8 to=10"),
        (format!("name=a&from=10&{id}"), "", "from=10 to=10"),
        (format!("name=a&from=11&{id}"), "0123456789", "from=0 to=10"),
        ("name=a&from=4&id=1-1".to_string(), "0123456789", "from=0 to=10"),
        ("name=a&bytes=3".to_string(), "789", "from=7 to=10"),
        ("name=a&stream=stderr".to_string(), "oops", "from=0 to=4"),
    ];
    for (query, text, from) in rows {
        let answer = get(&query);
        assert_eq!(answer.text(), text, "{query}");
        assert!(place(&answer).contains(from), "{query}: {}", place(&answer));
    }
    assert!(get("stream=main").text().contains("spawned: 'a'"));
    for query in ["name=none", "name=a&stream=x", "", "name=a:*"] {
        assert_eq!(get(query).head.status, 404, "{query}");
    }
}

#[test]
fn both_logs_are_read_in_the_order_in_which_they_came() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'while read w; do case $w in o*) echo $w;; *) echo $w >&2;; esac; done'\nstartsecs=0\n\
         [program:one]\ncommand=sleep 1000\nredirect_stderr=true\nstartsecs=0\n",
    );
    daemon.wait_state("a", "RUNNING");
    let socket = daemon.folder.path("s.sock");
    let get = |query: &str| {
        let target = format!("/stheno/log?name=a&stream=both{query}");
        request(&socket, "GET", &target, &[], None).expect("an answer")
    };
    let header = |answer: &Answer, name| answer.head.header(name).expect("a header").to_string();
    for word in ["o1", "o2", "e1", "o3", "e2", "e3", "o4"] {
        daemon.must("supervisor.sendProcessStdin", &["a".into(), format!("{word}\n").into()]);
        wait_for(word, || get("").text().contains(word).then_some(()));
    }
    let answer = get("");
    assert_eq!(answer.text(), "o1\no2\ne1\no3\ne2\ne3\no4\n");
    assert_eq!(header(&answer, "Stheno-Order"), "stdout=6 stderr=3 stdout=3 stderr=6 stdout=3");
    let place = header(&answer, "Stheno-Log");
    assert!(place.contains("from=0 to=12 size=12; id=") && place.ends_with("from=0 to=9 size=9"), "{place}");
    // One goes on with the places and ids of both.
    let ids: Vec<&str> = place.split("id=").skip(1).filter_map(|part| part.split(' ').next()).collect();
    assert_eq!(get(&format!("&id={}&from=6,3", ids.join(","))).text(), "o3\ne2\ne3\no4\n");
    assert_eq!(get(&format!("&id={}&from=12,9", ids.join(","))).text(), "");
    // What does not fit is left for the next time.
    let part = get(&format!("&id={}&from=0,0&bytes=6", ids.join(",")));
    assert_eq!(part.text(), "o1\no2\ne1\ne2\n");
    assert!(header(&part, "Stheno-Log").contains("from=0 to=6 size=12; id="));
    let one = request(&socket, "GET", "/stheno/log?name=one&stream=both", &[], None).expect("an answer");
    assert_eq!(one.head.status, 404, "it has only one log");
}

#[test]
fn the_live_page_is_sent_packed_and_once() {
    if is_original() || !stheno::web::files::HAS_PAGE {
        return;
    }
    let daemon = Daemon::start(A);
    let socket = daemon.folder.path("s.sock");
    let index = request(&socket, "GET", "/", &[], None).expect("an answer").text();
    for file in stheno::web::files::PAGE_FILES {
        let target = format!("/{}", file.path);
        let answer = request(&socket, "GET", &target, &[], None).expect("an answer");
        assert_eq!(answer.head.status, 200, "{target}");
        assert_eq!(answer.head.header("Content-Encoding"), Some("gzip"), "{target}");
        assert_eq!(answer.head.header("Content-Type"), Some(file.content_type), "{target}");
        assert_eq!(answer.body, file.packed, "{target}");
        let known = answer.head.header("ETag").expect("an ETag").to_string();
        let again = request(&socket, "GET", &target, &[("If-None-Match", &known)], None).expect("an answer");
        assert_eq!((again.head.status, again.body.len()), (304, 0), "{target}");
        let is_icon = file.path.ends_with(".svg");
        assert!(is_icon || index.contains(&format!("\"{}\"", file.path)), "{target} is asked for");
    }
    assert!(index.contains("tail.html?processname=a"), "the table is there without JavaScript");
    assert!(!index.contains("fleet.html"));
    for target in ["/fleet.html", "/fleet/live", "/page/fleet.js", "/page/fleet.css"] {
        let answer = request(&socket, "GET", target, &[], None).expect("an answer");
        assert_eq!(answer.head.status, 404, "{target}: nobody has asked for a fleet");
    }
}

#[cfg(feature = "gzip")]
#[test]
fn the_table_is_packed_for_browsers_alone() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:many]\ncommand=x\nautostart=false\nnumprocs=500\nprocess_name=%(program_name)s_%(process_num)03d\n",
    );
    let socket = daemon.folder.path("s.sock");
    let get = |method, headers: &[(&str, &str)]| request(&socket, method, "/", headers, None).expect("an answer");
    let (browser, packed) = (("Accept", "text/html"), ("Accept-Encoding", "deflate, gzip;q=0.8"));
    let plain = get("GET", &[packed]);
    assert_eq!(plain.head.header("Content-Encoding"), None, "scripts get what they always got");
    for headers in [vec![browser], vec![browser, ("Accept-Encoding", "br, gzip;q=0")]] {
        assert_eq!(get("GET", &headers).body.len(), plain.body.len(), "{headers:?}");
    }
    let answer = get("GET", &[browser, packed]);
    assert_eq!(answer.head.header("Content-Encoding"), Some("gzip"));
    assert_eq!(answer.head.header("Vary"), Some("Accept-Encoding"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*answer.body).read_to_string(&mut text).expect("gzip");
    assert_eq!((text.len(), text.matches("<tr").count()), (plain.body.len(), 501));
    assert!(answer.body.len() * 10 < text.len(), "{} of {}", answer.body.len(), text.len());
    assert_eq!(get("HEAD", &[browser, packed]).head.header("Content-Encoding"), None);
}

#[test]
fn who_waits_for_what_is_told_when_that_changes() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:one]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n\
         [program:two]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n\
         [program:late]\ncommand=sleep 1000\nstartsecs=0\ndepends_on=one,two\n",
    );
    let mut stream = Stream::open(&daemon, None);
    assert!(stream.next("rows").contains("\"waits\":\"Waiting for one (STOPPED), two (STOPPED)\""));
    daemon.must("supervisor.startProcess", &["one".into()]);
    let rest = "\"waits\":\"Waiting for two (STOPPED)\"";
    wait_for("a wait for the other one", || stream.next("change").contains(rest).then_some(()));
    daemon.must("supervisor.stopProcess", &["late".into()]);
    wait_for("the wait to end", || (!stream.next("change").contains("\"waits\"")).then_some(()));
    let text = format!("{:?}", daemon.must("stheno.getActivity", &[]));
    assert!(text.contains("waiting") && text.contains("for one, two"), "{text}");
}

#[test]
fn without_javascript_there_are_buttons_and_both_logs() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'echo said; echo complained >&2; exec sleep 1000'\nautostart=false\nstartsecs=0\n",
    );
    let socket = daemon.folder.path("s.sock");
    let get = |target: &str| request(&socket, "GET", target, &[], None).expect("an answer").text();
    let page = get("/");
    let target = page
        .split("formaction=\"")
        .find(|part| part.starts_with("index.html?processname=a&amp;action=start"))
        .expect("a button");
    let target = format!("/{}", target.split('"').next().expect("a target").replace("&amp;", "&"));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = request(&socket, "POST", &target, &form, Some(b"")).expect("an answer");
    assert_eq!(answer.head.status, 301);
    daemon.wait_state("a", "RUNNING");
    wait_for("both logs", || {
        let pages = [get("/tail.html?processname=a"), get("/tail.html?processname=a&stream=stderr")];
        (pages[0].contains(">said\n") && pages[1].contains(">complained\n")).then_some(())
    });
}
