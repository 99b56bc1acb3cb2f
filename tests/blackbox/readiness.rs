//! Readiness (O-3): a program is RUNNING when it says so. What only this program has.

use stheno::wire::value::Value;

use crate::actor::{act, tell};
use crate::daemon::{Daemon, Folder, free_port, is_original, wait_for};

/// What `stheno.getProcessInfo` has of a process.
pub fn more(daemon: &Daemon, name: &str, member: &str) -> Value {
    let info = daemon.must("stheno.getProcessInfo", &[Value::str(name.to_string())]);
    info.member(member).unwrap_or_else(|| panic!("no {member} in {info:?}")).clone()
}

fn wait_says(daemon: &Daemon, name: &str, text: &str) {
    wait_for(&format!("{name} to say {text}"), || {
        (more(daemon, name, "status_text").as_str() == Some(text)).then_some(())
    });
}

/// O-3, `notify_access`: whose READY=1 counts. After it the process itself says something, by which one knows that the
/// daemon has read both.
#[test]
fn whose_messages_count() {
    if is_original() {
        return;
    }
    let rows = [
        ("main", "notify", true),
        ("main", "child", false),
        ("main", "grandchild", false),
        ("main", "stranger", false),
        ("group", "notify", true),
        ("group", "child", true),
        ("group", "grandchild", true),
        ("group", "stranger", false),
        ("all", "child", true),
        ("all", "stranger", true),
    ];
    // Who sends for others is alive until its message is read, or could not be told from a stranger.
    let sections = rows.map(|(access, who, _)| {
        let steps = act(&format!("{who}:READY=1 notify:STATUS=then wait:$DIR/go notify:READY=1 forever"));
        format!("[program:{access}-{who}]\n{steps}ready=notify\nnotify_access={access}\n")
    });
    let daemon = Daemon::start(&sections.concat());
    for (access, who, counts) in rows {
        let name = format!("{access}-{who}");
        // With group a child that has ended before its message is read cannot be placed (O-3, section 11).
        wait_says(&daemon, &name, "then");
        let (state, told) = (daemon.state(&name), daemon.log_lines(&format!("{name}: a message of pid ")).len());
        let is_running = state == "RUNNING";
        if (access, who) == ("group", "child") || (access, who) == ("group", "grandchild") {
            assert!(is_running || told == 1, "{name}: {state}, {told}");
        } else {
            assert_eq!((is_running, told), (counts, usize::from(!counts)), "{name}");
        }
    }
    daemon.folder.write("go", "");
    for (access, who, _) in rows {
        daemon.wait_state(&format!("{access}-{who}"), "RUNNING");
    }
    let lines = daemon.log_lines("success: main-notify");
    assert_eq!(lines, ["success: main-notify entered RUNNING state, process is ready (notify)"]);
}

/// O-3: a child of its process group, alive while its message is read.
#[test]
fn a_child_that_waits_is_heard() {
    if is_original() {
        return;
    }
    let script = "sh -c '$0 --ignored --exact actor::plays & wait'";
    let steps = act("notify:READY=1 forever");
    let exe = std::env::current_exe().expect("our own path").display().to_string();
    let environment = steps.lines().nth(1).expect("two lines").to_string();
    let command = script.replace("$0", &exe);
    let daemon =
        Daemon::start(&format!("[program:a]\ncommand={command}\n{environment}\nready=notify\nstopasgroup=true\n"));
    daemon.wait_state("a", "RUNNING");
}

/// O-3: the socket is made anew at each start, and goes with its run; by a path only if that is asked for.
#[test]
fn a_run_that_has_ended_says_nothing() {
    if is_original() {
        return;
    }
    let steps = act("env:$DIR/address:NOTIFY_SOCKET wait:$DIR/go notify:READY=1 forever");
    let daemon = Daemon::start(&format!(
        "[program:a]\n{steps}ready=notify\nnotify_access=all\n[program:b]\n{}ready=notify\nnotify_dir=$DIR\n",
        act("env:$DIR/path:NOTIFY_SOCKET notify:READY=1 forever")
    ));
    let first = daemon.folder.fill(daemon.wait_file("address", "\n").trim());
    assert!(first.starts_with('@'), "{first}");
    daemon.must("supervisor.stopProcess", &["a".into()]);
    assert!(tell(&first, b"READY=1").is_err(), "nobody listens at {first}");
    daemon.must("supervisor.startProcess", &["a".into(), Value::Bool(false)]);
    wait_for("a second address", || (daemon.folder.read("address").lines().count() == 2).then_some(()));
    let second = daemon.folder.read("address").lines().nth(1).expect("two").to_string();
    assert_ne!(first, second);
    assert_eq!(daemon.state("a"), "STARTING");
    tell(&second, b"READY=1").expect("anybody may");
    daemon.wait_state("a", "RUNNING");

    let path = daemon.wait_file("path", "\n").trim().to_string();
    assert_eq!(path, daemon.folder.fill("$DIR/b-b.notify"));
    daemon.wait_state("b", "RUNNING");
    assert!(std::fs::exists(&path).expect("a look"));
    daemon.must("supervisor.stopProcess", &["b".into()]);
    assert!(!std::fs::exists(&path).expect("a look"), "O-3: nothing is left on the disk");
}

