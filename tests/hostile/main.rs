//! Attacks: one client asks for much and reads nothing, or hundreds take every connection there is. Throughout each of
//! them the daemon's memory is watched, a program is killed again and again, and an administrator asks over the socket
//! file. One test, for the attacks must not disturb each other's figures; it prints them.

mod daemon;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use daemon::Daemon;

/// Memory of the daemon under any attack.
const RSS_BYTES_MAX: u64 = 100 << 20;

/// How long each attack goes on.
const ATTACK_TIME: Duration = Duration::from_secs(4);

/// How long an administrator waits at most. A busy machine has its moments; what is shown is the figure.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// An attack: its name and what it does; what it returns is kept open.
type Attack = (&'static str, fn(&Daemon) -> Vec<TcpStream>);

const ATTACKS: &[Attack] = &[
    ("long pages, never read", |daemon| {
        let request = "GET /tail.html?processname=noise&limit=5000000 HTTP/1.1\r\n\r\n".repeat(1800);
        vec![daemon.send(request.as_bytes())]
    }),
    ("50 000 pages, never read", |daemon| vec![daemon.send("GET / HTTP/1.1\r\n\r\n".repeat(50_000).as_bytes())]),
    ("3 000 reads of a log in one call", |daemon| {
        vec![daemon.send(&multicall("supervisor.readProcessStdoutLog", "noise", 3000))]
    }),
    ("a read of a log on each of 300 connections", |daemon| {
        let call = call("supervisor.readProcessStdoutLog", "noise");
        (0..300).map(|_| daemon.send(&call)).collect()
    }),
    ("256 followers that stop", |daemon| {
        (0..256).map(|_| daemon.send(b"GET /logtail/noise HTTP/1.1\r\n\r\n")).collect()
    }),
    ("2 500 times all logs emptied in one call", |daemon| {
        vec![daemon.send(&multicall("supervisor.clearAllProcessLogs", "", 2500))]
    }),
    ("512 half heads", |daemon| (0..512).map(|_| daemon.send(b"GET / HTTP/1.1\r\nHost: x")).collect()),
    ("600 without a password", |daemon| {
        (0..600).map(|_| daemon.send_to(daemon.guarded, b"GET / HTTP/1.1\r\n\r\n")).collect()
    }),
    ("500 bodies of a megabyte", |daemon| {
        let head = b"POST /RPC2 HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n".to_vec();
        let body = [head, vec![b' '; (1 << 20) - 1]].concat();
        (0..500).map(|_| daemon.send(&body)).collect()
    }),
];

fn params(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let values = [format!("<string>{name}</string>"), "<int>0</int>".into(), "<int>0</int>".into()];
    values.map(|value| format!("<value>{value}</value>")).join("")
}

fn post(body: &str) -> Vec<u8> {
    format!("POST /RPC2 HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn call(method: &str, name: &str) -> Vec<u8> {
    let params = params(name).replace("<value>", "<param><value>").replace("</value>", "</value></param>");
    post(&format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
    ))
}

fn multicall(method: &str, name: &str, count: usize) -> Vec<u8> {
    let one = format!(
        "<value><struct><member><name>methodName</name><value><string>{method}</string></value></member>\
         <member><name>params</name><value><array><data>{}</data></array></value></member></struct></value>",
        params(name)
    );
    post(&format!(
        "<?xml version='1.0'?><methodCall><methodName>system.multicall</methodName><params><param><value><array><data>\
         {}</data></array></value></param></params></methodCall>",
        one.repeat(count)
    ))
}

#[test]
fn nothing_ends_it_and_nobody_is_locked_out() {
    let daemon = Daemon::start();
    for (name, attack) in ATTACKS {
        let kept = attack(&daemon);
        let begun = Instant::now();
        let (mut answers, mut restarts) = (Vec::new(), Vec::new());
        let mut most = 0;
        while begun.elapsed() < ATTACK_TIME {
            let asked = Instant::now();
            // Whatever its state is in this moment.
            assert!(daemon.ask().contains("statename"), "{name}: an administrator gets no answer");
            answers.push(asked.elapsed());
            restarts.push(daemon.kill_and_await("victim"));
            most = most.max(daemon.rss_bytes());
            assert!(most < RSS_BYTES_MAX, "{name}: {} MB", most >> 20);
        }
        answers.sort();
        restarts.sort();
        println!(
            "{name}: {} MB, {} descriptors; answers median {:?}, worst {:?}; restarts median {:?}, worst {:?} of {}",
            most >> 20,
            daemon.descriptors(),
            answers[answers.len() / 2],
            answers[answers.len() - 1],
            restarts[restarts.len() / 2],
            restarts[restarts.len() - 1],
            restarts.len()
        );
        assert!(answers[answers.len() - 1] < ANSWER_TIME_MAX, "{name}: {answers:?}");
        drop(kept);
    }
}

/// Reads what a stream has until it ends or nothing comes for a moment.
fn read_all(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends what the other side takes at once and then some; a client that attacks does not wait.
fn send(mut stream: TcpStream, bytes: &[u8]) -> TcpStream {
    let _ = stream.set_write_timeout(Some(Duration::from_millis(500)));
    let _ = stream.write_all(bytes);
    stream
}
