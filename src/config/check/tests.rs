//! What the check says of which text.

use super::*;
use crate::config::cmdline::CommandLine;
use crate::config::fake::Fake;

/// The lines of a report.
struct Lines {
    lines: Vec<String>,
    is_clean: bool,
}

fn report(text: &str) -> Lines {
    report_of(text, false)
}

fn report_of(text: &str, portable: bool) -> Lines {
    let mut env = Fake::new();
    env.dirs.insert("/dev".to_string());
    for command in ["x", "sleep"] {
        env.write(&format!("/bin/{command}"), "");
    }
    env.write("/base/F", text);
    let command_line = CommandLine { configuration: Some("F".to_string()), ..CommandLine::default() };
    let report = check(&mut Loader::new("sd", command_line, &env), &env, portable);
    Lines { lines: report.findings.iter().map(Finding::to_string).collect(), is_clean: report.is_clean() }
}

#[test]
fn a_good_file_is_clean() {
    let report = report(
        "[supervisord]\n[unix_http_server]\nfile=/tmp/s\n[program:a]\ncommand=x\nstdout_logfile_maxbytes=0\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
    );
    assert!(report.is_clean, "{:?}", report.lines);
    assert_eq!(report.lines.len(), 1);
    assert!(report.lines[0].starts_with("warning: For [program:a], AUTO logging used for stdout_logfile"));
}

#[test]
fn all_findings_are_named() {
    let report = report(
        "[supervisord]\nnodeamon=true\n[program:a]\ncommand=x\nstartsec=3\npriority=high\n[program:b]\n\
         qwertyuiop=1\n[program:c ;d]\ncommand=x\n[pogram:e]\n[qwerty]\n[DEFAULT]\nautostrat=1\n\
         [eventlistener:l]\ncommand=x\nevents=NOPE\n",
    );
    let expected = [
        "error: priority: expected a whole number, not 'high' (file: 'F', line 6)",
        "error: Unknown event type NOPE in [eventlistener:l] events (file: 'F', line 17)",
        "unknown: option nodeamon in [supervisord], did you mean nodaemon? (file: 'F', line 2)",
        "unknown: option startsec in [program:a], did you mean startsecs? (file: 'F', line 5)",
        "unknown: option qwertyuiop in [program:b] (file: 'F', line 8)",
        "unknown: option [program in [program:b], which looks like the header of a section cut off by a comment \
         (file: 'F', line 9)",
        "unknown: section [pogram:e], did you mean [program:e]? (file: 'F', line 11)",
        "unknown: section [qwerty] (file: 'F', line 12)",
        "unknown: option autostrat in [DEFAULT], did you mean autostart? (file: 'F', line 14)",
    ];
    assert_eq!(report.lines, expected);
    assert!(!report.is_clean);
}

#[test]
fn one_error_does_not_hide_others() {
    let report = report(
        "[supervisord]\nnodaemon=maybe\nloglevel=loud\n[program:a]\ncommand=%(nope)s\nstartsecs=x\numask=9\n\
         [program:b]\nautostart=perhaps\n[group:g]\nprograms=a,zz\n[unix_http_server]\nfile=/s\nchmod=9\n",
    );
    let lines = report.lines.iter().map(|line| line.rsplit_once("line ").map_or("", |(_, line)| line));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        ["2)", "3)", "5)", "6)", "7)", "8)", "9)", "11)", "14)", "12)"],
        "{:?}",
        report.lines
    );
}

#[test]
fn what_keeps_a_file_from_running() {
    let rows = [
        ("[inet_http_server]\nport=1\n", "error: .ini file does not include supervisord section"),
        ("x\n", "error: File contains no section headers.\nfile: 'F', line: 1\n'x\\n'"),
        (
            "[supervisord]\n[program:a]\ncommand=x\n[eventlistener:a]\ncommand=x\nevents=TICK_5\n",
            "error: there are two groups called 'a'",
        ),
        (
            "[supervisord]\n[rpcinterface:supervisor]\nx=1\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
            "error: [rpcinterface:supervisor] has an option 'x' that its factory does not know",
        ),
    ];
    for (text, expected) in rows {
        let report = report(text);
        assert_eq!((report.lines.first().map(String::as_str), report.is_clean), (Some(expected), false), "{text:?}");
    }
}

