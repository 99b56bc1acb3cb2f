//! What the service does for its connections: requests, deferred replies and feeds, each of which knows its own part.

use super::Service;
use super::complaints::About;
use super::conn::{Conn, Leave, Phase, Taken};
use super::deferred::DeferredReply;
use super::exchange::{AfterRequest, Exchange};
use super::feed::Feed;
use super::passwords::{self, Admission};
#[cfg(feature = "zmq")]
use super::published::PublishedFeed;
#[cfg(feature = "fleet")]
use super::sites::Speech;
use super::text::TextProgress;
use crate::clock::Now;
use crate::daemon::Host;
#[cfg(feature = "fleet")]
use crate::fleet::peers::Peers;
use crate::id::ConnId;
use crate::rpc::Context;
use crate::rpc::budget::Budget;
use crate::wire::http::{ReplyTo, Status};

/// Requests of one connection that are taken one after another before others have their turn.
const REQUESTS_PER_VISIT: usize = 32;

/// Bytes that are held for all clients together: input, output, and what calls under way hold. The longest answer, the
/// status of ten thousand processes, takes ten megabytes; of these some may be on their way at one time.
const CLIENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection that holds less is never the reason to look at the sum.
const SMALL_BYTES: usize = 64 * 1024;

impl Service {
    pub(super) fn accept(&mut self, id: ConnId, server: usize, client: String, now: Now, host: &mut dyn Host) {
        let max = self.connections_max();
        while self.conns.is_full(server, &self.sites, max) {
            match self.conns.first_to_go(server) {
                Some(first) => self.cut_off(first, host),
                None => {
                    let line = format_args!("{client}: more than {max} connections; closing the new one");
                    self.complaints.note(About::Connection, now, line);
                    return host.close_connection(id);
                }
            }
        }
        self.conns.add(id, Conn::new(server, client.into(), self.sites.body_bytes_max(), now));
        #[cfg(feature = "zmq")]
        if self.sites.speaks(server) == Speech::Zmq {
            self.greet(id, server, now, host);
        }
    }

