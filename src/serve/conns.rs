//! All connections: who has room, whose time is up, and which have something to be written.

use std::collections::BTreeSet;

use super::conn::{Conn, Phase};
use super::events::EventFeed;
use super::feed::Feed;
#[cfg(feature = "fleet")]
use super::fleet_live::FleetFeed;
use super::follow::LogFeed;
use super::live::LiveFeed;
#[cfg(feature = "fleet")]
use super::published::PublishedFeed;
use super::sites::Sites;
use crate::clock::{Mono, Now};
use crate::daemon::host::Standing;
use crate::id::{ConnId, IdMap};

/// Closing a connection that holds less makes no room.
const WORTH_CLOSING_BYTES: usize = 32 * 1024;

#[derive(Default)]
pub(super) struct Connections {
    all: IdMap<ConnId, Conn>,
    /// Those that are fed with events; the others with feeds are found by their inputs.
    events: BTreeSet<ConnId>,
    /// Those that follow a log in memory.
    of_memory: BTreeSet<ConnId>,
    /// Pages that are open.
    live: BTreeSet<ConnId>,
    /// Readers of what a fleet publishes.
    #[cfg(feature = "fleet")]
    published: BTreeSet<ConnId>,
    /// Pages of the fleet that are open.
    #[cfg(feature = "fleet")]
    fleet_pages: BTreeSet<ConnId>,
    /// How many have a feed without an end.
    feeds: usize,
    /// Those that have output, or are to be closed.
    dirty: Vec<ConnId>,
    /// When each is looked at next, once. A deadline that moves on leaves this alone.
    timers: BTreeSet<(Mono, ConnId)>,
}

impl Connections {
    pub(super) fn get(&self, id: ConnId) -> Option<&Conn> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.all.get_mut(&id)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Whether a server has no room for one more connection: what the others have not taken of their own slots is not
    /// to be had.
    pub(super) fn is_full(&self, server: usize, sites: &Sites, connections_max: usize) -> bool {
        let mut counts = vec![0; sites.len()];
        self.all.values().for_each(|conn| {
            if let Some(count) = counts.get_mut(conn.server) {
                *count += 1;
            }
        });
        let others = counts.iter().enumerate().filter(|(other, _)| *other != server);
        let reserved: usize = others.map(|(other, count)| sites.slots(other, connections_max).max(*count)).sum();
        counts.get(server).copied().unwrap_or(0) + reserved >= connections_max
    }

    /// Which connection of a server makes room for a new one: by their standing, and then the oldest of those who have
    /// not proven themselves, and who has been idle longest of the others. Who is served is none of them.
    pub(super) fn first_to_go(&self, server: usize) -> Option<ConnId> {
        let rank = |conn: &Conn| match conn.standing() {
            Standing::Unproven => Some((Standing::Unproven, Mono(0))),
            Standing::Served => None,
            standing => Some((standing, conn.deadline)),
        };
        let of_server = self.all.iter().filter(|(_, conn)| conn.server == server);
        let ranked = of_server.filter_map(|(id, conn)| Some((rank(conn)?, *id)));
        ranked.min().map(|(_, id)| id)
    }

    /// Bytes that all of them hold.
    pub(super) fn bytes(&self) -> usize {
        self.all.values().map(Conn::bytes).sum()
    }

    /// Which connection but one makes room when too much is held: who does not read, and then who holds most.
    pub(super) fn largest(&self, but: Option<ConnId>) -> Option<ConnId> {
        let others = self.all.iter().filter(|(id, conn)| Some(**id) != but && conn.bytes() >= WORTH_CLOSING_BYTES);
        others.max_by_key(|(id, conn)| (!conn.output.is_empty(), conn.bytes(), **id)).map(|(id, _)| *id)
    }

    pub(super) fn add(&mut self, id: ConnId, conn: Conn) {
        self.all.insert(id, conn);
        self.mind_deadline(id);
    }