const HEAD: &str = "[supervisord]\n";

#[test]
fn each_kind_of_mistake_has_its_line() {
    // (what follows [supervisord], which begins in line 2, how the line begins, what is in it)
    let rows = [
        (
            "[program:a]\ncommand=/bin/x -c 'a ; b'",
            "error: a comment begins at \" ;\" inside the quotes of command",
            "line 3",
        ),
        (
            "[program:a]\ncommand=/bin/x -c 'a # b'",
            "error: a comment begins at \" #\" inside the quotes of command",
            "line 3",
        ),
        ("[program:a]\ncommand=/bin/x it's", "error: [program:a]: the command cannot be split", "line 3"),
        ("[program:a]\ncommand=", "error: [program:a]: the command is empty", "line 3"),
        ("[program:a]\ncommand=\"/bin/x 1\"", "error: [program:a]: the command is in quotes as a whole", "line 3"),
        ("[program:a]\ncommand=/bin/x && /bin/x", "error: [program:a]: && is for a shell", "line 3"),
        ("[program:a]\ncommand=/bin/nginx", "error: [program:a]: nginx puts itself into the background", "line 3"),
        ("[program:a]\ncommand=/no/such", "here: the command /no/such of [program:a] is not found", "line 3"),
        ("[program:a]\ncommand=nosuch", "here: the command nosuch of [program:a] is not found", "line 3"),
        ("[program:a]\ncommand=x\ndirectory=\"/tmp\"", "error: the quotes in directory of [program:a]", "line 4"),
        ("[program:a]\ncommand=x\ndirectory=/nowhere", "here: the directory /nowhere of [program:a]", "line 4"),
        ("[program:a]\ncommand=x\nstdout_logfile=/tmp", "here: stdout_logfile of [program:a] is a directory", "line 4"),
        ("[program:a]\ncommand=x\nuser=nosuch", "here: Invalid user name nosuch", "line 4"),
        ("[program:a]\ncommand=x %(ENV_NOPE)s", "here: Format string", "line 3"),
        ("[program:a]\ncommand=x\n[program:a]\npriority=1", "error: the section [program:a] is there twice", "line 2"),
        ("[program:a]\ncommand=x\ncommand=x 2", "error: command in [program:a] is set twice", "line 3"),
        ("[program:a]\ncommand=x\n  autostart=false", "error: autostart is indented", "line 4"),
        ("[program:a]\ncommand=x\n\tautostart: false", "error: autostart is indented", "line 4"),
        ("[program:a]\ncommand=x\nenvironment=A=1\n\tautostart=false", "error: autostart is indented", "line 5"),
        ("[program:a]\ncommand=/bin/x >/dev/null", "error: [program:a]: > is for a shell", "line 3"),
        ("[program:a]\ncommand=~/x", "error: [program:a]: ~ is for a shell", "line 3"),
        ("[program:a]\ncommand=/bin/x \"$HOME\"", "warning: [program:a]: $HOME is for a shell", "line 3"),
        (
            "[program:a]\ncommand=x\nstdout_logfile=/tmp/l;mine",
            "error: the ; in stdout_logfile of [program:a]",
            "line 4",
        ),
        (
            "[program:a]\ncommand=x\nstdout_logfile=/tmp/l\n[program:b]\ncommand=x\nstdout_logfile=/tmp/l",
            "error: [program:b] and [program:a] rotate one log, /tmp/l",
            "line 7",
        ),
        (
            "[program:a]\ncommand=x\nstdout_logfile=/tmp/l\n[program:b]\ncommand=x\nstdout_logfile=/tmp/../tmp//./l",
            "error: [program:b] and [program:a] rotate one log, /tmp/l",
            "line 7",
        ),
        (
            "[program:a]\ncommand=x\nstdout_logfile=/tmp/l\n[program:b]\ncommand=x\nstdout_logfile=/tmp/l\n\
             stdout_logfile_maxbytes=0",
            "error: [program:b] and [program:a] write one log, and not both of them rotate it, /tmp/l",
            "line 7",
        ),
        (
            "logfile=/tmp/l\n[program:a]\ncommand=x\nstdout_logfile=/tmp/l",
            "error: [program:a] and [supervisord] rotate one log, /tmp/l",
            "line 5",
        ),
        (
            "[program:a]\ncommand=x\nnumprocs=2\nprocess_name=%(process_num)d\nstdout_logfile=/tmp/l",
            "error: all processes of [program:a] rotate one log",
            "line 6",
        ),
        (
            "[program:a]\ncommand=x\n[group:g]\nprograms=a\n[group:h]\nprograms=a",
            "error: a is in [group:h] and in [group:g]",
            "line 7",
        ),
        ("[unix_http_server]\nfile=/tmp/s", "error: [unix_http_server] is of no use to supervisorctl", "line 2"),
        ("[supervisorctl]\nserverurl=unix:///tmp/s", "warning: serverurl in [supervisorctl]", "line 3"),
        ("[program:a]\ncommand=x\nenvironment=URL=h?a=1", "warning: environment in [program:a] has a value", "line 4"),
        (
            "[program:a]\ncommand=x --color #fff",
            "warning: a comment begins at \" #fff\" and cuts the command of [program:a]",
            "line 3",
        ),
        ("[program:a]\ncommand=x -exec y {} ;", "warning: a comment begins at \" ;\" and cuts the command", "line 3"),
        (
            "[program:a]\ncommand=x\nenvironment_inherit=ture",
            "warning: environment_inherit in [program:a] passes on one",
            "line 4",
        ),
        (
            "[program:a]\ncommand=x\nenvironment_inherit=none",
            "warning: environment_inherit in [program:a] passes on one",
            "line 4",
        ),
        ("nodaemon=true\nlogfile=/dev/stdout", "warning: each line of the log is on stdout twice", "line 3"),
        ("logfile=/dev/stdout", "warning: each line of the log is on stdout twice with -n: use -s or", "line 2"),
        ("[include]\nfiles=/nothing/*.conf", "warning: No file matches via include \"/nothing/*.conf\"", ""),
    ];
    for (text, start, place) in rows {
        let report = report(&format!("{HEAD}{text}\n"));
        let found = report.lines.iter().find(|line| line.starts_with(start));
        assert!(found.is_some_and(|line| line.contains(place)), "{text:?}: {:?}", report.lines);
        assert_eq!(report.is_clean, start.starts_with("warning"), "{text:?}: {:?}", report.lines);
        let portable = report_of(&format!("{HEAD}{text}\n"), true);
        assert_eq!(portable.lines.iter().any(|line| line.starts_with(start)), !start.starts_with("here"), "{text:?}");
    }
}

