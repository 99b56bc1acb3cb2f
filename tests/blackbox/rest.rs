//! REST under the paths of Supvisors' Flask application and below `/api/v1` (V-560 to V-564, F-75), and what all instances publish
//! to a client of any one (V-523). Supervisor knows nothing of either.

use stheno::wire::auth::basic_header;
use stheno::wire::json;
use stheno::wire::value::Value;

use crate::client::{self, Answer};
use crate::daemon::{Daemon, free_port, is_original, wait_for};
use crate::peers::Fleet;
use crate::publish::Reader;

/// Programs of both of them.
const PROGRAMS: &str = "\
[program:talk]\ncommand=sh -c \"echo h\u{e9}llo; exec sleep 1000\"\nautostart=false\nstartsecs=0\nstdout_logfile=$DIR/talk.log\n\
[program:slow]\ncommand=sleep 1000\nautostart=false\nstartsecs=1\n\
[program:never]\ncommand=sleep 1000\nautostart=false\nstartsecs=1000\n\
[program:gone]\ncommand=false\nautostart=false\nstartretries=0\n\
[group:g]\nprograms=talk,slow,never,gone\n";

/// What is said of a path under which there is nothing.
const NOTHING: &str = "404 {\"message\": \"There is nothing under this path.\"}";

/// Two that have come together, and publish over WebSocket at that port of their addresses.
fn two() -> (Fleet, Vec<Daemon>, u16) {
    let events = free_port();
    let fleet = Fleet::new(2, &format!("event_link=WS\nevent_port={events}\n{PROGRAMS}"));
    let daemons = fleet.start_all();
    for daemon in &daemons {
        wait_for("operation of two", || {
            let state = daemon.must("supvisors.get_supvisors_state", &[]);
            let Some(Value::Struct(states)) = state.member("instance_states") else { return None };
            let are_both = states.len() == 2 && states.iter().all(|(_, state)| state.as_str() == Some("RUNNING"));
            (are_both && state.member("fsm_statename") == Some(&"OPERATION".into())).then_some(())
        });
    }
    (fleet, daemons, events)
}

/// Headers of a request.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// A request to one of them as the user of both: the status, and the value of its JSON.
fn ask(daemon: &Daemon, verb: &str, path: &str) -> (u16, Value) {
    let answer = whole(daemon, verb, path, &[], None);
    (answer.head.status, json::read(answer.text().trim_end()).unwrap_or(Value::Nil))
}

fn whole(daemon: &Daemon, verb: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
    client::request(&daemon.folder.path("s.sock"), verb, path, headers, body).expect("an answer")
}

fn text(value: &Value) -> String {
    json::write(value)
}

