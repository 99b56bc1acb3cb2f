//! Logs in containers and on small devices (K-6, K-9): what only this program has.

use std::io::{Read, Write};
use std::process::Stdio;

use nix::sys::signal::Signal;
use stheno::wire::value::Value;

use crate::client::PATIENCE as READ_TIME;
use crate::daemon::{Daemon, Folder, is_original, wait_for};

/// A daemon whose standard output is a socket that only the test reads.
fn piped(config: &str) -> (Daemon, impl Read + use<>) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    ours.set_read_timeout(Some(READ_TIME)).expect("a time");
    let daemon = Daemon::start_with(Folder::new(), config, |command| {
        command.stdout(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
    });
    (daemon, ours)
}

/// Everything up to a line.
fn read_until(pipe: &mut impl Read, last: &str) -> Vec<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.ends_with(last.as_bytes()) {
        let count = pipe.read(&mut buffer).expect("output");
        assert!(count > 0, "the end came before {last:?}");
        bytes.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(bytes).expect("text").lines().map(str::to_string).collect()
}

const FLOOD: &str = "i=0; while [ $i -lt 20000 ]; do echo line-$i-xxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done";

/// K-6: what a slow reader of standard output misses are whole lines, and no line stands inside another.
#[test]
fn a_slow_reader_misses_whole_lines() {
    if is_original() {
        return;
    }
    let (daemon, mut output) = piped(&format!(
        "[program:flood]\ncommand=sh -c '{FLOOD}; touch $DIR/flooded; while true; do echo end; sleep 0.01; done'\n\
         startsecs=0\nautorestart=false\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n\
         [program:busy]\ncommand=sleep 0.02\nstartsecs=0\nautorestart=true\n",
    ));
    wait_for("the child to have written", || daemon.folder.path("flooded").exists().then_some(()));
    // It is written again and again, for the first ones may be among what is dropped.
    let lines = read_until(&mut output, "\nend\n");
    let is_whole = |line: &String| {
        let flood = line.strip_prefix("line-").and_then(|rest| rest.strip_suffix("-xxxxxxxxxxxxxxxxxxxxxxxx"));
        flood.is_some_and(|number| number.parse::<u32>().is_ok())
            || line == "end"
            || line.starts_with("20") && line.get(23..24) == Some(" ") && !line.contains("line-")
    };
    let torn: Vec<_> = lines.iter().filter(|line| !is_whole(line)).collect();
    assert!(torn.is_empty(), "{torn:?}");
    assert!(lines.len() > 1000 && lines.len() < 20_000, "{}", lines.len());
    // It is said once the reader has caught up, so it goes on reading, until the daemon ends: in the log, or, if a line of that was
    // what found the reader back, in what he reads, perhaps already.
    let text = "were dropped while its reader";
    let is_read = std::sync::atomic::AtomicBool::new(lines.iter().any(|line| line.contains(text)));
    std::thread::scope(|scope| {
        let is_read = &is_read;
        scope.spawn(move || {
            let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
            while let Some(Ok(line)) = lines.next() {
                is_read.fetch_or(line.contains(text), std::sync::atomic::Ordering::Relaxed);
            }
        });
        wait_for("the number of lost bytes", || {
            (daemon.log().contains(text) || is_read.load(std::sync::atomic::Ordering::Relaxed)).then_some(())
        });
        drop(daemon);
    });
}

/// K-6: with `stdout_logfile_full=wait` the program waits for the reader, and nothing is lost; nobody else waits.
#[test]
fn a_program_may_wait_for_its_reader() {
    if is_original() {
        return;
    }
    let (daemon, mut output) = piped(&format!(
        "[supervisord]\nsilent=true\n[program:flood]\ncommand=sh -c '{FLOOD}; echo end'\nstartsecs=0\nautorestart=false\n\
         stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\nstdout_logfile_full=wait\n",
    ));
    assert_eq!(daemon.must("supervisor.getPID", &[]), Value::Int(daemon.pid().as_raw().into()));
    let lines = read_until(&mut output, "\nend\n");
    assert_eq!(lines.len(), 20_001);
    let expected = |number: usize| format!("line-{number}-xxxxxxxxxxxxxxxxxxxxxxxx");
    assert!(lines[..20_000].iter().enumerate().all(|(number, line)| *line == expected(number)));
}

