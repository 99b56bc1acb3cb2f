//! Programs that wait for each other, and stop in order (O-1, O-2, O-7, O-8). Supervisor knows nothing of it: with a file
//! like these it starts everything at once.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, is_original, millis_of, wait_for};

/// A program that stays up.
fn program(name: &str, more: &str) -> String {
    format!("[program:{name}]\ncommand=sleep 1000\nstartsecs=0\n{more}\n")
}

/// A program that stays up and tells of its stop in `order`, where it is named. It is RUNNING once it would.
fn tells(name: &str, more: &str) -> String {
    let script = format!("trap 'echo {name} >> order; exit 0' TERM; echo >&3; while :; do sleep 0.02; done");
    format!("[program:{name}]\ncommand=sh -c \"{script}\"\nready=fd:3\ndirectory=%(here)s\n{more}\n")
}

fn description(daemon: &Daemon, name: &str) -> String {
    daemon.info(name, "description").as_str().unwrap_or_default().to_string()
}

fn wait_description(daemon: &Daemon, name: &str, expected: &str) {
    wait_for(&format!("{name}: {expected}"), || (description(daemon, name) == expected).then_some(()));
}

fn start(daemon: &Daemon, name: &'static str) {
    daemon.must("supervisor.startProcess", &[name.into()]);
}

fn stop(daemon: &Daemon, name: &'static str) {
    daemon.must("supervisor.stopProcess", &[name.into()]);
}

/// O-1: it waits as STOPPED without an event, the description and one line say for what, and it starts when that is there.
#[test]
fn a_program_waits_for_what_it_depends_on() {
    if is_original() {
        return;
    }
    let daemon =
        Daemon::start(&[program("web", "depends_on=db\npriority=1"), program("db", "autostart=false")].concat());
    wait_description(&daemon, "web", "Waiting for db (STOPPED)");
    assert_eq!(daemon.state("web"), "STOPPED");
    assert_eq!(daemon.log_lines("waiting: "), ["waiting: web for db"]);
    let check = daemon.folder.ctl(&["check"]);
    assert_eq!((check.status, check.stdout.as_str()), (1, "FAILED: web waiting for db\n"));
    start(&daemon, "db");
    daemon.wait_state("web", "RUNNING");
    assert_eq!(daemon.log_lines("waiting: ").len(), 1, "it is said once");
}

/// O-1: a start by name is now, and ends the wait; a stop of one that waits ends it, and a second finds it stopped.
#[test]
fn commands_end_a_wait() {
    if is_original() {
        return;
    }
    let config = [program("web", "depends_on=db"), program("two", "depends_on=db"), program("db", "autostart=false")];
    let daemon = Daemon::start(&config.concat());
    wait_description(&daemon, "web", "Waiting for db (STOPPED)");
    start(&daemon, "web");
    assert_eq!((daemon.state("web").as_str(), daemon.state("db").as_str()), ("RUNNING", "STOPPED"));
    wait_description(&daemon, "two", "Waiting for db (STOPPED)");
    let stopped = daemon.folder.ctl(&["stop", "two"]);
    assert_eq!((stopped.status, stopped.stdout.as_str()), (0, "two: stopped\n"));
    assert_eq!(description(&daemon, "two"), "Not started");
    let again = daemon.folder.ctl(&["stop", "two"]);
    assert_eq!(again.stdout, "two: ERROR (not running)\n");
    start(&daemon, "db");
    daemon.wait_state("db", "RUNNING");
    assert_eq!(daemon.state("two"), "STOPPED", "its wait is over");
}

/// O-1: a call about several waits too, and answers when all are up; a wait that fails is ABNORMAL_TERMINATION.
#[test]
fn start_all_waits_and_tells_what_came_of_it() {
    if is_original() {
        return;
    }
    let config = [
        program("web", "depends_on=db\nautostart=false"),
        program("db", "autostart=false"),
        program("late", "depends_on=never\nautostart=false\ndepends_on_timeout=0.3"),
        "[program:never]\ncommand=sleep 1000\nstartsecs=1000\nautostart=false\n".to_string(),
    ];
    let daemon = Daemon::start(&config.concat());
    let started = daemon.must("stheno.startInOrder", &[Value::Array(vec!["web".into(), "db".into(), "late".into()])]);
    let Value::Array(results) = started else { panic!("{started:?}") };
    let of = |name: &str| {
        let found = results.iter().find(|result| result.member("name").and_then(Value::as_str) == Some(name));
        found.and_then(|result| result.member("status").cloned())
    };
    assert_eq!((of("web"), of("db"), of("late")), (Some(Value::Int(80)), Some(Value::Int(80)), Some(Value::Int(40))));
    assert_eq!(daemon.state("late"), "FATAL");
    let spawnerr = daemon.info("late", "spawnerr");
    assert_eq!(spawnerr.as_str(), Some("Dependencies not met within 0.3 seconds: never (STOPPED)"));
}

