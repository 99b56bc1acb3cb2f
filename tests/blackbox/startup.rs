//! The beginning: the command line, the file, sockets in use, the background.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client;
use crate::daemon::{Daemon, Folder, is_original, wait_for};

#[test]
fn a_usage_error_is_said_on_stderr_and_ends_with_2() {
    let folder = Folder::new();
    folder.configure("");
    folder.write("empty.conf", "[other]\n");
    let rows: &[(&[&str], &str)] = &[
        (&["-z"], "option -z requires argument"),
        (&["--foo"], "option --foo not recognized"),
        (&["-n", "-n"], "conflicting command line option '-n'"),
        (&["foo", "bar"], "positional arguments are not supported: ['foo', 'bar']"),
        (&["-e", "loud"], "invalid value for -e 'loud': bad logging level name 'loud'"),
        (&["-c", "$DIR/none.conf"], "could not find config file $DIR/none.conf"),
        (&["-c", "$DIR/empty.conf"], ".ini file does not include supervisord section"),
        (&["-c", "$DIR/supervisord.conf", "-u", "no-such-user"], "Invalid user name no-such-user"),
    ];
    for (args, message) in rows {
        let ended = folder.supervisord(args);
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{args:?}: {ended:?}");
        let start = format!("Error: {}", folder.fill(message));
        assert!(ended.stderr.starts_with(&start), "{args:?}: {ended:?}");
        let (_, end) = ended.stderr.trim_end().rsplit_once('\n').expect("two lines");
        assert!(end.starts_with("For help, use ") && end.ends_with("supervisord -h"), "{args:?}: {ended:?}");
    }
}

#[test]
fn version_and_help_need_no_file() {
    let folder = Folder::new();
    let version = folder.supervisord(&["-v"]);
    assert_eq!((version.status, version.stdout.as_str(), version.stderr.as_str()), (0, "4.3.0\n", ""));
    let help = folder.supervisord(&["-h"]);
    assert_eq!((help.status, help.stderr.as_str()), (0, ""));
    assert!(help.stdout.contains("--configuration"), "{help:?}");
}

#[test]
fn the_socket_has_its_mode_and_the_pidfile_its_number() {
    let daemon = Daemon::start("[unix_http_server]\nchmod=0640\n");
    let socket = fs::metadata(daemon.folder.path("s.sock")).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o7777, 0o640);
    assert_eq!(daemon.wait_file("supervisord.pid", "\n"), format!("{}\n", daemon.pid()));
    assert_eq!(daemon.folder.names("s.sock"), ["s.sock"], "no temporary name remains");
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let daemon = Daemon::start("");
    let second = daemon.folder.supervisord(&["-n", "-c", "$DIR/supervisord.conf", "-l", "$DIR/other.log", "-k"]);
    assert_eq!(second.status, 2);
    let message =
        "Error: Another program is already listening on a port that one of our HTTP servers is configured to use.";
    assert!(second.stderr.contains(message), "{second:?}");
    // Who that is, is told to a person only.
    assert!(!second.stdout.contains("listens") && second.stderr.lines().count() == 2, "{second:?}");
    let state = daemon.must("supervisor.getState", &[]);
    assert_eq!(state.member("statename"), Some(&"RUNNING".into()));
    assert_eq!(daemon.folder.read("supervisord.pid"), format!("{}\n", daemon.pid()));
}

