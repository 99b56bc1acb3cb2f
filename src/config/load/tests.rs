//! Whole configurations: what they yield, and which message a bad one gives.

use super::super::datatypes::{ByteSize, Directory, FilePath, Octal};
use super::super::diff::{Difference, difference};
use super::super::fake::Fake;
use super::super::journal::{Note, Own};
use super::super::types::*;
use super::*;
use crate::level::Level;

const MAIN: &str = "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n";

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Each row is a text and the message it gives.
fn errors(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        match Fake::new().load(text) {
            Ok(_) => panic!("accepted: {text:?}"),
            Err(error) => assert_eq!(error.to_string(), *expected, "{text:?}"),
        }
    }
}

#[test]
fn an_empty_section_gives_the_defaults() {
    let config = Fake::new().load("[supervisord]\n").unwrap();
    let got = &config.supervisord;
    assert_eq!((got.activity_log(), got.pidfile.0.as_str()), (Some("/base/supervisord.log"), "/base/supervisord.pid"));
    assert_eq!((got.logfile_maxbytes, got.logfile_backups, got.loglevel), (ByteSize(50 << 20), 10, Level::Info));
    assert_eq!((got.umask, got.minfds, got.minprocs), (Octal(0o22), 1024, 200));
    assert!(!got.nodaemon && !got.silent && !got.nocleanup && !got.strip_ansi);
    assert_eq!((got.auto_log_directory(), &got.directory), ("/tmp", &None));
    assert_eq!((&got.user, &got.account, got.environment.as_str()), (&None, &None, ""));
    assert_eq!(got.identifier, "supervisor");
    assert!(config.stheno.is_none());
    assert!(config.servers.is_empty() && config.interfaces.is_empty() && config.groups.is_empty());
    assert!(config.infos.is_empty() && config.warnings.is_empty());
}

#[test]
fn the_command_line_wins() {
    let mut env = Fake::new();
    env.write(
        "F",
        "[supervisord]\nlogfile=a\npidfile=b\nlogfile_maxbytes=1\nlogfile_backups=-1\nloglevel=warn\numask=1\nuser=root\n\
         identifier=c\nminfds=3\nminprocs=4\nnodaemon=false\nsilent=true\ndirectory=/tmp\nchildlogdir=/etc\n",
    );
    let command_line = CommandLine {
        configuration: Some("F".into()),
        nodaemon: true,
        user: Some("nobody".into()),
        umask: Some(Octal(0o77)),
        logfile: Some(FilePath("syslog".into())),
        logfile_maxbytes: Some(ByteSize(9)),
        pidfile: Some(FilePath("../p".into())),
        identifier: Some("me".into()),
        minprocs: Some(-5),
        ..CommandLine::default()
    };
    let got = Loader::new("sd", command_line, &env).load(&env).unwrap().supervisord;
    assert_eq!((got.activity_log(), got.pidfile.0.as_str(), got.logfile_maxbytes), (None, "/p", ByteSize(9)));
    assert_eq!((got.account.as_ref().map(|user| user.uid), got.umask), (Some(65534), Octal(0o77)));
    assert_eq!((got.nodaemon, got.silent, got.minfds, got.minprocs), (true, true, 3, -5));
    assert_eq!((got.logfile_backups, got.loglevel, got.identifier.as_str()), (-1, Level::Warn, "me"));
    assert_eq!((&got.directory, got.auto_log_directory()), (&Some(Directory("/tmp".into())), "/etc"));
}

#[test]
fn temporary_files_go_where_python_puts_them() {
    let rows = [("/var/x", "/tmp"), ("/etc", "/etc"), ("../etc", "/etc"), ("", "/tmp")];
    for (tmpdir, expected) in rows {
        let mut env = Fake::new();
        env.set_variable("TMPDIR", tmpdir);
        assert_eq!(env.load("[supervisord]\n").unwrap().supervisord.auto_log_directory(), expected, "{tmpdir:?}");
    }
}

