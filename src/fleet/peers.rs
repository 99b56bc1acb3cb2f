//! The other instances of the fleet, and what is said to them and by them.
//!
//! Here is who can be reached and what has come; what is said, and what follows from it, is for others. Each frame that is
//! sent arrives whole and once, in the order of sending, or its stream ends: then [`PeerNews::Up`] tells when a new one is
//! there, or [`PeerNews::Down`] that the instance is gone.

use crate::config::fleet::Supvisors;
use crate::id::PeerId;
pub use crate::wire::fleet::Kind;

/// Bytes of a body at most.
pub const BODY_BYTES_MAX: usize = 1024 * 1024 - 64;

/// Bytes that wait for one instance: a snapshot of all that an instance knows of itself, with room for what comes after.
pub const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// What happens to instances, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerNews {
    /// An instance can be spoken to. It is told again without a `Down` between when it is reached anew: whatever was said
    /// before may have been lost, in both directions, so that reports begin with all that there is.
    Up {
        /// Which.
        peer: PeerId,
        /// What distinguishes this run of it from others.
        boot: u64,
    },
    /// An instance is gone.
    Down {
        /// Which.
        peer: PeerId,
    },
    /// An instance says something.
    Frame {
        /// Which.
        peer: PeerId,
        /// What for.
        kind: Kind,
        /// What, not looked into.
        body: Vec<u8>,
    },
    /// There is room again for an instance to which something was [`NotSent::Full`].
    Room {
        /// Which.
        peer: PeerId,
    },
}

/// Why something was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The instance cannot be reached.
    NoStream,
    /// Too much waits for it. What was dropped of reports is made good by a snapshot when there is [`PeerNews::Room`]; for
    /// anything but a report the stream is ended, so that nobody believes that it was said.
    Full,
    /// It has more than [`BODY_BYTES_MAX`] bytes.
    TooLong,
}

/// How it stands with an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// It cannot be reached, and is tried again.
    #[default]
    None,
    /// It is being connected to, or proves who it is.
    Connecting,
    /// It can be spoken to.
    Up,
}

/// What is known of one instance.
#[derive(Debug, Default)]
struct Peer {
    link: Link,
    /// Bytes that wait for it.
    queued: usize,
    /// Something had no room.
    lacks_room: bool,
}

/// The other instances. The list of all has a place for this one, too, which never has any news.
#[derive(Debug, Default)]
pub struct Peers {
    own: Option<PeerId>,
    all: Vec<Peer>,
    news: Vec<PeerNews>,
    /// What was sent and not taken yet.
    sent: Vec<(PeerId, Kind, Vec<u8>)>,
}

impl Peers {
    /// Those of a configuration; none for an instance that is alone.
    pub fn of(supvisors: Option<&Supvisors>) -> Peers {
        match supvisors.map(|one| &one.instances) {
            Some(instances) if instances.all.len() > 1 => Peers::new(instances.all.len(), PeerId(instances.own as u32)),
            _ => Peers::default(),
        }
    }

    /// So many instances, of which this one is `own`.
    pub fn new(count: usize, own: PeerId) -> Peers {
        let all = (0..count).map(|_| Peer::default()).collect();
        Peers { own: Some(own), all, ..Peers::default() }
    }

    /// This instance; `None` if it is alone.
    pub fn own(&self) -> Option<PeerId> {
        self.own
    }

    /// All others.
    pub fn others(&self) -> impl Iterator<Item = PeerId> {
        let own = self.own;
        (0..self.all.len() as u32).map(PeerId).filter(move |peer| Some(*peer) != own)
    }

    /// Says something to an instance. It leaves at the end of the turn.
    ///
    /// Errors: nothing was sent.
    pub fn send(&mut self, peer: PeerId, kind: Kind, body: &[u8]) -> Result<(), NotSent> {
        let Some(entry) = self.all.get_mut(peer.0 as usize).filter(|entry| entry.link == Link::Up) else {
            return Err(NotSent::NoStream);
        };
        if body.len() > BODY_BYTES_MAX {
            return Err(NotSent::TooLong);
        }
        if entry.queued + body.len() > QUEUE_BYTES_MAX {
            entry.lacks_room = true;
            return Err(NotSent::Full);
        }
        entry.queued += body.len();
        self.sent.push((peer, kind, body.to_vec()));
        Ok(())
    }

    /// What has happened since the last call, in its order.
    pub fn take_news(&mut self) -> Vec<PeerNews> {
        std::mem::take(&mut self.news)
    }

    /// How it stands with an instance.
    pub fn state(&self, peer: PeerId) -> Link {
        self.all.get(peer.0 as usize).map_or(Link::None, |entry| entry.link)
    }
}

