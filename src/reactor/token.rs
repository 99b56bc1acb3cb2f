//! Tokens of the poll: what is watched, and which source each token stands for.

use std::io;

use mio::event;
use mio::{Interest, Registry, Token};

use crate::id::{Channel, ConnId, IdMap, Pid, ProcId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Signals,
    /// A server's listening socket, by its index.
    Listener(usize),
    Conn(ConnId),
    Output(ProcId, Channel),
    /// A child's input that was full.
    Stdin(ProcId),
    /// A child on the way to its program.
    Report(ProcId),
    /// A stream that logs go to, our own among them, whose reader was slow.
    Streams,
    /// Files that are followed.
    Watches,
    /// What a hook or probe of that pid writes.
    Helper(Pid),
    /// What a child tells of itself.
    Notify(ProcId),
    /// The pipe on which a child says that it is ready.
    ReadyPipe(ProcId),
    /// A connection that asks whether a process is well.
    Probe(ProcId),
    /// Datagrams of other instances.
    Datagrams,
}

/// All that stands in the poll.
///
/// A token is as wide as a pointer, so an id does not fit into it everywhere. Tokens are therefore numbers of their own:
/// one that stands for something is not given out again, and one that was forgotten only after all others. A late event
/// of a source that is gone thus stands for nothing.
pub(super) struct Watched {
    registry: Registry,
    tokens: Tokens,
}

/// The tokens in use.
#[derive(Default)]
struct Tokens {
    sources: IdMap<usize, Source>,
    next: usize,
}

impl Tokens {
    fn issue(&mut self, source: Source) -> Token {
        loop {
            let token = self.next;
            self.next = self.next.wrapping_add(1);
            // The poll keeps the highest number for itself.
            if token != usize::MAX && !self.sources.contains_key(&token) {
                self.sources.insert(token, source);
                return Token(token);
            }
        }
    }
}

impl Watched {
    /// Nothing yet, in that poll.
    pub(super) fn new(registry: Registry) -> Watched {
        Watched { registry, tokens: Tokens::default() }
    }

    /// Has a descriptor watched, under the token that its owner keeps for it: a new one if it has none. It may be another
    /// descriptor than before, or watched already.
    ///
    /// Errors: it is not watched; a new token is not given out.
    pub(super) fn watch(
        &mut self,
        what: &mut impl event::Source,
        token: &mut Option<Token>,
        source: Source,
        interest: Interest,
    ) -> io::Result<()> {
        if let Some(token) = *token {
            return self
                .registry
                .reregister(what, token, interest)
                .or_else(|_| self.registry.register(what, token, interest));
        }
        let issued = self.tokens.issue(source);
        let registered = self.registry.register(what, issued, interest);
        match registered {
            Ok(()) => *token = Some(issued),
            Err(_) => self.forget(Some(issued)),
        }
        registered
    }

    /// Its descriptor is closed, which has taken it out of the poll.
    pub(super) fn forget(&mut self, token: Option<Token>) {
        if let Some(token) = token {
            self.tokens.sources.remove(&token.0);
        }
    }

    /// What a token stands for; `None` once it is forgotten.
    pub(super) fn source(&self, token: Token) -> Option<Source> {
        self.tokens.sources.get(&token.0).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;
    use mio::unix::pipe;

    #[test]
    fn a_token_in_use_is_never_given_out_again() {
        let mut tokens = Tokens { next: usize::MAX - 2, ..Tokens::default() };
        let stream = Source::Conn(ConnId(u64::MAX));
        let first: Vec<usize> = (0..4).map(|_| tokens.issue(stream).0).collect();
        assert_eq!(first, [usize::MAX - 2, usize::MAX - 1, 0, 1]);
        // Once around: what is in use stays what it is, what was forgotten meanwhile comes again.
        tokens.sources.remove(&0);
        tokens.next = usize::MAX - 2;
        let again: Vec<usize> = (0..2).map(|_| tokens.issue(Source::Signals).0).collect();
        assert_eq!(again, [0, 2]);
        assert_eq!(tokens.sources[&1], stream);
    }

    #[test]
    fn what_is_forgotten_stands_for_nothing() {
        let poll = Poll::new().unwrap();
        let mut watched = Watched::new(poll.registry().try_clone().unwrap());
        let (mut sender, mut receiver) = pipe::new().unwrap();
        let mut tokens = [None, None];
        watched.watch(&mut receiver, &mut tokens[0], Source::Signals, Interest::READABLE).unwrap();
        watched.watch(&mut sender, &mut tokens[1], Source::Streams, Interest::WRITABLE).unwrap();
        assert_ne!(tokens[0], tokens[1]);
        // Watched already, and a descriptor in place of another: the token stays.
        let before = tokens;
        watched.watch(&mut receiver, &mut tokens[0], Source::Signals, Interest::READABLE).unwrap();
        let (_, mut other) = pipe::new().unwrap();
        watched.watch(&mut other, &mut tokens[0], Source::Signals, Interest::READABLE).unwrap();
        assert_eq!(tokens, before);
        assert_eq!(watched.source(tokens[0].unwrap()), Some(Source::Signals));
        watched.forget(tokens[0]);
        assert_eq!(watched.source(tokens[0].unwrap()), None);
        // What cannot be watched uses no token.
        let mut none = None;
        assert!(watched.watch(&mut receiver, &mut none, Source::Watches, Interest::READABLE).is_err());
        assert_eq!((none, watched.tokens.sources.len()), (None, 1));
    }
}
