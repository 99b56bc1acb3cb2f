//! What is due: streams that are silent, instances that are tried again, names, those that are looked for.

use std::net::SocketAddr;
use std::time::Duration;

use super::datagrams::By;
use super::streams::{Stream, keepalive_time, next_chance};
use super::{Kind, Net, Peers};
use crate::clock::{Mono, Now, earliest};
use crate::daemon::Host;
use crate::id::{ConnId, PeerId};

/// Time for the last word of a stream that is dead for us.
const LAST_WORD_TIME: Duration = Duration::from_millis(500);

impl Peers {
    /// Does what is due.
    pub fn turn(&mut self, now: Now, host: &mut dyn Host) {
        if self.net.as_ref().is_none_or(|net| net.due.is_none_or(|due| due > now.mono)) {
            return;
        }
        for conn in self.net.as_mut().map(|net| std::mem::take(&mut net.doomed)).unwrap_or_default() {
            self.end(conn, now, host);
        }
        self.mind_streams(now, host);
        self.mind_names(now, host);
        self.discover(now, host);
        for place in 0..self.all.len() {
            self.mind_peer(PeerId(place as u32), now, host);
        }
        if let Some(net) = &mut self.net {
            net.membership.turn(now.mono);
        }
        self.follow_membership(By::Itself, now, host);
        let Some(net) = &mut self.net else { return };
        let of_streams = net.streams.values().map(Stream::deadline).min();
        let of_peers = self.all.iter().filter_map(|entry| earliest(&[entry.retry_at, entry.confirm_at])).min();
        let doomed = (!net.doomed.is_empty()).then_some(Mono(0));
        let others = [net.names.deadline(), self.discovery_deadline()];
        let Some(net) = &mut self.net else { return };
        net.due = earliest(&[of_streams, of_peers, net.membership.deadline(), doomed, others[0], others[1]]);
    }

    /// Takes in what was found of names.
    fn mind_names(&mut self, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        for found in net.names.turn(now.mono, host) {
            self.found(&found);
            self.found_seeds(&found, now);
        }
    }

    /// A name server answers.
    pub fn name_answered(&mut self, from: SocketAddr, bytes: &[u8], now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        net.names.answered(from, bytes, now.mono, host);
        net.due = Some(Mono(0));
    }

    fn mind_streams(&mut self, now: Now, host: &mut dyn Host) {
        let pause = keepalive_time(self.all.len());
        let Some(net) = &mut self.net else { return };
        let (mut over, mut silent) = (Vec::new(), Vec::new());
        for (conn, stream) in net.streams.iter_mut().filter(|(_, stream)| stream.deadline() <= now.mono) {
            if !stream.session.is_open() || stream.over_at.is_some() {
                over.push(*conn);
                continue;
            }
            if stream.dead_at() <= now.mono {
                silent.push(*conn);
                continue;
            }
            if !std::mem::take(&mut stream.has_said) && stream.send(Kind::Keepalive, b"") {
                stream.has_said = false;
                net.dirty.push(*conn);
            }
            stream.keepalive_at = now.mono.after(pause);
        }
        silent.into_iter().for_each(|conn| net.say_last_word(conn, now.mono));
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
        if entry.stream.is_some() || entry.attempt.is_some() {
            return;
        }
        if !entry.is_found {
            // It may have got another address. What is found counts for the next attempt.
            net.names.want(&entry.host, now.mono);
        }
        let Some(address) = entry.address else {
            return entry.retry(&net.me.identifier, next_chance(&mut net.chance), now.mono);
        };
        let Ok(conn) = host.connect(address) else {
            return entry.retry(&net.me.identifier, next_chance(&mut net.chance), now.mono);
        };
        entry.attempt = Some(conn);
        net.connect(conn, address, Some(peer), now, host);
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
    /// Ends a stream, on which the other side hears that we are there.
    pub(super) fn say_last_word(&mut self, conn: ConnId, now: Mono) {
        let Some(stream) = self.streams.get_mut(&conn) else { return };
        stream.send(Kind::Quiet, b"");
        (stream.is_closing, stream.is_over) = (true, true);
        stream.over_at = Some(now.after(LAST_WORD_TIME));
        self.dirty.push(conn);
    }
}
