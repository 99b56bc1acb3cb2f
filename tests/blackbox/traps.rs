//! The traps of order and readiness (O-9) that are not where what they are about is tested, each by its name.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;

use crate::actor::act;
use crate::client;
use crate::daemon::{Daemon, is_original, wait_for};

/// A program that stays up.
fn program(name: &str, more: &str) -> String {
    format!("[program:{name}]\ncommand=sleep 1000\nstartsecs=0\n{more}\n")
}

/// A program that stays up and tells of its stop in `order`; it takes `secs` over it. It is RUNNING once it would.
fn tells(name: &str, secs: &str, more: &str) -> String {
    let script = format!(
        "trap 'sleep {secs}; echo {name} >> order; exit 0' TERM; echo up > {name}.up; echo >&3; while :; do sleep 0.02; done"
    );
    format!("[program:{name}]\ncommand=sh -c \"{script}\"\nready=fd:3\ndirectory=%(here)s\n{more}\n")
}

const MUTATION: &str = "[stheno]\nmutation=true\n";

/// A call that is answered later.
fn call_later(daemon: &Daemon, method: &'static str, params: Vec<Value>) -> JoinHandle<Result<Value, (i64, String)>> {
    let socket: PathBuf = daemon.folder.path("s.sock");
    std::thread::spawn(move || client::call(&socket, method, &params))
}

fn description(daemon: &Daemon, name: &str) -> String {
    daemon.info(name, "description").as_str().unwrap_or_default().to_string()
}

fn wait_description(daemon: &Daemon, name: &str, expected: &str) {
    wait_for(&format!("{name}: {expected}"), || (description(daemon, name) == expected).then_some(()));
}

/// Waiting and shutdown, with somebody who waits for an answer (process-compose#280): he is answered, and it ends.
#[test]
fn a_start_of_all_that_waits_holds_up_no_end() {
    if is_original() {
        return;
    }
    let config = [program("db", "autostart=false\npriority=5"), program("web", "depends_on=db\nautostart=false")];
    let mut daemon = Daemon::start(&config.concat());
    daemon.folder.configure(&config.concat().replace("priority=5", "priority=5\nready=notify"));
    daemon.must("supervisor.reloadConfig", &[]);
    for (method, name) in [("supervisor.removeProcessGroup", "db"), ("supervisor.addProcessGroup", "db")] {
        daemon.must(method, &[name.into()]);
    }
    let all = call_later(&daemon, "supervisor.startAllProcesses", vec![Value::Bool(true)]);
    wait_description(&daemon, "web", "Waiting for db (STARTING)");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    let Ok(Value::Array(results)) = all.join().unwrap() else { panic!("it is answered") };
    let status = |name: &str| {
        let found = results.iter().find(|result| result.member("name").and_then(Value::as_str) == Some(name));
        found.and_then(|result| result.member("status").cloned())
    };
    assert_eq!(status("web"), Some(Value::Int(40)), "{results:?}");
}

/// A hook before a start ends while everything is stopped: nothing is started.
#[test]
fn a_hook_that_ends_during_the_end_starts_nothing() {
    if is_original() {
        return;
    }
    let config = [
        "[program:web]\ncommand=sh -c \"trap 'echo > $DIR/told; while ! test -e $DIR/hook.done; do sleep 0.02; done; exit 0' TERM; \
         echo up > $DIR/web.up; while :; do sleep 0.02; done\"\nstartsecs=0\npriority=900\n"
            .to_string(),
        program(
            "late",
            "priority=1\npre_start_hook=sh -c \"echo > $DIR/hook; while ! test -e $DIR/told; do sleep 0.02; done; \
             echo >> $DIR/hook.done\"",
        ),
    ];
    let mut daemon = Daemon::start(&config.concat());
    daemon.wait_file("web.up", "up");
    daemon.wait_file("hook", "\n");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.log_lines("spawned: 'late'"), [""; 0]);
    assert!(daemon.folder.path("hook.done").exists(), "it ended by itself");
}

