//! Starts and stops that meet what is pending already: a wait, a stop that is to be followed by a start, a change that goes on
//! (O-1, O-2, O-7).

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, is_original, wait_for};

/// A program that stays up.
fn program(name: &str, more: &str) -> String {
    format!("[program:{name}]\ncommand=sleep 1000\nstartsecs=0\n{more}\n")
}

/// A program that stays up, and once told to stop ends when there is a file `go`.
fn slow(name: &str, more: &str) -> String {
    let ends = "while test ! -e go; do sleep 0.02; done; exit 0";
    let script = format!("trap '{ends}' TERM; echo up > %(process_num)d{name}.up; while :; do sleep 0.02; done");
    format!("[program:{name}]\ncommand=sh -c \"{script}\"\nstartsecs=0\ndirectory=%(here)s\n{more}\n")
}

/// Kills a process so that it exits unexpectedly.
fn kill_it(daemon: &Daemon, name: &str) {
    kill(Pid::from_raw(daemon.pid_of(name)), Signal::SIGKILL).unwrap();
}

/// How often a process was started.
fn starts(daemon: &Daemon, name: &str) -> usize {
    daemon.log_lines(&format!("spawned: '{name}'")).len()
}

/// Lets the daemon do whatever it would do next: a program is started after all that.
fn let_it_go_on(daemon: &Daemon) {
    daemon.must("supervisor.startProcess", &["later".into()]);
}

const LATER: &str = "[program:later]\ncommand=sleep 1000\nstartsecs=1\nautostart=false\n";

fn description(daemon: &Daemon, name: &str) -> String {
    daemon.info(name, "description").as_str().unwrap_or_default().to_string()
}

fn wait_description(daemon: &Daemon, name: &str, expected: &str) {
    wait_for(&format!("{name}: {expected}"), || (description(daemon, name) == expected).then_some(()));
}

/// O-1: what was FATAL and is to be started again has not failed, whoever of them is looked at first.
#[test]
fn one_that_waits_again_has_not_failed() {
    if is_original() {
        return;
    }
    let script = "test -e ok || exit 1; echo >&3; exec sleep 1000";
    let z = format!("[program:z]\ncommand=sh -c '{script}'\nready=fd:3\nstartretries=0\ndirectory=%(here)s\n");
    let fatal = "depends_on_failure=fatal";
    let config = [
        z,
        program("f1", &format!("depends_on=z\n{fatal}")),
        program("f2", &format!("depends_on=f1\npriority=1\n{fatal}")),
        program("f3", "depends_on=f2"),
    ];
    for command in [&["start", "all"][..], &["start", "--with-deps", "f3"]] {
        let daemon = Daemon::start(&config.concat());
        daemon.wait_state("f2", "FATAL");
        assert_eq!(daemon.info("f2", "spawnerr").as_str(), Some("Dependency f1 failed"));
        daemon.folder.write("ok", "");
        let started = daemon.folder.ctl(command);
        assert_eq!((started.status, started.stdout.lines().count()), (0, 4), "{}", started.stdout);
        let states = ["z", "f1", "f2", "f3"].map(|name| daemon.state(name));
        assert_eq!(states, ["RUNNING"; 4], "{command:?}");
    }
}

