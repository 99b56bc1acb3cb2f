//! The socket of datagrams between instances of a fleet.

use std::io::ErrorKind;
use std::net::SocketAddr;

use mio::Interest;
use mio::net::UdpSocket;

use super::token::{Source, Watched};

/// The socket; none before it is opened.
#[derive(Default)]
pub(super) struct Datagrams {
    socket: Option<UdpSocket>,
}

impl Datagrams {
    /// Opens it in place of one that was there.
    pub(super) fn open(&mut self, address: SocketAddr, watched: &mut Watched) -> std::io::Result<()> {
        let mut socket = UdpSocket::bind(address)?;
        // It stays for as long as the poll does, and so does its token.
        let mut token = None;
        watched.watch(&mut socket, &mut token, Source::Datagrams, Interest::READABLE)?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Sends one; that it is lost is nothing special.
    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if let Some(socket) = &self.socket {
            let _ = socket.send_to(bytes, to);
        }
    }

    /// The next one that has come: how long it is, and from where.
    pub(super) fn next(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let socket = self.socket.as_ref()?;
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