/// While everything is stopped each is stopped in its turn, however it is: no health, no watchdog stops it sooner.
#[test]
fn bad_health_changes_nothing_about_the_order_of_the_end() {
    if is_original() {
        return;
    }
    let check = "liveness_check_script=sh -c \"test ! -e $DIR/sick\"\nliveness_check_initial_delay=0\n\
                 liveness_check_period=0.1\nliveness_check_failure_threshold=1";
    let mut daemon = Daemon::start(&[tells("db", "0", check), tells("web", "0.8", "depends_on=db")].concat());
    daemon.wait_file("web.up", "up");
    daemon.signal(Signal::SIGTERM);
    // What was found out in the moment of the signal would still count.
    daemon.wait_lines("received SIGTERM", 1);
    daemon.folder.write("sick", "");
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.folder.read("order"), "web\ndb\n");
    assert_eq!(daemon.log_lines("is not healthy"), [""; 0]);
}

/// O-2, transitively: the one in the middle is down, and still the last one waits for the first.
#[test]
fn the_order_of_stops_goes_through_what_is_down() {
    if is_original() {
        return;
    }
    let config = [
        tells("db", "0", "priority=900"),
        tells("cache", "0", "depends_on=db"),
        tells("web", "0.2", "depends_on=cache"),
    ];
    let mut daemon = Daemon::start(&config.concat());
    daemon.wait_state("web", "RUNNING");
    daemon.must("supervisor.stopProcess", &["cache".into()]);
    assert_eq!(daemon.state("web"), "RUNNING");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.folder.read("order"), "cache\nweb\ndb\n");
}

/// A dependency on a group that gets members later, and numprocs growth of a dependency: they shake nobody who runs, and
/// count from then on.
#[test]
fn members_that_come_later() {
    if is_original() {
        return;
    }
    let config = [
        "[program:w]\ncommand=sleep 1000\nstartsecs=0\nnumprocs=1\nprocess_name=w_%(process_num)d\n".to_string(),
        program("web", "depends_on=w\non_dependency_stop=stop"),
        MUTATION.to_string(),
    ];
    let daemon = Daemon::start(&config.concat());
    daemon.wait_state("web", "RUNNING");
    let pid = daemon.pid_of("web");
    daemon.must("stheno.setNumprocs", &["w".into(), Value::Int(3)]);
    daemon.wait_state("w:w_2", "RUNNING");
    let options = vec![("command".into(), "sleep 1000".into()), ("startsecs".into(), "0".into())];
    daemon.must("stheno.addProgram", &["w".into(), "extra".into(), Value::Struct(options)]);
    daemon.wait_state("w:extra", "RUNNING");
    assert_eq!(daemon.pid_of("web"), pid, "growth stops nobody");
    daemon.must("supervisor.stopProcess", &["w:w_2".into()]);
    wait_description(&daemon, "web", "Waiting for w:w_2 (STOPPED)");
    daemon.must("supervisor.startProcess", &["w:w_2".into()]);
    daemon.wait_state("web", "RUNNING");
    // What is gone is not waited for.
    daemon.must("supervisor.stopProcess", &["w:w_2".into()]);
    daemon.wait_state("web", "STOPPED");
    daemon.must("stheno.setNumprocs", &["w".into(), Value::Int(2)]);
    daemon.wait_state("web", "RUNNING");
}

/// One program in two groups: its name means its processes in both.
#[test]
fn one_program_in_two_groups() {
    if is_original() {
        return;
    }
    let groups = "[group:a]\nprograms=x\n[group:b]\nprograms=x\n";
    let config = [groups.to_string(), program("x", "autostart=false"), program("web", "depends_on=x")];
    let daemon = Daemon::start(&config.concat());
    wait_description(&daemon, "web", "Waiting for a:x (STOPPED), b:x (STOPPED)");
    daemon.must("supervisor.startProcess", &["a:x".into()]);
    wait_description(&daemon, "web", "Waiting for b:x (STOPPED)");
    daemon.must("supervisor.startProcess", &["b:x".into()]);
    daemon.wait_state("web", "RUNNING");
}