/// O-1: what is asked to run again has not completed, from the moment it is asked: while it waits, and while it has not had its
/// turn.
#[test]
fn one_that_is_to_run_again_has_not_completed() {
    if is_original() {
        return;
    }
    let migrate = |name: &str, more: &str| {
        let script = format!("echo run >> {name}.runs; while test ! -e go; do sleep 0.02; done");
        format!("[program:{name}]\ncommand=sh -c '{script}'\ntype=oneshot\ndirectory=%(here)s\n{more}\n")
    };
    let config = [
        "[program:db]\ncommand=sleep 1000\nstartsecs=1\n".to_string(),
        migrate("late", "depends_on=db"),
        program("after_late", "depends_on=db, late=completed"),
        migrate("soon", ""),
        program("after_soon", "depends_on=soon=completed\npriority=1"),
        program("ended_soon", "depends_on=soon=ended\npriority=1"),
    ];
    let daemon = Daemon::start(&config.concat());
    daemon.folder.write("go", "");
    let dependents = [("after_late", "late"), ("after_soon", "soon"), ("ended_soon", "soon")];
    dependents.iter().for_each(|(name, _)| daemon.wait_state(name, "RUNNING"));
    assert_eq!(daemon.folder.ctl(&["stop", "all"]).status, 0);
    std::fs::remove_file(daemon.folder.path("go")).unwrap();
    daemon.must("supervisor.startAllProcesses", &[false.into()]);
    daemon.wait_file("late.runs", "run\nrun\n");
    for (name, on) in dependents {
        wait_description(&daemon, name, &format!("Waiting for {on} (RUNNING)"));
        assert_eq!(daemon.log_lines(&format!("spawned: '{name}'")).len(), 1, "{name}");
    }
    daemon.folder.write("go", "");
    dependents.iter().for_each(|(name, _)| daemon.wait_state(name, "RUNNING"));
}

/// O-1: a stop by command of one that is being stopped because of what it depends on, to wait again, holds; and one that is
/// being stopped by command is not put into a wait.
#[test]
fn a_stop_holds_for_one_that_was_to_wait() {
    if is_original() {
        return;
    }
    let config = [program("db", "autorestart=true"), slow("s", "depends_on=db\non_dependency_stop=stop"), LATER.into()];
    let stop_s = |daemon: &Daemon| daemon.must("supervisor.stopProcess", &["s".into(), false.into()]);
    for case in ["stop s", "stop all", "stop s before"] {
        let daemon = Daemon::start(&config.concat());
        daemon.wait_file("0s.up", "up");
        if case == "stop s before" {
            stop_s(&daemon);
        }
        kill_it(&daemon, "db");
        daemon.wait_state("s", "STOPPING");
        wait_for("another db", || (starts(&daemon, "db") == 2).then_some(()));
        match case {
            "stop s" => assert_eq!(stop_s(&daemon), Value::Bool(true)),
            "stop all" => {
                let Value::Array(stopped) = daemon.must("supervisor.stopAllProcesses", &[false.into()]) else {
                    panic!()
                };
                let names: Vec<&str> = stopped.iter().filter_map(|one| one.member("name")?.as_str()).collect();
                assert!(names.contains(&"s"), "{names:?}");
            }
            _ => {}
        }
        daemon.folder.write("go", "");
        daemon.wait_state("s", "STOPPED");
        let_it_go_on(&daemon);
        assert_eq!((starts(&daemon, "s"), daemon.state("s").as_str()), (1, "STOPPED"), "{case}");
        assert!(!description(&daemon, "s").starts_with("Waiting"), "{case}");
    }
}

/// O-1: what is stopped by command while its group is stopped to be started again stays down.
#[test]
fn a_stop_holds_while_a_group_is_restarted() {
    if is_original() {
        return;
    }
    let group = "[group:g]\nprograms=m1,m2\non_group_member_exit=restart_group\n".to_string();
    let config = [group, program("m1", ""), slow("m2", ""), LATER.into()];
    for (method, params, starts_of_m1) in [
        ("supervisor.stopProcessGroup", &["g".into(), false.into()][..], 1),
        ("supervisor.stopAllProcesses", &[false.into()], 1),
        ("supervisor.stopProcess", &["g:m2".into(), false.into()], 2),
    ] {
        let daemon = Daemon::start(&config.concat());
        daemon.wait_file("0m2.up", "up");
        kill_it(&daemon, "g:m1");
        daemon.wait_state("g:m2", "STOPPING");
        daemon.must(method, params);
        daemon.folder.write("go", "");
        daemon.wait_state("g:m2", "STOPPED");
        let_it_go_on(&daemon);
        assert_eq!((starts(&daemon, "m1"), starts(&daemon, "m2")), (starts_of_m1, 1), "{method}");
        // The next restart of the group is one of all again.
        daemon.must("supervisor.startProcessGroup", &["g".into()]);
        kill_it(&daemon, "g:m1");
        wait_for("both", || (starts(&daemon, "m2") == 3).then_some(()));
        daemon.wait_state("g:m1", "RUNNING");
    }
}

