//! One stream to another instance, from the first byte behind the HTTP to its end: who is there, and then frames.
//!
//! The side that was connected to challenges; the one that connected answers and proves that it knows the key; only then the
//! first says who it is. The owner of a session is asked before that ([`Heard::Asked`]), for it knows who may come.
//! Nothing that is wrong is answered: the stream is ended.

use crate::wire::fleet::frame::{BadFrame, Opener, Sealer};
use crate::wire::fleet::hello::{
    Challenge, HELLO_BYTES_MAX, Hello, Nonce, REFUSAL_BYTES_MAX, VERSIONS, common_version,
};
use crate::wire::fleet::key::Key;

/// What this instance says of itself to each other one.
#[derive(Clone, Debug)]
pub struct Me {
    /// As all configurations name it: `host:port`.
    pub identifier: String,
    /// What distinguishes this run from others.
    pub boot: u64,
    /// Made of the secret that all instances share.
    pub key: Key,
    /// What has to be the same with all.
    pub options: String,
    /// The short name of this instance, by which people call it.
    pub nick: String,
    /// `host:port` by which the others reach us, if that does not follow from the identifier.
    pub place: String,
}

/// What a session has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody who knows the key wants to speak to us: [`Session::admit`], or the end of the stream.
    Asked(Hello),
    /// The one we have connected to is who it says.
    Met(Hello),
    /// A frame of this kind.
    Frame(u8, Vec<u8>),
}

/// Why a stream is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The other side does not know the key.
    WrongKey,
    /// It speaks other versions only.
    Version((u8, u8)),
    /// It says something that nobody says.
    Malformed,
    /// A frame that is none.
    Frame(BadFrame),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::WrongKey => f.write_str("it has another secret"),
            Broken::Version((oldest, newest)) => {
                write!(f, "it speaks versions {oldest} to {newest}, we {} to {}", VERSIONS.0, VERSIONS.1)
            }
            Broken::Malformed => f.write_str("what it says cannot be read"),
            Broken::Frame(BadFrame::Length) => f.write_str("a frame is too long"),
            Broken::Frame(BadFrame::Tag) => f.write_str("a frame is not from the other side, or not the next one"),
        }
    }
}

/// One stream, from the first byte of its handshake to its end.
#[derive(Debug)]
pub struct Session {
    state: State,
    /// What has arrived of a message of the beginning.
    input: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// We have connected and wait to be challenged.
    Connected {
        nonce: Nonce,
    },
    /// We have said who we are, and wait to hear who they are.
    Answered {
        nonce: Nonce,
        challenge: Vec<u8>,
        own: Vec<u8>,
    },
    /// We have challenged those who connected, and wait to hear who they are.
    Challenged {
        challenge: Vec<u8>,
        nonce: Nonce,
    },
    /// The owner has to say whether it may come.
    Asking {
        challenge: Vec<u8>,
        nonce: Nonce,
        other: Hello,
        said: Vec<u8>,
    },
    Open {
        sealer: Sealer,
        opener: Opener,
    },
    Ended,
}

impl Session {
    /// A session on a connection that we have made: we are challenged first.
    pub fn connect(nonce: Nonce) -> Session {
        Session { state: State::Connected { nonce }, input: Vec::new() }
    }

    /// Somebody has connected, and is challenged.
    pub fn accept(nonce: Nonce, out: &mut Vec<u8>) -> Session {
        let challenge = Challenge { versions: VERSIONS, nonce }.write();
        push_message(out, &challenge);
        Session { state: State::Challenged { challenge, nonce }, input: Vec::new() }
    }

    /// Whether frames may be sent.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Takes what has arrived, and appends what is answered. After an error nothing is taken any more.
    pub fn receive(&mut self, bytes: &[u8], me: &Me, out: &mut Vec<u8>, heard: &mut Vec<Heard>) -> Result<(), Broken> {
        let outcome = self.take(bytes, me, out, heard);
        if outcome.is_err() {
            self.state = State::Ended;
            self.input = Vec::new();
        }
        outcome
    }