/// Some instances that hear each other without any network.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Each of them, in the order of the list.
    pub struct Mesh(pub Vec<Peers>);

    impl Mesh {
        /// So many that do not know of each other yet.
        pub fn new(count: usize) -> Mesh {
            Mesh((0..count).map(|own| Peers::new(count, PeerId(own as u32))).collect())
        }

        /// Two of them can speak to each other from now on; the boot id of each is its place plus `run`.
        pub fn join(&mut self, one: usize, other: usize, run: u64) {
            for (here, there) in [(one, other), (other, one)] {
                let peer = PeerId(there as u32);
                self.0[here].all[there] = Peer { link: Link::Up, ..Peer::default() };
                self.0[here].news.push(PeerNews::Up { peer, boot: there as u64 + run });
            }
        }

        /// All of them hear each other.
        pub fn join_all(&mut self, run: u64) {
            let count = self.0.len();
            (0..count).for_each(|one| (0..one).for_each(|other| self.join(other, one, run)));
        }

        /// Two of them lose each other, and what was under way between them.
        pub fn cut(&mut self, one: usize, other: usize) {
            for (here, there) in [(one, other), (other, one)] {
                let peer = PeerId(there as u32);
                self.0[here].all[there] = Peer::default();
                self.0[here].sent.retain(|(to, ..)| *to != peer);
                self.0[here].news.push(PeerNews::Down { peer });
            }
        }

        /// Brings what was sent to where it belongs; says whether there was anything.
        pub fn deliver(&mut self) -> bool {
            let mut is_any = false;
            for from in 0..self.0.len() {
                for (to, kind, body) in std::mem::take(&mut self.0[from].sent) {
                    is_any = true;
                    let entry = &mut self.0[from].all[to.0 as usize];
                    entry.queued = entry.queued.saturating_sub(body.len());
                    if entry.queued == 0 && std::mem::take(&mut entry.lacks_room) {
                        self.0[from].news.push(PeerNews::Room { peer: to });
                    }
                    let peer = PeerId(from as u32);
                    self.0[to.0 as usize].news.push(PeerNews::Frame { peer, kind, body });
                }
            }
            is_any
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Mesh;
    use super::*;

    #[test]
    fn what_is_sent_arrives_in_order_and_only_where_somebody_is() {
        let mut mesh = Mesh::new(3);
        mesh.join(0, 1, 10);
        assert_eq!(mesh.0[0].take_news(), [PeerNews::Up { peer: PeerId(1), boot: 11 }]);
        assert_eq!(mesh.0[1].take_news(), [PeerNews::Up { peer: PeerId(0), boot: 10 }]);
        assert_eq!(mesh.0[0].send(PeerId(1), Kind::Report, b"a"), Ok(()));
        assert_eq!(mesh.0[0].send(PeerId(1), Kind::Command, b"b"), Ok(()));
        for nobody in [0, 2, 3] {
            assert_eq!(mesh.0[0].send(PeerId(nobody), Kind::Report, b"a"), Err(NotSent::NoStream), "{nobody}");
        }
        assert!(mesh.deliver());
        let frame = |kind, body: &[u8]| PeerNews::Frame { peer: PeerId(0), kind, body: body.to_vec() };
        assert_eq!(mesh.0[1].take_news(), [frame(Kind::Report, b"a"), frame(Kind::Command, b"b")]);
        mesh.cut(0, 1);
        assert_eq!(mesh.0[1].take_news(), [PeerNews::Down { peer: PeerId(0) }]);
        assert_eq!((mesh.0[0].state(PeerId(1)), mesh.0[0].own()), (Link::None, Some(PeerId(0))));
        assert_eq!(mesh.0[0].others().collect::<Vec<_>>(), [PeerId(1), PeerId(2)]);
    }

    #[test]
    fn queues_are_bounded_and_tell_when_there_is_room() {
        let mut mesh = Mesh::new(2);
        mesh.join_all(0);
        mesh.0[0].take_news();
        let half = vec![0; QUEUE_BYTES_MAX / 2];
        let sent: Vec<_> = (0..3).map(|_| mesh.0[0].send(PeerId(1), Kind::Report, &half)).collect();
        assert_eq!(sent, [Ok(()), Ok(()), Err(NotSent::Full)]);
        let long = vec![0; BODY_BYTES_MAX + 1];
        assert_eq!(mesh.0[0].send(PeerId(1), Kind::Report, &long), Err(NotSent::TooLong));
        mesh.deliver();
        assert_eq!(mesh.0[0].take_news(), [PeerNews::Room { peer: PeerId(1) }]);
    }
}
