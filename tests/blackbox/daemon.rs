//! A daemon under test: its folder, its process, and what can be asked of it. Dropping it leaves nothing behind.

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stheno::wire::value::Value;

use crate::client;

/// How long any condition may take. Ours take milliseconds, the original up to a few seconds, a loaded machine longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

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

/// A TCP port that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
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
        let terminal = nix::pty::openpty(None, None).expect("a terminal");
        let file = self.path("supervisord.conf").display().to_string();
        let args = [&["-c", &file], words].concat();
        let mut command = self.command(&supervisorctl(), &args, &self.path(".out"), &self.path(".err"));
        let screen = || terminal.slave.try_clone().expect("a descriptor");
        let mut child =
            command.env("TERM", "xterm").stdout(screen()).stderr(screen()).spawn().expect("the program starts");
        // The end of the screen is that of the last who holds it.
        drop((command, terminal.slave));
        let (mut shown, mut chunk) = (Vec::new(), [0; 4096]);
        let mut master = fs::File::from(terminal.master);
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

    /// Everything alive that was started in this folder.
    pub fn processes(&self) -> Vec<Pid> {
        let mark = format!("{MARK}={}", self.path.display());
        let numbers = fs::read_dir("/proc").expect("/proc is there").flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let marked = numbers.filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        });
        marked.map(Pid::from_raw).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Again until none is left: one may just have forked. A daemon that is killed starts nothing any more.
        for _ in 0..3 {
            for pid in self.processes() {
                let _ = kill(pid, Signal::SIGKILL);
            }
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

    pub fn wait_state(&self, name: &str, state: &str) {
        wait_for(&format!("{name} to be {state}"), || (self.state(name) == state).then_some(()));
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