#[test]
fn bad_files() {
    errors(&[
        ("", ".ini file does not include supervisord section"),
        ("[program:p]\ncommand=x\n", ".ini file does not include supervisord section"),
        ("foo=bar\n", "File contains no section headers.\nfile: 'F', line: 1\n'foo=bar\\n'"),
        (
            "[supervisord]\nfoo\n  bar = \n[x\n",
            "Source contains parsing errors: 'F'\n\t[line  2]: 'foo\\n'\n\t[line  4]: '[x\\n'",
        ),
        ("[supervisord]\n[include]\n", ".ini file has [include] section, but no files setting (file: 'F', line 2)"),
        (
            "[supervisord]\n[include]\nfiles=%(nope)s\n",
            "Format string '%(nope)s' for 'include.files' contains names ('nope') which cannot be expanded. \
             Available names: here, host_node_name (file: 'F', line 3)",
        ),
    ]);
    let mut env = Fake::new();
    env.write("F", b"[supervisord]\na=\xff\n");
    let line = CommandLine { configuration: Some("F".into()), ..CommandLine::default() };
    let mut loader = Loader::new("sd", line, &env);
    assert_eq!(
        loader.load(&env).unwrap_err().to_string(),
        "'utf-8' codec can't decode byte 0xff in position 16: invalid start byte (file: 'F', line 2)"
    );
    env.write("F", "\u{feff}[supervisord]\n[include]\nfiles=I\n");
    env.write("I", "\u{feff}[program:a]\ncommand=x\n");
    assert_eq!(loader.load(&env).unwrap().groups.len(), 1, "a mark of byte order is no text");
    env.write("F", "[supervisord]\n[program:a]\ncommand=x\nenvironment=\n  A=1,\n  B=\"## A ##\",\n  C=2\n");
    assert_eq!(
        loader.load(&env).unwrap_err().to_string(),
        "No closing quotation: a comment begins at \" #\" inside the quotes, in line 6 in section 'program:a' (file: 'F', \
         line 4)"
    );
    env.files.clear();
    assert_eq!(loader.load(&env).unwrap_err().to_string(), "could not find config file F");
    let mut searching = Loader::new("sd", CommandLine::default(), &env);
    assert!(searching.load(&env).unwrap_err().to_string().starts_with("No config file found at default paths ("));
    assert!(searching.needs_root_warning(&env) && !loader.needs_root_warning(&env));
}

#[test]
fn bad_values_of_supervisord() {
    let rows = [
        ("loglevel=loud", "bad logging level name 'loud'"),
        ("logfile=/no/such/x", "The directory named as part of the path /no/such/x does not exist"),
        ("umask=9", "9 can not be converted to an octal type"),
        ("minfds=x", "minfds: expected a whole number, not 'x'"),
        ("nodaemon=x", "not a valid boolean value: 'x'"),
        ("directory=/no/such", "/no/such is not an existing directory"),
        ("childlogdir=/no/such", "/no/such is not an existing directory"),
        ("user=nosuch", "Invalid user name nosuch"),
        ("environment=A,B=secret", "Unexpected end of key/value pairs in value '…,B=…'"),
        ("identifier=%", "Format string '%' for 'supervisord.identifier' is badly formatted: incomplete format"),
    ];
    for (line, expected) in rows {
        errors(&[(&format!("[supervisord]\n{line}\n"), &format!("{expected} (file: 'F', line 2)"))]);
    }
    // No value is shown.
    errors(&[(
        "[supervisord]\nenvironment=A=1,\n  B\n",
        "Unexpected end of key/value pairs in value 'A=…,…' (file: 'F', line 2)",
    )]);
}

