//! What is done to the daemon.

use std::any::Any;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::daemon::Daemon;

/// An attack: its name and what it does. It goes on until what it returns is dropped.
pub type Attack = (&'static str, fn(&Daemon) -> Box<dyn Any>);

/// How long an attacker waits for an answer that may not come.
const SILENCE: Duration = Duration::from_millis(500);

pub const ATTACKS: &[Attack] = &[
    ("nothing", |_| Box::new(())),
    ("long pages, never read", |daemon| {
        let request = "GET /tail.html?processname=noise&limit=5000000 HTTP/1.1\r\n\r\n".repeat(1800);
        Box::new(daemon.send(request.as_bytes()))
    }),
    ("50 000 pages, never read", |daemon| Box::new(daemon.send("GET / HTTP/1.1\r\n\r\n".repeat(50_000).as_bytes()))),
    ("3 000 reads of a log in one call", |daemon| {
        Box::new(daemon.send(&multicall("supervisor.readProcessStdoutLog", "noise", 3000)))
    }),
    ("a read of a log on each of 300 connections", |daemon| {
        let call = call("supervisor.readProcessStdoutLog", "noise");
        Box::new((0..300).map(|_| daemon.send(&call)).collect::<Vec<_>>())
    }),
    ("256 followers that stop", |daemon| {
        Box::new((0..256).map(|_| daemon.send(b"GET /logtail/noise HTTP/1.1\r\n\r\n")).collect::<Vec<_>>())
    }),
    ("16 followers that read", |daemon| {
        let mut all: Vec<_> = (0..16).map(|_| daemon.send(b"GET /logtail/noise HTTP/1.1\r\n\r\n")).collect();
        all.iter().for_each(|stream| stream.set_nonblocking(true).expect("a socket"));
        let mut buffer = vec![0; 1 << 16];
        Repeated::start(daemon, move |_| {
            all.iter_mut().for_each(|stream| drop(stream.read(&mut buffer)));
            std::thread::sleep(Duration::from_millis(2));
        })
    }),
    ("2 500 times all logs emptied in one call", |daemon| {
        Box::new(daemon.send(&multicall("supervisor.clearAllProcessLogs", "", 2500)))
    }),
    ("1 000 times all logs emptied, one behind the other", |daemon| {
        let call = call("supervisor.clearAllProcessLogs", "");
        Repeated::start(daemon, move |port| ask(port, &call.repeat(1000)))
    }),
    ("pages one behind the other, all read", |daemon| {
        Repeated::start(daemon, |port| ask(port, "GET / HTTP/1.1\r\n\r\n".repeat(1000).as_bytes()))
    }),
    ("the file read anew, one call behind the other", |daemon| {
        let call = call("supervisor.reloadConfig", "");
        Repeated::start(daemon, move |port| ask(port, &call.repeat(200)))
    }),
    ("99 999 processes with names of 4 000 digits", |daemon| {
        let call =
            add_program("flood", "sleep 1000", &[("numprocs", "99999"), ("process_name", "%(process_num)04000d")]);
        Repeated::start(daemon, move |port| ask(port, &call))
    }),
    ("1 000 processes added and removed", |daemon| {
        let add = add_program("flood", "sleep 1000", &[("numprocs", "1000"), ("process_name", "%(process_num)d")]);
        let gone = post(&format!(
            "<?xml version='1.0'?><methodCall><methodName>stheno.removeProgram</methodName><params>{}{}</params></methodCall>",
            string_param("late"),
            string_param("flood")
        ));
        Repeated::start(daemon, move |port| {
            ask(port, &add);
            ask(port, &gone);
        })
    }),
    ("a megabyte of nested values", |daemon| {
        let values = "<value><struct><member><name>a</name><value><array><data><value><int>1</int></value></data></array></value></member></struct></value>";
        let body = format!(
            "<?xml version='1.0'?><methodCall><methodName>system.multicall</methodName><params><param><value><array><data>{}</data></array></value></param></params></methodCall>",
            values.repeat(1_000_000 / values.len())
        );
        let call = post(&body);
        Repeated::start(daemon, move |port| ask(port, &call))
    }),
    ("a megabyte of values in an unusual layout", |daemon| {
        let values = "<value><struct><member><name>a</name><value><int>1</int></value></member></struct></value>";
        let body = format!(
            "<?xml version='1.0' ?><methodCall><methodName>system.multicall</methodName><params><param><value><array><data>{}</data></array></value></param></params></methodCall>",
            values.repeat(9_900)
        );
        let call = post(&body);
        Repeated::start(daemon, move |port| ask(port, &call))
    }),
    ("200 processes with AUTO logs added and removed", |daemon| {
        let more = [("numprocs", "200"), ("process_name", "%(process_num)d"), ("stdout_logfile", "AUTO")];
        let add = add_program("flood", "sleep 1000", &more);
        let gone = call_with("stheno.removeProgram", &[string_param("late"), string_param("flood")]);
        Repeated::start(daemon, move |port| {
            ask(port, &add);
            ask(port, &gone);
        })
    }),
    ("512 half heads", |daemon| {
        Box::new((0..512).map(|_| daemon.send(b"GET / HTTP/1.1\r\nHost: x")).collect::<Vec<_>>())
    }),
    ("400 heads, a byte at a time", |daemon| {
        let mut all: Vec<_> = (0..400).map(|_| daemon.send(b"GET / HTTP/1.1\r\nX: ")).collect();
        Repeated::start(daemon, move |_| {
            all.iter_mut().for_each(|stream| drop(stream.write(b"x")));
            std::thread::sleep(Duration::from_millis(10));
        })
    }),
    ("connect, send all, and close", |daemon| {
        Repeated::start(daemon, |port| {
            for _ in 0..1500 {
                let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let _ = stream.write_all(b"GET /ok.html HTTP/1.0\r\n\r\n");
                let _ = stream.shutdown(std::net::Shutdown::Write);
            }
        })
    }),
    ("connect and close", |daemon| Repeated::start(daemon, |port| drop(TcpStream::connect(("127.0.0.1", port))))),
    ("600 without a password", |daemon| {
        Box::new((0..600).map(|_| daemon.send_to(daemon.guarded, b"GET / HTTP/1.1\r\n\r\n")).collect::<Vec<_>>())
    }),
    ("wrong passwords", |daemon| {
        let guarded = daemon.guarded;
        Repeated::start(daemon, move |_| ask(guarded, b"GET / HTTP/1.0\r\nAuthorization: Basic dTp3cm9uZw==\r\n\r\n"))
    }),
    ("500 bodies of a megabyte", |daemon| {
        let head = b"POST /RPC2 HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n".to_vec();
        let body = [head, vec![b' '; (1 << 20) - 1]].concat();
        Box::new((0..500).map(|_| daemon.send(&body)).collect::<Vec<_>>())
    }),
    ("events for a listener that rejects them", |daemon| {
        let call = post(&format!(
            "<?xml version='1.0'?><methodCall><methodName>supervisor.sendRemoteCommEvent</methodName><params>{}{}</params></methodCall>",
            string_param("kind"),
            string_param("data")
        ));
        Repeated::start(daemon, move |port| ask(port, &call.repeat(200)))
    }),
    ("a program on a file system that never answers", |daemon| {
        let call = call_with(
            "supervisor.startProcess",
            &[string_param("held"), "<param><value><boolean>0</boolean></value></param>".into()],
        );
        let stop = call_with(
            "supervisor.stopProcess",
            &[string_param("held"), "<param><value><boolean>0</boolean></value></param>".into()],
        );
        Repeated::start(daemon, move |port| {
            ask(port, &call);
            ask(port, &stop);
        })
    }),
    ("20 000 processes added and removed", |daemon| {
        let add = add_program("flood", "sleep 1000", &[("numprocs", "20000"), ("process_name", "%(process_num)d")]);
        let gone = call_with("stheno.removeProgram", &[string_param("late"), string_param("flood")]);
        Repeated::start(daemon, move |port| {
            ask(port, &add);
            ask(port, &gone);
        })
    }),
];

/// Something that is done again and again.
struct Repeated {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Repeated {
    /// `act` is given the port without a password.
    fn start(daemon: &Daemon, mut act: impl FnMut(u16) + Send + 'static) -> Box<dyn Any> {
        let (stop, port) = (Arc::new(AtomicBool::new(false)), daemon.open);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                act(port);
            }
        });
        Box::new(Repeated { stop, thread: Some(thread) })
    }
}