#[test]
fn what_is_right_is_not_complained_about() {
    let rows = [
        "[program:a]\ncommand=/bin/x -c 'a && b' ; a comment\n",
        "[program:a]\ncommand=x \";\" # a comment\nenvironment_inherit=http_proxy\n[program:b]\ncommand=x ;; y\nenvironment_inherit=TREE\n",
        "[program:a]\ncommand=x\n  --bind=x\n  more\nenvironment=\n  A=\"1\",\n  PATH_X=\"2\"\n",
        "[program:a]\ncommand=x\nstdout_logfile=/dev/stdout\n[program:b]\ncommand=x\nstdout_logfile=/dev/stdout\n",
        "[program:a]\ncommand=x\nstdout_logfile=/tmp/l\nstdout_logfile_maxbytes=0\nstderr_logfile=/tmp/l\n\
         stderr_logfile_maxbytes=0\n",
        "[program:a]\ncommand=x\nenvironment=A=\"1\",\n  user=\"bob\",\n\tpriority=\"1\"\n",
        "[program:a]\ncommand=x\nenvironment=\n  user=bob,\n  priority=1\n",
        "[program:a]\ncommand=x\nenvironment=A=%(here)s,B=/x/%(program_name)s,C=%(process_num)02d\n",
        "[program:a]\ncommand=/bin/x -c '\n  name=1\n  y'\n",
        "[program:a]\ncommand=x\ndependent_startup=true\ndependent_startup_wait_for=b:running\n",
    ];
    for text in rows {
        assert_eq!(report(&format!("{HEAD}{text}")).lines, [] as [String; 0], "{text:?}");
    }
    // What is not known here may be all right elsewhere.
    let unknown = format!("{HEAD}[program:a]\ncommand=x\nenvironment=A=%(ENV_NOPE)s,B=/x/%(ENV_NOPE)s\n");
    assert_eq!(report_of(&unknown, true).lines, [] as [String; 0]);
}