#[test]
fn no_secret_is_shown_but_to_whoever_starts_it() {
    let mut env = Fake::new();
    env.set_variable("PW", "secret%q");
    // (what is added to a program, whether its error as 4.3.0 words it shows the value)
    let rows = [
        ("[program:p]\ncommand=x\nenvironment=PW=secret^,B=2", true),
        ("[program:p]\ncommand=x\nenvironment=A=1 PW=secret^,B=2", true),
        ("[program:p]\ncommand=x\nenvironment=PW=\"secret %(ENV_NOPE)s\"", true),
        ("[program:p]\ncommand=x\nenvironment=PW=\"secret%q\"", true),
        ("[program:p]\ncommand=x\nenvironment=PW=\"secret", false),
        ("[program:p]\ncommand=x\nenvironment=PW=secret?a=1;b=secret", false),
        ("[program:p]\ncommand=x\nstdout_logfile=/tmp/%(ENV_PW)s", true),
        ("[unix_http_server]\nfile=/s\nusername=u\npassword=secret%q", true),
        ("[inet_http_server]\nport=1\nusername=u\npassword=secret%(no)s", true),
    ];
    for (text, is_told) in rows {
        let error = env.load(&format!("[supervisord]\n{text}\n")).expect_err(text);
        assert!(!error.to_string().contains("secret"), "{text:?}: {error}");
        assert_eq!(error.at_start().contains("secret"), is_told, "{text:?}: {}", error.at_start());
        let problems = env.loader(&format!("[supervisord]\n{text}\n")).load_all(&env).1;
        assert!(!problems.is_empty(), "{text:?}");
        assert!(problems.iter().all(|error| !error.to_string().contains("secret")), "{text:?}: {problems:?}");
    }
}

#[test]
fn the_environment_is_expanded_twice_and_stays() {
    let mut env = Fake::new();
    env.set_variable("PCT", "%");
    let mut loader = env.loader(
        "[supervisord]\nenvironment=B=\"%%%%\",A=\"1\",H=\"%%(host_node_name)s\",A=\"2\"\n\
         [program:p]\ncommand=x %(ENV_A)s %(ENV_PCT)s\n",
    );
    let config = loader.load(&env).unwrap();
    let expected = pairs(&[("A", "2"), ("B", "%"), ("H", "box")]);
    assert_eq!(*config.groups[0].processes[0].environment, expected.into_iter().collect());
    assert_eq!(config.groups[0].processes[0].command, "x 2 %");
    // What an earlier load defined is still there at a reread, and gone after a restart (C-65).
    env.write("F", "[supervisord]\n[program:p]\ncommand=x %(ENV_A)s\n");
    assert_eq!(loader.load(&env).unwrap().groups[0].processes[0].command, "x 2");
    loader.restart(&env);
    assert!(loader.load(&env).is_err());
}

#[test]
fn included_files() {
    let mut env = Fake::new();
    env.write("/base/d/b.conf", "[program:b]\ncommand=%(here)s\n[include]\nfiles=never\n");
    env.write("/base/d/a.conf", "[program:a]\npriority=7\n[supervisord]\nidentifier=a\n");
    env.write("/etc/x/c.conf", "[program:c]\ncommand=c\nstartsecs=x\n");
    env.dirs.insert("/base/d/dir.conf".into());
    let mut loader = env.loader(
        "[program:a]\ncommand=%(here)s\n[supervisord]\nidentifier=main\n[include]\nfiles = d/*.conf\n  none/*\n",
    );
    let config = loader.load(&env).unwrap();
    let commands: Vec<_> = config.groups.iter().map(|group| group.processes[0].command.as_str()).collect();
    assert_eq!(commands, ["/base", "/base/d"]);
    assert_eq!(config.groups[0].priority, 7);
    assert_eq!(config.supervisord.identifier, "a");
    assert_eq!(
        config.warnings,
        [
            "No file matches via include \"/base/none/*\"",
            "[program:a] is in \"F\", line 1, and in \"/base/d/a.conf\", line 1: both are taken as one"
        ]
    );
    let included = |name: &str| format!("Included extra file \"/base/d/{name}.conf\" during parsing");
    assert_eq!(config.infos, [included("a"), included("b"), included("dir")]);

    env.write("F", "[supervisord]\n[include]\nfiles=%(here)s/../etc/x/*.conf\n");
    assert_eq!(
        loader.load(&env).unwrap_err().to_string(),
        "startsecs: expected a whole number, not 'x' in section 'program:c' (file: '/base/../etc/x/c.conf', line 3)"
    );
    env.write("/etc/x/c.conf", "x\n");
    assert!(loader.load(&env).unwrap_err().to_string().contains("file: '/base/../etc/x/c.conf', line: 1"));
}

#[test]
fn the_file_is_found_again_from_elsewhere() {
    let mut env = Fake::new();
    let mut loader = env.loader("[supervisord]\nlogfile=l\n[unix_http_server]\nfile=s\n");
    let first = loader.load(&env).unwrap();
    env.cwd = "/".into();
    let second = loader.load(&env).unwrap();
    assert!(first.supervisord.is_same(&second.supervisord, |_| false));
    assert_eq!(first.servers, second.servers);
    assert_eq!(loader.main_file(), Some("F"));
}

