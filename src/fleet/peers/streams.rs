//! Streams to the others: made, proven, read, kept alive, ended.
//!
//! Whoever has the smaller name connects first; the other tries it a little later, should the first have no way. If both
//! did at one time, the stream of the first stays. Otherwise the newer one stays, for the older may be dead without one
//! side knowing it.

use std::time::Duration;

use super::complaints::shown;
use super::datagrams::By;
use super::{Kind, Net, Peer, PeerNews, Peers};
use crate::clock::{Mono, Now};
use crate::daemon::Host;
use crate::daemon::host::Standing;
use crate::id::{ConnId, PeerId};
use crate::model::fleet::session::{Heard, Session};
use crate::wire::fleet::codec::Reader;
use crate::wire::fleet::hello::Nonce;
use crate::wire::http::write_request;

/// The path of the route.
pub const PATH: &str = "/fleet";

/// What its connections are upgraded to.
pub const PROTOCOL: &str = "stheno-fleet/1";

/// The pause before the first attempt to connect again, and the longest.
pub(super) const RECONNECT_LEAST: Duration = Duration::from_millis(100);
const RECONNECT_MOST: Duration = Duration::from_secs(5);

/// How much later the one with the greater name tries it.
pub(super) const COURTESY: Duration = Duration::from_millis(300);

/// Time for a stream to be there: connected, and proven.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// Two streams that were begun by both sides within this time crossed each other.
pub(super) const CROSSING_TIME: Duration = Duration::from_secs(2);

/// A stream on which nothing was said for this time has a frame that says nothing.
const KEEPALIVE_TIME: Duration = Duration::from_secs(2);

/// The same for each instance beyond five: all streams of one together have two such frames a second at most, however many
/// there are. Who is there is found out by datagrams, with as many in fleets of any size.
const KEEPALIVE_EACH: Duration = Duration::from_millis(500);

/// What another instance says of its own pause at most, which it would take for the silence of ten thousand.
const KEEPALIVE_MOST: Duration = Duration::from_secs(3600);

/// A stream from which nothing came for so many halves of that time is dead: at least three frames should have come.
const SILENCE_HALVES: u32 = 7;

/// Streams of whom it is not known who they are. Each lasts for [`HANDSHAKE_TIME`] at most.
const STRANGERS_MAX: usize = 64;

/// Bytes of the head of an answer to our request.
const HEAD_BYTES_MAX: usize = 4096;

/// Who has made a connection.
enum Way {
    /// The other side.
    In,
    /// We, to somebody who is known, or not.
    Out(Option<PeerId>),
}

/// A connection to another instance, or to somebody who has yet to prove to be one.
#[derive(Debug)]
pub(super) struct Stream {
    /// Where the other side is: `10.0.0.1:4711`.
    pub(super) place: String,
    /// Who that is: expected where we have connected to somebody who is known, proven where it is open.
    pub(super) peer: Option<PeerId>,
    /// Whether we have connected, not they.
    pub(super) is_ours: bool,
    /// Of an answer to our request that is not whole yet; `None` once it was.
    pub(super) head: Option<Vec<u8>>,
    pub(super) session: Session,
    pub(super) output: Vec<u8>,
    pub(super) began: Mono,
    /// When something came last.
    pub(super) heard: Mono,
    /// The longest pause that the other side makes.
    pub(super) their_pause: Duration,
    /// When it is looked at whether something was said.
    pub(super) keepalive_at: Mono,
    pub(super) has_said: bool,
    /// To be closed once its output is written.
    pub(super) is_closing: bool,
    /// That it ends says nothing of the other side: we end it, or it has said so.
    pub(super) is_over: bool,
    /// When it is ended although not all is written.
    pub(super) over_at: Option<Mono>,
}

impl Stream {
    /// Appends a frame; false if it is not open.
    pub(super) fn send(&mut self, kind: Kind, body: &[u8]) -> bool {
        self.has_said = true;
        !self.is_closing && self.session.send(kind.number(), body, &mut self.output)
    }

    pub(super) fn deadline(&self) -> Mono {
        match self.session.is_open() {
            true if self.over_at.is_some() => self.over_at.unwrap_or_default(),
            true => self.keepalive_at.min(self.dead_at()),
            false => self.began.after(HANDSHAKE_TIME),
        }
    }

    /// When it is dead, if nothing comes until then.
    pub(super) fn dead_at(&self) -> Mono {
        self.heard.after(self.their_pause * SILENCE_HALVES / 2)
    }
}

impl Peer {
    /// It is tried again before long; at once, if that was not to be.
    pub(super) fn retry_soon(&mut self, now: Mono) {
        let soon = now.after(RECONNECT_LEAST);
        self.retry_at = Some(self.retry_at.map_or(now, |at| at.min(soon)));
    }

    /// Whether it is for us to connect first.
    pub(super) fn is_ours_to_call(&self, own: &str) -> bool {
        own < self.identifier.as_str()
    }

    /// Time until the first attempt to reach it.
    pub(super) fn first_pause(&self, own: &str, chance: u64) -> Duration {
        let courtesy = if self.is_ours_to_call(own) { Duration::ZERO } else { COURTESY };
        courtesy + Duration::from_micros(chance % 20_000)
    }

    /// The next attempt is made after a pause, which grows.
    pub(super) fn retry(&mut self, own: &str, chance: u64, now: Mono) {
        let courtesy = if self.is_ours_to_call(own) { Duration::ZERO } else { COURTESY };
        // Up to a quarter more, so that not all come at one time.
        let jitter = Duration::from_micros(chance % (self.pause.as_micros() as u64 / 4).max(1));
        self.retry_at = Some(now.after(self.pause + courtesy + jitter));
        self.pause = (self.pause * 2).min(RECONNECT_MOST);
    }
}

