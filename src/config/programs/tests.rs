use super::super::datatypes::{ByteSize, ExitCodes, StopSignals, WhenFull};
use super::super::fake::Fake;
use super::super::options::OutputOptions;
use super::*;

fn programs(lines: &str) -> Vec<Rc<Process>> {
    let config = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}")).unwrap();
    config.groups[0].processes.clone()
}

#[test]
fn the_values_of_all_processes_are_bounded_together() {
    let load = |lines: &str| Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}"));
    let many = "process_name=%(process_num)d\nnumprocs=99999\n";
    let config = load("process_name=%(process_num)d\nnumprocs=20000\ndirectory=/a/%(process_num)0100d").unwrap();
    assert_eq!(config.groups[0].processes.len(), 20_000);
    for option in ["command", "stdout_logfile", "environment"] {
        let text = if option == "environment" { "A=%(process_num)04000d" } else { "/%(process_num)04000d" };
        let error = load(&format!("{many}{option}={text}\n").replace("command=x\ncommand", "command")).unwrap_err();
        let message = error.to_string();
        let why = "the processes of one section take more than 16 MiB of text";
        assert!(message.contains(why) && message.contains(option), "{option}: {message}");
    }
}

#[test]
fn defaults() {
    let process = programs("").remove(0);
    assert_eq!((process.name.as_str(), process.command.as_str(), &process.directory), ("p", "x", &None));
    let log = LogOptions {
        logfile: LogFile::Auto,
        logfile_maxbytes: ByteSize(50 << 20),
        logfile_backups: 10,
        syslog: false,
        logfile_storage: Storage::File,
    };
    assert_eq!((&process.stdout, &process.stderr), (&log, &log));
    assert!(process.environment.is_empty());
    let program = &process.program;
    assert_eq!((program.name.as_str(), program.priority, program.autostart), ("p", 999, true));
    assert_eq!((program.autorestart, program.startsecs, program.startretries.0), (Autorestart::Unexpected, 1, 3));
    assert_eq!((&program.stopsignal, program.stopwaitsecs), (&StopSignals::one(libc::SIGTERM), 10));
    assert_eq!((program.stopasgroup, program.killasgroup, program.redirect_stderr), (false, false, false));
    assert_eq!((&program.exitcodes, program.umask, &program.user), (&ExitCodes(vec![0]), None, &None));
    let output = OutputOptions {
        capture_maxbytes: ByteSize(0),
        events_enabled: false,
        logfile_full: WhenFull::Drop,
        logfile_rotate: None,
        logfile_compress: Compression::None,
        prefix: None,
    };
    assert_eq!((&program.stdout, &program.stderr), (&output, &output));
    assert_eq!((program.serverurl.is_auto, &program.serverurl.url), (true, &None));
}

#[test]
fn killasgroup_follows_stopasgroup() {
    for (lines, expected) in [("", false), ("stopasgroup=1", true), ("killasgroup=1", true)] {
        assert_eq!(programs(lines)[0].program.killasgroup, expected, "{lines}");
    }
}

#[test]
fn bad_values_name_option_and_section() {
    let rows = [
        ("autostart=maybe", "not a valid boolean value: 'maybe'"),
        ("autorestart=sometimes", "invalid 'autorestart' value 'sometimes'"),
        ("startsecs=1.5", "startsecs: expected a whole number, not '1.5'"),
        ("stopsignal=FOO", "value 'FOO' is not a valid signal name"),
        ("stopsignal=99", "value '99' is not a valid signal number"),
        ("stopwaitsecs=", "stopwaitsecs: expected a whole number, not ''"),
        ("exitcodes=256", "not a valid list of exit codes: '256'"),
        ("redirect_stderr=2", "not a valid boolean value: '2'"),
        ("umask=9", "9 can not be converted to an octal type"),
        ("user=nosuchuser", "Invalid user name nosuchuser"),
        ("user=-1", "Invalid user id -1"),
        ("user=root:nosuch", "Invalid group name nosuch"),
        ("groups=root,nosuch", "groups: Invalid group name nosuch"),
        ("stdout_logfile=/no/x", "The directory named as part of the path /no/x does not exist"),
        ("environment=PW=secret^,B=2", "Unexpected end of key/value pairs in value 'PW=…,B=…'"),
        ("environment=A=\"1", "No closing quotation"),
        ("numprocs=2", "%(process_num) must be present within process_name when numprocs > 1"),
        ("killasgroup=no\nstopasgroup=yes", "Cannot set stopasgroup=true and killasgroup=false"),
        ("stdout_prefix=a\nlogfile_format=json", "stdout_prefix cannot be used together with logfile_format=json"),
        ("essential=maybe", "essential: not a valid boolean value: 'maybe'"),
        (
            "stdout_logfile_rotate=weekly",
            "stdout_logfile_rotate: expected daily, hourly or a number of seconds, not 'weekly'",
        ),
        (
            "stdout_logfile_maxbytes=5TB",
            "stdout_logfile_maxbytes: expected a number of bytes such as 1000, 50KB, 20MB or 1GB, not '5tb'",
        ),
        ("logfile_format=xml", "logfile_format: expected text or json, not 'xml'"),
        ("prefix_flush=0", "prefix_flush: expected seconds, 0.1 to 60, not '0'"),
        ("process_name=a b", "Invalid name: 'a b' because of character: ' '"),
        ("numprocs=1_000_000\nprocess_name=%(process_num)d", "numprocs 1000000 is above upper bound (100000)"),
        (
            "process_name=%(zip)s",
            "Format string '%(zip)s' for 'process_name' contains names ('zip') which cannot be expanded. Available \
             names: group_name, here, host_node_name, numprocs, process_num, program_name",
        ),
        (
            "directory=%(process_num)q",
            "Format string '%(process_num)q' for 'program:p.directory' is badly formatted: unsupported format \
             character 'q' (0x71) at index 14",
        ),
        (
            "stdout_logfile=a%%b",
            "Format string 'a%b' for 'stdout_logfile' is badly formatted: unsupported format character 'b' (0x62) \
             at index 2",
        ),
    ];
    for (lines, expected) in rows {
        let error = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}\n")).unwrap_err();
        let at = if lines.starts_with("numprocs=2") { 2 } else { 4 };
        assert_eq!(error.to_string(), format!("{expected} in section 'program:p' (file: 'F', line {at})"), "{lines:?}");
    }
    let error = Fake::new().load("[supervisord]\n[program:p]\npriority=1\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "program section program:p does not specify a command in section 'program:p' (file: 'F', line 2)"
    );
}

