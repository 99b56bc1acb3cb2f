//! Several daemons that know each other, on addresses of this machine. Supervisor knows nothing of it.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use stheno::wire::value::Value;

use crate::client::PATIENCE;
use crate::daemon::{Daemon, Folder, free_port, is_original, wait_for};

/// What each of some daemons has in its list.
pub struct Fleet {
    ports: Vec<u16>,
    /// For all of them.
    more: String,
}

const PASSWORD: &str = "username=u\npassword=a password\n";

impl Fleet {
    pub fn new(count: usize, more: &str) -> Fleet {
        Fleet { ports: (0..count).map(|_| free_port()).collect(), more: more.to_string() }
    }

    pub fn name(&self, at: usize) -> String {
        format!("127.0.0.{}:{}", at + 1, self.ports[at])
    }

    /// The configuration of one of them, whose server says this too.
    fn config(&self, at: usize, of_server: &str) -> String {
        let list: Vec<String> = (0..self.ports.len()).map(|at| self.name(at)).collect();
        format!(
            "[inet_http_server]\nport={}\n{of_server}\n[rpcinterface:supvisors]\n\
             supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\nsupvisors_list={}\n{}\n\
             [program:a]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n",
            self.name(at),
            list.join(","),
            self.more
        )
    }

    pub fn start(&self, at: usize) -> Daemon {
        Daemon::start(&self.config(at, PASSWORD))
    }

    pub fn start_all(&self) -> Vec<Daemon> {
        (0..self.ports.len()).map(|at| self.start(at)).collect()
    }

    /// Waits until one of them knows that it is connected to another, for the so-many-th time.
    fn wait_connected(&self, daemon: &Daemon, other: usize, times: usize) {
        self.wait(daemon, &format!("fleet: {} is connected", self.name(other)), times);
    }

    fn wait_gone(&self, daemon: &Daemon, other: usize, times: usize) {
        self.wait(daemon, &format!("fleet: {} is gone", self.name(other)), times);
    }

    fn wait(&self, daemon: &Daemon, line: &str, times: usize) {
        wait_for(&format!("{line} in {}", daemon.log()), || (daemon.log_lines(line).len() >= times).then_some(()));
    }
}

/// An unmodified configuration of Supvisors: four meet; one that is killed is gone for the others by the end of its stream
/// and one probe, and so before one that fell silent first; it comes again in another run.
#[test]
fn four_meet_and_one_that_is_killed_is_gone_before_one_that_is_silent() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(4, "");
    let mut daemons = fleet.start_all();
    for (at, daemon) in daemons.iter().enumerate() {
        (0..4).filter(|other| *other != at).for_each(|other| fleet.wait_connected(daemon, other, 1));
    }
    let (mut killed, silent) = (daemons.pop().expect("four"), daemons.pop().expect("four"));
    let since = Instant::now();
    silent.signal(Signal::SIGSTOP);
    killed.signal(Signal::SIGKILL);
    let took = since.elapsed();
    killed.wait_end();
    for daemon in &daemons {
        [2, 3].into_iter().for_each(|other| fleet.wait_gone(daemon, other, 1));
        // Half a second is waited for an answer of the one, more than three seconds for a word of the other.
        let log = daemon.log();
        let at = |other: usize| log.find(&format!("fleet: {} is gone", fleet.name(other)));
        assert!(at(3) < at(2) || took > Duration::from_secs(1), "{log}");
    }
    silent.signal(Signal::SIGCONT);
    let _again = fleet.start(3);
    for daemon in &daemons {
        [2, 3].into_iter().for_each(|other| fleet.wait_connected(daemon, other, 2));
    }
    // The two were together all the time.
    assert_eq!(daemons[0].log_lines(&format!("fleet: {} is gone", fleet.name(1))), Vec::<String>::new());
}

/// One that ends says so, and nobody has to find it out.
#[test]
fn who_ends_says_good_bye() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(2, "");
    let mut daemons = fleet.start_all();
    fleet.wait_connected(&daemons[0], 1, 1);
    fleet.wait_connected(&daemons[1], 0, 1);
    let mut second = daemons.pop().expect("two");
    second.signal(Signal::SIGTERM);
    second.wait_end();
    fleet.wait_gone(&daemons[0], 1, 1);
    assert_eq!(daemons[0].log_lines("the stream to"), Vec::<String>::new());
}