/// Pairs by `%(process_num)d`: each waits for its own.
#[test]
fn pairs_of_processes() {
    if is_original() {
        return;
    }
    let several = "numprocs=3\nprocess_name=%(program_name)s_%(process_num)d\n";
    let config = [
        format!("[program:db]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\n{several}"),
        format!("[program:web]\ncommand=sleep 1000\nstartsecs=0\n{several}depends_on=db:db_%(process_num)d\n"),
    ];
    let daemon = Daemon::start(&config.concat());
    for number in 0..3 {
        wait_description(&daemon, &format!("web:web_{number}"), &format!("Waiting for db:db_{number} (STOPPED)"));
    }
    daemon.must("supervisor.startProcess", &["db:db_1".into()]);
    daemon.wait_state("web:web_1", "RUNNING");
    assert_eq!([daemon.state("web:web_0"), daemon.state("web:web_2")], ["STOPPED", "STOPPED"]);
}

/// Waiting and remove, update, reload: it is gone, is looked at anew, begins anew.
#[test]
fn waiting_and_what_changes_the_file() {
    if is_original() {
        return;
    }
    let config = |on: &str| {
        let web = program("web", &format!("depends_on={on}"));
        [program("db", "autostart=false"), program("cache", "autostart=false"), web].concat()
    };
    let daemon = Daemon::start(&config("db"));
    wait_description(&daemon, "web", "Waiting for db (STOPPED)");
    daemon.folder.configure(&config("cache"));
    assert_eq!(daemon.folder.ctl(&["update", "--minimal"]).status, 0);
    wait_description(&daemon, "web", "Waiting for cache (STOPPED)");
    daemon.folder.configure(&config("db, cache"));
    let updated = daemon.folder.ctl(&["update"]);
    assert_eq!(updated.status, 0, "{}", updated.stdout);
    wait_description(&daemon, "web", "Waiting for db (STOPPED), cache (STOPPED)");
    daemon.must("supervisor.removeProcessGroup", &["web".into()]);
    assert_eq!(daemon.call("supervisor.getProcessInfo", &["web".into()]).unwrap_err().0, 10);
    daemon.must("supervisor.startProcess", &["db".into()]);
    daemon.must("supervisor.addProcessGroup", &["web".into()]);
    wait_description(&daemon, "web", "Waiting for cache (STOPPED)");
    daemon.must("supervisor.restart", &[]);
    wait_for("another start", || (daemon.log_lines("supervisord started").len() == 2).then_some(()));
    wait_description(&daemon, "web", "Waiting for db (STOPPED), cache (STOPPED)");
    daemon.must("supervisor.startProcess", &["web".into()]);
    assert_eq!(daemon.state("web"), "RUNNING");
}

/// A circle closed by `reread`, and one through a group.
#[test]
fn circles_that_are_closed_later() {
    if is_original() {
        return;
    }
    let group = |more: &str| format!("[group:g]\nprograms=a\n{more}\n");
    let config = |of_group: &str, of_b: &str| [group(of_group), program("a", ""), program("b", of_b)].concat();
    let daemon = Daemon::start(&config("", "depends_on=g"));
    daemon.wait_state("b", "RUNNING");
    daemon.folder.configure(&config("depends_on=b", "depends_on=g"));
    let refused = daemon.call("supervisor.reloadConfig", &[]).unwrap_err();
    assert_eq!(refused.0, 92);
    assert!(refused.1.contains("depends_on goes in a circle: "), "{refused:?}");
    for name in ["b", "g:a"] {
        assert_eq!(daemon.state(name), "RUNNING");
    }
}

