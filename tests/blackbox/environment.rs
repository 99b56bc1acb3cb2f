//! Where the environment of a child comes from (K-7). Supervisor knows nothing of it and ignores the options.

use nix::sys::stat::Mode;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, Folder, is_original, wait_for};

/// A program that writes its environment, sorted, to a file of its name and ends in a sleep.
const SHOW: &str = "command=/bin/sh -c \"env | sort > $DIR/%(program_name)s.tmp; mv $DIR/%(program_name)s.tmp \
                    $DIR/%(program_name)s.env; exec sleep 1000\"\n";

fn variable(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_string))
}

fn environment_of(daemon: &Daemon, program: &str) -> String {
    daemon.wait_file(&format!("{program}.env"), "SUPERVISOR_ENABLED=1\n")
}

#[test]
fn layers_of_the_environment_lie_in_their_order() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.write("all.env", "C=all\nD=all\n");
    folder.write("own.env", "# own\nD=own\nE=own\nF=own\nSUPERVISOR_PROCESS_NAME=own\n");
    folder.write("e", "secret\n\n");
    // A second header goes on with the base's section.
    let config = format!(
        "[supervisord]\nenvironment=B=\"sup\",C=\"sup\"\nenvFiles=$DIR/all.env,\n[program:x]\n{SHOW}\
         ENVFILES = $DIR/own.env, -$DIR/none.env\nenvironment_from_file=E:$DIR/e, F:$DIR/e\n\
         environment=F=\"program\",SUPERVISOR_GROUP_NAME=\"mine\"\n[program:y]\n{SHOW}\n"
    );
    let daemon = Daemon::start_with(folder, &config, |command| {
        command.envs(["A", "B", "C", "D", "E", "F"].map(|name| (name, "inherited")));
    });
    let got = environment_of(&daemon, "x");
    let expected = [("A", "inherited"), ("B", "sup"), ("C", "all"), ("D", "own"), ("E", "secret"), ("F", "program")];
    let expected = expected.into_iter().chain([("SUPERVISOR_PROCESS_NAME", "x"), ("SUPERVISOR_GROUP_NAME", "x")]);
    for (name, value) in expected {
        assert_eq!(variable(&got, name).as_deref(), Some(value), "{name} in\n{got}");
    }
    let other = environment_of(&daemon, "y");
    assert_eq!([variable(&other, "D"), variable(&other, "E")], [Some("all".into()), Some("inherited".into())]);
}

#[test]
fn files_are_read_at_each_start() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.write("a.env", "A=first\n");
    let daemon = Daemon::start_in(folder, &format!("[program:x]\n{SHOW}envFiles=$DIR/a.env\nstartretries=1000\n"));
    daemon.wait_file("x.env", "A=first\n");
    daemon.folder.write("a.env", "A=second\n");
    assert_eq!(daemon.folder.ctl(&["restart", "x"]).status, 0);
    daemon.wait_file("x.env", "A=second\n");
    // What cannot be read any more makes the next start fail, and is tried again.
    daemon.folder.write("a.env", "A=third\n'\n");
    daemon.must("supervisor.stopProcess", &["x".into()]);
    let answer = daemon.call("supervisor.startProcess", &["x".into(), Value::Bool(false)]);
    assert_eq!(answer, Err((50, "SPAWN_ERROR: x".into())));
    daemon.wait_state("x", "BACKOFF");
    daemon.folder.write("a.env", "A=fourth\n");
    daemon.wait_file("x.env", "A=fourth\n");
    daemon.wait_state("x", "RUNNING");
}