    fn take(&mut self, bytes: &[u8], me: &Me, out: &mut Vec<u8>, heard: &mut Vec<Heard>) -> Result<(), Broken> {
        if let State::Open { opener, .. } = &mut self.state {
            opener.feed(bytes);
            while let Some((kind, body)) = opener.open().map_err(Broken::Frame)? {
                heard.push(Heard::Frame(kind, body.to_vec()));
            }
            return Ok(());
        }
        self.input.extend_from_slice(bytes);
        while let Some(message) = take_message(&mut self.input)? {
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Connected { nonce } => answered(&message, nonce, me, out)?,
                State::Answered { nonce, challenge, own } => {
                    let hello = read_hello(&message, me, &[&challenge, &own])?;
                    let theirs = &hello.nonce;
                    let (sealer, opener) = keys(me, [theirs, &nonce], hello.boot, false);
                    heard.push(Heard::Met(hello));
                    State::Open { sealer, opener }
                }
                State::Challenged { challenge, nonce } => {
                    let other = read_hello(&message, me, &[&challenge])?;
                    heard.push(Heard::Asked(other.clone()));
                    State::Asking { challenge, nonce, other, said: message }
                }
                // Whoever has not been answered yet has nothing more to say.
                State::Asking { .. } | State::Open { .. } | State::Ended => return Err(Broken::Malformed),
            };
            if self.is_open() {
                let rest = std::mem::take(&mut self.input);
                return self.take(&rest, me, out, heard);
            }
        }
        Ok(())
    }

    /// Whether we have said who we are, and wait for an answer.
    pub fn has_asked(&self) -> bool {
        matches!(self.state, State::Answered { .. })
    }

    /// Our part of what makes the session, as long as we have not been answered.
    pub fn nonce(&self) -> Option<Nonce> {
        match &self.state {
            State::Connected { nonce } | State::Answered { nonce, .. } => Some(*nonce),
            _ => None,
        }
    }

    /// The one that [`Heard::Asked`] may not come, and is told why.
    pub fn refuse(&mut self, me: &Me, why: &str, out: &mut Vec<u8>) {
        let State::Asking { challenge, nonce, said, .. } = &self.state else { return };
        let refusal = why.chars().take(REFUSAL_BYTES_MAX / 4).collect();
        let hello = Hello { refusal, ..own_hello(me, *nonce) };
        push_message(out, &hello.write(&me.key, &[challenge, said]));
        self.state = State::Ended;
    }

    /// The one that [`Heard::Asked`] may come.
    pub fn admit(&mut self, me: &Me, out: &mut Vec<u8>) {
        let State::Asking { challenge, nonce, other, said } = &self.state else { return };
        let hello = own_hello(me, *nonce).write(&me.key, &[challenge, said]);
        push_message(out, &hello);
        let (sealer, opener) = keys(me, [nonce, &other.nonce], other.boot, true);
        self.state = State::Open { sealer, opener };
    }

    /// Appends a frame; false if the stream is not that far.
    pub fn send(&mut self, kind: u8, body: &[u8], out: &mut Vec<u8>) -> bool {
        let State::Open { sealer, .. } = &mut self.state else { return false };
        sealer.seal(kind, body, out);
        true
    }
}

fn answered(message: &[u8], nonce: Nonce, me: &Me, out: &mut Vec<u8>) -> Result<State, Broken> {
    let challenge = Challenge::read(message).map_err(|_| Broken::Malformed)?;
    common_version(VERSIONS, challenge.versions).ok_or(Broken::Version(challenge.versions))?;
    let own = own_hello(me, nonce).write(&me.key, &[message]);
    push_message(out, &own);
    Ok(State::Answered { nonce, challenge: message.to_vec(), own })
}

fn own_hello(me: &Me, nonce: Nonce) -> Hello {
    let (identifier, options, nick) = (me.identifier.clone(), me.options.clone(), me.nick.clone());
    let (place, refusal) = (me.place.clone(), String::new());
    Hello { versions: VERSIONS, identifier, boot: me.boot, nonce, options, nick, place, refusal }
}