/// A daemon that stands still is lost by silence, and is there again when it goes on.
#[test]
fn silence_is_noticed_and_ends() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(3, "[stheno]\ndetection=fast");
    let daemons = fleet.start_all();
    for (at, daemon) in daemons.iter().enumerate() {
        (0..3).filter(|other| *other != at).for_each(|other| fleet.wait_connected(daemon, other, 1));
    }
    daemons[2].signal(Signal::SIGSTOP);
    daemons[..2].iter().for_each(|daemon| fleet.wait_gone(daemon, 2, 1));
    daemons[2].signal(Signal::SIGCONT);
    daemons[..2].iter().for_each(|daemon| fleet.wait_connected(daemon, 2, 2));
}

/// Another secret is no way in: one line for each address and minute, however often it is tried.
#[test]
fn another_secret_is_refused() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(2, "");
    let right = fleet.start(0);
    let wrong = Daemon::start(&fleet.config(1, "username=u\npassword=another password\n"));
    fleet.wait(&right, "it has another secret", 1);
    // The other has been refused at least twice more by then.
    let tries = Instant::now();
    wait_for("some time of tries", || (tries.elapsed() > Duration::from_secs(2)).then_some(()));
    let lines = right.log_lines("it has another secret");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for daemon in [&right, &wrong] {
        assert_eq!(daemon.log_lines("is connected"), Vec::<String>::new());
    }
    // With a secret of their own passwords may differ.
    let folder = Folder::new();
    folder.write("secret", "0123456789abcdef\n");
    let file = folder.path("secret").display().to_string();
    let fleet = Fleet::new(2, &format!("[stheno]\ncluster_secret_file={file}"));
    let one = Daemon::start(&fleet.config(0, "username=u\npassword=one\n"));
    let other = Daemon::start(&fleet.config(1, "username=u\npassword=other\n"));
    fleet.wait_connected(&one, 1, 1);
    fleet.wait_connected(&other, 0, 1);
}

/// V-51: options that have to agree and do not are said on both sides, and nobody tries again.
#[test]
fn options_that_differ_isolate() {
    if is_original() {
        return;
    }
    let mut fleet = Fleet::new(2, "");
    let first = fleet.start(0);
    fleet.more = "auto_fence=true".to_string();
    let second = fleet.start(1);
    fleet.wait(&first, "is isolated, for its options differ: auto_fence=true (here false)", 1);
    fleet.wait(&second, "is isolated, for its options differ: auto_fence=false (here true)", 1);
}

/// Without a password and a secret it works, and says once that it is open.
#[test]
fn an_open_fleet_says_so_once() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(2, "");
    let daemons = [0, 1].map(|at| Daemon::start(&fleet.config(at, "")));
    fleet.wait_connected(&daemons[0], 1, 1);
    for (at, daemon) in daemons.iter().enumerate() {
        let lines = daemon.log_lines("fleet: open to anyone");
        let port = fleet.ports[at];
        let text = format!(
            "fleet: open to anyone who reaches port {port}, for there is neither a cluster_secret nor a password"
        );
        assert_eq!(lines, [text]);
    }
}

/// One alone opens nothing and says nothing of it.
#[test]
fn a_list_of_one_has_no_network() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(1, "");
    let daemon = Daemon::start(&fleet.config(0, ""));
    assert_eq!(daemon.log_lines("fleet:"), Vec::<String>::new());
    UdpSocket::bind(fleet.name(0)).expect("nobody has the port for datagrams");
    assert!(ask_to_take_part(&fleet.name(0)).1.starts_with("HTTP/1.1 404"));
}

/// A value of a port that nobody has, and a group of hosts for it.
fn group() -> String {
    format!("multicast_group=239.7.7.7:{}\nmulticast_interface=127.0.0.1\nsynchro_options=TIMEOUT", free_port())
}

