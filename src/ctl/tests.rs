//! Commands against a daemon that answers as a test wants it to: what is printed, the exit status, what was called.

use std::sync::Mutex;
use std::time::Duration;

use super::client::Patience;
use super::fake::{Fake, Reply};
use super::interpreter::run_line;
use crate::wire::value::Value;

/// What a daemon says, whatever it is asked.
type Says = fn() -> Reply;

fn ok() -> Reply {
    Reply::Value(Value::Bool(true))
}

/// What a daemon of 4.3.0 says to what every command asks first.
fn checked(method: &str) -> Option<Reply> {
    match method {
        "supervisor.getVersion" => Some(Reply::Value("3.0".into())),
        "stheno.getVersion" => Some(Reply::Fault(1, "UNKNOWN_METHOD")),
        _ => None,
    }
}

fn structure(members: &[(&'static str, Value)]) -> Value {
    Value::Struct(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

fn process(group: &'static str, name: &'static str, state: i32, statename: &'static str) -> Value {
    structure(&[
        ("group", group.into()),
        ("name", name.into()),
        ("state", state.into()),
        ("statename", statename.into()),
        ("description", if state == 10 { "" } else { "words" }.into()),
        ("pid", (if state == 20 { 7 } else { 0 }).into()),
    ])
}

fn outcome(name: &'static str, code: i32, text: &'static str) -> Value {
    structure(&[("group", name.into()), ("name", name.into()), ("status", code.into()), ("description", text.into())])
}

#[test]
fn results_of_start_and_stop() {
    let fake = Fake::start(1, |call| {
        if let Some(reply) = checked(&call.method) {
            return reply;
        }
        let name = call.params.first().and_then(Value::as_str).unwrap_or("");
        match (call.method.as_str(), name) {
            ("supervisor.getProcessInfo", "down") => Reply::Value(process("down", "down", 0, "STOPPED")),
            ("supervisor.getAllProcessInfo", _) => Reply::Value(Value::Array(vec![])),
            ("supervisor.startProcessGroup", "g") => {
                Reply::Value(Value::Array(vec![outcome("g", 80, "OK"), outcome("h", 50, "SPAWN_ERROR")]))
            }
            ("supervisor.startProcessGroup" | "supervisor.stopProcessGroup", _) => Reply::Fault(10, "BAD_NAME: x"),
            ("supervisor.stopAllProcesses", _) => Reply::Value(Value::Array(vec![outcome("a", 30, "FAILED: why")])),
            (_, "fine") => ok(),
            (_, "gone") => Reply::Fault(10, "BAD_NAME: gone"),
            (_, "off") => Reply::Fault(103, "DISABLED: off"),
            (_, "up") => Reply::Fault(60, "ALREADY_STARTED: up"),
            ("supervisor.startProcess", "down") => ok(),
            (_, "down") => Reply::Fault(70, "NOT_RUNNING: down"),
            (_, "broken") => Reply::Fault(50, "SPAWN_ERROR: broken"),
            (_, "odd") => Reply::Fault(99, "ODD"),
            (method, name) => panic!("{method} {name}"),
        }
    });
    let rows = [
        ("start fine", "fine: started\n", 0),
        ("start up", "up: ERROR (already started)\n", 0),
        ("start off", "off: ERROR disabled\n", 1),
        ("start gone fine", "gone: ERROR (no such process)\nfine: started\n", 1),
        ("start broken gone", "broken: ERROR (spawn error)\ngone: ERROR (no such process)\n", 1),
        ("start gone broken", "gone: ERROR (no such process)\nbroken: ERROR (spawn error)\n", 7),
        ("start broken up", "broken: ERROR (spawn error)\nup: ERROR (already started)\n", 7),
        ("start g:*", "g: started\nh: ERROR (spawn error)\n", 7),
        ("start nope:*", "nope: ERROR (no such group)\n", 2),
        ("start nope: gone", "nope: ERROR (no such group)\ngone: ERROR (no such process)\n", 1),
        ("stop nope:*", "nope: ERROR (no such group)\n", 1),
        ("stop fine down", "fine: stopped\ndown: ERROR (not running)\n", 0),
        ("stop x all", "FAILED: why\n", 1),
        ("signal HUP down", "down: ERROR (not running)\n", 7),
        ("clear fine gone", "fine: cleared\ngone: ERROR (no such process)\n", 1),
        ("restart down", "down: ERROR (not running)\ndown: started\n", 0),
    ];
    for (line, printed, status) in rows {
        let (text, code) = fake.run(line);
        assert_eq!((text.as_str(), code), (printed, status), "{line}");
    }
    let (text, code) = fake.run("start fine odd fine");
    assert!(text.starts_with("fine: started\nerror: <class 'ValueError'>, Unknown result code 99 for odd"), "{text}");
    assert_eq!((text.lines().count(), code), (2, 1));
}

#[test]
fn the_connection_check() {
    let rows: [(Says, &str, &str, i32); 5] = [
        (|| Reply::Value("2.0".into()), "start x", "Sorry, ", 5),
        (|| Reply::Value("2.0".into()), "status", "Sorry, ", 4),
        (
            || Reply::Fault(1, "UNKNOWN_METHOD"),
            "pid",
            "Sorry, supervisord responded but did not recognize the supervisor namespace commands that supervisorctl uses to \
             control it.  Please check that the [rpcinterface:supervisor] section is enabled in the configuration file \
             (see sample.conf).\n",
            3,
        ),
        (
            || Reply::Fault(6, "SHUTDOWN_STATE"),
            "status",
            "error: <class 'xmlrpc.client.Fault'>, <Fault 6: 'SHUTDOWN_STATE'>",
            1,
        ),
        (|| Reply::Status(401), "version", "Server requires authentication\nerror: ", 1),
    ];
    for (reply, line, start, status) in rows {
        let (text, code) = Fake::start(1, move |_| reply()).run(line);
        assert!(text.starts_with(start), "{line}: {text}");
        assert_eq!(code, status, "{line}: {text}");
    }
}

#[test]
fn starts_are_pipelined_where_the_server_can() {
    let fake = Fake::start(3, |call| match (call.method.as_str(), call.params.first().and_then(Value::as_str)) {
        ("supervisor.getVersion", _) => Reply::Value("3.0".into()),
        ("stheno.getVersion", _) => Reply::Value("0.1".into()),
        (_, Some("b")) => Reply::Fault(10, "BAD_NAME: b"),
        _ => ok(),
    });
    assert_eq!(fake.run("start a b c"), ("a: started\nb: ERROR (no such process)\nc: started\n".to_string(), 1));
    assert_eq!(fake.seen.lock().expect("no panic").iter().filter(|line| *line == "connect").count(), 1);
}

#[test]
fn what_a_closed_connection_left_unanswered_is_asked_again() {
    let fake = Fake::start(3, |call| match (call.method.as_str(), call.params.first().and_then(Value::as_str)) {
        ("supervisor.getVersion", _) => Reply::Value("3.0".into()),
        ("stheno.getVersion", _) => Reply::Value("0.1".into()),
        (_, Some("a")) => Reply::Last(Value::Bool(true)),
        _ => ok(),
    });
    // Of three calls that came together only the first is answered.
    assert_eq!(fake.run("start a b c"), ("a: started\nb: started\nc: started\n".to_string(), 0));
    assert_eq!(fake.seen.lock().expect("no panic").iter().filter(|line| *line == "connect").count(), 2);
    let fake = Fake::start(1, |call| checked(&call.method).unwrap_or(Reply::Last(Value::Bool(true))));
    assert_eq!(fake.run("start a b c"), ("a: started\nb: started\nc: started\n".to_string(), 0));
    let (text, code) = Fake::start(1, |call| checked(&call.method).unwrap_or(Reply::HangUp)).run("start a");
    assert!(text.contains("Remote end closed connection without response"), "{text}");
    assert_eq!(code, 1);
}

#[test]
fn the_table_of_status() {
    let fake = Fake::start(1, |call| {
        if call.method == "stheno.checkProcesses" {
            return Reply::Fault(1, "UNKNOWN_METHOD");
        }
        checked(&call.method).unwrap_or_else(|| {
            Reply::Value(Value::Array(vec![
                process("cat", "cat", 20, "RUNNING"),
                process("web", "a", 10, "STARTING"),
                process("web", "b", 200, "FATAL"),
            ]))
        })
    });
    let cat = format!("cat{}RUNNING   words\n", " ".repeat(30));
    let a = format!("web:a{}STARTING  \n", " ".repeat(28));
    let b = format!("web:b{}FATAL     words\n", " ".repeat(28));
    let rows = [
        ("status", format!("{cat}{a}{b}"), 3),
        ("status all nope", format!("{cat}{a}{b}"), 3),
        ("status cat web:a", format!("{cat}{a}"), 0),
        ("status web:a cat cat", format!("{a}{cat}{cat}"), 0),
        ("status web", "web: ERROR (no such process)\n".to_string(), 4),
        ("status nope:* cat", format!("nope: ERROR (no such group)\n{cat}"), 4),
        ("status nope web:*", format!("nope: ERROR (no such process)\n{a}{b}"), 3),
        ("status w*", format!("{a}{b}"), 3),
        ("status x*", "x*: ERROR (no such process)\n".to_string(), 4),
        ("pid all", "7\n0\n0\n".to_string(), 0),
        ("check", "FAILED: web:a STARTING, web:b FATAL\n".to_string(), 1),
        ("check cat", "OK: 1 as configured\n".to_string(), 0),
        ("check --require running cat", "OK: 1 running\n".to_string(), 0),
        ("check --require not-fatal cat web:a", "OK: 2 not fatal\n".to_string(), 0),
        ("check --require=not-fatal nope", "FAILED: nope (no such process)\n".to_string(), 1),
        (
            "check a b c d e f",
            "FAILED: a (no such process), b (no such process), c (no such process), and 3 more\n".to_string(),
            1,
        ),
    ];
    for (line, printed, status) in rows {
        assert_eq!(fake.run(line), (printed, status), "{line}");
    }
    let (json, code) = fake.run("status --json cat");
    assert!(json.starts_with("[{\"group\": \"cat\", \"name\": \"cat\", \"state\": 20,"), "{json}");
    assert_eq!(code, 0);
}

#[test]
fn check_asks_the_daemon_what_is_not_as_configured() {
    let member = |name: &'static str, value: &'static str| (name.into(), Value::from(value));
    let fake = Fake::start(1, move |call| {
        if call.method == "stheno.checkProcesses" {
            let web =
                vec![member("group", "web"), member("name", "web"), member("reason", "Waiting for migrate (EXITED)")];
            return Reply::Value(Value::Array(vec![Value::Struct(web)]));
        }
        checked(&call.method).unwrap_or_else(|| {
            Reply::Value(Value::Array(vec![
                process("once", "once", 100, "EXITED"),
                process("web", "web", 0, "STOPPED"),
            ]))
        })
    });
    assert_eq!(fake.run("check"), ("FAILED: web waiting for migrate\n".to_string(), 1));
    assert_eq!(fake.run("check once"), ("OK: 1 as configured\n".to_string(), 0));
    assert_eq!(fake.run("check --require=running once"), ("FAILED: once EXITED\n".to_string(), 1));
    let usage = "Error: check --require takes as-configured, running or not-fatal";
    assert!(fake.run("check --require=all").0.contains(usage));
}

#[test]
fn update_goes_through_the_three_lists() {
    let lists = |lists: [&[&'static str]; 3]| {
        let list = |names: &[&'static str]| Value::Array(names.iter().map(|&name| name.into()).collect());
        Value::Array(vec![Value::Array(lists.iter().map(|names| list(names)).collect())])
    };
    let fake = Fake::start(1, move |call| {
        let name = call.params.first().and_then(Value::as_str).unwrap_or("");
        match (call.method.as_str(), name) {
            ("supervisor.reloadConfig", _) => Reply::Value(lists([&["new"], &["chg"], &["stuck", "old"]])),
            ("supervisor.stopProcessGroup", "stuck") => {
                Reply::Value(Value::Array(vec![outcome("stuck", 30, "FAILED")]))
            }
            ("supervisor.stopProcessGroup", _) => Reply::Value(Value::Array(vec![])),
            ("supervisor.getAllProcessInfo", _) => {
                Reply::Value(Value::Array(vec![process("chg", "chg", 20, "RUNNING")]))
            }
            _ => ok(),
        }
    });
    let (stuck, old) =
        ("stuck: stopped\nstuck: has problems; not removing\n", "old: stopped\nold: removed process group\n");
    let (chg, new) = ("chg: stopped\nchg: updated process group\n", "new: added process group\n");
    let rows = [
        ("update", format!("{stuck}{old}{chg}{new}"), 1),
        ("update all", format!("{stuck}{old}{chg}{new}"), 1),
        ("update new chg chg", format!("{chg}{new}"), 0),
        ("update nope new", format!("ERROR: no such group: nope\n{new}"), 1),
        ("update n?w c*", format!("{chg}{new}"), 0),
        ("update x*", "ERROR: no such group: x*\n".to_string(), 1),
        ("remove [c]hg", "chg: removed process group\n".to_string(), 0),
        ("reread", "chg: changed\nnew: available\nold: disappeared\nstuck: disappeared\n".to_string(), 0),
        ("reread x", "Error: reread accepts no arguments\nreread \t\t\tReload the daemon's configuration files without add/remove\n".to_string(), 1),
    ];
    for (line, printed, status) in rows {
        assert_eq!(fake.run(line), (printed, status), "{line}");
    }
}

#[test]
fn the_extensions_commands() {
    let fake = Fake::start(1, |call| match (call.method.as_str(), call.params.first().and_then(Value::as_str)) {
        ("grace.UpdateNumprocs", Some("add")) => {
            Reply::Value(r#"{"processes_name": ["add:add_1"], "type": "add"}"#.into())
        }
        ("grace.UpdateNumprocs", Some("less")) => {
            Reply::Value(r#"{"processes_name": ["less:a", "less:b"], "type": "reduce"}"#.into())
        }
        ("grace.UpdateNumprocs", _) => Reply::Value(r#"{"msg": "No need to update", "type": "error"}"#.into()),
        ("supervisor.stopProcess", Some("less:a")) => Reply::Fault(70, "NOT_RUNNING: less:a"),
        ("cache.getKeys", _) => Reply::Value(Value::Array(vec!["b".into()])),
        ("cache.fetch", Some("a b")) => Reply::Value(structure(&[("z", 1.into()), ("a", true.into())])),
        ("cache.fetch", _) => Reply::Fault(10, "BAD_NAME"),
        ("stheno.update", _) => Reply::Value(structure(&[
            ("added", Value::Array(vec!["n".into()])),
            ("changed", Value::Array(vec!["w".into()])),
            ("removed", Value::Array(vec![])),
            (
                "processes",
                Value::Array(vec![structure(&[
                    ("group", "w".into()),
                    ("name", "w_1".into()),
                    ("action", "restarted".into()),
                    ("status", 80.into()),
                    ("description", "OK".into()),
                ])]),
            ),
        ])),
        ("stheno.dynamic", _) => Reply::Value(structure(&[("path", "/d".into()), ("text", "[x]\na=1\n".into())])),
        _ => ok(),
    });
    let rows = [
        ("grace_update add", "add:add_1 added\n", 0),
        ("grace_update less", "less:a stoped\nless:b stoped\nless:a removed\nless:b removed\n", 0),
        ("grace_update x", "No need to update\n", 0),
        ("cache_keys", "['b']\n", 0),
        ("cache_fetch 'a b'", "{'a': True, 'z': 1}\n", 0),
        ("cache_store k", "cache_store <key> <value>\tStore <value> in the cache at <key>.\n", 0),
        ("cache_store k v", "", 0),
        ("update --minimal w", "w:w_1: restarted\nw: updated process group\nn: added process group\n", 0),
        ("dynamic", "[x]\na=1\n", 0),
        (
            "dynamic x",
            "Error: dynamic accepts no arguments\ndynamic\t\t\tShow what was added or removed beside the configuration file\n",
            1,
        ),
        ("mstart x", "*** Unknown syntax: mstart x\n", 1),
    ];
    for (line, printed, status) in rows {
        assert_eq!(fake.run(line), (printed.to_string(), status), "{line}");
    }
    let (text, code) = fake.run("cache_fetch nope");
    assert!(text.starts_with("error: ") && text.contains("<Fault 10: 'BAD_NAME'>"), "{text}");
    assert_eq!(code, 1);
}

#[test]
fn lines_and_their_commands() {
    let fake = Fake::start(1, |call| checked(&call.method).unwrap_or(Reply::Value("4.3.0".into())));
    let rows = [
        ("", "", 0),
        ("  version ", "4.3.0\n", 0),
        ("nope", "*** Unknown syntax: nope\n", 1),
        ("!ls", "*** Unknown syntax: !ls\n", 1),
        (";x", "*** Unknown syntax: ;x\n", 1),
        ("?exit", "exit\tExit the supervisor shell.\n", 0),
        ("help nope", "*** No help on nope\n", 0),
        ("help help", "help\t\tPrint a list of available actions\nhelp <action>\tPrint help for <action>\n", 0),
        ("help check", "check [", 0),
        ("quit", "\n", 0),
        ("EOF", "\n", 0),
        ("open ftp://x", "ERROR: url must be http:// or unix://\n", 1),
        ("open unix:///nope", "unix:///nope no such file\n", 0),
        ("start", "Error: start requires a process name\n", 2),
        ("signal HUP", "Error: signal requires a signal name and a process name\n", 1),
        ("tail", "Error: too few arguments\n", 1),
        ("tail -5", "Error: tail requires process name\n", 1),
        ("tail x y", "Error: bad channel 'y'\n", 1),
        ("maintail x", "Error: bad argument x\n", 1),
        ("fg a b", "ERROR: too many process names supplied\n", 1),
    ];
    for (line, printed, status) in rows {
        let (text, code) = fake.run(line);
        assert!(text.starts_with(printed) && text.is_empty() == printed.is_empty(), "{line}: {text:?}");
        assert_eq!(code, status, "{line}");
    }
}

#[test]
fn verbs_outlast_a_stop_that_is_under_way() {
    // x of group g is STOPPING until it has been asked for three times; y is not.
    let rows = [
        ("stop g:x", "g:x: stopped\n", 0),
        ("start g:x", "g:x: started\n", 0),
        ("restart g:x", "g:x: stopped\ng:x: started\n", 0),
        ("stop all", "g:y: stopped\ng:x: stopped\n", 0),
        ("stop g:*", "g:y: stopped\ng:x: stopped\n", 0),
        ("restart all", "g:y: stopped\ng:x: stopped\ng:x: started\ng:y: started\n", 0),
        ("remove g", "g: removed process group\n", 0),
        ("update", "g: stopped\ng: updated process group\nn: added process group\n", 0),
    ];
    for (line, printed, status) in rows {
        let left = Mutex::new(3);
        let fake = Fake::start(1, move |call| {
            let mut left = left.lock().expect("no panic");
            let is_stopping = *left > 0;
            let x = || if is_stopping { process("g", "x", 40, "STOPPING") } else { process("g", "x", 0, "STOPPED") };
            let results = |names: &[&'static str], code: i32| {
                let of = |name: &&'static str| {
                    structure(&[
                        ("group", "g".into()),
                        ("name", (*name).into()),
                        ("status", if *name == "x" { code } else { 80 }.into()),
                        ("description", "".into()),
                    ])
                };
                Reply::Value(Value::Array(names.iter().map(of).collect()))
            };
            match call.method.as_str() {
                "supervisor.getProcessInfo" => {
                    let info = x();
                    *left -= i32::from(is_stopping);
                    Reply::Value(info)
                }
                "supervisor.getAllProcessInfo" => {
                    Reply::Value(Value::Array(vec![x(), process("g", "y", 0, "STOPPED")]))
                }
                "supervisor.stopProcess" => Reply::Fault(70, "NOT_RUNNING: g:x"),
                "supervisor.startProcess" if is_stopping => Reply::Fault(40, "ABNORMAL_TERMINATION: g:x"),
                "supervisor.stopAllProcesses" | "supervisor.stopProcessGroup" => results(&["y"], 80),
                "supervisor.startAllProcesses" => results(&["x", "y"], if is_stopping { 40 } else { 80 }),
                "supervisor.removeProcessGroup" if is_stopping => Reply::Fault(91, "STILL_RUNNING: g"),
                "supervisor.reloadConfig" => {
                    let list = |names: &[&'static str]| Value::Array(names.iter().map(|&name| name.into()).collect());
                    let lists = Value::Array(vec![list(&["n"]), list(&["g"]), list(&[])]);
                    Reply::Value(Value::Array(vec![lists]))
                }
                method => checked(method).unwrap_or_else(ok),
            }
        });
        assert_eq!(fake.run(line), (printed.to_string(), status), "{line}");
    }
}

#[test]
fn what_a_daemon_says_cannot_move_the_cursor() {
    // What XML can carry: U+009B is what ESC [ is in two bytes.
    let fake = Fake::start(1, |call| match call.method.as_str() {
        "supervisor.getAllProcessInfo" => {
            Reply::Value(Value::Array(vec![process("a\u{9b}2J", "b\nc", 200, "FA\u{7f}TAL")]))
        }
        "supervisor.readProcessStdoutLog" => Reply::Value("\u{9b}31mred\u{9b}0m".into()),
        "supervisor.stopAllProcesses" => Reply::Value(Value::Array(vec![outcome("a", 30, "\u{9d}0;title\u{9c}")])),
        method => checked(method).unwrap_or_else(ok),
    });
    let (text, _) = fake.run("status");
    assert!(text.starts_with("a\\x9b2J:b\\nc") && text.contains("FA\\x7fTAL") && text.lines().count() == 1, "{text:?}");
    assert!(fake.run("stop all").0.starts_with("\\x9d0;title\\x9c\n"));
    // A log is shown as it is.
    assert_eq!(fake.run("tail x").0, "\u{9b}31mred\u{9b}0m\n");
}

#[test]
fn a_silent_server_is_given_up_on_and_a_slow_one_is_not() {
    let patience = Patience { silence: Duration::from_millis(50), sign: Some(Duration::from_millis(100)) };
    let fake = Fake::start(1, |_| Reply::Silence);
    let (mut session, out) = fake.session();
    session.be_patient(patience);
    run_line(&mut session, "start x").expect("no Ctrl-C");
    assert!(out.text().contains("takes connections but does not answer"), "{}", out.text());
    assert_eq!(session.status, 1);

    // A call may take long as long as others are answered.
    let fake = Fake::start(1, |call| match call.method.as_str() {
        "supervisor.startProcess" => Reply::Late(Duration::from_millis(300), true.into()),
        method => checked(method).unwrap_or_else(ok),
    });
    let (mut session, out) = fake.session();
    session.be_patient(patience);
    run_line(&mut session, "start x").expect("no Ctrl-C");
    assert_eq!((out.text().as_str(), session.status), ("x: started\n", 0));
    let signs =
        fake.seen.lock().expect("no panic").iter().filter(|line| line.starts_with("supervisor.getVersion")).count();
    assert!(signs >= 3, "the server was asked whether it is there: {signs}");
}