/// Calls by path, in both places; answers, faults, and what is no path.
#[test]
fn what_is_asked_for_by_path_is_called() {
    if is_original() {
        return;
    }
    let (fleet, daemons, _) = two();
    let (first, second) = (&daemons[0], &daemons[1]);
    let name = fleet.name(1);
    for prefix in ["", "/api/v1"] {
        let asks = |verb: &str, path: &str| {
            let (status, value) = ask(first, verb, &format!("{prefix}{path}"));
            format!("{status} {}", text(&value))
        };
        let quoted = name.replace(':', "%3A");
        let rows = [
            ("GET", "/supvisors/api_version", "200 \"0.19\""),
            ("GET", "/supervisor/getState", "200 {\"statecode\": 1, \"statename\": \"RUNNING\"}"),
            ("GET", "/system/methodSignature/supervisor.getPID", "200 [\"int\"]"),
            // Here, by its own name, and on the other one, by a name that is quoted.
            ("POST", "/supervisor/startProcess/g:talk", "200 true"),
            (
                "POST",
                "/supervisor/startProcess/g%3Atalk",
                "400 {\"message\": \"ALREADY_STARTED: g:talk\", \"code\": 60}",
            ),
            ("POST", "/supvisors/stop_process/g:talk", "200 true"),
            ("POST", "/supvisors/start_process/WHEREVER/g:talk", NOTHING),
            ("POST", "/supervisor/startProcess/a;b", "400 {\"message\": \"BAD_NAME: a;b\", \"code\": 10}"),
            ("POST", "/supervisor/startProcess/a/b;c?wait=1", NOTHING),
            ("POST", "/supervisor/startProcess/a%2Fb", "400 {\"message\": \"BAD_NAME: a/b\", \"code\": 10}"),
            (
                "POST",
                "/supervisor/startProcess/%E2%82%AC%00",
                "400 {\"message\": \"BAD_NAME: \\u20ac\\u0000\", \"code\": 10}",
            ),
            ("POST", "/supervisor/startProcess/", NOTHING),
            ("POST", "/supervisor/startProcess/a/b", NOTHING),
            ("GET", "/supvisors/nothing", NOTHING),
            ("GET", "/supvisors/", NOTHING),
            ("DELETE", "/supvisors/restart", "405 {\"message\": \"The method is not allowed for this path.\"}"),
            (
                "POST",
                "/supvisors/stop_process/g:talk?wait=maybe",
                "400 {\"errors\": {\"wait\": \"Invalid literal for boolean(): \\\"maybe\\\"\"}, \"message\": \"Input payload validation failed\"}",
            ),
        ];
        for (verb, path, expected) in rows {
            let answer = asks(verb, path);
            assert_eq!(answer, expected, "{prefix}{path}");
        }
        let answer = asks("POST", "/supvisors/start_process/CONFIG/g:nothing");
        assert!(answer.starts_with("400 {\"message\": \"BAD_NAME: "), "{answer}");
        let answer = asks("GET", &format!("/supvisors/inner_process_info/{quoted}/g:talk"));
        assert!(answer.starts_with("200 [{\"name\": \"talk\", "), "{answer}");
    }
    // Whoever is asked answers for all.
    second.must("supervisor.startProcess", &["g:talk".into()]);
    wait_for("the other's process", || {
        let (status, value) = ask(first, "GET", "/supvisors/process_info/g:talk");
        assert_eq!(status, 200);
        text(&value).contains(&format!("\"identifiers\": [\"{name}\"]")).then_some(())
    });
    // Both of the long log's ways, and a part that ends within a character.
    second.wait_file("talk.log", "h\u{e9}llo\n");
    assert_eq!(ask(second, "GET", "/supervisor/readProcessStdoutLog/g:talk/0/0"), (200, "h\u{e9}llo\n".into()));
    assert_eq!(ask(second, "GET", "/supervisor/readProcessStdoutLog/g:talk/0/2").0, 400);
    // What XML cannot carry is the same in a short log and a long one.
    second.folder.write("talk.log", "\x1b[1m");
    assert_eq!(ask(second, "GET", "/supervisor/readProcessStdoutLog/g:talk/0/0"), (200, "\u{fffd}[1m".into()));
    second.folder.write("talk.log", &"\x1b[1m".repeat(50_000));
    let (_, colours) = ask(second, "GET", "/supervisor/readProcessStdoutLog/g:talk/0/0");
    assert_eq!(colours, "\u{fffd}[1m".repeat(50_000).into());
    let long = "\u{1f600}\"\\\n".repeat(50_000);
    second.folder.write("talk.log", &long);
    assert_eq!(ask(second, "GET", "/supervisor/readProcessStdoutLog/g:talk/0/0"), (200, long.clone().into()));
    let (_, tail) = ask(second, "GET", &format!("/supervisor/tailProcessStdoutLog/g:talk/0/{}", long.len()));
    assert_eq!(tail, Value::Array(vec![long.clone().into(), Value::Int(long.len() as i64), false.into()]));
}

