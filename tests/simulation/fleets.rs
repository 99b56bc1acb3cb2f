//! Several daemons on one virtual clock, and a network between them that delays, loses, doubles and reorders datagrams, cuts
//! streams, and falls apart; hosts that crash and come again. Whatever has happened, some time after the network is whole all
//! are connected to all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use stheno::clock::{Mono, Now, Wall};
use stheno::fleet::peers::Link;
use stheno::id::{ConnId, PeerId};
use stheno::model::event::Serials;
use stheno::serve::{Input, Service};

use crate::agenda::{MS, SECOND};
use crate::host::SimHost;
use crate::random::Random;

/// Time after which a network that is whole has brought all together: the longest pause between two attempts to connect,
/// the longest silence that is believed in, and a handshake that came to nothing.
const HEALING: u64 = 26 * SECOND;

/// Turns of all daemons in one virtual second, at most. More would be a loop that never sleeps.
const TURNS_PER_SECOND_MAX: u64 = 5_000;

/// A daemon and its host.
struct Node {
    service: Service,
    host: SimHost,
    /// The other ends of its connections.
    ends: BTreeMap<ConnId, (usize, ConnId)>,
    next_conn: u64,
}

/// Something on its way.
enum Way {
    Datagram { from: usize, to: usize, bytes: Vec<u8> },
    Connect { from: usize, to: usize, conn: ConnId },
    Bytes { to: usize, conn: ConnId, bytes: Vec<u8> },
    End { to: usize, conn: ConnId },
}

struct Fleet {
    /// `None`: it is down.
    nodes: Vec<Option<Node>>,
    ways: BTreeMap<(u64, u64), Way>,
    sent: u64,
    /// When the last of each stream arrives, which later ones do not overtake.
    last: BTreeMap<(usize, ConnId), u64>,
    /// Pairs, one way each, between which nothing gets through.
    cuts: BTreeSet<(usize, usize)>,
    /// Datagrams do not get through anywhere.
    has_no_datagrams: bool,
    /// One datagram in so many is lost, and doubled.
    loss: u64,
    random: Random,
    now: u64,
    runs: u64,
    turns: u64,
}

fn address(at: usize) -> SocketAddr {
    format!("127.0.0.{0}:{1}", at + 1, 9001 + at).parse().expect("an address")
}

fn config(at: usize, count: usize) -> String {
    let list: Vec<String> = (0..count).map(|at| address(at).to_string()).collect();
    format!(
        "[supervisord]\nlogfile=/log/main\n[inet_http_server]\nport={}\nusername=u\npassword=p\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [rpcinterface:supvisors]\nsupervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n\
         supvisors_list={}\n",
        address(at),
        list.join(",")
    )
}

impl Fleet {
    fn new(count: usize, mut random: Random) -> Fleet {
        let loss = if random.one_in(2) { 20 } else { 0 };
        let nodes = (0..count).map(|_| None).collect();
        let mut fleet = Fleet {
            nodes,
            ways: BTreeMap::new(),
            sent: 0,
            last: BTreeMap::new(),
            cuts: BTreeSet::new(),
            has_no_datagrams: false,
            loss,
            random,
            now: SECOND,
            runs: 0,
            turns: 0,
        };
        (0..count).for_each(|at| fleet.start(at));
        fleet
    }

    fn time(&self) -> Now {
        Now { mono: Mono(self.now), wall: Wall(1_000_000 * SECOND + self.now) }
    }

    fn start(&mut self, at: usize) {
        self.runs += 1;
        let mut host = SimHost::new(false, Random::new(self.random.bits()));
        host.trouble = Default::default();
        host.network.is_there = true;
        let config = host.start_with(&config(at, self.nodes.len()));
        let mut service = Service::new(config, host.loader(), Serials::default());
        let now = self.time();
        service.daemon.begin(now, &mut host).expect("it begins");
        service.begin_fleet(now, &mut host);
        self.nodes[at] = Some(Node { service, host, ends: BTreeMap::new(), next_conn: 1 << 32 });
        self.turn(at, None);
    }

    /// A host goes down. With `tells`, its system ends the streams of the daemon that was killed.
    fn crash(&mut self, at: usize, tells: bool) {
        let Some(node) = self.nodes[at].take() else { return };
        for (to, conn) in node.ends.into_values() {
            if tells {
                self.put(at, to, conn, Way::End { to, conn });
            }
        }
    }

    fn delay(&mut self) -> u64 {
        self.random.between(MS / 10, 20 * MS)
    }

    fn gets_through(&self, from: usize, to: usize) -> bool {
        !self.cuts.contains(&(from, to))
    }

    /// Sends something over a stream.
    fn put(&mut self, from: usize, to: usize, conn: ConnId, way: Way) {
        if !self.gets_through(from, to) {
            return;
        }
        let at = (self.now + self.delay()).max(self.last.get(&(to, conn)).copied().unwrap_or(0));
        self.last.insert((to, conn), at);
        self.sent += 1;
        self.ways.insert((at, self.sent), way);
    }

