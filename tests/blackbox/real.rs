//! Readiness with programs as people run them (O-3), where they are installed: each is RUNNING when it can be used.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use stheno::wire::value::Value;

use crate::daemon::{Daemon, is_original, wait_for};

/// Whether a program can be run; says so if not.
fn has(program: &str, args: &[&str]) -> bool {
    let found = !is_original() && Command::new(program).args(args).output().is_ok_and(|ended| ended.status.success());
    if !found {
        eprintln!("SKIPPED: needs {program}");
    }
    found
}

/// The line that tells why a process is RUNNING.
fn success(daemon: &Daemon, name: &str) -> String {
    daemon.log_lines(&format!("success: {name} ")).concat()
}

/// Redis, which says READY=1 to systemd, listens, and writes a line: by each of them it is RUNNING when it answers.
#[test]
fn redis() {
    if !has("redis-server", &["--version"]) {
        return;
    }
    let server = |name: &str, ready: &str, more: &str| {
        format!(
            "[program:{name}]\ncommand=redis-server --port 0 --unixsocket $DIR/{name}.redis --save '' --dir $DIR {more}\n\
             ready={ready}\nready_interval=0.1\nready_timeout=60\n"
        )
    };
    let config = [
        server("notify", "notify", "--supervised systemd"),
        server("listens", "unix:$DIR/listens.redis", ""),
        server("asked", "command:redis-cli -s $DIR/asked.redis ping", ""),
        server("says", "log:ready to accept connections", ""),
        "[program:web]\ncommand=sleep 1000\nstartsecs=0\ndepends_on=notify=ready, listens=ready, asked=ready, says=ready\n"
            .to_string(),
    ];
    let daemon = Daemon::start(&config.concat());
    for (name, kind) in [("notify", "notify"), ("listens", "unix"), ("asked", "command"), ("says", "log")] {
        daemon.wait_state(name, "RUNNING");
        assert_eq!(success(&daemon, name), format!("success: {name} entered RUNNING state, process is ready ({kind})"));
        let mut client = UnixStream::connect(daemon.folder.path(&format!("{name}.redis"))).expect("it listens");
        client.write_all(b"PING\r\n").expect("it reads");
        let mut answer = [0; 7];
        client.read_exact(&mut answer).expect("it answers");
        assert_eq!(&answer, b"+PONG\r\n");
    }
    daemon.wait_state("web", "RUNNING");
}

/// A Python program with messages as those to systemd: its status is shown, its watchdog fed, and its reload waited for.
#[test]
fn python() {
    if !has("python3", &["--version"]) {
        return;
    }
    let script = "import os, signal, socket, time\n\
                  to = os.environ['NOTIFY_SOCKET']\n\
                  s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                  tell = lambda text: s.sendto(text.encode(), '\\0' + to[1:] if to[0] == '@' else to)\n\
                  def hup(*_):\n\
                  \x20   tell('RELOADING=1\\nMONOTONIC_USEC=%d' % (time.monotonic_ns() // 1000))\n\
                  \x20   tell('READY=1\\nSTATUS=reloaded')\n\
                  signal.signal(signal.SIGHUP, hup)\n\
                  tell('STATUS=nearly there')\n\
                  while not os.path.exists('go'): time.sleep(0.01)\n\
                  tell('READY=1\\nSTATUS=at work')\n\
                  while True:\n\
                  \x20   tell('WATCHDOG=1')\n\
                  \x20   time.sleep(0.05)\n";
    let section = "[program:app]\ncommand=python3 $DIR/app.py\ndirectory=$DIR\nready=notify\nwatchdog_sec=30\n";
    let folder = crate::daemon::Folder::new();
    folder.write("app.py", script);
    let daemon = Daemon::start_in(folder, section);
    let status = |text: &str| {
        let told = || daemon.must("stheno.getProcessInfo", &["app".into()]).member("status_text").cloned();
        wait_for(text, || (told().as_ref().and_then(Value::as_str) == Some(text)).then_some(()));
    };
    status("nearly there");
    assert_eq!(daemon.state("app"), "STARTING");
    daemon.folder.write("go", "");
    daemon.wait_state("app", "RUNNING");
    status("at work");
    let reloaded = daemon.folder.ctl(&["hup", "app"]);
    assert_eq!((reloaded.status, reloaded.stdout.as_str()), (0, "app: signalled\n"));
    status("reloaded");
}

/// s6-svscan, which tells as programs for s6 do, by a line feed on a descriptor.
#[test]
fn s6() {
    if !Path::new("/usr/bin/s6-svscan").exists() || is_original() {
        eprintln!("SKIPPED: needs s6-svscan");
        return;
    }
    let folder = crate::daemon::Folder::new();
    std::fs::create_dir(folder.path("scan")).expect("a folder");
    let section = "[program:scan]\ncommand=/usr/bin/s6-svscan -d 3 $DIR/scan\nready=fd:3\nready_timeout=60\n";
    let daemon = Daemon::start_in(folder, section);
    daemon.wait_state("scan", "RUNNING");
    assert_eq!(success(&daemon, "scan"), "success: scan entered RUNNING state, process is ready (fd)");
    assert!(daemon.folder.path("scan/.s6-svscan").exists(), "it has made what it works with");
}