/// A call that waits does so here, too; and fields stand in the query, in a form, or in JSON.
#[test]
fn calls_that_wait_and_their_fields() {
    if is_original() {
        return;
    }
    let (_fleet, daemons, _) = two();
    let daemon = &daemons[0];
    assert_eq!(ask(daemon, "POST", "/supervisor/startProcess/g:slow"), (200, true.into()));
    assert_eq!(daemon.state("g:slow"), "RUNNING");
    assert_eq!(ask(daemon, "POST", "/supervisor/stopProcess/g:slow"), (200, true.into()));
    let (status, fault) = ask(daemon, "POST", "/supervisor/startProcess/g:gone");
    assert_eq!((status, fault.member("message")), (400, Some(&"SPAWN_ERROR: g:gone".into())), "{fault:?}");
    let form = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")];
    let object = [("Content-Type", "application/json")];
    let rows: &[(&str, Headers, &[u8], u16)] = &[
        ("?wait=False", &[], b"", 200),
        ("?wait=0", &[], b"anything", 415),
        ("", &form, b"wait=false", 200),
        ("?wait=true", &form, b"wait=0", 200),
        ("", &object, b"{\"wait\": false}", 200),
        ("", &object, b"{\"wait\": \"false\", \"more\": [1]}", 200),
        ("", &object, b"{\"wait\": 0}", 200),
        ("", &object, b"{\"wait\": 2}", 400),
        ("?wait=false", &object, b"{\"wait\": null}", 400),
        ("", &object, b"[]", 400),
        ("", &object, b"{", 400),
        ("", &[("Content-Type", "text/xml")], b"<a/>", 415),
    ];
    for (query, headers, body, status) in rows {
        let path = format!("/supervisor/startProcess/g:never{query}");
        let answer = whole(daemon, "POST", &path, headers, Some(body));
        assert_eq!(answer.head.status, *status, "{query} {body:?}: {}", answer.text());
        if *status == 200 {
            // Had it waited, there were no answer.
            assert_eq!(ask(daemon, "POST", "/supervisor/stopProcess/g:never").0, 200, "{query}");
        }
    }
    // More fields than anybody has are none; in the query, in a form.
    let many = "wait&".repeat(101);
    let answer = whole(daemon, "POST", &format!("/supervisor/stopAllProcesses?{many}"), &[], None);
    assert_eq!((answer.head.status, answer.text().contains("too many fields")), (400, true));
    let answer = whole(daemon, "POST", "/supervisor/stopAllProcesses", &form, Some(many.as_bytes()));
    assert_eq!((answer.head.status, answer.text().contains("too many fields")), (400, true));
    // A field that does not exist is ignored under the old paths alone.
    for (prefix, status) in [("", 200), ("/api/v1", 400)] {
        let rows: &[(&str, Headers, &[u8])] =
            &[("?wiat=1", &[], b""), ("?wait=1", &form, b"wiat=1"), ("", &object, b"{\"wiat\": true}")];
        for (query, headers, body) in rows {
            let path = format!("{prefix}/supervisor/stopAllProcesses{query}");
            let answer = whole(daemon, "POST", &path, headers, Some(body));
            assert_eq!(answer.head.status, status, "{path}: {}", answer.text());
        }
    }
    let large = [b"wait=false&extra_args=".to_vec(), vec![b'x'; 200_000]].concat();
    let answer = whole(daemon, "POST", "/supvisors/start_args/g:slow", &form, Some(&large));
    assert_eq!(answer.head.status, 413);
    // Arguments get where they are meant to.
    let body = b"extra_args=1&wait=true";
    let answer = whole(daemon, "POST", "/supvisors/start_args/g:slow", &form, Some(body));
    assert_eq!((answer.head.status, answer.text().as_str()), (200, "true\n"));
    let info = daemon.must("supvisors.get_local_process_info", &["g:slow".into()]);
    assert_eq!(info.member("extra_args"), Some(&"1".into()));
}

