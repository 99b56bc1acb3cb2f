//! What passes between others and us: clients are accepted, read, written and closed here, datagrams are handed on.

use super::clients::{self, Accepted, Written};
use super::datagrams::Purpose;
use super::token::Source;
use super::{Reactor, Sign};
use crate::clock::Now;
use crate::id::ConnId;
use crate::serve::{Input, Service};

/// What a read counts for at least: with what is asked and answered it takes some 0.02 ms, however little has come.
const READ_BYTES_MIN: usize = 2 * 1024;

/// Clients accepted in one turn from one server. Each takes some 0.03 ms.
const ACCEPTS_PER_TURN: usize = 32;

/// Rounds of writing to clients whose writing makes room for more, in one turn.
const FLUSH_ROUNDS: usize = 4;

/// Datagrams of one turn. Finding out that one is not from an instance takes some microseconds.
const DATAGRAMS_PER_TURN: usize = 64;

impl Reactor {
    /// Hands on the datagrams that have come, up to the share of a turn.
    pub(super) fn read_datagrams(&mut self, service: &mut Service, now: Now) {
        for _ in 0..DATAGRAMS_PER_TURN {
            let Some((purpose, count, from)) = self.system.datagrams.next(&mut self.scratch) else { return };
            let bytes = &self.scratch[..count];
            let input = match purpose {
                Purpose::Instances => Input::Datagram { from, bytes },
                #[cfg(feature = "fleet")]
                Purpose::Group => Input::ToldGroup { from, bytes },
                #[cfg(feature = "fleet")]
                Purpose::Names { .. } => Input::NameAnswer { from, bytes },
            };
            service.handle(input, now, &mut self.system);
        }
        self.unfinished.push(Source::Datagrams);
    }

    pub(super) fn accept(&mut self, server: usize, sign: Sign, service: &mut Service, now: Now) {
        for count in 0..ACCEPTS_PER_TURN {
            match self.system.clients.accept(server, now.mono, &mut self.system.watched) {
                Accepted::Client(conn, client) => {
                    service.handle(Input::Accepted { conn, server, client }, now, &mut self.system);
                }
                Accepted::Gone => {}
                Accepted::Nobody if count == 0 && sign != Sign::Left => break,
                Accepted::Nobody => return,
                Accepted::Failed => return self.try_later(Source::Listener(server), now),
                Accepted::Short(error) => {
                    let gone = self.system.clients.make_room_for_client(now.mono, &mut self.system.watched);
                    let Some(gone) = gone else {
                        activity!(Error, "cannot accept a client: {error}");
                        return self.try_later(Source::Listener(server), now);
                    };
                    self.system.gone.push(gone);
                }
            }
            self.close_given_up();
        }
        self.unfinished.push(Source::Listener(server));
    }

    /// Reads a client until its socket is empty or the turn's share of bytes is used up.
    pub(super) fn read_client(&mut self, id: ConnId, sign: Sign, left: &mut usize, service: &mut Service, now: Now) {
        let mut has_read = false;
        loop {
            if *left == 0 {
                self.unfinished.push(Source::Conn(id));
                return;
            }
            match self.system.clients.read(id, &mut self.scratch) {
                clients::Read::Bytes(count) => {
                    let bytes = &self.scratch[..count];
                    *left = left.saturating_sub(count.max(READ_BYTES_MIN));
                    service.handle(Input::Received { conn: id, bytes }, now, &mut self.system);
                    // A short read means that the socket is empty. An end that comes later is an event of its own; one
                    // that had come already is not.
                    if count < self.scratch.len() && sign == Sign::Reported {
                        return;
                    }
                    has_read = true;
                }
                clients::Read::Nothing if sign == Sign::Left || sign == Sign::Reported && has_read => return,
                clients::Read::Nothing => {
                    self.unfinished.push(Source::Conn(id));
                    return;
                }
                clients::Read::Failed => return self.try_later(Source::Conn(id), now),
                clients::Read::End => {
                    service.handle(Input::Hangup { conn: id }, now, &mut self.system);
                    if !service.has_connection(id) {
                        self.system.clients.close(id, &mut self.system.watched);
                    }
                    return;
                }
            }
        }
    }

    /// Writes all output there is.
    pub(super) fn write_all(&mut self, service: &mut Service, now: Now) {
        for id in std::mem::take(&mut self.system.gone) {
            service.drop_connection(id, now, &mut self.system);
        }
        for _ in 0..FLUSH_ROUNDS {
            let dirty = service.take_dirty();
            if dirty.is_empty() {
                break;
            }
            for id in dirty {
                self.write(id, service, now);
            }
        }
        self.close_given_up();
    }

    pub(super) fn write(&mut self, id: ConnId, service: &mut Service, now: Now) {
        let Some(output) = service.output(id) else { return };
        let before = output.len();
        let written = if output.is_empty() {
            Written::All
        } else {
            self.system.clients.write(id, output, &mut self.system.watched)
        };
        self.system.moved_bytes += before - output.len();
        match written {
            Written::Blocked => {}
            Written::All if !service.closes(id) => {
                service.handle(Input::Drained { conn: id }, now, &mut self.system);
            }
            Written::All => {
                service.drop_connection(id, now, &mut self.system);
                self.system.clients.drain(id, &mut self.scratch);
                self.system.clients.close(id, &mut self.system.watched);
            }
            Written::Gone => {
                service.drop_connection(id, now, &mut self.system);
                self.system.clients.close(id, &mut self.system.watched);
            }
        }
    }

    fn close_given_up(&mut self) {
        for id in std::mem::take(&mut self.system.closed) {
            self.system.clients.close(id, &mut self.system.watched);
        }
    }
}
