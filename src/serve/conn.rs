//! One connection: its buffers, what it is doing, and requests taken off its input.
//!
//! It takes requests until one has to wait ([`Phase::Deferred`]) or makes a feed of it ([`Phase::Feed`]); behind a
//! deferred reply it takes the next. Who was refused is ignored until the connection is closed. Closing wins over all
//! of them: nothing is taken any more.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use super::feed::Feed;
use super::passwords::Admission;
use crate::clock::{Mono, Now};
use crate::daemon::host::Standing;
use crate::level::Level;
use crate::logs::activity;
use crate::wire::http::{self, BodyReader, Framing, HEAD_BYTES_MAX, Head, HttpError, ReplyTo};

/// Time for a request to arrive as a whole, from its first byte. Slower clients are cut off.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// Time a connection may stay open without a request. The original has no limit, and the shell of its supervisorctl
/// fails when a connection it kept is gone; so this only clears away what was forgotten.
const IDLE_TIME: Duration = Duration::from_secs(24 * 3600);

/// Time that a client which was refused has to close its connection.
const REFUSED_TIME: Duration = Duration::from_secs(5);

/// Bytes of output beyond which a connection takes no further request.
const UNWRITTEN_BYTES_MAX: usize = 128 * 1024;

/// Room that an idle connection's buffers keep.
const BUFFER_BYTES_KEPT: usize = 16 * 1024;

/// Clients are shown and kept; most connections come from few of them.
pub(super) type ClientName = Rc<str>;

/// What a connection is doing.
pub(super) enum Phase {
    /// Taking requests off its input.
    Requests,
    /// A reply waits for something to happen; it stands among the deferred ones.
    Deferred,
    /// It is served for as long as its feed lasts.
    Feed(Box<Feed>),
    /// It was told that it may not ask. What it still sends is ignored; closing at once could lose the reply, as a
    /// client that is still sending is then told of a broken connection.
    Refused,
}

pub(super) struct Conn {
    /// Index of the server section it came by.
    pub(super) server: usize,
    /// Bytes that the body of a request may have.
    body_bytes_max: u64,
    /// Who is at the other end.
    pub(super) client: ClientName,
    /// What it is doing.
    pub(super) phase: Phase,
    /// Bytes for the client.
    pub(super) output: Vec<u8>,
    /// To be closed once the output is written; further input is ignored.
    pub(super) closing: bool,
    /// The first line of the request that is to be answered; only where such lines are logged.
    pub(super) asked: Option<String>,
    /// When it is cut off.
    pub(super) deadline: Mono,
    /// When it is looked at next, as the timers of all connections have it; never later than the deadline.
    pub(super) timer: Option<Mono>,
    /// It has sent a whole request that it may send.
    pub(super) is_proven: bool,
    /// The standing that the host has been told.
    pub(super) told: Standing,
    /// It waits for its turn to have its password looked at.
    pub(super) waits: bool,
    /// Its turn has come.
    pub(super) has_turn: bool,
    /// Its last visit ended before its input did.
    pub(super) was_interrupted: bool,
    input: Vec<u8>,
    /// Bytes at the front of `input` that are known not to hold the end of a head.
    searched: usize,
    /// A chunked body under way: its reader, what came out of it, and how many bytes behind the head it has used.
    chunked: Option<(BodyReader, Vec<u8>, usize)>,
    /// Leave to send the body has been given.
    continued: bool,
}

/// Whether a request may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Given,
    /// It may not be asked, and the client is told so.
    Denied,
    /// That is found out later.
    Later(Admission),
}

/// What one look at the input found.
#[derive(Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack; a box would cost each request an allocation"
)]
pub(super) enum Taken<'a> {
    /// A request whose body has arrived: so many bytes in all.
    Request { head: Head<'a>, body: Option<Cow<'a, [u8]>>, bytes: usize },
    /// The head of one that may not be asked: with a wrong password, or without any.
    Unauthorized { reply_to: ReplyTo, was_wrong: bool },
    /// One whose password is to be looked at later.
    Later(ReplyTo, Admission),
    /// Nothing that could be read; where the next request begins is not known.
    Unreadable(ReplyTo, HttpError),
    /// The request is not whole yet.
    More,
}

impl Conn {
    /// A connection that has just been made.
    pub(super) fn new(server: usize, client: ClientName, body_bytes_max: u64, now: Now) -> Conn {
        Conn {
            server,
            body_bytes_max,
            client,
            phase: Phase::Requests,
            output: Vec::new(),
            closing: false,
            asked: None,
            deadline: now.mono.after(REQUEST_TIME),
            timer: None,
            is_proven: false,
            told: Standing::Unproven,
            waits: false,
            has_turn: false,
            was_interrupted: false,
            input: Vec::new(),
            searched: 0,
            chunked: None,
            continued: false,
        }
    }