/// K-6: each line begins with the prefix; the beginning of a line waits for its end, and the end of a process ends it;
/// calls see the file, events the bytes.
#[test]
fn lines_get_a_prefix() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[supervisord]\nchildlog_prefix=%(group_name)s:%(stream)s|\n\
         [program:a]\ncommand=sh -c 'echo one; printf two; while [ ! -e $DIR/go ]; do sleep 0.01; done; echo -rest; printf half'\n\
         startsecs=0\nautorestart=false\nprefix_flush=0.1\nstdout_logfile=$DIR/a.log\nstdout_prefix=\"%(process_name)s/%(process_num)d | \"\n\
         [program:b]\ncommand=sh -c 'echo bad >&2'\nstartsecs=0\nautorestart=false\nstderr_logfile=$DIR/b.log\n\
         [program:c]\ncommand=echo plain\nstartsecs=0\nautorestart=false\nstdout_logfile=$DIR/c.log\nstdout_prefix=\n",
    );
    assert_eq!(daemon.wait_file("a.log", "two"), "a/0 | one\na/0 | two");
    let read = daemon.must("supervisor.readProcessStdoutLog", &["a".into(), Value::Int(0), Value::Int(0)]);
    assert_eq!(read, "a/0 | one\na/0 | two".into());
    daemon.folder.write("go", "");
    daemon.wait_state("a", "EXITED");
    assert_eq!(daemon.wait_file("a.log", "half\n"), "a/0 | one\na/0 | two-rest\na/0 | half\n");
    assert_eq!(daemon.wait_file("b.log", "\n"), "b:stderr|bad\n");
    assert_eq!(daemon.wait_file("c.log", "\n"), "plain\n");
}

/// K-6: each line is an object.
#[test]
fn lines_are_json() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[supervisord]\nchildlog_format=json\n[program:a]\ncommand=sh -c 'echo \"\\\"q\\\"\"; exec sleep 1000'\nstartsecs=0\n\
         stdout_logfile=$DIR/a.log\n",
    );
    let line = daemon.wait_file("a.log", "\n");
    let (time, rest) = line.split_once(',').expect("members");
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "{\"time\":\"9999-99-99T99:99:99.999Z\"");
    let pid = daemon.pid_of("a");
    let expected = format!(
        "\"program\":\"a\",\"group\":\"a\",\"process\":\"a\",\"stream\":\"stdout\",\"pid\":{pid},\"message\":\"\\\"q\\\"\"}}\n"
    );
    assert_eq!(rest, expected);
}

/// K-9: a log is rotated when asked, whether or not its program runs, and not while it is empty.
#[test]
fn logs_are_rotated_by_command() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'echo old; while [ ! -e $DIR/go ]; do sleep 0.01; done; echo new; exec sleep 1000'\n\
         startsecs=0\nstdout_logfile=$DIR/a.log\n\
         [program:b]\ncommand=echo b\nstartsecs=0\nautorestart=false\nstdout_logfile=$DIR/b.log\n",
    );
    daemon.wait_file("a.log", "old\n");
    let ended = daemon.folder.ctl(&["rotate", "a"]);
    assert_eq!((ended.stdout.as_str(), ended.status), ("a: rotated\n", 0));
    daemon.folder.ctl(&["rotate", "a"]);
    assert_eq!((daemon.folder.read("a.log.1").as_str(), daemon.folder.names("a.log").len()), ("old\n", 2));
    daemon.folder.write("go", "");
    assert_eq!(daemon.wait_file("a.log", "new\n"), "new\n");
    daemon.wait_state("b", "EXITED");
    assert_eq!(daemon.folder.ctl(&["rotate"]).status, 0);
    assert_eq!(daemon.folder.read("b.log.1"), "b\n");
    assert!(daemon.folder.read("supervisord.log.1").contains("entered RUNNING state"));
    for (name, what) in [("nobody", "process"), ("nobody:*", "group")] {
        let ended = daemon.folder.ctl(&["rotate", "a", name]);
        let expected = format!("{name}: ERROR (no such {what})\n");
        assert_eq!((ended.stdout, ended.stderr.as_str(), ended.status), (expected, "", 1));
    }
}

