//! Datagrams: what the membership says, and probes of those whose streams have ended.
//!
//! Where datagrams do not get through, the same goes over the stream. What comes by one way is answered by the same,
//! and questions go on being tried by datagram, so that it shows when they get through again.

use std::net::SocketAddr;

use super::{Peer, Peers};
use crate::clock::Now;
use crate::daemon::Host;
use crate::id::PeerId;
use crate::model::fleet::membership::{Effect, is_answer};
use crate::wire::fleet::Kind;
use crate::wire::fleet::datagram::{Datagram, pair_key, seal};

/// Questions in a row that are not answered; then datagrams are taken not to get through.
const UNANSWERED_MAX: u32 = 3;

/// What a body is: the first byte of each.
const MEMBERSHIP: u8 = 0;
const PROBE: u8 = 1;
const PROBE_ANSWER: u8 = 2;

/// The way by which somebody has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Nobody has: it was time.
    Itself,
    Datagram(PeerId),
    Stream(PeerId),
}

impl Peer {
    /// Whether nothing but questions goes by datagram.
    pub(super) fn is_by_stream(&self) -> bool {
        self.unanswered >= UNANSWERED_MAX
    }
}

impl Peers {
    /// Somebody has sent a datagram.
    pub fn datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        let Some(datagram) = Datagram::read(bytes) else {
            return net.complaints.tell(&from.to_string(), now.mono, "sends what is no datagram of the fleet");
        };
        let known = self.all.iter_mut().enumerate().find(|(_, entry)| entry.boot == Some(datagram.boot));
        let Some((place, entry)) = known else {
            // A run of which nothing is known: if it knows the secret, and us, a stream will tell who it is. An earlier one
            // has nothing to say any more.
            let is_dead = self.all.iter().any(|entry| entry.dead.contains(&datagram.boot));
            if !is_dead && datagram.is_of(&pair_key(&net.me.key, datagram.boot, net.me.boot)) {
                let may_be =
                    |entry: &&mut Peer| entry.address == Some(from) && entry.attempt.is_none() && !entry.is_isolated;
                for entry in self.all.iter_mut().filter(may_be) {
                    entry.retry_at = Some(now.mono);
                    net.due = Some(now.mono);
                }
            }
            return;
        };
        let is_right = entry.keys.as_ref().is_some_and(|(_, key)| datagram.is_of(key));
        if !is_right {
            return net.complaints.tell(&from.to_string(), now.mono, "sends a datagram with a wrong tag");
        }
        // Networks deliver twice, too: that is no reason for a line.
        if !entry.window.admit(datagram.counter) {
            return;
        }
        // It is there, whatever has become of its stream.
        entry.confirm_at = None;
        let peer = PeerId(place as u32);
        match datagram.body.split_first() {
            Some((&MEMBERSHIP, body)) => {
                if is_answer(body) && std::mem::take(&mut entry.unanswered) >= UNANSWERED_MAX && entry.is_told {
                    entry.is_told = false;
                    activity!(Info, "fleet: datagrams get through to {} again", entry.identifier);
                }
                net.membership.receive(body, now.mono);
                self.follow_membership(By::Datagram(peer), now, host);
            }
            Some((&PROBE, _)) => self.send_datagram(peer, PROBE_ANSWER, b"", host),
            _ => {}
        }
    }

    /// The same over its stream.
    pub(super) fn gossiped(&mut self, peer: PeerId, body: &[u8], now: Now, host: &mut dyn Host) {
        if let Some(net) = &mut self.net {
            net.membership.receive(body, now.mono);
        }
        self.follow_membership(By::Stream(peer), now, host);
    }

    /// Asks one whose stream has ended whether it is there.
    pub(super) fn probe(&mut self, peer: PeerId, host: &mut dyn Host) {
        self.send_datagram(peer, PROBE, b"", host);
    }

    fn send_datagram(&mut self, peer: PeerId, what: u8, body: &[u8], host: &mut dyn Host) {
        let Some((net, entry)) = self.net.as_mut().zip(self.all.get(peer.0 as usize)) else { return };
        let Some((address, (key, _))) = entry.address.zip(entry.keys.as_ref()) else { return };
        let body = [&[what], body].concat();
        let counter = net.counter;
        net.counter += 1;
        host.send_datagram(address, &seal(key, net.me.boot, counter, &body));
    }

    /// Does what follows for the membership from what has come `by` some way, by which that is answered.
    pub(super) fn follow_membership(&mut self, by: By, now: Now, host: &mut dyn Host) {
        let effects = self.net.as_mut().map(|net| net.membership.take_effects()).unwrap_or_default();
        for effect in effects {
            let (Effect::Send { to: node, .. } | Effect::Up(node) | Effect::Down(node)) = &effect else { continue };
            let Some(place) = self.all.iter().position(|entry| entry.identifier == *node.name) else { continue };
            let peer = PeerId(place as u32);
            match effect {
                Effect::Send { bytes, is_question, .. } => {
                    self.send_message(peer, &bytes, is_question, by, host);
                }
                Effect::Up(_) => {
                    // Others have heard of it: it is worth an attempt.
                    let entry = &mut self.all[place];
                    if entry.stream.is_none() && entry.attempt.is_none() && !entry.is_isolated {
                        entry.retry_soon(now.mono);
                    }
                }
                Effect::Down(node) if self.all[place].boot == Some(node.boot) => self.lost(peer, now),
                Effect::Down(_) | Effect::Renewed => {}
            }
        }
        if let Some(net) = &mut self.net {
            // It may have got timers.
            let first = net.membership.deadline();
            net.due = crate::clock::earliest(&[net.due, first]);
        }
    }

    fn send_message(&mut self, peer: PeerId, bytes: &[u8], is_question: bool, by: By, host: &mut dyn Host) {
        let Some(entry) = self.all.get_mut(peer.0 as usize) else { return };
        // As soon as one question waits, what is said goes both ways: a suspect must be able to hear of it in time.
        let is_doubtful = entry.unanswered > 0;
        if is_question {
            entry.unanswered = entry.unanswered.saturating_add(1);
        }
        let is_cut_off = entry.is_by_stream();
        if is_cut_off && entry.stream.is_some() && !std::mem::replace(&mut entry.is_told, true) {
            activity!(Warn, "fleet: datagrams do not get through to {}; all goes by its stream", entry.identifier);
        }
        let by_stream = by == By::Stream(peer);
        if by_stream || is_doubtful {
            // Without a stream, or with one that is full, it is as if it had been lost.
            let _ = self.send(peer, Kind::Gossip, bytes);
        }
        // Both sides may take datagrams not to get through: an answer by datagram shows the other that they do again.
        if !by_stream && (!is_cut_off || is_question || by == By::Datagram(peer)) {
            self.send_datagram(peer, MEMBERSHIP, bytes, host);
        }
    }
}
