//! The sockets of datagrams of a fleet: between its instances, to a group at which they find each other, and to name servers.

use std::io::ErrorKind;
use std::net::SocketAddr;
#[cfg(feature = "fleet")]
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

use mio::Interest;
use mio::net::UdpSocket;

use super::token::{Source, Watched};

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What instances of the fleet say to each other.
    Instances,
    /// What is said to the group.
    #[cfg(feature = "fleet")]
    Group,
    /// Answers of name servers with that kind of address.
    #[cfg(feature = "fleet")]
    Names { is_ipv4: bool },
}

/// The sockets; none before it is opened.
#[derive(Default)]
pub(super) struct Datagrams {
    all: Vec<(Purpose, UdpSocket)>,
    /// Which one is asked first, so that a flood at one keeps no other waiting.
    turn: usize,
    #[cfg(feature = "fleet")]
    group: Option<SocketAddrV4>,
}

impl Datagrams {
    /// Opens that for instances.
    pub(super) fn open(&mut self, address: SocketAddr, watched: &mut Watched) -> std::io::Result<()> {
        self.add(Purpose::Instances, UdpSocket::bind(address)?, watched)
    }

    fn add(&mut self, purpose: Purpose, mut socket: UdpSocket, watched: &mut Watched) -> std::io::Result<()> {
        // It stays for as long as the poll does, and so does its token.
        let mut token = None;
        watched.watch(&mut socket, &mut token, Source::Datagrams, Interest::READABLE)?;
        self.all.push((purpose, socket));
        Ok(())
    }

    fn socket(&self, purpose: Purpose) -> Option<&UdpSocket> {
        self.all.iter().find(|(known, _)| *known == purpose).map(|(_, socket)| socket)
    }

    /// Sends one; that it is lost is nothing special.
    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if let Some(socket) = self.socket(Purpose::Instances) {
            let _ = socket.send_to(bytes, to);
        }
    }

    /// Listens to a group, and speaks to it at that interface.
    #[cfg(feature = "fleet")]
    pub(super) fn join(
        &mut self,
        group: SocketAddrV4,
        interface: Ipv4Addr,
        ttl: u8,
        watched: &mut Watched,
    ) -> std::io::Result<()> {
        let socket = crate::sys::multicast::open(group, interface, ttl)?;
        self.group = Some(group);
        self.add(Purpose::Group, UdpSocket::from_std(socket), watched)
    }

    /// Says something to the group.
    #[cfg(feature = "fleet")]
    pub(super) fn tell_group(&self, bytes: &[u8]) -> std::io::Result<()> {
        match self.socket(Purpose::Group).zip(self.group) {
            Some((socket, group)) => socket.send_to(bytes, group.into()).map(drop),
            None => Ok(()),
        }
    }

    /// Asks a name server. The socket for its kind of address is opened when it is needed first.
    #[cfg(feature = "fleet")]
    pub(super) fn ask(&mut self, server: SocketAddr, bytes: &[u8], watched: &mut Watched) {
        let purpose = Purpose::Names { is_ipv4: server.is_ipv4() };
        if self.socket(purpose).is_none() {
            let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
            let opened = UdpSocket::bind((any, 0).into());
            // Without it nobody answers, which is told where that is waited for.
            let Ok(()) = opened.and_then(|socket| self.add(purpose, socket, watched)) else { return };
        }
        if let Some(socket) = self.socket(purpose) {
            let _ = socket.send_to(bytes, server);
        }
    }

    /// The next one that has come, of all sockets in turn: at which, how long it is, and from where.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Option<(Purpose, usize, SocketAddr)> {
        let (before, after) = self.all.split_at(self.turn);
        let found = after.iter().chain(before).find_map(|(purpose, socket)| {
            let (count, from) = next_of(socket, buffer)?;
            // A socket for both kinds of addresses shows those of IPv4 as if they were of the other.
            Some((*purpose, count, SocketAddr::new(from.ip().to_canonical(), from.port())))
        });
        self.turn = (self.turn + 1) % self.all.len().max(1);
        found
    }
}

fn next_of(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
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