#[test]
fn dynamic_changes_are_read_last() {
    let mut env = Fake::new();
    let mut loader = env.loader(
        "[DEFAULT]\nstartsecs=7\n[supervisord]\nenvironment=A=1\n[stheno]\nmutation=yes\ndynamic_conf=dyn.conf\n\
         [program:p]\ncommand=p\n[program:gone]\ncommand=gone\n",
    );
    let config = loader.load(&env).unwrap();
    let stheno = config.stheno.unwrap();
    assert_eq!((stheno.mutation, stheno.dynamic_conf.as_deref()), (true, Some("/base/dyn.conf")));
    assert!(stheno.hosts.0.is_empty());
    let Base { document, source, .. } = config.base.unwrap();
    assert!(matches!(source, JournalFile::Absent));

    let options = |options: &[(&str, &str)]| {
        options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect::<Vec<_>>()
    };
    let mut journal = Journal::default();
    let more = options(&[("numprocs", "1"), ("startretries", "4")]);
    journal.amended.insert("program:p".into(), Rc::new(more));
    let own = |name: &str| Own { name: name.into(), options: options(&[("command", "q %(here)s")]), ..Own::default() };
    let note = |is_made, name| Rc::new(Note { is_made, priority: 3, programs: vec![Rc::new(own(name))] });
    journal.groups.insert("g".into(), note(true, "r"));
    journal.groups.insert("p".into(), note(false, "q"));
    journal.gone.groups.insert("gone".into());
    let text = journal.text(&document).unwrap();
    env.write("dyn.conf", &text);
    let config = loader.load(&env).unwrap();
    let found: Vec<_> = config.groups.iter().map(|group| (group.name.as_str(), group.priority)).collect();
    // Made at run time, it has its own priority; of a group of the files that of the files holds.
    assert_eq!(found, [("g", 3), ("p", 999)]);
    let [p, q] = &config.groups[1].processes[..] else { panic!("{:?}", config.groups) };
    // An overlay leaves the rest of the section; a section of its own is what a call gave, without defaults.
    assert_eq!(
        (p.command.as_str(), p.program.startretries.0, p.program.startsecs, p.environment.len()),
        ("p", 4, 7, 1)
    );
    assert_eq!(
        (q.command.as_str(), q.program.startretries.0, q.program.startsecs, q.environment.len()),
        ("q /base", 3, 1, 0)
    );
    let base = config.base.unwrap();
    assert!(base.document.section("program:q").is_none());
    let JournalFile::Read { journal: read, text: bytes } = base.source else { panic!() };
    assert_eq!((&read, &*bytes), (&journal, text.as_bytes()));
    let preview = loader.preview(&env, &base.document, &journal).unwrap();
    assert_eq!(difference(&preview.groups, &config.groups), Difference::default());
    assert_ne!(preview.revision, config.revision);

    let torn = text.replace("; end", "; en");
    let invalid = text.replace("priority=3", "priority=x");
    env.write("dyn.conf", "[program:by-hand]\ncommand=x\n");
    assert_eq!(loader.load(&env).unwrap().groups.len(), 3);
    for broken in ["junk\n", "", &torn, &invalid, "\u{feff}"] {
        env.write("dyn.conf", broken);
        let config = loader.load(&env).unwrap();
        assert_eq!(config.groups.len(), 2, "{broken:?}");
        assert!(config.warnings[0].starts_with("The changes kept in \"/base/dyn.conf\" are left out"), "{broken:?}");
        assert!(matches!(config.base.unwrap().source, JournalFile::Broken(_)), "{broken:?}");
    }
}

