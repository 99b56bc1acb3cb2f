//! What is going to happen, in the order of virtual time.

use std::collections::BTreeMap;

use stheno::exit::ExitStatus;
use stheno::id::{Channel, ConnId, Pid, ProcId};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;

/// Something that will happen.
#[derive(Debug)]
pub enum Happening {
    /// A child writes; `spoken` is what a listener has then said as a whole.
    Output { pid: i32, channel: Channel, bytes: Vec<u8>, spoken: Vec<Spoken> },
    /// A child closes a channel.
    Ended { pid: i32, channel: Channel },
    /// A child that was asked for is on its way no more.
    SetUp { pid: i32 },
    /// A child ends.
    Exit { pid: i32, status: ExitStatus },
    /// A hook or a probe writes.
    HelperOutput { pid: i32, bytes: Vec<u8> },
    /// A question over the network has its answer; the number is that of the question.
    Probed { process: ProcId, number: u64, result: Result<(), String> },
    /// A child, or a stranger, says something on the child's notify socket.
    Notified { pid: i32, sender: Pid, text: String },
    /// A child writes a line feed to its descriptor for that.
    ReadyLine { pid: i32 },
    /// A process that we inherited ends.
    Stranger { pid: i32, status: ExitStatus },
    /// A signal for the daemon.
    Signal(i32),
    /// A client does its next thing.
    Client(usize),
    /// A client sends the rest of what it has to say.
    Sends(usize),
    /// A slow client reads some of what was written to it.
    Reads(usize),
    /// A file that a connection follows has changed.
    FileChanged(ConnId),
    /// Somebody edits the configuration file.
    Edit,
    /// The wall clock is set, by so many seconds.
    ClockSet(i64),
    /// It goes wrong from now on, or no more.
    Trouble,
}

impl Happening {
    pub fn output(pid: i32, channel: Channel, bytes: Vec<u8>, spoken: Vec<Spoken>) -> Happening {
        Happening::Output { pid, channel, bytes, spoken }
    }
}

/// What a listener has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    Ready,
    /// An answer that accepts its event.
    Accepted,
    /// An answer that rejects it.
    Rejected,
    /// An answer that the pool's handler cannot take.
    Broken,
    /// Something that is against the protocol at any time.
    Garbage,
}

/// What is going to happen.
#[derive(Default)]
pub struct Agenda {
    entries: BTreeMap<(u64, u64), Happening>,
    count: u64,
}

impl Agenda {
    /// At the same moment, what was put first happens first.
    pub fn put(&mut self, at: u64, happening: Happening) {
        self.count += 1;
        self.entries.insert((at, self.count), happening);
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<u64> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing, if it has happened by now.
    pub fn pop(&mut self, now: u64) -> Option<Happening> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}