/// O-3: what a program says right before it ends is heard.
#[test]
fn the_last_words_of_a_run_count() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[program:a]\n{}ready=notify\nautorestart=false\nstartretries=0\n[program:b]\n{}ready=notify\nstartretries=0\n",
        act("notify:READY=1 exit:0"),
        act("exit:0")
    ));
    daemon.wait_state("a", "EXITED");
    assert_eq!(daemon.log_lines("success: a").len(), 1);
    daemon.wait_state("b", "FATAL");
    assert_eq!(daemon.info("b", "spawnerr").as_str(), Some("Exited before it was ready"));
}

/// O-3: ten thousand messages a second cost no line each, and hold nobody up.
#[test]
fn a_flood_of_messages() {
    if is_original() {
        return;
    }
    let floods = "flood:10000:STATUS=busy flood:5000:ERRNO=2 flood:5000:MAINPID=1";
    let daemon = Daemon::start(&format!(
        "[program:a]\n{}ready=notify\n[program:b]\n{}ready=notify\n",
        act(&format!("{floods} notify:READY=1 forever")),
        act("notify:READY=1 forever")
    ));
    daemon.wait_state("b", "RUNNING");
    daemon.wait_state("a", "RUNNING");
    assert_eq!(more(&daemon, "a", "status_text").as_str(), Some("busy"));
    assert_eq!(daemon.log_lines("ERRNO=2"), ["a says ERRNO=2 (No such file or directory)"]);
    assert_eq!(daemon.log_lines("MAINPID=1").len(), 1, "{}", daemon.log());
}

/// O-3: a descriptor that comes with a message is closed, that of BARRIER=1 and that of FDSTORE=1.
#[test]
fn descriptors_that_come_along_are_closed() {
    if is_original() {
        return;
    }
    let open = |daemon: &Daemon| {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("its descriptors");
        entries.count()
    };
    let steps = "notify:READY=1 wait:$DIR/go store store store barrier touch:$DIR/closed forever";
    let daemon = Daemon::start(&format!("[program:a]\n{}ready=notify\n", act(steps)));
    daemon.wait_state("a", "RUNNING");
    let before = open(&daemon);
    daemon.folder.write("go", "");
    wait_for("the barrier to be closed", || {
        std::fs::exists(daemon.folder.path("closed")).expect("a look").then_some(())
    });
    wait_for("no descriptor to be left", || (open(&daemon) <= before).then_some(()));
}

/// O-3, O-9: readiness believes a liar, and what is lost later is health.
#[test]
fn a_liar_is_believed_and_ready_stays_ready() {
    if is_original() {
        return;
    }
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "[program:liar]\n{}ready=notify\n[program:loses]\n{}ready=tcp:127.0.0.1:{port}\nready_interval=0.1\n",
        act("notify:READY=1 notify:READY=1;STATUS=again forever"),
        act(&format!("tcp:{port} forever")),
    ));
    daemon.wait_state("liar", "RUNNING");
    wait_says(&daemon, "liar", "again");
    assert_eq!(daemon.log_lines("success: liar").len(), 1);
    daemon.wait_state("loses", "RUNNING");
}

/// O-3: what a stranger answers for, or says at once that it is ready, is given up if it cannot stay up; and a stop that comes
/// between two runs holds.
#[test]
fn who_is_ready_and_cannot_live_is_given_up() {
    if is_original() {
        return;
    }
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let ends = "command=sh -c 'exit 1'\nkillmode=group";
    let daemon = Daemon::start(&format!(
        "[program:w]\n{ends}\nready=tcp:127.0.0.1:{port}\nstartretries=1\n\
         [program:f]\ncommand=sh -c 'echo >&5; exit 1'\nready=fd:5\nstartretries=1\n\
         [program:between]\n{ends}\nready=tcp:127.0.0.1:{port}\nautostart=false\nrestartpause=1000\n\
         [program:h]\n{ends}\nstartsecs=0\npost_stop_hook=sleep 1000\n"
    ));
    for name in ["w", "f"] {
        daemon.wait_state(name, "FATAL");
        assert_eq!(daemon.log_lines(&format!("spawned: '{name}'")).len(), 2, "{name}");
    }
    daemon.must("supervisor.startProcess", &["between".into(), false.into()]);
    daemon.wait_state("between", "BACKOFF");
    daemon.must("supervisor.stopProcess", &["between".into()]);
    assert_eq!(daemon.state("between"), "STOPPED");
    // Its hook holds up the next run.
    daemon.wait_state("h", "EXITED");
    daemon.must("supervisor.stopProcess", &["h".into()]);
    assert!(daemon.call("supervisor.stopProcess", &["h".into()]).is_err(), "nothing is left to stop");
}

