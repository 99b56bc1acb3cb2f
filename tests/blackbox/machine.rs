//! PID 1 of a machine (K-2.8): what comes after the end. In a PID name space of its own, where reboot(2) ends no more than
//! that; whoever waits for its PID 1 is told of a reboot by HUP, and of the others by INT.

use std::fs;

use nix::sys::signal::{Signal, kill};

use crate::daemon::{Daemon, Folder, is_original, wait_for};
use crate::pid1::{ARGS, PIDS, SLEEPER, is_possible, start};

const REBOOTED: i32 = -(Signal::SIGHUP as i32);
const OFF: i32 = -(Signal::SIGINT as i32);

/// What `when_done` says happens when TERM has asked for the end, INT is Ctrl-Alt-Del, and PWR the button.
#[test]
fn k_2_8_when_done_says_what_becomes_of_the_machine() {
    if !is_possible() {
        return;
    }
    for (when_done, signal, expected) in [
        ("exit", Signal::SIGTERM, 0),
        ("exit", Signal::SIGINT, 0),
        ("poweroff", Signal::SIGTERM, OFF),
        ("halt", Signal::SIGTERM, OFF),
        ("reboot", Signal::SIGTERM, REBOOTED),
        ("poweroff", Signal::SIGINT, REBOOTED),
        ("reboot", Signal::SIGPWR, OFF),
    ] {
        let mut daemon = start(&format!("[supervisord]\nwhen_done={when_done}\n{SLEEPER}"));
        daemon.wait_state("a", "RUNNING");
        kill(daemon.inner(), signal).expect("it is there");
        assert_eq!(daemon.wait_end(), expected, "{when_done}, {signal}");
        assert_eq!(daemon.log_lines("stopped: a (terminated by SIGTERM)").len(), 1);
    }
}

/// A restart leaves the machine as it is, and reads `when_done` anew; `reread` does not.
#[test]
fn k_2_8_a_restart_is_no_end() {
    if !is_possible() {
        return;
    }
    let mut daemon = start(&format!("[supervisord]\nwhen_done=poweroff\n{SLEEPER}"));
    daemon.folder.configure(&format!("[supervisord]\nwhen_done=reboot\n{SLEEPER}"));
    daemon.must("supervisor.reloadConfig", &[]);
    kill(daemon.inner(), Signal::SIGHUP).expect("it is there");
    wait_for("the second run", || (daemon.log_lines("supervisord started with pid 1").len() == 2).then_some(()));
    daemon.wait_until_it_answers();
    daemon.folder.configure(&format!("[supervisord]\nwhen_done=halt\n{SLEEPER}"));
    daemon.must("supervisor.reloadConfig", &[]);
    kill(daemon.inner(), Signal::SIGTERM).expect("it is there");
    assert_eq!(daemon.wait_end(), REBOOTED);
}

/// Whoever is left is told to end, and killed after `shutdown_timeout` if that is not enough.
#[test]
fn k_2_8_what_is_left_is_ended_first() {
    if !is_possible() {
        return;
    }
    let program = |name: &str, trap: &str| {
        format!(
            "[program:{name}]\ncommand=setsid sh -c 'trap \"{trap}\" TERM; touch $DIR/{name}.up; setsid sh -c \"trap \\\"{trap}\\\" TERM; \
             touch $DIR/{name}.left; while :; do sleep 0.02; done\" & exit'\nstartsecs=0\nautorestart=false\n"
        )
    };
    let rows = [("deaf", "", "0.5"), ("heard", "echo told >$DIR/told; exit", "1000")];
    for (name, trap, timeout) in rows {
        let settings = format!("[supervisord]\nwhen_done=poweroff\nshutdown_timeout={timeout}\n");
        let mut daemon = start(&(settings + &program(name, trap)));
        daemon.wait_file("supervisord.log", &format!("exited: {name}"));
        wait_for("what is left", || daemon.folder.path(&format!("{name}.left")).exists().then_some(()));
        let began = std::time::Instant::now();
        kill(daemon.inner(), Signal::SIGTERM).expect("it is there");
        assert_eq!(daemon.wait_end(), OFF);
        if name == "deaf" {
            assert!(began.elapsed() >= std::time::Duration::from_millis(500), "{:?}", began.elapsed());
        } else {
            assert_eq!(daemon.folder.read("told"), "told\n");
        }
    }
}

