//! Feeds: what a connection is served with after its request, for as long as that lasts. A further kind of long
//! connection is a further variant, made by a row of [`ROUTES`](super::ROUTES). What the service does for feeds of one kind
//! stands beside that kind.

use super::events::EventFeed;
#[cfg(feature = "fleet")]
use super::fleet_live::FleetFeed;
use super::follow::LogFeed;
use super::live::LiveFeed;
#[cfg(feature = "fleet")]
use super::published::PublishedFeed;
use super::text::TextFeed;

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
