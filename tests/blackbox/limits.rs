//! What a child may have of the system (K-8). Supervisor knows nothing of it and ignores the options.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::daemon::{Daemon, Folder, is_original, wait_for};

/// Whether there is something to be seen here: some of it only root may.
fn is_for_others() -> bool {
    is_original() || !geteuid().is_root()
}

/// Numbers of capabilities, which root in a container may lack.
const SYS_NICE: u32 = 23;
const SYS_RESOURCE: u32 = 24;

fn may(capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default();
    effective >> capability & 1 == 1
}

/// A program that tells what it has and goes on.
fn telling(what: &str) -> String {
    format!(
        "command=/bin/sh -c \"({what}) > $DIR/%(program_name)s.tmp; mv $DIR/%(program_name)s.tmp $DIR/%(program_name)s; exec sleep 1000\"\n"
    )
}

fn told(daemon: &Daemon, program: &str) -> Vec<String> {
    let text = wait_for(program, || Some(daemon.folder.read(program)).filter(|text| !text.is_empty()));
    text.split_whitespace().map(str::to_string).collect()
}

fn score(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap_or_default().trim().to_string()
}

#[test]
fn children_have_what_is_asked_for() {
    if is_for_others() {
        return;
    }
    let limits = telling("ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Ss; ulimit -Hs; ulimit -Sf");
    let rights = telling("nice; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status; id -u");
    let nice = if may(SYS_NICE) { "-5" } else { "5" };
    let folder = Folder::new();
    fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let daemon = Daemon::start_in(
        folder,
        &format!(
            "[program:limits]\n{limits}rlimit_nofile=100:200\nrlimit_core=0\nrlimit_stack=4MB:8MB\nrlimit_fsize=64KB\n\
         [program:rights]\n{rights}nice={nice}\nionice=idle\noom_score_adj=500\nno_new_privs=true\nuser=nobody\n\
         [program:none]\n{rights}\n"
        ),
    );
    // fsize is told in blocks of 512 bytes, stack in KiB.
    assert_eq!(told(&daemon, "limits"), ["100", "200", "0", "4096", "8192", "128"]);
    // What only root may is done before the change of user.
    let nobody = nix::unistd::User::from_name("nobody").unwrap().map_or(0, |user| user.uid.as_raw());
    let expected = [nice, "500", "NoNewPrivs:", "1", &nobody.to_string()];
    assert_eq!(told(&daemon, "rights"), expected);
    let own = score(std::process::id() as i32);
    let ours = std::process::Command::new("nice").output().expect("coreutils are there").stdout;
    let ours = String::from_utf8_lossy(&ours).trim().to_string();
    assert_eq!(told(&daemon, "none"), [&ours, &own, "NoNewPrivs:", "0", "0"]);
}

#[test]
fn a_step_that_fails_is_a_failed_start_and_names_itself() {
    if is_for_others() {
        return;
    }
    let rows = [
        ("rlimit_nofile=unlimited", "rlimit_nofile", "EINVAL"),
        ("rlimit_nofile=2000000000:2000000000", "rlimit_nofile", "EPERM"),
    ];
    let mut config = String::new();
    for (number, (line, ..)) in rows.iter().enumerate() {
        config.push_str(&format!("[program:p{number}]\ncommand=/bin/cat\nstartretries=0\n{line}\n"));
    }
    let daemon = Daemon::start(&config);
    for (number, (line, option, error)) in rows.iter().enumerate() {
        let name = format!("p{number}");
        daemon.wait_state(&name, "FATAL");
        let expected = format!("couldn't set {option} for '{name}': {error}");
        assert_eq!(daemon.info(&name, "spawnerr").as_str(), Some(expected.as_str()), "{line}");
    }
}

#[test]
fn the_daemon_is_protected_and_its_children_are_not() {
    if is_for_others() {
        return;
    }
    let own = score(std::process::id() as i32);
    let program = format!("[program:x]\n{}", telling("cat /proc/self/oom_score_adj"));
    let with = |lines: &str| format!("{program}[supervisord]\n{lines}\n");
    let first = if may(SYS_RESOURCE) { "-300" } else { "300" };
    let daemon = Daemon::start(&with(&format!("oom_score_adj={first}")));
    assert_eq!((score(daemon.pid().as_raw()), told(&daemon, "x")), (first.to_string(), vec![own.clone()]));
    // It is read at a restart, and without it all is as it was at the start.
    for (lines, expected) in [("oom_score_adj=200", "200"), ("", own.as_str())] {
        fs::remove_file(daemon.folder.path("x")).unwrap();
        daemon.folder.configure(&with(lines));
        daemon.signal(Signal::SIGHUP);
        assert_eq!(told(&daemon, "x"), [own.as_str()], "{lines}");
        assert_eq!(score(daemon.pid().as_raw()), expected, "{lines}");
    }
}