/// O-1: a failed dependency is waited for by default, and by `fatal` it is the end, which goes up the chain.
#[test]
fn a_failure_goes_up_the_chain_where_that_is_asked_for() {
    if is_original() {
        return;
    }
    let migrate = "[program:migrate]\ncommand=sh -c 'exit 2'\nstartsecs=0\nautorestart=false\n";
    let fatal = "depends_on_failure=fatal";
    let config = [
        migrate.to_string(),
        program("web", &format!("depends_on=migrate=completed\n{fatal}")),
        program("top", &format!("depends_on=web\n{fatal}")),
        program("calm", "depends_on=migrate=completed"),
        program("ended", "depends_on=migrate=ended"),
    ];
    let daemon = Daemon::start(&config.concat());
    for (name, failed) in [("web", "migrate"), ("top", "web")] {
        daemon.wait_state(name, "FATAL");
        assert_eq!(daemon.info(name, "spawnerr").as_str(), Some(format!("Dependency {failed} failed").as_str()));
    }
    wait_description(&daemon, "calm", "Waiting for migrate (EXITED)");
    daemon.wait_state("ended", "RUNNING");
}

/// O-1: BACKOFF is no failure, not even with `fatal`.
#[test]
fn a_dependency_that_is_tried_again_is_waited_for() {
    if is_original() {
        return;
    }
    let script = "if test -e once; then exec sleep 1000; fi; touch once; exit 1";
    let db = format!("[program:db]\ncommand=sh -c '{script}'\nstartsecs=1\ndirectory=%(here)s\n");
    let daemon = Daemon::start(&[db, program("web", "depends_on=db\ndepends_on_failure=fatal")].concat());
    daemon.wait_state("web", "RUNNING");
    assert_eq!(daemon.log_lines("entered FATAL"), [""; 0]);
}

/// O-1, `on_dependency_stop`: the default is to do nothing; `stop` takes down what is above first and waits again;
/// `restart` restarts once when it is back.
#[test]
fn what_the_stop_of_a_dependency_does() {
    if is_original() {
        return;
    }
    let config = [
        program("db", ""),
        program("calm", "depends_on=db"),
        program("web", "depends_on=db\non_dependency_stop=stop"),
        program("top", "depends_on=web\non_dependency_stop=stop"),
        program("again", "depends_on=db\non_dependency_stop=restart"),
    ];
    let daemon = Daemon::start(&config.concat());
    for name in ["calm", "top", "again"] {
        daemon.wait_state(name, "RUNNING");
    }
    let (calm, again) = (daemon.pid_of("calm"), daemon.pid_of("again"));
    stop(&daemon, "db");
    wait_description(&daemon, "web", "Waiting for db (STOPPED)");
    wait_description(&daemon, "top", "Waiting for web (STOPPED)");
    let stopped: Vec<String> = daemon.log_lines("stopped: ").iter().map(|l| l[9..12].to_string()).collect();
    let place = |name: &str| stopped.iter().position(|other| other == name);
    assert!(place("top") < place("web"), "{stopped:?}");
    assert_eq!((daemon.pid_of("calm"), daemon.pid_of("again")), (calm, again), "they are left alone");
    start(&daemon, "db");
    daemon.wait_state("top", "RUNNING");
    wait_for("another run", || (![again, 0].contains(&daemon.pid_of("again"))).then_some(()));
    daemon.wait_state("again", "RUNNING");
    assert_eq!(daemon.log_lines("spawned: 'again'").len(), 2, "once");
    assert_eq!(daemon.pid_of("calm"), calm);
}