#[test]
fn interfaces_and_their_arguments() {
    let twiddler = "supervisor.rpcinterface_factory=supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface\n";
    let cache = "supervisor.rpcinterface_factory=supervisor_cache.rpcinterface:make_cache_rpcinterface\n";
    let text = format!(
        "[supervisord]\n[rpcinterface:supervisor]\n{MAIN}[rpcinterface:t]\nwhitelist= a.b, c ,\n{twiddler}\
         [rpcinterface:cache]\nany=thing\n{cache}"
    );
    let config = Fake::new().load(&text).unwrap();
    let got: Vec<_> = config.interfaces.iter().map(|i| (i.namespace.as_str(), i.kind, i.whitelist.len())).collect();
    assert_eq!(
        got,
        [("supervisor", InterfaceKind::Main, 0), ("t", InterfaceKind::Twiddler, 2), ("cache", InterfaceKind::Cache, 0)]
    );
    assert!(config.interfaces.iter().all(|interface| interface.refusal().is_none()));

    // [DEFAULT] leaks into the arguments (C-25, C-120).
    let leaky = format!("[DEFAULT]\nstartsecs=1\n[supervisord]\n[rpcinterface:supervisor]\n{MAIN}");
    let refusal = Fake::new().load(&leaky).unwrap().interfaces[0].refusal().unwrap();
    assert_eq!(refusal.1, "Could not make supervisor rpc interface");
    assert!(refusal.0.contains("'startsecs'"));

    errors(&[
        (
            "[supervisord]\n[rpcinterface:x]\nfoo=bar\n",
            "section [rpcinterface:x] does not specify a supervisor.rpcinterface_factory (file: 'F', line 2)",
        ),
        (
            "[supervisord]\n[rpcinterface:x]\nsupervisor.rpcinterface_factory=nope.mod:make\n",
            "nope.mod:make cannot be resolved within [rpcinterface:x] (file: 'F', line 3)",
        ),
    ]);
}

#[test]
fn programs_of_a_call() {
    let mut env = Fake::new();
    env.set_variable("X", "x");
    let mut loader =
        env.loader("[supervisord]\nenvironment=S=\"s\"\n[unix_http_server]\nfile=/tmp/s\n[program:a]\ncommand=x\n");
    loader.load(&env).unwrap();
    let options = pairs(&[
        ("Command", "x %(ENV_X)s %(process_num)d"),
        ("numprocs", "2"),
        ("process_name", "%(group_name)s%(process_num)d"),
        ("environment", "A=1"),
    ]);
    let programs = loader.programs_from_options(&env, "g", "p", &options).unwrap();
    let got: Vec<_> = programs.iter().map(|p| (p.name.as_str(), p.command.as_str())).collect();
    assert_eq!(got, [("g0", "x x 0"), ("g1", "x x 1")]);
    assert_eq!(programs[0].environment.keys().collect::<Vec<_>>(), ["A"]);
    let program = &programs[0].program;
    assert_eq!((program.serverurl.url.as_deref(), program.name.as_str()), (Some("unix:///tmp/s"), "p"));

    let rows = [
        ("p", pairs(&[]), "program section program:p does not specify a command in section 'program:p' (file: 'F')"),
        (
            "p",
            pairs(&[("command", "x"), ("autostart", "maybe")]),
            "not a valid boolean value: 'maybe' in section 'program:p' (file: 'F')",
        ),
        (
            "n o",
            pairs(&[("command", "x")]),
            "Invalid name: 'n o' because of character: ' ' in section 'program:n o' (file: 'F')",
        ),
        (
            "p",
            pairs(&[("command", "x"), ("serverurl", "%(ENV_X)s")]),
            "Format string '%(ENV_X)s' for 'program:p.serverurl' contains names ('ENV_X') which cannot be expanded. \
             Available names: group_name, here, host_node_name, program_name in section 'program:p' (file: 'F')",
        ),
    ];
    for (program, options, expected) in rows {
        let error = loader.programs_from_options(&env, "g", program, &options).unwrap_err();
        assert_eq!(error.to_string(), expected, "{options:?}");
    }
}

#[test]
fn every_bad_section_is_noted() {
    let mut env = Fake::new();
    let problems = env
        .loader(
            "[supervisord]\n[program:a]\n[program:b]\ncommand=x\nstartsecs=x\n[group:g]\nprograms=z\n\
             [inet_http_server]\n[rpcinterface:r]\n",
        )
        .load_all(&env)
        .1;
    let lines: Vec<_> = problems.iter().filter_map(|problem| problem.place()?.line).collect();
    assert_eq!(lines, [2, 5, 7, 8, 9]);
}