fn read_hello(message: &[u8], me: &Me, said: &[&[u8]]) -> Result<Hello, Broken> {
    let hello = Hello::read(message, &me.key, said).map_err(|_| Broken::Malformed)?.ok_or(Broken::WrongKey)?;
    common_version(VERSIONS, hello.versions).ok_or(Broken::Version(hello.versions))?;
    Ok(hello)
}

/// The two directions of a session. `nonces` are that of the one who was connected to, and of the other.
fn keys(me: &Me, nonces: [&Nonce; 2], other: u64, was_connected_to: bool) -> (Sealer, Opener) {
    let boots = if was_connected_to { [me.boot, other] } else { [other, me.boot] };
    let boots = boots.map(u64::to_be_bytes);
    let key = |label| me.key.derive(label, &[nonces[0], nonces[1], &boots[0], &boots[1]]);
    let (accepted, connected) = (key("frames of the accepted side"), key("frames of the connected side"));
    match was_connected_to {
        true => (Sealer::new(accepted), Opener::new(connected)),
        false => (Sealer::new(connected), Opener::new(accepted)),
    }
}

fn push_message(out: &mut Vec<u8>, message: &[u8]) {
    out.extend_from_slice(&(message.len() as u16).to_be_bytes());
    out.extend_from_slice(message);
}

