//! A daemon under test: its folder, its process, and what can be asked of it. Dropping it leaves nothing behind.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;

use crate::client;
pub use crate::port::free_port;

/// How long any condition may take. Ours take milliseconds, the original up to a few seconds, a loaded machine longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often what a test leaves is killed: what is held up in the system ends later than it is told to.
const SWEEPS_MAX: usize = 200;

/// In the environment of everything that a test starts, so that it can be found again.
const MARK: &str = "STHENO_BLACKBOX";

/// What every daemon is configured with; a test's own text follows and may overrule it.
const BASE: &str = "\
[supervisord]
logfile=$DIR/supervisord.log
pidfile=$DIR/supervisord.pid
childlogdir=$DIR
[unix_http_server]
file=$DIR/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://$DIR/s.sock
";

/// Whether Supervisor itself is driven, for tests that say where the two part.
pub fn is_original() -> bool {
    std::env::var_os("STHENO_SUPERVISORD").is_some()
}

fn supervisord() -> PathBuf {
    std::env::var_os("STHENO_SUPERVISORD").map_or(env!("CARGO_BIN_EXE_supervisord").into(), PathBuf::from)
}

pub fn supervisorctl() -> PathBuf {
    match std::env::var_os("STHENO_SUPERVISORD") {
        Some(daemon) => Path::new(&daemon).with_file_name("supervisorctl"),
        None => env!("CARGO_BIN_EXE_supervisorctl").into(),
    }
}

