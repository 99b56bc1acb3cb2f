//! A daemon under attack: its ports, its socket file, and what it takes.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::attacks::post;
use super::port::free_port;
use super::read_all;
use super::silent::Silent;
use super::turns::Turns;

/// How long anything is waited for. An executable that is not optimised and gets a tenth of a processor takes most of a minute over
/// the worst of the attacks.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long the victim lives at least: one that ends within 20 ms of its start rests until these are over.
const UPTIME: Duration = Duration::from_millis(30);

/// Bytes of the log that is asked for.
const LOG_BYTES: usize = 17 << 20;

/// What is killed and started: by the daemon, and by a loop that does nothing else. It says its pid as soon as it runs.
fn victim(births: &Path) -> String {
    format!("echo $$ > {}; exec sleep 1000", births.display())
}

/// A running daemon, ended when it is dropped.
pub struct Daemon {
    child: Child,
    folder: PathBuf,
    /// Pids of the victim, and when it said them.
    births: Receiver<(i32, Instant)>,
    victim: Cell<i32>,
    started: Cell<Instant>,
    _silent: Option<Silent>,
    /// How long it works at a stretch, where that can be counted.
    pub turns: Option<Turns>,
    /// A port without a password.
    pub open: u16,
    /// A port with one.
    pub guarded: u16,
}

