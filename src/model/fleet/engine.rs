//! By which the instances of a fleet agree: who leads, and on what else is to be the same everywhere (F-35).
//!
//! An [`Engine`] knows no sockets, files or clocks. It is told what has come, who is there and what time it is, and answers
//! with what is to be done, in that order: what is to be [`Effect::Persist`]ed is on disk before anything after it is sent.
//! Whoever cannot write gives the engine up, and takes it up again from what is on disk.
//!
//! [`embedded`] is Raft by noraft, with an election gate (F-42) and leases (F-44) around it; [`alone`] is for one or two
//! voters, of whom there is no majority to be had (F-16). [`founding`] says who begins a fleet.

pub mod alone;
pub mod bodies;
pub mod embedded;
pub mod founding;

use std::time::Duration;

use crate::clock::Mono;

/// A voter, or whoever else takes part: the upper half is made of its name ([`name_half`]), the lower one of chance, made anew
/// with its file. Who has lost its file so is somebody else, and cannot vote twice.
pub type NodeId = u64;

/// Time in which most voters have to have answered who leads, so that it may act (F-44).
pub const QUORUM_TIME: Duration = Duration::from_secs(2);

/// Time for which an instance believes in who leads without hearing of it (F-44).
pub const LEASE_TIME: Duration = Duration::from_secs(5);

/// Who leads, and by which election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Master {
    /// Who that is.
    pub id: NodeId,
    /// Of two Masters the one of the higher term is the later.
    pub term: u64,
    /// Until when that holds, if nothing more is heard, on the clock of the calls.
    pub lease_until: Mono,
}

/// Who is there, as the membership and the streams tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Those that are there and can be spoken to, this one among them; who is to lead rather than others comes first.
    pub there: Vec<NodeId>,
    /// The halves of names of those that are to vote.
    pub voters: Vec<u32>,
    /// Whether this one may stand for election: it waits for nobody any more.
    pub may_stand: bool,
    /// Some other one that is there says that it has a Master.
    pub is_led: bool,
}

/// What an engine is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Time has passed. It comes first in each turn, so that whoever stood still finds its lease gone before it acts.
    Turn,
    /// Something has come from another engine.
    Message(&'a [u8]),
    /// Who is there has changed.
    Presence(&'a Presence),
    /// A fleet is founded with these voters, this one among them.
    Found {
        /// The number of the fleet, of chance.
        fleet: u64,
        /// Who votes at first.
        voters: &'a [NodeId],
    },
    /// What was made of all entries that were committed so far, in place of them.
    Snapshot(&'a [u8]),
}

/// What is to be done, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Something is to be sent. It may be lost.
    Send(NodeId, Vec<u8>),
    /// Records are to be on disk before anything that follows is done.
    Persist(Vec<Vec<u8>>),
    /// Somebody else leads, or nobody; also told when the lease is longer than it was.
    Master(Option<Master>),
    /// All have agreed on an entry.
    Committed {
        /// Its place.
        index: u64,
        /// What was proposed.
        body: Vec<u8>,
        /// Who waits for it here.
        ticket: Option<Ticket>,
    },
    /// What was made of all entries up to here, by another one: it takes the place of all that was committed before.
    Restored(Vec<u8>),
    /// The log is long: [`Input::Snapshot`] makes it short.
    IsLong,
    /// Nobody knows what comes of a proposal: who leads has changed.
    Lost(Ticket),
}

/// A proposal that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The term of its entry.
    pub term: u64,
    /// The place of its entry.
    pub index: u64,
}

/// What all engines are.
pub trait Engine {
    /// Takes something in; what follows is appended.
    fn on_input(&mut self, input: Input<'_>, now: Mono, out: &mut Vec<Effect>);
    /// When it has something to do although nothing comes.
    fn deadline(&self) -> Option<Mono>;
    /// Has all agree on something. `None`: this one does not lead, or too much is under way; nothing was proposed.
    fn propose(&mut self, body: &[u8], now: Mono, out: &mut Vec<Effect>) -> Option<Ticket>;
}

/// The half of a [`NodeId`] that is made of a name (FNV-1a).
pub fn name_half(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The number of an instance of that name, with so much chance.
pub fn node_id(name: &str, chance: u32) -> NodeId {
    u64::from(name_half(name)) << 32 | u64::from(chance)
}

/// The half of a number that is made of a name.
pub fn half_of(id: NodeId) -> u32 {
    (id >> 32) as u32
}

/// Whether so many are most of so many.
pub fn is_most(count: usize, of: usize) -> bool {
    count * 2 > of
}

#[cfg(test)]
mod tests;