/// K-9: a log in memory keeps its newest bytes under their offsets over all runs; it has no file; emptied, it begins anew.
#[test]
fn a_log_in_memory() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'echo run; read x; head -c 5000 /dev/zero | tr \"\\\\0\" z; echo END; read x'\n\
         startsecs=0\nautorestart=false\n\
         stdout_logfile=$DIR/a.log\nstdout_logfile_storage=memory\nstdout_logfile_maxbytes=1KB\n\
         [program:b]\ncommand=sh -c 'head -c 100000 /dev/zero | tr \"\\\\0\" z; echo bad >&2; read x'\nstartsecs=0\n\
         stdout_logfile_storage=memory\nstderr_logfile_storage=memory\nstderr_prefix=\"%(process_name)s|\"\n",
    );
    let read = |offset: i64, length: i64| {
        daemon.must("supervisor.readProcessStdoutLog", &["a".into(), Value::Int(offset), Value::Int(length)])
    };
    let tail = |name: &'static str, offset: i64, length: i64| {
        daemon.must("supervisor.tailProcessStdoutLog", &[name.into(), Value::Int(offset), Value::Int(length)])
    };
    let tailed = |text: &'static str, size: i64, overflow: bool| {
        Value::Array(vec![text.into(), Value::Int(size), Value::Bool(overflow)])
    };
    wait_for("output", || (read(0, 0) == "run\n".into()).then_some(()));
    assert_eq!(daemon.info("a", "stdout_logfile"), "".into());
    let mut follower = std::os::unix::net::UnixStream::connect(daemon.folder.path("s.sock")).expect("a connection");
    follower.set_read_timeout(Some(READ_TIME)).expect("a time");
    follower.write_all(b"GET /logtail/a HTTP/1.0\r\n\r\n").expect("sent");
    read_until(&mut follower, "run\n");
    daemon.must("supervisor.sendProcessStdin", &["a".into(), "\n".into()]);
    read_until(&mut follower, "END\n");
    // 4 + 5000 + 4 bytes came, of which 1024 are there.
    assert_eq!(tail("a", 0, 8), tailed("zzzzEND\n", 5008, true));
    assert_eq!(read(5003, 0), "zEND\n".into());
    assert_eq!((read(3983, 2), read(0, 3984), read(0, 3986)), ("z".into(), "".into(), "zz".into()));
    assert_eq!(read(-4, 0), "END\n".into());
    assert_eq!(tail("a", 5008, 100), tailed("", 5008, false));
    let Value::Array(whole) = tail("a", 0, 1_000_000) else { panic!("no array") };
    assert_eq!((whole[0].as_str().map(str::len), &whole[2]), (Some(1024), &Value::Bool(true)), "what fell off counts");
    // The next run goes on.
    daemon.must("supervisor.sendProcessStdin", &["a".into(), "\n".into()]);
    daemon.wait_state("a", "EXITED");
    daemon.must("supervisor.startProcess", &["a".into()]);
    read_until(&mut follower, "run\n");
    assert_eq!(read(5004, 0), "END\nrun\n".into());
    daemon.must("supervisor.stopProcess", &["a".into()]);
    daemon.must("supervisor.clearProcessLogs", &["a".into()]);
    assert_eq!((tail("a", 0, 100), read(0, 0)), (tailed("", 0, false), "".into()));
    assert!(!daemon.folder.path("a.log").exists());

    // Without a size, 64 KB.
    let size = |whole: Value| match whole {
        Value::Array(parts) => parts[0].as_str().map(str::len),
        _ => None,
    };
    wait_for("the other's output", || (size(tail("b", 0, 200_000)) == Some(65_536)).then_some(()));
    let stderr = || daemon.must("supervisor.readProcessStderrLog", &["b".into(), Value::Int(0), Value::Int(0)]);
    wait_for("its prefixed line", || (stderr() == "b|bad\n".into()).then_some(()));
}

