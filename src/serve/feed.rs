//! Feeds: what a connection is served with after its request, for as long as that lasts. A further kind of long
//! connection is a further variant, made by a row of [`ROUTES`](super::ROUTES).

use super::Service;
use super::conn::Phase;
use super::events::EventFeed;
#[cfg(feature = "fleet")]
use super::fleet_pages::FleetFeed;
use super::follow::LogFeed;
use super::live::LiveFeed;
#[cfg(feature = "fleet")]
use super::published::PublishedFeed;
use super::text::TextFeed;
use crate::daemon::Host;
use crate::eventtype::EventMask;
use crate::id::ConnId;

/// What a connection is served with.
pub(super) enum Feed {
    /// Events, as they happen.
    Events(EventFeed),
    /// The state of all processes, for a page that is open.
    Live(LiveFeed),
    /// A fleet, for a page that is open.
    #[cfg(feature = "fleet")]
    Fleet(FleetFeed),
    /// What a fleet publishes.
    #[cfg(feature = "fleet")]
    Published(PublishedFeed),
    /// A log, as it grows.
    Log(LogFeed),
    /// A long part of a log, up to its end.
    Text(TextFeed),
}

impl Feed {
    /// The events it is to be told of.
    pub(super) fn event_mask(&self) -> Option<EventMask> {
        match self {
            Feed::Events(feed) => Some(feed.mask()),
            #[cfg(feature = "fleet")]
            Feed::Published(_) | Feed::Fleet(_) => None,
            Feed::Live(_) | Feed::Log(_) | Feed::Text(_) => None,
        }
    }

    /// Whether it goes on until one of both sides gives up.
    pub(super) fn is_endless(&self) -> bool {
        match self {
            Feed::Events(_) | Feed::Live(_) | Feed::Log(_) => true,
            #[cfg(feature = "fleet")]
            Feed::Published(_) | Feed::Fleet(_) => true,
            Feed::Text(_) => false,
        }
    }

    /// Whether it is served already; before, its time is that of a request.
    pub(super) fn is_begun(&self) -> bool {
        match self {
            #[cfg(feature = "fleet")]
            Feed::Published(feed) => feed.is_begun(),
            _ => true,
        }
    }
}

impl Service {
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

    /// Hands the events of this turn to the feeds that want them.
    pub(super) fn feed_events(&mut self) {
        let ids: Vec<ConnId> = self.conns.fed_with_events().iter().copied().collect();
        if ids.is_empty() {
            return;
        }
        let (events, lost) = self.daemon.bus.take_streamed();
        for id in ids {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            let Phase::Feed(feed) = &mut conn.phase else { continue };
            if let Feed::Events(feed) = &mut **feed
                && feed.feed(&events, lost, &mut conn.output)
            {
                self.conns.touch(id);
            }
        }
    }

    /// Ends all streams of events, for the run is over.
    pub(super) fn end_events(&mut self) {
        let ids: Vec<ConnId> = self.conns.fed_with_events().iter().copied().collect();
        for id in ids {
            let Some(conn) = self.conns.get_mut(id).filter(|conn| !conn.closing) else { continue };
            let Phase::Feed(feed) = &mut conn.phase else { continue };
            let Feed::Events(feed) = &mut **feed else { continue };
            feed.end(&mut conn.output);
            conn.closing = true;
            self.conns.touch(id);
        }
    }

    /// Tells the daemon what all streams of events together want.
    pub(super) fn refresh_event_mask(&mut self) {
        let masks = self.conns.fed_with_events().iter().filter_map(|id| match &self.conns.get(*id)?.phase {
            Phase::Feed(feed) => feed.event_mask(),
            _ => None,
        });
        let mask = masks.fold(EventMask::NONE, EventMask::union);
        self.daemon.bus.set_stream_mask(mask);
    }
}