/// Looks until there is an answer. `what` completes the sentence "waited in vain for …".
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A terminal of that size: the side of the person, and that of the program. No program of another test inherits either, which
/// would hold it open.
pub fn terminal(columns: u16, lines: u16) -> (fs::File, OwnedFd) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
    grantpt(&master).expect("its other side");
    unlockpt(&master).expect("its other side");
    let path = ptsname_r(&master).expect("its name");
    let slave = fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path);
    let slave = OwnedFd::from(slave.expect("its other side"));
    let size = libc::winsize { ws_col: columns, ws_row: lines, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and the structure is what this request reads.
    assert_eq!(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
    // SAFETY: what PtyMaster gives away is open and nobody else's.
    (fs::File::from(unsafe { OwnedFd::from_raw_fd(master.into_raw_fd()) }), slave)
}

/// When a line of the activity log was written, in milliseconds since some day; the ends of short months count for more.
pub fn millis_of(line: &str) -> i64 {
    let (date, rest) = line.split_once(' ').expect("a date");
    let time = rest.split(' ').next().expect("a time").replace(',', ":");
    let number = |part: &str| part.parse::<i64>().expect("a number");
    let days = date.split('-').map(number).fold(0, |days, part| days * 32 + part);
    let parts: Vec<i64> = time.split(':').map(number).collect();
    (((days * 24 + parts[0]) * 60 + parts[1]) * 60 + parts[2]) * 1000 + parts[3]
}

/// What a program left when it ended.
#[derive(Debug)]
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A folder for one test, removed with all processes that carry its mark.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("stheno-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a folder for the test");
        Folder { path }
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file; `$DIR` in it stands for the folder.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), self.fill(text)).expect("a file in the folder");
    }

    /// Writes a file that can be run. A process of its own does it: a child that another test is about to start would have ours
    /// open for writing for a moment, and what somebody may write to cannot be run.
    pub fn write_program(&self, name: &str, text: &str) {
        let mut install = Command::new("install");
        install.args(["-m", "755", "/dev/stdin"]).arg(self.path(name)).stdin(Stdio::piped());
        let mut install = install.spawn().expect("coreutils are there");
        install.stdin.take().expect("a pipe").write_all(self.fill(text).as_bytes()).expect("it reads");
        assert!(install.wait().expect("our child").success(), "{name} is written");
    }

    /// Writes `supervisord.conf`: the base and `text`.
    pub fn configure(&self, text: &str) {
        self.write("supervisord.conf", &format!("{BASE}{text}"));
    }

    /// What a file holds now; empty if there is none.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// The text with `$DIR` replaced.
    pub fn fill(&self, text: &str) -> String {
        text.replace("$DIR", &self.path.display().to_string())
    }

    /// Names of the files, sorted, that start with `prefix`.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.path).expect("the folder is readable");
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        names
    }

    /// Runs `supervisord` with these arguments to its end. Nothing of the daemon may remain that holds its output.
    pub fn supervisord(&self, args: &[&str]) -> Ended {
        self.run(&supervisord(), args)
    }

    /// Runs `supervisorctl` with the folder's configuration and these words.
    pub fn ctl(&self, words: &[&str]) -> Ended {
        let file = self.path("supervisord.conf").display().to_string();
        self.run(&supervisorctl(), &[&["-c", &file], words].concat())
    }

    /// The same on a terminal: all that it shows, and the exit status.
    pub fn ctl_on_terminal(&self, words: &[&str]) -> (String, i32) {
        let (mut master, slave) = terminal(0, 0);
        let file = self.path("supervisord.conf").display().to_string();
        let args = [&["-c", &file], words].concat();
        let mut command = self.command(&supervisorctl(), &args, &self.path(".out"), &self.path(".err"));
        let screen = || slave.try_clone().expect("a descriptor");
        let mut child =
            command.env("TERM", "xterm").stdout(screen()).stderr(screen()).spawn().expect("the program starts");
        // The end of the screen is that of the last who holds it.
        drop((command, slave));
        let (mut shown, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = master.read(&mut chunk) {
            shown.extend_from_slice(&chunk[..count]);
        }
        let status = child.wait().expect("the child is ours");
        (String::from_utf8_lossy(&shown).replace("\r\n", "\n"), status.code().unwrap_or(-1))
    }

    fn run(&self, program: &Path, args: &[&str]) -> Ended {
        let (out, err) = (self.path(".out"), self.path(".err"));
        let mut child = self.command(program, args, &out, &err).spawn().expect("the program starts");
        let status = wait_for("the program to end", || child.try_wait().expect("the child is ours"));
        let text = |path| String::from_utf8_lossy(&fs::read(path).expect("its output")).into_owned();
        Ended { status: status.code().unwrap_or(-1), stdout: text(&out), stderr: text(&err) }
    }

    fn command(&self, program: &Path, args: &[&str], out: &Path, err: &Path) -> Command {
        let mut command = Command::new(program);
        let file = |path: &Path| fs::File::create(path).expect("a file for the output");
        command.args(args.iter().map(|arg| self.fill(arg))).current_dir(&self.path).stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command.env("PYTHONWARNINGS", "ignore").env(MARK, &self.path).stdout(file(out)).stderr(file(err));
        command
    }

    /// Everything alive that was started in this folder, by its environment, or by its directory: there are programs that write
    /// their title over the one, and daemons leave the other.
    pub fn processes(&self) -> Vec<Pid> {
        let mark = format!("{MARK}={}", self.path.display());
        let numbers = fs::read_dir("/proc").expect("/proc is there").flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let marked = numbers.filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
                || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory.starts_with(&self.path))
        });
        marked.map(Pid::from_raw).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Again until none is left: one may just have forked. A daemon that is killed starts nothing any more.
        for _ in 0..SWEEPS_MAX {
            let left = self.processes();
            for pid in &left {
                let _ = kill(*pid, Signal::SIGKILL);
            }
            if left.is_empty() {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Has a program start with so many descriptors.
pub fn with_descriptors(count: libc::rlim_t) -> impl FnOnce(&mut Command) {
    move |command| {
        let limit = libc::rlimit { rlim_cur: count, rlim_max: count };
        // SAFETY: setrlimit(2) may be called between fork and exec, and the structure lives.
        unsafe {
            command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
    }
}

/// A running daemon.
pub struct Daemon {
    pub folder: Folder,
    child: Child,
}

impl Daemon {
    /// Starts a daemon in the foreground with this configuration, added to the base, and waits until it answers.
    pub fn start(config: &str) -> Daemon {
        Daemon::start_in(Folder::new(), config)
    }

    pub fn start_in(folder: Folder, config: &str) -> Daemon {
        Daemon::start_with(folder, config, |_| {})
    }

    /// Like [`Daemon::start`]; `prepare` may change how the daemon is started.
    pub fn start_with(folder: Folder, config: &str, prepare: impl FnOnce(&mut Command)) -> Daemon {
        folder.configure(config);
        let args = ["-n", "-c", "$DIR/supervisord.conf"];
        let mut command = folder.command(&supervisord(), &args, &folder.path("out"), &folder.path("err"));
        prepare(&mut command);
        let mut daemon = Daemon { child: command.spawn().expect("the daemon starts"), folder };
        daemon.wait_until_it_answers();
        daemon
    }

    /// Runs `supervisord` with these arguments as the last words of the command line `wrapper`, such as that of unshare(1);
    /// nothing is waited for. The folder has its configuration already.
    pub fn start_under(folder: Folder, wrapper: &[&str], args: &[&str], prepare: impl FnOnce(&mut Command)) -> Daemon {
        let program = supervisord().display().to_string();
        let (first, rest) = wrapper.split_first().map_or((program.as_str(), &[][..]), |(first, rest)| (*first, rest));
        let own = if wrapper.is_empty() { &[][..] } else { &[program.as_str()] };
        let all = [rest, own, args].concat();
        let mut command = folder.command(Path::new(first), &all, &folder.path("out"), &folder.path("err"));
        prepare(&mut command);
        Daemon { child: command.spawn().expect("the wrapper starts"), folder }
    }

    /// The only child of the process that was started: under unshare(1), the PID 1 of its name space.
    pub fn inner(&self) -> Pid {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        wait_for("a child", || Some(Pid::from_raw(fs::read_to_string(&path).ok()?.trim().parse().ok()?)))
    }

    pub fn wait_until_it_answers(&mut self) {
        wait_for("the daemon to answer", || {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                panic!("the daemon ended with {status}: {}{}", self.folder.read("err"), self.folder.read("out"));
            }
            self.call("supervisor.getState", &[]).ok()
        });
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Calls a method over the unix socket. An `Err` is a fault, or -1 and the trouble with the connection.
    pub fn call(&self, method: &str, params: &[Value]) -> Result<Value, (i64, String)> {
        client::call(&self.folder.path("s.sock"), method, params)
    }

    /// Calls a method that must not fault.
    pub fn must(&self, method: &str, params: &[Value]) -> Value {
        self.call(method, params).unwrap_or_else(|fault| panic!("{method}: {fault:?}\n{}", self.log()))
    }

    /// One member of getProcessInfo.
    pub fn info(&self, name: &str, member: &str) -> Value {
        let info = self.must("supervisor.getProcessInfo", &[Value::str(name.to_string())]);
        info.member(member).unwrap_or_else(|| panic!("no {member} in {info:?}")).clone()
    }

    /// The state's name.
    pub fn state(&self, name: &str) -> String {
        self.info(name, "statename").as_str().expect("a text").to_string()
    }

    /// The process id; 0 for none.
    pub fn pid_of(&self, name: &str) -> i32 {
        match self.info(name, "pid") {
            Value::Int(pid) => pid as i32,
            other => panic!("a pid is a number, not {other:?}"),
        }
    }

    /// The process id, once there is one: the daemon answers before it has started everything.
    pub fn child_of(&self, name: &str) -> i32 {
        wait_for(&format!("a child of {name}"), || Some(self.pid_of(name)).filter(|pid| *pid != 0))
    }

    /// Waits for the state. A connection may be lost meanwhile: to a restart, or to make room for a child.
    pub fn wait_state(&self, name: &str, state: &str) {
        wait_for(&format!("{name} to be {state}"), || {
            let info = match self.call("supervisor.getProcessInfo", &[Value::str(name.to_string())]) {
                Err((-1, _)) => return None,
                info => info.unwrap_or_else(|fault| panic!("{name}: {fault:?}\n{}", self.log())),
            };
            (info.member("statename").and_then(Value::as_str) == Some(state)).then_some(())
        });
    }

    /// Waits until there are so many lines with that text in the activity log, or more.
    pub fn wait_lines(&self, text: &str, count: usize) -> Vec<String> {
        wait_for(&format!("{count} lines with {text:?}"), || {
            Some(self.log_lines(text)).filter(|lines| lines.len() >= count)
        })
    }

    /// Waits until a file in the folder holds `text`, and returns all of it.
    pub fn wait_file(&self, file: &str, text: &str) -> String {
        wait_for(&format!("{text:?} in {file}"), || Some(self.folder.read(file)).filter(|all| all.contains(text)))
    }

    /// The activity log.
    pub fn log(&self) -> String {
        self.folder.read("supervisord.log")
    }

    /// The lines of the activity log that hold `text`, without time and level.
    pub fn log_lines(&self, text: &str) -> Vec<String> {
        let log = self.log();
        let messages = log.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
        messages.filter(|message| message.contains(text)).map(str::to_string).collect()
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the daemon is there");
    }

    /// Waits for the daemon to end; its exit status, or minus the signal that ended it.
    pub fn wait_end(&mut self) -> i32 {
        let status = wait_for("the daemon to end", || self.child.try_wait().expect("the child is ours"));
        status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}--- its stderr\n{}", self.log(), self.folder.read("err"));
        }
        // The folder sweeps up whatever the daemon leaves.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