    fn put_datagram(&mut self, from: usize, to: usize, bytes: &[u8]) {
        if !self.gets_through(from, to) || self.has_no_datagrams || self.random.one_in(self.loss) {
            return;
        }
        let copies = if self.random.one_in(self.loss) { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.now + self.delay();
            self.sent += 1;
            self.ways.insert((at, self.sent), Way::Datagram { from, to, bytes: bytes.to_vec() });
        }
    }

    /// One turn of a daemon, with what has come for it.
    fn turn(&mut self, at: usize, input: Option<Input<'_>>) {
        let now = self.time();
        self.turns += 1;
        let Some(Node { service, host, .. }) = &mut self.nodes[at] else { return };
        (host.now, host.wall_secs) = (self.now, now.wall.secs());
        if let Some(input) = input {
            service.handle(input, now, host);
        }
        service.decide(now, host);
        self.flush(at, now);
    }

    /// Takes out of a daemon what it has to say.
    fn flush(&mut self, at: usize, now: Now) {
        for _ in 0..4 {
            let Some(Node { host, .. }) = &mut self.nodes[at] else { return };
            let connects = std::mem::take(&mut host.network.connects);
            let has_connected = !connects.is_empty();
            for (conn, to) in connects {
                let to = (0..self.nodes.len()).find(|at| address(*at) == to).expect("somebody of the fleet");
                // Its other end has its number already, so that what is written meanwhile finds it.
                self.runs += 1;
                let other = ConnId(1 << 40 | self.runs);
                if let Some(node) = &mut self.nodes[at] {
                    node.ends.insert(conn, (to, other));
                }
                self.put(at, to, other, Way::Connect { from: at, to, conn });
            }
            let Some(Node { service, host, ends, .. }) = &mut self.nodes[at] else { return };
            let datagrams = std::mem::take(&mut host.network.datagrams);
            let mut over: Vec<ConnId> = std::mem::take(&mut host.closed);
            let mut written = Vec::new();
            for conn in service.take_dirty() {
                let Some(output) = service.output(conn) else { continue };
                assert!(output.len() <= stheno::fleet::peers::QUEUE_BYTES_MAX, "no more waits than may");
                let bytes = std::mem::take(output);
                if let Some((to, other)) = ends.get(&conn).copied().filter(|_| !bytes.is_empty()) {
                    written.push((to, other, bytes));
                }
                if service.closes(conn) {
                    service.drop_connection(conn, now, host);
                    over.push(conn);
                } else {
                    service.handle(Input::Drained { conn }, now, host);
                }
            }
            let over: Vec<(usize, ConnId)> = over.iter().filter_map(|conn| ends.remove(conn)).collect();
            let is_done = datagrams.is_empty() && !has_connected && written.is_empty() && over.is_empty();
            for (to, bytes) in datagrams {
                let to = (0..self.nodes.len()).find(|at| address(*at) == to).expect("somebody of the fleet");
                self.put_datagram(at, to, &bytes);
            }
            for (to, conn, bytes) in written {
                self.put(at, to, conn, Way::Bytes { to, conn, bytes });
            }
            for (to, conn) in over {
                self.put(at, to, conn, Way::End { to, conn });
            }
            if is_done {
                return;
            }
        }
    }

    /// Something arrives.
    fn arrive(&mut self, way: Way) {
        match way {
            Way::Datagram { from, to, bytes } => {
                self.turn(to, Some(Input::Datagram { from: address(from), bytes: &bytes }));
            }
            Way::Connect { from, to, conn } => {
                let Some((_, other)) = self.nodes[from].as_ref().and_then(|node| node.ends.get(&conn).copied()) else {
                    return;
                };
                match &mut self.nodes[to] {
                    Some(node) => {
                        node.next_conn += 1;
                        node.ends.insert(other, (from, conn));
                        let peer = format!("127.0.0.{}:{}", from + 1, 40_000 + node.next_conn % 1000);
                        self.turn(to, Some(Input::Accepted { conn: other, server: 0, client: peer }));
                    }
                    // Nobody listens.
                    None => self.put(to, from, conn, Way::End { to: from, conn }),
                }
            }
            Way::Bytes { to, conn, bytes } => {
                if self.nodes[to].as_ref().is_some_and(|node| node.ends.contains_key(&conn)) {
                    // As they come in, in pieces.
                    for piece in bytes.chunks(self.random.between(1, 5_000) as usize) {
                        self.turn(to, Some(Input::Received { conn, bytes: piece }));
                    }
                }
            }
            Way::End { to, conn } => {
                let Some(node) = &mut self.nodes[to] else { return };
                if node.ends.remove(&conn).is_some() {
                    self.turn(to, Some(Input::Hangup { conn }));
                }
            }
        }
    }