/// The order of stops among the members of one group.
#[test]
fn members_of_one_group_stop_in_order() {
    if is_original() {
        return;
    }
    let group = "[group:g]\nprograms=a,b,c\n".to_string();
    let config = [
        group,
        tells("a", "0", "priority=900\ndepends_on=g:b"),
        tells("b", "0", "priority=950\ndepends_on=g:c"),
        tells("c", "0", "priority=999"),
    ];
    let mut daemon = Daemon::start(&config.concat());
    for name in ["a", "b", "c"] {
        daemon.wait_file(&format!("{name}.up"), "up");
    }
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.folder.read("order"), "a\nb\nc\n");
}

/// FastCGI programs and listeners in the graph: they wait, and are waited for; a listener is among the last to stop.
#[test]
fn fcgi_and_listeners_in_the_graph() {
    if is_original() {
        return;
    }
    let config = [
        program("db", "autostart=false"),
        tells("f", "0", "depends_on=db\nsocket=unix://$DIR/f.sock").replace("[program:f]", "[fcgi-program:f]"),
        "[eventlistener:l]\ncommand=sh -c \"trap 'echo l >> order; exit 0' TERM; echo up > l.up; echo READY; while :; do sleep 0.02; done\"\n\
         directory=%(here)s\nstartsecs=0\nevents=TICK_3600\ndepends_on=db\n"
            .to_string(),
        tells("web", "0", "depends_on=f, l"),
    ];
    let mut daemon = Daemon::start(&config.concat());
    wait_description(&daemon, "f:f", "Waiting for db (STOPPED)");
    wait_description(&daemon, "l", "Waiting for db (STOPPED)");
    wait_description(&daemon, "web", "Waiting for f (STOPPED), l (STOPPED)");
    daemon.must("supervisor.startProcess", &["db".into()]);
    for name in ["f", "web"] {
        daemon.wait_state(name, "RUNNING");
        daemon.wait_file(&format!("{name}.up"), "up");
    }
    daemon.wait_file("l.up", "up");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(daemon.folder.read("order"), "web\nf\nl\n");
}

/// FATAL of a dependency while shutting down: no policy fires.
#[test]
fn fatal_during_the_end_has_no_consequences() {
    if is_original() {
        return;
    }
    let config = [
        "[group:g]\nprograms=db,other\non_group_member_exit=restart_group\n".to_string(),
        "[program:db]\ncommand=false\nstartsecs=1000\nstartretries=1000\non_fatal=shutdown\n".to_string(),
        tells("other", "0.3", ""),
        program("web", "depends_on=g:db\ndepends_on_failure=fatal\non_fatal=shutdown"),
    ];
    let mut daemon = Daemon::start(&config.concat());
    daemon.wait_file("other.up", "up");
    daemon.wait_state("g:db", "BACKOFF");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0, "the end has the status that was asked for");
    for line in ["on_group_member_exit", "Dependency", "on_fatal"] {
        assert_eq!(daemon.log_lines(line), [""; 0]);
    }
}

/// Our own loop stands still for longer than half of a watchdog's period, as in a suspend: one more period is given.
#[test]
fn a_watchdog_forgives_our_own_sleep() {
    if is_original() {
        return;
    }
    // Both words have to come in time, and who waits for them is not alone on the machine: what took too long to tell anything is
    // done once more, with more time.
    for period in [Duration::from_millis(600), Duration::from_secs(3), Duration::from_secs(12)] {
        let begun = Instant::now();
        let daemon = Daemon::start(&format!(
            "[program:p]\n{}watchdog_sec={}\nstartsecs=0\nautorestart=false\n",
            act("notify:WATCHDOG=1 touch:$DIR/up wait:$DIR/go notify:WATCHDOG=1 touch:$DIR/said forever"),
            period.as_secs_f64()
        ));
        wait_for("its first word", || {
            (daemon.folder.path("up").exists() || daemon.state("p") == "EXITED").then_some(())
        });
        let ours = daemon.pid();
        kill(ours, Signal::SIGSTOP).unwrap();
        if begun.elapsed() > period {
            continue;
        }
        // Somebody else has to be asleep for so long; nothing tells when it was long enough.
        std::thread::sleep(period * 5 / 2);
        let woken = Instant::now();
        kill(ours, Signal::SIGCONT).unwrap();
        wait_for("an answer", || daemon.call("supervisor.getState", &[]).ok());
        let lines = daemon.log_lines("has not said WATCHDOG=1");
        daemon.folder.write("go", "");
        wait_for("its word", || (daemon.folder.path("said").exists() || daemon.state("p") == "EXITED").then_some(()));
        let state = daemon.state("p");
        if woken.elapsed() > period {
            continue;
        }
        assert_eq!((lines, state.as_str()), (Vec::new(), "RUNNING"));
        // From there on it is silent, and that counts.
        return daemon.wait_state("p", "EXITED");
    }
    eprintln!("SKIPPED: this machine is too busy to tell whether a watchdog forgives");
}

