//! `supervisorctl` for a person at a terminal, and in the moment in which a program is being stopped.

use crate::daemon::{Daemon, Ended, is_original, wait_for};

/// Once it is told to end it does so when there is a file `go`. It is RUNNING when its handler stands: no signal comes before.
const SLOW: &str = "[program:slow]\ncommand=sh -c 'trap \"while ! test -e $DIR/go; do sleep 0.02; done; exit 0\" TERM; echo >&3; \
     while :; do sleep 0.02; done'\nready=fd:3\n";

/// In the log stands what is asked.
const TRACE: &str = "[supervisord]\nloglevel=trace\n";

/// Runs `supervisorctl` while something is being stopped, which ends when it has looked for that.
fn ctl_meanwhile(daemon: &Daemon, words: &[&str]) -> Ended {
    let looks = || daemon.log_lines("XML-RPC method called: supervisor.getProcessInfo()").len();
    let before = looks();
    let ended = std::thread::scope(|scope| {
        let asking = scope.spawn(|| daemon.folder.ctl(words));
        wait_for("a look at it", || (looks() > before || asking.is_finished()).then_some(()));
        daemon.folder.write("go", "");
        asking.join().expect("it ends")
    });
    std::fs::remove_file(daemon.folder.path("go")).expect("it is there");
    ended
}

#[test]
fn hints_are_for_terminals_only() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:nginx]\ncommand=sleep 1000\nstartsecs=0\n[group:site]\nprograms=nginx\n\
         [program:broken]\ncommand=sh -c 'echo because >&2; exit 1'\nautostart=false\nstartsecs=1000\nstartretries=0\n\
         [program:dos]\ncommand=%(here)s/dos\nautostart=false\nstartretries=0\n\
         [program:gone]\ncommand=%(here)s/gone\nautostart=false\nstartretries=0\n",
    );
    for (name, text) in [("dos", "#!/bin/sh\r\necho\r\n"), ("gone", "#!/nope/python\n")] {
        daemon.folder.write_program(name, text);
    }
    daemon.wait_state("site:nginx", "RUNNING");
    let rows: [(&[&str], &str, &str, i32); 8] = [
        (&["start", "nginx"], "nginx: ERROR (no such process)", "hint: did you mean site:nginx?", 1),
        (&["strat", "nginx"], "*** Unknown syntax: strat nginx", "hint: did you mean start?", 1),
        (&["start", "broken"], "broken: ERROR (", "hint: the last line of its stderr: because", 7),
        (&["start", "broken"], "broken: ERROR (", "hint: waits until broken has been up for 1000 seconds", 7),
        (&["start", "dos"], "dos: ERROR (", "ends in a carriage return", 7),
        (&["start", "gone"], "gone: ERROR (", "the interpreter /nope/python, which does not exist", 7),
        (&["tail", "-f", "nope"], "nope: ERROR (no such process)", "", 1),
        (&["help"], "default commands (type help <topic>):", "supervisord --check", 0),
    ];
    for (words, line, hint, status) in rows {
        let (screen, code) = daemon.folder.ctl_on_terminal(words);
        assert!(screen.contains(line) && screen.contains(hint), "{words:?}: {screen}");
        assert_eq!(code, status, "{words:?}: {screen}");
        if words[0] != "tail" {
            let ended = daemon.folder.ctl(words);
            assert!(ended.stdout.contains(line), "{words:?}: {}", ended.stdout);
            assert!(
                !ended.stdout.contains("hint:") && !ended.stdout.contains("--check"),
                "{words:?}: {}",
                ended.stdout
            );
            assert_eq!((ended.stderr.as_str(), ended.status), ("", status), "{words:?}");
        }
    }
    // Colour stands around whole lines, and not around those of what runs.
    let (screen, _) = daemon.folder.ctl_on_terminal(&["status"]);
    assert!(screen.lines().any(|line| line.starts_with("site:nginx ") && line.contains(" RUNNING ")), "{screen:?}");
    assert!(screen.lines().any(|line| line.starts_with("\x1b[31mbroken ") && line.ends_with("\x1b[0m")), "{screen:?}");
}

#[test]
fn a_stop_that_is_under_way_is_waited_for() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!("{TRACE}{SLOW}"));
    daemon.wait_state("slow", "RUNNING");
    for (words, printed) in [
        (["restart", "slow"], "slow: stopped\nslow: started\n"),
        (["start", "slow"], "slow: started\n"),
        (["restart", "all"], "slow: stopped\nslow: started\n"),
        (["stop", "slow"], "slow: stopped\n"),
    ] {
        daemon.must("supervisor.stopProcess", &["slow".into(), false.into()]);
        assert_eq!(daemon.state("slow"), "STOPPING");
        // No answer is true for what does not happen.
        let refused = daemon.call("supervisor.startProcess", &["slow".into(), false.into()]);
        assert_eq!(refused, Err((40, "ABNORMAL_TERMINATION: slow".to_string())));
        let ended = ctl_meanwhile(&daemon, &words);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str(), ended.status), (printed, "", 0), "{words:?}");
    }
    assert_eq!(daemon.state("slow"), "STOPPED");
}

/// By the time the first of them is down, the others are too: they were refused all the same, and are done like it.
#[test]
fn several_stops_that_are_under_way_are_waited_for() {
    if is_original() {
        return;
    }
    let names = ["a", "b", "c"].map(|name| SLOW.replace("[program:slow]", &format!("[program:{name}]")));
    let daemon = Daemon::start(&format!("{TRACE}{}[group:g]\nprograms=a,b,c\n", names.concat()));
    let all = ["g:a", "g:b", "g:c"];
    let printed = |done: &str| all.map(|name| format!("{name}: {done}\n")).concat();
    for (words, done) in [
        (&["start", "g:a", "g:b", "g:c"][..], "started"),
        (&["start", "g:*"], "started"),
        (&["start", "all"], "started"),
        (&["stop", "g:a", "g:b", "g:c"], "stopped"),
    ] {
        for name in all {
            daemon.wait_state(name, "RUNNING");
            daemon.must("supervisor.stopProcess", &[name.into(), false.into()]);
        }
        let ended = ctl_meanwhile(&daemon, words);
        assert_eq!((ended.stdout, ended.stderr.as_str(), ended.status), (printed(done), "", 0), "{words:?}");
    }
}