/// O-1: the restart of a group starts what ran or was about to, and what ended by itself; not what somebody had stopped, nor
/// what was never started.
#[test]
fn the_restart_of_a_group_leaves_down_what_was_down() {
    if is_original() {
        return;
    }
    let config = [
        "[group:g]\nprograms=m1,m2,stopped,never,going,done\non_group_member_exit=restart_group\n".to_string(),
        program("m1", ""),
        program("m2", ""),
        program("stopped", ""),
        program("never", "autostart=false"),
        slow("going", ""),
        "[program:done]\ncommand=true\nstartsecs=0\nautorestart=false\n".to_string(),
        LATER.into(),
    ];
    let daemon = Daemon::start(&config.concat());
    daemon.wait_file("0going.up", "up");
    daemon.wait_state("g:done", "EXITED");
    daemon.must("supervisor.stopProcess", &["g:stopped".into()]);
    daemon.must("supervisor.stopProcess", &["g:going".into(), false.into()]);
    kill_it(&daemon, "g:m1");
    daemon.folder.write("go", "");
    wait_for("the restart", || (starts(&daemon, "m2") == 2).then_some(()));
    wait_for("all of it", || (starts(&daemon, "done") == 2).then_some(()));
    let_it_go_on(&daemon);
    let got = ["m1", "stopped", "never", "going"].map(|name| starts(&daemon, name));
    assert_eq!(got, [2, 1, 0, 1]);
    // Once started by command it is one of them again.
    daemon.must("supervisor.startProcess", &["g:stopped".into()]);
    kill_it(&daemon, "g:m1");
    wait_for("the other", || (starts(&daemon, "stopped") == 3).then_some(()));
}

/// O-7: a rolling restart passes over what somebody stops meanwhile, whether it is being stopped or has not had its turn, and
/// every call is answered.
#[test]
fn a_stop_holds_in_a_rolling_restart() {
    if is_original() {
        return;
    }
    let both = "w:0: not restarted\nw:1: not restarted\n";
    for (method, params, expected, states) in [
        ("supervisor.stopProcessGroup", &["w".into()][..], both, ["STOPPED", "STOPPED"]),
        ("supervisor.stopAllProcesses", &[], both, ["STOPPED", "STOPPED"]),
        ("supervisor.stopProcess", &["w:1".into()], "w:0: restarted\nw:1: not restarted\n", ["RUNNING", "STOPPED"]),
        (
            "supervisor.stopProcess",
            &["w:0".into(), false.into()],
            "w:0: not restarted\nw:1: restarted\n",
            ["STOPPED", "RUNNING"],
        ),
    ] {
        let daemon = Daemon::start(&slow("w", "numprocs=2\nprocess_name=%(process_num)d"));
        ["0w.up", "1w.up"].iter().for_each(|file| drop(daemon.wait_file(file, "up")));
        std::thread::scope(|scope| {
            let rolling = scope.spawn(|| daemon.folder.ctl(&["restart", "--rolling", "w:*"]));
            daemon.wait_state("w:0", "STOPPING");
            let stopping = scope.spawn(|| daemon.must(method, params));
            if params.get(1).is_some() {
                wait_for("the answer", || stopping.is_finished().then_some(()));
            } else {
                daemon.wait_state("w:1", "STOPPING");
            }
            daemon.folder.write("go", "");
            let rolled = rolling.join().unwrap();
            assert_eq!((rolled.status, rolled.stdout.as_str()), (1, expected), "{method}");
            stopping.join().unwrap();
        });
        // It does not wait until what it passes over is down.
        ["w:0", "w:1"].iter().zip(states).for_each(|(name, state)| daemon.wait_state(name, state));
        // Afterwards a stop is one like any other.
        let again = daemon.folder.ctl(&["restart", "--rolling", "w:*"]);
        assert_eq!((again.status, again.stdout.as_str()), (0, "w:0: restarted\nw:1: restarted\n"));
    }
}

