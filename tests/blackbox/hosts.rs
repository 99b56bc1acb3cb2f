//! Several daemons, driven from the command line of any of them. Supervisor knows nothing of it.

use std::os::unix::net::UnixListener;

use nix::sys::signal::Signal;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, Ended, is_original, wait_for};
use crate::peers::Fleet;

/// Programs of all of them, beside `a` that sleeps: one that talks, one that can have several processes, a group.
const PROGRAMS: &str = "\
[ctlplugin:supvisors]\nsupervisor.ctl_factory=supvisors.supvisorsctl:make_supvisors_controller_plugin\n\
[program:talk]\ncommand=sh -c \"echo hello; exec sleep 1000\"\nautostart=false\nstartsecs=0\n\
[program:n]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\nnumprocs=2\nprocess_name=n%(process_num)d\n\
[program:slow]\ncommand=sleep 1000\nautostart=false\nstartsecs=1000\n\
[group:g]\nprograms=talk,n,slow\n";

/// Three that have come together.
fn three() -> (Fleet, Vec<Daemon>) {
    let fleet = Fleet::new(3, PROGRAMS);
    let daemons = fleet.start_all();
    for daemon in &daemons {
        wait_for("operation", || {
            let state = daemon.must("supvisors.get_supvisors_state", &[]);
            (state.member("fsm_statename").and_then(Value::as_str) == Some("OPERATION")).then_some(())
        });
    }
    (fleet, daemons)
}

/// What supervisorctl of the first one's folder prints, as the user of all; and its exit status.
fn ctl(daemons: &[Daemon], line: &[&str]) -> (String, i32) {
    let words = [&["-u", "u", "-p", "a password"], line].concat();
    let Ended { status, stdout, stderr } = daemons[0].folder.ctl(&words);
    (stdout + &stderr, status)
}