/// O-1: `restart --only` fires nothing; `restart` of a dependency does.
#[test]
fn restart_only_lets_nobody_notice() {
    if is_original() {
        return;
    }
    let daemon =
        Daemon::start(&[program("db", ""), program("web", "depends_on=db\non_dependency_stop=restart")].concat());
    daemon.wait_state("web", "RUNNING");
    let web = daemon.pid_of("web");
    let only = daemon.folder.ctl(&["restart", "--only", "db"]);
    assert_eq!((only.status, only.stdout.as_str()), (0, "db: stopped\ndb: started\n"));
    assert_eq!(daemon.folder.ctl(&["restart", "db"]).status, 0);
    wait_for("another run", || (![web, 0].contains(&daemon.pid_of("web"))).then_some(()));
    daemon.wait_state("web", "RUNNING");
    assert_eq!(daemon.log_lines("spawned: 'web'").len(), 2, "for the second restart alone");
}

/// O-9, a flap within a second: a dependency that comes and goes is acted on once.
#[test]
fn a_dependency_that_flaps_counts_once() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        &[program("db", "restart_limit=100/1"), program("web", "depends_on=db\non_dependency_stop=restart")].concat(),
    );
    daemon.wait_state("web", "RUNNING");
    for _ in 0..3 {
        let pid = daemon.pid_of("db");
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        wait_for("another run of db", || (![pid, 0].contains(&daemon.pid_of("db"))).then_some(()));
        daemon.wait_state("db", "RUNNING");
    }
    wait_for("the restart", || (daemon.log_lines("spawned: 'web'").len() > 1).then_some(()));
    daemon.wait_state("web", "RUNNING");
    // It is waited for until nothing has gone for a second, which a busy machine may take between two of them.
    let log = daemon.log();
    let when = |text: &str| log.lines().filter(|line| line.contains(text)).map(millis_of).collect::<Vec<i64>>();
    let (gone, acted) = (when("exited: db"), when("restarting: web, because what it depends on is back"));
    let is_late = |acted: &i64| gone.iter().filter(|gone| *gone <= acted).all(|gone| acted - gone >= 1000);
    assert!(!acted.is_empty() && acted.iter().all(is_late), "{log}");
    assert!(acted.len() == 1 || gone[2] - gone[0] >= 1000, "{log}");
}

/// O-1, `on_group_member_exit`: the others are stopped, then all are started; or all are stopped.
#[test]
fn a_group_goes_down_together() {
    if is_original() {
        return;
    }
    let config = [
        "[group:g]\nprograms=a,b\non_group_member_exit=restart_group\n".to_string(),
        program("a", ""),
        program("b", ""),
        "[group:h]\nprograms=c,d\non_group_member_exit=stop_group\n".to_string(),
        program("c", ""),
        program("d", ""),
    ];
    let daemon = Daemon::start(&config.concat());
    for name in ["g:a", "g:b", "h:c", "h:d"] {
        daemon.wait_state(name, "RUNNING");
    }
    let b = daemon.pid_of("g:b");
    for name in ["g:a", "h:c"] {
        kill(Pid::from_raw(daemon.pid_of(name)), Signal::SIGKILL).unwrap();
    }
    wait_for("another b", || (![b, 0].contains(&daemon.pid_of("g:b"))).then_some(()));
    daemon.wait_state("g:a", "RUNNING");
    daemon.wait_state("h:d", "STOPPED");
    assert_eq!(daemon.state("h:c"), "EXITED", "it is not started again either");
}

/// O-2: the end and `stop all` tell a process when all that depend on it are stopped, whatever the priorities.
#[test]
fn everything_stops_in_order() {
    if is_original() {
        return;
    }
    let config = [
        tells("db", "priority=900"),
        tells("cache", "depends_on=db\npriority=800"),
        tells("web", "depends_on=cache, db\npriority=100"),
        tells("side", "priority=950"),
    ];
    let up = |daemon: &Daemon| {
        for name in ["db", "cache", "web", "side"] {
            daemon.wait_state(name, "RUNNING");
        }
    };
    let mut daemon = Daemon::start(&config.concat());
    up(&daemon);
    let all = daemon.folder.ctl(&["stop", "all"]);
    assert_eq!(all.status, 0, "{}", all.stdout);
    let told = daemon.folder.read("order");
    let in_order = |told: &str| told.lines().filter(|line| *line != "side").map(str::to_string).collect::<Vec<_>>();
    assert_eq!(in_order(&told), ["web", "cache", "db"]);
    daemon.folder.write("order", "");
    daemon.folder.ctl(&["start", "all"]);
    up(&daemon);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.folder.read("order"), "side\nweb\ncache\ndb\n", "side is free, and of the highest priority");
}

