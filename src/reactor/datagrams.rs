//! The socket of datagrams between instances of a fleet.

use std::io::ErrorKind;
use std::net::SocketAddr;

use mio::Interest;
use mio::net::UdpSocket;

use super::token::{Source, Watched};
use super::{Reactor, system::System};
use crate::clock::Now;
use crate::serve::{Input, Service};

/// Datagrams of one turn. Finding out that one is not from an instance takes some microseconds.
const DATAGRAMS_PER_TURN: usize = 64;

/// Opens it in place of one that was there.
pub(super) fn open(address: SocketAddr, watched: &mut Watched) -> std::io::Result<UdpSocket> {
    let mut socket = UdpSocket::bind(address)?;
    // It stays for as long as the poll does, and so does its token.
    let mut token = None;
    watched.watch(&mut socket, &mut token, Source::Datagrams, Interest::READABLE)?;
    Ok(socket)
}

impl System {
    /// The next datagram that has come: how long it is, and from where.
    fn next_datagram(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let socket = self.datagrams.as_ref()?;
        loop {
            match socket.recv_from(buffer) {
                Ok(received) => return Some(received),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                // That nobody was there for an earlier one of ours is told here, too, and says nothing of the next.
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {}
                Err(_) => return None,
            }
        }
    }
}

impl Reactor {
    /// Hands on the datagrams that have come, up to the share of a turn.
    pub(super) fn read_datagrams(&mut self, service: &mut Service, now: Now) {
        for _ in 0..DATAGRAMS_PER_TURN {
            let Some((count, from)) = self.system.next_datagram(&mut self.scratch) else { return };
            service.handle(Input::Datagram { from, bytes: &self.scratch[..count] }, now, &mut self.system);
        }
        self.unfinished.push(Source::Datagrams);
    }
}
