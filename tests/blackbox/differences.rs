//! Where we differ from Supervisor 4.3.0 on purpose (docs/differences.md): what it does, and what we do.

use stheno::wire::value::Value;

use crate::client::first_line;
use crate::daemon::{Daemon, Folder, is_original, wait_for};

/// The one of the two that is driven.
fn pick<T>(original: T, ours: T) -> T {
    if is_original() { original } else { ours }
}

const GET_STATE: &str = "<methodCall><methodName>supervisor.getState</methodName></methodCall>";

#[test]
fn requests_that_the_original_stumbles_over_are_answered() {
    let (bad, error) = ("HTTP/1.1 400 Bad Request", "HTTP/1.1 500 Internal Server Error");
    let ok = "HTTP/1.1 200 OK";
    let length = GET_STATE.len();
    let post = |headers: &str, body: &str| format!("POST /RPC2 HTTP/1.1\r\n{headers}\r\n\r\n{body}");
    let call = |body: &str| post(&format!("Content-Length: {}", body.len()), body);
    let deep = |levels: usize| {
        let (open, close) = ("<value><array><data>".repeat(levels), "</data></array></value>".repeat(levels));
        format!("<methodCall><methodName>a.b</methodName><params><param>{open}{close}</param></params></methodCall>")
    };
    let entity =
        "<!DOCTYPE c [<!ENTITY e 'supervisor.getState'>]><methodCall><methodName>&e;</methodName></methodCall>";
    let large = 2 << 20;
    let rows: &[(&str, String, &str, &str)] = &[
        ("no target", "GET\r\n\r\n".into(), "closed", "HTTP/1.0 400 Bad Request"),
        ("no version", "GET /ok.html\r\n\r\n".into(), "HTTP/None 500 Internal Server Error", "HTTP/1.0 200 OK"),
        ("an empty body", post("Content-Length: 0", ""), "silence", bad),
        ("no blank", post(&format!("Content-Length:{length}"), GET_STATE), "HTTP/1.1 411 Length Required", ok),
        (
            "chunks",
            post("Transfer-Encoding: chunked", &format!("{length:x}\r\n{GET_STATE}\r\n0\r\n\r\n")),
            "HTTP/1.1 411 Length Required",
            ok,
        ),
        ("no colon", "GET /ok.html HTTP/1.1\r\nfoo\r\n\r\n".into(), error, bad),
        ("logtail of nothing", "GET /logtail HTTP/1.1\r\n\r\n".into(), error, "HTTP/1.1 404 Not Found"),
        ("an entity", call(entity), ok, bad),
        ("depth", call(&deep(40)), ok, bad),
        (
            "a large body",
            post(&format!("Content-Length: {large}"), ""),
            "silence",
            "HTTP/1.1 413 Request Entity Too Large",
        ),
        (
            "another site",
            "GET /index.html?action=stopall HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\n\r\n".into(),
            "HTTP/1.1 301 Moved Permanently",
            "HTTP/1.1 403 Forbidden",
        ),
    ];
    let daemon = Daemon::start("");
    for (name, request, original, ours) in rows {
        let line = first_line(&daemon.folder.path("s.sock"), request.as_bytes());
        assert_eq!(line, pick(*original, *ours), "{name}");
    }
}

#[test]
fn any_text_and_any_number_can_be_answered() {
    let daemon = Daemon::start(
        "[program:a]\ncommand=printf 'cut \\303'\nstartsecs=0\nautorestart=false\nstdout_logfile=$DIR/a.log\n\
         stdout_logfile_maxbytes=3GB\n",
    );
    daemon.wait_state("a", "EXITED");
    let failed = Err((-1, "status 500".to_string()));
    let read = |offset: i64, length: i64| {
        daemon.call("supervisor.readProcessStdoutLog", &["a".into(), Value::Int(offset), Value::Int(length)])
    };
    assert_eq!(read(0, 0), pick(failed.clone(), Ok("cut \u{fffd}".into())));
    let maxbytes = daemon.call("supervisor.getAllConfigInfo", &[]).map(|all| match all {
        Value::Array(all) => all[0].member("stdout_logfile_maxbytes").cloned(),
        other => panic!("{other:?}"),
    });
    assert_eq!(maxbytes, pick(failed.clone().map(|_: Value| None), Ok(Some(Value::Int(3 << 30)))));
    let wrong = daemon.call("supervisor.readLog", &["x".into(), "y".into()]);
    assert_eq!(wrong, pick(failed, Err((2, "INCORRECT_PARAMETERS".into()))));
}