/// O-2: `stop --with-dependents` takes down what depends on it first, `restart` brings it up again.
#[test]
fn stop_and_restart_with_dependents() {
    if is_original() {
        return;
    }
    let config = [program("db", ""), program("web", "depends_on=db"), program("other", "")];
    let daemon = Daemon::start(&config.concat());
    ["web", "other"].iter().for_each(|name| daemon.wait_state(name, "RUNNING"));
    let restarted = daemon.folder.ctl(&["restart", "--with-dependents", "db"]);
    assert_eq!(
        (restarted.status, restarted.stdout.as_str()),
        (0, "web: stopped\ndb: stopped\ndb: started\nweb: started\n")
    );
    let stopped = daemon.folder.ctl(&["stop", "--with-dependents", "db"]);
    assert_eq!((stopped.status, stopped.stdout.as_str()), (0, "web: stopped\ndb: stopped\n"));
    assert_eq!(daemon.state("other"), "RUNNING");
    let started = daemon.folder.ctl(&["start", "--with-deps", "web"]);
    assert_eq!((started.status, started.stdout.as_str()), (0, "db: started\nweb: started\n"));
}

/// O-9: waiting, and the whole ends or begins anew; process-compose#280: a chain of waits does not hang a shutdown.
#[test]
fn waits_end_silently() {
    if is_original() {
        return;
    }
    let chain: String = (1..30).map(|n| program(&format!("p{n}"), &format!("depends_on=p{}", n - 1))).collect();
    let config = format!("{}{chain}", program("p0", "autostart=false"));
    let mut daemon = Daemon::start(&config);
    wait_description(&daemon, "p29", "Waiting for p28 (STOPPED)");
    daemon.signal(Signal::SIGHUP);
    wait_for("another start", || (daemon.log_lines("supervisord started").len() == 2).then_some(()));
    wait_description(&daemon, "p29", "Waiting for p28 (STOPPED)");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.log_lines("entered FATAL"), [""; 0]);
}

/// O-1: errors of a file keep it from being read; nothing changes.
#[test]
fn circles_and_unknown_names_are_refused() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&[program("a", "depends_on=b"), program("b", "")].concat());
    daemon.wait_state("a", "RUNNING");
    let rows = [
        ("b", "a", "depends_on goes in a circle: a -> b -> a"),
        ("b", "c", "depends_on names 'c', which is no program or group in section 'program:b'"),
        ("b", "b", "depends_on goes in a circle: b -> b"),
        ("b", "a=done", "completed (it succeeded) or ended"),
    ];
    for (name, on, expected) in rows {
        daemon.folder.configure(&[program("a", "depends_on=b"), program(name, &format!("depends_on={on}"))].concat());
        let refused = daemon.call("supervisor.reloadConfig", &[]).unwrap_err();
        assert!(refused.0 == 92 && refused.1.contains(expected), "{on}: {refused:?}");
    }
    assert_eq!(daemon.state("a"), "RUNNING");
}

/// O-7: names of additions are resolved when they are added; a removal is never refused, and dependents wait for it.
#[test]
fn at_run_time_names_count_when_they_are_added() {
    if is_original() {
        return;
    }
    let twiddler = "[rpcinterface:twiddler]\nsupervisor.rpcinterface_factory=\
                    supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface\n[group:g]\nprograms=b\n";
    let daemon = Daemon::start(&[program("db", ""), program("b", ""), twiddler.to_string()].concat());
    daemon.wait_state("db", "RUNNING");
    let add = |name: &'static str, on: &'static str| {
        let options = [("command", "sleep 1000"), ("startsecs", "0"), ("depends_on", on)];
        let options = options.into_iter().map(|(key, value)| (key.into(), Value::from(value))).collect();
        daemon.call("twiddler.addProgramToGroup", &["g".into(), name.into(), Value::Struct(options)])
    };
    assert_eq!(add("x", "db"), Ok(Value::Bool(true)));
    daemon.wait_state("g:x", "RUNNING");
    for (on, expected) in [("nope", "depends_on names 'nope'"), ("y", "depends_on goes in a circle: g:y -> g:y")] {
        let refused = add("y", on).unwrap_err();
        assert!(refused.0 == 2 && refused.1.contains(expected), "{refused:?}");
    }
    stop(&daemon, "db");
    daemon.must("supervisor.removeProcessGroup", &["db".into()]);
    stop(&daemon, "g:x");
    daemon.must("supervisor.startProcessGroup", &["g".into(), Value::Bool(false)]);
    wait_description(&daemon, "g:x", "Waiting for db (removed)");
    daemon.must("supervisor.addProcessGroup", &["db".into()]);
    daemon.wait_state("g:x", "RUNNING");
}