impl Daemon {
    /// Starts one with a program to be killed, a log of 17 MB, and twenty programs.
    pub fn start() -> Daemon {
        let folder = std::env::temp_dir().join(format!("stheno-hostile-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (open, guarded) = (free_port(), free_port());
        let at = folder.display();
        let silent = Silent::mount();
        let held = silent.as_ref().map_or(at.to_string(), |silent| silent.at.join("below").display().to_string());
        let births = births(&folder.join("births"));
        let victim = victim(&folder.join("births"));
        // Kept by the daemon as the log of a program, which goes on writing to it.
        fs::write(folder.join("noise.log"), "the quick brown fox & its log\n".repeat(LOG_BYTES / 30)).expect("a log");
        let conf = format!(
            "[supervisord]\nlogfile={at}/main.log\npidfile={at}/pid\nchildlogdir={at}\nnodaemon=true\nsilent=true\n\
             [unix_http_server]\nfile={at}/sock\n\
             [inet_http_server:open]\nport=127.0.0.1:{open}\n\
             [inet_http_server:guarded]\nport=127.0.0.1:{guarded}\nusername=u\npassword=p\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [stheno]\nmutation=true\n\
             [program:victim]\ncommand=sh -c '{victim}'\nstartsecs=0\n\
             [program:held]\ncommand=sleep 1000\ndirectory={held}\nautostart=false\nstartsecs=0\n\
             [program:late]\ncommand=sleep 1000\nautostart=false\n[group:late]\nprograms=late\n\
             [eventlistener:sulky]\nevents=REMOTE_COMMUNICATION\nstderr_logfile=NONE\n\
             command=sh -c 'while echo READY && read -r head; do head -c \"${{head##*len:}}\" > /dev/null; printf \"RESULT 4\\nFAIL\"; done'\n\
             [program:noise]\ncommand=sh -c 'while :; do head -c 200000 /dev/zero | tr \"\\\\0\" x; sleep 0.05; done'\n\
             stdout_logfile={at}/noise.log\nstdout_logfile_maxbytes=0\n\
             [program:many]\ncommand=sleep 1000\nprocess_name=%(process_num)d\nnumprocs=20\n"
        );
        fs::write(folder.join("conf"), conf).expect("a configuration");
        // A release build is made otherwise than tests are.
        let program = std::env::var_os("STHENO_SUPERVISORD");
        let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_supervisord").into()));
        let turns = Turns::new(&folder);
        if let Some(turns) = &turns {
            turns.count(&mut command);
        }
        command.args(["-n", "-c"]).arg(folder.join("conf")).stdout(Stdio::null());
        let child = command.spawn().expect("it starts");
        let (victim, started) = (Cell::new(0), Cell::new(Instant::now()));
        let daemon = Daemon { child, folder, births, victim, started, _silent: silent, turns, open, guarded };
        daemon.await_victim();
        let begun = Instant::now();
        while !(daemon.folder.join("sock").exists() && daemon.ask().contains("RUNNING")) {
            assert!(begun.elapsed() < PATIENCE, "it does not start");
            std::thread::yield_now();
        }
        daemon
    }

    /// Has it run before others whenever it wants to, not what it starts; root may ask for that. How long it works at a stretch
    /// is then the same beside other work: who is put off again and again finds nothing in the processor's caches.
    pub fn prefer(&self) {
        let _ = Command::new("chrt").args(["-R", "-r", "-p", "10", &self.child.id().to_string()]).status();
    }

    /// An attacker's connection, without waiting for anything.
    pub fn send(&self, bytes: &[u8]) -> TcpStream {
        self.send_to(self.open, bytes)
    }

    /// The same to a port.
    pub fn send_to(&self, port: u16, bytes: &[u8]) -> TcpStream {
        super::send(TcpStream::connect(("127.0.0.1", port)).expect("it accepts"), bytes)
    }

    /// The state of the victim, as an administrator asks over the socket file; empty if there is no answer.
    pub fn ask(&self) -> String {
        self.rpc("supervisor.getProcessInfo", "<param><value><string>victim</string></value></param>")
    }

    fn rpc(&self, method: &str, params: &str) -> String {
        let Ok(mut stream) = UnixStream::connect(self.folder.join("sock")) else { return String::new() };
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let body = format!(
            "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
        );
        let text = String::from_utf8(post(&body)).unwrap_or_default().replace("HTTP/1.1", "HTTP/1.0");
        if stream.write_all(text.as_bytes()).is_err() {
            return String::new();
        }
        read_all(&mut stream)
    }

    /// Kills the victim, and waits until it runs again: the time between.
    pub fn kill_and_await(&self) -> Duration {
        // One that is killed sooner rests until then.
        std::thread::sleep((self.started.get() + UPTIME).saturating_duration_since(Instant::now()));
        let pid = nix::unistd::Pid::from_raw(self.victim.get());
        let killed = Instant::now();
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it runs");
        self.await_victim();
        self.started.get().saturating_duration_since(killed)
    }

    /// Waits until the victim says that it runs, with its pid.
    fn await_victim(&self) {
        let (pid, started) = self.births.recv_timeout(PATIENCE).expect("the victim is started again");
        self.victim.set(pid);
        self.started.set(started);
    }

    /// Resident memory.
    pub fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is alive");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is alive");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// How long it has been on a processor, and how long it has waited for one.
    pub fn schedule(&self) -> (Duration, Duration) {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", self.child.id())).unwrap_or_default();
        let mut numbers = text.split_whitespace().map(|word| Duration::from_nanos(word.parse().unwrap_or(0)));
        (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it is alive").count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The same as the daemon does for its victim, by a loop that does nothing else: what is left of the machine.
pub struct Limit {
    script: String,
    births: Receiver<(i32, Instant)>,
    child: Child,
    started: Instant,
}

impl Limit {
    /// Starts one.
    pub fn start(daemon: &Daemon) -> Limit {
        let path = daemon.folder.join("limit");
        let (births, script) = (births(&path), victim(&path));
        let child = Limit::spawn(&script);
        let (_, started) = births.recv_timeout(PATIENCE).expect("it starts");
        Limit { script, births, child, started }
    }

    fn spawn(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdin(Stdio::null()).spawn().expect("a shell")
    }

    /// Kills it and starts it again: the time between.
    pub fn kill_and_await(&mut self) -> Duration {
        std::thread::sleep((self.started + UPTIME).saturating_duration_since(Instant::now()));
        let killed = Instant::now();
        self.child.kill().expect("it runs");
        self.child.wait().expect("our child");
        self.child = Limit::spawn(&self.script);
        self.started = self.births.recv_timeout(PATIENCE).expect("it starts").1;
        self.started.saturating_duration_since(killed)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a victim says, as it comes, and when.
fn births(path: &Path) -> Receiver<(i32, Instant)> {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    // For writing too, so that it never ends.
    let fifo = fs::OpenOptions::new().read(true).write(true).open(path).expect("the FIFO");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(fifo).lines() {
            let pid = line.ok().and_then(|line| line.parse().ok());
            let Some(Ok(())) = pid.map(|pid| sender.send((pid, Instant::now()))) else { return };
        }
    });
    receiver
}