    /// A client of the port for ZeroMQ is a reader from the beginning. Those that have not said anything yet make room for it.
    #[cfg(feature = "zmq")]
    fn greet(&mut self, id: ConnId, server: usize, now: Now, host: &mut dyn Host) {
        while !self.has_room_for_feed(server) {
            let Some(silent) = self.conns.first_to_go(server).filter(|first| *first != id) else {
                let line = format_args!("no room for one more subscriber");
                self.complaints.note(About::Connection, now, line);
                return self.cut_off(id, host);
            };
            self.cut_off(silent, host);
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        let feed = PublishedFeed::zmq(&mut conn.output);
        self.conns.begin_feed(id, Feed::Published(feed));
    }

    pub(super) fn receive(&mut self, id: ConnId, bytes: &[u8], now: Now, host: &mut dyn Host) {
        #[cfg(feature = "fleet")]
        if self.hear(id, bytes) {
            return self.rank(id, host);
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.receive(bytes, now);
        self.conns.mind_deadline(id);
        self.serve(id, now, host);
        self.make_room(id, now, host);
    }

    /// Goes on with what a connection is for, as far as the client keeps up and the turn has time.
    fn serve(&mut self, id: ConnId, now: Now, host: &mut dyn Host) {
        self.take_requests(id, now, host);
        self.file_changed(id, host);
        let Some(conn) = self.conns.get_mut(id) else { return };
        let is_unserved = match &mut conn.phase {
            Phase::Requests => {
                conn.has_input() && conn.takes_requests() && (self.budget.is_spent() || conn.was_interrupted)
            }
            Phase::Feed(feed) => match &mut **feed {
                Feed::Text(feed) => match feed.feed(&mut conn.output, &mut self.budget, &self.daemon, host) {
                    TextProgress::Waits => false,
                    TextProgress::Interrupted => true,
                    TextProgress::Done if feed.keeps_alive => {
                        self.conns.end_feed(id);
                        self.conns.get_mut(id).is_some_and(|conn| conn.has_input())
                    }
                    TextProgress::Done | TextProgress::Broken => {
                        conn.closing = true;
                        false
                    }
                },
                _ => false,
            },
            Phase::Deferred | Phase::Refused => false,
        };
        if is_unserved {
            self.leave_to_next_turn(id);
        }
        self.rank(id, host);
        if self.conns.get(id).is_some_and(|conn| !conn.output.is_empty() || conn.closing) {
            self.conns.touch(id);
        }
    }

    /// Tells the host how well a connection may claim to be kept, if that is not what it was told before.
    fn rank(&mut self, id: ConnId, host: &mut dyn Host) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let standing = conn.standing();
        if standing != conn.told {
            conn.told = standing;
            host.rank_connection(id, standing);
        }
    }

    /// How many feeds there may be. They are never idle: without a bound of their own nobody else would have room.
    pub(super) fn feeds_max(&self) -> usize {
        self.connections_max() / 2
    }

    /// Whether a client of a server may have a feed. Readers of what a fleet publishes leave half of them to others, for over
    /// ZeroMQ anybody may be one.
    pub(super) fn has_room_for_feed(&self, server: usize) -> bool {
        #[cfg(feature = "fleet")]
        if self.sites.speaks(server) != Speech::Http && self.conns.published().len() >= self.feeds_max() / 2 {
            return false;
        }
        let _ = server;
        self.conns.feeds() < self.feeds_max()
    }

    /// How many connections there may be now.
    fn connections_max(&self) -> usize {
        #[cfg(feature = "fleet")]
        let streams = self.peers().map_or(0, Peers::stream_count);
        #[cfg(not(feature = "fleet"))]
        let streams = 0;
        self.sites.connections_max(self.daemon.roster.process_count(), streams)
    }

    pub(super) fn leave_to_next_turn(&mut self, id: ConnId) {
        if !self.unserved.contains(&id) {
            self.unserved.push_back(id);
        }
    }

    /// Goes on with the connections for which earlier turns had no time.
    pub(super) fn serve_unserved(&mut self, now: Now, host: &mut dyn Host) {
        for _ in 0..self.unserved.len() {
            if self.budget.is_spent() {
                break;
            }
            let Some(id) = self.unserved.pop_front() else { break };
            self.serve(id, now, host);
            self.make_room(id, now, host);
        }
    }

    /// The same for what calls under way hold.
    fn bound_deferred(&mut self, host: &mut dyn Host) {
        while self.conns.bytes() + self.deferred.bytes() > CLIENT_BYTES_MAX {
            if self.deferred.give_up_largest() {
                continue;
            }
            let Some(victim) = self.conns.largest(None).or_else(|| self.deferred.largest()) else { return };
            activity!(Debug, "closing a connection, for calls under way hold more than {CLIENT_BYTES_MAX} bytes");
            self.cut_off(victim, host);
        }
    }

    /// Sees to it that everything that is held for clients stays within its bound. The first to go are those who do not
    /// read, then those whose request is not whole, the longest each time.
    fn make_room(&mut self, id: ConnId, now: Now, host: &mut dyn Host) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.bytes() < SMALL_BYTES {
            return;
        }
        while self.conns.bytes() + self.deferred.bytes() > CLIENT_BYTES_MAX {
            if self.deferred.give_up_largest() {
                self.asks_again = true;
                continue;
            }
            let Some(victim) = self.conns.largest(Some(id)) else {
                let Some(mut exchange) = self.exchange(id, now, host) else { return };
                exchange.error(ReplyTo::UNREADABLE, Status::SERVICE_UNAVAILABLE);
                exchange.conn.give_up();
                return self.conns.touch(id);
            };
            activity!(Debug, "closing a connection, for clients take more than {CLIENT_BYTES_MAX} bytes");
            self.cut_off(victim, host);
        }
    }