/// The same door as all else: a password, no other site's page; HEAD and OPTIONS; what is allowed is said.
#[test]
fn who_may_ask_and_how() {
    if is_original() {
        return;
    }
    let (fleet, daemons, _) = two();
    let daemon = &daemons[0];
    let name = fleet.name(0);
    let port = name.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    for path in [
        "/supvisors/api_version",
        "/api/v1/supvisors/api_version",
        "/openapi.json",
        "/api/v1/openapi.json",
        "/supvisors/nothing",
    ] {
        let wrong = basic_header("u", "another password");
        for headers in [&[][..], &[("Authorization", wrong.as_str())]] {
            assert_eq!(client::get_tcp(port, path, headers).expect("an answer").head.status, 401, "{path}");
        }
    }
    let right = basic_header("u", "a password");
    let answer = client::get_tcp(port, "/api/v1/openapi.json", &[("Authorization", &right)]).expect("an answer");
    assert_eq!((answer.head.status, answer.head.header("Content-Type")), (200, Some("application/json")));
    let document = json::read(answer.text().trim_end()).expect("JSON");
    assert!(document.member("security").is_some());
    let evil = [("Origin", "http://elsewhere"), ("Host", "127.0.0.1")];
    for (verb, path) in
        [("POST", "/supvisors/restart_sequence"), ("GET", "/supvisors/api_version"), ("GET", "/openapi.json")]
    {
        assert_eq!(whole(daemon, verb, path, &evil, None).head.status, 403, "{verb} {path}");
        let browser = [("User-Agent", "Mozilla/5.0")];
        let status = if verb == "POST" { 403 } else { 200 };
        assert_eq!(whole(daemon, verb, path, &browser, None).head.status, status, "{verb} {path} of a browser");
    }
    for (path, allowed) in [
        ("/supvisors/api_version", "GET, HEAD, OPTIONS"),
        ("/supvisors/restart_sequence", "OPTIONS, POST"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
    ] {
        let answer = whole(daemon, "OPTIONS", path, &[], None);
        assert_eq!((answer.head.status, answer.head.header("Allow"), answer.text().as_str()), (200, Some(allowed), ""));
        let answer = whole(daemon, "PUT", path, &[], Some(b"x"));
        assert_eq!((answer.head.status, answer.head.header("Allow")), (405, Some(allowed)), "{path}");
    }
    let answer = whole(daemon, "HEAD", "/supervisor/getState", &[], None);
    assert_eq!((answer.head.status, answer.head.header("Content-Length")), (200, Some("41")));
    assert!(answer.body.is_empty());
    let answer = whole(daemon, "HEAD", "/supervisor/readProcessStdoutLog/none/0/0", &[], None);
    assert_eq!(answer.head.status, 400);
}

/// Without the section there is nothing of it.
#[test]
fn a_daemon_of_no_fleet_has_none_of_these_paths() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nautostart=false\n");
    for path in [
        "/supervisor/getState",
        "/supvisors/api_version",
        "/system/listMethods",
        "/openapi.json",
        "/api/v1/supervisor/getState",
    ] {
        let answer = whole(&daemon, "GET", path, &[], None);
        let is_page = answer.text().contains("Error response");
        assert_eq!((answer.head.status, is_page), (404, true), "{path}");
    }
}

/// V-523: what happens on one instance is told to the WebSocket clients of each.
#[test]
fn events_of_all_instances_reach_a_client_of_any_one() {
    if is_original() {
        return;
    }
    let (fleet, daemons, events) = two();
    let mut readers: Vec<Reader> = (0..2)
        .map(|at| {
            let host = format!("127.0.0.{}", at + 1);
            let (reader, head) = Reader::websocket_at(&host, events, "/event/process/instance", Some("a password"));
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            reader
        })
        .collect();
    for (at, daemon) in daemons.iter().enumerate() {
        let name = fleet.name(at);
        daemon.must("supervisor.startProcess", &["g:talk".into()]);
        for reader in &mut readers {
            let event = ["\"event\"", "\"name\": \"talk\"", "\"state\": 20,", &format!("\"identifier\": \"{name}\"")];
            let process = ["\"process\"", "\"statename\": \"RUNNING\"", &format!("\"identifiers\": [\"{name}\"]")];
            let tick = |of: usize| ["\"instance\"".to_string(), format!("\"identifier\": \"{}\"", fleet.name(of))];
            let mut missing: Vec<Vec<String>> =
                vec![event.map(str::to_string).to_vec(), process.map(str::to_string).to_vec()];
            missing.extend([tick(0).to_vec(), tick(1).to_vec()]);
            wait_for("all of these messages", || {
                let (_, frame) = reader.frame();
                missing.retain(|parts| !parts.iter().all(|part| frame.contains(part)));
                missing.is_empty().then_some(())
            });
        }
        daemon.must("supervisor.stopProcess", &["g:talk".into()]);
    }
}