#[test]
fn a_server_that_cannot_listen_says_where_and_why() {
    if is_original() {
        return;
    }
    let Ok(taken) = TcpListener::bind("[::1]:0") else {
        eprintln!("SKIPPED: no IPv6 here");
        return;
    };
    let port = taken.local_addr().expect("its address").port();
    let rows = [
        (
            "[2001:db8::1]:9001",
            "errno.EADDRNOTAVAIL (99) at [2001:db8::1]:9001 of [inet_http_server]: Cannot assign requested",
        ),
        (
            "no-such-host.invalid:9001",
            "reported -2 at no-such-host.invalid:9001 of [inet_http_server]: it is no address",
        ),
        ("[::g]:9001", "Error: bad address '[::g]:9001': '::g' is not an IPv6 address (file: "),
        ("::1:9001", "Error: bad address '::1:9001': an IPv6 address stands in brackets, [::1]:9001 (file: "),
        (&format!("[::1]:{port}"), "Error: Another program is already listening"),
    ];
    for (place, expected) in rows {
        let folder = Folder::new();
        folder.configure(&format!("[inet_http_server]\nport={place}\n"));
        let daemon = folder.supervisord(&["-n", "-c", "$DIR/supervisord.conf"]);
        assert_eq!(daemon.status, 2, "{place}: {daemon:?}");
        assert!(daemon.stderr.contains(expected) || daemon.stdout.contains(expected), "{place}: {daemon:?}");
    }
}

#[test]
fn a_socket_that_nobody_serves_is_replaced() {
    let folder = Folder::new();
    drop(UnixListener::bind(folder.path("s.sock")).expect("a socket file without a server"));
    let daemon = Daemon::start_in(folder, "");
    let stale = daemon.folder.fill("Unlinking stale socket $DIR/s.sock\n");
    assert!(daemon.folder.read("err").contains(&stale), "{}", daemon.folder.read("err"));
}

/// Such a path means the same when the file is read again: the daemon may have changed its directory since.
#[test]
fn relative_paths_are_those_of_the_start() {
    if is_original() {
        return; // There the second reading looks for them below `directory`.
    }
    let folder = Folder::new();
    fs::create_dir_all(folder.path("logs")).expect("a folder");
    let config = "[supervisord]\nlogfile=logs/d.log\npidfile=d.pid\nchildlogdir=logs\ndirectory=/\n\
                  [program:a]\ncommand=sh -c 'echo hello; exec sleep 1000'\nstartsecs=0\n";
    folder.configure(config);
    let parent = folder.supervisord(&["-c", "supervisord.conf"]);
    assert_eq!(parent.status, 0, "{parent:?}");
    folder.configure(&format!("{config}[program:b]\ncommand=sleep 1000\nstartsecs=0\n"));
    wait_for("the daemon to answer", || (folder.ctl(&["status", "a"]).status == 0).then_some(()));
    let update = folder.ctl(&["update"]);
    assert_eq!((update.status, update.stdout.as_str()), (0, "b: added process group\n"), "{update:?}");
    wait_for("its words", || (folder.ctl(&["tail", "a"]).stdout == "hello\n\n").then_some(()));
    assert!(fs::read_dir(folder.path("logs")).unwrap().count() >= 5, "logs of two programs and the daemon's");
    assert_eq!(folder.ctl(&["shutdown"]).stdout, "Shut down\n");
    wait_for("all to end", || folder.processes().is_empty().then_some(()));
}

#[test]
fn in_the_background_the_daemon_has_a_session_and_no_terminal() {
    let folder = Folder::new();
    folder.configure("[supervisord]\ndirectory=/\numask=077\n[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    let parent = folder.supervisord(&["-c", "$DIR/supervisord.conf"]);
    assert_eq!((parent.status, parent.stdout.as_str()), (0, ""), "{parent:?}");
    let text = wait_for("the pidfile", || Some(folder.read("supervisord.pid")).filter(|text| text.ends_with('\n')));
    let pid: i32 = text.trim().parse().expect("a number");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!((fields[3], fields[4]), (text.trim(), "0"), "its own session, no terminal");
    for number in 0..3 {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"), "descriptor {number}");
    }
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    let state = || client::call(&folder.path("s.sock"), "supervisor.getState", &[]).ok();
    wait_for("the daemon to answer", state);
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it is there");
    wait_for("the pidfile to go", || (!folder.path("supervisord.pid").exists()).then_some(()));
    wait_for("all to end", || folder.processes().is_empty().then_some(()));
}