#[test]
fn children_of_a_daemon_that_became_a_user_get_their_number_back() {
    if is_for_others() {
        return;
    }
    let own = score(std::process::id() as i32);
    for wanted in ["-300", "300"].into_iter().filter(|wanted| *wanted == "300" || may(SYS_RESOURCE)) {
        let folder = Folder::new();
        fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o777)).unwrap();
        let program = telling("cat /proc/self/oom_score_adj");
        let config = format!("[program:x]\n{program}[supervisord]\nuser=nobody\noom_score_adj={wanted}\n");
        let daemon = Daemon::start_in(folder, &config);
        assert_eq!(told(&daemon, "x"), [own.as_str()], "{wanted}");
        assert_eq!(score(daemon.pid().as_raw()), wanted);
    }
}

#[test]
fn a_check_says_which_number_would_do() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    folder.configure("[supervisord]\nminfds=100000000000\n");
    let said = folder.supervisord(&["--check", "$DIR/supervisord.conf"]).stdout;
    let line = said.lines().find(|line| line.contains("minfds is 100000000000")).unwrap_or_default();
    let would_do = line.rsplit("minfds=").next().and_then(|rest| rest.strip_suffix(" would do"));
    let number = would_do.and_then(|number| number.parse::<u64>().ok());
    folder.configure(&format!("[supervisord]\nminfds={}\n", number.unwrap_or_else(|| panic!("{said}"))));
    let said = folder.supervisord(&["--check", "$DIR/supervisord.conf"]).stdout;
    assert!(!said.contains("would do"), "{said}");
    for line in ["rlimit_nofile=many", "rlimit_nofile=2:1", "nice=20", "ionice=fast", "oom_score_adj=2000"] {
        folder.configure(&format!("[program:x]\ncommand=/bin/cat\n{line}\n"));
        let ended = folder.supervisord(&["-n", "-c", "$DIR/supervisord.conf"]);
        let expected = format!("Error: {}: ", line.split('=').next().unwrap_or_default());
        assert!(ended.status == 2 && ended.stderr.starts_with(&expected), "{line} {ended:?}");
    }
}

#[test]
fn values_are_written_into_a_cgroup_of_its_own() {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounted = mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields.get(2) == Some(&"cgroup2")).then(|| fields[1].to_string())
    });
    let root = format!("{}/stheno-limits-{}", mounted.unwrap_or_default(), std::process::id());
    if is_for_others() || fs::create_dir(&root).is_err() {
        return;
    }
    if !fs::exists(format!("{root}/cgroup.procs")).unwrap_or_default() {
        return fs::remove_dir(&root).unwrap();
    }
    let mut daemon = Daemon::start(&format!(
        "[supervisord]\ncgroup_root={root}\n\
         [program:x]\ncommand=/bin/cat\ncgroup_set=cgroup.max.descendants=3, cgroup.max.depth=2\n\
         [program:y]\ncommand=/bin/cat\nstartretries=0\ncgroup_set=no.such=1\n"
    ));
    daemon.wait_state("x", "RUNNING");
    daemon.wait_state("y", "FATAL");
    let (own, pid) = (format!("{root}/x:x"), daemon.pid_of("x"));
    let read = |file: &str| fs::read_to_string(format!("{own}/{file}")).unwrap_or_default().trim().to_string();
    let got = ["cgroup.max.descendants", "cgroup.max.depth", "cgroup.procs"].map(read);
    let error = daemon.info("y", "spawnerr");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait_end(), 0);
    let left = fs::read_dir(&root).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
    let _ = fs::remove_dir(&own);
    fs::remove_dir(&root).unwrap();
    assert_eq!(got, ["3".to_string(), "2".to_string(), pid.to_string()]);
    assert_eq!(error.as_str(), Some(format!("couldn't set cgroup_set for 'y': {root}/y:y/no.such: ENOENT").as_str()));
    assert_eq!(left, 0, "what was made is removed");
}
