//! A daemon under attack: its ports, its socket file, and what it takes.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{post, read_all};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of the log that is asked for.
const LOG_BYTES: usize = 17 << 20;

/// A running daemon, ended when it is dropped.
pub struct Daemon {
    child: Child,
    folder: PathBuf,
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
        // Kept by the daemon as the log of a program, which goes on writing to it.
        fs::write(folder.join("noise.log"), "the quick brown fox & its log\n".repeat(LOG_BYTES / 30)).expect("a log");
        let conf = format!(
            "[supervisord]\nlogfile={at}/main.log\npidfile={at}/pid\nchildlogdir={at}\nnodaemon=true\nsilent=true\n\
             [unix_http_server]\nfile={at}/sock\n\
             [inet_http_server:open]\nport=127.0.0.1:{open}\n\
             [inet_http_server:guarded]\nport=127.0.0.1:{guarded}\nusername=u\npassword=p\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [program:victim]\ncommand=sleep 1000\nstartsecs=0\n\
             [program:noise]\ncommand=sh -c 'while :; do head -c 200000 /dev/zero | tr \"\\\\0\" x; sleep 0.05; done'\n\
             stdout_logfile={at}/noise.log\nstdout_logfile_maxbytes=0\n\
             [program:many]\ncommand=sleep 1000\nprocess_name=%(process_num)d\nnumprocs=20\n"
        );
        fs::write(folder.join("conf"), conf).expect("a configuration");
        let child = Command::new(env!("CARGO_BIN_EXE_supervisord"))
            .args(["-n", "-c"])
            .arg(folder.join("conf"))
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let daemon = Daemon { child, folder, open, guarded };
        let begun = Instant::now();
        while !(daemon.folder.join("sock").exists() && daemon.ask().contains("RUNNING")) {
            assert!(begun.elapsed() < PATIENCE, "it does not start");
            std::thread::yield_now();
        }
        daemon
    }

    /// An attacker's connection, without waiting for anything.
    pub fn send(&self, bytes: &[u8]) -> TcpStream {
        self.send_to(self.open, bytes)
    }

    /// The same to a port.
    pub fn send_to(&self, port: u16, bytes: &[u8]) -> TcpStream {
        super::send(TcpStream::connect(("127.0.0.1", port)).expect("it accepts"), bytes)
    }

    /// The state of all, as an administrator asks over the socket file; empty if there is no answer.
    pub fn ask(&self) -> String {
        self.rpc("supervisor.getAllProcessInfo", "")
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

    fn pid_of(&self, name: &str) -> Option<i32> {
        let info =
            self.rpc("supervisor.getProcessInfo", &format!("<param><value><string>{name}</string></value></param>"));
        let rest = info.split("<name>pid</name>").nth(1)?;
        rest.split("<int>").nth(1)?.split('<').next()?.parse().ok().filter(|pid| *pid > 0)
    }

    /// Kills a program, and waits until it runs again: the time that took, an answer included.
    pub fn kill_and_await(&self, name: &str) -> Duration {
        let begun = Instant::now();
        let mut before = self.pid_of(name);
        while before.is_none() && begun.elapsed() < PATIENCE {
            before = self.pid_of(name);
        }
        let before = before.expect("it runs");
        let status = Command::new("kill").args(["-9", &before.to_string()]).status().expect("kill");
        assert!(status.success(), "{name} was not running as {before}");
        let killed = Instant::now();
        while self.pid_of(name).is_none_or(|pid| pid == before) {
            assert!(killed.elapsed() < PATIENCE, "{name} is not started again");
        }
        killed.elapsed()
    }

    /// Resident memory.
    pub fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is alive");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is alive");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number") * 1024
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

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}