    pub(super) fn remove(&mut self, id: ConnId) -> Option<Conn> {
        let conn = self.all.remove(&id)?;
        if let Some(timer) = conn.timer {
            self.timers.remove(&(timer, id));
        }
        if let Phase::Feed(feed) = &conn.phase {
            self.feeds -= usize::from(feed.is_endless());
            self.events.remove(&id);
            self.of_memory.remove(&id);
            self.live.remove(&id);
            #[cfg(feature = "fleet")]
            self.published.remove(&id);
            #[cfg(feature = "fleet")]
            self.fleet_pages.remove(&id);
        }
        Some(conn)
    }

    /// What an open feed of one kind tells, and the bytes for it; `None` for one that is to be closed.
    fn feed<F>(&mut self, id: ConnId, of_kind: fn(&mut Feed) -> Option<&mut F>) -> Option<(&mut F, &mut Vec<u8>)> {
        let conn = self.all.get_mut(&id).filter(|conn| !conn.closing)?;
        let Phase::Feed(feed) = &mut conn.phase else { return None };
        Some((of_kind(feed)?, &mut conn.output))
    }

    /// Of a client that is told of events.
    pub(super) fn event_feed(&mut self, id: ConnId) -> Option<(&mut EventFeed, &mut Vec<u8>)> {
        self.feed(id, |feed| if let Feed::Events(feed) = feed { Some(feed) } else { None })
    }

    /// Of one that follows a log.
    pub(super) fn log_feed(&mut self, id: ConnId) -> Option<(&mut LogFeed, &mut Vec<u8>)> {
        self.feed(id, |feed| if let Feed::Log(feed) = feed { Some(feed) } else { None })
    }

    /// Of a page that is open.
    pub(super) fn live_feed(&mut self, id: ConnId) -> Option<(&mut LiveFeed, &mut Vec<u8>)> {
        self.feed(id, |feed| if let Feed::Live(feed) = feed { Some(feed) } else { None })
    }

    /// Of a page of the fleet that is open.
    #[cfg(feature = "fleet")]
    pub(super) fn fleet_feed(&mut self, id: ConnId) -> Option<(&mut FleetFeed, &mut Vec<u8>)> {
        self.feed(id, |feed| if let Feed::Fleet(feed) = feed { Some(feed) } else { None })
    }

    /// Of a reader of what a fleet publishes, who may also say something.
    #[cfg(feature = "fleet")]
    pub(super) fn published_feed(&mut self, id: ConnId) -> Option<(&mut PublishedFeed, &mut Vec<u8>)> {
        self.feed(id, |feed| if let Feed::Published(feed) = feed { Some(feed) } else { None })
    }

    /// A connection is to be closed once its output is written.
    pub(super) fn close(&mut self, id: ConnId) {
        if let Some(conn) = self.all.get_mut(&id).filter(|conn| !conn.closing) {
            conn.closing = true;
            self.touch(id);
        }
    }

    /// Something is to be written to a connection, or it is to be closed.
    pub(super) fn touch(&mut self, id: ConnId) {
        self.dirty.push(id);
    }

