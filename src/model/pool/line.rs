//! What a pool has to say in the activity log.

use std::fmt;
use std::rc::Rc;

use crate::level::Level;
use crate::model::counted;
use crate::wire::listener::ListenerState;
use crate::wire::pyrepr;

/// A line of the activity log; displays as its text. Formatted only if somebody reads it: most are DEBG.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PoolLine {
    StateChanged { listener: Rc<str>, from: ListenerState, to: ListenerState },
    EnteredUnknown { listener: Rc<str> },
    BadResultLine { listener: Rc<str>, line: Vec<u8> },
    Processed { listener: Rc<str> },
    Rejected { listener: Rc<str>, count: u64 },
    HandlerError { listener: Rc<str> },
    Rebuffering { pool: Rc<str>, serial: u64, queued: usize, events_max: usize },
    Overflowed { pool: Rc<str>, serial: u64 },
    Sent { listener: Rc<str>, serial: u64 },
    BrokenPipe { listener: Rc<str>, serial: u64 },
}

impl PoolLine {
    /// The level it has in 4.3.0: the ordinary course of events is DEBG, what a listener did wrong WARN.
    pub fn level(&self) -> Level {
        match self {
            PoolLine::StateChanged { .. }
            | PoolLine::Processed { .. }
            | PoolLine::Rebuffering { .. }
            | PoolLine::Sent { .. }
            | PoolLine::BrokenPipe { .. } => Level::Debug,
            PoolLine::EnteredUnknown { .. }
            | PoolLine::BadResultLine { .. }
            | PoolLine::Rejected { .. }
            | PoolLine::HandlerError { .. } => Level::Warn,
            PoolLine::Overflowed { .. } => Level::Error,
        }
    }
}

impl fmt::Display for PoolLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolLine::StateChanged { listener, from, to } => write!(f, "{listener}: {} -> {}", from.name(), to.name()),
            PoolLine::EnteredUnknown { listener } => write!(
                f,
                "{listener}: has entered the UNKNOWN state and will no longer receive events, this usually indicates \
                 the process violated the eventlistener protocol"
            ),
            PoolLine::BadResultLine { listener, line } => {
                write!(f, "{listener}: bad result line: '{}'", pyrepr::utf8_or_undecodable(line))
            }
            PoolLine::Processed { listener } => write!(f, "{listener}: event was processed"),
            PoolLine::Rejected { listener, count } => {
                write!(f, "{listener}: event was rejected{}", counted::times(*count))
            }
            PoolLine::HandlerError { listener } => write!(f, "{listener}: event caused an error"),
            PoolLine::Rebuffering { pool, serial, queued, events_max } => {
                write!(f, "rebuffering event {serial} for pool {pool} (buf size={queued}, max={events_max})")
            }
            PoolLine::Overflowed { pool, serial } => {
                write!(f, "pool {pool} event buffer overflowed, discarding event {serial}")
            }
            PoolLine::Sent { listener, serial } => write!(f, "event {serial} sent to listener {listener}"),
            PoolLine::BrokenPipe { listener, serial } => write!(
                f,
                "epipe occurred while sending event {serial} to listener {listener}, listener state unchanged"
            ),
        }
    }
}