#[test]
fn values_in_environment_are_kept_whole() {
    let rows: &[(&str, &str, &str)] = &[
        ("A=$x", "$", "$x"),
        ("A=~/x", "~", "~/x"),
        ("A=a b", "a", "a b"),
        ("A=\"a\"b", "a", "ab"),
        ("A=éa", "é", "éa"),
        // What 4.3.0 reads whole is the same.
        ("A=\"a,b\"", "a,b", "a,b"),
        ("A=/x/y:z,B=2", "/x/y:z", "/x/y:z"),
    ];
    let program = |(n, (text, ..)): (usize, &(&str, &str, &str))| {
        format!(
            "[program:p{n}]\ncommand=sh -c 'echo \"[$A]\"'\nstartsecs=0\nautorestart=false\n\
             stdout_logfile=$DIR/p{n}.log\nenvironment={text}\n"
        )
    };
    let daemon = Daemon::start(&rows.iter().enumerate().map(program).collect::<String>());
    for (n, (text, original, ours)) in rows.iter().enumerate() {
        assert_eq!(daemon.wait_file(&format!("p{n}.log"), "]"), format!("[{}]\n", pick(original, ours)), "{text}");
    }
}

#[test]
fn a_start_that_fails_says_so_in_one_line() {
    let rows: &[(&str, &str)] = &[
        ("[supervisord]\nlogfile=$DIR\n", "Error: could not open the log file $DIR"),
        (
            "[fcgi-program:a]\ncommand=cat\nsocket=unix:///nowhere/s\n",
            "Error: Could not create FastCGI socket unix:///nowhere/s: ",
        ),
    ];
    for (config, message) in rows {
        let folder = Folder::new();
        folder.configure(config);
        let ended = folder.supervisord(&["-n", "-c", "$DIR/supervisord.conf"]);
        if is_original() {
            assert_eq!(ended.status, 1);
            assert!(ended.stderr.contains("Traceback"), "{ended:?}");
        } else {
            assert_eq!(ended.status, 2);
            assert!(ended.stderr.starts_with(&folder.fill(message)), "{ended:?}");
        }
    }
    let folder = Folder::new();
    folder.write("supervisord.conf", "[supervisorctl]\nfoo\n");
    let ended = folder.ctl(&["status"]);
    assert_eq!(ended.status, pick(1, 2));
    assert_eq!(ended.stderr.contains("Traceback"), is_original(), "{ended:?}");
}

#[test]
fn an_event_comes_once_and_comes_again_only_where_it_was_refused() {
    let listener = |name: &str, answer: &str, events: &str| {
        format!(
            "[eventlistener:{name}]\ncommand=sh -c 'n=0; while echo READY && read -r head; do \
             {{ head -c \"${{head##*len:}}\"; echo; }} >&2; n=$((n+1)); \
             if [ $n = 1 ]; then printf \"{answer}\"; else printf \"RESULT 2\\nOK\"; fi; done'\n\
             startsecs=0\nevents={events}\nstdout_logfile=NONE\nstderr_logfile=$DIR/{name}.log\n"
        )
    };
    let daemon = Daemon::start(
        &[
            listener("moody", "RESULT 4\\nFAIL", "REMOTE_COMMUNICATION"),
            // Subscribed twice to the same.
            listener("calm", "RESULT 2\\nOK", "EVENT,REMOTE_COMMUNICATION"),
        ]
        .concat(),
    );
    for name in ["moody", "calm"] {
        daemon.wait_state(name, "RUNNING");
    }
    for data in ["first", "last"] {
        daemon.must("supervisor.sendRemoteCommEvent", &["type".into(), data.into()]);
    }
    let count = |name: &str, data: &str| daemon.folder.read(name).lines().filter(|line| *line == data).count();
    daemon.wait_file("moody.log", "last");
    daemon.wait_file("calm.log", "last");
    assert_eq!(count("moody.log", "first"), 2, "refused once, delivered again");
    if is_original() {
        wait_for("the event that was put back everywhere", || (count("calm.log", "first") > 1).then_some(()));
    } else {
        assert_eq!(count("calm.log", "first"), 1, "not refused, not delivered again");
    }
}

/// 4.3.0 asks where it stands in the pipe, and ends with a traceback.
#[test]
fn a_log_that_is_a_pipe_is_not_rotated() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start_with(
        Folder::new(),
        "[supervisord]\nlogfile=/dev/stdout\nlogfile_maxbytes=1KB\nsilent=true\n\
         [program:a]\ncommand=sleep 1000\nstartsecs=0\n",
        |command| {
            command.stdout(std::process::Stdio::piped());
        },
    );
    daemon.wait_state("a", "RUNNING");
}
