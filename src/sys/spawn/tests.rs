//! Real children, waited for; nothing here depends on time.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use super::child::errno_after_colon;
use super::*;
use crate::exit::ExitStatus;
use crate::sys::environment::Environment;
use crate::sys::process;
use crate::sys::scratch::{INHERITABLE, Scratch};
use crate::sys::users;

fn plan<'a>(path: &str, argv: &[&str]) -> Plan<'a> {
    Plan {
        extra: None,
        names_pid: false,
        path: CString::new(path).unwrap(),
        argv: CStrings::from_words(argv).unwrap(),
        environment: Environment::default()
            .overlaid(|_| true, &[(b"PATH", b"/bin:/usr/bin"), (b"LC_ALL", b"C")])
            .unwrap(),
        stdin: Stdin::Pipe,
        redirect_stderr: false,
        settings: Vec::new(),
        switch: Switch::Keep,
        no_new_privs: false,
        deathsig: None,
        directory: None,
        umask: None,
    }
}

fn shell<'a>(script: &str) -> Plan<'a> {
    plan("/bin/sh", &["sh", "-c", script])
}

struct Outcome {
    pid: Pid,
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

fn start(plan: &Plan) -> Spawned {
    spawn(plan, Pipes::open(plan).unwrap()).unwrap()
}

fn read_all(fd: OwnedFd) -> String {
    // SAFETY: F_SETFL takes an int. Our ends are non-blocking; the test waits.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, 0) };
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

fn run(plan: &Plan) -> Outcome {
    let spawned = start(plan);
    drop(spawned.stdin);
    let stdout = read_all(spawned.stdout);
    let stderr = spawned.stderr.map(read_all).unwrap_or_default();
    let status = process::wait_for(spawned.pid).unwrap();
    Outcome { pid: spawned.pid, status, stdout, stderr }
}

#[test]
fn a_child_has_its_words_environment_and_output() {
    let mut plan = shell("echo \"$0 $1 $V\"; echo err >&2; exit 3");
    plan.argv = CStrings::from_words(&["sh", "-c", "echo \"$0 $1 $V\"; echo err >&2; exit 3", "a b", ""]).unwrap();
    plan.environment = Environment::default().overlaid(|_| true, &[(b"V", b"x=y")]).unwrap();
    let outcome = run(&plan);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("a b  x=y\n", "err\n"));
    assert_eq!(outcome.status, ExitStatus::Code(3));

    plan.redirect_stderr = true;
    assert_eq!(run(&plan).stdout, "a b  x=y\nerr\n");
}

#[test]
fn stdin_is_a_pipe_that_stays_open() {
    let spawned = start(&plan("/bin/cat", &["cat"]));
    let stdin = spawned.stdin.unwrap();
    fd::write(stdin.as_fd(), b"ping\n").unwrap();
    assert!(fd::wait_readable(spawned.stdout.as_fd(), 10_000));
    drop(stdin);
    assert_eq!(read_all(spawned.stdout), "ping\n");
    assert_eq!(process::wait_for(spawned.pid).unwrap(), ExitStatus::Code(0));
}

#[test]
fn a_shared_descriptor_is_stdin() {
    let scratch = Scratch::new("shared");
    std::fs::write(scratch.path("in"), "from a file\n").unwrap();
    let file = File::open(scratch.path("in")).unwrap();
    let mut plan = plan("/bin/cat", &["cat"]);
    plan.stdin = Stdin::Shared(file.as_fd());
    let spawned = start(&plan);
    assert!(spawned.stdin.is_none());
    assert_eq!(read_all(spawned.stdout), "from a file\n");
    process::wait_for(spawned.pid).unwrap();
}

#[test]
fn failures_are_told_on_descriptor_2() {
    let scratch = Scratch::new("failures");
    let file = |name: &str, bytes: &[u8]| {
        use std::os::unix::fs::PermissionsExt;
        let path = scratch.path(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let text = file("text", b"no program\n");
    let lost = file("lost", b"#!/nonexistent/interpreter\n");
    let missing = scratch.path("missing");
    let refused = Switch::Refuse { uid: 12, reason: "Can't drop privilege as nonroot user".to_string() };

    type Row<'a> = (&'a str, Option<&'a str>, Switch, String);
    let rows: &[Row] = &[
        ("/nonexistent", None, Switch::Keep, "couldn't exec word: ENOENT".into()),
        (&text, None, Switch::Keep, "couldn't exec word: ENOEXEC".into()),
        (&lost, None, Switch::Keep, "couldn't exec word: ENOENT".into()),
        ("/", None, Switch::Keep, "couldn't exec word: EACCES".into()),
        ("/bin/true", Some(&missing), Switch::Keep, format!("couldn't chdir to {missing}: ENOENT")),
        ("/bin/true", Some(&text), Switch::Keep, format!("couldn't chdir to {text}: ENOTDIR")),
        // The user comes before the directory (P-51).
        ("/bin/true", Some(&missing), refused, "couldn't setuid to 12: Can't drop privilege as nonroot user".into()),
    ];
    for (path, directory, switch, expected) in rows {
        for redirect_stderr in [false, true] {
            let mut plan = plan(path, &["word", "more"]);
            plan.directory = directory.map(|path| CString::new(path).unwrap());
            plan.switch = switch.clone();
            plan.redirect_stderr = redirect_stderr;
            let outcome = run(&plan);
            let expected = format!("supervisor: {expected}\nsupervisor: child process was not spawned\n");
            let told = if redirect_stderr { outcome.stdout } else { outcome.stderr };
            assert_eq!(told, expected, "{path} in {directory:?}");
            assert_eq!(outcome.status, ExitStatus::Code(127), "{path} in {directory:?}");
        }
    }
}

/// Waits for the end of a child's set-up.
fn end_of_set_up(spawned: &Spawned) -> SetUp {
    assert!(fd::wait_readable(spawned.report.as_fd(), 10_000));
    set_up(spawned.report.as_fd())
}

#[test]
fn a_report_tells_how_far_a_child_came() {
    let fails = |plan: &Plan| {
        let spawned = start(plan);
        let told = end_of_set_up(&spawned);
        assert_eq!(process::wait_for(spawned.pid).unwrap(), ExitStatus::Code(127));
        told
    };
    let runs = start(&shell("read line"));
    assert_eq!(end_of_set_up(&runs), SetUp::Done);
    drop(runs.stdin);
    process::wait_for(runs.pid).unwrap();

    assert_eq!(fails(&plan("/nonexistent", &["word"])), SetUp::Failed(None, libc::ENOENT));
    let directory = Some(CString::new("/dev/null").unwrap());
    assert_eq!(fails(&Plan { directory, ..shell("") }), SetUp::Failed(None, libc::ENOTDIR));
    let how = How::Write { path: CString::new("/nonexistent").unwrap(), text: vec![] };
    let settings = vec![Setting { option: "oom_score_adj", how }];
    let spawned = start(&Plan { settings, ..shell("echo no") });
    assert_eq!(end_of_set_up(&spawned), SetUp::Failed(Some("oom_score_adj".to_string()), libc::ENOENT));
    let expected =
        "supervisor: couldn't set oom_score_adj: ENOENT\nsupervisor: child process was not spawned\n".to_string();
    assert_eq!(spawned.stderr.map(read_all), Some(expected));
    process::wait_for(spawned.pid).unwrap();
}

#[test]
fn a_child_that_is_held_up_holds_nobody_up_and_dies_when_told() {
    let scratch = Scratch::new("held-up");
    let path = CString::new(scratch.path("fifo")).unwrap();
    // SAFETY: a live string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    // Opening it for writing waits for a reader, who never comes.
    let settings = || vec![Setting { option: "cgroup_set", how: How::Write { path: path.clone(), text: vec![] } }];
    let ours = fd::pipe().unwrap();
    let held_up = start(&Plan { settings: settings(), ..shell("echo no") });
    assert_eq!(run(&shell("echo yes")).stdout, "yes\n");
    assert_eq!(set_up(held_up.report.as_fd()), SetUp::UnderWay);
    // It has nothing of ours: when we close our end, the other one ends.
    drop(ours.write);
    assert!(fd::wait_readable(ours.read.as_fd(), 10_000));
    assert_eq!(process::kill_group(held_up.pid, libc::SIGTERM), Ok(()));
    let killed = ExitStatus::Signal { number: libc::SIGTERM, core: false };
    assert_eq!(process::wait_for(held_up.pid).unwrap(), killed);
}

#[test]
fn names_too_long_for_a_pipe_are_cut() {
    for redirect_stderr in [false, true] {
        let long = "x".repeat(70_000);
        let spawned = start(&Plan { directory: Some(CString::new(long).unwrap()), redirect_stderr, ..shell("") });
        // It ends although nobody reads.
        assert_eq!(process::wait_for(spawned.pid).unwrap(), ExitStatus::Code(127));
        let told = read_all(spawned.stderr.unwrap_or(spawned.stdout));
        let end = "xxx: ENAMETOOLONG\nsupervisor: child process was not spawned\n";
        assert!(told.starts_with("supervisor: couldn't chdir to xxx") && told.ends_with(end), "{told}");
        assert!(told.len() < 4096);
    }
}

#[test]
fn settings_are_made_before_the_user_changes() {
    let is_root = users::current_uid() == 0;
    let limit = |resource, soft, hard| How::Limit { resource, soft, hard };
    let write = |text: &str| How::Write { path: c"/proc/self/oom_score_adj".into(), text: text.into() };
    let (nofile, core) = (libc::RLIMIT_NOFILE, libc::RLIMIT_CORE);
    let how = [
        ("oom_score_adj", write("321")),
        ("ionice", How::Ionice(3 << 13)),
        ("rlimit_nofile", limit(nofile, 77, None)),
        ("rlimit_core", limit(core, 0, Some(0))),
        ("nice", How::Nice(7)),
    ];
    let settings = how.into_iter().map(|(option, how)| Setting { option, how }).collect();
    let switch = match is_root {
        true => Switch::Become { uid: 12_345, gid: 12_345, groups: vec![] },
        false => Switch::Keep,
    };
    let script = "cat /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hc; cut -d' ' -f19 /proc/self/stat; \
                  grep NoNewPrivs /proc/self/status";
    let plan = Plan { settings, switch, no_new_privs: true, deathsig: Some(libc::SIGKILL), ..shell(script) };
    assert_eq!(run(&plan).stdout, "321\n77\n0\n7\nNoNewPrivs:\t1\n");

    let settings = vec![Setting { option: "rlimit_nofile", how: limit(nofile, 78, Some(77)) }];
    let told = run(&Plan { settings, ..shell("echo no") });
    assert_eq!(told.stderr.lines().next(), Some("supervisor: couldn't set rlimit_nofile: EINVAL"));
    let told = run(&Plan { deathsig: Some(999), ..shell("echo no") });
    assert_eq!(told.stderr.lines().next(), Some("supervisor: couldn't set deathsig: EINVAL"));
}

#[test]
fn a_large_table_of_descriptors_is_not_copied() {
    if limits::open_files() < SHARED_FROM as u64 + 64 {
        return;
    }
    let _lock = INHERITABLE.lock().unwrap();
    let ours: Vec<OwnedFd> = (0..SHARED_FROM).map(|_| fd::duplicate_raw(0).unwrap()).collect();
    let told = run(&shell("echo out; ls /proc/self/fd | wc -l"));
    // The fourth is that of the directory that it lists.
    assert_eq!(told.stdout, "out\n4\n");
    let bad = run(&plan("/nonexistent", &["word"]));
    assert!(bad.stderr.starts_with("supervisor: couldn't exec word: ENOENT\n"), "{}", bad.stderr);
    drop(ours);
}

#[test]
fn nothing_leaks_into_a_child() {
    let _lock = INHERITABLE.lock().unwrap();
    let _held = [File::open("/dev/null").unwrap(), File::open("/").unwrap()];
    // The shell lists its own descriptors; that of the directory it lists is gone by the time it is tested.
    let listed = run(&shell("for fd in /proc/self/fd/*; do test -e $fd && echo ${fd##*/}; done"));
    let extra: Vec<&str> = listed.stdout.lines().filter(|fd| !["0", "1", "2"].contains(fd)).collect();
    assert_eq!(extra, [] as [&str; 0], "{}", listed.stdout);
}

#[test]
fn a_child_leads_its_group_in_our_session() {
    let outcome = run(&plan("/bin/cat", &["cat", "/proc/self/stat"]));
    let after_name = outcome.stdout.rsplit_once(") ").unwrap().1;
    let fields: Vec<i32> = after_name.split(' ').skip(1).take(3).map(|field| field.parse().unwrap()).collect();
    // SAFETY: asks for our own session.
    let session = unsafe { libc::getsid(0) };
    let me = i32::try_from(std::process::id()).unwrap();
    assert_eq!(fields, [me, outcome.pid.0, session]);
}

#[test]
fn signals_are_default_except_the_two_ignored_ones() {
    let outcome = run(&plan("/bin/cat", &["cat", "/proc/self/status"]));
    let set = |name: &str| {
        let line = outcome.stdout.lines().find(|line| line.starts_with(name)).unwrap();
        signals::Set::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!(set("SigBlk:"), 0);
    // The C library keeps 32 and 33 to itself; whatever started the test may have left them ignored.
    let ignored = set("SigIgn:") & !(signals::bit(32) | signals::bit(33));
    assert_eq!(ignored, signals::bit(libc::SIGPIPE) | signals::bit(libc::SIGXFSZ));
}

#[test]
fn directory_and_umask_are_set_in_the_child_alone() {
    let scratch = Scratch::new("directory");
    let real = std::fs::canonicalize(scratch.path("")).unwrap();
    let mut plan = shell("pwd -P; umask");
    plan.directory = Some(CString::new(scratch.path("")).unwrap());
    plan.umask = Some(0o027);
    assert_eq!(run(&plan).stdout, format!("{}\n0027\n", real.display()));
    assert_ne!(std::env::current_dir().unwrap(), real);
}

#[test]
fn root_runs_children_as_another_user() {
    if users::current_uid() != 0 {
        return;
    }
    let plan = |groups: &[u32]| Plan {
        switch: Switch::Become { uid: 12_345, gid: 23_456, groups: groups.to_vec() },
        ..shell("grep -E '^(Uid|Gid|Groups)' /proc/self/status")
    };
    let told = run(&plan(&[23_456, 7])).stdout.replace(['\t', ' '], ",");
    let expected = "Uid:,12345,12345,12345,12345\nGid:,23456,23456,23456,23456\nGroups:,7,23456,\n";
    assert_eq!(told, expected);
    assert_eq!(users::current_uid(), 0);

    let bad = run(&Plan { switch: Switch::Become { uid: 1, gid: u32::MAX, groups: vec![] }, ..shell("echo no") });
    let expected = "supervisor: couldn't setuid to 1: Could not set group id of effective user\n\
                    supervisor: child process was not spawned\n";
    assert_eq!((bad.stdout.as_str(), bad.stderr.as_str()), ("", expected));
}

#[test]
fn errors_have_the_texts_of_the_original() {
    let rows = [
        (SpawnError::Pipe(libc::EMFILE), "too many open files to spawn 'cat'"),
        (SpawnError::Pipe(libc::ENFILE), "unknown error making dispatchers for 'cat': ENFILE"),
        (SpawnError::Fork(libc::EAGAIN), "Too many processes in process table to spawn 'cat'"),
        (SpawnError::Fork(libc::ENOMEM), "unknown error during fork for 'cat': ENOMEM"),
    ];
    for (error, expected) in rows {
        assert_eq!(error.text("cat"), expected);
    }
    for number in [libc::ENOENT, libc::EACCES, libc::ENOEXEC, libc::ETXTBSY, libc::EDQUOT] {
        assert_eq!(errno_after_colon(number), format!(": {}", errno::name(number)).as_bytes());
    }
    assert_eq!(errno_after_colon(9999), b": unknown error");
}

#[test]
fn spawns_from_several_threads_do_not_mix() {
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            std::thread::spawn(move || {
                for _ in 0..8 {
                    let word = format!("thread {thread}");
                    assert_eq!(run(&plan("/bin/echo", &["echo", &word])).stdout, format!("{word}\n"));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