/// Without a list they find each other at a group of hosts (V-54); who has another secret does not, and is told of.
#[test]
fn who_has_no_list_is_found_at_the_group() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(3, &group());
    let config = |at: usize, of_server: &str| {
        let text = fleet.config(at, of_server);
        let list = text.lines().find(|line| line.starts_with("supvisors_list")).expect("a list");
        let advertised = format!("[stheno]\nfleet_advertise=127.0.0.{}", at + 1);
        format!("{}\n{advertised}\n", text.replace(list, ""))
    };
    let daemons = [0, 1].map(|at| Daemon::start(&config(at, PASSWORD)));
    fleet.wait_connected(&daemons[0], 1, 1);
    fleet.wait_connected(&daemons[1], 0, 1);
    let stranger = Daemon::start(&config(2, "username=u\npassword=another\n"));
    fleet.wait(&daemons[0], "announces itself with another secret", 1);
    assert_eq!(stranger.log_lines("is connected"), Vec::<String>::new());
}

/// One that knows a seed is told of the others, and they of it; a name stands for all its addresses.
#[test]
fn one_seed_leads_to_all() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(4, "");
    let config = |at: usize| {
        let text = fleet.config(at, PASSWORD);
        let list = text.lines().find(|line| line.starts_with("supvisors_list")).expect("a list");
        // Each knows the one before it alone; the first knows a name that nobody else is at.
        let seed = if at == 0 { format!("dns:localhost:{}", fleet.ports[0]) } else { fleet.name(at - 1) };
        let stheno = format!("[stheno]\nfleet_advertise=127.0.0.{}\nfleet_seeds={seed}", at + 1);
        format!("{}\n{stheno}\n", text.replace(list, ""))
    };
    let daemons: Vec<Daemon> = (0..4).map(|at| Daemon::start(&config(at))).collect();
    for (at, daemon) in daemons.iter().enumerate() {
        (0..4).filter(|other| *other != at).for_each(|other| fleet.wait_connected(daemon, other, 1));
    }
    // Nobody took itself for another one.
    for (at, daemon) in daemons.iter().enumerate() {
        assert_eq!(daemon.log_lines(&format!("fleet: {} is connected", fleet.name(at))), Vec::<String>::new());
    }
}

/// The others come to a port of their own, where there is nothing else.
#[test]
fn a_fleet_may_have_a_port_of_its_own() {
    if is_original() {
        return;
    }
    let port = free_port();
    let fleet = Fleet::new(2, &format!("[stheno]\nfleet_port={port}"));
    let daemons = fleet.start_all();
    fleet.wait_connected(&daemons[0], 1, 1);
    fleet.wait_connected(&daemons[1], 0, 1);
    let own = format!("127.0.0.1:{port}");
    assert!(ask_to_take_part(&own).1.starts_with("HTTP/1.1 101"));
    let mut stream = TcpStream::connect(&own).expect("it listens");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.0 404"), "{answer}");
    UdpSocket::bind(fleet.name(0)).expect("nobody has the server's port for datagrams");
}

/// One that another one has not in its list is not spoken to, and both say so.
#[test]
fn who_is_not_in_the_list_is_told_so() {
    if is_original() {
        return;
    }
    let mut fleet = Fleet::new(2, "");
    let other = fleet.start(1);
    fleet.ports.push(free_port());
    fleet.ports.swap(0, 2);
    let stranger = Daemon::start(&fleet.config(0, PASSWORD));
    let name = fleet.name(0);
    fleet.wait(&other, &format!("is not spoken to: {name} is not in supvisors_list"), 1);
    fleet.wait(&stranger, &format!("does not speak to this instance: {name} is not in supvisors_list"), 1);
}

/// Instances of IPv6.
#[test]
fn addresses_of_ipv6_will_do() {
    if is_original() || std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let ports = [free_port(), free_port()];
    let list = format!("<a>[::1]:{},<b>[::1]:{}", ports[0], ports[1]);
    let daemons = ports.map(|port| {
        Daemon::start(&format!(
            "[inet_http_server]\nport=[::1]:{port}\n{PASSWORD}\n[rpcinterface:supvisors]\n\
             supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\nsupvisors_list={list}\n"
        ))
    });
    for (at, daemon) in daemons.iter().enumerate() {
        let line = format!("fleet: [::1]:{} is connected", ports[1 - at]);
        wait_for(&line, || (!daemon.log_lines(&line).is_empty()).then_some(()));
        assert_eq!(daemon.log_lines("no datagrams"), Vec::<String>::new());
    }
}

