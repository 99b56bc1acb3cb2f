//! Two instances meet over a stream: whether they may speak to each other, and over which stream if there are two.

use std::net::SocketAddr;

use super::complaints::shown;
use super::streams::{CROSSING_TIME, RECONNECT_LEAST, Stream, keepalive_time};
use super::{DEAD_RUNS_MAX, Kind, PeerNews, Peers, QUEUE_BYTES_MAX};
use crate::clock::{Mono, Now};
use crate::daemon::Host;
use crate::id::{ConnId, PeerId};
use crate::wire::fleet::codec::push_varint;
use crate::wire::fleet::datagram::{Window, pair_key};
use crate::wire::fleet::hello::Hello;

impl Peers {
    /// Somebody who knows the secret wants to speak to us.
    pub(super) fn asked(&mut self, conn: ConnId, hello: &Hello, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        // Ourselves, by another of our addresses.
        if hello.boot == net.me.boot {
            let is_it =
                |(_, stream): &(&ConnId, &Stream)| stream.is_ours && stream.session.nonce() == Some(hello.nonce);
            let ours = net.streams.iter().find(is_it).map(|(conn, _)| *conn);
            ours.into_iter().for_each(|ours| self.hint_is_own(ours));
            return self.end(conn, now, host);
        }
        if hello.identifier == net.me.identifier {
            return self.refuse(conn, "it has our name", now);
        }
        let from = net.streams.get(&conn).and_then(|stream| stream.place.parse().ok());
        let peer = match self.place_of(hello, from, now) {
            Ok(peer) => peer,
            Err(why) => return self.refuse(conn, &why, now),
        };
        let Some((net, entry)) = self.net.as_ref().zip(self.all.get(peer.0 as usize)) else { return };
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
    pub(super) fn met(&mut self, conn: ConnId, hello: &Hello, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        let Some(stream) = net.streams.get(&conn) else { return };
        if !hello.refusal.is_empty() {
            let text = format_args!("does not speak to this instance: {}", shown(&hello.refusal));
            net.complaints.tell(&stream.place, now.mono, text);
            return self.end(conn, now, host);
        }
        let peer = match stream.peer {
            Some(peer) => peer,
            // Somebody is where somebody might have been.
            None if hello.boot == net.me.boot => {
                self.hint_is_own(conn);
                return self.end(conn, now, host);
            }
            None => {
                let place = stream.place.clone();
                let at = self.hint_met(conn);
                match self.place_of(hello, at, now) {
                    Ok(peer) => {
                        self.remember_way(at, peer);
                        peer
                    }
                    Err(why) => {
                        if let Some(net) = &mut self.net {
                            net.complaints.tell(&place, now.mono, format_args!("is not spoken to: {why}"));
                        }
                        return self.end(conn, now, host);
                    }
                }
            }
        };
        let Some((net, entry)) = self.net.as_mut().zip(self.all.get(peer.0 as usize)) else { return };
        if hello.identifier != entry.identifier || hello.boot == net.me.boot {
            let (found, wanted) = (shown(&hello.identifier), &entry.identifier);
            let place = net.streams.get(&conn).map_or("", |stream| &stream.place);
            net.complaints.tell(place, now.mono, format_args!("is {found}, and not {wanted}"));
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
        let pause = keepalive_time(self.all.len());
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
            stream.keepalive_at = now.mono.after(pause);
            let from = stream.place.parse::<SocketAddr>().ok();
            match hello.place.parse() {
                Ok(place) => entry.address = Some(place),
                // Nobody could say where it is, or where it is now: it is where it comes from.
                Err(_) if entry.address.is_none() || entry.is_found => {
                    let ip = from.map(|from| from.ip());
                    entry.address = ip.map(|ip| SocketAddr::new(ip, entry.port)).or(entry.address);
                }
                Err(_) => {}
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
        self.tell_known(peer);
    }

    /// One that knows the secret is not spoken to, which both sides say.
    fn refuse(&mut self, conn: ConnId, why: &str, now: Now) {
        let Some(net) = &mut self.net else { return };
        if let Some(stream) = net.streams.get_mut(&conn) {
            net.complaints.tell(&stream.place, now.mono, format_args!("is not spoken to: {}", shown(why)));
            stream.session.refuse(&net.me, why, &mut stream.output);
        }
        self.finish(conn);
    }

    /// Says in which life we are, in which the other has to be at least, and for how long we may say nothing.
    pub(super) fn tell_lives(&mut self, peer: PeerId) {
        let pause = keepalive_time(self.all.len());
        let Some((net, entry)) = self.net.as_mut().zip(self.all.get(peer.0 as usize)) else { return };
        let Some((conn, boot)) = entry.stream.zip(entry.boot) else { return };
        let mut body = Vec::new();
        push_varint(&mut body, u64::from(net.membership.own_life()));
        push_varint(&mut body, u64::from(net.membership.life_for(&entry.identifier, boot)));
        push_varint(&mut body, u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        if let Some(stream) = net.streams.get_mut(&conn) {
            if stream.output.len() > QUEUE_BYTES_MAX {
                // It has us answer, and does not read.
                net.doomed.push(conn);
                net.due = Some(Mono(0));
                return;
            }
            stream.send(Kind::Keepalive, &body);
            net.dirty.push(conn);
        }
    }
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