/// O-7: a smaller number of processes is not refused either, not even at the next start of the daemon; `deps` has a line for
/// what is gone.
#[test]
fn fewer_processes_are_not_refused() {
    if is_original() {
        return;
    }
    let stheno = "[stheno]\nmutation=true\ndynamic_conf=%(here)s/dynamic.conf\n".to_string();
    let db = program("db", "numprocs=2\nprocess_name=db_%(process_num)d");
    let daemon = Daemon::start(&[db, program("web", "depends_on=db:db_1"), stheno].concat());
    daemon.wait_state("web", "RUNNING");
    let set = |number: i64| daemon.must("stheno.setNumprocs", &["db".into(), Value::Int(number)]);
    set(1);
    set(0);
    daemon.must("supervisor.reloadConfig", &[]);
    daemon.signal(Signal::SIGHUP);
    wait_for("another start", || (daemon.log_lines("supervisord started").len() == 2).then_some(()));
    wait_description(&daemon, "web", "Waiting for db:db_1 (removed)");
    assert_eq!(daemon.folder.ctl(&["deps"]).stdout, "web waiting\n  db:db_1=running removed\n");
    set(2);
    daemon.wait_state("web", "RUNNING");
}

/// O-1: what an update changes for one that waits holds at once, and a program that was added without autostart is down, not
/// disabled.
#[test]
fn an_update_is_looked_at_by_those_that_wait() {
    if is_original() {
        return;
    }
    let stheno = "[stheno]\nmutation=true\n".to_string();
    let config = |more: &str| {
        let web = program("web", &format!("depends_on=off\n{more}"));
        [program("off", "autostart=false"), web, stheno.clone()].concat()
    };
    let daemon = Daemon::start(&config(""));
    wait_description(&daemon, "web", "Waiting for off (STOPPED)");
    daemon.folder.configure(&config("depends_on_timeout=0.2"));
    daemon.folder.ctl(&["update", "--minimal"]);
    daemon.wait_state("web", "FATAL");
    let options = |more: &[(&'static str, &'static str)]| {
        let options = [("command", "sleep 1000"), ("startsecs", "0")].iter().chain(more);
        Value::Struct(options.map(|(key, value)| ((*key).into(), Value::from(*value))).collect())
    };
    let add = |name: &'static str, more| {
        daemon.must("stheno.addProgram", &["off".into(), name.into(), options(more)]);
    };
    add("x", &[("autostart", "false")]);
    add("y", &[("depends_on", "off:x")]);
    wait_description(&daemon, "off:y", "Waiting for off:x (STOPPED)");
}

/// O-7: a delayed first start waits like for a dependency, and a start by command does not.
#[test]
fn first_starts_can_be_delayed() {
    if is_original() {
        return;
    }
    let stagger = "start_stagger=0.2\nnumprocs=3\nprocess_name=%(process_num)d";
    let daemon = Daemon::start(&[program("late", "startdelay=1000"), program("s", stagger)].concat());
    wait_description(&daemon, "late", "Waiting 1000 s before the first start");
    daemon.wait_state("s:2", "RUNNING");
    let spawned: Vec<String> = daemon.log_lines("spawned: ").iter().map(|line| line[9..12].to_string()).collect();
    assert_eq!(spawned, ["'0'", "'1'", "'2'"]);
    let told = ["waiting: late for 1000 s", "waiting: s:1 for 0.2 s", "waiting: s:2 for 0.4 s"];
    assert_eq!(daemon.log_lines("waiting: "), told);
    start(&daemon, "late");
    assert_eq!(daemon.state("late"), "RUNNING");
}