#[test]
fn a_fragment_is_checked_as_one() {
    assert_eq!(report("[program:a]\ncommand=x\n").lines, [] as [String; 0]);
    let of_group = report("[program:a]\ncommand=x\n[group:g]\nprograms=a,other\n");
    let expected = "warning: [group:g] names unknown program or fcgi-program other (file: 'F', line 4)";
    assert_eq!((of_group.lines, of_group.is_clean), (vec![expected.to_string()], true));
    let report = report("[program:a]\ncommand=x\nautostrat=1\n");
    assert_eq!(report.lines, ["unknown: option autostrat in [program:a], did you mean autostart? (file: 'F', line 3)"]);
}

/// O-1: by program, whatever others wait for.
#[test]
fn what_is_for_waiting_needs_something_to_wait_for() {
    let others = "[program:b]\ncommand=x\n[program:c]\ncommand=x\ndepends_on=b\n";
    let one_group = "[group:g]\nprograms=a\ndepends_on=b\n[group:h]\nprograms=a\n";
    // What else stands in the section, what in others, whether it is told of.
    let rows = [
        ("", "", true),
        ("", others, true),
        ("", "[group:g]\nprograms=c\ndepends_on=b\n", true),
        ("depends_on=b\n", "", false),
        ("depends_on=b\nnumprocs=0\n", "", false),
        ("", "[DEFAULT]\ndepends_on_timeout=1\n", true),
        ("", "[group:g]\nprograms=a\ndepends_on=b\n", false),
        ("", one_group, false),
    ];
    for option in ["depends_on_failure=fatal", "depends_on_timeout=5", "on_dependency_stop=restart"] {
        for (own, more, is_told) in rows {
            let more = if more.contains("[program:b]") { more.to_string() } else { format!("{others}{more}") };
            let of = report(&format!("{HEAD}[program:a]\ncommand=x\n{option}\n{own}{more}"));
            let key = option.split('=').next().unwrap();
            let line =
                format!("warning: {key} in [program:a] has no effect without depends_on, its own or its group's");
            let told: Vec<_> = of.lines.iter().filter(|told| told.contains("no effect")).collect();
            assert_eq!(told.len(), usize::from(is_told), "{option} {own} {more}: {told:?}");
            assert!(told.iter().all(|told| told.starts_with(&line)), "{told:?}");
        }
    }
}

/// O-1: an error elsewhere hides nothing of the graph, and nothing is missing because it stands in a wrong section.
#[test]
fn an_error_elsewhere_leaves_the_graph_as_it_is() {
    let text = format!(
        "{HEAD}exit_code_from=m\n[program:m]\ncommand=x\ntype=oneshot\nautorestart=true\n[program:o]\ncommand=x\n\
         depends_on=m\n[program:p]\ncommand=x\nautostart=false\n[program:q]\ncommand=x\ndepends_on=p, m\n\
         [program:r]\ncommand=x\ndepends_on=mm\n"
    );
    let report = report(&text);
    let starts: Vec<&str> = report.lines.iter().map(|line| line.get(..40).unwrap_or(line)).collect();
    let expected = [
        "error: type=oneshot ends when it is done",
        "error: depends_on names 'mm', which is n",
        "warning: exit_code_from in [supervisord]",
        "warning: q depends on p, which is not st",
        "warning: exit_code_from in [supervisord]",
    ];
    assert_eq!(starts, expected, "{:?}", report.lines);
}

/// O-1: what ends cannot stop.
#[test]
fn what_follows_a_stop_needs_something_that_lasts() {
    for (items, is_told) in
        [("b=ended", true), ("b=completed, b=spawned", true), ("b=ended, b", false), ("b=ready", false)]
    {
        let text = format!(
            "{HEAD}[program:b]\ncommand=x\n[program:a]\ncommand=x\non_dependency_stop=stop\ndepends_on={items}\n"
        );
        let lines = report(&text).lines;
        assert_eq!(lines.len(), usize::from(is_told), "{items}: {lines:?}");
        assert!(
            lines.iter().all(|line| line.starts_with("warning: on_dependency_stop in [program:a] has no effect: "))
        );
    }
}

