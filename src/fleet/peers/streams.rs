//! Streams to the others: made, proven, read, kept alive, ended.
//!
//! Whoever has the smaller name connects first; the other tries it a little later, should the first have no way. If both
//! did at one time, the stream of the first stays. Otherwise the newer one stays, for the older may be dead without one
//! side knowing it.

use std::time::Duration;

use super::{DEAD_RUNS_MAX, Kind, Net, Peer, PeerNews, Peers};
use crate::clock::{Mono, Now, earliest};
use crate::daemon::Host;
use crate::daemon::host::Standing;
use crate::id::{ConnId, PeerId};
use crate::model::fleet::session::{Heard, Session};
use crate::wire::fleet::codec::{Reader, push_varint};
use crate::wire::fleet::datagram::{Window, pair_key};
use crate::wire::fleet::hello::{Hello, Nonce};
use crate::wire::http::write_request;

/// The path of the route.
pub const PATH: &str = "/fleet";

/// What its connections are upgraded to.
pub const PROTOCOL: &str = "stheno-fleet/1";

/// The pause before the first attempt to connect again, and the longest.
pub(super) const RECONNECT_LEAST: Duration = Duration::from_millis(100);
const RECONNECT_MOST: Duration = Duration::from_secs(5);

/// How much later the one with the greater name tries it.
const COURTESY: Duration = Duration::from_millis(300);

/// Time for a stream to be there: connected, and proven.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// Two streams that were begun by both sides within this time crossed each other.
const CROSSING_TIME: Duration = Duration::from_secs(2);

/// A stream on which nothing was said for this time has a frame that says nothing.
const KEEPALIVE_TIME: Duration = Duration::from_secs(2);

/// A stream from which nothing came for this time is dead: at least three frames should have come.
const SILENCE_MAX: Duration = Duration::from_secs(7);

/// Streams of whom it is not known who they are. Each lasts for [`HANDSHAKE_TIME`] at most.
const STRANGERS_MAX: usize = 64;

/// Bytes of the head of an answer to our request.
const HEAD_BYTES_MAX: usize = 4096;

/// A connection to another instance, or to somebody who has yet to prove to be one.
#[derive(Debug)]
pub(super) struct Stream {
    /// Where the other side is: `10.0.0.1:4711`.
    place: String,
    /// Who that is: expected where we have connected, proven where it is open.
    peer: Option<PeerId>,
    /// Whether we have connected, not they.
    is_ours: bool,
    /// Of an answer to our request that is not whole yet; `None` once it was.
    head: Option<Vec<u8>>,
    session: Session,
    pub(super) output: Vec<u8>,
    began: Mono,
    /// When something came last.
    heard: Mono,
    /// When it is looked at whether something was said.
    keepalive_at: Mono,
    has_said: bool,
    /// To be closed once its output is written.
    is_closing: bool,
}

impl Stream {
    /// Appends a frame; false if it is not open.
    pub(super) fn send(&mut self, kind: Kind, body: &[u8]) -> bool {
        self.has_said = true;
        !self.is_closing && self.session.send(kind.number(), body, &mut self.output)
    }

    fn deadline(&self) -> Mono {
        match self.session.is_open() {
            true => self.keepalive_at.min(self.heard.after(SILENCE_MAX)),
            false => self.began.after(HANDSHAKE_TIME),
        }
    }
}

impl Peer {
    /// Whether it is for us to connect first.
    fn is_ours_to_call(&self, own: &str) -> bool {
        own < self.identifier.as_str()
    }

    /// Time until the first attempt to reach it.
    pub(super) fn first_pause(&self, own: &str, chance: u64) -> Duration {
        let courtesy = if self.is_ours_to_call(own) { Duration::ZERO } else { COURTESY };
        courtesy + Duration::from_micros(chance % 20_000)
    }