/// O-8: what depends on what is shown, in which order it stops, and two more lines for each process.
#[test]
fn the_graph_is_shown() {
    if is_original() {
        return;
    }
    let config =
        [program("db", "autostart=false"), program("web", "depends_on=db=ready"), program("top", "depends_on=web")];
    let daemon = Daemon::start(&config.concat());
    wait_description(&daemon, "top", "Waiting for web (STOPPED)");
    let deps = daemon.folder.ctl(&["deps"]);
    assert_eq!((deps.status, deps.stdout.as_str()), (0, "top waiting\n  web=running waiting\n    db=ready STOPPED\n"));
    let stops = daemon.folder.ctl(&["deps", "--stop"]);
    assert_eq!((stops.status, stops.stdout.as_str()), (0, "1: top\n2: web\n3: db\n"));
    let stops = daemon.folder.ctl(&["deps", "--stop", "web", "nope"]);
    assert_eq!((stops.status, stops.stdout.as_str()), (1, "nope: ERROR (no such process)\n1: top\n2: web\n"));
    let verbose = daemon.folder.ctl(&["status", "--verbose", "web"]);
    let lines: Vec<&str> = verbose.stdout.lines().skip(1).collect();
    assert_eq!(lines, ["    not ready, health unknown, restarts 0", "    depends on db=ready; waits for db (STOPPED)"]);
    let graph = daemon.must("stheno.getGraph", &[]);
    let tiers = Value::Array(["db", "web", "top"].map(|name| Value::Array(vec![name.into()])).to_vec());
    assert_eq!(graph.member("tiers"), Some(&tiers));
    assert_eq!(daemon.folder.ctl(&["deps", "nope"]).stdout, "nope: ERROR (no such process)\n");
}

/// O-7: some at a time, by `ready`; it ends at the first that does not get there, and says who was not touched.
#[test]
fn a_rolling_restart_ends_at_the_first_that_fails() {
    if is_original() {
        return;
    }
    let script = "test -e bad && exit 1; echo >&3; exec sleep 1000";
    let config = format!(
        "[program:w]\ncommand=sh -c '{script}'\nnumprocs=3\nprocess_name=%(process_num)d\nready=fd:3\n\
         startretries=0\ndirectory=%(here)s\n"
    );
    let daemon = Daemon::start(&config);
    for name in ["w:0", "w:1", "w:2"] {
        daemon.wait_state(name, "RUNNING");
    }
    let rolled = daemon.folder.ctl(&["restart", "--rolling", "--max-unavailable=2", "w:*"]);
    assert_eq!((rolled.status, rolled.stdout.lines().count()), (0, 3), "{}", rolled.stdout);
    daemon.folder.write("bad", "");
    let rolled = daemon.folder.ctl(&["restart", "--rolling", "w:*"]);
    let expected = "w:0: ERROR (spawn error)\nw:1: not restarted\nw:2: not restarted\n";
    assert_eq!((rolled.status, rolled.stdout.as_str()), (1, expected));
    let states = ["w:0", "w:1", "w:2"].map(|name| daemon.state(name));
    assert_eq!(states, ["FATAL", "RUNNING", "RUNNING"]);
}