#[test]
fn each_process_has_its_number() {
    let processes = programs(
        "numprocs=3\nnumprocs_start=9\nprocess_name=%(program_name)s_%(process_num)d\n\
         environment=N=\"%(process_num)02d\"\ndirectory=/%(ENV_N)s\nstdout_logfile=l%(process_num)s%%%%\n",
    );
    let got: Vec<_> = processes
        .iter()
        .map(|p| (p.name.as_str(), p.directory.as_deref(), p.stdout.logfile.clone(), p.environment["N"].as_str()))
        .collect();
    let file = |name: &str| LogFile::Path(name.to_string());
    // Sorted by name, not by number (C-117).
    let expected = [
        ("p_10", Some("/10"), file("l10%"), "10"),
        ("p_11", Some("/11"), file("l11%"), "11"),
        ("p_9", Some("/09"), file("l9%"), "09"),
    ];
    assert_eq!(got, expected);
    assert!(programs("numprocs=0\n").is_empty());
    assert!(programs("numprocs=-1\nenvironment=never read\n").is_empty());
}

#[test]
fn logs_and_their_warnings() {
    let rows: &[(&str, LogFile, bool, &str)] = &[
        ("stderr_logfile=e", LogFile::Path("e".into()), false, ""),
        ("stderr_logfile=", LogFile::Path(String::new()), false, ""),
        ("stderr_logfile=off", LogFile::None, false, ""),
        ("redirect_stderr=1", LogFile::None, false, ""),
        ("redirect_stderr=1\nstderr_logfile=e", LogFile::None, false, "redirect_stderr=true but stderr_logfile"),
        ("stderr_logfile=Syslog", LogFile::None, true, "stderr_logfile=syslog but this is deprecated"),
        ("stderr_syslog=1", LogFile::Auto, true, ""),
        ("stderr_logfile_maxbytes=0", LogFile::Auto, false, "AUTO logging used for stderr_logfile without"),
    ];
    for (lines, target, syslog, warning) in rows {
        let config = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}\n")).unwrap();
        let stderr = &config.groups[0].processes[0].stderr;
        assert_eq!((&stderr.logfile, stderr.syslog), (target, *syslog), "{lines:?}");
        assert_eq!(config.warnings.len(), usize::from(!warning.is_empty()), "{lines:?} {:?}", config.warnings);
        assert!(config.warnings.iter().all(|w| w.starts_with("For [program:p], ") && w.contains(warning)));
    }
}

#[test]
fn server_urls() {
    let rows = [
        ("", Some("http://localhost:9"), true),
        ("serverurl= Auto", Some("http://localhost:9"), true),
        ("serverurl=http://x", Some("http://x"), false),
        ("serverurl=", Some(""), false),
    ];
    for (line, url, auto) in rows {
        let text = format!("[supervisord]\n[program:p]\ncommand=x\n{line}\n[inet_http_server]\nport=9\n");
        let config = Fake::new().load(&text).unwrap();
        let serverurl = &config.groups[0].processes[0].program.serverurl;
        assert_eq!((serverurl.url.as_deref(), serverurl.is_auto), (url, auto), "{line:?}");
    }
}

#[test]
fn equal_environments_are_kept_once() {
    let text = "[supervisord]\nenvironment=A=1,B=1\n[program:a]\ncommand=x\n[program:b]\ncommand=x\n\
                [program:c]\ncommand=x\nenvironment=B=2\n[program:d]\ncommand=x\nenvironment=B=2\n";
    let config = Fake::new().load(text).unwrap();
    let environments: Vec<_> = config.groups.iter().map(|group| &group.processes[0].environment).collect();
    assert!(Rc::ptr_eq(environments[0], environments[1]));
    assert!(Rc::ptr_eq(environments[2], environments[3]));
    assert_eq!((environments[0]["B"].as_str(), environments[2]["B"].as_str()), ("1", "2"));
    assert_eq!(environments[2]["A"], "1");
}