/// K-9: where lines for syslog go, and what they say of who wrote them; what comes before the socket is there waits.
#[test]
fn syslog_goes_where_it_is_sent() {
    if is_original() {
        return;
    }
    let (folder, udp) = (Folder::new(), std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    udp.set_read_timeout(Some(READ_TIME)).expect("a time");
    let address = udp.local_addr().expect("an address");
    let config = format!(
        "[supervisord]\nlogfile=syslog\nnodaemon=true\nsyslog_address=udp:{address}\nsyslog_facility=daemon\nsyslog_tag=box\n\
         [program:a]\ncommand=sh -c 'echo out; echo err >&2; while read x; do echo more; done'\nstartsecs=0\n\
         stdout_syslog=true\nstderr_syslog=true\nsyslog_tag=%(program_name)s-%(process_num)d\nsyslog_facility=local3\n\
         syslog_stdout_priority=notice\nsyslog_stderr_priority=ERR\nsyslog_address=unix:$DIR/late\n\
         [program:b]\ncommand=sh -c 'echo hello; read x'\nstartsecs=0\nstdout_syslog=true\n"
    );
    let daemon = Daemon::start_in(folder, &config);
    let mut buffer = [0; 1000];
    let mut hear = |text: &str| loop {
        let count = udp.recv(&mut buffer).expect("a message");
        let heard = String::from_utf8_lossy(&buffer[..count]).into_owned();
        if heard.contains(text) {
            return heard;
        }
    };
    // Facility daemon is 3, priority info 6.
    let heard = hear("hello");
    assert!(heard.starts_with("<30>") && heard.ends_with(" box: b hello"), "{heard}");
    daemon.must("supervisor.stopProcess", &["b".into()]);
    let heard = hear("stopped: b");
    assert!(heard.starts_with("<30>") && heard.contains(" box: 20"), "{heard}");
    let late = std::os::unix::net::UnixDatagram::bind(daemon.folder.path("late")).expect("a socket");
    late.set_read_timeout(Some(READ_TIME)).expect("a time");
    late.set_nonblocking(true).expect("it does not wait");
    // The first line that comes a second after the last try takes the others along.
    let mut heard = Vec::new();
    wait_for("all messages", || {
        daemon.must("supervisor.sendProcessStdin", &["a".into(), "\n".into()]);
        while let Ok(count) = late.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
        heard.iter().any(|text| text.ends_with("more")).then_some(())
    });
    for (start, end) in [("<155>", " a-0: a err"), ("<157>", " a-0: a out")] {
        assert!(heard.iter().any(|text| text.starts_with(start) && text.ends_with(end)), "{heard:?}");
    }
}

/// K-9: rotated logs are compressed in a child, with a name only once they are whole, and as many as backups are kept.
#[test]
fn rotated_logs_are_compressed() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:a]\ncommand=sh -c 'i=0; while read x; do echo $i; head -c 100000 /dev/zero | tr \"\\\\0\" z; echo; i=$((i+1)); done'\n\
         startsecs=0\nstdout_logfile=$DIR/a.log\nstdout_logfile_maxbytes=90KB\nstdout_logfile_backups=2\n\
         stdout_logfile_compress=gzip\nstdout_prefix=|\n",
    );
    // It may have got another name before it is looked at; half a log it never is.
    let unpacked = |name: &str| {
        let bytes = std::fs::read(daemon.folder.path(name)).ok()?;
        let mut gzip = std::process::Command::new("gzip");
        let mut gzip = gzip.arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
        gzip.stdin.take().expect("a pipe").write_all(&bytes).expect("written");
        let output = gzip.wait_with_output().expect("its output");
        assert!(output.status.success(), "{name} is whole");
        String::from_utf8(output.stdout).ok()
    };
    for round in 0..4 {
        daemon.must("supervisor.sendProcessStdin", &["a".into(), "\n".into()]);
        // A line above 16 KiB is split, and the file may end between its pieces: the number stands somewhere in it.
        let line = format!("|{round}\n");
        wait_for("a compressed log", || {
            let names = daemon.folder.names("a.log.");
            assert!(names.len() <= 4, "{names:?}");
            let is_done = names.iter().all(|name| name.ends_with(".gz")) && names.contains(&"a.log.1.gz".to_string());
            (is_done && unpacked("a.log.1.gz")?.contains(&line)).then_some(())
        });
    }
    assert_eq!(daemon.folder.names("a.log."), ["a.log.1.gz", "a.log.2.gz"]);
    assert!(unpacked("a.log.2.gz").expect("it is there").contains("|2\n"));
    assert!(!daemon.log().contains("reaped unknown"), "{}", daemon.log());
}

