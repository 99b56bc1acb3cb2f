//! Sequences and policies over applications, by plain options and as Supvisors has them. Supervisor knows nothing of it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, Folder, free_port, is_original, wait_for};

/// A program that notes when it starts and when it is told to stop. It is up when it has noted it: of two that are up once they
/// are spawned, either may be the first to write.
fn noting(name: &str, more: &str) -> String {
    let script = format!(
        "trap 'echo -{name} >> order; exit 0' TERM; echo +{name} >> order; echo >&3; while :; do sleep 0.02; done"
    );
    format!("[program:{name}]\ncommand=sh -c \"{script}\"\ndirectory=%(here)s\nready=fd:3\n{more}\n")
}

fn order(daemon: &Daemon) -> String {
    let text = std::fs::read_to_string(daemon.folder.path("order")).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wait_order(daemon: &Daemon, expected: &str) {
    wait_for(expected, || (order(daemon) == expected).then_some(()));
}

/// V-380, V-400: ranks by plain options, up at the start and down at the end, whatever the order in the file.
#[test]
fn plain_options_are_a_sequence() {
    if is_original() {
        return;
    }
    let config = [
        noting("c", "start_sequence=3"),
        noting("a", "start_sequence=1"),
        noting("b", "start_sequence=2\nstop_sequence=7"),
        noting("own", "autostart=false"),
        "[group:g]\nprograms=c,a,b,own\n".to_string(),
    ];
    let mut daemon = Daemon::start(&config.concat());
    wait_order(&daemon, "+a +b +c");
    daemon.wait_state("g:c", "RUNNING");
    assert_eq!(daemon.state("g:own"), "STOPPED");
    daemon.signal(Signal::SIGTERM);
    daemon.wait_end();
    assert_eq!(order(&daemon), "+a +b +c -b -c -a");
}

/// V-385, V-395: the next rank waits for an exit, and is not started when a required program fails.
#[test]
fn a_rank_waits_for_an_exit_and_a_failure_ends_the_sequence() {
    if is_original() {
        return;
    }
    for (exit, expected) in [(0, "+job +late"), (3, "+job")] {
        let job = format!(
            "[program:job]\ncommand=sh -c \"echo +job >> order; sleep 0.2; exit {exit}\"\ndirectory=%(here)s\nstartsecs=0\n\
             autorestart=false\nstart_sequence=1\nwait_exit=true\nrequired=true\n"
        );
        let group = "[group:g]\nprograms=job,late\n";
        let daemon = Daemon::start(&[&job, &noting("late", "start_sequence=2"), group].concat());
        daemon.wait_state("g:job", "EXITED");
        wait_order(&daemon, expected);
        daemon.wait_state("g:late", if exit == 0 { "RUNNING" } else { "STOPPED" });
    }
}

/// V-420: one that fails takes its application with it, and one that is to be restarted brings it back.
#[test]
fn an_application_falls_or_is_restarted_with_one_of_its_programs() {
    if is_original() {
        return;
    }
    for (strategy, expected) in [("STOP_APPLICATION", "+a +b -b"), ("RESTART_APPLICATION", "+a +b -b +a +b")] {
        let config = [
            noting("a", &format!("start_sequence=1\nrunning_failure_strategy={strategy}")),
            noting("b", "start_sequence=2"),
            "[group:g]\nprograms=a,b\n".to_string(),
        ];
        let daemon = Daemon::start(&config.concat());
        wait_order(&daemon, "+a +b");
        // What has failed while b was still being started would be another matter.
        daemon.wait_state("g:b", "RUNNING");
        let pid = daemon.info("g:a", "pid");
        let Value::Int(pid) = pid else { panic!("{pid:?}") };
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
        wait_order(&daemon, expected);
        daemon.wait_state("g:b", if strategy == "STOP_APPLICATION" { "STOPPED" } else { "RUNNING" });
    }
}

/// What is wrong in rules is told when they are read, and not with each change of groups after that.
#[test]
fn what_is_wrong_in_rules_is_told_once_for_each_time_that_they_are_read() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.write("rules.xml", "<root><application name='g'><nonsense/></application></root>");
    let port = free_port();
    let config = format!(
        "[inet_http_server]\nport=127.0.0.1:{port}\n[rpcinterface:supvisors]\n\
         supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n\
         supvisors_list=127.0.0.1:{port}\nrules_files=%(here)s/rules.xml\n{}",
        noting("a", "autostart=false")
    );
    let daemon = Daemon::start_in(folder, &config);
    let told = || daemon.log_lines("nonsense").len();
    assert_eq!(told(), 1);
    let file = daemon.folder.path("supervisord.conf");
    let text = std::fs::read_to_string(&file).expect("its file");
    std::fs::write(&file, text + &noting("b", "autostart=false")).expect("it is written");
    daemon.must("supervisor.reloadConfig", &[]);
    daemon.must("supervisor.addProcessGroup", &["b".into()]);
    wait_for("b in the fleet", || daemon.call("supvisors.get_local_process_info", &["b".into()]).ok());
    let after_reading = told();
    for _ in 0..3 {
        daemon.must("supervisor.removeProcessGroup", &["b".into()]);
        wait_for("b is gone", || daemon.call("supvisors.get_local_process_info", &["b".into()]).err());
        daemon.must("supervisor.addProcessGroup", &["b".into()]);
        wait_for("b in the fleet", || daemon.call("supvisors.get_local_process_info", &["b".into()]).ok());
    }
    assert_eq!((after_reading, told()), (2, 2));
}