    /// Whether there is input that no request was made of yet.
    pub(super) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        let body = self.chunked.as_ref().map_or(0, |(_, body, _)| body.capacity());
        self.input.capacity() + self.output.capacity() + body
    }

    /// It gets no further answer, and what it has sent is thrown away.
    pub(super) fn give_up(&mut self) {
        self.input = Vec::new();
        self.chunked = None;
        self.closing = true;
    }

    /// Whether nothing of it is under way.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Requests) && self.input.is_empty() && self.output.is_empty()
    }

    /// How well it may claim to be kept.
    pub(super) fn standing(&self) -> Standing {
        match &self.phase {
            Phase::Refused => Standing::Unproven,
            Phase::Requests if !self.is_proven => Standing::Unproven,
            Phase::Feed(feed) if !feed.is_begun() => Standing::Unproven,
            Phase::Requests if self.is_idle() => Standing::Idle,
            Phase::Requests => Standing::Busy,
            Phase::Feed(_) | Phase::Deferred => Standing::Served,
        }
    }

    /// Whether the next request may be taken: not while the client does not read what it has asked for.
    pub(super) fn takes_requests(&self) -> bool {
        !self.closing && !self.waits && matches!(self.phase, Phase::Requests) && self.output.len() < UNWRITTEN_BYTES_MAX
    }

    /// Whether it is given up when its deadline has passed. Who waits for us is given all the time there is.
    pub(super) fn can_expire(&self) -> bool {
        match &self.phase {
            Phase::Requests | Phase::Refused => true,
            Phase::Feed(feed) => !feed.is_begun(),
            Phase::Deferred => false,
        }
    }

    /// Bytes of input that are kept: a whole request, and pipelined ones behind a reply that waits. A client that sends
    /// more without waiting for its answers is cut off.
    fn input_bytes_max(&self) -> usize {
        HEAD_BYTES_MAX + 2 * self.body_bytes_max as usize
    }

    /// Appends to the input what a client sent.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Now) {
        if self.closing || matches!(self.phase, Phase::Feed(_) | Phase::Refused) {
            return;
        }
        if self.input.len() + bytes.len() > self.input_bytes_max() {
            self.closing = true;
            return;
        }
        if self.input.is_empty() {
            self.deadline = now.mono.after(REQUEST_TIME);
        }
        // A client decides how much this is: its request ends if there is no memory for it.
        if self.input.try_reserve(bytes.len()).is_err() {
            self.give_up();
            return;
        }
        self.input.extend_from_slice(bytes);
    }

    /// The input, for [`Conn::take`]; [`Conn::give_back`] has to follow.
    pub(super) fn take_input(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    /// Gives the input back, of which so many bytes are used.
    pub(super) fn give_back(&mut self, mut input: Vec<u8>, used: usize, now: Now) {
        input.drain(..used);
        if input.is_empty() {
            input.shrink_to(BUFFER_BYTES_KEPT);
            if used > 0 && !matches!(self.phase, Phase::Refused) {
                self.deadline = now.mono.after(IDLE_TIME);
            }
        }
        self.input = input;
    }

    /// Looks for a request at the front of the input. `leave` is asked before the body is there: who may not
    /// ask need not be listened to.
    pub(super) fn take<'a>(&mut self, input: &'a mut [u8], leave: impl FnOnce(&Head<'_>) -> Leave) -> Taken<'a> {
        let length = match http::head_len(input, self.searched) {
            Ok(Some(length)) => length,
            Ok(None) => {
                self.searched = input.len();
                return Taken::More;
            }
            Err(error) => return Taken::Unreadable(ReplyTo::UNREADABLE, error),
        };
        let (head, rest) = input.split_at_mut(length);
        if activity::level() <= Level::Trace {
            let text = String::from_utf8_lossy(head);
            self.asked = text.trim_start().lines().next().map(str::to_string);
        }
        let unreadable = http::reply_to_unreadable(head);
        let head = match http::parse_head(head) {
            Ok(head) => head,
            Err(error) => return Taken::Unreadable(unreadable, error),
        };
        let reply_to = head.reply_to;
        match leave(&head) {
            Leave::Given => {}
            Leave::Denied => {
                return Taken::Unauthorized { reply_to, was_wrong: head.authorization.is_some() };
            }
            Leave::Later(turn) => return Taken::Later(reply_to, turn),
        }
        match self.take_body(&head, rest) {
            Ok(Some((body, used))) => {
                self.searched = 0;
                self.continued = false;
                Taken::Request { head, body, bytes: length + used }
            }
            Ok(None) => {
                self.searched = length.saturating_sub(4);
                if head.expects_continue && !self.continued {
                    self.continued = true;
                    self.output.extend_from_slice(http::CONTINUE);
                }
                Taken::More
            }
            Err(error) => Taken::Unreadable(reply_to, error),
        }
    }

    /// The body behind a head, if it is whole, and how many bytes of `rest` it is.
    fn take_body<'a>(&mut self, head: &Head<'_>, rest: &'a [u8]) -> Result<Option<Body<'a>>, HttpError> {
        match head.framing {
            Framing::None | Framing::UntilClose => Ok(Some((None, 0))),
            Framing::Length(bytes) if bytes > self.body_bytes_max => Err(HttpError::BodyTooLarge),
            Framing::Length(bytes) => {
                Ok(rest.get(..bytes as usize).map(|body| (Some(Cow::Borrowed(body)), body.len())))
            }
            Framing::Chunked => {
                let (mut reader, mut body, mut used) = match self.chunked.take() {
                    Some(begun) => begun,
                    None => (BodyReader::new(Framing::Chunked, self.body_bytes_max)?, Vec::new(), 0),
                };
                let progress = reader.read(&rest[used..], &mut body)?;
                used += progress.used;
                if progress.done {
                    return Ok(Some((Some(Cow::Owned(body)), used)));
                }
                self.chunked = Some((reader, body, used));
                Ok(None)
            }
        }
    }

    /// From now on what it sends is ignored.
    pub(super) fn refuse(&mut self, now: Now) {
        self.phase = Phase::Refused;
        self.deadline = now.mono.after(REFUSED_TIME);
    }

    /// It goes on as it is for a long time.
    pub(super) fn prolong(&mut self, now: Now) {
        self.deadline = now.mono.after(IDLE_TIME);
    }

    /// Gives back room that long output has needed.
    pub(super) fn shrink(&mut self) {
        self.output.shrink_to(BUFFER_BYTES_KEPT);
    }
}

/// A body, where there is one, and how many bytes it took.
type Body<'a> = (Option<Cow<'a, [u8]>>, usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;

    const NOW: Now = Now { mono: Mono(0), wall: Wall(0) };

    fn conn() -> Conn {
        Conn::new(0, "client".into(), 1 << 20, NOW)
    }

    /// What is taken off the input when it comes in pieces of so many bytes, a line each; and what is left of it.
    fn taken(input: &[u8], piece: usize) -> (Vec<String>, usize) {
        let mut conn = conn();
        let mut lines = Vec::new();
        for piece in input.chunks(piece) {
            conn.receive(piece, NOW);
            let mut input = conn.take_input();
            let mut used = 0;
            while used < input.len() && conn.takes_requests() {
                match conn.take(&mut input[used..], |head| {
                    if head.authorization == Some("no") { Leave::Denied } else { Leave::Given }
                }) {
                    Taken::Request { head, body, bytes } => {
                        used += bytes;
                        let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
                        lines.push(format!("{} {} {}", head.method, head.target, body.as_deref().unwrap_or("-")));
                    }
                    Taken::Unauthorized { was_wrong, .. } => {
                        assert!(was_wrong);
                        lines.push("unauthorized".to_string());
                        conn.refuse(NOW);
                    }
                    Taken::Unreadable(_, error) => {
                        lines.push(error.to_string());
                        conn.closing = true;
                    }
                    Taken::Later(..) | Taken::More => break,
                }
            }
            conn.give_back(input, used, NOW);
        }
        (lines, conn.input.len())
    }

    #[test]
    fn requests_are_taken_one_after_another_whole_or_byte_by_byte() {
        let rows: &[(&str, &[&str], usize)] = &[
            ("GET /a HTTP/1.1\r\n\r\n", &["GET /a -"], 0),
            ("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET", &["GET /a -", "GET /b -"], 3),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\n", &["POST / abc", "GET / -"], 0),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", &[], 40),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                &["POST / abc", "GET / -"],
                0,
            ),
            ("POST / HTTP/1.1\r\n\r\n", &["POST / -"], 0),
            ("POST / HTTP/1.1\r\nAuthorization: no\r\nContent-Length: 3\r\n\r\nabc", &["unauthorized"], 0),
            ("POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", &["body too large"], 0),
            ("nonsense\r\n\r\n", &["malformed first line"], 0),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx", &["malformed chunk"], 0),
        ];
        for (input, expected, left) in rows {
            for piece in [input.len(), 1] {
                let (lines, rest) = taken(input.as_bytes(), piece);
                assert_eq!(lines, *expected, "{input:?} in pieces of {piece}");
                // What was refused is thrown away by the caller.
                if !lines.iter().any(|line| line.starts_with(|c: char| c.is_lowercase())) {
                    assert_eq!(rest, *left, "{input:?} in pieces of {piece}");
                }
            }
        }
    }

    #[test]
    fn leave_to_send_a_body_is_given_once() {
        let mut conn = conn();
        let mut input = *b"POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        for _ in 0..2 {
            assert_eq!(conn.take(&mut input, |_| Leave::Given), Taken::More);
            assert_eq!(conn.output, http::CONTINUE);
        }
    }

    #[test]
    fn who_sends_more_than_can_be_kept_is_cut_off() {
        let mut conn = conn();
        conn.phase = Phase::Deferred;
        let most = conn.input_bytes_max();
        conn.receive(&vec![b'x'; most], NOW);
        assert!(!conn.closing);
        conn.receive(b"x", NOW);
        assert!(conn.closing);
        assert_eq!(conn.input.len(), most);
    }
}
