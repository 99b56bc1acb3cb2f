//! One connection: its buffers, what it waits for, its deadlines; and taking requests off its input.

use std::time::Duration;

use super::task::Task;
use super::{CONNECTIONS_MAX, Peer, Service, events, follow, route};
use crate::clock::{Mono, Now};
use crate::daemon::Host;
use crate::id::ConnId;
use crate::level::Level;
use crate::logs::activity;
use crate::rpc::Pending;
use crate::wire::http::{self, BODY_BYTES_MAX, BodyReader, Framing, HEAD_BYTES_MAX, HttpError, ReplyTo, Status};

/// Time for a request to arrive as a whole, from its first byte. Slower clients are cut off.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// Time a connection may stay open without a request. The original has no limit, and the shell of its supervisorctl
/// fails when a connection it kept is gone; so this only clears away what was forgotten.
const IDLE_TIME: Duration = Duration::from_secs(24 * 3600);

/// Time that a client which was refused has to close its connection.
const REFUSED_TIME: Duration = Duration::from_secs(5);

/// Bytes of input that are kept: a whole request, and pipelined ones behind a reply that waits. A client that sends
/// more without waiting for its answers is cut off.
const INPUT_BYTES_MAX: usize = HEAD_BYTES_MAX + 2 * BODY_BYTES_MAX as usize;

/// Room that an idle connection's buffers keep.
const BUFFER_BYTES_KEPT: usize = 16 * 1024;

/// What a connection is doing.
pub(super) enum Phase {
    /// Taking requests off its input.
    Idle,
    /// A reply waits for something to happen.
    Waiting(Box<Waiting>),
    /// It follows a log for ever.
    Following(Box<follow::Follow>),
    /// It receives events for ever.
    Streaming(Box<events::Stream>),
    /// It was told that it may not ask. What it still sends is ignored; closing at once could lose the reply, as a
    /// client that is still sending is then told of a broken connection.
    Refused,
}

/// A reply that waits.
pub(super) struct Waiting {
    pub(super) reply_to: ReplyTo,
    pub(super) work: Work,
}

/// What a reply waits for.
pub(super) enum Work {
    /// A call of XML-RPC; the method's name.
    Call(Pending, String),
    /// An action of the web page.
    Task(Task),
}

/// One connection.
pub struct Conn {
    pub(super) server: usize,
    pub(super) peer: Peer,
    input: Vec<u8>,
    /// Bytes at the front of `input` that are known not to hold the end of a head.
    searched: usize,
    /// A chunked body under way: its reader, what came out of it, and how many bytes behind the head it has used.
    chunked: Option<(BodyReader, Vec<u8>, usize)>,
    /// Leave to send the body has been given.
    continued: bool,
    /// Bytes for the client.
    pub(super) output: Vec<u8>,
    pub(super) phase: Phase,
    /// To be closed once the output is written; further input is ignored.
    pub(super) closing: bool,
    /// The first line of the request that is to be answered; only where such lines are logged.
    pub(super) asked: Option<String>,
    /// When it is cut off.
    deadline: Mono,
    /// When it is looked at next, as the service's timeouts have it; never later than the deadline.
    timer: Mono,
}

impl Conn {
    /// When the reply that waits wants to be asked again.
    pub(super) fn deadline_of_reply(&self) -> Option<Mono> {
        match &self.phase {
            Phase::Waiting(waiting) => waiting.work.deadline(),
            _ => None,
        }
    }

    fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.input.is_empty() && self.output.is_empty()
    }
}

/// How far one look at the input came.
enum Step {
    /// A request was taken: so many bytes.
    Took(usize),
    /// The request is not whole yet.
    More,
    /// Nothing that follows on this connection matters.
    Ignore,
    /// Nothing can follow on this connection.
    Close,
}

