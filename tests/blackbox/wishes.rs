//! What users of Supervisor have asked for and Supvisors answers: a test for each wish, named after it.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;
use stheno::wire::xmlrpc::encode_call;

use crate::client::request;
use crate::daemon::{Daemon, Ended, Folder, free_port, is_original, wait_for};

/// A program that notes when it starts and when it has stopped, which it does once a command is done. It is RUNNING when it
/// has noted it: on a machine that is busy another that is started next could be quicker.
fn noting(name: &str, ends_with: &str, more: &str) -> String {
    let script = format!(
        "trap '{ends_with}; echo -{name} >> order; exit 0' TERM; echo +{name} >> order; echo up; while :; do sleep 0.02; done"
    );
    format!("[program:{name}]\ncommand=sh -c \"{script}\"\ndirectory=%(here)s\nstartsecs=0\nready=log:up\n{more}\n")
}

/// A fleet of one, with its sections and these programs, in operation.
fn fleet(more: &str) -> (Daemon, u16) {
    let port = free_port();
    let config = format!(
        "[inet_http_server]\nport=127.0.0.1:{port}\n[rpcinterface:supvisors]\n\
         supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n\
         supvisors_list=127.0.0.1:{port}\ndisabilities_file=$DIR/disabled.json\n\
         [ctlplugin:supvisors]\nsupervisor.ctl_factory=supvisors.supvisorsctl:make_supvisors_controller_plugin\n{more}"
    );
    let folder = Folder::new();
    let config = folder.fill(&config);
    let daemon = Daemon::start_in(folder, &config);
    operating(&daemon);
    (daemon, port)
}

fn operating(daemon: &Daemon) {
    wait_for("OPERATION", || {
        let state = daemon.call("supvisors.get_supvisors_state", &[]).ok()?;
        (state.member("fsm_statename") == Some(&"OPERATION".into())).then_some(())
    });
}

fn wait_order(daemon: &Daemon, expected: &str) {
    let order = || daemon.folder.read("order").split_whitespace().collect::<Vec<_>>().join(" ");
    wait_for(expected, || (order() == expected).then_some(()));
}

fn kill_child(daemon: &Daemon, name: &str, signal: Signal) {
    kill(Pid::from_raw(daemon.pid_of(name)), signal).unwrap();
}

/// What a command prints; it has to succeed.
fn ctl(daemon: &Daemon, words: &[&str]) -> String {
    let Ended { status, stdout, .. } = daemon.folder.ctl(words);
    assert_eq!(status, 0, "{words:?}: {stdout}");
    stdout
}

/// #122: programs are started one after another.
#[test]
fn wish_122_start_order() {
    if is_original() {
        return;
    }
    let config = [noting("web", "true", "start_sequence=2"), noting("db", "true", "start_sequence=1")].concat();
    let daemon = Daemon::start(&format!("{config}[group:g]\nprograms=web,db\n"));
    wait_order(&daemon, "+db +web");
}

/// #177: another number of processes without a restart of those that stay.
#[test]
fn wish_177_live_numprocs() {
    if is_original() {
        return;
    }
    let (daemon, _) = fleet("[program:w]\ncommand=sleep 1000\nstartsecs=0\nprocess_name=w%(process_num)d\n");
    daemon.wait_state("w:w0", "RUNNING");
    let pid = daemon.pid_of("w:w0");
    assert_eq!(ctl(&daemon, &["update_numprocs", "w", "3"]), "w numprocs updated: True\n");
    daemon.wait_state("w:w2", "RUNNING");
    assert_eq!(ctl(&daemon, &["update_numprocs", "w", "1"]), "w numprocs updated: True\n");
    assert!(daemon.call("supervisor.getProcessInfo", &["w:w1".into()]).is_err());
    assert_eq!(daemon.pid_of("w:w0"), pid);
}