/// O-3: each kind of readiness is STARTING until what it waits for is there, and RUNNING then; start answers then.
#[test]
fn each_kind_waits_for_what_it_says() {
    if is_original() {
        return;
    }
    let (port, web) = (free_port(), free_port());
    let kinds = [
        ("notify", "notify".to_string(), "notify:READY=1".to_string()),
        ("fd3", "fd:3".to_string(), "fd:3:;".to_string()),
        ("fd255", "fd:255".to_string(), "fd:255:ready;".to_string()),
        ("tcp", format!("tcp:127.0.0.1:{port}"), format!("tcp:{port}")),
        ("unix", "unix:$DIR/u.sock".to_string(), "unix:$DIR/u.sock".to_string()),
        ("http", format!("http://127.0.0.1:{web}/h"), "log:$DIR/status:204".to_string()),
        ("command", "command:test -e $DIR/go".to_string(), "say:;".to_string()),
        ("log", "log:server is up".to_string(), "say:the~ser say:ver~is~up;".to_string()),
    ];
    let section = |(name, ready, then): &(&str, String, String)| {
        let first = if *name == "http" { format!("http:{web}:$DIR/status ") } else { String::new() };
        let steps = act(&format!("{first}say:server~is~u; touch:$DIR/{name}.up wait:$DIR/go {then} forever"));
        format!("[program:{name}]\n{steps}ready={ready}\nready_interval=0.1\nstartsecs=1000\n")
    };
    let daemon = Daemon::start(&kinds.iter().map(section).collect::<String>());
    for (name, ..) in &kinds {
        let up = daemon.folder.path(&format!("{name}.up"));
        wait_for(&format!("{name} to be up"), || up.exists().then_some(()));
        assert_eq!(daemon.state(name), "STARTING", "{name}");
        assert_eq!(more(&daemon, name, "ready"), Value::Bool(false), "{name}");
    }
    wait_for("a probe that is answered badly", || {
        (more(&daemon, "http", "probe_text").as_str() == Some("status 503")).then_some(())
    });
    wait_for("another", || (more(&daemon, "tcp", "probe_text").as_str() == Some("connection refused")).then_some(()));
    daemon.folder.write("go", "");
    for (name, ready, _) in &kinds {
        daemon.wait_state(name, "RUNNING");
        assert_eq!(more(&daemon, name, "ready"), Value::Bool(true), "{name}");
        let kind = ready.split(':').next().expect("a kind");
        let line = format!("success: {name} entered RUNNING state, process is ready ({kind})");
        assert_eq!(daemon.log_lines(&format!("success: {name} ")), [line]);
    }
}

/// O-3: READY_FD is not set, `fd:env:NAME` is; the end of the descriptor without a line feed is no readiness.
#[test]
fn a_descriptor_that_says_nothing() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[program:a]\n{}ready=fd:env:UP\n[program:b]\n{}ready=fd:5\nstartretries=0\n",
        act("env:$DIR/a:UP env:$DIR/a:READY_FD fd:3:; forever"),
        act("fd:5:no close:5 touch:$DIR/closed wait:$DIR/go exit:0"),
    ));
    daemon.wait_state("a", "RUNNING");
    assert_eq!(daemon.folder.read("a"), "3\nunset\n");
    wait_for("it to be closed", || daemon.folder.path("closed").exists().then_some(()));
    assert_eq!(daemon.state("b"), "STARTING");
    // The end of a process comes after everything that it wrote.
    daemon.folder.write("go", "");
    daemon.wait_state("b", "FATAL");
    assert_eq!(daemon.info("b", "spawnerr").as_str(), Some("Exited before it was ready"));
    assert_eq!(daemon.log_lines("success: b"), [] as [&str; 0]);
}

/// O-3, a trap of `fd:N`: under a low limit there is no room to move descriptors to high numbers.
#[test]
fn descriptors_under_a_low_limit() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.configure(&format!(
        "[supervisord]\nminfds=60\n[program:a]\n{}ready=fd:63\n[program:b]\n{}ready=fd:64\nstartretries=0\n",
        act("fd:63:; forever"),
        act("forever"),
    ));
    let wrapper = ["sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\""];
    let mut daemon = Daemon::start_under(folder, &wrapper, &["-n", "-c", "$DIR/supervisord.conf"], |_| {});
    daemon.wait_until_it_answers();
    daemon.wait_state("a", "RUNNING");
    daemon.wait_state("b", "FATAL");
    let error = daemon.info("b", "spawnerr").as_str().map(str::to_string).unwrap_or_default();
    assert!(error.starts_with("couldn't set ready for 'b': "), "{error}");
}