/// V-10, V-300, V-450, V-460, V-470: Supvisors' section and commands; the end it asks for stops in sequence.
#[test]
fn supvisors_section_and_commands() {
    if is_original() {
        return;
    }
    let port = free_port();
    let config = [
        format!("[inet_http_server]\nport=127.0.0.1:{port}\n"),
        format!(
            "[rpcinterface:supvisors]\nsupervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n\
             supvisors_list=<n1>127.0.0.1:{port}\nrules_files=%(here)s/rules.xml\n"
        ),
        "[ctlplugin:supvisors]\nsupervisor.ctl_factory=supvisors.supvisorsctl:make_supvisors_controller_plugin\n"
            .to_string(),
        noting("a", "autostart=false"),
        noting("b", "autostart=false"),
        "[group:g]\nprograms=b,a\n[program:n]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\nnumprocs=2\n\
         process_name=n%(process_num)d\n"
            .to_string(),
    ];
    let folder = Folder::new();
    let rules = "<root><application name='g'><start_sequence>1</start_sequence><programs><program name='a'>\
                 <start_sequence>1</start_sequence></program><program name='b'><start_sequence>2</start_sequence>\
                 </program></programs></application></root>";
    folder.write("rules.xml", rules);
    let mut daemon = Daemon::start_in(folder, &config.concat());
    wait_order(&daemon, "+a +b");
    wait_for("OPERATION", || {
        let state = daemon.must("supvisors.get_supvisors_state", &[]);
        (state.member("fsm_statename") == Some(&"OPERATION".into())).then_some(())
    });
    let ctl = |words: &[&str]| {
        let ended = daemon.folder.ctl(words);
        (ended.status, ended.stdout)
    };
    assert_eq!(ctl(&["sversion"]), (0, "0.19\n".to_string()));
    assert_eq!(ctl(&["start_process", "CONFIG", "n:*"]), (0, "n:* started: True\n".to_string()));
    assert_eq!(ctl(&["update_numprocs", "n", "1"]), (0, "n numprocs updated: True\n".to_string()));
    assert!(daemon.call("supvisors.get_process_info", &["n:n1".into()]).is_err(), "it is gone");
    assert_eq!(ctl(&["disable", "n"]), (0, "n disabled: True\n".to_string()));
    let fault = daemon.call("supervisor.startProcess", &["n:n0".into()]).unwrap_err();
    assert_eq!(fault, (103, "DISABLED: n:n0".to_string()));
    assert_eq!(ctl(&["enable", "n"]), (0, "n enabled: True\n".to_string()));
    let (status, text) = ctl(&["start_application", "FOO", "g"]);
    assert!(
        status == 2 && text.starts_with("ERROR: unknown strategy for start_application. use one of ['CONFIG'"),
        "{text}"
    );
    assert_eq!(ctl(&["sshutdown"]), (0, "Shut down: True\n".to_string()));
    assert_eq!(daemon.wait_end(), 0);
    assert_eq!(order(&daemon), "+a +b -b -a");
}

/// V-500: listeners hear of processes that come, go, are disabled and enabled. The names are known with the section alone.
#[test]
fn listeners_hear_of_processes_that_come_and_go() {
    if is_original() {
        return;
    }
    let script = "while :; do echo READY; read head || exit; len=${head##*len:}; \
                  payload=$(dd bs=1 count=$len 2>/dev/null; echo .); name=${head#*eventname:}; \
                  echo \"${name%% *}|${payload%.}|\" >> events; printf 'RESULT 2\\nOK'; done";
    let port = free_port();
    let listener = "[eventlistener:l]\ncommand=sh l.sh\ndirectory=%(here)s\nevents=PROCESS\n";
    let config = format!(
        "[inet_http_server]\nport=127.0.0.1:{port}\n[rpcinterface:supvisors]\n\
         supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n\
         supvisors_list=127.0.0.1:{port}\n{listener}[program:n]\ncommand=sleep 1000\nautostart=false\n\
         process_name=n%(process_num)d\n"
    );
    let folder = Folder::new();
    folder.write("l.sh", script);
    let daemon = Daemon::start_in(folder, &config);
    daemon.wait_state("l", "RUNNING");
    wait_for("OPERATION", || daemon.call("supvisors.update_numprocs", &["n".into(), 2.into()]).ok());
    for (method, program) in [("disable", "n"), ("enable", "n")] {
        daemon.must(&format!("supvisors.{method}"), &[program.into()]);
    }
    daemon.must("supvisors.update_numprocs", &["n".into(), 1.into()]);
    assert_eq!(daemon.log_lines("autorestart"), Vec::<String>::new(), "what goes is no matter of its rules");
    let expected = ["ADDED n1", "DISABLED n0", "DISABLED n1", "ENABLED n0", "ENABLED n1", "REMOVED n1"].map(|line| {
        let (kind, name) = line.split_once(' ').unwrap();
        format!("PROCESS_{kind}|processname:{name} groupname:n |\n")
    });
    wait_for("the events", || {
        let text = std::fs::read_to_string(daemon.folder.path("events")).unwrap_or_default();
        (text.lines().count() == expected.len()).then(|| assert_eq!(text, expected.concat()))
    });
    let folder = Folder::new();
    folder.configure(listener);
    let ended = folder.supervisord(&["-n"]);
    assert!(ended.stderr.contains("Unknown event type PROCESS in [eventlistener:l] events"), "{ended:?}");
}
