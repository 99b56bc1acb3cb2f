//! A changed file, applied without a restart.

use nix::sys::signal::Signal;

use crate::daemon::{Daemon, is_original, wait_for};

fn program(name: &str, command: &str) -> String {
    format!("[program:{name}]\ncommand={command}\nstartsecs=0\n")
}

#[test]
fn update_brings_in_what_changed_and_leaves_the_rest() {
    let before = [program("same", "sleep 1001"), program("old", "sleep 1002"), program("edited", "sleep 1003")];
    let daemon = Daemon::start(&before.concat());
    for name in ["same", "old", "edited"] {
        daemon.wait_state(name, "RUNNING");
    }
    let same = daemon.pid_of("same");
    let after = [program("same", "sleep 1001"), program("new", "sleep 1004"), program("edited", "sleep 1005")];
    daemon.folder.configure(&after.concat());

    let reread = daemon.folder.ctl(&["reread"]);
    assert_eq!((reread.status, reread.stdout.as_str()), (0, "edited: changed\nnew: available\nold: disappeared\n"));
    let update = daemon.folder.ctl(&["update"]);
    let expected = "old: stopped\nold: removed process group\nedited: stopped\nedited: updated process group\n\
                    new: added process group\n";
    assert_eq!((update.status, update.stdout.as_str()), (0, expected));
    for name in ["new", "edited"] {
        daemon.wait_state(name, "RUNNING");
    }
    assert_eq!(daemon.pid_of("same"), same, "what did not change goes on");
    let command = || std::fs::read(format!("/proc/{}/cmdline", daemon.pid_of("edited"))).unwrap();
    wait_for("the new command", || (command() == b"sleep\x001005\x00").then_some(()));
    assert_eq!(daemon.folder.ctl(&["reread"]).stdout, "No config updates to processes\n");
}

/// One of each kind; that none of the rows is passed over is shown where they are.
#[test]
fn reread_sees_whatever_a_process_is_made_of() {
    let with = |lines: &str| format!("[program:a]\ncommand=sleep 1000\nautostart=false\n{lines}\n");
    let daemon = Daemon::start(&with(""));
    let mut rows = vec![
        "startsecs=7",
        "autorestart=true",
        "exitcodes=3",
        "stopsignal=INT",
        "umask=027",
        "user=root",
        "directory=/",
        "environment=A=\"1\"",
        "stdout_logfile=$DIR/a.log",
        "stderr_logfile=NONE",
        "stdout_logfile_maxbytes=7MB",
        "stdout_syslog=true",
        "stderr_events_enabled=true",
        "serverurl=http://localhost:1",
        "killasgroup=true",
    ];
    if !is_original() {
        rows.extend([
            "ready=log:up",
            "on_exit=shutdown",
            "startretries=inf",
            "stdout_prefix=\"x \"",
            "memory_limit=1GB",
        ]);
    }
    for lines in rows {
        daemon.folder.configure(&with(lines));
        let reread = daemon.folder.ctl(&["reread"]);
        assert_eq!((reread.status, reread.stdout.as_str()), (0, "a: changed\n"), "{lines}: {reread:?}");
    }
}

#[test]
fn a_bad_file_is_refused_and_nothing_changes() {
    let daemon = Daemon::start(&program("a", "sleep 1000"));
    daemon.wait_state("a", "RUNNING");
    let pid = daemon.pid_of("a");
    daemon.folder.configure("[program:a]\nstartsecs=0\n");
    let reread = daemon.folder.ctl(&["reread"]);
    assert_eq!(reread.status, 1);
    let expected = "ERROR: CANT_REREAD: program section program:a does not specify a command";
    assert!(reread.stdout.starts_with(expected), "{reread:?}");
    assert_eq!((daemon.state("a").as_str(), daemon.pid_of("a")), ("RUNNING", pid));
}