    /// The next attempt is made after a pause, which grows.
    fn retry(&mut self, own: &str, chance: u64, now: Mono) {
        let courtesy = if self.is_ours_to_call(own) { Duration::ZERO } else { COURTESY };
        // Up to a quarter more, so that not all come at one time.
        let jitter = Duration::from_micros(chance % (self.pause.as_micros() as u64 / 4).max(1));
        self.retry_at = Some(now.after(self.pause + courtesy + jitter));
        self.pause = (self.pause * 2).min(RECONNECT_MOST);
    }
}

/// The next number of a generator that nobody's safety depends on.
pub(super) fn next_chance(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn nonce(host: &mut dyn Host) -> Nonce {
    let random = host.random();
    std::array::from_fn(|at| random[at])
}

impl Peers {
    /// Whether a connection is one of ours.
    pub fn owns(&self, conn: ConnId) -> bool {
        self.net.as_ref().is_some_and(|net| net.streams.contains_key(&conn))
    }

    /// Whether somebody who comes over HTTP is let in to prove who it is.
    pub fn takes_strangers(&self) -> bool {
        let strangers = |net: &Net| net.streams.values().filter(|one| !one.is_ours && !one.session.is_open()).count();
        self.net.as_ref().is_some_and(|net| strangers(net) < STRANGERS_MAX)
    }

    /// How many streams there are, with those that are being made.
    pub fn stream_count(&self) -> usize {
        self.net.as_ref().map_or(0, |net| net.streams.len())
    }

    /// Whether there is a network at all.
    pub fn is_open(&self) -> bool {
        self.net.is_some()
    }

    /// Streams that have something to be written, or are to be closed, since the last call.
    pub fn take_dirty(&mut self) -> Vec<ConnId> {
        self.net.as_mut().map(|net| std::mem::take(&mut net.dirty)).unwrap_or_default()
    }

    /// What is to be written to a stream.
    pub fn output(&mut self, conn: ConnId) -> Option<&mut Vec<u8>> {
        self.net.as_mut()?.streams.get_mut(&conn).map(|stream| &mut stream.output)
    }

    /// Whether a stream is to be closed once that is written.
    pub fn closes(&self, conn: ConnId) -> bool {
        self.net.as_ref().and_then(|net| net.streams.get(&conn)).is_some_and(|stream| stream.is_closing)
    }

    /// A connection that has come over HTTP is one of ours from now on. `output` is what its client is still to be told.
    pub fn accept(&mut self, conn: ConnId, place: &str, mut output: Vec<u8>, now: Now, host: &mut dyn Host) {
        let nonce = nonce(host);
        let Some(net) = &mut self.net else { return host.close_connection(conn) };
        let session = Session::accept(nonce, &mut output);
        host.rank_connection(conn, Standing::Served);
        net.add(conn, place.to_string(), None, session, output, now.mono);
    }

    /// Something has come over a stream.
    pub fn received(&mut self, conn: ConnId, bytes: &[u8], now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        let Some(stream) = net.streams.get_mut(&conn).filter(|stream| !stream.is_closing) else { return };
        stream.heard = now.mono;
        let mut bytes = bytes;
        let held;
        if let Some(head) = &mut stream.head {
            head.extend_from_slice(bytes);
            match upgraded(head) {
                Ok(None) => return,
                Ok(Some(length)) => {
                    held = head.split_off(length);
                    bytes = &held;
                    stream.head = None;
                }
                Err(text) => {
                    let place = stream.place.clone();
                    net.complaints.tell(&place, now.mono, format_args!("is no instance of the fleet: {text}"));
                    return self.end(conn, now, host);
                }
            }
        }
        let mut heard = Vec::new();
        let outcome = stream.session.receive(bytes, &net.me, &mut stream.output, &mut heard);
        if !stream.output.is_empty() {
            net.dirty.push(conn);
        }
        for one in heard {
            match one {
                Heard::Asked(hello) => self.asked(conn, &hello, now, host),
                Heard::Met(hello) => self.met(conn, &hello, now, host),
                Heard::Frame(kind, body) => self.framed(conn, kind, body, now, host),
            }
        }
        if let Err(broken) = outcome
            && let Some(net) = &mut self.net
            && let Some(stream) = net.streams.get(&conn)
        {
            net.complaints.tell(&stream.place, now.mono, format_args!("closed, for {broken}"));
            self.end(conn, now, host);
        }
    }

    /// All output of a stream is written.
    pub fn drained(&mut self, conn: ConnId) {
        let Some(stream) = self.net.as_mut().and_then(|net| net.streams.get_mut(&conn)) else { return };
        stream.output.shrink_to(64 * 1024);
        let Some(peer) = stream.peer else { return };
        if let Some(entry) = self.all.get_mut(peer.0 as usize)
            && std::mem::take(&mut entry.lacks_room)
        {
            self.news.push(PeerNews::Room { peer });
        }
    }

    /// A stream is no more: the other side has ended it, or it could not be made.
    pub fn ended(&mut self, conn: ConnId, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        let Some(stream) = net.streams.remove(&conn) else { return };
        net.due = Some(Mono(0));
        let Some(peer) = stream.peer else { return };
        let Some(entry) = self.all.get_mut(peer.0 as usize) else { return };
        if entry.attempt == Some(conn) {
            entry.attempt = None;
        }
        let was_open = entry.stream == Some(conn);
        if was_open {
            entry.stream = None;
            entry.lacks_room = false;
        }
        if entry.stream.is_none() && entry.attempt.is_none() && !entry.is_isolated {
            entry.retry(&net.me.identifier, next_chance(&mut net.chance), now.mono);
        }
        if was_open && entry.is_up {
            activity!(Info, "fleet: the stream to {} has ended", entry.identifier);
            entry.confirm_at = Some(now.mono.after(net.pace.answer));
            self.probe(peer, host);
        }
    }

    /// Ends a stream at once.
    pub(super) fn end(&mut self, conn: ConnId, now: Now, host: &mut dyn Host) {
        host.close_connection(conn);
        self.ended(conn, now, host);
    }

    /// Ends a stream in whose place there is another.
    fn replace(&mut self, conn: ConnId, host: &mut dyn Host) {
        if let Some(net) = &mut self.net {
            net.streams.remove(&conn);
            host.close_connection(conn);
        }
    }

    /// Ends a stream once what waits is written.
    fn finish(&mut self, conn: ConnId) {
        if let Some(net) = &mut self.net
            && let Some(stream) = net.streams.get_mut(&conn)
        {
            stream.is_closing = true;
            net.dirty.push(conn);
        }
    }

    /// Somebody who knows the secret wants to speak to us.
    fn asked(&mut self, conn: ConnId, hello: &Hello, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        // Ourselves, by another of our addresses.
        if hello.boot == net.me.boot || hello.identifier == net.me.identifier {
            return self.end(conn, now, host);
        }
        let place = self.all.iter().position(|entry| entry.identifier == hello.identifier);
        let Some((at, entry)) = place.and_then(|at| Some((at, self.all.get(at)?))) else {
            let stream = net.streams.get(&conn).map_or("", |stream| &stream.place);
            net.complaints.tell(
                stream,
                now.mono,
                format_args!("{} is not in supvisors_list", shown(&hello.identifier)),
            );
            return self.end(conn, now, host);
        };
        let peer = PeerId(at as u32);
        // Ours is as far: both came at one time.
        let crosses =
            entry.attempt.and_then(|attempt| net.streams.get(&attempt)).is_some_and(|ours| ours.session.has_asked());
        let is_worse = crosses && entry.is_ours_to_call(&net.me.identifier);
        if entry.is_isolated
            || entry.dead.contains(&hello.boot)
            || is_worse
            || !self.may_replace(peer, hello, false, now)
        {
            return self.end(conn, now, host);
        }
        if let Some(net) = &mut self.net
            && let Some(stream) = net.streams.get_mut(&conn)
        {
            stream.session.admit(&net.me, &mut stream.output);
            net.dirty.push(conn);
        }
        self.opened(conn, peer, hello, now, host);
    }

    /// The one that we have connected to is who it says.
    fn met(&mut self, conn: ConnId, hello: &Hello, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        let Some(stream) = net.streams.get(&conn) else { return };
        let Some((peer, entry)) = stream.peer.and_then(|peer| Some((peer, self.all.get(peer.0 as usize)?))) else {
            return;
        };
        if hello.identifier != entry.identifier || hello.boot == net.me.boot {
            let (found, wanted) = (shown(&hello.identifier), &entry.identifier);
            net.complaints.tell(&stream.place, now.mono, format_args!("is {found}, and not {wanted}"));
            return self.end(conn, now, host);
        }
        if entry.is_isolated || entry.dead.contains(&hello.boot) || !self.may_replace(peer, hello, true, now) {
            return self.end(conn, now, host);
        }
        self.opened(conn, peer, hello, now, host);
    }

    /// Whether a new stream may take the place of the one that is there.
    fn may_replace(&self, peer: PeerId, hello: &Hello, is_ours: bool, now: Now) -> bool {
        let Some((net, entry)) = self.net.as_ref().zip(self.all.get(peer.0 as usize)) else { return false };
        let Some(old) = entry.stream.and_then(|conn| net.streams.get(&conn)) else { return true };
        let crosses = old.is_ours != is_ours && now.mono.since(old.began) < CROSSING_TIME;
        entry.boot != Some(hello.boot) || !crosses || is_ours == entry.is_ours_to_call(&net.me.identifier)
    }

    /// A stream is open.
    fn opened(&mut self, conn: ConnId, peer: PeerId, hello: &Hello, now: Now, host: &mut dyn Host) {
        let Some((net, entry)) = self.net.as_mut().zip(self.all.get_mut(peer.0 as usize)) else { return };
        let (attempt, before) = (entry.attempt.take(), entry.stream.take());
        if hello.options != net.me.options {
            entry.is_isolated = true;
            entry.retry_at = None;
            let differing = differences(&net.me.options, &hello.options);
            activity!(Error, "fleet: {} is isolated, for its options differ: {differing}", entry.identifier);
            for other in attempt.into_iter().chain(before).filter(|other| *other != conn) {
                self.replace(other, host);
            }
            return self.finish(conn);
        }
        if let Some(stream) = net.streams.get_mut(&conn) {
            stream.peer = Some(peer);
            stream.keepalive_at = now.mono.after(KEEPALIVE_TIME);
            if entry.address.is_none() {
                // Nobody could say where it is: it is where it comes from, on the port of its name.
                let port = entry.identifier.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                let from = stream.place.parse::<std::net::SocketAddr>().ok();
                entry.address = from.zip(port).map(|(from, port)| (from.ip(), port).into());
            }
        }
        if entry.boot != Some(hello.boot) {
            if let Some(dead) = entry.boot.replace(hello.boot) {
                if std::mem::take(&mut entry.is_up) {
                    self.news.push(PeerNews::Down { peer });
                }
                if entry.dead.len() == DEAD_RUNS_MAX {
                    entry.dead.pop_front();
                }
                entry.dead.push_back(dead);
            }
            let (key, own) = (&net.me.key, net.me.boot);
            entry.keys = Some((pair_key(key, own, hello.boot), pair_key(key, hello.boot, own)));
            entry.window = Window::default();
            // Until a datagram was answered nobody knows whether they get through.
            entry.unanswered = 1;
            entry.is_told = false;
        }
        entry.stream = Some(conn);
        (entry.retry_at, entry.confirm_at) = (None, None);
        entry.pause = RECONNECT_LEAST;
        entry.is_up = true;
        entry.lacks_room = false;
        self.news.push(PeerNews::Up { peer, boot: hello.boot });
        net.due = Some(Mono(0));
        activity!(Info, "fleet: {} is connected", entry.identifier);
        for other in attempt.into_iter().chain(before).filter(|other| *other != conn) {
            self.replace(other, host);
        }
        self.tell_lives(peer);
    }

    /// Says in which life we are, and in which the other has to be at least.
    fn tell_lives(&mut self, peer: PeerId) {
        let Some((net, entry)) = self.net.as_mut().zip(self.all.get(peer.0 as usize)) else { return };
        let Some((conn, boot)) = entry.stream.zip(entry.boot) else { return };
        let mut body = Vec::new();
        push_varint(&mut body, u64::from(net.membership.own_life()));
        push_varint(&mut body, u64::from(net.membership.life_for(&entry.identifier, boot)));
        if let Some(stream) = net.streams.get_mut(&conn) {
            stream.send(Kind::Keepalive, &body);
            net.dirty.push(conn);
        }
    }

    /// A frame has come.
    fn framed(&mut self, conn: ConnId, kind: u8, body: Vec<u8>, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        let Some(peer) = net.streams.get(&conn).filter(|stream| !stream.is_closing).and_then(|stream| stream.peer)
        else {
            return;
        };
        let Some(entry) = self.all.get_mut(peer.0 as usize).filter(|entry| entry.stream == Some(conn)) else { return };
        match Kind::of(kind) {
            // What newer instances say beyond what is known here.
            None => {}
            Some(Kind::Keepalive) if body.is_empty() => {}
            Some(Kind::Keepalive) => {
                let mut reader = Reader::new(&body);
                let Ok((life, least)) = reader.number().and_then(|life| Ok((life, reader.number()?))) else { return };
                let before = net.membership.own_life();
                net.membership.outlive(least, now.mono);
                if let Some(boot) = entry.boot.filter(|boot| life >= net.membership.life_for(&entry.identifier, *boot))
                {
                    net.membership.met(&entry.identifier, boot, life, now.mono);
                }
                let is_later = net.membership.own_life() != before;
                self.follow_membership(None, now, host);
                if is_later {
                    self.tell_lives(peer);
                }
            }
            Some(Kind::Gossip) => self.gossiped(peer, &body, now, host),
            Some(Kind::Bye) => {
                if let Some(boot) = entry.boot {
                    net.membership.gone(&entry.identifier, boot, now.mono);
                }
                self.follow_membership(None, now, host);
            }
            Some(kind) => self.news.push(PeerNews::Frame { peer, kind, body }),
        }
    }

    /// An instance is gone for the membership.
    pub(super) fn lost(&mut self, peer: PeerId, now: Now, host: &mut dyn Host) {
        let Some((net, entry)) = self.net.as_mut().zip(self.all.get_mut(peer.0 as usize)) else { return };
        entry.confirm_at = None;
        if std::mem::take(&mut entry.is_up) {
            activity!(Warn, "fleet: {} is gone", entry.identifier);
            self.news.push(PeerNews::Down { peer });
        }
        let stream = entry.stream;
        net.due = Some(Mono(0));
        if let Some(conn) = stream {
            self.end(conn, now, host);
        }
    }

    /// Does what is due.
    pub fn turn(&mut self, now: Now, host: &mut dyn Host) {
        if self.net.as_ref().is_none_or(|net| net.due.is_none_or(|due| due > now.mono)) {
            return;
        }
        for conn in self.net.as_mut().map(|net| std::mem::take(&mut net.doomed)).unwrap_or_default() {
            self.end(conn, now, host);
        }
        self.mind_streams(now, host);
        for place in 0..self.all.len() {
            self.mind_peer(PeerId(place as u32), now, host);
        }
        if let Some(net) = &mut self.net {
            net.membership.turn(now.mono);
        }
        self.follow_membership(None, now, host);
        let Some(net) = &mut self.net else { return };
        let of_streams = net.streams.values().map(Stream::deadline).min();
        let of_peers = self.all.iter().filter_map(|entry| earliest(&[entry.retry_at, entry.confirm_at])).min();
        let doomed = (!net.doomed.is_empty()).then_some(Mono(0));
        net.due = earliest(&[of_streams, of_peers, net.membership.deadline(), doomed]);
    }

    fn mind_streams(&mut self, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        let mut over = Vec::new();
        for (conn, stream) in net.streams.iter_mut().filter(|(_, stream)| stream.deadline() <= now.mono) {
            if !stream.session.is_open() || stream.heard.after(SILENCE_MAX) <= now.mono {
                over.push(*conn);
                continue;
            }
            if !std::mem::take(&mut stream.has_said) && stream.send(Kind::Keepalive, b"") {
                stream.has_said = false;
                net.dirty.push(*conn);
            }
            stream.keepalive_at = now.mono.after(KEEPALIVE_TIME);
        }
        for conn in over {
            self.end(conn, now, host);
        }
    }

    fn mind_peer(&mut self, peer: PeerId, now: Now, host: &mut dyn Host) {
        let Some((net, entry)) = self.net.as_mut().zip(self.all.get_mut(peer.0 as usize)) else { return };
        let is_due = |at: Option<Mono>| at.is_some_and(|at| at <= now.mono);
        if is_due(entry.confirm_at) {
            entry.confirm_at = None;
            if let Some(boot) = entry.boot {
                net.membership.gone(&entry.identifier, boot, now.mono);
            }
        }
        if !is_due(entry.retry_at) {
            return;
        }
        entry.retry_at = None;
        let Some(address) = entry.address.filter(|_| entry.stream.is_none() && entry.attempt.is_none()) else { return };
        let Ok(conn) = host.connect(address) else {
            return entry.retry(&net.me.identifier, next_chance(&mut net.chance), now.mono);
        };
        entry.attempt = Some(conn);
        let mut output = Vec::new();
        let headers = [("Connection", "Upgrade"), ("Upgrade", PROTOCOL)];
        write_request(&mut output, "GET", PATH, &entry.identifier, &headers, None);
        let session = Session::connect(nonce(host));
        net.add(conn, address.to_string(), Some(peer), session, output, now.mono);
    }

    /// Says good-bye to all, for this daemon ends.
    pub fn leave(&mut self) {
        let Some(net) = &mut self.net else { return };
        for entry in &self.all {
            if let Some(conn) = entry.stream
                && let Some(stream) = net.streams.get_mut(&conn)
                && stream.send(Kind::Bye, b"")
            {
                stream.is_closing = true;
                net.dirty.push(conn);
            }
        }
    }
}

impl Net {
    fn add(&mut self, conn: ConnId, place: String, peer: Option<PeerId>, session: Session, output: Vec<u8>, now: Mono) {
        let is_ours = peer.is_some();
        let stream = Stream {
            place,
            peer,
            is_ours,
            head: is_ours.then(Vec::new),
            session,
            output,
            began: now,
            heard: now,
            keepalive_at: now.after(KEEPALIVE_TIME),
            has_said: false,
            is_closing: false,
        };
        self.streams.insert(conn, stream);
        self.dirty.push(conn);
        self.due = Some(Mono(0));
    }
}

/// How long the head is by which a server agrees; `None` if it is not whole yet.
fn upgraded(head: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return if head.len() > HEAD_BYTES_MAX { Err("no end of its answer".to_string()) } else { Ok(None) };
    };
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if line.starts_with(b"HTTP/1.1 101 ") {
        return Ok(Some(end + 4));
    }
    Err(shown(&String::from_utf8_lossy(line)))
}

/// What somebody else says, as it may stand in a line of the log.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// `auto_fence=true (here false), …`
fn differences(ours: &str, theirs: &str) -> String {
    let of = |name: &str| ours.split(' ').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    let differing = theirs.split(' ').filter_map(|pair| pair.split_once('=')).filter_map(|(name, value)| {
        let here = of(name).map_or("nothing", |(_, value)| value);
        (here != value).then(|| format!("{}={} (here {here})", shown(name), shown(value)))
    });
    differing.collect::<Vec<_>>().join(", ")
}