/// O-1: what supervisord-dependent-startup passes over is told only where it is read.
#[test]
fn what_is_passed_over_of_first_starts_is_told() {
    let text = "[program:b]\ncommand=x\n[program:a]\ncommand=x\nautostart=false\ndependent_startup=true\n\
                dependent_startup_wait_for=zz:running b:runing\n";
    let lines = report(&format!("{HEAD}dependent_startup=true\n{text}")).lines;
    assert_eq!(
        lines,
        [
            "warning: dependent_startup in [supervisord] is read at start and at a restart, not by reread",
            "warning: Service 'a' depends on unknown service 'zz'; that is passed over",
            "warning: Ignoring invalid state 'RUNING' in 'dependent_startup_wait_for' for 'program:a'",
        ]
    );
    assert_eq!(report(&format!("{HEAD}{text}")).lines, [] as [String; 0]);
}

/// O-3, O-4, O-6: what is run beside a program has no shell either.
#[test]
fn commands_beside_a_program_are_looked_at() {
    let rows = [
        ("pre_start_hook=/bin/x && x", "error: pre_start_hook of [program:a]: && is for a shell"),
        ("post_start_hook=cd /tmp", "error: post_start_hook of [program:a]: cd is for a shell"),
        (
            "pre_stop_hook=/nonexistent/x",
            "here: the command /nonexistent/x of pre_stop_hook in [program:a] is not found",
        ),
        ("post_stop_hook=nosuch", "here: the command nosuch of post_stop_hook in [program:a] is not found"),
        ("stop_command=x > /tmp/l", "error: stop_command of [program:a]: > is for a shell"),
        ("ready=command:x | x", "error: ready of [program:a]: | is for a shell"),
        ("ready=command:nosuch", "here: the command nosuch of ready in [program:a] is not found"),
        ("ready=unix:/nonexistent", ""),
        ("ready=command:/bin/x -q", ""),
        (
            "liveness_check_script=/nonexistent/check",
            "here: the command /nonexistent/check of liveness_check_script in",
        ),
        ("liveness_check_script=http://127.0.0.1/", ""),
        ("liveness_check_script=tcp://127.0.0.1:1", ""),
        (
            "liveness_check_script=x http://127.0.0.1:1/ && x",
            "error: liveness_check_script of [program:a]: && is for a",
        ),
        (
            "liveness_check_script=x\nliveness_check_failure_action=restrat",
            "unknown: liveness_check_failure_action of [program:a] is no command, restrat, did you mean restart?",
        ),
        ("liveness_check_script=x\nliveness_check_failure_action=none", ""),
        ("liveness_check_script=x\nliveness_check_failure_action=sleep", ""),
        (
            "liveness_check_script=x\nliveness_check_success_action=nosuch",
            "here: the command nosuch of liveness_check_success_action in [program:a] is not found",
        ),
        ("pre_start_hook=%(here)s/nosuch", "here: the command /base/nosuch of pre_start_hook in [program:a]"),
        ("pre_start_hook=own\nenvironment=PATH=\"/opt\"", ""),
    ];
    for (option, expected) in rows {
        let lines = report(&format!("{HEAD}[program:a]\ncommand=x\n{option}\n")).lines;
        assert_eq!(lines.len(), usize::from(!expected.is_empty()), "{option}: {lines:?}");
        assert!(lines.iter().all(|line| line.starts_with(expected)), "{option}: {lines:?}");
    }
}

/// O-1: a state behind a colon, as in dependent_startup_wait_for, and a group that has nothing yet.
#[test]
fn names_that_nothing_has() {
    let rows = [
        (
            "b:ready",
            "",
            "error: depends_on names 'b:ready', which is no program or group in section 'program:a'",
            "b=ready?",
        ),
        ("bb", "", "error: depends_on names 'bb', which is no program or group", "did you mean b?"),
        ("g", "[group:g]\nprograms=\n", "warning: a depends on g, a group without programs", ""),
        ("g:*", "[group:g]\nprograms=\n", "warning: a depends on g:*, a group without programs", ""),
    ];
    for (item, more, start, end) in rows {
        let lines =
            report(&format!("{HEAD}[program:a]\ncommand=x\ndepends_on={item}\n[program:b]\ncommand=x\n{more}")).lines;
        let is_told = matches!(&lines[..], [line] if line.starts_with(start) && line.contains(end));
        assert!(is_told, "{item}: {lines:?}");
    }
}