/// #456: what follows from a failure is a matter of policy.
#[test]
fn wish_456_restart_policies() {
    if is_original() {
        return;
    }
    for (policy, expected) in
        [("CONTINUE", "+a +b"), ("STOP_APPLICATION", "+a +b -b"), ("RESTART_APPLICATION", "+a +b -b +a +b")]
    {
        let config = [
            noting("a", "true", &format!("start_sequence=1\nautorestart=false\nrunning_failure_strategy={policy}")),
            noting("b", "true", "start_sequence=2"),
        ];
        let daemon = Daemon::start(&format!("{}[group:g]\nprograms=a,b\n", config.concat()));
        wait_order(&daemon, "+a +b");
        // What has failed while b was still being started would be another matter.
        daemon.wait_state("g:b", "RUNNING");
        kill_child(&daemon, "g:a", Signal::SIGKILL);
        wait_for("the end of a", || (daemon.state("g:a") != "RUNNING" || expected.len() > 10).then_some(()));
        wait_order(&daemon, expected);
    }
}

/// #520: at the end one waits until another has stopped.
#[test]
fn wish_520_waiting_for_another_to_stop() {
    if is_original() {
        return;
    }
    let config = [noting("slow", "sleep 0.3", "stop_sequence=2"), noting("last", "true", "stop_sequence=1")].concat();
    let mut daemon = Daemon::start(&config);
    ["slow", "last"].iter().for_each(|name| daemon.wait_state(name, "RUNNING"));
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    assert!(daemon.folder.read("order").ends_with("-slow\n-last\n"), "{}", daemon.folder.read("order"));
}

/// #591: a program that was disabled is so after the next start of the daemon, until it is enabled.
#[test]
fn wish_591_disable_and_enable_that_last() {
    if is_original() {
        return;
    }
    let (daemon, _) = fleet("[program:p]\ncommand=sleep 1000\nstartsecs=0\n");
    daemon.wait_state("p", "RUNNING");
    assert_eq!(ctl(&daemon, &["disable", "p"]), "p disabled: True\n");
    assert_eq!(daemon.folder.read("disabled.json"), "{\"p\": true}");
    daemon.signal(Signal::SIGHUP);
    wait_for("the second run", || (daemon.log_lines("is in state OPERATION").len() >= 2).then_some(()));
    operating(&daemon);
    assert_eq!(daemon.state("p"), "STOPPED");
    assert!(daemon.folder.ctl(&["start", "p"]).stdout.starts_with("p: ERROR disabled"));
    assert_eq!(ctl(&daemon, &["enable", "p"]), "p enabled: True\n");
    daemon.wait_state("p", "RUNNING");
}

/// #723: of several each is started again as soon as it has stopped, not when all have.
#[test]
fn wish_723_restart_each_as_soon_as_it_has_stopped() {
    if is_original() {
        return;
    }
    // b takes until a is there again.
    let slow = "while ! grep -q +a order; do sleep 0.02; done";
    let (daemon, _) = fleet(&[noting("a", "true", ""), noting("b", slow, "")].concat());
    ["a", "b"].iter().for_each(|name| daemon.wait_state(name, "RUNNING"));
    daemon.folder.write("order", "");
    assert_eq!(ctl(&daemon, &["restart_process", "CONFIG", "a", "b"]), "a restarted: True\nb restarted: True\n");
    wait_order(&daemon, "-a +a -b +b");
}

/// #763: an exit that was not expected says so, with its code.
#[test]
fn wish_763_readable_unexpected_exits() {
    if is_original() {
        return;
    }
    let (daemon, _) = fleet("[program:p]\ncommand=sh -c 'exit 3'\nstartsecs=0\nautorestart=false\n");
    daemon.wait_state("p", "EXITED");
    let info = daemon.must("supvisors.get_local_process_info", &["p".into()]);
    assert_eq!(info.member("expected"), Some(&Value::Bool(false)));
    let text = info.member("spawnerr").and_then(Value::as_str).unwrap_or_default();
    assert!(text.contains("Bad exit code 3"), "{info:?}");
    assert_eq!(daemon.log_lines("exited: p (exit status 3; not expected)").len(), 1);
}