/// In another than the machine's first PID name space nothing is unmounted or made read-only: that would be the host's.
#[test]
fn k_2_8_mounts_of_another_name_space_are_left_alone() {
    if !is_possible() {
        return;
    }
    // The mount is shared with the test by a bind that is looked at after the end.
    let folder = Folder::new();
    folder.configure(&format!("[supervisord]\nwhen_done=poweroff\n{SLEEPER}"));
    fs::create_dir(folder.path("disk")).expect("a folder");
    let script = "mount -t tmpfs none $DIR/disk && touch $DIR/disk/file && \
                  unshare --pid --fork --kill-child --mount-proc \"$@\"; echo more >$DIR/disk/file && cat $DIR/disk/file";
    let script = folder.fill(script);
    let wrapper = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let mut daemon = Daemon::start_under(folder, &wrapper, &ARGS, |_| {});
    daemon.wait_until_it_answers();
    daemon.wait_state("a", "RUNNING");
    daemon.must("supervisor.shutdown", &[]);
    daemon.wait_end();
    assert!(daemon.folder.read("out").ends_with("more\n"), "{}", daemon.folder.read("out"));
}

/// `supervisorctl shutdown --reboot` and its like are for once, whatever `when_done` says.
#[test]
fn k_2_8_supervisorctl_asks_for_another_end() {
    if !is_possible() {
        return;
    }
    for (when_done, word, expected) in [
        ("when_done=poweroff", "--reboot", REBOOTED),
        ("when_done=reboot", "--poweroff", OFF),
        ("", "--halt", OFF),
        ("when_done=poweroff", "", OFF),
    ] {
        let mut daemon = start(&format!("[supervisord]\n{when_done}\n{SLEEPER}"));
        let words: &[&str] = if word.is_empty() { &["shutdown"] } else { &["shutdown", word] };
        let ctl = daemon.folder.ctl(words);
        assert_eq!((ctl.status, ctl.stdout.as_str()), (0, "Shut down\n"), "{word}");
        assert_eq!(daemon.wait_end(), expected, "{when_done}, {word}");
    }
}

/// Who is not PID 1 has no machine to end, and says so; `when_done` is not looked at.
#[test]
fn k_2_8_only_pid_1_ends_a_machine() {
    if is_original() {
        return;
    }
    let mut daemon = Daemon::start(&format!("[supervisord]\nwhen_done=poweroff\n{SLEEPER}"));
    daemon.wait_state("a", "RUNNING");
    let ctl = daemon.folder.ctl(&["shutdown", "--reboot"]);
    assert_eq!((ctl.status, ctl.stdout.as_str()), (1, "ERROR: FAILED: cannot reboot: supervisord is not PID 1 here\n"));
    assert_eq!(daemon.call("stheno.shutdown", &["kexec".into()]).unwrap_err().0, 2);
    assert_eq!(
        daemon.folder.ctl(&["shutdown", "--kexec"]).stdout,
        "Error: shutdown accepts no arguments\nshutdown \tShut the remote supervisord down.\n"
    );
    assert_eq!(daemon.state("a"), "RUNNING");
    daemon.signal(Signal::SIGINT);
    assert_eq!(daemon.wait_end(), 0);
    assert!(daemon.log_lines("when_done").is_empty());
}

/// Without CAP_SYS_BOOT the end is an exit, and the log says so at the start.
#[test]
fn k_2_8_without_the_capability_it_exits() {
    if !is_possible() {
        return;
    }
    let folder = Folder::new();
    folder.configure(&format!("[supervisord]\nwhen_done=poweroff\n{SLEEPER}"));
    let wrapper = [&PIDS[..], &["setpriv", "--bounding-set", "-sys_boot", "--inh-caps", "-sys_boot"]].concat();
    let mut daemon = Daemon::start_under(folder, &wrapper, &ARGS, |_| {});
    daemon.wait_until_it_answers();
    assert_eq!(daemon.log_lines("when_done=poweroff: the machine is not ours to end").len(), 1);
    kill(daemon.inner(), Signal::SIGTERM).expect("it is there");
    assert_eq!(daemon.wait_end(), 0);
}