#[test]
fn what_cannot_be_read_fails_the_start_and_shows_no_value() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    let names: String = (0..1025).map(|number| format!("N{number}=sesame\n")).collect();
    let long = "sesame".repeat(30_000);
    let files = [
        ("bad", "A=1\n# x\nno sign sesame\n"),
        ("quote", "A='sesame\n"),
        ("behind", "A='sesame' sesame\n"),
        ("names", &names),
        ("long", &long[..65_537]),
    ];
    for (name, text) in files {
        folder.write(name, text);
    }
    std::fs::write(folder.path("zero"), b"ses\0ame").unwrap();
    folder.write("huge", &long[..131_073]);
    nix::unistd::mkfifo(&folder.path("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
    let rows: &[(&str, &str)] = &[
        ("envFiles=$DIR/missing", "missing: No such file or directory"),
        ("envFiles=-$DIR/bad", "bad: line 3: no = behind a name"),
        ("envFiles=$DIR/quote", "quote: line 1: no closing quote"),
        ("envFiles=$DIR/behind", "behind: line 1: text behind the closing quote"),
        ("envFiles=$DIR/names", "names: line 1025: more than 1024 names"),
        ("envFiles=$DIR/long", "long: line 1: the file is longer than 64 KiB"),
        ("envFiles=$DIR/fifo", "fifo: it is no regular file"),
        ("envFiles=/dev/zero", "zero: it is no regular file"),
        ("envFiles=$DIR", ": it is no regular file"),
        ("environment_from_file=A:$DIR/zero", "zero: a zero byte, which no variable can contain"),
        ("environment_from_file=A:$DIR/huge", "huge: it is longer than 128 KiB"),
        ("environment_from_file=A:$DIR/missing", "missing: No such file or directory"),
    ];
    let mut config = "[supervisord]\nloglevel=blather\n[stheno]\n".to_string();
    for (number, (line, _)) in rows.iter().enumerate() {
        config.push_str(&format!("[program:p{number}]\ncommand=/bin/cat\nstartretries=0\n{line}\n"));
    }
    let daemon = Daemon::start_in(folder, &config);
    for (number, (line, expected)) in rows.iter().enumerate() {
        let name = format!("p{number}");
        daemon.wait_state(&name, "FATAL");
        let error = daemon.info(&name, "spawnerr");
        let error = error.as_str().unwrap_or_default();
        assert!(error.starts_with("cannot read environment file ") && error.ends_with(expected), "{line}: {error}");
        assert_eq!(daemon.folder.ctl(&["start", &name]).stdout, format!("{name}: ERROR (spawn error)\n"), "{line}");
    }
    let shown = ["supervisor.getAllProcessInfo", "supervisor.getAllConfigInfo"].map(|method| daemon.must(method, &[]));
    let details = daemon.must("stheno.getProcessInfo", &["p1".into()]);
    let check = daemon.folder.supervisord(&["--check", "$DIR/supervisord.conf"]);
    for (what, text) in [
        ("log", daemon.log()),
        ("answers", format!("{shown:?}{details:?}")),
        ("status", daemon.folder.ctl(&["status"]).stdout),
        ("--check", check.stdout),
    ] {
        assert!(!text.contains("sesame"), "a value is in the {what}");
    }
}

#[test]
fn a_file_may_be_missing_and_secrets_need_not_be_text() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    std::fs::write(folder.path("raw"), b"a\xff\xfeb\n").unwrap();
    let program = "command=/bin/sh -c 'printf %%s \"$RAW\" > $DIR/got; exec sleep 1000'\n";
    let daemon = Daemon::start_in(
        folder,
        &format!("[program:x]\n{program}envFiles=-$DIR/none,-$DIR/none/below\nenvironment_from_file=RAW:$DIR/raw\n"),
    );
    let got = wait_for("the secret", || std::fs::read(daemon.folder.path("got")).ok().filter(|got| !got.is_empty()));
    assert_eq!(got, b"a\xff\xfeb");
}

#[test]
fn a_program_inherits_what_it_is_to() {
    if is_original() {
        return;
    }
    let start = |line: &str| {
        let config =
            format!("[supervisord]\nenvironment=SUP=\"1\"\n[program:x]\n{SHOW}environment=OWN=\"1\"\n{line}\n");
        Daemon::start_with(Folder::new(), &config, |command| {
            command.env("A", "1").env("B", "2");
        })
    };
    let rows: [(&str, &[&str]); 3] = [
        ("environment_inherit=true", &["A", "B", "OWN", "SUP"]),
        ("environment_inherit=false", &["OWN", "SUP"]),
        ("environment_inherit=B,NONE", &["B", "OWN", "SUP"]),
    ];
    for (line, expected) in rows {
        let daemon = start(line);
        let got = environment_of(&daemon, "x");
        let names = ["A", "B", "OWN", "SUP"].into_iter();
        let names: Vec<&str> = names.filter(|name| variable(&got, name).is_some()).collect();
        assert_eq!(names, expected, "{line}\n{got}");
    }
}

#[test]
fn a_command_is_found_by_the_path_of_a_file() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    std::fs::create_dir(folder.path("bin")).unwrap();
    folder.write_program("bin/only-there", "#!/bin/sh\nexec sleep 1000\n");
    folder.write("p.env", "PATH=$DIR/bin:/bin:/usr/bin\n");
    let daemon = Daemon::start_in(folder, "[program:x]\ncommand=only-there\nautostart=false\nenvFiles=$DIR/p.env\n");
    assert_eq!(daemon.folder.ctl(&["start", "x"]).stdout, "x: started\n");
}

#[test]
fn values_stand_in_for_variables_and_options() {
    if is_original() {
        return;
    }
    let text = "[program-default]\nautostart=false\nstdout_logfile=$DIR/%(program_name)s.%(ENV_KIND:-log)s\n\
                [program:a]\ncommand=/bin/echo %(ENV_SET:-no)s-%(ENV_UNSET:-some text)s-%(ENV_EMPTY:-)s.\nstartsecs=0\n\
                [program:b]\ncommand=/bin/cat\nautostart=true\n";
    let daemon = Daemon::start_with(Folder::new(), text, |command| {
        command.env("SET", "yes").env("EMPTY", "");
    });
    daemon.wait_state("b", "RUNNING");
    assert_eq!(daemon.state("a"), "STOPPED");
    daemon.must("supervisor.startProcess", &["a".into()]);
    daemon.wait_file("a.log", "yes-some text-.\n");
    let refused = |text: &str| {
        let folder = Folder::new();
        folder.configure(text);
        folder.supervisord(&["-n", "-c", "$DIR/supervisord.conf"])
    };
    for (lines, expected) in [
        ("[program-default]\ncommand=x\n", "Error: command is each program's own in section 'program-default' (file: "),
        ("[program-default]\n[program-default]\n", "Error: a second [program-default] stands in "),
        ("[program:x]\ncommand=x\nenvFiles=-\n", "Error: envfiles: no path in '-' in section 'program:x' (file: "),
        (
            "[program:x]\ncommand=x\nenvironment_from_file=x\n",
            "Error: environment_from_file: expected KEY:PATH, not 'x'",
        ),
        ("[program:x]\ncommand=x\nenvironment_inherit=\n", "Error: environment_inherit: expected true, false or names"),
    ] {
        let ended = refused(lines);
        assert!(ended.status == 2 && ended.stderr.starts_with(expected), "{lines}{ended:?}");
    }
}