/// #874: a group falls when one of it falls, also by an option of the group.
#[test]
fn wish_874_a_group_that_falls_when_one_of_it_falls() {
    if is_original() {
        return;
    }
    let config = [noting("a", "true", "start_sequence=1"), noting("b", "true", "start_sequence=1")].concat();
    let group = "[group:g]\nprograms=a,b\nrunning_failure_strategy=STOP_APPLICATION\n";
    let daemon = Daemon::start(&[config, group.to_string()].concat());
    ["g:a", "g:b"].iter().for_each(|name| daemon.wait_state(name, "RUNNING"));
    kill_child(&daemon, "g:b", Signal::SIGKILL);
    daemon.wait_state("g:a", "STOPPED");
}

/// #1023: arguments are given at the start.
#[test]
fn wish_1023_arguments_at_start() {
    if is_original() {
        return;
    }
    let script = "[program:p]\ncommand=sh -c 'echo $0 $* > said; exec sleep 1000'\ndirectory=%(here)s\nautostart=false\n\
                  startsecs=0\n";
    let (daemon, _) = fleet(script);
    assert_eq!(ctl(&daemon, &["start_args", "p", "one", "two"]), "p started: True\n");
    daemon.wait_file("said", "one two\n");
}

/// #1150: the event of an exit has its status.
#[test]
fn wish_1150_exit_status_in_events() {
    if is_original() {
        return;
    }
    let script = "echo READY; read head; len=${head##*len:}; dd bs=1 count=$len of=payload 2>/dev/null; sleep 1000";
    let folder = Folder::new();
    folder.write("l.sh", script);
    let listener = "[eventlistener:l]\ncommand=sh l.sh\ndirectory=%(here)s\nevents=PROCESS_STATE_EXITED\n\
                    extended_payload=true\n";
    let program = "[program:p]\ncommand=sh -c 'exit 3'\nstartsecs=0\nautorestart=false\nautostart=false\n";
    let daemon = Daemon::start_in(folder, &[listener, program].concat());
    daemon.wait_state("l", "RUNNING");
    daemon.must("supervisor.startProcess", &["p".into()]);
    wait_for("the event", || daemon.folder.read("payload").contains("exitstatus:3").then_some(()));
}

/// #1455: the commands of the extended interface are there for an URL as well.
#[test]
fn wish_1455_the_extended_interface_with_an_url() {
    if is_original() {
        return;
    }
    let (daemon, port) = fleet("[program:p]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n");
    daemon.folder.write("none.conf", "[supervisorctl]\n");
    let file = daemon.folder.path("none.conf").display().to_string();
    let url = format!("http://127.0.0.1:{port}");
    let ask = |words: &[&str]| {
        let ended = daemon.folder.supervisord(&[&["ctl", "-c", &file, "-s", &url], words].concat());
        (ended.status, ended.stdout)
    };
    assert_eq!(ask(&["sversion"]), (0, "0.19\n".to_string()));
    assert_eq!(ask(&["start_process", "CONFIG", "p"]), (0, "p started: True\n".to_string()));
    assert_eq!(daemon.state("p"), "RUNNING");
}

/// #1504: a group is stopped on the page, which calls as a browser does.
#[test]
fn wish_1504_stop_a_group_on_the_page() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[program:a]\ncommand=sleep 1000\nstartsecs=0\n[program:b]\ncommand=sleep 1000\nstartsecs=0\n[group:g]\nprograms=a,b\n",
    );
    let body = encode_call("supervisor.stopProcessGroup", &["g".into(), true.into()]);
    let began = Instant::now();
    for (site, status) in [("cross-site", 403), ("same-origin", 200)] {
        let headers = [("Host", "localhost"), ("User-Agent", "Mozilla/5.0"), ("Sec-Fetch-Site", site)];
        let answer = request(&daemon.folder.path("s.sock"), "POST", "/RPC2", &headers, Some(&body)).unwrap();
        assert_eq!(answer.head.status, status, "{site} after {:?}", began.elapsed());
    }
    assert_eq!([daemon.state("g:a"), daemon.state("g:b")], ["STOPPED", "STOPPED"]);
}
