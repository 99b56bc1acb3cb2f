use std::collections::BTreeSet;

use super::super::fake::Fake;
use super::super::reader::Scope;
use super::super::tables::{TABLES, tables};
use super::*;
use crate::wire::value::Value;

#[test]
fn rows_describe_themselves() {
    for table in TABLES {
        for row in table.rows {
            let (name, of) = (row.name, table.sections);
            assert!(row.doc.ends_with(['.', ';']) && !row.doc.starts_with(' '), "{of:?} {name}: {:?}", row.doc);
            assert!(!row.kind.is_empty(), "{of:?} {name}");
            for name in [name].iter().chain(row.aliases) {
                assert_eq!(**name, name.to_lowercase(), "{of:?}");
            }
            let follows = row.follows.is_none_or(|other| table.rows.iter().any(|row| row.name == other));
            assert!(follows, "{of:?} {name} follows what is not there");
            // Where it is known, --check says nothing against it.
            for section in table.sections {
                let section = section.trim_end_matches('*');
                let section = if section.ends_with(':') { format!("{section}x") } else { section.to_string() };
                let known = tables(&section).unwrap_or_default();
                assert!(known.concat().iter().any(|known| known.is_called(name)), "{name} in [{section}]");
            }
        }
    }
    let startsecs = Program::ROWS.iter().find(|row| row.name == "startsecs").copied();
    let doc = "Seconds it must stay up to count as started.";
    assert_eq!(startsecs, Some(Row::new("startsecs", "integer", doc).default("1").listed(13)));
    let killasgroup = Program::ROWS.iter().find(|row| row.name == "killasgroup");
    assert_eq!(killasgroup.and_then(|row| row.follows), Some("stopasgroup"));
}

#[test]
fn no_name_stands_for_two_options_of_a_section() {
    // Groups have priorities as programs have, and a listener may not have what a program may.
    const TWICE: &[&str] = &["priority", "redirect_stderr", "user"];
    for section in ["program:x", "eventlistener:x", "fcgi-program:x", "group:x", "supervisord", "supervisorctl"] {
        let mut seen = BTreeSet::new();
        for row in tables(section).unwrap().concat() {
            for name in [row.name].iter().chain(row.aliases) {
                assert!(seen.insert(*name) || TWICE.contains(name), "{name} in [{section}]");
            }
        }
    }
}

/// What is wrong with a value is said of the option by its name; these few errors are the original's, word for word.
#[test]
fn errors_about_values_name_their_options() {
    const NAMELESS: &str = "autostart childlogdir environment exitcodes killasgroup logfile loglevel nocleanup nodaemon \
        pidfile process_name redirect_stderr silent stderr_events_enabled stderr_logfile stderr_syslog \
        stdout_events_enabled stdout_logfile stdout_syslog stopasgroup stopsignal strip_ansi umask";
    let kinds = [("supervisord", "[supervisord]\n"), ("program:x", "[supervisord]\n[program:x]\ncommand=x\n")];
    let mut nameless = BTreeSet::new();
    for (section, head) in kinds {
        for row in tables(section).unwrap().concat() {
            // No kind of text that is read at all can be this one.
            let Err(error) = Fake::new().load(&format!("{head}{}=^/\u{1}:\n", row.name)) else { continue };
            if !error.to_string().contains(row.name) {
                nameless.insert(row.name);
            }
        }
    }
    assert_eq!(nameless.into_iter().collect::<Vec<_>>().join(" "), NAMELESS);
}

#[test]
fn an_empty_section_has_the_defaults() {
    let env = Fake::new();
    let document = Document::default();
    let section = Section::new("s", "F".into(), 1);
    let reader = Reader { document: &document, section: &section, scope: Scope::default(), env: &env, stand_in: None };
    assert_eq!(Supervisord::read(&reader, None).unwrap().minfds, 1024);
    let program = Program::read(&reader, String::new(), Revision(1), false).unwrap();
    // A process has a command.
    assert!(Process::read(&reader, String::new(), 0, Rc::new(program), Rc::default(), Rc::default()).is_err());
    assert_eq!(GroupOptions::read(&reader).unwrap().priority, 999);
    assert_eq!(ListenerOptions::read(&reader).unwrap().priority, -1);
    assert_eq!(FcgiOptions::read(&reader).unwrap().socket_backlog, None);
    assert!(!Stheno::read(&reader).unwrap().mutation);
    assert_eq!(CtlOptions::read(&reader).unwrap().prompt, "supervisor");
}

#[test]
fn sections_and_their_tables() {
    let rows = [
        ("program:x", Some(2 + usize::from(cfg!(feature = "fleet")))),
        ("program", None),
        ("eventlistener:x", Some(3)),
        ("fcgi-program:x", Some(4 + usize::from(cfg!(feature = "fleet")))),
        ("inet_http_server", Some(1)),
        ("inet_http_server:second", Some(1)),
        ("unix_http_server2", Some(2)),
        ("supervisord:x", None),
        ("rpcinterface:supervisor", None),
        ("pogram:x", None),
    ];
    for (section, expected) in rows {
        assert_eq!(tables(section).map(|tables| tables.len()), expected, "{section:?}");
    }
}