/// A one-shot that is run by hand meanwhile: while it lasts it is not completed, and who runs does not care.
#[test]
fn a_oneshot_run_by_hand_meanwhile() {
    if is_original() {
        return;
    }
    let script = "if test -e $DIR/slow; then while test -e $DIR/slow; do sleep 0.02; done; fi";
    let config = [
        format!("[program:migrate]\ncommand=sh -c \"{script}\"\ntype=oneshot\n"),
        program("web", "depends_on=migrate=completed\non_dependency_stop=stop"),
        program("late", "depends_on=migrate=completed\nautostart=false"),
    ];
    let daemon = Daemon::start(&config.concat());
    daemon.wait_state("web", "RUNNING");
    let pid = daemon.pid_of("web");
    daemon.folder.write("slow", "");
    daemon.must("supervisor.startProcess", &["migrate".into(), Value::Bool(false)]);
    daemon.must("supervisor.startProcessGroup", &["late".into(), Value::Bool(false)]);
    wait_description(&daemon, "late", "Waiting for migrate (RUNNING)");
    assert_eq!(daemon.pid_of("web"), pid);
    std::fs::remove_file(daemon.folder.path("slow")).unwrap();
    daemon.wait_state("late", "RUNNING");
    assert_eq!(daemon.pid_of("web"), pid);
}

/// A dependency that fails faster than its dependent looks (process-compose#274): nobody misses it.
#[test]
fn a_dependency_that_fails_at_once() {
    if is_original() {
        return;
    }
    let config = [
        "[program:db]\ncommand=false\nstartsecs=1000\nstartretries=0\npriority=1\n".to_string(),
        "[program:migrate]\ncommand=false\ntype=oneshot\nstartretries=0\npriority=1\n".to_string(),
        program("web", "depends_on=db\ndepends_on_failure=fatal"),
        program("api", "depends_on=migrate=completed\ndepends_on_failure=fatal"),
    ];
    let daemon = Daemon::start(&config.concat());
    for (name, reason) in [("web", "Dependency db failed"), ("api", "Dependency migrate failed")] {
        daemon.wait_state(name, "FATAL");
        assert_eq!(daemon.info(name, "spawnerr").as_str(), Some(reason));
    }
}

/// `stop_group` ends the waits of the members too: nothing of the group comes up later by itself.
#[test]
fn a_group_that_is_stopped_waits_for_nothing() {
    if is_original() {
        return;
    }
    let config = [
        "[group:g]\nprograms=a,b\non_group_member_exit=stop_group\n".to_string(),
        program("a", ""),
        program("b", "depends_on=db"),
        program("db", "autostart=false"),
    ];
    let daemon = Daemon::start(&config.concat());
    daemon.wait_state("g:a", "RUNNING");
    wait_description(&daemon, "g:b", "Waiting for db (STOPPED)");
    kill(Pid::from_raw(daemon.pid_of("g:a")), Signal::SIGKILL).unwrap();
    wait_description(&daemon, "g:b", "Not started");
    daemon.must("supervisor.startProcess", &["db".into()]);
    // A whole turn later nothing has come of it.
    daemon.must("supervisor.getState", &[]);
    assert_eq!(daemon.state("g:b"), "STOPPED");
}