    fn run(&mut self, time: u64) {
        let end = self.now + time;
        let before = self.turns;
        loop {
            let now = self.time();
            let due = (0..self.nodes.len()).filter_map(|at| {
                let node = self.nodes[at].as_mut()?;
                node.service.next_deadline(now).map(|due| (due.0, at))
            });
            let due = due.min();
            let way = self.ways.first_key_value().map(|(key, _)| *key);
            match (way, due) {
                (Some(key), due) if key.0 <= end && due.is_none_or(|(at, _)| key.0 <= at) => {
                    self.now = self.now.max(key.0);
                    let way = self.ways.remove(&key).expect("it was there");
                    self.arrive(way);
                }
                (_, Some((due, at))) if due <= end => {
                    self.now = self.now.max(due);
                    self.turn(at, None);
                }
                _ => break,
            }
            assert!(self.turns - before < TURNS_PER_SECOND_MAX * (time / SECOND + 1), "a loop that never sleeps");
        }
        self.now = end;
    }

    fn link(&self, at: usize, other: usize) -> Option<(Link, bool)> {
        let peers = self.nodes[at].as_ref()?.service.peers()?;
        let peer = PeerId(other as u32);
        Some((peers.state(peer), peers.is_there(peer)))
    }

    fn assert_whole(&self, when: &str) {
        for at in 0..self.nodes.len() {
            for other in (0..self.nodes.len()).filter(|other| *other != at) {
                assert_eq!(self.link(at, other), Some((Link::Up, true)), "{other} for {at} {when}");
            }
        }
    }

    /// Whether some are there for others.
    fn is_there(&self, at: usize, other: usize) -> bool {
        self.link(at, other).is_some_and(|(_, is_there)| is_there)
    }
}

/// Anything may happen for a minute; then all is whole.
fn schedule(seed: u64) {
    let mut random = Random::new(seed);
    let count = random.between(2, 5) as usize;
    let mut fleet = Fleet::new(count, Random::new(random.bits()));
    for _ in 0..random.between(3, 12) {
        let (one, other) = (random.below(count as u64) as usize, random.below(count as u64) as usize);
        match random.below(7) {
            0 => fleet.crash(one, true),
            1 => fleet.crash(one, false),
            2 if fleet.nodes[one].is_none() => fleet.start(one),
            3 if one != other => drop(fleet.cuts.insert((one, other))),
            4 if one != other => fleet.cuts.extend([(one, other), (other, one)]),
            5 => fleet.cuts.clear(),
            6 => fleet.has_no_datagrams = !fleet.has_no_datagrams,
            _ => {}
        }
        fleet.run(random.between(1, 8_000) * MS);
    }
    fleet.cuts.clear();
    // That it works without datagrams, too, half of the schedules show.
    (0..count).for_each(|at| {
        if fleet.nodes[at].is_none() {
            fleet.start(at);
        }
    });
    fleet.run(HEALING);
    fleet.assert_whole(&format!("at the end of seed {seed}"));
    // And so it stays.
    fleet.run(30 * SECOND);
    fleet.assert_whole(&format!("30 seconds after the end of seed {seed}"));
}

/// Schedules of this kind: each takes some hundred milliseconds.
const SCHEDULES: u64 = 20;

#[test]
fn whatever_has_happened_all_meet_again() {
    let count = crate::number("STHENO_SIM_FLEETS").unwrap_or(SCHEDULES);
    (0..count).for_each(schedule);
}

#[test]
fn who_is_killed_is_gone_within_a_second_and_who_is_silent_in_seven() {
    for (tells, most) in [(true, SECOND), (false, 7 * SECOND)] {
        for seed in 0..8 {
            let mut fleet = Fleet::new(3, Random::new(seed));
            fleet.run(5 * SECOND);
            fleet.assert_whole("at the beginning");
            fleet.crash(2, tells);
            fleet.run(most);
            assert!([0, 1].iter().all(|at| !fleet.is_there(*at, 2)), "seed {seed}, {tells}");
            assert!(fleet.is_there(0, 1) && fleet.is_there(1, 0), "seed {seed}, {tells}");
            fleet.start(2);
            fleet.run(HEALING);
            fleet.assert_whole("after it has come again");
        }
    }
}

/// Where datagrams are blocked nobody is lost for it.
#[test]
fn blocked_datagrams_lose_nobody() {
    for seed in 0..4 {
        let mut fleet = Fleet::new(4, Random::new(seed));
        fleet.has_no_datagrams = true;
        fleet.run(5 * SECOND);
        for second in 0..120 {
            fleet.run(SECOND);
            fleet.assert_whole(&format!("in second {second} of seed {seed}"));
        }
        let is_by_stream = |at: usize| {
            fleet.nodes[at].as_ref().is_some_and(|node| {
                node.service.peers().is_some_and(|peers| peers.others().all(|other| peers.is_by_stream(other)))
            })
        };
        assert!((0..4).all(is_by_stream), "seed {seed}");
    }
}
