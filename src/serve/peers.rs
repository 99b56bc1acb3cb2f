//! Connections that belong to the fleet: they come over HTTP or are made by us, and are spoken over by other instances.

use super::Service;
use crate::clock::Now;
use crate::daemon::Host;
use crate::fleet::Fleet;
use crate::fleet::peers::{PATH, PROTOCOL, Peers};
use crate::id::ConnId;
use crate::wire::http::{Framing, Head};

/// What a request to take part is answered.
pub(super) const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: stheno-fleet/1\r\n\r\n";

/// Whether a request asks for taking part in the fleet. Who asks so proves who it is in another way than by a password,
/// and has nothing from it before that: no body is waited for, either.
pub(super) fn asks_for_fleet(head: &Head<'_>) -> bool {
    head.method == "GET" && head.target == PATH && head.upgrade == Some(PROTOCOL) && head.framing == Framing::None
}

impl Service {
    /// The other instances of the fleet, if there is one.
    pub fn peers(&self) -> Option<&Peers> {
        self.extensions.fleet.as_ref().map(|fleet| &fleet.peers)
    }

    /// The fleet, if there is one.
    pub fn fleet(&self) -> Option<&Fleet> {
        self.extensions.fleet.as_deref()
    }

    pub(super) fn peers_mut(&mut self) -> Option<&mut Peers> {
        self.extensions.fleet.as_mut().map(|fleet| &mut fleet.peers)
    }

    /// The connections that have something to be written, and those of the fleet that do.
    pub(super) fn dirty_with_peers(&mut self) -> Vec<ConnId> {
        let mut dirty = self.conns.take_dirty();
        if let Some(peers) = self.peers_mut() {
            let mut of_peers = peers.take_dirty();
            of_peers.sort_unstable();
            of_peers.dedup();
            dirty.append(&mut of_peers);
        }
        dirty
    }

    pub(super) fn peers_own(&self, conn: ConnId) -> bool {
        self.peers().is_some_and(|peers| peers.owns(conn))
    }

    pub(super) fn with_peers(&mut self, work: impl FnOnce(&mut Peers)) {
        if let Some(peers) = self.peers_mut() {
            work(peers);
        }
    }

    /// A connection is the fleet's from now on.
    pub(super) fn hand_over(&mut self, id: ConnId, now: Now, host: &mut dyn Host) {
        let Some(mut conn) = self.conns.remove(id) else { return };
        let output = std::mem::take(&mut conn.output);
        self.with_peers(|peers| peers.accept(id, &conn.client, output, now, host));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_names_the_protocol() {
        assert!(SWITCHING.contains(&format!("\r\nUpgrade: {PROTOCOL}\r\n")) && SWITCHING.ends_with("\r\n\r\n"));
    }
}