/// O-3, section 11: the state stays STARTING until the child that was too late is reaped; EXTEND_TIMEOUT_USEC gives it
/// more time; stop ends it as in STARTING.
#[test]
fn one_that_is_late_is_stopped() {
    if is_original() {
        return;
    }
    // Who is not quick enough to be deaf, or to ask for more time, is tried again until it is.
    let short = "ready=notify\nready_timeout=0.5\n";
    let daemon = Daemon::start(&format!(
        "[program:late]\n{}{short}startretries=0\n\
         [program:deaf]\n{}{short}startretries=1000\nbackoff_max=1\nstopsignal=INT:1000 TERM\n\
         [program:extends]\n{}{short}startretries=1000\nbackoff_max=1\n\
         [program:waits]\n{}ready=notify\nautostart=false\n",
        act("forever"),
        act("ignore:INT forever"),
        act("notify:EXTEND_TIMEOUT_USEC=3600000000 wait:$DIR/go notify:READY=1 forever"),
        act("touch:$DIR/waits forever"),
    ));
    daemon.wait_state("late", "FATAL");
    assert_eq!(daemon.info("late", "spawnerr").as_str(), Some("Not ready within 0.5 seconds"));
    // For how long it has been there, in whole seconds.
    let age = |name: &str| match (daemon.info(name, "now"), daemon.info(name, "start"), daemon.state(name).as_str()) {
        (Value::Int(now), Value::Int(start), "STARTING") => now - start,
        _ => 0,
    };
    for name in ["deaf", "extends"] {
        wait_for(&format!("{name} to be STARTING for long"), || (age(name) >= 3).then_some(()));
    }
    assert!(!daemon.log_lines("ending 'deaf'").is_empty());
    daemon.folder.write("go", "");
    daemon.wait_state("extends", "RUNNING");

    daemon.must("supervisor.startProcess", &["waits".into(), Value::Bool(false)]);
    wait_for("it to run", || daemon.folder.path("waits").exists().then_some(()));
    assert_eq!(daemon.folder.ctl(&["stop", "waits"]).stdout, "waits: stopped\n");
    assert_eq!(daemon.state("waits"), "STOPPED");
}

/// O-6: hup answers at READY if the program has said RELOADING, at once or a moment later if it says nothing.
#[test]
fn a_reload_is_waited_for() {
    if is_original() {
        return;
    }
    let shell = |name: &str| {
        // It is told by HUP, and says what the test has written for it.
        format!(
            "[program:{name}]\ncommand=sh -c 'trap \"systemd-notify RELOADING=1; touch $DIR/{name}.begun; \
             while ! test -e $DIR/{name}.go; do sleep 0.01; done; systemd-notify READY=1\" HUP; \
             systemd-notify READY=1; while :; do sleep 0.01; done'\nready=notify\nstopasgroup=true\n"
        )
    };
    if !std::path::Path::new("/usr/bin/systemd-notify").exists() {
        return eprintln!("skipped: there is no systemd-notify");
    }
    let daemon =
        Daemon::start(&format!("{}[program:mute]\n{}ready=notify\n", shell("a"), act("notify:READY=1 forever")));
    daemon.wait_state("a", "RUNNING");
    // It has a second for its first word; who is later is not waited for, and is told once more.
    wait_for("an answer that waits", || {
        ["a.begun", "a.go"].into_iter().for_each(|name| drop(std::fs::remove_file(daemon.folder.path(name))));
        std::thread::scope(|scope| {
            let answer = scope.spawn(|| daemon.folder.ctl(&["hup", "a"]));
            wait_for("it to reload", || daemon.folder.path("a.begun").exists().then_some(()));
            let waits = !answer.is_finished();
            daemon.folder.write("a.go", "");
            let answer = answer.join().expect("an answer");
            assert_eq!((answer.stdout.as_str(), answer.status), ("a: signalled\n", 0));
            waits.then_some(())
        })
    });
    // It has no handler, and ends; whoever ends after that second is told once more.
    wait_for("an end that is noticed", || {
        daemon.wait_state("mute", "RUNNING");
        let said = daemon.folder.ctl(&["hup", "mute"]).stdout;
        assert!(matches!(&*said, "mute: ERROR (abnormal termination)\n" | "mute: signalled\n"), "{said}");
        said.contains("ERROR").then_some(())
    });
}