/// Where a process runs, as one of them knows it.
fn where_by(daemon: &Daemon, name: &str) -> Vec<String> {
    match daemon.must("supvisors.get_process_info", &[Value::str(name.to_string())]) {
        Value::Array(all) => match all[0].member("identifiers") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_string).collect(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Waits until one of them knows that a process runs on this instance alone.
fn wait_where(daemon: &Daemon, name: &str, instance: &str) {
    wait_for(&format!("{name} on {instance}"), || (where_by(daemon, name) == [instance]).then_some(()));
}

/// Any command for another host, and names with a host; each as if it had been given there.
#[test]
fn commands_for_another_host() {
    if is_original() {
        return;
    }
    let (fleet, mut daemons) = three();
    let (first, second, third) = (fleet.name(0), fleet.name(1), fleet.name(2));
    let says = |line: &[&str]| ctl(&daemons, line);
    assert_eq!(says(&["--host", &second, "start", "a"]), ("a: started\n".to_string(), 0));
    assert_eq!((daemons[0].state("a"), daemons[1].state("a")), ("STOPPED".to_string(), "RUNNING".to_string()));
    let name = format!("{second}:g:talk");
    assert_eq!(says(&["start", &name, "g:n0"]), (format!("{name}: started\ng:n0: started\n"), 0));
    assert_eq!((daemons[1].state("g:talk"), daemons[0].state("g:n0")), ("RUNNING".into(), "RUNNING".into()));
    let (text, status) = says(&["status", &format!("{second}:g:talk"), &format!("{first}:g:n*")]);
    let begins: Vec<&str> = text.lines().map(|line| line.split_whitespace().next().unwrap_or("")).collect();
    assert_eq!(begins, [format!("{second}:g:talk"), format!("{first}:g:n0"), format!("{first}:g:n1")], "{text}");
    assert_eq!(status, 3, "one is stopped");
    let columns: Vec<Option<usize>> = text.lines().map(|line| line.find("RUNNING").or(line.find("STOPPED"))).collect();
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    wait_for("its words", || (says(&["tail", &name]) == ("hello\n\n".to_string(), 0)).then_some(()));
    let (text, status) = says(&["restart", &format!("{second}:g:talk"), &format!("{third}:a:a")]);
    let stopped = format!("{second}:g:talk: stopped\n{second}:g:talk: started\n");
    assert_eq!(text, format!("{stopped}{third}:a: ERROR (not running)\n{third}:a: started\n"));
    assert_eq!(status, 0);
    assert_eq!(says(&["stop", &format!("{second}:g:*")]).0, format!("{second}:g:talk: stopped\n"));
    let (text, status) = says(&["--host", "*", "version"]);
    assert_eq!((text.lines().count(), status), (3, 0), "{text}");
    let (text, status) = says(&["stop", "*:a:a"]);
    assert_eq!(text.lines().filter(|line| line.ends_with(":a: stopped")).count(), 2, "{text}");
    assert_eq!(status, 0);

    // What cannot be.
    let all = format!("{first}, {second}, {third}");
    let unknown = format!("n9: ERROR (no such instance; there are {all})\n");
    assert_eq!(says(&["--host", "n9", "status"]), (unknown.clone(), 2));
    assert_eq!(says(&["start", "n9:g:n1"]), (unknown, 2));
    assert_eq!(says(&["start", &format!("{second}:g:x")]), (format!("{second}:g:x: ERROR (no such process)\n"), 1));
    let mut last = daemons.pop().expect("three");
    last.signal(Signal::SIGKILL);
    last.wait_end();
    let (line, gone) = (["--host", &third, "status"], format!("{third}: ERROR (instance {third} is "));
    wait_for("the loss to be known", || {
        let (text, status) = ctl(&daemons, &line);
        (text.starts_with(&gone) && status == 4).then_some(())
    });
}

/// One that is killed while it has something to do: whoever waits is told so at once, and it is no success.
#[test]
fn an_instance_that_is_lost_while_a_call_runs() {
    if is_original() {
        return;
    }
    let (fleet, mut daemons) = three();
    let second = fleet.name(1);
    let mut lost = daemons.remove(1);
    let killer = std::thread::spawn(move || {
        lost.wait_state("g:slow", "STARTING");
        lost.signal(Signal::SIGKILL);
        lost.wait_end();
    });
    let (text, status) = ctl(&daemons, &["--host", &second, "start", "g:slow"]);
    killer.join().expect("the daemon is killed");
    assert_eq!(text, format!("{second}: ERROR (the instance was lost while the command ran)\n"));
    assert_eq!(status, 4);
}

/// A daemon that is alone knows no others, and names with two colons are what they were.
#[test]
fn a_daemon_without_others() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start("[program:a]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n");
    let ended = daemon.folder.ctl(&["--host", "n1", "status"]);
    let line = "n1: ERROR (this supervisord knows no other instances; is [rpcinterface:supvisors] set?)\n";
    assert_eq!((ended.stdout.as_str(), ended.status), (line, 3));
    // A server that is not there is told of as ever.
    let folder = crate::daemon::Folder::new();
    folder.configure("");
    drop(UnixListener::bind(folder.path("s.sock")).expect("a socket"));
    let ended = folder.ctl(&["--host", "n1", "status"]);
    assert!(ended.stdout.contains("refused connection") && ended.status == 4, "{ended:?}");
}

/// V-249, V-251, V-331, V-460, V-461, V-470: what is said of programs is for the instance that is called, and all know of it;
/// what is said of processes finds its place among all.
#[test]
fn programs_of_an_instance_and_processes_of_all() {
    if is_original() {
        return;
    }
    let (fleet, daemons) = three();
    let names: Vec<String> = (0..3).map(|at| fleet.name(at)).collect();
    let says = |line: &[&str]| ctl(&daemons, line);
    let at_second = |words: &[&'static str]| says(&[&["--host", names[1].as_str()], words].concat());

    // More arguments on one instance: the others know them.
    assert_eq!(at_second(&["start_args", "a", "7"]), ("a started: True\n".to_string(), 0));
    wait_where(&daemons[0], "a", &names[1]);
    wait_where(&daemons[2], "a", &names[1]);
    let info = daemons[2].must("supvisors.get_process_info", &[Value::str("a")]);
    let Value::Array(info) = info else { panic!("{info:?}") };
    assert_eq!(info[0].member("extra_args").and_then(Value::as_str), Some("7"));
    assert_eq!(says(&["start_process", "CONFIG", "a"]), ("a: ERROR (ALREADY_STARTED: a)\n".to_string(), 1));
    assert_eq!(says(&["stop_process", "a"]), ("a stopped\n".to_string(), 0));
    assert_eq!(daemons[1].state("a"), "STOPPED");

    // LOCAL is where the call is; another strategy goes through the list.
    assert_eq!(at_second(&["start_process", "LOCAL", "g:n0"]), ("g:n0 started: True\n".to_string(), 0));
    wait_where(&daemons[2], "g:n0", &names[1]);
    assert_eq!(at_second(&["start_any_process", "CONFIG", "g:n"]), ("g:n1 started\n".to_string(), 0));
    wait_where(&daemons[2], "g:n1", &names[0]);

    // A program that is disabled on one instance is started on the next one; disabled everywhere, nowhere.
    assert_eq!(says(&["--host", &names[0], "disable", "talk"]), ("talk disabled: True\n".to_string(), 0));
    let disabled = |daemon: &Daemon| {
        let params = [Value::str(names[0].clone()), Value::str("g:talk")];
        let Value::Array(all) = daemon.must("supvisors.get_inner_process_info", &params) else { panic!("an array") };
        all[0].member("disabled") == Some(&Value::Bool(true))
    };
    wait_for("the news of it", || disabled(&daemons[2]).then_some(()));
    assert_eq!(says(&["start", "g:talk"]), ("g:talk: ERROR disabled\n".to_string(), 1));
    assert_eq!(says(&["start_process", "CONFIG", "g:talk"]), ("g:talk started: True\n".to_string(), 0));
    wait_where(&daemons[2], "g:talk", &names[1]);
    assert_eq!(says(&["stop_process", "g:talk"]), ("g:talk stopped\n".to_string(), 0));
    let (text, status) = says(&["--host", "*", "disable", "talk"]);
    assert_eq!((text.matches("talk disabled: True").count(), status), (3, 0), "{text}");
    let is_nowhere = || says(&["start_process", "CONFIG", "g:talk"]).1 != 0;
    wait_for("all to know that it is off everywhere", || is_nowhere().then_some(()));
    let (text, _) = says(&["--host", "*", "enable", "talk"]);
    assert_eq!(text.matches("talk enabled: True").count(), 3, "{text}");

    // More processes on one instance are a process that only it has.
    assert_eq!(at_second(&["update_numprocs", "n", "3"]), ("n numprocs updated: True\n".to_string(), 0));
    wait_for("the news of it", || {
        daemons[0].call("supvisors.get_process_info", &[Value::str("g:n2")]).is_ok().then_some(())
    });
    assert_eq!(daemons[0].call("supervisor.getProcessInfo", &[Value::str("g:n2")]).unwrap_err().0, 10);
    assert_eq!(says(&["start_process", "LESS_LOADED", "g:n2"]), ("g:n2 started: True\n".to_string(), 0));
    wait_where(&daemons[0], "g:n2", &names[1]);
    assert_eq!(at_second(&["update_numprocs", "n", "2"]), ("n numprocs updated: True\n".to_string(), 0));
    wait_for("the news of it", || {
        daemons[0].call("supvisors.get_process_info", &[Value::str("g:n2")]).is_err().then_some(())
    });

    // On all of them at once, and each is told of.
    let (text, status) = says(&["all_start", "a"]);
    assert_eq!((text, status), (names.iter().map(|name| format!("a started on {name}: True\n")).collect(), 0));
    wait_for("it to run everywhere", || (where_by(&daemons[2], "a").len() == 3).then_some(()));
    let (text, status) = says(&["all_start_args", "a", "8"]);
    assert_eq!((text.matches("ALREADY_STARTED").count(), status), (3, 1), "{text}");
}