/// The longest pause that we make on a stream, of so many instances.
pub(super) fn keepalive_time(count: usize) -> Duration {
    KEEPALIVE_EACH.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)).clamp(KEEPALIVE_TIME, KEEPALIVE_MOST)
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
        net.add(conn, place.to_string(), Way::In, session, output, now.mono);
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
        // There is nobody else to be told of it.
        if stream.is_ours && stream.session.has_asked() && !stream.is_over {
            let text = "ends the connection when it hears who we are: its secret may be another one";
            net.complaints.tell(&stream.place, now.mono, text);
        }
        let Some(peer) = stream.peer else { return self.hint_ended(conn, now) };
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
        }
        // If it is we who hear nothing that may be a matter of the way: others find out whether it is there.
        if was_open && entry.is_up && !stream.is_over {
            entry.confirm_at = Some(now.mono.after(net.pace.answer));
            self.probe(peer, host);
        }
    }

    /// Ends a stream at once.
    pub(super) fn end(&mut self, conn: ConnId, now: Now, host: &mut dyn Host) {
        host.close_connection(conn);
        if let Some(stream) = self.net.as_mut().and_then(|net| net.streams.get_mut(&conn)) {
            stream.is_over = true;
        }
        self.ended(conn, now, host);
    }

    /// Ends a stream in whose place there is another.
    pub(super) fn replace(&mut self, conn: ConnId, host: &mut dyn Host) {
        if let Some(net) = &mut self.net {
            net.streams.remove(&conn);
            host.close_connection(conn);
        }
    }

    /// Ends a stream once what waits is written.
    pub(super) fn finish(&mut self, conn: ConnId) {
        if let Some(net) = &mut self.net
            && let Some(stream) = net.streams.get_mut(&conn)
        {
            stream.is_closing = true;
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
                let pause = reader.varint().map_or(KEEPALIVE_TIME, Duration::from_millis);
                if let Some(stream) = net.streams.get_mut(&conn) {
                    stream.their_pause = pause.clamp(KEEPALIVE_TIME, KEEPALIVE_MOST);
                }
                let before = net.membership.own_life();
                net.membership.outlive(least, now.mono);
                if let Some(boot) = entry.boot.filter(|boot| life >= net.membership.life_for(&entry.identifier, *boot))
                {
                    net.membership.met(&entry.identifier, boot, life, now.mono);
                }
                let is_later = net.membership.own_life() != before;
                self.follow_membership(By::Itself, now, host);
                if is_later {
                    self.tell_lives(peer);
                }
            }
            Some(Kind::Gossip) => self.gossiped(peer, &body, now, host),
            Some(Kind::Quiet) => {
                if let Some(stream) = net.streams.get_mut(&conn) {
                    stream.is_over = true;
                }
            }
            Some(Kind::Known) => self.hear_known(&body, now),
            Some(Kind::Bye) => {
                if let Some(boot) = entry.boot {
                    net.membership.gone(&entry.identifier, boot, now.mono);
                }
                self.follow_membership(By::Itself, now, host);
            }
            Some(kind) => self.news.push(PeerNews::Frame { peer, kind, body }),
        }
    }

    /// An instance is gone for the membership. Should that be wrong it is told that it is we who end the stream: if it took the
    /// end of each for that of another instance, one mistake would have all lose each other.
    pub(super) fn lost(&mut self, peer: PeerId, now: Now) {
        let Some((net, entry)) = self.net.as_mut().zip(self.all.get_mut(peer.0 as usize)) else { return };
        entry.confirm_at = None;
        if std::mem::take(&mut entry.is_up) {
            activity!(Warn, "fleet: {} is gone", entry.identifier);
            self.news.push(PeerNews::Down { peer });
        }
        net.due = Some(Mono(0));
        let Some(conn) = entry.stream.take() else { return };
        entry.lacks_room = false;
        if entry.attempt.is_none() && !entry.is_isolated {
            entry.retry(&net.me.identifier, next_chance(&mut net.chance), now.mono);
        }
        net.say_last_word(conn, now.mono);
    }
}

impl Net {
    /// A connection is being made by us, to one that is known or to whoever is there.
    pub(super) fn connect(
        &mut self,
        conn: ConnId,
        address: std::net::SocketAddr,
        peer: Option<PeerId>,
        now: Now,
        host: &mut dyn Host,
    ) {
        let mut output = Vec::new();
        let headers = [("Connection", "Upgrade"), ("Upgrade", PROTOCOL)];
        write_request(&mut output, "GET", PATH, &address.to_string(), &headers, None);
        self.add(conn, address.to_string(), Way::Out(peer), Session::connect(nonce(host)), output, now.mono);
    }

    fn add(&mut self, conn: ConnId, place: String, way: Way, session: Session, output: Vec<u8>, now: Mono) {
        let (is_ours, peer) = match way {
            Way::In => (false, None),
            Way::Out(peer) => (true, peer),
        };
        let stream = Stream {
            place,
            peer,
            is_ours,
            head: is_ours.then(Vec::new),
            session,
            output,
            began: now,
            heard: now,
            their_pause: KEEPALIVE_TIME,
            keepalive_at: now.after(KEEPALIVE_TIME),
            has_said: false,
            is_closing: false,
            is_over: false,
            over_at: None,
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
