//! FastCGI sockets that cannot be made. 4.3.0 ends with a traceback.

use std::net::TcpListener;

use nix::sys::signal::Signal;

use crate::daemon::{Daemon, Folder, free_port, is_original, wait_for};

const OTHER: &str = "[program:other]\ncommand=sleep 1000\nstartsecs=0\n";

fn program(socket: &str) -> String {
    format!("[fcgi-program:f]\ncommand=sleep 1000\nsocket={socket}\nstartsecs=0\nstartretries=0\n{OTHER}")
}

#[test]
fn a_taken_port_is_a_failed_start_and_the_others_run() {
    if is_original() {
        return;
    }
    let port = free_port();
    let taken = TcpListener::bind(("127.0.0.1", port)).expect("the port");
    let url = format!("tcp://127.0.0.1:{port}");
    let daemon = Daemon::start(&program(&url));
    daemon.wait_state("f", "FATAL");
    daemon.wait_state("other", "RUNNING");
    let reason = format!("Could not create FastCGI socket {url}: [Errno 98] Address already in use");
    assert_eq!(daemon.info("f", "spawnerr").as_str(), Some(reason.as_str()));
    let told = format!("{reason}; group f starts nothing before it can be made");
    assert_eq!(daemon.log_lines("starts nothing before"), [told]);
    // As soon as the port is free, a start succeeds.
    drop(taken);
    // Which is not at once: a process that another test is just starting may have the socket until it runs.
    wait_for("a start that succeeds", || daemon.call("supervisor.startProcess", &["f".into()]).ok());
    daemon.wait_state("f", "RUNNING");
}

#[test]
fn a_socket_without_a_directory_is_a_wrong_setting_at_a_start_only() {
    if is_original() {
        return;
    }
    let bad = program("unix:///no/such/dir/f.sock");
    let folder = Folder::new();
    folder.configure(&bad);
    let ended = folder.supervisord(&["-n", "-c", "$DIR/supervisord.conf"]);
    assert_eq!(ended.status, 2, "{ended:?}");
    let reason = "Could not create FastCGI socket unix:///no/such/dir/f.sock: [Errno 2] No such file or directory";
    assert!(ended.stderr.starts_with(&format!("Error: {reason}\n")), "{ended:?}");
    assert_eq!(folder.processes(), [], "nothing was started");

    let daemon = Daemon::start(OTHER);
    daemon.wait_state("other", "RUNNING");
    daemon.folder.configure(&bad);
    daemon.signal(Signal::SIGHUP);
    wait_for("the restart", || daemon.call("supervisor.getProcessInfo", &["f".into()]).ok());
    daemon.wait_state("f", "FATAL");
    daemon.wait_state("other", "RUNNING");
    assert_eq!(daemon.info("f", "spawnerr").as_str(), Some(reason));
}