impl Service {
    pub(super) fn accept(&mut self, id: ConnId, server: usize, peer: String, now: Now, host: &mut dyn Host) {
        if self.conns.len() >= CONNECTIONS_MAX {
            let idle =
                self.conns.iter().filter(|(_, conn)| conn.is_idle()).min_by_key(|(id, conn)| (conn.deadline, **id));
            match idle.map(|(id, _)| *id) {
                Some(longest) => {
                    self.forget(longest, host);
                    host.close_connection(longest);
                }
                None => {
                    activity!(Warn, "{peer}: more than {CONNECTIONS_MAX} connections; closing the new one");
                    host.close_connection(id);
                    return;
                }
            }
        }
        let deadline = now.mono.after(REQUEST_TIME);
        let conn = Conn {
            server,
            peer: peer.into(),
            input: Vec::new(),
            searched: 0,
            chunked: None,
            continued: false,
            output: Vec::new(),
            phase: Phase::Idle,
            closing: false,
            asked: None,
            deadline,
            timer: deadline,
        };
        self.conns.insert(id, conn);
        self.timeouts.insert((deadline, id));
    }

    pub(super) fn receive(&mut self, id: ConnId, bytes: &[u8], now: Now, host: &mut dyn Host) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.closing || matches!(conn.phase, Phase::Following(_) | Phase::Streaming(_) | Phase::Refused) {
            return;
        }
        if conn.input.len() + bytes.len() > INPUT_BYTES_MAX {
            conn.closing = true;
            self.dirty.push(id);
            return;
        }
        if conn.input.is_empty() {
            conn.deadline = now.mono.after(REQUEST_TIME);
            if conn.deadline < conn.timer {
                self.timeouts.remove(&(conn.timer, id));
                conn.timer = conn.deadline;
                self.timeouts.insert((conn.timer, id));
            }
        }
        conn.input.extend_from_slice(bytes);
        self.take_requests(id, now, host);
    }

    /// Answers what is whole on the input, one request after another, until one has to wait.
    pub(super) fn take_requests(&mut self, id: ConnId, now: Now, host: &mut dyn Host) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let mut input = std::mem::take(&mut conn.input);
        let mut used = 0;
        while used < input.len() && self.conns.get(&id).is_some_and(|c| !c.closing && matches!(c.phase, Phase::Idle)) {
            match self.take_request(id, &mut input[used..], now, host) {
                Step::Took(bytes) => used += bytes,
                Step::More => break,
                Step::Ignore => used = input.len(),
                Step::Close => {
                    used = input.len();
                    if let Some(conn) = self.conns.get_mut(&id) {
                        conn.closing = true;
                    }
                }
            }
        }
        input.drain(..used);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if input.is_empty() {
            input.shrink_to(BUFFER_BYTES_KEPT);
            if used > 0 && !matches!(conn.phase, Phase::Refused) {
                conn.deadline = now.mono.after(IDLE_TIME);
            }
        }
        conn.input = input;
        if !conn.output.is_empty() || conn.closing {
            self.dirty.push(id);
        }
    }

    fn take_request(&mut self, id: ConnId, input: &mut [u8], now: Now, host: &mut dyn Host) -> Step {
        let Some(conn) = self.conns.get_mut(&id) else { return Step::Close };
        let length = match http::head_len(input, conn.searched) {
            Ok(Some(length)) => length,
            Ok(None) => {
                conn.searched = input.len();
                return Step::More;
            }
            Err(error) => return self.refuse(id, ReplyTo::UNREADABLE, error, now),
        };
        let (head, rest) = input.split_at_mut(length);
        if activity::level() <= Level::Trace {
            let text = String::from_utf8_lossy(head);
            conn.asked = text.trim_start().lines().next().map(str::to_string);
        }
        let head = match http::parse_head(head) {
            Ok(head) => head,
            Err(error) => return self.refuse(id, http::reply_to_unreadable(&input[..length]), error, now),
        };
        // Before the body: who may not ask need not be listened to.
        let credentials = self.sites.get(conn.server).and_then(|site| site.credentials.as_ref());
        if !route::is_authorized(credentials, &head) {
            self.answer(id, head.reply_to, now, Status::UNAUTHORIZED, |reply| {
                reply.closing().error_page(&[("WWW-Authenticate", "Basic realm=\"default\"")]);
            });
            let keep_alive = head.reply_to.keep_alive;
            return if keep_alive { self.ignore_from_now_on(id, now) } else { Step::Close };
        }
        let decoded;
        let (body, used): (Option<&[u8]>, usize) = match head.framing {
            Framing::None | Framing::UntilClose => (None, 0),
            Framing::Length(bytes) if bytes > BODY_BYTES_MAX => {
                return self.refuse(id, head.reply_to, HttpError::BodyTooLarge, now);
            }
            Framing::Length(bytes) => match rest.get(..bytes as usize) {
                Some(body) => (Some(body), body.len()),
                None => return self.await_body(id, head.expects_continue, length),
            },
            Framing::Chunked => {
                let fresh = || BodyReader::new(Framing::Chunked, BODY_BYTES_MAX).map(|reader| (reader, Vec::new(), 0));
                let taken = conn.chunked.take().map_or_else(fresh, Ok);
                let read = taken.and_then(|(mut reader, mut body, mut used)| {
                    let progress = reader.read(&rest[used..], &mut body)?;
                    used += progress.used;
                    Ok((reader, body, used, progress.done))
                });
                match read {
                    Ok((_, body, used, true)) => {
                        decoded = body;
                        (Some(&decoded), used)
                    }
                    Ok((reader, body, used, false)) => {
                        conn.chunked = Some((reader, body, used));
                        return self.await_body(id, head.expects_continue, length);
                    }
                    Err(error) => return self.refuse(id, head.reply_to, error, now),
                }
            }
        };
        conn.searched = 0;
        conn.continued = false;
        self.route(id, &head, body, now, host);
        Step::Took(length + used)
    }

    fn ignore_from_now_on(&mut self, id: ConnId, now: Now) -> Step {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.phase = Phase::Refused;
            conn.deadline = now.mono.after(REFUSED_TIME);
            self.timeouts.insert((conn.deadline, id));
        }
        Step::Ignore
    }

    /// The head is there, the body is not: gives leave to send it to a client that asked for it.
    fn await_body(&mut self, id: ConnId, expects_continue: bool, head_length: usize) -> Step {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.searched = head_length.saturating_sub(4);
            if expects_continue && !conn.continued {
                conn.continued = true;
                conn.output.extend_from_slice(http::CONTINUE);
            }
        }
        Step::More
    }

    fn refuse(&mut self, id: ConnId, reply_to: ReplyTo, error: HttpError, now: Now) -> Step {
        if let Some(conn) = self.conns.get(&id) {
            activity!(Trace, "{}: {error}", conn.peer);
        }
        self.error(id, reply_to, error.status(), now);
        Step::Close
    }

    /// All output is written: room for more of a stream.
    pub(super) fn drained(&mut self, id: ConnId, host: &mut dyn Host) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.output.shrink_to(BUFFER_BYTES_KEPT);
        }
        self.feed_follower(id, host);
        self.stream_drained(id);
    }

    /// A client sends no more. It may still read: what it asked for is answered before the connection is closed.
    pub(super) fn hangup(&mut self, id: ConnId, host: &mut dyn Host) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match conn.phase {
            Phase::Idle | Phase::Waiting(_) | Phase::Refused => {
                conn.closing = true;
                self.dirty.push(id);
            }
            Phase::Following(_) | Phase::Streaming(_) => self.forget(id, host),
        }
    }

    /// Forgets a connection; what it asked for goes on.
    pub(super) fn forget(&mut self, id: ConnId, host: &mut dyn Host) {
        let Some(conn) = self.conns.remove(&id) else { return };
        self.timeouts.remove(&(conn.timer, id));
        self.waiting.remove(&id);
        if self.followers.remove(&id) {
            host.unwatch_file(id);
        }
        if self.streams.remove(&id) {
            self.refresh_streams();
        }
        if let Phase::Waiting(waiting) = conn.phase {
            self.abandon(*waiting, conn.peer);
        }
    }

    /// Cuts off connections whose time is up.
    pub(super) fn expire(&mut self, now: Now, host: &mut dyn Host) {
        while let Some(&(at, id)) = self.timeouts.first() {
            if at > now.mono {
                break;
            }
            self.timeouts.pop_first();
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            // A deadline that moves on leaves the set alone; it is put right here.
            let is_patient = !matches!(conn.phase, Phase::Idle | Phase::Refused);
            if is_patient {
                conn.deadline = now.mono.after(IDLE_TIME);
            }
            if conn.deadline > now.mono {
                conn.timer = conn.deadline;
                self.timeouts.insert((conn.timer, id));
                continue;
            }
            self.forget(id, host);
            host.close_connection(id);
        }
    }
}
