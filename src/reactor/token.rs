//! Tokens of the poll: what kind of source is ready, and which.

use mio::Token;

use crate::id::{Channel, ConnId, LogId, ProcId};

/// A source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The signal pipe.
    Signals,
    /// A server's listening socket, by its index.
    Listener(usize),
    /// A client.
    Conn(ConnId),
    /// A child's output.
    Output(ProcId, Channel),
    /// A child's input that was full.
    Stdin(ProcId),
    /// A child's log whose reader was slow.
    Log(LogId),
    /// Our own log or stdout, whose reader was slow.
    Activity,
    /// Files that are followed.
    Watches,
}

/// Bits of a token that tell the kind.
const KIND_BITS: u32 = 4;

impl Source {
    pub(super) fn token(self) -> Token {
        let (kind, id) = match self {
            Source::Signals => (0, 0),
            Source::Listener(index) => (1, index),
            Source::Conn(id) => (2, id.0 as usize),
            Source::Output(id, Channel::Stdout) => (3, id.0 as usize),
            Source::Output(id, Channel::Stderr) => (4, id.0 as usize),
            Source::Stdin(id) => (5, id.0 as usize),
            Source::Log(id) => (6, id.0 as usize),
            Source::Activity => (7, 0),
            Source::Watches => (8, 0),
        };
        Token(id << KIND_BITS | kind)
    }

    pub(super) fn of(token: Token) -> Source {
        let id = token.0 >> KIND_BITS;
        match token.0 & ((1 << KIND_BITS) - 1) {
            0 => Source::Signals,
            1 => Source::Listener(id),
            2 => Source::Conn(ConnId(id as u32)),
            3 => Source::Output(ProcId(id as u32), Channel::Stdout),
            4 => Source::Output(ProcId(id as u32), Channel::Stderr),
            5 => Source::Stdin(ProcId(id as u32)),
            6 => Source::Log(LogId(id as u32)),
            7 => Source::Activity,
            _ => Source::Watches,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_there_and_back() {
        let all = [
            Source::Signals,
            Source::Listener(3),
            Source::Conn(ConnId(u32::MAX >> KIND_BITS)),
            Source::Output(ProcId(7), Channel::Stdout),
            Source::Output(ProcId(7), Channel::Stderr),
            Source::Stdin(ProcId(0)),
            Source::Log(LogId(1)),
            Source::Activity,
            Source::Watches,
        ];
        for source in all {
            assert_eq!(Source::of(source.token()), source);
        }
    }
}