    /// Those that were touched since the last call, each once.
    pub(super) fn take_dirty(&mut self) -> Vec<ConnId> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        dirty
    }

    /// How many feeds without an end there are, of events or of logs that are followed.
    pub(super) fn feeds(&self) -> usize {
        self.feeds
    }

    /// A feed has come to its end; requests are taken again.
    pub(super) fn end_feed(&mut self, id: ConnId) {
        let Some(conn) = self.all.get_mut(&id) else { return };
        if let Phase::Feed(feed) = std::mem::replace(&mut conn.phase, Phase::Requests) {
            self.feeds -= usize::from(feed.is_endless());
            self.events.remove(&id);
            self.live.remove(&id);
        }
    }

    /// From now on a connection is served by a feed.
    pub(super) fn begin_feed(&mut self, id: ConnId, feed: Feed) {
        let Some(conn) = self.all.get_mut(&id) else { return };
        self.feeds += usize::from(feed.is_endless());
        match &feed {
            Feed::Events(_) => drop(self.events.insert(id)),
            Feed::Live(_) => drop(self.live.insert(id)),
            #[cfg(feature = "fleet")]
            Feed::Published(_) => drop(self.published.insert(id)),
            #[cfg(feature = "fleet")]
            Feed::Fleet(_) => drop(self.fleet_pages.insert(id)),
            Feed::Log(_) | Feed::Text(_) => {}
        }
        if matches!(&feed, Feed::Log(feed) if feed.is_of_memory()) {
            self.of_memory.insert(id);
        }
        conn.phase = Phase::Feed(Box::new(feed));
        self.dirty.push(id);
    }

    /// Those that are fed with events.
    pub(super) fn fed_with_events(&self) -> &BTreeSet<ConnId> {
        &self.events
    }

    /// Those that follow a log in memory.
    pub(super) fn fed_from_memory(&self) -> Vec<ConnId> {
        self.of_memory.iter().copied().collect()
    }

    /// Pages that are open.
    pub(super) fn live(&self) -> &BTreeSet<ConnId> {
        &self.live
    }

    /// Readers of what a fleet publishes.
    #[cfg(feature = "fleet")]
    pub(super) fn published(&self) -> &BTreeSet<ConnId> {
        &self.published
    }

    /// Pages of the fleet that are open.
    #[cfg(feature = "fleet")]
    pub(super) fn fleet_pages(&self) -> &BTreeSet<ConnId> {
        &self.fleet_pages
    }

    /// When [`Connections::expired`] has something to say.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A connection's deadline may have come nearer.
    pub(super) fn mind_deadline(&mut self, id: ConnId) {
        let Some(conn) = self.all.get_mut(&id) else { return };
        if conn.timer.is_none_or(|timer| conn.deadline < timer) {
            if let Some(timer) = conn.timer.replace(conn.deadline) {
                self.timers.remove(&(timer, id));
            }
            self.timers.insert((conn.deadline, id));
        }
    }

    /// The next connection whose time is up, if there is one.
    pub(super) fn expired(&mut self, now: Now) -> Option<ConnId> {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now.mono {
                return None;
            }
            self.timers.pop_first();
            let Some(conn) = self.all.get_mut(&id) else { continue };
            conn.timer = None;
            if !conn.can_expire() {
                conn.prolong(now);
            }
            if conn.deadline <= now.mono {
                return Some(id);
            }
            self.mind_deadline(id);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;

    fn at(secs: u64) -> Now {
        Now { mono: Mono(secs * 1_000_000_000), wall: Wall(0) }
    }

    fn with(count: u64) -> Connections {
        let mut conns = Connections::default();
        (0..count).for_each(|id| conns.add(ConnId(id), Conn::new(0, "client".into(), 1 << 20, at(id))));
        conns
    }

    #[test]
    fn each_is_cut_off_when_its_own_time_is_up() {
        let mut conns = with(2);
        assert_eq!(conns.deadline(), Some(at(60).mono));
        assert_eq!(conns.expired(at(59)), None);
        // One that waits for us is not cut off.
        conns.get_mut(ConnId(0)).unwrap().phase = Phase::Deferred;
        assert_eq!(conns.expired(at(60)), None);
        assert_eq!(conns.expired(at(61)), Some(ConnId(1)));
        conns.remove(ConnId(1));
        assert_eq!(conns.deadline(), Some(at(60 + 24 * 3600).mono));
        // A deadline that comes nearer counts at once.
        conns.get_mut(ConnId(0)).unwrap().refuse(at(100));
        conns.mind_deadline(ConnId(0));
        assert_eq!(conns.deadline(), Some(at(105).mono));
        assert_eq!(conns.expired(at(105)), Some(ConnId(0)));
    }

    #[test]
    fn dirty_ones_are_named_once() {
        let mut conns = with(3);
        [2, 0, 2].into_iter().for_each(|id| conns.touch(ConnId(id)));
        assert_eq!(conns.take_dirty(), [ConnId(0), ConnId(2)]);
        assert!(conns.take_dirty().is_empty());
    }
}
