//! Children that are held up on the way to their program: nobody else notices, and they obey.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use stheno::wire::value::Value;

use crate::daemon::{Daemon, Folder, is_original, wait_for, with_descriptors};
use crate::silent::Silent;

#[test]
fn a_directory_that_never_answers_holds_up_its_program_alone() {
    if is_original() {
        return; // There the child waits as well, but counts as RUNNING.
    }
    let folder = Folder::new();
    let Some(silent) = Silent::mount() else { return };
    let below = silent.at.join("below");
    let below = below.display();
    let daemon = Daemon::start_in(
        folder,
        &format!(
            "[program:held]\ncommand=/bin/cat\ndirectory={below}\nstartsecs=0\nautostart=false\n\
             [program:held_long]\ncommand=/bin/cat\ndirectory={below}\nstartsecs=1\nautostart=false\n\
             [program:other]\ncommand=/bin/cat\nautostart=false\n"
        ),
    );
    for name in ["held", "held_long"] {
        assert_eq!(daemon.must("supervisor.startProcess", &[name.into(), Value::Bool(false)]), Value::Bool(true));
    }
    // The others notice nothing, and time passes: `other` has to stay up for as long as `held_long`.
    assert_eq!(daemon.folder.ctl(&["start", "other"]).stdout, "other: started\n");
    let member = |name: &str| match daemon.info("other", name) {
        Value::Int(seconds) => seconds,
        other => panic!("{name} is a number, not {other:?}"),
    };
    wait_for("the time of held_long to be over", || (member("now") - member("start") >= 3).then_some(()));
    // Whichever came second waits in the system until the first is gone, and hears of nothing before.
    for name in ["held", "held_long"] {
        assert_eq!(daemon.state(name), "STARTING", "{name}");
        daemon.must("supervisor.stopProcess", &[name.into(), Value::Bool(false)]);
    }
    for name in ["held", "held_long"] {
        daemon.wait_state(name, "STOPPED");
    }
}

/// With the usual limit of descriptors, clients could take what most of these programs need.
#[test]
fn clients_do_not_take_the_descriptors_of_programs() {
    if is_original() {
        return; // Whoever comes too late is given up there.
    }
    let folder = Folder::new();
    let config = "[program:p]\ncommand=/bin/cat\nprocess_name=%(process_num)d\nnumprocs=105\nautostart=false\nstartsecs=0\n\
                  startretries=0\n";
    let daemon = Daemon::start_with(folder, config, with_descriptors(1024));
    // They ask for nothing; the first of them are asked to go, so that each finds a place.
    let socket = daemon.folder.path("s.sock");
    let clients: Vec<_> = (0..600).map(|_| UnixStream::connect(&socket).expect("a place")).collect();
    daemon.must("supervisor.startProcessGroup", &["p".into()]);
    let status = daemon.folder.ctl(&["status"]).stdout;
    assert_eq!(status.matches("RUNNING").count(), 105, "{status}");
    assert!(!daemon.log().contains("too many open files"), "{}", daemon.log());
    drop(clients);
}

/// Those who send nothing hold all descriptors that programs have left: who comes next finds a place all the same.
#[test]
fn clients_that_ask_for_nothing_lock_nobody_out() {
    if is_original() {
        return; // Nobody comes in there.
    }
    let folder = Folder::new();
    let config = "[supervisord]\nminfds=64\n\
                  [program:p]\ncommand=/bin/cat\nprocess_name=%(process_num)d\nnumprocs=13\nstartsecs=0\n\
                  stdout_logfile=NONE\nstderr_logfile=NONE\n";
    let daemon = Daemon::start_with(folder, config, with_descriptors(64));
    daemon.wait_state("p:12", "RUNNING");
    let socket = daemon.folder.path("s.sock");
    let clients: Vec<_> = (0..30).map(|_| UnixStream::connect(&socket).expect("a place")).collect();
    for _ in 0..3 {
        let asked = daemon.folder.ctl(&["pid"]);
        assert_eq!((asked.status, asked.stdout.trim()), (0, daemon.pid().to_string().as_str()));
    }
    drop(clients);
}

/// More programs than there are descriptors for, as long as clients have so many that this shows.
#[test]
fn a_program_that_finds_no_descriptor_takes_that_of_a_client() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    // Three descriptors a program, one more until it has begun, and all that is reserved for clients is taken.
    let config = "[supervisord]\nminfds=100\n\
                  [program:p]\ncommand=/bin/cat\nprocess_name=%(process_num)d\nnumprocs=25\nautostart=false\nstartsecs=0\n\
                  startretries=1000\nbackoff_max=1\nstdout_logfile=NONE\nstderr_logfile=NONE\n";
    let daemon = Daemon::start_with(folder, config, with_descriptors(100));
    let socket = daemon.folder.path("s.sock");
    let mut proven = UnixStream::connect(&socket).expect("a place");
    let mut ask = || {
        proven.write_all(b"GET /ok.html HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = [0; 1000];
        proven.read(&mut answer).ok().filter(|length| *length > 0)
    };
    ask().expect("an answer");
    let clients: Vec<_> = (0..60).map(|_| UnixStream::connect(&socket).expect("a place")).collect();
    daemon.must("supervisor.startProcessGroup", &["p".into(), Value::Bool(false)]);
    // Seen in the log, for whoever asks would take a place, too.
    daemon.wait_lines("entered RUNNING state", 25);
    let closed = daemon.log_lines("connections were closed to make room for a child");
    let closed = closed.iter().map(|line| line.split(' ').nth(4).and_then(|word| word.parse::<usize>().ok()));
    let closed = closed.map(|count| count.expect("a number")).sum::<usize>();
    assert!(closed > 0, "{}", daemon.log());
    // Where children are long about their beginning all have to go, fifteen that are silent first.
    let is_served = ask().is_some();
    assert!(is_served || closed > 14, "who has asked before is not among those that have to go");
    drop(clients);
}

#[test]
fn a_directory_longer_than_a_pipe_is_an_error_like_others() {
    let long = "x".repeat(70_000);
    let daemon = Daemon::start(&format!(
        "[program:long]\ncommand=/bin/cat\ndirectory=/{long}\nstartretries=0\nstderr_logfile=$DIR/long.err\n\
         [program:other]\ncommand=/bin/cat\n"
    ));
    wait_for("long to be given up", || (daemon.state("long") == "FATAL").then_some(()));
    wait_for("other to run", || (daemon.state("other") == "RUNNING").then_some(()));
    let told = daemon.folder.read("long.err");
    assert!(told.starts_with("supervisor: couldn't chdir to /xxx"), "{told}");
    assert!(told.ends_with(": ENAMETOOLONG\nsupervisor: child process was not spawned\n"), "{told}");
}