/// K-9: a log is rotated when its time has come, unless it is empty, whether its process runs or not.
#[test]
fn logs_are_rotated_by_the_clock() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:a]\ncommand=cat\nstartsecs=0\nstdout_logfile=$DIR/a.log\nstdout_logfile_rotate=1\n\
         [program:b]\ncommand=echo done\nstartsecs=0\nautorestart=false\nstdout_logfile=$DIR/b.log\nstdout_logfile_rotate=1\n",
    );
    let seconds = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    for text in ["one\n", "two\n"] {
        daemon.must("supervisor.sendProcessStdin", &["a".into(), text.into()]);
        wait_for("a rotation", || (std::fs::read_to_string(daemon.folder.path("a.log.1")).ok()? == text).then_some(()));
    }
    assert_eq!(daemon.wait_file("b.log.1", "done"), "done\n");
    // Nothing more comes, and so nothing more is rotated.
    let begun = seconds();
    wait_for("two periods", || (seconds() > begun + 1).then_some(()));
    assert_eq!(daemon.folder.names("a.log"), ["a.log", "a.log.1", "a.log.2"]);
    assert_eq!(daemon.folder.names("b.log"), ["b.log", "b.log.1"]);
}

/// K-9: all logs together stay within a limit, those of programs that have ended and our own among them.
#[test]
fn k_9_log_total_max_bounds_all_logs_together() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    for (name, size) in [("old.log.1", 50_000), ("old.log.2", 50_000)] {
        std::fs::write(folder.path(name), vec![b'o'; size]).expect("a file");
    }
    // One ends at once, whose backups are the oldest; the other writes a megabyte.
    let program = |name: &str, command: &str| {
        format!(
            "[program:{name}]\ncommand={command}\nstartsecs=0\nautorestart=false\nredirect_stderr=true\n\
             stdout_logfile=$DIR/{name}.log\nstdout_logfile_maxbytes=20KB\nstdout_logfile_backups=5\n"
        )
    };
    let flood =
        "sh -c 'i=0; while [ $i -lt 1000 ]; do printf %%01000d $i; i=$((i+1)); done; touch $DIR/done; sleep 1000'";
    let config = format!("[supervisord]\nlog_total_max=100KB\n{}{}", program("old", "true"), program("new", flood));
    let mut daemon = Daemon::start_in(folder, &config);
    let total = |daemon: &Daemon| -> u64 {
        let logs = ["old.log", "new.log", "supervisord.log"].map(|name| daemon.folder.names(name));
        let sizes = logs.iter().flatten().filter_map(|name| std::fs::metadata(daemon.folder.path(name)).ok());
        sizes.map(|metadata| metadata.len()).sum()
    };
    wait_for("the flood to end", || daemon.folder.path("done").exists().then_some(()));
    // While it lasts there may be as much more as a few turns bring; then 64 KiB at most, which may come before it is looked again.
    wait_for("all of it to be bounded", || (total(&daemon) <= 102_400 + 65_536).then_some(()));
    assert!(!daemon.folder.path("old.log.2").exists() && !daemon.folder.path("old.log.1").exists());
    // Its backups may all be gone, for a turn brings more than one of them holds; the log itself stays.
    wait_for("the log", || daemon.folder.path("new.log").exists().then_some(()));
    assert!(daemon.log_lines("log_total_max: ").is_empty());
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
}

