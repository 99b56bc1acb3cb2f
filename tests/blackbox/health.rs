//! Health, watchdogs, memory (O-4). What only this program has.

use stheno::wire::value::Value;

use crate::actor::act;
use crate::daemon::{Daemon, Folder, is_original, wait_for};
use crate::readiness::more;

/// Checked at once and often.
const OFTEN: &str = "liveness_check_initial_delay=0\nliveness_check_period=0.1\nliveness_check_failure_threshold=2\n";

fn state_of_health(daemon: &Daemon, name: &str) -> String {
    more(daemon, name, "health").member("state").and_then(Value::as_str).unwrap_or_default().to_string()
}

/// O-4: restart goes over STOPPING and STOPPED, is no exit, and counts for `restart_limit`.
#[test]
fn one_that_is_not_well_is_restarted_so_often_and_no_oftener() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[program:b]\ncommand=sleep 1000\nrestart_limit=2/60\nliveness_check_script=sh -c 'echo no; exit 3'\n{OFTEN}",
    ));
    daemon.wait_state("b", "FATAL");
    assert_eq!(daemon.info("b", "spawnerr").as_str(), Some("Restarted 2 times within 60 seconds"));
    let lines = daemon.log_lines("b is not healthy");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "b is not healthy (2 failures: exit status 3: no), restarting");
    assert_eq!(daemon.log_lines("spawned: 'b'").len(), 3);
    assert_eq!(daemon.log_lines("exited: b"), [] as [&str; 0], "it was stopped");
}

/// O-4: the other answers to bad health; and that a check is added in passing to what runs.
#[test]
fn stop_none_and_a_command() {
    if is_original() {
        return;
    }
    let none = ["none", "stop", "command"].map(|name| format!("[program:{name}]\ncommand=sleep 1000\n")).concat();
    let daemon = Daemon::start(&none);
    ["none", "stop", "command"].iter().for_each(|name| daemon.wait_state(name, "RUNNING"));
    let pids = ["none", "command"].map(|name| daemon.pid_of(name));
    let check = |action: &str| {
        format!("liveness_check_script=test -e $DIR/well\n{OFTEN}liveness_check_failure_action={action}\n")
    };
    daemon.folder.configure(&format!(
        "[program:none]\ncommand=sleep 1000\n{}liveness_check_success_action=touch $DIR/cured\n\
         [program:stop]\ncommand=sleep 1000\n{}[program:command]\ncommand=sleep 1000\n{}\
         [program:web]\ncommand=sleep 1000\ndepends_on=none=healthy\n",
        check("none"),
        check("stop"),
        check("touch $DIR/told")
    ));
    assert_eq!(daemon.folder.ctl(&["update", "--minimal"]).status, 0);
    daemon.wait_state("stop", "STOPPED");
    let error = daemon.info("stop", "spawnerr").as_str().map(str::to_string).unwrap_or_default();
    assert_eq!(error, "Not healthy (2 failures: exit status 1)");
    wait_for("the command", || daemon.folder.path("told").exists().then_some(()));
    wait_for("none to be ill", || (state_of_health(&daemon, "none") == "unhealthy").then_some(()));
    let description = daemon.info("web", "description");
    assert_eq!(description.as_str(), Some("Waiting for none (unhealthy)"));
    daemon.folder.write("well", "");
    wait_for("none to be well", || (state_of_health(&daemon, "none") == "healthy").then_some(()));
    wait_for("the other command", || daemon.folder.path("cured").exists().then_some(()));
    daemon.wait_state("web", "RUNNING");
    assert_eq!(["none", "command"].map(|name| daemon.pid_of(name)), pids, "nothing was restarted");
}

/// O-4: commands for a change of health are children, and so there are only so many at a time.
#[test]
fn commands_for_a_change_of_health_are_few_at_a_time() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[program:a]\ncommand=sleep 1000\nnumprocs=17\nprocess_name=%(process_num)d\nliveness_check_script=false\n{OFTEN}\
         liveness_check_failure_action=sleep 1000\n"
    ));
    let refused = "could not run sleep 1000: 16 commands for a change of health run already";
    wait_for("one too many", || (daemon.log_lines("could not run") == [refused]).then_some(()));
}

/// O-4: what is being restarted for its health stays down if somebody stops it meanwhile.
#[test]
fn stop_while_it_is_being_restarted() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[program:a]\n{}stopsignal=TERM\nstopwaitsecs=2\nstartsecs=0\nliveness_check_script=test -e $DIR/well\n{OFTEN}",
        act("ignore:TERM touch:$DIR/well wait:$DIR/never")
    ));
    wait_for("it to be deaf", || daemon.folder.path("well").exists().then_some(()));
    wait_for("it to be well", || (state_of_health(&daemon, "a") == "healthy").then_some(()));
    std::fs::remove_file(daemon.folder.path("well")).expect("it was there");
    daemon.wait_state("a", "STOPPING");
    assert_eq!(daemon.folder.ctl(&["stop", "a"]).stdout, "a: stopped\n");
    assert_eq!(daemon.state("a"), "STOPPED");
    assert_eq!(daemon.log_lines("spawned: 'a'").len(), 1, "it does not come back");
}