/// O-2: `restart --with-dependents` leaves alone what was down and what waits for that, and is answered.
#[test]
fn a_restart_with_dependents_does_not_wait_for_what_waits() {
    if is_original() {
        return;
    }
    let config = [
        program("db", ""),
        program("off", "depends_on=db\nautostart=false"),
        program("waits", "depends_on=off"),
        program("web", "depends_on=db"),
    ];
    let daemon = Daemon::start(&config.concat());
    daemon.wait_state("web", "RUNNING");
    wait_description(&daemon, "waits", "Waiting for off (STOPPED)");
    let restarted = daemon.folder.ctl(&["restart", "--with-dependents", "db"]);
    assert_eq!(
        (restarted.status, restarted.stdout.as_str()),
        (0, "web: stopped\ndb: stopped\ndb: started\nweb: started\n")
    );
    assert_eq!(description(&daemon, "waits"), "Waiting for off (STOPPED)");
    let stopped = daemon.folder.ctl(&["stop", "--with-dependents", "db"]);
    assert_eq!((stopped.status, stopped.stdout.lines().count()), (0, 3), "{}", stopped.stdout);
    assert_eq!(description(&daemon, "waits"), "Not started");
}

/// O-2: who was up without something that it depends on is up again without it, behind what else it depends on, and the command
/// ends.
#[test]
fn a_restart_with_dependents_asks_for_no_more_than_there_was() {
    if is_original() {
        return;
    }
    let script = "trap 'exit 0' TERM; sleep 0.3; echo up > db.up; while :; do sleep 0.02; done";
    let config = [
        format!(
            "[program:db]\ncommand=sh -c \"{script}\"\ndirectory=%(here)s\nready=command:test -f db.up\nready_interval=0.1\nstartsecs=0\n\
             post_stop_hook=rm -f db.up\n"
        ),
        program("off", "autostart=false"),
        program("web", "depends_on=db=ready, off\nautostart=false"),
        program("above", "depends_on=web\nautostart=false"),
    ];
    let daemon = Daemon::start(&config.concat());
    daemon.wait_state("db", "RUNNING");
    for name in ["web", "above"] {
        daemon.must("supervisor.startProcess", &[name.into()]);
    }
    let restarted = daemon.folder.ctl(&["restart", "--with-dependents", "db"]);
    assert_eq!(
        (restarted.status, restarted.stdout.as_str()),
        (0, "above: stopped\nweb: stopped\ndb: stopped\ndb: started\nweb: started\nabove: started\n")
    );
    let log = daemon.log();
    let last = |text: &str| log.rfind(text).unwrap_or_else(|| panic!("{text}: {log}"));
    assert!(last("success: db") < last("spawned: 'web'") && last("success: web") < last("spawned: 'above'"), "{log}");
    // That was for once.
    daemon.must("supervisor.stopProcess", &["web".into()]);
    let names = Value::Array(vec!["web".into()]);
    daemon.must("stheno.startInOrder", &[names, Value::Bool(false)]);
    wait_description(&daemon, "web", "Waiting for off (STOPPED)");
}

/// O-7, O-1: more processes of a program need what they depend on to be there; with those it goes, whichever are added first.
#[test]
fn more_processes_need_what_they_depend_on() {
    if is_original() {
        return;
    }
    let numbered =
        |name: &str, more: &str| program(name, &format!("numprocs=2\nprocess_name={name}_%(process_num)d\n{more}"));
    let pairs = [numbered("db", ""), numbered("web", "depends_on=db:db_%(process_num)d")].concat();
    let daemon = Daemon::start(&format!("[stheno]\nmutation=true\n{pairs}"));
    daemon.wait_state("web:web_1", "RUNNING");
    let set = |name: &'static str, number: i64| daemon.call("stheno.setNumprocs", &[name.into(), Value::Int(number)]);
    let refused = set("web", 3).unwrap_err();
    let text = "INCORRECT_PARAMETERS: depends_on names 'db:db_2', which is no program or group";
    assert_eq!((refused.0, refused.1.as_str()), (2, text));
    assert_eq!(daemon.state("web:web_1"), "RUNNING", "nothing was changed");
    set("db", 3).expect("it depends on nothing");
    set("web", 3).expect("what it depends on is there");
    daemon.wait_state("web:web_2", "RUNNING");
    // What is there already goes on waiting for what is gone; what would come is refused.
    set("db", 1).expect("a removal is never refused");
    assert_eq!(daemon.state("web:web_2"), "RUNNING");
    assert!(set("web", 4).unwrap_err().1.contains("'db:db_3'"));
    let rows =
        [(-1, 3, "BAD_ARGUMENTS"), (100_001, 2, "numprocs: 100001 are more than 1000 beyond the 3 that there are")];
    for (number, code, part) in rows {
        let refused = set("web", number).unwrap_err();
        assert!(refused.0 == code && refused.1.contains(part), "{number}: {refused:?}");
    }
}