/// Takes a whole message of the beginning off the input.
fn take_message(input: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Broken> {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if length > HELLO_BYTES_MAX {
        return Err(Broken::Malformed);
    }
    let Some(message) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
    input.drain(..2 + length);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me(name: &str, boot: u64, secret: &str) -> Me {
        let key = Key::of_secret(secret.as_bytes());
        let options = "auto_fence=false".to_string();
        Me { identifier: name.to_string(), boot, key, options, nick: name.to_string(), place: String::new() }
    }

    /// Both ends of a stream, and what has been said and heard.
    struct Pair {
        mes: [Me; 2],
        sessions: [Session; 2],
        heard: [Vec<Heard>; 2],
        /// What is on its way from each side.
        ways: [Vec<u8>; 2],
    }

    impl Pair {
        fn new(mes: [Me; 2]) -> Pair {
            let mut ways = [Vec::new(), Vec::new()];
            let sessions = [Session::connect([1; 16]), Session::accept([2; 16], &mut ways[1])];
            Pair { mes, sessions, heard: Default::default(), ways }
        }

        /// Delivers what is on its way in pieces of so many bytes, until nothing is.
        fn run(&mut self, piece: usize) -> Result<(), Broken> {
            while self.ways.iter().any(|way| !way.is_empty()) {
                for (from, to) in [(0, 1), (1, 0)] {
                    let bytes = std::mem::take(&mut self.ways[from]);
                    for piece in bytes.chunks(piece) {
                        let mut heard = Vec::new();
                        let (session, me) = (&mut self.sessions[to], &self.mes[to]);
                        session.receive(piece, me, &mut self.ways[to], &mut heard)?;
                        if heard.iter().any(|one| matches!(one, Heard::Asked(_))) {
                            session.admit(me, &mut self.ways[to]);
                        }
                        self.heard[to].append(&mut heard);
                    }
                }
            }
            Ok(())
        }
    }

    #[test]
    fn two_meet_and_speak() {
        for piece in [1, 3, 1000] {
            let mut pair = Pair::new([me("a:1", 11, "secret"), me("b:2", 22, "secret")]);
            assert!(!pair.sessions[0].send(1, b"too early", &mut pair.ways[0]));
            pair.run(piece).unwrap();
            assert!(pair.sessions.iter().all(Session::is_open), "by {piece}");
            let names = pair.heard.each_mut().map(|heard| match &heard.remove(0) {
                Heard::Asked(hello) => format!("asked by {} {}", hello.identifier, hello.boot),
                Heard::Met(hello) => format!("met {} {}", hello.identifier, hello.boot),
                other => format!("{other:?}"),
            });
            assert_eq!(names, ["met b:2 22", "asked by a:1 11"], "by {piece}");
            for (side, text) in [(0, "one"), (1, "two"), (0, "three")] {
                assert!(pair.sessions[side].send(side as u8, text.as_bytes(), &mut pair.ways[side]));
            }
            pair.run(piece).unwrap();
            let frame = |kind, text: &str| Heard::Frame(kind, text.as_bytes().to_vec());
            assert_eq!(pair.heard[0], [frame(1, "two")], "by {piece}");
            assert_eq!(pair.heard[1], [frame(0, "one"), frame(0, "three")], "by {piece}");
        }
    }

    #[test]
    fn frames_may_follow_the_hello_at_once() {
        let mut pair = Pair::new([me("a:1", 11, "secret"), me("b:2", 22, "secret")]);
        // The challenge, and its answer.
        for to in [0, 1] {
            let bytes = std::mem::take(&mut pair.ways[1 - to]);
            let mut heard = Vec::new();
            pair.sessions[to].receive(&bytes, &pair.mes[to], &mut pair.ways[to], &mut heard).unwrap();
        }
        let [_, way] = &mut pair.ways;
        pair.sessions[1].admit(&pair.mes[1], way);
        assert!(pair.sessions[1].send(9, b"at once", way));
        pair.run(1000).unwrap();
        assert_eq!(pair.heard[0].last(), Some(&Heard::Frame(9, b"at once".to_vec())));
    }

    #[test]
    fn who_does_not_know_the_secret_learns_nothing() {
        let mut pair = Pair::new([me("a:1", 11, "wrong"), me("b:2", 22, "secret")]);
        assert_eq!(pair.run(1000), Err(Broken::WrongKey));
        assert!(pair.heard.iter().all(Vec::is_empty) && pair.ways[1].is_empty());
        // And the other way round: a false server.
        let mut pair = Pair::new([me("a:1", 11, "secret"), me("b:2", 22, "wrong")]);
        assert_eq!(pair.run(1000), Err(Broken::WrongKey));
        assert!(pair.heard[0].is_empty());
    }

    #[test]
    fn what_was_recorded_opens_no_second_session() {
        let mut pair = Pair::new([me("a:1", 11, "secret"), me("b:2", 22, "secret")]);
        let challenge = std::mem::take(&mut pair.ways[1]);
        pair.sessions[0].receive(&challenge, &pair.mes[0], &mut pair.ways[0], &mut Vec::new()).unwrap();
        let recorded = pair.ways[0].clone();
        let mut other = Session::accept([3; 16], &mut Vec::new());
        let outcome = other.receive(&recorded, &pair.mes[1], &mut Vec::new(), &mut Vec::new());
        assert_eq!(outcome, Err(Broken::WrongKey));
    }

    #[test]
    fn nonsense_ends_the_stream_and_nothing_is_taken_after_it() {
        let me = me("b:2", 22, "secret");
        let other_version = Challenge { versions: (7, 9), nonce: [0; 16] }.write();
        let mut versions = Vec::new();
        push_message(&mut versions, &other_version);
        let too_long = [&(HELLO_BYTES_MAX as u16 + 1).to_be_bytes()[..], &[0; 10]].concat();
        let rows: [(&[u8], bool, Broken); 5] = [
            (b"GET / HTTP/1.1\r\n\r\n", true, Broken::Malformed),
            (&too_long, true, Broken::Malformed),
            (&too_long, false, Broken::Malformed),
            (&[0, 0], false, Broken::Malformed),
            (&versions, true, Broken::Version((7, 9))),
        ];
        for (bytes, connects, expected) in rows {
            for piece in [1, bytes.len()] {
                let mut out = Vec::new();
                let mut session =
                    if connects { Session::connect([1; 16]) } else { Session::accept([1; 16], &mut Vec::new()) };
                let mut outcome = Ok(());
                for piece in bytes.chunks(piece) {
                    outcome = session.receive(piece, &me, &mut out, &mut Vec::new());
                    if outcome.is_err() {
                        break;
                    }
                }
                assert_eq!((outcome, out.len()), (Err(expected), 0), "{bytes:?} by {piece}");
                assert!(!session.send(0, b"", &mut out) && session.input.is_empty());
            }
        }
    }
}
