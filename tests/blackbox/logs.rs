//! Logs of children and of the daemon.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::Signal;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, Folder, is_original, wait_for};

#[test]
fn a_log_is_rotated_and_keeps_its_backups() {
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done; echo done >$DIR/done'\n\
         startsecs=0\nautorestart=false\nstdout_logfile=$DIR/a.log\nstdout_logfile_maxbytes=1KB\nstdout_logfile_backups=2\n",
    );
    daemon.wait_state("a", "EXITED");
    let names = daemon.folder.names("a.log");
    assert!(!names.contains(&"a.log.3".to_string()), "{names:?}");
    // How much a backup holds depends on how the lines arrived; that none is lost among those kept does not.
    let kept: String = ["a.log.2", "a.log.1", "a.log"].map(|name| daemon.folder.read(name)).concat();
    let lines: Vec<&str> = kept.lines().collect();
    assert_eq!(lines.last(), Some(&"line 399"));
    let first: usize = lines[0].split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    let expected: Vec<String> = (first..400).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, expected);
    for name in names.iter().skip(1) {
        assert!(daemon.folder.read(name).len() >= 1024, "{name} was rotated before it was full");
    }
    assert!(daemon.folder.read("a.log").len() < 1024, "the log was not rotated");
}

#[test]
fn automatic_logs_are_private_and_go_at_the_next_start() {
    let config = "[program:a]\ncommand=sh -c 'echo out; echo err >&2; sleep 1000'\nstartsecs=0\n";
    let mut daemon = Daemon::start(config);
    let path = wait_for("a path", || daemon.info("a", "stderr_logfile").as_str().map(str::to_string));
    let name = path.rsplit('/').next().unwrap().to_string();
    assert!(name.starts_with("a-stderr---supervisor-") && name.ends_with(".log"), "{name}");
    assert_eq!(daemon.wait_file(&name, "\n"), "err\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(daemon.folder.names("a-").len(), 2);
    daemon.folder.write("other---elsewhere-abcdefgh.log", "");
    daemon.signal(Signal::SIGHUP);
    wait_for("another path", || {
        let now = daemon.call("supervisor.getProcessInfo", &["a".into()]).ok()?;
        (now.member("stderr_logfile")?.as_str()? != path).then_some(())
    });
    assert_eq!(daemon.folder.names("a-").len(), 2, "the old ones are gone, new ones are there");
    assert_eq!(daemon.folder.names("other").len(), 1, "another identifier's stay");
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    assert_eq!(daemon.folder.names("a-").len(), 2, "they outlive the daemon");
}

#[test]
fn a_log_that_was_moved_is_opened_anew_on_usr2() {
    let daemon = Daemon::start("[program:cat]\ncommand=cat\nstartsecs=0\nstdout_logfile=$DIR/cat.log\n");
    daemon.wait_state("cat", "RUNNING");
    let say = |text: &str| daemon.must("supervisor.sendProcessStdin", &["cat".into(), Value::str(text.to_string())]);
    say("one\n");
    daemon.wait_file("cat.log", "one\n");
    for name in ["cat.log", "supervisord.log"] {
        fs::rename(daemon.folder.path(name), daemon.folder.path(&format!("{name}.old"))).unwrap();
    }
    daemon.signal(Signal::SIGUSR2);
    wait_for("new files", || daemon.folder.path("cat.log").exists().then_some(()));
    wait_for("new files", || daemon.folder.path("supervisord.log").exists().then_some(()));
    say("two\n");
    assert_eq!(daemon.wait_file("cat.log", "two"), "two\n");
    assert_eq!(daemon.folder.read("cat.log.old"), "one\n");
}

#[test]
fn the_end_of_a_log_is_read_by_bytes() {
    let daemon = Daemon::start(
        "[program:a]\ncommand=printf 0123456789\nstartsecs=0\nautorestart=false\nstdout_logfile=$DIR/a.log\n",
    );
    daemon.wait_state("a", "EXITED");
    let tail = |offset: i64, length: i64| {
        let params = ["a".into(), Value::Int(offset), Value::Int(length)];
        daemon.must("supervisor.tailProcessStdoutLog", &params)
    };
    let rows: &[(i64, i64, &str, bool)] = &[
        (0, 5, "56789", true),
        (5, 5, "56789", false),
        (5, 100, "0123456789", false),
        (10, 5, "", false),
        (8, 1, "9", true),
    ];
    for (offset, length, text, overflow) in rows {
        let expected = [Value::str(*text), Value::Int(10), Value::Bool(*overflow)];
        assert_eq!(tail(*offset, *length), Value::Array(expected.into()), "tail({offset}, {length})");
    }
    let read = |offset: i64, length: i64| {
        let params = ["a".into(), Value::Int(offset), Value::Int(length)];
        daemon.call("supervisor.readProcessStdoutLog", &params)
    };
    assert_eq!(read(-4, 0), Ok("6789".into()));
    assert_eq!(read(2, 3), Ok("234".into()));
    assert_eq!(read(99, 3), Ok("".into()));
    assert_eq!(read(0, -1), Err((3, "BAD_ARGUMENTS".into())));
}

/// 4.3.0 writes to its standard output and waits; so the whole daemon stands still with whoever reads it.
#[test]
fn a_slow_reader_of_standard_output_delays_nobody() {
    if is_original() {
        return;
    }
    let mut output = None;
    let daemon = {
        let (ours, theirs) = std::io::pipe().expect("a pipe");
        output.replace(ours);
        Daemon::start_with(
            Folder::new(),
            "[supervisord]\nsilent=true\n\
             [program:flood]\ncommand=sh -c 'yes flood | head -c 1000000; touch $DIR/flooded'\nstartsecs=0\n\
             autorestart=false\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n",
            |command| {
                command.stdout(Stdio::from(theirs));
            },
        )
    };
    // Nobody reads: the pipe is full long before a million bytes, and yet the child gets rid of them.
    wait_for("the child to finish", || daemon.folder.path("flooded").exists().then_some(()));
    daemon.wait_state("flood", "EXITED");
    assert_eq!(daemon.must("supervisor.getPID", &[]), Value::Int(daemon.pid().as_raw().into()));
    // What arrives is the beginning, whole lines as they were written.
    let mut bytes = [0; 4096];
    output.take().expect("our end").read_exact(&mut bytes).expect("output");
    assert!(bytes.starts_with(b"flood\nflood\n"), "{:?}", String::from_utf8_lossy(&bytes[..20]));
}

#[test]
fn a_line_of_the_activity_log_has_time_and_level() {
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("a", "RUNNING");
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("spawned: 'a'")).expect("the line");
    let shape: String = line[..29].chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "9999-99-99 99:99:99,999 INFO ");
    // In the foreground the same lines go to standard output.
    daemon.wait_file("out", line);
}