/// K-9: where there is nothing older left, the largest log begins anew, with a line that says so.
#[test]
fn k_9_log_total_max_empties_what_is_too_large() {
    if is_original() {
        return;
    }
    let flood =
        "sh -c 'i=0; while [ $i -lt 400 ]; do printf %%01000d $i; i=$((i+1)); done; touch $DIR/done; sleep 1000'";
    let daemon = Daemon::start(&format!(
        "[supervisord]\nlog_total_max=100KB\n[program:a]\ncommand={flood}\nstartsecs=0\nstdout_logfile=$DIR/a.log\n"
    ));
    wait_for("the flood to end", || daemon.folder.path("done").exists().then_some(()));
    wait_for("the line", || {
        (!daemon.log_lines("a.log begins anew, for there are no older logs").is_empty()).then_some(())
    });
    let size = || std::fs::metadata(daemon.folder.path("a.log")).expect("a log").len();
    wait_for("it to be bounded", || (size() <= 102_400 + 65_536).then_some(()));
    daemon.wait_state("a", "RUNNING");
}

/// K-9: messages for syslog that nobody ever took are counted, at the latest at the end; so are bytes for a full disk.
#[test]
fn what_is_lost_is_told_at_the_end() {
    if is_original() {
        return;
    }
    let flood = "sh -c 'i=0; while [ $i -lt 3000 ]; do echo line $i of fifty and more bytes, that none of them fits; i=$((i+1)); done; \
                 touch $DIR/%(program_name)s.done; exec sleep 1000'";
    let limited = format!("stdout_logfile=$DIR/disk/log\ncommand={flood}\n");
    let config = format!(
        "[program:s]\ncommand={flood}\nstdout_syslog=true\nstdout_logfile=NONE\nsyslog_address=unix:$DIR/nobody\n\
         [program:d]\n{limited}"
    );
    let folder = Folder::new();
    std::fs::create_dir(folder.path("disk")).unwrap();
    let script = folder.fill("mount -t tmpfs -o size=40k none $DIR/disk && exec \"$@\"");
    let is_allowed =
        std::process::Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|ended| ended.success());
    let wrapper: &[&str] = if is_allowed { &["unshare", "-rm", "sh", "-ec", &script, "sh"] } else { &["env"] };
    folder.configure(&config);
    let mut daemon = Daemon::start_under(folder, wrapper, &["-n"], |_| {});
    daemon.wait_until_it_answers();
    for name in ["s.done", "d.done"] {
        wait_for("the end of the flood", || daemon.folder.path(name).exists().then_some(()));
    }
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    let lost: Vec<u64> = daemon
        .log_lines("messages for syslog were lost")
        .iter()
        .filter_map(|line| number_before(line, " messages"))
        .collect();
    assert_eq!(lost.iter().sum::<u64>(), 3000, "{}", daemon.log());
    if is_allowed {
        let lines = daemon.log_lines("could not be written to the end");
        let lost = lines.iter().filter_map(|line| number_before(line, " bytes were lost")).collect::<Vec<_>>();
        assert!(lost.len() == 1 && lost[0] > 100_000, "{}", daemon.log());
    }
}

fn number_before(line: &str, text: &str) -> Option<u64> {
    line.split(text).next()?.rsplit(' ').next()?.parse().ok()
}