/// A file that does not load is no end of PID 1: the command is run, orphans are reaped meanwhile, and when it ends the file is
/// tried again.
#[test]
fn k_2_8_a_file_that_does_not_load_is_rescued() {
    if !is_possible() {
        return;
    }
    let folder = Folder::new();
    folder.write("mend", "#!/bin/sh\n(sleep 0.01 &)\nsed -i s/nonsense=1/x=1/ $DIR/supervisord.conf\nsed -i s/numprocs=many// $DIR/supervisord.conf\n");
    folder.configure(&format!(
        "[supervisord]\nwhen_done=poweroff\nrescue_command=sh $DIR/mend\n{SLEEPER}numprocs=many\n"
    ));
    let mut daemon = Daemon::start_under(folder, &PIDS, &ARGS, |_| {});
    daemon.wait_until_it_answers();
    daemon.wait_state("a", "RUNNING");
    let err = daemon.folder.read("err");
    assert!(err.starts_with("Error: ") && err.contains("'many' in section 'program:a' (file: "), "{err}");
    kill(daemon.inner(), Signal::SIGTERM).expect("it is there");
    assert_eq!(daemon.wait_end(), OFF);
}

/// Without a command it waits, reaping, and still hears Ctrl-Alt-Del, the button, and that it is to try again.
#[test]
fn k_2_8_without_a_rescue_command_it_waits() {
    if !is_possible() {
        return;
    }
    for (signal, expected) in [(Signal::SIGINT, REBOOTED), (Signal::SIGPWR, OFF), (Signal::SIGTERM, REBOOTED)] {
        let folder = Folder::new();
        folder.configure("[supervisord]\nwhen_done=reboot\n[program:a]\n");
        let mut daemon = Daemon::start_under(folder, &PIDS, &ARGS, |_| {});
        let init = daemon.inner();
        daemon.wait_file("err", "command");
        // Held from before the line on, so nothing is lost.
        let orphan = format!("(sleep 0.01 & echo $! >{})", daemon.folder.path("orphan").display());
        let inside = std::process::Command::new("nsenter")
            .args(["-t", &init.to_string(), "-p", "-m", "sh", "-c", &orphan])
            .status();
        assert!(inside.expect("nsenter runs").success());
        wait_for("the orphan to be reaped", || {
            let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children")).ok()?;
            children.trim().is_empty().then_some(())
        });
        kill(init, signal).expect("it is there");
        assert_eq!(daemon.wait_end(), expected, "{signal}");
    }
}

/// Without `when_done`, or elsewhere than as PID 1, an error is the end, as ever.
#[test]
fn k_2_8_errors_end_who_does_not_ask_for_rescue() {
    if !is_possible() {
        return;
    }
    for (wrapper, when_done) in [(&PIDS[..], ""), (&PIDS[..], "when_done=exit\n"), (&[], "when_done=poweroff\n")] {
        let folder = Folder::new();
        folder.configure(&format!("[supervisord]\n{when_done}rescue_command=touch $DIR/rescued\n[program:a]\n"));
        let mut daemon = Daemon::start_under(folder, wrapper, &ARGS, |_| {});
        assert_eq!(daemon.wait_end(), 2);
        assert!(!daemon.folder.path("rescued").exists());
    }
}

/// A board's watchdog: an ordinary file counts the signs of life, of which the first comes with the opening.
const DOG: &str = "[supervisord]\nhw_watchdog=$DIR/dog\nhw_watchdog_timeout=3\n";

