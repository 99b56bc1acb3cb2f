//! A program under the daemon that does what it is told, step by step: this test executable, run once more. So the tests
//! need no other language, and know exactly which process does what.

use std::io::{IoSlice, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

/// The steps stand in this variable, blanks or commas between them.
const STEPS: &str = "STHENO_ACT";

/// Lines of a section that run these steps. `~` in a step's text stands for a blank, `;` for a line feed.
pub fn act(steps: &str) -> String {
    let exe = std::env::current_exe().expect("our own path").display().to_string();
    format!("command={exe} --ignored --exact actor::plays --nocapture\nenvironment={STEPS}=\"{steps}\"\n")
}

/// The same as a command line; commas between the steps.
pub fn command(steps: &str) -> String {
    let exe = std::env::current_exe().expect("our own path").display().to_string();
    format!("/usr/bin/env {STEPS}={steps} {exe} --ignored --exact actor::plays --nocapture")
}

#[test]
#[ignore = "it is a program for other tests"]
fn plays() {
    let steps = std::env::var(STEPS).unwrap_or_default();
    let mut kept: Vec<Box<dyn std::any::Any>> = Vec::new();
    for step in steps.split([' ', ',']).filter(|step| !step.is_empty()) {
        let (verb, text) = step.split_once(':').unwrap_or((step, ""));
        play(verb, &text.replace('~', " ").replace(';', "\n"), &mut kept);
    }
    std::process::exit(0);
}

fn play(verb: &str, text: &str, kept: &mut Vec<Box<dyn std::any::Any>>) {
    match verb {
        "notify" => notify(text.as_bytes()),
        // Each is over before the next step.
        "child" => run(Command::new("/proc/self/exe"), &format!("notify:{text}")),
        "grandchild" => run(Command::new("/proc/self/exe"), &format!("child:{text}")),
        "stranger" => {
            let mut command = Command::new("/proc/self/exe");
            command.process_group(0);
            run(command, &format!("notify:{text}"));
        }
        "flood" => {
            let (count, text) = text.split_once(':').expect("flood:COUNT:TEXT");
            (0..count.parse::<u32>().expect("a number")).for_each(|_| notify(text.as_bytes()));
        }
        "barrier" => {
            let (mut ours, theirs) = UnixStream::pair().expect("a pair");
            send_with(b"BARRIER=1", &[theirs.as_raw_fd()]);
            drop(theirs);
            // Its end comes when nobody has the other one any more.
            assert_eq!(ours.read(&mut [0]).expect("the end"), 0);
        }
        "store" => {
            let file = std::fs::File::open("/dev/null").expect("/dev/null");
            send_with(b"FDSTORE=1\nFDNAME=x", &[file.as_raw_fd()]);
        }
        "wait" => {
            while !std::path::Path::new(text).exists() {
                pause()
            }
        }
        "touch" => drop(std::fs::write(text, "")),
        "log" => {
            let (file, line) = text.split_once(':').expect("log:FILE:LINE");
            append(file, line);
        }
        "pid" => append(text, &std::process::id().to_string()),
        "env" => {
            let (file, name) = text.split_once(':').expect("env:FILE:NAME");
            append(file, &std::env::var(name).unwrap_or("unset".to_string()));
        }
        "say" => print!("{text}"),
        "fd" => {
            let (fd, text) = text.split_once(':').expect("fd:N:TEXT");
            std::fs::write(format!("/proc/self/fd/{fd}"), text).expect("a descriptor");
        }
        "close" => drop(nix::unistd::close(text.parse::<i32>().expect("a number"))),
        "tcp" => {
            let port = text.parse().expect("a port");
            kept.push(Box::new(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port")));
        }
        "unix" => kept.push(Box::new(UnixListener::bind(text).expect("a socket"))),
        "http" => {
            let (port, file) = text.split_once(':').expect("http:PORT:FILE");
            let server = TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse().expect("a port"))).expect("the port");
            let file = file.to_string();
            std::thread::spawn(move || {
                for mut client in server.incoming().flatten() {
                    let status = std::fs::read_to_string(&file).unwrap_or("503".to_string());
                    let _ = client.read(&mut [0; 1024]);
                    let _ = write!(client, "HTTP/1.0 {status} whatever\r\n\r\n");
                }
            });
        }
        "memory" => {
            let mib: usize = text.parse().expect("a number");
            kept.push(Box::new(vec![1u8; mib << 20]));
        }
        "ignore" => on(text, SigHandler::SigIgn),
        "nth" => {
            // The steps of the n-th run only.
            let (file, rest) = text.split_once(':').expect("nth:FILE:N:STEP");
            let (number, step) = rest.split_once(':').expect("nth:FILE:N:STEP");
            let before = std::fs::read_to_string(file).unwrap_or_default().lines().count();
            append(file, "run");
            if before + 1 == number.parse::<usize>().expect("a number") {
                let (verb, text) = step.split_once(':').unwrap_or((step, ""));
                play(verb, text, kept);
            }
        }
        "exit" => std::process::exit(text.parse().expect("a number")),
        "forever" => loop {
            std::thread::park();
        },
        other => panic!("no step {other}"),
    }
}

fn on(name: &str, handler: SigHandler) {
    let number: Signal = format!("SIG{name}").parse().expect("a signal");
    // SAFETY: no handler of ours is run.
    unsafe { signal(number, handler) }.expect("a handler");
}

fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

fn append(file: &str, line: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).expect("a file");
    writeln!(file, "{line}").expect("a line");
}

fn run(mut command: Command, steps: &str) {
    let steps = steps.replace(' ', "~").replace('\n', ";");
    let status = command.args(["--ignored", "--exact", "actor::plays", "--nocapture"]).env(STEPS, steps).status();
    assert!(status.expect("it runs").success());
}

fn address() -> String {
    std::env::var("NOTIFY_SOCKET").expect("NOTIFY_SOCKET")
}

fn notify(text: &[u8]) {
    tell(&address(), text).expect("a message");
}

/// Sends a message to a notify socket.
pub fn tell(address: &str, text: &[u8]) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    socket.send_to_addr(text, &address).map(drop)
}

fn send_with(text: &[u8], fds: &[i32]) {
    let address = address();
    let address = match address.strip_prefix('@') {
        Some(name) => UnixAddr::new_abstract(name.as_bytes()),
        None => UnixAddr::new(address.as_str()),
    };
    let socket = UnixDatagram::unbound().expect("a socket");
    let rights = [ControlMessage::ScmRights(fds)];
    let address = address.expect("an address");
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(text)], &rights, MsgFlags::empty(), Some(&address)).expect("a message");
}