/// O-1: an update that changes only what a group depends on restarts nobody; who waits is looked at anew, by the new items.
#[test]
fn what_a_group_depends_on_changes_in_passing() {
    if is_original() {
        return;
    }
    let config = |items: &str| {
        let group = format!("[group:g]\nprograms=web,other\ndepends_on={items}\n");
        let off = program("off", "autostart=false");
        [program("db", ""), off, program("web", ""), program("other", "depends_on=web"), group].concat()
    };
    let daemon = Daemon::start(&config("off"));
    wait_description(&daemon, "g:web", "Waiting for off (STOPPED)");
    let update = |items: &str| {
        daemon.folder.configure(&config(items));
        let update = daemon.folder.ctl(&["update", "--minimal"]);
        assert_eq!(update.status, 0, "{update:?}");
    };
    update("db");
    daemon.wait_state("g:other", "RUNNING");
    let pids = ["g:web", "g:other"].map(|name| daemon.pid_of(name));
    update("off, db=spawned");
    assert_eq!(["g:web", "g:other"].map(|name| daemon.pid_of(name)), pids);
    daemon.must("supervisor.stopProcess", &["g:web".into()]);
    daemon.must("supervisor.startProcessGroup", &["g".into(), Value::Bool(false)]);
    wait_description(&daemon, "g:web", "Waiting for off (STOPPED)");
    assert_eq!(
        daemon.folder.ctl(&["deps", "g:web"]).stdout,
        "g:web waiting\n  off=running STOPPED\n  db=spawned RUNNING\n"
    );
}

/// O-1: a call is answered for those that wait for what cannot come by itself, however far below; they go on waiting.
#[test]
fn a_start_in_vain_is_answered() {
    if is_original() {
        return;
    }
    let config = [
        "[program:m]\ncommand=sh -c 'test -e go'\ntype=oneshot\nstartretries=0\ndirectory=%(here)s\n".to_string(),
        program("w", "depends_on=m=completed"),
        program("above", "depends_on=w"),
        program("down", "autostart=false"),
        program("b", "depends_on=down\nautostart=false"),
        program("c", "depends_on=slow\nautostart=false"),
        "[program:slow]\ncommand=sleep 1000\nstartsecs=3\nautostart=false\n".to_string(),
    ];
    let daemon = Daemon::start(&config.concat());
    daemon.wait_state("m", "FATAL");
    let start = |names: &[&'static str]| {
        let names = names.iter().map(|name| Value::from(*name)).collect();
        let Value::Array(results) = daemon.must("stheno.startInOrder", &[Value::Array(names)]) else { panic!() };
        let of = |result: &Value, member: &str| result.member(member).and_then(Value::as_str).unwrap_or("").to_string();
        let mut told: Vec<_> = results.iter().map(|result| of(result, "description")).collect();
        told.sort();
        told
    };
    let fault = |text: &str| format!("ABNORMAL_TERMINATION: {text}");
    let told = ["above: waiting for w (STOPPED)", "m", "w: waiting for m (FATAL)"].map(fault);
    assert_eq!(start(&["m", "w", "above"]), told);
    assert_eq!(start(&["b"]), [fault("b: waiting for down (STOPPED)")]);
    assert_eq!(start(&["c", "slow"]), ["OK", "OK"], "what is under way is waited for");
    daemon.folder.write("go", "");
    daemon.must("supervisor.startProcess", &["m".into()]);
    daemon.wait_state("above", "RUNNING");
}