#[test]
fn a_read_that_ends_inside_a_character_is_told_from_one_that_can_be_had() {
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=0\nstdout_logfile=$DIR/a.log\n");
    daemon.wait_state("a", "RUNNING");
    // Three characters of three bytes, and one that never ends.
    daemon.folder.write("a.log", "\u{20ac}\u{20ac}\u{20ac}");
    let mut bytes = std::fs::read(daemon.folder.path("a.log")).expect("the log");
    bytes.extend_from_slice(b"\xe2\x82");
    let read = |offset: i64, length: i64| {
        let params = ["a".into(), Value::Int(offset), Value::Int(length)];
        daemon.call("supervisor.readProcessStdoutLog", &params).is_ok()
    };
    // Offset, length, whether the log ends inside a character too, whether the original can answer, whether we can.
    let rows = [
        (0, 3, false, true, true),
        (0, 4, false, false, false),
        (0, 5, false, false, false),
        (3, 3, false, true, true),
        (3, 1, false, false, false),
        (0, 0, false, true, true),
        (1, 5, false, false, true),
        (0, 9, true, true, true),
        (0, 10, true, false, true),
        (0, 11, true, false, true),
        (0, 0, true, false, true),
    ];
    for (offset, length, is_cut, original, ours) in rows {
        std::fs::write(daemon.folder.path("a.log"), &bytes[..if is_cut { 11 } else { 9 }]).expect("the log");
        let expected = if is_original() { original } else { ours };
        assert_eq!(read(offset, length), expected, "{offset} {length} {is_cut}");
    }
}