/// It is petted every third of its time, no child has it, and it is not stopped at the end unless that is wanted.
#[test]
fn k_2_9_the_watchdog_is_petted_from_the_loop() {
    if is_original() {
        return;
    }
    for (stop, last) in [("", 0), ("hw_watchdog_stop=true\n", b'V')] {
        let folder = Folder::new();
        folder.write("dog", "");
        let holders = "[program:fds]\ncommand=sh -c 'ls -l /proc/self/fd >$DIR/fds; touch $DIR/looked; sleep 1000'\nstartsecs=0\n";
        let began = std::time::Instant::now();
        let mut daemon = Daemon::start_in(folder, &format!("{DOG}{stop}{holders}"));
        // The first at the start, and then one a second at most.
        let signs = wait_for("three signs of life", || {
            let signs = daemon.folder.read("dog").len();
            (signs >= 3).then_some(signs)
        });
        let took = began.elapsed().as_secs_f64();
        assert!(signs as f64 <= took + 1.1, "{signs} in {took}");
        wait_for("the descriptors", || daemon.folder.path("looked").exists().then_some(()));
        assert!(!daemon.folder.read("fds").contains("/dog"));
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.wait_end(), 0);
        assert_eq!(daemon.folder.read("dog").bytes().last(), Some(last));
    }
}

/// It stays open over a restart: what was opened is written to, not what is at its path now.
#[test]
fn k_2_9_the_watchdog_is_kept_over_restarts() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.write("dog", "");
    let mut daemon = Daemon::start_in(folder, &format!("{DOG}{SLEEPER}"));
    fs::rename(daemon.folder.path("dog"), daemon.folder.path("old")).expect("it is there");
    daemon.folder.write("dog", "");
    let before = daemon.folder.read("old").len();
    daemon.signal(Signal::SIGHUP);
    wait_for("the second run", || (daemon.log_lines("supervisord started with pid").len() == 2).then_some(()));
    daemon.wait_until_it_answers();
    wait_for("more signs of life", || (daemon.folder.read("old").len() > before + 1).then_some(()));
    assert_eq!(daemon.folder.read("dog"), "");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
}

/// It is petted no more, for good, once an essential program is FATAL that is not to end the daemon.
#[test]
fn k_2_9_the_watchdog_ends_what_the_daemon_does_not() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.write("dog", "");
    let program = "[program:a]\ncommand=false\nstartsecs=1000\nstartretries=0\nessential=true\non_fatal=ignore\n";
    let mut daemon = Daemon::start_in(folder, &format!("{DOG}hw_watchdog_stop=true\n{program}"));
    daemon.wait_state("a", "FATAL");
    let line = "hw_watchdog: a gave up, so ";
    wait_for("the line", || (daemon.log_lines(line).len() == 1).then_some(()));
    let signs = daemon.folder.read("dog");
    // Longer than the second after which it would be petted again; nothing tells that it was not.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(daemon.state("a"), "FATAL");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.folder.read("dog"), signs);
}

/// One that cannot be opened is a WARN line, and everything goes on; without one, `on_fatal` beside `essential` is an error.
#[test]
fn k_2_9_without_a_watchdog_it_goes_on() {
    if is_original() {
        return;
    }
    let mut daemon = Daemon::start(&format!("{DOG}{SLEEPER}"));
    daemon.wait_state("a", "RUNNING");
    assert_eq!(daemon.log_lines("hw_watchdog: ").len(), 1);
    assert!(daemon.log().contains(" WARN hw_watchdog: "));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    let folder = Folder::new();
    let refused = |text: &str| {
        folder.configure(text);
        let ended = folder.supervisord(&["-n", "-c", "$DIR/supervisord.conf"]);
        (ended.status, ended.stderr)
    };
    let (status, text) = refused("[program:a]\ncommand=x\nessential=true\non_fatal=ignore\n");
    assert_eq!(status, 2);
    assert!(text.contains("on_fatal cannot be used together with essential=true in section 'program:a'"), "{text}");
    let (status, text) = refused("[supervisord]\nhw_watchdog=$DIR/dog\nhw_watchdog_timeout=2\n");
    assert_eq!(status, 2);
    assert!(text.contains("hw_watchdog_timeout: expected seconds, 3 to 86400, not '2'"), "{text}");
}

/// K-2.9: a watchdog that is not there, nor its folder, is a line in the log.
#[test]
fn k_2_9_a_watchdog_that_is_missing_ends_nothing() {
    if crate::daemon::is_original() {
        return;
    }
    for path in ["/nonexist/wd", "/dev/nonexist"] {
        let daemon = Daemon::start(&format!("[supervisord]\nhw_watchdog={path}\n"));
        assert!(daemon.log().contains(&format!("WARN hw_watchdog: {path} cannot be opened")), "{}", daemon.log());
    }
}