/// Connects as another instance would; answers the connection and the first bytes that come.
fn ask_to_take_part(address: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = "GET /fleet HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: stheno-fleet/1\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let mut bytes = [0; 4096];
    let count = stream.read(&mut bytes).expect("an answer");
    (stream, String::from_utf8_lossy(&bytes[..count]).into_owned())
}

/// Whether the other side has ended the connection.
fn is_ended(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// Whatever strangers say on both ports is closed or passed over, and holds nothing up.
#[test]
fn strangers_are_closed_and_hold_nothing_up() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(2, "");
    let (daemon, _other) = (fleet.start(0), fleet.start(1));
    fleet.wait_connected(&daemon, 1, 1);
    let address = fleet.name(0);
    // Only who asks in the right words comes past the password.
    let mut plain = TcpStream::connect(&address).expect("the server listens");
    plain.write_all(b"GET /fleet HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut bytes = [0; 12];
    plain.read_exact(&mut bytes).expect("an answer");
    assert_eq!(&bytes, b"HTTP/1.1 401");
    let oversized = [&[0xff; 2][..], &[0; 64]].concat();
    let torn = [0, 40, b'S', b'F', b'S', 0];
    let nonsense = [&[0, 60][..], b"SFS\0\x01\x01", &[7; 54]].concat();
    for (name, bytes) in [("oversized", &oversized[..]), ("nonsense", &nonsense), ("torn", &torn)] {
        let (mut stream, answer) = ask_to_take_part(&address);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        stream.write_all(bytes).expect("bytes");
        if name == "torn" {
            stream.shutdown(std::net::Shutdown::Write).expect("an end");
        }
        assert!(is_ended(&mut stream), "{name}");
    }
    let from = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let flood: Vec<TcpStream> = (0..80).map(|_| TcpStream::connect(&address).expect("a connection")).collect();
    let request = "GET /fleet HTTP/1.1\r\nHost: x\r\nUpgrade: stheno-fleet/1\r\n\r\n";
    for mut stream in &flood {
        let _ = stream.write_all(request.as_bytes());
    }
    for _ in 0..2_000 {
        let _ = from.send_to(&[b'x'; 1400], &address);
        let _ = from.send_to(b"SFD\x01 a datagram that nobody has vouched for, of good length", &address);
    }
    // Supervision goes on, as does the stream that is there.
    daemon.must("supervisor.startProcess", &[Value::str("a")]);
    assert_eq!(daemon.state("a"), "RUNNING");
    assert_eq!(daemon.log_lines("is gone"), Vec::<String>::new());
    let lines = daemon.log_lines("fleet: 127.0.0.1:");
    assert_eq!(lines.len(), 1, "one for each address and minute: {lines:?}");
}

/// Whoever asks to take part has given no password, and has nothing of what a client with one has.
#[test]
fn asking_to_take_part_is_no_way_around_the_password() {
    if is_original() {
        return;
    }
    let fleet = Fleet::new(2, "");
    let _daemon = fleet.start(0);
    let address = fleet.name(0);
    let strangers: Vec<_> = (0..64).map(|_| ask_to_take_part(&address)).collect();
    assert!(strangers.iter().all(|(_, answer)| answer.starts_with("HTTP/1.1 101 ")));
    let (mut stream, answer) = ask_to_take_part(&address);
    assert!(answer.starts_with("HTTP/1.1 503 ") && is_ended(&mut stream), "{answer}");
    // Nor is a body waited for.
    let mut stream = TcpStream::connect(&address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = "GET /fleet HTTP/1.1\r\nHost: x\r\nUpgrade: stheno-fleet/1\r\nContent-Length: 1000\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let mut bytes = [0; 12];
    stream.read_exact(&mut bytes).expect("an answer");
    assert_eq!(&bytes, b"HTTP/1.1 401");
}