#[test]
fn supervisorctl_tells_by_its_exit_status() {
    let mut daemon = Daemon::start(&[program("a", "sleep 1000"), program("b", "sleep 1000\nautostart=false")].concat());
    daemon.wait_state("a", "RUNNING");
    let pid = daemon.pid_of("a");
    let rows: &[(&[&str], i32, &str)] = &[
        (&["start", "a"], 0, "a: ERROR (already started)\n"),
        (&["stop", "b"], 0, "b: ERROR (not running)\n"),
        (&["status", "b"], 3, "b                                STOPPED   Not started\n"),
        (&["status", "nosuch"], 4, "nosuch: ERROR (no such process)\n"),
        (&["signal", "HUP", "b"], 7, "b: ERROR (not running)\n"),
        (&["pid", "a"], 0, &format!("{pid}\n")),
        (&["version"], 0, "4.3.0\n"),
        (&["nonsense"], 1, "*** Unknown syntax: nonsense\n"),
        (&["shutdown"], 0, "Shut down\n"),
    ];
    for (words, status, stdout) in rows {
        let ended = daemon.folder.ctl(words);
        assert_eq!((ended.status, ended.stdout.as_str()), (*status, *stdout), "{words:?}");
    }
    assert_eq!(daemon.wait_end(), 0);
    let url = daemon.folder.fill("unix://$DIR/s.sock");
    let gone = daemon.folder.ctl(&["status"]);
    assert_eq!((gone.status, gone.stdout), (4, format!("{url} no such file\n")));
    assert_eq!(daemon.folder.ctl(&["stop", "a"]).status, 7);
}

#[test]
fn a_wrong_file_stops_nothing_at_a_restart() {
    let good = program("a", "sleep 1000");
    let mut daemon = Daemon::start(&good);
    daemon.wait_state("a", "RUNNING");
    let pid = daemon.pid_of("a");
    daemon.folder.configure(&[good.clone(), program("b", "sleep 1\nautostart=maybe")].concat());
    if is_original() {
        daemon.signal(Signal::SIGHUP);
        assert_eq!(daemon.wait_end(), 2);
        assert_eq!(daemon.folder.processes(), []);
        return;
    }
    let reload = daemon.folder.ctl(&["reload"]);
    assert_eq!(reload.status, 1, "{reload:?}");
    let expected = "ERROR: CANT_REREAD: not a valid boolean value: 'maybe'";
    assert!(reload.stdout.starts_with(expected) && reload.stdout.contains("line "), "{reload:?}");
    let refusals = || daemon.log().matches(" ERRO restart refused, everything goes on as it is: ").count();
    assert_eq!(refusals(), 1);
    daemon.signal(Signal::SIGHUP);
    wait_for("the signal is refused, too", || (refusals() == 2).then_some(()));
    std::fs::remove_file(daemon.folder.path("supervisord.conf")).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("a missing file is refused", || (refusals() == 3).then_some(()));
    assert_eq!((daemon.state("a").as_str(), daemon.pid_of("a")), ("RUNNING", pid));
    daemon.folder.configure(&good);
    assert_eq!(daemon.folder.ctl(&["reload"]).status, 0);
    wait_for("a is started anew", || daemon.log_lines("success: a entered RUNNING").get(1).cloned());
}