/// A text that is not the default, for an option of each kind.
fn another(row: &Row) -> &'static str {
    match row.kind {
        "boolean" if row.default == Some("true") => "false",
        "boolean" => "true",
        "integer" => "77",
        "size" => "7MB",
        "true, false or unexpected" => "true",
        "signal" => "INT",
        "list of exit codes" => "3,4",
        "octal number" => "0027",
        "user, or user:group" => "nobody:1",
        "list of groups" => "daemon,77",
        "path, AUTO or NONE" => "/tmp/log",
        "URL or AUTO" => "http://example.org",
        "restart or ignore" => "restart",
        "characters or bytes" => "bytes",
        "text" => "/tmp",
        "drop or wait" => "wait",
        "text or json" => "json",
        "prefix" => "\"%(pid)d | \"",
        "file or memory" => "memory",
        "size, 1KB to 16MB" => "2MB",
        "number of connections, 1 to 10000" => "77",
        "unix:PATH or udp:ADDRESS:PORT" => "udp:192.0.2.1:514",
        "syslog facility, such as user, daemon or local0" => "local0",
        "syslog priority: emerg, alert, crit, err, warning, notice, info or debug" => "err",
        "syslog tag, without blanks" => "web",
        "none or gzip" => "gzip",
        "daily, hourly or a number of seconds" => "3600",
        "seconds, 0.1 to 60" | "seconds, 0.1 to 3600" | "seconds" => "2.5",
        "simple or oneshot" => "oneshot",
        "main, group or all" => "all",
        "ignore or fail" => "fail",
        "process or tree" => "tree",
        "restart, stop or none" | "restart, stop, none or a command" => "stop",
        "number from 1 on" => "7",
        "signal, or several" => "INT:3 QUIT",
        "command" | "http://URL, tcp://HOST:PORT or a command" => "/bin/true",
        "directory" => "/tmp",
        "list of files of variables" => "a.env,-/b.env",
        "soft limit, or soft:hard" => "100:200",
        "number from -20 to 19" => "5",
        "number from -1000 to 1000" => "500",
        "realtime:0-7, best-effort:0-7 or idle" => "idle",
        "list of FILE=VALUE" => "memory.max=64M",
        "list of KEY:PATH" => "KEY:/run/secrets/key",
        "boolean, or list of variables" => "PATH,LANG",
        kind if kind.starts_with("startsecs, notify") => "notify",
        "whole number or inf" => "inf",
        "ignore or shutdown" => "shutdown",
        "ignore, shutdown or shutdown_unexpected" => "shutdown",
        "percent, 0 to 100" => "50",
        "process, group, tree or cgroup" => "tree",
        "starts/seconds, such as 5/60" => "5/60",
        "names with conditions" => "z",
        "wait or fatal" => "fatal",
        "ignore, stop or restart" => "stop",
        "ignore, stop_group or restart_group" => "stop_group",
        kind => panic!("say here what an option of the kind {kind:?} may be, for {}", row.name),
    }
}

/// The process of a program with these lines.
fn process(lines: &str) -> Rc<Process> {
    let text = format!("[supervisord]\n[group:g]\nprograms=p\n[program:p]\n{lines}\n[program:z]\ncommand=x\n");
    Fake::new().load(&text).unwrap_or_else(|error| panic!("{lines}: {error}")).groups[0].processes[0].clone()
}

type Shown = Vec<(Row, Value, Value)>;

fn shown(process: &Process) -> Shown {
    let mut all = Vec::new();
    let put = &mut |row: &'static Row, value: &dyn Show| all.push((*row, value.shown(), value.listed()));
    process.program.show(put);
    process.show(put);
    all
}

#[test]
fn an_option_with_another_value_differs_and_shows() {
    let usual = process("command=x");
    let rows: Vec<Row> = Program::ROWS.iter().chain(Process::ROWS).copied().filter(|row| !row.makes).collect();
    assert_eq!(shown(&usual).into_iter().map(|(row, ..)| row).collect::<Vec<_>>(), rows);
    for row in rows {
        let line = format!("{}={}", row.name, another(&row));
        let other = process(&if row.name == "command" { line.clone() } else { format!("command=x\n{line}") });
        assert!(!usual.same_as(&other), "{line} is no difference");
        let value_of = |process| shown(process).into_iter().find(|(shown, ..)| *shown == row).unwrap();
        let ((_, before, listed_before), (_, after, listed_after)) = (value_of(&usual), value_of(&other));
        assert_ne!(before, after, "{line} does not show");
        assert!(row.listed.is_none() || listed_before != listed_after, "{line} is not listed");
    }
}

#[test]
fn an_option_of_a_group_with_another_value_differs() {
    let kinds: [(&[Row], &str); 3] = [
        (GroupOptions::ROWS, "[program:p]\ncommand=x\n[group:g]\nprograms=p\n"),
        (ListenerOptions::ROWS, "[eventlistener:l]\ncommand=x\nevents=TICK_5\n"),
        (FcgiOptions::ROWS, "[fcgi-program:f]\ncommand=x\nsocket=unix:///tmp/s\n"),
    ];
    for (rows, lines) in kinds {
        let group = |line: &str| {
            let text = format!("[supervisord]\n{lines}{line}\n[program:z]\ncommand=x\n");
            Fake::new().load(&text).unwrap_or_else(|error| panic!("{text}: {error}")).groups[0].clone()
        };
        for row in rows.iter().filter(|row| !row.makes) {
            let line = format!("{}={}", row.name, another(row));
            assert!(!group("").same_as(&group(&line)), "{lines}{line} is no difference");
        }
        assert!(group("").same_as(&group("")), "{lines}");
    }
}

#[test]
fn what_only_makes_processes_is_neither_compared_nor_shown() {
    let usual = process("command=x");
    for row in Program::ROWS.iter().filter(|row| row.makes) {
        let text = match row.name {
            "numprocs" => "2\nprocess_name=%(process_num)d",
            "numprocs_start" => "5",
            "environment" => "A=1",
            "process_name" => "q",
            name if name.starts_with("dependent_startup") => "true",
            name => panic!("say here what {name} may be"),
        };
        let other = process(&format!("command=x\n{}={text}", row.name));
        assert_eq!(usual.program, other.program, "{}", row.name);
    }
    assert!(!usual.same_as(&process("command=x\nenvironment=A=1")));
}