/// O-3, O-4: more probes than may run at a time all have their turn, also when those before them hang or are stopped.
#[test]
fn many_probes_take_turns() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:hang]\ncommand=sleep 1000\nnumprocs=20\nprocess_name=h%(process_num)d\nready=command:sleep 1000\n\
         ready_probe_timeout=3600\n[program:last]\ncommand=sleep 1000\npriority=1000\nready=command:true\n",
    );
    let probes = || {
        let path = format!("/proc/{0}/task/{0}/children", daemon.pid());
        let children = std::fs::read_to_string(path).unwrap_or_default().split_whitespace().count();
        // Not all of them may have been spawned yet.
        children.saturating_sub(21)
    };
    wait_for("sixteen probes", || (probes() == 16).then_some(()));
    assert_eq!(daemon.state("last"), "STARTING");
    daemon.must("supervisor.stopProcessGroup", &["hang".into()]);
    daemon.wait_state("last", "RUNNING");
}

/// O-9: where the system has no process left for a probe, that is a bad answer, and the next comes in its time.
#[test]
fn probes_without_a_process_to_spare() {
    if is_original() {
        return;
    }
    if !nix::unistd::Uid::current().is_root() {
        return eprintln!("skipped: needs root, to be another user");
    }
    let folder = Folder::new();
    folder.configure("[supervisord]\nminprocs=2\n[program:a]\ncommand=sleep 1000\nready=command:true\nready_interval=0.1\n[program:b]\ncommand=sleep 1000\nautostart=false\n");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(""), open).expect("a mode");
    // The user id of nobody else, not even of another run of these tests; the daemon and one child are two.
    let user = format!("--reuid={}", 100_000 + std::process::id() % 100_000);
    let wrapper = ["setpriv", &user, "--clear-groups", "prlimit", "--nproc=2:10"];
    let mut daemon = Daemon::start_under(folder, &wrapper, &["-n", "-c", "$DIR/supervisord.conf"], |_| {});
    daemon.wait_until_it_answers();
    let refused = wait_for("a probe that cannot run", || {
        more(&daemon, "a", "probe_text").as_str().filter(|text| !text.is_empty()).map(str::to_string)
    });
    assert!(refused.contains("fork") || refused.contains("process"), "{refused}");
    assert_eq!(daemon.state("a"), "STARTING");
    let pid = daemon.pid().to_string();
    let more_room = [user.as_str(), "--clear-groups", "prlimit", "--nproc=10:10", "--pid", &pid];
    let limit = std::process::Command::new("setpriv").args(more_room).status();
    assert!(limit.expect("prlimit runs").success());
    daemon.wait_state("a", "RUNNING");
}

/// O-4: silence and WATCHDOG=trigger are unexpected exits, with SIGKILL for the deaf; WATCHDOG_USEC sets the period.
#[test]
fn watchdogs() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[program:silent]\n{}watchdog_sec=0.3\nautorestart=unexpected\nstartsecs=0\n\
         [program:deaf]\n{}watchdog_sec=1000\nwatchdog_signal=TERM\nstopwaitsecs=0\nautorestart=false\nstartsecs=0\n\
         [program:trigger]\n{}ready=notify\nautorestart=false\n[program:own]\n{}ready=notify\nautorestart=false\n",
        act("log:$DIR/n:run env:$DIR/usec:WATCHDOG_USEC forever"),
        act("ignore:TERM notify:WATCHDOG_USEC=300000 forever"),
        act("notify:READY=1 notify:WATCHDOG=trigger forever"),
        act("notify:WATCHDOG_USEC=300000;READY=1 forever"),
    ));
    wait_for("it to come back", || (daemon.folder.read("n").lines().count() >= 2).then_some(()));
    // A run may be over before it has told.
    daemon.wait_file("usec", "300000\n");
    let lines = daemon.log_lines("silent has not said");
    assert_eq!(lines[0], "silent has not said WATCHDOG=1 within 0.3 seconds, sending SIGABRT");
    for name in ["deaf", "trigger", "own"] {
        daemon.wait_state(name, "EXITED");
    }
    assert_eq!(daemon.log_lines("exited: deaf"), ["exited: deaf (terminated by SIGKILL; not expected)"]);
    assert_eq!(daemon.log_lines("trigger has said"), ["trigger has said WATCHDOG=trigger, sending SIGABRT"]);
    assert_eq!(daemon.log_lines("own has not said").len(), 1);
}

/// O-4: two looks in a row above the limit.
#[test]
fn memory() {
    if is_original() {
        return;
    }
    let limit = "memory_limit=40MB\nmemory_limit_interval=0.1\nstartsecs=0\n";
    let daemon = Daemon::start(&format!(
        "[program:big]\n{}{limit}[program:stopped]\n{}{limit}memory_limit_action=stop\n[program:told]\n{}{limit}\
         memory_limit_action=none\n[program:tree]\ncommand=sh -c '{} & wait'\nstopasgroup=true\n{limit}memory_limit_of=tree\n\
         memory_limit_action=stop\n[program:small]\ncommand=sleep 1000\n{limit}",
        act("nth:$DIR/n:1:memory:60 forever"),
        act("memory:60 forever"),
        act("memory:60 forever"),
        crate::actor::command("memory:60,forever"),
    ));
    let small = daemon.child_of("small");
    wait_for("it to come back", || (daemon.folder.read("n").lines().count() == 2).then_some(()));
    daemon.wait_state("stopped", "STOPPED");
    daemon.wait_state("tree", "STOPPED");
    let error = daemon.info("stopped", "spawnerr").as_str().map(str::to_string).unwrap_or_default();
    assert!(error.starts_with("Uses ") && error.ends_with(" KiB of memory, more than 40960 KiB"), "{error}");
    daemon.wait_state("big", "RUNNING");
    assert_eq!(daemon.wait_lines("told uses", 1).len(), 1, "it is told once");
    assert_eq!(daemon.pid_of("small"), small);
}
