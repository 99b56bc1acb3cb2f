//! What instances of a fleet say to each other, as bytes.
//!
//! A stream begins with a [`hello`] and goes on in [`frame`]s; beside it go [`datagram`]s. Who is looked for by nobody makes
//! itself known by [`announce`]. All carry tags made with a
//! [`key`]; their bodies are written with [`codec`].

pub mod announce;
pub mod codec;
pub mod command;
pub mod datagram;
pub mod frame;
pub mod hello;
pub mod key;
pub mod report;

/// What a frame is for. A number that is not known is passed over, so that newer instances may say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nothing but that the sender is there.
    Keepalive,
    /// What the sender knows of itself: a change, or a part of all of it.
    Report,
    /// What somebody wants to be told of.
    Subscribe,
    /// Something to be done, with a number for its answer.
    Command,
    /// What came of a command.
    Answer,
    /// A message of the membership that could not go as a datagram.
    Gossip,
    /// The sender is about to end.
    Bye,
    /// Instances that the sender knows, for those who discover them.
    Known,
    /// The sender has heard nothing for long, ends the stream, and is there.
    Quiet,
}

impl Kind {
    /// All of them, in the order of their numbers, which begin with 0.
    const ALL: &'static [Kind] = &[
        Kind::Keepalive,
        Kind::Report,
        Kind::Subscribe,
        Kind::Command,
        Kind::Answer,
        Kind::Gossip,
        Kind::Bye,
        Kind::Known,
        Kind::Quiet,
    ];

    /// Its number on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind of a number; `None` for one that is not known here.
    pub fn of(number: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_number() {
        for (at, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!((usize::from(kind.number()), Kind::of(at as u8)), (at, Some(*kind)));
        }
        assert_eq!(Kind::of(Kind::ALL.len() as u8), None);
    }
}
