//! Real children, waited for; nothing here depends on time.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use super::*;
use crate::exit::ExitStatus;
use crate::sys::environment::Environment;
use crate::sys::process;
use crate::sys::scratch::{INHERITABLE, Scratch};
use crate::sys::users;

fn plan<'a>(path: &str, argv: &[&str]) -> Plan<'a> {
    Plan {
        path: CString::new(path).unwrap(),
        argv: CStrings::from_words(argv).unwrap(),
        environment: Environment::default().overlaid([("PATH", "/bin:/usr/bin"), ("LC_ALL", "C")]).unwrap(),
        stdin: Stdin::Pipe,
        redirect_stderr: false,
        switch: Switch::Keep,
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

fn read_all(fd: OwnedFd) -> String {
    // SAFETY: F_SETFL takes an int. Our ends are non-blocking; the test waits.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, 0) };
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

fn run(plan: &Plan) -> Outcome {
    let spawned = spawn(plan).unwrap();
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
    plan.environment = Environment::default().overlaid([("V", "x=y")]).unwrap();
    let outcome = run(&plan);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("a b  x=y\n", "err\n"));
    assert_eq!(outcome.status, ExitStatus::Code(3));

    plan.redirect_stderr = true;
    assert_eq!(run(&plan).stdout, "a b  x=y\nerr\n");
}

#[test]
fn stdin_is_a_pipe_that_stays_open() {
    let spawned = spawn(&plan("/bin/cat", &["cat"])).unwrap();
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
    let spawned = spawn(&plan).unwrap();
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
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
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