impl Drop for Repeated {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("an attacker does not fail");
        }
    }
}

/// Sends requests and reads what comes until nothing does for a moment.
fn ask(port: u16, bytes: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let _ = stream.set_read_timeout(Some(SILENCE));
    let Ok(mut writing) = stream.try_clone() else { return };
    let _ = writing.set_write_timeout(Some(SILENCE));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = writing.write_all(bytes);
            let _ = writing.shutdown(std::net::Shutdown::Write);
        });
        let mut buffer = vec![0; 1 << 16];
        while matches!(stream.read(&mut buffer), Ok(1..)) {}
    });
}

/// A POST of a call.
pub fn post(body: &str) -> Vec<u8> {
    format!("POST /RPC2 HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// What reading the log of a process takes; nothing for calls about all.
fn values(name: &str) -> Vec<String> {
    match name {
        "" => Vec::new(),
        name => vec![
            format!("<value><string>{name}</string></value>"),
            "<value><int>0</int></value>".into(),
            "<value><int>0</int></value>".into(),
        ],
    }
}

fn string_param(text: &str) -> String {
    format!("<param><value><string>{text}</string></value></param>")
}

fn call_with(method: &str, params: &[String]) -> Vec<u8> {
    let params = params.concat();
    post(&format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
    ))
}

fn call(method: &str, name: &str) -> Vec<u8> {
    let params: Vec<String> = values(name).iter().map(|value| format!("<param>{value}</param>")).collect();
    call_with(method, &params)
}

/// `stheno.addProgram` to the group `late`.
fn add_program(name: &str, command: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let member = |(name, value): &(&str, &str)| {
        format!("<member><name>{name}</name><value><string>{value}</string></value></member>")
    };
    let options: Vec<String> =
        [("command", command), ("autostart", "false"), ("stdout_logfile", "NONE"), ("stderr_logfile", "NONE")]
            .iter()
            .chain(options)
            .map(member)
            .collect();
    let options = format!("<param><value><struct>{}</struct></value></param>", options.concat());
    call_with("stheno.addProgram", &[string_param("late"), string_param(name), options])
}

fn multicall(method: &str, name: &str, count: usize) -> Vec<u8> {
    let one = format!(
        "<value><struct><member><name>methodName</name><value><string>{method}</string></value></member>\
         <member><name>params</name><value><array><data>{}</data></array></value></member></struct></value>",
        values(name).concat()
    );
    let calls = format!("<param><value><array><data>{}</data></array></value></param>", one.repeat(count));
    call_with("system.multicall", &[calls])
}