/// O-7: `disable` stops nothing and is kept; dependents say so.
#[test]
fn disabled_programs_stay_down_at_the_next_start() {
    if is_original() {
        return;
    }
    let plain = Daemon::start(&program("x", ""));
    let refused = plain.folder.ctl(&["disable", "x"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (1, "x: ERROR (no dynamic_conf is configured)\n"));
    drop(plain);
    let stheno = "[stheno]\ndynamic_conf=%(here)s/dynamic.conf\n".to_string();
    let daemon = Daemon::start(&[program("x", ""), program("web", "depends_on=x"), stheno].concat());
    daemon.wait_state("web", "RUNNING");
    assert_eq!(daemon.folder.ctl(&["disable", "x"]).stdout, "x: disabled\n");
    assert_eq!(daemon.state("x"), "RUNNING");
    daemon.signal(Signal::SIGHUP);
    wait_for("another start", || (daemon.log_lines("supervisord started").len() == 2).then_some(()));
    wait_description(&daemon, "web", "Waiting for x (disabled)");
    assert_eq!(daemon.folder.ctl(&["enable", "x"]).stdout, "x: enabled\n");
    assert_eq!(daemon.state("x"), "STOPPED", "enabling starts nothing");
    // What the file says holds again, also when it says something else one day.
    assert!(!daemon.folder.read("dynamic.conf").contains("autostart"), "{}", daemon.folder.read("dynamic.conf"));
    assert_eq!(daemon.folder.ctl(&["enable", "--now", "x"]).stdout, "x: enabled\nx: started\n");
    daemon.wait_state("web", "RUNNING");
}

/// O-1: the options of supervisord-dependent-startup start programs like that listener if the daemon is asked to; else
/// they mean nothing.
#[test]
fn dependent_startup_starts_what_waits_once() {
    if is_original() {
        return;
    }
    let waits = "autostart=false\ndependent_startup=true\ndependent_startup_wait_for=a:running b:exited,fatal";
    let b = "[program:b]\ncommand=sh -c 'exit 0'\nstartsecs=0\nautorestart=false\n".to_string();
    let config = [program("a", ""), program("x", waits), b];
    let late = program("late", "autostart=false\ndependent_startup=true\ndependent_startup_wait_for=never a:fatal");
    let never = program("never", "autostart=false");
    let asked = Daemon::start(&format!("[supervisord]\ndependent_startup=true\n{late}{never}{}", config.concat()));
    asked.wait_state("a", "RUNNING");
    wait_description(&asked, "late", "Waiting for never (STOPPED), a:fatal (RUNNING)");
    let deps = "late waiting\n  never=once:running STOPPED\n  a=once:fatal RUNNING\n";
    assert_eq!(asked.folder.ctl(&["deps", "late"]).stdout, deps);
    asked.wait_state("x", "RUNNING");
    stop(&asked, "x");
    kill(Pid::from_raw(asked.pid_of("a")), Signal::SIGKILL).unwrap();
    wait_for("another run of a", || (asked.log_lines("success: a").len() == 2).then_some(()));
    assert_eq!(asked.state("x"), "STOPPED", "only the first start is its business");
    let unasked = Daemon::start(&config.concat());
    unasked.wait_state("b", "EXITED");
    assert_eq!((unasked.state("x"), description(&unasked, "x")), ("STOPPED".to_string(), "Not started".to_string()));
}

/// O-1: a group without programs is a name like any other; who depends on it waits until it has some.
#[test]
fn an_empty_group_is_waited_for() {
    if is_original() {
        return;
    }
    let loader = "[rpcinterface:twiddler]\n\
                  supervisor.rpcinterface_factory=supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface\n";
    let daemon = Daemon::start(&format!("{}[group:later]\nprograms=\n{loader}", program("web", "depends_on=later")));
    wait_description(&daemon, "web", "Waiting for later (empty)");
    let options = vec![("command".into(), "sleep 1000".into()), ("startsecs".into(), "0".into())];
    daemon.must("twiddler.addProgramToGroup", &["later".into(), "one".into(), Value::Struct(options)]);
    daemon.wait_state("web", "RUNNING");
    assert_eq!(daemon.state("later:one"), "RUNNING");
}

/// O-7, O-8: a flag that is misspelt, or another command's, is no name: nothing is done without it. What is like none is a name to
/// the commands of Supervisor, as ever.
#[test]
fn flags_that_are_none() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&[program("x", "autostart=false"), program("--long-name", "")].concat());
    let rows: [(&[&str], &str, i32); 8] = [
        (&["start", "--with-dep", "x"], "Error: start has no option --with-dep, did you mean --with-deps?", 2),
        (&["stop", "--with-deps", "x"], "Error: stop has no option --with-deps", 1),
        (&["restart", "--roling", "x"], "Error: restart has no option --roling, did you mean --rolling?", 1),
        (&["status", "--verbos"], "Error: status has no option --verbos, did you mean --verbose?", 4),
        (&["deps", "--foo"], "Error: deps has no option --foo", 1),
        (&["enable", "--foo", "x"], "Error: enable has no option --foo", 1),
        (&["hup", "--foo", "x"], "Error: hup has no option --foo", 1),
        (&["start", "--foo"], "--foo: ERROR (no such process)", 1),
    ];
    for (words, expected, status) in rows {
        let ended = daemon.folder.ctl(words);
        assert_eq!((ended.stdout.lines().next(), ended.status), (Some(expected), status), "{words:?}");
    }
    assert_eq!(daemon.state("x"), "STOPPED");
    // A program may be called so.
    assert_eq!(daemon.folder.ctl(&["restart", "--long-name"]).stdout, "--long-name: stopped\n--long-name: started\n");
}