    /// Answers what is whole on the input, one request after another, until one has to wait.
    fn take_requests(&mut self, id: ConnId, now: Now, host: &mut dyn Host) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.was_interrupted = false;
        if !conn.takes_requests() || !conn.has_input() {
            return;
        }
        let mut input = conn.take_input();
        let (mut used, mut count) = (0, 0);
        while used < input.len()
            && let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.takes_requests())
        {
            // An administrator's way in, the socket file, is not behind what the network asks.
            let is_first = count == 0 && self.sites.is_unix(conn.server);
            if (self.budget.is_spent() && !is_first) || count == REQUESTS_PER_VISIT {
                conn.was_interrupted = true;
                break;
            }
            count += 1;
            let server = conn.server;
            let may_look = conn.is_proven || std::mem::take(&mut conn.has_turn);
            let address = if self.sites.has_password(server) { passwords::address(&conn.client) } else { None };
            let (sites, passwords) = (&self.sites, &mut self.passwords);
            #[cfg(feature = "fleet")]
            let has_fleet = self.extensions.fleet.as_ref().is_some_and(|fleet| fleet.peers.is_open());
            let taken = conn.take(&mut input[used..], |head| {
                #[cfg(feature = "fleet")]
                if has_fleet && super::peers::asks_for_fleet(head) {
                    return Leave::Given;
                }
                if !may_look && head.authorization.is_some() {
                    let turn = passwords.admission(address, now);
                    if turn != Admission::Now {
                        return Leave::Later(turn);
                    }
                }
                if sites.is_authorized(server, head) { Leave::Given } else { Leave::Denied }
            });
            match taken {
                Taken::More => {
                    // The rest of its body is still to come.
                    conn.has_turn = may_look;
                    break;
                }
                Taken::Later(_, Admission::At(at)) => {
                    conn.waits = true;
                    self.passwords.wait(id, at);
                    break;
                }
                Taken::Unauthorized { was_wrong: true, .. } => self.note_wrong_password(id, now),
                _ => {}
            }
            let Some(mut exchange) = self.exchange(id, now, host) else { break };
            match taken {
                Taken::Request { head, body, bytes } => {
                    #[cfg(feature = "fleet")]
                    let needs_password = !(has_fleet && super::peers::asks_for_fleet(&head));
                    #[cfg(not(feature = "fleet"))]
                    let needs_password = true;
                    exchange.conn.is_proven |= needs_password;
                    let next = exchange.answer(&head, body.as_deref());
                    used += bytes;
                    #[cfg(feature = "fleet")]
                    if matches!(next, AfterRequest::Peer) {
                        self.hand_over(id, now, host);
                        let rest = &input[used..];
                        return self.with_peers(|peers| peers.received(id, rest, now, host));
                    }
                    self.go_on(id, head.reply_to, next);
                }
                Taken::Unauthorized { reply_to, .. } => {
                    exchange.demand_password(reply_to);
                    used = input.len();
                }
                Taken::Later(reply_to, _) => {
                    exchange.put_off(reply_to);
                    used = input.len();
                }
                Taken::Unreadable(reply_to, error) => {
                    activity!(Trace, "{}: {error}", exchange.conn.client);
                    exchange.error(reply_to, error.status());
                    exchange.conn.closing = true;
                    used = input.len();
                }
                Taken::More => {}
            }
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.give_back(input, used, now);
        self.conns.mind_deadline(id);
    }

    /// Remembers who has given a wrong password.
    fn note_wrong_password(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.get(id) else { return };
        if self.passwords.wrong(passwords::address(&conn.client), now) {
            let line = format_args!("{}: wrong password once more; this address is slowed", conn.client);
            self.complaints.note(About::Password, now, line);
        }
    }

    /// Looks at passwords that had to wait.
    pub(super) fn take_turns(&mut self, now: Now, host: &mut dyn Host) {
        while let Some(id) = self.passwords.next_due(now) {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            (conn.waits, conn.has_turn) = (false, true);
            self.serve(id, now, host);
            self.make_room(id, now, host);
        }
    }

    /// What answering a request of a connection takes.
    fn exchange<'a>(&'a mut self, id: ConnId, now: Now, host: &'a mut dyn Host) -> Option<Exchange<'a>> {
        let feeds_max = self.feeds_max();
        let has_room_for_feed = self.has_room_for_feed(self.conns.get(id)?.server);
        let connections = self.conns.count();
        Some(Exchange {
            daemon: &mut self.daemon,
            host,
            registry: &self.registry,
            extensions: &mut self.extensions,
            sites: &self.sites,
            memo: &mut self.memo,
            id,
            conn: self.conns.get_mut(id)?,
            date: self.dates.at(now.wall.secs()),
            now,
            budget: &mut self.budget,
            has_room_for_feed,
            feeds_max,
            connections,
            turns: self.turns.as_ref(),
            live: &mut self.live,
            #[cfg(feature = "fleet")]
            fleet_live: &mut self.fleet_live,
            complaints: &mut self.complaints,
        })
    }

    /// The connection becomes what a request has made of it.
    fn go_on(&mut self, id: ConnId, reply_to: ReplyTo, next: AfterRequest) {
        match next {
            AfterRequest::Replied => {}
            #[cfg(feature = "fleet")]
            AfterRequest::Peer => {}
            AfterRequest::Deferred(work) => {
                let Some(conn) = self.conns.get_mut(id) else { return };
                conn.phase = Phase::Deferred;
                let client = conn.client.clone();
                self.deferred.add(DeferredReply { conn: Some(id), client, reply_to, work, is_given_up: false });
                // One that came from behind another reply stands on no list of this turn any more.
                self.asks_again = true;
            }
            AfterRequest::Feed(feed) => {
                self.conns.begin_feed(id, feed);
                self.refresh_event_mask();
            }
        }
    }

    /// Asks every deferred reply whether it can be given now. A reply given lets the connection go on with what it has
    /// sent meanwhile.
    pub(super) fn answer_deferred(&mut self, now: Now, host: &mut dyn Host) {
        // A share of their own: requests of this turn may have used up the other.
        self.budget = Budget::default();
        self.daemon.roll_changed();
        self.asks_again = false;
        let mut replies = self.deferred.take();
        if replies.len() > 1 {
            // Each is first in turn, for the first may use up all that there is.
            replies.rotate_left(1);
        }
        for mut reply in replies {
            let method = reply.work.method();
            let mut context = Context {
                daemon: &mut self.daemon,
                host: &mut *host,
                now,
                registry: &self.registry,
                extensions: &mut self.extensions,
                client: &reply.client,
                method: &method,
                budget: &mut self.budget,
            };
            if reply.is_given_up {
                reply.work.give_up(&mut context);
                let line =
                    format_args!("{}: gave up {method}, for its client is gone and there is no room", reply.client);
                self.complaints.note(About::Call, now, line);
                continue;
            }
            let before = context.daemon.activity.last();
            let finished = reply.work.poll(&mut context);
            self.daemon.attribute(before, &reply.client, &method);
            let Some(finished) = finished else {
                self.deferred.add(reply);
                continue;
            };
            let Some(id) = reply.conn else { continue };
            let Some(mut exchange) = self.exchange(id, now, host) else { continue };
            exchange.conn.phase = Phase::Requests;
            let next = exchange.finish(reply.reply_to, finished);
            self.go_on(id, reply.reply_to, next);
            self.conns.touch(id);
            self.serve(id, now, host);
            self.make_room(id, now, host);
        }
        if self.deferred.bytes() >= SMALL_BYTES {
            self.bound_deferred(host);
        }
        // Some may have started or stopped what others wait for, who were asked before.
        self.asks_again |= self.daemon.has_changed();
    }

    /// All output is written: room for more of a feed.
    pub(super) fn drained(&mut self, id: ConnId, now: Now, host: &mut dyn Host) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.shrink();
        // Writing is the end of a turn: what a request does now nobody would hear of before something else happens.
        let Phase::Feed(feed) = &mut conn.phase else {
            if conn.has_input() && conn.takes_requests() {
                self.leave_to_next_turn(id);
            }
            return;
        };
        match &mut **feed {
            Feed::Events(feed) => feed.tell_dropped(&mut conn.output),
            Feed::Log(_) => return self.file_changed(id, host),
            Feed::Live(_) => return self.tell(id, now, host),
            #[cfg(feature = "fleet")]
            Feed::Published(_) => {}
            #[cfg(feature = "fleet")]
            Feed::Fleet(_) => return self.tell_fleet(id, now),
            Feed::Text(_) => return self.serve(id, now, host),
        }
        if !conn.output.is_empty() {
            self.conns.touch(id);
        }
    }

    /// A client sends no more. It may still read: what it asked for is answered before the connection is closed.
    pub(super) fn hangup(&mut self, id: ConnId, host: &mut dyn Host) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        match conn.phase {
            Phase::Requests | Phase::Deferred | Phase::Refused => {
                conn.closing = true;
                self.conns.touch(id);
            }
            Phase::Feed(_) => self.forget(id, host),
        }
    }

    /// Closes connections whose time is up.
    pub(super) fn expire(&mut self, now: Now, host: &mut dyn Host) {
        while let Some(id) = self.conns.expired(now) {
            self.cut_off(id, host);
        }
    }

    /// Forgets a connection; what it asked for goes on.
    pub(super) fn forget(&mut self, id: ConnId, host: &mut dyn Host) {
        let Some(conn) = self.conns.remove(id) else { return };
        match conn.phase {
            Phase::Requests | Phase::Refused => {}
            Phase::Deferred => {
                self.deferred.abandon(id);
                // Should it have been given up.
                self.asks_again = true;
            }
            Phase::Feed(feed) => match *feed {
                Feed::Events(_) => self.refresh_event_mask(),
                Feed::Log(_) => host.unwatch_file(id),
                // The fleet is told at the end of the turn, if it was the last one.
                #[cfg(feature = "fleet")]
                Feed::Published(_) | Feed::Fleet(_) => {}
                Feed::Live(_) | Feed::Text(_) => {}
            },
        }
    }

    fn cut_off(&mut self, id: ConnId, host: &mut dyn Host) {
        self.forget(id, host);
        host.close_connection(id);
    }
}