/// What cannot be told from the text of a file alone: it is tried beside what runs.
#[test]
fn what_the_system_would_refuse_stops_nothing_at_a_restart() {
    if is_original() {
        return;
    }
    let good = program("a", "sleep 1000");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let mut daemon = Daemon::start(&good);
    daemon.wait_state("a", "RUNNING");
    let pid = daemon.pid_of("a");
    let other = std::os::unix::net::UnixListener::bind(daemon.folder.path("other")).expect("a socket of somebody else");
    let rows = [
        ("[unix_http_server]\nfile=/nodir/s\n".to_string(), "/nodir/s of [unix_http_server]"),
        ("[unix_http_server]\nfile=/tmp\n".to_string(), "/tmp of [unix_http_server]: Is a directory"),
        (format!("[unix_http_server]\nfile=/tmp/{}\n", "x".repeat(110)), "AF_UNIX path too long at /tmp/xxx"),
        ("[unix_http_server]\nfile=$DIR/other\n".to_string(), "/other of [unix_http_server]: somebody else listens"),
        ("[inet_http_server]\nport=192.0.2.77:19894\n".to_string(), "192.0.2.77:19894 of [inet_http_server]"),
        (format!("[inet_http_server]\nport=127.0.0.1:{port}\n"), "of [inet_http_server]: somebody else listens there"),
        ("[supervisord]\nlogfile=/tmp\n".to_string(), "could not open the log file /tmp"),
        ("[program:b]\ncommand=sleep 1\nstdout_logfile=/tmp\n".to_string(), "stdout_logfile of b is a directory: /tmp"),
    ];
    for (text, expected) in &rows {
        daemon.folder.configure(&format!("{good}{text}"));
        let (_, refusal) = daemon.call("supervisor.restart", &[]).expect_err(text);
        assert!(refusal.contains(expected) && refusal.contains("supervisord.conf', line "), "{text}: {refusal}");
        assert_eq!((daemon.state("a").as_str(), daemon.pid_of("a")), ("RUNNING", pid), "{text}");
    }
    let refusals = || daemon.log_lines("restart refused, everything goes on as it is: ");
    assert!(refusals().iter().zip(&rows).all(|(line, (_, expected))| line.contains(expected)), "{:?}", refusals());
    daemon.signal(Signal::SIGHUP);
    wait_for("the signal is refused, too", || (refusals().len() == rows.len() + 1).then_some(()));
    // Nothing is left of what was tried.
    assert_eq!(daemon.folder.names("other"), ["other"]);
    drop(other);

    // What is there already is no hindrance, nor is a socket that nobody serves any more.
    let free = crate::daemon::free_port();
    daemon
        .folder
        .configure(&format!("{good}[inet_http_server]\nport=127.0.0.1:{free}\n[supervisord]\nlogfile=$DIR/new\n"));
    assert_eq!(daemon.folder.ctl(&["reload"]).status, 0);
    wait_for("the next run", || daemon.folder.read("new").contains("success: a entered RUNNING").then_some(()));
    daemon.folder.configure(&format!("{good}[inet_http_server]\nport=*:{free}\n"));
    assert_eq!(daemon.folder.ctl(&["reload"]).status, 0);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
}

#[test]
fn a_place_that_is_taken_during_a_restart_is_tried_again() {
    if is_original() {
        return;
    }
    let slow = "[program:a]\ncommand=sh -c \"trap 'until test -e $DIR/go; do sleep 0.02; done; exit' TERM; echo up > $DIR/up; \
                while :; do sleep 0.02; done\"\nstopwaitsecs=60\n";
    let mut daemon = Daemon::start(slow);
    daemon.wait_file("up", "up");
    let port = crate::daemon::free_port();
    daemon.folder.configure(&format!("{slow}[inet_http_server]\nport=127.0.0.1:{port}\n"));
    assert_eq!(daemon.folder.ctl(&["reload"]).status, 0);
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port, while a is stopped");
    daemon.folder.write("go", "");
    wait_for("it is said", || daemon.log_lines("somebody else listens there; it is tried again").pop());
    wait_for("the programs run", || daemon.log_lines("spawned: 'a'").get(1).cloned());
    daemon.wait_until_it_answers();
    drop(taken);
    wait_for("it listens", || daemon.log_lines(&format!("'inet_http_server' listens at 127.0.0.1:{port} now")).pop());
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("the server");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
}

/// A pipe in the place of a file never says that it is over: nothing waits for it, and what runs goes on.
#[test]
fn a_file_that_became_a_pipe_holds_nobody_up() {
    if is_original() {
        return; // It waits for ever.
    }
    let daemon = Daemon::start(&format!("{}[include]\nfiles=more\n", program("a", "sleep 1001")));
    daemon.wait_state("a", "RUNNING");
    let pid = daemon.pid_of("a");
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&daemon.folder.path("more"), mode).unwrap();
    let reread = daemon.folder.ctl(&["reread"]);
    assert!(reread.stdout.contains("more: it is no regular file"), "{reread:?}");
    daemon.signal(Signal::SIGHUP);
    wait_for("a refusal", || daemon.log().contains("restart refused").then_some(()));
    std::fs::remove_file(daemon.folder.path("supervisord.conf")).unwrap();
    nix::unistd::mkfifo(&daemon.folder.path("supervisord.conf"), mode).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("a refusal", || daemon.log().contains("supervisord.conf: it is no regular file").then_some(()));
    assert_eq!(daemon.pid_of("a"), pid);
}
